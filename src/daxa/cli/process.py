"""``daxa process``: from raw files to event lists and images."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import Annotated, Any

import typer

from daxa.cli import complete
from daxa.cli.archive import (
    OF_PRODUCTS,
    CalibrationFolder,
    Cores,
    archive_name,
    exists,
    failure_line,
    failures,
    failures_told_later,
    no_archive,
    use_calibration,
)
from daxa.cli.calibration import fetch_calibration
from daxa.cli.output import AllowSynthetic, Json, allow_mixture, print_table
from daxa.cli.select import NOTHING, InstOption, Local, Name, ObsIds, Position, Radius, Request
from daxa.cli.steps import FirstStep, LastStep, StepsOption, chosen_steps

BackendOption = Annotated[
    str | None, typer.Option("--backend", help="auto, sas or embedded; the configured one by default.")
]


def _set_backend(backend: str | None) -> None:
    from daxa import config

    if backend:
        os.environ["DAXA_BACKEND"] = backend
    config.backend()


def run_reduction(
    archive: Any,
    cores: int | None,
    unscheduled: bool,
    redo: str = "changed",
    executor: str | None = None,
    steps: list[str] | None = None,
) -> None:
    """Take an archive from raw files to images.

    Parameters
    ----------
    archive
        The archive.
    cores, unscheduled, redo, executor
        Options of the command.
    steps
        Names of the steps; None for all.
    """
    from daxa.process.simple import full_process_xmm

    options: dict[str, Any] = {
        "process_unscheduled": unscheduled,
        "redo": redo,
        "executor": executor,
        "steps": steps,
    }
    if cores is not None:
        options["num_cores"] = cores
    with failures_told_later():
        full_process_xmm(archive, **options)


def process(
    name: Name = None,
    archive: Annotated[
        str | None,
        typer.Option(
            "--archive",
            help="Name of the archive; by default that of the object, observation, position or folder.",
            autocompletion=complete.archive_names,
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
    steps: StepsOption = None,
    first: FirstStep = None,
    last: LastStep = None,
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
    """Find, download and reduce observations; an interrupted run goes on where it stopped.

    The observations are those of an object (NAME), of --obs-id, of a --position, or all of a --local folder.
    What is there already is not made again; an archive that exists needs nothing but --archive.
    """
    from daxa.archive import Archive
    from daxa.backend.select import select_backend
    from daxa.process.arguments import check_cores
    from daxa.process.executors import check_name

    if redo_all + redo_stale + no_redo > 1:
        raise typer.BadParameter("--redo, --redo-stale, --no-redo: give one of them")
    redo = "all" if redo_all else "stale" if redo_stale else "never" if no_redo else "changed"
    if allow_synthetic:
        allow_mixture()
    chosen = chosen_steps(steps, first, last)
    _set_backend(backend)
    # Before anything is made: a mistake here must not leave an archive behind.
    select_backend()
    try:
        check_cores(cores)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong).replace("num_cores:", "--cores:")) from None
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
        typer.echo(f"opening the archive {title} ({count(opened)})", err=True)
    elif request.empty:
        raise typer.BadParameter(f"--archive: {no_archive(title)}; to make it, {NOTHING}")
    else:
        mission = request.mission()
        fetch_calibration(mission)
        opened = Archive(title, mission)
        request.remember(opened)
        use_calibration(opened, ccf)
        typer.echo(f"new archive {title} ({count(opened)})", err=True)
    run_reduction(opened, cores, unscheduled, redo, executor, chosen)
    finish(opened, as_json)


def count(archive: Any) -> str:
    """How many observations an archive has, in words.

    Parameters
    ----------
    archive
        The archive.
    """
    number = sum(len(mission.filtered_obs_ids) for mission in archive.missions)
    return f"{number} observation{'s' * (number != 1)}"


def warned_steps(archive: Any, names: Collection[str]) -> list[str]:
    """Steps some of whose jobs have warned, of more than stand-ins for calibration.

    Parameters
    ----------
    archive
        The archive.
    names
        The steps that count.
    """
    found = dict.fromkeys(t["process"] for t in archive.ledger.totals() if t["warnings"])
    return [
        name
        for name in found
        if name in names
        and any(run.warned for run in archive.ledger.runs(process=name, status="done", logs=False))
    ]


def finish(archive: Any, as_json: bool) -> None:
    """Show what an archive holds, and what failed in it; exit status 1 if something did.

    Parameters
    ----------
    archive
        The archive.
    as_json
        Print JSON.
    """
    from daxa.process.simple import REDUCTION
    from daxa.report import build_report, product_table

    rows = product_table(archive)
    typer.echo("drawing the report ...", err=True)
    report = build_report(archive)
    # What other commands make does not make this one fail.
    ours = {step.name for step in REDUCTION}
    failed = [f for f in failures(archive) if f["process"] in ours]
    warned = warned_steps(archive, ours)
    if as_json:
        typer.echo(json.dumps({"products": rows, "failed": failed, "report": str(report)}, indent=1))
    else:
        if rows:
            print_table(rows, f"{archive.archive_name}: products", spare=OF_PRODUCTS)
        for failure in failed:
            typer.echo(failure_line(failure), err=True)
        if warned:
            typer.echo(
                f"with warnings: {', '.join(warned)}; see daxa status {archive.archive_name}, and "
                f"daxa logs {archive.archive_name} {warned[0]} --errors",
                err=True,
            )
        typer.echo(f"archive {archive.archive_path}\nreport  {report}")
    if failed:
        raise typer.Exit(1)
