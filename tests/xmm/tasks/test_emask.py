"""Masks of exposure maps."""

import io
from pathlib import Path

import numpy as np
import pytest
import real_products
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.select.regions import Region, Shape
from daxa.xmm.task import run_task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A map of 40 by 30 pixels: 100 s in the middle, a weak part to the right, nothing around."""
    exposure = np.zeros((30, 40), "f4")
    exposure[5:25, 5:25] = 100
    exposure[5:25, 25:35] = 40
    hdu = fits.PrimaryHDU(exposure)
    hdu.header["INSTRUME"], hdu.header["BUNIT"], hdu.header["CRPIX1"] = "EMOS1", "s", 12.5
    hdu.writeto(tmp_path / "exp.fits")
    return tmp_path


def mask_of(folder: Path, **given) -> tuple[np.ndarray, fits.Header, str]:
    err = io.StringIO()
    given = {"expimageset": "exp.fits", "detmaskset": "mask.fits", **given}
    run_task("emask", given, cwd=folder, out=io.StringIO(), err=err)
    with fits.open(folder / "mask.fits") as hdus:
        assert hdus[0].data is None
        return hdus[1].data.copy(), hdus[1].header, err.getvalue()


def test_weak_parts_and_edges_are_left_out(folder: Path):
    mask, header, _ = mask_of(folder, threshold1=0.3, threshold2=0.5)
    assert mask.dtype.kind == "i"
    expected = np.zeros((30, 40), int)
    # Pixels at an edge have a neighbour without exposure, at the step one that differs by more than half.
    expected[6:24, 6:24] = 1
    expected[6:24, 26:35] = 1
    expected[[5, 24], 26:34] = 1
    assert np.array_equal(mask, expected)
    assert (header["EXTNAME"], header["INSTRUME"], header["CRPIX1"]) == ("MASK", "EMOS1", 12.5)
    assert header["HDUCLAS2"] == "MASK"
    assert "BUNIT" not in header
    assert mask_of(folder, threshold1=0.5, threshold2=5)[0].sum() == 20 * 20


def test_regions_are_left_out_shape_by_shape(folder: Path):
    both = (Shape("circle", (11, 11, 2.5)), Shape("box", (20, 20, 1, 1, 0)))
    Region((both,), ("X", "Y")).to_hdu("REGION").writeto(folder / "region.fits")
    whole = mask_of(folder, threshold2=5)[0]
    mask, _, said = mask_of(folder, threshold2=5, withregionset=True, detmasktable="FIELD")
    # The first pixel is 1: a circle about (11, 11) has its middle at index 10.
    assert mask[10, 10] == mask[10, 12] == mask[19, 19] == 0
    assert whole.sum() - mask.sum() == 21 + 9
    assert said == ""
    Region(((Shape("circle", (900, 900, 5)),),), ("X", "Y")).to_hdu("REGION").writeto(folder / "far.fits")
    assert "regionOutside" in mask_of(folder, withregionset=True, regionset="far.fits")[2]


def test_what_is_no_map_is_refused(folder: Path):
    with pytest.raises(TaskError, match=r"none.fits: no such file"):
        mask_of(folder, expimageset="none.fits")
    with pytest.raises(TaskError, match="regionset"):
        mask_of(folder, withregionset=True, regionset="none.fits")


def test_regions_of_ds9_are_left_out(folder: Path):
    header = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 20.5, "CRPIX2": 15.5, "CRVAL1": 150.0,
        "CRVAL2": 2.0, "CDELT1": -4 / 3600, "CDELT2": 4 / 3600, "RADECSYS": "FK5",
    }  # fmt: skip
    with fits.open(folder / "exp.fits", mode="update") as hdus:
        hdus[0].header.update(header)
    without, _, _ = mask_of(folder, threshold2=5)
    (folder / "s.reg").write_text('fk5\ncircle(150,2,20")\n-circle(150,2,8")\n')
    mask, _, said = mask_of(folder, threshold2=5, withregionset=True, regionset="s.reg")
    y, x = np.indices(mask.shape)
    far = np.hypot(x - 19.5, y - 14.5)
    np.testing.assert_array_equal(mask, without * ~((far <= 5) & (far > 2)))
    assert "regionOutside" not in said
    text, _, _ = mask_of(folder, threshold2=5, withregionset=True, regionset='fk5; circle(150,2,20")')
    np.testing.assert_array_equal(text, without * (far > 5))
    assert "regionOutside" in mask_of(folder, withregionset=True, regionset='fk5; circle(151,2,20")')[2]
    with pytest.raises(TaskError, match="regionset: region.*a point has no area"):
        mask_of(folder, withregionset=True, regionset="fk5; point(150,2)")
    fits.PrimaryHDU().writeto(folder / "empty.fits")
    with pytest.raises(TaskError, match="not a 2-D image"):
        mask_of(folder, expimageset="empty.fits")
    fits.PrimaryHDU(np.zeros((4, 4), "f4")).writeto(folder / "zero.fits")
    mask, _, said = mask_of(folder, expimageset="zero.fits")
    assert not mask.any()
    assert "noExposure" in said


def test_masks_equal_those_of_sas(shared_data: Path, tmp_path: Path):
    lines = real_products.masks(shared_data, tmp_path)
    assert len(lines) == 5
    assert not [line for line in lines if not line.equal]
