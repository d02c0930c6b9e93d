"""Fits of the point-spread function to the counts of all images together, by Cash's statistic.

Source: manual of emldetect (sources in the order of their brightness; what has been fitted is background for
the others; likelihoods), Cash (1979). For a given place the counts of each image are found by themselves, as
the logarithm of the likelihood is concave in them; place and extent are searched around that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import xlogy

from daxa.xmm.detect import likelihood
from daxa.xmm.detect.extended import Smeared
from daxa.xmm.detect.field import Field
from daxa.xmm.response.psf import King

FloatArray = npt.NDArray[np.float64]
#: Radius to which a fitted source is taken off the others [arcsec].
_REACH_ARCSEC = 300.0
#: The same of an extended source, in units of its extent.
_REACH_EXTENTS = 20.0
#: Least background of a pixel: a count where none is expected would have no likelihood.
_LEAST = 1e-6
#: Extents [pixel] from which the search for the best one starts.
_FIRST_EXTENTS = (1.5, 3.0, 6.0, 12.0)
#: Less cannot be told from a point [pixel].
_LEAST_EXTENT = 0.5
#: Radius within which the counts of an extended source are used, in units of its extent, and at most [pixel].
_CUT_EXTENTS, _LARGEST_CUT = 4.0, 60.0
#: Least gain of a point source [in logarithms of the likelihood] at whose place a better one is searched.
_WORTH_A_LOOK = 3.0
#: Radius within which the models of extended sources are compared with the counts [pixel], and how far they
#: are raised at most.
_AROUND, _MOST_RAISED = 30, 3.0
#: Loss outside of the limits: finite, as the search takes differences.
_NOT_HERE = 1e30
#: Furthest that a source moves away from where it was found [pixel].
_FURTHEST = 5.0


@dataclass(frozen=True)
class FitOptions:
    """How sources are fitted.

    Attributes
    ----------
    least, least_extent
        Least likelihood of a source, and of its extent.
    cut
        Radius within which counts are used [pixel]; a share of the point-spread function if below 1.
    with_position, with_extent
        Whether the place and the extent are free.
    extent_model
        ``beta`` (core radius, slope 2/3) or ``gaussian`` (standard deviation).
    largest_extent
        [pixel]
    rounds
        How often the sources are gone through, as those found later are background of those before.
    """

    least: float = 10.0
    least_extent: float = 10.0
    cut: float = 0.68
    with_position: bool = True
    with_extent: bool = False
    extent_model: str = "beta"
    largest_extent: float = 20.0
    rounds: int = 2


@dataclass(frozen=True)
class Source:
    """A fitted source.

    Attributes
    ----------
    x, y, x_error, y_error
        Its place and standard errors [0-based pixel]; errors 0 if it was not free.
    extent, extent_error
        [pixel]; 0 for a point.
    likelihood, extent_likelihood
        Of the source, and of its extent beyond a point.
    counts, counts_error
        In each image, of the whole source, as far as the exposure lets them through.
    of_image
        Likelihood of each image.
    rate, rate_error
        Counts per second of exposure in each image; NaN where there is none.
    background, exposure
        Counts of background in a pixel at its place, and exposure [s] as a mean over its profile within the
        cut, in each image.
    within, covered
        Share of the point-spread function within the cut; share of that which lies on good pixels.
    cut
        Radius of the cut [pixel].
    model
        Profile of the extent.
    number
        Of the place that it was found at, from 1.
    """

    x: float
    y: float
    x_error: float
    y_error: float
    extent: float
    extent_error: float
    likelihood: float
    extent_likelihood: float
    counts: FloatArray
    counts_error: FloatArray
    of_image: FloatArray
    rate: FloatArray
    rate_error: FloatArray
    background: FloatArray
    exposure: FloatArray
    within: FloatArray
    covered: FloatArray
    cut: float
    model: str = "beta"
    number: int = 0


def best_rates(
    counts: FloatArray, background: FloatArray, shape: FloatArray, steps: int = 30
) -> tuple[FloatArray, FloatArray]:
    """Rates of a source of known shape that make the counts most likely.

    Parameters
    ----------
    counts, background, shape
        (images, pixels); ``shape`` is what a rate of 1 gives in each pixel.
    steps
        Steps of Newton's method at most.

    Returns
    -------
    rates, gains
        For each image: the rate, not below 0, and by how much the logarithm of the likelihood grows with it.
    """
    total = shape.sum(axis=1)
    rate = np.zeros(len(counts))
    rising = (shape * (counts / background - 1)).sum(axis=1) > 0
    # Newton's method from below, where it never goes too far: the slope falls ever less steeply.
    for _ in range(steps):
        model = background + rate[:, None] * shape
        ratio = shape / model
        slope = (counts * ratio).sum(axis=1) - total
        bend = (counts * ratio**2).sum(axis=1)
        step = np.where(rising & (bend > 0), slope / np.where(bend > 0, bend, 1.0), 0.0)
        rate = np.maximum(rate + step, 0.0)
        if np.all(np.abs(step) <= 1e-7 * np.maximum(rate, 1e-12)):
            break
    model = background + rate[:, None] * shape
    gain = (xlogy(counts, model / background)).sum(axis=1) - rate * total
    return rate, np.maximum(gain, 0.0)


@dataclass(frozen=True)
class _Others:
    """What the counts hold besides a source: background and all other sources; the extended ones of these."""

    all: Sequence[FloatArray]
    extended: Sequence[FloatArray]

    @classmethod
    def of(cls, images: Field) -> _Others:
        backgrounds = [np.array(i.background, float) for i in images.images]
        return cls(backgrounds, [np.zeros(images.shape) for _ in backgrounds])

    def add(self, images: Field, source: Source, sign: float = 1.0) -> None:
        """Add the model of a source, or take it away."""
        for maps in (self.all, *([self.extended] if source.extent > 0 else [])):
            _add(maps, images, source, sign)

    def about(self, images: Field, x: float, y: float, box: tuple[slice, slice]) -> list[FloatArray]:
        """Counts expected in a box about a place.

        No extended source has the very profile of its model. Where there is more of it than the model says,
        in a wide circle about the place, that is no other source: the model is raised there.
        """
        ny, nx = images.shape
        rows, columns = (
            slice(max(round(c) - _AROUND, 0), min(round(c) + _AROUND + 1, n)) for c, n in ((y, ny), (x, nx))
        )
        yy, xx = np.mgrid[rows, columns]
        near = np.hypot(xx - x, yy - y) <= _AROUND
        seen = [near & i.good[rows, columns] for i in images.images]
        wide = np.concatenate([m[rows, columns][s] for m, s in zip(self.extended, seen, strict=True)])
        if wide.sum() < 1.0:
            return [m[box] for m in self.all]
        every = np.concatenate([m[rows, columns][s] for m, s in zip(self.all, seen, strict=True)])
        counts = np.concatenate(
            [i.counts[rows, columns][s] for i, s in zip(images.images, seen, strict=True)]
        )
        ground = np.maximum(every - wide, _LEAST)
        factor = float(best_rates(counts[None], ground[None], wide[None])[0][0])
        more = float(np.clip(factor, 1.0, _MOST_RAISED)) - 1.0
        return [m[box] + more * w[box] for m, w in zip(self.all, self.extended, strict=True)]


class _Stamp:
    """The pixels about a source, in all images."""

    def __init__(
        self,
        field: Field,
        others: _Others,
        x: float,
        y: float,
        options: FitOptions,
        extent: float = 0.0,
    ) -> None:
        self.field, self.options = field, options
        self.kings = [image.king(x, y) for image in field.images]
        self.pixel = field.pixel_arcsec
        radii = [k.radius(options.cut) / self.pixel for k in self.kings] if options.cut < 1 else [options.cut]
        self.cut = max(*radii, min(_CUT_EXTENTS * extent, _LARGEST_CUT))
        reach = int(np.ceil(self.cut)) + 1
        ny, nx = field.shape
        cx, cy = round(x), round(y)
        self.rows = slice(max(cy - reach, 0), min(cy + reach + 1, ny))
        self.columns = slice(max(cx - reach, 0), min(cx + reach + 1, nx))
        yy, xx = np.mgrid[self.rows, self.columns]
        inside = np.hypot(xx - x, yy - y) <= self.cut
        self.xx, self.yy, self.inside = xx.astype(float), yy.astype(float), inside
        box = self.rows, self.columns
        exposed = [np.where(i.good[box], i.exposure[box], 0.0)[inside] for i in field.images]
        self.exposure = np.array(exposed)
        self.counts = np.array([i.counts[box][inside] for i in field.images])
        self.background = np.array([np.maximum(b[inside], _LEAST) for b in others.about(field, x, y, box)])
        unseen = self.exposure <= 0
        self.counts[unseen], self.background[unseen] = 0.0, _LEAST
        self.seen = ~unseen.all(axis=1)
        self._smeared: Smeared | None = None
        # Cameras and bands of one profile share its evaluation.
        self._profiles: dict[King, list[int]] = {}
        for k, king in enumerate(self.kings):
            self._profiles.setdefault(king, []).append(k)

    def shapes(self, x: float, y: float, extent: float) -> FloatArray:
        """Share of the source in each pixel within the cut, (images, pixels)."""
        result = np.empty_like(self.counts)
        dx, dy = (self.xx - x) * self.pixel, (self.yy - y) * self.pixel
        kings = list(self._profiles)
        if extent > 0:
            if self._smeared is None:
                self._smeared = Smeared(kings, self.xx.shape, self.pixel)
            place = x - self.columns.start, y - self.rows.start
            shares = list(self._smeared.shares(*place, extent, self.options.extent_model)[:, self.inside])
        else:
            shares = [k.on_pixels(dx[self.inside], dy[self.inside], self.pixel) for k in kings]
        for king, share in zip(kings, shares, strict=True):
            result[self._profiles[king]] = share
        return result

    def best(self, x: float, y: float, extent: float = 0.0) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Shapes, rates, gains at a place."""
        shapes = self.shapes(x, y, extent)
        rates, gains = best_rates(self.counts, self.background, shapes * self.exposure)
        return shapes, rates, gains

    def gain(self, x: float, y: float, extent: float = 0.0) -> float:
        """By how much the logarithm of the likelihood grows with a source at this place."""
        return float(self.best(x, y, extent)[2].sum())


