"""Energy scale of a pn CCD, from EPN_ADUCONV and EPN_CTI.

The laws stand in :mod:`daxa.xmm.formats.ccf`. Older issues of EPN_CTI lack some tables; what stands in for
them, :mod:`daxa.xmm.ccf.readings_pn` says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.instruments import PN_MODE_IDS
from daxa.xmm.odf.times import utc_to_tt

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.ccf.constituent import Constituent, Table

FloatArray = npt.NDArray[np.float64]

#: 2000-01-01T00:00:00 in mission time, to the accuracy that a growth over years needs [s].
_J2000_S = 730 * 86400.0
_YEAR_S = 365 * 86400.0
_COLUMNS = 64
#: Tables with the gain of a mode.
_MODE_GAINS = {
    "EFF_GAIN": "PrimeFullWindowExtended",
    "TIMING_GAIN": "FastTiming",
    "BURST_GAIN": "FastBurst",
}
#: Gains below are relative ones, above they are eV per adu.
LARGEST_RELATIVE_GAIN = 2.5


@dataclass(frozen=True)
class TemperatureLaw:
    """Numbers of QBOXTEMP_GAIN: slope [adu/K], reference channel [adu] and factor of a mode."""

    slope: float
    reference: float
    factor: float


@dataclass(frozen=True)
class PnEnergy:
    """Energy scale of one CCD, mode and time; names as in :class:`.pn.energy.EnergyScale`."""

    adu_ev: float
    gain: FloatArray
    loss: FloatArray
    offset: FloatArray
    reference_ev: float
    slope: float
    ageing_ev: FloatArray
    ageing_start: FloatArray
    ageing_now: FloatArray
    shifts: dict[int, tuple[FloatArray, FloatArray]] = field(default_factory=dict)


def pn_energy(cal: Calibration, ccd: int, mode_id: int, time_s: float, accuracy: int) -> PnEnergy:
    """Energy scale of a CCD.

    Parameters
    ----------
    cal
        The calibration.
    ccd
        Number of the CCD.
    mode_id
        MODE_ID of the tables.
    time_s
        Mission time.
    accuracy
        gainctiaccuracy: 0 takes the GAIN of OFFSET_GAIN, 1 and 2 that of GAIN-HIGH.

    Raises
    ------
    UnknownLayout
        Gain or losses of the CCD are not there.
    """
    aduconv, cti = cal.constituent("EPN", "ADUCONV"), cal.constituent("EPN", "CTI")
    gain = _gain(aduconv, ccd, accuracy)
    adu_ev = aduconv.number("ADU_EV", "GAIN-HIGH")
    if not adu_ev > 0:
        raise UnknownLayout(f"{aduconv.path.name}[GAIN-HIGH], keyword ADU_EV: {adu_ev:g} is not above 0")
    if np.median(gain) > LARGEST_RELATIVE_GAIN:
        gain = gain / adu_ev
    ageing = _ageing(cti, ccd, mode_id, time_s)
    _say_unused(cti, mode_id, accuracy)
    return PnEnergy(
        adu_ev,
        gain,
        _loss(cti, ccd, mode_id),
        _offset(aduconv, ccd, time_s),
        cti.number("E_REF", "CTI_EXTENDED"),
        cti.number("SLOPE", "CTI_EXTENDED"),
        *ageing,
        _shifts(cti, ccd, mode_id),
    )


def _say_unused(cti: Constituent, mode_id: int, accuracy: int) -> None:
    """Warn of tables of the file that hold for a mode and accuracy and cannot be applied."""
    if accuracy and "CTI-HIGH" in cti:
        cti.lacks("CTI_EXTENDED", "CTI-HIGH", "CTI-HIGH is not applied")
    gain = {name for name, mode in _MODE_GAINS.items() if PN_MODE_IDS[mode] == mode_id and name in cti}
    for name in gain:
        cti.lacks("CTI_EXTENDED", "EFF_GAIN", f"{name} is not applied")


def rows_of(table: Table, **wanted: int) -> npt.NDArray[np.int64]:
    """Rows of a calibration table with the given values; at least one.

    Parameters
    ----------
    table
        The table.
    **wanted
        Column -> value.

    Raises
    ------
    UnknownLayout
        There is none.
    """
    match = np.ones(table.n_rows, bool)
    for name, value in wanted.items():
        match &= np.asarray(table[name]) == value
    rows = np.flatnonzero(match)
    if not len(rows):
        text = ", ".join(f"{k} {v}" for k, v in wanted.items())
        raise UnknownLayout(f"{table.where}: no row for {text}")
    return rows


def _gain(aduconv: Constituent, ccd: int, accuracy: int) -> FloatArray:
    if accuracy:
        try:
            high = aduconv.table("GAIN-HIGH")
            return np.asarray(high["GAIN"][rows_of(high, CCD_ID=ccd)[0]], float)
        except UnknownLayout as error:
            aduconv.lacks("GAIN-HIGH", "*", error.message)
    low = aduconv.table("OFFSET_GAIN")
    return np.asarray(low["GAIN"][rows_of(low, CCD_ID=ccd)[0]], float)


def _offset(aduconv: Constituent, ccd: int, time_s: float) -> FloatArray:
    """Offsets of the columns [adu]: OFFSET, or with ALGOID 1, or without OFFSET, a line in time."""
    table = aduconv.table("OFFSET_GAIN")
    row = rows_of(table, CCD_ID=ccd)[0]
    fixed, constant, slope = (
        np.asarray(table[name][row], float) for name in ("OFFSET", "OFFSET_CONST", "OFFSET_SLOPE")
    )
    has_fixed, has_line = np.all(np.isfinite(fixed)), np.all(np.isfinite(constant))
    if not (has_fixed or has_line):
        raise UnknownLayout(f"{table.where}: neither OFFSET nor OFFSET_CONST of CCD {ccd} are 64 numbers")
    by_time = aduconv.keyword("ALGOID", "OFFSET_GAIN") == 1
    if has_fixed and not (by_time and has_line):
        if by_time:
            what = f"ALGOID is 1, and OFFSET_CONST of CCD {ccd} is not 64 numbers"
            aduconv.lacks("OFFSET_GAIN", "OFFSET_CONST", what)
        return fixed
    if not np.all(np.isfinite(slope)):
        aduconv.lacks("OFFSET_GAIN", "OFFSET_SLOPE", f"no OFFSET_SLOPE of CCD {ccd}")
        return constant
    return constant + slope * _since_reference(aduconv, time_s)


def _since_reference(aduconv: Constituent, time_s: float) -> float:
    """Time since REFTIME [s]; 0, with a warning, if that is not a date."""
    reference = aduconv.keyword("REFTIME", "OFFSET_GAIN")
    try:
        return time_s - float(utc_to_tt(str(reference)))
    except ValueError:
        aduconv.lacks("OFFSET_GAIN", "OFFSET_SLOPE", f"REFTIME is {reference!r}, not a date")
        return 0.0


def _loss(cti: Constituent, ccd: int, mode_id: int) -> FloatArray:
    """Share of the charge lost per row, by column."""
    table = cti.table("CTI_EXTENDED")
    try:
        rows = rows_of(table, MODE_ID=mode_id, CCD_ID=ccd)
    except UnknownLayout:
        rows = rows_of(table, CCD_ID=ccd)
        first = np.asarray(table["MODE_ID"])[rows]
        rows = rows[first == first[0]]
        cti.lacks("CTI_EXTENDED", "MODE_ID", f"nothing for mode {mode_id}")
    values = np.asarray(table["CTI_Y"], float)[rows]
    if len(rows) == 1:
        return np.full(_COLUMNS, values[0])
    loss = np.full(_COLUMNS, np.nan)
    loss[np.asarray(table["NODE_ID"])[rows]] = values
    without = np.isnan(loss)
    if without.any():
        cti.lacks("CTI_EXTENDED", "NODE_ID", f"nothing for {without.sum()} columns of CCD {ccd}")
        loss[without] = np.median(values)
    return loss


def _ageing(
    cti: Constituent, ccd: int, mode_id: int, time_s: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Energies [eV] of the long-term table, and T at its first epoch and at ``time_s``."""
    nothing = np.empty(0), np.empty(0), np.empty(0)
    table, times = cti.table("LONG_TERM_CTI"), cti.table("LTC_TIMES")
    if not table.n_rows or not times.n_rows:
        return nothing
    match = (np.asarray(table["MODE_ID"]) == mode_id) & (np.asarray(table["CCD_ID"]) == ccd)
    rows = np.flatnonzero(match)
    if not len(rows):
        # Normal: fast modes have no rows, small window only those of CCD 4.
        return nothing
    rows = rows[np.argsort(np.asarray(table["ENERGY"])[rows])]
    year = (time_s - _J2000_S) / _YEAR_S
    # The first row's vector, or a row for each year.
    grid = np.asarray(times["TIME"], float)
    grid = grid[0] if grid.ndim > 1 and grid.shape[1] > 1 else np.ravel(grid)
    coefficients = np.asarray(table["T_COEFF"], float).reshape(table.n_rows, -1)[rows]
    if coefficients.shape[1] != len(grid):
        raise UnknownLayout(
            f"{table.where}: T_COEFF has {coefficients.shape[1]} elements, LTC_TIMES {len(grid)}"
        )
    order = np.argsort(grid, kind="stable")
    grid, coefficients = grid[order], coefficients[:, order]
    now = np.array([np.interp(year, grid, c) for c in coefficients])
    return np.asarray(table["ENERGY"], float)[rows] * 1000.0, coefficients[:, 0], now


