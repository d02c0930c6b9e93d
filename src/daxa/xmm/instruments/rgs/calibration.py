"""What the RGS chain takes from calibration files, as values for one CCD.

Parameters
----------
cal
    The calibration.
scope
    ``RGS1`` or ``RGS2``.
ccd
    Number of the CCD.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.ccf.nodes import node_values
from daxa.xmm.errors import TaskError, UnknownLayout
from daxa.xmm.formats.instruments import GRATINGS
from daxa.xmm.instruments.badpixels import calibrated_kinds
from daxa.xmm.instruments.rgs.badpixels import Segment, Window
from daxa.xmm.instruments.rgs.energy import EnergyScale
from daxa.xmm.instruments.rgs.geometry import RgsGeometry, camera_axes
from daxa.xmm.response.gratings import Gratings, vector
from daxa.xmm.sky.rotations import boresight_matrix, euler_matrix

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.ccf.constituent import Constituent, Table

#: Bad pixels of nodes 0 and 1.
_BADPIX = ("BADPIX", "BADPIX1")


@dataclass(frozen=True)
class RgsCalibration:
    """The calibration set of one spectrometer.

    Attributes
    ----------
    files
        The set.
    instrument
        ``RGS1`` or ``RGS2``.
    """

    files: Calibration
    instrument: str

    def _constituent(self, typeid: str) -> Constituent:
        return self.files.constituent(self.instrument, typeid)

    # --- energies ---

    @cached_property
    def _amplitudes(self) -> tuple[Constituent, Table]:
        """ADUCONV, and its table of offsets, gains and thresholds."""
        aduconv = self._constituent("ADUCONV")
        return aduconv, aduconv.table("OFFSET_GAIN")

    def energy_scale(self, ccd: int, time_s: float) -> EnergyScale:
        """Energy scale of a CCD at a mission time, from ADUCONV and CTI.

        Parameters
        ----------
        time_s
            The time.

        Raises
        ------
        MissingConstituent, UnknownLayout
            The calibration lacks something.
        """
        (aduconv, rows), cti = self._amplitudes, self._constituent("CTI")
        serial, columns = cti.table("XCTI"), cti.table(f"CTIY{ccd}")
        since = time_s - aduconv.date("REFTIME", "OFFSET_GAIN")
        constant, slope, gain = (
            node_values(rows, name, ccd) for name in ("OFFSET_CONST", "OFFSET_SLOPE", "GAIN")
        )
        offset = [c + s * since for c, s in zip(constant, slope, strict=True)]
        scale = cti.number("SCALE", "XCTI")
        loss = [float(serial["CTI_X"][_row(serial, ccd, node)] * scale) for node in (0, 1)]
        parallel = np.zeros(int(columns["YCOL"].max()) + 1)
        parallel[columns["YCOL"]] = columns["CTI_Y"] * cti.number("SCALE", f"CTIY{ccd}")
        limits = [aduconv.number(f"RAND_{end}", "OFFSET_GAIN") for end in ("MIN", "MAX")]
        return EnergyScale(tuple(offset), gain, tuple(loss), parallel[1:], tuple(limits))  # type: ignore[arg-type]

    def split_ratios(self) -> tuple[float, float, float]:
        """Part of the energy in the highest pixel, of items of 2, 3 and 4 pixels."""
        aduconv, _ = self._amplitudes
        return tuple(aduconv.number(f"QSPLITR{n}", "OFFSET_GAIN") for n in (2, 3, 4))  # type: ignore[return-value]

    def thresholds(self, ccd: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Rejection and acceptance threshold of both nodes [eV]."""
        _, rows = self._amplitudes
        reject, accept = (node_values(rows, name, ccd) for name in ("REJTHRESH", "ACCTHRESH"))
        return (reject[0], accept[0]), (reject[1], accept[1])

    # --- bad pixels, telemetry ---

    def known_segments(self, ccd: int, window: Window) -> list[Segment]:
        """Bad pixels of a CCD, as stretches along its columns.

        Parameters
        ----------
        window
            Window of the CCD.
        """
        badpix, inside, result = self._constituent("BADPIX"), window.mask(), []
        for node, extname in enumerate(_BADPIX):
            rows, kinds = badpix.table(extname), calibrated_kinds(badpix, extname)
            for i in np.flatnonzero(rows["CCD_ID"] == ccd):
                x = int(window.chipx(node, rows["RAWX"][i]))
                y, n = int(rows["RAWY"][i]), int(rows["YEXTENT"][i])
                where = np.zeros_like(inside)
                if 1 <= x <= inside.shape[1]:
                    where[max(y - 1, 0) : y - 1 + n, x - 1] = True
                result.append(Segment(where & inside, int(kinds[i]), bool(rows["UPLINKED"][i]), (x, y)))
        return result

    def masked_on_board(self, ccd: int) -> tuple[int, int]:
        """Number of pixels of each node of a CCD that are masked on board."""
        numbers = []
        for extname in _BADPIX:
            rows = self._constituent("BADPIX").table(extname)
            mine = (rows["CCD_ID"] == ccd) & (rows["UPLINKED"] != 0)
            numbers.append(int(rows["YEXTENT"][mine].sum()))
        return numbers[0], numbers[1]

    def on_board_version(self) -> str:
        """Version of the on-board software (item DPPVERS of MISCDATA)."""
        return f"{self.files.misc(self.instrument, 'DPPVERS'):.1f}"

    # --- geometry ---

    def geometry(self, time_s: float) -> RgsGeometry:
        """Places on the chips, from LINCOORD, MISCDATA and BORESIGHT.

        Parameters
        ----------
        time_s
            Mission time for the slow changes of the boresight.

        Raises
        ------
        ValueError
            Not a spectrometer.
        MissingConstituent, UnknownLayout
            The calibration lacks something.
        """
        if self.instrument not in GRATINGS.values():
            raise ValueError(f"instrument {self.instrument!r} is not one of {', '.join(GRATINGS.values())}")
        lincoord = self._constituent("LINCOORD")
        table = lincoord.table("LINCOORD")
        pixel = np.array([lincoord.number(f"MM_PX_{axis}", "LINCOORD") for axis in "XY"])
        shift, place = vector(lincoord, "CC12_T"), vector(lincoord, "CC2_T")
        camera = camera_axes(*(lincoord.number(f"CC2_R{a}", "LINCOORD") for a in ("PH", "TH", "PS")))
        chips = {}
        for i in range(table.n_rows):
            turn = euler_matrix(*np.rad2deg([table[f"{angle}0"][i] for angle in ("PHI", "THETA", "PSI")]))
            steps = pixel[:, None] * turn[:2] @ camera
            reference = np.array([table[f"{axis}0"][i] for axis in "XYZ"]) + shift
            origin = place + reference @ camera - table["RAWX0"][i] * steps[0] - table["RAWY0"][i] * steps[1]
            chips[int(table["CCD_ID"][i]), int(table["NODE_ID"][i])] = origin, steps
        if not chips or {node for _, node in chips} != {0, 1}:
            raise UnknownLayout(f"{table.where}: expected rows for the nodes 0 and 1 of every CCD")
        gratings = Gratings.from_calibration(self.files, self.instrument)
        boresight = boresight_matrix(self.files, self.instrument, time_s)
        return RgsGeometry(self.instrument, chips, gratings, boresight)


def _row(rows: Any, ccd: int, node: int) -> int:
    found = np.flatnonzero((rows["CCD_ID"] == ccd) & (rows["NODE_ID"] == node))
    if not len(found):
        raise TaskError("noCalibration", f"{rows.where}: no row of CCD {ccd}, node {node}")
    return int(found[0])
