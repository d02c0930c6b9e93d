"""The ``daxa`` command."""

from __future__ import annotations

import json
import os
import shlex
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from daxa._version import __version__
from daxa.cli.archive import (
    CalibrationFolder,
    Cores,
    archive_name,
    exists,
    failure_line,
    failures,
    logs,
    mosaic,
    provenance,
    rebuild,
    replay,
    report,
    reproduce,
    sources,
    status,
    use_calibration,
    verify,
)
from daxa.cli.calibration import calibration, fetch_calibration
from daxa.cli.compare import compare, validate
from daxa.cli.doctor import doctor, sas_shims
from daxa.cli.images import images
from daxa.cli.odf import odf
from daxa.cli.output import AllowSynthetic, Json, allow_mixture, print_table
from daxa.cli.select import InstOption, Local, Name, ObsIds, Position, Radius, Request, parse_position
from daxa.plain import plain_line, plain_text

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Find, download and reduce X-ray observations into organised, science-ready archives.",
)
app.add_typer(calibration, name="calibration")
app.add_typer(odf, name="odf")
app.command()(compare)
app.command()(validate)
app.command()(doctor)
app.command()(sas_shims)
for command in (
    status,
    verify,
    rebuild,
    logs,
    provenance,
    replay,
    reproduce,
    mosaic,
    images,
    sources,
    report,
):
    app.command()(command)

BackendOption = Annotated[
    str | None, typer.Option("--backend", help="auto, sas or embedded; the configured one by default.")
]


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"daxa {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _set_backend(backend: str | None) -> None:
    from daxa import config

    if backend:
        os.environ["DAXA_BACKEND"] = backend
    config.backend()


@app.command()
def find(
    name: Name = None,
    position: Position = None,
    radius: Radius = None,
    obs_id: ObsIds = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Table of positions, columns ra and dec [deg, or sexagesimal]."),
    ] = None,
    mission: Annotated[str, typer.Option("--mission", help="Mission to search.")] = "xmm_pointed",
    local: Local = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write the table to this CSV file.")] = None,
    as_json: Json = False,
) -> None:
    """List the observations of an object, a position, or a table of positions."""
    from astropy.units import Quantity

    from daxa.mission import MISS_INDEX, XMMPointed
    from daxa.mission.positions import read_positions

    if mission not in MISS_INDEX:
        raise typer.BadParameter(f"--mission: expected one of {', '.join(MISS_INDEX)}, got {mission!r}")
    try:
        positions = None if file is None else read_positions(file)
    except ValueError as wrong:
        raise typer.BadParameter(f"--file: {wrong}") from None
    selected: Any
    if mission != "xmm_pointed":
        selected = MISS_INDEX[mission]()
    elif file is None:
        selected = Request.of(name, local, obs_id, position, radius, None).mission()
    else:
        selected = XMMPointed(local=local) if local else XMMPointed()
    distance = None if radius is None else Quantity(radius, "arcmin")
    if mission != "xmm_pointed":
        if obs_id:
            selected.filter_on_obs_ids(obs_id)
        if position:
            selected.filter_on_positions(parse_position(position), search_distance=distance)
        if name is not None:
            try:
                selected.filter_on_name(name, search_distance=distance)
            except ValueError as wrong:
                raise typer.BadParameter(str(wrong)) from None
    if positions is not None:
        selected.filter_on_positions(positions, search_distance=distance)
    info = selected.filtered_obs_info
    if output is not None:
        info.to_csv(output, index=False)
        typer.echo(f"{len(info)} observations written to {output}")
    elif as_json:
        typer.echo(info.to_json(orient="records", date_format="iso", indent=1))
    else:
        shown = info[["ObsID", "ra", "dec", "start", "duration", "science_usable"]]
        print_table(
            [
                {
                    "ObsID": str(r.ObsID),
                    "RA [deg]": f"{r.ra:.5f}",
                    "Dec [deg]": f"{r.dec:.5f}",
                    "start": str(r.start)[:19],
                    "duration": str(r.duration),
                    "usable": "yes" if r.science_usable else "no",
                }
                for r in shown.itertuples()
            ],
            f"{selected.pretty_name}: {len(info)} observations",
        )


@app.command()
def download(
    name: Name = None,
    position: Position = None,
    radius: Radius = None,
    obs_id: ObsIds = None,
    local: Local = None,
    inst: InstOption = None,
    cores: Cores = None,
) -> None:
    """Download raw data without processing them."""
    mission = Request.of(name, local, obs_id, position, radius, inst).mission()
    mission.download(**({} if cores is None else {"num_cores": cores}))
    typer.echo(f"raw data are in {mission.raw_data_path}")


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; made if needed.")],
    size: Annotated[
        str, typer.Option(help="small, demo, real (event rates of real data), modes, gratings or noise.")
    ] = "demo",
    duration: Annotated[
        float | None, typer.Option(help="Exposure time of each observation [s], instead of the size's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed; the same one gives the same files.")] = 907,
    sky: Annotated[
        str | None,
        typer.Option(help="Field: cluster (like Abell 907) or pulsar, instead of the size's own."),
    ] = None,
) -> None:
    """Simulate XMM-Newton observations: raw files, calibration files and the truth."""
    from daxa.simulate import simulate_set

    try:
        simulated = simulate_set(folder, size=size, duration_s=duration, seed=seed, sky=sky)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None
    for obs in simulated.obs_ids:
        typer.echo(f"{obs}  raw files {simulated.odf(obs)}")
    typer.echo(f"calibration files {simulated.ccf}\ntruth {folder / 'truth'}")


