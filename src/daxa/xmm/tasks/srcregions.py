"""The task srcregions: where a source and its background are taken from. It is not one of SAS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.ds9 import excludes, is_text, read_regions, region_text
from daxa.xmm.detect.regions import radii_arcsec
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.fits.rows import RawTable
from daxa.xmm.image.ccds import numbers_of_ccds
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.response.psf import King, PointSpread
from daxa.xmm.spectra.extraction import SAME_ARCSEC, Background, background_of, neighbours_within
from daxa.xmm.spectra.region import Observed
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration
from daxa.xmm.tasks.support_spectra import geometry_of

if TYPE_CHECKING:
    from daxa.xmm.select.regions import ColumnSky
    from daxa.xmm.sky.geometry import CameraGeometry

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
#: Aperture in which a source is measured, and the annulus of its background [arcsec].
_APERTURE, _AROUND = 15.0, (90.0, 150.0)
#: Energy of the profile [eV].
_ENERGY_EV = 1500.0
#: Longest radius by brightness [arcsec].
_LONGEST = 60.0
#: Side of a pixel of the pn [arcsec].
_PN_PIXEL = 4.1

_PARAMETERS = [
    Parameter("eventset", "dataset", required=True, text="event list"),
    Parameter("ra", "real", text="right ascension of the source", unit="deg"),
    Parameter("dec", "real", text="declination of the source", unit="deg"),
    Parameter(
        "region", "string", "", text="region of the source, a file or text of ds9, in place of a circle"
    ),
    Parameter(
        "radiusstyle",
        "choice",
        "background",
        choices=("background", "share", "fixed"),
        text="radius: where the source is as bright as the background, of a share of its light, or as given",
    ),
    Parameter("radius", "real", 40.0, minimum=1.0, text="radius, for radiusstyle=fixed", unit="arcsec"),
    Parameter(
        "share", "real", 0.8, minimum=0.05, maximum=0.98, text="share of the light, for radiusstyle=share"
    ),
    Parameter("extendedsource", "bool", False, text="the source is not a point"),
    Parameter("otherset", "string", "", text="other sources, a file or text of ds9; circles are left out"),
    Parameter(
        "bkgstyle",
        "choice",
        "auto",
        choices=("auto", "annulus", "ccd"),
        text="background: annulus around the source, circle of the same CCD, or the better one",
    ),
    Parameter("bkgregion", "string", "", text="region of the background, a file or text of ds9"),
    Parameter("pimin", "int", 500, text="lower end of the band that brightness is measured in", unit="eV"),
    Parameter("pimax", "int", 2000, text="upper end of the band", unit="eV"),
    Parameter("srcregionset", "dataset", "src.reg", text="region of the source, to write"),
    Parameter("bkgregionset", "dataset", "bkg.reg", text="region of the background, to write"),
]


@task("srcregions", "1.0", _PARAMETERS)
def srcregions(ctx: TaskContext, p: Parameters) -> None:
    """Write regions of a source and of its background, as ds9 has them.

    Other sources are left out of both.
    """
    view = _View.of(ctx, p)
    others = _others(ctx, p, view)
    radius, bright = _radius(ctx, p, view, others)
    near = neighbours_within(others, radius)
    if p.region:
        shapes = region_text(_read(ctx, "region", p.region))
    else:
        shapes = f'fk5; circle({view.ra:.7f},{view.dec:.7f},{radius:.2f}")'
    _write(ctx, p.srcregionset, [shapes, *(_cut(view, row) for row in near)])
    ctx.info(f"{p.srcregionset}: radius {radius:.1f} arcsec, {len(near)} other sources left out")
    if p.bkgregion:
        _write(ctx, p.bkgregionset, [region_text(_read(ctx, "bkgregion", p.bkgregion))])
        ctx.info(f"{p.bkgregionset}: as given")
        return
    found = background_of(
        radius,
        others,
        view.ccd_at,
        style=p.bkgstyle,
        extended=p.extendedsource,
        bright=bright,
        streak_at=view.streak_at(radius) if view.observed.instrument == "EPN" else None,
    )
    if found is None:
        raise TaskError(
            "noBackground",
            f"{view.observed.path}: nothing around {view.ra:.5f}, {view.dec:+.5f} is seen; give bkgregion",
        )
    _write_background(ctx, p, view, found, radius, bright)


@dataclass
class _View:
    """A list, its camera, and the place of the source in its plane [0.05 arcsec] and on the sky [deg]."""

    observed: Observed
    geometry: CameraGeometry
    sky: ColumnSky
    ccds: tuple[int, ...]
    ra: float
    dec: float
    x: float
    y: float
    unit: float

    @classmethod
    def of(cls, ctx: TaskContext, p: Parameters) -> _View:
        observed = Observed.of_list(ctx.path(p.eventset))
        sky = observed.sky
        if sky is None:
            raise TaskError("badList", f"{observed.path}: the header does not say where on the sky X, Y are")
        ra, dec = _place(ctx, p)
        x, y = (float(v) for v in sky.to_xy(ra, dec))
        if not np.isfinite([x, y]).all():
            raise TaskError("noSource", f"srcregions: {ra:g}, {dec:g} is on another side of the sky")
        view = cls(
            observed,
            geometry_of(ctx, observed),
            sky,
            tuple(numbers_of_ccds(FitsFile(observed.path))),
            ra,
            dec,
            x,
            y,
            abs(sky.step[1]) * 3600,
        )
        if not view.ccd_at(*_disc(30.0)).any():
            raise TaskError(
                "notSeen", f"{observed.path}: no CCD of the list sees {ra:.5f}, {dec:+.5f} (RA, Dec)"
            )
        return view

    def place(self, dx: npt.ArrayLike, dy: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """RA, Dec [deg] of offsets from the source [arcsec]."""
        return self.sky.from_xy(
            self.x + np.asarray(dx, float) / self.unit, self.y + np.asarray(dy, float) / self.unit
        )

    def _raw(self, dx: FloatArray, dy: FloatArray) -> tuple[npt.NDArray[np.int64], FloatArray]:
        at = self.geometry.sky_to_det(*self.place(dx, dy), *self.observed.pointing)
        ccd, rawx, _ = self.geometry.det_to_raw(*at)
        known = np.isin(ccd, self.ccds) if self.ccds else ccd > 0
        return np.where(known & self.geometry.in_fov(*at), ccd, 0), rawx

    def ccd_at(self, dx: FloatArray, dy: FloatArray) -> npt.NDArray[np.int64]:
        """CCD that offsets from the source [arcsec] fall on; 0 where nothing is seen."""
        return self._raw(dx, dy)[0]

    def circles(self, regions: list[Any]) -> FloatArray:
        """Circles around regions on the sky: offsets from the source and radii [arcsec], shape (n, 3)."""
        rows = []
        for one in regions:
            middle, size = _middle(one), _size(one)
            if middle is None or size is None:
                continue
            x, y = (float(v) for v in self.sky.to_xy(*middle))
            if np.isfinite([x, y]).all():
                rows.append(((x - self.x) * self.unit, (y - self.y) * self.unit, size))
        return np.array(rows, float).reshape(-1, 3)

    def streak_at(self, radius: float) -> Callable[[FloatArray, FloatArray], BoolArray] | None:
        """Function that tells whether places are in the columns of the source on its CCD."""
        (ccd,), (column,) = self._raw(np.zeros(1), np.zeros(1))
        half = radius / _PN_PIXEL

        def within(dx: FloatArray, dy: FloatArray) -> BoolArray:
            number, rawx = self._raw(dx, dy)
            return (number == ccd) & (np.abs(np.nan_to_num(rawx, nan=-1e3) - column) < half)

        return within if ccd else None


def _disc(radius: float) -> tuple[FloatArray, FloatArray]:
    x, y = np.meshgrid(np.arange(-radius, radius + 1, 4.0), np.arange(-radius, radius + 1, 4.0))
    inside = x**2 + y**2 <= radius**2
    return x[inside], y[inside]


def _read(ctx: TaskContext, name: str, given: str) -> list[Any]:
    try:
        return read_regions(given if is_text(given) else ctx.path(given))
    except (OSError, TypeError, ValueError) as error:
        raise TaskError("badRegion", f"srcregions: {name}: {error}") from error


def _place(ctx: TaskContext, p: Parameters) -> tuple[float, float]:
    """RA, Dec of the source: as given, or the middle of the first shape of its region."""
    if p.ra is not None and p.dec is not None:
        return p.ra, p.dec
    if not p.region:
        raise TaskError("badParameter", "srcregions: give ra and dec, or region")
    first = next((r for r in _read(ctx, "region", p.region) if not excludes(r)), None)
    middle = _middle(first)
    if middle is None:
        raise TaskError("badRegion", "srcregions: region: a region on the sky (fk5) is expected")
    return middle


def _middle(region: Any) -> tuple[float, float] | None:
    from astropy.coordinates import SkyCoord
    from regions import SkyRegion

    if not isinstance(region, SkyRegion):
        return None
    place = region.vertices if hasattr(region, "vertices") else region.center
    cartesian = place.fk5.cartesian
    if not place.isscalar:
        cartesian = cartesian.mean()
    middle = SkyCoord(cartesian, frame="fk5").spherical
    return float(middle.lon.deg), float(middle.lat.deg)


def _others(ctx: TaskContext, p: Parameters, view: _View) -> FloatArray:
    """Other sources: offsets and radii [arcsec], shape (n, 3)."""
    return view.circles(_read(ctx, "otherset", p.otherset) if p.otherset else [])


def _size(region: Any) -> float | None:
    """Radius of a circle around a region [arcsec]; None if it is not on the sky."""
    from astropy.coordinates import SkyCoord
    from regions import SkyRegion

    if not isinstance(region, SkyRegion):
        return None
    for name in ("radius", "outer_radius"):
        if hasattr(region, name):
            return float(getattr(region, name).to_value("arcsec"))
    if hasattr(region, "width"):
        width, height = (float(getattr(region, n).to_value("arcsec")) for n in ("width", "height"))
        return 0.5 * (max(width, height) if "Ellipse" in type(region).__name__ else math.hypot(width, height))
    if hasattr(region, "vertices"):
        middle = SkyCoord(*(_middle(region) or (0.0, 0.0)), unit="deg", frame="fk5")
        return float(region.vertices.separation(middle).arcsec.max())
    return None


def _radius(ctx: TaskContext, p: Parameters, view: _View, others: FloatArray) -> tuple[float, bool]:
    """Radius of the source [arcsec], and whether it is still brighter than the background there."""
    if p.region:
        shapes = [r for r in _read(ctx, "region", p.region) if not excludes(r)]
        rows = view.circles(shapes)
        return float(np.max(np.hypot(rows[:, 0], rows[:, 1]) + rows[:, 2])), False
    if p.radiusstyle == "share":
        return _profile(ctx, view).radius(p.share), False
    longest, density, net = _by_brightness(ctx, p, view, others)
    if p.radiusstyle == "background":
        return longest, longest >= _LONGEST
    brightness = net * float(_profile(ctx, view).brightness(p.radius**2))
    return p.radius, not p.extendedsource and brightness > max(density, 1e-9) and p.radius >= _LONGEST


def _profile(ctx: TaskContext, view: _View) -> King:
    at = view.geometry.sky_to_det(view.ra, view.dec, *view.observed.pointing)
    theta = float(view.geometry.off_axis(*at))
    return PointSpread.from_calibration(open_calibration(ctx), view.observed.instrument).king(
        _ENERGY_EV, theta
    )


def _by_brightness(
    ctx: TaskContext, p: Parameters, view: _View, others: FloatArray
) -> tuple[float, float, float]:
    """Radius where the source equals the background [arcsec], counts per square arcsec, counts of it."""
    x, y = _events(p, view)
    distance = np.hypot(x, y)
    around = (distance > _AROUND[0]) & (distance < _AROUND[1])
    side = np.arange(-_AROUND[1], _AROUND[1] + 1, 4.0)
    grid = np.meshgrid(side, side)
    reach = np.hypot(grid[0], grid[1])
    seen = (reach > _AROUND[0]) & (reach < _AROUND[1])
    seen &= view.ccd_at(grid[0].ravel(), grid[1].ravel()).reshape(seen.shape) > 0
    for at_x, at_y, radius in others.tolist():
        if np.hypot(at_x, at_y) > SAME_ARCSEC:
            around &= (x - at_x) ** 2 + (y - at_y) ** 2 > radius**2
            seen &= (grid[0] - at_x) ** 2 + (grid[1] - at_y) ** 2 > radius**2
    density = np.count_nonzero(around) / max(np.count_nonzero(seen) * 16.0, 1.0)
    net = np.count_nonzero(distance < _APERTURE) - density * np.pi * _APERTURE**2
    share = float(_profile(ctx, view).enclosed(_APERTURE))
    radius = radii_arcsec(max(net, 0.0) / share, density, 0.0, share, _APERTURE)[0]
    return float(radius), density, max(net, 0.0) / share


def _events(p: Parameters, view: _View) -> tuple[FloatArray, FloatArray]:
    """Offsets from the source [arcsec] of events of a band near it."""
    table = RawTable(FitsFile(view.observed.path)["EVENTS"])
    found = []
    for _, part in table.chunks():
        rows = table.columns(part)
        pi = np.asarray(rows["PI"])
        x, y = ((np.asarray(rows[n], float) - at) * view.unit for n, at in (("X", view.x), ("Y", view.y)))
        kept = (pi >= p.pimin) & (pi <= p.pimax) & (np.abs(x) < _AROUND[1]) & (np.abs(y) < _AROUND[1])
        found.append((x[kept], y[kept]))
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def _cut(view: _View, row: npt.ArrayLike) -> str:
    dx, dy, radius = np.asarray(row, float).tolist()
    ra, dec = (float(v) for v in view.place(dx, dy))
    return f'fk5; -circle({ra:.7f},{dec:.7f},{radius:.2f}")'


def _write_background(
    ctx: TaskContext, p: Parameters, view: _View, found: Background, radius: float, bright: bool
) -> None:
    ra, dec = (float(v) for v in view.place(found.dx, found.dy))
    shape = (
        f'annulus({ra:.7f},{dec:.7f},{found.inner:.2f}",{found.outer:.2f}")'
        if found.style == "annulus"
        else f'circle({ra:.7f},{dec:.7f},{found.outer:.2f}")'
    )
    _write(ctx, p.bkgregionset, [f"fk5; {shape}", *(_cut(view, row) for row in found.cut)])
    if found.style == "annulus":
        said = f"annulus from {found.inner:.1f} to {found.outer:.1f} arcsec"
    else:
        why = "the source outshines its surroundings" if bright else "too little is seen around the source"
        why = "as asked for" if p.bkgstyle == "ccd" else why
        away = np.hypot(found.dx, found.dy)
        said = f"circle of {found.outer:.1f} arcsec on the same CCD, {away:.0f} arcsec away ({why})"
    ctx.info(
        f"{p.bkgregionset}: {said}, {len(found.cut)} other sources left out; "
        f"{found.share:.1f} times the area of the source"
    )


def _write(ctx: TaskContext, name: str, parts: list[str]) -> None:
    lines = [line.strip() for part in parts for line in part.split(";")]
    with ctx.output(name) as temporary:
        temporary.write_text("\n".join(["# Region file format: DS9 version 4.1", *lines]) + "\n", "ascii")
