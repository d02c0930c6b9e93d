"""The sky tiles of eRASS1: which are public, which lie beside each other, when they were scanned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

#: Owners whose tiles are public: both consortia (0) and the German one (2); those of 1 are not.
PUBLIC = (0, 2)
FIRST_DAY, LAST_DAY = np.datetime64("2019-12-12"), np.datetime64("2020-06-11")
# The axis that the telescope turns about stays within this angle of the Sun (Sunyaev et al. 2021, A&A 656,
# A132, fig. 9); that it lies in the plane of the ecliptic is assumed.
_OFF_SUN_DEG = 13.0
# Half the diagonal of a tile of 3.6 deg, and the radius of the field of view.
_REACH_DEG = 2.55 + 0.52


def public_tiles(table: Any) -> pd.DataFrame:
    """Rows of a catalogue from the published table of sky tiles (SKYMAPS).

    Parameters
    ----------
    table : astropy Table
        With SRVMAP, OWNER, RA_CEN, DE_CEN and limits; ELON_CEN, ELAT_CEN and FIELD1 ... if it has them.

    Returns
    -------
    frame
        ``start`` and ``end`` are the limits within which a tile was scanned (`scan_limits`), ``neigh_obs``
        the ObsIDs of the public tiles around it, joined by commas.

    Raises
    ------
    KeyError
        A column is missing.
    """
    owner = np.asarray(table["OWNER"]).astype(int)
    table, owner = table[np.isin(owner, PUBLIC)], owner[np.isin(owner, PUBLIC)]
    numbers = np.asarray(table["SRVMAP"]).astype(int)
    limits = {"RA_MIN": "ra_min", "RA_MAX": "ra_max", "DE_MIN": "dec_min", "DE_MAX": "dec_max"}
    ra, dec = (np.asarray(table[name], float) for name in ("RA_CEN", "DE_CEN"))
    frame = pd.DataFrame(
        {
            "ObsID": [f"{n:06d}" for n in numbers],
            "ra": ra,
            "dec": dec,
            **{ours: np.asarray(table[theirs], float) for theirs, ours in limits.items()},
            "owner": owner,
            "neigh_obs": _neighbours(table, numbers),
        }
    )
    if {"ELON_CEN", "ELAT_CEN"} <= set(table.colnames):
        lon, lat = (np.asarray(table[name], float) for name in ("ELON_CEN", "ELAT_CEN"))
    else:
        lon, lat = _ecliptic(ra, dec)
    frame["start"], frame["end"] = scan_limits(lon, lat)
    frame["target_category"] = "ASK"
    return frame


def _neighbours(table: Any, numbers: np.ndarray) -> list[str]:
    names = [f"FIELD{n}" for n in range(1, 10) if f"FIELD{n}" in table.colnames]
    if not names:
        return [""] * len(numbers)
    public = set(numbers.tolist())
    around = np.stack([np.asarray(table[name]).astype(int) for name in names], axis=1)
    return [
        ",".join(f"{n:06d}" for n in sorted((set(row.tolist()) & public) - {own}))
        for own, row in zip(numbers.tolist(), around, strict=True)
    ]


def _ecliptic(ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from astropy.coordinates import SkyCoord

    place = SkyCoord(ra, dec, unit="deg", frame="icrs").geocentricmeanecliptic
    return place.lon.deg, place.lat.deg


def scan_limits(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last time at which a tile can have been scanned in eRASS1.

    The telescope scans great circles around an axis near the direction of the Sun. A tile was in view at
    some time between these limits, five weeks apart for most tiles; near the poles of the ecliptic, and
    where the survey began and ended, they are further apart.

    Parameters
    ----------
    lon, lat
        Ecliptic coordinates of centres [deg], shape (n,).

    Returns
    -------
    start, end : arrays of datetime64[us], shape (n,)
    """
    from astropy.coordinates import get_sun
    from astropy.time import Time

    days = np.arange(FIRST_DAY, LAST_DAY + np.timedelta64(1, "D"))
    sun = get_sun(Time(days.astype(str), scale="utc")).geocentricmeanecliptic.lon.deg
    off = np.abs((lon[:, None] - sun) % 180 - 90)  # from the circle, along the ecliptic
    wide = np.degrees(
        np.arcsin(np.minimum(1, np.sin(np.radians(_REACH_DEG)) / np.maximum(1e-9, np.cos(np.radians(lat)))))
    )
    possible = off <= _OFF_SUN_DEG + wide[:, None] + 1  # the Sun moves one degree in a day
    first = possible.argmax(axis=1)
    last = possible.shape[1] - 1 - possible[:, ::-1].argmax(axis=1)
    start, end = days[first], days[last] + np.timedelta64(1, "D")
    return start.astype("datetime64[us]"), np.minimum(end, LAST_DAY).astype("datetime64[us]")
