"""Frame times, good times, MIPs and live fractions on handmade frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.instruments.pn.frame_clock import frame_clock
from daxa.xmm.instruments.pn.frames import (
    buffer_resets,
    counter_record,
    discarded_fraction,
    fill_frames,
    gap_lengths,
    good_times,
    missing_records,
    out_of_order,
    reject_mips,
    reset_length,
    silent_gaps,
)

STEP, UNIT, WRAP = 0.07336496, 20.48e-6, 32400.0
TOLERANCE = 51 * UNIT


def stamps(cycle, start=100.0, step=STEP):
    """Time stamps in units of the fine time, modulo the wrap."""
    return (np.floor((start + np.asarray(cycle) * step) / UNIT) * UNIT) % WRAP


def occupied(rng, n, share=0.6):
    cycle = np.flatnonzero(rng.random(n) < share)
    return cycle - cycle[0]


def test_empty_frames_are_counted_from_the_time_alone():
    cycle = occupied(np.random.default_rng(3), 20_000)
    clock = frame_clock(np.arange(len(cycle)), stamps(cycle), STEP, TOLERANCE, WRAP)
    assert np.array_equal(clock.cycle, cycle)
    assert clock.jumps == 0
    assert clock.valid.all()
    assert clock.step_s == pytest.approx(STEP, rel=1e-7)


def test_oscillator_drift_and_wrap():
    cycle = occupied(np.random.default_rng(4), 30_000)
    true = STEP * (1 + 1.2e-5)
    clock = frame_clock(cycle, stamps(cycle, 32000.0, true), STEP, TOLERANCE, WRAP)
    assert np.array_equal(clock.cycle, cycle)
    assert np.allclose(clock.stamp_s, 32000.0 + cycle * true, atol=UNIT)


@pytest.mark.parametrize("jump", [1.0, -2.0, -5.0, -17.0])
def test_lasting_jump_is_taken_out(jump):
    cycle = occupied(np.random.default_rng(5), 5000)
    raw = stamps(cycle)
    raw[2000:] += jump
    clock = frame_clock(np.arange(len(cycle)), raw, STEP, TOLERANCE, WRAP)
    assert clock.jumps == 1
    assert np.array_equal(clock.cycle, cycle)
    assert np.allclose(clock.stamp_s, stamps(cycle), atol=2 * UNIT)


def test_lone_wrong_stamp_is_replaced():
    cycle = np.arange(2000)
    raw = stamps(cycle)
    raw[700] += 4.0
    raw[900] -= 60.0
    clock = frame_clock(np.arange(2000), raw, STEP, TOLERANCE, WRAP)
    assert clock.jumps == 2
    assert np.array_equal(clock.cycle, cycle)
    assert clock.valid.all()
    assert np.allclose(clock.stamp_s, stamps(cycle), atol=2 * UNIT)


def test_invalid_stamps_are_filled_from_the_step():
    cycle = np.arange(3000)
    raw = stamps(cycle)
    valid = np.ones(3000, bool)
    for i in (0, 5, 6, 1500, 2999):
        valid[i], raw[i] = False, 65535.0
    clock = frame_clock(np.arange(3000), raw, STEP, TOLERANCE, WRAP, valid)
    assert np.array_equal(clock.cycle - clock.cycle[0], cycle)
    assert np.allclose(clock.stamp_s, stamps(cycle), atol=3 * UNIT)
    # Before the first and after the last measured stamp there is no check of the count.
    assert list(np.flatnonzero(~clock.valid)) == [0, 2999]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=60), st.data())
def test_filled_frames_hold_every_cycle_but_the_lost_ones(ahead, data):
    cycle = np.concatenate([[0], np.cumsum(ahead)])
    lost = np.array(data.draw(st.lists(st.booleans(), min_size=len(ahead), max_size=len(ahead))))
    table = fill_frames(cycle, lost)
    expected = {0}
    for a, b, gone in zip(cycle[:-1], cycle[1:], lost, strict=True):
        expected |= {b} if gone else set(range(a + 1, b + 1))
    assert list(table.cycle) == sorted(expected)
    assert np.array_equal(table.cycle[table.listed], cycle)
    assert np.count_nonzero(table.gap) == np.count_nonzero(lost & (np.array(ahead) > 1))


def test_empty_frames_at_the_ends():
    table = fill_frames([0, 3], [False], before=2, after=1)
    assert list(table.cycle) == [-2, -1, 0, 1, 2, 3, 4]
    assert list(table.listed) == [2, 5]
    assert not table.gap.any()


def test_long_silence_is_a_gap_and_short_ones_are_empty_frames():
    rng = np.random.default_rng(6)
    cycle = occupied(rng, 10_000, 0.5)
    assert not silent_gaps(cycle).any()
    late = np.where(cycle > 5000, cycle + 400, cycle)
    assert np.count_nonzero(silent_gaps(late)) == 1


def test_short_gap_beside_a_missing_record_is_lost():
    rng = np.random.default_rng(7)
    cycle = occupied(rng, 4000, 0.5)
    record = np.arange(0, 4000, 20)
    late = cycle[(cycle < 2005) | (cycle >= 2031)]
    assert not missing_records(cycle, record, 20).any()
    kept = record[(record + 20 <= 2005) | (record >= 2031)]
    missing = missing_records(late, kept, 20)
    lost = silent_gaps(late, missing)
    assert np.count_nonzero(lost) == 1
    i = int(np.flatnonzero(lost)[0])
    assert late[i] < 2005
    assert late[i + 1] >= 2031
    assert not silent_gaps(late).any()


def test_good_times_break_at_bad_frames_and_gaps():
    time = np.array([10.0, 11, 12, 13, 14, 20, 21])
    good = np.array([1, 1, 0, 1, 1, 1, 1], bool)
    gap = np.array([0, 0, 0, 0, 0, 1, 0], bool)
    gti = good_times(time, good, gap, 1.0)
    assert np.allclose(gti.start, [9.5, 12.5, 19.5])
    assert np.allclose(gti.stop, [11.5, 14.5, 21.5])
    assert len(good_times(time, ~good & False, gap, 1.0)) == 0


def test_mip_takes_its_column_and_both_neighbours():
    frame = np.array([0, 0, 0, 0, 1, 2, 2])
    rawx = np.array([9, 10, 11, 12, 10, 1, 2])
    pha = np.array([30, 3200, 40, 50, 60, 3000, 20])
    found = reject_mips(frame, rawx, pha, 4, 3000)
    assert list(found.associated) == [True, True, True, False, False, True, True]
    assert list(found.lost_columns) == [3, 0, 2, 0]
    assert found.column_counts.sum() == 5
    assert found.column_counts[0] == found.column_counts[1] == 1
    own = reject_mips(frame, rawx, pha, 4, 3000, "sas")
    assert list(own.lost_columns) == [1, 0, 1, 0]
    alone = reject_mips(frame, rawx, pha, 4, 3000, "none")
    assert alone.associated.sum() == 2
    assert not alone.lost_columns.any()


def test_five_mips_cost_the_frame_with_method_com():
    frame, rawx = np.zeros(6, int), np.array([5, 15, 25, 35, 45, 60])
    pha = np.array([3100] * 5 + [30])
    assert reject_mips(frame, rawx, pha, 1, 3000, "com").lost_columns[0] == 64
    assert not reject_mips(frame, rawx, pha, 1, 3000).associated[5]
    with pytest.raises(ValueError, match="mipmethod"):
        reject_mips(frame, rawx, pha, 1, 3000, "guess")


def test_counter_records_and_discarded_lines():
    index, covered = counter_record([0, 19, 20, 45, 60, 85], [0, 20, 40, 80])
    assert list(index) == [0, 0, 1, 2, 2, 3]
    assert list(covered) == [True, True, True, True, False, True]
    # 192 columns in 20 cycles: 384 lost ones are a tenth.
    assert discarded_fraction([0, 384], 3, 20) == pytest.approx([1.0, 0.9])


def test_order_of_read_out():
    assert list(out_of_order([1, 1, 2, 2, 3, 3], [5, 9, 9, 5, 1, 1])) == [2]


def sent_with_resets(rng, n, share, resets, length=5):
    """Occupied frames of a quadrant, without those that resets of the event buffer took."""
    sent = rng.random(n) < share
    begin = rng.choice(n // 20, resets, replace=False) * 20 + 3
    for step in range(length):
        sent[begin + step] = False
    return np.flatnonzero(sent)


def test_resets_of_the_event_buffer_are_told_from_empty_frames():
    """At the occupancy and with the numbers of resets of the quadrants of 0802710101."""
    rng = np.random.default_rng(8)
    quadrants = ((0.97, 258), (0.84, 152), (0.995, 62), (0.998, 78))
    cycles = [sent_with_resets(rng, 270_000, share, resets) for share, resets in quadrants]
    length = reset_length(sum(gap_lengths(cycle) for cycle in cycles))
    assert length == 5
    for cycle, (_, resets) in zip(cycles, quadrants, strict=True):
        taken = buffer_resets(cycle, length)
        lost = (taken * (np.diff(cycle) - 1)).sum()
        # To 0.05 % of the frames; empty frames beside a reset belong to its gap.
        assert lost == pytest.approx(5 * resets, abs=135)
        assert (taken <= 1).all()


def test_rates_that_change_make_no_resets():
    rng = np.random.default_rng(9)
    rate = np.where(np.arange(270_000) % 30_000 < 4000, 0.35, 0.9)
    cycle = np.flatnonzero(rng.random(270_000) < rate)
    assert reset_length(gap_lengths(cycle)) == 0
    assert not buffer_resets(cycle, 5).any()
    for few in ([], [3], [3, 9]):
        assert reset_length(gap_lengths(few)) == 0
        assert not buffer_resets(few, 5).any()


@pytest.mark.parametrize(
    "wild", [slice(0, 1), slice(0, 2), slice(2000, 2002), slice(4998, 5000), slice(4999, 5000)]
)
@pytest.mark.parametrize("off_s", [2000.03, -700.3])
def test_a_few_wild_stamps_move_no_other_frame(wild, off_s):
    number = np.arange(5000)
    right = 10_000.0 + 0.0733649 * number
    stamp = right.copy()
    stamp[wild] += off_s
    clock = frame_clock(number, stamp, 0.0733649, 0.001, 32_400.0)
    sound = np.ones(5000, bool)
    sound[wild] = False
    np.testing.assert_allclose(clock.stamp_s, right, rtol=0, atol=1e-3)
    assert clock.valid[sound].all()
    assert np.array_equal(np.diff(clock.cycle), np.ones(4999))
    assert clock.jumps == wild.stop - wild.start
