"""Region shapes, region tables and image masks of the selection language.

Source: selectlib manual (region functions) and the ASC region table convention. A point on a border is
inside. Angles are degrees, counter-clockwise from +X.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.fits.file import Hdu
from daxa.xmm.fits.hdus import empty_header, table_from_bytes
from daxa.xmm.fits.schema import Column, column_names, table

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU

Array = npt.NDArray[Any]

#: Shape name -> number of arguments before X, Y (0: any even number).
SHAPES = {
    "point": 2,
    "line": 4,
    "circle": 3,
    "sector": 4,
    "annulus": 4,
    "ellipse": 5,
    "elliptannulus": 8,
    "box": 5,
    "rectangle": 5,
    "rhombus": 5,
    "polygon": 0,
    "polygon2": 0,
}
ALIASES = {"pie": "sector", "ring": "annulus", "elliptring": "elliptannulus", "diamond": "rhombus"}
#: Lengths (not positions or angles) among the arguments, for changes of scale.
_LENGTHS = {
    "circle": (2,),
    "annulus": (2, 3),
    "ellipse": (2, 3),
    "elliptannulus": (2, 3, 4, 5),
    "box": (2, 3),
    "rhombus": (2, 3),
}
#: Form of the column COMPONENT -> how many components it numbers from 0; the narrowest one is taken.
_COMPONENTS = {"B": 1 << 8, "I": 1 << 15, "J": 1 << 31}


@dataclass(frozen=True)
class Shape:
    """A region of the plane: name (lower case), arguments as in the language, and whether it excludes.

    Parameters
    ----------
    name
        One of :data:`SHAPES`.
    args
        Numbers before the columns in the language: positions and lengths in units of the columns, angles in
        degrees counter-clockwise from +X. A missing angle is 0; those of a box are half-widths.
    exclude
        Whether the points outside are meant.

    Raises
    ------
    ValueError
        There is no such shape, or it takes another number of arguments.

    Examples
    --------
    >>> Shape("circle", (0, 0, 2)).contains([0, 1, 3], [0, 1, 0]).tolist()
    [True, True, False]
    """

    name: str
    args: tuple[float, ...]
    exclude: bool = False

    def __post_init__(self) -> None:
        expected = SHAPES.get(self.name)
        if expected is None:
            raise ValueError(f"unknown region shape {self.name!r}; known are {', '.join(SHAPES)}")
        count = len(self.args)
        if expected and count == expected - 1 and self.name in ("box", "rectangle", "ellipse", "rhombus"):
            object.__setattr__(self, "args", (*self.args, 0.0))
        elif expected and count != expected:
            raise ValueError(f"{self.name} takes {expected} numbers before the columns, got {count}")
        elif not expected and (count < 6 or count % 2):
            raise ValueError(f"{self.name} takes pairs x, y of at least three corners, got {count} numbers")

    def doubts(self) -> list[str]:
        """What is allowed but hardly meant: lengths below zero, an inner radius beyond the outer one."""
        lengths = [self.args[i] for i in _LENGTHS.get(self.name, ())]
        found = [f"a radius or width of {v:g} is negative" for v in lengths if v < 0]
        rings = {"annulus": [(2, 3)], "elliptannulus": [(2, 4), (3, 5)]}.get(self.name, [])
        for inner, outer in rings:
            if self.args[inner] > self.args[outer]:
                found.append(
                    f"the inner radius {self.args[inner]:g} is beyond the outer one {self.args[outer]:g}"
                )
        return found

    def contains(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether each point lies in the region.

        Parameters
        ----------
        x, y
            Coordinates, shapes that broadcast.

        Returns
        -------
        bool array
            Points on the border are inside.
        """
        inside = _TESTS[self.name](np.asarray(x, float), np.asarray(y, float), *self.args)
        return ~inside if self.exclude else inside


