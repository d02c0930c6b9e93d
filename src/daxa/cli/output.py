"""What commands share: how they print, and an option."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from daxa.plain import plain_line

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AllowSynthetic = Annotated[
    bool,
    typer.Option(
        "--allow-synthetic", help="Use synthetic calibration files for real raw files, or the reverse."
    ),
]
#: Without a terminal a line may be as long as it needs.
_ENDLESS = 10_000
_INDENT = 4
#: Blanks between columns, and the least width of a column of sentences.
_GAP, _LEAST = 2, 24


def allow_mixture() -> None:
    """Let real and made-up files meet in this process and in the jobs that it starts."""
    from daxa.xmm.origin import ALLOW, SWITCH

    os.environ[SWITCH] = ALLOW


def width() -> int:
    """How many characters a line of standard output may have."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _ENDLESS


def print_table(
    rows: Sequence[Mapping[str, Any]],
    title: str = "",
    common: Sequence[str] = ("mission",),
    rare: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print rows of one shape, as wide as the terminal.

    Names and numbers are never cut or broken: where the columns do not fit beside each other, each row
    becomes a paragraph.

    Parameters
    ----------
    rows
        The rows, with the same keys.
    title
        A line above them.
    common
        Columns that are told with the title if they are the same in all rows.
    rare
        Columns that are left out where there is nothing in them.
    spare
        Columns that are left out, the first one first, where there is no room for all.
    """
    names = list(rows[0]) if rows else []
    same = [n for n in common if n in names and len({row[n] for row in rows}) == 1]
    empty = [n for n in rare if n in names and not any(row[n] for row in rows)]
    names = [n for n in names if n not in same + empty]
    told = ", ".join(_cell(rows[0][n]) for n in same)
    if title or told:
        typer.echo(plain_line(title) + (f" ({told})" if told else ""))
    if not names:
        return
    lines: list[str] = []
    left_out: list[str] = []
    for number in range(len(spare) + 1):
        left_out = [n for n in spare[:number] if n in names]
        if lines := _table(*_columns(rows, [n for n in names if n not in left_out])):
            break
    if left_out and lines:
        lines.append(f"(not shown: {', '.join(left_out)}; --json has all)")
    for line in lines or _paragraphs(*_columns(rows, names)):
        typer.echo(line.rstrip())


def _columns(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> tuple[Sequence[str], list[list[str]], list[bool]]:
    """Columns of a table: their names, the cells row by row, and which columns are numbers."""
    numeric = [_is_number(next((row[n] for row in rows if row[n] is not None), None)) for n in names]
    cells = [[_cell(row[n]) for n in names] for row in rows]
    return names, cells, numeric


def _table(names: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """The lines of a table; none if it does not fit.

    Headings are broken at blanks, and so are sentences: columns with a blank in a value, of which the last
    one takes what is left of the line.
    """
    columns = list(zip(names, *cells, strict=True))
    widths = [max(map(len, (*name.split(), *values))) for name, *values in columns]
    room = width() - sum(widths) - _GAP * (len(widths) - 1)
    sentences = [i for i, (_, *values) in enumerate(columns) if any(" " in v for v in values)]
    if room < 0 and sentences:
        last = sentences[-1]
        widths[last], room = widths[last] + room, max(0, widths[last] + room - _LEAST)
        if widths[last] < _LEAST:
            return []
    elif room < 0:
        return []
    for number, name in enumerate(names):  # headings in one line, as far as there is room
        more = max(0, len(name) - widths[number])
        if more <= room:
            widths[number], room = widths[number] + more, room - more
    rule = ["-" * w for w in widths]
    lines = [*_lines(names, widths, numeric, bottom=True), (" " * _GAP).join(rule)]
    for row in cells:
        lines += _lines(row, widths, numeric)
    return lines


def _lines(
    row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], bottom: bool = False
) -> list[str]:
    """The lines of one row of a table."""
    parts = [
        textwrap.wrap(text, w, break_on_hyphens=False) or [""] for text, w in zip(row, widths, strict=True)
    ]
    height = max(map(len, parts))
    parts = [[""] * (height - len(p)) + p if bottom else p + [""] * (height - len(p)) for p in parts]
    return [
        (" " * _GAP).join(
            text.rjust(w) if right else text.ljust(w)
            for text, w, right in zip(line, widths, numeric, strict=True)
        )
        for line in zip(*parts, strict=True)
    ]


def _paragraphs(names: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """Rows one below the other: what names them, and below it the rest with its headings."""
    lead = max(1, next((i for i, number in enumerate(numeric) if number), len(names)))
    if lead == len(names):
        lead = 1
    lines = []
    for row in cells:
        lines.append("  ".join(row[:lead]))
        pairs = [f"{n} {v}" for n, v in zip(names[lead:], row[lead:], strict=True) if v]
        # A heading stays with its value.
        text = ", ".join(pair.replace(" ", "\0") if len(pair) < width() - _INDENT else pair for pair in pairs)
        indent = " " * _INDENT
        wrapped = textwrap.wrap(
            text, width(), initial_indent=indent, subsequent_indent=indent, break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
        lines += [line.replace("\0", " ") for line in wrapped]
    return lines


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if type(value) is int else plain_line(word(value))


def word(value: Any) -> str:
    """A value as people write it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
