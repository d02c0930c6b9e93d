"""Which event of one list is which of another: by CCD, raw pixel and frame.

Positions and energies, which the comparison is about, are not used. Times may be off by a constant,
which is found first for each CCD: the most frequent difference of the times of events in the same pixel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
#: Largest constant difference of times that is looked for.
MAX_OFFSET_S = 20.0
_SAMPLE = 20_000
_MANY = 50


def _place(pixel: IntArray, time_s: FloatArray, step: float) -> FloatArray:
    """One number per event that puts pixels far apart and keeps times within a pixel."""
    return pixel * step + time_s


def time_offset(
    pixel_a: IntArray, time_a: FloatArray, pixel_b: IntArray, time_b: FloatArray, frame_s: float
) -> float:
    """Constant difference of times (B minus A, s) between two lists of the events of a CCD.

    Parameters
    ----------
    pixel_a, pixel_b
        Number of each event's pixel, shape (n,) and (m,).
    time_a, time_b
        Times [s], shape (n,) and (m,).
    frame_s
        Length of a frame: times may be spread by as much.

    Returns
    -------
    float
        0 if no pixel has events in both lists that are less than :data:`MAX_OFFSET_S` apart.
    """
    if not len(time_a) or not len(time_b):
        return 0.0
    zero = min(time_a.min(), time_b.min())
    step = max(time_a.max(), time_b.max()) - zero + 4 * MAX_OFFSET_S
    there = np.sort(_place(pixel_b, time_b - zero, step))
    here = np.sort(_place(pixel_a, time_a - zero, step))
    here = here[:: max(1, len(here) // _SAMPLE)]
    first = np.searchsorted(there, here - MAX_OFFSET_S)
    number = np.searchsorted(there, here + MAX_OFFSET_S) - first
    # Pixels that fire all the time tell nothing.
    use = (number > 0) & (number <= _MANY)
    first, number, here = first[use], number[use], here[use]
    if not len(first):
        return 0.0
    rank = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    difference = there[np.repeat(first, number) + rank] - np.repeat(here, number)
    width = max(frame_s, 0.01)
    bins = np.arange(-MAX_OFFSET_S - width, MAX_OFFSET_S + width, width / 8)
    counts = np.histogram(difference, bins)[0]
    best = int(np.argmax(np.convolve(counts, np.hanning(11)[1:-1], mode="same")))
    offset = float(bins[best] + width / 16)
    for _ in range(4):
        near = difference[np.abs(difference - offset) < width]
        if not len(near):
            break
        offset = float(np.median(near))
    return offset


def match_ccd(
    pixel_a: IntArray, time_a: FloatArray, pixel_b: IntArray, time_b: FloatArray, frame_s: float
) -> tuple[IntArray, IntArray, float]:
    """Pairs of events of one CCD: same pixel, times within a frame of the common offset.

    Parameters
    ----------
    pixel_a, pixel_b, time_a, time_b, frame_s
        As for :func:`time_offset`.

    Returns
    -------
    rows_a, rows_b, offset_s
        Rows of the pairs in either list, and the difference of times that was allowed for.

    Examples
    --------
    >>> import numpy as np
    >>> a, b, offset = match_ccd(
    ...     np.array([7, 8]), np.array([10.0, 20.0]), np.array([8, 7]), np.array([21.0, 11.0]), 0.1
    ... )
    >>> a.tolist(), b.tolist(), round(offset, 6)
    ([0, 1], [1, 0], 1.0)
    """
    offset = time_offset(pixel_a, time_a, pixel_b, time_b, frame_s)
    if not len(time_a) or not len(time_b):
        return np.zeros(0, np.intp), np.zeros(0, np.intp), offset
    zero = min(time_a.min(), time_b.min() - offset)
    step = max(time_a.max(), time_b.max() - offset) - zero + 4 * frame_s + 4.0
    place_a, order_a = _apart(_place(pixel_a, time_a - zero, step))
    place_b, order_b = _apart(_place(pixel_b, time_b - offset - zero, step))
    to_b, to_a = _nearest(place_a, place_b), _nearest(place_b, place_a)
    mutual = to_a[to_b] == np.arange(len(place_a))
    mutual &= np.abs(place_b[to_b] - place_a) <= frame_s * 1.001 + 1e-3
    return order_a[mutual], order_b[to_b[mutual]], offset


def _apart(place: FloatArray) -> tuple[FloatArray, IntArray]:
    """Sorted, with events of the same pixel and time told apart."""
    order = np.argsort(place, kind="stable")
    place = place[order]
    same = np.append(False, np.diff(place) == 0)
    if same.any():
        start = np.maximum.accumulate(np.where(same, 0, np.arange(len(place))))
        place = place + 1e-4 * (np.arange(len(place)) - start)
    return place, order


def _nearest(of: FloatArray, among: FloatArray) -> IntArray:
    after = np.clip(np.searchsorted(among, of), 1, max(len(among) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(among) - 1)
    return np.where(of - among[before] <= among[after] - of, before, after)
