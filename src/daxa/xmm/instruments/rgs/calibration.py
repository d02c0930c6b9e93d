"""What the RGS chain takes from calibration files, as values for one CCD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EnergyScale:
    """Numbers of one CCD; pairs are of nodes 0 and 1.

    Attributes
    ----------
    offset
        Channels of an empty pixel.
    gain
        Channels per eV.
    serial
        Charge lost per column.
    parallel
        Charge lost per row, of each column of the chip (CHIPX from 1).
    dither
        Limits of the random part of a channel.
    """

    offset: tuple[float, float]
    gain: tuple[float, float]
    serial: tuple[float, float]
    parallel: FloatArray
    dither: tuple[float, float]

    @classmethod
    def from_calibration(cls, cal: Calibration, scope: str, ccd: int, time_s: float) -> EnergyScale:
        """From ADUCONV and CTI, at a mission time.

        Raises
        ------
        MissingConstituent, UnknownLayout
            The calibration lacks something.
        """
        from daxa.xmm.ccf.nodes import node_values

        aduconv, cti = cal.constituent(scope, "ADUCONV"), cal.constituent(scope, "CTI")
        rows, serial, columns = aduconv.table("OFFSET_GAIN"), cti.table("XCTI"), cti.table(f"CTIY{ccd}")
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
        return cls(tuple(offset), gain, tuple(loss), parallel[1:], tuple(limits))  # type: ignore[arg-type]


def _row(rows: Any, ccd: int, node: int) -> int:
    found = np.flatnonzero((rows["CCD_ID"] == ccd) & (rows["NODE_ID"] == node))
    if not len(found):
        raise TaskError("noCalibration", f"{rows.where}: no row of CCD {ccd}, node {node}")
    return int(found[0])


def split_ratios(cal: Calibration, scope: str) -> tuple[float, float, float]:
    """Part of the energy in the highest pixel, of items of 2, 3 and 4 pixels."""
    aduconv = cal.constituent(scope, "ADUCONV")
    return tuple(aduconv.number(f"QSPLITR{n}", "OFFSET_GAIN") for n in (2, 3, 4))  # type: ignore[return-value]


def thresholds_of(cal: Any, scope: str, ccd: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Rejection and acceptance threshold of both nodes [eV]."""
    from daxa.xmm.ccf.nodes import node_values

    rows = cal.constituent(scope, "ADUCONV").table("OFFSET_GAIN")
    reject, accept = (node_values(rows, name, ccd) for name in ("REJTHRESH", "ACCTHRESH"))
    return (reject[0], accept[0]), (reject[1], accept[1])
