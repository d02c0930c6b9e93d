"""The clock of a MOS camera in its raw files: stamps of frames, length of a frame, unit of FRMTIME."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import MOS_FRMTIME_UNIT_S, MOS_FTFINE_UNIT_S, unsigned
from daxa.xmm.notes import warn_once

if TYPE_CHECKING:
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.table import OdfTable

FloatArray = npt.NDArray[np.float64]
#: The coarse frame time counts seconds from the reset of the camera's clock, from 0 to 32767 (real SUM.SAS).
COARSE_CYCLE_S = 32768
#: Differences of read-out times equal within this are constant.
_STEADY_S = 1e-3
#: What FRMTIME may count, the unit of real files first.
_FRMTIME_UNITS = {MOS_FRMTIME_UNIT_S: "tenths of seconds", 1e-3: "milliseconds", 1.0: "seconds"}


def unwrap_stamps(
    coarse: npt.ArrayLike, fine: npt.ArrayLike, reset_obt_s: float, start_obt_s: float
) -> FloatArray:
    """On-board times of frames from their stamps.

    Parameters
    ----------
    coarse, fine
        FTCOARSE [s since the reset, modulo 32768] and FTFINE [40 us] as stored, in the order of telemetry.
    reset_obt_s
        On-board time of the reset of the clock.
    start_obt_s
        On-board time of the start of the exposure, good to some hours.
    """
    stamp = unsigned(np.asarray(coarse)) + unsigned(np.asarray(fine)) * MOS_FTFINE_UNIT_S
    if not len(stamp):
        return stamp
    step = np.diff(stamp)
    # A stamp that is broken goes up and down again, or the other way round; a clock that starts anew stays.
    turn = (step < -COARSE_CYCLE_S / 2).astype(int) - (step > COARSE_CYCLE_S / 2)
    cycle = np.concatenate([[0], np.cumsum(turn)])
    before = max(0.0, np.round((start_obt_s - reset_obt_s - stamp[0]) / COARSE_CYCLE_S))
    return reset_obt_s + stamp + COARSE_CYCLE_S * (cycle + before)


def measure_frame_time(number: npt.ArrayLike, time_s: npt.ArrayLike) -> float | None:
    """Frame time from the read-out times.

    The difference of successive read-outs counts where it is the same three times in a row.

    Parameters
    ----------
    number
        Numbers of the frames, shape (n,).
    time_s
        Their read-out times [s], shape (n,).

    Returns
    -------
    float or None
        Seconds; None with fewer than four frames or no steady stretch.
    """
    number, time_s = np.asarray(number), np.asarray(time_s, float)
    if len(number) < 4:
        return None
    step = np.diff(time_s)
    single = np.diff(number) == 1
    same = (np.abs(np.diff(step)) < _STEADY_S) & single[1:] & single[:-1]
    triple = same[1:] & same[:-1]
    if not triple.any():
        return None
    member = np.zeros(len(step), bool)
    for shift in range(3):
        member[shift : shift + len(triple)] |= triple
    typical = float(np.median(step[member]))
    # The mean over whole stretches beats the resolution of the time stamps.
    chosen = step[member & (np.abs(step - typical) < _STEADY_S)]
    return float(chosen.mean())


def frmtime_unit(value: float, number: npt.ArrayLike, time_s: npt.ArrayLike) -> float:
    """Seconds of one unit of FRMTIME of a raw file.

    Real files count whole tenths of seconds. The stamps tell where a file has milliseconds or seconds
    instead: no frame lasts longer than the measured frame time, or the smallest step between two, which may
    be several frames where a CCD sends few.

    Parameters
    ----------
    value
        FRMTIME.
    number, time_s
        Numbers and stamps [s] of the frames of the CCD.
    """
    usual = MOS_FRMTIME_UNIT_S
    if value <= 0:
        return usual
    measured = measure_frame_time(number, time_s)
    if measured is not None and value != round(value):
        return min(_FRMTIME_UNITS, key=lambda unit: abs(np.log(value * unit / measured)))
    step = np.diff(np.asarray(time_s, float))
    shortest = measured or step[step > 0].min(initial=np.inf)
    return next((unit for unit in _FRMTIME_UNITS if value * unit <= 1.5 * shortest), usual)


def header_frame_time(value: float, number: npt.ArrayLike, time_s: npt.ArrayLike, where: str) -> float:
    """Frame time [s] that FRMTIME of a raw file stands for; a warning tells of a unit unlike real files'.

    ``where`` names the file; the others are those of :func:`frmtime_unit`.

    Parameters
    ----------
    value
        FRMTIME of the header.
    number
        Numbers of the frames, shape (n,).
    time_s
        Their read-out times [s], shape (n,).
    where
        Name of the file, for messages.
    """
    unit = frmtime_unit(value, number, time_s)
    if unit != MOS_FRMTIME_UNIT_S:
        warn_once(
            "frameTimeUnit",
            f"{where}: FRMTIME is {value:g}; by the stamps of the frames it counts {_FRMTIME_UNITS[unit]}, "
            f"not {_FRMTIME_UNITS[MOS_FRMTIME_UNIT_S]} as in real files: {value * unit:g} s",
        )
    return value * unit


def check_whole(table: OdfTable, names: Iterable[str]) -> None:
    """Refuse a table with columns that do not hold one whole number in each row.

    Parameters
    ----------
    table
        The table.
    names
        The columns.

    Raises
    ------
    TaskError
        ``damagedFile``, ``missingColumn``.
    """
    for name in names:
        if table[name].dtype.kind not in "iu" or table[name].ndim != 1:
            raise TaskError("damagedFile", f"{table.where}: column {name} does not hold whole numbers")


def central_stamps(
    odf: Odf, instrument: str, exp_id: str, node: Any = None
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Numbers and stamps [s after the reset] of the frames of CCD 1, of one node if it is given.

    The clock is reset within seconds of the start, so that the first stamp is of its first cycle.

    Parameters
    ----------
    odf
        The opened ODF.
    instrument
        ``M1`` or ``M2``.
    exp_id
        Identifier of the exposure, e.g. ``S001``.
    node
        The read-out node; None: all.

    Raises
    ------
    TaskError
        There is no auxiliary file, or none that can be read.
    """
    frames = odf.one(instrument, "AUX", exp_id).read(1)
    check_whole(frames, ("FRAME", "CCDID", "CCDNODE", "FTCOARSE", "FTFINE"))
    mine = frames["CCDID"] == 1
    if node is not None:
        mine &= frames["CCDNODE"] == node
    stamps = unwrap_stamps(frames["FTCOARSE"][mine], frames["FTFINE"][mine], 0.0, 0.0)
    return unsigned(frames["FRAME"][mine]), stamps


def central_frame_time(
    odf: Odf, instrument: str, exp_id: str, header: Mapping[str, Any], where: str
) -> float | None:
    """Frame time [s] of CCD 1 by the header of its event file and the stamps of its frames.

    Parameters
    ----------
    odf
        The opened ODF.
    instrument
        ``M1`` or ``M2``.
    exp_id
        Identifier of the exposure, e.g. ``S001``.
    header
        Header of an event file.
    where
        Its name, for messages.

    Returns
    -------
    float or None
        None where the header has no FRMTIME above 0.
    """
    value = header.get("FRMTIME")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        return None
    try:
        numbers, stamps = central_stamps(odf, instrument, exp_id, header.get("CCDNODE", 0))
    except TaskError:
        # Without frames nothing speaks against the unit of real files.
        numbers, stamps = np.zeros(0, np.int64), np.zeros(0)
    return header_frame_time(float(value), numbers, stamps, where)
