"""The clock of a pn CCD: time stamps of its listed frames, unwrapped and repaired.

Source: epframes manual; M. Freyberg's note on pn time jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: So many stamps in a row may be wrong together (assumed); more are a restart of the read-out.
_MOST_STRAYS = 3
#: A longer silence cuts a stretch of stamps [s].
_SILENT_S = 10.0
#: Drift of the clock across long silences.
_DRIFT = 1e-5
Reals = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


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
        False for stamps that are known not to be measured (coarse time 0xFFFF).

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
    rhythm = _Rhythm(_measured_step(times, step_s, tolerance_s), tolerance_s)
    credible = _credible(times, rhythm)
    valid[used[~credible]] = False
    used, times = used[credible], times[credible]
    times, shifts = _without_jumps(times, rhythm)
    cycle = np.zeros(len(stamp), np.int64)
    cycle[used] = np.concatenate(
        [[0], np.cumsum(np.maximum(np.rint(np.diff(times) / rhythm.step_s).astype(np.int64), 1))]
    )
    stamp[used] = times
    lost = np.flatnonzero(~valid)
    if len(lost):
        _recover(lost, used, number, stamp, cycle, valid, rhythm.step_s)
    jumps = int(np.count_nonzero(~credible)) + shifts
    return FrameClock(stamp, cycle, valid, rhythm.step_s, jumps)


@dataclass(frozen=True)
class _Rhythm:
    """How stamps follow each other: the measured frame period, and how far from it they may be [s]."""

    step_s: float
    tolerance_s: float

    def broken(self, dt: Reals) -> Flags:
        """Whether differences are not those of frames that follow each other."""
        # Half a fine-time unit of jitter at each end, and a drift across long silences.
        off = np.abs(dt - self.step_s * np.rint(dt / self.step_s))
        return np.asarray((dt < self.step_s / 2) | (off > self.tolerance_s + _DRIFT * np.abs(dt)))

    def jumps(self, dt: Reals) -> Reals:
        """Seconds to add after broken differences, 0 where no known kind of jump explains one."""
        found = np.zeros(len(dt))
        step = self.step_s
        for shift in (-1.0, 1.0, *(2.0**n + 1 for n in range(16))):
            mended = dt + shift
            fits = (mended > step / 2) & (mended < np.maximum(np.abs(dt), 64 * step))
            fits &= np.abs(mended - step * np.rint(mended / step)) <= self.tolerance_s
            found[(found == 0) & fits] = shift
        return found


def _measured_step(times: Reals, step_s: float, tolerance_s: float) -> float:
    """Mean frame period from the stamps that follow each other closely."""
    step = np.diff(times)
    n = np.rint(step / step_s)
    near = (n >= 1) & (n <= 20) & (np.abs(step - n * step_s) <= tolerance_s)
    if np.count_nonzero(near) < 10:
        return step_s
    return float(step[near].sum() / n[near].sum())


def _credible(times: Reals, rhythm: _Rhythm) -> Flags:
    """Stamps that are neither alone nor in a short group out of step with those around them."""
    credible = np.ones(len(times), bool)
    if len(times) <= 2:
        return credible
    broken = rhythm.broken(np.diff(times))
    lone = np.flatnonzero(broken[:-1] & broken[1:]) + 1
    credible[lone[~rhythm.broken(times[lone + 1] - times[lone - 1])]] = False
    credible[credible] = ~_strays(times[credible], rhythm)
    return credible


def _strays(times: Reals, rhythm: _Rhythm) -> Flags:
    """Short groups of stamps out of step with long ones on both sides, or before or behind all others."""
    stray = np.zeros(len(times), bool)
    step = np.diff(times)
    wrong = rhythm.broken(step)
    # A stamp far ahead may lie a whole number of frames off.
    edge = np.concatenate([[-1], np.flatnonzero(wrong | (step > _SILENT_S)), [len(times) - 1]])
    begin, end = edge[:-1] + 1, edge[1:]
    long = np.flatnonzero(end - begin >= _MOST_STRAYS)
    if not len(long):
        return stray
    begin, end = begin[long], end[long]
    for last, first in zip(end[:-1], begin[1:], strict=True):
        few, joined = 1 < first - last <= _MOST_STRAYS + 1, times[first : first + 1] - times[last]
        if few and wrong[last:first].any() and not rhythm.broken(joined).any():
            stray[last + 1 : first] = True

    def unexplained(at: int) -> bool:
        return bool(wrong[at]) and not rhythm.jumps(step[at : at + 1]).any()

    first, last = int(begin[0]), int(end[-1])
    if 0 < first <= _MOST_STRAYS and unexplained(first - 1):
        stray[:first] = True
    if 0 < len(times) - 1 - last <= _MOST_STRAYS and unexplained(last):
        stray[last + 1 :] = True
    return stray


def _without_jumps(times: Reals, rhythm: _Rhythm) -> tuple[Reals, int]:
    """Stamps without lasting jumps, and how many there were."""
    dt = np.diff(times)
    broken = np.flatnonzero(rhythm.broken(dt))
    shift = rhythm.jumps(dt[broken])
    # A backward step that no known jump explains: the frame follows its predecessor.
    shift = np.where((shift == 0) & (dt[broken] < rhythm.step_s / 2), rhythm.step_s - dt[broken], shift)
    later = np.zeros(len(times))
    later[broken + 1] = shift
    return times + np.cumsum(later), int(np.count_nonzero(shift))


def _recover(
    lost: Numbers, used: Numbers, number: Numbers, stamp: Reals, cycle: Numbers, valid: Flags, step_s: float
) -> None:
    """Place the frames whose stamps are not used between those that are, in place.

    Parameters
    ----------
    lost, used
        Indices of both.
    number
        FRAME counters.
    stamp, cycle, valid
        As in :class:`FrameClock`, known for those used.
    """
    ahead = np.searchsorted(used, lost)
    before, after = used[np.maximum(ahead - 1, 0)], used[np.minimum(ahead, len(used) - 1)]
    inside = (ahead > 0) & (ahead < len(used))
    since = number[lost] - number[before]
    span_number, span_cycle = number[after] - number[before], cycle[after] - cycle[before]
    # Outside the listed range the counter is all there is.
    guess = cycle[before] + since
    rate = np.divide(span_cycle, span_number, out=np.ones(len(lost)), where=span_number > 0)
    guess[inside] = (cycle[before] + np.rint(since * rate).astype(np.int64))[inside]
    cycle[lost] = guess
    stamp[lost] = stamp[before] + (guess - cycle[before]) * step_s
    valid[lost] = inside & (span_number == span_cycle)
