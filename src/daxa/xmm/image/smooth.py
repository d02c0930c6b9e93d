"""Smoothing of images, everywhere alike or as little as the counts allow.

Source: asmooth task manual (weighted convolution; a row of Gaussians, of which each pixel gets the narrowest
that reaches the signal-to-noise ratio asked for). Other than there nothing wraps around the borders: beyond
them there is no weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

FloatArray = npt.NDArray[np.float64]
#: Gaussians end at so many standard deviations.
_TRUNCATE = 5.0


def smooth(values: FloatArray, weights: FloatArray, sigma: float) -> FloatArray:
    """Weighted mean of the surroundings of each pixel; 0 where there is no weight.

    Parameters
    ----------
    values, weights
        Shape (ny, nx).
    sigma
        Standard deviation of the Gaussian [pixel].

    Examples
    --------
    >>> smooth(np.array([[1.0, 1.0, 9.0]]), np.array([[1.0, 1.0, 0.0]]), 1.0).round(6).tolist()
    [[1.0, 1.0, 1.0]]
    """
    kernel = _gaussian(sigma)
    return _ratio(_convolved(values * weights, kernel), _convolved(weights, kernel))


def smooth_adaptively(
    values: FloatArray,
    variance: FloatArray,
    weights: FloatArray,
    sigmas: Sequence[float],
    least_ratio: float,
) -> tuple[FloatArray, FloatArray]:
    """The same with the narrowest Gaussian whose mean is certain enough; the widest where none is.

    Parameters
    ----------
    values, variance, weights
        Shape (ny, nx); variance of the values.
    sigmas
        Standard deviations [pixel], ascending.
    least_ratio
        Mean over its standard deviation.

    Returns
    -------
    smoothed, width : (ny, nx) arrays
        The means, and the Gaussian [pixel] of each pixel.
    """
    smoothed = np.zeros(values.shape)
    width = np.zeros(values.shape)
    open_ = np.ones(values.shape, bool)
    for number, sigma in enumerate(sigmas, start=1):
        kernel = _gaussian(sigma)
        total = _convolved(weights, kernel)
        mean = _ratio(_convolved(values * weights, kernel), total)
        error = _ratio(np.sqrt(_convolved(variance * weights**2, kernel**2)), total)
        here = open_ & (mean > 0) & (mean >= least_ratio * error)
        if number == len(sigmas):
            here = open_
        smoothed[here], width[here] = mean[here], sigma
        open_ &= ~here
        if not open_.any():
            break
    return smoothed, width


def _gaussian(sigma: float) -> FloatArray:
    """Kernel along one axis, of sum 1; a single pixel for 0."""
    reach = int(_TRUNCATE * sigma + 0.5)
    if not reach:
        return np.ones(1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())


def _convolved(values: FloatArray, kernel: FloatArray) -> FloatArray:
    along = correlate1d(values, kernel, axis=0, mode="constant")
    return np.asarray(correlate1d(along, kernel, axis=1, mode="constant"))


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    # Less than a millionth of the largest weight is the tail of a Gaussian, not a surrounding.
    least = 1e-6 * below.max() if below.size else 0.0
    return np.divide(above, below, out=np.zeros(above.shape), where=below > max(least, 0.0))
