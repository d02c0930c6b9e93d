"""Small event lists of other missions, made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

MJDREF = 50814.0


def gti_table(intervals, name="GTI", **cards):
    start, stop = np.array(intervals, float).reshape(-1, 2).T
    hdu = fits.BinTableHDU.from_columns(
        [fits.Column("START", "1D", "s", array=start), fits.Column("STOP", "1D", "s", array=stop)], name=name
    )
    hdu.header.update(cards)
    return hdu


def write_list(path: Path, columns: dict, gtis, **cards) -> Path:
    """Write an event list: columns name -> (form, unit, values), tables of good times, keywords."""
    events = fits.BinTableHDU.from_columns(
        [fits.Column(name, form, unit, array=np.asarray(v)) for name, (form, unit, v) in columns.items()],
        name="EVENTS",
    )
    events.header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), events, *gtis]).writeto(path, overwrite=True, checksum=True)
    return path


def acis_list(path: Path, times, energies=None, gtis=None, ccds=(7,), **cards) -> Path:
    """A list of ACIS: energies in eV, one table of good times per CCD."""
    times = np.asarray(times, float)
    energies = np.full(len(times), 1500.0) if energies is None else energies
    gtis = {ccd: [(0.0, 1000.0)] for ccd in ccds} if gtis is None else gtis
    status = np.zeros((len(times), 32), bool)
    status[::2, 3] = True
    ontime = {c: sum(b - a for a, b in its) for c, its in gtis.items()}
    first = next(iter(gtis))
    keys = {"TELESCOP": "CHANDRA", "INSTRUME": "ACIS", "MJDREF": MJDREF, "TIMEZERO": 0.0, "TIMESYS": "TT"}
    keys |= {"ONTIME": ontime[first], "LIVETIME": 0.98 * ontime[first], "EXPOSURE": 0.98 * ontime[first]}
    for ccd, value in ontime.items():
        keys |= {f"ONTIME{ccd}": value, f"LIVTIME{ccd}": 0.98 * value, f"EXPOSUR{ccd}": 0.98 * value}
    sky = np.linspace(4000, 4200, len(times))
    return write_list(
        path,
        {
            "time": ("1D", "s", times),
            "ccd_id": ("1I", "", np.resize(list(gtis), len(times))),
            "x": ("1E", "pixel", sky),
            "y": ("1E", "pixel", sky[::-1]),
            "energy": ("1E", "eV", energies),
            "status": ("32X", "", status),
        },
        [gti_table(its, CCD_ID=ccd) for ccd, its in gtis.items()],
        **(keys | cards),
    )


def sky_columns(x, y=None) -> dict:
    """Columns X and Y; Y is X where it is not given."""
    return {"X": ("1I", "pixel", x), "Y": ("1I", "pixel", x if y is None else y)}


def sky_keywords(first: int) -> dict:
    """What columns X and Y, of which X is the ``first`` column of a list, count."""
    grid = {"TCRVL": (10.0, 20.0), "TCDLT": (-0.001, 0.001), "TCRPX": (500.5, 500.5)}
    return {f"{key}{first + k}": values[k] for key, values in grid.items() for k in (0, 1)}


def exposure_map(path: Path, shift: float = 0.0, size: int = 6) -> Path:
    """An exposure map on the same grid, whose first pixel is ``shift`` pixels further on."""
    pixels = np.full((size, size), 50.0, ">f4")
    pixels[:, -1] = 0
    hdu = fits.PrimaryHDU(pixels)
    for axis, (value, step) in enumerate(((10.0, -0.001), (20.0, 0.001)), start=1):
        hdu.header[f"CRVAL{axis}"], hdu.header[f"CDELT{axis}"] = value, step
        hdu.header[f"CRPIX{axis}"], hdu.header[f"CTYPE{axis}"] = (
            500.5 - shift,
            ("RA---TAN", "DEC--TAN")[axis - 1],
        )
    hdu.header["BUNIT"] = "s"
    hdu.writeto(path, overwrite=True)
    return path
