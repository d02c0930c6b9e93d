"""The search for bad pixels of a pn CCD in the events of an exposure.

Source: manual of badpixfind; thresholds as parameters of that task.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.badpixels import DEAD, FLICKERING, FOUND, HOT
from daxa.xmm.instruments.pn.badpixels import MAP_SHAPE, BadPixel, join_rows
from daxa.xmm.instruments.pn.options import Badpixfind
from daxa.xmm.statistics import poisson_at_least, poisson_at_most

#: Chance of a false alarm per pixel; a camera has 150,000.
_CHANCE = 1e-8
#: Events that make a time series long enough for the chi-squared test.
_MANY_EVENTS = 50
_TIME_BINS = 20


def psf_core_share(core_arcsec: float, slope: float, pixel_arcsec: float, cellsize: int) -> float:
    """Largest share of a point source's counts in a box of pixels that falls on its central pixel.

    Parameters
    ----------
    core_arcsec, slope
        King profile (1 + (r / core)^2)^-slope.
    pixel_arcsec
        Size of a pixel.
    cellsize
        Half-width of the box, without the central pixel.
    """
    fine = 15
    half = (2 * cellsize + 1) / 2
    axis = ((np.arange((2 * cellsize + 1) * fine) + 0.5) / fine - half) * pixel_arcsec
    x, y = np.meshgrid(axis, axis)
    profile = (1 + (x**2 + y**2) / core_arcsec**2) ** -slope
    centre = (np.abs(x) < pixel_arcsec / 2) & (np.abs(y) < pixel_arcsec / 2)
    return float(profile[centre].sum() / profile.sum())


def find_bad_pixels(
    rawx: npt.ArrayLike,
    rawy: npt.ArrayLike,
    time_s: npt.ArrayLike,
    exposure_s: float,
    core_share: float,
    *,
    known: npt.NDArray[np.bool_] | None = None,
    limits: Badpixfind | None = None,
) -> list[BadPixel]:
    """Search one CCD for hot and flickering pixels and hot columns.

    Parameters
    ----------
    rawx, rawy, time_s
        Single pixels in the search's energy band: column (1..64), row (1..200), time.
    exposure_s
        Good time of the CCD [s].
    core_share
        Share of a point source on its central pixel (:func:`psf_core_share`).
    known
        Map (200, 64) of pixels that are known to be bad and left out.
    limits
        Thresholds.

    Notes
    -----
    A pixel is hot if its rate exceeds ``hithresh`` and its excess over the surroundings is more compact
    than ``narrowerthanpsf`` times a point source, beyond the Poisson scatter of both. It is called
    flickering if its events bunch in time (KS distance or, with many events, reduced chi squared). Columns
    likewise, both halves on their own, so that a bright source does not make its column bad. A pixel or
    column is dead if its rate is below ``lothresh`` or ``locolthresh`` and too low for its neighbours' level
    beyond chance; both are off by default.
    """
    limits = (limits or Badpixfind()).as_rates(exposure_s)
    x, y = np.asarray(rawx, np.int64) - 1, np.asarray(rawy, np.int64) - 1
    time = np.asarray(time_s, float)
    if exposure_s <= 0 or not len(x):
        return []
    pixel = y * PN_SHAPE[0] + x
    counts = np.bincount(pixel, minlength=PN_SHAPE[0] * PN_SHAPE[1]).reshape(MAP_SHAPE)
    good = np.ones(MAP_SHAPE, bool) if known is None else ~known
    rows = np.flatnonzero(counts.any(axis=1))
    good[: rows[0]] = good[rows[-1] + 1 :] = False

    found = []
    if limits.withsearchbadcolumn:
        for column, kind in _hot_columns(counts, good, exposure_s, limits):
            found.append(BadPixel(column + 1, int(rows[0]) + 1, kind, int(rows[-1] - rows[0]) + 1, FOUND))
            good[:, column] = False
        for column in _dead_columns(counts, good, exposure_s, limits):
            found.append(BadPixel(column + 1, int(rows[0]) + 1, DEAD, int(rows[-1] - rows[0]) + 1, FOUND))
            good[:, column] = False
    order = np.argsort(pixel, kind="stable")
    begin = np.searchsorted(pixel[order], np.arange(PN_SHAPE[0] * PN_SHAPE[1] + 1))
    for column, row in _hot_pixels(counts, good, exposure_s, core_share, limits):
        place = row * PN_SHAPE[0] + column
        kind = _kind(time[order[begin[place] : begin[place + 1]]], time, limits)
        found.append(BadPixel(column + 1, row + 1, kind, 1, FOUND))
        good[row, column] = False
    for column, row in _dead_pixels(counts, good, exposure_s, limits.lothresh, limits.cellsize):
        found.append(BadPixel(column + 1, row + 1, DEAD, 1, FOUND))
    return join_rows(found)


def _hot_pixels(
    counts: npt.NDArray[np.int64],
    good: npt.NDArray[np.bool_],
    exposure_s: float,
    core_share: float,
    limits: Badpixfind,
) -> Iterable[tuple[int, int]]:
    from scipy.ndimage import uniform_filter

    good = good.copy()
    size = 2 * limits.cellsize + 1
    area = float(size * size)
    share = min(limits.narrowerthanpsf * core_share, 0.95)
    floor = limits.backgroundrate * exposure_s
    while True:
        usable = np.where(good, counts, 0).astype(float)
        n_box = uniform_filter(good.astype(float), size, mode="constant") * area - good
        in_box = uniform_filter(usable, size, mode="constant") * area - usable
        wide_n = uniform_filter(good.astype(float), 4 * size + 1, mode="constant")
        wide = uniform_filter(np.minimum(usable, _clip_level(usable[good])), 4 * size + 1, mode="constant")
        background = np.divide(wide, wide_n, out=np.zeros(MAP_SHAPE), where=wide_n > 0)
        n_box = np.maximum(n_box, 1.0)
        # What the neighbours may hold at most, and the peak that a point source would add to them.
        around = in_box + 3.0 * np.sqrt(in_box + 1.0)
        level = np.maximum(np.maximum(background, floor), in_box / n_box)
        allowed = level + share / (1 - share) * np.maximum(around - n_box * background, 0.0)
        threshold = limits.hithresh * exposure_s + (level if limits.threshabovebackground else 0.0)
        hot = good & (counts > threshold) & (poisson_at_least(counts, allowed) < _CHANCE)
        if not hot.any():
            return
        # A hot pixel hides its hot neighbours: take the brightest of a box, look again.
        for column, row in np.argwhere(hot.T):
            box = np.s_[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            if counts[row, column] >= (counts[box] * good[box]).max():
                good[row, column] = False
                yield int(column), int(row)


def _dead_pixels(
    counts: npt.NDArray[np.int64],
    good: npt.NDArray[np.bool_],
    exposure_s: float,
    lothresh: float,
    cellsize: int,
) -> Iterable[tuple[int, int]]:
    from scipy.ndimage import uniform_filter

    if not lothresh > 0:
        return []
    size = 2 * cellsize + 1
    n_box = uniform_filter(good.astype(float), size, mode="constant") * size**2 - good
    in_box = uniform_filter(np.where(good, counts, 0).astype(float), size, mode="constant") * size**2
    in_box -= np.where(good, counts, 0)
    level = np.divide(in_box, n_box, out=np.zeros(MAP_SHAPE), where=n_box > 0.5)
    dead = good & (counts < lothresh * exposure_s) & (poisson_at_most(counts, level) < _CHANCE)
    return [(int(c), int(r)) for c, r in np.argwhere(dead.T)]


def _dead_columns(
    counts: npt.NDArray[np.int64], good: npt.NDArray[np.bool_], exposure_s: float, limits: Badpixfind
) -> list[int]:
    if not limits.locolthresh > 0:
        return []
    total, n_good = np.where(good, counts, 0).sum(axis=0), good.sum(axis=0)
    dead = []
    for column in np.flatnonzero(n_good):
        beside = [
            c
            for d in range(1, limits.cellsize + 1)
            for c in (column - d, column + d)
            if 0 <= c < PN_SHAPE[0] and n_good[c]
        ]
        if not beside:
            continue
        expected = float(np.median(total[beside] / n_good[beside])) * n_good[column]
        rate = total[column] / (n_good[column] * exposure_s)
        if rate < limits.locolthresh and poisson_at_most(total[column], expected) < _CHANCE:
            dead.append(int(column))
    return dead


def _clip_level(values: npt.NDArray[Any]) -> float:
    """Counts beyond which a pixel says nothing about the background."""
    if not len(values):
        return 0.0
    typical = max(float(np.median(values)), float(values.mean()) / 2)
    return typical + 5 * np.sqrt(typical + 1)


def _hot_columns(
    counts: npt.NDArray[np.int64], good: npt.NDArray[np.bool_], exposure_s: float, limits: Badpixfind
) -> list[tuple[int, int]]:
    rows = np.flatnonzero(good.any(axis=1))
    if not len(rows):
        return []
    middle = (rows[0] + rows[-1] + 1) // 2
    is_hot = np.ones(PN_SHAPE[0], bool)
    for part in (slice(rows[0], middle), slice(middle, rows[-1] + 1)):
        usable, n_good = good[part], good[part].sum(axis=0)
        level = _clip_level(counts[part][usable]) if usable.any() else 0.0
        total = np.where(usable, counts[part], 0).sum(axis=0)
        # A single hot pixel is not a hot column.
        clipped = np.where(usable, np.minimum(counts[part], 5 * level), 0).sum(axis=0)
        rate = np.divide(clipped, n_good * exposure_s, out=np.zeros(PN_SHAPE[0]), where=n_good > 0)
        expected = np.zeros(PN_SHAPE[0])
        for column in range(PN_SHAPE[0]):
            beside = [
                c
                for d in range(1, limits.cellsize + 1)
                for c in (column - d, column + d)
                if 0 <= c < PN_SHAPE[0] and n_good[c]
            ]
            if beside and n_good[column]:
                per_pixel = np.median(total[beside] / n_good[beside])
                expected[column] = per_pixel * n_good[column]
        # Without a demand on the shape (0) an excess beyond chance is still one.
        allowed = max(limits.narrowerthanpsf, 1.0) * (expected + 3 * np.sqrt(expected + 1))
        around = expected / np.maximum(n_good * exposure_s, 1e-9) if limits.threshabovebackground else 0.0
        is_hot &= (n_good > 0) & (rate > limits.hicolthresh + around)
        is_hot &= poisson_at_least(clipped, allowed) < _CHANCE
    return [(int(c), HOT) for c in np.flatnonzero(is_hot)]


def _kind(events: npt.NDArray[np.float64], everything: npt.NDArray[np.float64], limits: Badpixfind) -> int:
    """Whether a pixel's events bunch in time, compared with those of the whole CCD."""
    everything = np.sort(everything)
    # In this measure the CCD's own events are uniform, so that flares and gaps do not count.
    position = np.searchsorted(everything, np.sort(events), side="right") / len(everything)
    n = len(position)
    if n >= _MANY_EVENTS:
        seen = np.histogram(position, _TIME_BINS, (0, 1))[0]
        chi2 = np.sum((seen - n / _TIME_BINS) ** 2) / (n / _TIME_BINS) / (_TIME_BINS - 1)
        return FLICKERING if chi2 > limits.flickerchisqthresh else HOT
    steps = np.arange(n + 1) / n
    distance = max(np.max(steps[1:] - position), np.max(position - steps[:-1]))
    return FLICKERING if distance > limits.flickerksthresh else HOT
