"""Events of a MOS CCD (the algorithms of the task emevents).

Source: manual of emevents; log of a real run (SAS 22.1) for the order of the tests and their tolerances.

Parameters
----------
events
    Events of one CCD; what flags them does so in place.
library
    The patterns of the camera.
n_frames
    Number of frames.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos.patterns import COSMIC_PATTERNS, PatternLibrary
from daxa.xmm.statistics import poisson_at_least

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
#: Largest number of the twelve-bit converter.
ADC_MAXIMUM = 2**12 - 1
#: A masked pixel takes more than half of the converter's range from a sum; noise, and what electronic
#: rebounds do to all pixels of a ring, take less.
_HALF_CONVERTER = 2**11
#: Width of the central quarter of a normal distribution, in standard deviations.
_QUARTER_SIGMAS = 0.6373


@dataclass
class Events:
    """Events of one CCD and node; arrays of one length.

    Attributes
    ----------
    frame
        Index into the frame table.
    rawx, rawy
        Main pixel; 1 .. 600 inside the CCD.
    e1, e2, e3, e4
        Amplitudes [adu]: main pixel, other pixels above threshold, rest of the 3x3 box, ring around it.
    pattern, peripix
        Pattern number, pixels of the ring above threshold.
    flag
        :class:`~daxa.xmm.formats.flags.MosFlag` bits.
    """

    frame: IntArray
    rawx: IntArray
    rawy: IntArray
    e1: IntArray
    e2: IntArray
    e3: IntArray
    e4: IntArray
    pattern: IntArray
    peripix: IntArray
    flag: IntArray

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, index: npt.NDArray) -> Events:
        """The chosen events.

        Parameters
        ----------
        index
            Numbers or marks of the events.
        """
        return Events(*(getattr(self, f.name)[index] for f in fields(self)))

    def joined(self, other: Events) -> Events:
        """Both lists, in the order of frames.

        Parameters
        ----------
        other
            The other list, with the same frames.
        """
        both = Events(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )
        return both.take(np.argsort(both.frame, kind="stable"))


#: Telemetered places of events count this many pixels more than those of images and offset tables (mission
#: constants; columns of 7 CCDs in real raw files that are bad in lists of SAS agree with no other number).
EVENT_OFFSET = 2


def beyond_border(events: Events) -> tuple[BoolArray, BoolArray]:
    """Events whose sums E3 and E4 hold pixels beyond the border of the window.

    Columns beside the first and the last one that is sent are masked on board by offsets of 4042 to 4062 adu.
    Each of their pixels takes as much from a sum, which ends at -16384: in real files E4 is -16384 in the two
    columns at either side and E3 near -12,100 in the outer ones (-12,050 and -8050 in corners: what is not
    read counts as 0). Elsewhere one of 40,000 events has as low a sum, always an E3 beside
    an ordinary E4: that is a disturbed event, not a border.

    Returns
    -------
    box, ring
        Per event, whether E3 and E4 are of no use.
    """
    ring = events.e4 < -_HALF_CONVERTER
    return ring & (events.e3 < -_HALF_CONVERTER), ring


def raw_to_ccd(value: npt.ArrayLike, window_start: int, underscan: int) -> IntArray:
    """CCD coordinate (1 is the first pixel) of a telemetered one.

    Parameters
    ----------
    value
        Telemetered coordinate of events in the window.
    window_start
        WINDOWX0 or WINDOWY0, 0-based telemetry pixels.
    underscan
        Pixels read before the first real one (UNDER_X, UNDER_Y).
    """
    return np.asarray(value, np.int64) + window_start - underscan + 1 - EVENT_OFFSET


def flag_window(events: Events, x_range: tuple[int, int], y_range: tuple[int, int]) -> int:
    """Flag events outside the CCD or its window (inclusive ranges); returns how many.

    Parameters
    ----------
    x_range, y_range
        First and last RAWX, and RAWY.
    """
    outside = (
        (events.rawx < x_range[0])
        | (events.rawx > x_range[1])
        | (events.rawy < y_range[0])
        | (events.rawy > y_range[1])
    )
    events.flag[outside] |= MosFlag.OUT_OF_CCD_WINDOW
    return int(outside.sum())


def flag_cosmic(events: Events) -> int:
    """Flag patterns of cosmic-ray tracks; returns how many."""
    cosmic = np.isin(events.pattern, COSMIC_PATTERNS)
    events.flag[cosmic] |= MosFlag.COSMIC_RAY
    return int(cosmic.sum())


def flag_thresholds(events: Events, low_adu: float, high_adu: float) -> tuple[int, int]:
    """Flag events with E1 + E2 outside the on-board limits; returns how many are below, above.

    Parameters
    ----------
    low_adu, high_adu
        The limits [adu], which are allowed.
    """
    total = events.e1 + events.e2
    below, above = total < low_adu, total > high_adu
    events.flag[below | above] |= MosFlag.OUTSIDE_THRESHOLDS
    return int(below.sum()), int(above.sum())


def flag_truncated(
    events: Events,
    gatti: npt.NDArray,
    column_offset: npt.NDArray | None = None,
    row_offset: npt.NDArray | None = None,
) -> int:
    """Flag events whose main pixel saturated the converter; returns how many.

    Parameters
    ----------
    gatti
        Sliding-scale value per frame [adu].
    column_offset, row_offset
        Offsets subtracted on board, per RAWX and per RAWY (index 0: first pixel) [adu].
    """
    limit = ADC_MAXIMUM - gatti[events.frame]
    for offset, position in ((column_offset, events.rawx), (row_offset, events.rawy)):
        if offset is not None and len(offset):
            limit = limit - offset[np.clip(position - 1, 0, len(offset) - 1)]
    truncated = events.e1 >= limit
    events.flag[truncated] |= MosFlag.REJECTED_BY_GATTI
    return int(truncated.sum())


def split_diagonals(
    events: Events, library: PatternLibrary, fluorescence_adu: tuple[float, float] | None = None
) -> tuple[Events, int]:
    """Split two pixels that touch at a corner into two single events (DIAGO).

    Parameters
    ----------
    fluorescence_adu
        Range of amplitudes of silicon fluorescence; an event with E1 or E2 in it is one photon and its
        escaped fluorescence, and stays. None: split all.

    Returns
    -------
    events, number
        The new list and how many events were split.
    """
    split = np.isin(events.pattern, library.diagonal)
    if fluorescence_adu is not None:
        low, high = fluorescence_adu
        silicon = ((events.e1 >= low) & (events.e1 <= high)) | ((events.e2 >= low) & (events.e2 <= high))
        split &= ~silicon
    if not split.any():
        return events, 0
    step = np.zeros((len(library.roles), 2), np.int64)
    for p in library.diagonal:
        step[p] = library.offsets[p][1]
    second = events.take(split)
    second.rawx = second.rawx + step[second.pattern, 0]
    second.rawy = second.rawy + step[second.pattern, 1]
    second.e1 = second.e2.copy()
    for part, index in ((events, split), (second, slice(None))):
        part.e2[index] = 0
        part.pattern[index] = 0
        part.flag[index] |= MosFlag.DIAGONAL
    return events.joined(second), int(split.sum())


def cut_bad(
    events: Events, library: PatternLibrary, bright: BoolArray, *, split: bool = True
) -> tuple[Events, int]:
    """Take bright pixels out of the patterns that hold one (CUT_BAD).

    What is left of the pattern becomes an event of its own; the original row becomes that of the bright
    pixel, flagged ON_BADPIX. Patterns of which nothing recognisable is left are flagged only.

    Parameters
    ----------
    bright
        Map of the bright pixels, indices RAWY - 1, RAWX - 1.
    split
        False: whole events are flagged only (analysepatterns=no).

    Returns
    -------
    events, number
        The new list and how many events were changed or flagged.
    """
    mask = _bright_pixels(events, library, bright)
    touched = np.flatnonzero(mask)
    new: list[Events] = []
    key = events.pattern[touched] * (1 << 26) + mask[touched]
    for value in np.unique(key):
        rows = touched[key == value]
        pattern, bits = int(events.pattern[rows[0]]), int(mask[rows[0]])
        pixels = library.offsets[pattern]
        left = [k for k in range(len(pixels)) if not bits >> k & 1]
        events.flag[rows] |= MosFlag.ON_BADPIX
        if pattern in COSMIC_PATTERNS or not left or not split:
            continue
        main = pixels[left[0]]
        shape = frozenset((int(dx), int(dy)) for dx, dy in pixels[left] - main)
        if shape not in library.by_shape:
            continue
        rest = events.take(rows)
        share = rest.e2 / max(len(pixels) - 1, 1)
        amplitude = [rest.e1 if k == 0 else share for k in left]
        rest.e1 = np.rint(amplitude[0]).astype(np.int64)
        rest.e2 = np.rint(sum(amplitude[1:], np.zeros(len(rows)))).astype(np.int64)
        rest.rawx, rest.rawy = rest.rawx + main[0], rest.rawy + main[1]
        rest.pattern = np.full(len(rows), library.by_shape[shape])
        rest.flag = rest.flag & ~np.int64(MosFlag.ON_BADPIX)
        new.append(rest)
        # The original row stands for the bright pixel.
        first_bad = pixels[(bits & -bits).bit_length() - 1]
        events.rawx[rows] += first_bad[0]
        events.rawy[rows] += first_bad[1]
        events.e1[rows] = np.rint(share if first_bad.any() else events.e1[rows]).astype(np.int64)
        events.e2[rows] = 0
        events.pattern[rows] = 0
    for part in new:
        events = events.joined(part)
    return events, len(touched)


def _bright_pixels(events: Events, library: PatternLibrary, bright: BoolArray) -> IntArray:
    """Which pixels of each event's pattern are bright: bit k stands for the k-th of the library."""
    ny, nx = bright.shape
    sizes = np.array([len(o) for o in library.offsets])
    mask = np.zeros(len(events), np.int64)
    for k in range(sizes.max()):
        offset = np.array([o[k] if k < len(o) else (0, 0) for o in library.offsets])
        x = events.rawx + offset[events.pattern, 0] - 1
        y = events.rawy + offset[events.pattern, 1] - 1
        inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny) & (k < sizes[events.pattern])
        hit = np.zeros(len(events), bool)
        hit[inside] = bright[y[inside], x[inside]]
        mask |= hit.astype(np.int64) << k
    return mask


