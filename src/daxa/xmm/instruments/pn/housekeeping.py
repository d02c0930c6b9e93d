"""Housekeeping of the pn in an exposure, as typed values.

Source: manual of epframes (parameters of the housekeeping); values and units of real files.

Parameters
----------
odf
    The opened ODF.
quadrant
    Number of the quadrant.
span_s
    Start and end of the exposure (mission time) [s].
warn
    Receives code and text of warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import PN_FILTER_CODES, PN_FILTER_TOLERANCE_DEG

if TYPE_CHECKING:
    from daxa.xmm.odf.file import OdfFile
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.table import OdfTable

_CCDS_PER_QUADRANT = 3
#: Period of the coarse frame time in real housekeeping [s].
_WRAP_S = 32400
Warn = Callable[[str, str], None]


@dataclass(frozen=True)
class Housekeeping:
    """Main periodic housekeeping of the pn in an exposure.

    Attributes
    ----------
    table
        The file.
    span_s
        Start and end of the exposure (mission time).
    warn
        Where warnings go: code and message.
    """

    table: OdfTable
    span_s: tuple[float, float]
    warn: Warn

    @classmethod
    def read(cls, odf: Odf, span_s: tuple[float, float], warn: Warn) -> Housekeeping:
        """Read the file.

        Raises
        ------
        TaskError
            ``noPNPMH1``: there is none.
        """
        files = odf.find("PN", "PMH")
        if not files:
            raise TaskError("noPNPMH1", f"{odf.folder}: no main periodic housekeeping of pn (PMH)")
        return cls(files[0].read(1), span_s, warn)

    def _has(self, name: str) -> bool:
        return name in self.table.columns and len(self.table) > 0

    @cached_property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Rows taken during the exposure; all of them, with a warning, if there is none."""
        from daxa.xmm.odf.times import housekeeping_times

        time = housekeeping_times(self.table["TIME"], self.table.where)
        inside = (time >= self.span_s[0]) & (time <= self.span_s[1])
        if len(time) and not inside.any():
            self.warn(
                "noHKinExposure", f"{self.table.where}: no row of the time of the exposure; all are used"
            )
            return np.ones(len(time), bool)
        return inside

    def value(self, name: str, default: Any = None) -> Any:
        """Most frequent value of a column in the exposure, or the default if it is missing.

        A missing column (with a default) and one of the switches that changes are warned of.

        Parameters
        ----------
        name
            Name of the column.
        default
            What to give where it is missing.

        Raises
        ------
        TaskError
            ``misHKcolumn``: it is missing, and there is no default.
        """
        if not self._has(name):
            if default is None:
                raise TaskError("misHKcolumn", f"{self.table.where}: no values of {name}")
            self.warn("misHKcolumn", f"{self.table.where}: no values of {name}, {default} is taken")
            return default
        values, counts = np.unique(self.table[name][self.inside], return_counts=True)
        if len(values) > 1 and name.startswith(("A", "F1052")):
            self.warn(
                "notHKconstant", f"{self.table.where}: {name} changes, its most frequent value is taken"
            )
        value = values[np.argmax(counts)]
        text = value.decode() if isinstance(value, bytes) else value
        # Real files fill texts with blanks.
        return text.strip() if isinstance(text, str) else text

    def active_ccds(self, quadrant: int) -> int:
        """Number of CCDs of a quadrant that are switched on, at least one."""
        states = [str(self.value(f"A{quadrant}_CCD{i}SWI", "ON")) for i in range(_CCDS_PER_QUADRANT)]
        return max(sum(state.upper() == "ON" for state in states), 1)

    @cached_property
    def wrap_s(self) -> float:
        """Period of the coarse frame time [s]."""
        period = float(self.value("F1052", _WRAP_S))
        if not period > 0:
            self.warn("notHKconstant", f"{self.table.where}: F1052 is {period:g}, {_WRAP_S} s is taken")
            return float(_WRAP_S)
        return period

    @cached_property
    def reset_s(self) -> float:
        """On-board time of a reset of the frame counter (F1030) that holds for the exposure.

        The counter restarts every F1052 seconds by itself, which moves F1030 by as much; other values are
        other resets, of which the most frequent one of the exposure counts.
        """
        if not self._has("F1030"):
            raise TaskError("misHKcolumn", f"{self.table.where}: no values of F1030")
        values = self.table["F1030"][self.inside].astype(np.int64)
        phase, first, counts = np.unique(values % int(self.wrap_s), return_index=True, return_counts=True)
        if len(phase) > 1:
            found = ", ".join(str(values[i]) for i in np.sort(first))
            self.warn(
                "notHKconstant", f"{self.table.where}: resets F1030 {found}; the most frequent one is taken"
            )
        return float(values[first[np.argmax(counts)]])

    @property
    def filter(self) -> str:
        """Filter by the angle of its wheel (F1122); ``Unknown``, with a warning, if it tells none."""
        # Outside the exposure the wheel may stand elsewhere.
        angles = self.table["F1122"][self.inside] if self._has("F1122") else np.empty(0)
        angle = float(np.median(angles)) if len(angles) else np.nan
        nearest = min(PN_FILTER_CODES, key=lambda code: abs(code - angle))
        if not abs(nearest - angle) <= PN_FILTER_TOLERANCE_DEG:
            self.warn("FILTERwrong", f"F1122 is {angle:g}, not the position of a filter")
            return "Unknown"
        return PN_FILTER_CODES[nearest]


def mean_in_exposure(
    files: Sequence[OdfFile], name: str, span_s: tuple[float, float], warn: Warn
) -> float | None:
    """Mean of a column of housekeeping files in an exposure; None if no file has one that can be read.

    Parameters
    ----------
    files, name
        The files, and the column.
    span_s
        Start and end of the exposure (mission time).
    warn
        Is told of files that cannot be read.
    """
    from daxa.xmm.odf.times import housekeeping_times

    values = np.empty(0)
    for file in files:
        try:
            table = file.read(1)
            time = housekeeping_times(table["TIME"], table.where)
            inside = (time >= span_s[0]) & (time <= span_s[1])
            values = np.concatenate([values, table[name][inside].astype(float)])
        except (TaskError, ValueError, TypeError) as error:
            warn("illegalODF", f"{file.path.name}: {error}")
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None
