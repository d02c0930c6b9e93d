"""Light curves of lists, and times without flares."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from event_lists import acis_list
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.events import load
from daxa.events.lightcurves import clean, light_curve, long_rows, sigma_clip
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.task import run_task

for name in ("lightcurve", "flaretimes"):
    load(name)


def test_counts_and_exposure_of_bins():
    good = GTI([0, 100, 250], [60, 180, 260])
    curve = light_curve(np.array([10.0, 59, 70, 110, 120, 255]), good, 50)
    assert curve.start.tolist() == [0, 50, 100, 150, 200, 250]
    assert curve.counts.tolist() == [1, 1, 2, 0, 0, 1]
    assert curve.exposure.tolist() == [50, 10, 50, 30, 0, 10]
    assert curve.rate.tolist() == [0.02, 0.1, 0.04, 0, 0, 0.1]
    assert curve.error[2] == pytest.approx(np.sqrt(2) / 50)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 900), st.floats(0.5, 90)), min_size=1, max_size=8),
    st.lists(st.floats(-50, 1050), max_size=40),
    st.floats(5, 400),
)
def test_nothing_is_lost_in_bins(intervals, times, width):
    start = np.array([a for a, _ in intervals])
    good = GTI(start, start + [b for _, b in intervals])
    curve = light_curve(np.array(times), good, width)
    assert curve.counts.sum() == good.contains(np.array(times)).sum()
    assert curve.exposure.sum() == pytest.approx(good.total)
    assert (curve.exposure <= width * (1 + 1e-9)).all()


@pytest.mark.parametrize(("good", "width"), [(GTI(), 10), (GTI([0], [9]), 0), (GTI([0], [9]), np.nan)])
def test_no_light_curve(good, width):
    with pytest.raises(ValueError, match="expected good times and a bin length above 0 s"):
        light_curve(np.array([1.0]), good, width)


def test_sigma_clip_takes_out_flares_and_drops():
    generator = np.random.default_rng(4)
    rate = generator.poisson(200, 200) / 200.0
    rate[50:56] *= 3
    rate[120] = 0
    rate[150:152] *= 0.3
    keep = sigma_clip(rate)
    assert not keep[50:56].any()
    assert not keep[[120, 150, 151]].any()
    assert keep.sum() > 180
    # The flare is gone from mean and spread: what is left is Poisson's.
    assert rate[keep].std() == pytest.approx(np.sqrt(1 / 200), rel=0.2)


def test_short_rows_are_left_out():
    keep = sigma_clip(np.array([1, 1, 0, 1, 1, 1, 0, 1.0]))
    assert keep.tolist() == [False, False, False, True, True, True, False, False]
    assert long_rows(np.zeros(3, bool), 1).tolist() == [False] * 3
    assert not sigma_clip(np.zeros(5)).any()


def test_clean_keeps_what_is_near_the_quiet_mean():
    rate = np.array([1.0] * 30 + [8.0] * 12 + [0.5] * 3 + [1.15, 1.25, 0.0])
    keep = clean(rate, 200)
    assert keep[:30].all()
    assert keep[30:].tolist() == [False] * 15 + [True, False, False]
    assert not clean(np.zeros(4), 200).any()


def test_tasks(tmp_path):
    times = np.concatenate([np.arange(0.5, 3000), np.arange(600.05, 800, 0.1)])
    acis_list(tmp_path / "evt.fits", times, gtis={7: [(0.0, 3000.0)]}, OBS_ID="4935")
    run_task("lightcurve", {"table": "evt.fits", "timebinsize": 100}, cwd=tmp_path)
    run_task("flaretimes", {"rateset": "rates.fits"}, cwd=tmp_path)
    with fits.open(tmp_path / "gti.fits") as gti:
        assert gti["GTI"].data["START"].tolist() == [0, 800]
        assert gti["GTI"].data["STOP"].tolist() == [600, 3000]
        assert gti["GTI"].header["OBS_ID"] == "4935"
        assert gti["GTI"].header["MJDREF"] == 50814
    run_task("flaretimes", {"rateset": "rates.fits", "method": "clean", "gtifile": "c.fits"}, cwd=tmp_path)
    assert fits.getdata(tmp_path / "c.fits", "GTI")["STOP"].tolist() == [600, 3000]


def test_faults_of_tasks(tmp_path, capsys):
    acis_list(tmp_path / "evt.fits", [5.0, 1505.0], gtis={7: [(0.0, 3000.0)]})
    run_task("lightcurve", {"table": "evt.fits"}, cwd=tmp_path)
    with pytest.raises(TaskError, match="none of 15 bins is without flares"):
        run_task("flaretimes", {"rateset": "rates.fits"}, cwd=tmp_path)
    run_task("flaretimes", {"rateset": "rates.fits", "minlength": 1}, cwd=tmp_path)
    assert "warning (emptyBins), 13 of 15 bins have no event" in capsys.readouterr().err
    with pytest.raises(TaskError, match="2 of 15 bins are left, less than minfrac=0.5"):
        run_task("flaretimes", {"rateset": "rates.fits", "method": "clean", "minfrac": 0.5}, cwd=tmp_path)
    with pytest.raises(TaskError, match=r"evt\.fits.*no extension LIGHTCURVE"):
        run_task("flaretimes", {"rateset": "evt.fits"}, cwd=tmp_path)
    acis_list(tmp_path / "bare.fits", [5.0], gtis={7: []})
    with pytest.raises(TaskError, match=r"bare\.fits: .*expected good times"):
        run_task("lightcurve", {"table": "bare.fits"}, cwd=tmp_path)
