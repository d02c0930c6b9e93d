"""Times of the pn's frames, from EPN_TIMECORR, EPN_MODEPARAM and EPN_TIMEJUMPTOL, told by what columns hold.

Of the columns of EPN_TIMECORR only FRAME_TIME is public, of EPN_TIMEJUMPTOL none (calibration release notes).
What cannot be found there falls back to the documented values below, and :attr:`PnTimes.fallbacks` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.errors import UnknownLayout
from daxa.xmm.ccf.layout import PN_MODE_IDS

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration, Constituent

Columns = Mapping[str, npt.NDArray[Any]]

#: Live time that every frame loses besides its read-out [s]: 1 - AX_FC0 of real headers times the frame time
#: (full frame, extended full frame, timing); for the window modes that of the other imaging modes, for burst
#: mode nothing is known.
CONSTANT_LOSS_S = {
    "PrimeFullWindow": 69.240e-6,
    "PrimeFullWindowExtended": 69.242e-6,
    "PrimeLargeWindow": 69.24e-6,
    "PrimeSmallWindow": 69.24e-6,
    "FastTiming": 52.669e-6,
    "FastBurst": 0.0,
}
#: Dead time of a reset of the event buffer [s], as logs of real runs print it "from CCF".
FIFO_DEAD_S = {
    "PrimeFullWindow": 366.82e-3,
    "PrimeFullWindowExtended": 398.39e-3,
    "PrimeLargeWindow": 95.33e-3,
}
#: Share of its exposure that is left to the frame in which the buffer was reset (logs of real runs).
FIFO_RESIDUAL = 0.9
#: Tolerance of time jumps in FTFINE units by revolution, from headers and logs of real runs: imaging, fast.
_JUMP_TOLERANCE: dict[bool, tuple[tuple[int, float], ...]] = {
    False: ((184, 22), (240, 25), (347, 26), (868, 32), (2522, 50), (3278, 51), (3575, 51)),
    True: ((347, 20), (535, 23), (730, 33), (815, 36), (1516, 40), (3553, 42)),
}
#: Shares of the integration in the frame: TIMEDEL of real images over the frame time.
_INTEGRATION_SHARE = {"PrimeFullWindow": 0.936444, "PrimeFullWindowExtended": 0.976592}
#: Frame times lie between these [s], so that the unit can be told.
_FRAME_S = (0.003, 0.5)
_MODES = {mode_id: submode for submode, mode_id in PN_MODE_IDS.items()}
_CCDS_PER_QUADRANT = 3


@dataclass(frozen=True)
class PnTimes:
    """Times of one mode, all in seconds.

    Attributes
    ----------
    frame_s, readout_s
        Frame period, and the part of it that is no integration.
    correction_s
        Per CCD of a quadrant: what is added to the time stamp to get the centre of the integration.
    fifo_s, fifo_residual
        Dead time of a reset of the event buffer (0: unknown), and the share left to the frame it happens in.
    loss_s
        Live time that every frame loses besides.
    jump_units
        Tolerance of time jumps in units of the fine time.
    fallbacks
        What the calibration files do not tell, and what is taken instead.
    """

    frame_s: float
    readout_s: float
    correction_s: tuple[float, float, float]
    fifo_s: float
    fifo_residual: float
    loss_s: float
    jump_units: float
    fallbacks: tuple[str, ...] = ()


def pn_times(cal: Calibration, submode: str, revolution: int) -> PnTimes:
    """Times of a mode of the pn.

    Parameters
    ----------
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
    said: list[str] = []
    mode_id = PN_MODE_IDS[submode]
    tables = {name: _table(constituent, name) for name in ("FRAMETIME", "TIMECORR")}
    row = _row(tables["FRAMETIME"], mode_id, f"{constituent.path.name}[FRAMETIME]")
    frame_s, name = _frame_time(tables["FRAMETIME"], row, f"{constituent.path.name}[FRAMETIME]")
    unit = frame_s / float(np.ravel(tables["FRAMETIME"][name][row])[0])
    correction = _correction(tables["TIMECORR"], mode_id, frame_s)
    if correction is None:
        said.append(f"{constituent.path.name}[TIMECORR] has no time constant of {submode}; 0 is taken")
        correction = (0.0, 0.0, 0.0)
    fifo_s = _fifo(tables, mode_id, frame_s, unit)
    if fifo_s is None:
        fifo_s = FIFO_DEAD_S.get(submode, 0.0)
        if fifo_s:
            said.append(
                f"{constituent.path.name} has no FIFO dead time of {submode}; {fifo_s * 1e3:g} ms is taken"
            )
    readout_s = _readout(cal, submode, frame_s, said)
    loss_s = CONSTANT_LOSS_S[submode]
    return PnTimes(
        frame_s,
        readout_s,
        correction,
        fifo_s,
        FIFO_RESIDUAL,
        loss_s,
        jump_tolerance(cal, submode, revolution, said),
        tuple(said),
    )


