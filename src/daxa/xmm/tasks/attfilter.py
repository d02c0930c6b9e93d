"""The task attfilter: find the median pointing of an exposure and the times near it."""

from __future__ import annotations

import re

import numpy as np

from daxa.xmm.errors import TaskError, named
from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments.rgs.attfilter import filter_attitude
from daxa.xmm.instruments.rgs.options import Attfilter
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.select.goodtimes import gti_hdu, write_gti
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import exposure_span

_ANGLE = re.compile(r"([0-9.eE+-]+)\s*(?:\*\s*#(ARCMIN|ARCSEC|DEG|RAD))?")
_RADIANS = {"ARCMIN": np.deg2rad(1 / 60), "ARCSEC": np.deg2rad(1 / 3600), "DEG": np.deg2rad(1.0), "RAD": 1.0}


@task(
    "attfilter",
    "1.4",
    [
        Parameter("attset", "dataset", "atthk.dat", text="attitude file of atthkgen"),
        Parameter("timecol", "string", "TIME", text="its column of times"),
        Parameter("racol", "string", "AHFRA", text="its column of right ascensions"),
        Parameter("deccol", "string", "AHFDEC", text="its column of declinations"),
        Parameter("apacol", "string", "AHFPA", text="its column of position angles"),
        Parameter("instexpid", "string", required=True, text="exposure, such as R1S004"),
        Parameter("gtitable", "dataset", "attgti.ds:STDGTI", text="good times to write, as file:table"),
        *parameters_of(Attfilter),
    ],
)
def attfilter(ctx: TaskContext, p: Parameters) -> None:
    """Find the median pointing of an exposure and the times near it."""
    from daxa.xmm.fits.schema import column
    from daxa.xmm.instruments.rgs.files import read_set
    from daxa.xmm.odf.odf import Odf

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
