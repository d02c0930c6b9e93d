"""Images of the sky as pictures for a page: pixels as PNG, and what is drawn around them as numbers.

Pictures of one kind share a scale, so that observations can be compared. Coordinates, north and the length of
a bar are not in the pixels: a page draws them, in its own colours and sharp at every size.
"""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Share of the top of the scale at which it turns from linear to logarithmic.
_SOFTENING = 0.02
#: Pixels of the longer side of a picture.
_LARGEST = 640
#: Distances of lines of right ascension [s of time] and declination [arcsec].
_RA_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600)
_DEC_STEPS = (5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
#: Bars of these lengths [arcmin].
_BARS = (0.5, 1, 2, 5, 10, 20, 30, 60)


@dataclass(frozen=True)
class Frame:
    """A part of an image, its coordinates, and how much smaller it is drawn.

    Attributes
    ----------
    rows, columns
        First and past the last pixel.
    wcs
        World coordinates of the whole image.
    shape
        Of the whole image.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    wcs: Any
    shape: tuple[int, int]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.columns[1] - self.columns[0]

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.rows[1] - self.rows[0]

    def cut(self, data: FloatArray) -> FloatArray:
        """The part of an image of the same shape.

        Parameters
        ----------
        data
            The whole image.

        Raises
        ------
        ValueError
            It has another shape.
        """
        if data.shape != self.shape:
            raise ValueError(f"the image has {data.shape} pixels, others of the observation {self.shape}")
        return data[slice(*self.rows), slice(*self.columns)]


def read_image(path: Path) -> tuple[FloatArray, Any, Any]:
    """The image in the primary HDU: pixels, header, and world coordinates.

    Parameters
    ----------
    path
        A FITS file.

    Raises
    ------
    ValueError
        There is no 2-D image in it.
    OSError
        It cannot be read.
    """
    from astropy.io import fits
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        # RADECSYS, as SAS writes it, is read but thought old-fashioned.
        warnings.simplefilter("ignore", FITSFixedWarning)
        with fits.open(path, memmap=False) as hdus:
            data, header = hdus[0].data, hdus[0].header
            if data is None or data.ndim != 2:
                raise ValueError("the primary HDU is not a 2-D image")
            return np.nan_to_num(np.asarray(data, float)), header, WCS(header, naxis=2)


def frame_of(shown: npt.NDArray[np.bool_], wcs: Any, margin: int = 6) -> Frame:
    """The part of an image that is not empty.

    Parameters
    ----------
    shown : (n, m) bool array
        Pixels that are to be seen; all are where none is.
    wcs
        World coordinates.
    margin
        Pixels around it.
    """
    if not shown.any():
        shown = np.ones_like(shown)
    limits = []
    for axis, length in ((1, shown.shape[0]), (0, shown.shape[1])):
        there = np.flatnonzero(shown.any(axis=axis))
        limits.append((max(0, int(there[0]) - margin), min(length, int(there[-1]) + 1 + margin)))
    return Frame(limits[0], limits[1], wcs, shown.shape)


def rate_image(counts: FloatArray, exposure: FloatArray | None, sigma: float = 1.2) -> FloatArray:
    """Counts over exposure, both smoothed alike [ct/s per pixel]; zero where there is little exposure.

    Parameters
    ----------
    counts : (n, m) array
        The image.
    exposure : (n, m) array, optional
        The exposure map [s]; counts alone are smoothed without one.
    sigma
        Of the Gaussian [pixel].
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(counts, sigma)
    if exposure is None:
        return np.asarray(smooth)
    if exposure.shape != counts.shape:
        raise ValueError(f"image and exposure map have {counts.shape} and {exposure.shape} pixels")
    time = gaussian_filter(exposure, sigma)
    enough = (time > 0.03 * time.max()) & (exposure > 0)
    return np.divide(smooth, time, out=np.zeros_like(smooth), where=enough)


def top_of(image: FloatArray) -> float:
    """A brightness that few pixels exceed; 0 for an empty image.

    Parameters
    ----------
    image
        The image.
    """
    positive = image[image > 0]
    return float(np.percentile(positive, 99.8)) if positive.size else 0.0


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10, ... that is not below; 1 for what is not positive.

    Parameters
    ----------
    value
        Any number.

    Examples
    --------
    >>> round_up(0.0032), round_up(21.0)
    (0.004, 30.0)
    """
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = math.floor(math.log10(value))
    for digit in (1, 1.5, 2, 3, 4, 5, 6, 8, 10):
        limit = float(f"{digit}e{power}")
        if limit >= value * (1 - 1e-9):
            return limit
    raise AssertionError


def stretched(data: FloatArray, top: float, linear: bool = False) -> FloatArray:
    """Brightness between 0 and 1: an inverse hyperbolic sine, which shows faint and bright at once.

    Parameters
    ----------
    data
        Any numbers.
    top
        What is 1.
    linear
        In proportion instead.
    """
    share = np.clip(data / top, 0, 1)
    if linear:
        return share
    return np.asarray(np.arcsinh(share / _SOFTENING) / np.arcsinh(1 / _SOFTENING))


def write_picture(data: FloatArray, path: Path, top: float, colours: str, linear: bool = False) -> None:
    """Write pixels as a PNG file, north up; where there is nothing it is transparent.

    Parameters
    ----------
    data : (n, m) array
        The part of the image that is shown.
    path
        The file.
    top
        Where the scale ends.
    colours
        Name of a colour map of Matplotlib.
    linear
        Whether brightness is in proportion.
    """
    from PIL import Image

    shrink = max(1, -(-max(data.shape) // _LARGEST))
    if shrink > 1:
        rows, columns = (length // shrink * shrink for length in data.shape)
        parts = data[:rows, :columns].reshape(rows // shrink, shrink, columns // shrink, shrink)
        data = parts.mean(axis=(1, 3))
    level = np.asarray(np.round(stretched(data, top, linear) * 253), np.uint8) + 1
    level[data <= 0] = 0
    picture = Image.fromarray(np.ascontiguousarray(level[::-1]), "P")
    picture.putpalette(palette(colours))
    _save(picture, path, transparency=0)


def palette(colours: str) -> list[int]:
    """Red, green and blue of 256 levels; the first stands for nothing.

    Parameters
    ----------
    colours
        Name of a colour map of Matplotlib.
    """
    from matplotlib import colormaps

    steps = np.round(255 * colormaps[colours](np.linspace(0, 1, 255))[:, :3]).astype(int)
    return [0, 0, 0, *(int(v) for v in steps.ravel())]


def write_scale(path: Path, colours: str) -> None:
    """Write the colours of a scale as a strip, the least on the left.

    Parameters
    ----------
    path
        The PNG file.
    colours
        Name of a colour map of Matplotlib.
    """
    from PIL import Image

    strip = Image.fromarray(np.arange(1, 256, dtype=np.uint8)[None, :].repeat(4, 0).copy(), "P")
    strip.putpalette(palette(colours))
    _save(strip, path)


def _save(picture: Any, path: Path, **options: Any) -> None:
    """Write a picture whole; it is not pressed to the disk, since it can be drawn again."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        picture.save(part, format="PNG", compress_level=6, **options)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@dataclass(frozen=True)
class Around:
    """What is drawn around an image, in pixels from its upper left corner.

    Attributes
    ----------
    ra, dec
        Position along the lower and the left edge, and label.
    lines
        Lines of equal right ascension and declination, each as points.
    bar
        Length, and what it stands for.
    north, east
        Unit vectors to the north and east.
    """

    ra: list[tuple[float, str]] = field(default_factory=list)
    dec: list[tuple[float, str]] = field(default_factory=list)
    lines: list[list[tuple[float, float]]] = field(default_factory=list)
    bar: tuple[float, str] = (0.0, "")
    north: tuple[float, float] = (0.0, -1.0)
    east: tuple[float, float] = (-1.0, 0.0)


def around(frame: Frame) -> Around:
    """Coordinates, north and a bar for a part of an image.

    Parameters
    ----------
    frame
        The part.
    """
    edge = np.linspace(0, 1, 33)
    wide, high = frame.width - 1, frame.height - 1
    x = np.concatenate([edge * wide, edge * wide, 0 * edge, 0 * edge + wide])
    y = np.concatenate([0 * edge, 0 * edge + high, edge * high, edge * high])
    ra, dec = _world(frame, x, y)
    middle = float(_world(frame, np.array([wide / 2]), np.array([high / 2]))[0][0])
    ra = (ra - middle + 180) % 360 - 180 + middle
    if not np.isfinite(ra).all():
        return Around()
    found = Around()
    for number, text in _steps(ra.min() * 240, ra.max() * 240, _RA_STEPS, _hours):
        line = _pixels(frame, np.full(33, number / 240), np.linspace(dec.min(), dec.max(), 33))
        _keep(found.lines, found.ra, line, frame, text, lower=True)
    for number, text in _steps(dec.min() * 3600, dec.max() * 3600, _DEC_STEPS, _degrees):
        line = _pixels(frame, np.linspace(ra.min(), ra.max(), 33), np.full(33, number / 3600))
        _keep(found.lines, found.dec, line, frame, text, lower=False)
    scale = arcmin_per_pixel(frame)
    length = max((b for b in _BARS if b / scale < 0.3 * frame.width), default=_BARS[0])
    text = f"{length:g}′" if length >= 1 else f"{length * 60:g}″"
    north, east = _directions(frame)
    return Around(found.ra, found.dec, found.lines, (round(length / scale, 1), text), north, east)


def _world(frame: Frame, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    ra, dec = frame.wcs.wcs_pix2world(np.stack([x + frame.columns[0], frame.rows[1] - 1 - y], axis=1), 0).T
    return ra, dec


def _pixels(frame: Frame, ra: FloatArray, dec: FloatArray) -> FloatArray:
    x, y = frame.wcs.wcs_world2pix(np.stack([ra, dec], axis=1), 0).T
    # The middle of a pixel is half a pixel from its corner.
    return np.stack([x - frame.columns[0] + 0.5, frame.rows[1] - y - 0.5], axis=1)


def place(frame: Frame, ra: npt.ArrayLike, dec: npt.ArrayLike) -> FloatArray:
    """Where positions on the sky are in a part of an image, from its upper left corner [pixel].

    Parameters
    ----------
    frame
        The part.
    ra, dec : (n,) arrays
        Positions [deg].
    """
    return _pixels(frame, np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float)))


