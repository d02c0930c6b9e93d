import numpy as np
import pytest
from scipy.stats import poisson

from daxa.xmm.statistics import poisson_at_least, poisson_at_most


def test_tails_are_those_of_the_poisson_distribution():
    counts, expected = np.meshgrid([0, 1, 2, 5, 5.5, 40, 1000], [0.0, 1e-3, 0.5, 4.0, 60.0, 900.0])
    assert np.allclose(
        poisson_at_least(counts, expected), poisson.sf(counts - 1, expected), rtol=1e-9, atol=0
    )
    assert poisson_at_most(counts, expected) == pytest.approx(poisson.cdf(counts, expected), rel=1e-9, abs=0)


def test_nothing_is_always_reached_and_less_never():
    assert np.array_equal(poisson_at_least([0, -3], [0.0, 2.0]), [1.0, 1.0])
    assert np.array_equal(poisson_at_most([-1, 0], [2.0, 0.0]), [0.0, 1.0])
