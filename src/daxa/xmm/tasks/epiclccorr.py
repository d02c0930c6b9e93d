"""The task epiclccorr: correct a light curve for what the camera has lost, and take its background away."""

from __future__ import annotations

import tempfile
from pathlib import Path

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import block_bytes, primary_header
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_curves import Extraction, write_curve
from daxa.xmm.tasks.support_spectra import SOURCE_PLACE
from daxa.xmm.timing.curves import Background, Curve, corrected_columns

_NO_MAP = "the region is cut into squares of half an arcsecond"


@task(
    "epiclccorr",
    "1.23",
    [
        Parameter("srctslist", "dataset", required=True, text="light curve of the source, of evselect"),
        Parameter("eventlist", "dataset", required=True, text="event list that it was made of"),
        Parameter("outset", "dataset", "corrected.ds", text="corrected curve, to write"),
        Parameter("withbkgset", "bool", False, text="take the background away; yes when bkgtslist is named"),
        Parameter("bkgtslist", "dataset", "", text="light curve of the background, with the same bins"),
        Parameter("applyabsolutecorrections", "bool", False, text="give rates as on the optical axis"),
        Parameter("allcamera", "bool", False, text="the whole camera is the region"),
        *SOURCE_PLACE,
        Parameter("detxbins", "int", 5, text="columns of a map", without_effect=_NO_MAP),
        Parameter("detybins", "int", 5, text="rows of a map", without_effect=_NO_MAP),
        Parameter("withdetbins", "bool", False, text="whether these count", without_effect=_NO_MAP),
    ],
)
def epiclccorr(ctx: TaskContext, p: Parameters) -> None:
    """Correct a light curve for what the camera has lost of it, and take its background away.

    Always for times that are not good, dead time and lost frames of each CCD; with
    ``applyabsolutecorrections=yes`` also for vignetting, gaps, bad pixels and light outside the region.
    """
    source = Curve.read(ctx.path(p.srctslist))
    with_background = p.withbkgset or ("bkgtslist" in p.given and "withbkgset" not in p.given)
    if with_background and not p.bkgtslist:
        raise TaskError("badParameter", "epiclccorr: withbkgset=yes needs bkgtslist")
    beside = Curve.read(ctx.path(p.bkgtslist)) if with_background else None
    if beside is not None:
        source.must_match(beside)
    if p.allcamera and p.applyabsolutecorrections:
        raise TaskError(
            "badParameter", "epiclccorr: applyabsolutecorrections=yes is for a source, not for allcamera=yes"
        )
    with tempfile.TemporaryDirectory() as name:
        mine = Extraction(ctx, p, source, Path(name) / "source")
        counts, live = mine.counts(), mine.live_share(even=p.allcamera)
        background, spectrum = None, mine.spectrum
        if beside is not None:
            other = Extraction(ctx, p, beside, Path(name) / "background")
            scale = _scale(ctx, mine, other)
            background = Background(other.counts(), beside.error, other.live_share(even=True), scale)
            ctx.info(f"area of the source's region over that of the background's: {scale:.6g}")
        factor = 1.0
        if p.applyabsolutecorrections:
            if beside is not None and background is not None:
                spectrum = other.taken_from(spectrum, scale)
            factor = mine.factor(spectrum)
            ctx.info(f"Weighted Mean {factor:.9g}")
    columns = corrected_columns(counts, source.error, source.width_s, live, background, factor)
    primary = primary_header()
    ctx.provenance(primary)
    blocks = write_curve(source, beside, columns, absolute=p.applyabsolutecorrections, primary=primary)
    with ctx.output(p.outset) as temporary:
        temporary.write_bytes(b"".join([block_bytes(primary), *blocks]))


def _scale(ctx: TaskContext, source: Extraction, background: Extraction) -> float:
    """Area of the source's region over that of the background's."""
    if not background.area > 0:
        raise TaskError(
            "noArea", f"{background.curve.path}: no part of the background's region is seen by the camera"
        )
    if not source.area > 0:
        ctx.warn("noArea", f"{source.curve.path}: no part of the region is seen by the camera")
    return source.area / background.area
