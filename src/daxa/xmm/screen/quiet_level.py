"""The quiet level of a light curve: a Gaussian through the peak of the histogram of its smoothed rates.

Source: Kuntz & Snowden 2008 (A&A 478, 575), espfilt task manual. The rules in detail (which samples, origin
and width of bins, window and steps of the fit) are those that reproduce every bin of the histograms, and all
printed digits of the fits, that espfilt 4.3 (SAS 20) left of MOS1 and pn of a real observation.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Width of the Gaussian that each fit begins with [ct/s].
START_SIGMA = 0.1
#: The window follows the last fit twice.
PASSES = 3


class FlareFitError(Exception):
    """The quiet level cannot be found in the light curve.

    Parameters
    ----------
    code
        Code of the reason, e.g. ``allFlare``.
    message
        The reason.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Histogram:
    """Histogram of count rates [ct/s]; bin ``k`` holds those from ``rate[k] - width`` up to ``rate[k]``."""

    rate: FloatArray
    counts: FloatArray
    width: float

    def nearest(self, rate: float) -> int:
        """The bin whose ``rate`` is nearest.

        Parameters
        ----------
        rate
            In ct/s.
        """
        return int(np.clip(np.rint((rate - self.rate[0]) / self.width), 0, len(self.rate) - 1))


@dataclass(frozen=True)
class Gaussian:
    """Counts per bin, centre and standard deviation [ct/s] of quiet rates."""

    norm: float
    centre: float
    sigma: float

    def __call__(self, rate: FloatArray) -> FloatArray:
        """Counts expected in bins at some rates.

        Parameters
        ----------
        rate
            Rates [ct/s], any shape.
        """
        return gaussian(rate, self.norm, self.centre, self.sigma)


@dataclass(frozen=True)
class Pass:
    """One fit: lowest, peak and highest bin of its window, where it began and what it found."""

    low: int
    peak: int
    high: int
    start: Gaussian
    found: Gaussian


def boxcar(rate: FloatArray, length: int) -> FloatArray:
    """Running mean; windows at the ends are shorter.

    Parameters
    ----------
    rate : (n,) array
        Evenly spaced rates.
    length
        Window length in samples; an even number is raised to the next odd one.
    """
    half = max(0, int(length) // 2)
    total = np.concatenate([[0.0], np.cumsum(rate)])
    index = np.arange(len(rate))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(rate))
    return (total[high] - total[low]) / (high - low)


def make_histogram(rates: FloatArray, width: float, limits: tuple[float, float]) -> Histogram:
    """Histogram of rates from the lower limit, in steps of ``width``, up to twice the upper limit.

    A real run with limits 0.1 and 6.5 ct/s and 51 s of smoothing has steps of 1/51 ct/s, 663 from zero at
    most, of which the 658 above the lower limit are used.

    Parameters
    ----------
    rates : (n,) array
        Smoothed rates [ct/s].
    width
        Of a bin [ct/s].
    limits
        Parameter of the task [ct/s].
    """
    lowest, highest = limits
    number = max(int(2.0 * highest / width) - int(lowest / width), 1)
    # The tiny number keeps rates that are counts over a whole window on one side of the edges.
    index = np.floor((rates - lowest) / width + 1e-9).astype(np.int64) + 1
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


def fit_window(histogram: Histogram, peak: int, range_scale: float) -> tuple[int, int]:
    """Lowest and highest bin of the fit: ``range_scale`` bins either side of the one after the peak.

    Parameters
    ----------
    histogram
        The histogram.
    peak
        Bin that the window is about.
    range_scale
        Half-width of the window [bins].
    """
    scale, last = round(range_scale), len(histogram.counts) - 1
    return max(peak + 1 - scale, 0), min(peak + 1 + scale, last)


def noise_scale(histogram: Histogram) -> float:
    """Counting noise at the peak, in bins: one count per window is one bin, and the noise their root.

    Parameters
    ----------
    histogram
        The histogram.
    """
    return float((histogram.rate[int(np.argmax(histogram.counts))] / histogram.width) ** 0.5)


def fit_gaussian(histogram: Histogram, low: int, high: int, start: Gaussian) -> Gaussian:
    """Gaussian through bins ``low`` to ``high``, by least squares without weights.

    Parameters
    ----------
    histogram
        The histogram.
    low, high
        First and last bin.
    start
        Where the search begins.

    Raises
    ------
    FlareFitError
        ``fitFailed``: no Gaussian fits.
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    rate, counts = histogram.rate[low : high + 1], histogram.counts[low : high + 1]
    scale = max(start.norm, 1.0)
    failed = "the Gaussian fit to the histogram of rates did not converge"
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            (norm, centre, sigma), _ = curve_fit(
                gaussian, rate, counts / scale, [start.norm / scale, start.centre, start.sigma], maxfev=5000,
                ftol=1e-12, xtol=1e-12,
            )  # fmt: skip
    except (RuntimeError, TypeError) as error:
        raise FlareFitError("fitFailed", failed) from error
    if not np.isfinite([norm, centre, sigma]).all() or norm <= 0 or sigma == 0:
        raise FlareFitError("fitFailed", failed)
    return Gaussian(float(norm * scale), float(centre), float(abs(sigma)))


def fit_quiet_level(histogram: Histogram, range_scale: float) -> list[Pass]:
    """Three fits: around the fullest bin, then around the bin nearest to the centre of the fit before.

    Parameters
    ----------
    histogram
        Of smoothed rates.
    range_scale
        Half-width of the window, in bins.
    """
    passes: list[Pass] = []
    peak = int(np.argmax(histogram.counts))
    for _ in range(PASSES):
        low, high = fit_window(histogram, peak, range_scale)
        start = Gaussian(float(histogram.counts[peak]), float(histogram.rate[peak]), START_SIGMA)
        passes.append(Pass(low, peak, high, start, fit_gaussian(histogram, low, high, start)))
        peak = histogram.nearest(passes[-1].found.centre)
    return passes
