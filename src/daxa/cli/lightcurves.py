"""``daxa lightcurves``: corrected light curves of sources of an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli.archive import ArchiveName, CalibrationFolder, Cores, open_archive, use_calibration
from daxa.cli.output import plain_line
from daxa.cli.select import BANDS_HELP, parse_bands

#: Arguments of the step -> options of the command that give them.
_OPTIONS = {
    "lo_en, hi_en": "--bands",
    "positions": "--position",
    "positions, regions": "--position, --regions",
    "radius": "--radius",
    "regions": "--regions",
    "background": "--background",
    "time_bin": "--bin",
}


def _positions(given: list[str] | None) -> list[tuple[float, float]] | None:
    if not given:
        return None
    found = []
    for text in given:
        try:
            ra, dec = (float(part) for part in text.replace(",", " ").split())
        except ValueError:
            raise typer.BadParameter(f"--position: expected RA,Dec [deg], got {text!r}") from None
        found.append((ra, dec))
    return found


def lightcurves(
    archive: ArchiveName,
    position: Annotated[
        list[str] | None,
        typer.Option("--position", help="RA,Dec [deg] of a source; may be repeated. Else all known."),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option("--radius", help="Radius of the circles [arcsec]; else by the source's brightness."),
    ] = None,
    regions: Annotated[
        str | None, typer.Option("--regions", help="Region file of ds9, or its text: one source for each.")
    ] = None,
    background: Annotated[
        str,
        typer.Option("--background", help="annulus, ccd, auto: the better one; or a region of ds9."),
    ] = "auto",
    bands: Annotated[str, typer.Option("--bands", help=BANDS_HELP)] = "0.5-10",
    time_bin: Annotated[float, typer.Option("--bin", help="Length of the bins [s].")] = 100.0,
    as_seen: Annotated[
        bool, typer.Option("--as-seen", help="Rates as the region saw them, not as on the axis.")
    ] = False,
    barycentre: Annotated[
        bool, typer.Option("--barycentre", help="Times at the barycentre of the solar system.")
    ] = False,
    cores: Cores = None,
    ccf: CalibrationFolder = None,
) -> None:
    """Make light curves of sources, corrected and without background.

    A line is printed for each file.
    """
    from astropy.units import Quantity

    from daxa.process.xmm.lightcurves import LightcurveOptions, generate_lightcurves

    lows, highs = parse_bands(bands)
    given: dict[str, Any] = {
        "positions": _positions(position),
        "radius": None if radius is None else Quantity(radius, "arcsec"),
        "regions": regions,
        "background": background,
        "lo_en": lows,
        "hi_en": highs,
        "time_bin": Quantity(time_bin, "s"),
        "on_axis": not as_seen,
        "barycentre": barycentre,
    }
    try:
        options = LightcurveOptions(**given)
    except (OSError, TypeError, ValueError) as wrong:
        argument, colon, rest = str(wrong).partition(":")
        raise typer.BadParameter(f"{_OPTIONS.get(argument, argument)}{colon}{rest}") from None
    opened = open_archive(archive)
    use_calibration(opened, ccf)
    generate_lightcurves(opened, **given, num_cores=cores)
    made, failed = _outcome(opened, options)
    for path in made:
        typer.echo(str(path))
    for line in failed:
        typer.echo(plain_line(line), err=True)
    if failed or not made:
        if not made:
            typer.echo(f"{opened.archive_name}: no light curve was made", err=True)
        raise typer.Exit(1)


def _outcome(archive: Any, options: Any) -> tuple[list[Path], list[str]]:
    """Curves of the bands and bins asked for, and a line for each that has failed."""
    from daxa.archive.views import error_text

    made, failed = [], []
    endings = tuple(options.ending(band) for band in options.bands)
    names = None if options.places is None else {place.name for place in options.places}
    for run in archive.ledger.runs(process="generate_lightcurves", logs=False):
        if not run.ident.endswith(endings):
            continue
        if not run.ok:
            why = error_text(run.errors[0]) if run.errors else "see the log"
            failed.append(f"failed: {run.ident}: {why}")
        elif names is None or run.extra.get("source") in names:
            made.append(archive.obs_folder(run.mission, run.obs_id) / run.extra["lightcurve"]["path"])
    return made, failed
