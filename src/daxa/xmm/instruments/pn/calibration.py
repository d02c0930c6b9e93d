"""What the pn chain takes from calibration files, as values for one CCD.

Parameters
----------
ccd
    Number of the CCD.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.ccf.pn_dark import brightness_shifts, largest_shift, pointed_map, rows_of_ccd
from daxa.xmm.ccf.pn_energy import TemperatureLaw, pn_energy, temperature_law
from daxa.xmm.ccf.pn_times import PnTimes, pn_times
from daxa.xmm.errors import TaskError, UnknownLayout
from daxa.xmm.formats.instruments import PN_MODE_IDS, PN_SHAPE
from daxa.xmm.instruments.badpixels import CALIBRATION, ONBOARD, calibrated_kinds
from daxa.xmm.instruments.pn.badpixel_search import psf_core_share
from daxa.xmm.instruments.pn.badpixels import BadPixel
from daxa.xmm.instruments.pn.clock import LineClock
from daxa.xmm.instruments.pn.energy import EnergyScale
from daxa.xmm.instruments.pn.rate import RateLaw
from daxa.xmm.instruments.pn.reject import DarkLevels, Loading, NoiseMap, as_map, columns_of_range

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.geometry import CameraGeometry

#: Offset maps of closed exposures in fast modes.
_CLOSED_MAPS = {"FastTiming": "TICLOSEDODI", "FastBurst": "BUCLOSEDODI"}
#: Constituents that the raw stage of an exposure depends on.
_RAW_STAGE = ("ADUCONV", "BADPIX", "TIMECORR", "TIMEJUMPTOL", "CTI")


def rate_law(files: Calibration, submode: str) -> RateLaw:
    """Charge losses by the rate of the source in a fast mode.

    Parameters
    ----------
    files
        The calibration.
    submode
        SUBMODE.

    Raises
    ------
    TaskError
        ``notCalibrated``: there is no law for the mode.
    """
    table = files.constituent("EPN", "CTI").table("RATE_DEPENDENT_CTI")
    row = np.flatnonzero(np.asarray(table["MODE_ID"]) == PN_MODE_IDS[submode])
    if not len(row):
        raise TaskError("notCalibrated", f"{table.where}: no row for {submode}")
    return RateLaw(*(float(table[name][row[0]]) for name in ("A0", "A1", "A2")))


@dataclass(frozen=True)
class PnCalibration:
    """The calibration set of an exposure of the pn, as values that are kept once they have been read.

    Attributes
    ----------
    files
        The set.
    submode, start_s, revolution
        SUBMODE, start (mission time) and revolution of the exposure.
    """

    files: Calibration
    submode: str
    start_s: float
    revolution: int
    _scales: dict[tuple[int, int], EnergyScale] = field(default_factory=dict, repr=False)

    @property
    def mode_id(self) -> int:
        """MODE_ID of the tables."""
        return PN_MODE_IDS[self.submode]

    @cached_property
    def times(self) -> PnTimes:
        """Times of the frames in the mode."""
        return pn_times(self.files, self.submode, self.revolution)

    @cached_property
    def geometry(self) -> CameraGeometry:
        """Places of pixels in the camera and on the sky."""
        from daxa.xmm.sky.geometry import CameraGeometry

        return CameraGeometry.from_calibration(self.files, "EPN", self.start_s)

    @property
    def temperature_law(self) -> TemperatureLaw | None:
        """Numbers of the temperature law of the gain; None if there are none."""
        return temperature_law(self.files, self.mode_id)

    def names(self) -> dict[str, str]:
        """Names of the files that the raw stage depends on."""
        return {f"EPN_{t}": self.files.constituent("EPN", t).path.name for t in _RAW_STAGE}

    def energy_scale(self, ccd: int, accuracy: int = 2) -> EnergyScale:
        """Energy scale of a CCD.

        Parameters
        ----------
        accuracy
            gainctiaccuracy: 0 takes the GAIN of OFFSET_GAIN, 1 and 2 that of GAIN-HIGH.

        Raises
        ------
        UnknownLayout
            A table has no row for this CCD or mode.
        """
        key = ccd, accuracy
        if key not in self._scales:
            found = pn_energy(self.files, ccd, self.mode_id, self.start_s, accuracy)
            self._scales[key] = EnergyScale(**{f.name: getattr(found, f.name) for f in fields(EnergyScale)})
        return self._scales[key]

    def line_clock(self, correction_s: float) -> LineClock:
        """How lines of a frame count time in the fast mode (EPN_MODEPARAM).

        Parameters
        ----------
        correction_s
            What is added to time stamps of the CCD (EPN_TIMECORR).

        Raises
        ------
        TaskError
            ``wrongMode``: the table has no such mode, or times that make no lines.
        """
        constituent = self.files.constituent("EPN", "MODEPARAM")
        table = constituent.table("MODEPARAM")
        row = np.flatnonzero(np.asarray(table["MODE_ID"]) == self.mode_id)
        if not len(row):
            raise TaskError("wrongMode", f"{table.where}: no row for mode {self.mode_id}")
        line, shift, first, lines = (
            float(np.ravel(table[name][row[0]])[0])
            for name in ("TIME_RES", "SHIFT_T", "WINDOWY0", "WINDOWDY")
        )
        if not (line > 0 and shift >= line and lines >= 1):
            raise TaskError(
                "wrongMode",
                f"{table.where}: TIME_RES {line:g}, SHIFT_T {shift:g}, WINDOWDY {lines:g} of mode "
                f"{self.mode_id} make no lines",
            )
        return LineClock(line / 1000.0, PN_SHAPE[1] * line / shift, int(first + lines), correction_s)

    # --- bad pixels ---

    def core_share(self, cellsize: int) -> float:
        """Share of an on-axis point source's counts in its central pixel.

        Parameters
        ----------
        cellsize
            See :func:`.badpixel_search.psf_core_share`.
        """
        table = self.files.constituent("XRT3", "XPSF").table("KING_PARAMS")
        on_axis = np.asarray(table["THETA"]) == np.min(table["THETA"])
        core, slope = np.median(np.asarray(table["PARAMS"], float)[on_axis], axis=0)
        lincoord = self.files.constituent("EPN", "LINCOORD")
        # The plate scale in arcsec per mm, times the pixel.
        pixel = abs(lincoord.number("MM_PX_X", "LINCOORD")) * abs(lincoord.number("ARC_MM_X", "LINCOORD"))
        return psf_core_share(float(core), float(slope), pixel, cellsize)

    def known_bad_pixels(self, ccd: int, *, uplinked: bool, other: bool) -> list[BadPixel]:
        """Bad pixels of a CCD in EPN_BADPIX: those removed on board and the others.

        Parameters
        ----------
        uplinked, other
            Which of the two kinds to return (getuplnkbadpix, getotherbadpix).
        """
        constituent = self.files.constituent("EPN", "BADPIX")
        table, kinds = constituent.table("BADPIX"), calibrated_kinds(constituent)
        found = []
        for i in np.flatnonzero(np.asarray(table["CCD_ID"]) == ccd):
            on_board = bool(table["UPLINKED"][i])
            if uplinked if on_board else other:
                found.append(
                    BadPixel(
                        int(table["RAWX"][i]),
                        int(table["RAWY"][i]),
                        int(kinds[i]),
                        int(table["YEXTENT"][i]),
                        ONBOARD if on_board else CALIBRATION,
                    )
                )
        return sorted(found)

    # --- dark levels and noise ---

    def dark_levels(self, ccd: int, *, by_map: bool) -> DarkLevels | None:
        """What dark levels of a CCD in imaging modes are judged by (EPN_REJECT).

        Parameters
        ----------
        by_map
            Whether there is an offset map; without one the brightness at the lowest amplitude tells.

        Returns
        -------
        DarkLevels or None
            None, with a warning, if there is nothing to judge the brightness by.
        """
        constituent = self.files.constituent("EPN", "REJECT")
        if by_map:
            pointed = pointed_map(constituent, "MASTER_OFFSET_TABLE_INDEX", self.submode, ccd)
            master = None if pointed is None else as_map(*pointed)
            return DarkLevels(master, limit_adu=largest_shift(constituent, self.submode, ccd))
        known = brightness_shifts(constituent, self.submode, ccd)
        if known is None:
            return None
        median, name, shifts = known
        return DarkLevels(as_map(median, name), name, shift_of=shifts.of)

    def noise_maps(self, ccd: int) -> list[NoiseMap]:
        """Detector noise of a CCD (EPN_REJECT); none, with a warning, if there is nothing for the mode."""
        constituent = self.files.constituent("EPN", "REJECT")
        table = constituent.table("NOISE_MAP_INDEX")
        maps = []
        for row in rows_of_ccd(table, self.submode, ccd):
            name = str(table["POINTER"][row]).strip()
            counts = constituent.image(name).astype(float)
            if counts.ndim != 2 or counts.shape[0] != PN_SHAPE[1] or not table["EXPOSURE"][row] > 0:
                raise UnknownLayout(
                    f"{constituent.path.name}[{name}]: expected an image of channels x 200 rows with a "
                    "positive EXPOSURE"
                )
            columns = columns_of_range(str(table["RAWX"][row]))
            maps.append(NoiseMap(columns, counts, float(table["EXPOSURE"][row])))
        return maps

    def loading(self) -> Loading | None:
        """X-ray loading in the fast mode; None, with a warning, without a coefficient."""
        constituent = self.files.constituent("EPN", _CLOSED_MAPS[self.submode])
        closed = as_map(constituent.image("MASTER_CLOSED_OFFSET"), constituent.path.name)
        coefficient = constituent.keyword("XRL_COEF", "MASTER_CLOSED_OFFSET")
        return None if coefficient is None else Loading(closed, float(coefficient))
