"""Commands that tell how archives stand: status."""

from __future__ import annotations

import json
from typing import Any

import typer

from daxa.cli.archive import ArchiveName, failure_line, failures, open_archive
from daxa.cli.output import Json, duration, print_table

#: Columns of a status that are shown only where something stands in them.
_RARE = ("out of date", "running", "interrupted", "pending", "warnings")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a status as people read it."""
    counts = ("done", "stale", "failed", "running", "interrupted", "pending", "warnings")
    return {
        "mission": row["mission"],
        "step": row["step"],
        **{"out of date" if name == "stale" else name: row[name] for name in counts},
        "time": duration(row["seconds"]),
        "memory [MB]": row["memory_mb"],
    }


def status(archive: ArchiveName, as_json: Json = False) -> None:
    """Show what of an archive is done, failed and pending."""
    from daxa.report import status_table

    opened = open_archive(archive)
    rows = status_table(opened)
    if as_json:
        typer.echo(
            json.dumps({"archive": opened.archive_name, "steps": rows, "failed": failures(opened)}, indent=1)
        )
        return
    if not rows:
        typer.echo(f"{opened.archive_name}: nothing has been processed yet")
        return
    print_table([_shown(row) for row in rows], f"{opened.archive_name}: steps", rare=_RARE)
    for failure in failures(opened):
        typer.echo(failure_line(failure))
