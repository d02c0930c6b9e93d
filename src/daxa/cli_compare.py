"""``daxa compare``: two products of the same exposure beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli_output import print_table

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write everything to this JSON file.")]
PageFile = Annotated[Path | None, typer.Option("--page", help="Write one HTML page with plots to this file.")]


def compare(
    a: Annotated[
        Path, typer.Argument(help="An event list, image, exposure map, good-time or attitude file.")
    ],
    b: Annotated[Path, typer.Argument(help="The other one, of the same exposure.")],
    json_file: JsonFile = None,
    page: PageFile = None,
) -> None:
    """Compare two products of the same exposure; exit status 0 same, 1 different, 2 not comparable."""
    from daxa.compare import NotComparableError, compare_files

    try:
        found = compare_files(a, b)
    except NotComparableError as wrong:
        typer.echo(f"daxa: {wrong}", err=True)
        raise typer.Exit(2) from None
    show([found])
    write([found], json_file, page, f"{a.name} and {b.name}")
    if not found.same:
        raise typer.Exit(1)


def show(comparisons: Sequence[Any]) -> None:
    """Print comparisons, the verdict in words last."""
    from daxa.compare.page import line_rows

    for found in comparisons:
        print_table(line_rows(found), f"{found.kind}: B minus A\nA {found.a}\nB {found.b}")
        for words in found.findings:
            typer.echo(f"differs: {words}")
        if found.same:
            typer.echo("within all tolerances")


def write(comparisons: Sequence[Any], json_file: Path | None, page: Path | None, title: str) -> None:
    """Write the JSON file and the page that were asked for."""
    from daxa.compare.page import write_page

    if json_file is not None:
        rows = [found.to_dict() for found in comparisons]
        text = json.dumps(rows[0] if len(rows) == 1 else rows, indent=1)
        json_file.write_text(text + "\n", encoding="utf-8")
    if page is not None:
        typer.echo(f"page {write_page(page, comparisons, title)}")
