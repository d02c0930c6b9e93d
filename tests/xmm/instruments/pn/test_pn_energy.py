"""The energy scale on made-up tables: the laws undone, patterns shifted, out-of-time rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.instruments.pn.energy import EnergyScale, out_of_time_rows


def scale(**changes):
    rng = np.random.default_rng(2)
    values = {
        "adu_ev": 4.9,
        "gain": rng.normal(1, 0.01, 64),
        "loss": rng.normal(4e-4, 1e-5, 64),
        "offset": np.zeros(64),
        "reference_ev": 6000.0,
        "slope": -0.3,
        "ageing_ev": np.array([1500.0, 6000.0]),
        "ageing_start": np.array([6e-4, 4e-4]),
        "ageing_now": np.array([7e-4, 5.2e-4]),
        "shifts": {1: (np.array([1000.0, 6000.0]), np.array([3.0, 8.0]))},
    }
    return EnergyScale(**(values | changes))


@given(st.floats(300, 12_000), st.integers(1, 64), st.integers(1, 200))
def test_losses_are_undone(energy, rawx, rawy):
    s = scale()
    i = rawx - 1

    def aged(e):
        # The logarithm of what a row keeps is linear in that of the energy.
        kept = (1 - s.ageing_now) / (1 - s.ageing_start)
        share = np.clip(np.log(e / 1500.0) / np.log(6000.0 / 1500.0), 0, 1)
        return e / (kept[0] ** (1 - share) * kept[1] ** share) ** rawy

    def moved(e):
        return e / (1 - s.loss[i] * (e / s.reference_ev) ** s.slope) ** rawy

    low, high = 0.0, energy
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if aged(moved(middle)) < energy else (low, middle)
    amplitude = low / (s.adu_ev * s.gain[i])
    assert s.pixel_energy([amplitude], [rawx], [rawy])[0] == pytest.approx(energy, rel=1e-9)


def test_without_losses_the_energy_is_gain_times_amplitude():
    s = scale(loss=np.zeros(64), ageing_ev=np.empty(0))
    assert s.pixel_energy([100.0], [7], [150])[0] == pytest.approx(490 * s.gain[6])


def test_pattern_shift():
    s = scale()
    assert s.pattern_shift(np.array([0, 1, 1, 78]), [3500.0, 3500.0, 9000.0, 3500.0]) == pytest.approx(
        [0, 5.5, 8.0, 0]
    )


def test_no_pixel_below_the_amplitude_reaches_the_energy():
    s = scale()
    limit = s.amplitude_below(150.0, 0.5)
    assert 10 < limit < 35
    x, y = (a.ravel() for a in np.meshgrid(np.arange(1, 65), np.arange(1, 201)))
    assert s.pixel_energy(np.full(len(x), limit - 0.5), x, y).max() < 150.0


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_patterns_move_as_a_whole_inside_the_range(n, seed):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 5, n)
    label = np.repeat(np.arange(n), size)
    rawy = np.repeat(rng.integers(13, 195, n), size) + rng.integers(0, 3, len(label))
    main = np.concatenate([[0], np.cumsum(size)[:-1]])
    first, last = rawy.min(), rawy.max()
    new = out_of_time_rows(rawy, label, main, first, last, rng)
    assert new.min() >= first
    assert new.max() <= last
    assert np.array_equal(new - new[main][label], rawy - rawy[main][label])


def test_out_of_time_rows_are_uniform_and_repeatable():
    rawy = np.full(40_000, 190)
    args = rawy, np.arange(40_000), np.arange(40_000), 13, 200
    new = out_of_time_rows(*args, np.random.default_rng(5))
    seen = np.bincount(new - 13, minlength=188)
    assert len(seen) == 188
    assert np.sum((seen - 40_000 / 188) ** 2) / (40_000 / 188) < 188 + 5 * np.sqrt(2 * 188)
    assert np.array_equal(new, out_of_time_rows(*args, np.random.default_rng(5)))
