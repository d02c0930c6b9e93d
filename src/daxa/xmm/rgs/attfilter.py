"""The task attfilter: good times of the attitude, and the median pointing of an exposure.

Source: manual of attfilter; parameters from a real run's log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError, named
from daxa.xmm.event.gti import GTI
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.gtitasks import gti_hdu, intervals_of_rows, write_gti
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from daxa.xmm.odf.odf import Odf

_ANGLE = re.compile(r"([0-9.eE+-]+)\s*(?:\*\s*#(ARCMIN|ARCSEC|DEG|RAD))?")
_RADIANS = {"ARCMIN": np.deg2rad(1 / 60), "ARCSEC": np.deg2rad(1 / 3600), "DEG": np.deg2rad(1.0), "RAD": 1.0}
#: Points that ``onlylastatt`` takes.
_LAST = 100


@dataclass(frozen=True)
class FilteredAttitude:
    """Median pointing [deg] and the times near it."""

    ra_deg: float
    dec_deg: float
    pa_deg: float
    gti: GTI


def circular_median(angle_deg: npt.ArrayLike) -> float:
    """Median of angles that may lie on both sides of 0 [deg]."""
    values = np.asarray(angle_deg, float)
    middle = values[0]
    return float((middle + np.median((values - middle + 180.0) % 360.0 - 180.0)) % 360.0)


def filter_attitude(
    time_s: npt.ArrayLike,
    ra_deg: npt.ArrayLike,
    dec_deg: npt.ArrayLike,
    pa_deg: npt.ArrayLike,
    start_s: float,
    stop_s: float,
    tolerance_rad: float,
    *,
    only_last: bool = False,
) -> FilteredAttitude:
    """Median pointing of an exposure, and the times at which the pointing is near it.

    Parameters
    ----------
    time_s, ra_deg, dec_deg, pa_deg
        Attitude series; NaN where there is none.
    start_s, stop_s
        The exposure.
    tolerance_rad
        Largest angle from the median direction.
    only_last
        Take the median of the last 100 points.

    Raises
    ------
    TaskError
        ``noAttitude``: no attitude in the exposure.
    """
    from daxa.xmm.sky.attitude import separation_deg

    time, ra, dec, pa = (np.asarray(v, float) for v in (time_s, ra_deg, dec_deg, pa_deg))
    inside = (time >= start_s) & (time <= stop_s)
    known = inside & np.isfinite(ra) & np.isfinite(dec) & np.isfinite(pa)
    if not known.any():
        raise TaskError("noAttitude", f"no attitude between {start_s:.1f} and {stop_s:.1f} s")
    chosen = np.flatnonzero(known)[-_LAST:] if only_last else np.flatnonzero(known)
    median = circular_median(ra[chosen]), float(np.median(dec[chosen])), circular_median(pa[chosen])
    off = np.deg2rad(separation_deg(ra[inside], dec[inside], *median[:2]))
    near = np.nan_to_num(off, nan=np.inf) <= tolerance_rad
    return FilteredAttitude(*median, intervals_of_rows(time[inside], near))


def exposure_span(odf: Odf, instexpid: str, ctx: TaskContext) -> tuple[float, float]:
    """Start and end of an exposure, mission time."""
    from daxa.xmm.epic.keywords import exposure_summary
    from daxa.xmm.odf.times import utc_to_tt

    summary = exposure_summary(odf, instexpid[:2], instexpid[2:6], ctx.warn)
    return utc_to_tt(summary.start), utc_to_tt(summary.end)


@task(
    "attfilter",
    "1.4",
    [
        Parameter("attset", "dataset", "atthk.dat"),
        Parameter("timecol", "string", "TIME"),
        Parameter("racol", "string", "AHFRA"),
        Parameter("deccol", "string", "AHFDEC"),
        Parameter("apacol", "string", "AHFPA"),
        Parameter("instexpid", "string", required=True),
        Parameter("gtitable", "dataset", "attgti.ds:STDGTI"),
        Parameter("onlylastatt", "bool", False),
        Parameter("expression", "string", ""),
        Parameter("filtertype", "choice", "cone", ("cone", "pyramid", "user")),
        Parameter("tolangles", "list", ()),
        Parameter("mingtisize", "real", 10.0, minimum=0.0),
        Parameter("maxfracshort", "real", 0.1, minimum=0.0),
    ],
)
def attfilter(ctx: TaskContext, p: Parameters) -> None:
    """Find the median pointing of an exposure and the times near it."""
    from daxa.xmm.fits.schema import column
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.rgs.tables import read_set

    if p.filtertype != "cone":
        raise NotImplementedError(
            f"attfilter: filtertype={p.filtertype} is not supported by the embedded engine"
        )
    match = _ANGLE.fullmatch(p.tolangles[0]) if len(p.tolangles) == 1 else None
    if match is None:
        raise TaskError(
            "badParameter", f"attfilter: parameter tolangles: expected one angle, got {p.tolangles}"
        )
    tolerance = float(match[1]) * _RADIANS[match[2] or "RAD"]
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    start, stop = exposure_span(odf, p.instexpid, ctx)
    hdus = read_set(ctx, p.attset)
    if "ATTHK" not in hdus:
        raise TaskError("noAtthkgenFile", f"{p.attset}: no table ATTHK")
    names = p.timecol, p.racol, p.deccol, p.apacol
    time, ra, dec, pa = (column(hdus["ATTHK"], name, p.attset) for name in names)
    with named(f"{p.attset}[ATTHK]"):
        result = filter_attitude(time, ra, dec, pa, start, stop, tolerance, only_last=p.onlylastatt)
    ctx.info(
        f"Median spacecraft attitude in exposure window: "
        f"{result.ra_deg:.9f} {result.dec_deg:.9f} {result.pa_deg:.9f} deg"
    )
    length = result.gti.stop - result.gti.start
    short = length < p.mingtisize
    gti = GTI(result.gti.start[~short], result.gti.stop[~short])
    if length[short].sum() > p.maxfracshort * max(length.sum(), 1e-9):
        ctx.warn(
            "shortIntervals", f"{length[short].sum():.1f} s are in intervals shorter than {p.mingtisize:g} s"
        )
    extra = [
        ("MEDI_RA", result.ra_deg, "[deg] median right ascension"),
        ("MEDI_DEC", result.dec_deg, "[deg] median declination"),
        ("MEDI_APA", result.pa_deg, "[deg] median position angle"),
    ]
    name, _, extension = p.gtitable.partition(":")
    write_gti(ctx, name, [gti_hdu(gti, extension or "STDGTI", extra)])