def _turn(x: Array, y: Array, xc: float, yc: float, angle: float) -> tuple[Array, Array]:
    x, y = x - xc, y - yc
    if not angle:
        return x, y
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return x * c + y * s, y * c - x * s


def _point(x: Array, y: Array, x0: float, y0: float) -> Array:
    return (x == x0) & (y == y0)


def _line(x: Array, y: Array, x0: float, y0: float, x1: float, y1: float) -> Array:
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / length, 0, 1) if length else np.zeros_like(x)
    return np.hypot(x - x0 - along * dx, y - y0 - along * dy) <= 0.5


def _circle(x: Array, y: Array, xc: float, yc: float, r: float) -> Array:
    x = x - xc
    y = y - yc
    x *= x
    y *= y
    x += y
    return x <= r * r


def _sector(x: Array, y: Array, xc: float, yc: float, start: float, stop: float) -> Array:
    angle = np.degrees(np.arctan2(y - yc, x - xc))
    return (angle - start) % 360 <= (stop - start if stop - start <= 360 else 360)


def _annulus(x: Array, y: Array, xc: float, yc: float, r1: float, r2: float) -> Array:
    d = (x - xc) ** 2 + (y - yc) ** 2
    return (d >= r1 * r1) & (d <= r2 * r2)


def _ellipse(x: Array, y: Array, xc: float, yc: float, a: float, b: float, rot: float) -> Array:
    u, v = _turn(x, y, xc, yc, rot)
    return (u * b) ** 2 + (v * a) ** 2 <= (a * b) ** 2


def _elliptannulus(
    x: Array, y: Array, xc: float, yc: float, ai: float, bi: float, ao: float, bo: float, ri: float, ro: float
) -> Array:
    u, v = _turn(x, y, xc, yc, ri)
    outside_inner = (u * bi) ** 2 + (v * ai) ** 2 >= (ai * bi) ** 2
    return outside_inner & _ellipse(x, y, xc, yc, ao, bo, ro)


def _box(x: Array, y: Array, xc: float, yc: float, a: float, b: float, rot: float) -> Array:
    u, v = _turn(x, y, xc, yc, rot)
    return (np.abs(u) <= a) & (np.abs(v) <= b)


def _rectangle(x: Array, y: Array, x0: float, y0: float, x1: float, y1: float, rot: float) -> Array:
    return _box(x, y, (x0 + x1) / 2, (y0 + y1) / 2, abs(x1 - x0) / 2, abs(y1 - y0) / 2, rot)


def _rhombus(x: Array, y: Array, xc: float, yc: float, a: float, b: float, rot: float) -> Array:
    u, v = _turn(x, y, xc, yc, rot)
    return np.abs(u) * b + np.abs(v) * a <= a * b


def _polygon(x: Array, y: Array, *corners: float) -> Array:
    """Even-odd rule, the border counted as inside."""
    xs, ys = np.asarray(corners[0::2]), np.asarray(corners[1::2])
    inside = np.zeros(np.broadcast(x, y).shape, bool)
    border = np.zeros_like(inside)
    for x0, y0, x1, y1 in zip(xs, ys, np.roll(xs, -1), np.roll(ys, -1), strict=True):
        cross = (x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)
        within = (np.minimum(x0, x1) <= x) & (x <= np.maximum(x0, x1))
        border |= (cross == 0) & within & (np.minimum(y0, y1) <= y) & (y <= np.maximum(y0, y1))
        straddles = (y0 <= y) != (y1 <= y)
        inside ^= straddles & ((cross < 0) == (y1 > y0))
    return inside | border


_TESTS: dict[str, Callable[..., Array]] = {
    "point": _point,
    "line": _line,
    "circle": _circle,
    "sector": _sector,
    "annulus": _annulus,
    "ellipse": _ellipse,
    "elliptannulus": _elliptannulus,
    "box": _box,
    "rectangle": _rectangle,
    "rhombus": _rhombus,
    "polygon": _polygon,
    "polygon2": _polygon,
}


