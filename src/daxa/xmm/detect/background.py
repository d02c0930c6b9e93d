"""Background maps: a smooth surface through what is left of an image when its sources are cut out.

Source: manual of esplinemap (sources cut out where they exceed a brightness; image rebinned to cells; divided
by the exposure; spline; cells far above it left out and the fit repeated).
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy.interpolate import SmoothBivariateSpline
from scipy.ndimage import gaussian_filter

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
#: Least share of a cell that must be exposed.
_COVERED = 0.1
#: The surface nowhere falls below this share of the mean: where nothing is expected, every count is a source.
_LOWEST = 0.05
#: Cubic splines in two dimensions need as many cells.
_FEWEST_CELLS = 17


def without_sources(good: BoolArray, x: npt.ArrayLike, y: npt.ArrayLike, radius: npt.ArrayLike) -> BoolArray:
    """Pixels outside circles about sources.

    Parameters
    ----------
    good
        Pixels that count, (ny, nx).
    x, y, radius
        Middles [0-based pixel] and radii [pixel] of the circles.
    """
    kept = good.copy()
    for cx, cy, r in zip(*map(np.atleast_1d, (x, y, radius)), strict=True):
        top, left = max(int(np.floor(cy - r)), 0), max(int(np.floor(cx - r)), 0)
        part = kept[top : max(int(cy + r) + 2, 0), left : max(int(cx + r) + 2, 0)]
        rows, columns = np.indices(part.shape)
        part &= (columns + left - cx) ** 2 + (rows + top - cy) ** 2 > r**2
    return kept


def spline_background(
    counts: FloatArray,
    exposure: FloatArray,
    good: BoolArray,
    *,
    nodes: int = 16,
    excess_sigma: float = 4.0,
    runs: int = 3,
) -> tuple[FloatArray, float, int]:
    """Background of an image.

    Parameters
    ----------
    counts, exposure
        (ny, nx); exposure in seconds.
    good
        Pixels without sources.
    nodes
        Cells along each side.
    excess_sigma
        Cells so many standard deviations above the surface are left out.
    runs
        How often the surface is fitted at most.

    Returns
    -------
    background : (ny, nx) array
        Counts expected in each pixel.
    chi2, freedom
        Of the last fit: sum of the squared deviations, and cells less parameters of the surface.

    Raises
    ------
    ValueError
        No good pixel is exposed.
    """
    seen = good & (exposure > 0)
    if not seen.any():
        raise ValueError("no pixel without sources is exposed")
    x, y, number, time, share = _cells(counts, exposure, seen, nodes)
    used = share > _COVERED
    mean = number[used].sum() / time[used].sum()
    if used.sum() < _FEWEST_CELLS or mean == 0:
        return mean * exposure, 0.0, 0
    model = np.full(len(x), 1.0)
    for _ in range(runs):
        # Errors by the model, as those of the counts would draw the surface towards low cells.
        error = np.sqrt(np.maximum(model, _LOWEST) * mean * time) / (mean * time)
        rate = number / time / mean
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FITPACK: the smoothing asked for was not quite reached
            surface = SmoothBivariateSpline(
                x[used], y[used], rate[used], 1 / error[used], bbox=[0, 1, 0, 1], s=used.sum()
            )
        model = surface.ev(x, y)
        deviation = (rate - model) / error
        outside = used & (deviation > excess_sigma)
        chi2 = float((deviation[used] ** 2).sum())
        freedom = int(used.sum()) - len(surface.get_coeffs())
        if not outside.any() or used.sum() - outside.sum() < _FEWEST_CELLS:
            break
        used &= ~outside
    ny, nx = counts.shape
    smooth = surface(np.arange(nx) / (nx - 1), np.arange(ny) / (ny - 1)).T
    # Beyond the outermost cells the surface is not held by anything.
    low, high = model[used].min(), model[used].max()
    background = np.clip(smooth, max(low, _LOWEST), high) * mean * exposure
    # As many counts as there are in the cells that were used.
    index = _index(counts.shape, nodes)
    inside = seen & used[index]
    return background * counts[inside].sum() / background[inside].sum(), chi2, freedom


def model_background(
    counts: FloatArray,
    vignetted: FloatArray,
    plain: FloatArray,
    good: BoolArray,
    *,
    nodes: int = 16,
    excess_sigma: float = 4.0,
    runs: int = 3,
) -> tuple[FloatArray, tuple[float, float], float, int]:
    """Background of two components: one that comes through the mirrors, and one that comes from everywhere.

    Parameters
    ----------
    counts
        (ny, nx)
    vignetted, plain
        Exposure maps with and without vignetting [s].
    good
        Pixels without sources.
    nodes
        Cells along each side.
    excess_sigma
        Cells so many standard deviations above the model are left out.
    runs
        How often the model is fitted at most.

    Returns
    -------
    background : (ny, nx) array
        Counts expected in each pixel.
    rates
        Of both components [count / s / pixel], those that make the counts of the cells most likely.
    chi2, freedom
        Sum of the squared deviations of the cells, and their number less two.

    Raises
    ------
    ValueError
        No good pixel is exposed.
    """
    seen = good & (plain > 0)
    if not seen.any():
        raise ValueError("no pixel without sources is exposed")
    index = _index(counts.shape, nodes).ravel()

    def summed(values: FloatArray) -> FloatArray:
        return np.bincount(index, np.where(seen, values, 0.0).ravel(), nodes**2).astype(float)

    number, light, time = summed(counts), summed(vignetted), summed(plain)
    used = time > _COVERED * time.max()
    chi2 = 0.0
    rates = (0.0, 0.0)
    for _ in range(runs):
        rates = _two_rates(number[used], light[used], time[used])
        model = rates[0] * light + rates[1] * time
        deviation = (number - model) / np.sqrt(np.maximum(model, 1.0))
        chi2 = float((deviation[used] ** 2).sum())
        outside = used & (deviation > excess_sigma)
        if not outside.any() or used.sum() - outside.sum() < 3:
            break
        used &= ~outside
    return rates[0] * vignetted + rates[1] * plain, rates, chi2, int(used.sum()) - 2


def _two_rates(counts: FloatArray, first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Rates of two components that make Poisson counts most likely, neither below 0.

    The rates are multiplied until they stay (Richardson-Lucy): they cannot become negative, and the sum of
    the model is that of the counts.
    """
    rates = np.full(2, counts.sum() / (first + second).sum())
    parts = np.stack([first, second])
    total = np.maximum(parts.sum(axis=1), 1e-30)
    for _ in range(2000):
        model = np.maximum(rates @ parts, 1e-30)
        new = rates * (parts @ (counts / model)) / total
        if np.allclose(new, rates, rtol=1e-7, atol=0):
            break
        rates = new
    return float(rates[0]), float(rates[1])


