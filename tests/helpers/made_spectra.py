"""Spectra made by hand, with the keywords and tables that tasks on spectra read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from daxa.xmm.fits.hdus import primary_hdu, write_hdus
from daxa.xmm.select.regions import Region, Shape
from daxa.xmm.spectra.ogip import matrix_tables

#: Pointing of the made spectra: RA, Dec, position angle [deg].
POINTING = (150.0, 2.0, 40.0)


def write_spectrum(
    path: Path,
    *shapes: Shape,
    instrument: str = "EPN",
    counts: np.ndarray | None = None,
    columns: tuple[str, str] = ("X", "Y"),
    ccds: tuple[int, ...] = (),
    patterns: str = ":4",
    **cards: object,
) -> Path:
    """A spectrum of 5 eV channels whose photons come from what lies in all the shapes."""
    if counts is None:
        counts = np.zeros(4096 if instrument == "EPN" else 2400, int)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "I", array=np.arange(len(counts))),
            fits.Column("COUNTS", "J", array=counts),
        ],
        name="SPECTRUM",
    )
    header = table.header
    header.update(TELESCOP="XMM", INSTRUME=instrument, FILTER="Thin1", SPECDELT=5, EXPOSURE=1000.0)
    header.update({"DSTYP1": "PATTERN", "DSVAL1": patterns})
    number = 2
    if shapes:
        name = "POS(X,Y)" if columns == ("X", "Y") else "DET(DETX,DETY)"
        header.update({f"DSTYP{number}": name, f"DSVAL{number}": "TABLE", f"DSREF{number}": ":REG00102"})
        number += 1
    if ccds:
        header[f"DSTYP{number}"] = "CCDNR"
        for k, ccd in enumerate(ccds, start=1):
            header[f"{'' if k == 1 else k}DSVAL{number}"] = str(ccd)
    primary = fits.PrimaryHDU()
    primary.header.update({"SUBMODE": "PrimeFullWindow", "DATE-OBS": "2012-05-14T03:49:58"})
    primary.header.update(dict(zip(("RA_PNT", "DEC_PNT", "PA_PNT"), POINTING, strict=True)))
    for axis, value, step in (("X", POINTING[0], -1), ("Y", POINTING[1], 1)):
        keys = {"CRPX": 25921.0, "CRVL": value, "CDLT": step * 0.05 / 3600}
        primary.header.update({f"REF{axis}{k}": v for k, v in keys.items()})
    for key, value in cards.items():
        (header if key in header else primary.header)[key] = value
    hdus = [primary, table]
    if shapes:
        hdus.append(Region((shapes,), columns).to_hdu("REG00102"))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def write_matrix(path: Path, channels: int, instrument: str = "EPN") -> Path:
    """A matrix of three energies, each seen in one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.zeros((3, channels))
    rows[:, 100] = 1.0
    limits = 5.0 * np.arange(channels + 1)
    tables = matrix_tables(np.array([100.0, 400.0, 700.0, 1000.0]), limits, rows, 0, instrument, "")
    write_hdus(path, [primary_hdu(), *tables])
    return path