def fit_sources(
    images: Field, places: Sequence[tuple[float, float]], options: FitOptions | None = None
) -> list[Source]:
    """Fit sources at places where they were found.

    Parameters
    ----------
    images
        The images, with background maps.
    places
        Places (x, y) [0-based pixel], the brightest first.
    options
        How.

    Returns
    -------
    list
        Sources of at least the least likelihood, in the order of the places; ``number`` counts these from 1.
    """
    options = options or FitOptions()
    others = _Others.of(images)
    sources: dict[int, Source] = {}
    for round_ in range(options.rounds):
        for number, (x, y) in enumerate(places, start=1):
            before = sources.pop(number, None)
            if round_ and before is None:
                continue
            if before is not None:
                others.add(images, before, -1.0)
            at = (before.x, before.y) if before is not None else (x, y)
            source = _fit_one(images, others, at, (x, y), options)
            if source is not None:
                sources[number] = replace(source, number=number)
                others.add(images, source)
    return [sources[number] for number in sorted(sources)]


def _fit_one(
    images: Field,
    others: _Others,
    at: tuple[float, float],
    found: tuple[float, float],
    options: FitOptions,
) -> Source | None:
    """Fit one source on top of the others; None if it is not likely enough."""
    stamp = _Stamp(images, others, *at, options)
    if not stamp.seen.any():
        return None
    x, y = at
    if stamp.gain(x, y) < _WORTH_A_LOOK:
        return None
    if options.with_position:
        x, y = _best_place(stamp, at, found)
    point_gain = stamp.gain(x, y)
    extent, extent_likelihood, gain = 0.0, 0.0, point_gain
    # What is next to nothing as a point is no more as an extended source.
    if options.with_extent and point_gain > _WORTH_A_LOOK:
        ex, ey, size, extended_gain = _best_extent(stamp, (x, y), found, point_gain, options)
        if _CUT_EXTENTS * size > stamp.cut and extended_gain > point_gain + 0.5 * options.least_extent:
            # Its light reaches farther than the counts that were used.
            stamp = _Stamp(images, others, ex, ey, options, size)
            point_gain = stamp.gain(ex, ey)
            ex, ey, size, extended_gain = _best_extent(stamp, (ex, ey), found, point_gain, options, size)
        extent_likelihood = likelihood.of_fit(extended_gain - point_gain, 1)
        if extent_likelihood >= options.least_extent:
            x, y, extent, gain = ex, ey, size, extended_gain
        else:
            extent_likelihood = 0.0
    free = int(stamp.seen.sum()) + 2 * options.with_position + (extent > 0)
    total = likelihood.of_fit(gain, free)
    if total < options.least:
        return None
    return _described(stamp, (x, y, extent), (total, extent_likelihood), options)


