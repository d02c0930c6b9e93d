"""Wrong dark levels and detector noise of the pn at low energies: the algorithms of epreject.

Source: algorithm section and usage of the epreject manual, release notes of EPN_REJECT. All maps have the
indices RAWY - 1 and RAWX - 1 and the shape (200, 64).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.pn.badpixels import MAP_SHAPE

FloatArray = npt.NDArray[np.float64]
#: Significance of an excess at 30 to 40 adu that is taken for a source.
_SOURCE_SIGMA = 10.0
#: Rows to either side whose median spectrum stands for the noise of a row.
_ROWS_AROUND = 10
#: Pixels of a block that particles spoil together, along the read-out.
_BLOCK_ROWS = 4
#: How often the level is found anew without the excesses found before.
_LEVEL_ROUNDS = 3


@dataclass(frozen=True)
class OffsetMap:
    """Dark levels of a CCD that were subtracted on board [adu], and the file they are from."""

    adu: FloatArray
    name: str


@dataclass(frozen=True)
class DarkLevels:
    """What dark levels of a CCD are judged by.

    Attributes
    ----------
    reference
        With an offset map, offsets that are always there [adu], or None; without one, the brightness at the
        lowest amplitude where dark levels are right, in any unit.
    name
        What to call it.
    limit_adu
        Largest correction by an offset map.
    shift_of
        Amplitude to add [adu] for a brightness beyond the reference, in its unit.
    """

    reference: FloatArray | None
    name: str = ""
    limit_adu: float | None = None
    shift_of: Callable[[FloatArray], FloatArray] | None = None


@dataclass(frozen=True)
class NoiseMap:
    """Detector noise of some columns of a CCD.

    Attributes
    ----------
    columns
        Which columns (64) it is of.
    counts
        Counts (200 rows, channels).
    exposure_s
        Time that they were collected in.
    """

    columns: npt.NDArray[np.bool_]
    counts: FloatArray
    exposure_s: float


@dataclass(frozen=True)
class Loading:
    """X-ray loading of offset maps: the map of a closed exposure [adu], and adu to add per adu of excess."""

    closed: FloatArray
    coefficient: float


def as_map(image: npt.ArrayLike, where: str) -> FloatArray:
    """An image as a map, whichever way it lies.

    Parameters
    ----------
    image
        The image, with the axes as in the file.
    where
        Name of the file, for messages.

    Raises
    ------
    TaskError
        ``illegalODF``: it has not the size of a CCD.
    """
    values = np.asarray(image, float)
    if values.shape == PN_SHAPE:
        return values.T
    if values.shape == MAP_SHAPE:
        return values
    raise TaskError("illegalODF", f"{where}: an image of {values.shape[::-1]} pixels, expected 64 x 200")


def columns_of_range(text: str) -> npt.NDArray[np.bool_]:
    """Columns (64) of a range such as ``1:64``; all of them for none.

    Parameters
    ----------
    text
        The range.
    """
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    chosen = np.zeros(PN_SHAPE[0], bool)
    chosen[(numbers[0] if numbers else 1) - 1 : numbers[-1] if numbers else PN_SHAPE[0]] = True
    return chosen


def band_image(
    rawx: npt.ArrayLike, rawy: npt.ArrayLike, pha: npt.ArrayLike, low: int, high: int
) -> npt.NDArray[np.int64]:
    """Counts per pixel of events with low <= PHA <= high.

    Parameters
    ----------
    rawx, rawy
        Column (1..64) and row (1..200).
    pha
        Amplitudes [adu].
    low, high
        The limits [adu].
    """
    pha = np.asarray(pha)
    chosen = (pha >= low) & (pha <= high)
    pixel = (np.asarray(rawy, np.int64) - 1) * PN_SHAPE[0] + np.asarray(rawx, np.int64) - 1
    return np.bincount(pixel[chosen], minlength=PN_SHAPE[0] * PN_SHAPE[1]).reshape(MAP_SHAPE)


def correction_area(image: npt.ArrayLike, offset_columns: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Pixels whose dark level can be judged: no columns with an extra offset, no soft sources.

    Parameters
    ----------
    image
        Counts at 30 to 40 adu.
    offset_columns
        Columns (1..64) with an extra offset.

    Notes
    -----
    A source is an excess of 10 sigma in a sliding box of 3 x 3 pixels over the median of all such boxes.
    """
    from scipy.ndimage import uniform_filter

    image = np.asarray(image, float)
    area = np.ones(MAP_SHAPE, bool)
    area[:, np.asarray(offset_columns, np.int64) - 1] = False
    read = area & np.asarray(image.any(axis=1))[:, None]
    if not read.any():
        return area
    inside = uniform_filter(read.astype(float), 3, mode="constant") * 9
    box = uniform_filter(np.where(read, image, 0.0), 3, mode="constant") * 9
    per_pixel = np.divide(box, inside, out=np.zeros(MAP_SHAPE), where=inside > 0.5)
    # The median of sparse images is zero: then the mean of the quieter nine tenths.
    level = np.median(per_pixel[read])
    if level <= 0:
        level = np.sort(per_pixel[read])[: max(int(0.9 * np.count_nonzero(read)), 1)].mean()
    expected = np.maximum(level * inside, 1.0)
    return area & ~(box - expected > _SOURCE_SIGMA * np.sqrt(expected))


