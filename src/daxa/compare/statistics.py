"""Median, spread and worst of differences; by groups."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt


def describe(values: npt.ArrayLike) -> dict[str, float]:
    """Number, median, spread and worst of the finite values.

    The spread is half the distance between the 16th and 84th percentile, one sigma of a Gaussian.

    Parameters
    ----------
    values
        Any number of differences.

    Returns
    -------
    dict
        ``n``, ``median``, ``spread`` and ``worst`` (the value of greatest size, with its sign).

    Examples
    --------
    >>> describe([1.0, 2.0, 3.0, float("nan")])["median"]
    2.0
    """
    data = np.asarray(values, dtype=np.float64)
    data = data[np.isfinite(data)]
    if not len(data):
        return {"n": 0, "median": float("nan"), "spread": float("nan"), "worst": float("nan")}
    low, middle, high = np.percentile(data, (15.87, 50.0, 84.13))
    worst = data[np.argmax(np.abs(data))]
    return {"n": len(data), "median": float(middle), "spread": float((high - low) / 2), "worst": float(worst)}


def uncertainty(what: dict[str, float]) -> float:
    """Standard error of the median of a Gaussian; 0 for an empty sample.

    Parameters
    ----------
    what
        What :func:`describe` gives.
    """
    return float(1.2533 * what["spread"] / np.sqrt(what["n"])) if what["n"] else 0.0


def by_value(group: npt.ArrayLike, values: dict[str, npt.NDArray[Any]]) -> list[dict[str, Any]]:
    """One row per value of an integer column: median and spread of each quantity, and the number.

    Parameters
    ----------
    group
        The column, shape (n,).
    values
        Quantities by name, each of shape (n,).
    """
    group = np.asarray(group)
    return [_row(str(number), group == number, values) for number in np.unique(group)]


def by_range(
    group: npt.ArrayLike, edges: Sequence[float], values: dict[str, npt.NDArray[Any]], unit: str = ""
) -> list[dict[str, Any]]:
    """One row per range of a column.

    Parameters
    ----------
    group
        The column, shape (n,).
    edges
        Edges of the ranges, the upper one outside; ranges without a row are left out.
    values
        Quantities by name, each of shape (n,).
    unit
        Unit of the column, for the labels.
    """
    group = np.asarray(group)
    rows = []
    for low, high in pairwise(edges):
        inside = (group >= low) & (group < high)
        if inside.any():
            rows.append(_row(f"{low:g} to {high:g} {unit}".rstrip(), inside, values))
    return rows


def _row(label: str, members: npt.NDArray[Any], values: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"group": label, "n": int(members.sum())}
    for name, data in values.items():
        what = describe(data[members])
        row[f"{name} median"] = what["median"]
        row[f"{name} spread"] = what["spread"]
    return row