@dataclass(frozen=True)
class NoisyRows:
    """Events flagged in and beside noisy rows, the largest average of a row, and the row that is noisy most
    often with the share of frames in which it is."""

    in_rows: int = 0
    beside: int = 0
    expected: float = 0.0
    worst_row: int = 0
    worst_share: float = 0.0


def flag_noisy_rows(events: Events, n_frames: int, *, max_above: float, width: int) -> NoisyRows:
    """Flag rows of single frames that hold too many events.

    A row of a frame is noisy if it holds more than ``max_above`` events above what the row holds on
    average. Events in the rows next to it, at most ``width`` columns from one of its events, go too.

    Parameters
    ----------
    max_above
        Number of events.
    width
        Distance [pixel].
    """
    if not len(events) or not n_frames:
        return NoisyRows()
    low = int(events.rawy.min())
    row = events.rawy - low
    n_rows = int(row.max()) + 1
    expected = np.bincount(row, minlength=n_rows) / n_frames
    key = events.frame * (n_rows + 2) + row + 1
    found, inverse, count = np.unique(key, return_inverse=True, return_counts=True)
    noisy = count > max_above + expected[found % (n_rows + 2) - 1]
    on_row = noisy[inverse]
    events.flag[on_row] |= MosFlag.ON_BADROW
    beside = np.zeros(len(events), bool)
    if on_row.any():
        # Sorted by row and column in one number, the nearest columns are neighbours.
        stride = 1 << 12
        positions = np.sort(key[on_row] * stride + events.rawx[on_row])
        other = np.flatnonzero(~on_row)
        for step in (-1, 1):
            centre = (key[other] + step) * stride + events.rawx[other]
            left = np.searchsorted(positions, centre - width)
            beside[other[left < np.searchsorted(positions, centre + width, side="right")]] = True
        events.flag[beside] |= MosFlag.ON_BADROW
    often = np.bincount(found[noisy] % (n_rows + 2) - 1, minlength=n_rows)
    worst = int(np.argmax(often))
    return NoisyRows(
        int(on_row.sum()),
        int(beside.sum()),
        float(expected.max()),
        worst + low,
        float(often[worst]) / n_frames,
    )