# --- columns by what they hold -------------------------------------------------------------------------


def _table(constituent: Constituent, extname: str) -> Columns:
    return constituent.contents(extname) if extname in constituent else {}


def _integers(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind in "iu" or (
        values.dtype.kind == "f" and values.size > 0 and bool(np.all(values == np.rint(values)))
    )


def _mode_column(table: Columns) -> str | None:
    """The column with the numbers of the modes: by its name, else whole numbers from 0 to 5."""
    scalar = [n for n, v in table.items() if v.dtype.kind in "iuf" and v.size == len(v)]
    named = [n for n in scalar if "MODE" in n.upper()]
    held = [
        n for n in scalar if _integers(table[n]) and len(table[n]) and set(np.ravel(table[n])) <= set(_MODES)
    ]
    # A column of CCDs from 0 to 2 is not one of modes.
    return next(iter(named), None) or max(held, key=lambda n: len(set(np.ravel(table[n]))), default=None)


def _row(table: Columns, mode_id: int, where: str) -> int:
    name = _mode_column(table)
    if name is None:
        raise UnknownLayout(f"{where}: no column of modes; it has {', '.join(table) or 'no columns'}")
    rows = np.flatnonzero(np.ravel(table[name]) == mode_id)
    if not len(rows):
        raise UnknownLayout(f"{where}: no row for mode {mode_id}")
    return int(rows[0])


def _frame_time(table: Columns, row: int, where: str) -> tuple[float, str]:
    """Frame time [s] and its column; s and ms are told by the range that frame times have."""
    names = [n for n in table if "FRAME" in n.upper() or "FRMTIME" in n.upper()]
    for name in (*names, *(n for n in table if n not in names)):
        if table[name].dtype.kind != "f":
            continue
        value = float(np.ravel(table[name][row])[0])
        for unit in (1.0, 1e-3):
            if _FRAME_S[0] < value * unit < _FRAME_S[1]:
                return value * unit, name
    raise UnknownLayout(f"{where}: no frame time in s or ms; it has {', '.join(table)}")


def _correction(table: Columns, mode_id: int, frame_s: float) -> tuple[float, float, float] | None:
    """Time constants of the CCDs of a quadrant [s]: the floating column that holds no frame time."""
    mode = _mode_column(table)
    if mode is None:
        return None
    rows = np.flatnonzero(np.ravel(table[mode]) == mode_id)
    if not len(rows):
        return None
    ccd_names = [
        n
        for n, v in table.items()
        if n != mode
        and v.ndim == 1
        and _integers(v)
        and len(set(v[rows])) in (3, 12)
        and v.dtype.kind in "iu"
    ]
    candidates = [
        n
        for n, v in table.items()
        if v.dtype.kind == "f" and "FRAME" not in n.upper() and "FIFO" not in n.upper() and n != mode
    ]
    # Names first that speak of it; nothing else is known of them.
    candidates.sort(key=lambda n: not any(word in n.upper() for word in ("CORR", "CAL", "DELAY", "CONST")))
    for name in candidates:
        values = np.asarray(table[name], float)
        if values.ndim > 1 and values.shape[1] in (3, 12):
            found = values[rows[0]][:_CCDS_PER_QUADRANT]
        elif ccd_names and values.ndim == 1:
            order = np.argsort(table[ccd_names[0]][rows], kind="stable")
            found = values[rows[order]][:_CCDS_PER_QUADRANT]
        else:
            found = np.full(_CCDS_PER_QUADRANT, float(np.ravel(values[rows[0]])[0]))
        for unit in (1.0, 1e-3):
            # No CCD is read later than a frame and a half after its stamp.
            if np.all(np.isfinite(found)) and np.all(np.abs(found) * unit < 1.5 * frame_s):
                return tuple(float(v) * unit for v in found)  # type: ignore[return-value]
    return None


def _fifo(tables: Mapping[str, Columns], mode_id: int, frame_s: float, unit: float) -> float | None:
    """Dead time of a reset [s]: a column of that name, or one that holds a small multiple of the frame."""
    found = []
    for table in tables.values():
        mode = _mode_column(table)
        if mode is None:
            continue
        rows = np.flatnonzero(np.ravel(table[mode]) == mode_id)
        if not len(rows):
            continue
        for name, values in table.items():
            if values.dtype.kind != "f" or values.ndim > 1:
                continue
            value = float(values[rows[0]]) * unit
            frames = value / frame_s
            if ("FIFO" in name.upper() or "DEAD" in name.upper()) and 0 <= frames < 100:
                return value
            if 1.5 < frames < 100 and abs(frames - round(frames)) < 1e-3:
                found.append(value)
    return found[0] if found else None


def _readout(cal: Calibration, submode: str, frame_s: float, said: list[str]) -> float:
    """Part of the frame that is no integration [s]: EPN_MODEPARAM's INTEGRATION_T over CYCLE_T."""
    constituent = cal.constituent("EPN", "MODEPARAM")
    table = _table(constituent, "MODEPARAM")
    try:
        row = _row(table, PN_MODE_IDS[submode], constituent.path.name)
        integration, cycle = (float(np.ravel(table[name][row])[0]) for name in ("INTEGRATION_T", "CYCLE_T"))
        share = integration / cycle if cycle > 0 else 0.0
    except (KeyError, UnknownLayout):
        share = 0.0
    if 0 < share <= 1:
        return frame_s * (1 - share)
    share = _INTEGRATION_SHARE.get(submode, 1.0)
    said.append(
        f"{constituent.path.name} has no integration time of {submode}; {share:g} of the frame is taken"
    )
    return frame_s * (1 - share)


# --- tolerance of time jumps ---------------------------------------------------------------------------


def documented_tolerance(submode: str, revolution: int) -> float:
    """Tolerance of time jumps that real runs used, of the last revolution known before this one [units]."""
    known = _JUMP_TOLERANCE[submode.startswith("Fast")]
    return next((value for rev, value in reversed(known) if rev <= revolution), known[0][1])


def jump_tolerance(cal: Calibration, submode: str, revolution: int, said: list[str]) -> float:
    """Tolerance of time jumps in units of the fine time, from EPN_TIMEJUMPTOL.

    Parameters
    ----------
    said
        Gets a sentence if the file does not tell, and :func:`documented_tolerance` is taken.
    """
    constituent = cal.constituent("EPN", "TIMEJUMPTOL")
    tables = [_table(constituent, name) for name in constituent.extensions]
    for table in (t for t in tables if t):
        found = _tolerance(table, PN_MODE_IDS[submode], revolution)
        if found is not None:
            return found
    value = documented_tolerance(submode, revolution)
    columns = ", ".join(name for table in tables for name in table)
    said.append(
        f"{constituent.path.name} has no tolerance of time jumps that can be read ({columns or 'no table'}); "
        f"{value:g} is taken, as real runs of that time used"
    )
    return value


def _tolerance(table: Columns, mode_id: int, revolution: int) -> float | None:
    """The tolerance of the last row up to a revolution, of a mode; None if the columns cannot be told."""
    numeric = {n: np.asarray(v) for n, v in table.items() if v.dtype.kind in "iuf" and len(v)}
    whole = [n for n, v in numeric.items() if v.size == len(v) and _integers(v)]
    named = [n for n in whole if "REV" in n.upper() or "ORBIT" in n.upper()]
    orbit = next(iter(named), None) or next((n for n in whole if numeric[n].max() > 200), None)
    if orbit is None:
        return None
    mode = next((n for n in whole if "MODE" in n.upper()), None) or next(
        (n for n in whole if n != orbit and set(np.ravel(numeric[n])) <= set(_MODES)), None
    )
    limits = [n for n, v in numeric.items() if n not in (orbit, mode) and v.min() >= 5 and v.max() <= 200]
    if not limits:
        return None
    rows = np.arange(len(numeric[orbit]))
    if mode is not None:
        rows = rows[np.ravel(numeric[mode]) == mode_id]
    rows = rows[np.argsort(np.ravel(numeric[orbit])[rows], kind="stable")]
    if not len(rows):
        return None
    before = rows[np.ravel(numeric[orbit])[rows] <= revolution]
    row = before[-1] if len(before) else rows[0]
    fast = [n for n in limits if any(word in n.upper() for word in ("TI", "BU", "FAST"))]
    # Two columns: one for imaging, one for the fast modes.
    is_fast = _MODES[mode_id].startswith("Fast")
    names = [n for n in limits if (n in fast) == is_fast] if len(limits) > 1 and fast else limits
    values = np.ravel(numeric[(names or limits)[0]][row])
    return float(values[mode_id] if len(values) == len(_MODES) else values[0])
