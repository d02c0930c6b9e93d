"""Images of events on the grid of an exposure map, and count rates."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from daxa.events.lists import EventList
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.fits.header import Header
from daxa.xmm.fits.schema import name_of_column

#: Grids that differ by less than this part of a pixel are the same.
_SAME = 1e-3


class Image(NamedTuple):
    """An image with its header; the pixels have shape (ny, nx)."""

    pixels: npt.NDArray[np.float64]
    header: Header


def read_image(path: Path) -> Image:
    """The first image of two axes in a file.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    TaskError
        ``notFits``: it cannot be read; ``noImage``: it has no such image.
    """
    try:
        file = FitsFile(path)
    except OSError as failure:
        raise TaskError("notFits", f"{path.name}: not a readable FITS file ({failure})") from failure
    for hdu in file:
        if hdu.number("NAXIS") == 2 and not hdu.is_table:
            bits = hdu.number("BITPIX")
            kind = np.dtype(f">{'f' if bits < 0 else 'i'}{abs(bits) // 8}") if bits != 8 else np.dtype("u1")
            raw = np.frombuffer(hdu.read(hdu.data_start, hdu.data_bytes), kind)
            scale, zero = float(hdu.header.get("BSCALE", 1)), float(hdu.header.get("BZERO", 0))
            return Image(raw.reshape(hdu.rows, hdu.row_bytes) * scale + zero, hdu.header)
    raise TaskError("noImage", f"{path.name}: no image of two axes")


def shift_of(events: EventList, header: Header, axis: int, name: str) -> int:
    """How many pixels a column's coordinate is ahead of the pixel of an image that it falls into.

    Parameters
    ----------
    events
        The list.
    header
        Header of the image.
    axis
        Axis of the image, 1 or 2.
    name
        Name of the column.

    Raises
    ------
    TaskError
        ``otherGrid``: scale or reference of the coordinates are others, or the pixels do not coincide.
    """
    found = name_of_column(events.events.columns, name)
    number = 0 if found is None else events.events.columns.index(found) + 1
    pairs = [("TCRVL", "CRVAL"), ("TCDLT", "CDELT"), ("TCRPX", "CRPIX")]
    try:
        ours = [float(events.header[f"{ours}{number}"]) for ours, _ in pairs]
        its = [float(header[f"{its}{axis}"]) for _, its in pairs]
    except KeyError as failure:
        raise TaskError("otherGrid", f"{events.path.name}: {name}: coordinates: {failure.args[0]}") from None
    shift = ours[2] - its[2]
    pixel = abs(its[1])
    same = abs(ours[0] - its[0]) < _SAME * pixel and abs(ours[1] - its[1]) < _SAME * pixel
    if not same or abs(shift - round(shift)) > _SAME:
        raise TaskError(
            "otherGrid",
            f"{events.path.name}: {name} has reference, step and pixel {ours}, the image's axis {axis} {its}",
        )
    return round(shift)


def sky_image(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], shape: tuple[int, int]
) -> npt.NDArray[np.int32]:
    """Count events in pixels; pixel n of an axis holds n - 0.5 up to n + 0.5.

    Parameters
    ----------
    x, y
        Coordinates [pixel of the image, from 1], shape (events,); events outside do not count.
    shape
        Numbers of pixels (ny, nx).

    Returns
    -------
    int array
        Shape (ny, nx).

    Examples
    --------
    >>> sky_image(np.array([1.0, 1.4, 2.0]), np.array([1.0, 1.0, 2.0]), (2, 3)).tolist()
    [[2, 0, 0], [0, 1, 0]]
    """
    columns, rows = (np.floor(v + 0.5).astype(np.int64) - 1 for v in (x, y))
    inside = (columns >= 0) & (columns < shape[1]) & (rows >= 0) & (rows < shape[0])
    place = rows[inside] * shape[1] + columns[inside]
    return np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int32)


def count_rate(counts: npt.NDArray[np.int32], exposure: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Counts over exposure, 0 where there is none.

    Parameters
    ----------
    counts
        Counts, shape (ny, nx).
    exposure
        Exposure [s], of the same shape.

    Returns
    -------
    float array
        Rate [1/s], shape (ny, nx).
    """
    exposed = exposure > 0
    return np.divide(counts, exposure, out=np.zeros(counts.shape), where=exposed).astype(np.float32)
