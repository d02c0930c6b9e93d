"""Images, exposure maps and mosaics of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daxa.backend.contract import Task
from daxa.exceptions import NoDependencyProcessError
from daxa.process.arguments import check_bands, check_bool, check_timeout
from daxa.process.runner import run_steps
from daxa.process.step import EPIC, Options, Piece, Recipe, Step, layout
from daxa.process.xmm.setup import ALLOWED

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.archive import Archive

#: Sky grid of all images: 512 x 512 pixels of 87 units of 0.05 arcsec.
GRID = {
    "xcolumn": "X",
    "ycolumn": "Y",
    "ximagebinsize": 87,
    "yimagebinsize": 87,
    "squarepixels": True,
    "ximagesize": 512,
    "yimagesize": 512,
    "imagebinning": "binSize",
    "ximagemin": 3649,
    "ximagemax": 48106,
    "withxranges": True,
    "yimagemin": 3649,
    "yimagemax": 48106,
    "withyranges": True,
}


def _images(piece: Piece, options: Options) -> Recipe:
    inst = str(piece.inst)
    events = piece.made("merge_subexposures", "final")
    attitude = piece.folder / layout.attitude(piece.obs_id)
    tasks, outputs, files = [], {}, {}
    bands = options["_bands"]
    for number, (lo, hi) in enumerate(bands):
        image = f"image{number}.fits"
        tasks.append(
            Task(
                "evselect",
                table=f"{events}:EVENTS",
                imageset=image,
                **GRID,
                expression=f"(PI in [{round(lo * 1000)}:{round(hi * 1000)}])",
            )
        )
        band = layout.energy_text(lo, hi)
        outputs[image] = files[f"image_{band}"] = layout.image(piece.obs_id, inst, lo, hi)
        expmap = f"expmap{number}.fits"
        outputs[expmap] = files[f"expmap_{band}"] = layout.exposure_map(piece.obs_id, inst, lo, hi)
    tasks.append(
        Task(
            "eexpmap",
            eventset=str(events),
            imageset="image0.fits",
            attitudeset=str(attitude),
            expimageset=[f"expmap{n}.fits" for n in range(len(bands))],
            withdetcoords=False,
            withvignetting=True,
            pimin=[round(lo * 1000) for lo, _ in bands],
            pimax=[round(hi * 1000) for _, hi in bands],
        )
    )
    return Recipe(tasks, outputs, env=piece.environment(), files=files)


GENERATE_IMAGES_EXPMAPS = Step(
    "generate_images_expmaps",
    "Generating images and exposure maps",
    "instrument",
    _images,
    instruments=EPIC,
    needs=lambda inst, options: ("merge_subexposures",),
)


def image_options(lo_en: Quantity | None = None, hi_en: Quantity | None = None) -> Options:
    """Checked options of `generate_images_expmaps`."""
    from astropy.units import Quantity

    lo = Quantity([0.5, 2.0], "keV") if lo_en is None else lo_en
    hi = Quantity([2.0, 10.0], "keV") if hi_en is None else hi_en
    return {"lo_en": lo, "hi_en": hi, "_bands": check_bands(lo, hi)}


def generate_images_expmaps(
    obs_archive: Archive,
    lo_en: Quantity | None = None,
    hi_en: Quantity | None = None,
    num_cores: int | None = None,
    disable_progress: bool = False,
    timeout: Quantity | None = None,
) -> None:
    """Make images and vignetted exposure maps of each camera. Needs `merge_subexposures`.

    Pictures of them are drawn by `daxa.report.build_report`.

    Parameters
    ----------
    obs_archive : Archive
        Archive with XMM-Newton observations.
    lo_en, hi_en : Quantity
        Lower and upper energies of the bands; 0.5-2.0 keV and 2.0-10.0 keV by default.
    num_cores : int, optional
        Jobs at once; 90 % of the cores by default.
    disable_progress : bool
        No progress bar.
    timeout : Quantity, optional
        Time limit of each job.
    """
    run_steps(
        obs_archive,
        [(GENERATE_IMAGES_EXPMAPS, image_options(lo_en, hi_en))],
        ALLOWED,
        num_cores=num_cores,
        disable_progress=disable_progress,
        timeout=timeout,
    )


#: Products of a mosaic: name -> the task's parameter.
MOSAIC_KINDS = {"image": "mosaicedset", "expmap": "expmosaicset", "rate": "ratemosaicset"}
WEIGHTINGS = ("area", "time")


def _mosaic_task(images: list[Path], maps: list[Path], weighting: str, stem: str) -> Task:
    return Task(
        "emosaic",
        imagesets=[str(p) for p in images],
        exposuremaps=[str(p) for p in maps],
        withexposure=True,
        weighting=weighting,
        **{parameter: f"{stem}_{kind}.fits" for kind, parameter in MOSAIC_KINDS.items()},
    )


def _camera_images(piece: Piece, band: str) -> tuple[list[Path], list[Path]]:
    """Images and exposure maps of an observation's cameras."""
    images, maps = [], []
    for inst in EPIC:
        ident = f"{piece.obs_id}{inst}"
        image = piece.made_if_any("generate_images_expmaps", f"image_{band}", ident=ident)
        if image is not None:
            images.append(image)
            maps.append(piece.made("generate_images_expmaps", f"expmap_{band}", ident=ident))
    return images, maps


