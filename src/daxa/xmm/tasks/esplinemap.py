"""The task esplinemap: make a background map of an image, with the sources cut out."""

from __future__ import annotations

import numpy as np

from daxa.xmm.detect.background import (
    model_background,
    smooth_background,
    spline_background,
    without_sources,
)
from daxa.xmm.detect.field import BandImage, BoolArray, FloatArray
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import image_bytes
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_detect import open_images, read_image, read_list, share_of_readout

_IMAGE_ONLY = "its image is wanted: ootimageset"
#: Least radius of what is cut out [arcsec].
_LEAST_RADIUS = 10.0


@task(
    "esplinemap",
    "5.4",
    [
        Parameter("boxlistset", "dataset", "eboxlist.fits", text="list of sources of eboxdetect"),
        Parameter("imageset", "dataset", "image.fits", text="image of counts"),
        Parameter("bkgimageset", "dataset", "bkgimage.fits", text="background map, to write"),
        Parameter(
            "fitmethod",
            "choice",
            "spline",
            ("spline", "model", "smooth"),
            text="a surface of splines; smoothing; or a vignetted and a flat component (model)",
        ),
        Parameter("withexpimage", "bool", True, text="use the exposure map"),
        Parameter("expimageset", "dataset", "expimage.fits", text="exposure map"),
        Parameter("withexpimage2", "bool", True, text="model: use a second exposure map"),
        Parameter("expimageset2", "dataset", "expimage2.fits", text="model: exposure map without vignetting"),
        Parameter("withootset", "bool", False, text="add what comes during the read-out of the pn"),
        Parameter("ooteventset", "string", "", text="list of events out of time", without_effect=_IMAGE_ONLY),
        Parameter("ootimageset", "dataset", "", text="image of that list (not a parameter of SAS)"),
        Parameter("withdetmask", "bool", True, text="use the mask"),
        Parameter("detmaskset", "dataset", "detmask.fits", text="mask of emask"),
        Parameter(
            "scut",
            "real",
            0.01,
            text="sources are cut out where they are brighter",
            unit="count/arcsec**2",
            minimum=0.0,
            maximum=10.0,
        ),
        Parameter("idband", "int", 1, text="band of the image in the list of sources", minimum=0, maximum=9),
        Parameter(
            "mlmin",
            "real",
            1.0,
            text="least likelihood in this band of sources that are cut out",
            minimum=0.0,
        ),
        Parameter(
            "nsplinenodes", "int", 16, text="cells along each side of the image", minimum=5, maximum=40
        ),
        Parameter(
            "excesssigma",
            "real",
            4.0,
            text="cells so many standard deviations too bright are left out",
            minimum=1.0,
        ),
        Parameter("nfitrun", "int", 3, text="fits at most", minimum=1, maximum=10),
        Parameter(
            "snrmin",
            "real",
            30.0,
            text="smooth: counts over their error that are averaged",
            minimum=1.0,
            maximum=1000.0,
        ),
        Parameter("smoothsigma", "real", 6.0, text="smooth: least width", unit="pixel", minimum=0.5),
    ],
)
def esplinemap(ctx: TaskContext, p: Parameters) -> None:
    """Make a background map of an image, with the sources cut out."""
    single = Parameters(
        {
            "imagesets": [p.imageset],
            "withexpimage": p.withexpimage,
            "expimagesets": [p.expimageset],
            "withdetmask": p.withdetmask,
            "detmasksets": [p.detmaskset],
            "pimin": None,
            "pimax": None,
            "ecf": [0.0],
        },
        frozenset(),
    )
    opened = open_images(ctx, single, with_background=False)
    image = opened.field.images[0]
    sources = read_list(ctx, p.boxlistset, "ID_INST", "ID_BAND", "LIKE", "SCTS", "X_IMA", "Y_IMA", "BOX_SIZE")
    good = _outside_sources(ctx, p, image, sources, opened.field.pixel_arcsec)
    try:
        background, chi2, freedom = _background(ctx, p, image, good, _streaks(ctx, p, image))
    except ValueError as error:
        raise TaskError("noBackground", f"{ctx.path(p.imageset)}: {error}") from None
    if p.fitmethod == "spline" and not freedom:
        ctx.warn("fewCells", f"{p.imageset}: too few cells or counts for a surface; the rate is constant")
    header = opened.header.copy(strip=True)
    if p.fitmethod != "smooth":
        header["CHISQR"] = (chi2, "of the last fit")
        header["NDOF"] = (freedom, "cells less parameters")
    ctx.provenance(header)
    with ctx.output(p.bkgimageset) as temporary:
        temporary.write_bytes(image_bytes(background.astype(np.float32), header.cards))
    ctx.info(
        f"{p.bkgimageset}: {background[image.good].sum():.0f} counts of {image.counts[image.good].sum():.0f}"
    )


