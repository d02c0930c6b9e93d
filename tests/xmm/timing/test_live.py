"""Live times of bins beside sums over frames."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daxa.xmm.event.gti import GTI
from daxa.xmm.select.exposures import Frames
from daxa.xmm.timing.live import live_seconds_of_bins


def frames(number=100, cycle=2.7, length=2.6, fraction=0.9):
    times = 50.0 + cycle * (0.5 + np.arange(number))
    return Frames(times, np.full(number, length), np.full(number, fraction), "EMOS1")


def test_all_of_the_live_time_is_in_the_bins():
    found = live_seconds_of_bins(np.arange(0.0, 401.0, 10.0), GTI([0.0], [400.0]), frames())
    assert found.sum() == pytest.approx(100 * 2.6 * 0.9)
    np.testing.assert_allclose(found[6:30], 10 * 2.6 * 0.9 / 2.7, rtol=1e-6)
    assert found[:5].tolist() == [0] * 5


def test_lost_frames_are_not_live():
    all_of_them = frames()
    some = np.r_[0:40, 60:100]
    kept = Frames(all_of_them.time_s[some], all_of_them.length_s[some], all_of_them.fraction[some], "EMOS1")
    found = live_seconds_of_bins(np.array([0.0, 160.0, 210.0, 400.0]), GTI([0.0], [400.0]), kept)
    np.testing.assert_allclose(found, [40 * 2.34, 0, 40 * 2.34], atol=1e-9)


def test_without_frames_good_time_is_live():
    found = live_seconds_of_bins(np.array([0.0, 1.0, 4.0]), GTI([0.5, 3.0], [2.0, 9.0]), None)
    assert found.tolist() == [0.5, 2.0]
    assert live_seconds_of_bins(np.array([0.0, 1.0]), GTI(), frames()).tolist() == [0.0]


@settings(deadline=None, max_examples=30)
@example([0.0, 399.99999999999994], 1.0)
@given(st.lists(st.floats(0, 400), min_size=2, max_size=12), st.floats(1, 60))
def test_bins_add_up(cuts, width):
    good = GTI(sorted(cuts)[:-1:2], sorted(cuts)[1::2])
    edges = np.arange(0.0, 400.0 + width, width)
    fine = live_seconds_of_bins(edges, good, frames())
    whole = live_seconds_of_bins(edges[[0, -1]], good, frames())
    assert fine.sum() == pytest.approx(whole[0], abs=1e-6)
    assert (fine >= -1e-9).all()
    assert (fine <= width + 1e-6).all()
