"""Regions of ds9 in the plane of an event list or an image.

Source: manual of ds9 (region files: shapes are united, excluded ones are taken from all others; angles are
counter-clockwise from the first axis of the coordinates that a shape is given in, and radii of an ellipse are
half-axes). Places, sizes and angles on the sky are carried to the plane by the ``regions`` package, at the
middle of each shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.ds9 import excludes, is_physical
from daxa.xmm.notes import warn_once
from daxa.xmm.select.regions import ColumnSky, Region, Shape

if TYPE_CHECKING:
    from astropy.wcs import WCS

#: So far from the tangent point [deg] a shape has no place in the plane.
_FARTHEST_DEG = 60.0
Component = tuple[Shape, ...]
Limits = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Plane:
    """Where regions are to lie: the columns X, Y of a list, or the pixels of an image, counted from 1.

    Attributes
    ----------
    wcs
        Celestial coordinates of the plane; None if it has none.
    columns
        The columns that it is of; None for an image.
    scale, shift
        From physical coordinates to those of the plane, ``scale * value + shift``; None if it has none.
    limits
        Least and largest value of both coordinates where there is something; None if it is not known.
    """

    wcs: WCS | None = None
    columns: tuple[str, str] | None = None
    scale: tuple[float, float] | None = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    limits: Limits | None = None

    @classmethod
    def of_columns(cls, columns: tuple[str, str], header: Any) -> Plane:
        """The plane of two columns of an event list; physical coordinates are their values.

        Parameters
        ----------
        columns
            Their names.
        header
            Header of the table.
        """
        sky = ColumnSky.from_header(header)
        wcs = None if sky is None or sky.names != columns else _wcs_of(sky, header)
        return cls(wcs, columns, limits=_limits(columns, header))

    @classmethod
    def of_image(cls, header: Any, wcs: WCS | None, shape: tuple[int, int]) -> Plane:
        """The plane of an image, its pixels counted from 1.

        Parameters
        ----------
        header
            Header of the image.
        wcs
            Its coordinates on the sky; None if it has none.
        shape
            ``(ny, nx)``.
        """
        physical = "LTM1_1" in header
        return cls(
            wcs,
            None,
            (float(header["LTM1_1"]), float(header.get("LTM2_2", 1))) if physical else None,
            (float(header.get("LTV1", 0)), float(header.get("LTV2", 0))),
            ((0.5, shape[1] + 0.5), (0.5, shape[0] + 0.5)),
        )

    def region(self, regions: Sequence[Any], where: str) -> Region:
        """Regions as what they cover of the plane.

        Shapes are united; those that exclude are taken from all others, and from everything if there is
        nothing else.

        Parameters
        ----------
        regions
            Objects of the ``regions`` package.
        where
            Where they come from, for messages.

        Raises
        ------
        ValueError
            Coordinates of a region cannot be told in this plane.

        Warns
        -----
        ``regionOutside``
            None of them reaches what is there; says how far away the nearest is.
        """
        wanted: list[Component] = []
        excluded: list[Component] = []
        boxes = []
        circles = self._circles(regions)
        for number, one in enumerate(regions):
            flat = circles[number] if number in circles else self._flat(one, where)
            if flat is not None:
                boxes.append(_box(flat))
                (excluded if excludes(one) else wanted).append(_shapes(flat))
        if not excluded or any(not excludes(r) for r in regions):
            components = tuple(wanted)
        else:
            components = ((),)
        for shapes in excluded:
            components = tuple((*c, *rest) for c in components for rest in _outside(shapes))
        if boxes or regions:
            self._warn_of_outside(boxes, where)
        return Region(components, self.columns)

    def _circles(self, regions: Sequence[Any]) -> dict[int, Any]:
        """Circles of the first one's coordinates on the sky, by their number: as `_flat` gives them.

        Lists of sources are made of them, and all at once they take a hundredth of the time.
        """
        from astropy.coordinates import SkyCoord
        from regions import CirclePixelRegion, CircleSkyRegion, PixCoord

        on_sky = [(n, r) for n, r in enumerate(regions) if isinstance(r, CircleSkyRegion)]
        if self.wcs is None or not on_sky:
            return {}
        frame = on_sky[0][1].center.frame.replicate_without_data()
        alike = [(n, r) for n, r in on_sky if r.center.frame.is_equivalent_frame(frame)]
        centres = [r.center.spherical for _, r in alike]
        lon, lat = np.array([(c.lon.deg, c.lat.deg) for c in centres]).T
        places = SkyCoord(lon, lat, unit="deg", frame=frame)
        far = self._are_far(places)
        x, y = self.wcs.world_to_pixel(places)
        here, across, along = (self.wcs.pixel_to_world(x + i, y + j) for i, j in ((0, 0), (1, 0), (0, 1)))
        # The scale of the regions package: the mean of both axes, over one pixel.
        pixel = np.sqrt(here.separation(across).arcsec * here.separation(along).arcsec)
        radius = np.array([r.radius.to_value("arcsec") for _, r in alike]) / pixel
        found: dict[int, Any] = {}
        for k, (number, _) in enumerate(alike):
            place = PixCoord(float(x[k]), float(y[k]))
            found[number] = None if far[k] else CirclePixelRegion(place, float(radius[k]))
        return found

    def _flat(self, region: Any, where: str) -> Any:
        """A pixel region of the plane, pixels counted from 0; None for what is on another side of the sky."""
        from regions import SkyRegion

        kind = type(region).__name__.removesuffix("Region").removesuffix("Pixel").removesuffix("Sky")
        if isinstance(region, SkyRegion):
            if self.wcs is None:
                what = "the image" if self.columns is None else f"{self.columns[0]}, {self.columns[1]}"
                raise ValueError(
                    f"{where}: a region on the sky ({kind}); {what} has no coordinates on the sky"
                )
            if np.any(self._are_far(region.vertices if hasattr(region, "vertices") else region.center)):
                return None
            return self._turned(region).to_pixel(self.wcs)
        if is_physical(region):
            if self.scale is None:
                raise ValueError(f"{where}: physical coordinates; the image has none (no LTM1_1)")
            return _scaled(region, self.scale, self.shift, where)
        if self.columns is not None:
            raise ValueError(
                f"{where}: pixels of an image ({kind}) mean nothing in an event list; save the regions in "
                "fk5 or physical coordinates"
            )
        return region

    @property
    def _frame(self) -> str:
        """Name of the sky's coordinates, as astropy calls them."""
        assert self.wcs is not None
        return self.wcs.wcs.radesys.lower() or "icrs"

    def _turned(self, region: Any) -> Any:
        """A region whose angle counts in the plane's coordinates, not in its own, e.g. Galactic ones."""
        if not hasattr(region, "angle") or region.center.frame.name == self._frame:
            return region
        from astropy.units import Quantity

        north = region.center.directional_offset_by(Quantity(0, "deg"), Quantity(1, "arcsec"))
        here, there = (place.transform_to(self._frame) for place in (region.center, north))
        return region.copy(angle=region.angle + here.position_angle(there))

    def _are_far(self, places: Any) -> Any:
        """Whether places have none in the plane."""
        from astropy.coordinates import SkyCoord

        assert self.wcs is not None
        middle = SkyCoord(*self.wcs.wcs.crval, unit="deg", frame=self._frame)
        return places.separation(middle).deg > _FARTHEST_DEG

    def _warn_of_outside(self, boxes: Sequence[Any], where: str) -> None:
        if self.limits is None:
            return
        gaps = []
        for x0, x1, y0, y1 in boxes:
            (left, right), (low, high) = self.limits
            gaps.append(float(np.hypot(max(left - x1, x0 - right, 0), max(low - y1, y0 - high, 0))))
        if any(gap == 0 for gap in gaps):
            return
        names = self.columns or ("x", "y")
        field = ", ".join(
            f"{n} {low:g} to {high:g}" for n, (low, high) in zip(names, self.limits, strict=True)
        )
        if not gaps:
            warn_once(
                "regionOutside",
                f"{where}: all of it is more than {_FARTHEST_DEG:g} deg from the field ({field})",
            )
            return
        nearest = int(np.argmin(gaps))
        x0, x1, y0, y1 = boxes[nearest]
        away = f"{gaps[nearest]:.6g} pixels"
        if self.wcs is not None:
            away += f" ({gaps[nearest] * abs(float(self.wcs.wcs.cdelt[1])) * 60:.3g} arcmin)"
        many = "the region lies" if len(gaps) == 1 else f"all {len(gaps)} regions lie"
        warn_once(
            "regionOutside",
            f"{where}: {many} outside the field ({field}); the nearest, about {names[0]} "
            f"{(x0 + x1) / 2:.6g}, {names[1]} {(y0 + y1) / 2:.6g}, is {away} from it",
        )


