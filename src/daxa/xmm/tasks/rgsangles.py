"""The task rgsangles: correct the dispersion angles of an event list for the drift of the pointing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.schema import Column
from daxa.xmm.formats.rgs import EVENTS, EVENTS_ANGLES, EVENTS_CCD, EXPOSURE, EXPOSURE_DRIFT
from daxa.xmm.instruments.rgs.angles import Grid, correct_events, drifts, earth_velocity
from daxa.xmm.instruments.rgs.dispersion import drift_factor
from daxa.xmm.instruments.rgs.files import keyword, read_set, replace_table, table, write_set
from daxa.xmm.instruments.rgs.options import Rgsangles
from daxa.xmm.instruments.rgs.sources import SourceList
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task

_ARCMIN = np.deg2rad(1 / 60)
_LIGHT_KM_S = 299792.458


@task(
    "rgsangles",
    "4.9.2",
    [
        Parameter(
            "mergedset",
            "dataset",
            "merged.ds",
            required=True,
            text="event list of all CCDs, which is changed",
        ),
        Parameter("srclist", "dataset", "srclist.ds", required=True, text="source list"),
        *parameters_of(Rgsangles),
    ],
)
def rgsangles(ctx: TaskContext, p: Parameters) -> None:
    """Correct the dispersion angles of an event list for the drift of the pointing."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.instruments.rgs.geometry import RgsGeometry, sun_angle
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.sky.attitude import Attitude

    if p.withsunanglecorr and "withsunanglecorr" in p.given:
        raise NotImplementedError(
            "rgsangles: withsunanglecorr=yes: how the coefficients of SAACORR are used is not public"
        )
    hdus = read_set(ctx, p.mergedset)
    events = table(hdus, "EVENTS", (*EVENTS, *EVENTS_CCD), p.mergedset)
    scope = str(keyword(hdus, "INSTRUME", p.mergedset))
    middle = 0.5 * sum(float(keyword(hdus, n, p.mergedset)) for n in ("TSTART", "TSTOP"))
    sources = SourceList.read(ctx, p.srclist)
    source, reference = sources.prime_source, sources.attitude.values()
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    geometry = RgsGeometry.from_calibration(cal, scope, middle)
    ra, dec, pa = (float(v) for v in geometry.pointing(*reference))
    ctx.info(f" Reference Attitude used Ra Dec Apos (degrees) = {ra} {dec} {pa}")
    ctx.info(f" Sourceposition used Ra Dec (degrees) = {source.ra_deg} {source.dec_deg}")
    angle = float(sun_angle(ra, dec, middle))
    ctx.info(f" Solar angle value: {angle} rad {np.rad2deg(angle)} deg")
    if p.withsunanglecorr:
        ctx.info(
            " The wavelengths are not corrected for the angle to the Sun (some mA, see the documentation)"
        )
    stretch = 0.0
    if p.withheliocentriccorr:
        velocity = earth_velocity(ra, dec, middle)
        stretch = velocity / _LIGHT_KM_S
        ctx.info(f" Heliocentric velocity of the Earth {velocity:.4f} km/s, correction factor {stretch:.6e}")
    history = Attitude.from_odf(Odf.from_environment(ctx.env, ctx.cwd))
    frames: dict[int, dict[str, npt.NDArray[Any]]] = {}
    for ccd in range(1, 10):
        name = f"EXPOSU{ccd:02d}"
        if name not in hdus:
            continue
        rows = table(hdus, name, EXPOSURE, p.mergedset)
        along, across = drifts(geometry, history, reference, rows["TIME"])
        frames[ccd] = {**rows, "ASPCDSP": along, "ASPCXDSP": across}
        replace_table(hdus, (*EXPOSURE, *EXPOSURE_DRIFT), frames[ccd], name)
    corrected = correct_events(events, frames, geometry, source.along_arcmin * _ARCMIN, stretch)
    grids = {
        "MLAMBDA_CHANNEL": ("M_LAMBDA", "Angstrom", Grid(p.lambdabinref, p.lambdabinwidth, p.nlambdabins)),
        "BETA_CHANNEL": ("BETA_CORR", "rad", _grid(p, "beta")),
        "XDSP_CHANNEL": ("XDSP_CORR", "rad", _grid(p, "xdisp")),
    }
    schema: list[Column] = [*EVENTS, *EVENTS_CCD, *EVENTS_ANGLES]
    data: dict[str, Any] = {**events, **corrected}
    for name, (of, _, grid) in grids.items():
        data[name] = grid.channel(corrected[of])
        schema.append(Column(name, "1I", "chan", 1, grid.n, 0))
    outside = int(sum((data[name] == 0).any() for name in grids))
    if outside:
        ctx.warn("outside range", "_CORR is outside the range specified by the binning parameters")
    gratings = geometry.gratings
    alpha = float(gratings.incidence_angle(source.along_arcmin * _ARCMIN))
    header = {
        "SOURCEID": (source.index, "[SRCLIST:INDEX] source of the correction"),
        "RA_OBJ": (source.ra_deg, "[deg] RA of source used in correction"),
        "DEC_OBJ": (source.dec_deg, "[deg] DEC of source used in correction"),
        "ASPFACT1": (drift_factor(alpha, gratings.f_over_l), "factor of the drift along the dispersion"),
        "RGSALPHA": (alpha, "[rad] grating incidence angle"),
        "LINE_SEP": (gratings.spacing, "[Angstrom] grating line spacing"),
        "HELIOFAC": (stretch, "heliocentric correction (Earth only)"),
        "SUNANGLE": (angle, "[rad] angle to the Sun (no correction made)"),
    }
    replace_table(hdus, schema, data, "EVENTS", header)
    events_header = hdus["EVENTS"].header
    for name, (_, unit, grid) in grids.items():
        i = 1 + [c.name for c in schema].index(name)
        for key, value in (
            ("TCUNI", unit), ("TCRPX", 1), ("TCRVL", grid.first), ("TCDLT", grid.width)
        ):  # fmt: skip
            events_header[f"{key}{i}"] = value
    write_set(ctx, p.mergedset, hdus)


def _grid(p: Parameters, name: str) -> Grid:
    if p[f"{name}binning"] == "binSize":
        return Grid(p[f"{name}binref"], p[f"{name}binwidth"], p[f"n{name}bins"])
    low, high, n = p[f"{name}min"], p[f"{name}max"], p[f"n{name}bins"]
    if not high > low:
        raise TaskError("badParameter", f"rgsangles: {name}max={high} is not above {name}min={low}")
    return Grid(low + 0.5 * (high - low) / n, (high - low) / n, n)
