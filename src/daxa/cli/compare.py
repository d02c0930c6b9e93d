"""``daxa compare`` and ``daxa validate``: products of the same exposure beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli.output import AllowSynthetic, allow_mixture, print_table

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
        comparison = compare_files(a, b)
    except NotComparableError as wrong:
        typer.echo(f"daxa: {wrong}", err=True)
        raise typer.Exit(2) from None
    show([comparison])
    write([comparison], json_file, page, f"{a.name} and {b.name}")
    if not comparison.same:
        raise typer.Exit(1)


def show(comparisons: Sequence[Any]) -> None:
    """Print comparisons, the verdict in words last."""
    from daxa.compare.page import line_rows

    for comparison in comparisons:
        print_table(
            line_rows(comparison), f"{comparison.kind}: B minus A\nA {comparison.a}\nB {comparison.b}"
        )
        for words in comparison.findings:
            typer.echo(f"differs: {words}")
        if comparison.same:
            typer.echo("within all tolerances")


def write(
    comparisons: Sequence[Any],
    json_file: Path | None,
    page: Path | None,
    title: str,
    left_out: Sequence[str] = (),
) -> None:
    """Write the JSON file and the page that were asked for."""
    from daxa.compare.page import write_page

    if json_file is not None:
        rows = [comparison.to_dict() for comparison in comparisons]
        text = json.dumps(rows[0] if len(rows) == 1 else rows, indent=1)
        json_file.write_text(text + "\n", encoding="utf-8")
    if page is not None:
        typer.echo(f"page {write_page(page, comparisons, title, left_out)}")


def validate(
    obs_id: Annotated[str, typer.Argument(help="Observation.")],
    inst: Annotated[
        list[str] | None, typer.Option("--inst", help="Camera (M1, M2, PN); may be repeated.")
    ] = None,
    local: Annotated[
        Path | None, typer.Option("--local", help="Folder with the raw data; needs --products.")
    ] = None,
    products: Annotated[
        Path | None,
        typer.Option("--products", help="Folder with the pipeline's products, instead of fetching."),
    ] = None,
    cores: Annotated[int | None, typer.Option("--cores", help="Processes to use.")] = None,
    allow_synthetic: AllowSynthetic = False,
    json_file: JsonFile = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="The page; validate_OBSID.html by default.")
    ] = None,
) -> None:
    """Reduce an observation and compare with the pipeline's products; exit status as that of compare."""
    from daxa.cli.calibration import fetch_calibration
    from daxa.exceptions import DAXADownloadError
    from daxa.mission import XMMPointed
    from daxa.validate.observation import validate as run

    if allow_synthetic:
        allow_mixture()
    for option, folder in (("--local", local), ("--products", products)):
        if folder is not None and not folder.is_dir():
            raise typer.BadParameter(f"{option}: {folder} is not a folder")
    if local is not None and products is None:
        raise typer.BadParameter("--local: give --products, too")
    try:
        mission = XMMPointed(inst, local=local) if local else XMMPointed(inst)
        mission.filter_on_obs_ids(obs_id)
        fetch_calibration(mission)
        comparisons, left_out = run(obs_id, inst, local=local, products=products, num_cores=cores)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None
    except DAXADownloadError as wrong:
        typer.echo(f"daxa: {wrong}", err=True)
        raise typer.Exit(2) from None
    show(comparisons)
    for reason in left_out:
        typer.echo(f"not compared: {reason}")
    target = page or Path(f"validate_{obs_id}.html")
    title = f"{obs_id}: DAXA (A) and the pipeline (B)"
    write(comparisons, json_file, target, title, left_out)
    if not all(comparison.same for comparison in comparisons):
        raise typer.Exit(1)
