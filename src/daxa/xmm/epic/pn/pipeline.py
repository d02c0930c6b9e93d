"""From one pn exposure to its event list: what epchain and epproc do with each exposure.

Raw stage (:mod:`daxa.xmm.epic.pn.raw`), events (:mod:`daxa.xmm.epic.pn.events`), product. The raw stage can
be kept in the folder, so that the out-of-time run and the ordinary run after it share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from daxa.xmm.ccf.pn_energy import temperature_law
from daxa.xmm.epic.pn.badpixels import BadPixel, badpix_columns
from daxa.xmm.epic.pn.energy import EnergyScale
from daxa.xmm.epic.pn.epfast import RateLaw, corrected_energies, mark, report, seed_of
from daxa.xmm.epic.pn.epframes import RawList
from daxa.xmm.epic.pn.events import Columns, EventOptions, Sky, ccd_events, filtered, random_source
from daxa.xmm.epic.pn.exposure import PnExposure
from daxa.xmm.epic.pn.fast import fast_events, source_row
from daxa.xmm.epic.pn.raw import RawCcd, RawOptions, raw_ccd
from daxa.xmm.epic.pn.rawfile import write_raw_list
from daxa.xmm.epic.pn.stage import load_raw, save_raw
from daxa.xmm.errors import TaskError
from daxa.xmm.event.eventlist import write_event_list
from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import CcdExposure
from daxa.xmm.formats.eventlist import EVENT_COLUMNS
from daxa.xmm.task import TaskContext

#: CCD with the aim point, which ONTIME and LIVETIME of the header refer to.
PRIME_CCD = 4


@dataclass(frozen=True)
class Request:
    """What a chain is asked to do with one exposure.

    Attributes
    ----------
    exp_id, data_mode, ccds
        Exposure, kind of data, CCDs.
    output, attitude, stage
        Names of the event list, the attitude file and the intermediate file.
    gti
        Good times besides those of the frames.
    reference, user
        Pointing of the list (referencepointing): ``median`` or ``mean`` of the attitude, or ``user`` for RA,
        Dec and position angle [deg] of the user.
    leave_out
        Extensions that are not written: of DLIMAP, HKAUX.
    epexposure
        Whether live fractions of frames are determined; else they are 1.
    pileup
        Beginning of the names of raw lists to keep, one per CCD; none if empty.
    epfast
        Fast modes: whether the correction for the rate is applied, and must succeed.
    source, default_row
        Fast modes: RA and Dec [deg] of the source, its RAWY, or None for the proposal's target; RAWY to take
        if that is not on the CCD.
    """

    exp_id: str
    data_mode: str
    ccds: tuple[int, ...]
    output: str
    attitude: str
    stage: str
    reuse: bool = False
    keep: bool = False
    run_atthkgen: bool = True
    timestep: float = 1.0
    accuracy: int = 2
    gti: GTI | None = None
    reference: str = "median"
    user: tuple[float, float, float] = (0.0, 0.0, 0.0)
    leave_out: frozenset[str] = frozenset()
    epexposure: bool = True
    epfast: tuple[bool, bool] = (False, False)
    pileup: str = ""
    source: tuple[float, float] | int | None = None
    default_row: int = 190
    raw: RawOptions = field(default_factory=RawOptions)
    events: EventOptions = field(default_factory=EventOptions)


def run_exposure(ctx: TaskContext, odf: Any, cal: Any, request: Request) -> None:
    """Make the event list of one exposure.

    Raises
    ------
    TaskError
        No CCD could be processed, or the exposure lacks something that all CCDs need.
    """
    fast = request.data_mode != "IMAGING"
    if fast and request.events.withoutoftime:
        ctx.warn(
            "notUsefulModeOOTE", f"PN{request.exp_id}: {request.data_mode} data have no out-of-time list"
        )
        request = replace(request, events=replace(request.events, withoutoftime=False))
    exposure = PnExposure.open(
        odf, request.exp_id, request.data_mode, request.ccds, cal, _sub(ctx, "epframes").warn
    )
    # Small window and the fast modes read one CCD.
    read = {PRIME_CCD} if fast or exposure.submode == "PrimeSmallWindow" else set(request.ccds)
    missing = sorted(set(request.ccds) & read - set(exposure.files))
    if missing:
        ctx.warn("notInODF", f"PN{request.exp_id}: no event file of CCD(s) {', '.join(map(str, missing))}")
    sky = _sky(ctx, exposure, request)
    if fast or request.events.ctisrcpos is not None:
        row = source_row(
            request.source, request.default_row, request.data_mode, sky.camera_pixel, exposure.proposal, ctx
        )
        if fast:
            frames = replace(request.raw.frames, source_row=row)
            request = replace(request, raw=replace(request.raw, frames=frames))
        else:
            request = replace(request, events=replace(request.events, ctisrcpos=row))
    stage = ctx.path(request.stage)
    identity = {
        "obs_id": odf.obs_id,
        "exp_id": request.exp_id,
        "files": {str(c): f.path.stat().st_size for c, f in exposure.files.items()},
        "calibration": {f"{s}_{t}": cal.constituent(s, t).path.name for s, t in _RAW_CONSTITUENTS},
        "lowest_ev": request.raw.lowest_ev,
        "source_row": request.raw.frames.source_row,
    }
    if request.reuse:
        raws = load_raw(stage, identity)
        ctx.info(f"frames, bad pixels and patterns are those of {stage.name}")
    else:
        raws = _raw_stage(ctx, exposure, request)
    if request.keep and not request.reuse:
        with ctx.output(stage) as path:
            save_raw(path, raws, identity)

    if request.gti is not None:
        raws = {ccd: _within(raw, request.gti) for ccd, raw in raws.items()}
        if not any(len(raw.gti) for raw in raws.values()):
            ctx.warn("noGoodTime", f"PN{request.exp_id}: no frame lies in the good times that were given")
    random_of = {ccd: random_source(odf.obs_id, request.exp_id, ccd) for ccd in raws}
    log = _sub(ctx, "epevents").info
    log(
        "out-of-time event list: every event gets a random row"
        if request.events.withoutoftime
        else "event list"
    )
    law = temperature_law(cal, exposure.mode_id)
    numbers = (
        ""
        if law is None
        else f" (slope {law.slope:g} adu/K, reference channel {law.reference:g}, factor {law.factor:g})"
    )
    for quadrant in sorted({(ccd - 1) // 3 for ccd in raws}):
        temperature = exposure.gain_temperature(quadrant)
        if temperature is not None:
            log(
                f" quadrant {quadrant}: temperature for gain [deg C] = {temperature:.4f}, no correction "
                f"made{numbers}"
            )
    lists: list[Columns] = []
    for ccd, raw in raws.items():
        scale = EnergyScale.from_calibration(
            cal, ccd, exposure.mode_id, exposure.start_s, accuracy=request.accuracy
        )
        lines = exposure.line_clock(ccd)
        if lines is not None:
            row = request.raw.frames.source_row
            columns = fast_events(raw, scale, lines, row, random_of[ccd], request.events)
        else:
            window = tuple(int(raw.header[k][0]) for k in ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY"))
            columns = ccd_events(raw, scale, sky, window, random_of[ccd], request.events)  # type: ignore[arg-type]
        columns = filtered(columns, request.events.filterexpression)
        lists.append(columns)
        log(f" CCD {ccd}: selected {len(columns['TIME'])} of {len(raw.main)} patterns")
    _write(ctx, exposure, request, raws, lists, sky)
    if not request.keep:
        stage.unlink(missing_ok=True)


#: Constituents that the raw stage depends on.
_RAW_CONSTITUENTS = (
    ("EPN", "ADUCONV"),
    ("EPN", "BADPIX"),
    ("EPN", "TIMECORR"),
    ("EPN", "TIMEJUMPTOL"),
    ("EPN", "CTI"),
)


def _sub(ctx: TaskContext, name: str) -> TaskContext:
    """The context of a sub-task: same world, its own name in messages."""
    return replace(ctx, name=f"{ctx.name}::{name}")


def _raw_stage(ctx: TaskContext, exposure: PnExposure, request: Request) -> dict[int, RawCcd]:
    log = _sub(ctx, "epframes").info
    log(
        f" EPIC-pn frame time [ms] = {exposure.timing.frame_s * 1000:.5f}, {exposure.submode}, "
        f"{exposure.filter}"
    )
    timing = exposure.timing
    for line in (
        f" CAL_JUMP_TOLERANCE = {timing.jump_units:5.0f} [units]",
        f" Reset F1030: {exposure.reset_s:.0f}, time wrap F1052: {exposure.wrap_s:.0f} s",
        f" FIFO deadtime [ms] = {timing.fifo_s * 1000:.5f}",
        f" FIFO reset residual exposure fraction = {timing.fifo_residual:.4f}",
    ):
        log(line)

    def keep(raw: RawList, badpix: list[BadPixel]) -> None:
        primary = exposure.keywords()
        ctx.provenance(primary)
        with ctx.output(f"{request.pileup}_CCD{raw.ccd}_PileupEvts.ds") as path:
            write_raw_list(path, raw, primary, badpix)

    raws = {}
    failure: TaskError | None = None
    for ccd in exposure.files:
        try:
            raws[ccd] = raw_ccd(
                exposure, ccd, request.raw, lambda name: _sub(ctx, name), keep if request.pileup else None
            )
        except TaskError as error:
            ctx.warn(error.code, f"CCD {ccd} is left out: {error.message}")
            failure = failure or error
    if not raws:
        message = failure.message if failure else "no CCD"
        raise TaskError(
            failure.code if failure else "noEvents", f"PN{request.exp_id}: no CCD is usable: {message}"
        )
    return raws


def _within(raw: RawCcd, gti: GTI) -> RawCcd:
    return replace(raw, gti=raw.gti & gti, good=raw.good & gti.contains(raw.time_s))


def _sky(ctx: TaskContext, exposure: PnExposure, request: Request) -> Sky:
    from daxa.xmm.sky.attitude import AttHk, Attitude
    from daxa.xmm.sky.geometry import CameraGeometry

    if request.run_atthkgen:
        here = replace(ctx, env={**ctx.env, "SAS_ODF": str(exposure.odf.sas_summary or exposure.odf.folder)})
        here.call("atthkgen", atthkset=request.attitude, timestep=request.timestep)
    elif not ctx.path(request.attitude).is_file():
        raise TaskError(
            "attitude", f"runatthkgen=no needs {request.attitude} of an earlier run in this folder"
        )
    history = AttHk.read(ctx.path(request.attitude))
    pointing = {"median": history.median, "mean": history.mean, "user": request.user}[request.reference]
    return Sky(
        CameraGeometry.from_calibration(exposure.cal, "EPN", exposure.start_s),
        Attitude.from_odf(exposure.odf),
        *pointing,
        request.reference.upper(),
    )


def _write(
    ctx: TaskContext,
    exposure: PnExposure,
    request: Request,
    raws: Mapping[int, RawCcd],
    lists: list[Columns],
    sky: Sky,
) -> None:
    fast = request.data_mode != "IMAGING"
    names = [c.name for c in EVENT_COLUMNS["EPN", "TIMING" if fast else "IMAGING"]]
    columns = {name: np.concatenate([c[name] for c in lists]) for name in names}
    length = exposure.timing.integration_s
    ccds = {
        ccd: CcdExposure(
            raw.time_s,
            np.full(len(raw.time_s), length),
            raw.fraction.astype(np.float64) if request.epexposure else np.ones(len(raw.time_s)),
            raw.gti,
            badpix_columns(raw.badpix),
            dict(raw.header),
            None
            if raw.dli_odf is None or "DLIMAP" in request.leave_out
            else {"DLIODF": raw.dli_odf, "DLISAS": raw.dli_sas},
            None if "HKAUX" in request.leave_out else raw.counters,
        )
        for ccd, raw in raws.items()
    }
    primary = exposure.keywords()
    primary["RA_PNT"] = (sky.ra_deg, "[deg] pointing, right ascension")
    primary["DEC_PNT"] = (sky.dec_deg, "[deg] pointing, declination")
    primary["PA_PNT"] = (sky.pa_deg, "[deg] position angle of the pointing")
    primary["AVRG_PNT"] = (sky.average, "Meaning of the pointing values")
    primary.update(_source_position(primary, sky))
    if fast:
        primary["SRCPOS"] = (request.raw.frames.source_row, "[pixel] RAWY of the source")
        if request.epfast[0]:
            _correct_for_rate(ctx, exposure, request, columns, raws[PRIME_CCD].gti, primary)
    elif request.events.ctisrcpos is not None:
        primary["SRCPOS"] = (request.events.ctisrcpos, "[pixel] RAWY of the source, of all charge")
    primary.update(_discarded_lines(raws))
    ctx.provenance(primary)
    offsets = {
        "RAWX": [c for raw in raws.values() for c in raw.offsets],
        "OFFSETX": [v for raw in raws.values() for v in raw.offsets.values()],
        "CCDNR": [ccd for ccd, raw in raws.items() for _ in raw.offsets],
    }
    with ctx.output(request.output) as path:
        write_event_list(
            path,
            primary=primary,
            columns=columns,
            ccds=ccds,
            sky={} if fast else {"ra_deg": sky.ra_deg, "dec_deg": sky.dec_deg},
            offsets=offsets,
            calindex=exposure.cal.calindex_hdu(("EPN", "XRT3", "XMM")),
            prime_ccd=PRIME_CCD,
        )
    ctx.info(
        f"{request.output}: {len(columns['TIME'])} events of {sum(r.n_raw for r in raws.values())} raw ones "
        f"on {len(raws)} CCDs"
    )


def _correct_for_rate(
    ctx: TaskContext,
    exposure: PnExposure,
    request: Request,
    columns: dict[str, Any],
    gti: GTI,
    primary: dict[str, Any],
) -> None:
    """Run epfast on the events of a fast mode."""
    sub = _sub(ctx, "epfast")
    try:
        law = RateLaw.from_calibration(exposure.cal, exposure.submode)
    except TaskError as error:
        if request.epfast[1]:
            raise
        sub.warn("notCalibrated", f"energies are not corrected for the rate of the source: {error.message}")
        return
    old = columns["PI"]
    identity = {"OBS_ID": exposure.odf.obs_id, "EXPIDSTR": exposure.exp_id}
    rng = np.random.default_rng(seed_of(identity))
    columns["PI"] = corrected_energies(columns["TIME"], columns["RAWX"], old, gti, law, rng)
    mark(primary)
    report(sub, old, columns["PI"])


def _discarded_lines(raws: Mapping[int, RawCcd]) -> dict[str, Any]:
    """Statistics of the lines discarded on board, of the last CCD's quadrant as merging lists leaves them."""
    lines = raws[max(raws)].counters["NDISCLIN"]
    if not len(lines):
        return {}
    return {
        "DLMAX": (int(lines.max()), "maximum of discarded lines in a counter record"),
        "DLMEAN": (float(lines.mean()), "mean of discarded lines in a counter record"),
    }


def _source_position(primary: Mapping[str, Any], sky: Sky) -> dict[str, Any]:
    """Pixel of the proposal's target, as the fast modes need it."""
    cards: dict[str, Any] = {"SRCPOS": (190, "[pixel] RAWY of the source in fast modes")}
    if "RA_OBJ" not in primary:
        return cards
    ra, dec = primary["RA_OBJ"][0], primary["DEC_OBJ"][0]
    ccd, x, y = sky.camera_pixel(ra, dec)
    if ccd:
        cards["SRCPOS"] = (round(y), cards["SRCPOS"][1])
        cards["SRCPOSX"] = (x, "[pixel] RAWX of the target")
        cards["SRCPOSY"] = (y, "[pixel] RAWY of the target")
        cards["CCDSRC"] = (ccd, "CCD of the target")
    return cards
