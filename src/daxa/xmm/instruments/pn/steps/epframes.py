"""epframes: telemetry of one pn CCD to a raw event list with times, good times and live fractions.

Source: manuals of epframes and epexposure. The algorithms stand in :mod:`daxa.xmm.instruments.pn.readout` and
:mod:`daxa.xmm.instruments.pn.screening`; this module gives them what the files of an ODF say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import PN_AUXILIARY_CYCLES, PN_EVENTS, PN_FTFINE_UNIT_S, unsigned
from daxa.xmm.instruments.pn.clock import steady_stamps
from daxa.xmm.instruments.pn.energy import EnergyScale
from daxa.xmm.instruments.pn.exposure import NO_TIME, PnExposure
from daxa.xmm.instruments.pn.frames import (
    N_COLUMNS,
    FrameClock,
    FrameTable,
    discarded_fraction,
    fill_frames,
    good_times,
    silent_gaps,
)
from daxa.xmm.instruments.pn.options import Epframes
from daxa.xmm.instruments.pn.raw import check_header, read_window
from daxa.xmm.instruments.pn.rawlist import RawList
from daxa.xmm.instruments.pn.readout import (
    ListedFrames,
    Quadrant,
    clock_of,
    frames_of_quadrant,
    left_on_board,
    stamps_of,
    times_of_records,
)
from daxa.xmm.instruments.pn.screening import Screened, Telemetry, frame_rows, screen
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.odf.times import check_frames

Info = Callable[[str], None]


@dataclass(frozen=True)
class _Times:
    """The frames of a CCD and their times.

    Attributes
    ----------
    listed, clock, table
        Frames of the auxiliary file, their clock, all frames.
    stamp_s, time_s, fraction
        Per frame: time stamp and centre of the integration (mission time), share not lost on board.
    reset_s
        On-board time of the reset that the clock counts from.
    """

    listed: ListedFrames
    clock: FrameClock
    table: FrameTable
    stamp_s: npt.NDArray[np.float64]
    time_s: npt.NDArray[np.float64]
    fraction: npt.NDArray[np.float64]
    reset_s: float


def frames_of_ccd(exposure: PnExposure, ccd: int, options: Epframes, info: Info) -> RawList:
    """Time and screen the telemetry of one CCD.

    Parameters
    ----------
    exposure
        The exposure.
    ccd
        CCD number.
    options
        Thresholds and switches.
    info
        Where the lines of the log go.

    Raises
    ------
    TaskError
        The CCD's event file is damaged or contradicts its name, its frames have no times
        (``noAUX1forCCD``, ``NoGoodObtValues``), or it has no events (``noEvents``).
    """
    file = _event_table(exposure, ccd)
    times = _times(exposure, ccd, options)
    events = _screened(exposure, ccd, file, times, options, info)
    mips = events.mips
    gti = good_times(times.time_s, events.good, times.table.gap, times.clock.step_s)
    scale = EnergyScale.from_calibration(exposure.cal, ccd, exposure.mode_id, exposure.start_s)
    offset = np.rint(scale.offset).astype(np.int32)
    n_mips = int(np.count_nonzero(mips.associated))
    for line in (
        f" CCD {ccd}: number of frames: {len(times.time_s)}, of which {len(times.listed.number)} hold events",
        f"   FIFOreset = {times.table.resets:8d}",
        f"   events: {len(file)} read, {n_mips} lost to {int(mips.column_counts.sum())} columns with minimum "
        f"ionising particles, {len(events.frame)} left",
        f"   sum of good time intervals [s]  = {gti.total:.5f}",
    ):
        info(line)
    return RawList(
        ccd=ccd,
        time_s=times.time_s,
        stamp_s=times.stamp_s,
        fraction=times.fraction * (1.0 - mips.lost_columns / N_COLUMNS),
        good=events.good,
        gti=gti,
        frame=events.frame,
        rawx=events.rawx,
        rawy=events.rawy,
        pha=events.pha - offset[events.rawx - 1],
        flag=events.flag,
        offsets={int(c) + 1: int(offset[c]) for c in np.flatnonzero(offset)},
        dli_odf=_discarded_lines(exposure, ccd),
        dli_sas=mips.column_counts,
        counters=_counters(exposure, ccd, times),
        header=_keywords(exposure, ccd, options, times, events),
        n_raw=len(file),
        n_mips=n_mips,
    )


def _event_table(exposure: PnExposure, ccd: int) -> OdfTable:
    """The event file of a CCD, checked against its name."""
    table = exposure.files[ccd].read(1, PN_EVENTS)
    for cards in (table.header, table.primary):
        check_header(cards, table.where)
    quadrant, ccd_id = divmod(ccd - 1, 3)
    said = int(table.keyword("QUADRANT", quadrant)), int(table.keyword("CCDID", ccd_id))
    if said != (quadrant, ccd_id):
        raise TaskError(
            "illegalODF", f"{table.where}: QUADRANT {said[0]}, CCDID {said[1]}, but its name says CCD {ccd}"
        )
    if not len(table):
        raise TaskError("noEvents", f"{table.where}: no events")
    return table


# --- frames and their times --------------------------------------------------------------------------


def _times(exposure: PnExposure, ccd: int, options: Epframes) -> _Times:
    timing, correlation, lines = exposure.timing, exposure.time_correlation, exposure.line_clock(ccd)
    duration = exposure.stop_s - exposure.start_s
    listed = _listed(exposure, ccd)
    clock = clock_of(
        listed, timing.frame_s, timing.tolerance_s, exposure.wrap_s, duration, ccd, exposure.warn
    )
    reset = exposure.reset_time_s(float(clock.stamp_s[0]))
    stamps = clock.stamp_s
    if lines is not None:
        stamps = steady_stamps(stamps, clock.cycle, clock.valid, clock.step_s, PN_FTFINE_UNIT_S)
    listed_s = correlation.obt_to_tt(stamps + reset)
    check_frames(listed_s, (exposure.start_s, exposure.stop_s), listed.where, correlation.source)

    quadrant = _quadrant(exposure, (ccd - 1) // 3, options)
    if listed.counted_by(clock):
        table = frames_of_quadrant(
            listed, clock, quadrant, exposure.reset_frames, timing.fifo_residual, duration, exposure.warn
        )
    else:
        # The CCD's own frames must do.
        table = fill_frames(clock.cycle, silent_gaps(clock.cycle))
    fraction = left_on_board(listed, clock, table, quadrant, exposure.warn) * table.awake
    fraction *= timing.live
    fraction[listed.empty_rows(table, clock)] = 0.0
    stamp = stamps_of(table, clock, listed_s)
    time = stamp + timing.correction_s[ccd - 1]
    if lines is not None:
        # Of the arrival at the source's row: the middle of what one frame holds.
        time += timing.integration_s / 2 - lines.transfer_s(options.source_row)
    return _Times(listed, clock, table, stamp, time, fraction, reset)


def _listed(exposure: PnExposure, ccd: int) -> ListedFrames:
    """The frames of a CCD in the auxiliary file, with and without a time."""
    quadrant, ccd_id = divmod(ccd - 1, 3)
    rows, where = exposure.listed_frames(quadrant, ccd_id), exposure.auxiliary[0].where
    if not len(rows["FRAME"]):
        raise TaskError("noAUX1forCCD", f"{where}: no frames of quadrant {quadrant}, CCD {ccd_id}")
    timed = rows["coarse"] != NO_TIME
    if not timed.all():
        exposure.warn(
            "InvalidObtValue",
            f"CCD {ccd}: {np.count_nonzero(~timed)} frames without a coarse time are skipped",
        )
    if not timed.any():
        raise TaskError("NoGoodObtValues", f"{where}: no frame of CCD {ccd} has a time")
    number, cycle, stamp = (rows[name][timed] for name in ("FRAME", "CYCLE", "stamp_s"))
    return ListedFrames(number, cycle, stamp, rows["FRAME"][~timed], where)


def _quadrant(exposure: PnExposure, number: int, options: Epframes) -> Quadrant:
    record, discarded = exposure.records(number)
    left = np.empty(0)
    if len(record):
        n_frames = int(exposure.hk(f"A{number}_MAXFRC", options.anmaxfrc))
        left = discarded_fraction(discarded, exposure.active_ccds(number), n_frames)
    return Quadrant(number, exposure.sent_cycles(number), record, left, exposure.last_cycle)


# --- events ------------------------------------------------------------------------------------------


def _screened(
    exposure: PnExposure, ccd: int, file: OdfTable, times: _Times, options: Epframes, info: Info
) -> Screened:
    number = file["FRAME"].astype(np.int64)
    index, known, backwards = frame_rows(number, times.listed.number)
    foreign = np.count_nonzero(~np.isin(number[~known], times.listed.skipped))
    if foreign:
        exposure.warn("misFrame", f"{file.where}: {foreign} events of frames that are not in the AUX file")
    rawx, rawy = file["RAWX"].astype(np.int32) + 1, file["RAWY"].astype(np.int32) + 1
    events = Telemetry(number, rawx, rawy, file["ENERGY"].astype(np.int32), file.where)
    info(f" CCD {ccd}: ODF PHA range: [{events.pha.min():6d}, {events.pha.max():6d}] adu")
    good = np.ones(len(times.time_s), bool)
    good[times.table.listed[~times.clock.valid]] = False
    row = times.table.listed[index].astype(np.int32)
    window = read_window(file.header)
    return screen(events, row, known, backwards, good, window, options, exposure.warn)


# --- keywords, counters ------------------------------------------------------------------------------


def _keywords(
    exposure: PnExposure, ccd: int, options: Epframes, times: _Times, events: Screened
) -> dict[str, Any]:
    reset, skipped = times.reset_s, len(times.listed.skipped)
    # Imaging modes do not use the row of the source.
    row = options.source_row or Epframes.srcposition
    return exposure.ccd_keywords(ccd) | {
        "TRESET": (
            float(exposure.time_correlation.obt_to_tt(reset) - reset),
            "[s] Reset time offset added to PN times",
        ),
        "F1030": (round(reset), "[s] Coarse time reset"),
        "F1052": (round(exposure.wrap_s), "[s] Time wrap reset"),
        "MIP_THRS": (options.mipthreshold, "maximum PHA for non-MIPs"),
        "MIP_METH": (options.mipmethod.upper(), "method to handle MIPs"),
        "MIPCOLN": (int(np.count_nonzero(events.mips.associated)), "Number of MIP events"),
        "QUAL_MAX": (options.qualmax, "maximum allowed quality"),
        "EMPTYFRM": ("enabled", "Handling of empty frames"),
        "SRCPOS": (row, "[pixel] Assumed RAWY source position for fast modes"),
        "WRGAMPLI": (events.amplitudes, "Number of events with negative PHA"),
        "WRGCOORD": (events.places, "Number of events with wrong coordinates"),
        "WRGORDER": (events.disordered, "Number of frames in wrong readout order"),
        "WRGTIME": (events.backwards, "Number of frames in wrong time order"),
        "WRGCOARS": (skipped, "Number of frames with FFFF coarse time"),
        "FRAMEBAD": (events.bad_frames, "Number of bad frames"),
        "FRAMETOT": (len(times.listed.number) + skipped, "Total number of input frames"),
    }


def _discarded_lines(exposure: PnExposure, ccd: int) -> npt.NDArray[np.int64] | None:
    """Lines discarded per column on board; None in modes without such a file."""
    files = exposure.odf.find("PN", "DLI", exposure.exp_id, ccd)
    if not files:
        return None
    try:
        counts = files[0].image().astype(np.int64).ravel()
        if counts.shape != (N_COLUMNS,):
            raise ValueError(f"{counts.size} values, expected {N_COLUMNS}")
        if counts.min() < 0 or counts.max() > np.iinfo(np.int32).max:
            raise ValueError(f"impossible counts, {counts.min()} to {counts.max()}")
    except (ValueError, TypeError, TaskError) as error:
        exposure.warn("illegalODF", f"{files[0].path.name}: discarded lines cannot be read: {error}")
        return None
    return counts


def _counters(exposure: PnExposure, ccd: int, times: _Times) -> dict[str, npt.NDArray[Any]]:
    """Counter records of a CCD's quadrant, at the times of the frames that they begin with (HKAUX)."""
    names = [c.name for c in PN_AUXILIARY_CYCLES if c.name != "QUADRANT"]
    counters = exposure.auxiliary[1]
    if counters is None:
        return {"TIME": np.empty(0), **{n: np.empty(0, np.int64) for n in names}}
    rows = np.flatnonzero(counters["QUADRANT"] == (ccd - 1) // 3)
    rows = rows[np.argsort(counters["CYCLE"][rows], kind="stable")]
    cycle = counters["CYCLE"][rows].astype(np.int64)
    time = times_of_records(cycle, times.listed, times.clock, times.table, times.time_s)
    return {"TIME": time, **{n: unsigned(counters[n][rows]) if n != "CYCLE" else cycle for n in names}}
