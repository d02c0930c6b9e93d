"""Commands that make more of an archive: mosaic, sources, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daxa.cli.archive import ArchiveName, CalibrationFolder, Cores, open_archive, use_calibration
from daxa.cli.select import BANDS_HELP, parse_bands


def mosaic(
    archive: ArchiveName,
    bands: Annotated[str | None, typer.Option("--bands", help=BANDS_HELP)] = None,
    low: Annotated[
        list[float] | None, typer.Option("--low", help="Lower energy of a band [keV]; may be repeated.")
    ] = None,
    high: Annotated[
        list[float] | None, typer.Option("--high", help="Upper energy of a band [keV]; may be repeated.")
    ] = None,
    weighting: Annotated[
        str, typer.Option(help="area: rates as the pn would see them; time: mean rates of the cameras.")
    ] = "area",
    cores: Cores = None,
    ccf: CalibrationFolder = None,
) -> None:
    """Combine the images of cameras and of overlapping observations."""
    from astropy.units import Quantity

    from daxa.process.xmm.mosaics import WEIGHTINGS, generate_mosaics

    if weighting not in WEIGHTINGS:
        raise typer.BadParameter(f"--weighting: expected {' or '.join(WEIGHTINGS)}, got {weighting!r}")
    if len(low or []) != len(high or []):
        raise typer.BadParameter("--low and --high: give as many of one as of the other")
    if bands is not None and low:
        raise typer.BadParameter("--bands, --low and --high: give the one or the others")
    lows, highs = (Quantity(low, "keV"), Quantity(high, "keV")) if low and high else (None, None)
    if bands is not None:
        lows, highs = parse_bands(bands)
    opened = open_archive(archive)
    use_calibration(opened, ccf)
    mosaics = generate_mosaics(opened, lows, highs, weighting=weighting, num_cores=cores)
    for path in mosaics:
        typer.echo(str(path))
    if not mosaics:
        typer.echo(f"{archive}: no mosaic was made", err=True)
        raise typer.Exit(1)


def sources(
    archive: ArchiveName,
    bands: Annotated[
        str | None, typer.Option("--bands", help=f"{BANDS_HELP} By default those of the 4XMM catalogue.")
    ] = None,
    likelihood: Annotated[float, typer.Option(help="Least likelihood of a source, 1 to 50.")] = 10.0,
    cores: Cores = None,
    ccf: CalibrationFolder = None,
) -> None:
    """Find the sources in the images of each observation."""
    from daxa.process.xmm import find_sources

    lows, highs = (None, None) if bands is None else parse_bands(bands)
    opened = open_archive(archive)
    use_calibration(opened, ccf)
    find_sources(opened, lows, highs, likelihood=likelihood, num_cores=cores)
    found = opened.source_regions
    for mission, observations in found.items():
        for obs_id, regions in observations.items():
            typer.echo(f"{obs_id}: {len(regions)} sources, {opened.get_region_file_path(mission, obs_id)}")
    if not any(found.values()):
        typer.echo(f"{archive}: no source list was made", err=True)
        raise typer.Exit(1)


def report(
    archive: ArchiveName,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for it; by default report, in the archive.")
    ] = None,
) -> None:
    """Write the HTML report of an archive and print where it is."""
    from daxa.report import build_report

    typer.echo(str(build_report(open_archive(archive), output)))
