"""Sums of events whose surroundings reach beyond the border of the window."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos import energy
from daxa.xmm.instruments.mos.events import Events, beyond_border, flag_undershoot, raw_to_ccd
from daxa.xmm.instruments.mos.patterns import N_PATTERNS, PatternLibrary

ELLIPSE = energy.Ellipse((0.0, 0.0), (150.0, 300.0), 0.0)
#: Raw events of the exposure and those whose E3 and E4 reach beyond the border, per CCD.
REAL = {
    2: (18_002, 40, 41),
    3: (38_677, 58, 90),
    4: (31_030, 173, 320),
    5: (28_078, 52, 60),
    6: (35_859, 56, 60),
    7: (20_748, 152, 257),
}


@pytest.fixture
def library() -> PatternLibrary:
    roles = np.full((N_PATTERNS, 5, 5), 2, np.int16)
    roles[:, 2, 2] = 1
    roles[1:5, 3, 2] = 1
    return PatternLibrary(roles, (25.0, 25.0))


def _events(rawx, e3, e4) -> Events:
    n = len(rawx)
    columns = {"rawx": rawx, "e3": e3, "e4": e4, "rawy": np.arange(n) % 600 + 1, "e1": np.full(n, 500)}
    zero = np.zeros(n, np.int64)
    names = ("frame", "rawx", "rawy", "e1", "e2", "e3", "e4", "pattern", "peripix", "flag")
    return Events(*(np.array(columns.get(name, zero), np.int64) for name in names))


def test_marks_are_told_from_disturbed_events() -> None:
    #                                     outer, corner, inner, disturbed, rebound, ordinary
    e = _events([0, 0, 1, 300, 300, 300], [-12_100, -8050, 20, -4200, -300, 5], [-16_384] * 3 + [28, -700, 9])
    box, ring = beyond_border(e)
    assert box.tolist() == [True, True, False, False, False, False]
    assert ring.tolist() == [True, True, True, False, False, False]
    energy.flag_incoherent(e, _library_of_singles(), 0.0, ELLIPSE)
    assert (e.flag == MosFlag.BAD_E3E4).tolist() == [False, False, False, True, True, False]


def _library_of_singles() -> PatternLibrary:
    roles = np.full((N_PATTERNS, 5, 5), 2, np.int16)
    roles[:, 2, 2] = 1
    return PatternLibrary(roles, (25.0, 25.0))


def test_what_remains_of_the_surroundings_is_tested(library) -> None:
    e = _events([1, 1], [20, 400], [-16_384, -16_384])
    assert energy.flag_incoherent(e, library, 1.0, ELLIPSE) == 1
    assert e.flag.tolist() == [0, MosFlag.BAD_E3E4]


def test_amplitudes_at_the_border_do_without_the_sums(library) -> None:
    e = _events([1, 0], [24, -12_100], [-16_384, -16_384])
    for weights in ([1.0, 1.0, 0.0, -1.0], [1.0, 1.0, 0.0, 1.0]):
        table = np.tile(weights, (N_PATTERNS, 1))
        assert energy.amplitude(e, library, 2.0, table).tolist() == [498.0, 498.0]
    table = np.tile([1.0, 1.0, 1.0, 1.0], (N_PATTERNS, 1))
    assert energy.amplitude(e, library, 2.0, table).tolist() == [500 + 24 - 9 * 2.0, 498.0]


def test_marks_do_not_shift_the_background() -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    rawx = rng.integers(1, 601, n)
    e4 = np.where((rawx == 1) | (rawx == 600), -16_384, np.rint(16 * 2.0 + rng.normal(0, 19, n)))
    level, _, clipped = energy.background(_events(rawx, np.zeros(n), e4), (600, 600))
    assert clipped < 0.01 * n
    assert abs(level.mean() - 2.0) < 0.05
    assert np.abs(level[rawx == 1] - 2.0).max() < 2.5


@pytest.mark.parametrize("ccd", REAL)
def test_no_real_event_is_lost_at_the_border(shared_data, library, ccd: int) -> None:
    files = sorted((shared_data / "odf_0135730701").glob(f"*M1U009{ccd}0IME.FIT*"))
    if not files:
        pytest.skip("no raw files of 0135730701")
    table = fits.getdata(files[0], 1)
    rows = {name: np.array(table[name], np.int64) for name in table.columns.names}
    rawx, rawy = raw_to_ccd(rows["RAWX"], 0, 5), raw_to_ccd(rows["RAWY"], 0, 0)
    parts = [rows[f"ENERGYE{k}"] for k in (1, 2, 3, 4)]
    flag = np.zeros(len(rawx), np.int64)
    e = Events(rows["FRAME"], rawx, rawy, *parts, rows["PATTERN"], rows["PERIPIX"], flag)
    box, ring = beyond_border(e)
    assert (len(e), box.sum(), ring.sum()) == REAL[ccd]
    # All events of these columns, and no others.
    assert (ring == np.isin(rawx, (0, 1, 600, 601))).all()
    assert (box == np.isin(rawx, (0, 601))).all()
    assert e.e4[ring].min() == -16_384
    level, _, _ = energy.background(e, (600, 600), min_energy_adu=30.0)
    assert np.abs(level).max() < 15.0
    energy.flag_incoherent(e, library, level, ELLIPSE)
    flag_undershoot(e)
    inside = ring & (rawx >= 1) & (rawx <= 600) & (e.pattern <= 12)
    assert not e.flag[inside].any()
