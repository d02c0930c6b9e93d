"""The task rgsenergy: energies of the pixels of one RGS CCD.

Source: Calibration Access and Data Handbook (RGS: offset, gain, charge transfer). Offsets are those of the
calibration, one per node, or those of the pixels in the averaged diagnostic images of the observation (OFX).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.instruments.rgs import shapes

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
    node, rawx, rawy, shape, grade
        The items, each of shape (n,).
    images
        Node -> offsets, indices RAWY - 1, RAWX - 1.
    """
    node, x, y, n_pixels = (np.asarray(v, np.int64) for v in (node, rawx, rawy, grade))
    item, dx, dy = shapes.members(shape)
    value = np.zeros(len(item))
    for side, image in images.items():
        mine = node[item] == side
        rows = np.clip(y[item] + dy - 1, 0, image.shape[0] - 1)[mine]
        value[mine] = image[rows, np.clip(x[item] + dx - 1, 0, image.shape[1] - 1)[mine]]
    total = np.bincount(item, value, minlength=len(node))
    # Items of an unknown shape have more pixels than are known of them.
    return total * n_pixels / np.maximum(np.bincount(item, minlength=len(node)), 1)


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
