"""Planted mistakes are found and named; different random numbers are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from distortions import EVENT_FINDINGS, distort_events, made_list
from typer.testing import CliRunner

from daxa.cli.main import app
from daxa.compare import NotComparableError, compare_files
from daxa.compare.events import _reproject
from daxa.compare.matching import match_ccd

REAL = "sas_products_0201901401/eclean/mos{}_exp1_clean_evts.fits.gz"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("lists")
    return made_list(folder / "a.fits"), made_list(folder / "b.fits", dither=3)


def test_other_random_numbers_are_no_difference(pair: tuple[Path, Path]) -> None:
    found = compare_files(*pair)
    assert found.findings == []
    assert found.same
    matched = next(line for line in found.lines if line.name == "events of A not in B")
    assert matched.difference < 0.005


@pytest.mark.parametrize("mistake", EVENT_FINDINGS)
def test_each_mistake_is_named(pair: tuple[Path, Path], tmp_path: Path, mistake: str) -> None:
    found = compare_files(pair[0], distort_events(pair[1], tmp_path / "b.fits", mistake))
    assert found.findings == [EVENT_FINDINGS[mistake]]
    assert not found.same


def test_all_mistakes_at_once(pair: tuple[Path, Path], tmp_path: Path) -> None:
    found = compare_files(pair[0], distort_events(pair[1], tmp_path / "b.fits", *EVENT_FINDINGS))
    assert sorted(found.findings) == sorted(EVENT_FINDINGS.values())


@pytest.mark.parametrize("mistake", [None, *EVENT_FINDINGS])
def test_real_list_against_its_copy(shared_data: Path, tmp_path: Path, mistake: str | None) -> None:
    source = shared_data / REAL.format(1)
    copy = distort_events(source, tmp_path / "b.fits", *([mistake] if mistake else []))
    expected = [EVENT_FINDINGS[mistake]] if mistake else []
    assert compare_files(source, copy).findings == expected


def test_two_cameras_are_not_comparable(shared_data: Path) -> None:
    done = CliRunner().invoke(app, ["compare", *(str(shared_data / REAL.format(n)) for n in (1, 2))])
    assert done.exit_code == 2
    assert "INSTRUME is EMOS1" in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_times_of_short_frames_match_after_a_shift() -> None:
    random = np.random.default_rng(5)
    pixel, time = random.integers(0, 12800, 30_000), np.sort(random.random(30_000)) * 20_000
    order = random.permutation(30_000)
    rows_a, rows_b, offset = match_ccd(pixel, time, pixel[order], time[order] - 3.0, 0.0734)
    assert offset == pytest.approx(-3.0, abs=1e-6)
    assert np.array_equal(rows_a, order[rows_b])
    assert len(rows_a) > 0.999 * len(time)


def test_tangent_points_may_differ() -> None:
    x, y = np.array([0.0, 300.0, -800.0]), np.array([0.0, 500.0, 700.0])
    there = _reproject(x, y, (359.99, 60.0), (0.02, 60.03))
    back = _reproject(*there, (0.02, 60.03), (359.99, 60.0))
    assert np.allclose(back, (x, y), atol=1e-6)
    assert there[1][0] == pytest.approx(-108.0, abs=0.1)


def test_flag_bits_one_by_one(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with fits.open(pair[0], memmap=False) as hdus:
        hdus["EVENTS"].data["FLAG"][:1000] |= 1 << 11
        hdus.writeto(tmp_path / "b.fits")
    found = compare_files(pair[0], tmp_path / "b.fits")
    assert found.findings == ["flag bit 11: 0 events have it only in A, 1,000 only in B"]


def test_command_writes_json_and_page(pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = distort_events(pair[1], tmp_path / "b.fits", "energy")
    report, page = tmp_path / "r.json", tmp_path / "r.html"
    words = ["compare", str(pair[0]), str(other), "--json", str(report), "--page", str(page)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1, done.output
    assert "differs: energies differ by +20 eV" in done.output
    result = json.loads(report.read_text())
    assert result["findings"] == ["energies differ by +20 eV"]
    assert {"by CCD", "by energy", "by pattern"} <= set(result["groups"])
    text = page.read_text()
    assert "data:image/png;base64," in text
    assert "energies differ by +20 eV" in text
    assert "http" not in text


def test_what_is_no_product_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text.fits").write_text("no FITS file")
    with pytest.raises(NotComparableError, match=r"text\.fits: cannot be read"):
        compare_files(pair[0], tmp_path / "text.fits")
    data = pair[0].read_bytes()
    for keyword in (b"TTYPE1  ", b"TFORM1  ", b"EXTNAME "):
        card = data[(place := data.index(keyword)) : place + 80]
        (tmp_path / "damaged.fits").write_bytes(data.replace(card, card.replace(b"'", b"\x01"), 1))
        with pytest.raises(NotComparableError, match=r"damaged\.fits: (cannot be read|no event list)"):
            compare_files(pair[0], tmp_path / "damaged.fits")
    with pytest.raises(NotComparableError, match="no such file"):
        compare_files(pair[0], tmp_path / "absent.fits")
