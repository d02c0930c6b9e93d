"""Exposure maps: how long, and how well, each patch of sky was seen.

Source: eexpmap task manual. The map is made from the sky inwards: points inside each sky pixel are
carried to the detector for every attitude of the observation, where the chip's own map of good pixels
times vignetting is read. A fully covered sky pixel then has exactly the value of the product of live time
and vignetting; only pixels at chip edges and bad pixels are sampled.

Parameters
----------
geometry
    Geometry of the camera.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.image.wcs import sky_wcs

if TYPE_CHECKING:
    from daxa.xmm.sky.geometry import CameraGeometry

FloatArray = npt.NDArray[np.float64]
#: How far from the known attitude [s] a time may lie.
_ATTITUDE_REACH = 20.0


@dataclass(frozen=True)
class PointingBins:
    """Attitude bins: mean pointing of each, and the bin of every attitude sample (-1: no attitude)."""

    ra_deg: FloatArray
    dec_deg: FloatArray
    pa_deg: FloatArray
    time_s: FloatArray
    index: npt.NDArray[np.int64]

    def of(self, times: FloatArray) -> npt.NDArray[np.int64]:
        """Bin of each time: that of the nearest attitude sample.

        Parameters
        ----------
        times
            Mission times [s], shape (n,).

        Returns
        -------
        array of shape (n,)
            Numbers of the bins; -1 where that sample has no attitude.
        """
        # Half-way between two samples of different bins; ties go to the earlier one.
        last = np.flatnonzero(np.diff(self.index))
        edges = self.time_s[last] + 0.5 * (self.time_s[last + 1] - self.time_s[last])
        return self.index[np.append(last, -1)][np.searchsorted(edges, times)]


def beyond_attitude(times: FloatArray, pointings: PointingBins) -> npt.NDArray[np.bool_]:
    """Which times lie more than 20 s outside of the time for which the attitude is known.

    20 s is how far SAS takes the nearest attitude without a warning.

    Parameters
    ----------
    times
        Mission times [s], shape (n,).
    pointings
        The bins; samples without attitude do not count.

    Returns
    -------
    bool array
        Shape (n,).
    """
    known = pointings.time_s[pointings.index >= 0]
    return (times < known.min() - _ATTITUDE_REACH) | (times > known.max() + _ATTITUDE_REACH)


def bin_attitude(
    time_s: FloatArray, ra_deg: FloatArray, dec_deg: FloatArray, pa_deg: FloatArray, step_arcsec: float
) -> PointingBins:
    """Collect attitude samples that point the same way to within ``step_arcsec``.

    Roll counts by the shift it causes 15 arcmin off axis. Samples without attitude (NaN) get no bin.

    Parameters
    ----------
    time_s
        Times of the samples [mission time], shape (n,).
    ra_deg, dec_deg, pa_deg
        Viewing direction and position angle of each [deg], shape (n,).
    step_arcsec
        Size of a bin [arcsec].
    """
    valid = np.isfinite(ra_deg) & np.isfinite(dec_deg) & np.isfinite(pa_deg)
    index = np.full(len(time_s), -1, np.int64)
    if not valid.any():
        empty = np.array([])
        return PointingBins(empty, empty, empty, time_s, index)
    ra0, dec0, pa0 = ra_deg[valid][0], dec_deg[valid][0], pa_deg[valid][0]
    east = ((ra_deg[valid] - ra0 + 180.0) % 360.0 - 180.0) * np.cos(np.radians(dec0)) * 3600.0
    north = (dec_deg[valid] - dec0) * 3600.0
    roll = ((pa_deg[valid] - pa0 + 180.0) % 360.0 - 180.0) * np.radians(1.0) * 15 * 60.0
    cells = np.round(np.stack([east, north, roll], axis=1) / max(step_arcsec, 1e-6)).astype(np.int64)
    _, inverse = np.unique(cells, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    number = np.bincount(inverse)

    def mean(values: FloatArray) -> FloatArray:
        return np.bincount(inverse, values) / number

    index[valid] = inverse
    return PointingBins(
        (ra0 + mean(east) / 3600.0 / np.cos(np.radians(dec0))) % 360.0,
        dec0 + mean(north) / 3600.0,
        (pa0 + mean(roll) / (np.radians(1.0) * 15 * 60.0)) % 360.0,
        time_s,
        index,
    )


def good_pixel_map(
    shape: tuple[int, int],
    badpix: Mapping[str, npt.ArrayLike],
    *,
    window: tuple[int, int, int, int] | None = None,
    with_neighbours: bool = False,
    offset_columns: npt.ArrayLike = (),
) -> npt.NDArray[np.bool_]:
    """Pixels of a chip that can hold an accepted event.

    Parameters
    ----------
    shape
        ``(nx, ny)`` of the chip.
    badpix
        Columns RAWX, RAWY, YEXTENT of the bad pixels (1-based).
    window
        ``(x0, y0, dx, dy)`` of the read-out window, 1-based.
    with_neighbours
        Also exclude the neighbours of bad pixels (left, right, above, below) and the border of the chip, as
        a selection on FLAG == 0 does.
    offset_columns
        Columns with an extra offset, excluded with their neighbours if ``with_neighbours``.

    Returns
    -------
    good : (ny, nx) bool array
    """
    nx, ny = shape
    bad = np.zeros((ny, nx), bool)
    for x, y, length in zip(*(np.asarray(badpix[c], int) for c in ("RAWX", "RAWY", "YEXTENT")), strict=True):
        if 1 <= x <= nx:
            bad[max(y - 1, 0) : max(y - 1 + length, 0), x - 1] = True
    if with_neighbours:
        core = bad.copy()
        bad[1:] |= core[:-1]
        bad[:-1] |= core[1:]
        bad[:, 1:] |= core[:, :-1]
        bad[:, :-1] |= core[:, 1:]
        for x in np.asarray(offset_columns, int):
            bad[:, max(x - 2, 0) : x + 1] = True
    good = ~bad
    x0, y0, dx, dy = window or (1, 1, nx, ny)
    margin = 1 if with_neighbours else 0
    inside = np.zeros_like(good)
    low_x, low_y = max(x0, 1) + margin, max(y0, 1) + margin
    high_x, high_y = min(x0 + dx - 1, nx) - margin, min(y0 + dy - 1, ny) - margin
    inside[low_y - 1 : high_y, low_x - 1 : high_x] = True
    return good & inside


def read_window(header: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """Read-out window of a CCD, ``(x0, y0, dx, dy)``, from the header of its EXPOSUnn; None: all of it.

    Parameters
    ----------
    header
        The header.
    """
    keys = ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")
    return tuple(int(header[k]) for k in keys) if all(k in header for k in keys) else None  # type: ignore[return-value]


@dataclass(frozen=True)
class ChipMap:
    """One chip: efficiency per pixel (0 where bad or outside the field) and live time per attitude bin.

    Of several energy bands, the efficiency has the shape (bands, ny, nx).
    """

    ccd: int
    efficiency: FloatArray
    live_s: FloatArray


def telescope_angles(
    geometry: CameraGeometry, ccd: int, good: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Angle from the optical axis [arcmin] and azimuth [rad] of every pixel; NaN for those that see no sky.

    Those are the bad ones, those outside the field of view, and those that another chip covers.

    Parameters
    ----------
    ccd
        Number of the CCD.
    good
        Its good pixels, shape (rows, columns).

    Returns
    -------
    theta, phi
        Both of the shape of `good`.
    """
    rows, columns = np.nonzero(good & ~geometry.covered(ccd))
    detx, dety = geometry.raw_to_det(ccd, columns + 1.0, rows + 1.0)
    theta, phi = np.full(good.shape, np.nan), np.full(good.shape, np.nan)
    seen = geometry.in_fov(detx, dety)
    off_axis, azimuth = geometry.det_to_tel(detx[seen], dety[seen])
    theta[rows[seen], columns[seen]], phi[rows[seen], columns[seen]] = off_axis / 60.0, azimuth
    return theta, phi


