"""Runs of good samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]


def runs(good: BoolArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and behind-last index of each run of good samples.

    Parameters
    ----------
    good
        The mask, shape (n,).

    Examples
    --------
    >>> [edges.tolist() for edges in runs(np.array([True, True, False, True]))]
    [[0, 3], [2, 4]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2]


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
    result = good.copy()
    for first, behind in zip(*runs(good), strict=True):
        if behind - first < shortest:
            result[first:behind] = False
    return result