def _mosaics(piece: Piece, options: Options) -> Recipe:
    tasks, outputs, files = [], {}, {}
    for number, (lo, hi) in enumerate(options["_bands"]):
        band = layout.energy_text(lo, hi)
        images, maps = _camera_images(piece, band)
        if not images:
            raise NoDependencyProcessError(
                f"{piece.ident}: no images of {band}; generate_images_expmaps must make that band first"
            )
        tasks.append(_mosaic_task(images, maps, options["weighting"], f"band{number}"))
        for kind, name in (
            ("image", layout.image(piece.obs_id, layout.ALL, lo, hi)),
            ("expmap", layout.exposure_map(piece.obs_id, layout.ALL, lo, hi)),
            ("rate", layout.rate_map(piece.obs_id, layout.ALL, lo, hi)),
        ):
            outputs[f"band{number}_{kind}.fits"] = files[f"{kind}_{band}"] = name
    return Recipe(tasks, outputs, env=piece.environment(summary=False), files=files)


GENERATE_MOSAICS = Step(
    "generate_mosaics",
    "Combining the images of cameras",
    "observation",
    _mosaics,
    needs=lambda inst, options: ("generate_images_expmaps",),
    # SAS's emosaic gives neither exposure nor rate.
    backend="embedded",
)


def mosaic_options(
    lo_en: Quantity | None = None, hi_en: Quantity | None = None, weighting: str = "area"
) -> Options:
    """Checked options of `generate_mosaics`."""
    if weighting not in WEIGHTINGS:
        raise ValueError(f"weighting: expected {' or '.join(WEIGHTINGS)}, got {weighting!r}")
    return {**image_options(lo_en, hi_en), "weighting": weighting}


def generate_mosaics(
    obs_archive: Archive,
    lo_en: Quantity | None = None,
    hi_en: Quantity | None = None,
    weighting: str = "area",
    whole_archive: bool = True,
    num_cores: int | None = None,
    disable_progress: bool = False,
    timeout: Quantity | None = None,
) -> list[Path]:
    """Combine the images of an observation's cameras, and those of overlapping observations.

    Needs `generate_images_expmaps` in the same bands. Counts are added. Cameras see the same source at
    different rates: what the sum of exposures, and with it the rate, means is the choice of ``weighting``.

    Parameters
    ----------
    obs_archive : Archive
        Archive with XMM-Newton observations.
    lo_en, hi_en : Quantity
        Lower and upper energies of the bands; 0.5-2.0 keV and 2.0-10.0 keV by default.
    weighting : str
        ``area``: the exposure of each camera is multiplied by its effective area (telescope, filter,
        detector; on axis, averaged over a power law of photon index 1.7) in units of that of the pn, or of
        the first camera where there is no pn. The rate is what the pn would see at its optical axis,
        whichever cameras contribute, so that it has no steps at chip gaps; this holds for sources of about
        that spectrum, not for particles and noise. ``time``: exposures are added as they are, and the rate
        is the mean of the cameras'.
    whole_archive : bool
        Combine observations too: those whose centres are less than half a degree from another's make one
        field, in the archive's folder ``mosaics``.
    num_cores : int, optional
        Jobs at once; 90 % of the cores by default.
    disable_progress : bool
        No progress bar.
    timeout : Quantity, optional
        Time limit of each job.

    Returns
    -------
    paths
        The mosaics of fields; empty without ``whole_archive``.
    """
    check_bool("whole_archive", whole_archive)
    options = mosaic_options(lo_en, hi_en, weighting)
    run_steps(
        obs_archive,
        [(GENERATE_MOSAICS, options)],
        ALLOWED,
        num_cores=num_cores,
        disable_progress=disable_progress,
        timeout=timeout,
    )
    if not whole_archive:
        return []
    from daxa.process.xmm.fields import field_mosaics

    with obs_archive.processing():
        return field_mosaics(obs_archive, options["_bands"], weighting, check_timeout(timeout))
