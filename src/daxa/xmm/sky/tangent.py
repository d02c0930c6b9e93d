"""The sky plane of X and Y: a tangent (gnomonic) projection in units of 0.05 arcsec.

X grows towards decreasing right ascension, Y towards north; the tangent point lies at the plane's
central pixel. Source: keywords of real event lists (REFXCRPX, REFXCDLT) and the manual of attcalc.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.eventlist import SKY_MAX, UNIT_ARCSEC

#: Units of X, Y in a degree.
UNITS_PER_DEGREE = 3600.0 / UNIT_ARCSEC
#: Units of X, Y in a radian.
UNITS_PER_RADIAN = np.rad2deg(1.0) * UNITS_PER_DEGREE
#: Pixel of the tangent point for the standard half-size of the plane.
REFERENCE_PIXEL = SKY_MAX // 2 + 1

FloatArray = npt.NDArray[np.float64]


def reference_pixel(imagesize_deg: float) -> float:
    """Pixel of the tangent point for a plane of a given half-size.

    Parameters
    ----------
    imagesize_deg
        Half the length of a side [deg].
    """
    return imagesize_deg * UNITS_PER_DEGREE + 1.0


def direction(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> FloatArray:
    """Unit vectors of sky positions, shape (..., 3).

    Parameters
    ----------
    ra_deg, dec_deg
        Positions [deg], of shapes that go together.

    Examples
    --------
    >>> direction([0.0, 90.0], 0.0).round(12).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    ra, dec = np.deg2rad(np.asarray(ra_deg, float)), np.deg2rad(np.asarray(dec_deg, float))
    ra, dec = np.broadcast_arrays(ra, dec)
    return np.stack([np.cos(ra) * np.cos(dec), np.sin(ra) * np.cos(dec), np.sin(dec)], axis=-1)


def position(vectors: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Right ascension (0 to 360) and declination [deg] of vectors of any length, shape (..., 3).

    Parameters
    ----------
    vectors
        The vectors.

    Examples
    --------
    >>> ra, dec = position([0.0, -2.0, 0.0])
    >>> float(ra), float(dec)
    (270.0, 0.0)
    """
    v = np.asarray(vectors, float)
    ra = np.rad2deg(np.arctan2(v[..., 1], v[..., 0])) % 360.0
    dec = np.rad2deg(np.arctan2(v[..., 2], np.hypot(v[..., 0], v[..., 1])))
    return ra, dec


def local_frame(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> FloatArray:
    """Rows: unit vectors outwards, to the east and to the north; shape (..., 3, 3).

    At a pole east and north follow from the right ascension, as everywhere.

    Parameters
    ----------
    ra_deg, dec_deg
        Positions [deg], of shapes that go together.
    """
    ra, dec = np.deg2rad(np.asarray(ra_deg, float)), np.deg2rad(np.asarray(dec_deg, float))
    ra, dec = np.broadcast_arrays(ra, dec)
    ca, sa, cd, sd = np.cos(ra), np.sin(ra), np.cos(dec), np.sin(dec)
    zero = np.zeros_like(ca)
    rows = [[ca * cd, sa * cd, sd], [-sa, ca, zero], [-ca * sd, -sa * sd, cd]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def to_xy(
    ra_deg: npt.ArrayLike,
    dec_deg: npt.ArrayLike,
    ra0_deg: float,
    dec0_deg: float,
    *,
    centre: float = REFERENCE_PIXEL,
) -> tuple[Any, Any]:
    """X, Y of sky positions.

    Parameters
    ----------
    ra_deg, dec_deg
        Positions [deg].
    ra0_deg, dec0_deg
        Tangent point [deg].
    centre
        X and Y of the tangent point.

    Returns
    -------
    x, y
        Real-valued pixel coordinates; NaN for positions 90 deg or more from the tangent point.

    Examples
    --------
    >>> x, y = to_xy(150.0, -11.0, 150.0, -11.0)
    >>> float(x.round(6)), float(y.round(6))
    (25921.0, 25921.0)
    """
    w = direction(ra_deg, dec_deg) @ local_frame(ra0_deg, dec0_deg).T
    depth = np.where(w[..., 0] > 0, w[..., 0], np.nan)
    return centre - w[..., 1] / depth * UNITS_PER_RADIAN, centre + w[..., 2] / depth * UNITS_PER_RADIAN


def from_xy(
    x: npt.ArrayLike, y: npt.ArrayLike, ra0_deg: float, dec0_deg: float, *, centre: float = REFERENCE_PIXEL
) -> tuple[FloatArray, FloatArray]:
    """Right ascension and declination [deg] of X, Y; inverse of :func:`to_xy`.

    Parameters
    ----------
    x, y
        Positions [0.05 arcsec].
    ra0_deg, dec0_deg
        The point that the plane touches the sky in [deg].
    centre
        X and Y of that point.

    Examples
    --------
    >>> ra, dec = from_xy(REFERENCE_PIXEL, REFERENCE_PIXEL, 150.0, -11.0)
    >>> float(ra.round(9)), float(dec.round(9))
    (150.0, -11.0)
    """
    east = (centre - np.asarray(x, float)) / UNITS_PER_RADIAN
    north = (np.asarray(y, float) - centre) / UNITS_PER_RADIAN
    east, north = np.broadcast_arrays(east, north)
    w = np.stack([np.ones_like(east), east, north], axis=-1)
    return position(w @ local_frame(ra0_deg, dec0_deg))