def _wcs_of(sky: ColumnSky, header: Any) -> WCS:
    """Celestial coordinates of the columns."""
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = sky.pixel, sky.value, sky.step
    # Lists of XMM are in FK5; SAS writes the keyword by its old name.
    wcs.wcs.radesys = str(header.get("RADESYS", header.get("RADECSYS", "FK5"))).strip() or "FK5"
    wcs.wcs.equinox = float(header.get("EQUINOX", 2000.0))
    wcs.wcs.set()
    return wcs


def _limits(columns: tuple[str, str], header: Any) -> Limits | None:
    """Range of the columns' values as a header tells it: those that occur, else those that may."""
    names = [str(header.get(f"TTYPE{i}", "")).strip() for i in range(1, int(header.get("TFIELDS", 0)) + 1)]
    found = []
    for column in columns:
        if column not in names:
            return None
        number = names.index(column) + 1
        for kind in ("D", "L"):
            low, high = (header.get(f"T{kind}{end}{number}") for end in ("MIN", "MAX"))
            if low is not None and high is not None:
                found.append((float(low), float(high)))
                break
        else:
            return None
    return found[0], found[1]


def _box(region: Any) -> tuple[float, float, float, float]:
    """Least and largest x, least and largest y of a pixel region, pixels counted from 1."""
    box = region.bounding_box
    return box.ixmin + 1, box.ixmax, box.iymin + 1, box.iymax


