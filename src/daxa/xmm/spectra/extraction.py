"""Where a source and its background are taken from: circles around a source, without its neighbours.

Places are offsets from the source in the plane of the sky [arcsec]. The background comes from an annulus
around the source, where enough of that is seen; else, or if the source outshines its surroundings there, from
a circle of the same CCD, as the fluorescence of the detector differs from CCD to CCD.

Parameters
----------
others : (n, 3) array
    Other sources: offsets and radii.
ccd_at
    Function of two arrays of offsets: the CCD that each place falls on, 0 where nothing is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
#: Inner radius of the annulus in radii of the source, of points and of extended sources.
_INNER = (1.5, 1.1)
#: Outer radii that are tried, in radii of the source.
_OUTER = (2.5, 3.0, 4.0, 5.0)
#: Widest annulus [arcsec].
_WIDEST = 400.0
#: Area that a background should have, and that of a bright source has to have, in areas of the source.
_GOOD, _ENOUGH = 3.0, 0.3
#: Radius of a background circle in radii of the source; least and greatest [arcsec].
_CIRCLE, _LEAST, _MOST = 1.5, 20.0, 120.0
#: Least distance of its edge from a source in radii of that source, where it outshines its surroundings.
_CLEAR = 2.0
#: Side of the squares that areas are counted in, in the search for a circle, and its reach [arcsec].
_STEP, _COARSE, _REACH = 2.0, 8.0, 1000.0
#: Nearer to it [arcsec], another source is taken for the same one.
SAME_ARCSEC = 8.0


@dataclass(frozen=True)
class Background:
    """Where the background of a source is taken from.

    Attributes
    ----------
    style
        ``annulus`` around the source, or ``ccd``: a circle of the same CCD.
    dx, dy
        Offset of its middle from the source [arcsec].
    inner, outer
        Radii [arcsec]; a circle has an inner one of 0.
    cut
        (n, 3) offsets and radii of sources in it, which are left out [arcsec].
    share
        Area of it that is seen, in areas of the source that are seen.
    """

    style: str
    dx: float
    dy: float
    inner: float
    outer: float
    cut: FloatArray
    share: float


def neighbours_within(others: npt.ArrayLike, radius: float) -> FloatArray:
    """Other sources that reach into the circle of a source: offsets and radii of what is left out there.

    Of neighbours nearer than both radii together, each keeps its half of the way. What is nearer than
    `SAME_ARCSEC`, or so large that the source lies within it, is the source itself, or what it lies on.

    Parameters
    ----------
    radius
        Radius of the source [arcsec].

    Examples
    --------
    >>> neighbours_within([[1, 0, 30], [50, 0, 30], [500, 0, 30]], 40).tolist()
    [[50.0, 0.0, 25.0]]
    """
    rows = np.array(others, float).reshape(-1, 3)
    distance = np.hypot(rows[:, 0], rows[:, 1])
    near = (distance > SAME_ARCSEC) & (distance < radius + rows[:, 2])
    # A source inside a large one stays; the large one does not swallow it.
    near &= rows[:, 2] < np.maximum(2 * distance, 60.0)
    found = rows[near]
    found[:, 2] = np.minimum(found[:, 2], 0.5 * distance[near])
    return found


def background_of(
    radius: float,
    others: npt.ArrayLike,
    ccd_at: Callable[[FloatArray, FloatArray], IntArray],
    *,
    style: str = "auto",
    extended: bool = False,
    bright: bool = False,
    streak_at: Callable[[FloatArray, FloatArray], BoolArray] | None = None,
) -> Background | None:
    """Where to take the background of a source from.

    Parameters
    ----------
    radius
        Radius of the source [arcsec].
    style
        ``annulus`` or ``ccd``, or ``auto``: the annulus, where it is good.
    extended
        Whether the source is extended: its annulus then begins nearer to it.
    bright
        Whether the source is still brighter than the background at its radius.
    streak_at
        As ``ccd_at``: where events of the source lie that came during the read-out, which a circle avoids.

    Returns
    -------
    background
        None if nothing is seen of any.

    Examples
    --------
    >>> background_of(20.0, [], lambda dx, dy: np.ones(dx.shape, int)).outer
    50.0
    """
    rows = np.array(others, float).reshape(-1, 3)
    rows = rows[np.hypot(rows[:, 0], rows[:, 1]) > SAME_ARCSEC]
    x, y = _grid(radius, _STEP)
    inside = x**2 + y**2 < radius**2
    ccds = ccd_at(x[inside], y[inside])
    area = max(float(np.count_nonzero(ccds)), 1.0) * _STEP**2
    around = _annulus(radius, rows, ccd_at, area, _INNER[extended])
    if style == "annulus" or (style == "auto" and not bright and around.share >= _GOOD):
        return around if around.share > 0 else None
    if not ccds.any():
        return around if around.share > 0 else None
    most = int(np.argmax(np.bincount(ccds[ccds > 0])))
    found = _circle(radius, rows, ccd_at, most, area, streak_at)
    if style == "ccd":
        return found
    least = _ENOUGH if bright else around.share
    if found is not None and found.share >= least:
        return found
    return around if around.share > 0 else found


def _grid(reach: float, step: float) -> tuple[FloatArray, FloatArray]:
    axis = np.arange(-np.ceil(reach / step), np.ceil(reach / step) + 1) * step
    x, y = np.meshgrid(axis, axis)
    return x, y


def _covered(rows: FloatArray, x: FloatArray, y: FloatArray, grow: float = 1.0) -> BoolArray:
    """Places within any of some circles."""
    inside = np.zeros(x.shape, bool)
    for at_x, at_y, radius in rows.tolist():
        inside |= (x - at_x) ** 2 + (y - at_y) ** 2 < (grow * radius) ** 2
    return inside


def _annulus(
    radius: float,
    rows: FloatArray,
    ccd_at: Callable[[FloatArray, FloatArray], IntArray],
    area: float,
    first: float,
) -> Background:
    """The narrowest annulus that is large enough, or the widest."""
    inner = first * radius
    distance = np.hypot(rows[:, 0], rows[:, 1])
    for factor in _OUTER:
        outer = max(min(factor * radius, _WIDEST), inner + 20.0)
        step = max(_STEP, outer / 100)
        x, y = _grid(outer, step)
        square = x**2 + y**2
        inside = (square >= inner**2) & (square < outer**2)
        cut = rows[(distance < outer + rows[:, 2]) & (distance > inner - rows[:, 2])]
        # The source itself, seen as part of something larger, is left to the inner radius.
        seen = inside & ~_covered(cut, x, y)
        share = np.count_nonzero(ccd_at(x[seen], y[seen])) * step**2 / area
        if share >= _GOOD:
            break
    return Background("annulus", 0.0, 0.0, inner, outer, cut, share)


def _circle(
    radius: float,
    rows: FloatArray,
    ccd_at: Callable[[FloatArray, FloatArray], IntArray],
    ccd: int,
    area: float,
    streak_at: Callable[[FloatArray, FloatArray], BoolArray] | None,
) -> Background | None:
    """The nearest circle of a CCD without sources that has the size wanted, or the largest one."""
    x, y = _grid(_REACH, _COARSE)
    free = ccd_at(x.ravel(), y.ravel()).reshape(x.shape) == ccd
    free &= ~_covered(rows, x, y) & (x**2 + y**2 >= (_CLEAR * radius) ** 2)
    if streak_at is not None and (free & ~(streak := streak_at(x.ravel(), y.ravel()).reshape(x.shape))).any():
        free &= ~streak
    room = distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1] * _COARSE - _COARSE
    size = float(np.clip(_CIRCLE * radius, _LEAST, _MOST))
    if room.max() < _LEAST:
        return None
    size = min(size, float(room.max()))
    fits = np.flatnonzero(room.ravel() >= size)
    best = fits[np.argmin((x**2 + y**2).ravel()[fits])]
    at = float(x.flat[best]), float(y.flat[best])
    return Background("ccd", *at, 0.0, size, np.zeros((0, 3)), np.pi * size**2 / area)
