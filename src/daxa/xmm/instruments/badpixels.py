"""Bad pixels in all cameras: what they are, who found them, and what the types of the calibration mean.

Maps of pixels have the indices [RAWY - 1, RAWX - 1] in all cameras, as images have (CHIPY, CHIPX in the RGS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from daxa.xmm.ccf.constituent import Constituent

HOT, FLICKERING, DEAD = 1, 2, 3
ONBOARD, CALIBRATION, FOUND = 1, 2, 3
#: Types of the calibration that mean too little charge: dead, dead pore, sensitivity reduced by tenths.
DEAD_TYPES = frozenset("DP123456789")
#: Those that mean too much, or cannot be trusted: turn-on channel, hot, edge emission, bad, unknown reason.
HOT_TYPES = frozenset("THEBU")


def kinds_of_types(types: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """TYPE of event lists for type letters of the calibration.

    Parameters
    ----------
    types
        Letters, shape (n,); small ones mean the same.

    Returns
    -------
    kinds, unknown
        HOT or DEAD, shape (n,), and the letters that no manual lists. They count as U, unknown reason, which
        is hot: such a pixel is masked and its neighbours are flagged (assumed).

    Notes
    -----
    Source of the letters: the calibration handbook.
    """
    letters = [str(letter).strip().upper() for letter in types]
    kinds = np.array([DEAD if letter in DEAD_TYPES else HOT for letter in letters], np.int64)
    return kinds, sorted(set(letters) - DEAD_TYPES - HOT_TYPES)


def calibrated_kinds(constituent: Constituent, extname: str = "BADPIX") -> npt.NDArray[np.int64]:
    """HOT or DEAD for each row of a table of bad pixels; unknown types are warned of once.

    Parameters
    ----------
    constituent
        The constituent BADPIX.
    extname
        Name of its table.
    """
    kinds, unknown = kinds_of_types(constituent.table(extname)["TYPE"])
    if unknown:
        constituent.lacks(extname, "TYPE", f"unknown type {', '.join(map(repr, unknown))}")
    return kinds
