"""Tail probabilities of counts.

``scipy.special`` holds them, too, and is imported much sooner than ``scipy.stats``, which counts for every
task that is started as a program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def poisson_at_least(counts: npt.ArrayLike, expected: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Probability of as many counts or more.

    Parameters
    ----------
    counts
        Number of counts; a fraction is cut off.
    expected
        Mean of the Poisson distribution, 0 or more; broadcasts with ``counts``.
    """
    from scipy.special import gammainc

    least: npt.NDArray[Any] = np.floor(counts)
    return np.where(least > 0, gammainc(np.maximum(least, 1), expected), 1.0)


def poisson_at_most(counts: npt.ArrayLike, expected: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Probability of as many counts or fewer; parameters as for :func:`poisson_at_least`.

    Parameters
    ----------
    counts
        Numbers of counts, any shape.
    expected
        Expected numbers, of a shape that goes with it.
    """
    from scipy.special import gammaincc

    most: npt.NDArray[Any] = np.floor(counts)
    return np.where(most >= 0, gammaincc(np.maximum(most, 0) + 1, expected), 0.0)
