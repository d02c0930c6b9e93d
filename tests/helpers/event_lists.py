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
