"""The search for bad pixels on made-up exposures, and joining lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, FLICKERING, FOUND, HOT, ONBOARD
from daxa.xmm.instruments.pn.badpixel_search import find_bad_pixels, psf_core_share
from daxa.xmm.instruments.pn.badpixels import BadPixel, BadPixelMap, badpix_columns, merge_bad_pixels
from daxa.xmm.instruments.pn.options import Badpixfind

SHARE = psf_core_share(6.0, 1.5, 4.13, 2)
EXPOSURE = 20_000.0


def events(rng, rate=2.5e-4, first_row=13):
    """A flat background of single pixels."""
    n = rng.poisson(rate * EXPOSURE * 64 * (201 - first_row))
    return [rng.integers(1, 65, n), rng.integers(first_row, 201, n), rng.uniform(0, EXPOSURE, n)]


def add(lists, x, y, time):
    n = len(time)
    return [np.concatenate(p) for p in zip(lists, [np.full(n, x), np.full(n, y), time], strict=True)]


def source(rng, lists, x, y, n, core=6.0):
    """A point source with a King profile."""
    r = core * np.sqrt((1 - rng.random(n) * 0.97) ** -2 - 1) / 4.13
    phi = rng.uniform(0, 2 * np.pi, n)
    px, py = np.rint(x + r * np.cos(phi)).astype(int), np.rint(y + r * np.sin(phi)).astype(int)
    on = (px >= 1) & (px <= 64) & (py >= 13) & (py <= 200)
    new = [px[on], py[on], rng.uniform(0, EXPOSURE, on.sum())]
    return [np.concatenate(p) for p in zip(lists, new, strict=True)]


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_found_in_background_and_sources(seed):
    rng = np.random.default_rng(seed)
    lists = events(rng)
    for n in (100, 1000, 5000, 40_000):
        lists = source(rng, lists, rng.uniform(5, 60), rng.uniform(20, 195), n)
    assert find_bad_pixels(*lists, EXPOSURE, SHARE) == []


@pytest.mark.parametrize("counts", [110, 400, 30_000])
def test_hot_pixels_are_found(counts):
    rng = np.random.default_rng(9)
    lists = events(rng)
    for x, y in ((9, 28), (39, 154), (39, 155), (64, 100), (1, 200)):
        lists = add(lists, x, y, rng.uniform(0, EXPOSURE, counts))
    assert find_bad_pixels(*lists, EXPOSURE, SHARE) == [
        BadPixel(1, 200, HOT, 1, FOUND),
        BadPixel(9, 28, HOT, 1, FOUND),
        BadPixel(39, 154, HOT, 2, FOUND),
        BadPixel(64, 100, HOT, 1, FOUND),
    ]


def test_weak_hot_pixel_beside_a_strong_one():
    rng = np.random.default_rng(10)
    lists = add(events(rng), 20, 50, rng.uniform(0, EXPOSURE, 5000))
    lists = add(lists, 21, 50, rng.uniform(0, EXPOSURE, 300))
    assert {(p.rawx, p.rawy) for p in find_bad_pixels(*lists, EXPOSURE, SHARE)} == {(20, 50), (21, 50)}


def test_flickering_pixel():
    rng = np.random.default_rng(11)
    lists = add(events(rng), 30, 80, rng.uniform(9000, 9100, 400))
    found = find_bad_pixels(*lists, EXPOSURE, SHARE)
    assert found == [BadPixel(30, 80, FLICKERING, 1, FOUND)]


def test_known_pixels_and_rates_below_the_threshold_are_left_out():
    rng = np.random.default_rng(12)
    lists = add(events(rng), 30, 80, rng.uniform(0, EXPOSURE, 400))
    lists = add(lists, 40, 80, rng.uniform(0, EXPOSURE, 70))
    known = np.zeros((200, 64), bool)
    known[79, 29] = True
    assert find_bad_pixels(*lists, EXPOSURE, SHARE, known=known) == []


def test_hot_column():
    rng = np.random.default_rng(13)
    lists = events(rng)
    n = 188 * 40
    new = [np.full(n, 25), rng.integers(13, 201, n), rng.uniform(0, EXPOSURE, n)]
    lists = [np.concatenate(p) for p in zip(lists, new, strict=True)]
    (column,) = find_bad_pixels(*lists, EXPOSURE, SHARE)
    assert (column.rawx, column.rawy, column.yextent, column.kind) == (25, 13, 188, HOT)


def test_no_events():
    assert find_bad_pixels([], [], [], EXPOSURE, SHARE) == []
    assert find_bad_pixels([1], [20], [1.0], 0.0, SHARE) == []


def test_precedence_splits_stretches():
    merged = merge_bad_pixels(
        [BadPixel(5, 10, HOT, 3, FOUND), BadPixel(5, 30, FLICKERING, 2, FOUND)],
        [BadPixel(5, 11, DEAD, 1, CALIBRATION), BadPixel(5, 31, HOT, 1, ONBOARD)],
    )
    assert merged == [
        BadPixel(5, 10, HOT, 1, FOUND),
        BadPixel(5, 11, DEAD, 1, CALIBRATION),
        BadPixel(5, 12, HOT, 1, FOUND),
        BadPixel(5, 30, FLICKERING, 1, FOUND),
        BadPixel(5, 31, HOT, 1, ONBOARD),
    ]


PIXELS = st.builds(
    BadPixel,
    st.integers(1, 3),
    st.integers(1, 200),
    st.sampled_from([HOT, FLICKERING, DEAD]),
    st.integers(1, 30),
    st.sampled_from([ONBOARD, CALIBRATION, FOUND]),
)


@given(st.lists(PIXELS, max_size=12))
def test_merging_covers_every_pixel_once(pixels):
    def cells(entries):
        return [(p.rawx, y) for p in entries for y in range(p.rawy, p.rawy + p.yextent) if y <= 200]

    merged = merge_bad_pixels(pixels)
    assert len(cells(merged)) == len(set(cells(merged)))
    assert set(cells(merged)) == set(cells(pixels))
    assert merge_bad_pixels(merged) == merged


def test_maps():
    maps = BadPixelMap.of([BadPixel(10, 50, HOT, 2, ONBOARD), BadPixel(64, 200, DEAD, 1, CALIBRATION)])
    assert maps.bad.sum() == 3
    assert maps.near_on_board[49, 8]
    assert maps.near_on_board[48, 9]
    assert not maps.near_on_board[48, 8]
    assert maps.near_dead[199, 62]
    assert maps.near_dead[198, 63]
    assert not maps.near_bright.any()


def test_columns():
    columns = badpix_columns([BadPixel(1, 2, HOT, 3, FOUND)])
    assert columns == {"RAWX": [1], "RAWY": [2], "TYPE": [1], "YEXTENT": [3], "BADFLAG": [3]}


def test_dead_pixels_and_columns():
    rng = np.random.default_rng(9)
    counts = rng.poisson(60, (64, 200))
    counts[20, 77] = 1
    counts[45] = rng.poisson(2, 200)
    # Dim, not dead.
    counts[50, 10] = 40
    x, y = (np.repeat(a.ravel(), counts.ravel()) for a in np.mgrid[1:65, 1:201])
    time = rng.uniform(0, 10_000, len(x))
    limits = Badpixfind(lothresh=5e-4, locolthresh=5e-4)
    found = find_bad_pixels(x, y, time, 10_000.0, 0.4, limits=limits)
    assert [(p.rawx, p.rawy, p.kind, p.yextent) for p in found] == [(21, 78, DEAD, 1), (46, 1, DEAD, 200)]
    assert find_bad_pixels(x, y, time, 10_000.0, 0.4) == []
    counted = Badpixfind(
        lothresh=5.0, locolthresh=5.0, hithresh=45.0, hicolthresh=10.5, thresholdlabel="counts"
    )
    assert find_bad_pixels(x, y, time, 10_000.0, 0.4, limits=counted) == found
