"""Light curves and their histogram as espfilt leaves them.

The file is the one that espfilt of SAS writes for QDP, and the engine alike: rows of a position and eight
columns, of which each row fills one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: First number of each column behind the position: histogram, fit, field, accepted, corner, accepted, limits.
_COLUMNS = {"histogram": 1, "fit": 3, "field": 4, "accepted": 6, "corner": 8, "limits": 12, "window": 13}
_NUMBERS = 14
_EMPTY = -1.0


@dataclass(frozen=True)
class Screening:
    """What espfilt looked at.

    Attributes
    ----------
    field, corner : (n, 2) arrays
        Seconds since the start of the list, and rate [ct/s] in the field and in the corners.
    histogram, fit : (n, 2) arrays
        Rate [ct/s], and how often it occurs; the Gaussian of the quiet level.
    limits
        Rates between which time is accepted [ct/s]; None where no level was found.
    """

    field: FloatArray
    corner: FloatArray
    histogram: FloatArray
    fit: FloatArray
    limits: tuple[float, float] | None


def read_qdp(text: str) -> Screening:
    """Take the numbers out of the file for QDP.

    Parameters
    ----------
    text
        The file.

    Raises
    ------
    ValueError
        There is no light curve in it.
    """
    rows = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == _NUMBERS:
            try:
                rows.append([float(word) for word in words])
            except ValueError:
                continue
    table = np.array(rows, float).reshape(-1, _NUMBERS)
    found = {name: _filled(table, column) for name, column in _COLUMNS.items()}
    if not len(found["field"]):
        raise ValueError("no rows of a light curve")
    limits = found["limits"][:, 0]
    return Screening(
        found["field"],
        found["corner"],
        found["histogram"],
        found["fit"],
        (float(limits.min()), float(limits.max())) if len(limits) else None,
    )


def _filled(table: FloatArray, column: int) -> FloatArray:
    return table[table[:, column] != _EMPTY][:, [0, column]]
