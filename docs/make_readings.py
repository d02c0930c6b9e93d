"""Tables of docs/calibration.md and docs/real_files.md that say how calibration files are read.

Run ``python docs/make_readings.py`` after a change of :mod:`daxa.xmm.ccf.readings`; a test compares the pages
with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from daxa.calibration.inspect import cost_of, losses
from daxa.xmm.ccf.readings import reading_of
from daxa.xmm.ccf.roles import Reading
from daxa.xmm.fits.schema import Column
from daxa.xmm.formats.ccf import LAYOUT

DOCS = Path(__file__).parent


def readings() -> str:
    """How each table is recognised."""
    head = (
        "constituent",
        "table",
        "columns by name",
        "told by content",
        "fallback, and what it costs",
        "refused",
    )
    return table(head, rows(recognition))


def limits() -> str:
    """What the numbers of each table are held to."""
    head = (
        "constituent",
        "table",
        "possible numbers",
        "what else they are held to, and what their size tells",
    )
    return table(head, (row for row in rows(numbers) if any(row[2:])))


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    made = [f"| {' | '.join(cells)} |" for cells in (head, *lines)]
    return "\n".join([made[0], "|" + "---|" * len(head), *made[1:]])


def rows(cells: Callable[[tuple[Column, ...], Reading], tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Constituent, tables that are read alike, and what is said of them."""
    for (scope, typeid), tables in LAYOUT.items():
        said = [(cells(schema, reading_of(scope, typeid, name)), name) for name, schema in tables.items()]
        groups: dict[tuple[str, ...], list[str]] = {}
        for text, name in said:
            groups.setdefault(text, []).append(name)
        for text, names in groups.items():
            listed = ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"
            yield (f"{scope}_{typeid}", listed, *text)


def recognition(schema: tuple[Column, ...], reading: Reading) -> tuple[str, ...]:
    """Columns, how they are told by content, what stands in for what, and what is refused."""
    columns = [column.name for column in schema]
    content = [f"{', '.join(rule.roles)}: {rule.says}" for rule in reading.content]
    content += [reading.remark] if reading.remark else []
    absent = {name: f for name, f in reading.absent.items() if f.code or name not in reading.lacking}
    lost = [*losses("without", absent), *losses("without keyword", reading.keywords)]
    lost += losses("without row", reading.items)
    lost += [
        f"{'unreadable' if name == '*' else f'no usable {name}'}: {cost_of(f)}"
        for name, f in reading.lacking.items()
    ]
    if reading.substitute is not None:
        lost.append(f"unreadable: {cost_of(reading.substitute)}")
    if reading.total is not None:
        total, parts = reading.total
        columns = [name for name in columns if not name.startswith(parts[0][:-1])] + [total]
    needed = [name for name in columns if name not in reading.absent]
    if reading.spare:
        refused = "only where it has to stand in"
    elif "*" in reading.lacking:
        refused = f"if {reading.lacking['*'].value} cannot be read either"
    elif reading.substitute is not None:
        refused = "never"
    else:
        refused = f"without {', '.join(needed)}" if needed else "no image"
        if reading.algorithms:
            refused += f"; with ALGOID other than {' or '.join(map(str, reading.algorithms))}"
    return ", ".join(columns) or "an image", "; ".join(content), "; ".join(lost), refused


def numbers(schema: tuple[Column, ...], reading: Reading) -> tuple[str, ...]:
    """Possible numbers of columns, and what else they are held to."""
    units = {column.name: column.unit for column in schema}
    given = reading.possible.items()
    # Limits that several columns share are said once.
    shared = [(limits, [name for name, _ in same]) for limits, same in groupby(given, key=lambda one: one[1])]
    texts = [
        f"{', '.join(names)}: {span(*limits)} {units.get(names[0], '')}".strip() for limits, names in shared
    ]
    return "; ".join(texts), "; ".join(reading.held_to)


def span(low: float, high: float) -> str:
    return f"{low:g} or more" if np.isinf(high) else f"{low:g} to {high:g}"


#: Page, marks around the table, what makes it.
TABLES = (("calibration.md", "readings", readings), ("real_files.md", "limits", limits))


def page(name: str, mark: str, make: Callable[[], str]) -> str:
    """A page with its table made anew."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    text = (DOCS / name).read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{name}: no {begin.strip()} and {end}")
    return f"{before}{begin}{make()}\n{end}{after}"


if __name__ == "__main__":
    for one in TABLES:
        (DOCS / one[0]).write_text(page(*one), encoding="utf-8")
