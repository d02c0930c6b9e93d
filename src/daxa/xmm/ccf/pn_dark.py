"""Dark levels of the pn, from EPN_REJECT.

A mode or CCD without rows, or with a pointer to a dummy, has no map; what then stands in,
:mod:`daxa.xmm.ccf.readings_pn` says.

Parameters
----------
submode
    SUBMODE of the pn.
ccd
    Number of the CCD.
constituent
    The constituent REJECT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.documented import LARGEST_DARK_SHIFT_ADU
from daxa.xmm.formats.instruments import PN_MODE_IDS

if TYPE_CHECKING:
    from daxa.xmm.ccf.constituent import Constituent

FloatArray = npt.NDArray[np.float64]
#: SUBMODE -> how EPN_REJECT may call it.
_SHORT_NAMES = {
    "PrimeFullWindow": ("FF",),
    "PrimeFullWindowExtended": ("EF", "EFF"),
    "PrimeLargeWindow": ("LW",),
    "PrimeSmallWindow": ("SW",),
    "FastTiming": ("TI",),
    "FastBurst": ("BU",),
}


@dataclass(frozen=True)
class BrightnessShifts:
    """What to add to amplitudes of a pixel that is too bright at the threshold.

    Attributes
    ----------
    low, high
        Limits of the excess over the median map, in its units; increasing.
    shift
        What is added [adu].
    """

    low: FloatArray
    high: FloatArray
    shift: FloatArray

    def of(self, excess: npt.ArrayLike) -> FloatArray:
        """Shift for an excess: 0 below the first row and between rows, that of the last row beyond it.

        Parameters
        ----------
        excess
            The excess, in the units of the limits, any shape.

        Returns
        -------
        array
            Shifts [adu], of the same shape.
        """
        excess = np.asarray(excess, float)
        row = np.searchsorted(self.low, excess, side="right") - 1
        known = (row == len(self.low) - 1) | (excess < self.high[row])
        return np.where((row >= 0) & known, self.shift[row], 0.0)


def rows_of_ccd(table: Mapping[str, npt.NDArray[Any]], submode: str, ccd: int) -> npt.NDArray[np.int64]:
    """Rows of a table of EPN_REJECT for a mode and CCD.

    Parameters
    ----------
    table
        Column -> values, with MODE and CCD.
    """
    names = {submode.upper(), *_SHORT_NAMES[submode], str(PN_MODE_IDS[submode])}
    mode = np.char.upper(np.char.strip(np.asarray(table["MODE"], str)))
    return np.flatnonzero(np.isin(mode, list(names)) & (np.asarray(table["CCD"]) == ccd))


def pointed_map(
    constituent: Constituent, index: str, submode: str, ccd: int
) -> tuple[npt.NDArray[Any], str] | None:
    """The image that an index table names for a mode and CCD, and what to call it; None if there is none.

    Parameters
    ----------
    index
        Name of the index table.

    Raises
    ------
    UnknownLayout
        The image that it names is not there.
    """
    table = constituent.table(index)
    rows = rows_of_ccd(table, submode, ccd)
    name = str(table["POINTER"][rows[0]]).strip() if len(rows) else ""
    if not name or name.upper().endswith("DUMMY"):
        return None
    return constituent.image(name), f"{constituent.path.name}[{name}]"


def largest_shift(constituent: Constituent, submode: str, ccd: int) -> float:
    """Largest correction of a dark level by an offset map [adu].

    The largest of CORRECTION_VALUES, but no more than :data:`LARGEST_DARK_SHIFT_ADU` (assumed).
    """
    table = constituent.table("CORRECTION_VALUES")
    shift = np.abs(table["COR_VAL"][rows_of_ccd(table, submode, ccd)])
    if not len(shift):
        return float(constituent.lacks("CORRECTION_VALUES", "COR_VAL", f"nothing for CCD {ccd} in {submode}"))
    return min(float(shift.max()), LARGEST_DARK_SHIFT_ADU)


def brightness_shifts(
    constituent: Constituent, submode: str, ccd: int
) -> tuple[npt.NDArray[Any], str, BrightnessShifts] | None:
    """The median image at the threshold, what to call it, and the shift for an excess over it.

    Returns
    -------
    tuple or None
        None, with the warning ``noMedianMap``, if one of both is not there.
    """
    median = pointed_map(constituent, "MEDIAN_MAP_INDEX", submode, ccd)
    table = constituent.table("CORRECTION_VALUES")
    rows = rows_of_ccd(table, submode, ccd)
    if median is None or not len(rows):
        constituent.lacks("MEDIAN_MAP_INDEX", "POINTER", f"nothing for CCD {ccd} in {submode}")
        return None
    rows = rows[np.argsort(np.asarray(table["H_LOW"], float)[rows], kind="stable")]
    low, high, shift = (np.asarray(table[name], float)[rows] for name in ("H_LOW", "H_HIGH", "COR_VAL"))
    return *median, BrightnessShifts(low, high, shift)
