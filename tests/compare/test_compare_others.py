"""Images, exposure maps, good times and attitudes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.compare import NotComparableError, compare_files
from daxa.compare.others import compare_attitudes, compare_good_times

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
