"""The tasks asmooth and ootsubtract."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter

from daxa.xmm.errors import TaskError
from daxa.xmm.task import run_task


def write(path: Path, data: np.ndarray, **cards: Any) -> None:
    hdu = fits.PrimaryHDU(data.astype("f4"))
    hdu.header.update(cards)
    hdu.writeto(path)


def call(task: str, folder: Path, env: dict[str, str] | None = None, **given: Any) -> str:
    err = io.StringIO()
    run_task(task, given, cwd=folder, env=env or {}, out=io.StringIO(), err=err)
    return err.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image of Poisson counts, its exposure map, and an empty one."""
    exposure = np.zeros((50, 50))
    exposure[5:45, 5:45] = 1000.0
    counts = np.random.default_rng(2).poisson(0.01 * exposure)
    write(tmp_path / "image.fits", counts, BUNIT="count", CRPIX1=3.5)
    write(tmp_path / "exp.fits", exposure)
    write(tmp_path / "none.fits", np.zeros((50, 50)))
    write(tmp_path / "small.fits", np.zeros((5, 50)))
    write(tmp_path / "negative.fits", np.full((50, 50), -1))
    return tmp_path


EXPOSED = {"withexpimageset": True, "expimageset": "exp.fits", "withweightset": True, "weightset": "exp.fits"}


def test_one_width(folder: Path):
    call("asmooth", folder, inset="image.fits", outset="out.fits", smoothstyle="simple", width=2)
    with fits.open(folder / "out.fits") as hdus:
        plain = gaussian_filter(fits.getdata(folder / "image.fits").astype(float), 2, truncate=5)
        np.testing.assert_allclose(hdus[0].data[15:35, 15:35], plain[15:35, 15:35], rtol=1e-4)
        assert hdus[0].header["CRPIX1"] == 3.5
        assert hdus[0].header["BUNIT"] == "count"


def test_rates_are_counts_over_exposure(folder: Path):
    said = call("asmooth", folder, inset="image.fits", outset="out.fits", desiredsnr=20, **EXPOSED)
    assert "warning" not in said
    with fits.open(folder / "out.fits") as hdus:
        rate = hdus[0].data
        assert hdus[0].header["BUNIT"] == "count / s"
    # The sky is flat up to the edge of the field, and within the certainty asked for.
    assert rate[5:45, 5:45].std() / 0.01 < 0.06
    assert rate[5:45, 5:45].mean() == pytest.approx(0.01, rel=0.02)
    masked = {"withoutmaskset": True, "outmaskset": "exp.fits"}
    call("asmooth", folder, inset="image.fits", outset="cut.fits", desiredsnr=20, **EXPOSED, **masked)
    cut = fits.getdata(folder / "cut.fits")
    assert not cut[:5].any()
    np.testing.assert_array_equal(cut[5:45, 5:45], rate[5:45, 5:45])


def test_what_makes_no_sense_is_told(folder: Path):
    empty = {"withexpimageset": True, "expimageset": "none.fits"}
    assert "(noExposure)" in call("asmooth", folder, inset="image.fits", outset="o.fits", **empty)
    for given, message in (
        (
            {"expimageset": "small.fits", "withexpimageset": True},
            "small.fits: not of the shape of image.fits",
        ),
        ({"weightset": "negative.fits", "withweightset": True}, "weights below 0"),
        ({"minwidth": 5, "maxwidth": 5}, "minwidth .5. must be below maxwidth"),
        ({"widthliststyle": "log"}, "widthliststyle=log needs a minwidth above 0"),
        ({"inset": "gone.fits"}, "gone.fits: no such file"),
    ):
        with pytest.raises(TaskError, match=message):
            call("asmooth", folder, **{"inset": "image.fits", "outset": "o.fits", **given})
    with pytest.raises(NotImplementedError, match="convolverstyle=tophat"):
        call("asmooth", folder, inset="image.fits", convolverstyle="tophat")


PN = {"INSTRUME": "EPN", "SUBMODE": "PrimeFullWindow", "CRVAL1": 10.0, "SLCTEXPR": "PI in [1:2]"}


def test_events_out_of_time_are_subtracted(tmp_path: Path, calibration_env):
    counts = np.full((4, 5), 20.0)
    out_of_time = np.arange(20.0).reshape(4, 5)
    write(tmp_path / "image.fits", counts, FRMTIME=73, **PN)
    write(tmp_path / "oot.fits", out_of_time, **PN)
    call("ootsubtract", tmp_path, calibration_env, imageset="image.fits", ootimageset="oot.fits")
    with fits.open(tmp_path / "subtracted.fits") as hdus:
        assert hdus[0].header["OOTSCALE"] == pytest.approx(0.063, rel=0.05)
        expected = counts - hdus[0].header["OOTSCALE"] * out_of_time
        np.testing.assert_allclose(hdus[0].data, expected, rtol=1e-6)
    call("ootsubtract", tmp_path, imageset="image.fits", ootimageset="oot.fits", outset="own.fits", scale=0.5)
    np.testing.assert_allclose(fits.getdata(tmp_path / "own.fits"), counts - 0.5 * out_of_time, rtol=1e-6)


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"INSTRUME": "EMOS1"}, "INSTRUME is 'EMOS1'; only the pn"),
        ({"CRVAL1": 11.0}, "CRVAL1 is 11.0, not 10.0"),
        ({"shape": (2, 2)}, "not of the shape of image.fits"),
    ],
)
def test_images_that_do_not_belong_together(tmp_path: Path, cards: dict[str, Any], message: str):
    write(tmp_path / "image.fits", np.ones((4, 5)), **PN)
    shape = cards.pop("shape", (4, 5))
    write(tmp_path / "oot.fits", np.ones(shape), **{**PN, **cards})
    with pytest.raises(TaskError, match=message):
        call("ootsubtract", tmp_path, imageset="image.fits", ootimageset="oot.fits", scale=0.1)


def test_another_selection_is_warned_of(tmp_path: Path):
    write(tmp_path / "image.fits", np.ones((4, 5)), **PN)
    write(tmp_path / "oot.fits", np.ones((4, 5)), **{**PN, "SLCTEXPR": "PI > 7"})
    said = call("ootsubtract", tmp_path, imageset="image.fits", ootimageset="oot.fits", scale=0.1)
    assert "(otherSelection)" in said
    assert "'PI > 7'" in said