def _shifts(cti: Constituent, ccd: int, mode_id: int) -> dict[int, tuple[FloatArray, FloatArray]]:
    """PATTERN -> (energies [eV], energy to add [eV])."""
    table = cti.table("COMB_EVT_OFFSET")
    match = (np.asarray(table["MODE_ID"]) == mode_id) & (np.asarray(table["CCD_ID"]) == ccd)
    pattern = np.asarray(table["PATTERN"])
    shifts = {}
    for value in np.unique(pattern[match]):
        rows = np.flatnonzero(match & (pattern == value))
        rows = rows[np.argsort(np.asarray(table["ENERGY"])[rows])]
        shifts[int(value)] = (
            np.asarray(table["ENERGY"], float)[rows] * 1000.0,
            np.asarray(table["SHIFT"], float)[rows],
        )
    return shifts


def temperature_law(cal: Calibration, mode_id: int) -> TemperatureLaw | None:
    """Numbers of the temperature law of a mode; None if the table has nothing on it.

    Parameters
    ----------
    cal
        The calibration.
    mode_id
        MODE_ID of the tables.

    Notes
    -----
    Columns of QBOXTEMP_GAIN are not public. Logs of real runs print 0.000365 adu/K, 1179.2 and 1.0057 for
    extended full frame, and no slope with a factor of 1 for large window.
    """
    table = cal.constituent("EPN", "CTI").table("QBOXTEMP_GAIN")
    mode = np.asarray(table["MODE_ID"])
    rows = np.flatnonzero((mode == mode_id) | (mode == -1))
    if not len(rows):
        return None
    return TemperatureLaw(*(float(np.ravel(table[n][rows[0]])[0]) for n in ("SLOPE", "REFERENCE", "FACTOR")))
