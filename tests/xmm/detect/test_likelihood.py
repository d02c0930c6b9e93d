"""Likelihoods against SciPy's distributions and against random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from daxa.xmm.detect import likelihood


def test_chance_of_counts_is_that_of_the_poisson_distribution():
    n, mean = np.meshgrid(np.arange(0, 60, 3), [0.01, 0.5, 3.0, 20.0])
    np.testing.assert_allclose(
        likelihood.log_chance(n, mean), stats.poisson.logsf(n - 1, mean), rtol=1e-9, atol=1e-12
    )


def test_chance_far_beyond_double_precision():
    """Where the probability itself is 0: next to the logarithm of the single term, which cannot exceed it."""
    for n, mean in ((2000, 1.0), (900, 5.0), (50_000, 100.0)):
        found = float(likelihood.log_chance(n, mean)[0])
        term = stats.poisson.logpmf(n, mean)
        assert term < found < term + 0.01
    far, near = likelihood.log_chance([250, 251], 2.0)
    assert near < far


def test_excess_over_counted_surroundings_is_binomial():
    n, around = np.meshgrid(np.arange(0, 30, 4), [0, 3, 40])
    expected = stats.binom.logsf(n - 1, n + around, 0.3)
    np.testing.assert_allclose(
        likelihood.log_chance_of_excess(n, around, 0.3), expected, rtol=1e-8, atol=1e-12
    )
    assert np.isfinite(likelihood.log_chance_of_excess(5000, 10, 0.01)[0])


def test_upper_gamma_in_the_tail():
    assert likelihood.log_upper(1.0, [1.0, 500.0, 900.0]).tolist() == pytest.approx([-1.0, -500.0, -900.0])
    direct = stats.gamma.logsf(600.0, 4.0)
    assert float(likelihood.log_upper(4.0, 600.0)[0]) == pytest.approx(direct, rel=1e-9)
    assert float(likelihood.log_upper(8.5, 2000.0)[0]) == pytest.approx(
        7.5 * np.log(2000) - 2000 - 9.549267, abs=0.01
    )


def test_false_alarms_are_as_rare_as_they_say():
    """Of many images, the combined likelihood exceeds L in no more than exp(-L) of all cases."""
    rng = np.random.default_rng(7)
    counts = rng.poisson(3.0, (5, 200_000))
    combined = likelihood.of_boxes(-likelihood.log_chance(counts, 3.0).sum(axis=0), 5)
    for least in (2.0, 4.0, 6.0):
        share = (combined > least).mean()
        assert 0.05 * np.exp(-least) < share < 1.05 * np.exp(-least) + 3 * np.sqrt(np.exp(-least) / 200_000)


def test_likelihood_of_a_fit():
    assert likelihood.of_fit(10.0, 2) == pytest.approx(10.0)
    assert likelihood.of_fit(-1.0, 3) == 0.0
    assert likelihood.of_fit(10.0, 6) < likelihood.of_fit(10.0, 4)
