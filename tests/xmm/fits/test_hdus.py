"""HDUs of astropy, as the engine opens, makes and writes them."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daxa.xmm.fits import hdus
from daxa.xmm.fits.header import read_header


def write(path: Path) -> None:
    first = hdus.primary_hdu(np.zeros((2, 3)), hdus.empty_header([("TELESCOP", "XMM", "the mission")]))
    table = hdus.table_of([hdus.make_column("A", "J", array=[1, 2, 3], null=-1)], "T")
    image = hdus.image_hdu(np.ones((2, 2), np.float32), "I")
    hdus.write_hdus(path, (hdu for hdu in (first, table, image)))


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    write(path)
    with hdus.open_hdus(path, memmap=False) as found:
        assert [hdu.name for hdu in found] == ["PRIMARY", "T", "I"]
        assert [hdus.is_table(hdu) for hdu in found] == [False, True, False]
        assert [hdus.is_primary(hdu) for hdu in found] == [True, False, False]
        assert found["T"].header["TNULL1"] == -1
        more = hdus.table_of([hdus.make_column("B", "E", array=[0.5, 1, 2])], "T", after=found["T"])
        assert more.columns.names == ["A", "B"]
        cut = hdus.table_hdu(found["T"].data[1:], found["T"].header)
        assert list(hdus.hdu_list([found[0], cut])["T"].data["A"]) == [2, 3]
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert hdus.first_header(path) == hdus.first_header(packed)
    with path.open("rb") as stream:
        first = read_header(stream)
        assert first is not None
        assert first["TELESCOP"] == hdus.first_header(path)["TELESCOP"] == "XMM"
        stream.seek(0, 2)
        assert read_header(stream) is None
    with pytest.raises(OSError, match="ends within a header"):
        read_header(io.BytesIO(path.read_bytes()[:1000]))
    with pytest.raises(OSError, match="Empty or corrupt"):
        hdus.open_hdus(io.BytesIO(b""))


def test_astropy_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, daxa.xmm.fits.hdus; print('astropy.io.fits' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
