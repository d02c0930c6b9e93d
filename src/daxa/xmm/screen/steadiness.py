"""Is the level that the histogram method found a quiet one? Rules of our own: SAS accepts any.

A light curve that is flare from end to end has no quiet peak, but its histogram has some peak, and a Gaussian
fits it. The limits are chosen on simulated light curves with a known quiet level (``benchmarks/flares.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.screen.quiet_level import FlareFitError, Gaussian
from daxa.xmm.screen.runs import runs

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Steadiness:
    """What a quiet level has to fulfil.

    Attributes
    ----------
    max_excess
        Largest acceptable ratio of the fitted sigma to that of pure counting noise.
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
    """

    max_excess: float = 3.0
    max_spread: float = 1.32
    min_run: float = 6.0
    max_dispersion: float = 6.0
    max_below: float = 0.01


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
    first, behind = runs(good)
    lengths = (behind - first).astype(float)
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
    total = np.concatenate([[0.0], np.cumsum(counts)])
    starts = [np.arange(a, b - length + 1, length) for a, b in zip(*runs(good), strict=True)]
    first = np.concatenate(starts) if starts else np.zeros(0, int)
    blocks = total[first + length] - total[first]
    if len(blocks) < 2 or blocks.sum() <= 0:
        return float("nan"), len(blocks)
    return float(blocks.var(ddof=1) / blocks.mean()), len(blocks)


def _refused(reason: str) -> FlareFitError:
    return FlareFitError("allFlare", f"{reason}: no quiet level")


def check_steadiness(
    rate: FloatArray,
    smoothed: FloatArray,
    exposed: BoolArray,
    good: BoolArray,
    quiet: Gaussian,
    length: int,
    step_s: float,
    limits: Steadiness,
) -> None:
    """Refuse a level that is not a quiet one.

    Parameters
    ----------
    rate, smoothed : (n,) arrays
        Rates as they are and smoothed [ct/s].
    exposed, good : (n,) bool arrays
        Samples inside the good times, and those of them that were accepted.
    quiet
        The level.
    length
        Samples of the smoothing.
    step_s
        Length of a sample [s].
    limits
        What is asked for.

    Raises
    ------
    FlareFitError
        ``allFlare``: with the reason.
    """
    noise = float(np.sqrt(quiet.centre / (length * step_s)))
    if quiet.sigma > limits.max_excess * noise:
        raise _refused(
            f"rates scatter by {quiet.sigma:.3f} ct/s about {quiet.centre:.3f} ct/s, "
            f"{quiet.sigma / noise:.1f} times the counting noise"
        )
    # Few samples may happen to scatter less than counting allows.
    sigma = max(quiet.sigma, noise)
    spread = float(np.std(smoothed[good])) / sigma if good.any() else 0.0
    if spread > limits.max_spread:
        raise _refused(
            f"rates fill the range around {quiet.centre:.3f} ct/s evenly ({spread:.2f} of the fitted sigma)"
        )
    run = mean_run(good) * step_s
    if run < min(limits.min_run * length * step_s, 0.15 * exposed.sum() * step_s):
        raise _refused(f"the rate stays near {quiet.centre:.3f} ct/s for only {run:.0f} s at a time")
    too_low = int(np.count_nonzero(exposed & (smoothed < quiet.centre - 3.0 * noise)))
    below = too_low / max(int(np.count_nonzero(good)), 1)
    ratio, blocks = dispersion(rate * step_s, good, 4 * length)
    if below > limits.max_below and blocks >= 10 and ratio > limits.max_dispersion:
        raise _refused(
            f"the rate varies by {ratio:.1f} times the counting noise about {quiet.centre:.3f} ct/s, "
            "and goes below"
        )