@dataclass(frozen=True)
class Region:
    """A union of components, each an intersection of shapes; ``columns`` are those the table names."""

    components: tuple[tuple[Shape, ...], ...]
    columns: tuple[str, str] | None = None

    def contains(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether each point lies in the region.

        Parameters
        ----------
        x, y
            Coordinates, shapes that broadcast.

        Returns
        -------
        bool array
            True for points in every shape of any component.
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        result = np.zeros(np.broadcast(x, y).shape, bool)
        for component in self.components:
            inside = np.ones_like(result)
            for shape in component:
                inside &= shape.contains(x, y)
            result |= inside
        return result

    def __and__(self, other: Region) -> Region:
        """What lies in both; a shape that both have is named once."""
        components = (dict.fromkeys((*a, *b)) for a in self.components for b in other.components)
        return Region(tuple(tuple(c) for c in components), self.columns)

    @classmethod
    def from_hdu(cls, hdu: Hdu | BinTableHDU, where: str = "") -> Region:
        """Read an ASC region table (SHAPE, X, Y, R, ROTANG, COMPONENT).

        Coordinates are in the columns that MFORM1 names (``DETX,DETY``), which are also those of the events
        that the region is meant for, else in X and Y. Rows of one COMPONENT are intersected, components
        united; a SHAPE starting with ``!`` excludes. Without a COMPONENT column each row is a component,
        except that excluding rows apply to all.

        Parameters
        ----------
        hdu
            The table.
        where
            Name of the file, for messages.

        Raises
        ------
        ValueError
            A column or a shape is not as it should be.
        """
        if isinstance(hdu, Hdu) and hdu.number("PCOUNT", 0):
            # Cells whose lengths differ stand behind the table.
            hdu = hdu.to_astropy()
        names = {n.upper(): n for n in column_names(hdu)}
        pair = [c.strip() for c in str(hdu.header.get("MFORM1", "")).split(",")]
        columns = (pair[0], pair[1]) if len(pair) == 2 else None
        across, along = ("X", "Y")
        if columns and {c.upper() for c in columns} <= set(names):
            across, along = columns[0].upper(), columns[1].upper()
        missing = {"SHAPE", across, along} - set(names)
        if missing:
            raise ValueError(
                f"{where}[{hdu.name}]: a region table needs column(s) {', '.join(sorted(missing))}, or "
                "coordinates in columns that MFORM1 names"
            )
        rows: list[tuple[int, Shape]] = []
        for number, row in enumerate(hdu.data):
            text = row[names["SHAPE"]]
            name = (text.decode("ascii") if isinstance(text, bytes) else str(text)).strip().lower()
            exclude, name = name.startswith("!"), name.lstrip("!-+")
            x = np.atleast_1d(row[names[across]]).astype(float)
            y = np.atleast_1d(row[names[along]]).astype(float)
            r = np.atleast_1d(row[names["R"]]).astype(float) if "R" in names else np.zeros(0)
            angle = np.atleast_1d(row[names["ROTANG"]]).astype(float) if "ROTANG" in names else np.zeros(1)
            component = int(row[names["COMPONENT"]]) if "COMPONENT" in names else (-1 if exclude else number)
            rows.append((component, _shape_from_row(name, x, y, r, angle, exclude)))
        common = tuple(s for c, s in rows if c == -1)
        groups: dict[int, list[Shape]] = {}
        for component, shape in rows:
            if component != -1:
                groups.setdefault(component, []).append(shape)
        components = tuple((*group, *common) for group in groups.values()) or ((common,) if common else ())
        return cls(components, columns)

    def to_hdu(self, name: str) -> BinTableHDU:
        """The region as a table, with as many elements in X, Y, R as the largest shape needs.

        Parameters
        ----------
        name
            Name of the extension.
        """
        return table_from_bytes(self._table(name, 16))

    def to_bytes(self, name: str) -> bytes:
        """The table of :meth:`to_hdu` as it stands in a file: names of shapes without blanks behind them.

        Parameters
        ----------
        name
            Name of the extension.
        """
        return self._table(name, 0)

    def _table(self, name: str, width_of_names: int) -> bytes:
        rows = [(k, s, _row_from_shape(s)) for k, group in enumerate(self.components) for s in group]
        size_x = max((len(r[0]) for *_, r in rows), default=1)
        size_r = max((len(r[2]) for *_, r in rows), default=1) or 1
        size_a = max((len(r[3]) for *_, r in rows), default=0)

        def padded(index: int, size: int) -> Array:
            out = np.zeros((len(rows), size), "f4")
            for i, (*_, r) in enumerate(rows):
                out[i, : len(r[index])] = r[index]
            return out[:, 0] if size == 1 else out

        shapes = [_SHAPE_NAMES.get(s.name, s.name.upper()) for _, s, _ in rows]
        names = [
            (("!" if s.exclude else "") + n).ljust(width_of_names)
            for n, (_, s, _) in zip(shapes, rows, strict=True)
        ]
        across, along = self.columns or ("X", "Y")
        width = next(w for w, most in _COMPONENTS.items() if len(self.components) <= most)
        columns = {
            "SHAPE": ("16A", names, "shape of element"),
            across: (f"{size_x}E", padded(0, size_x), "x-coordinate vector"),
            along: (f"{size_x}E", padded(1, size_x), "y-coordinate vector"),
            "R": (f"{size_r}E", padded(2, size_r), "radius vector"),
        }
        if size_a:
            columns["ROTANG"] = (f"{size_a}E", padded(3, size_a), "rotation angle vector")
        numbers = np.array([k for k, *_ in rows], int)
        columns["COMPONENT"] = (f"1{width}", numbers, "component number that shape belongs to")
        schema = [Column(n, form) for n, (form, *_) in columns.items()]
        made = table(schema, {n: values for n, (_, values, _) in columns.items()}, name)
        for i, (n, (*_, comment)) in enumerate(columns.items(), start=1):
            made.header[f"TTYPE{i}"] = (n, comment)
        made.header["HDUCLASS"] = "ASC"
        made.header["HDUCLAS1"] = "REGION"
        made.header["HDUCLAS2"] = "STANDARD"
        if self.columns:
            made.header["MTYPE1"] = "pos"
            made.header["MFORM1"] = ",".join(self.columns)
        return made.tobytes()


#: Names in tables that are not those of the language.
_SHAPE_NAMES = {"box": "ROTBOX"}


def _shape_from_row(name: str, x: Array, y: Array, r: Array, angle: Array, exclude: bool) -> Shape:
    """A shape from the cells of a region table, where a BOX has full widths."""
    name = {"rotbox": "box", "rotrectangle": "rectangle", **ALIASES}.get(name, name)
    args: Sequence[Any]
    if name == "box":
        args = (x[0], y[0], r[0] / 2, r[1] / 2, angle[0])
    elif name in ("ellipse", "rhombus"):
        args = (x[0], y[0], r[0], r[1], angle[0])
    elif name == "circle":
        args = (x[0], y[0], r[0])
    elif name == "annulus":
        args = (x[0], y[0], r[0], r[1])
    elif name == "elliptannulus":
        args = (x[0], y[0], *r[:4], angle[0], angle[1] if len(angle) > 1 else angle[0])
    elif name == "sector":
        args = (x[0], y[0], angle[0], angle[1])
    elif name == "point":
        args = (x[0], y[0])
    elif name in ("line", "rectangle"):
        args = (x[0], y[0], x[1], y[1], *([angle[0]] if name == "rectangle" else []))
    elif name in ("polygon", "polygon2"):
        corners = list(zip(x, y, strict=True))
        # Shorter polygons of a table are padded with zeros or repeat their last corner.
        while len(corners) > 3 and (corners[-1] == (0, 0) or corners[-1] == corners[-2]):
            corners.pop()
        args = tuple(v for corner in corners for v in corner)
    else:
        raise ValueError(f"unknown region shape {name!r}; known are {', '.join(SHAPES)}")
    return Shape(name, tuple(float(a) for a in args), exclude)


def _row_from_shape(shape: Shape) -> tuple[Sequence[float], ...]:
    given = shape.args
    if shape.name == "box":
        return [given[0]], [given[1]], [2 * given[2], 2 * given[3]], [given[4]]
    if shape.name in ("ellipse", "rhombus"):
        return [given[0]], [given[1]], [given[2], given[3]], [given[4]]
    if shape.name == "elliptannulus":
        return [given[0]], [given[1]], list(given[2:6]), list(given[6:8])
    if shape.name == "sector":
        return [given[0]], [given[1]], [], list(given[2:4])
    if shape.name == "rectangle":
        return [given[0], given[2]], [given[1], given[3]], [], [given[4]] if given[4] else []
    if shape.name == "line":
        return [given[0], given[2]], [given[1], given[3]], [], []
    if shape.name in ("polygon", "polygon2"):
        return list(given[0::2]), list(given[1::2]), [], []
    return [given[0]], [given[1]], list(given[2:]), []


@dataclass(frozen=True, eq=False)
class ImageMask:
    """An image used as a selection: its non-zero pixels.

    ``scale`` and ``shift`` take coordinates to 1-based pixels, ``pixel = scale * value + shift``. With
    ``sky``, the celestial coordinates of the columns, positions go through the sky (``wcs``) instead.
    """

    values: npt.NDArray[np.bool_]
    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    physical: bool = False
    wcs: Any = None
    sky: ColumnSky | None = None

    def contains(self, x: npt.ArrayLike, y: npt.ArrayLike, x0: float = 1, y0: float = 1) -> Array:
        """Whether each point falls on a non-zero pixel; ``x0``, ``y0`` number the first pixel.

        Parameters
        ----------
        x, y
            Coordinates of the columns, or sky coordinates of the columns where :attr:`sky` is set.
        x0, y0
            Number of the first pixel along each axis.
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        if self.sky is not None:
            x, y = self.wcs.wcs_world2pix(*self.sky.from_xy(x, y), 1)
        else:
            x, y = x * self.scale[0] + self.shift[0], y * self.scale[1] + self.shift[1]
        i = np.floor(np.nan_to_num(x, nan=-1e9) - x0 + 0.5).astype(np.int64)
        j = np.floor(np.nan_to_num(y, nan=-1e9) - y0 + 0.5).astype(np.int64)
        ny, nx = self.values.shape
        inside = (i >= 0) & (i < nx) & (j >= 0) & (j < ny)
        return inside & self.values[np.clip(j, 0, ny - 1), np.clip(i, 0, nx - 1)]

    @classmethod
    def from_hdu(cls, data: Array, header: Any) -> ImageMask:
        """Pixels of an image with its physical coordinates (LTMi_i, LTVi) and celestial ones, if any.

        Parameters
        ----------
        data
            Pixels, shape (rows, columns).
        header
            Header of the image.
        """
        scale = (float(header.get("LTM1_1", 1)), float(header.get("LTM2_2", 1)))
        shift = (float(header.get("LTV1", 0)), float(header.get("LTV2", 0)))
        wcs = None
        if str(header.get("CTYPE1", "")).startswith("RA--"):
            from astropy.wcs import WCS

            keep = ("CTYPE", "CRPIX", "CRVAL", "CDELT", "CUNIT", "CROTA")
            keys = [f"{k}{i}" for k in keep for i in (1, 2)] + [f"CD{i}_{j}" for i in (1, 2) for j in (1, 2)]
            keys += [f"PC{i}_{j}" for i in (1, 2) for j in (1, 2)]
            wcs = WCS(empty_header((k, header[k]) for k in keys if k in header), naxis=2)
        return cls(np.asarray(data) != 0, scale, shift, "LTM1_1" in header, wcs)


@dataclass(frozen=True)
class ColumnSky:
    """The tangent-plane coordinates of a pair of columns: names, reference pixel, value [deg], step [deg]."""

    names: tuple[str, str]
    pixel: tuple[float, float]
    value: tuple[float, float]
    step: tuple[float, float]

    @classmethod
    def from_header(cls, header: Any) -> ColumnSky | None:
        """From TCTYPn and its fellows of a table header; None if it has no celestial columns.

        Parameters
        ----------
        header
            Header of an event table.
        """
        found: dict[str, int] = {}
        for i in range(1, int(header.get("TFIELDS", 0)) + 1):
            kind = str(header.get(f"TCTYP{i}", ""))
            if kind.startswith(("RA---TAN", "DEC--TAN")):
                found[kind[:3]] = i
        if len(found) != 2:
            return None
        order = (found["RA-"], found["DEC"])

        def values(key: str) -> tuple[float, float]:
            return float(header[f"{key}{order[0]}"]), float(header[f"{key}{order[1]}"])

        names = (str(header[f"TTYPE{order[0]}"]).strip(), str(header[f"TTYPE{order[1]}"]).strip())
        return cls(names, values("TCRPX"), values("TCRVL"), values("TCDLT"))

    def to_xy(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> tuple[Array, Array]:
        """Column values of sky positions (gnomonic projection; NaN beyond 90 deg of the tangent point).

        Parameters
        ----------
        ra_deg, dec_deg
            Positions [deg], shapes that broadcast.

        Examples
        --------
        >>> sky = ColumnSky(("X", "Y"), (25921, 25921), (150.0, 2.0), (-0.05 / 3600, 0.05 / 3600))
        >>> [float(v) for v in sky.to_xy(150.0, 2.0)]
        [25921.0, 25921.0]
        """
        ra, dec = np.radians(ra_deg), np.radians(dec_deg)
        ra0, dec0 = np.radians(self.value[0]), np.radians(self.value[1])
        cosine = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
        cosine = np.where(cosine > 0, cosine, np.nan)
        xi = np.degrees(np.cos(dec) * np.sin(ra - ra0) / cosine)
        eta = np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)
        eta = np.degrees(eta / cosine)
        return xi / self.step[0] + self.pixel[0], eta / self.step[1] + self.pixel[1]

    def from_xy(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Array, Array]:
        """Sky positions [deg] of column values.

        Parameters
        ----------
        x, y
            Values of the columns [pixel], shapes that broadcast.
        """
        xi = np.radians((np.asarray(x, float) - self.pixel[0]) * self.step[0])
        eta = np.radians((np.asarray(y, float) - self.pixel[1]) * self.step[1])
        ra0, dec0 = np.radians(self.value[0]), np.radians(self.value[1])
        below = np.cos(dec0) - eta * np.sin(dec0)
        ra = ra0 + np.arctan2(xi, below)
        dec = np.arctan2((eta * np.cos(dec0) + np.sin(dec0)) * np.cos(ra - ra0), below)
        return np.degrees(ra) % 360, np.degrees(dec)

    def shape(self, shape: Shape) -> Shape:
        """A shape given in degrees (RA, Dec, lengths) in column units; angles are in the column plane.

        Parameters
        ----------
        shape
            The shape with positions and lengths in degrees.
        """
        args = list(shape.args)
        if shape.name in ("polygon", "polygon2"):
            x, y = self.to_xy(args[0::2], args[1::2])
            args = [float(v) for pair in zip(x, y, strict=True) for v in pair]
        else:
            corners = (0, 2) if shape.name in ("line", "rectangle") else (0,)
            for i in corners:
                x, y = self.to_xy(args[i], args[i + 1])
                args[i], args[i + 1] = float(x), float(y)
            for i in _LENGTHS.get(shape.name, ()):
                args[i] /= abs(self.step[1])
        return Shape(shape.name, tuple(args), shape.exclude)
