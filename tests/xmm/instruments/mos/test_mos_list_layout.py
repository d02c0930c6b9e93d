"""Our MOS list beside a real one: extensions, keywords, columns, types, units, limits, all in order."""

from __future__ import annotations

import csv
import importlib.util
from itertools import groupby
from pathlib import Path

import pytest
from astropy.io import fits

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("compare_mos_list", ROOT / "benchmarks/compare_mos_list.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lists(script, shared_data: Path, reduced) -> tuple[Path, Path]:
    real = shared_data / script.REAL
    if not real.exists():
        pytest.skip(f"no {real}")
    return real, reduced.event_list("M1", "S001")


def test_every_difference_has_its_reason(script, lists) -> None:
    rows = script.compare(*lists)
    assert [row for row in rows if not row[-1]] == []
    # Nothing that is explained is absent: an explanation that is no longer needed goes.
    assert {row[-1] for row in rows} == set(script.REASONS.values())


def test_the_page_is_that_of_the_lists(script, lists) -> None:
    text = (ROOT / "docs" / "chains.md").read_text().split(script.BEGIN)[1].split(script.END)[0]
    assert text.strip() == script.page(*lists).strip()


def _card(key: str, value: str) -> bytes:
    return f"{key:8}= {value:>20}".encode()


def test_a_difference_is_found(script, lists, tmp_path: Path) -> None:
    """A keyword, a type, a unit, a limit, the order of keywords and of extensions."""
    real, ours = lists
    data = ours.read_bytes()
    for old, new in (
        (_card("TUNIT2", "'PIXELS  '          "), _card("TUNIT2", "'pixel   '          ")),
        (_card("TLMAX9", "15000"), _card("TLMAX9", "4095")),
        (_card("EDUTHR", "25"), _card("EDUTHR", "25.0")),
        (_card("NUMGTI", "1"), _card("NUMGTIS", "1")),
        (b"CRPAT1  = ", b"CRPAT0  = "),
        (b"CRPAT2  = ", b"CRPAT1  = "),
        (b"CRPAT0  = ", b"CRPAT2  = "),
    ):
        assert old in data, old
        data = data.replace(old, new, 1)
    changed = tmp_path / "changed.fits"
    changed.write_bytes(data)
    unexplained = {row[:2] for row in script.compare(real, changed) if not row[-1]}
    assert unexplained == {
        ("EVENTS", "TUNIT of RAWX"), ("EVENTS", "TLMAX of PI"), ("EXPOSUnn", "type of EDUTHR"),
        ("EXPOSUnn", "NUMGTI"), ("EXPOSUnn", "NUMGTIS"), ("EXPOSUnn", "CRPAT1"), ("EXPOSUnn", "CRPAT2"),
    }  # fmt: skip
    with fits.open(ours) as hdus:
        copies = fits.HDUList([h.copy() for h in hdus])
    copies.append(copies.pop(-2))
    copies.writeto(tmp_path / "order.fits")
    assert ("file", "order") in {row[:2] for row in script.compare(real, tmp_path / "order.fits")}


def test_keywords_of_another_real_list(script, lists, shared_data: Path) -> None:
    """Names and order of the keywords of each extension of 0404910601 MOS1."""
    path = shared_data / "mos_truth" / "header_keys.csv"
    if not path.exists():
        pytest.skip(f"no {path}")
    with path.open() as handle:
        rows = list(csv.DictReader(handle))
    with fits.open(lists[1]) as hdus:
        for name, group in groupby(rows, key=lambda r: r["extension"]):
            theirs = [r["keyword"] for r in group if not script.LEFT_OUT.fullmatch(r["keyword"])]
            header = hdus[name].header
            ours = script._keys(header)
            # That list has no CCD 6.
            names = [{script._keyword(header, k) for k in keys} for keys in (theirs, ours)]
            unexplained = [k for k in names[0] ^ names[1] if not script.reason(name, k)]
            assert not unexplained, (name, unexplained)
            assert name == "CALINDEX" or [k for k in theirs if k in ours] == [k for k in ours if k in theirs]
