"""King profiles: shares, radii and pixels against numbers and sums made otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from daxa.xmm.response.psf import WHOLE_ARCSEC, King, PointSpread

cores, slopes = st.floats(2.0, 12.0), st.floats(1.2, 2.5)


@settings(deadline=None, max_examples=30)
@given(cores, slopes, st.floats(1.0, 300.0))
def test_share_is_the_integral_of_the_brightness(core, slope, radius):
    king = King(core, slope)
    share, _ = quad(lambda r: 2 * np.pi * r * float(king.brightness(r * r)), 0.0, radius, limit=200)
    assert float(king.enclosed(radius)) == pytest.approx(share, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(cores, slopes, st.floats(0.05, 0.98))
def test_radius_of_a_share(core, slope, share):
    king = King(core, slope)
    assert float(king.enclosed(king.radius(share))) == pytest.approx(share, rel=1e-9)


def test_pixels_add_up_wherever_the_source_lies():
    king = King(5.0, 1.6)
    y, x = np.mgrid[-80:81, -80:81] * 4.0
    for dx, dy in ((0.0, 0.0), (1.7, -0.6)):
        inside = np.hypot(x - dx, y - dy) < WHOLE_ARCSEC
        assert king.on_pixels(x - dx, y - dy, 4.0)[inside].sum() == pytest.approx(1.0, abs=2e-3)


def test_profiles_between_the_rows_of_the_table():
    energies, angles = np.array([1000.0, 3000.0]), np.array([0.0, 10.0])
    spread = PointSpread(energies, angles, np.array([[6.0, 8.0], [4.0, 6.0]]), np.full((2, 2), 1.5))
    assert spread.king(2000.0, 5.0).core_arcsec == pytest.approx(6.0)
    # Beyond the table its ends hold.
    assert spread.king(9000.0, 20.0) == spread.king(3000.0, 10.0)


def test_one_row_says_the_same_everywhere():
    spread = PointSpread(np.array([1500.0]), np.array([0.0]), np.array([[6.2]]), np.array([[1.5]]))
    assert spread.king(200.0, 14.0) == King(6.2, 1.5)


def test_the_synthetic_calibration_has_the_profiles_of_the_simulator(simulated):
    from daxa.simulate.optics import king_parameters
    from daxa.xmm.ccf.calibration import Calibration

    cal = Calibration.for_observation([str(simulated.ccf)], "2016-11-13T03:26:00")
    for code, instrument in (("M1", "EMOS1"), ("M2", "EMOS2"), ("PN", "EPN")):
        spread = PointSpread.from_calibration(cal, instrument)
        for energy, theta in ((300.0, 0.0), (1500.0, 6.0), (7000.0, 11.0)):
            core, slope = king_parameters(code, energy, theta)
            king = spread.king(energy, theta)
            assert king.core_arcsec == pytest.approx(float(core), rel=0.02)
            assert king.slope == pytest.approx(float(slope), rel=0.02)
