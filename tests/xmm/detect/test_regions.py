"""Circles about sources."""

from __future__ import annotations

import numpy as np
import pytest

from daxa.xmm.detect.regions import LIMITS_ARCSEC, ds9_lines, radii_arcsec
from daxa.xmm.response.psf import King


def test_a_source_is_as_bright_as_the_background_at_its_radius():
    king = King(6.5, 1.5)
    radius = 32.0
    ground = 400 * float(king.brightness(radius**2))
    share = float(king.enclosed(60.0))
    assert radii_arcsec(400.0, ground, 0.0, share, 60.0)[0] == pytest.approx(radius, abs=0.6)


def test_a_wider_profile_gives_a_larger_circle():
    shares = [King(core, 1.5).enclosed(60.0) for core in (4.0, 8.0)]
    narrow, wide = radii_arcsec(300.0, 0.01, 0.0, shares, 60.0)
    assert LIMITS_ARCSEC[0] < narrow < wide < LIMITS_ARCSEC[1]


def test_extended_sources_and_those_of_unknown_profile():
    radii = radii_arcsec([50.0, 50.0], 0.01, [40.0, 0.0], [0.9, np.nan], 60.0)
    assert radii.tolist() == [120.0, 15.0]
    assert len(radii_arcsec([], [], [], [], [])) == 0


def test_lines_of_points_and_extended_sources():
    two = np.array([149.5, 149.6]), np.array([-11.0, -11.1]), np.array([20.0, 90.0]), np.array([False, True])
    lines = ds9_lines(*two, labels=np.array([1, 7]))
    assert lines[1:] == [
        "fk5",
        'circle(149.500000,-11.000000,20.0") # color=red text={1}',
        'circle(149.600000,-11.100000,90.0") # color=green text={7}',
    ]
