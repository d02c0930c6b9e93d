"""``daxa process``: from raw files to event lists and images."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

import typer

from daxa.cli.archive import (
    CalibrationFolder,
    Cores,
    archive_name,
    exists,
    failure_line,
    failures,
    use_calibration,
)
from daxa.cli.calibration import fetch_calibration
from daxa.cli.output import AllowSynthetic, Json, allow_mixture, print_table
from daxa.cli.select import InstOption, Local, Name, ObsIds, Position, Radius, Request

BackendOption = Annotated[
    str | None, typer.Option("--backend", help="auto, sas or embedded; the configured one by default.")
]


def _set_backend(backend: str | None) -> None:
    from daxa import config

    if backend:
        os.environ["DAXA_BACKEND"] = backend
    config.backend()


def run_reduction(
    archive: Any, cores: int | None, unscheduled: bool, redo: str = "changed", executor: str | None = None
) -> None:
    """Take an archive from raw files to images.

    Parameters
    ----------
    archive
        The archive.
    cores, unscheduled, redo, executor
        Options of the command.
    """
    from daxa.process.simple import full_process_xmm

    options: dict[str, Any] = {"process_unscheduled": unscheduled, "redo": redo, "executor": executor}
    if cores is not None:
        options["num_cores"] = cores
    full_process_xmm(archive, **options)


def process(
    name: Name = None,
    archive: Annotated[
        str | None,
        typer.Option(
            "--archive",
            help="Name of the archive; by default that of the object, observation, position or folder.",
        ),
    ] = None,
    local: Local = None,
    obs_id: ObsIds = None,
    position: Position = None,
    radius: Radius = None,
    inst: InstOption = None,
    cores: Cores = None,
    backend: BackendOption = None,
    allow_synthetic: AllowSynthetic = False,
    unscheduled: Annotated[
        bool, typer.Option("--unscheduled/--scheduled-only", help="Also process unscheduled exposures.")
    ] = True,
    ccf: CalibrationFolder = None,
    executor: Annotated[
        str | None,
        typer.Option("--executor", help="Where jobs run: dask, or the address of a scheduler of Dask."),
    ] = None,
    redo_all: Annotated[bool, typer.Option("--redo", help="Make everything again.")] = False,
    redo_stale: Annotated[
        bool,
        typer.Option("--redo-stale", help="Also make again what DAXA 0.3.7 has made, of unknown input."),
    ] = False,
    no_redo: Annotated[
        bool, typer.Option("--no-redo", help="Make only what is missing, whatever else has changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find, download and reduce observations; an interrupted run goes on where it stopped."""
    from daxa.archive import Archive
    from daxa.backend.select import select_backend
    from daxa.process.arguments import check_cores
    from daxa.process.executors import check_name

    if redo_all + redo_stale + no_redo > 1:
        raise typer.BadParameter("--redo, --redo-stale, --no-redo: give one of them")
    redo = "all" if redo_all else "stale" if redo_stale else "never" if no_redo else "changed"
    if allow_synthetic:
        allow_mixture()
    _set_backend(backend)
    # Before anything is made: a mistake here must not leave an archive behind.
    select_backend()
    try:
        check_cores(cores)
    except ValueError as wrong:
        raise typer.BadParameter(f"--cores: {wrong}") from None
    try:
        check_name(executor)
    except ValueError as wrong:
        raise typer.BadParameter(f"--{wrong}") from None
    use_calibration(None, ccf)
    request = Request.of(name, local, obs_id, position, radius, inst)
    title = archive_name(archive or request.title())
    if exists(title):
        # It knows its observations; going on with it needs no network.
        opened = Archive(title)
        request.check(opened)
        use_calibration(opened, ccf)
    else:
        mission = request.mission()
        fetch_calibration(mission)
        opened = Archive(title, mission)
        request.remember(opened)
        use_calibration(opened, ccf)
    run_reduction(opened, cores, unscheduled, redo, executor)
    finish(opened, as_json)


def finish(archive: Any, as_json: bool) -> None:
    """Show what an archive holds, and what failed in it; exit status 1 if something did.

    Parameters
    ----------
    archive
        The archive.
    as_json
        Print JSON.
    """
    from daxa.report import build_report, product_table

    rows = product_table(archive)
    report = build_report(archive)
    # Mosaics are made by another command; its failures do not make this one fail.
    failed = [f for f in failures(archive) if f["process"] != "generate_mosaics"]
    if as_json:
        typer.echo(json.dumps({"products": rows, "failed": failed, "report": str(report)}, indent=1))
    else:
        if rows:
            print_table(rows, f"{archive.archive_name}: products")
        for failure in failed:
            typer.echo(failure_line(failure), err=True)
        typer.echo(f"archive {archive.archive_path}\nreport  {report}")
    if failed:
        raise typer.Exit(1)
