"""Search for bright and dark pixels, columns and rows (the algorithm of the task embadpixfind).

Source: manual of embadpixfind (local statistics, exact binomial probabilities, Li & Ma 1983 eq. 17), with
the default values of a real run's log. The image is that of the counts of a CCD.

Parameters
----------
on
    Counts in the part or pixel that is looked at, any shape.
off
    Counts in what it is compared with.
share
    The part's area over that of both together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from daxa.xmm.instruments.mos.options import Embadpixfind
from daxa.xmm.statistics import poisson_at_least

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
#: The rest of a line agrees with its surroundings if this probable.
_COMPATIBLE = 0.1
#: Pixels count in the sums of lines up to that many standard deviations above the mean.
_CLIP_SIGMA = 5.0


@dataclass
class Found:
    """What a search found, per pass and in all; maps have the indices of the image.

    ``passes`` holds per iteration the numbers of bright pixels, dark columns, bright columns, dark rows,
    bright rows and dark pixels.
    """

    bright: BoolArray
    dark: BoolArray
    passes: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)


def chance_above(on: npt.ArrayLike, off: npt.ArrayLike, share: npt.ArrayLike) -> FloatArray:
    """Probability of ``on`` or more of ``on + off`` counts in a part that holds ``share`` of the area."""
    from scipy.special import betainc

    on, off = np.asarray(on, float), np.asarray(off, float)
    return np.where(on > 0, betainc(np.maximum(on, 1e-9), off + 1.0, share), 1.0)


def chance_below(on: npt.ArrayLike, off: npt.ArrayLike, share: npt.ArrayLike) -> FloatArray:
    """Probability of ``on`` or fewer of ``on + off`` counts in a part that holds ``share`` of the area."""
    from scipy.special import betainc

    on, off = np.asarray(on, float), np.asarray(off, float)
    return np.where(off > 0, betainc(np.maximum(off, 1e-9), on + 1.0, 1.0 - np.asarray(share)), 1.0)


def li_ma(on: npt.ArrayLike, off: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Significance of ``on`` counts in a pixel above ``off`` counts in ``n`` reference pixels.

    Parameters
    ----------
    n
        Number of reference pixels, each as large as the one looked at.
    """
    on, off, n = (np.asarray(v, float) for v in (on, off, n))
    total = on + off
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(on > 0, on * np.log(on * (n + 1) / total), 0.0)
        second = np.where(off > 0, off * np.log(off * (n + 1) / (n * total)), 0.0)
    return np.sqrt(np.maximum(2.0 * (first + second), 0.0)) * np.sign(on - off / np.maximum(n, 1))


def find(
    image: npt.ArrayLike, good: npt.ArrayLike, search: Embadpixfind | None = None, clumping: float = 1.0
) -> Found:
    """Search an image of counts.

    Parameters
    ----------
    image
        Counts, shape (rows, columns).
    good
        Pixels to look at; known bad ones and those outside the window are not.
    search
        Parameters.
    clumping
        Counts per independent event: an event of several pixels adds more than one count to a line.

    Returns
    -------
    Found
        Maps of the pixels found; lines are in them with all their (bad) pixels.
    """
    search = search or Embadpixfind()
    counts = np.asarray(image, float)
    good = np.array(good, bool)
    found = Found(np.zeros(good.shape, bool), np.zeros(good.shape, bool))
    for _ in range(search.niter):
        bright = _bright_pixels(counts, good, search) if search.findbright else np.zeros_like(good)
        good &= ~bright
        found.bright |= bright
        numbers = [int(bright.sum())]
        for axis in (0, 1):
            dark_lines = bright_lines = 0
            if search.findbadsegments:
                dark, light, dark_lines, bright_lines = _lines(counts, good, axis, search, clumping)
                found.dark |= dark
                found.bright |= light
                good &= ~(dark | light)
            numbers += [dark_lines, bright_lines]
        dark = _dark_pixels(counts, good, search) if search.finddead else np.zeros_like(good)
        good &= ~dark
        found.dark |= dark
        numbers.append(int(dark.sum()))
        found.passes.append(tuple(numbers))  # type: ignore[arg-type]
        if not any(numbers):
            break
    return found


