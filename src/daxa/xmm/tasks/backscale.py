"""The task backscale: write the area of a spectrum's region into its BACKSCAL."""

from __future__ import annotations

from daxa.xmm.fits.file import set_keywords
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.spectra.region import Observed, cells_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_spectra import STEP, geometry_of, good_pixels, read_observed

_ONE_WAY = "the area of a region needs no map"


@task(
    "backscale",
    "1.4",
    [
        Parameter("spectrumset", "dataset", "spectrum.ds", text="spectrum, changed in place"),
        Parameter("badpixlocation", "dataset", "notSpecified", text="event list with the bad pixels"),
        Parameter("withbadpixcorr", "bool", True, text="leave out gaps, bad pixels and what no CCD sees"),
        Parameter("ignoreoutoffov", "bool", True, text="leave out what lies outside the field of view"),
        Parameter(
            "useodfatt",
            "bool",
            False,
            text="attitude of the ODF",
            only="the mean pointing of the header is used",
        ),
        Parameter("withbadpixres", "bool", False, text="whether badpixelresolution counts"),
        Parameter(
            "badpixelresolution", "real", 2.0, minimum=0.01, text="side of the squares counted", unit="arcsec"
        ),
        Parameter("detmaptype", "string", "flat", text="kind of a map", without_effect=_ONE_WAY),
        Parameter("detmaparray", "string", "", text="map", without_effect=_ONE_WAY),
    ],
)
def backscale(ctx: TaskContext, p: Parameters) -> None:
    """Write the area of a spectrum's region into its BACKSCAL, in units of (0.05 arcsec)^2.

    A spectrum without counts has the area 0.
    """
    path, observed = read_observed(ctx, p.spectrumset)
    step = p.badpixelresolution / 0.05 if p.withbadpixres or "badpixelresolution" in p.given else STEP
    area = _region_area(ctx, p, observed, step)
    set_keywords(path, "SPECTRUM", {"BACKSCAL": (round(area), "[(0.05 arcsec)^2] area of the region")})
    ctx.info(f"{p.spectrumset}: BACKSCAL {round(area)}")


def _region_area(ctx: TaskContext, p: Parameters, observed: Observed, step: float) -> float:
    """Area of a region [(0.05 arcsec)^2]."""
    geometry = geometry_of(ctx, observed)
    good = good_pixels(ctx, p.badpixlocation, observed, geometry) if p.withbadpixcorr else None
    cells = cells_of(observed, geometry, good, step=step, outside_too=not p.ignoreoutoffov)
    if not p.withbadpixcorr:
        return cells.whole_area
    if not cells.area > 0:
        ctx.warn("noArea", f"{observed.path}: no part of the region is seen by a CCD that was selected")
    return cells.area
