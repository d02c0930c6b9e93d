"""epframes: telemetry of one pn CCD to a raw event list with times, good times and live fractions.

Source: manuals of epframes and epexposure. The algorithms stand in :mod:`daxa.xmm.instruments.pn.readout` and
:mod:`daxa.xmm.instruments.pn.screening`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.odf import PN_FTFINE_UNIT_S
from daxa.xmm.instruments.keywords import Cards
from daxa.xmm.instruments.pn.clock import LineClock, steady_stamps
from daxa.xmm.instruments.pn.frame_clock import FrameClock
from daxa.xmm.instruments.pn.frames import (
    N_COLUMNS,
    FrameTable,
    fill_frames,
    good_times,
    silent_gaps,
)
from daxa.xmm.instruments.pn.options import Epframes
from daxa.xmm.instruments.pn.raw import RawEvents
from daxa.xmm.instruments.pn.rawlist import RawList
from daxa.xmm.instruments.pn.readout import (
    ExposureClock,
    ListedFrames,
    Quadrant,
    clock_of,
    frames_of_quadrant,
    left_on_board,
    stamps_of,
    times_of_records,
)
from daxa.xmm.instruments.pn.screening import Screened, Telemetry, frame_rows, screen
from daxa.xmm.odf.times import check_frames

Info = Callable[[str], None]
Warn = Callable[[str, str], None]


@dataclass(frozen=True)
class Received:
    """What came down of one CCD, and what its columns and lines mean.

    Attributes
    ----------
    ccd
        CCD number, 1 to 12.
    events, listed
        The telemetry, and the frames that the auxiliary file lists.
    quadrant
        What the CCDs of its quadrant share.
    counters
        Counter records of the quadrant: columns of PNAUX2, in order of CYCLE.
    offset_adu
        Extra offset of each column (64) in the amplitudes [adu].
    lines
        How lines of a frame count time; None in imaging modes.
    """

    ccd: int
    events: RawEvents
    listed: ListedFrames
    quadrant: Quadrant
    counters: Mapping[str, npt.NDArray[Any]]
    offset_adu: npt.NDArray[np.float64]
    lines: LineClock | None = None


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


def epframes(
    received: Received, clock: ExposureClock, cards: Cards, options: Epframes, warn: Warn, info: Info
) -> RawList:
    """Time and screen the telemetry of one CCD.

    Parameters
    ----------
    received
        What came down of it.
    clock
        What the frames of the exposure are timed with.
    cards
        Keywords of the CCD's extensions, as far as the exposure tells them.
    options
        Thresholds and switches.
    warn, info
        Where warnings and lines of the log go.

    Raises
    ------
    TaskError
        ``InconsistentTimeInfo``: the frames span much more than the exposure.
    """
    ccd, telemetry = received.ccd, received.events.telemetry
    times = _times(received, clock, options.source_row, warn)
    events = _screened(received, times, options, warn, info)
    mips = events.mips
    gti = good_times(times.time_s, events.good, times.table.gap, times.clock.step_s)
    offset = np.rint(received.offset_adu).astype(np.int32)
    n_raw, n_mips = len(telemetry.number), int(np.count_nonzero(mips.associated))
    for line in (
        f" CCD {ccd}: number of frames: {len(times.time_s)}, of which {len(times.listed.number)} hold events",
        f"   FIFOreset = {times.table.resets:8d}",
        f"   events: {n_raw} read, {n_mips} lost to {int(mips.column_counts.sum())} columns with minimum "
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
        dli_odf=received.events.discarded,
        dli_sas=mips.column_counts,
        counters=_timed_counters(received.counters, times),
        header=cards | _keywords(clock, options, times, events),
        n_raw=n_raw,
        n_mips=n_mips,
    )


def _times(received: Received, clock: ExposureClock, source_row: int, warn: Warn) -> _Times:
    """The frames of the CCD, empty ones included, and their times."""
    ccd, listed, lines = received.ccd, received.listed, received.lines
    times, correlation = clock.times, clock.correlation
    own = clock_of(listed, times.frame_s, times.tolerance_s, clock.wrap_s, clock.duration_s, ccd, warn)
    reset = clock.zero_s(float(own.stamp_s[0]))
    stamps = own.stamp_s
    if lines is not None:
        stamps = steady_stamps(stamps, own.cycle, own.valid, own.step_s, PN_FTFINE_UNIT_S)
    listed_s = correlation.obt_to_tt(stamps + reset)
    check_frames(listed_s, (clock.start_s, clock.stop_s), listed.where, correlation.source)

    quadrant = received.quadrant
    if listed.counted_by(own):
        table = frames_of_quadrant(
            listed, own, quadrant, clock.reset_frames, times.fifo_residual, clock.duration_s, warn
        )
    else:
        # The CCD's own frames must do.
        table = fill_frames(own.cycle, silent_gaps(own.cycle))
    fraction = left_on_board(listed, own, table, quadrant, warn) * table.awake
    fraction *= times.live
    fraction[listed.empty_rows(table, own)] = 0.0
    stamp = stamps_of(table, own, listed_s)
    time = stamp + times.correction_s[ccd - 1]
    if lines is not None:
        # Of the arrival at the source's row: the middle of what one frame holds.
        time += times.integration_s / 2 - lines.transfer_s(source_row)
    return _Times(listed, own, table, stamp, time, fraction, reset)


def _screened(received: Received, times: _Times, options: Epframes, warn: Warn, info: Info) -> Screened:
    """The events that count."""
    events: Telemetry = received.events.telemetry
    index, known, backwards = frame_rows(events.number, times.listed.number)
    foreign = np.count_nonzero(~np.isin(events.number[~known], times.listed.skipped))
    if foreign:
        warn("misFrame", f"{events.where}: {foreign} events of frames that are not in the AUX file")
    info(f" CCD {received.ccd}: ODF PHA range: [{events.pha.min():6d}, {events.pha.max():6d}] adu")
    good = np.ones(len(times.time_s), bool)
    good[times.table.listed[~times.clock.valid]] = False
    row = times.table.listed[index].astype(np.int32)
    return screen(events, row, known, backwards, good, received.events.window, options, warn)


def _keywords(clock: ExposureClock, options: Epframes, times: _Times, events: Screened) -> Cards:
    reset, skipped = times.reset_s, len(times.listed.skipped)
    # Imaging modes do not use the row of the source.
    row = options.source_row or Epframes.srcposition
    return {
        "TRESET": (
            float(clock.correlation.obt_to_tt(reset) - reset),
            "[s] Reset time offset added to PN times",
        ),
        "F1030": (round(reset), "[s] Coarse time reset"),
        "F1052": (round(clock.wrap_s), "[s] Time wrap reset"),
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


def _timed_counters(counters: Mapping[str, npt.NDArray[Any]], times: _Times) -> dict[str, npt.NDArray[Any]]:
    """Counter records at the times of the frames that they begin with (HKAUX)."""
    cycle = counters["CYCLE"]
    if not len(cycle):
        return {"TIME": np.empty(0), **counters}
    return {
        "TIME": times_of_records(cycle, times.listed, times.clock, times.table, times.time_s),
        **counters,
    }