def _box_sum(values: FloatArray, half: int) -> FloatArray:
    """Sum over a square, exact for whole numbers."""
    for axis in (0, 1):
        total = values.copy()
        for step in range(1, half + 1):
            ahead = [slice(None)] * 2
            behind = [slice(None)] * 2
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            total[tuple(ahead)] += values[tuple(behind)]
            total[tuple(behind)] += values[tuple(ahead)]
        values = total
    return values


def _neighbourhoods(
    counts: FloatArray, good: BoolArray, y: npt.NDArray, x: npt.NDArray, half: int
) -> FloatArray:
    """Counts of the good pixels around some pixels, NaN elsewhere; shape (pixels, square)."""
    steps = np.arange(-half, half + 1)
    dy, dx = (v.ravel() for v in np.meshgrid(steps, steps, indexing="ij"))
    centre = (dy != 0) | (dx != 0)
    yy, xx = y[:, None] + dy[centre], x[:, None] + dx[centre]
    inside = (yy >= 0) & (yy < counts.shape[0]) & (xx >= 0) & (xx < counts.shape[1])
    yc, xc = np.where(inside, yy, 0), np.where(inside, xx, 0)
    return np.where(inside & good[yc, xc], counts[yc, xc], np.nan)


def _bright_pixels(counts: FloatArray, good: BoolArray, search: Embadpixfind) -> BoolArray:
    """Bright pixels, the most significant first; each one found is left out of the others' surroundings."""
    from scipy.ndimage import maximum_filter
    from scipy.special import ndtri

    good = good.copy()
    result = np.zeros(good.shape, bool)
    half = search.halfwidth2d
    limit = -float(ndtri(search.probathreshold))
    candidates = good & (counts >= 3)
    while True:
        y, x = np.nonzero(candidates & good)
        # Bright neighbours hide a pixel behind a high average: the median may not be exceeded by much.
        around = _neighbourhoods(counts, good, y, x, half)
        number = np.sum(~np.isnan(around), axis=1)
        some = number > 0
        y, x, around, number = y[some], x[some], around[some], number[some]
        if not len(y):
            return result
        mean = np.minimum(np.nanmean(around, axis=1), np.nanmedian(around, axis=1) + 1.0)
        on = counts[y, x]
        above = on > search.minratio * mean
        chance = np.ones(len(y))
        chance[above] = chance_above(on[above], mean[above] * number[above], 1.0 / (number[above] + 1.0))
        spread = np.nanmean(np.abs(around - mean[:, None]), axis=1) / 0.8
        gauss = (on - mean) / np.maximum(spread, 1e-9)
        strength = np.minimum(gauss, li_ma(on, mean * number, number))
        chosen = (chance < search.probathreshold) & (strength > min(3.0, limit))
        if not chosen.any():
            return result
        y, x, strength = y[chosen], x[chosen], strength[chosen]
        # In one round only the strongest of each surrounding; the rest are judged again without it.
        rank = np.zeros(good.shape)
        rank[y, x] = strength
        top = maximum_filter(rank, 2 * half + 1, mode="constant")[y, x] == rank[y, x]
        flagged = np.zeros(good.shape, bool)
        flagged[y[top], x[top]] = True
        result |= flagged
        good &= ~flagged
        # Only their surroundings look different in the next round.
        candidates = (counts >= 3) & maximum_filter(flagged, 2 * half + 1, mode="constant")


def _dark_pixels(counts: FloatArray, good: BoolArray, search: Embadpixfind) -> BoolArray:
    result = np.zeros(good.shape, bool)
    half = search.halfwidth2d
    masked = np.where(good, counts, 0.0)
    # Even an empty pixel is not improbable among few counts.
    n_most = (2 * half + 1) ** 2 - 1
    least = np.log(search.probathreshold) / np.log(n_most / (n_most + 1.0))
    if masked.max(initial=0.0) * n_most < least:
        return result
    off = _box_sum(masked, half) - masked
    n = _box_sum(good.astype(float), half) - good
    y, x = np.nonzero(good & (n > 0) & (off >= 1) & (counts < search.maxratio * off / np.maximum(n, 1)))
    chance = chance_below(counts[y, x], off[y, x], 1.0 / (n[y, x] + 1.0))
    result[y, x] = chance < search.probathreshold
    return result


