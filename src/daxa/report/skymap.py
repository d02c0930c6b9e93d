"""Where observations are: outlines of exposures, fields of neighbours, and the sky on a page.

Positions are in degrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Point = tuple[float, float]

#: Observations nearer than this to one another make a field [deg].
NEIGHBOURS_DEG = 1.0


def outline(exposed: npt.NDArray[np.bool_], wcs: Any, step: int = 6) -> list[list[Point]]:
    """Edges of what was exposed, as polygons on the sky.

    Parameters
    ----------
    exposed : (n, m) bool array
        Pixels with exposure.
    wcs
        World coordinates of the pixels (`astropy.wcs.WCS`).
    step
        Pixels that are looked at as one.

    Returns
    -------
    polygons
        Each a list of (right ascension, declination); small holes and islands are left out.
    """
    from contourpy import contour_generator

    rows, columns = (length // step for length in exposed.shape)
    if not rows or not columns or not exposed.any():
        return []
    blocks = exposed[: rows * step, : columns * step].reshape(rows, step, columns, step).mean(axis=(1, 3))
    # Gaps between CCDs are narrower than a block.
    framed = np.pad(blocks, 1)
    found = []
    for line in contour_generator(z=framed).lines(0.25):
        if len(line) < 12:
            continue
        pixels = (np.asarray(line) - 1) * step + (step - 1) / 2
        sky = wcs.wcs_pix2world(pixels, 0)
        found.append([(float(a), float(d)) for a, d in np.round(sky, 4)])
    return found


def circle(ra: float, dec: float, radius: float, points: int = 48) -> list[Point]:
    """A circle on the sky.

    Parameters
    ----------
    ra, dec
        Its centre.
    radius
        Its radius [deg].
    points
        Corners of the polygon that stands for it.
    """
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    north = dec + radius * np.cos(angle)
    east = ra + radius * np.sin(angle) / max(math.cos(math.radians(dec)), 1e-3)
    return [(float(a % 360), float(d)) for a, d in zip(east, np.clip(north, -90, 90), strict=True)]


def tangent(points: Sequence[Point], centre: Point) -> FloatArray:
    """Degrees to the west and north of a centre, in the tangent plane.

    Parameters
    ----------
    points
        Right ascension and declination.
    centre
        Where the plane touches the sky.
    """
    ra, dec = np.radians(np.asarray(points, float).reshape(-1, 2)).T
    ra0, dec0 = np.radians(centre)
    away = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    away = np.maximum(away, 1e-3)
    x = np.cos(dec) * np.sin(ra - ra0) / away
    y = (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)) / away
    return np.degrees(np.stack([-x, y], axis=1))


def whole_sky(points: Sequence[Point]) -> FloatArray:
    """Hammer projection of the whole sky: x between -2 and 2, growing to the west, y between -1 and 1.

    Parameters
    ----------
    points
        Right ascension and declination; right ascension 180 is in the middle.
    """
    ra, dec = np.asarray(points, float).reshape(-1, 2).T
    lon = np.radians((180.0 - ra + 180.0) % 360.0 - 180.0)
    lat = np.radians(dec)
    scale = np.sqrt(1 + np.cos(lat) * np.cos(lon / 2))
    return np.stack([2 * np.cos(lat) * np.sin(lon / 2) / scale, np.sin(lat) / scale], axis=1)


def separation(one: Point, other: Point) -> float:
    """Angle between two positions [deg].

    Parameters
    ----------
    one, other
        Right ascension and declination.
    """
    (a1, d1), (a2, d2) = np.radians(one), np.radians(other)
    half = np.sin((d2 - d1) / 2) ** 2 + np.cos(d1) * np.cos(d2) * np.sin((a2 - a1) / 2) ** 2
    return float(np.degrees(2 * np.arcsin(np.sqrt(min(1.0, float(half))))))


def fields(positions: Sequence[Point]) -> list[list[int]]:
    """Observations that are near each other, the largest field first.

    Parameters
    ----------
    positions
        Of the observations.

    Returns
    -------
    fields
        Each the places of its observations in ``positions``, ascending.
    """
    left = set(range(len(positions)))
    found = []
    while left:
        field, edge = set(), {min(left)}
        while edge:
            left -= edge
            field |= edge
            edge = {
                k for k in left if any(separation(positions[k], positions[e]) < NEIGHBOURS_DEG for e in edge)
            }
        found.append(sorted(field))
    return sorted(found, key=lambda f: (-len(f), f))


def sexagesimal(ra: float, dec: float) -> tuple[str, str]:
    """Right ascension and declination as they are read aloud; a dash for none.

    Parameters
    ----------
    ra, dec
        The position.

    Examples
    --------
    >>> sexagesimal(149.5917, -11.0642)
    ('09 58 22.0', '−11 03 51')
    """
    if not (math.isfinite(ra) and math.isfinite(dec)):
        return "–", ""
    tenths = round(ra % 360 / 15 * 36000) % 864000
    hours, rest = divmod(tenths, 36000)
    minutes, rest = divmod(rest, 600)
    seconds = round(abs(dec) * 3600)
    degrees, arc = divmod(seconds, 3600)
    sign = "−" if dec < 0 else "+"
    return (
        f"{hours:02d} {minutes:02d} {rest / 10:04.1f}",
        f"{sign}{degrees:02d} {arc // 60:02d} {arc % 60:02d}",
    )
