"""Commands on simulated observations: simulate, demo."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from daxa.cli.archive import Cores, exists
from daxa.cli.output import Json
from daxa.cli.process import finish, run_reduction


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
    run_reduction(archive, cores or config.available_cores(), True)
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
    finish(archive, as_json)
    if as_json:
        return
    here = shlex.quote(str(archive.archive_path).rstrip("/"))
    program = shlex.quote(sys.argv[0] if Path(sys.argv[0]).name == "daxa" else "daxa")
    typer.echo(
        f"to go on with it:\n  export DAXA_CCFPATH={shlex.quote(str(observations.ccf))}\n"
        f"  {program} images {here} --bands 0.3-1,1-2,2-7\n  {program} sources {here}",
        err=True,
    )