def _lines(
    counts: FloatArray, good: BoolArray, axis: int, search: Embadpixfind, clumping: float
) -> tuple[BoolArray, BoolArray, int, int]:
    """Dark and bright columns (``axis`` 0) or rows (``axis`` 1), the most significant first.

    Returns
    -------
    dark, bright, n_dark, n_bright
        Maps of their pixels, and numbers of lines.
    """
    if axis == 1:
        dark, bright, n_dark, n_bright = _lines(counts.T, good.T, 0, search, clumping)
        return dark.T, bright.T, n_dark, n_bright
    masked = np.where(good, counts, 0.0)
    # A line is bad along its length; a source on it must not decide, nor hide its neighbours.
    mean = masked.sum() / max(good.sum(), 1)
    masked = np.minimum(masked, mean + _CLIP_SIGMA * np.sqrt(mean) + 1.0)
    inside, area = masked.sum(axis=0), good.sum(axis=0).astype(float)
    # As far as there are lines on both sides.
    half = min(search.halfwidth1d, (len(inside) - 1) // 2)
    usable = area > 0
    dark, bright = np.zeros(good.shape, bool), np.zeros(good.shape, bool)
    n_dark = n_bright = 0
    before = np.concatenate([np.zeros(half + 1), np.ones(half)])
    while True:
        counted, measured = np.where(usable, inside, 0.0), np.where(usable, area, 0.0)
        sides = [
            (np.convolve(counted, kernel, "same"), np.convolve(measured, kernel, "same"))
            for kernel in (before, before[::-1])
        ]
        outside, around = sides[0][0] + sides[1][0], sides[0][1] + sides[1][1]
        valid = usable & (around > 0)
        share = np.divide(area, area + around, out=np.zeros_like(outside), where=valid)
        brighter, darker = valid.copy(), valid.copy()
        # Next to a source a line differs from one side only.
        for side, extent in sides:
            some = extent > 0
            expected = np.divide(side * area, extent, out=np.zeros_like(outside), where=some)
            brighter &= ~some | (inside > search.minratio * expected)
            darker &= ~some | (inside < search.maxratio * expected)
        high = np.where(brighter, chance_above(inside / clumping, outside / clumping, share), 1.0)
        low = np.where(darker, chance_below(inside / clumping, outside / clumping, share), 1.0)
        if not search.finddead:
            low[:] = 1.0
        if not search.findbright:
            high[:] = 1.0
        best = np.minimum(high, low)
        line = int(np.argmin(best))
        if best[line] >= search.probathreshold:
            return dark, bright, n_dark, n_bright
        usable[line] = False
        pixels = good[:, line]
        if low[line] < high[line]:
            dark[pixels, line] = True
            n_dark += 1
        else:
            bright[_segment(masked[:, line], pixels, outside[line] / around[line], search), line] = True
            n_bright += 1


def _segment(line: FloatArray, pixels: BoolArray, expected: float, search: Embadpixfind) -> BoolArray:
    """The bright part of a bright line: all of it unless the rest agrees with the surroundings."""
    start, end = _largest_sum(np.where(pixels, line - search.minratio * expected, 0.0))
    # With the level inside known, its ends are where the two levels become equally likely.
    level = max(
        float(line[start:end].sum()) / max(int(pixels[start:end].sum()), 1), expected * search.minratio
    )
    gain = line * np.log(level / max(expected, 1e-9)) - (level - expected)
    start, end = _largest_sum(np.where(pixels, gain, 0.0))
    inside = np.zeros(len(line), bool)
    inside[start:end] = True
    rest = pixels & ~inside
    if not rest.any():
        return pixels
    compatible = poisson_at_least(line[rest].sum(), expected * rest.sum()) > _COMPATIBLE
    return pixels & inside if compatible else pixels


def _largest_sum(values: FloatArray) -> tuple[int, int]:
    """Start and end of the stretch with the largest sum."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    lowest = np.minimum.accumulate(total)
    end = int(np.argmax(total - lowest))
    return int(np.argmin(total[: end + 1])), end
