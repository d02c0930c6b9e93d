"""``daxa images``: images of an archive in any band and size of pixels, and what comes with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from daxa.cli.archive import (
    ArchiveName,
    CalibrationFolder,
    Cores,
    failures_told_later,
    open_archive,
    use_calibration,
)
from daxa.cli.output import plain_line
from daxa.cli.select import BANDS_HELP, parse_bands

#: Arguments of the step -> options of the command that give them.
_OPTIONS = {
    "lo_en, hi_en": "--bands",
    "pixel_size": "--pixel-size",
    "smooth": "--smooth",
    "regions": "--regions",
}


def _smoothing(given: list[str] | None) -> list[Any] | None:
    from astropy.units import Quantity

    if not given:
        return None
    found: list[Any] = []
    for text in given:
        try:
            found.append(text if text == "adaptive" else Quantity(float(text), "arcsec"))
        except ValueError:
            raise typer.BadParameter(
                f"--smooth: expected adaptive, or the sigma of a Gaussian [arcsec], got {text!r}"
            ) from None
    return found


def images(
    archive: ArchiveName,
    bands: Annotated[str, typer.Option("--bands", help=BANDS_HELP)] = "0.5-2,2-10",
    pixel_size: Annotated[
        float | None,
        typer.Option("--pixel-size", help="Size of the pixels [arcsec], a multiple of 0.05; else 4.35."),
    ] = None,
    unvignetted: Annotated[
        bool, typer.Option("--unvignetted", help="Also exposure maps without vignetting.")
    ] = False,
    masks: Annotated[
        bool,
        typer.Option("--masks", help="Also masks of the field, and without sources that are known."),
    ] = False,
    subtract_oot: Annotated[
        bool, typer.Option("--subtract-oot", help="Also images of the pn without events out of time.")
    ] = False,
    smooth: Annotated[
        list[str] | None,
        typer.Option(
            "--smooth",
            help="Also smoothed rates: sigma of a Gaussian [arcsec], or adaptive; may be repeated.",
        ),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Also background maps without sources.")
    ] = False,
    regions: Annotated[
        str | None,
        typer.Option(
            "--regions",
            help="Region file of ds9, or its text: what masks and background maps leave out, in place of the "
            "sources of each observation.",
        ),
    ] = None,
    cores: Cores = None,
    ccf: CalibrationFolder = None,
) -> None:
    """Make images and exposure maps of each camera in bands and pixels of your choice.

    What was made earlier with other settings stays. A line is printed for each file.
    """
    from astropy.units import Quantity

    from daxa.process.xmm.generate import ImageSetOptions, generate_images_expmaps

    lows, highs = parse_bands(bands)
    given = {
        "lo_en": lows,
        "hi_en": highs,
        "pixel_size": None if pixel_size is None else Quantity(pixel_size, "arcsec"),
        "unvignetted": unvignetted,
        "masks": masks,
        "subtract_oot": subtract_oot,
        "smooth": _smoothing(smooth),
        "background": background,
        "regions": regions,
    }
    try:
        options = ImageSetOptions(**given)
    except (OSError, ValueError) as wrong:
        argument, colon, rest = str(wrong).partition(":")
        raise typer.BadParameter(f"{_OPTIONS.get(argument, argument)}{colon}{rest}") from None
    opened = open_archive(archive)
    use_calibration(opened, ccf)
    with failures_told_later():
        generate_images_expmaps(opened, **given, num_cores=cores)
    made, failed = _outcome(opened, options)
    for path in made:
        typer.echo(str(path))
    for line in failed:
        typer.echo(plain_line(line), err=True)
    if failed or not made:
        if not made:
            typer.echo(f"{opened.archive_name}: no image was made", err=True)
        raise typer.Exit(1)


def _outcome(archive: Any, options: Any) -> tuple[list[Path], list[str]]:
    """Products of the bands and pixels asked for, and a line for each camera that has failed."""
    from daxa.archive.views import error_text

    made, failed = [], []
    endings = tuple(one.key("") for one in options.sets)
    for run in archive.ledger.runs(process="generate_images_expmaps", logs=False):
        if not run.ok:
            why = error_text(run.errors[0]) if run.errors else "see the log"
            failed.append(f"failed: {run.ident}: {why}")
            continue
        folder = archive.obs_folder(run.mission, run.obs_id)
        for key, value in run.extra.items():
            if isinstance(value, dict) and key.endswith(endings) and value["path"] in run.outputs:
                made.append(folder / value["path"])
    return made, failed
