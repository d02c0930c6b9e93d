"""``daxa odf``: what raw files hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

odf = typer.Typer(name="odf", no_args_is_help=True, help="Raw files (ODF) as the embedded engine sees them.")


#: Findings as they are counted: what is amiss comes last.
_ORDER = ("exact", "image", "text", "not read", "others", "lacking", "damaged")


def _order(counted: tuple[str, int]) -> int:
    return _ORDER.index(counted[0])


@odf.callback()
def _root() -> None:
    """Keeps ``inspect`` a command of its own, though it is the only one."""


@odf.command("inspect")
def odf_inspect(
    path: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of raw files, or one of them.")],
    to: Annotated[
        Path | None,
        typer.Option("--report", help="Write names, shapes, units and first values here, for a bug report."),
    ] = None,
) -> None:
    """Tell what the engine takes from each raw file, how it recognises it, and what it makes of exposures."""
    from daxa.xmm.errors import TaskError
    from daxa.xmm.odf.inspect import exposures, files_of, inspect, report, title, together

    try:
        files = files_of(path)
    except TaskError as error:
        typer.echo(f"daxa: {error.message}", err=True)
        raise typer.Exit(2) from None
    counts: dict[str, int] = {}
    for file in files:
        typer.echo(f"{file.path.name}  {title(file.name)}")
        findings = inspect(file)
        for finding in findings:
            counts[finding.how] = counts.get(finding.how, 0) + 1
        for finding in together(findings):
            typer.echo(f"  {finding.extension:14s} {finding.how:9s} {finding.detail}".rstrip())
    many = "1 file" if len(files) == 1 else f"{len(files)} files"
    typer.echo(
        f"{many}; extensions: "
        + ", ".join(f"{number} {how}" for how, number in sorted(counts.items(), key=_order))
    )
    lines = exposures(path) if path.is_dir() else []
    for line in lines:
        typer.echo(line)
    if to is not None:
        try:
            to.write_text("\n".join([*map(report, files), *lines, ""]), encoding="utf-8")
        except OSError as error:
            typer.echo(f"daxa: --report {to}: {error.strerror}", err=True)
            raise typer.Exit(2) from None
        typer.echo(f"report in {to}")