def efficiency(
    angles: tuple[FloatArray, FloatArray], vignetting: Callable[[FloatArray, FloatArray], FloatArray] | None
) -> FloatArray:
    """Efficiency of pixels at telescope angles: vignetting (1 without), 0 where they are NaN.

    Parameters
    ----------
    angles
        Off-axis angle [arcmin] and azimuth [rad] of each pixel, shape (rows, columns).
    vignetting
        Relative area at such angles, shape (n,) for n pixels; None: 1 everywhere.
    """
    theta, phi = angles
    seen = np.isfinite(theta)
    result = seen.astype(float)
    if vignetting is not None:
        result[seen] = vignetting(theta[seen], phi[seen])
    return result


def _affine(source: FloatArray, target: FloatArray) -> FloatArray:
    """Least-squares 2x3 matrix from points (n, 2) to points (n, 2)."""
    design = np.column_stack([source, np.ones(len(source))])
    return np.linalg.lstsq(design, target, rcond=None)[0].T


def sky_exposure_map(
    chips: list[ChipMap],
    geometry: CameraGeometry,
    pointings: PointingBins,
    sky_of_pixel: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]],
    shape: tuple[int, int],
    *,
    oversample: int = 3,
) -> FloatArray:
    """Exposure of every pixel of a sky image.

    Parameters
    ----------
    chips
        Efficiencies and live times.
    pointings
        Attitude bins.
    sky_of_pixel
        RA, Dec [deg] of 0-based pixel coordinates (x, y).
    shape
        ``(ny, nx)`` of the image.
    oversample
        Points per pixel and axis.

    Returns
    -------
    exposure : (ny, nx) or (bands, ny, nx) array
        Seconds.
    """
    ny, nx = shape
    bands = chips[0].efficiency.shape[:-2] if chips else ()
    total = np.zeros((*bands, ny, nx))
    grid_x, grid_y = (g.ravel() for g in np.meshgrid(np.linspace(0, nx - 1, 7), np.linspace(0, ny - 1, 7)))
    ra, dec = sky_of_pixel(grid_x, grid_y)
    pixels = np.column_stack([grid_x, grid_y])
    steps = (np.arange(oversample) + 0.5) / oversample - 0.5
    corners = {}
    for chip in chips:
        cny, cnx = chip.efficiency.shape[-2:]
        raw = np.array([[1.0, 1.0], [cnx, 1.0], [1.0, cny], [cnx, cny]])
        det = np.column_stack(geometry.raw_to_det(chip.ccd, raw[:, 0], raw[:, 1]))
        corners[chip.ccd] = (_affine(det, raw), raw)
    for k in range(len(pointings.ra_deg)):
        if not any(chip.live_s[k] > 0 for chip in chips):
            continue
        detx, dety = geometry.sky_to_det(
            ra, dec, pointings.ra_deg[k], pointings.dec_deg[k], pointings.pa_deg[k]
        )
        if not np.isfinite([detx, dety]).all():
            continue  # more than 90 deg away
        # Over one field the projections differ from an affine map by a hundredth of an arcsecond.
        to_det = _affine(pixels, np.column_stack([detx, dety]))
        for chip in chips:
            live = chip.live_s[k]
            if live <= 0:
                continue
            to_raw, raw = corners[chip.ccd]
            matrix = to_raw[:, :2] @ to_det[:, :2]
            offset = to_raw[:, :2] @ to_det[:, 2] + to_raw[:, 2]
            cny, cnx = chip.efficiency.shape[-2:]
            edge = np.array([[0.0, 0.0], [cnx + 1, 0.0], [0.0, cny + 1], [cnx + 1, cny + 1]])
            box = (edge - offset) @ np.linalg.inv(matrix).T
            x0, y0 = np.maximum(np.floor(box.min(0)).astype(int) - 1, 0)
            x1 = min(int(np.ceil(box[:, 0].max())) + 2, nx)
            y1 = min(int(np.ceil(box[:, 1].max())) + 2, ny)
            if x0 >= x1 or y0 >= y1:
                continue
            px, py = np.arange(x0, x1, dtype=float)[None, :], np.arange(y0, y1, dtype=float)[:, None]
            part = np.zeros((*bands, y1 - y0, x1 - x0))
            # A frame of zeros around the chip takes every point beside it.
            framed = np.zeros((*bands, cny + 2, cnx + 2))
            framed[..., 1:-1, 1:-1] = chip.efficiency
            framed = framed.reshape(*bands, -1)
            for sy in steps:
                for sx in steps:
                    rx = matrix[0, 0] * (px + sx) + matrix[0, 1] * (py + sy) + offset[0]
                    ry = matrix[1, 0] * (px + sx) + matrix[1, 1] * (py + sy) + offset[1]
                    rx += 0.5
                    ry += 0.5
                    pixel = np.clip(ry, 0, cny + 1, out=ry).astype(np.intp)
                    pixel *= cnx + 2
                    pixel += np.clip(rx, 0, cnx + 1, out=rx).astype(np.intp)
                    part += framed.take(pixel, axis=-1)
            total[..., y0:y1, x0:x1] += part * (live / oversample**2)
    return total


