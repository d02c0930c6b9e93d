"""Sky coordinates of events (the algorithm of the task attcalc).

Source: manual of attcalc; transformation fitted to real results of ``ecoordconv`` (see
:mod:`daxa.xmm.sky.geometry`). Attitudes are few and events many: one matrix is made for every
attitude, from the detector straight to the tangent plane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.sky.geometry import DET_UNIT_RAD, CameraGeometry
from daxa.xmm.sky.tangent import REFERENCE_PIXEL, UNITS_PER_RADIAN, local_frame

if TYPE_CHECKING:
    from daxa.xmm.sky.attitude import Attitude

#: DETX, DETY of events without a position, and X, Y of events without a place on the sky.
DET_NULL = -32768
SKY_NULL = -99999999
_BLOCK = 1 << 17


def sky_coordinates(
    time_s: npt.ArrayLike,
    detx: npt.ArrayLike,
    dety: npt.ArrayLike,
    geometry: CameraGeometry,
    attitude: Attitude,
    ra0_deg: float,
    dec0_deg: float,
    *,
    centre: float = REFERENCE_PIXEL,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """X, Y of events.

    Parameters
    ----------
    time_s
        Mission times of the events, shape (n,).
    detx, dety
        Detector coordinates, shape (n,), units of 0.05 arcsec.
    geometry, attitude
        The camera and where the spacecraft pointed.
    ra0_deg, dec0_deg
        Tangent point of the sky plane.
    centre
        X, Y of the tangent point.

    Returns
    -------
    x, y
        Rounded to integers; ``SKY_NULL`` for events without DETX, DETY, without a trustworthy attitude
        or off the plane.
    """
    time = np.asarray(time_s, dtype=np.float64)
    detx, dety = np.asarray(detx), np.asarray(dety)
    ra, dec, pa = attitude.at(time)
    good = attitude.good(time) & (detx != DET_NULL) & (dety != DET_NULL)
    x = np.full(time.shape, SKY_NULL, dtype=np.int32)
    y = x.copy()
    if time.size == 0:
        return x, y
    changes = np.flatnonzero((np.diff(ra) != 0) | (np.diff(dec) != 0) | (np.diff(pa) != 0)) + 1
    starts = np.append(0, changes)
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, time.size)))
    rotation = geometry.to_sky_matrix(ra[starts], dec[starts], pa[starts])
    plane = local_frame(ra0_deg, dec0_deg) @ rotation
    for begin in range(0, time.size, _BLOCK):
        part = slice(begin, begin + _BLOCK)
        offsets = geometry.from_axis(detx[part], dety[part])
        x[part], y[part] = _project(plane, group[part], *offsets, good[part], centre)
    return x, y


def _project(
    plane: npt.NDArray[np.float64],
    group: npt.NDArray[np.intp],
    offset_x: npt.NDArray[np.float64],
    offset_y: npt.NDArray[np.float64],
    good: npt.NDArray[np.bool_],
    centre: float,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    tx, ty = offset_x * DET_UNIT_RAD, offset_y * DET_UNIT_RAD
    # Events in order of time: a block of one attitude needs no matrix per event.
    rows = plane[group[0]] if group[0] == group[-1] else np.moveaxis(plane[group], 0, -1)
    depth, east, north = (r[0] + r[1] * tx + r[2] * ty for r in rows)
    limit = np.iinfo(np.int32).max
    with np.errstate(divide="ignore", invalid="ignore"):
        px = np.rint(centre - east / depth * UNITS_PER_RADIAN)
        py = np.rint(centre + north / depth * UNITS_PER_RADIAN)
        good = good & (depth > 0) & (np.abs(px) < limit) & (np.abs(py) < limit)
    return (
        np.where(good, px, SKY_NULL).astype(np.int32),
        np.where(good, py, SKY_NULL).astype(np.int32),
    )
