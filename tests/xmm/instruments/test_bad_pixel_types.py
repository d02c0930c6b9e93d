"""What the type letters of the calibration mean: one reading for all cameras."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.ccf.constituent import Constituent
from daxa.xmm.ccf.index import Entry
from daxa.xmm.instruments.badpixels import (
    DEAD,
    DEAD_TYPES,
    HOT,
    HOT_TYPES,
    calibrated_kinds,
    kinds_of_types,
)
from daxa.xmm.instruments.mos.calibration import calibrated_bad_pixels
from daxa.xmm.instruments.pn.calibration import PnCalibration
from daxa.xmm.instruments.rgs.badpixels import Window
from daxa.xmm.instruments.rgs.calibration import RgsCalibration

#: Every type, small letters, and ones that no manual lists.
TYPES = [*"THEBUDP123456789hdp", "X", "0", ""]
KINDS = [*[HOT] * 5, *[DEAD] * 11, HOT, DEAD, DEAD, HOT, HOT, HOT]


def _constituent(folder: Path, scope: str, types: list) -> Constituent:
    """Bad pixels of CCD 4 along row 20, one of each type."""
    n = len(types)
    columns = {
        "CCD_ID": np.full(n, 4), "NODE_ID": np.zeros(n, int), "RAWX": np.arange(1, n + 1),
        "RAWY": np.full(n, 20), "TYPE": np.array(types), "YEXTENT": np.ones(n, int),
        "UPLINKED": np.zeros(n, bool),
    }  # fmt: skip
    empty = {name: values[:0] for name, values in columns.items()}
    tables = {"BADPIX": columns} | ({"BADPIX1": empty} if scope.startswith("RGS") else {})
    hdus: list = [fits.PrimaryHDU()]
    for name, table in tables.items():
        forms = {"U": "1A", "b": "L", "i": "J"}
        made = [fits.Column(k, forms[v.dtype.kind], array=v) for k, v in table.items()]
        hdus.append(fits.BinTableHDU.from_columns(made, name=name))
    path = folder / f"{scope}_BADPIX_0001.CCF"
    fits.HDUList(hdus).writeto(path)
    return Constituent(Entry(scope, "BADPIX", 1), path)


def test_letters() -> None:
    kinds, unknown = kinds_of_types(np.array(TYPES))
    assert kinds.tolist() == KINDS
    assert unknown == ["", "0", "X"]
    assert not DEAD_TYPES & HOT_TYPES


def test_known_types_need_no_word(tmp_path, said) -> None:
    file = _constituent(tmp_path, "EMOS1", TYPES[:19])
    assert calibrated_kinds(file).tolist() == KINDS[:19]
    assert not said.fallbacks
    assert said.err.getvalue() == ""


@pytest.mark.parametrize("types", [["H", "X", "D", "Q"], [11, 99, 13, 0]])
def test_unknown_types_count_as_hot_and_are_said_once(tmp_path, said, types) -> None:
    file = _constituent(tmp_path, "EPN", types)
    for _ in range(2):
        assert calibrated_kinds(file).tolist() == [HOT, HOT, DEAD, HOT]
    text = said.err.getvalue()
    assert text.count("unknownBadPixelType") == 1
    assert "EPN_BADPIX_0001.CCF[BADPIX]: unknown type" in text
    assert list(said.fallbacks) == ["EPN_BADPIX_0001.CCF[BADPIX]: unknownBadPixelType"]


def test_all_cameras_read_them_alike(tmp_path, said) -> None:
    """Rows of one table as each wing sees them."""
    files = {scope: _constituent(tmp_path, scope, TYPES) for scope in ("EMOS1", "EPN", "RGS1")}
    cal = SimpleNamespace(constituent=lambda scope, typeid: files[scope])
    pixels = calibrated_bad_pixels(SimpleNamespace(cal=cal, scope="EMOS1"), 4, 0, (600, 600))
    mos = pixels.kind[19, : len(TYPES)].tolist()
    pn = [
        p.kind
        for p in PnCalibration(cal, "PrimeFullWindow", 0.0, 1).known_bad_pixels(4, uplinked=True, other=True)
    ]
    window = Window(((1, 512), (1, 512)), (1, 384), (512, 384))
    rgs = [kind for _, kind, *_ in RgsCalibration(cal, "RGS1").known_segments(4, window)]
    assert mos == pn == rgs == KINDS
