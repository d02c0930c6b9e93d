"""Background maps against the background that was simulated."""

from __future__ import annotations

import numpy as np
import pytest
from detect_fields import make

from daxa.xmm.detect.background import (
    model_background,
    smooth_background,
    spline_background,
    without_sources,
)


def test_circles_are_cut_out():
    good = np.ones((20, 30), bool)
    kept = without_sources(good, [5.0, 29.5], [4.0, 19.0], [2.0, 3.0])
    rows, columns = np.indices(good.shape)
    expected = (np.hypot(columns - 5, rows - 4) > 2) & (np.hypot(columns - 29.5, rows - 19) > 3)
    np.testing.assert_array_equal(kept, expected)
    assert good.all()


def test_background_beneath_sources(made):
    x, y = [s[0] for s in made.sources], [s[1] for s in made.sources]
    for image, true in zip(made.field.images, made.backgrounds, strict=True):
        good = without_sources(image.good, x, y, np.full(len(x), 15.0))
        found, chi2, freedom = spline_background(image.counts, image.exposure, good)
        # The counts outside the circles scatter, and hold the wings of the sources.
        chance = image.counts[good].sum() / true[good].sum()
        assert chance == pytest.approx(1.0, abs=0.1)
        assert found[image.good].sum() == pytest.approx(chance * true[image.good].sum(), rel=0.03)
        core = np.hypot(*np.meshgrid(np.arange(160) - 80, np.arange(150) - 75)) < 50
        # The plainest cubic surface has 16 parameters, which share the counts.
        scatter = np.sqrt(16 / image.counts[good].sum())
        assert np.median(np.abs(found / np.maximum(true, 1e-9) - 1)[core]) < scatter
        assert 0.4 < chi2 / freedom < 3


def test_a_bright_cell_is_left_out():
    image = make([(60.0, 60.0, 0.3)], seed=2).field.images[2]
    found, _, _ = spline_background(image.counts, image.exposure, image.good)
    assert found[75, 80] == pytest.approx(0.15, rel=0.35)


def test_few_counts_give_a_constant_rate():
    exposure = np.full((40, 40), 100.0)
    counts = np.zeros((40, 40))
    found, _, freedom = spline_background(counts, exposure, exposure > 0)
    assert freedom == 0
    assert (found == 0).all()


def test_no_exposure_is_refused():
    with pytest.raises(ValueError, match="no pixel without sources is exposed"):
        spline_background(np.ones((5, 5)), np.zeros((5, 5)), np.ones((5, 5), bool))


def test_the_surface_never_reaches_zero():
    """Where nothing was expected, every count would be a source."""
    image = make([], seed=9).field.images[1]
    found, _, _ = spline_background(image.counts, image.exposure, image.good)
    assert (found[image.good] > 0).all()


def test_smoothed_background(made):
    x, y = [s[0] for s in made.sources], [s[1] for s in made.sources]
    core = np.hypot(*np.meshgrid(np.arange(160) - 80, np.arange(150) - 75)) < 50
    for image, true in zip(made.field.images, made.backgrounds, strict=True):
        good = without_sources(image.good, x, y, np.full(len(x), 12.0))
        found = smooth_background(image.counts, image.exposure, good, snr=15.0)
        # Wings of the sources beyond the circles, and edges, where the middle of the Gaussian is deeper.
        assert found[image.good].sum() == pytest.approx(true[image.good].sum(), rel=0.1)
        # 15 sigma are 7 %; the wings of the sources come on top.
        assert np.median(np.abs(found / np.maximum(true, 1e-9) - 1)[core]) < 0.12


def test_two_components_are_told_apart():
    rng = np.random.default_rng(6)
    radius = np.hypot(*np.meshgrid(np.arange(200) - 100, np.arange(200) - 100))
    plain = np.where(radius < 95, 20_000.0, 0.0)
    vignetted = plain * np.exp(-((radius / 70) ** 2))
    counts = rng.poisson(3e-6 * vignetted + 5e-6 * plain).astype(float)
    counts[90:110, 40:60] += 3
    found, rates, chi2, freedom = model_background(counts, vignetted, plain, plain > 0)
    assert rates == pytest.approx((3e-6, 5e-6), rel=0.25)
    assert found.sum() == pytest.approx((3e-6 * vignetted + 5e-6 * plain).sum(), rel=0.05)
    assert chi2 / freedom < 1.5
    with pytest.raises(ValueError, match="no pixel without sources"):
        model_background(counts, vignetted, plain, np.zeros((200, 200), bool))


def test_a_source_that_fills_most_of_the_field_is_left_out():
    """A cluster of more counts than the background has."""
    rng = np.random.default_rng(8)
    radius = np.hypot(*np.meshgrid(np.arange(200) - 100, np.arange(200) - 100))
    plain = np.where(radius < 95, 20_000.0, 0.0)
    vignetted = plain * np.exp(-((radius / 70) ** 2))
    true = 3e-6 * vignetted + 5e-6 * plain
    cluster = 1000e-6 * vignetted * (1 + (radius / 8) ** 2) ** -1.5
    assert cluster.sum() > 1.2 * true.sum()
    counts = rng.poisson(true + cluster).astype(float)
    found, _, _, _ = model_background(counts, vignetted, plain, plain > 0, runs=10)
    # Its outskirts, fainter than the scatter of a cell, remain.
    assert found.sum() == pytest.approx(true.sum(), rel=0.25)
    # Smoothed maps follow it.
    smoothed = smooth_background(counts, plain, plain > 0)
    assert smoothed[radius < 95].sum() > 3 * true.sum()


def test_few_counts_do_not_bias_the_model():
    rng = np.random.default_rng(9)
    radius = np.hypot(*np.meshgrid(np.arange(200) - 100, np.arange(200) - 100))
    plain = np.where(radius < 95, 20_000.0, 0.0)
    vignetted = plain * np.exp(-((radius / 70) ** 2))
    true = 0.6e-6 * vignetted + 0.6e-6 * plain
    ratios = [
        model_background(rng.poisson(true).astype(float), vignetted, plain, plain > 0, runs=10)[0].sum()
        / true.sum()
        for _ in range(10)
    ]
    # Each has some 500 counts.
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.03)


def test_streaks_that_are_known_are_in_the_map_and_not_in_the_fit():
    rng = np.random.default_rng(10)
    radius = np.hypot(*np.meshgrid(np.arange(200) - 100, np.arange(200) - 100))
    plain = np.where(radius < 95, 20_000.0, 0.0)
    vignetted = plain * np.exp(-((radius / 70) ** 2))
    true = 3e-6 * vignetted + 5e-6 * plain
    streaks = np.zeros((200, 200))
    streaks[:, 140:143] = 0.8
    streaks *= plain > 0
    counts = rng.poisson(true + streaks).astype(float)
    found, rates, _, _ = model_background(counts, vignetted, plain, plain > 0, known=streaks, runs=10)
    assert rates[0] * vignetted.sum() + rates[1] * plain.sum() == pytest.approx(true.sum(), rel=0.04)
    np.testing.assert_allclose(found - streaks, rates[0] * vignetted + rates[1] * plain, atol=1e-12)
    assert counts[:, 140:143].sum() == pytest.approx(found[:, 140:143].sum(), rel=0.1)
