"""Frames of the pn camera: empty and lost ones, good-time intervals, lost columns and live fractions.

Source: epframes and epexposure manuals. Only frames that hold events are listed in the auxiliary file; the
empty ones between them are filled in from the constant frame step.

Parameters
----------
n_frames
    Number of frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI

#: Columns of a CCD, each with its own amplifier.
N_COLUMNS = 64
#: MIPs in a frame from which mipmethod "com" gives up the whole frame.
_MIPS_PER_FRAME = 5
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
    """Distinct integers in order; for long, nearly sorted arrays faster than hashing them.

    Parameters
    ----------
    values
        The integers, shape (n,).
    """
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
