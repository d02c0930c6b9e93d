"""Likelihoods of detections: how improbable a source would be as a chance of the background.

Source: manuals of eboxdetect and emldetect, Cash (1979). Far from the peak, where the functions of SciPy are
zero in double precision, the first terms of their expansions are taken.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln, gammainc, gammaincc, gammaln, xlogy

FloatArray = npt.NDArray[np.float64]
_TINY = 1e-290


def log_chance(counts: npt.ArrayLike, expected: npt.ArrayLike) -> FloatArray:
    """Logarithm of the chance of as many counts or more.

    Parameters
    ----------
    counts
        Numbers found.
    expected
        Mean of the Poisson distribution; arrays broadcast.

    Examples
    --------
    >>> log_chance([0, 1, 20], 2.0).round(3).tolist()
    [0.0, -0.145, -30.373]
    """
    n, mean = np.broadcast_arrays(np.atleast_1d(counts).astype(float), np.asarray(expected, float))
    chance = np.where(n > 0, gammainc(np.maximum(n, 1), mean), 1.0)
    with np.errstate(divide="ignore"):
        result = np.log(chance)
    far = (chance < _TINY) & (n > 0)
    # The first term of the sum over larger numbers, times the geometric series that bounds the rest.
    a, b = n[far], np.maximum(mean[far], _TINY)
    result[far] = xlogy(a, b) - b - gammaln(a + 1) - np.log1p(-np.minimum(b / (a + 1), 0.5))
    return result


def log_chance_of_excess(counts: npt.ArrayLike, around: npt.ArrayLike, share: npt.ArrayLike) -> FloatArray:
    """Logarithm of the chance that as many counts or more of all counts fall into a part of the exposure.

    This is what can be said of a box whose background is known only from the counts around it: the number
    in the box, of all in the box and around it, is binomial.

    Parameters
    ----------
    counts, around
        Numbers in the box, and around it.
    share
        Exposure of the box over that of both; arrays broadcast.

    Examples
    --------
    >>> log_chance_of_excess([0, 5], 10, 0.3).round(3).tolist()
    [0.0, -0.725]
    """
    n, other, part = np.broadcast_arrays(
        np.atleast_1d(counts).astype(float), np.asarray(around, float), np.asarray(share, float)
    )
    chance = np.where(n > 0, betainc(np.maximum(n, 1), other + 1, part), 1.0)
    with np.errstate(divide="ignore"):
        result = np.log(chance)
    far = (chance < _TINY) & (n > 0)
    a, b, p = n[far], other[far] + 1, part[far]
    # First term of the series of the incomplete beta function.
    result[far] = xlogy(a, p) + xlogy(b, 1 - p) - np.log(a) - betaln(a, b)
    return result


def log_upper(shape: npt.ArrayLike, value: npt.ArrayLike) -> FloatArray:
    """Logarithm of the regularised upper incomplete gamma function ``Q(shape, value)``.

    Parameters
    ----------
    shape, value
        Its arguments; arrays broadcast.

    Examples
    --------
    >>> log_upper(1.0, [3.0, 2000.0]).tolist()
    [-3.0, -2000.0]
    """
    a, x = np.broadcast_arrays(np.atleast_1d(shape).astype(float), np.asarray(value, float))
    upper = gammaincc(a, x)
    with np.errstate(divide="ignore"):
        result = np.log(upper)
    far = upper < _TINY
    a, x = a[far], x[far]
    result[far] = xlogy(a - 1, x) - x - gammaln(a) + np.log1p((a - 1) / x)
    return result


def of_boxes(likelihoods: npt.ArrayLike, number: npt.ArrayLike) -> FloatArray:
    """Likelihood of what several images show in one box.

    Parameters
    ----------
    likelihoods
        Sum over the images of minus the logarithm of each one's chance.
    number
        Images in the sum; none gives 0.
    """
    n = np.asarray(number)
    return np.where(n > 0, -log_upper(np.maximum(n, 1), likelihoods), 0.0)


def of_fit(gain: float, parameters: int) -> float:
    """Likelihood of a fit: of such a gain by chance, with as many free parameters.

    Parameters
    ----------
    gain
        By how much the logarithm of the Poisson likelihood grew, half the change of Cash's statistic.
    parameters
        Number of free parameters.
    """
    return max(-float(log_upper(parameters / 2, max(gain, 0.0))[0]), 0.0)
