"""Corrected rates beside a curve of SAS, and the mean ratio of areas."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.timing.curves import Background, axis_factor, corrected_columns, live_share


def test_rates_of_sas_are_events_over_what_was_live(shared_data: Path):
    table = fits.getdata(shared_data / "epic_pn_0124710801/P0124710801PNS001FBKTSR0000.FTZ", "RATE")
    rate, error, live = (np.array(table[n], float) for n in ("RATE", "ERROR", "FRACEXP"))
    counts = np.rint((rate / error) ** 2)
    ours = corrected_columns(counts, np.sqrt(counts), 10.0, live)
    assert len(counts) == 2375
    np.testing.assert_allclose(ours["RATE"], rate, rtol=1e-6)
    np.testing.assert_allclose(ours["ERROR"], error, rtol=1e-6)


def test_a_background_is_scaled_and_taken_away():
    counts, live = np.array([10.0, 10.0, 10.0]), np.array([1.0, 0.5, 0.0])
    beside = Background(np.array([8.0, 8.0, 8.0]), np.sqrt([8.0] * 3), np.array([1.0, 1.0, 1.0]), 0.25)
    found = corrected_columns(counts, np.sqrt(counts), 2.0, live, beside, factor=3.0)
    np.testing.assert_allclose(found["BACKV"], 3.0)
    np.testing.assert_allclose(found["RATE"], [12.0, 27.0, np.nan])
    np.testing.assert_allclose(found["ERROR"][0], 1.5 * np.sqrt(10 + 8 / 16))
    assert found["FRACEXP"].tolist() == live.tolist()


def test_a_ccd_that_is_off_counts_by_its_light():
    rng = np.random.default_rng(3)
    live = {1: np.full(4000, 0.9), 2: np.where(np.arange(4000) % 2, 0.0, 0.8)}
    counts = rng.poisson(100 * (0.7 * live[1] + 0.3 * live[2])).astype(float)
    found = corrected_columns(counts, np.sqrt(counts), 1.0, live_share({1: 0.7, 2: 0.3}, live))
    for half in (0, 1):
        assert np.mean(found["RATE"][half::2]) == pytest.approx(100, abs=1)


def test_each_event_stands_for_what_the_axis_sees_at_its_energy():
    seen, axis = np.array([500.0, 300.0, 0.0]), np.array([1000.0, 900.0, 10.0])
    assert axis_factor(np.array([5.0, 3.0, 1.0]), seen, axis) == pytest.approx((5 * 2 + 3 * 3) / 8)
    assert np.isnan(axis_factor(np.zeros(3), seen, axis))
