"""What an object says of itself: as text in a terminal, as a page in a notebook.

The page has no script and no style sheet, and takes its colours from the notebook, light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from daxa.plain import plain_line

#: Rows of a table that are shown; one may be of thousands of observations.
LONGEST = 12
_LINE = "1px solid rgba(128,128,128,.35)"
_CELL = f"padding:.2em .7em .2em 0;text-align:left;vertical-align:top;border-bottom:{_LINE}"
_QUIET = "opacity:.75"


@dataclass(frozen=True)
class Table:
    """A table with a heading.

    Attributes
    ----------
    heading
        What it lists.
    columns
        Names of the columns.
    rows
        Cells, as text.
    longest
        How many rows are shown.
    """

    heading: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    longest: int = LONGEST

    @property
    def more(self) -> str:
        """How many rows are not shown; empty if all are."""
        left = len(self.rows) - self.longest
        return f"... and {left} more" if left > 0 else ""


@dataclass(frozen=True)
class Overview:
    """What is told of an object.

    Attributes
    ----------
    title
        Its name.
    facts
        Pairs of a name and a value.
    tables
        Tables.
    next
        What can be done next: pairs of a reason and a call, or only a reason.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[Table] = ()
    next: Sequence[tuple[str, str]] = field(default_factory=tuple)

    def text(self) -> str:
        """As lines of text."""
        lines = [plain_line(self.title)]
        lines += [f"  {name:<16} {plain_line(value)}" for name, value in self.facts]
        for table in self.tables:
            lines += ["", f"  {table.heading}", *(f"    {line}" for line in _lines(table))]
        if self.next:
            lines += ["", "  Next"]
        for why, call in self.next:
            lines += [f"    {plain_line(why)}" + (":" if call else "")]
            lines += [f"        {plain_line(call)}"] if call else []
        return "\n".join(line.rstrip() for line in lines)

    def html(self) -> str:
        """As HTML."""
        parts = [f"<div style='font-weight:600;margin-bottom:.3em'>{_safe(self.title)}</div>"]
        rows = (
            f"<tr><th style='{_CELL};font-weight:400;{_QUIET}'>{_safe(name)}</th>"
            f"<td style='{_CELL}'>{_safe(value)}</td></tr>"
            for name, value in self.facts
        )
        parts.append(f"<table style='{_TABLE}'>{''.join(rows)}</table>")
        parts += [_html(table) for table in self.tables]
        if self.next:
            steps = "".join(
                f"<li>{_safe(why)}{f'<br><code>{_safe(call)}</code>' if call else ''}</li>"
                for why, call in self.next
            )
            parts.append(f"<div style='{_HEADING}'>Next</div><ul style='margin:.2em 0'>{steps}</ul>")
        return f"<div>{''.join(parts)}</div>"


_TABLE = "border-collapse:collapse;border:0;background:none;color:inherit;font-size:90%;margin:0"
_HEADING = "margin:.8em 0 .2em;font-weight:600"


def _safe(text: str) -> str:
    return escape(plain_line(text), quote=True)


def _lines(table: Table) -> list[str]:
    shown = [table.columns, *([plain_line(cell) for cell in row] for row in table.rows[: table.longest])]
    widths = [max(map(len, cells)) for cells in zip(*shown, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in shown]
    return [*lines, table.more] if table.more else lines


def _html(table: Table) -> str:
    head = "".join(f"<th scope='col' style='{_CELL};{_QUIET}'>{_safe(c)}</th>" for c in table.columns)
    body = "".join(
        f"<tr>{''.join(f'<td style={_CELL!r}>{_safe(cell)}</td>' for cell in row)}</tr>"
        for row in table.rows[: table.longest]
    )
    more = f"<div style='{_QUIET}'>{_safe(table.more)}</div>" if table.more else ""
    return (
        f"<div style='{_HEADING}'>{_safe(table.heading)}</div>"
        f"<table style='{_TABLE}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
    )
