"""How the frames of one pn CCD were read out: their clock, the empty ones, what was lost on board.

Source: manuals of epframes and epexposure. The parts stand in :mod:`daxa.xmm.instruments.pn.frames`.

Parameters
----------
listed
    Frames of the CCD in the auxiliary file.
clock
    The clock of the CCD.
table
    All its frames.
quadrant
    What the CCDs of the quadrant share.
warn
    Given code and text of each warning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.pn_times import PnTimes
from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.frame_clock import FrameClock, frame_clock
from daxa.xmm.instruments.pn.frames import (
    FrameTable,
    buffer_resets,
    counter_record,
    fill_frames,
    missing_records,
    silent_gaps,
    sorted_unique,
)
from daxa.xmm.odf.times import TimeCorrelation

Warn = Callable[[str, str], None]
Numbers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ListedFrames:
    """The frames of one CCD that the auxiliary file lists, in order of FRAME.

    Attributes
    ----------
    number, cycle, stamp_s
        FRAME, CYCLE and time stamp (modulo the wrap of the clock) of the frames with a time.
    skipped
        FRAME of those without a time.
    where
        File and extension, for messages.
    """

    number: Numbers
    cycle: Numbers
    stamp_s: Reals
    skipped: Numbers
    where: str

    def counted_by(self, clock: FrameClock) -> bool:
        """Whether CYCLE counts frame periods as the clock does."""
        return np.array_equal(np.diff(self.cycle), np.diff(clock.cycle))

    def empty_rows(self, table: FrameTable, clock: FrameClock) -> Numbers:
        """Rows of the skipped frames, as far as there is room for them between those with a time.

        Good times go on over skipped frames in real tables; without their events they must not count as live.
        """
        number = self.skipped
        after = np.searchsorted(self.number, number)
        inside = (after > 0) & (after < len(self.number))
        after, number = after[inside], number[inside]
        cycle = clock.cycle[after - 1] + number - self.number[after - 1]
        cycle = cycle[cycle < clock.cycle[after]]
        row = np.minimum(np.searchsorted(table.cycle, cycle), len(table.cycle) - 1)
        return row[(table.cycle[row] == cycle) & ~np.isin(row, table.listed)]


@dataclass(frozen=True)
class Quadrant:
    """What the CCDs of a quadrant share.

    Attributes
    ----------
    number
        0 to 3.
    sent
        CYCLE of all frames that any of its CCDs has listed, increasing.
    record, left
        CYCLE of its counter records, in order, and the share of columns that the rejection of particles on
        board left in the frames of each; empty if there are no records.
    last_cycle
        CYCLE of the last frame that any CCD of the camera has listed.
    """

    number: int
    sent: Numbers
    record: Numbers
    left: Reals
    last_cycle: int


@dataclass(frozen=True)
class ExposureClock:
    """What the frames of all CCDs of an exposure are timed with.

    Attributes
    ----------
    times
        Times of the mode.
    correlation
        Relation of the on-board clock to TT.
    reset_s, wrap_s
        On-board time of a reset of the coarse frame time, and its period [s].
    start_s, stop_s
        Start and end of the exposure by its header (mission time).
    reset_frames
        Frames that a reset of the event buffer takes; 0: none are seen.
    """

    times: PnTimes
    correlation: TimeCorrelation
    reset_s: float
    wrap_s: float
    start_s: float
    stop_s: float
    reset_frames: int = 0

    @property
    def duration_s(self) -> float:
        """How long the exposure lasts by its header."""
        return self.stop_s - self.start_s

    def zero_s(self, first_stamp_s: float) -> float:
        """On-board time [s] to add to the unwrapped frame times.

        The coarse frame time restarts with every period; the start of the exposure tells which it was.

        Parameters
        ----------
        first_stamp_s
            First stamp of the frame time [s].
        """
        start = float(self.correlation.tt_to_obt(self.start_s))
        return self.reset_s + self.wrap_s * np.rint((start - self.reset_s - first_stamp_s) / self.wrap_s)


def clock_of(
    listed: ListedFrames,
    frame_s: float,
    tolerance_s: float,
    wrap_s: float,
    duration_s: float,
    ccd: int,
    warn: Warn,
) -> FrameClock:
    """The repaired clock of a CCD.

    Parameters
    ----------
    listed
        Its frames.
    frame_s, tolerance_s, wrap_s
        Frame time, how far a stamp may be off, period of the coarse time.
    duration_s
        How long the exposure lasts by its header.
    ccd
        Number of the CCD, for messages.

    Raises
    ------
    TaskError
        ``InconsistentTimeInfo``: the frames span much more than the exposure.
    """
    clock = frame_clock(listed.number, listed.stamp_s, frame_s, tolerance_s, wrap_s)
    if clock.jumps:
        warn("wrongFTCoarse", f"CCD {ccd}: {clock.jumps} time jumps were taken out")
    span = float(clock.cycle.max() - clock.cycle.min()) * clock.step_s
    if span > 2 * max(duration_s, 0.0) + 1000.0:
        raise TaskError(
            "InconsistentTimeInfo",
            f"{listed.where}: the frames of CCD {ccd} span {span:.0f} s, the exposure lasts "
            f"{duration_s:.0f} s",
        )
    return clock


def stamps_of(table: FrameTable, clock: FrameClock, listed_s: Reals) -> Reals:
    """Time stamps of all frames from those of the listed ones: between them even, outside one period each.

    Parameters
    ----------
    listed_s
        Time stamp of each listed frame [s].
    """
    stamp = np.interp(table.cycle, clock.cycle, listed_s)
    stamp += clock.step_s * (table.cycle - np.clip(table.cycle, clock.cycle[0], clock.cycle[-1]))
    return np.asarray(stamp)


def frames_of_quadrant(
    listed: ListedFrames,
    clock: FrameClock,
    quadrant: Quadrant,
    reset_frames: int,
    residual: float,
    duration_s: float,
    warn: Warn,
) -> FrameTable:
    """All frames of a CCD whose CYCLE counts frames: listed, empty, and not those lost in the telemetry.

    The three CCDs of the quadrant and its counter records tell together which frames were sent.

    Parameters
    ----------
    listed, clock, quadrant
        Frames and clock of the CCD; its quadrant.
    reset_frames, residual
        Frames that a reset of the event buffer takes (0: none are seen), and the share of a frame that it
        leaves.
    duration_s
        How long the exposure lasts by its header.
    """
    zero = int(listed.cycle[0] - clock.cycle[0])
    sent = quadrant.sent - zero
    record = quadrant.record - zero
    missing, before, after = None, 0, 0
    if len(record) > 1:
        period = int(np.median(np.diff(record)))
        missing = missing_records(sent, record, period)
        # Other CCDs show that the last, unfinished record was read out.
        end = max(record[-1] + period - 1, min(quadrant.last_cycle - zero, record[-1] + 2 * period - 1))
        before = max(int(clock.cycle[0] - record[0]), 0)
        after = max(int(end - clock.cycle[-1]), 0)
        longest = duration_s / clock.step_s + 2 * period
        if before + int(clock.cycle[-1] - clock.cycle[0]) + after > longest:
            warn("corruptedAUX1", f"quadrant {quadrant.number}: counters from outside the exposure")
            before = after = 0
    asleep = buffer_resets(sent, reset_frames)
    lost = np.flatnonzero(silent_gaps(sent, missing) & (asleep == 0))
    inside = (sent[lost] >= clock.cycle[0]) & (sent[lost + 1] <= clock.cycle[-1])
    edges = np.stack([sent[lost[inside]], sent[lost[inside] + 1]])
    known = sorted_unique(np.concatenate([clock.cycle, edges.ravel()]))
    table = fill_frames(known, np.isin(known[:-1], edges[0]), before, after)
    awake, resets = _awake(table.cycle, sent, asleep, reset_frames, residual)
    return FrameTable(
        table.cycle, table.listed[np.searchsorted(known, clock.cycle)], table.gap, awake, resets
    )


def _awake(
    cycle: Numbers, sent: Numbers, asleep: Reals, reset_frames: int, residual: float
) -> tuple[Reals, int]:
    """Share of each frame that no reset of the event buffer has taken, and the number of resets."""
    awake = np.ones(len(cycle))
    if not reset_frames:
        return awake, 0
    # Frame periods between those sent, with the share that a reset left.
    between = np.clip(np.searchsorted(sent, cycle) - 1, 0, max(len(asleep) - 1, 0))
    next_sent = sent[np.minimum(between + 1, len(sent) - 1)]
    inside = (cycle > sent[between]) & (cycle < next_sent)
    awake[inside] -= asleep[between[inside]]
    resets = round(float((1.0 - awake).sum()) / reset_frames)
    # The buffer was full before the last frame that was sent had been read (assumed of its share).
    before_reset, taken = sent[:-1][asleep > 0], np.minimum(asleep[asleep > 0], 1.0)
    row = np.minimum(np.searchsorted(cycle, before_reset), len(cycle) - 1)
    here = cycle[row] == before_reset
    awake[row[here]] -= (1.0 - residual) * taken[here]
    return awake, resets


def left_on_board(
    listed: ListedFrames, clock: FrameClock, table: FrameTable, quadrant: Quadrant, warn: Warn
) -> Reals:
    """Per frame, the share of columns left by the rejection of particles on board (FC1)."""
    if not len(quadrant.record):
        warn("noAUX2forCCD", f"no counters of lines discarded in quadrant {quadrant.number}")
        return np.ones(len(table.cycle))
    inside = np.clip(table.cycle, clock.cycle[0], clock.cycle[-1])
    cycle = np.floor(np.interp(inside, clock.cycle, listed.cycle) + 1e-6).astype(np.int64)
    index, covered = counter_record(cycle + table.cycle - inside, quadrant.record)
    if covered.mean() < 0.5:
        warn("noAUX2forCCD", f"the counters do not cover the frames of quadrant {quadrant.number}")
    return np.where(covered, quadrant.left[index], np.mean(quadrant.left))


def times_of_records(
    cycle: Numbers, listed: ListedFrames, clock: FrameClock, table: FrameTable, time_s: Reals
) -> Reals:
    """Times of the frames that counter records begin with.

    Parameters
    ----------
    cycle
        CYCLE of the records.
    time_s
        Time of each frame of the table.
    """
    # CYCLE of the telemetry -> frame periods of the clock -> time, with one period per cycle at the ends.
    inside = np.clip(cycle, listed.cycle[0], listed.cycle[-1])
    period = np.interp(inside, listed.cycle, clock.cycle) + cycle - inside
    within = np.clip(period, table.cycle[0], table.cycle[-1])
    return np.interp(within, table.cycle, time_s) + clock.step_s * (period - within)
