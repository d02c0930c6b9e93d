"""Bad pixels: searching, merging, the known ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import primary_hdu, write_hdus
from daxa.xmm.fits.schema import make_table
from daxa.xmm.formats.eventlist import BADPIX_COLUMNS
from daxa.xmm.instruments.badpixels import (
    CALIBRATION,
    DEAD,
    FLICKERING,
    FOUND,
    HOT,
    ONBOARD,
    kinds_of_types,
)
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos.badpixel_search import chance_above, chance_below, find, li_ma
from daxa.xmm.instruments.mos.files import read_badpix
from daxa.xmm.instruments.mos.options import Embadpixfind


@given(on=st.integers(0, 40), off=st.integers(0, 400), n=st.integers(1, 30))
def test_probabilities_are_those_of_the_binomial(on, off, n):
    share = 1.0 / (n + 1)
    assert chance_above(on, off, share) == pytest.approx(
        binom.sf(on - 1, on + off, share), rel=1e-6, abs=1e-300
    )
    assert chance_below(on, off, share) == pytest.approx(binom.cdf(on, on + off, share), rel=1e-6, abs=1e-300)


def test_li_ma_against_the_published_formula():
    on, off, n = 20.0, 100.0, 24.0
    alpha = 1 / n
    first = on * np.log((1 + alpha) / alpha * on / (on + off))
    second = off * np.log((1 + alpha) * off / (on + off))
    assert li_ma(on, off, n) == pytest.approx(np.sqrt(2 * (first + second)))
    assert li_ma(1.0, 240.0, 24.0) < 0
    assert li_ma(10.0, 240.0, 24.0) == pytest.approx(0.0, abs=1e-6)


def _image(mean, seed=0, shape=(300, 300)):
    return np.random.default_rng(seed).poisson(mean, shape)


@pytest.mark.parametrize("mean", [0.02, 0.3, 5.0])
def test_false_finds_are_as_rare_as_asked_for(mean):
    bright = dark = 0
    for seed in range(2):
        found = find(_image(mean, seed), np.ones((300, 300), bool), Embadpixfind(probathreshold=1e-5))
        bright, dark = bright + found.bright.sum(), dark + found.dark.sum()
    # 1.8 expected at most.
    assert bright <= 7
    assert dark <= 7


def test_bright_pixels_are_found_even_side_by_side():
    image = _image(0.3)
    wanted = {(50, 60), (50, 61), (51, 60), (200, 10), (0, 0), (299, 299)}
    for y, x in wanted:
        image[y, x] = 40
    found = find(image, np.ones(image.shape, bool))
    assert set(zip(*map(np.ndarray.tolist, np.nonzero(found.bright)), strict=True)) == wanted


def test_a_point_source_is_no_bad_pixel():
    image = _image(0.05)
    y, x = np.mgrid[-150:150, -150:150]
    king = (1 + (x**2 + y**2) / 4.5**2) ** -1.5
    image = image + np.random.default_rng(1).poisson(3000 * king / king.sum())
    found = find(image, np.ones(image.shape, bool))
    assert not found.bright.any()
    assert not found.dark.any()


def test_lines_beside_a_broad_source_are_not_dark():
    image = _image(0.03)
    y, x = np.mgrid[-100:200, -150:150]
    image = image + np.random.default_rng(2).poisson(30 * np.exp(-(x**2 + y**2) / (2 * 6.0**2)))
    found = find(image, np.ones(image.shape, bool))
    assert not found.dark.any()
    assert not found.bright.any()


def test_columns_rows_and_segments():
    image = _image(1.0)
    rng = np.random.default_rng(5)
    image[:, 100] = rng.poisson(4.0, 300)
    image[200:260, 30] = rng.poisson(8.0, 60)
    image[:, 250] = 0
    image[40, :] = rng.poisson(5.0, 300)
    found = find(image, np.ones(image.shape, bool))
    assert found.bright[:, 100].sum() >= 299
    segment = np.flatnonzero(found.bright[:, 30])
    segment = segment[segment != 40]
    assert 195 <= segment.min() <= 205
    assert 255 <= segment.max() <= 264
    assert found.dark[:, 250].all()
    assert found.bright[40].sum() >= 298
    others = found.bright.copy()
    others[:, [30, 100]] = False
    others[40] = False
    assert not others.any()
    assert found.dark.sum() == 300


def test_dark_pixel_needs_counts_around_it():
    image = _image(40.0)
    image[150, 150] = 2
    found = find(image, np.ones(image.shape, bool))
    assert np.argwhere(found.dark).tolist() == [[150, 150]]
    image = _image(2.0)
    image[150, 150] = 0
    assert not find(image, np.ones(image.shape, bool)).dark.any()


def test_masked_pixels_are_left_alone():
    image = _image(0.3)
    image[10, 10] = 100
    good = np.ones(image.shape, bool)
    good[10, 10] = False
    assert not find(image, good).bright.any()
    image[20, 20] = 100
    assert not find(image, good, Embadpixfind(findbright=False)).bright.any()


def test_merging_keeps_the_order_of_origins():
    pixels = bp.BadPixels((10, 8))
    pixels.add_stretches([3], [2], [4], HOT, ONBOARD)
    pixels.add_stretches([3, 7, 99], [4, 1, 1], [5, 100, 1], DEAD, CALIBRATION)
    found = np.zeros((8, 10), bool)
    found[:, 2] = True
    found[0, 0] = True
    pixels.add(found, FLICKERING, FOUND)
    table = pixels.table()
    rows = sorted(
        zip(*(table[k].tolist() for k in ("RAWX", "RAWY", "YEXTENT", "TYPE", "BADFLAG")), strict=True)
    )
    assert rows == [
        (1, 1, 1, FLICKERING, FOUND),
        (3, 1, 1, FLICKERING, FOUND),
        (3, 2, 4, HOT, ONBOARD),
        (3, 6, 3, DEAD, CALIBRATION),
        (7, 1, 8, DEAD, CALIBRATION),
    ]
    assert pixels.bad.sum() == table["YEXTENT"].sum()
    pixels.clip((1, 5, 3, 4))
    assert pixels.bad.sum() == 2


def test_hot_wins_over_dead_over_flickering():
    pixels = bp.BadPixels((4, 4))
    where = np.zeros((4, 4), bool)
    where[1, 1] = True
    for kind, expected in (
        (FLICKERING, FLICKERING),
        (DEAD, DEAD),
        (HOT, HOT),
        (DEAD, HOT),
    ):
        pixels.add(where, kind, FOUND)
        assert pixels.kind[1, 1] == expected


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 8), st.integers(1, 8)), max_size=12))
def test_table_covers_exactly_the_map(stretches):
    pixels = bp.BadPixels((10, 8))
    for x, y, n in stretches:
        pixels.add_stretches([x], [y], [n], HOT, FOUND)
    table = pixels.table()
    again = np.zeros((8, 10), bool)
    for x, y, n in zip(table["RAWX"], table["RAWY"], table["YEXTENT"], strict=True):
        again[y - 1 : y - 1 + n, x - 1] = True
    assert (again == pixels.bad).all()


def test_calibration_table():
    table = {
        "CCD_ID": np.array([1, 1, 1, 2]),
        "NODE_ID": np.zeros(4, int),
        "RAWX": np.array([1, 2, 3, 4]),
        "RAWY": np.array([1, 1, 1, 1]),
        "YEXTENT": np.array([1, 2, 3, 4]),
        "TYPE": np.array(["H", "D", "B", "H"]),
        "UPLINKED": np.array([True, False, False, True]),
    }
    kinds, _ = kinds_of_types(table["TYPE"])
    pixels = bp.BadPixels((10, 10))
    bp.add_calibration(pixels, table, kinds, 1, 0)
    maps = pixels.maps
    assert np.argwhere(maps["onboard"]).tolist() == [[0, 0]]
    assert maps["dead"].sum() == 2
    assert maps["bright"].sum() == 3
    only = bp.BadPixels((10, 10))
    bp.add_calibration(only, table, kinds, 1, 0, uplinked=False)
    assert only.bad.sum() == 5


def test_lines_may_be_compared_with_more_lines_than_there_are():
    counts = _image(0.3, shape=(60, 80))
    counts[:, 40] += 5
    found = find(counts, np.ones(counts.shape, bool), Embadpixfind(halfwidth1d=400))
    assert found.bright[:, 40].all()


def test_types_and_flags_of_other_lists(tmp_path):
    def read(types, flags):
        n = len(types)
        data = {"RAWX": range(1, n + 1), "RAWY": [5] * n, "TYPE": types, "YEXTENT": [1] * n, "BADFLAG": flags}
        hdu = make_table(BADPIX_COLUMNS, {k: np.array(v) for k, v in data.items()}, "BADPIX")
        (tmp_path / "bad.fits").unlink(missing_ok=True)
        write_hdus(tmp_path / "bad.fits", [primary_hdu(), hdu])
        return read_badpix(tmp_path / "bad.fits", (6, 6), "noBadPixels")

    pixels = read([1, 2, 3, 4, 5], [1, 2, 3, 3, 2])
    assert pixels.kind[4].tolist() == [HOT, FLICKERING, DEAD, HOT, HOT, 0]
    assert pixels.origin[4].tolist() == [1, 2, 3, 3, 2, 0]
    with pytest.raises(TaskError, match=r"bad.fits\[BADPIX\]: TYPE is 9, expected one of \(1, 3, 2, 4, 5\)"):
        read([1, 9], [1, 1])
    with pytest.raises(TaskError, match="BADFLAG is 4, expected"):
        read([1, 1], [1, 4])
