"""How lines of a frame count time in timing and burst mode of the pn.

Source: epframes manual (fine time), Kuster et al. (1999, SPIE 3765) for the clocks; the law of the times
stands in :mod:`daxa.xmm.formats.ccf`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
#: SUBMODEs whose rows are lines in time.
FAST_MODES = ("FastTiming", "FastBurst")
#: Frames over which the rounding of time stamps is averaged.
_AVERAGED_FRAMES = 1001


@dataclass(frozen=True)
class LineClock:
    """How lines of a frame count time.

    Attributes
    ----------
    line_s
        Time from line to line [s].
    line_rows
        Rows of the CCD that are collected in one line.
    n_lines
        Lines of a frame.
    correction_s
        What is added to the time stamp to get the arrival of photons that need no shifting and are read in
        line 0 [s].
    """

    line_s: float
    line_rows: float
    n_lines: int
    correction_s: float

    def transfer_s(self, source_row: float) -> float:
        """Time in which charge from a row reaches the read-out [s], in whole lines as TIME counts it.

        Parameters
        ----------
        source_row
            The row.
        """
        # Rounded first: the quotient of two calibration times is a whole number but for its last digits.
        return self.line_s * float(np.floor(round(source_row / self.line_rows, 6)))

    def event_times(self, stamp_s: npt.ArrayLike, line: npt.ArrayLike, source_row: float) -> FloatArray:
        """Arrival times of photons from a source [s].

        Parameters
        ----------
        stamp_s
            Per event, time stamp of its frame [s].
        line
            Line as telemetered, from 0.
        source_row
            RAWY of the source on the CCD (SRCPOS).
        """
        later = np.asarray(line, float) * self.line_s - self.transfer_s(source_row) + self.correction_s
        return np.asarray(stamp_s, float) + later


def steady_stamps(
    stamp_s: npt.ArrayLike, cycle: npt.ArrayLike, valid: npt.ArrayLike, step_s: float, unit_s: float
) -> FloatArray:
    """Time stamps without the steps of the counter that they were read from.

    Lines are much shorter than a unit of the fine time in burst mode, and as long in timing mode; but the
    frames follow each other evenly, so that many stamps together tell when they were read.

    Parameters
    ----------
    stamp_s
        Unwrapped stamps, increasing [s].
    cycle
        Frame periods since the first one.
    valid
        Stamps that are measurements; the others are left as they are.
    step_s
        Measured frame period [s].
    unit_s
        Unit of the fine time [s]. A counter shows whole units, half of one has passed on average.

    Notes
    -----
    Where the deviation from the even sequence changes by more than four units the read-out was started
    again; each such part is averaged on its own.
    """
    from scipy.ndimage import uniform_filter1d

    stamp, cycle = np.array(stamp_s, float), np.asarray(cycle, np.int64)
    chosen = np.flatnonzero(np.asarray(valid, bool))
    if not len(chosen):
        return stamp
    even = step_s * cycle[chosen]
    rest = stamp[chosen] - even
    parts = np.flatnonzero(np.abs(np.diff(rest)) > 4 * unit_s) + 1
    for part in np.split(np.arange(len(chosen)), parts):
        # The mean period is not exact: a straight line is taken out, and only what is left is averaged.
        since = cycle[chosen[part]] - cycle[chosen[part[0]]]
        line = np.polyval(np.polyfit(since, rest[part], min(1, len(part) - 1)), since)
        smooth = uniform_filter1d(rest[part] - line, min(_AVERAGED_FRAMES, len(part)), mode="reflect")
        stamp[chosen[part]] = even[part] + line + smooth
    return stamp + unit_s / 2