def _best_place(stamp: _Stamp, at: tuple[float, float], found: tuple[float, float]) -> tuple[float, float]:
    def loss(p: FloatArray) -> float:
        if np.hypot(p[0] - found[0], p[1] - found[1]) > _FURTHEST:
            return _NOT_HERE
        return -stamp.gain(p[0], p[1])

    start = np.array(at)
    simplex = start + np.array([[0.0, 0.0], [0.7, 0.0], [0.0, 0.7]])
    best = minimize(
        loss, start, method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 0.01, "fatol": 0.01, "maxfev": 120},
    )  # fmt: skip
    return float(best.x[0]), float(best.x[1])


def _best_extent(
    stamp: _Stamp,
    at: tuple[float, float],
    found: tuple[float, float],
    point_gain: float,
    options: FitOptions,
    size: float | None = None,
) -> tuple[float, float, float, float]:
    """Place, extent and gain of the best extended source; not searched where none is better than a point."""
    sizes = [size] if size else [size for size in _FIRST_EXTENTS if size <= options.largest_extent]
    gains = {size: stamp.gain(*at, size) for size in sizes}
    first = max(gains, key=lambda size: gains[size])
    if gains[first] < point_gain + 0.5 * options.least_extent:
        return (*at, first, gains[first])

    def loss(p: FloatArray) -> float:
        size = np.exp(p[2])
        if (
            not _LEAST_EXTENT < size < options.largest_extent
            or np.hypot(p[0] - found[0], p[1] - found[1]) > 2 * _FURTHEST
        ):
            return _NOT_HERE
        return -stamp.gain(p[0], p[1], size)

    start = np.array([*at, np.log(first)])
    simplex = start + np.vstack([np.zeros(3), np.diag([0.7, 0.7, 0.4])])
    best = minimize(
        loss, start, method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 0.01, "fatol": 0.01, "maxfev": 200},
    )  # fmt: skip
    return float(best.x[0]), float(best.x[1]), float(np.exp(best.x[2])), -float(best.fun)