def _steps(low: float, high: float, steps: tuple[int, ...], text: Any) -> list[tuple[float, str]]:
    """Round numbers between two limits, four of them at most."""
    step = next((s for s in steps if (high - low) / s <= 4), steps[-1])
    first = math.ceil(low / step)
    return [(k * step, text(k * step, step)) for k in range(first, math.floor(high / step) + 1)]


def _hours(seconds: float, step: int) -> str:
    total = round(seconds) % 86400
    text = f"{total // 3600:02d}h{total % 3600 // 60:02d}m"
    return text if step % 60 == 0 else f"{text}{total % 60:02d}s"


def _degrees(arcsec: float, step: int) -> str:
    total = abs(round(arcsec))
    text = f"{'−' if arcsec < 0 else '+'}{total // 3600:02d}°{total % 3600 // 60:02d}′"
    return text if step % 60 == 0 else f"{text}{total % 60:02d}″"


def _keep(
    lines: list[list[tuple[float, float]]], labels: list[tuple[float, str]], line: FloatArray, frame: Frame,
    text: str, lower: bool,
) -> None:  # fmt: skip
    """Take a line, and the place where it meets the edge that has the labels."""
    x, y = line.T
    along, across = (x, y) if lower else (y, x)
    wanted = frame.height if lower else 0.0
    length = frame.width if lower else frame.height
    inside = (x >= 0) & (x <= frame.width) & (y >= 0) & (y <= frame.height)
    if inside.sum() < 2:
        return
    lines.append([(round(float(a), 1), round(float(b), 1)) for a, b in line])
    order = np.argsort(across)
    at = float(np.interp(wanted, across[order], along[order]))
    if 0.02 * length < at < 0.98 * length:
        labels.append((round(at, 1), text))


def arcmin_per_pixel(frame: Frame) -> float:
    """Size of a pixel on the sky [arcmin].

    Parameters
    ----------
    frame
        A part of an image.
    """
    from astropy.wcs.utils import proj_plane_pixel_scales

    return float(np.mean(proj_plane_pixel_scales(frame.wcs))) * 60


def _directions(frame: Frame) -> tuple[tuple[float, float], tuple[float, float]]:
    x, y = frame.width / 2, frame.height / 2
    ra, dec = _world(frame, np.array([x]), np.array([y]))
    small = 1e-3
    points = _pixels(
        frame,
        np.array([ra[0], ra[0], ra[0] + small / math.cos(math.radians(float(dec[0])))]),
        np.array([dec[0], dec[0] + small, dec[0]]),
    )
    found = []
    for end in points[1:]:
        vector = end - points[0]
        vector = vector / np.hypot(*vector)
        found.append((round(float(vector[0]), 3), round(float(vector[1]), 3)))
    return found[0], found[1]
