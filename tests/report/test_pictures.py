"""Pictures of sky images."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.report import pictures

matplotlib = pytest.importorskip("matplotlib")


def sky(path: Path, data: np.ndarray) -> Path:
    header = fits.Header(
        {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 50, "CRPIX2": 50, "CRVAL1": 149.6,
            "CRVAL2": -11.1, "CDELT1": -0.0012, "CDELT2": 0.0012, "CUNIT1": "deg", "CUNIT2": "deg",
        }
    )  # fmt: skip
    fits.PrimaryHDU(data, header).writeto(path, overwrite=True)
    return path


def test_axes_are_sky_coordinates_and_the_source_is_bright(tmp_path: Path):
    data = np.random.default_rng(1).poisson(0.2, (100, 100)).astype(np.float32)
    data[70:73, 30:33] += 60
    made = pictures.sky_image(sky(tmp_path / "a.fits", data), tmp_path / "a.png", "a title")
    assert made.read_bytes().startswith(b"\x89PNG")
    width, height = struct.unpack(">II", made.read_bytes()[16:24])
    assert (width, height) == (720, 620)
    assert [p.name for p in sorted(tmp_path.iterdir()) if p.suffix == ".part"] == []

    header = fits.getheader(tmp_path / "a.fits")
    figure = pictures._draw(data.astype(float), header, "a title", "counts", 1.0)
    axes = figure.axes[0]
    assert "right ascension" in axes.get_xlabel()
    assert axes.wcs.wcs.crval.tolist() == [149.6, -11.1]
    shown = axes.images[0].get_array()
    assert np.unravel_index(np.nanargmax(shown), shown.shape) in {
        (r, c) for r in (70, 71, 72) for c in (30, 31, 32)
    }


@pytest.mark.parametrize("data", [np.zeros((20, 20)), np.full((20, 20), np.nan)], ids=["empty", "blank"])
def test_images_without_counts_are_drawn(tmp_path: Path, data):
    made = pictures.sky_image(sky(tmp_path / "a.fits", data), tmp_path / "a.png")
    assert made.stat().st_size > 1000


def test_what_is_no_image_is_refused(tmp_path: Path):
    fits.PrimaryHDU().writeto(tmp_path / "no.fits")
    with pytest.raises(ValueError, match=r"no\.fits: the primary HDU is not a 2-D image"):
        pictures.sky_image(tmp_path / "no.fits", tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()
