"""Times of the pn's frames, from EPN_TIMECORR, EPN_MODEPARAM and EPN_TIMEJUMPTOL.

Of the columns of EPN_TIMECORR only FRAME_TIME is public, of EPN_TIMEJUMPTOL none (calibration release
notes): they are told by what they hold, and what cannot be told is the documented value
(:mod:`daxa.xmm.ccf.readings_pn`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.documented import (
    CONSTANT_LOSS_S,
    FIFO_DEAD_S,
    INTEGRATION_SHARE,
    documented_tolerance,
)
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.instruments import PN_MODE_IDS
from daxa.xmm.formats.odf import PN_FTFINE_UNIT_S

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.ccf.constituent import Constituent, Table

_CCDS = 12
#: Rows of a mode and elements in each of them: of all CCDs, of those of a quadrant, of each quadrant's.
_SHAPES = {(1, 1), (1, 3), (3, 1), (1, _CCDS), (_CCDS, 1), (4, 3)}


@dataclass(frozen=True)
class PnTimes:
    """Times of one mode, all in seconds.

    Attributes
    ----------
    frame_s, readout_s
        Frame period, and the part of it that is not integrated.
    correction_s
        Per CCD (12): what is added to the time stamp to get the centre of the integration.
    fifo_s, fifo_residual
        Dead time of a reset of the event buffer (0: unknown), and the share left to the frame it happens in.
    loss_s
        Live time that every frame loses besides.
    jump_units
        Tolerance of time jumps in units of the fine time.
    """

    frame_s: float
    readout_s: float
    correction_s: tuple[float, ...]
    fifo_s: float
    fifo_residual: float
    loss_s: float
    jump_units: float

    @property
    def live(self) -> float:
        """Mode-dependent constant live time (AX_FC0)."""
        return 1.0 - self.loss_s / self.frame_s

    @property
    def integration_s(self) -> float:
        """Integration time of a frame (TIMEDEL)."""
        return self.frame_s - self.readout_s

    @property
    def tolerance_s(self) -> float:
        """Tolerance of time jumps."""
        return self.jump_units * PN_FTFINE_UNIT_S


def pn_times(cal: Calibration, submode: str, revolution: int) -> PnTimes:
    """Times of a mode of the pn.

    Parameters
    ----------
    cal
        The calibration.
    submode
        SUBMODE.
    revolution
        Revolution of the satellite, which the tolerance of time jumps depends on.

    Raises
    ------
    UnknownLayout
        No frame time of the mode can be found.
    """
    constituent = cal.constituent("EPN", "TIMECORR")
    frames, constants = constituent.table("FRAMETIME"), constituent.table("TIMECORR")
    mode_id = PN_MODE_IDS[submode]
    rows = _rows(frames, mode_id)
    if not len(rows):
        raise UnknownLayout(f"{frames.where}: no row for mode {mode_id}")
    frame_s = float(frames["FRAME_TIME"][rows[0]])
    if not frame_s > 0:
        raise UnknownLayout(f"{frames.where}, column FRAME_TIME: {frame_s:g} s for mode {mode_id}")
    return PnTimes(
        frame_s,
        _readout(cal, submode, frame_s),
        _correction(constituent, constants, submode),
        _fifo(constituent, (frames, constants), submode),
        _fifo_residual(constituent, frames, rows[0], submode),
        _loss(constituent, frames, rows[0], submode),
        jump_tolerance(cal, submode, revolution),
    )


def _rows(table: Table, mode_id: int) -> npt.NDArray[np.int64]:
    """Rows of a mode; a table that tells no modes holds for all."""
    mode = np.asarray(table["MODE_ID"])
    return np.flatnonzero((mode == mode_id) | (mode == -1))


def _correction(constituent: Constituent, table: Table, submode: str) -> tuple[float, ...]:
    """Time constant of each CCD [s]: rows of CCDs or elements of a vector; three hold for every quadrant."""
    rows = _rows(table, PN_MODE_IDS[submode])
    values: npt.NDArray[Any] = np.asarray(table["TIME_CORR"], float).reshape(table.n_rows, -1)
    quadrant, ccd = (np.asarray(table[name])[rows] for name in ("QUADRANT", "CCD_ID"))
    # Without columns that tell the CCD they are in the order of the table.
    different = len(set(zip(quadrant, ccd, strict=True))) == len(rows) or np.all((quadrant < 0) & (ccd < 0))
    if (len(rows), values.shape[1]) in _SHAPES and different:
        found = values[rows[np.lexsort((ccd, quadrant))]].ravel()
        return tuple(np.resize(found, _CCDS).tolist())
    number = len(rows) * values.shape[1]
    what = f"{number or 'no'} constants for {submode}, not 1, 3 or {_CCDS} of different CCDs"
    constituent.lacks("TIMECORR", "MODE_ID", what)
    return (0.0,) * _CCDS


def _fifo(constituent: Constituent, tables: tuple[Table, ...], submode: str) -> float:
    """Dead time of a reset of the event buffer [s]."""
    for table in tables:
        rows = _rows(table, PN_MODE_IDS[submode])
        if len(rows) and np.isfinite(table["FIFO_DEAD_TIME"][rows[0]]):
            return float(table["FIFO_DEAD_TIME"][rows[0]])
    if submode in FIFO_DEAD_S:
        constituent.lacks("FRAMETIME", "FIFO_DEAD_TIME", f"no dead time of {submode}")
    return FIFO_DEAD_S.get(submode, 0.0)


def _fifo_residual(constituent: Constituent, frames: Table, row: int, submode: str) -> float:
    """Share of its exposure that is left to the frame in which the event buffer was reset."""
    share = float(frames["FIFO_RESIDUAL"][row])
    if np.isfinite(share):
        return share
    return float(constituent.lacks("FRAMETIME", "FIFO_RESIDUAL", f"no residual exposure of {submode}"))


def _loss(constituent: Constituent, frames: Table, row: int, submode: str) -> float:
    """Live time that every frame loses besides its read-out [s]."""
    live = float(frames["LIVE"][row])
    if np.isfinite(live):
        return (1 - live) * float(frames["FRAME_TIME"][row])
    constituent.lacks("FRAMETIME", "LIVE", f"no constant live time of {submode}")
    return CONSTANT_LOSS_S[submode]


def _readout(cal: Calibration, submode: str, frame_s: float) -> float:
    """Part of the frame that is not integrated [s]: EPN_MODEPARAM's INTEGRATION_T over CYCLE_T."""
    constituent = cal.constituent("EPN", "MODEPARAM")
    table = constituent.table("MODEPARAM")
    rows = _rows(table, PN_MODE_IDS[submode])
    if len(rows):
        integration, cycle = (
            float(np.ravel(table[name][rows[0]])[0]) for name in ("INTEGRATION_T", "CYCLE_T")
        )
        if 0 < integration <= cycle:
            return frame_s * (1 - integration / cycle)
    constituent.lacks("MODEPARAM", "MODE_ID", f"no integration time of {submode}")
    return frame_s * (1 - INTEGRATION_SHARE[submode])


def jump_tolerance(cal: Calibration, submode: str, revolution: int) -> float:
    """Tolerance of time jumps in units of the fine time, of the last row up to a revolution.

    Parameters
    ----------
    cal
        The calibration.
    submode
        SUBMODE.
    revolution
        Revolution of the satellite.
    """
    constituent = cal.constituent("EPN", "TIMEJUMPTOL")
    table = constituent.table("TIMEJUMPTOL")
    rows = _rows(table, PN_MODE_IDS[submode])
    if not len(rows):
        constituent.lacks("TIMEJUMPTOL", "MODE_ID", f"nothing for {submode}")
        return documented_tolerance(submode, revolution)
    rows = rows[np.argsort(np.asarray(table["REVOLUTION"])[rows], kind="stable")]
    before = rows[np.asarray(table["REVOLUTION"])[rows] <= revolution]
    row = before[-1] if len(before) else rows[0]
    fast = float(np.ravel(table["TOLERANCE_FAST"][row])[0])
    if submode.startswith("Fast") and np.isfinite(fast):
        return fast
    values = np.ravel(table["TOLERANCE"][row])
    # A vector holds a tolerance for each mode.
    return float(values[PN_MODE_IDS[submode]] if len(values) == len(PN_MODE_IDS) else values[0])
