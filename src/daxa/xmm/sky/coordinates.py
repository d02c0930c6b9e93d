"""One position in every coordinate system (the algorithm of the task ecoordconv)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.sky.geometry import CameraGeometry
from daxa.xmm.sky.tangent import REFERENCE_PIXEL, from_xy, to_xy

SYSTEMS = ("eqpos", "pos", "det", "raw", "tel")


@dataclass(frozen=True)
class Coordinates:
    """Positions in every system; arrays of one shape.

    Attributes
    ----------
    theta_arcsec, phi_rad
        Off-axis angle and azimuth.
    x, y
        Sky plane, 0.05 arcsec.
    detx, dety
        Detector, 0.05 arcsec.
    ra_deg, dec_deg
        J2000.
    rawx, rawy
        Pixel; between the CCDs that of the nearest one.
    ccd
        CCD number, 0 between the CCDs.
    """

    theta_arcsec: npt.NDArray[np.float64]
    phi_rad: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    detx: npt.NDArray[np.float64]
    dety: npt.NDArray[np.float64]
    ra_deg: npt.NDArray[np.float64]
    dec_deg: npt.NDArray[np.float64]
    rawx: npt.NDArray[np.float64]
    rawy: npt.NDArray[np.float64]
    ccd: npt.NDArray[np.int64]


def ecoordconv(
    geometry: CameraGeometry,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    system: str,
    *,
    pointing: tuple[float, float, float],
    tangent_point: tuple[float, float] | None = None,
    ccd: npt.ArrayLike | None = None,
    centre: float = REFERENCE_PIXEL,
) -> Coordinates:
    """Convert positions from one coordinate system to all.

    Parameters
    ----------
    geometry
        The camera.
    first, second
        RA, Dec [deg] (``eqpos``); X, Y (``pos``); DETX, DETY (``det``); RAWX, RAWY (``raw``); or
        theta [arcsec], phi [rad] (``tel``).
    system
        One of those five names.
    pointing
        Right ascension, declination and position angle of the spacecraft [deg] (RA_PNT, DEC_PNT, PA_PNT).
    tangent_point
        Right ascension and declination [deg] of the sky plane's centre (REFXCRVL, REFYCRVL); the
        pointing by default.
    ccd
        CCD number(s), for ``raw``.
    centre
        X, Y of the tangent point.

    Raises
    ------
    ValueError
        Unknown system, no CCD for ``raw``, or a CCD that does not exist.

    Examples
    --------
    >>> from daxa.xmm.ccf.calibration import Calibration
    >>> cal = Calibration.from_environment({"SAS_CCF": "ccf.cif"}, ".")  # doctest: +SKIP
    >>> pn = CameraGeometry.from_calibration(cal, "EPN", 626e6)  # doctest: +SKIP
    >>> where = ecoordconv(pn, 150.49, 55.68, "eqpos", pointing=(150.4856, 55.7087, 117.19))  # doctest: +SKIP
    >>> int(where.ccd)  # doctest: +SKIP
    4
    """
    tangent = pointing[:2] if tangent_point is None else tangent_point
    if system == "eqpos":
        detx, dety = geometry.sky_to_det(first, second, *pointing)
    elif system == "pos":
        detx, dety = geometry.sky_to_det(*from_xy(first, second, *tangent, centre=centre), *pointing)
    elif system == "det":
        detx, dety = (np.array(v, dtype=float) for v in np.broadcast_arrays(first, second))
    elif system == "raw":
        if ccd is None:
            raise ValueError("RAW coordinates need a CCD number")
        detx, dety = geometry.raw_to_det(ccd, first, second)
    elif system == "tel":
        detx, dety = geometry.tel_to_det(first, second)
    else:
        raise ValueError(f"coordinate system {system!r} is not one of {', '.join(SYSTEMS)}")
    theta, phi = geometry.det_to_tel(detx, dety)
    ra, dec = geometry.det_to_sky(detx, dety, *pointing)
    x, y = to_xy(ra, dec, *tangent, centre=centre)
    number, _, _ = geometry.det_to_raw(detx, dety)
    nearest, rawx, rawy = geometry.nearest_pixel(detx, dety)
    return Coordinates(theta, phi, x, y, detx, dety, ra, dec, rawx, rawy, np.where(number > 0, nearest, 0))


def ccds_of_circle(
    geometry: CameraGeometry, detx: float, dety: float, radius: float, n_samples: int = 201
) -> list[int]:
    """CCDs that a circle on the detector touches (lengths in units of DETX), found on a grid of points.

    Parameters
    ----------
    geometry
        Geometry of the camera.
    detx, dety
        Centre.
    radius
        Radius.
    n_samples
        Points of the grid along a diameter.

    Returns
    -------
    list of int
        Their numbers, in order.
    """
    line = np.linspace(-radius, radius, n_samples)
    dx, dy = np.meshgrid(line, line)
    inside = dx**2 + dy**2 <= radius**2
    ccd, _, _ = geometry.det_to_raw(detx + dx[inside], dety + dy[inside])
    return [int(c) for c in np.unique(ccd) if c > 0]


def format_coordinates(coordinates: Coordinates, image: tuple[Any, Any] | None, ccds: list[int]) -> list[str]:
    """Lines of text with every coordinate of a single position.

    Parameters
    ----------
    coordinates
        The position in all systems, numbers.
    image
        Coordinates in the image, if there is one.
    ccds
        CCDs that the region around it touches.
    """
    place = coordinates
    lines = [
        ("THETA: PHI:", place.theta_arcsec, place.phi_rad),
        ("X: Y:", place.x, place.y),
        ("DETX: DETY:", place.detx, place.dety),
        *([("IM_X: IM_Y:", *image)] if image is not None else []),
        ("RA: DEC:", place.ra_deg, place.dec_deg),
        ("RAWX: RAWY:", place.rawx, place.rawy),
    ]
    text = [f" {label} {float(a):.8g} {float(b):.8g}" for label, a, b in lines]
    text.append(f" CCD(s): {' '.join(map(str, ccds)) or 0}")
    text.append(f" CENTRE CCD: {int(place.ccd)}")
    return text