def detector_exposure_map(
    chips: list[ChipMap],
    geometry: CameraGeometry,
    det_of_pixel: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]],
    shape: tuple[int, int],
    *,
    oversample: int = 3,
) -> FloatArray:
    """Exposure of every pixel of an image in DETX, DETY, in seconds (no attitude enters).

    Parameters
    ----------
    chips
        Efficiencies and live times.
    det_of_pixel
        DETX, DETY of 0-based pixel coordinates (x, y).
    shape
        ``(ny, nx)`` of the image.
    oversample
        Points per pixel and axis.

    Returns
    -------
    exposure : (ny, nx) or (bands, ny, nx) array
        Seconds.
    """
    ny, nx = shape
    total = np.zeros((*chips[0].efficiency.shape[:-2], ny, nx)) if chips else np.zeros(shape)
    steps = (np.arange(oversample) + 0.5) / oversample - 0.5
    py, px = np.mgrid[0:ny, 0:nx].astype(float)
    for sy in steps:
        for sx in steps:
            detx, dety = det_of_pixel(px + sx, py + sy)
            for chip in chips:
                cny, cnx = chip.efficiency.shape[-2:]
                raw = np.array([[1.0, 1.0], [cnx, 1.0], [1.0, cny]])
                det = np.column_stack(geometry.raw_to_det(chip.ccd, raw[:, 0], raw[:, 1]))
                to_raw = _affine(det, raw)
                rx = to_raw[0, 0] * detx + to_raw[0, 1] * dety + to_raw[0, 2]
                ry = to_raw[1, 0] * detx + to_raw[1, 1] * dety + to_raw[1, 2]
                ix, iy = np.floor(rx + 0.5).astype(int), np.floor(ry + 0.5).astype(int)
                inside = (ix >= 1) & (ix <= cnx) & (iy >= 1) & (iy <= cny)
                seen = chip.efficiency[..., iy[inside] - 1, ix[inside] - 1]
                total[..., inside] += seen * chip.live_s.sum()
    return total / oversample**2


def live_times(
    frame_time_s: FloatArray,
    frame_live_s: FloatArray,
    good: npt.NDArray[np.bool_],
    pointings: PointingBins,
) -> FloatArray:
    """Live time of one CCD in each attitude bin, in seconds; frames without attitude do not count.

    Parameters
    ----------
    frame_time_s
        Time of each frame [mission time], shape (n,).
    frame_live_s
        Live time of each [s], shape (n,).
    good
        Which of them count, shape (n,).
    pointings
        The bins.
    """
    index = pointings.of(frame_time_s[good])
    live = frame_live_s[good]
    known = index >= 0
    return np.bincount(index[known], live[known], minlength=len(pointings.ra_deg)).astype(float)


def wcs_functions(header: Any) -> Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """RA, Dec [deg] of 0-based pixel coordinates, from an image header.

    Parameters
    ----------
    header
        The header.
    """
    wcs = sky_wcs(header)
    return lambda x, y: tuple(wcs.wcs_pix2world(x, y, 0))  # type: ignore[return-value]
