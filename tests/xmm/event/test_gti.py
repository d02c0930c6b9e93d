"""Interval algebra against a slow reference on a grid."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.event.gti import GTI

# Edges on whole numbers: membership of the half-way points then says everything.
EDGE = st.integers(0, 30)
SPANS = st.lists(st.tuples(EDGE, EDGE), max_size=8)
GRID = np.arange(-1, 32) + 0.5


def gti(spans: list[tuple[int, int]]) -> GTI:
    return GTI([s for s, _ in spans], [e for _, e in spans])


def cover(spans: list[tuple[int, int]]) -> set[float]:
    """Points of the grid inside any span, one by one."""
    return {t for t in GRID.tolist() if any(s <= t < e for s, e in spans)}


def points(value: GTI) -> set[float]:
    return {t for t in GRID.tolist() if any(a <= t < b for a, b in zip(value.start, value.stop, strict=True))}


def well_formed(value: GTI) -> bool:
    return bool(np.all(value.stop > value.start) and np.all(value.start[1:] > value.stop[:-1]))


@given(SPANS, SPANS)
def test_set_operations_agree_with_a_point_by_point_reference(a, b):
    x, y = gti(a), gti(b)
    for result, expected in (
        (x, cover(a)),
        (x | y, cover(a) | cover(b)),
        (x & y, cover(a) & cover(b)),
        (x - y, cover(a) - cover(b)),
        (GTI.union([x, y]), cover(a) | cover(b)),
    ):
        assert well_formed(result)
        assert points(result) == expected
        assert result.total == pytest.approx(len(expected))


@given(SPANS, EDGE, EDGE)
def test_complement_is_everything_else_inside_the_limits(a, low, high):
    result = gti(a).complement(low, high)
    assert well_formed(result)
    assert points(result) == cover([(low, high)]) - cover(a)


@given(SPANS, st.lists(st.floats(-5, 40), max_size=20))
def test_contains_agrees_with_each_interval_tried_in_turn(a, times):
    x = gti(a)
    expected = [any(s <= t < e for s, e in a) for t in times]
    assert x.contains(times).tolist() == expected


@given(SPANS)
def test_many_times_in_order_are_judged_as_the_same_in_disorder(a):
    x = gti(a)
    times = np.arange(-2.0, 33.0, 0.125)
    upside_down = times[::-1]
    assert x.contains(times).tolist() == x.contains(upside_down)[::-1].tolist()
    for length in (0.125, 1.0, 3.0):
        for tolerance in (0.0, 0.01):
            judged = x.covers(times, times + length, tolerance)
            assert judged.tolist() == x.covers(upside_down, upside_down + length, tolerance)[::-1].tolist()
            expected = [
                any(
                    s <= t + tolerance and t + length - tolerance <= e
                    for s, e in zip(x.start, x.stop, strict=True)
                )
                for t in times
            ]
            assert judged.tolist() == expected


@given(SPANS, SPANS, SPANS)
def test_laws(a, b, c):
    x, y, z = gti(a), gti(b), gti(c)
    assert x & (y | z) == (x & y) | (x & z)
    assert x - (y & z) == (x - y) | (x - z)
    assert (x | y).total == pytest.approx(x.total + y.total - (x & y).total)


def test_complement_without_limits():
    x = GTI([1.0], [2.0]).complement(-math.inf, math.inf)
    assert x.start.tolist() == [-math.inf, 2.0]
    assert x.stop.tolist() == [1.0, math.inf]
    assert (x & GTI([0.0], [3.0])).total == 2.0
    assert x.complement(-math.inf, math.inf) == GTI([1.0], [2.0])


def test_bad_intervals_are_refused():
    with pytest.raises(ValueError, match="one length"):
        GTI([1.0], [2.0, 3.0])
    with pytest.raises(ValueError, match="NaN"):
        GTI([math.nan], [2.0])


def test_table_round_trip(tmp_path: Path):
    x = GTI([1.25, 7.5], [3.0, 9.75])
    fits.HDUList([fits.PrimaryHDU(), x.to_hdu("STDGTI03")]).writeto(tmp_path / "gti.fits")
    assert GTI.read(tmp_path / "gti.fits") == x
    assert GTI.read(tmp_path / "gti.fits", "STDGTI03") == x
    header = fits.getheader(tmp_path / "gti.fits", 1)
    assert header["ONTIME"] == x.total
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "none.fits")
    with pytest.raises(KeyError, match="START"):
        GTI.read(tmp_path / "none.fits")
