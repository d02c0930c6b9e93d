"""Numbers and stamps of the frames in a MOS auxiliary file: which fit, and where the frames lie.

Source: manual of emframes (subroutine FRAMES).

Parameters
----------
number
    Frame numbers of the rows, shape (n,).
stamp_s
    Times of the rows [mission time], shape (n,).
time_s
    Times of the rows [s], shape (n,).
length_s
    Frame time [s].
nominal_s
    Frame time that is expected [s].
header_s
    Frame time of the header [s].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.odf.mos_clock import measure_frame_time

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
#: A frame this much (in frame times) off its place has an aberrant time.
_ABERRANT = 0.25


def valid_rows(number: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Rows whose frame numbers fit in a rising sequence; damaged ones stand out of their neighbours.

    Raises
    ------
    TaskError
        ``frames05``: the numbers do not rise anywhere.
    """
    number = np.asarray(number, np.int64)
    if len(number) < 2:
        return np.ones(len(number), bool)
    from scipy.ndimage import median_filter

    keep = np.ones(len(number), bool)
    if not (np.diff(number) > 0).all():
        keep = number == median_filter(number, 5, mode="nearest")
        # A damaged number spoils the medians of its neighbours: those between the ones kept come back.
        largest, smallest = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        before = np.maximum.accumulate(np.where(keep, number, smallest))
        after = np.minimum.accumulate(np.where(keep, number, largest)[::-1])[::-1]
        keep |= (number > before) & (number < after) & (before > smallest) & (after < largest)
        index = np.flatnonzero(keep)
        while len(index) > 1:
            rising = np.append(True, np.diff(number[index]) > 0)
            if rising.all():
                break
            index = index[rising]
        keep = np.zeros(len(number), bool)
        keep[index] = True
    if keep.sum() < 2:
        raise TaskError("frames05", "non-increasing frame numbers over the entire file")
    return keep


def common_step(time_s: npt.ArrayLike, nominal_s: float) -> float | None:
    """Frame time near a nominal one of which nearly all steps are multiples; None if none fits.

    While a CCD counts instead of sending events, most of its frames are not sent, nor do their numbers count.
    """
    step = np.diff(np.asarray(time_s, float))
    step = step[step > 0.5 * nominal_s]
    if not len(step) or not nominal_s > 0:
        return None
    smallest = float(step.min())
    low, high = (int(np.ceil(smallest / (nominal_s * f))) for f in (1.1, 0.9))
    fits: list[tuple[float, float]] = []
    for divisor in range(max(low, 1), high + 1):
        length = smallest / divisor
        if abs(length / nominal_s - 1) > 0.1:
            continue
        multiple = np.round(step / length)
        close = np.abs(step - multiple * length) < 0.02 * length
        if close.mean() >= 0.8:
            fits.append((float(close.mean()), float(step[close].sum() / multiple[close].sum())))
    return max(fits)[1] if fits else None


def place_sparse(time_s: npt.ArrayLike, length_s: float) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Places of frames on a grid of frame times, by their times alone, and which times are aberrant.

    Rows with an aberrant time are put right behind the one before.
    """
    time = np.asarray(time_s, float)
    place = np.round((time - time[0]) / length_s).astype(np.int64)
    aberrant = ~valid_rows(place) if len(place) > 1 else np.zeros(len(place), bool)
    for i in np.flatnonzero(aberrant):
        place[i] = place[i - 1] + 1 if i else place[i + 1] - 1
    return place, aberrant


@dataclass(frozen=True)
class FrameTime:
    """The frame time of a CCD [s], whether its stamps show it, and whether the CCD counts frames unsent."""

    length_s: float
    measured: bool
    counting: bool


def frame_time(number: IntArray, stamp_s: FloatArray, header_s: float) -> FrameTime:
    """Frame time by the stamps of the rows of an auxiliary file, else by the header."""
    measured = measure_frame_time(number, stamp_s)
    off = np.abs(np.diff(stamp_s) - np.diff(number) * header_s) > _ABERRANT * header_s
    # A CCD that sends every tenth frame has steady steps, too.
    unlike = measured is None or measured > 1.5 * header_s > 0
    sparse = common_step(stamp_s, header_s) if unlike and off.any() else None
    if sparse is not None:
        return FrameTime(sparse, True, True)
    return FrameTime(measured or header_s, measured is not None, False)


@dataclass(frozen=True)
class Places:
    """Where the rows of an auxiliary file lie in the table; arrays of one length.

    Attributes
    ----------
    number
        Frame numbers, corrected for those that were lost.
    end_s
        Ends of the integrations, without the delay of the stamps; corrected where the stamp is aberrant.
    aberrant
        Rows whose stamp does not fit.
    """

    number: IntArray
    end_s: FloatArray
    aberrant: npt.NDArray[np.bool_]


def place_counting(number: IntArray, stamp_s: FloatArray, length_s: float) -> Places:
    """Places of the frames of a CCD that counts: on a grid, by their stamps alone."""
    place, aberrant = place_sparse(stamp_s, length_s)
    new = number[0] + place
    # By the grid where a time is aberrant.
    phase = np.where(aberrant, stamp_s[0] - number[0] * length_s, stamp_s - new * length_s)
    return Places(new, phase + new * length_s, aberrant)


def place_sending(number: IntArray, stamp_s: FloatArray, length_s: float) -> Places:
    """Places of the frames of a CCD that sends: by their numbers, which may jump wrongly."""
    from scipy.ndimage import median_filter

    phase = stamp_s - number * length_s
    steady = median_filter(phase, 5, mode="nearest") if len(phase) >= 5 else phase
    aberrant = np.abs(phase - steady) > _ABERRANT * length_s
    phase = np.where(aberrant, steady, phase)
    step = np.round(np.diff(phase, prepend=phase[:1]) / length_s).astype(np.int64)
    # A number may not fall back behind the one before.
    step = np.where(np.diff(number, prepend=number[:1] - 1) + step < 1, 0, step)
    new = number + np.cumsum(step)
    return Places(new, phase - np.cumsum(step) * length_s + new * length_s, aberrant)
