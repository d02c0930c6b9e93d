"""Finding soft-proton flares in a light curve: the histogram and the ratio method.

Source: espfilt task manual; Kuntz & Snowden 2008 (A&A 478, 575) for the histogram method, De Luca &
Molendi 2004 (A&A 419, 837) for the ratio method. What the histogram method accepts is, bin by bin, what
espfilt 4.3 (SAS 20) accepted of MOS1 and pn of a real observation; earlier versions left no such files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.screen.quiet_level import (
    FlareFitError,
    Gaussian,
    Histogram,
    Pass,
    boxcar,
    fit_quiet_level,
    make_histogram,
    noise_scale,
)
from daxa.xmm.screen.runs import drop_short, runs
from daxa.xmm.screen.steadiness import Steadiness, check_steadiness

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: What is asked of a quiet level by default.
DEMANDS = Steadiness()
#: Whether a level is quiet is judged by rates so near to it at least [sigma]; espfilt accepts so much.
_CUSTOMARY_SIGMA = 2.5


@dataclass(frozen=True)
class FlareFit:
    """Result of the histogram method.

    Attributes
    ----------
    quiet
        Gaussian fitted to the histogram of quiet rates.
    low, high
        Accepted rates lie between them [ct/s].
    good
        Per sample of the light curve: accepted.
    histogram, smoothed
        What was fitted, and the rates it is made of [ct/s].
    passes
        The fits in their order.
    """

    quiet: Gaussian
    low: float
    high: float
    good: BoolArray
    histogram: Histogram
    smoothed: FloatArray
    passes: list[Pass]


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
    first, behind = runs(good)
    return GTI(time_s[first] - step_s / 2, time_s[behind - 1] + step_s / 2)


def bin_means(rate: FloatArray, length: int) -> FloatArray:
    """Mean rate of bins of ``length`` samples, counted from the first; the last one may be shorter.

    Parameters
    ----------
    rate
        Rates [ct/s], shape (n,).
    length
        Samples per bin.

    Examples
    --------
    >>> bin_means(np.array([1.0, 3.0, 5.0]), 2).tolist()
    [2.0, 5.0]
    """
    block = np.arange(len(rate)) // length
    return np.bincount(block, rate) / np.bincount(block)


def accept_bins(rate: FloatArray, exposed: BoolArray, length: int, low: float, high: float) -> BoolArray:
    """Samples of the bins whose mean lies strictly between the limits; a bin without a neighbour is dropped.

    Parameters
    ----------
    rate : (n,) array
        Rates as they are, not smoothed [ct/s].
    exposed : (n,) bool array
        Bins without any exposed sample are not accepted, whatever the limits.
    length
        Samples per bin.
    low, high
        Limits [ct/s].
    """
    mean = bin_means(rate, length)
    good = (mean > low) & (mean < high) & (bin_means(exposed.astype(float), length) > 0)
    return np.repeat(drop_short(good, 2), length)[: len(rate)]


@dataclass(frozen=True)
class Smoothing:
    """Samples of the running mean and of a bin, 0 for neither, and the length of a sample [s]."""

    mean: int
    bins: int
    step_s: float

    @classmethod
    def of(cls, smooth_s: float | None, bin_s: float | None, step_s: float) -> Smoothing:
        """From lengths in seconds.

        Parameters
        ----------
        smooth_s, bin_s
            Lengths of the running mean and of bins [s]; None for neither.
        step_s
            Length of a sample [s].
        """
        return cls(*(max(1, round(s / step_s)) if s else 0 for s in (smooth_s, bin_s)), step_s)  # type: ignore[call-arg]

    @property
    def length(self) -> int:
        """Samples that a rate is the mean of."""
        return self.mean or self.bins or 1

    def smooth(self, rate: FloatArray) -> FloatArray:
        """The rates whose histogram is made.

        Parameters
        ----------
        rate
            Rates [ct/s], shape (n,).
        """
        if self.bins and not self.mean:
            return np.repeat(bin_means(rate, self.bins), self.bins)[: len(rate)]
        return boxcar(rate, self.length)

    def accept(
        self, rate: FloatArray, smoothed: FloatArray, exposed: BoolArray, low: float, high: float
    ) -> BoolArray:
        """Samples between the limits.

        Parameters
        ----------
        rate, smoothed
            Rates as they are and smoothed [ct/s], shape (n,).
        exposed
            Samples inside the good times, shape (n,).
        low, high
            Limits [ct/s].
        """
        if self.bins:
            return accept_bins(rate, exposed, self.bins, low, high)
        return drop_short(exposed & (smoothed > low) & (smoothed < high), max(1, self.length // 2))


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
    steadiness: Steadiness | None = DEMANDS,
) -> FlareFit:
    """Accept the bins whose rate lies in the Gaussian of quiet rates.

    The last sample, which a light curve covers in part, is left out; so SAS does it. All others are used,
    also those outside the good times.

    Parameters
    ----------
    rate : (n,) array
        Count rate per sample, ct/s, evenly spaced by ``step_s``.
    exposed : (n,) bool array
        Samples inside the good times of the list.
    step_s
        Distance of samples [s].
    smooth_s
        Length of the running mean; None for no smoothing, then the histogram is that of the bins.
    bin_s
        Length of the bins that are accepted or not; None to judge every sample of the smoothed curve, and
        drop what is shorter than half the running mean. (How SAS does without bins is not known.)
    range_scale
        Half-width of the fit window, in histogram bins. Where the level that it gives is not steady, a window
        as wide as the counting noise is tried, too: bright fields need one.
    allow_sigma
        Accepted distance from the centre, in sigma.
    limits
        Lowest rate of the histogram; largest centre of the Gaussian, ct/s.
    steadiness
        What a quiet level has to fulfil; None to take any, as SAS does.

    Raises
    ------
    FlareFitError
        ``noCounts``: nothing was observed, or no rate reaches the lower limit. ``fitFailed``: no Gaussian
        fits. ``allFlare``: the level found is not a quiet one.
    """
    smoothing = Smoothing.of(smooth_s, bin_s, step_s)
    used, seen = rate[:-1], exposed[:-1]
    smoothed = smoothing.smooth(used)
    _check_counts(used[seen], smoothed[seen], limits[0])
    # Rates are multiples of one count per window: narrower bins would be empty in turn.
    histogram = make_histogram(smoothed, 1.0 / (smoothing.length * step_s), limits)

    def screened(scale: float) -> FlareFit:
        passes = fit_quiet_level(histogram, scale)
        quiet = passes[-1].found
        if not limits[0] <= quiet.centre <= limits[1]:
            between = f"{limits[0]:g} to {limits[1]:g}"
            raise FlareFitError(
                "fitFailed", f"the quiet level {quiet.centre:.3f} ct/s lies outside the limits {between}"
            )
        low, high = quiet.centre - allow_sigma * quiet.sigma, quiet.centre + allow_sigma * quiet.sigma
        good = smoothing.accept(used, smoothed, seen, low, high)
        if steadiness is not None:
            # A level is as quiet as it is, however little around it is to be accepted.
            wide = max(allow_sigma, _CUSTOMARY_SIGMA) * quiet.sigma
            near = smoothing.accept(used, smoothed, seen, quiet.centre - wide, quiet.centre + wide)
            # At the edges of flares the running mean leaves the limits inside of accepted bins.
            inside = near & seen & (np.abs(smoothed - quiet.centre) < wide)
            check_steadiness(used, smoothed, seen, inside, quiet, smoothing.length, step_s, steadiness)
        # The sample that was left out stands at the end.
        return FlareFit(quiet, low, high, np.append(good, False), histogram, np.append(smoothed, 0.0), passes)

    try:
        return screened(range_scale)
    except FlareFitError as objection:
        wider = noise_scale(histogram)
        if wider <= range_scale:
            raise
        try:
            return screened(wider)
        except FlareFitError:
            raise objection from None


def _check_counts(rate: FloatArray, smoothed: FloatArray, lowest: float) -> None:
    """Refuse a light curve without counts, or one with few of its rates above the lower limit.

    Of a short or faint one the histogram, which begins there, would hold a flank without a peak, and a
    Gaussian along a flank may run off anywhere, to negative rates too.
    """
    if not np.any(rate > 0):
        raise FlareFitError("noCounts", "the light curve holds no counts")
    reaching = float(np.mean(smoothed >= lowest))
    if not reaching:
        raise FlareFitError("noCounts", f"no rate reaches the lower limit of {lowest:g} ct/s")
    if reaching < 0.5:
        raise FlareFitError(
            "fitFailed",
            f"no quiet level: only {reaching:.0%} of the rates, whose mean is {rate.mean():.3f} ct/s, reach "
            f"the lower limit of {lowest:g} ct/s; a smaller limit may help",
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
