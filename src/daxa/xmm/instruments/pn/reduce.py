"""From one pn exposure to its event list: what epchain and epproc do with each exposure.

Raw stage, events (:mod:`daxa.xmm.instruments.pn.steps.epevents`), product. The raw stage can be kept in the
folder, so that the out-of-time run and the ordinary run after it share it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.pn.badpixels import BadPixel
from daxa.xmm.instruments.pn.calibration import PnCalibration
from daxa.xmm.instruments.pn.clock import FAST_MODES
from daxa.xmm.instruments.pn.events import Columns, filtered
from daxa.xmm.instruments.pn.exposure import PnExposure, Sky
from daxa.xmm.instruments.pn.files import load_raw, save_raw, write_raw_list
from daxa.xmm.instruments.pn.options import PRIME_CCD, Epframes, Epreject, Options, Request
from daxa.xmm.instruments.pn.products import write_products
from daxa.xmm.instruments.pn.raw import offset_map
from daxa.xmm.instruments.pn.rawlist import RawCcd, RawList
from daxa.xmm.instruments.pn.steps.badpix import badpix
from daxa.xmm.instruments.pn.steps.badpixfind import badpixfind
from daxa.xmm.instruments.pn.steps.epevents import ccd_events, recognise
from daxa.xmm.instruments.pn.steps.epframes import Received, epframes
from daxa.xmm.instruments.pn.steps.epreject import Corrections, epreject
from daxa.xmm.instruments.pn.timing import fast_events, source_row
from daxa.xmm.instruments.seeds import PN_NOISE
from daxa.xmm.task import TaskContext, child_of


def run_exposure(ctx: TaskContext, odf: Any, cal: Any, request: Request) -> None:
    """Make the event list of one exposure.

    Parameters
    ----------
    ctx
        The chain's context.
    odf, cal
        The ODF and its calibration.
    request
        What is to be done with which exposure.

    Raises
    ------
    TaskError
        No CCD could be processed, or the exposure lacks something that all CCDs need.
    """
    request = _possible(ctx, request)
    exposure = PnExposure.open(
        odf, request.exp_id, request.data_mode, request.ccds, cal, child_of(ctx, "epframes").warn
    )
    _tell_missing_ccds(ctx, exposure, request)
    sky = _sky(ctx, exposure, request)
    request = _with_source(ctx, exposure, request, sky)
    raws = _kept_or_made(ctx, exposure, request)
    if request.gti is not None:
        raws = {ccd: _within(raw, request.gti) for ccd, raw in raws.items()}
        if not any(len(raw.gti) for raw in raws.values()):
            ctx.warn("noGoodTime", f"PN{request.exp_id}: no frame lies in the good times that were given")
    log = child_of(ctx, "epevents").info
    _tell_of_gain(exposure, request, raws, log)
    lists = [_events(exposure, request.options, raw, sky, log) for raw in raws.values()]
    write_products(ctx, exposure, request, raws, lists, sky)
    if not request.keep:
        ctx.path(request.stage).unlink(missing_ok=True)


def _possible(ctx: TaskContext, request: Request) -> Request:
    """The request without what its kind of data does not have."""
    events = request.options.epevents
    if request.data_mode == "IMAGING" or not events.withoutoftime:
        return request
    ctx.warn("notUsefulModeOOTE", f"PN{request.exp_id}: {request.data_mode} data have no out-of-time list")
    return replace(request, options=replace(request.options, epevents=replace(events, withoutoftime=False)))


def _tell_missing_ccds(ctx: TaskContext, exposure: PnExposure, request: Request) -> None:
    # Small window and the fast modes read one CCD.
    one = request.data_mode != "IMAGING" or exposure.submode == "PrimeSmallWindow"
    read = {PRIME_CCD} if one else set(request.ccds)
    missing = sorted(set(request.ccds) & read - set(exposure.files))
    if missing:
        ctx.warn("notInODF", f"PN{request.exp_id}: no event file of CCD(s) {', '.join(map(str, missing))}")


def _with_source(ctx: TaskContext, exposure: PnExposure, request: Request, sky: Sky) -> Request:
    """The request with the row of the source, where times or energies are made for it."""
    options, fast = request.options, request.data_mode != "IMAGING"
    if not (fast or options.epevents.withctisrcpos):
        return request
    source, default = options.epframes.source, options.epframes.srcposition
    row = source_row(
        source, default, request.data_mode, sky.camera_pixel, exposure.proposal, ctx.warn, ctx.info
    )
    return replace(request, options=options.with_source(row, fast))


def _kept_or_made(ctx: TaskContext, exposure: PnExposure, request: Request) -> dict[int, RawCcd]:
    """The raw stage: that of an earlier run in the folder, or a new one, which may be kept."""
    stage = ctx.path(request.stage)
    identity = {
        "obs_id": exposure.odf.obs_id,
        "exp_id": request.exp_id,
        "files": {str(c): f.path.stat().st_size for c, f in exposure.files.items()},
        "calibration": exposure.calibration.names(),
        "lowest_ev": request.options.lowest_ev,
        "accuracy": request.options.epevents.gainctiaccuracy,
        # The other steps of the stage can be left out by their own parameters, this one cannot.
        "epreject": request.options.epreject is not None,
        "source_row": request.options.epframes.source_row,
    }
    if request.reuse:
        raws = load_raw(stage, identity)
        ctx.info(f"frames, bad pixels and patterns are those of {stage.name}")
        return raws
    raws = _raw_stage(ctx, exposure, request)
    if request.keep:
        with ctx.output(stage) as path:
            save_raw(path, raws, identity)
    return raws


def _tell_of_gain(
    exposure: PnExposure, request: Request, raws: dict[int, RawCcd], log: Callable[[str], None]
) -> None:
    """Say what kind of list is made, and the temperatures that the gain is not corrected for."""
    out_of_time = request.options.epevents.withoutoftime
    log("out-of-time event list: every event gets a random row" if out_of_time else "event list")
    law = exposure.calibration.temperature_law
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


def _events(
    exposure: PnExposure, options: Options, raw: RawCcd, sky: Sky, log: Callable[[str], None]
) -> Columns:
    """The finished events of one CCD."""
    scale = exposure.calibration.energy_scale(raw.ccd, options.epevents.gainctiaccuracy)
    random = seeds.pn(exposure.odf.obs_id, exposure.exp_id, raw.ccd)
    lines = exposure.line_clock(raw.ccd)
    if lines is not None:
        row = options.epframes.source_row
        columns = fast_events(raw, scale, lines, row, random, options.epevents)
    else:
        columns = ccd_events(raw, scale, sky, raw.window, random, options.epevents, options.epexposure)
    columns = filtered(columns, options.epevents.screening.expression)
    log(f" CCD {raw.ccd}: selected {len(columns['TIME'])} of {len(raw.main)} patterns")
    return columns


def _raw_stage(ctx: TaskContext, exposure: PnExposure, request: Request) -> dict[int, RawCcd]:
    log = child_of(ctx, "epframes").info
    log(
        f" EPIC-pn frame time [ms] = {exposure.timing.frame_s * 1000:.5f}, {exposure.submode}, "
        f"{exposure.filter}"
    )
    timing = exposure.timing
    for line in (
        f" CAL_JUMP_TOLERANCE = {timing.jump_units:5.0f} [units]",
        f" Reset F1030: {exposure.housekeeping.reset_s:.0f}, time wrap F1052: "
        f"{exposure.housekeeping.wrap_s:.0f} s",
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
                exposure,
                ccd,
                request.options,
                lambda name: child_of(ctx, name),
                keep if request.pileup else None,
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
        exposure.calibration.geometry,
        Attitude.from_odf(exposure.odf),
        *pointing,
        request.reference.upper(),
    )


def raw_ccd(
    exposure: PnExposure,
    ccd: int,
    options: Options,
    sub: Callable[[str], TaskContext],
    keep: Callable[[RawList, list[BadPixel]], None] | None = None,
) -> RawCcd:
    """Run the raw stage on one CCD.

    Parameters
    ----------
    exposure
        The exposure.
    ccd
        CCD number.
    options
        Options of the steps.
    sub
        Gives the context of a sub-task by name, for messages.
    keep
        Called with the raw events and bad pixels before patterns are recognised.

    Raises
    ------
    TaskError
        The CCD cannot be used: see :func:`frames_of_ccd`.
    """
    raw = frames_of_ccd(exposure, ccd, options.epframes, sub("epframes").info)
    if options.epreject is not None:
        raw = _rejected(exposure, raw, options.epreject, sub("epreject"))
    pixels = _bad_pixels(exposure, raw, options, sub)
    if keep is not None:
        keep(raw, pixels)
    scale = exposure.calibration.energy_scale(ccd, options.epevents.gainctiaccuracy)
    return recognise(raw, pixels, scale, options.lowest_ev, sub("epevents").info)


def frames_of_ccd(exposure: PnExposure, ccd: int, options: Epframes, info: Callable[[str], None]) -> RawList:
    """Read the telemetry of one CCD, time it and screen it.

    Parameters
    ----------
    exposure
        The exposure.
    ccd
        CCD number.
    options
        Options of epframes.
    info
        Where the lines of the log go.

    Raises
    ------
    TaskError
        The CCD's event file is damaged or contradicts its name, its frames have no times
        (``noAUX1forCCD``, ``NoGoodObtValues``), or it has no events (``noEvents``).
    """
    events = exposure.events(ccd)
    received = Received(
        ccd,
        events,
        exposure.auxiliary.listed(ccd),
        exposure.quadrant((ccd - 1) // 3, options.anmaxfrc),
        exposure.auxiliary.counters((ccd - 1) // 3),
        exposure.calibration.energy_scale(ccd).offset,
        exposure.line_clock(ccd),
    )
    return epframes(received, exposure.clock, exposure.ccd_keywords(ccd), options, exposure.warn, info)


def _rejected(exposure: PnExposure, raw: RawList, options: Epreject, ctx: TaskContext) -> RawList:
    random = seeds.pn(exposure.odf.obs_id, exposure.exp_id, raw.ccd)
    try:
        corrections = corrections_of(raw.ccd, exposure.calibration, exposure.odf, options)
        return epreject(
            raw,
            exposure.submode,
            corrections,
            options,
            lambda: random(PN_NOISE),
            ctx.warn,
            ctx.info,
        )
    except TaskError as error:
        if options.needed:
            raise
        ctx.warn("notCalibrated", f"CCD {raw.ccd}: no epreject: {error.message}")
        return raw


def corrections_of(ccd: int, calibration: PnCalibration, odf: Any, options: Epreject) -> Corrections:
    """What the amplitudes of a CCD are corrected with, as far as the options ask for it.

    Parameters
    ----------
    ccd
        Number of the CCD.
    calibration
        The calibration of the exposure.
    odf
        Where offset maps are; None: only those that are named are used.
    options
        Parameters of epreject.
    """
    start_s = calibration.start_s
    if calibration.submode in FAST_MODES:
        if not options.withxrlcorrection:
            return Corrections()
        offsets = offset_map(odf, ccd, start_s, options.maps)
        return Corrections(offsets, loading=None if offsets is None else calibration.loading())
    wanted = options.withoffsetmap or options.maps
    offsets = offset_map(odf, ccd, start_s, options.maps) if wanted else None
    levels = calibration.dark_levels(ccd, by_map=offsets is not None)
    noise = calibration.noise_maps(ccd) if options.withnoisehandling else []
    return Corrections(offsets, levels, noise)


def _bad_pixels(
    exposure: PnExposure, raw: RawList, options: Options, sub: Callable[[str], TaskContext]
) -> list[BadPixel]:
    """Bad pixels of a CCD: those of the calibration, and in imaging modes those that the events give away."""
    which, search, calibration = options.badpix, options.badpixfind, exposure.calibration
    if which is None:
        return []
    known = calibration.known_bad_pixels(raw.ccd, uplinked=which.getuplnkbadpix, other=which.getotherbadpix)
    lines = exposure.line_clock(raw.ccd)
    found: list[BadPixel] = []
    if lines is None and search is not None and which.getnewbadpix:
        adu_ev, share = calibration.energy_scale(raw.ccd).adu_ev, calibration.core_share(search.cellsize)
        found = badpixfind(raw, known, search, adu_ev, share, sub("badpixfind").info)
    return badpix(raw.ccd, known, found, None if lines is None else lines.n_lines, sub("badpix").info)
