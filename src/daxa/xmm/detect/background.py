"""Background maps: what is left of an image when its sources are cut out, as a surface or as a model.

Source: manual of esplinemap (sources cut out where they exceed a brightness; image rebinned to cells; a fit
to these; cells far above it left out and the fit repeated). Cells beside such a cell that are above the fit,
too, are left out with it: an extended source is larger than where it stands out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import SmoothBivariateSpline
from scipy.ndimage import binary_propagation, gaussian_filter

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
#: Least share of a cell that must be exposed.
_COVERED = 0.1
#: The surface nowhere falls below this share of the mean: where nothing is expected, every count is a source.
_LOWEST = 0.05
#: Cubic splines in two dimensions need as many cells.
_FEWEST_CELLS = 17
#: Cells beside one that is left out are left out if they are so many standard deviations above the fit.
_BESIDE_SIGMA = 1.5
#: Counts in a cell of the model, on average: with fewer, cells of a background stand out by chance.
_COUNTS_OF_A_CELL = 20
#: Cells along each side at least.
_FEWEST_NODES = 5


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


@dataclass(frozen=True)
class _Cells:
    """Sums over squares of an image.

    Attributes
    ----------
    side
        Number of squares along each side.
    index
        Of each pixel, the square it lies in (ny, nx).
    seen
        Pixels that count.
    """

    side: int
    index: npt.NDArray[np.int64]
    seen: BoolArray

    @classmethod
    def of(cls, seen: BoolArray, side: int) -> _Cells:
        rows, columns = (np.arange(n) * side // n for n in seen.shape)
        return cls(side, rows[:, None] * side + columns[None, :], seen)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum of the pixels that count in each cell."""
        inside = np.where(self.seen, values, 0.0)
        return np.bincount(self.index.ravel(), inside.ravel(), self.side**2).astype(float)

    def without_excess(
        self,
        number: FloatArray,
        cells: BoolArray,
        fit: Callable[[BoolArray, FloatArray], FloatArray],
        first: BoolArray,
        sigma: float,
        runs: int,
        fewest: int,
    ) -> tuple[BoolArray, float]:
        """Fit cells, leave out those with an excess and what is beside them, until no more is to leave out.

        Parameters
        ----------
        number
            Counts of the cells.
        cells
            Those that can be used.
        fit
            Counts expected in all cells, from those to use and the expectation before.
        first
            Those to use at first.
        sigma
            Standard deviations of an excess.
        runs
            Fits at most.
        fewest
            Cells that a fit needs.

        Returns
        -------
        used, chi2
            Cells of the last fit, and the sum of their squared deviations.
        """
        used, chi2, model = first, 0.0, np.ones(len(number))
        for run in range(runs):
            model = fit(used, model)
            # Errors by the model, as those of the counts would draw the fit towards low cells.
            deviation = (number - model) / np.sqrt(np.maximum(model, 1.0))
            chi2 = float((deviation[used] ** 2).sum())
            # The first fit may be to a part of the cells that is too dark to tell what is beside a source.
            left = cells & ~self._standing_out(cells, deviation, sigma, _BESIDE_SIGMA if run else sigma)
            if (left == used).all() or left.sum() < fewest:
                break
            used = left
        return used, chi2

    def _standing_out(
        self, cells: BoolArray, deviation: FloatArray, sigma: float, beside: float
    ) -> BoolArray:
        shape = (self.side, self.side)
        core, about = ((cells & (deviation > s)).reshape(shape) for s in (sigma, beside))
        return binary_propagation(core, np.ones((3, 3)), about | core).ravel()


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
    cells = _Cells.of(_seen(good, exposure), nodes)
    number, time = cells.sums(counts), np.maximum(cells.sums(exposure), 1e-30)
    usable = _covered(cells)
    mean = number[usable].sum() / time[usable].sum()
    if usable.sum() < _FEWEST_CELLS or mean == 0:
        return mean * exposure, 0.0, 0
    ny, nx = counts.shape
    rows, columns = np.indices(counts.shape)
    x, y = (cells.sums(exposure * v) / time / (n - 1) for v, n in ((columns, nx), (rows, ny)))
    surfaces: list[SmoothBivariateSpline] = []

    def fit(used: BoolArray, before: FloatArray) -> FloatArray:
        expected = np.maximum(before / (mean * time), _LOWEST) if surfaces else np.ones(len(x))
        weight = np.sqrt(mean * time / expected)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FITPACK: the smoothing asked for was not quite reached
            surfaces.append(
                SmoothBivariateSpline(
                    x[used], y[used], (number / time / mean)[used], weight[used],
                    bbox=[0, 1, 0, 1], s=used.sum(),
                )
            )  # fmt: skip
        return surfaces[-1].ev(x, y) * mean * time

    used, chi2 = cells.without_excess(number, usable, fit, usable, excess_sigma, runs, _FEWEST_CELLS)
    surface = surfaces[-1]
    rate = surface(np.arange(nx) / (nx - 1), np.arange(ny) / (ny - 1)).T
    # Beyond the outermost cells the surface is not held by anything.
    low, high = (extreme(surface.ev(x[used], y[used])) for extreme in (np.min, np.max))
    background = np.clip(rate, max(low, _LOWEST), high) * mean * exposure
    # As many counts as there are in the cells that were used.
    inside = cells.seen & used[cells.index]
    freedom = int(used.sum()) - len(surface.get_coeffs())
    return background * counts[inside].sum() / background[inside].sum(), chi2, freedom


