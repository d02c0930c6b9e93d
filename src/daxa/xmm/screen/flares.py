"""Finding soft-proton flares in a light curve: the histogram and the ratio method.

Source: espfilt task manual; Kuntz & Snowden 2008 (A&A 478, 575) for the histogram method, De Luca &
Molendi 2004 (A&A 419, 837) for the ratio method. The rule for the histogram (origin, bin width, fit
window) is read from the numbers printed by a real espfilt 4.3 run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class FlareFitError(Exception):
    """The quiet level cannot be found in the light curve."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Histogram:
    """Histogram of count rates: bin ``k`` is centred on ``rate[k]``, in ct/s."""

    rate: FloatArray
    counts: FloatArray
    width: float


@dataclass
class FlareFit:
    """Result of the histogram method.

    Attributes
    ----------
    norm, centre, sigma
        Gaussian fitted to the histogram of quiet rates; centre and sigma in ct/s.
    low, high
        Accepted rates, in ct/s.
    good
        Per sample of the light curve: accepted.
    passes
        ``(low bin, peak bin, high bin, start, fit)`` of each pass, for the log.
    """

    norm: float
    centre: float
    sigma: float
    low: float
    high: float
    good: BoolArray
    histogram: Histogram
    smoothed: FloatArray
    passes: list[tuple[int, int, int, tuple[float, float, float], tuple[float, float, float]]] = field(
        default_factory=list
    )


def boxcar(rate: FloatArray, exposed: BoolArray, length: int) -> FloatArray:
    """Running mean over the exposed samples of a window.

    Parameters
    ----------
    rate : (n,) array
        Evenly spaced rates.
    exposed : (n,) bool array
        Samples that were observed; the others do not enter any mean.
    length
        Window length in samples; an even number is raised to the next odd one.
    """
    half = max(0, int(length) // 2)
    total = np.concatenate([[0.0], np.cumsum(np.where(exposed, rate, 0.0))])
    number = np.concatenate([[0.0], np.cumsum(exposed.astype(float))])
    index = np.arange(len(rate))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(rate))
    seen = number[high] - number[low]
    return np.where(seen > 0, (total[high] - total[low]) / np.maximum(seen, 1.0), 0.0)


def make_histogram(rates: FloatArray, width: float, lowest: float, highest: float) -> Histogram:
    """Histogram of rates from ``lowest``, in steps of ``width``, up to twice ``highest``.

    A real run with limits 0.1 and 6.5 ct/s and 51 s of smoothing uses steps of 1/51 ct/s, 663 steps from
    zero at most, of which the 658 above the lower limit are used.

    Parameters
    ----------
    rates
        Rates [ct/s], shape (n,).
    width
        Step [ct/s].
    lowest
        Centre of the first bin [ct/s].
    highest
        Half of the rate at which it ends [ct/s].
    """
    number = max(int(2.0 * highest / width) - int(lowest / width), 1)
    # Smoothed rates are multiples of the width: the nearest bin keeps the centre unbiased.
    index = np.rint((rates - lowest) / width).astype(np.int64)
    index = index[(index >= 0) & (index < number)]
    counts = np.bincount(index, minlength=number).astype(np.float64)
    return Histogram((lowest + width * np.arange(number)).astype(np.float64), counts, width)


def gaussian(rate: FloatArray, norm: float, centre: float, sigma: float) -> FloatArray:
    """The model of the quiet rates.

    Parameters
    ----------
    rate
        Rates [ct/s], any shape.
    norm
        Height.
    centre, sigma
        Centre and width [ct/s].
    """
    return norm * np.exp(-0.5 * ((rate - centre) / sigma) ** 2)


def fit_window(histogram: Histogram, range_scale: float) -> tuple[int, int, int]:
    """Lowest, peak and highest bin of the fit: ``range_scale`` bins either side of the one after the peak.

    Parameters
    ----------
    histogram
        The histogram.
    range_scale
        Half-width of the window [bins].
    """
    peak = int(np.argmax(histogram.counts))
    # At high rates a window narrower than the counting noise would leave the width undetermined; one
    # count per window is one bin, so the noise in bins is the root of the counts per window.
    scale = max(round(range_scale), int((histogram.rate[peak] / histogram.width) ** 0.5))
    last = len(histogram.counts) - 1
    return max(peak + 1 - scale, 0), peak, min(peak + 1 + scale, last)


