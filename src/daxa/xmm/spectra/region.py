"""Where the photons of a spectrum come from: its region on the detector, as its data subspace says.

The detector is cut into small squares on a lattice; a square belongs to the region if a point of it does.
Source: manuals of backscale and arfgen (step of 0.5 arcsec; gaps, bad pixels, the window, CCDs that were not
selected, and what lies outside the field of view are lost).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.formats.instruments import TELESCOPES
from daxa.xmm.select import dss
from daxa.xmm.select.conditions import parse_intervals
from daxa.xmm.select.dss import DataSubspace
from daxa.xmm.select.nodes import Column, InIntervals, Rows
from daxa.xmm.select.regions import ColumnSky, Region, Shape
from daxa.xmm.spectra.ogip import open_spectrum, opened

if TYPE_CHECKING:
    from daxa.xmm.fits.file import FitsFile, Hdu
    from daxa.xmm.sky.geometry import CameraGeometry

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
#: Least and greatest X, least and greatest Y.
Box = tuple[float, float, float, float]
#: Columns of an event list that say where on the detector or the sky it lies.
PLACES = ("X", "Y", "DETX", "DETY", "RAWX", "RAWY", "CCDNR")
#: Bits of FLAG, of all cameras, that neighbours of bad pixels have.
_CLOSE = tuple(
    int(flag).bit_length() - 1
    for flag in (MosFlag.CLOSE_TO_ONBOARD_BADPIX, MosFlag.CLOSE_TO_BRIGHTPIX, MosFlag.CLOSE_TO_DEADPIX)
)
#: Nothing of a detector is so far from anything else of it [0.05 arcsec].
_FAR = 60_000.0
#: Shift from one row (column) of the lattice to the next [step]: numbers that fractions approach worst.
_TURN = (0.6180339887, 0.7548776662)
#: Squares of the box around a region, at most.
_MOST_CELLS = 5_000_000
#: Shapes with a middle: places of their lengths among the arguments.
_REACH = {
    "circle": (2,),
    "annulus": (3,),
    "ellipse": (2, 3),
    "elliptannulus": (4, 5),
    "box": (2, 3),
    "rhombus": (2, 3),
}
#: Shapes whose first two numbers are their middle.
WITH_MIDDLE = frozenset({*_REACH, "point"})


@dataclass(frozen=True)
class Observed:
    """What a spectrum was extracted from.

    Attributes
    ----------
    path
        File of the spectrum.
    instrument, filter_name, submode
        Camera, filter and mode, as in its header.
    pointing
        RA, Dec and position angle of the pointing [deg].
    date_obs
        Start, UTC.
    subspace
        Its data subspace: places only.
    sky
        The plane of X and Y; None if the header does not describe it.
    patterns
        Least and greatest PATTERN.
    neighbours_lost
        Whether no event close to a bad pixel was selected: FLAG 0, or none of the bits that say so.
    header
        Header of the table.
    """

    path: Path
    instrument: str
    filter_name: str
    submode: str
    pointing: tuple[float, float, float]
    date_obs: str
    subspace: DataSubspace
    sky: ColumnSky | None
    patterns: tuple[int, int]
    neighbours_lost: bool
    header: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Observed:
        """From a spectrum's file.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        TaskError
            ``badSpectrum``: a keyword is missing or makes no sense; see also
            :func:`daxa.xmm.spectra.ogip.open_spectrum`.
        """
        return cls._of(path, *open_spectrum(path))

    @classmethod
    def of_list(cls, path: Path) -> Observed:
        """From an event list, as a spectrum of all its events would have it.

        Parameters
        ----------
        path
            The list.

        Raises
        ------
        TaskError
            ``badSpectrum``: there is no table EVENTS, or a keyword is missing or makes no sense.
        """
        file = opened(path)
        if "EVENTS" not in file:
            raise TaskError("badSpectrum", f"{path}: no extension EVENTS")
        return cls._of(path, file, file["EVENTS"])

    @classmethod
    def _of(cls, path: Path, file: FitsFile, hdu: Hdu) -> Observed:
        headers = (hdu.header, file[0].header)

        def value(key: str) -> Any:
            for header in headers:
                if key in header:
                    return header[key]
            raise TaskError("badSpectrum", f"{path}: no keyword {key}")

        def number(key: str) -> float:
            try:
                return float(value(key))
            except (TypeError, ValueError):
                raise TaskError("badSpectrum", f"{path}: {key} is {value(key)!r}, not a number") from None

        instrument = str(value("INSTRUME")).strip()
        if instrument not in TELESCOPES:
            raise TaskError("WrongInst", f"{path}: INSTRUME is {instrument!r}, not an EPIC camera")
        whole = dss.read(file, hdu.header)
        sky = None
        if all(any(f"REF{a}{k}" in h for h in headers) for a in "XY" for k in ("CRPX", "CRVL", "CDLT")):
            pixel, at, step = ((number(f"REFX{k}"), number(f"REFY{k}")) for k in ("CRPX", "CRVL", "CDLT"))
            sky = ColumnSky(("X", "Y"), pixel, at, step)
        return cls(
            path,
            instrument,
            str(value("FILTER")).strip(),
            str(value("SUBMODE")).strip(),
            (number("RA_PNT"), number("DEC_PNT"), number("PA_PNT")),
            str(value("DATE-OBS")).strip(),
            _places(whole),
            sky,
            _patterns(whole, instrument),
            any(
                a.name == "FLAG" and all(_without_neighbours(c[i].value) for c in whole.components)
                for i, a in enumerate(whole.axes)
            ),
            hdu.header,
        )

    @property
    def ccds(self) -> list[int] | None:
        """CCDs that were selected; None: all."""
        numbers = self.subspace.ccds()
        return None if None in numbers else sorted({int(n) for n in numbers if n is not None})

    def regions(self) -> Iterator[tuple[tuple[str, ...], Region]]:
        """Regions of the selection and the columns they are in."""
        for component in self.subspace.components:
            for axis, value in zip(self.subspace.axes, component, strict=True):
                table = self.subspace.tables.get(value.table)
                if isinstance(table, Region):
                    yield axis.columns, table

    def first_shape(self) -> tuple[tuple[str, ...], Shape] | None:
        """The first shape that photons were taken from; None without one."""
        for columns, region in self.regions():
            for component in region.components:
                for shape in component:
                    if not shape.exclude:
                        return columns, shape
        return None


def _without_neighbours(flag: str) -> bool:
    """Whether a condition on FLAG, a number or bits from the highest to the lowest, leaves out neighbours."""
    if not flag.startswith("b"):
        return flag == "0"
    bits = flag[:0:-1]
    return all(bits[n : n + 1] == "0" for n in _CLOSE)


def _places(subspace: DataSubspace) -> DataSubspace:
    """What of a data subspace is about places."""
    kept = [i for i, axis in enumerate(subspace.axes) if set(axis.columns) <= set(PLACES)]
    components = list(dict.fromkeys(tuple(c[i] for i in kept) for c in subspace.components))
    names = {f.table for c in components for f in c if f.table}
    tables = {n: t for n, t in subspace.tables.items() if n in names}
    return DataSubspace([subspace.axes[i] for i in kept], [list(c) for c in components], tables)


def _patterns(subspace: DataSubspace, instrument: str) -> tuple[int, int]:
    low, high = 0, 4 if instrument == "EPN" else 12
    for i, axis in enumerate(subspace.axes):
        if axis.name != "PATTERN":
            continue
        for interval in parse_intervals(subspace.components[0][i].value):
            low = max(low, int(interval.low)) if interval.low is not None else low
            high = min(high, int(interval.high)) if interval.high is not None else high
    return low, high


@dataclass(frozen=True)
class Cells:
    """Small squares of the detector that lie in a region.

    Attributes
    ----------
    step
        Side of a square [0.05 arcsec].
    detx, dety
        Their middles [0.05 arcsec], shape (n,).
    ccd, rawx, rawy
        CCD and pixel; CCD 0 where there is none.
    seen
        Which of them see light and are counted.
    """

    step: float
    detx: FloatArray
    dety: FloatArray
    ccd: npt.NDArray[np.int64]
    rawx: npt.NDArray[np.int64]
    rawy: npt.NDArray[np.int64]
    seen: BoolArray

    @property
    def area(self) -> float:
        """Area of those that are seen [(0.05 arcsec)^2]."""
        return float(np.count_nonzero(self.seen)) * self.step**2

    @property
    def whole_area(self) -> float:
        """Area of all [(0.05 arcsec)^2]."""
        return len(self.seen) * self.step**2


def cells_of(
    observed: Observed,
    geometry: CameraGeometry,
    good: Mapping[int, BoolArray] | None,
    *,
    step: float,
    outside_too: bool = False,
) -> Cells:
    """Squares of a lattice whose middles lie in the region of a spectrum.

    Parameters
    ----------
    observed
        What the spectrum was extracted from.
    geometry
        Geometry of the camera.
    good
        Good pixels by CCD, shape (rows, columns); a CCD that is not named is not counted. None: all pixels
        are good.
    step
        Side of a square [0.05 arcsec]; twice as long, or more, where the region is very large.
    outside_too
        Whether what lies outside the field of view is counted.

    Raises
    ------
    TaskError
        ``badSpectrum``: the selection is in X and Y, and the header does not say where on the sky they are;
        or a table of the data subspace is missing.
    """
    x, y, step = _lattice(observed, geometry, step)
    ccd, *pixel = geometry.det_to_raw(x, y)
    rawx, rawy = (np.nan_to_num(np.rint(v)).astype(np.int64) for v in pixel)
    inside = _selected(observed, geometry, x, y, rawx, rawy)
    x, y = x[inside], y[inside]
    ccd, rawx, rawy = ccd[inside], rawx[inside], rawy[inside]
    seen = ccd > 0
    wanted = observed.ccds
    if wanted is not None:
        seen &= np.isin(ccd, wanted)
    if not outside_too:
        seen &= geometry.in_fov(x, y)
    if good is not None:
        for number in np.unique(ccd[seen]).tolist():
            here = np.flatnonzero(seen & (ccd == number))
            seen[here] = good[number][rawy[here] - 1, rawx[here] - 1] if number in good else False
    return Cells(step, x, y, ccd, rawx, rawy, seen)


def _selected(
    observed: Observed,
    geometry: CameraGeometry,
    x: FloatArray,
    y: FloatArray,
    rawx: npt.NDArray[np.int64],
    rawy: npt.NDArray[np.int64],
) -> BoolArray:
    """Squares in the region, on whichever CCD: what a lost CCD would have seen is lost, not outside."""
    columns: dict[str, Any] = {"DETX": x, "DETY": y, "RAWX": rawx, "RAWY": rawy}
    subspace = observed.subspace
    if any("X" in axis.columns for axis in subspace.axes):
        columns["X"], columns["Y"] = _to_xy(observed, geometry, x, y)
    inside = np.zeros(len(x), bool)
    for component in _alternatives(observed):
        rest = np.flatnonzero(~inside)
        for names, condition in component:
            if isinstance(condition, Region):
                u, v = (columns[name][rest] for name in names)
                rest = rest[_within(condition, u, v)]
            else:
                values = columns[names[0]][rest]
                rest = rest[
                    InIntervals(Column(names[0]), condition).truth(Rows({names[0]: values}, len(rest), 0))
                ]
        inside[rest] = True
    return inside


def _alternatives(observed: Observed) -> list[tuple[tuple[tuple[str, ...], Any], ...]]:
    """Conditions on places, each alternative once: those of CCDs are often the same."""
    found = []
    for component in observed.subspace.components:
        conditions: list[tuple[tuple[str, ...], Any]] = []
        for axis, value in zip(observed.subspace.axes, component, strict=True):
            if axis.columns == ("CCDNR",) or value.value == ":":
                continue
            if value.value != "TABLE":
                conditions.append((axis.columns, parse_intervals(value.value)))
                continue
            table = observed.subspace.tables.get(value.table)
            if not isinstance(table, Region):
                raise TaskError("badSpectrum", f"{observed.path}: no region in extension {value.table}")
            conditions.append((axis.columns, table))
        found.append(tuple(conditions))
    return list(dict.fromkeys(found))


def _within(region: Region, x: FloatArray, y: FloatArray) -> BoolArray:
    """As ``region.contains``, of each shape only the points that those before it have left."""
    inside = np.zeros(len(x), bool)
    for component in region.components:
        rest = np.flatnonzero(~inside)
        for shape in sorted(component, key=lambda shape: shape.exclude):
            rest = rest[shape.contains(x[rest], y[rest])]
        inside[rest] = True
    return inside


def _to_xy(
    observed: Observed, geometry: CameraGeometry, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    return _sky(observed).to_xy(*geometry.det_to_sky(x, y, *observed.pointing))


def _sky(observed: Observed) -> ColumnSky:
    if observed.sky is None:
        raise TaskError(
            "badSpectrum",
            f"{observed.path}: the region is in X and Y, and REFXCRPX, REFXCRVL, REFXCDLT and those of Y are "
            "not all in the header",
        )
    return observed.sky


def to_detector(
    observed: Observed, geometry: CameraGeometry, columns: tuple[str, ...], place: tuple[float, float]
) -> tuple[float, float]:
    """DETX, DETY of a place in the columns of a region.

    Parameters
    ----------
    observed, geometry
        As for :func:`cells_of`.
    columns
        ``X`` and ``Y``, or ``DETX`` and ``DETY``.
    place
        The place in these.

    Raises
    ------
    TaskError
        ``badSpectrum``: the header does not say where on the sky X and Y are.
    """
    if columns == ("DETX", "DETY"):
        return place
    ra, dec = _sky(observed).from_xy(*place)
    x, y = geometry.sky_to_det(ra, dec, *observed.pointing)
    return float(x), float(y)


def _lattice(
    observed: Observed, geometry: CameraGeometry, step: float
) -> tuple[FloatArray, FloatArray, float]:
    """Middles of squares on boxes that hold all the shapes, none twice, and the side of the squares.

    It is doubled until there are few enough: of large regions the share that an edge cuts is small.
    """
    whole = _limits_of_detector(geometry)
    boxes = [_common(whole, b) if max(map(abs, b)) >= _FAR else b for b in _boxes(observed, geometry)] or [
        whole
    ]
    boxes = [box for box in dict.fromkeys(boxes) if box[0] <= box[1] and box[2] <= box[3]]
    if not boxes:
        return np.zeros(0), np.zeros(0), step
    while True:
        edges = np.floor(np.array(boxes) / step).astype(int)
        (x0, y0), (x1, y1) = edges[:, [0, 2]].min(axis=0), edges[:, [1, 3]].max(axis=0)
        near = np.zeros((y1 - y0 + 1, x1 - x0 + 1), bool)
        for left, right, bottom, top in edges.tolist():
            near[bottom - y0 : top - y0 + 1, left - x0 : right - x0 + 1] = True
        if np.count_nonzero(near) <= _MOST_CELLS:
            break
        step *= 2
    row, column = np.nonzero(near)
    row, column = row + y0, column + x0
    # Each row and column of the lattice is shifted by another part of a step: else a bad column counts by how
    # many columns of the lattice happen to lie on it.
    return (column + _TURN[0] * row % 1) * step, (row + _TURN[1] * column % 1) * step, step


def _common(one: Box, other: Box) -> Box:
    return max(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), min(one[3], other[3])


def _boxes(observed: Observed, geometry: CameraGeometry) -> Iterator[Box]:
    """Least and greatest DETX, least and greatest DETY of what shapes have in common."""
    for columns, region in dict.fromkeys(observed.regions()):
        for component in region.components:
            shapes = [s for s in component if not s.exclude]
            box = (-_FAR, _FAR, -_FAR, _FAR)
            if columns == ("DETX", "DETY"):
                for shape in shapes:
                    box = _common(box, _box_around(shape))
            elif columns == ("X", "Y") and shapes:
                around = [_box_around(s) for s in shapes]
                x0, x1, y0, y1 = min(around, key=lambda found: (found[1] - found[0]) * (found[3] - found[2]))
                middle = to_detector(observed, geometry, columns, (0.5 * (x0 + x1), 0.5 * (y0 + y1)))
                # A plane of the sky and the detector differ in scale by less than a part in a hundred.
                reach = 1.02 * math.hypot(0.5 * (x1 - x0), 0.5 * (y1 - y0))
                if np.isfinite(middle).all():
                    box = (middle[0] - reach, middle[0] + reach, middle[1] - reach, middle[1] + reach)
            yield box


def _limits_of_detector(geometry: CameraGeometry) -> Box:
    """Least and greatest DETX, least and greatest DETY of all CCDs."""
    numbers = geometry.ccds.tolist()
    nx, ny = geometry.shape(numbers[0])
    x, y = geometry.raw_to_det(
        np.repeat(numbers, 4),
        [0.5, 0.5, nx + 0.5, nx + 0.5] * len(numbers),
        [0.5, ny + 0.5] * 2 * len(numbers),
    )
    return float(x.min()), float(x.max()), float(y.min()), float(y.max())


def _box_around(shape: Shape) -> Box:
    """Least and greatest coordinates of a shape."""
    x, y = shape.args[:2]
    if shape.name in _REACH:
        reach = [abs(shape.args[i]) for i in _REACH[shape.name]]
        if shape.name in ("circle", "annulus"):
            reach *= 2
        elif shape.args[-1]:
            reach = [math.hypot(*reach)] * 2
        return x - reach[0], x + reach[0], y - reach[1], y + reach[1]
    if shape.name.startswith("polygon"):
        xs, ys = shape.args[0::2], shape.args[1::2]
        return min(xs), max(xs), min(ys), max(ys)
    return x - _FAR, x + _FAR, y - _FAR, y + _FAR
