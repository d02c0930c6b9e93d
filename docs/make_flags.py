"""The tables of docs/formats/events.md that say what the bits of FLAG mean.

Run ``python docs/make_flags.py`` after a change of :mod:`daxa.xmm.formats.flags`; a test compares the page
with it.
"""

from __future__ import annotations

from pathlib import Path

from daxa.xmm.formats.flags import MACROS, MosFlag, PnFlag

PAGE = Path(__file__).parent / "formats" / "events.md"
MARK = "flags"


def table() -> str:
    """Bits, and the masks of macros."""
    mos, pn = ({flag.bit_length() - 1: flag.name for flag in flags} for flags in (MosFlag, PnFlag))
    named = {key: (mask, camera) for camera, macros in MACROS.items() for key, mask in macros.items()}
    lines = ["| bit | MOS | pn |", "|---|---|---|"]
    lines += [
        f"| {bit} | " + " | ".join(f"`{n[bit]}`" if bit in n else "" for n in (mos, pn)) + " |"
        for bit in sorted({*mos, *pn})
    ]
    lines += ["", "| macro | bits that must not be set |", "|---|---|"]
    for key, (mask, camera) in sorted(named.items()):
        bits = ", ".join(
            str(bit) for bit in range(32) if mask >> bit & 1 and bit in (pn if camera == "EPN" else mos)
        )
        lines.append(f"| `#{key}` (`{mask:#x}`) | {bits} |")
    return "\n".join(lines)


def page() -> str:
    """The page with its tables made anew."""
    begin, end = f"<!-- {MARK} -->\n", f"<!-- end of {MARK} -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{PAGE.name}: no {begin.strip()} and {end}")
    return f"{before}{begin}{table()}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
