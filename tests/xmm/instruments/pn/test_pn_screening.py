"""Raw events of one CCD that count, on handmade telemetry: no files, no exposure."""

from __future__ import annotations

import numpy as np
import pytest

from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.instruments.pn.options import Epframes
from daxa.xmm.instruments.pn.screening import Telemetry, frame_rows, screen

FULL = (1, 1, 64, 200)


def telemetry(*events):
    """Events as (frame, column, row, amplitude)."""
    number, x, y, pha = np.array(events, np.int64).reshape(-1, 4).T
    return Telemetry(number, x.astype(np.int32), y.astype(np.int32), pha.astype(np.int32), "events")


def screened(*events, n_frames=4, window=FULL, good=None, **options):
    warnings = []
    raw = telemetry(*events)
    row, known, backwards = frame_rows(raw.number, np.arange(n_frames))
    found = screen(
        raw,
        row.astype(np.int32),
        known,
        backwards,
        np.ones(n_frames, bool) if good is None else np.array(good),
        window,
        Epframes(**options),
        lambda code, text: warnings.append((code, text)),
    )
    kept = list(zip(*(a.tolist() for a in (found.frame, found.rawx, found.rawy, found.pha)), strict=True))
    return found, kept, warnings


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("n_listed", [3, 40])
def test_events_find_their_frames_in_any_order(order, n_listed):
    listed = 5 * np.arange(n_listed)
    number = np.repeat(np.array([0, 5, 10])[list(order)], 10)
    index, known, backwards = frame_rows(number, listed)
    assert np.array_equal(listed[index], number)
    assert known.all()
    assert backwards == int(order != (0, 1, 2))


def test_events_of_frames_that_are_not_listed_are_known_as_such():
    _, known, _ = frame_rows(np.array([0, 3, 5, 99]), np.array([0, 5, 10]))
    assert known.tolist() == [True, False, True, False]


def test_events_are_in_order_of_frame_column_and_row():
    events = [(1, 2, 3, 100), (0, 7, 9, 101), (0, 7, 8, 102), (0, 3, 50, 103)]
    _, kept, _ = screened(*events)
    assert kept == [(0, 3, 50, 103), (0, 7, 8, 102), (0, 7, 9, 101), (1, 2, 3, 100)]


def test_a_pixel_counts_once_per_frame():
    found, kept, warnings = screened((0, 5, 5, 100), (0, 5, 5, 200), (1, 5, 5, 300))
    assert kept == [(0, 5, 5, 100), (1, 5, 5, 300)]
    assert ("wrongCoord", "events: 1 pixels occur twice in a frame") in warnings
    assert found.places == 0


def test_impossible_events_are_left_out_and_told():
    found, kept, warnings = screened(
        (0, 65, 5, 100), (0, 5, 0, 100), (0, 5, 5, 4096), (0, 6, 5, -1), (0, 7, 5, 19), (0, 8, 5, 20)
    )
    assert kept == [(0, 8, 5, 20)]
    assert (found.places, found.amplitudes) == (2, 2)
    assert [code for code, _ in warnings] == ["wrongCoord", "PHAoffset", "PHAoffset"]
    assert "1 events below lowerthreshold=20" in warnings[-1][1]


def test_frames_with_many_events_outside_the_ccd_are_bad():
    outside = [(1, 0, 5, 100)] * 3
    found, kept, _ = screened((0, 5, 5, 100), (1, 5, 5, 100), *outside, wrongpixlimit=2)
    assert kept == [(0, 5, 5, 100)]
    assert found.good.tolist() == [True, False, True, True]
    assert found.bad_frames == 1
    assert screened((1, 5, 5, 100), *outside, wrongpixlimit=3)[0].bad_frames == 0


def test_events_of_frames_that_may_not_be_used_are_left_out():
    found, kept, _ = screened((0, 5, 5, 100), (1, 5, 5, 100), good=[False, True, True, True])
    assert kept == [(1, 5, 5, 100)]
    assert found.bad_frames == 0


@pytest.mark.parametrize(
    ("method", "lost"),
    [("none", {30}), ("sas", {30, 31}), ("onboard", {30, 31, 32, 33}), ("com", {30, 31, 32, 33})],
)
def test_particles_take_columns_with_them(method, lost):
    """A particle at column 20, others (amplitudes 31 to 34) in its column, beside it, and two away."""
    found, kept, _ = screened(
        (0, 20, 9, 3000), (0, 20, 50, 31), (0, 19, 50, 32), (0, 21, 50, 33), (0, 22, 50, 34),
        mipmethod=method,
    )  # fmt: skip
    assert {pha for *_, pha in kept} == {31, 32, 33, 34} - lost
    n_columns = {"none": 0, "sas": 1}.get(method, 3)
    assert found.mips.lost_columns[0] == n_columns
    assert found.mips.column_counts.sum() == n_columns


def test_events_outside_the_window_and_of_disordered_frames_are_flagged():
    window = (10, 20, 5, 5)
    found, kept, warnings = screened((0, 10, 20, 100), (0, 14, 24, 101), (0, 15, 24, 102), window=window)
    outside = int(PnFlag.OUT_OF_CCD_WINDOW)
    assert dict(zip([k[3] for k in kept], found.flag.tolist(), strict=True)) == {100: 0, 101: 0, 102: outside}
    assert not warnings
    found, _, warnings = screened((0, 5, 90, 100), (0, 6, 3, 100), (1, 5, 5, 100))
    spoiled = int(PnFlag.IN_SPOILED_FRAME)
    assert found.flag.tolist() == [spoiled, spoiled, 0]
    assert found.disordered == 1
    assert warnings[0][0] == "wrongReadoutOrder"