def smooth_background(
    counts: FloatArray, exposure: FloatArray, good: BoolArray, *, least_sigma: float = 6.0, snr: float = 30.0
) -> FloatArray:
    """Background of an image by smoothing what is left without sources, as little as the counts ask for.

    Parameters
    ----------
    counts, exposure
        (ny, nx); exposure in seconds.
    good
        Pixels without sources.
    least_sigma
        Least standard deviation of the Gaussian that smooths [pixel]; it is doubled where counts are few.
    snr
        Counts over their error that the Gaussian is to hold.

    Returns
    -------
    background : (ny, nx) array
        Counts expected in each pixel: smoothed counts over smoothed exposure, times the exposure.

    Raises
    ------
    ValueError
        No good pixel is exposed.
    """
    seen = good & (exposure > 0)
    if not seen.any():
        raise ValueError("no pixel without sources is exposed")
    number, time = np.where(seen, counts, 0.0), np.where(seen, exposure, 0.0)
    mean = number.sum() / time.sum()
    rate = np.full(counts.shape, mean)
    open_ = exposure > 0  # nothing is expected elsewhere
    sigma = max(least_sigma, 0.5)
    while open_.any() and sigma < max(counts.shape):
        around, exposed = (gaussian_filter(v, sigma, mode="constant", truncate=3) for v in (number, time))
        # Counts that the kernel averages over: those of the area of its square.
        enough = open_ & (exposed > 0) & (around * 4 * np.pi * sigma**2 >= snr**2)
        rate[enough] = around[enough] / exposed[enough]
        open_ &= ~enough
        sigma *= np.sqrt(2)
    return np.maximum(rate, _LOWEST * mean) * exposure


def _index(shape: tuple[int, int], nodes: int) -> npt.NDArray[np.int64]:
    rows, columns = (np.arange(n) * nodes // n for n in shape)
    return rows[:, None] * nodes + columns[None, :]


def _cells(counts: FloatArray, exposure: FloatArray, seen: BoolArray, nodes: int) -> tuple[FloatArray, ...]:
    """Of each cell: middle of its exposure (0 to 1), counts, exposure, share of its pixels that are seen."""
    ny, nx = counts.shape
    index = _index(counts.shape, nodes).ravel()

    def summed(values: FloatArray) -> FloatArray:
        return np.bincount(index, values.ravel(), nodes**2).astype(float)

    weight = np.where(seen, exposure, 0.0)
    time = np.maximum(summed(weight), 1e-30)
    rows, columns = np.indices(counts.shape)
    share = summed(seen.astype(float)) / np.maximum(np.bincount(index, minlength=nodes**2), 1)
    return (
        summed(weight * columns) / time / (nx - 1),
        summed(weight * rows) / time / (ny - 1),
        summed(np.where(seen, counts, 0.0)),
        time,
        share,
    )