def _streaks(ctx: TaskContext, p: Parameters, image: BandImage) -> FloatArray:
    """Counts expected of events that come during the read-out of the pn."""
    if not p.withootset:
        return np.zeros(image.counts.shape)
    if not p.ootimageset:
        raise TaskError(
            "badParameter", "esplinemap: withootset=yes needs ootimageset, the image of that list"
        )
    out_of_time, header = read_image(ctx, p.ootimageset)
    if image.instrument != "EPN":
        raise TaskError("WrongInst", f"{ctx.path(p.imageset)}: only the pn has events out of time")
    if out_of_time.shape != image.counts.shape:
        raise TaskError("badImage", f"{ctx.path(p.ootimageset)}: not of the grid of {p.imageset}")
    return share_of_readout(ctx, header) * np.nan_to_num(out_of_time)


def _background(
    ctx: TaskContext, p: Parameters, image: BandImage, good: BoolArray, streaks: FloatArray
) -> tuple[FloatArray, float, int]:
    """The map, and chi2 and degrees of freedom of a surface."""
    if p.fitmethod == "model":
        if not p.withexpimage2:
            raise TaskError("badParameter", "esplinemap: fitmethod=model needs expimageset2")
        plain, _ = read_image(ctx, p.expimageset2)
        if plain.shape != image.counts.shape:
            raise TaskError("badImage", f"{ctx.path(p.expimageset2)}: not of the grid of {p.imageset}")
        background, rates, chi2, freedom = model_background(
            image.counts,
            image.exposure,
            np.nan_to_num(plain),
            good,
            known=streaks,
            nodes=p.nsplinenodes,
            excess_sigma=p.excesssigma,
            runs=p.nfitrun,
        )
        ctx.info(f"{rates[0]:.3g} (vignetted) and {rates[1]:.3g} counts per second and pixel")
        return background, chi2, freedom
    if p.fitmethod == "smooth":
        smooth = smooth_background(
            image.counts - streaks, image.exposure, good, least_sigma=p.smoothsigma, snr=p.snrmin
        )
        return smooth + streaks, 0.0, 0
    surface, chi2, freedom = spline_background(
        image.counts - streaks,
        image.exposure,
        good,
        nodes=p.nsplinenodes,
        excess_sigma=p.excesssigma,
        runs=p.nfitrun,
    )
    return surface + streaks, chi2, freedom


def _outside_sources(
    ctx: TaskContext, p: Parameters, image: BandImage, sources: dict, pixel_arcsec: float
) -> BoolArray:
    """Good pixels that no source outshines."""
    from daxa.xmm.formats.sources import CAMERA_NUMBERS

    here = (sources["ID_INST"] == CAMERA_NUMBERS[image.instrument]) & (sources["ID_BAND"] == p.idband)
    here &= (sources["LIKE"] >= p.mlmin) & (sources["SCTS"] > 0)
    x, y, counts, sides = (sources[n][here] for n in ("X_IMA", "Y_IMA", "SCTS", "BOX_SIZE"))
    radii = []
    for cx, cy, number, side in zip(x - 1, y - 1, counts, sides, strict=True):
        distance = np.arange(_LEAST_RADIUS, 300.0, 1.0)
        too_bright = number * image.king(cx, cy).brightness(distance**2) > p.scut
        # What was found in a larger box is larger than a point.
        radius = max(_LEAST_RADIUS + too_bright.sum(), 0.5 * side * pixel_arcsec if side > 5 else 0.0)
        radii.append(radius / pixel_arcsec)
    ctx.info(f"{len(radii)} sources are cut out")
    return without_sources(image.good, x - 1, y - 1, radii)
