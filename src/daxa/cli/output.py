"""What commands share: how they print, and an option."""

from __future__ import annotations

import os
import sys
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


def allow_mixture() -> None:
    """Let real and made-up files meet in this process and in the jobs that it starts."""
    from daxa.xmm.origin import ALLOW, SWITCH

    os.environ[SWITCH] = ALLOW


def print_table(rows: list[dict[str, Any]], title: str = "") -> None:
    """Print rows of one shape, as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for name in rows[0] if rows else []:
        numeric = isinstance(rows[0][name], (int, float)) and not isinstance(rows[0][name], bool)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
    for row in rows:
        table.add_row(*("" if v is None else f"{v:,}" if type(v) is int else _cell(v) for v in row.values()))
    # A pipe has no width of its own; a wide one keeps every column whole.
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)


def _cell(value: Any) -> str:
    from rich.markup import escape

    # "[s]" is a unit here, no markup.
    return escape(plain_line(word(value)))


def word(value: Any) -> str:
    """A value as people write it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
