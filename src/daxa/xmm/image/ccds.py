"""What an event list says of each CCD, for its exposure map: frames, good times, bad pixels, window.

Tables are turned into values once (:func:`read_ccd`); what follows needs no file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.image.exposure import PointingBins, good_pixel_map, live_times, read_window

if TYPE_CHECKING:
    from daxa.xmm.fits.file import FitsFile
    from daxa.xmm.select.dss import DataSubspace
    from daxa.xmm.sky.geometry import CameraGeometry

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_FLAG_ZERO = re.compile(r"FLAG\s*(==|\.eq\.)\s*0\b", re.IGNORECASE)


@dataclass(frozen=True)
class CcdFrames:
    """Frames and pixels of one CCD.

    Attributes
    ----------
    ccd
        Number of the chip.
    time_s, live_s
        Time of each frame, mission time, and its live time.
    good_times
        Its good times.
    badpix
        Columns RAWX, RAWY, YEXTENT of the bad pixels.
    window
        ``(x0, y0, dx, dy)`` of the read-out window, 1-based; None: all of the chip.
    offset_columns
        Columns whose offset differs from that of the CCD (pn).
    reversed_columns
        Columns count from the other side.
    """

    ccd: int
    time_s: FloatArray
    live_s: FloatArray
    good_times: GTI
    badpix: Mapping[str, npt.ArrayLike]
    window: tuple[int, int, int, int] | None = None
    offset_columns: npt.ArrayLike = ()
    reversed_columns: bool = False

    def live(self, pointings: PointingBins) -> FloatArray:
        """Live time of the good frames in each attitude bin, in seconds.

        Parameters
        ----------
        pointings
            The bins.

        Returns
        -------
        array
            One per bin.
        """
        return live_times(self.time_s, self.live_s, self.good_times.contains(self.time_s), pointings)

    def within(self, gti: GTI) -> CcdFrames:
        """The same in some of the good times.

        Parameters
        ----------
        gti
            Those times.
        """
        return replace(self, good_times=self.good_times & gti)

    def good_pixels(self, geometry: CameraGeometry, *, strict: bool) -> BoolArray:
        """Pixels whose events are counted, shape (rows, columns).

        ``strict`` also leaves out neighbours of bad pixels and columns with an offset, as a selection on
        FLAG == 0 does.

        Parameters
        ----------
        geometry
            Geometry of the camera.
        strict
            Whether only events without any flag are counted.
        """
        good = good_pixel_map(
            geometry.shape(self.ccd),
            self.badpix,
            window=self.window,
            with_neighbours=strict,
            offset_columns=self.offset_columns if strict else (),
        )
        return good[:, ::-1] if self.reversed_columns else good


def selected_times(subspace: DataSubspace) -> dict[int, GTI] | None:
    """Good times of the CCDs that an image holds; None where its data subspace does not tell CCDs and times.

    Parameters
    ----------
    subspace
        Data subspace of the image.
    """
    return subspace.ccd_gti() or None


def numbers_of_ccds(hdus: FitsFile) -> list[int]:
    """Numbers of the EXPOSUnn tables of an event list; without any, of its STDGTInn, or in its CCDNR.

    Parameters
    ----------
    hdus
        The event list.
    """
    for stem in ("EXPOSU", "STDGTI"):
        found = sorted(int(m[1]) for h in hdus if (m := re.fullmatch(rf"{stem}(\d\d)", h.name)))
        if found:
            return found
    if "EVENTS" in hdus and "CCDNR" in hdus["EVENTS"].columns:
        return [int(n) for n in np.unique(hdus["EVENTS"].data["CCDNR"])]
    return []


def good_times(
    hdus: FitsFile, numbers: Iterable[int], exposure_s: float | None, warn: Callable[[str, str], None]
) -> dict[int, GTI]:
    """Good times of each number, with what stands in for tables that an event list lacks.

    Parameters
    ----------
    hdus
        The event list.
    numbers
        Numbers of its CCDs.
    exposure_s
        Exposure [s] that counts, from TSTART on, if there are no good times at all.
    warn
        Called with code and text of what stands in; codes of the manual of eexpmap.

    Raises
    ------
    TaskError
        ``NoGTI/noExposure``: there are neither good times nor an exposure.
    """
    numbers = list(numbers)
    found = {n: GTI.from_hdu(hdus[f"STDGTI{n:02d}"]) for n in numbers if f"STDGTI{n:02d}" in hdus}
    missing = [n for n in numbers if n not in found]
    names = ", ".join(f"STDGTI{n:02d}" for n in missing)
    if found and missing:
        warn("NumGTI", f"{hdus.path}: no {names}: what is good on any other CCD counts as good")
        return found | dict.fromkeys(missing, GTI.union(found.values()))
    if not found:
        start = hdus["EVENTS"].header.get("TSTART")
        if exposure_s is None or start is None:
            raise TaskError("NoGTI/noExposure", f"{hdus.path}: no STDGTInn, and no EXPOSURE or no TSTART")
        warn("noGTI", f"{hdus.path}: no STDGTInn: {exposure_s:.6g} s (EXPOSURE) from TSTART on count as good")
        return dict.fromkeys(numbers, GTI([float(start)], [float(start) + exposure_s]))
    return found


def read_ccd(hdus: FitsFile, number: int, instrument: str, good: GTI) -> CcdFrames:
    """Frames and pixels from the tables of one number; all good time is live without EXPOSUnn.

    Parameters
    ----------
    hdus
        The event list.
    number
        Number of the tables: that of the CCD, and 10 more for the redundant node of a MOS CCD.
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    good
        Its good times.
    """
    window = None
    if f"EXPOSU{number:02d}" in hdus:
        table = hdus[f"EXPOSU{number:02d}"]
        time = np.asarray(table.data["TIME"], float)
        if "TIMEDEL" in table.columns:
            length = np.asarray(table.data["TIMEDEL"], float)
        else:
            length = np.full(len(time), float(table.header["TIMEDEL"]))
        live = length * np.asarray(table.data["FRACEXP"], float)
        window = read_window(table.header)
    else:
        time, live = _steps(good)
    name = f"BADPIX{number:02d}"
    bad = hdus[name].data if name in hdus else None
    # The redundant node of a MOS CCD has the number plus 10, and counts columns from the other side.
    redundant, ccd = (0, number) if instrument == "EPN" else divmod(number, 10)
    return CcdFrames(
        ccd,
        time,
        live,
        good,
        {c: bad[c] if bad is not None else [] for c in ("RAWX", "RAWY", "YEXTENT")},
        window,
        # Events on such columns carry a flag in pn lists only.
        _offset_columns(hdus, number) if instrument == "EPN" else (),
        bool(redundant),
    )


def _steps(good: GTI) -> tuple[FloatArray, FloatArray]:
    """Middle and length [s] of equal steps, none longer than a second, that fill good times."""
    counts = np.maximum(np.ceil(good.stop - good.start).astype(int), 1)
    length = np.repeat((good.stop - good.start) / counts, counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(good.start, counts) + (within + 0.5) * length, length


def _offset_columns(hdus: FitsFile, number: int) -> npt.ArrayLike:
    offsets = hdus["OFFSETS"].data if "OFFSETS" in hdus else None
    if offsets is None or "OFFSETX" not in offsets.dtype.names:
        return ()
    columns: npt.ArrayLike = offsets["RAWX"][(offsets["CCDNR"] == number) & (offsets["OFFSETX"] != 0)]
    return columns


def selects_flag_zero(*headers: Any) -> bool:
    """Whether the selection behind an image admits only events with FLAG 0.

    Parameters
    ----------
    *headers
        Headers of the image.
    """
    for header in headers:
        if _FLAG_ZERO.search(str(header.get("SLCTEXPR", ""))):
            return True
        for key, value in header.items():
            is_flag = re.fullmatch(r"DSTYP\d+", key) and str(value).strip() == "FLAG"
            if is_flag and str(header.get(f"DSVAL{key[5:]}", "")).strip() == "0":
                return True
    return False