def fit_gaussian(
    histogram: Histogram, low: int, peak: int, high: int, start_sigma: float = 0.1
) -> tuple[float, float, float]:
    """Gaussian through bins ``low`` to ``high`` by downhill simplex, unweighted.

    Parameters
    ----------
    histogram
        The histogram.
    low, peak, high
        First bin, bin of the peak and last bin.
    start_sigma
        Width that the search begins with [ct/s].

    Returns
    -------
    norm, centre, sigma
        Counts per bin, ct/s, ct/s.
    """
    from scipy.optimize import minimize

    rate, counts = histogram.rate[low : high + 1], histogram.counts[low : high + 1]
    scale = max(counts.max(), 1.0)

    def misfit(parameters: FloatArray) -> float:
        norm, centre, sigma = parameters
        if norm <= 0 or sigma <= 0:
            return 1e30
        return float(np.sum((counts / scale - gaussian(rate, norm, centre, sigma)) ** 2))

    start = np.array([counts.max() / scale, histogram.rate[peak], start_sigma])
    found = minimize(
        misfit, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10, "maxiter": 4000}
    ).x
    return float(found[0] * scale), float(found[1]), float(found[2])


def intervals(time_s: FloatArray, good: BoolArray, step_s: float) -> GTI:
    """Intervals covered by the good samples, each ``[t - step/2, t + step/2)``.

    Parameters
    ----------
    time_s
        Times of the samples [s], shape (n,).
    good
        Which of them are good, shape (n,).
    step_s
        Distance of samples [s].
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    first, last = edges[::2], edges[1::2] - 1
    return GTI(time_s[first] - step_s / 2, time_s[last] + step_s / 2)


def drop_short(good: BoolArray, shortest: int) -> BoolArray:
    """The same mask without runs of fewer than ``shortest`` good samples.

    Parameters
    ----------
    good
        The mask, shape (n,).
    shortest
        Number of samples.

    Examples
    --------
    >>> drop_short(np.array([True, False, True, True]), 2).tolist()
    [False, False, True, True]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    result = good.copy()
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first < shortest:
            result[first:last] = False
    return result


