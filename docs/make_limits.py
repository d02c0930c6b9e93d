"""The table of docs/network.md that says what servers and archive files may cost.

Run ``python docs/make_limits.py`` after a change of :mod:`daxa.fetch.limits`;
a test compares the page with it.
"""

from __future__ import annotations

from pathlib import Path

from daxa.fetch.limits import rows

PAGE = Path(__file__).parent / "network.md"
MARK = "network limits"


def page() -> str:
    """The page with its table made anew."""
    begin, end = f"<!-- {MARK} -->\n", f"<!-- end of {MARK} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{PAGE.name}: no {begin.strip()} and {end}")
    lines = [
        "| limit | | of what |",
        "|---|---|---|",
        *(f"| `{r.name}` | {r.value} | {r.text} |" for r in rows()),
    ]
    return before + begin + "\n".join(lines) + f"\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
