"""Which mode an exposure was taken in, from the headers of its science files.

Sources: XMM-Newton Users' Handbook (science modes of the EPIC cameras), manual of odfingest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.instruments import MOS_MODE_IDS, PN_MODES

#: ``MODE`` of an exposure whose files contradict each other.
UNDEFINED = "UNDEFINED"
#: File types of data that show no sky, and the mode an exposure of only such files has.
DIAGNOSTIC_MODES = {
    "DII": "Diagnostic",
    "ODI": "Offset",
    "OVE": "OffsetVariance",
    "NOI": "Noise",
    "DLI": "Diagnostic",
}
#: File type -> DATA_MODE of the summary. Attested: IME, SPE, IMI, DII, ODI, DLI.
DATA_MODES = {
    "IME": "Imaging",
    "RIE": "ReducedImaging",
    "TIE": "Timing",
    "CTE": "CompressedTiming",
    "BUE": "Burst",
    "SPE": "Spectroscopy",
    "HTE": "HighTimeResolution",
    "IMI": "Imaging",
    "FAE": "Fast",
    "DII": "Diagnostic",
    "ODI": "OffsetData",
    "OVE": "OffsetVarianceData",
    "NOI": "NoiseData",
    "DLI": "DiscardedLinesData",
}
#: SCITYPE of RGS event files taken with single events selected, the usual mode.
_RGS_SELECTED = 4
#: On-chip binning of RGS where a header lacks it.
_RGS_BINNING = 3
_MOS_FAST = {"TIE": "FastUncompressed", "CTE": "FastCompressed"}
_PN_FAST = {"TIE": 4, "BUE": 5}
#: Full frame (73.4 ms) and extended full frame (199.2 and, early in the mission, 283.1 ms).
_FULL_FRAMES = ("PrimeFullWindow", "PrimeFullWindowExtended")
_LONG_FRAME_MS = 130
#: No CCD has more pixels on a side, its over- and underscan included.
_LARGEST = 4096


@dataclass(frozen=True)
class ReadoutWindow:
    """Telemetry window of a CCD: lower left corner (0-based) and size, in pixels."""

    x0: int
    y0: int
    dx: int
    dy: int

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> ReadoutWindow | None:
        """The window keywords, or None if one is missing or is not a number of pixels.

        Parameters
        ----------
        header
            The header.
        """
        values = [header.get(k) for k in ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")]
        try:
            window = cls(*(int(str(v)) for v in values))
        except ValueError:
            return None
        return window if all(0 <= v <= _LARGEST for v in vars(window).values()) else None

    def with_other_node(self, other: ReadoutWindow) -> ReadoutWindow:
        """What a CCD shows whose nodes read a part each; each counts columns from its own side.

        Parameters
        ----------
        other
            Window of the other node.
        """
        y0 = min(self.y0, other.y0)
        y1 = max(self.y0 + self.dy, other.y0 + other.dy)
        return ReadoutWindow(min(self.x0, other.x0), y0, self.dx + other.dx, y1 - y0)


def windows_by_ccd(found: Iterable[tuple[int, ReadoutWindow | None]]) -> dict[int, ReadoutWindow | None]:
    """Window of each CCD from those of its files, one per node; None if one of them is unknown.

    Parameters
    ----------
    found
        CCD number and window of each file.
    """
    result: dict[int, ReadoutWindow | None] = {}
    for ccd, window in found:
        before = result.get(ccd)
        if ccd not in result:
            result[ccd] = window
        elif before is not None:
            result[ccd] = None if window is None else before.with_other_node(window)
    return result


def mos_mode(
    file_types: Mapping[int, str],
    windows: Mapping[int, ReadoutWindow | None],
    frame_time_ms: float | None = None,
    modeparam: Mapping[str, npt.NDArray[Any]] | None = None,
) -> str | None:
    """SUBMODE of a MOS exposure, which is the mode of its central CCD.

    Parameters
    ----------
    file_types
        Science file type (``IME``, ``TIE``, ...) per CCD.
    windows
        Read-out window per CCD.
    frame_time_ms
        Frame time of CCD 1, which tells modes with equal windows apart.
    modeparam
        Columns of the MODEPARAM table of EMOSn_MODEPARAM (vector element 0: CCD 1).

    Returns
    -------
    str or None
        None if it cannot be told: an unknown window, or a window mode without the table.
    """
    kind = file_types.get(1)
    if kind in _MOS_FAST:
        return _MOS_FAST[kind]
    window = windows.get(1)
    if kind is None or window is None:
        # Without the central CCD the outer ones do not say in which mode it was.
        return "PrimeFullWindow" if kind is None and "IME" in file_types.values() else None
    outer = [w for ccd, w in windows.items() if ccd != 1 and w is not None]
    if modeparam is None:
        return "PrimeFullWindow" if window in outer else None
    return _match_window(window, frame_time_ms, modeparam)


def _match_window(
    window: ReadoutWindow, frame_time_ms: float | None, modeparam: Mapping[str, npt.NDArray[Any]]
) -> str | None:
    names = {number: name for name, number in MOS_MODE_IDS.items()}

    def first(key: str) -> npt.NDArray[Any]:
        values = np.asarray(modeparam[key])
        return values.reshape(len(values), -1)[:, 0]

    match = (
        (first("WINDOWX0") == window.x0)
        & (first("WINDOWY0") == window.y0)
        & (first("WINDOWDX") == window.dx)
        & (first("WINDOWDY") == window.dy)
    )
    imaging = np.array([names.get(int(n), "").startswith("Prime") for n in modeparam["MODE_ID"]])
    rows = np.flatnonzero(match & imaging)
    if not len(rows):
        return None
    if frame_time_ms:
        # Of modes that differ in nothing the last one: PrimePartialRFS rather than W6.
        rows = rows[::-1]
        rows = rows[np.argsort(np.abs(first("FRAME_T")[rows] - frame_time_ms), kind="stable")]
    return names[int(modeparam["MODE_ID"][rows[0]])]


def pn_mode(
    file_types: Mapping[int, str],
    ccd_mode: Any,
    frame_time_ms: float | None = None,
    wait_states: float | None = None,
) -> str | None:
    """SUBMODE of a pn exposure, from its CCDMODE keyword or the kind of its files.

    Parameters
    ----------
    file_types
        Science file type (``IME``, ``TIE``, ``BUE``) per CCD.
    ccd_mode
        CCDMODE of the science files as the header has it; None if they carry none.
    frame_time_ms, wait_states
        FRMTIME of the science files, and F1294 of the housekeeping. Full frame and extended full frame may
        have the same CCDMODE (1 in real headers); they differ in the time that a frame waits.
    """
    if ccd_mode is not None:
        known = PN_MODES.get(ccd_mode)
        if known not in _FULL_FRAMES:
            return known
        if frame_time_ms:
            return _FULL_FRAMES[frame_time_ms > _LONG_FRAME_MS]
        return known if wait_states is None else _FULL_FRAMES[wait_states > 0]
    fast = {_PN_FAST[t] for t in file_types.values() if t in _PN_FAST}
    return PN_MODES[fast.pop()] if len(fast) == 1 else None


def rgs_mode(file_types: Mapping[int, str], science_types: Iterable[Any] = ()) -> str | None:
    """SUBMODE of an RGS exposure.

    Parameters
    ----------
    file_types
        Science file type (``SPE``, ``HTE``) per CCD.
    science_types
        SCITYPE of their headers. 4 is taken for the mode that real summaries have, whose headers are those
        of another observation.
    """
    kinds = set(file_types.values())
    if kinds == {"HTE"}:
        return f"HighTimeResolution{'SingleCcd' if len(file_types) == 1 else 'MultipleCcd'}"
    if kinds != {"SPE"}:
        return None
    return "HighEventRateWithSES" if set(science_types) == {_RGS_SELECTED} else "Spectroscopy"


def diagnostic_mode(instrument: str, file_type: str, header: Mapping[str, Any]) -> tuple[str, str]:
    """SUBMODE of an exposure whose files show no sky, and what of it is assumed, in words.

    ``header`` is that of one of the files.

    Parameters
    ----------
    instrument
        Two-letter code, e.g. ``R1``.
    file_type
        Three-letter type of the files, e.g. ``DII``.
    header
        Header of one of the files.
    """
    mode = DIAGNOSTIC_MODES[file_type]
    if instrument in ("R1", "R2") and file_type == "DII":
        binning = header.get("CCDOCB")
        if isinstance(binning, int) and not isinstance(binning, bool):
            return f"{mode}{binning}x{binning}", ""
        usual = f"{mode}{_RGS_BINNING}x{_RGS_BINNING}"
        what = "no keyword CCDOCB" if binning is None else f"keyword CCDOCB is {binning!r}, no number"
        return usual, f"{what} in the diagnostic image; {usual}, the usual mode, is assumed"
    return mode, ""


def om_mode(file_types: set[str]) -> str | None:
    """SUBMODE of an OM exposure.

    Parameters
    ----------
    file_types
        Types of the files that the exposure has.

    Returns
    -------
    str or None
        None where no type tells it.
    """
    return "ImageFast" if "FAE" in file_types else "Image" if "IMI" in file_types else None
