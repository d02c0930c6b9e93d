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


def test_a_difference_is_found(script, lists, tmp_path: Path) -> None:
    """A keyword, a type, a unit, a limit, the order of keywords and of extensions."""
    real, ours = lists
    with fits.open(ours) as hdus:
        copies = fits.HDUList([h.copy() for h in hdus])
    del copies["EXPOSU03"].header["EDUID"]
    copies["EXPOSU02"].header["EDUTHR"] = 25.0
    copies["EVENTS"].header["TUNIT2"] = "pixel"
    copies["EVENTS"].header["TLMAX9"] = 4095
    head = copies["BADPIX01"].header
    head.insert(len(head), head.cards["CCDID"])
    head.remove("CCDID")
    copies.append(copies.pop(-2))
    copies.writeto(tmp_path / "changed.fits")
    unexplained = {row[:2] for row in script.compare(real, tmp_path / "changed.fits") if not row[-1]}
    assert unexplained == {
        ("EXPOSUnn", "EDUID"), ("EXPOSUnn", "type of EDUTHR"), ("EVENTS", "TUNIT of RAWX"),
        ("EVENTS", "TLMAX of PI"), ("BADPIXnn", "order"), ("file", "order"),
    }  # fmt: skip


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
