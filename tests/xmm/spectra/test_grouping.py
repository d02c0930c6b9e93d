"""Groups of channels, and those of real pipelines."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.spectra.grouping import (
    columns_of,
    count_groups,
    join,
    quality_of,
    reaching,
    signal_to_noise,
)


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 40))
def test_groups_have_enough_counts_and_not_more_than_needed(counts, least):
    limits = count_groups(counts, least)
    sums = [sum(counts[a:b]) for a, b in pairwise(limits.tolist())]
    assert all(s >= least for s in sums)
    assert all(sum(counts[a : b - 1]) < least for a, b in pairwise(limits.tolist()))
    assert sum(counts[limits[-1] :]) < least


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 20))
def test_joined_groups_are_wide_enough_and_keep_limits(widths, least):
    limits = np.concatenate([[0], np.cumsum(widths)]).astype(int)
    joined = join(limits, lambda first, end: least)
    assert set(joined) <= set(limits.tolist())
    assert (joined[0], joined[-1]) == (limits[0], limits[-1])
    assert (np.diff(joined) >= least).all() or len(joined) == 2
    # No group but the first, which takes what is left, could do with less.
    for start, stop in pairwise(joined[1:].tolist()):
        inner = limits[(limits > start) & (limits < stop)]
        assert not len(inner) or stop - inner[0] < least


def test_columns():
    assert columns_of(7, np.array([1, 3]), 6).tolist() == [1, 1, -1, 1, -1, -1, 1]
    assert reaching(lambda a, b: b - a >= 1, 5).tolist() == [0, 2, 4]


def test_significance_of_net_counts():
    assert signal_to_noise(100, 400, 0.1) == pytest.approx(60 / np.sqrt(104))
    assert signal_to_noise(0, 0, 0.1) == 0


def test_quality_of_no_camera():
    with pytest.raises(KeyError):
        quality_of("RGS1")