def mean_run(good: BoolArray) -> float:
    """Mean length, weighted by length, of the runs of good samples; 0 if there are none.

    Parameters
    ----------
    good
        The mask, shape (n,).

    Returns
    -------
    float
        Length [samples].

    Examples
    --------
    >>> mean_run(np.array([True, True, True, False, True]))
    2.5
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    lengths = (edges[1::2] - edges[::2]).astype(float)
    return float((lengths**2).sum() / lengths.sum()) if len(lengths) else 0.0


def dispersion(counts: FloatArray, good: BoolArray, length: int) -> tuple[float, int]:
    """Variance over mean of the counts in blocks of accepted samples; 1 for a steady rate.

    Parameters
    ----------
    counts : (n,) array
        Counts per sample.
    good : (n,) bool array
        Accepted samples. Blocks lie inside one run of them; what is left over is not used.
    length
        Samples per block.

    Returns
    -------
    ratio
        NaN for fewer than two blocks, or none that holds counts.
    number
        Blocks used.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    total = np.concatenate([[0.0], np.cumsum(counts)])
    starts = [np.arange(a, b - length + 1, length) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    first = np.concatenate(starts) if starts else np.zeros(0, int)
    blocks = total[first + length] - total[first]
    if len(blocks) < 2 or blocks.sum() <= 0:
        return float("nan"), len(blocks)
    return float(blocks.var(ddof=1) / blocks.mean()), len(blocks)


def histogram_method(
    rate: FloatArray,
    exposed: BoolArray,
    *,
    step_s: float = 1.0,
    smooth_s: float | None = 51.0,
    bin_s: float | None = 60.0,
    range_scale: float = 6.0,
    allow_sigma: float = 3.0,
    limits: tuple[float, float] = (0.1, 6.5),
    shortest_s: float = 25.0,
    max_excess: float = 3.0,
    max_spread: float = 1.32,
    min_run: float = 6.0,
    max_dispersion: float = 6.0,
    max_below: float = 0.01,
) -> FlareFit:
    """Accept the samples whose smoothed rate lies in the Gaussian of quiet rates.

    Parameters
    ----------
    rate : (n,) array
        Count rate per sample, ct/s, evenly spaced by ``step_s``.
    exposed : (n,) bool array
        Samples inside the good times of the list; the others are neither used nor accepted.
    step_s
        Distance of samples [s].
    smooth_s
        Length of the running mean; None for no smoothing.
    bin_s
        Length of bins, used instead when nothing is smoothed.
    range_scale
        Half-width of the fit window, in histogram bins.
    allow_sigma
        Accepted distance from the centre, in sigma.
    limits
        Lowest rate of the histogram; largest centre of the Gaussian, ct/s.
    shortest_s
        Good intervals shorter than this are dropped: by default half the running mean, as what is shorter
        is not a measurement of its own. (SAS has such a limit, too; its value is not published.)
    max_excess
        Largest acceptable ratio of the fitted sigma to that of pure counting noise. A light curve
        that is flare from end to end has no quiet peak, only a wide distribution.
    max_spread
        Largest acceptable ratio of the scatter of the accepted rates to the fitted sigma. Quiet rates
        cluster (ratios up to 1.2 in simulations); passing ones are spread evenly (1.3 to 1.7).
    min_run
        Least mean length of accepted stretches, in smoothing lengths: a curve that only passes through
        the accepted rates on its way up and down was never quiet.
    max_dispersion, max_below
        Protons only add to the quiet rate: nothing lies below it but counting noise. A curve is refused
        if a share of its samples larger than ``max_below`` of the accepted ones lies more than three
        times the counting noise below the centre, and the accepted time itself varies over four
        smoothing lengths with a variance larger than ``max_dispersion`` times that of counting. Either
        alone also occurs with a true quiet level: as an excess where the feet of flares are accepted, as a
        deficit where the read-out lost frames. Both together occur where the quiet level drifts: the
        limits admit the drifts of 15 % at 0.75 ct/s that a real histogram allows for.

    Raises
    ------
    FlareFitError
        ``noCounts``: nothing was observed, or no rate exceeds the lower limit. ``fitFailed``: no Gaussian
        fits. ``allFlare``: the distribution is much wider than counting noise allows.
    """
    if not exposed.any() or not np.any(rate[exposed] > 0):
        raise FlareFitError("noCounts", "the light curve holds no counts")
    if smooth_s:
        span = smooth_s
    elif bin_s:
        span = bin_s
    else:
        span = step_s
    length = max(1, round(span / step_s))
    if smooth_s or not bin_s:
        smoothed = boxcar(rate, exposed, length)
    else:
        block = np.arange(len(rate)) // length
        seen = np.bincount(block, exposed.astype(float))
        mean = np.bincount(block, np.where(exposed, rate, 0.0)) / np.maximum(seen, 1)
        smoothed = mean[block]
    # Rates are multiples of one count per window: narrower bins would be empty in turn.
    width = 1.0 / (length * step_s)
    if not np.any(smoothed[exposed] >= limits[0]):
        raise FlareFitError("noCounts", f"no rate reaches the lower limit of {limits[0]:g} ct/s")

    good = exposed.copy()
    passes = []
    histogram = make_histogram(smoothed[good], width, *limits)
    norm = centre = sigma = 0.0
    for _ in range(3):
        if not histogram.counts.any():
            raise FlareFitError("fitFailed", "no samples are left to fit")
        low, peak, high = fit_window(histogram, range_scale)
        start = (float(histogram.counts[peak]), float(histogram.rate[peak]), 0.1)
        norm, centre, sigma = fit_gaussian(histogram, low, peak, high)
        passes.append((low, peak, high, start, (norm, centre, sigma)))
        if not (np.isfinite([norm, centre, sigma]).all() and norm > 0 and sigma > 0):
            raise FlareFitError("fitFailed", "the Gaussian fit to the histogram of rates did not converge")
        if not limits[0] <= centre <= limits[1]:
            if histogram.rate[low] <= centre <= histogram.rate[high]:
                between = f"{limits[0]:g} to {limits[1]:g}"
                said = f"the quiet level {centre:.3f} ct/s lies outside the limits {between}"
            else:
                # Short or faint: the histogram, which begins at the lower limit, holds a flank without a
                # peak, and a Gaussian along a flank may run off anywhere, to negative rates too.
                said = (
                    f"no quiet level: the rates of {exposed.sum() * step_s:.0f} s have no peak above the "
                    f"lower limit of {limits[0]:g} ct/s, the Gaussian runs off to {centre:.3f} ct/s; "
                    "a smaller limit or a longer exposure may help"
                )
            raise FlareFitError("fitFailed", said)
        # Few samples may happen to scatter less than counting allows; the cut must not follow them.
        sigma = max(sigma, float(np.sqrt(centre / (length * step_s))))
        inside = np.abs(smoothed - centre) <= allow_sigma * sigma
        accepted = drop_short(exposed & inside, max(1, round(shortest_s / step_s)))
        if np.array_equal(accepted, good):
            break
        good = accepted
        histogram = make_histogram(smoothed[good], width, *limits)
    noise = np.sqrt(max(centre, width) / (length * step_s))
    if sigma > max_excess * noise:
        raise FlareFitError(
            "allFlare",
            f"rates scatter by {sigma:.3f} ct/s about {centre:.3f} ct/s, "
            f"{sigma / noise:.1f} times the counting noise: no quiet level",
        )
    spread = float(np.std(smoothed[good])) / sigma if good.any() else 0.0
    if spread > max_spread:
        raise FlareFitError(
            "allFlare",
            f"rates fill the range around {centre:.3f} ct/s evenly "
            f"({spread:.2f} of the fitted sigma): no quiet level",
        )
    run = mean_run(good) * step_s
    if run < min(min_run * length * step_s, 0.15 * exposed.sum() * step_s):
        raise FlareFitError(
            "allFlare",
            f"the rate stays near {centre:.3f} ct/s for only {run:.0f} s at a time: no quiet level",
        )
    too_low = int(np.count_nonzero(exposed & (smoothed < centre - 3.0 * noise)))
    below = too_low / max(int(np.count_nonzero(good)), 1)
    ratio, blocks = dispersion(rate * step_s, good, 4 * length)
    if below > max_below and blocks >= 10 and ratio > max_dispersion:
        raise FlareFitError(
            "allFlare",
            f"the rate varies by {ratio:.1f} times the counting noise about {centre:.3f} ct/s, "
            "and goes below: no quiet level",
        )
    return FlareFit(
        norm,
        centre,
        sigma,
        centre - allow_sigma * sigma,
        centre + allow_sigma * sigma,
        good,
        histogram,
        smoothed,
        passes,
    )


def ratio_method(
    annulus: FloatArray,
    corner: FloatArray,
    exposed: BoolArray,
    area_ratio: float,
    limit: float,
    *,
    step_s: float = 1.0,
    bin_s: float = 60.0,
) -> tuple[BoolArray, FloatArray]:
    """Accept the bins where the rate per area in the field does not exceed that in the corners by ``limit``.

    Parameters
    ----------
    annulus, corner : (n,) arrays
        Counts per sample in the outer field of view and in the corners.
    exposed
        Samples inside the good times of the list, shape (n,).
    area_ratio
        Area of the corners over that of the annulus.
    limit
        Largest ratio that is accepted, beyond its own noise.
    step_s
        Distance of samples [s].
    bin_s
        Length of a bin [s].

    Returns
    -------
    good : (n,) bool array
    ratio : (n,) array
        The ratio of each sample's bin; NaN where the corners have no counts.
    """
    length = max(1, round(bin_s / step_s))
    block = np.arange(len(annulus)) // length
    field_counts = np.bincount(block, np.where(exposed, annulus, 0.0))
    corner_counts = np.bincount(block, np.where(exposed, corner, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(corner_counts > 0, field_counts / corner_counts * area_ratio, np.nan)
    # Corners are poor in counts: an excess counts only beyond its own noise.
    noise = ratio * np.sqrt(1 / np.maximum(corner_counts, 1) + 1 / np.maximum(field_counts, 1))
    good = ~(ratio - noise > limit)
    return exposed & good[block], ratio[block]
