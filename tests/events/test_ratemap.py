"""Images of counts and count rates on the grid of an exposure map."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from event_lists import exposure_map, gti_table, sky_columns, sky_keywords, write_list

from daxa.events import load
from daxa.events.images import count_rate, sky_image
from daxa.xmm.errors import TaskError
from daxa.xmm.task import run_task

load("ratemap")


@pytest.fixture
def folder(tmp_path):
    columns = {"PI": ("1J", "", [10, 40, 41, 42, 43])} | sky_columns([1, 2, 2, 6, 9], [1, 3, 3, 6, 1])
    write_list(tmp_path / "evt.fits", columns, [gti_table([(0, 9)])], **sky_keywords(2))
    exposure_map(tmp_path / "exp.fits")
    return tmp_path


def run(folder, **arguments):
    run_task("ratemap", {"table": "evt.fits", "expimageset": "exp.fits", **arguments}, cwd=folder)
    return fits.getdata(folder / "image.fits"), fits.getdata(folder / "rate.fits")


def test_counts_and_rates(folder, capsys):
    counts, rate = run(folder, ranges="PI:35:1909]")
    assert counts[2, 1] == 2
    assert counts[5, 5] == 1
    assert counts.sum() == 3
    assert rate[2, 1] == pytest.approx(0.04)
    assert rate[5, 5] == 0
    header = fits.getheader(folder / "rate.fits")
    assert (header["BUNIT"], header["CTYPE1"], header["CRVAL2"]) == ("count/s", "RA---TAN", 20)
    assert "warning (noExposure), 1 events lie" in capsys.readouterr().err


def test_a_map_of_a_part_of_the_sky(folder):
    exposure_map(folder / "exp.fits", shift=1)
    counts, _ = run(folder)
    assert counts[1, 0] == 2
    assert counts.sum() == 3


@pytest.mark.parametrize("change", [{"CRPIX1": 500.2}, {"CDELT2": 0.002}, {"CRVAL1": 11.0}, {"CRVAL1": None}])
def test_another_grid_is_refused(folder, change):
    with fits.open(folder / "exp.fits", mode="update") as file:
        for key, value in change.items():
            del file[0].header[key]
            if value is not None:
                file[0].header[key] = value
    with pytest.raises(TaskError) as caught:
        run(folder)
    assert caught.value.code == "otherGrid"


def test_no_image(folder):
    fits.PrimaryHDU().writeto(folder / "exp.fits", overwrite=True)
    with pytest.raises(TaskError, match=r"exp\.fits: no image of two axes"):
        run(folder)
    (folder / "exp.fits").write_text("text")
    with pytest.raises(TaskError, match=r"exp\.fits: not a readable FITS file"):
        run(folder)


def test_pixels_and_rates_as_functions():
    image = sky_image(np.array([0.49, 0.5, 1.49, 1.5, 3.5]), np.ones(5), (1, 3))
    assert image.tolist() == [[2, 1, 0]]
    assert count_rate(np.ones((1, 2), np.int32), np.array([[4.0, 0.0]])).tolist() == [[0.25, 0.0]]
