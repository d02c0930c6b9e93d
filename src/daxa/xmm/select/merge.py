"""The merge task: two event lists, attitude or orbit files as one.

Rows are concatenated in time order; sky coordinates are put on a common tangent plane; frames, good times
and bad pixels of each CCD are united. Source: merge manual. Beyond it: bad pixels are united rather than
taken from the first file, and lists with one tangent point keep their X, Y as they are.
"""

from __future__ import annotations

import math
import re

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.select.dss import Axis, DataSubspace, Filter
from daxa.xmm.select.regions import ColumnSky


# algorithms
def mean_direction(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> tuple[float, float]:
    """Direction of the sum of unit vectors [deg].

    Parameters
    ----------
    ra_deg, dec_deg
        Directions [deg], shape (n,).

    Examples
    --------
    >>> ra, dec = mean_direction([359.0, 1.0], [0.0, 0.0])
    >>> round(ra % 360, 6), round(dec, 6)
    (0.0, 0.0)
    """
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    x, y, z = (np.cos(dec) * np.cos(ra)).sum(), (np.cos(dec) * np.sin(ra)).sum(), np.sin(dec).sum()
    return _turn(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def _turn(angle: float) -> float:
    angle = float(angle) % 360
    return 0.0 if angle == 360 else angle


def separation(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    """Angle between two directions [deg].

    Parameters
    ----------
    ra1, dec1, ra2, dec2
        The directions [deg].

    Examples
    --------
    >>> round(separation(10.0, 0.0, 10.0, 1.5), 6)
    1.5
    """
    ra1, dec1, ra2, dec2 = np.radians([ra1, dec1, ra2, dec2])
    h = np.sin((dec2 - dec1) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
    return float(np.degrees(2 * np.arcsin(min(1.0, math.sqrt(h)))))


def move(
    sky: ColumnSky,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    target: ColumnSky,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coordinates of one tangent plane in another.

    Parameters
    ----------
    sky, target
        The planes of the input and output coordinates.
    x, y
        Positions.
    shift
        Attitude correction before: degrees of RA and of Dec to add, and a clockwise turn about the tangent
        point in degrees.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if shift[2]:
        c, s = np.cos(np.radians(shift[2])), np.sin(np.radians(shift[2]))
        # North through West in the sky, where X grows to the West and Y to the North.
        west, north = x - sky.pixel[0], y - sky.pixel[1]
        x, y = west * c + north * s + sky.pixel[0], north * c - west * s + sky.pixel[1]
    ra, dec = sky.from_xy(x, y)
    return target.to_xy(ra + shift[0], dec + shift[1])


def merge_subspaces(a: DataSubspace, b: DataSubspace) -> tuple[DataSubspace, bool]:
    """Data subspace of the union of two lists, and whether it says all that both said.

    If both have the same filters but for the times, times are united per component; else only CCDs and
    times are kept.

    Parameters
    ----------
    a, b
        Data subspaces of the two lists.
    """
    time_a = a.index("TIME")
    same_axes = [x.name for x in a.axes] == [x.name for x in b.axes]
    if same_axes and time_a is not None:

        def rest(row: list[Filter]) -> list[Filter]:
            return [
                Filter(f.value, f.form, "" if f.value != "TABLE" else "T")
                for i, f in enumerate(row)
                if i != time_a
            ]

        regions = all(
            a.tables.get(r1[i].table) == b.tables.get(r2[i].table)
            for r1, r2 in zip(a.components[:1], b.components[:1], strict=False)
            for i in range(len(a.axes))
            if i != time_a and r1[i].table
        )
        if regions:
            result = DataSubspace(list(a.axes), [list(c) for c in a.components], dict(a.tables))
            fits = True
            for row in b.components:
                partner = [r for r in result.components if rest(r) == rest(row)]
                gti = b.tables.get(row[time_a].table)
                if not isinstance(gti, GTI):
                    fits = False
                    break
                if not partner:
                    name = _free_name(row[time_a].table, result)
                    result.tables[name] = gti
                    result.components.append(
                        [Filter("TABLE", "", f":{name}") if i == time_a else f for i, f in enumerate(row)]
                    )
                    continue
                name = partner[0][time_a].table
                old = a.tables.get(name)
                if not isinstance(old, GTI):
                    fits = False
                    break
                result.tables[name] = old | gti
            if fits:
                return result, True
    gti_a, gti_b = a.ccd_gti(), b.ccd_gti()
    simple = DataSubspace([Axis("CCDNR"), Axis("TIME", "s")], [])
    for ccd in sorted(gti_a | gti_b):
        name = f"STDGTI{ccd:02d}"
        simple.tables[name] = GTI.union(g[ccd] for g in (gti_a, gti_b) if ccd in g)
        simple.components.append([Filter(str(ccd)), Filter("TABLE", "", f":{name}")])
    if not simple.components:
        return DataSubspace(), not (a.axes or b.axes)
    return simple, {x.name for x in (*a.axes, *b.axes)} <= {"CCDNR", "TIME"}


def _free_name(name: str, subspace: DataSubspace) -> str:
    while name in subspace.tables:
        number = int(re.sub(r"\D", "", name) or 0) + 100
        name = f"GTI{number:05d}"
    return name


def statistics(values: npt.NDArray[np.float64], name: str) -> tuple[float, float]:
    """Mean and median of a column, angles that pass 360 degrees taken together.

    Parameters
    ----------
    values
        The column [deg], shape (n,); values that are not finite do not count.
    name
        Its name: those of right ascensions and position angles end in RA and PA.
    """
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    if name.endswith(("RA", "PA")):
        values = values - 360 * np.rint((values - values[0]) / 360)
        return _turn(values.mean()), _turn(np.median(values))
    return float(values.mean()), float(np.median(values))
