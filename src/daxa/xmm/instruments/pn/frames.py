"""Frames of the pn camera: their times, good-time intervals, lost columns and live fractions.

Source: epframes and epexposure manuals; M. Freyberg's note on pn time jumps for the repair of time
stamps. Only frames that hold events are listed in the auxiliary file; the empty ones between them are
filled in from the constant frame step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI

#: Columns of a CCD, each with its own amplifier.
N_COLUMNS = 64
#: MIPs in a frame from which mipmethod "com" gives up the whole frame.
_MIPS_PER_FRAME = 5
#: So many stamps in a row may be wrong together (assumed); more are a restart of the read-out.
_MOST_STRAYS = 3
#: A longer silence cuts a stretch of stamps [s].
_SILENT_S = 10.0
#: Chance of a false alarm that lets a silent gap count as lost telemetry rather than as empty frames.
_SILENCE = 1e-9
#: The same beside a counter record that did not arrive.
_SHORT_SILENCE = 0.01
#: Gaps shorter than that many frames are examined for resets of the event buffer; fewest of one length, and
#: by how many standard deviations they must stand out, in the whole camera and in a quadrant.
_LONGEST_GAP, _FEWEST_RESETS, _RESET_SIGMAS, _QUADRANT_SIGMAS = 32, 8, 4.0, 1.5
#: The same in the whole camera for the length that the calibration gives.
_EXPECTED_SIGMAS = 3.0


@dataclass(frozen=True)
class FrameClock:
    """Repaired time stamps of the listed frames.

    Attributes
    ----------
    stamp_s
        Time stamps, unwrapped, without jumps, increasing [s].
    cycle
        Number of frame periods since the first listed frame.
    valid
        False where the stamp is not a measurement and could not be recovered exactly.
    step_s
        Measured frame period [s].
    jumps
        Number of time jumps removed.
    """

    stamp_s: npt.NDArray[np.float64]
    cycle: npt.NDArray[np.int64]
    valid: npt.NDArray[np.bool_]
    step_s: float
    jumps: int


def frame_clock(
    number: npt.ArrayLike,
    stamp_s: npt.ArrayLike,
    step_s: float,
    tolerance_s: float,
    wrap_s: float,
    valid: npt.ArrayLike | None = None,
) -> FrameClock:
    """Unwrap and repair the time stamps of the listed frames of a CCD.

    Parameters
    ----------
    number
        FRAME counters, increasing.
    stamp_s
        Time stamps as telemetered, modulo ``wrap_s`` [s].
    step_s
        Nominal frame period [s].
    tolerance_s
        How far a time difference may be from a multiple of the period (EPN_TIMEJUMPTOL) [s].
    wrap_s
        Period after which the counter starts again [s].
    valid
        False for stamps known to be no measurement (coarse time 0xFFFF).

    Notes
    -----
    A single stamp out of step between two regular ones is replaced, and so are up to three in a row, or at
    either end, that long regular stretches disagree with. Lasting jumps by a whole
    number of seconds (+1, or back by 2^n + 1) are taken out of all later stamps. Any other break is a
    restart of the read-out and stays.
    """
    number = np.asarray(number, np.int64)
    stamp = np.array(stamp_s, np.float64)
    valid = np.ones(len(stamp), bool) if valid is None else np.array(valid, bool)
    if not valid.any():
        return FrameClock(stamp, np.zeros(len(stamp), np.int64), valid, step_s, 0)
    used = np.flatnonzero(valid)
    times = stamp[used]
    times += wrap_s * np.concatenate([[0], np.cumsum(np.diff(times) < -wrap_s / 2)])
    step = _measured_step(times, step_s, tolerance_s)

    def irregular(dt: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        # Half a fine-time unit of jitter at each end, and a drift of 1e-5 across long silences.
        off = np.abs(dt - step * np.rint(dt / step))
        return (dt < step / 2) | (off > tolerance_s + 1e-5 * np.abs(dt))

    jumps = 0
    if len(times) > 2:
        bad = irregular(np.diff(times))
        lone = np.flatnonzero(bad[:-1] & bad[1:]) + 1
        lone = lone[~irregular(times[lone + 1] - times[lone - 1])]
        jumps += len(lone)
        valid[used[lone]] = False
        keep = np.ones(len(used), bool)
        keep[lone] = False
        used, times = used[keep], times[keep]
        keep = ~_strays(times, irregular, lambda dt: _jumps(dt, step, tolerance_s) != 0)
        jumps += int(np.count_nonzero(~keep))
        valid[used[~keep]] = False
        used, times = used[keep], times[keep]
    dt = np.diff(times)
    broken = np.flatnonzero(irregular(dt))
    shift = _jumps(dt[broken], step, tolerance_s)
    # A backward step that no known jump explains: the frame follows its predecessor.
    shift = np.where((shift == 0) & (dt[broken] < step / 2), step - dt[broken], shift)
    jumps += int(np.count_nonzero(shift))
    later = np.zeros(len(times))
    later[broken + 1] = shift
    times = times + np.cumsum(later)
    steps = np.maximum(np.rint(np.diff(times) / step).astype(np.int64), 1)
    cycles = np.concatenate([[0], np.cumsum(steps)])
    stamp[used] = times
    cycle = np.zeros(len(stamp), np.int64)
    cycle[used] = cycles
    lost = np.flatnonzero(~valid)
    if len(lost):
        ahead = np.searchsorted(used, lost)
        before, after = np.maximum(ahead - 1, 0), np.minimum(ahead, len(used) - 1)
        inside = (ahead > 0) & (ahead < len(used))
        span_number = number[used[after]] - number[used[before]]
        span_cycle = cycles[after] - cycles[before]
        # Outside the listed range the counter is all there is.
        guess = cycles[before] + (number[lost] - number[used[before]])
        rate = np.divide(span_cycle, span_number, out=np.ones(len(lost)), where=span_number > 0)
        guess[inside] = cycles[before][inside] + np.rint(
            (number[lost] - number[used[before]])[inside] * rate[inside]
        ).astype(np.int64)
        cycle[lost] = guess
        stamp[lost] = times[before] + (guess - cycles[before]) * step
        valid[lost] = inside & (span_number == span_cycle)
    return FrameClock(stamp, cycle, valid, step, jumps)


def _strays(
    times: npt.NDArray[np.float64],
    irregular: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.bool_]],
    explained: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.bool_]],
) -> npt.NDArray[np.bool_]:
    """Short groups of stamps out of step with long ones on both sides, or before or behind all others."""
    stray = np.zeros(len(times), bool)
    dt = np.diff(times)
    wrong = irregular(dt)
    # A stamp far ahead may lie a whole number of frames off.
    edge = np.concatenate([[-1], np.flatnonzero(wrong | (dt > _SILENT_S)), [len(times) - 1]])
    begin, end = edge[:-1] + 1, edge[1:]
    long = np.flatnonzero(end - begin >= _MOST_STRAYS)
    if not len(long):
        return stray
    begin, end = begin[long], end[long]
    for last, first in zip(end[:-1], begin[1:], strict=True):
        few, joined = 1 < first - last <= _MOST_STRAYS + 1, times[first : first + 1] - times[last]
        if few and wrong[last:first].any() and not irregular(joined).any():
            stray[last + 1 : first] = True
    first, last = int(begin[0]), int(end[-1])
    if 0 < first <= _MOST_STRAYS and wrong[first - 1] and not explained(dt[first - 1 : first]).any():
        stray[:first] = True
    if 0 < len(times) - 1 - last <= _MOST_STRAYS and wrong[last] and not explained(dt[last : last + 1]).any():
        stray[last + 1 :] = True
    return stray


def _measured_step(times: npt.NDArray[np.float64], step_s: float, tolerance_s: float) -> float:
    """Mean frame period from the stamps that follow each other closely."""
    dt = np.diff(times)
    n = np.rint(dt / step_s)
    near = (n >= 1) & (n <= 20) & (np.abs(dt - n * step_s) <= tolerance_s)
    if np.count_nonzero(near) < 10:
        return step_s
    return float(dt[near].sum() / n[near].sum())


def _jumps(dt: npt.NDArray[np.float64], step: float, tolerance: float) -> npt.NDArray[np.float64]:
    """Seconds to add after irregular differences ``dt``, 0 where no known kind of jump explains one."""
    found = np.zeros(len(dt))
    for shift in (-1.0, 1.0, *(2.0**n + 1 for n in range(16))):
        mended = dt + shift
        fits = (mended > step / 2) & (mended < np.maximum(np.abs(dt), 64 * step))
        fits &= np.abs(mended - step * np.rint(mended / step)) <= tolerance
        found[(found == 0) & fits] = shift
    return found


@dataclass(frozen=True)
class FrameTable:
    """All frames of a CCD, empty ones included, without those lost to telemetry gaps.

    Attributes
    ----------
    cycle
        Frame periods since the first listed frame, increasing.
    listed
        Row of each listed frame.
    gap
        Per row: whether time was lost between the row before and this one.
    awake
        Per row: probable share of the frame that no reset of the event buffer has taken.
    resets
        Number of resets.
    """

    cycle: npt.NDArray[np.int64]
    listed: npt.NDArray[np.int64]
    gap: npt.NDArray[np.bool_]
    awake: npt.NDArray[np.float64] | float = 1.0
    resets: int = 0


def fill_frames(cycle: npt.ArrayLike, lost: npt.ArrayLike, before: int = 0, after: int = 0) -> FrameTable:
    """Put the empty frames between the listed ones, and ahead of the first and behind the last.

    Parameters
    ----------
    cycle
        Frame periods since the first listed frame, increasing.
    lost
        Per pair of neighbours: whether the frames between them were lost, not empty.
    before, after
        Empty frames at either end.
    """
    cycle, lost = np.asarray(cycle, np.int64), np.asarray(lost, bool)
    if not len(cycle):
        return FrameTable(cycle, np.empty(0, np.int64), np.empty(0, bool))
    ahead = np.where(lost, 1, np.diff(cycle))
    listed = np.concatenate([[0], np.cumsum(ahead)])
    anchor = np.zeros(listed[-1] + 1, np.int64)
    anchor[listed[1:]] = 1
    owner = np.cumsum(anchor)
    rows = cycle[owner] + np.arange(len(anchor)) - listed[owner]
    gap = np.zeros(len(rows), bool)
    gap[listed[1:][lost & (np.diff(cycle) > 1)]] = True
    rows = np.concatenate([rows[0] + np.arange(-before, 0), rows, rows[-1] + np.arange(1, after + 1)])
    gap = np.concatenate([np.zeros(before, bool), gap, np.zeros(after, bool)])
    return FrameTable(rows, listed + before, gap)


def sorted_unique(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Distinct integers in order; for long, nearly sorted arrays faster than hashing them."""
    ordered = np.sort(np.asarray(values, np.int64), kind="stable")
    if not len(ordered):
        return ordered
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]


