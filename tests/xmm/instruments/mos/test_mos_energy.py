"""Energies of MOS events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.errors import UnknownLayout
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos import energy
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.flares import flare_curve, mean_curve
from daxa.xmm.instruments.mos.patterns import N_PATTERNS, PatternLibrary


def _list(n, **columns):
    names = ("frame", "rawx", "rawy", "e1", "e2", "e3", "e4", "pattern", "peripix", "flag")
    default = {"rawx": 300, "rawy": 300, "e1": 500}
    return Events(*(np.array(np.broadcast_to(columns.get(k, default.get(k, 0)), n), np.int64) for k in names))


@pytest.fixture
def library():
    roles = np.full((N_PATTERNS, 5, 5), 2, np.int16)
    roles[:, 2, 2] = 1
    roles[1:5, 3, 2] = 1
    return PatternLibrary(roles, (25.0, 25.0))


def test_background_follows_position():
    rng = np.random.default_rng(0)
    n = 60_000
    x, y = rng.integers(1, 601, n), rng.integers(1, 601, n)
    level = 0.5 + 2.0 * (x > 300)
    e = _list(n, rawx=x, rawy=y, e4=np.rint(16 * level + rng.normal(0, 19, n)))
    e.e4[:50] += 500
    found, _, clipped = energy.background(e, (600, 600))
    assert clipped >= 50
    far = np.abs(x - 300) > 12
    assert np.abs(found - level)[far].mean() < 0.3
    assert abs((found - level)[far].mean()) < 0.02


def test_background_without_events_is_nil():
    assert not energy.background_map(_list(3), np.zeros(3, bool), (600, 600)).any()
    level, _, clipped = energy.background(_list(3, e1=10), (600, 600))
    assert not level.any()
    assert clipped == 0


def test_ellipse(library):
    e = _list(4, e3=[8, 8 + 29, 8 + 31, 8], e4=[0, 0, 0, 41])
    bad = energy.flag_incoherent(e, library, 1.0, energy.Ellipse((0.0, -16.0), (30.0, 40.0), 0.0))
    assert bad == 2
    assert (e.flag == MosFlag.BAD_E3E4).tolist() == [False, False, True, True]
    turned = _list(1, e3=[31])
    energy.flag_incoherent(turned, library, 0.0, energy.Ellipse((0.0, 0.0), (30.0, 40.0), 90.0))
    assert turned.flag[0] == 0


def test_amplitude_of_singles_and_doubles(library):
    weights = np.tile([1.0, 1.0, 0.0, 0.0], (N_PATTERNS, 1))
    e = _list(2, pattern=[0, 1], e1=[500, 300], e2=[0, 100])
    assert energy.amplitude(e, library, 0.5, weights).tolist() == [499.5, 399.0]
    assert energy.amplitude(e, library, 0.5, weights, np.array([0.25, -0.25])).tolist() == [499.75, 398.75]


def test_amplitude_with_its_surroundings(library):
    compact = np.tile([1.0, 1.0, 0.0, -1.0], (N_PATTERNS, 1))
    spread = np.tile([1.0, 1.0, 1.0, 1.0], (N_PATTERNS, 1))
    e = _list(1, e1=500, e3=24, e4=32)
    # E4 alone measures the background: 2 adu per pixel.
    assert energy.amplitude(e, library, 99.0, compact)[0] == pytest.approx(500 - 32 / 16)
    assert energy.amplitude(e, library, 2.0, spread)[0] == pytest.approx(500 + 24 + 32 - 25 * 2.0)
    far = _list(1, e1=500, e4=32, peripix=8)
    assert energy.amplitude(far, library, 2.0, compact)[0] == pytest.approx(498.0)


def test_transfer_losses_are_put_back():
    pha = np.array([1000.0, 2000.0])
    result = energy.correct_transfer(
        pha, [100, 100], [200, 400], serial=(1e-3, 0.0, 0.0), parallel=(2e-3, 1e-6, 1.0), days=1000.0
    )
    assert result == pytest.approx([1000 + 0.1 + 200 * 3e-3, 2000 + 0.1 + 400 * 3e-3 * 2])
    zero = (0.0, 0.0, 0.5)
    plain = energy.correct_transfer(
        pha, [1, 1], [1, 1], serial=zero, parallel=zero, days=0.0, column_offset=3.0
    )
    assert plain.tolist() == [1003.0, 2003.0]
    assert np.isfinite(
        energy.correct_transfer([-5.0], [1], [600], serial=zero, parallel=(1e-3, 0, 0.6), days=0.0)
    ).all()


def test_column_offsets():
    table = {
        "CCD_ID": np.array([1, 1, 2]),
        "NODE_ID": np.zeros(3, int),
        "RAWX": np.array([10, 20, 30]),
        "RAWY_START": np.array([0, 400, 1]),
        "YLENGTH": np.array([600, 201, 600]),
        "OFFSET": np.array([1.5, -2.0, 9.0]),
    }
    image = energy.column_offsets(table, 1, 0, (600, 600))
    assert (image[:, 9] == 1.5).all()
    assert image[398, 19] == 0
    assert (image[399:, 19] == -2.0).all()
    assert not image[:, 29].any()
    assert energy.column_offsets(table, 3, 0, (600, 600)) is None


def test_gain_by_class_of_patterns():
    assert energy.gain_class([0, 1, 4, 5, 8, 9, 12, 13, 31]).tolist() == [0, 1, 1, 2, 2, 3, 3, 3, 3]
    table = {"CCD_ID": np.array([2, 1])}
    for k, suffix in enumerate(("", "1", "2", "3")):
        table |= {
            f"{n}{suffix}": np.full((2, 2), v + k)
            for n, v in (("OFFSET", 1.0), ("GAIN", 3.0), ("POLY_TERM", 0.0))
        }
    coefficients = energy.gain_coefficients(table, 1, 0)
    assert coefficients.tolist() == [[1, 3, 0], [2, 4, 1], [3, 5, 2], [4, 6, 3]]
    assert energy.apply_gain([10.0, 10.0], [0, 3], coefficients).tolist() == [31.0, 2 + 40 + 100]
    with pytest.raises(UnknownLayout, match="CCD 7"):
        energy.gain_coefficients(table, 7, 0)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_channels_fit_or_are_null(value):
    channel = int(energy.to_channel([value])[0])
    assert channel == -32768 or abs(channel - value) <= 0.5


def test_neighbour_flags():
    dead, bright, onboard = (np.zeros((600, 600), bool) for _ in range(3))
    dead[99, 99] = bright[199, 199] = onboard[299, 299] = True
    e = _list(8, rawx=[101, 101, 200, 300, 1, 300, 150, 100], rawy=[100, 101, 199, 301, 5, 600, 150, 100])
    energy.flag_neighbours(
        e, {"dead": dead, "bright": bright, "onboard": onboard}, (1, 600, 1, 600), (600, 600)
    )
    assert e.flag.tolist() == [
        MosFlag.CLOSE_TO_DEADPIX,
        0,
        MosFlag.CLOSE_TO_BRIGHTPIX,
        MosFlag.CLOSE_TO_ONBOARD_BADPIX,
        MosFlag.CLOSE_TO_CCD_BORDER,
        MosFlag.CLOSE_TO_CCD_BORDER,
        0,
        0,
    ]
    e = _list(2, rawx=[251, 252])
    none = {k: np.zeros((600, 600), bool) for k in ("dead", "bright", "onboard")}
    energy.flag_neighbours(e, none, (251, 350, 252, 349), (600, 600))
    assert e.flag.tolist() == [MosFlag.CLOSE_TO_CCD_WINDOW, 0]


def test_flare_curve():
    rng = np.random.default_rng(1)
    quiet = rng.uniform(0, 10_000, 1000)
    flare = rng.uniform(4000, 5000, 2000)
    curve = flare_curve(np.concatenate([quiet, flare]), GTI([0.0], [10_000.0]), 100.0, 100.0)
    assert curve.rate[:40].mean() == pytest.approx(1.0, rel=0.15)
    assert curve.rate[42:48].mean() == pytest.approx(21.0, rel=0.15)
    gti = curve.gti(3.0)
    assert gti == GTI([0.0, 5000.0], [4000.0, 10_000.0])
    half = flare_curve(quiet, GTI([0.0, 5050.0], [5000.0, 10_000.0]), 100.0, 100.0)
    assert half.exposure[50] == pytest.approx(0.5)
    assert len(flare_curve([], GTI(), 100.0, 52.0).rate) == 0


def test_mean_of_flare_curves():
    rng = np.random.default_rng(5)
    first = rng.uniform(0, 10_000, 2000), GTI([0], [10_000]), 100.0
    second = rng.uniform(2000, 10_000, 6400), GTI([2000], [10_000]), 400.0
    curve = mean_curve([first, second], 100.0)
    assert curve.exposure[:20].max() == pytest.approx(1.0)
    assert curve.exposure[25:].max() == pytest.approx(2.0)
    assert curve.rate.mean() == pytest.approx(2.0, rel=0.1)
    assert curve.error[25:].mean() < curve.error[:20].mean()
    assert len(mean_curve([], 100.0).time_s) == 0


@pytest.mark.parametrize("bin_s", [26.1, 52.3, 10.0])
def test_rounding_does_not_part_quiet_bins(bin_s):
    start = 100595076.79586643
    curve = flare_curve([], GTI([start], [start + 1000 * bin_s]), 500.0, bin_s)
    gti = curve.gti(2.0)
    assert len(gti) == 1
    assert gti.total == pytest.approx(1000 * bin_s, abs=1e-6)


def test_stretches_of_a_single_quiet_bin_are_left_out():
    curve = flare_curve(np.repeat([150.0, 350.0, 650.0], 1000), GTI([0.0], [800.0]), 1.0, 100.0)
    gti = curve.gti(2.0)
    # Of the bins 0, 2, 4, 5 and 7 only the pair is taken.
    assert (gti.start.tolist(), gti.stop.tolist()) == ([400.0], [600.0])


def test_a_node_without_gain_is_named():
    names = [f"{n}{s}" for n in ("OFFSET", "GAIN", "POLY_TERM") for s in ("", "1", "2", "3")]
    table = {"CCD_ID": np.array([4]), **{n: np.array([[1.0]]) for n in names}}
    assert energy.gain_coefficients(table, 4, 0).tolist() == [[1.0, 1.0, 1.0]] * 4
    with pytest.raises(UnknownLayout, match="OFFSET_GAIN: nothing of node 1 of CCD 4"):
        energy.gain_coefficients(table, 4, 1)