def residual_offsets(
    offset_map: npt.ArrayLike, master: npt.ArrayLike | None = None, limit_adu: float | None = None
) -> FloatArray:
    """How much too large the dark level subtracted on board is, per pixel [adu].

    Parameters
    ----------
    offset_map
        Offsets used on board [adu].
    master
        Offsets that are always there [adu].
    limit_adu
        Largest absolute value of the result.

    Notes
    -----
    The median of each column, then that of each row, is taken out; pixels without an offset (0 or not finite)
    are left alone.
    """
    values = np.asarray(offset_map, float)
    known = np.isfinite(values) & (values != 0)
    rest = np.where(known, values - (0.0 if master is None else np.asarray(master, float)), np.nan)
    for axis in (0, 1):
        rest = rest - _median(rest, axis)
    rest = np.where(np.isfinite(rest), rest, 0.0)
    return rest if limit_adu is None else np.clip(rest, -limit_adu, limit_adu)


def _median(values: FloatArray, axis: int) -> FloatArray:
    """Median along an axis of the finite values, 0 where there are none."""
    finite = np.isfinite(values)
    filled = np.where(finite, values, 0.0)
    if finite.all():
        return np.median(filled, axis=axis, keepdims=True)
    result = np.zeros((values.shape[0], 1) if axis == 1 else (1, values.shape[1]))
    for i, (line, some) in enumerate(zip(*(np.moveaxis(a, axis, -1) for a in (values, finite)), strict=True)):
        if some.any():
            result[(i, 0) if axis == 1 else (0, i)] = np.median(line[some])
    return result


def brightness_shift(
    image: npt.ArrayLike,
    median: npt.ArrayLike,
    area: npt.ArrayLike,
    shift_of: Callable[[FloatArray], FloatArray],
    sigma: float,
) -> FloatArray:
    """Amplitude to add per pixel (200, 64) for its brightness at the lowest amplitude [adu].

    Parameters
    ----------
    image
        Counts at the lowest amplitude.
    median
        The same where dark levels are right, in any unit.
    area
        Pixels that can be judged.
    shift_of
        Gives the amplitude to add for an excess in the unit of ``median``.
    sigma
        Significance of an excess in a block of four pixels along the column that is corrected.

    Notes
    -----
    Blocks begin at RAWY 1, 5, ... (assumed: manuals speak of a grid of four pixels by one). The median map is
    brought to the level of the image outside excesses (assumed), so that its unit does not matter.
    """
    image, median = np.asarray(image, float), np.asarray(median, float)
    used = np.asarray(area, bool) & np.isfinite(median) & (median > 0)
    image, median = np.where(used, image, 0.0), np.where(used, median, 0.0)
    bright = np.zeros(MAP_SHAPE, bool)
    level = 0.0
    for _ in range(_LEVEL_ROUNDS):
        level = image[~bright].sum() / max(median[~bright].sum(), np.finfo(float).tiny)
        counts, expected = (
            v.reshape(-1, _BLOCK_ROWS, PN_SHAPE[0]).sum(axis=1) for v in (image, level * median)
        )
        over = counts - expected > sigma * np.sqrt(np.maximum(expected, 1.0))
        bright = np.repeat(over, _BLOCK_ROWS, axis=0)
    if level <= 0:
        return np.zeros(MAP_SHAPE)
    excess = image / level - median
    return np.where(bright & used & (excess > 0), shift_of(excess), 0.0)


def loading_shift(offset_map: npt.ArrayLike, closed: npt.ArrayLike, coefficient: float) -> FloatArray:
    """Amplitude to add per column (64) for the light of the source in the offset map (X-ray loading) [adu].

    Parameters
    ----------
    offset_map
        Offsets used on board [adu].
    closed
        Offsets of the same mode without a source [adu].
    coefficient
        Adu to add per adu of excess.

    Notes
    -----
    In fast modes rows are times, so that a column has one excess: the median over its rows.
    """
    excess = np.asarray(offset_map, float) - np.asarray(closed, float)
    return coefficient * np.median(excess, axis=0)


def noise_probability(
    spectra: npt.ArrayLike, noise: npt.ArrayLike, cutoff: float, factor: float
) -> FloatArray:
    """Probability that an event is noise, per row and channel.

    Parameters
    ----------
    spectra
        Counts of the exposure (rows, channels).
    noise
        Counts of noise alone that are expected in it (rows, channels).
    cutoff
        Largest probability.
    factor
        Of this CCD, on the ratio of noise to counts.

    Notes
    -----
    The counts of a row are the median over it and ten rows to either side.
    """
    from numpy.lib.stride_tricks import sliding_window_view

    spectra, noise = np.asarray(spectra, float), np.asarray(noise, float)
    padded = np.pad(spectra, ((_ROWS_AROUND, _ROWS_AROUND), (0, 0)), constant_values=np.nan)
    around = sliding_window_view(padded, 2 * _ROWS_AROUND + 1, axis=0)
    typical = np.nanmedian(around, axis=-1)
    ratio = np.divide(noise, typical, out=np.zeros_like(noise), where=typical > 0)
    return np.clip(ratio * factor, 0.0, cutoff)