def local_median(
    rawx: IntArray, rawy: IntArray, values: npt.NDArray, use: BoolArray, size: int = 50
) -> npt.NDArray[np.float64]:
    """Median of ``values`` over the events to use in the same ``size`` x ``size`` pixels, per event.

    Where there are none it is the median of all.

    Parameters
    ----------
    rawx, rawy, values
        Place and value of each event, shape (n,).
    use
        Which events the median is taken of, shape (n,).
    size
        Side of the squares [pixel].
    """
    if not use.any():
        return np.zeros(len(values))
    cell = (rawy // size) * 1000 + rawx // size
    used, chosen = cell[use], values[use]
    order = np.lexsort((chosen, used))
    sorted_cell = used[order]
    first = np.flatnonzero(np.append(True, np.diff(sorted_cell) != 0))
    count = np.diff(np.append(first, len(used)))
    ordered = chosen[order].astype(float)
    middle = 0.5 * (ordered[first + (count - 1) // 2] + ordered[first + count // 2])
    known = sorted_cell[first]
    at = np.minimum(np.searchsorted(known, cell), len(known) - 1)
    return np.where(known[at] == cell, middle[at], np.median(chosen))


def _densest(values: npt.NDArray) -> tuple[float, float]:
    """Middle of the narrowest stretch that holds a quarter of the values, and the deviation it suggests."""
    ordered = np.sort(values)
    quarter = len(ordered) // 4
    width = ordered[quarter:] - ordered[: len(ordered) - quarter]
    first = int(np.argmin(width))
    return float(ordered[first + quarter // 2]), float(width[first]) / _QUARTER_SIGMAS


def flag_undershoot(events: Events, *, sigmas: float = 6.0) -> tuple[int, float]:
    """Flag events among very negative neighbours (electronic rebound after a large charge).

    Their E3 lies more than ``sigmas`` standard deviations under the median of the surroundings; the
    deviation is that of the lower half, which charge leaking into the neighbours does not widen. Events of
    noisy rows, which often lie between negative neighbours, take no part in either. Nor do events whose E3
    reaches beyond the border.

    Parameters
    ----------
    sigmas
        Number of standard deviations.

    Returns
    -------
    number, threshold
        Events flagged, and the limit relative to the local median [adu].
    """
    tested = (events.flag & int(MosFlag.COSMIC_RAY) == 0) & ~beyond_border(events)[0]
    sound = tested & (events.flag & int(MosFlag.ON_BADROW) == 0)
    if sound.sum() < 10:
        return 0, -np.inf
    # Neither what is to be found nor spots of raised level may shift the median or widen the limit: the
    # densest part of the distribution is that of ordinary events.
    middle, deviation = _densest(events.e3[sound])
    usual = sound & (np.abs(events.e3 - middle) <= 2.5 * max(deviation, 1.0))
    rest = events.e3 - local_median(events.rawx, events.rawy, events.e3, usual)
    middle, deviation = _densest(rest[usual])
    below = middle - rest[sound & (rest < middle)]
    for _ in range(4):
        near = below[below <= 3.5 * max(deviation, 1.0)]
        deviation = float(np.sqrt(np.mean(near**2))) if len(near) else 0.0
    # E3 is a sum of whole numbers: it scatters by one at least.
    threshold = -sigmas * max(deviation, 1.0)
    low = tested & (rest < threshold)
    events.flag[low] |= MosFlag.UNDERSHOOT
    return int(low.sum()), threshold


def flag_flickering(
    events: Events, n_frames: int, *, tolerance: tuple[int, int, int] = (5, 2, 2), false_rate: float = 1e-3
) -> tuple[int, float]:
    """Flag events of pixels that fire in bursts.

    Events are counted in bins of ``tolerance`` frames, columns and rows; a bin is flickering if so many
    events are less probable than ``false_rate`` for the whole CCD, given what its pixels and the CCD as a
    whole hold on average.

    Parameters
    ----------
    tolerance
        Size of a bin: frames, columns, rows.
    false_rate
        Probability that a CCD has a bin flagged by chance.

    Returns
    -------
    number, expected
        Events flagged, and the largest number expected in a bin.
    """
    sound = np.flatnonzero(events.flag == 0)
    if not len(sound) or not n_frames:
        return 0, 0.0
    n_frames_bin, n_columns_bin, n_rows_bin = tolerance
    width = 1 << 12
    n_bins_t = max(n_frames / n_frames_bin, 1.0)
    flagged = np.zeros(len(events), bool)
    largest = 0.0
    # Two sets of bins, half a bin apart, so that no burst is cut in all of them.
    for shift in (0, 1):
        x = (events.rawx[sound] + shift * (n_columns_bin // 2) + width // 2) // n_columns_bin
        y = (events.rawy[sound] + shift * (n_rows_bin // 2) + width // 2) // n_rows_bin
        t = (events.frame[sound] + shift * (n_frames_bin // 2)) // n_frames_bin
        place = y * width + x
        _, pixel, total = np.unique(place, return_inverse=True, return_counts=True)
        average = len(sound) / len(total)
        _, burst, in_bin = np.unique(t * (width * width) + place, return_inverse=True, return_counts=True)
        count = in_bin[burst]
        # The burst itself must not raise the expectation it is compared with.
        expected = np.maximum(total[pixel] - count, average) / n_bins_t
        largest = max(largest, float(expected.max()))
        several = count > 2
        probability = np.ones(len(sound))
        probability[several] = poisson_at_least(count[several], expected[several])
        flagged[sound[probability < false_rate / (len(total) * n_bins_t)]] = True
    events.flag[flagged] |= MosFlag.FLICKERING
    return int(flagged.sum()), largest
