"""Products as objects of astropy, regions and stingray.

Parameters
----------
path
    The file.

Raises
------
DAXAError
    The file cannot be read; the message names it.
OptionalPackageError
    stingray is not installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from daxa.archive.curves import read_qdp
from daxa.exceptions import DAXAError, OptionalPackageError

#: Reference of the times of XMM-Newton [MJD, TT].
_MJDREF = 50814.0


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What goes wrong with a file names it; warnings of units that FITS does not know are not passed on."""
    from astropy.units import UnitsWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnitsWarning)
            yield
    except (OSError, ValueError, TypeError, KeyError, IndexError, EOFError) as failure:
        raise DAXAError(f"{path}: cannot be read ({failure})") from failure


def _table_named(path: Path, *words: str) -> Any:
    """The first table of a FITS file with one of the words in its name, or else the first of all."""
    from astropy.io import fits
    from astropy.table import Table

    with fits.open(path) as hdus:
        tables = [h for h in hdus if isinstance(h, fits.BinTableHDU)]
        if not tables:
            raise ValueError("it has no table")
        found = next((h for word in words for h in tables if word in h.name), tables[0])
        return Table.read(found)


def event_table(path: Path) -> Any:
    """An event list as `astropy.table.Table`, one row per event; the header is its ``meta``."""
    with _naming(path):
        return _table_named(path, "EVENTS")


def interval_table(path: Path) -> Any:
    """Good times as `astropy.table.Table`, one row per interval."""
    with _naming(path):
        return _table_named(path, "STDGTI", "GTI")


def plain_table(path: Path) -> Any:
    """The first table of a FITS file."""
    with _naming(path):
        return _table_named(path)


def image(path: Path) -> Any:
    """An image as `astropy.nddata.CCDData`, with coordinates on the sky and the header as ``meta``.

    The unit is that of the header, counts where it has none.
    """
    from astropy.io import fits
    from astropy.nddata import CCDData
    from astropy.units import Unit
    from astropy.wcs import WCS, FITSFixedWarning

    with _naming(path), fits.open(path) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        found = next((h for h in hdus if h.is_image and h.data is not None), None)
        if found is None:
            raise ValueError("it has no image")
        unit = Unit(found.header.get("BUNIT", "ct"), parse_strict="silent")
        return CCDData(np.array(found.data), unit=unit, wcs=WCS(found.header), meta=found.header)


def curve_table(path: Path, events: Path | None = None) -> Any:
    """A light curve as `astropy.table.Table`.

    Of espfilt: ``TIME`` [s], ``RATE`` [ct/s] in the field and, where corners were looked at, ``CORNERS``
    [ct/s]; in ``meta`` the reference of times, ``MJDREF``, and the limits of accepted rates, ``LOWEST`` and
    ``HIGHEST``.

    Parameters
    ----------
    events
        The list that espfilt has looked at: its times count from the list's beginning.
    """
    if path.suffix != ".qdp":
        with _naming(path):
            return _table_named(path, "RATE", "LIGHTCURVE")
    from astropy.io import fits
    from astropy.table import Table

    with _naming(path):
        seen = read_qdp(path.read_text(encoding="latin-1"))
    start, reference = 0.0, None
    if events is not None:
        with _naming(events):
            header = fits.getheader(events, "EVENTS")
            start, reference = float(header["TSTART"]), float(header.get("MJDREF", _MJDREF))
    columns = {"TIME": start + seen.field[:, 0], "RATE": seen.field[:, 1]}
    table = Table(columns, units={"TIME": "s", "RATE": "ct/s"})
    if len(seen.corner) == len(table):
        table["CORNERS"] = seen.corner[:, 1]
        table["CORNERS"].unit = "ct/s"
    lowest, highest = seen.limits or (None, None)
    table.meta = {"MJDREF": reference, "LOWEST": lowest, "HIGHEST": highest}
    return table


def _stingray() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an accelerator of it is absent
            import stingray
    except ImportError as failure:
        raise OptionalPackageError(
            "as_='stingray' needs the package stingray, which is not installed: pip install stingray"
        ) from failure
    return stingray


def stingray_events(path: Path) -> Any:
    """An event list as `stingray.EventList`, with the good times that all CCDs share."""
    reader = _stingray().EventList
    with _naming(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keywords that other missions have
        return reader.read(str(path), fmt="hea")


def stingray_curve(path: Path, events: Path | None = None) -> Any:
    """A light curve as `stingray.Lightcurve`, in counts per bin.

    Parameters
    ----------
    events
        As of `curve_table`.
    """
    made = _stingray().Lightcurve
    table = curve_table(path, events)
    with _naming(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns: list[Any] = [np.ma.filled(np.ma.asarray(table[c], float), np.nan) for c in ("TIME", "RATE")]
        times, rates = np.array(columns)[:, np.isfinite(columns[1])]
        mjdref = table.meta.get("MJDREF") or table.meta.get("mjdref") or _MJDREF
        return made(times, rates, input_counts=False, mjdref=float(mjdref), skip_checks=False)


def region_list(path: Path) -> Any:
    """Regions on the sky as `regions.Regions`."""
    from regions import Regions

    from daxa.archive.regions import sky_regions

    with _naming(path):
        return Regions(sky_regions(path))
