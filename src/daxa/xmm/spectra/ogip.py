"""Spectra, areas and matrices as OGIP files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile, Hdu
from daxa.xmm.fits.schema import Table, columns, table

FloatArray = npt.NDArray[np.float64]
SPECTRUM = "SPECTRUM"


def open_spectrum(path: Path) -> tuple[FitsFile, Hdu]:
    """A spectrum's file and its table.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    TaskError
        ``noFile``, ``notFits``: there is none. ``badSpectrum``: it holds no table SPECTRUM with the columns
        CHANNEL and COUNTS.
    """
    if not path.exists():
        raise TaskError("noFile", f"{path}: no such file")
    try:
        file = FitsFile(path)
    except OSError as error:
        raise TaskError("notFits", f"{path}: {error}") from error
    if SPECTRUM not in file:
        raise TaskError("badSpectrum", f"{path}: no extension SPECTRUM")
    missing = [name for name in ("CHANNEL", "COUNTS") if name not in file[SPECTRUM].columns]
    if missing:
        raise TaskError("badSpectrum", f"{path}[SPECTRUM]: no column {' or '.join(missing)}")
    return file, file[SPECTRUM]


def area_table(limits_ev: FloatArray, area_cm2: FloatArray, instrument: str, filter_name: str) -> Table:
    """The extension SPECRESP of an ARF.

    Parameters
    ----------
    limits_ev
        Limits of the energy bins [eV]; one more than there are bins.
    area_cm2
        Area in each bin [cm^2].
    instrument, filter_name
        For the header.
    """
    schema = columns("ENERG_LO 1E keV\nENERG_HI 1E keV\nSPECRESP 1E cm**2")
    data = {"ENERG_LO": limits_ev[:-1] / 1e3, "ENERG_HI": limits_ev[1:] / 1e3, "SPECRESP": area_cm2}
    made = table(schema, data, "SPECRESP")
    cards = {
        **_response_cards(instrument, filter_name),
        "ARFVERSN": ("1992a", "OGIP classification of FITS format"),
        "HDUCLAS2": ("SPECRESP", "type of data stored"),
        "HDUVERS": ("1.1.0", "version of the file format"),
        "HDUVERS1": ("1.0.0", "obsolete, kept for old programs"),
        "HDUVERS2": ("1.1.0", "obsolete, kept for old programs"),
    }
    for key, card in cards.items():
        made.header[key] = card
    return made


def _response_cards(instrument: str, filter_name: str) -> dict[str, tuple[str, str]]:
    return {
        "TELESCOP": ("XMM", "mission"),
        "INSTRUME": (instrument, "camera"),
        "FILTER": (filter_name, "filter"),
        "HDUCLASS": ("OGIP", "format conforms to OGIP standard"),
        "HDUCLAS1": ("RESPONSE", "dataset relates to spectral response"),
    }


def read_energy_bins(path: Path) -> FloatArray:
    """Limits of the energy bins of a matrix or area [eV]; one more than there are bins.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    TaskError
        ``noFile``, ``notFits``: there is none. ``badResponse``: no table has ENERG_LO and ENERG_HI, or the
        bins leave gaps.
    """
    if not path.exists():
        raise TaskError("noFile", f"{path}: no such file")
    try:
        file = FitsFile(path)
    except OSError as error:
        raise TaskError("notFits", f"{path}: {error}") from error
    for hdu in file[1:]:
        if hdu.header.get("XTENSION") == "BINTABLE" and {"ENERG_LO", "ENERG_HI"} <= set(hdu.columns):
            low, high = (np.asarray(hdu.data[name], float) * 1e3 for name in ("ENERG_LO", "ENERG_HI"))
            if len(low) and np.all(np.abs(low[1:] - high[:-1]) < 0.1) and np.all(high > low):
                return np.append(low, high[-1])
            raise TaskError("badResponse", f"{path}[{hdu.name}]: the energy bins do not follow one another")
    raise TaskError("badResponse", f"{path}: no table with the columns ENERG_LO and ENERG_HI")
