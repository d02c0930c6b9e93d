"""Fits against the truth of made-up fields."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detect_fields import IMAGES, SPREAD, make
from scipy.optimize import minimize_scalar

from daxa.xmm.detect.extended import extended_profile
from daxa.xmm.detect.fit import FitOptions, _Others, best_rates, fit_sources, model_maps

OPTIONS = FitOptions(least=10.0, cut=15.0)
SHARES = np.array([share for _, share in IMAGES.values()])


def test_best_rates_are_those_of_a_search():
    rng = np.random.default_rng(3)
    shape = rng.uniform(0.1, 5.0, (4, 60))
    background = rng.uniform(0.01, 1.0, (4, 60))
    true = np.array([0.0, 0.3, 2.0, 40.0])
    counts = rng.poisson(background + true[:, None] * shape).astype(float)
    rates, gains = best_rates(counts, background, shape)
    for k in range(4):

        def loss(r, k=k):
            model = background[k] + r * shape[k]
            return (model - counts[k] * np.log(model)).sum()

        best = minimize_scalar(loss, bounds=(0.0, 100.0), method="bounded", options={"xatol": 1e-9})
        assert rates[k] == pytest.approx(best.x, abs=1e-4)
        assert gains[k] == pytest.approx(max(loss(0.0) - best.fun, 0.0), abs=1e-6)


def test_sources_are_where_and_as_bright_as_they_are(made):
    found = fit_sources(made.field, [(round(x), round(y)) for x, y, _ in made.sources], OPTIONS)
    assert len(found) == len(made.sources)
    for source, (x, y, rate) in zip(found, made.sources, strict=True):
        assert abs(source.x - x) < 4 * source.x_error
        assert abs(source.y - y) < 4 * source.y_error
        total, error = source.rate.sum(), np.sqrt((source.rate_error**2).sum())
        assert abs(total - rate * SHARES.sum()) < 3.5 * error
        assert source.extent == 0


def test_pulls_have_unit_width():
    """Errors of places and rates are those of the scatter, over many realisations."""
    pulls = []
    for seed in range(30):
        true = (60.4, 70.7, 0.02)
        (source,) = fit_sources(
            make([true], seed=100 + seed, with_background=True).field, [(60, 71)], OPTIONS
        )
        error = np.sqrt((source.rate_error**2).sum())
        pulls.append(
            [
                (source.x - true[0]) / source.x_error,
                (source.y - true[1]) / source.y_error,
                (source.rate.sum() - true[2] * SHARES.sum()) / error,
            ]
        )
    pulls = np.array(pulls)
    assert np.abs(pulls.mean(axis=0)).max() < 0.6
    assert (pulls.std(axis=0) > 0.7).all()
    assert (pulls.std(axis=0) < 1.35).all()


def test_an_extended_source_and_its_size():
    made = make([(110.0, 100.0, 0.02)], extended=(60.0, 70.0, 0.2, 6.0), with_background=True)
    options = FitOptions(least=10.0, cut=15.0, with_extent=True)
    cluster, point = fit_sources(made.field, [(60, 70), (110, 100)], options)
    # The made-up one was not smeared by the telescope, which the fit takes into account.
    assert 4.0 < cluster.extent < 6.5
    assert cluster.extent_likelihood > 50
    assert cluster.rate.sum() == pytest.approx(0.2 * SHARES.sum(), rel=0.12)
    assert point.extent == 0


def test_neighbours_do_not_count_twice():
    true = [(70.0, 70.0, 0.05), (74.5, 70.0, 0.02)]
    found = fit_sources(make(true, seed=4, with_background=True).field, [(70, 70), (74, 70)], OPTIONS)
    assert len(found) == 2
    for source, (_, _, rate) in zip(found, true, strict=True):
        assert source.rate.sum() == pytest.approx(rate * SHARES.sum(), rel=0.2)
    # A second place on the same source is none.
    assert len(fit_sources(make(true[:1], with_background=True).field, [(70, 70), (72, 71)], OPTIONS)) == 1


def test_what_is_not_likely_is_left_out():
    empty = make([], seed=8, with_background=True).field
    places = [(x, y) for x in range(30, 130, 20) for y in range(30, 120, 20)]
    assert len(fit_sources(empty, places, OPTIONS)) <= 1


def test_models_hold_the_counts_of_the_sources(made):
    sources = fit_sources(made.field, [(round(x), round(y)) for x, y, _ in made.sources], OPTIONS)
    for image, model in zip(made.field.images, model_maps(made.field, sources), strict=True):
        seen = image.exposure > 0
        assert model[seen].sum() == pytest.approx(image.counts[seen].sum(), rel=0.1)


def test_profiles_of_extended_sources_add_up_to_one():
    y, x = np.mgrid[-200:201, -200:201] * 4.0
    assert extended_profile(x, y, 4.0, 3.0, "gaussian").sum() == pytest.approx(1.0, abs=1e-3)
    # The beta profile falls slowly: 1 - 1 / sqrt(1 + (R / rc)^2) within R.
    inside = np.hypot(x, y) < 780.0
    expected = 1 - 1 / np.sqrt(1 + (780.0 / 12.0) ** 2)
    assert extended_profile(x, y, 4.0, 3.0, "beta")[inside].sum() == pytest.approx(expected, abs=2e-3)


def test_a_place_without_exposure_gives_nothing(made):
    assert fit_sources(made.field, [(2, 2)], OPTIONS) == []
    assert SPREAD.king(1000.0, 0.0).core_arcsec == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize(("there", "expected"), [(2.0, 2.0), (0.5, 1.0), (9.0, 3.0)])
def test_models_of_extended_sources_are_raised_where_more_is_seen(made, there, expected):
    """No profile is that of the model: what is left of a bright cluster is no other source."""
    field = make([], with_background=True).field
    others = _Others.of(field)
    rng = np.random.default_rng(12)
    images = []
    for image, every, extended in zip(field.images, others.all, others.extended, strict=True):
        extended += 3 * image.background
        every += extended
        counts = rng.poisson(image.background + there * extended).astype(float)
        images.append(replace(image, counts=counts))
    box = (slice(60, 90), slice(70, 100))
    found = others.about(replace(field, images=images), 85.0, 75.0, box)
    for image, model in zip(images, found, strict=True):
        assert model.sum() == pytest.approx((1 + 3 * expected) * image.background[box].sum(), rel=0.05)