def _process(
    archive: Any, cores: int | None, unscheduled: bool, redo: str = "changed", executor: str | None = None
) -> None:
    from daxa.process.simple import full_process_xmm

    options: dict[str, Any] = {"process_unscheduled": unscheduled, "redo": redo, "executor": executor}
    if cores is not None:
        options["num_cores"] = cores
    full_process_xmm(archive, **options)


@app.command()
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
    _process(opened, cores, unscheduled, redo, executor)
    _finish(opened, as_json)


def _finish(archive: Any, as_json: bool) -> None:
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


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to work in.")] = Path("daxa_demo"),
    size: Annotated[str, typer.Option(help="demo (about a million raw events) or small.")] = "demo",
    cores: Cores = None,
    as_json: Json = False,
) -> None:
    """Simulate three observations, reduce them without SAS, and show what came out."""
    import io
    import time

    from daxa import config
    from daxa.archive import Archive
    from daxa.mission import XMMPointed
    from daxa.simulate import SimulatedSet, simulate_set
    from daxa.xmm.task import run_task

    raw = folder.resolve() / "simulated"
    started = time.perf_counter()
    marker = raw / f"complete_{size}"
    if marker.exists():
        observations = SimulatedSet(raw)
    else:
        typer.echo(f"simulating three observations in {raw} ...", err=True)
        observations = simulate_set(raw, size=size)
        marker.touch()
    simulated = time.perf_counter()
    os.environ["DAXA_OUTPUT"] = str(folder.resolve() / "daxa_output")
    os.environ["DAXA_BACKEND"] = "embedded"
    os.environ["DAXA_CCFPATH"] = str(observations.ccf)
    # Nothing else is expected to happen meanwhile: every core may help.
    archive = Archive("demo", None if exists("demo") else XMMPointed(local=raw / "odf"))
    _process(archive, cores or config.available_cores(), True)
    processed = time.perf_counter()

    from daxa.report import combined_images, pictures

    images, maps = combined_images(archive)
    if images:
        field = folder.resolve() / "field"
        arguments = {
            "imagesets": images,
            "exposuremaps": maps,
            "withexposure": True,
            "mosaicedset": f"{field}_counts.fits",
            "expmosaicset": f"{field}_exposure.fits",
            "ratemosaicset": f"{field}_rate.fits",
        }
        run_task("emosaic", arguments, out=io.StringIO())
        pictures.sky_image(
            f"{field}_rate.fits",
            f"{field}.png",
            "all cameras, all observations, 0.5-2 keV",
            unit="ct/s per pixel",
        )
    typer.echo(
        f"simulated in {simulated - started:.1f} s, processed in {processed - simulated:.1f} s", err=True
    )
    if images:
        typer.echo(f"picture {field}.png", err=True)
    _finish(archive, as_json)
    if as_json:
        return
    here = shlex.quote(str(archive.archive_path).rstrip("/"))
    program = shlex.quote(sys.argv[0] if Path(sys.argv[0]).name == "daxa" else "daxa")
    typer.echo(
        f"to go on with it:\n  export DAXA_CCFPATH={shlex.quote(str(observations.ccf))}\n"
        f"  {program} images {here} --bands 0.3-1,1-2,2-7\n  {program} sources {here}",
        err=True,
    )


def plain_warning(message: Warning | str, *where: Any, **line: Any) -> str:
    """A warning as one line for people, without the line of source that it came from.

    Parameters
    ----------
    message
        The warning.
    *where, **line
        Its class and place, which are not told.
    """
    return f"warning: {plain_text(str(message))}\n"


def main() -> None:
    """Run the command; a mistake of the user gives one line and exit status 1 or 2, a fault of DAXA 70."""
    from daxa.exceptions import DAXAError
    from daxa.xmm.errors import TaskError

    warnings.formatwarning = plain_warning
    try:
        app()
    except (DAXAError, TaskError, NotImplementedError, OSError, ValueError) as failure:
        if os.environ.get("DAXA_TRACEBACK"):
            raise
        typer.echo(plain_line(f"daxa: {type(failure).__name__}: {failure}"), err=True)
        sys.exit(1)
    except Exception:
        # Nobody's mistake but ours: whoever repairs it needs to know where it happened.
        traceback.print_exc()
        typer.echo(
            "daxa: this is a fault of DAXA, not yours; please report it with the lines above", err=True
        )
        sys.exit(os.EX_SOFTWARE if hasattr(os, "EX_SOFTWARE") else 70)


if __name__ == "__main__":
    main()
