"""Where a source and its background are taken from."""

import numpy as np
import pytest

from daxa.xmm.spectra.extraction import background_of, neighbours_within


def everywhere(dx, dy):
    return np.ones(dx.shape, int)


def strip(dx, dy):
    """A CCD 240 arcsec wide, another beside it, and nothing below the source."""
    return np.where(dy < -30, 0, np.where(np.abs(dx) < 120, 4, 5))


def test_a_lone_source_has_an_annulus_of_at_least_three_times_its_area():
    found = background_of(30.0, [], everywhere)
    assert (found.style, found.inner, found.outer) == ("annulus", 45.0, 75.0)
    assert found.share == pytest.approx((75**2 - 45**2) / 30**2, rel=0.02)
    assert len(found.cut) == 0


def test_neighbours_are_cut_out_and_the_annulus_grows_for_them():
    others = [[60.0, 0.0, 40.0], [-60.0, 0.0, 40.0], [0.0, 62.0, 40.0], [0.0, -62.0, 40.0], [900.0, 0, 40]]
    found = background_of(30.0, others, everywhere)
    assert found.outer > 75.0
    assert found.cut[:, :2].tolist() == [row[:2] for row in others[:4]]
    assert found.share >= 3


def test_the_source_itself_is_no_neighbour():
    assert background_of(30.0, [[2.0, 1.0, 60.0]], everywhere).cut.tolist() == []
    assert len(neighbours_within([[2.0, 1.0, 60.0]], 30.0)) == 0


def test_near_neighbours_share_the_way_between():
    ((_, _, radius),) = neighbours_within([[0.0, 30.0, 40.0]], 40.0)
    assert radius == 15.0


def test_a_point_in_a_cluster_is_not_swallowed_by_it():
    assert len(neighbours_within([[50.0, 0.0, 180.0]], 20.0)) == 0


def test_a_bright_source_has_a_circle_of_its_own_ccd():
    found = background_of(30.0, [], strip, bright=True)
    assert found.style == "ccd"
    assert found.inner == 0
    assert found.outer == pytest.approx(45.0)
    # All of it on CCD 4, clear of the source.
    assert abs(found.dx) + found.outer <= 121
    assert found.dy - found.outer >= -31
    assert np.hypot(found.dx, found.dy) - found.outer >= 2 * 30 - 1


def test_a_circle_keeps_clear_of_the_streak_and_of_sources():
    others = [[80.0, 200.0, 40.0]]

    def streak(dx, dy):
        return np.abs(dx) < 20

    found = background_of(20.0, others, strip, style="ccd", streak_at=streak)
    assert abs(found.dx) - found.outer >= 19
    assert np.hypot(found.dx - 80, found.dy - 200) >= 40 + found.outer - 1


def test_at_the_edge_what_is_larger_is_taken():
    def sliver(dx, dy):
        """Seen are the source, and what lies far above it."""
        return np.where((np.hypot(dx, dy) < 35) | (dy > 200), 3, 0)

    found = background_of(30.0, [], sliver)
    assert found.style == "ccd"
    assert found.dy > 200
    assert background_of(30.0, [], sliver, style="annulus") is None


def test_nothing_seen_is_no_background():
    assert background_of(30.0, [], lambda dx, dy: np.zeros(dx.shape, int)) is None
