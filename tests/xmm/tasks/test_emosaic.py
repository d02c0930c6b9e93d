"""The mosaic task on hand-made images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.image.area import band_area
from daxa.xmm.image.mosaic import covering_header
from daxa.xmm.task import run_task


def write(path, data, instrument, ra=150.0, **cards):
    header = fits.Header(
        {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 32.5, "CRPIX2": 32.5, "CRVAL1": ra,
            "CRVAL2": -11.0, "CDELT1": -0.002, "CDELT2": 0.002, "CUNIT1": "deg", "CUNIT2": "deg",
            "INSTRUME": instrument, "OBS_ID": "0800010101", "FILTER": "Medium", "PIMIN": 500.0,
            "PIMAX": 2000.0, "ONTIME01": 5.0, **cards,
        }
    )  # fmt: skip
    fits.PrimaryHDU(np.asarray(data, np.float32), header).writeto(path)
    return str(path)


def combine(folder, env, images, maps, **more):
    out = {"mosaicedset": "counts.fits", "expmosaicset": "exposure.fits", "ratemosaicset": "rate.fits"}
    arguments = {"imagesets": images, "exposuremaps": maps, "withexposure": True, **out, **more}
    run_task("emosaic", arguments, cwd=folder, env=env, out=io.StringIO())
    return [fits.open(folder / name)[0] for name in out.values()]


def test_rates_have_no_step_where_a_camera_ends(calibration_env, tmp_path):
    """A sky of one brightness, half of it seen by one camera only."""
    from pathlib import Path

    from daxa.xmm.ccf.calibration import Calibration

    cal = Calibration.from_environment(calibration_env, Path())
    area = {i: band_area(cal, i, "Medium", 500.0, 2000.0) for i in ("EMOS1", "EPN")}
    live = {"EMOS1": np.full((64, 64), 1000.0), "EPN": np.full((64, 64), 800.0)}
    live["EPN"][:, 32:] = 0
    rate = {"EPN": 0.02, "EMOS1": 0.02 * area["EMOS1"] / area["EPN"]}
    images = [write(tmp_path / f"{i}.fits", rate[i] * live[i], i) for i in live]
    maps = [write(tmp_path / f"{i}_map.fits", live[i], i) for i in live]
    counts, exposure, result = combine(tmp_path, calibration_env, images, maps, weighting="area")
    assert result.data == pytest.approx(np.full((64, 64), 0.02), rel=1e-4)
    assert counts.data.sum() == pytest.approx(sum((rate[i] * live[i]).sum() for i in live), rel=1e-5)
    assert result.header["EMSREF"] == "EPN"
    assert result.header["INSTRUME"] == "EPIC"
    assert "ONTIME01" not in result.header
    assert exposure.data[0, 0] == pytest.approx(800 + 1000 * area["EMOS1"] / area["EPN"], rel=1e-5)
    *_, plain = combine(tmp_path, calibration_env, images, maps)
    assert plain.data[0, 0] != pytest.approx(plain.data[0, 63], rel=0.1)


def test_areas_are_those_of_the_calibration(calibration_env):
    """The mean lies between the extremes of the band, and the pn has the largest."""
    from pathlib import Path

    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.response.area import effective_area

    cal = Calibration.from_environment(calibration_env, Path())
    energy = np.linspace(500, 2000, 200)
    for instrument, ccd in (("EMOS1", 1), ("EMOS2", 1), ("EPN", 4)):
        curve = effective_area(cal, instrument, energy, filter_name="Medium", ccd=ccd)
        assert curve.min() < band_area(cal, instrument, "Medium", 500, 2000) < curve.max()
    assert band_area(cal, "EPN", "Medium", 500, 2000) > 2 * band_area(cal, "EMOS1", "Medium", 500, 2000)
    narrow = effective_area(cal, "EPN", 1500.0, filter_name="Medium", ccd=4)
    assert band_area(cal, "EPN", "Medium", 1499, 1501) == pytest.approx(float(narrow), rel=1e-3)


def test_weights_need_the_band(calibration_env, tmp_path):
    image = write(tmp_path / "i.fits", np.ones((64, 64)), "EPN")
    unknown = tmp_path / "m.fits"
    write(unknown, np.ones((64, 64)), "EPN")
    fits.delval(unknown, "PIMIN")
    with pytest.raises(TaskError, match="exposure map 1: no keyword PIMIN"):
        combine(tmp_path, calibration_env, [image], [str(unknown)], weighting="area")


def test_images_too_far_apart_are_refused(tmp_path):
    places = ((10.0, -30.0), (60.0, 20.0))
    ones = np.ones((64, 64))
    paths = [write(tmp_path / f"{ra}.fits", ones, "EPN", ra=ra, CRVAL2=dec) for ra, dec in places]
    headers = [fits.getheader(p) for p in paths]
    with pytest.raises(TaskError, match="too far apart"):
        covering_header(headers)
