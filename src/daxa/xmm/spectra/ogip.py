"""Spectra, areas and matrices as OGIP files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import FitsFile, Hdu
from daxa.xmm.fits.hdus import make_column, open_hdus, table_of, unreadable
from daxa.xmm.fits.schema import Table, columns, table

FloatArray = npt.NDArray[np.float64]
SPECTRUM = "SPECTRUM"


def opened(path: Path) -> FitsFile:
    """A file that a user names.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    TaskError
        ``noFile``, ``notFits``: there is none.
    """
    if not path.exists():
        raise TaskError("noFile", f"{path}: no such file")
    try:
        return FitsFile(path)
    except OSError as error:
        raise TaskError("notFits", f"{path}: {error}") from error


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
    file = opened(path)
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
    for hdu in opened(path)[1:]:
        if hdu.header.get("XTENSION") == "BINTABLE" and {"ENERG_LO", "ENERG_HI"} <= set(hdu.columns):
            low, high = (np.asarray(hdu.data[name], float) * 1e3 for name in ("ENERG_LO", "ENERG_HI"))
            if len(low) and np.all(np.abs(low[1:] - high[:-1]) < 0.1) and np.all(high > low):
                return np.append(low, high[-1])
            raise TaskError("badResponse", f"{path}[{hdu.name}]: the energy bins do not follow one another")
    raise TaskError("badResponse", f"{path}: no table with the columns ENERG_LO and ENERG_HI")


def read_matrix(path: Path) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A redistribution matrix in full.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    bins, limits, rows
        Limits of the energy bins and of the channels [eV], and the shares, shape (bins, channels).

    Raises
    ------
    TaskError
        ``notFits``, ``badResponse``: it is no matrix.
    """
    bins = read_energy_bins(path)
    try:
        with open_hdus(path) as hdus:
            table = hdus["MATRIX" if "MATRIX" in hdus else "SPECRESP MATRIX"]
            bounds = hdus["EBOUNDS"].data
            limits = np.append(bounds["E_MIN"], bounds["E_MAX"][-1]).astype(float) * 1e3
            # Numbers of channels count from that of the column F_CHAN, 1 where its header is silent.
            column = table.columns.names.index("F_CHAN") + 1
            first = int(table.header.get(f"TLMIN{column}", 1))
            rows = np.zeros((len(table.data), len(bounds)))
            names = ("N_GRP", "F_CHAN", "N_CHAN", "MATRIX")
            for row, values in zip(rows, zip(*(table.data[n] for n in names), strict=True), strict=True):
                groups, starts, counts, shares = values
                place = 0
                for start, count in zip(
                    np.atleast_1d(starts)[:groups], np.atleast_1d(counts)[:groups], strict=True
                ):
                    row[start - first : start - first + count] = shares[place : place + count]
                    place += count
    except unreadable() as error:
        raise TaskError("badResponse", f"{path}: no redistribution matrix: {error}") from error
    return bins, limits, rows


def matrix_tables(
    bins_ev: FloatArray,
    limits_ev: FloatArray,
    rows: FloatArray,
    first: int,
    instrument: str,
    filter_name: str,
) -> list[Any]:
    """The extensions MATRIX and EBOUNDS of an RMF; elements that are 0 are not written.

    Parameters
    ----------
    bins_ev, limits_ev
        Limits of the energy bins and of the channels [eV].
    rows
        Shares, shape (bins, channels).
    first
        Number of the first channel.
    instrument, filter_name
        For the headers.
    """
    groups = [_groups(row) for row in rows]
    # Two at least: some readers expect vectors.
    most = max([2, *(len(g) for g in groups)])
    starts, counts = np.zeros((len(rows), most), "i2"), np.zeros((len(rows), most), "i2")
    shares = np.empty(len(rows), object)
    for k, (row, found) in enumerate(zip(rows, groups, strict=True)):
        for n, (start, stop) in enumerate(found):
            starts[k, n], counts[k, n] = start + first, stop - start
        shares[k] = np.concatenate([row[a:b] for a, b in found]).astype("f4") if found else np.zeros(0, "f4")
    form = f"{most}I"
    bins = bins_ev / 1e3
    made = table_of(
        [
            make_column("ENERG_LO", "E", unit="keV", array=bins[:-1]),
            make_column("ENERG_HI", "E", unit="keV", array=bins[1:]),
            make_column("N_GRP", "I", array=np.array([len(g) for g in groups], "i2")),
            make_column("F_CHAN", form, array=starts),
            make_column("N_CHAN", form, array=counts),
            make_column("MATRIX", "PE()", array=shares),
        ],
        "MATRIX",
    )
    last = first + rows.shape[1] - 1
    cards: dict[str, Any] = {
        **_response_cards(instrument, filter_name),
        "RMFVERSN": ("1992a", "OGIP classification of FITS format"),
        "CHANTYPE": ("PI", "type of the channels"),
        "DETCHANS": (rows.shape[1], "number of channels"),
        "HDUCLAS3": ("REDIST", "photon redistribution matrix"),
        "HDUVERS": ("1.3.0", "version of the file format"),
    }
    made.header.update({**cards, "HDUCLAS2": ("RSP_MATRIX", "type of data stored")})
    made.header["LO_THRES"] = (1e-6, "elements below this are left out")
    made.header["TLMIN4"], made.header["TLMAX4"] = first, last
    bounds = table_of(
        [
            make_column("CHANNEL", "I", array=np.arange(first, last + 1)),
            make_column("E_MIN", "E", unit="keV", array=limits_ev[:-1] / 1e3),
            make_column("E_MAX", "E", unit="keV", array=limits_ev[1:] / 1e3),
        ],
        "EBOUNDS",
    )
    bounds.header.update({**cards, "HDUCLAS2": ("EBOUNDS", "type of data stored")})
    bounds.header["TLMIN1"], bounds.header["TLMAX1"] = first, last
    return [made, bounds]


def _groups(row: FloatArray) -> list[tuple[int, int]]:
    """Stretches of a row above 0: first element and the one after the last."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], row > 0, [False]]).astype(np.int8)))
    return list(zip(change[0::2].tolist(), change[1::2].tolist(), strict=True))
