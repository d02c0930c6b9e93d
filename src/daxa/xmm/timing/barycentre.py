"""Times at the barycentre of the solar system.

A photon that the spacecraft sees at the time t (TT) would pass the barycentre at

    t + (TDB - TT) + r.n / c + v.s / c^2 + 2 G M / c^3 ln(1 + cos(theta))

with r from the barycentre to the spacecraft, n to the source, v the velocity of the Earth, s from the Earth
to the spacecraft, M of the Sun, and theta the angle between n and the way from the Sun to the Earth. The
terms are the difference of the two scales of time (Einstein; at the centre of the Earth, and what the place
of the spacecraft adds), the way of light (Roemer) and its delay in the field of the Sun (Shapiro). Source:
Standish, A&A 114, 297 (1982), as in the tools of other missions; astropy for places of the Earth and the Sun
and for TDB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError

FloatArray = npt.NDArray[np.float64]
#: Times from which others are interpolated are so far apart [s]: near perigee a cubic is good to 1 ns.
_STEP_S = 60.0
_EPOCH = "1998-01-01T00:00:00"
#: Names of ephemerides of JPL that SAS knows; the Earth of astropy stands in, within 25 us of DE421.
BUILT_IN = ("DE200", "DE405")


@dataclass(frozen=True)
class Barycentre:
    """Corrections of times of a source.

    Attributes
    ----------
    ra_deg, dec_deg
        Place of the source, ICRS [deg].
    position_km
        Gives places of the spacecraft about the centre of the Earth, shape (n, 3), of mission times; None: it
        is at the centre.
    ephemeris
        ``builtin``, or a file of JPL's ephemerides (.bsp).
    """

    ra_deg: float
    dec_deg: float
    position_km: Callable[[FloatArray], FloatArray] | None = None
    ephemeris: str = "builtin"

    def correction_s(self, times_s: npt.ArrayLike) -> FloatArray:
        """What is to be added to mission times, of TT, to have those at the barycentre, of TDB.

        Parameters
        ----------
        times_s
            Mission times, any shape.

        Returns
        -------
        array
            Seconds, of the shape of ``times_s``.
        """
        from scipy.interpolate import CubicSpline

        times = np.asarray(times_s, float)
        if not times.size:
            return np.zeros(times.shape)
        first, last = float(times.min()), float(times.max())
        knots = np.linspace(first - _STEP_S, last + _STEP_S, max(5, int((last - first) / _STEP_S) + 4))
        if times.size < len(knots):
            return self._exact(times.ravel()).reshape(times.shape)
        result: FloatArray = CubicSpline(knots - first, self._exact(knots))(times - first)
        return result

    def _exact(self, times_s: FloatArray) -> FloatArray:
        """The same, each time by itself."""
        import erfa
        from astropy.constants import GM_sun, c
        from astropy.coordinates import (
            get_body_barycentric,
            get_body_barycentric_posvel,
            solar_system_ephemeris,
        )
        from astropy.time import Time, TimeDelta

        light_km_s = c.to_value("km/s")
        tt = Time(_EPOCH, scale="tt") + TimeDelta(times_s, format="sec")
        tdb_minus_tt = erfa.dtdb(tt.jd1, tt.jd2, 0.0, 0.0, 0.0, 0.0)
        with solar_system_ephemeris.set(self.ephemeris):
            tdb = tt.tdb
            earth, velocity = get_body_barycentric_posvel("earth", tdb)
            sun = get_body_barycentric("sun", tdb)
        earth_km, velocity_km_s, sun_km = (
            vector.xyz.to_value(unit).T for vector, unit in ((earth, "km"), (velocity, "km/s"), (sun, "km"))
        )
        ra, dec = np.radians([self.ra_deg, self.dec_deg])
        source = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
        beside = np.zeros((len(times_s), 3)) if self.position_km is None else self.position_km(times_s)
        roemer = (earth_km + beside) @ source / light_km_s
        einstein = tdb_minus_tt + np.sum(velocity_km_s * beside, axis=1) / light_km_s**2
        from_sun = earth_km + beside - sun_km
        cosine = from_sun @ source / np.linalg.norm(from_sun, axis=1)
        shapiro = 2 * GM_sun.to_value("km3/s2") / light_km_s**3 * np.log(1.0 + cosine)
        total: FloatArray = roemer + einstein + shapiro
        return total


def ephemeris_of(name: str, folder: Path) -> tuple[str, str]:
    """The ephemeris that a parameter names, and what a header says of it.

    Parameters
    ----------
    name
        One of :data:`BUILT_IN`, ``builtin``, or a file.
    folder
        Folder that relative paths begin at.

    Raises
    ------
    TaskError
        ``badEphemeris``: neither of these, or the file cannot be read.
    """
    if name.upper() in BUILT_IN or name.lower() == "builtin":
        return "builtin", "ERFA"
    path = folder / Path(name).expanduser()
    if not path.is_file():
        raise TaskError(
            "badEphemeris",
            f"ephemeris={name}: neither a file (.bsp of JPL) nor one of {', '.join(BUILT_IN)}, for which the "
            "Earth of astropy stands in",
        )
    _try(path)
    return path.resolve().as_uri(), path.name


def _try(path: Path) -> Any:
    from astropy.coordinates import solar_system_ephemeris

    try:
        solar_system_ephemeris.set(path.resolve().as_uri()).__exit__(None, None, None)
    except ImportError as error:
        raise TaskError("badEphemeris", f"{path}: the package jplephem reads such files: {error}") from error
    except Exception as error:
        raise TaskError("badEphemeris", f"{path}: no ephemeris of JPL: {error}") from error
