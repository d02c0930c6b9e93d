"""The task rgsangles: correct the dispersion angles of an event list for the drift of the pointing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.fits.schema import Column
from daxa.xmm.formats.rgs import EVENTS, EVENTS_ANGLES, EVENTS_CCD, EXPOSURE, EXPOSURE_DRIFT, Arrays
from daxa.xmm.instruments.rgs.angles import Grid, channel_grids, correct_events, drifts, earth_velocity
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.instruments.rgs.dispersion import drift_factor
from daxa.xmm.instruments.rgs.files import keyword, read_set, replace_table, table, write_set
from daxa.xmm.instruments.rgs.geometry import sun_angle
from daxa.xmm.instruments.rgs.options import Rgsangles
from daxa.xmm.instruments.rgs.sources import SourceList
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import HDUList
    from daxa.xmm.instruments.rgs.geometry import RgsGeometry

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
    geometry = RgsCalibration(open_calibration(ctx), scope).geometry(middle)
    ra, dec, pa = (float(v) for v in geometry.pointing(*reference))
    ctx.info(f" Reference Attitude used Ra Dec Apos (degrees) = {ra} {dec} {pa}")
    ctx.info(f" Sourceposition used Ra Dec (degrees) = {source.ra_deg} {source.dec_deg}")
    angle = float(sun_angle(ra, dec, middle))
    ctx.info(f" Solar angle value: {angle} rad {np.rad2deg(angle)} deg")
    if p.withsunanglecorr:
        ctx.info(
            " The wavelengths are not corrected for the angle to the Sun (some mA, see the documentation)"
        )
    stretch = _heliocentric(ctx, ra, dec, middle) if p.withheliocentriccorr else 0.0
    frames = _drifting_frames(ctx, p, hdus, geometry, reference)
    corrected = correct_events(events, frames, geometry, source.along_arcmin * _ARCMIN, stretch)
    grids = channel_grids(options_of(Rgsangles, p))
    channels = {name: grid.channel(corrected[of]) for name, (of, _, grid) in grids.items()}
    if any((channel == 0).any() for channel in channels.values()):
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
    schema = [*EVENTS, *EVENTS_CCD, *EVENTS_ANGLES]
    schema += [Column(name, "1I", "chan", 1, grid.n, 0) for name, (_, _, grid) in grids.items()]
    replace_table(hdus, schema, {**events, **corrected, **channels}, "EVENTS", header)
    _write_grids(hdus["EVENTS"].header, schema, grids)
    write_set(ctx, p.mergedset, hdus)


def _heliocentric(ctx: TaskContext, ra_deg: float, dec_deg: float, time_s: float) -> float:
    """Relative stretch of wavelengths by the motion of the Earth."""
    velocity = earth_velocity(ra_deg, dec_deg, time_s)
    stretch = velocity / _LIGHT_KM_S
    ctx.info(f" Heliocentric velocity of the Earth {velocity:.4f} km/s, correction factor {stretch:.6e}")
    return stretch


def _drifting_frames(
    ctx: TaskContext,
    p: Parameters,
    hdus: HDUList,
    geometry: RgsGeometry,
    reference: tuple[float, float, float],
) -> dict[int, Arrays]:
    """Frames of every CCD with the drift of the pointing, which is also written into their tables."""
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.sky.attitude import Attitude

    history = Attitude.from_odf(Odf.from_environment(ctx.env, ctx.cwd))
    frames: dict[int, Arrays] = {}
    for ccd in range(1, 10):
        name = f"EXPOSU{ccd:02d}"
        if name not in hdus:
            continue
        rows = table(hdus, name, EXPOSURE, p.mergedset)
        along, across = drifts(geometry, history, reference, rows["TIME"])
        frames[ccd] = {**rows, "ASPCDSP": along, "ASPCXDSP": across}
        replace_table(hdus, (*EXPOSURE, *EXPOSURE_DRIFT), frames[ccd], name)
    return frames


def _write_grids(header: Any, schema: list[Column], grids: dict[str, tuple[str, str, Grid]]) -> None:
    """Values of the channels, as keywords of their columns."""
    names = [c.name for c in schema]
    for name, (_, unit, grid) in grids.items():
        i = 1 + names.index(name)
        cards = {"TCUNI": unit, "TCRPX": 1, "TCRVL": grid.first, "TCDLT": grid.width}
        for key, value in cards.items():
            header[f"{key}{i}"] = value