def _scaled(region: Any, scale: tuple[float, float], shift: tuple[float, float], where: str) -> Any:
    """A region of physical coordinates in pixels of the plane."""
    if scale == (1.0, 1.0) and shift == (0.0, 0.0):
        return region
    from regions import PixCoord

    if scale[0] != scale[1]:
        raise ValueError(f"{where}: physical coordinates of unlike scales ({scale[0]:g}, {scale[1]:g})")

    def moved(place: Any) -> Any:
        x, y = (
            (np.asarray(v) + 1) * scale[0] + s - 1 for v, s in zip((place.x, place.y), shift, strict=True)
        )
        return PixCoord(x if x.ndim else float(x), y if y.ndim else float(y))

    values = {}
    for name in region._params:
        value = getattr(region, name)
        is_place = isinstance(value, PixCoord)
        values[name] = moved(value) if is_place else value if name == "angle" else value * scale[0]
    return region.copy(**values)


def _shapes(region: Any) -> Component:
    """The shapes, all of which contain a point, that a pixel region is made of; pixels counted from 1."""
    kind = type(region).__name__.removesuffix("PixelRegion")
    if kind == "Polygon":
        corners = np.stack([region.vertices.x, region.vertices.y], axis=1) + 1
        return (Shape("polygon", tuple(float(v) for v in corners.ravel())),)
    x, y = float(region.center.x) + 1, float(region.center.y) + 1
    if kind == "Circle":
        return (Shape("circle", (x, y, float(region.radius))),)
    if kind == "CircleAnnulus":
        return (Shape("annulus", (x, y, float(region.inner_radius), float(region.outer_radius))),)
    angle = float(region.angle.to_value("deg"))
    if kind in ("Ellipse", "Rectangle"):
        name = "ellipse" if kind == "Ellipse" else "box"
        return (Shape(name, (x, y, region.width / 2, region.height / 2, angle)),)
    inner, outer = (
        (float(getattr(region, f"{side}_width")) / 2, float(getattr(region, f"{side}_height")) / 2)
        for side in ("inner", "outer")
    )
    if kind == "EllipseAnnulus":
        return (Shape("elliptannulus", (x, y, *inner, *outer, angle, angle)),)
    if kind == "RectangleAnnulus":
        return (Shape("box", (x, y, *outer, angle)), Shape("box", (x, y, *inner, angle), exclude=True))
    raise ValueError(f"a region of {kind} is not understood")


def _outside(shapes: Component) -> list[Component]:
    """What lies outside of an intersection of shapes, as a union."""
    return [(Shape(s.name, s.args, not s.exclude),) for s in shapes]
