"""The task rgsenergy: energies of the pixels of one RGS CCD.

Source: Calibration Access and Data Handbook (RGS: offset, gain, charge transfer). Offsets are those of the
calibration, one per node, or those of the pixels in the averaged diagnostic images of the observation (OFX).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.rgs import shapes
from daxa.xmm.rgs.tables import keyword

if TYPE_CHECKING:
    from astropy.io import fits

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


def pixel_offsets(
    node: npt.ArrayLike,
    rawx: npt.ArrayLike,
    rawy: npt.ArrayLike,
    shape: npt.ArrayLike,
    grade: npt.ArrayLike,
    images: Mapping[int, FloatArray],
) -> FloatArray:
    """Offset of telemetered items from images of the offset: the sum over their pixels [chan].

    Parameters
    ----------
    images
        Node -> offsets, indices RAWY - 1, RAWX - 1.
    """
    node, x, y, n = (np.asarray(v, np.int64) for v in (node, rawx, rawy, grade))
    item, dx, dy = shapes.members(shape)
    value = np.zeros(len(item))
    for side, image in images.items():
        mine = node[item] == side
        rows = np.clip(y[item] + dy - 1, 0, image.shape[0] - 1)[mine]
        value[mine] = image[rows, np.clip(x[item] + dx - 1, 0, image.shape[1] - 1)[mine]]
    total = np.bincount(item, value, minlength=len(node))
    # Items of an unknown shape have more pixels than are known of them.
    return total * n / np.maximum(np.bincount(item, minlength=len(node)), 1)


def calibrate(
    pixels: Mapping[str, npt.NDArray[Any]],
    scale: EnergyScale,
    rng: np.random.Generator,
    *,
    offset: npt.ArrayLike | None = None,
    with_gain: bool = True,
    with_cti: bool = True,
) -> FloatArray:
    """PI of telemetered items [eV].

    Parameters
    ----------
    pixels
        ENERGY [chan], GRADE, CCDNODE, RAWX and RAWY, from 1.
    scale
        Numbers of the CCD.
    rng
        For the random part of a channel.
    offset
        Offset of each item [chan]; that of its node times its pixels if None.
    with_gain, with_cti
        Whether to correct for gain and charge transfer.
    """
    node = np.asarray(pixels["CCDNODE"], np.int64)
    if offset is None:
        offset = np.asarray(pixels["GRADE"], float) * np.array(scale.offset)[node]
    pi = pixels["ENERGY"] + rng.uniform(*scale.dither, len(node)) - np.asarray(offset, float)
    if with_gain:
        pi = pi / np.array(scale.gain)[node]
    if with_cti:
        x, y = (np.asarray(pixels[n], np.int64) for n in ("RAWX", "RAWY"))
        size = len(scale.parallel) // 2
        chipx = np.clip(np.where(node == 0, x, 2 * size + 1 - x), 1, len(scale.parallel))
        pi = pi * (1 + y * scale.parallel[chipx - 1])
        pi = pi * (1 + x * np.array(scale.serial)[node])
    return pi


def generator(hdus: fits.HDUList, where: str, purpose: int) -> np.random.Generator:
    """Random numbers that belong to the CCD of a data set."""
    names = ("OBS_ID", "INSTRUME", "EXPIDSTR", "CCDID")
    obs_id, instrument, exp_id, ccd = (str(keyword(hdus, n, where)) for n in names)
    seed = [int(obs_id), int(instrument[-1]), ord(exp_id[0]), int(exp_id[1:]), int(ccd), purpose]
    return np.random.default_rng(seed)
