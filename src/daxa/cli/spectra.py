"""``daxa spectra``: spectra of sources of an archive, with backgrounds and responses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli.archive import ArchiveName, CalibrationFolder, Cores, open_archive, use_calibration
from daxa.cli.output import plain_line

#: Arguments of the step -> options of the command that give them.
_OPTIONS = {
    "positions": "--position",
    "regions": "--regions",
    "positions, regions": "--position, --regions",
    "radius": "--radius",
    "background": "--background",
    "lo_en": "--band",
    "lo_en, hi_en": "--band",
    "hi_en": "--band",
    "patterns": "--patterns",
    "min_counts": "--min-counts",
    "oversample": "--oversample",
}


def _positions(given: list[str] | None) -> list[tuple[float, float]] | None:
    """Positions as the shell gives them: RA,DEC in degrees, or as astropy reads them."""
    from astropy.coordinates import SkyCoord

    found = []
    for text in given or []:
        ra, comma, dec = text.partition(",")
        try:
            if comma:
                found.append((float(ra), float(dec)))
            else:
                place = SkyCoord(text, unit=("hourangle", "deg"))
                found.append((float(place.ra.deg), float(place.dec.deg)))
        except ValueError:
            raise typer.BadParameter(
                f"--position: expected RA,DEC in degrees, or e.g. '09 58 05.7 -11 09 20', got {text!r}"
            ) from None
    return found or None


def _radius(text: str | None) -> Any:
    """A radius in arcsec, a share of the light with a per cent sign, or ``background``."""
    from astropy.units import Quantity

    if text is None or text == "background":
        return text
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else Quantity(float(text), "arcsec")
    except ValueError:
        raise typer.BadParameter(
            f"--radius: expected arcsec, a share of the light as 80%, or background, got {text!r}"
        ) from None


def _limits(name: str, text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    low, dash, high = text.partition("-")
    try:
        return (float(low), float(high)) if dash else (0.0, float(low))
    except ValueError:
        raise typer.BadParameter(f"{name}: expected LOW-HIGH, got {text!r}") from None


def spectra(
    archive: ArchiveName,
    position: Annotated[
        list[str] | None,
        typer.Option("--position", help="Position of a source: RA,DEC [deg]; may be repeated."),
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option("--regions", help="Region file of ds9, or its text: each region is a source."),
    ] = None,
    sources: Annotated[
        bool, typer.Option("--sources", help="Every source that was set or found (daxa sources).")
    ] = False,
    radius: Annotated[
        str | None,
        typer.Option(
            "--radius", help="Radius [arcsec], a share of the light as 80%, or background (the default)."
        ),
    ] = None,
    background: Annotated[
        str, typer.Option("--background", help="auto, annulus, ccd, or a region of ds9 for all sources.")
    ] = "auto",
    extended: Annotated[
        bool | None,
        typer.Option("--extended/--point", help="Whether the sources are not points; else as found."),
    ] = None,
    band: Annotated[
        str | None, typer.Option("--band", help="Limits of the good channels, as 0.5-7 [keV].")
    ] = None,
    patterns: Annotated[
        str | None, typer.Option("--patterns", help="Patterns, as 0-4; else 0-4 of pn, 0-12 of MOS.")
    ] = None,
    min_counts: Annotated[float, typer.Option("--min-counts", help="Least counts of a group; 0: none.")] = 20,
    oversample: Annotated[
        float,
        typer.Option("--oversample", help="No group is narrower than the resolution over this; 0: none."),
    ] = 3,
    cores: Cores = None,
    ccf: CalibrationFolder = None,
) -> None:
    """Make spectra of sources with each camera, with background, area and matrix.

    A line is printed for each spectrum.
    """
    from astropy.units import Quantity

    from daxa.process.xmm.spectra import SpectrumOptions, generate_spectra

    if (position is not None) + (regions is not None) + sources != 1:
        raise typer.BadParameter("give one of --position, --regions and --sources")
    limits, chosen = _limits("--band", band), _limits("--patterns", patterns)
    given: dict[str, Any] = {
        "positions": _positions(position),
        "regions": regions,
        "radius": _radius(radius),
        "background": background,
        "extended": extended,
        "lo_en": None if limits is None else Quantity(limits[0], "keV"),
        "hi_en": None if limits is None else Quantity(limits[1], "keV"),
        "patterns": None if chosen is None else (int(chosen[0]), int(chosen[1])),
        "min_counts": min_counts or None,
        "oversample": oversample or None,
    }
    try:
        options = SpectrumOptions(**given)
    except (OSError, TypeError, ValueError) as wrong:
        argument, colon, rest = str(wrong).partition(":")
        raise typer.BadParameter(f"{_OPTIONS.get(argument, argument)}{colon}{rest}") from None
    opened = open_archive(archive)
    use_calibration(opened, ccf)
    generate_spectra(opened, **given, num_cores=cores)
    made, failed = _outcome(opened, options)
    for path in made:
        typer.echo(str(path))
    for line in failed:
        typer.echo(plain_line(line), err=True)
    if not made:
        typer.echo(f"{opened.archive_name}: no spectrum was made", err=True)
        raise typer.Exit(1)
    if any(not line.startswith("not seen") for line in failed):
        raise typer.Exit(1)


def _outcome(archive: Any, options: Any) -> tuple[list[Path], list[str]]:
    """Spectra of the sources asked for, and a line for each that has failed."""
    from daxa.archive.views import error_text

    names = None if options.places is None else {place.name for place in options.places}
    made, failed = [], []
    for run in archive.ledger.runs(process="generate_spectra", logs=False):
        if names is not None and run.ident.partition("-")[2] not in names:
            continue
        if run.ok:
            made.append(archive.obs_folder(run.mission, run.obs_id) / run.extra["spectrum"]["path"])
        elif run.errors and run.errors[0]["name"] == "notSeen":
            failed.append(f"not seen: {run.ident}")
        else:
            failed.append(
                f"failed: {run.ident}: {error_text(run.errors[0]) if run.errors else 'see the log'}"
            )
    return sorted(made), failed