def model_background(
    counts: FloatArray,
    vignetted: FloatArray,
    plain: FloatArray,
    good: BoolArray,
    *,
    known: FloatArray | None = None,
    nodes: int = 16,
    excess_sigma: float = 4.0,
    runs: int = 3,
) -> tuple[FloatArray, tuple[float, float], float, int]:
    """Background of two components: one that comes through the mirrors, and one that comes from everywhere.

    The first fit is to the darker half of the cells, so that a source that fills most of the field is left
    out from the beginning.

    Parameters
    ----------
    counts
        (ny, nx)
    vignetted, plain
        Exposure maps with and without vignetting [s].
    good
        Pixels without sources.
    known
        Counts that are expected besides, such as those of the read-out of the pn; None: none.
    nodes
        Cells along each side at most; fewer where there are few counts.
    excess_sigma
        Cells so many standard deviations above the model are left out, and those beside them that are
        above it.
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
    seen = _seen(good, plain)
    enough = np.sqrt(counts[seen].sum() / _COUNTS_OF_A_CELL * seen.size / seen.sum())
    cells = _Cells.of(seen, int(np.clip(enough, min(_FEWEST_NODES, nodes), nodes)))
    fixed = np.zeros(counts.shape) if known is None else known
    number, light, time, besides = (cells.sums(v) for v in (counts, vignetted, plain, fixed))
    usable = _covered(cells)
    rates = (0.0, 0.0)

    def fit(used: BoolArray, before: FloatArray) -> FloatArray:
        nonlocal rates
        rates = _two_rates(number[used], light[used], time[used], besides[used])
        return rates[0] * light + rates[1] * time + besides

    brightness = (number - besides) / np.maximum(time, 1e-30)
    darker = usable & (brightness <= np.median(brightness[usable]))
    used, chi2 = cells.without_excess(number, usable, fit, darker, excess_sigma, runs, 3)
    return rates[0] * vignetted + rates[1] * plain + fixed, rates, chi2, int(used.sum()) - 2


def _seen(good: BoolArray, exposure: FloatArray) -> BoolArray:
    """Good pixels that are exposed."""
    seen = good & (exposure > 0)
    if not seen.any():
        raise ValueError("no pixel without sources is exposed")
    return seen


def _covered(cells: _Cells) -> BoolArray:
    """Cells of which a large enough share is seen, or the largest there is."""
    share = cells.sums(np.ones(cells.seen.shape)) / np.maximum(np.bincount(cells.index.ravel()), 1)
    return share > min(_COVERED, 0.5 * share.max())


def _two_rates(
    counts: FloatArray, first: FloatArray, second: FloatArray, known: FloatArray
) -> tuple[float, float]:
    """Rates of two components that make Poisson counts most likely beside known ones, neither below 0.

    The rates are multiplied until they stay (Richardson-Lucy): they cannot become negative.
    """
    rates = np.full(2, counts.sum() / (first + second).sum())
    parts = np.stack([first, second])
    total = np.maximum(parts.sum(axis=1), 1e-30)
    for _ in range(2000):
        model = np.maximum(rates @ parts + known, 1e-30)
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
    seen = _seen(good, exposure)
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