def _error(function: Callable[[float], float], step: float) -> float:
    """Standard error from the curvature of a logarithm of likelihood at its peak; 0 if it has none."""
    bend = (2 * function(0.0) - function(step) - function(-step)) / step**2
    return float(1 / np.sqrt(bend)) if bend > 0 else 0.0


def _described(
    stamp: _Stamp, place: tuple[float, float, float], likelihoods: tuple[float, float], options: FitOptions
) -> Source:
    x, y, extent = place
    shapes, rates, gains = stamp.best(x, y, extent)
    spread = shapes * stamp.exposure
    model = stamp.background + rates[:, None] * spread
    # With counts that the model expects, as those found may be none.
    information = (spread**2 / model).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(information > 0, 1 / np.sqrt(information), np.nan)
    ny, nx = stamp.field.shape
    row, column = int(np.clip(round(y), 0, ny - 1)), int(np.clip(round(x), 0, nx - 1))
    within = shapes.sum(axis=1)
    # Weighted by the profile: a source in the middle of a gap is seen beside it.
    exposure = spread.sum(axis=1) / np.maximum(within, 1e-30)
    covered = np.where(stamp.exposure > 0, shapes, 0.0).sum(axis=1) / np.maximum(within, 1e-30)
    background = np.array([i.background[row, column] for i in stamp.field.images if i.background is not None])
    step = 0.25
    x_error = y_error = extent_error = 0.0
    if options.with_position:
        x_error = _error(lambda d: stamp.gain(x + d, y, extent), step)
        y_error = _error(lambda d: stamp.gain(x, y + d, extent), step)
    if extent > 0:
        extent_error = _error(lambda d: stamp.gain(x, y, extent * (1 + d)), 0.1) * extent
    seen = stamp.seen
    return Source(
        x, y, x_error, y_error, extent, extent_error, *likelihoods,
        counts=rates * exposure, counts_error=errors * exposure, of_image=gains,
        rate=np.where(seen, rates, np.nan), rate_error=np.where(seen, errors, np.nan),
        background=background, exposure=exposure, within=within, covered=covered, cut=stamp.cut,
        model=options.extent_model,
    )  # fmt: skip


def _add(maps: Sequence[FloatArray], images: Field, source: Source, sign: float) -> None:
    """Add the model of a source to maps of all images, or take it away."""
    reach = int(np.ceil(max(_REACH_ARCSEC / images.pixel_arcsec, _REACH_EXTENTS * source.extent)))
    ny, nx = images.shape
    cx, cy = round(source.x), round(source.y)
    rows = slice(max(cy - reach, 0), min(cy + reach + 1, ny))
    columns = slice(max(cx - reach, 0), min(cx + reach + 1, nx))
    yy, xx = np.mgrid[rows, columns].astype(float)
    dx, dy = (xx - source.x) * images.pixel_arcsec, (yy - source.y) * images.pixel_arcsec
    kings = [image.king(source.x, source.y) for image in images.images]
    distinct = list(dict.fromkeys(kings))
    if source.extent > 0:
        smeared = Smeared(distinct, xx.shape, images.pixel_arcsec)
        place = source.x - columns.start, source.y - rows.start
        shares = list(smeared.shares(*place, source.extent, source.model))
    else:
        shares = [king.on_pixels(dx, dy, images.pixel_arcsec) for king in distinct]
    of_king = dict(zip(distinct, shares, strict=True))
    for image, king, counts, rate in zip(images.images, kings, maps, source.rate, strict=True):
        if rate > 0:
            seen = np.where(image.good[rows, columns], image.exposure[rows, columns], 0.0)
            counts[rows, columns] += sign * rate * of_king[king] * seen


def model_maps(images: Field, sources: Sequence[Source]) -> list[FloatArray]:
    """Background and sources of each image.

    Parameters
    ----------
    images
        The images.
    sources
        The sources of :func:`fit_sources`.
    """
    maps = [np.array(i.background, float) for i in images.images]
    for source in sources:
        _add(maps, images, source, 1.0)
    return maps
