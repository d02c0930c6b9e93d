"""Spectra, areas and matrices in the hands of other programs, and beside what OGIP asks of them.

Usage: ``python benchmarks/spectral_readers.py GROUPED_SPECTRUM ...``

Each spectrum is opened with all that its header names (RESPFILE, ANCRFILE, BACKFILE) by those of sherpa,
gammapy and fitsverify that are at hand; what each saw is a row of the table of docs/spectral_truth.md.
Keywords and columns are those that OGIP/92-007a, CAL/GEN/92-002 and its amendment 92-002a make mandatory.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

_ALL = ("TELESCOP", "INSTRUME", "FILTER", "HDUCLASS", "HDUCLAS1")
#: Extension: columns, mandatory keywords, values that some of them must have.
NEEDED: dict[str, tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]] = {
    "SPECTRUM": (
        ("CHANNEL", "COUNTS"),
        (
            *_ALL, "HDUVERS1", "EXPOSURE", "BACKSCAL", "AREASCAL", "CORRSCAL", "POISSERR", "CHANTYPE",
            "DETCHANS", "SYS_ERR",
        ),
        {"HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM", "CHANTYPE": "PI"},
    ),
    "SPECRESP": (
        ("ENERG_LO", "ENERG_HI", "SPECRESP"),
        (*_ALL, "HDUCLAS2", "HDUVERS", "ARFVERSN"),
        {"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": "SPECRESP"},
    ),
    "MATRIX": (
        ("ENERG_LO", "ENERG_HI", "N_GRP", "F_CHAN", "N_CHAN", "MATRIX"),
        (*_ALL, "HDUCLAS2", "HDUCLAS3", "HDUVERS", "RMFVERSN", "CHANTYPE", "DETCHANS", "TLMIN4"),
        {"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": "RSP_MATRIX", "HDUCLAS3": "REDIST"},
    ),
    "EBOUNDS": (
        ("CHANNEL", "E_MIN", "E_MAX"),
        (*_ALL, "HDUCLAS2", "HDUVERS", "RMFVERSN", "CHANTYPE", "DETCHANS"),
        {"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": "EBOUNDS"},
    ),
}  # fmt: skip
#: Units of columns.
UNITS = {"COUNTS": "count", "SPECRESP": "cm**2"} | dict.fromkeys(
    ("ENERG_LO", "ENERG_HI", "E_MIN", "E_MAX"), "keV"
)


def lacking(path: Path) -> list[str]:
    """What OGIP asks for and a file has not, and values that do not fit each other.

    A spectrum names no file where there is none, so that BACKFILE, RESPFILE, ANCRFILE and CORRFILE may be
    absent before it is grouped; CORRFILE is never written, as by SAS.
    """
    found = []
    with fits.open(path) as hdus:
        for name, (columns, keywords, values) in NEEDED.items():
            if name not in hdus:
                continue
            hdu = hdus[name]
            there = hdu.columns.names
            found += [f"{name}: column {c}" for c in columns if c not in there]
            found += [f"{name}: keyword {k}" for k in keywords if k not in hdu.header]
            found += [
                f"{name}: {k} is {hdu.header.get(k)!r}" for k, v in values.items() if hdu.header.get(k) != v
            ]
            found += [
                f"{name}: unit of {c.name} is {c.unit!r}"
                for c in hdu.columns
                if c.name in UNITS and c.unit != UNITS[c.name]
            ]
            found += _contradictions(name, hdu)
    return found


def _contradictions(name: str, hdu: Any) -> list[str]:
    data, header, found = hdu.data, hdu.header, []
    if name in ("SPECTRUM", "EBOUNDS"):
        channels = np.asarray(data["CHANNEL"], int)
        if len(channels) != header["DETCHANS"] or np.any(np.diff(channels) != 1):
            found.append(f"{name}: {len(channels)} channels, DETCHANS {header['DETCHANS']}")
        if channels[0] != header.get("TLMIN1", 1) or channels[-1] != header.get("TLMAX1", len(channels)):
            found.append(f"{name}: channels from {channels[0]}, TLMIN1 {header.get('TLMIN1')}")
    if name in ("SPECRESP", "MATRIX"):
        low, high = np.asarray(data["ENERG_LO"]), np.asarray(data["ENERG_HI"])
        if np.any(high <= low) or np.any(low[1:] != high[:-1]):
            found.append(f"{name}: energy bins that do not follow one another")
    if name == "MATRIX":
        groups, counts = np.asarray(data["N_GRP"]), np.asarray(data["N_CHAN"]).reshape(len(data), -1)
        listed = [int(c[:g].sum()) for g, c in zip(groups, counts, strict=True)]
        if listed != [len(row) for row in data["MATRIX"]]:
            found.append("MATRIX: N_CHAN does not say how many elements a row has")
    return found


def files_of(spectrum: Path) -> dict[str, Path]:
    """The files that a spectrum names."""
    header = fits.getheader(spectrum, "SPECTRUM")
    keys = {"background": "BACKFILE", "matrix": "RESPFILE", "area": "ANCRFILE"}
    return {"spectrum": spectrum, **{k: spectrum.parent / str(header[v]) for k, v in keys.items()}}


def by_sherpa(files: dict[str, Path]) -> str:
    """Loaded with one call; counts, channels and the area at 1 keV as Sherpa sees them."""
    import sherpa
    from sherpa.astro.ui.utils import Session

    logging.getLogger("sherpa").setLevel(logging.ERROR)
    s = Session()
    s.load_pha(1, str(files["spectrum"]))
    data, area, matrix = s.get_data(1), s.get_arf(1), s.get_rmf(1)
    assert matrix.detchans == len(data.channel) == len(matrix.e_min)
    assert np.array_equal(area.energ_lo, matrix.energ_lo)
    folded = matrix.apply_rmf(area.apply_arf(np.ones(len(area.energ_lo))))
    assert abs(folded.sum() / area.specresp.sum() - 1) < 1e-4
    s.ignore_bad(1)
    return (
        f"sherpa {sherpa.__version__} | {int(data.counts.sum())} counts in {len(data.channel)} channels, "
        f"{len(s.get_dep(1, filter=True))} groups, background {int(s.get_bkg(1).counts.sum())}; area, matrix "
        f"and groups read; {len(area.energ_lo)} energies, all of what is folded is seen"
    )


def by_gammapy(files: dict[str, Path]) -> str:
    """Matrix, area and counts, each by its reader."""
    import gammapy
    from gammapy.irf import EDispKernel
    from gammapy.maps import RegionNDMap

    kernel = EDispKernel.read(str(files["matrix"]))
    area = RegionNDMap.read(str(files["area"]), format="ogip-arf")
    row = kernel.pdf_matrix.sum(axis=1)
    filled = row > 0  # rows of MOS below 30 eV are empty, and nothing is seen there
    assert np.allclose(row[filled], 1, atol=1e-4)
    assert not area.data.ravel()[~filled].any()
    counts = []
    for name in ("spectrum", "background"):
        with fits.open(files[name]) as hdus, fits.open(files["matrix"]) as others:
            # gammapy takes limits of channels from the spectrum's own file, where OGIP has none.
            whole = fits.HDUList([*[h.copy() for h in hdus[:2]], others["EBOUNDS"].copy()])
            counts.append(int(RegionNDMap.from_hdulist(whole, format="ogip").data.sum()))
    return (
        f"gammapy {gammapy.__version__} | matrix of {kernel.pdf_matrix.shape[0]} energies, rows sum to 1; "
        f"area of {area.geom.axes[0].nbin} energies; {counts[0]} and {counts[1]} counts, EBOUNDS beside them"
    )


def by_fitsverify(files: dict[str, Path]) -> str:
    """Warnings and errors of all files."""
    said = [
        subprocess.run(["fitsverify", "-q", str(p)], capture_output=True, text=True, check=False).stdout
        for p in files.values()
    ]
    wrong = [line.strip() for line in said if "OK" not in line]
    return f"fitsverify | {len(said)} files, " + ("no warning, no error" if not wrong else "; ".join(wrong))


def by_ogip(files: dict[str, Path]) -> str:
    """Mandatory keywords and columns."""
    wrong = [f"{p.name}: {text}" for p in files.values() for text in lacking(p)]
    return "OGIP keywords and columns | " + ("all there" if not wrong else "; ".join(wrong))


def main() -> None:
    readers: list[Callable[[dict[str, Path]], str]] = [by_sherpa, by_gammapy, by_fitsverify, by_ogip]
    print("| spectrum | reader | what was seen |\n|---|---|---|")
    for name in sys.argv[1:]:
        files = files_of(Path(name))
        for reader in readers:
            if reader is by_fitsverify and not shutil.which("fitsverify"):
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    print(f"| {Path(name).stem} | {reader(files)} |", flush=True)
            except ModuleNotFoundError:
                continue


if __name__ == "__main__":
    main()
