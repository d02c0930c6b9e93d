"""Frames of one CCD with its quadrant, on handmade lists: no files, no exposure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.readout import (
    ListedFrames,
    Quadrant,
    clock_of,
    frames_of_quadrant,
    left_on_board,
    stamps_of,
    times_of_records,
)

STEP, UNIT, WRAP = 0.07336496, 20.48e-6, 32400.0
#: CYCLE of the first frame, and frames per counter record.
FIRST, PERIOD = 1000, 20


def listed_frames(cycle, skipped=()):
    """Frames at these periods after the first, as the auxiliary file lists them."""
    cycle = np.asarray(cycle)
    stamp = np.floor((100.0 + cycle * STEP) / UNIT) * UNIT
    return ListedFrames(cycle + 1, cycle + FIRST, stamp, np.asarray(skipped, np.int64), "AUX")


def clock(listed, duration_s=1e4, warn=None):
    return clock_of(listed, STEP, 51 * UNIT, WRAP, duration_s, 4, warn or (lambda *_: None))


def quadrant(sent, n_records=10, left=1.0):
    record = FIRST + PERIOD * np.arange(n_records)
    sent = np.asarray(sent) + FIRST
    return Quadrant(0, sent, record, np.full(n_records, left), int(sent[-1]))


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def warn(warnings):
    return lambda code, text: warnings.append((code, text))


def test_frames_must_fit_into_the_exposure():
    listed = listed_frames(np.arange(0, 50_000, 5))
    assert clock(listed, 50_000 * STEP).cycle[-1] == 49_995
    with pytest.raises(TaskError, match="AUX: the frames of CCD 4 span 3668 s, the exposure lasts 100 s"):
        clock(listed, 100.0)


def test_cycles_that_do_not_count_frames_are_told():
    listed = listed_frames([0, 1, 4, 5])
    assert listed.counted_by(clock(listed))
    other = ListedFrames(listed.number, 2 * listed.cycle, listed.stamp_s, listed.skipped, "AUX")
    assert not other.counted_by(clock(other))


def test_empty_frames_are_those_that_the_quadrant_sent(warn, warnings):
    """The CCD lists every third frame; the counters begin before its first and end after its last."""
    own = np.arange(30, 120, 3)
    listed = listed_frames(own - 30)
    listed = ListedFrames(listed.number, own + FIRST, listed.stamp_s, listed.skipped, "AUX")
    table = frames_of_quadrant(listed, clock(listed), quadrant(np.arange(200)), 0, 0.0, 1e4, warn)
    assert np.array_equal(np.diff(table.cycle), np.ones(len(table.cycle) - 1))
    assert table.cycle[0] == -30
    assert np.array_equal(table.cycle[table.listed], own - 30)
    assert not table.gap.any()
    assert not warnings


def test_counters_from_outside_the_exposure_are_left_out(warn, warnings):
    listed = listed_frames(np.arange(40))
    far = quadrant(np.arange(40), n_records=2000)
    table = frames_of_quadrant(listed, clock(listed), far, 0, 0.0, 40 * STEP, warn)
    assert table.cycle.tolist() == list(range(40))
    assert warnings == [("corruptedAUX1", "quadrant 0: counters from outside the exposure")]


def test_skipped_frames_are_empty_where_there_is_room_for_them():
    listed = listed_frames([0, 1, 4, 5], skipped=[3, 6, 99])
    own = clock(listed)
    table = frames_of_quadrant(listed, own, quadrant(np.arange(6), 1), 0, 0.0, 1e4, print)
    assert table.cycle.tolist() == [0, 1, 2, 3, 4, 5]
    # FRAME 3 lies between 2 (cycle 1) and 5 (cycle 4); 6 is listed, after 99 there is nothing.
    assert listed.empty_rows(table, own).tolist() == [2]


def test_stamps_go_on_evenly_at_both_ends():
    listed = listed_frames(np.arange(60, 120))
    own = clock(listed)
    table = frames_of_quadrant(listed, own, quadrant(np.arange(200)), 0, 0.0, 1e4, print)
    assert (table.cycle[0], table.cycle[-1]) == (-60, 139)
    stamp = stamps_of(table, own, own.stamp_s)
    # Other CCDs may show that the record after the last one was begun.
    later = replace(quadrant(np.arange(200)), last_cycle=FIRST + 10**6)
    assert frames_of_quadrant(listed, own, later, 0, 0.0, 1e4, print).cycle[-1] == 139 + PERIOD
    # Stamps are rounded down to the unit of the fine time; outside them periods are all the same.
    assert np.diff(stamp) == pytest.approx(STEP, abs=UNIT)
    for outside in (stamp[:60], stamp[-20:]):
        assert np.diff(outside) == pytest.approx(own.step_s, abs=1e-9)
    assert own.step_s == pytest.approx(STEP, abs=UNIT / 59)
    assert stamp[table.listed] == pytest.approx(listed.stamp_s, abs=UNIT)
    records = FIRST + PERIOD * np.arange(10)
    times = times_of_records(records, listed, own, table, stamp)
    assert times == pytest.approx(100.0 + (records - FIRST) * STEP, abs=4 * UNIT)


def test_columns_lost_on_board_are_those_of_the_frame_s_record(warn, warnings):
    listed = listed_frames(np.arange(40))
    own = clock(listed)
    halves = Quadrant(
        0, np.arange(40) + FIRST, np.array([FIRST, FIRST + PERIOD]), np.array([1.0, 0.5]), FIRST + 39
    )
    table = frames_of_quadrant(listed, own, halves, 0, 0.0, 1e4, warn)
    left = left_on_board(listed, own, table, halves, warn)
    assert set(left.tolist()) == {1.0, 0.5}
    assert np.count_nonzero(left == 0.5) == pytest.approx(PERIOD, abs=1)
    assert not warnings
    none = Quadrant(2, halves.sent, np.empty(0, np.int64), np.empty(0), halves.last_cycle)
    assert left_on_board(listed, own, table, none, warn).tolist() == [1.0] * len(table.cycle)
    assert warnings == [("noAUX2forCCD", "no counters of lines discarded in quadrant 2")]
