"""A server on this machine that stands in for HEASARC in a tutorial: one made-up observation of NuSTAR."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))
OBS_ID = "60001107002"
_START_MJD = 57000.0


def _packed(hdus: fits.HDUList) -> bytes:
    file = io.BytesIO()
    hdus.writeto(file)
    return gzip.compress(file.getvalue(), mtime=0)


def _events(module: int) -> fits.HDUList:
    rng = np.random.default_rng(module)
    number = 2000
    columns = [
        fits.Column("TIME", "D", "s", array=np.sort(rng.uniform(1.5e8, 1.5e8 + 20_000, number))),
        fits.Column("X", "I", array=rng.normal(500, 30, number).astype(int)),
        fits.Column("Y", "I", array=rng.normal(500, 30, number).astype(int)),
        fits.Column("PI", "I", "chan", array=rng.integers(35, 1909, number)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    table.header["MJDREFI"] = 55197
    return fits.HDUList([fits.PrimaryHDU(), table])


def _image(module: int) -> fits.HDUList:
    rng = np.random.default_rng(module)
    return fits.HDUList([fits.PrimaryHDU(rng.poisson(0.1, (100, 100)).astype("i2"))])


def start() -> Any:
    """The server, answering; its ``url`` is where, ``close`` ends it."""
    from archive_server import ArchiveServer

    server = ArchiveServer()
    server.tables["numaster"] = {
        "obsid": [OBS_ID],
        "ra": [149.6],
        "dec": [-11.1],
        "time": [_START_MJD],
        "end_time": [_START_MJD + 0.5],
        "public_date": [_START_MJD + 400],
        "status": ["archived"],
        "exposure_a": [2e4],
        "exposure_b": [2e4],
    }
    folder = f"nustar/data/obs/00/6/{OBS_ID}"
    for name in ("auxil/nu{}_att.fits.gz", "event_uf/nu{}A_uf.evt.gz", "hk/nu{}A_fpm.hk.gz"):
        server.files[f"{folder}/{name.format(OBS_ID)}"] = _packed(_image(3))
    for number, module in enumerate("AB"):
        stem = f"{folder}/event_cl/nu{OBS_ID}{module}01"
        server.files[f"{stem}_cl.evt.gz"] = _packed(_events(number))
        server.files[f"{stem}_sk.img.gz"] = _packed(_image(number))
    return server
