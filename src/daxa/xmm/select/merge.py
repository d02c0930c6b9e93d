"""The merge task: two event lists, attitude or orbit files as one.

Rows are concatenated in time order; sky coordinates are put on a common tangent plane; frames, good times
and bad pixels of each CCD are united. Source: merge manual. Beyond it: bad pixels are united rather than
taken from the first file, and lists with one tangent point keep their X, Y as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.select.dss import Axis, DataSubspace, Filter
from daxa.xmm.select.regions import ColumnSky

if TYPE_CHECKING:
    from daxa.xmm.fits.rows import RawTable


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


def header_of_columns(table: RawTable, names: list[str]) -> tuple[Any, np.dtype, dict[str, int]]:
    """Header and row layout of a table reduced to some columns, and their new numbers.

    Parameters
    ----------
    table
        The table.
    names
        Columns that are kept, in their order.

    Returns
    -------
    header
        A copy of its header that describes these columns.
    dtype
        How a row is laid out.
    numbers
        Column -> its new number, from 1.
    """
    header = table.header.copy()
    numbers = {n: i for i, n in enumerate(names, start=1)}
    if names == list(table.fields):
        return header, table.dtype, numbers
    per_column: dict[str, list[Any]] = {n: [] for n in names}
    pattern = re.compile(
        r"(T(?:TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM|LMIN|LMAX|DMIN|DMAX|CTYP|CRPX|CRVL|CDLT|CUNI))(\d+)$"
    )
    old = {table.number(n): n for n in table.fields}
    for card in header.cards:
        match = pattern.match(card.keyword)
        if match:
            name = old.get(int(match.group(2)))
            if name in per_column:
                per_column[name].append((match.group(1), card.value, card.comment))
            del header[card.keyword]
    position = "TFIELDS"
    for name in names:
        for key, value, comment in per_column[name]:
            new = f"{key}{numbers[name]}"
            header.set(new, value, comment, after=position)
            position = new
    dtype = np.dtype([(n, table.fields[n].dtype) for n in names])
    header["TFIELDS"] = len(names)
    header["NAXIS1"] = dtype.itemsize
    return header, dtype, numbers


def rows_of_columns(
    rows: npt.NDArray[np.uint8], old: np.dtype, new: np.dtype, names: list[str]
) -> npt.NDArray[np.uint8]:
    """Rows of one layout, as bytes of shape (rows, length), in another one; the named columns are copied.

    Parameters
    ----------
    rows
        The rows.
    old
        Their layout.
    new
        Layout of the result; it has the named columns, and what else it has is zero.
    names
        Columns that are copied.
    """
    if old == new:
        return rows.copy()
    before = rows.reshape(-1).view(old)
    result = np.zeros((len(rows), new.itemsize), np.uint8)
    after = result.reshape(-1).view(new)
    for name in names:
        after[name] = before[name]
    return result


def common_plane(skies: list[ColumnSky], size: int, centre: tuple[float, float] | None = None) -> ColumnSky:
    """Tangent plane of ``size`` steps a side for coordinates of several planes.

    Its centre [deg] is that of all planes, or between theirs, unless it is given.

    Parameters
    ----------
    skies
        The planes; names of the columns and size of a step are those of the first.
    size
        Length of a side [steps].
    centre
        Right ascension and declination of the point that the plane touches the sky in [deg].
    """
    first = skies[0]
    if centre is None:
        centre = first.value
        if any(s.value != centre for s in skies):
            centre = mean_direction([s.value[0] for s in skies], [s.value[1] for s in skies])
    middle = size // 2 + 1
    return ColumnSky(first.names, (middle, middle), centre, first.step)


def place(
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    nulls: tuple[float | None, float | None],
    sky: ColumnSky,
    plane: ColumnSky,
    shift: tuple[float, float, float],
    size: int,
) -> npt.NDArray[np.float64]:
    """Whole coordinates on another plane, shape (2, n); NaN for undefined ones and those that fall off it.

    Parameters
    ----------
    x, y, nulls
        Coordinates, and their values that stand for undefined ones.
    sky, plane, shift
        As for :func:`move`.
    size
        Largest coordinate; the least is 1.
    """
    undefined = np.zeros(len(x), bool)
    for values, null in zip((x, y), nulls, strict=True):
        if null is not None:
            undefined |= values == null
    new = np.rint(np.stack(move(sky, x, y, plane, shift)))
    undefined |= ~np.all((new >= 1) & (new <= size), axis=0)
    new[:, undefined] = np.nan
    return new


def write_plane(header: Any, primary: Any, plane: ColumnSky, size: int, numbers: Mapping[str, int]) -> None:
    """Write plane and limits of the coordinates into the headers of a table and of its file.

    Parameters
    ----------
    header
        Header of the table; changed.
    primary
        Header of the file; changed.
    plane
        The plane; its names are those of the two columns.
    size
        Length of a side [steps].
    numbers
        Column -> its number in the table.
    """
    for axis, name in enumerate(plane.names):
        n, letter = numbers[name], "XY"[axis]
        header[f"TCRVL{n}"], header[f"TCRPX{n}"] = plane.value[axis], int(plane.pixel[axis])
        header[f"TLMIN{n}"], header[f"TLMAX{n}"] = 1, size
        for head in (header, primary):
            if f"REF{letter}CRVL" in head:
                head[f"REF{letter}CRVL"] = plane.value[axis]
                head[f"REF{letter}CRPX"] = int(plane.pixel[axis])
                head[f"REF{letter}LMAX"] = size
            head.discard(f"REF{letter}DMIN", f"REF{letter}DMAX")


def overlap(a: DataSubspace, b: DataSubspace) -> bool:
    """Whether the good times of two lists have a part in common.

    Parameters
    ----------
    a, b
        Data subspaces of the two lists.
    """
    one, two = (GTI.union(s.ccd_gti().values()) for s in (a, b))
    return (one & two).total > 0


def merge_span(
    header: Any, first: Mapping[str, Any], second: Mapping[str, Any], primary: Mapping[str, Any]
) -> None:
    """Write start and end of two lists into a header.

    Parameters
    ----------
    header
        A header of the first file, which is changed.
    first, second
        Headers of both tables.
    primary
        Primary header of the second file, for dates that its table lacks.
    """
    for key, choose in (("TSTART", min), ("TSTOP", max)):
        if key in first and key in second:
            header[key] = choose(first[key], second[key])
    if {"TSTART", "TSTOP", "TELAPSE"} <= set(header):
        header["TELAPSE"] = header["TSTOP"] - header["TSTART"]
    for key in ("DATE-END", "DATE_END", "EXPSTOP", "OBSSTOP"):
        value = second.get(key, primary.get(key))
        if key in header and value is not None:
            header[key] = value


def stack(one: npt.NDArray[Any], two: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], list[str]]:
    """Rows of two small tables with the columns of the first, and the columns that the second lacks.

    Those are zero in its rows.

    Parameters
    ----------
    one
        First table, a structured array of shape (n,).
    two
        Second table, shape (m,).

    Returns
    -------
    rows
        Structured array of shape (n + m,).
    missing
        Names of the columns that the second lacks.
    """
    rows = np.zeros(len(one) + len(two), dtype=one.dtype)
    rows[: len(one)] = one
    missing = []
    for name in one.dtype.names or ():
        if name in (two.dtype.names or ()):
            rows[name][len(one) :] = two[name]
        else:
            missing.append(name)
    return rows, missing


def tables_of_times(subspace: DataSubspace) -> dict[str, GTI]:
    """Tables of good times that a list with this data subspace needs, by name.

    Parameters
    ----------
    subspace
        Data subspace of the list.

    Returns
    -------
    dict
        Tables that it names, and those of CCDs under ``STDGTInn``.
    """
    used = subspace.table_names()
    tables = {n: t for n, t in subspace.tables.items() if isinstance(t, GTI) and n in used}
    for ccd, gti in subspace.ccd_gti().items():
        tables.setdefault(f"STDGTI{ccd:02d}", gti)
    return tables
