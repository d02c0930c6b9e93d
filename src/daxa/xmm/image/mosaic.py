"""Adding images of several cameras or observations on one sky grid.

Counts are shared out, not resampled: every input pixel is cut into small squares whose counts go whole to the
output pixel they fall in, so that the sum of the counts is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import empty_header
from daxa.xmm.image.wcs import sky_wcs

if TYPE_CHECKING:
    from astropy.wcs import WCS

FloatArray = npt.NDArray[np.float64]
#: Largest mosaic: 2 GB of numbers while it is made.
MAX_PIXELS = 2.5e8


def same_grid(first: Any, second: Any) -> bool:
    """Whether two image headers describe the same sky grid.

    Parameters
    ----------
    first, second
        The headers.
    """
    keys = ("NAXIS1", "NAXIS2", "CTYPE1", "CTYPE2")
    numbers = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2")
    return all(first.get(k) == second.get(k) for k in keys) and all(
        abs(float(first[k]) - float(second[k])) < 1e-9 * max(1.0, abs(float(first[k]))) for k in numbers
    )


def covering_header(headers: Sequence[Any]) -> Any:
    """Header of a tangent-plane grid that holds all images, with the pixel size of the first.

    The first header's own grid is kept where all images share it.

    Parameters
    ----------
    headers
        Headers of the images, at least one.

    Raises
    ------
    TaskError
        ``badImage``: the grid would be too large.
    """
    from astropy.wcs import WCS

    first = headers[0]
    if all(same_grid(first, h) for h in headers[1:]):
        return first.copy()
    footprints = [sky_wcs(h).calc_footprint() for h in headers]
    directions = np.concatenate(footprints)
    ra, dec = np.radians(directions).T
    mean = np.array([np.cos(ra) * np.cos(dec), np.sin(ra) * np.cos(dec), np.sin(dec)]).mean(axis=1)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.cdelt = [float(first["CDELT1"]), float(first["CDELT2"])]
    wcs.wcs.crval = [
        np.degrees(np.arctan2(mean[1], mean[0])) % 360.0,
        np.degrees(np.arctan2(mean[2], np.hypot(mean[0], mean[1]))),
    ]
    wcs.wcs.crpix = [1.0, 1.0]
    x, y = wcs.wcs_world2pix(directions[:, 0], directions[:, 1], 1)
    low_x, low_y = np.floor(x.min()), np.floor(y.min())
    wcs.wcs.crpix = [2.0 - low_x, 2.0 - low_y]
    size = (x.max() - low_x + 2) * (y.max() - low_y + 2)
    if size > MAX_PIXELS:
        raise TaskError("badImage", f"the images are too far apart: one grid for all has {size:.1e} pixels")
    header = empty_header()
    header["NAXIS"] = 2
    header["NAXIS1"] = int(np.ceil(x.max()) - low_x + 2)
    header["NAXIS2"] = int(np.ceil(y.max()) - low_y + 2)
    header.update(wcs.to_header())
    header["CDELT1"], header["CDELT2"] = float(first["CDELT1"]), float(first["CDELT2"])
    header["EQUINOX"] = 2000.0
    header["RADESYS"] = "FK5"
    return header


def pixel_map(
    source: WCS, target: WCS, shape: tuple[int, int]
) -> Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Function from 0-based pixels of an image of this shape to those of another one.

    Tangent planes map onto each other by ratios of linear functions, found here from a few points; other
    projections go the long way over the sky.

    Parameters
    ----------
    source, target
        World coordinates of the two images.
    shape
        ``(ny, nx)`` of the first image.
    """

    def over_the_sky(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        return tuple(target.wcs_world2pix(*source.wcs_pix2world(x, y, 0), 0))

    x, y = (g.ravel() for g in np.meshgrid(*(np.linspace(0, n - 1, 6) for n in reversed(shape))))
    u, v = over_the_sky(x, y)
    one, none = np.ones_like(x), np.zeros_like(x)
    rows = [[x, y, one, none, none, none, -u * x, -u * y], [none, none, none, x, y, one, -v * x, -v * y]]
    design = np.concatenate([np.stack(r, axis=1) for r in rows])
    scale = np.maximum(np.abs(design).max(axis=0), 1.0)
    h = np.linalg.lstsq(design / scale, np.concatenate([u, v]), rcond=None)[0] / scale

    def directly(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        depth = h[6] * x + h[7] * y + 1.0
        return (h[0] * x + h[1] * y + h[2]) / depth, (h[3] * x + h[4] * y + h[5]) / depth

    return directly if np.allclose(directly(x, y), (u, v), rtol=0, atol=1e-4) else over_the_sky


def add_images(
    images: Sequence[FloatArray], headers: Sequence[Any], target: Any, *, mean: bool = False, pieces: int = 4
) -> FloatArray:
    """Sum of images on the target grid.

    Parameters
    ----------
    images : sequence of (ny, nx) arrays
    headers
        Their headers, with celestial WCS.
    target
        Header of the output grid.
    mean
        The pixels hold a density (exposure) rather than counts: each image's pieces are averaged in an
        output pixel, not summed.
    pieces
        Each pixel is cut into ``pieces`` squared.
    """

    shape = (int(target["NAXIS2"]), int(target["NAXIS1"]))
    total = np.zeros(shape)
    out = sky_wcs(target)
    steps = (np.arange(pieces) + 0.5) / pieces - 0.5
    for image, header in zip(images, headers, strict=True):
        if same_grid(header, target):
            total += image
            continue
        move = pixel_map(sky_wcs(header), out, image.shape)
        # A mean also needs the pixels that saw nothing; a sum does not.
        y, x = (i.ravel() for i in np.indices(image.shape)) if mean else np.nonzero(image)
        values = image[y, x] / (1 if mean else pieces**2)
        summed, seen = np.zeros(shape), np.zeros(shape)
        for dy in steps:
            for dx in steps:
                px, py = move(x + dx, y + dy)
                ix, iy = np.round(px).astype(int), np.round(py).astype(int)
                inside = (ix >= 0) & (ix < shape[1]) & (iy >= 0) & (iy < shape[0])
                pixel = iy[inside] * shape[1] + ix[inside]
                summed += np.bincount(pixel, values[inside], total.size).reshape(shape)
                if mean:
                    seen += np.bincount(pixel, minlength=total.size).reshape(shape)
        total += np.where(seen > 0, summed / np.maximum(seen, 1), 0.0) if mean else summed
    return total


def rate_image(counts: FloatArray, exposure: FloatArray, least: float = 0.01) -> FloatArray:
    """Counts over exposure, in ct/s; NaN where the exposure is below ``least`` of its maximum.

    Parameters
    ----------
    counts
        Counts, shape (ny, nx).
    exposure
        Exposure [s], shape (ny, nx).
    least
        Part of the largest exposure.

    Examples
    --------
    >>> rate_image(np.array([[4.0, 1.0]]), np.array([[2.0, 0.0]])).tolist()
    [[2.0, nan]]
    """
    floor = least * exposure.max() if exposure.size else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(exposure > max(floor, 0.0), counts / exposure, np.nan)