def silent_gaps(cycle: npt.ArrayLike, missing: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
    """Gaps between listed frames that are too long to be a run of empty frames at the rate of the exposure.

    Parameters
    ----------
    cycle
        Frame periods of frames known to have been sent, increasing.
    missing
        Per pair of neighbours: whether a counter record between them is missing, which makes lost telemetry
        likely beforehand.

    Notes
    -----
    With a share p of frames occupied, n empty ones in a row have the probability (1 - p)^n.
    """
    cycle = np.asarray(cycle, np.int64)
    if len(cycle) < 2:
        return np.zeros(0, bool)
    ahead = np.diff(cycle)
    # The median spacing is not moved by the gaps themselves.
    short = ahead[ahead <= 20 * np.median(ahead)]
    occupied = min(len(short) / short.sum(), 1 - 1e-3)
    longest = np.log(_SILENCE / len(cycle)) / np.log1p(-occupied)
    silent = ahead > max(longest, 3)
    if missing is not None:
        silent |= missing & (ahead > max(np.log(_SHORT_SILENCE) / np.log1p(-occupied), 3))
    return silent


def gap_lengths(cycle: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Numbers of gaps by the number of silent frames in them.

    Parameters
    ----------
    cycle
        Frame periods of frames known to have been sent by a quadrant, increasing.
    """
    silent = np.diff(np.asarray(cycle, np.int64)) - 1
    return np.bincount(silent[(silent >= 0) & (silent < _LONGEST_GAP)], minlength=_LONGEST_GAP)


def _excess(number: npt.NDArray[np.int64], length: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """By how many standard deviations a length is more frequent than the geometric mean of its neighbours."""
    length = np.asarray(length)
    counts = [np.maximum(number[length + step], 1).astype(float) for step in (-1, 0, 1)]
    variance = sum(weight / n for weight, n in zip((0.25, 1.0, 0.25), counts, strict=True))
    return (np.log(counts[1]) - (np.log(counts[0]) + np.log(counts[2])) / 2) / np.sqrt(variance)


def reset_length(number: npt.ArrayLike, expected: int = 0) -> int:
    """Frames that a reset of the event buffer (FIFO) takes, 0 if there are none to be seen.

    Runs of empty frames become rarer with their length like a sum of geometric series, whatever the rates do.
    A length that exceeds the geometric mean of its two neighbours, which no such sum can, is that of resets.

    Parameters
    ----------
    number
        Numbers of gaps by length, of all quadrants (:func:`gap_lengths`).
    expected
        The length by the calibration, if it is known: then no other length is looked at.
    """
    number = np.asarray(number, np.int64)
    if 2 <= expected < _LONGEST_GAP // 2:
        seen = number[expected] >= _FEWEST_RESETS and _excess(number, expected) > _EXPECTED_SIGMAS
        return expected if seen else 0
    lengths = np.arange(2, _LONGEST_GAP // 2)
    excess = np.where(number[lengths] >= _FEWEST_RESETS, _excess(number, lengths), 0.0)
    return int(lengths[np.argmax(excess)]) if excess.max() > _RESET_SIGMAS else 0


def buffer_resets(cycle: npt.ArrayLike, length: int) -> npt.NDArray[np.float64]:
    """Gaps left by resets of a quadrant's event buffer.

    Parameters
    ----------
    cycle
        Frame periods of frames known to have been sent by the quadrant, increasing.
    length
        Frames that a reset takes (:func:`reset_length`); 0: there are none.

    Returns
    -------
    array
        Per pair of neighbours, the share of the frames between them that a reset has probably taken.
    """
    silent = np.diff(np.asarray(cycle, np.int64)) - 1
    share = np.zeros(max(len(silent), 0))
    number = gap_lengths(cycle)
    if not length or number[length] < _FEWEST_RESETS or _excess(number, length) < _QUADRANT_SIGMAS:
        return share
    # Some gaps of each length are empty frames, too; the shorter gaps tell how many.
    below, above = number[length - 1], number[length - 2]
    span = np.arange(length, 2 * length)
    empty = below * (below / max(above, 1)) ** (span - length + 1)
    taken = np.clip(1.0 - empty / np.maximum(number[span], 1), 0.0, 1.0) * length / span
    chosen = (silent >= length) & (silent < 2 * length)
    share[chosen] = taken[silent[chosen] - length]
    return share


def missing_records(cycle: npt.ArrayLike, record_cycle: npt.ArrayLike, period: int) -> npt.NDArray[np.bool_]:
    """Pairs of neighbouring frames between which a counter record is missing.

    Parameters
    ----------
    cycle
        CYCLE of frames, increasing.
    record_cycle
        CYCLE of the records, increasing.
    period
        Cycles that a record covers.
    """
    cycle, record = np.asarray(cycle, np.int64), np.asarray(record_cycle, np.int64)
    holes = np.diff(record) > period
    # The frames on either side of the middle of the hole are the ones that the lost telemetry lies between.
    middle = (record[:-1][holes] + period + record[1:][holes]) // 2
    pair = np.searchsorted(cycle, middle, side="right") - 1
    missing = np.zeros(max(len(cycle) - 1, 0), bool)
    missing[pair[(pair >= 0) & (pair < len(missing))]] = True
    return missing


def counter_record(
    cycle: npt.ArrayLike, record_cycle: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Counter record (PNAUX2 row of the quadrant) that each frame belongs to.

    Parameters
    ----------
    cycle
        CYCLE of each frame.
    record_cycle
        CYCLE of each record, increasing; a record holds until the next one is due.

    Returns
    -------
    index, covered
        Row of the record, and whether it covers the frame.
    """
    cycle, record_cycle = np.asarray(cycle), np.asarray(record_cycle)
    if not len(record_cycle):
        return np.zeros(len(cycle), np.int64), np.zeros(len(cycle), bool)
    period = int(np.median(np.diff(record_cycle))) if len(record_cycle) > 1 else 1
    index = np.searchsorted(record_cycle, cycle, side="right") - 1
    covered = (index >= 0) & (cycle - record_cycle[np.maximum(index, 0)] < period)
    return np.maximum(index, 0), covered


def discarded_fraction(discarded_lines: npt.ArrayLike, n_ccds: int, n_frames: int) -> npt.NDArray[np.float64]:
    """FC1: share of columns left by the rejection of MIPs on board.

    Parameters
    ----------
    discarded_lines
        NDISCLIN: columns of a quadrant discarded in ``n_frames`` cycles (An_MAXFRC).
    n_ccds
        Active CCDs of the quadrant.
    """
    lines = np.asarray(discarded_lines, np.float64)
    return np.clip(1.0 - lines / (N_COLUMNS * max(n_ccds, 1) * max(n_frames, 1)), 0.0, 1.0)


@dataclass(frozen=True)
class MipRejection:
    """Result of :func:`reject_mips`.

    Attributes
    ----------
    associated
        Per event: it is a MIP or lies in a column given up because of one.
    lost_columns
        Per frame: number of columns given up (FDISCLIN).
    column_counts
        Per column (64): how often it was given up (DLISAS).
    """

    associated: npt.NDArray[np.bool_]
    lost_columns: npt.NDArray[np.int64]
    column_counts: npt.NDArray[np.int64]


def reject_mips(
    frame: npt.ArrayLike,
    rawx: npt.ArrayLike,
    pha: npt.ArrayLike,
    n_frames: int,
    threshold: float,
    method: str = "onboard",
) -> MipRejection:
    """Find minimum ionising particles and the columns they spoil.

    Parameters
    ----------
    frame, rawx, pha
        Row of the frame (0 to n_frames - 1), column (1..64) and amplitude of each event.
    threshold
        Amplitude [adu] from which an event is a MIP.
    method
        ``none``: the MIP itself; ``sas``: its column in that frame; ``onboard``: also the two columns
        beside it; ``com``: as onboard, and the whole frame from five MIPs on.

    Raises
    ------
    ValueError
        Unknown method.
    """
    if method not in ("none", "sas", "com", "onboard"):
        raise ValueError(f"mipmethod: expected none, sas, com or onboard, got {method!r}")
    frame, rawx, pha = np.asarray(frame, np.int64), np.asarray(rawx, np.int64), np.asarray(pha)
    mip = pha >= threshold
    if method == "none" or not mip.any():
        return MipRejection(mip, np.zeros(n_frames, np.int64), np.zeros(N_COLUMNS, np.int64))
    reach = (0,) if method == "sas" else (-1, 0, 1)
    spoiled = frame[mip], rawx[mip]
    pairs = [np.stack([spoiled[0], spoiled[1] + d]) for d in reach]
    if method == "com":
        full = np.flatnonzero(np.bincount(spoiled[0], minlength=n_frames) >= _MIPS_PER_FRAME)
        pairs.append(np.stack([np.repeat(full, N_COLUMNS), np.tile(np.arange(1, N_COLUMNS + 1), len(full))]))
    frames, columns = np.concatenate(pairs, axis=1)
    inside = (columns >= 1) & (columns <= N_COLUMNS)
    lost = np.unique(frames[inside] * 128 + columns[inside])
    key = frame * 128 + rawx
    at = np.minimum(np.searchsorted(lost, key), len(lost) - 1)
    return MipRejection(
        (lost[at] == key) | mip,
        np.bincount(lost >> 7, minlength=n_frames),
        np.bincount((lost & 127) - 1, minlength=N_COLUMNS),
    )


def good_times(time_s: npt.ArrayLike, good: npt.ArrayLike, gap: npt.ArrayLike, step_s: float) -> GTI:
    """Good-time intervals: the full cycles of good frames, joined where frames follow each other.

    Parameters
    ----------
    time_s
        Centre of each frame [s], increasing.
    good
        Whether the frame counts.
    gap
        Whether time was lost before the frame.
    step_s
        Frame period [s].
    """
    time, good, gap = np.asarray(time_s, float), np.asarray(good, bool), np.asarray(gap, bool)
    if not good.any():
        return GTI()
    before = np.concatenate([[False], good[:-1]])
    after = np.concatenate([good[1:], [False]])
    next_gap = np.concatenate([gap[1:], [True]])
    first = good & (~before | gap)
    last = good & (~after | next_gap)
    return GTI(time[first] - step_s / 2, time[last] + step_s / 2)


def out_of_order(frame: npt.ArrayLike, rawy: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Frames whose events do not come in the order of the read-out (row 1 first).

    Parameters
    ----------
    frame, rawy
        Frame and row of the events, in the order of the telemetry.
    """
    frame, rawy = np.asarray(frame), np.asarray(rawy)
    wrong = (frame[1:] == frame[:-1]) & (rawy[1:] < rawy[:-1])
    return np.unique(frame[1:][wrong])
