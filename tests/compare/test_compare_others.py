"""Images, exposure maps, good times and attitudes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.compare import NotComparableError, compare_files
from daxa.compare.others import compare_attitudes, compare_good_times, content_shift
from daxa.compare.page import number

IMAGES = "sas_products_0201901401/images/0201901401_mos1_exp1-0.50-2.00keV{}.fits.gz"
ATTITUDE = "sas_products_0201901401/emchain/P0201901401OBX000ATTTSR0000.FIT.gz"


@pytest.mark.parametrize(("name", "kind"), [("img", "image"), ("expmap", "exposure map")])
def test_real_image_against_itself(shared_data: Path, name: str, kind: str) -> None:
    path = shared_data / IMAGES.format(name)
    found = compare_files(path, path)
    assert found.kind == kind
    assert found.same
    assert len(found.groups["by off-axis angle"]) >= 5


def test_real_exposure_map_with_less_exposure(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / IMAGES.format("expmap")
    with fits.open(path, memmap=False) as hdus:
        hdus[0].data *= 0.99
        hdus.writeto(tmp_path / "b.fits")
    assert "exposure 1.0 % lower in B" in compare_files(path, tmp_path / "b.fits").findings


def test_shifted_image(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / IMAGES.format("img")
    with fits.open(path, memmap=False) as hdus:
        hdus[0].header["CRVAL2"] += 1 / 3600
        hdus.writeto(tmp_path / "b.fits")
    (words,) = compare_files(path, tmp_path / "b.fits").findings
    assert words.startswith("positions are shifted by 1.0 arcsec (RA ")
    assert words.endswith("Dec +1.0)")


@pytest.mark.parametrize("name", ["img", "expmap"])
def test_real_image_whose_content_is_shifted(shared_data: Path, tmp_path: Path, name: str) -> None:
    """The header says nothing of it, and sums by off-axis angle little."""
    path = shared_data / IMAGES.format(name)
    with fits.open(path, memmap=False) as hdus:
        step = 3600 * abs(hdus[0].header["CDELT2"])
        hdus[0].data = np.roll(hdus[0].data, (5, -2), (0, 1))
        hdus.writeto(tmp_path / "b.fits")
    words = f"the content is shifted by {29**0.5 * step:.1f} arcsec (-2.0 columns, +5.0 rows)"
    assert words in compare_files(path, tmp_path / "b.fits").findings


def test_another_draw_of_the_same_sky_is_not_shifted() -> None:
    rng = np.random.default_rng(3)
    row, column = np.indices((200, 180))
    sky = 0.05 + sum(
        20 * np.exp(-((row - r) ** 2 + (column - c) ** 2) / 8) for r, c in rng.uniform(30, 150, (12, 2))
    )
    one, two = rng.poisson(sky), rng.poisson(sky)
    assert np.hypot(*content_shift(one, two)) < 0.1
    assert content_shift(one, np.roll(two, (3, 4), (0, 1))) == pytest.approx((4.0, 3.0), abs=0.1)
    assert content_shift(one, np.zeros_like(one)) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["M1X000HK_GTI0000", "PNS003FBKGTI0000"])
def test_real_good_times(shared_data: Path, tmp_path: Path, name: str) -> None:
    path = shared_data / f"esas_0203930101/P0203930101{name}.FIT"
    assert compare_files(path, path).same
    with fits.open(path, memmap=False) as hdus:
        for hdu in hdus[1:]:
            if "START" in hdu.columns.names:
                hdu.data["START"] += 3.0
                hdu.data["STOP"] += 3.0
        hdus.writeto(tmp_path / "b.fits")
    assert compare_files(path, tmp_path / "b.fits").findings == ["times of GTI differ by +3.0 s"]


def test_image_and_map_are_not_comparable(shared_data: Path) -> None:
    with pytest.raises(NotComparableError, match="not comparable"):
        compare_files(*(shared_data / IMAGES.format(n) for n in ("img", "expmap")))


def test_real_attitude(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / ATTITUDE
    assert compare_files(path, path).same
    with fits.open(path, memmap=False) as hdus:
        hdus["ATTHK"].data["AHFDEC"] += 1 / 3600
        hdus.writeto(tmp_path / "b.fits")
    (words,) = compare_files(path, tmp_path / "b.fits").findings
    assert words == "the pointing is shifted by 1.0 arcsec (RA +0.0, Dec +1.0)"


def test_attitude_across_zero_right_ascension() -> None:
    time = np.arange(100.0)
    a = {"TIME": time, "AHFRA": np.full(100, 359.9999), "AHFDEC": np.zeros(100), "AHFPA": np.full(100, 0.001)}
    b = a | {"AHFRA": np.full(100, 0.0001), "AHFPA": np.full(100, 359.999)}
    found = compare_attitudes(a, b)
    assert found.findings == [
        "the pointing is shifted by 0.7 arcsec (RA +0.7, Dec +0.0)",
        "position angles differ by -7.2 arcsec",
    ]


def test_good_times() -> None:
    one = {"STDGTI": np.array([[0.0, 100.0], [200.0, 300.0]])}
    assert compare_good_times(one, one).same
    assert compare_good_times(one, {"STDGTI": one["STDGTI"] + 3.0}).findings == [
        "times of GTI differ by +3.0 s"
    ]
    less = {"STDGTI": np.array([[0.0, 100.0], [200.0, 280.0]])}
    assert "good time of GTI 10.0 % lower in B" in compare_good_times(one, less).findings


def test_rounding_is_no_difference() -> None:
    assert [number(v) for v in (1.4e-14, -2.8e-14, 0.0, 0.001, None, float("nan"), 3, "a<b")] == [
        "0", "0", "0", "0.001", "", "", "3", "a&lt;b",
    ]  # fmt: skip
