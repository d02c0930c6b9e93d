"""Frame tables of MOS."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.odf import MOS_FTFINE_UNIT_S, as_signed
from daxa.xmm.instruments.mos import frame_numbers, frames
from daxa.xmm.instruments.mos.frames import FrameFlag
from daxa.xmm.odf.mos_clock import measure_frame_time, unwrap_stamps

COUNTERS = ("NPIXEL", "NVALID", "NBELOW", "NABOVE", "GATTIFLG", "FIFOOVF")


def _build(number, stamp, length=2.6, warnings=None, **counters):
    table = {name: np.zeros(len(number), int) for name in COUNTERS} | counters
    return frames.build_frames(
        np.asarray(number),
        np.asarray(stamp, float),
        table,
        header_frame_s=length,
        warn=lambda code, text: (warnings if warnings is not None else []).append(code),
    )


@given(
    reset=st.integers(10_000, 900_000_000),
    since=st.floats(0, 1e5),
    n=st.integers(1, 200),
    length=st.floats(0.1, 500),
)
def test_stamps_count_from_the_reset_and_start_anew(reset, since, n, length):
    true = since + np.arange(1, n + 1) * length
    fine = np.floor((true % 1) / MOS_FTFINE_UNIT_S).astype(int)
    coarse = np.floor(true).astype(int)
    result = unwrap_stamps(as_signed(coarse % 32768), as_signed(fine), reset, reset + since - 3.0)
    assert np.abs(result - reset - true).max() <= MOS_FTFINE_UNIT_S + 1e-6


def test_a_broken_stamp_does_not_move_the_others():
    coarse = np.array([1426, 1429, 25_072, 1469, 1472])
    result = unwrap_stamps(coarse, 0 * coarse, 1000.0, 1002.0)
    assert (result - 1000.0)[[0, 1, 3, 4]].tolist() == [1426, 1429, 1469, 1472]


def test_frames_of_a_ccd_that_counts_lie_on_a_grid():
    """Few frames are sent, their numbers do not count the others, one stamp is broken."""
    place = np.array([0, 2, 12, 24, 34, 44, 48, 60])
    stamp = 2.0 + 2.81032 * place
    assert frame_numbers.common_step(stamp, 2.7) == pytest.approx(2.81032)
    stamp[4] = 3072.16
    warnings = []
    made, _ = frames.build_frames(
        np.array([6, 7, 13, 19, 24, 29, 30, 36]), stamp, {name: np.zeros(8, int) for name in COUNTERS},
        header_frame_s=2.7, warn=lambda code, text: warnings.append((code, text)),
    )  # fmt: skip
    assert made.length_s == pytest.approx(2.81032)
    assert len(made) == 61
    assert np.flatnonzero(made.good).tolist() == [0, 2, 12, 24, 44, 48, 60]
    assert np.flatnonzero(made.flag == FrameFlag.ABERRANT_TIME).tolist() == [25]
    assert made.end_s[made.good] == pytest.approx(np.delete(stamp, 4))
    assert [code for code, _ in warnings] == ["frames13", "framesRenumbered"]
    assert "frame 24 at 3072.16 s" in warnings[0][1]


def test_no_common_step():
    assert frame_numbers.common_step([0.0, 2.595, 5.2, 10.4], 2.6) == pytest.approx(2.6, abs=0.01)
    assert frame_numbers.common_step([0.0, 2.1, 3.9, 8.5, 11.9], 2.6) is None
    assert frame_numbers.common_step([5.0], 2.6) is None


def test_frame_time_needs_a_steady_stretch():
    number = np.arange(10)
    assert measure_frame_time(number, 2.6 * number) == pytest.approx(2.6, abs=1e-12)
    assert measure_frame_time(number[:3], 2.6 * number[:3]) is None
    assert measure_frame_time(number, 2.6 * number + 0.1 * (number % 2)) is None
    jump = 2.6 * number + np.where(number > 5, 7.7, 0)
    assert measure_frame_time(number, jump) == pytest.approx(2.6, abs=1e-12)


def test_missing_frames_are_inserted_and_flagged():
    number = np.array([1, 2, 3, 4, 5, 9, 10, 11, 12])
    made, shift = _build(number, 1000.0 + 2.6 * number)
    assert made.number.tolist() == list(range(1, 13))
    assert not shift.any()
    assert np.flatnonzero(made.flag == FrameFlag.MISSING).tolist() == [5, 6, 7]
    assert made.time_s == pytest.approx(1000.0 + 2.6 * made.number - 1.3)
    gti = made.gti()
    assert gti.start == pytest.approx([1000.0, 1000.0 + 2.6 * 8])
    assert gti.stop == pytest.approx([1000.0 + 2.6 * 5, 1000.0 + 2.6 * 12])
    assert made.fraction.tolist() == [1.0] * 5 + [0.0] * 3 + [1.0] * 4


def test_lost_numbers_are_made_up_for():
    number = np.arange(1, 21)
    stamp = 2.6 * number + np.where(number > 10, 3 * 2.6, 0.0)
    warnings = []
    made, shift = _build(number, stamp, warnings=warnings)
    assert shift.tolist() == [0] * 10 + [3] * 10
    assert len(made) == 23
    assert (made.flag == FrameFlag.MISSING).sum() == 3
    assert warnings == ["framesRenumbered"]


def test_aberrant_time_is_corrected():
    number = np.arange(1, 21)
    stamp = 2.6 * number
    stamp[7] += 1.0
    warnings = []
    made, shift = _build(number, stamp, warnings=warnings)
    assert warnings == ["frames13"]
    assert np.flatnonzero(made.flag).tolist() == [7]
    assert made.time_s == pytest.approx(2.6 * number - 1.3)
    assert not shift.any()


def test_few_frames_keep_the_header_value():
    warnings = []
    made, _ = _build([1, 2], [2.6, 5.2], warnings=warnings)
    assert warnings == ["frames10"]
    assert made.length_s == 2.6
    assert not made.steady


@pytest.mark.parametrize("bad", [2**30, -5, 0])
def test_damaged_frame_numbers_are_dropped(bad):
    number = np.arange(1, 40)
    number[17] = bad
    keep = frame_numbers.valid_rows(number)
    assert np.flatnonzero(~keep).tolist() == [17]


def test_falling_frame_numbers_are_refused():
    with pytest.raises(TaskError) as error:
        frame_numbers.valid_rows(np.arange(50, 0, -1))
    assert error.value.code == "frames05"


def test_wrong_numbers_of_steady_frames_are_put_right():
    warnings = []
    number = np.array([1, 2, 3, 4, 5, 2**30, 2**30 + 1, 2**30 + 2])
    made, _ = _build(number, 2.6 * np.arange(1, 9), warnings=warnings)
    assert len(made) == 8
    assert warnings == ["framesRenumbered"]


def test_absurd_span_is_refused():
    number = np.array([1, 2, 3, 4, 5, 2**30, 2**30 + 1, 2**30 + 2])
    with pytest.raises(TaskError) as error:
        _build(number, 2.6 * number)
    assert error.value.code == "frames05"


def test_flags():
    number = np.arange(1, 11)
    made, _ = _build(
        number,
        2.6 * number,
        NVALID=np.full(10, 2),
        FIFOOVF=np.where(number == 4, 1, 0),
    )
    event_frame = np.repeat(np.arange(10), 2)[1:]
    assert frames.flag_invalid(made, event_frame) == 1
    assert frames.flag_overflow(made) == 1
    assert frames.flag_outside(made, GTI([-1.0, 14.0], [10.4, 30.0])) == 2
    assert made.flag.tolist() == [
        FrameFlag.INVALID_COUNT,
        0,
        0,
        FrameFlag.FIFO_OVERFLOW,
        FrameFlag.HOUSEKEEPING,
        FrameFlag.HOUSEKEEPING,
        0,
        0,
        0,
        0,
    ]


def test_frames_exactly_filling_the_good_time_are_inside():
    number = np.arange(1, 11)
    made, _ = _build(number, 5e8 + 2.6 * number)
    assert frames.flag_outside(made, made.gti()) == 0
    assert frames.flag_outside(made, GTI()) == 10


def test_dead_time():
    number = np.arange(1, 5)
    made, _ = _build(
        number,
        2.6 * number,
        NPIXEL=np.array([130, 30, 0, 5]),
        NBELOW=np.array([10, 0, 0, 0]),
        NABOVE=np.array([0, 0, 40, 0]),
    )
    frames.set_dead_time(
        made,
        np.array([0, 0, 1, 3]),
        np.array([10, 10, 30, 5]),
        window_pixels=1000,
        open_fraction=0.5,
        tracks=frames.CosmicTracks(3.0, 2.0),
    )
    assert made.dead_fraction == pytest.approx(np.array([0.1, 0.0, 0.04, 0.0]) * 2.0)


def test_sliding_scale_keeps_its_phase_over_a_gap():
    number = np.concatenate([np.arange(0, 20), np.arange(50, 80)])
    flag = (number % 8 == 7).astype(int)
    made, _ = _build(number, 2.6 * number, GATTIFLG=flag)
    assert frames.set_gatti(made)
    present = made.flag == 0
    assert made.gatti[present].tolist() == (number % 8).tolist()
    made, _ = _build(number, 2.6 * number)
    assert not frames.set_gatti(made)


def test_one_flag_starts_a_cycle_of_510_frames():
    """Real exposures of fewer than 510 frames have the flag in their first frame only."""
    number = np.arange(3, 1100)
    made, _ = _build(number, 2.6 * number, GATTIFLG=(number == 3).astype(int))
    assert frames.set_gatti(made)
    assert made.gatti.tolist() == ((np.arange(len(number)) - 1) % 510).tolist()
    made, _ = _build(number[:129], 2.6 * number[:129], GATTIFLG=(number[:129] == 3).astype(int))
    assert frames.set_gatti(made)
    assert made.gatti.tolist() == [509, *range(128)]


def test_flags_in_all_frames_stop_the_scale():
    """Test modes of CCD 1."""
    number = np.arange(1, 41)
    made, _ = _build(number, 2.6 * number, GATTIFLG=np.ones(40, int))
    assert frames.set_gatti(made)
    assert not made.gatti.any()


def test_every_tenth_frame_is_no_long_frame():
    """Numbers that do not count the others, steady steps of ten frames: a CCD that mostly counts."""
    said = []
    made, shift = _build(np.arange(1, 21), 28.1 * np.arange(20), 2.7, said)
    assert made.length_s == pytest.approx(2.81, abs=1e-6)
    assert said == ["framesRenumbered"]
    assert len(made.number) == 191
    assert (made.flag == 0).sum() == 20
    assert shift[-1] == 171


def test_frame_time_by_the_stamps_else_by_the_header():
    number = np.arange(10)
    steady = frame_numbers.frame_time(number, 2.6 * number, 2.7)
    assert (steady.measured, steady.counting) == (True, False)
    assert steady.length_s == pytest.approx(2.6)
    unsteady = frame_numbers.frame_time(number[:3], np.array([0.0, 2.6, 9.0]), 2.7)
    assert unsteady == frame_numbers.FrameTime(2.7, False, False)
    # Few frames come, their numbers count on by one.
    sent = np.array([0, 2, 12, 24, 34, 44, 48, 60, 62, 74])
    counting = frame_numbers.frame_time(number, 2.6 * sent, 2.6)
    assert counting.counting
    assert counting.length_s == pytest.approx(2.6)


def test_places_by_number_and_by_stamp():
    number = np.array([5, 6, 7, 8, 10, 11, 12])
    stamp = 2.0 * number + 1.0
    stamp[2] += 0.9
    places = frame_numbers.place_sending(number, stamp, 2.0)
    assert places.number.tolist() == number.tolist()
    assert np.flatnonzero(places.aberrant).tolist() == [2]
    assert places.end_s == pytest.approx(2.0 * number + 1.0)
    # Two numbers were lost behind the fourth frame: the stamps show it.
    late = 2.0 * number + np.where(number > 8, 4.0, 0.0)
    places = frame_numbers.place_sending(number, late, 2.0)
    assert places.number.tolist() == [5, 6, 7, 8, 12, 13, 14]
    assert places.end_s == pytest.approx(late)
    counting = frame_numbers.place_counting(np.arange(4) + 3, np.array([1.0, 5.0, 7.0, 13.0]), 2.0)
    assert counting.number.tolist() == [3, 5, 6, 9]
    assert not counting.aberrant.any()


def test_events_find_their_frames():
    """Numbers 12 and 13 are not listed, and one was lost behind 11."""
    index, known = frames.frame_of_events([9, 10, 11, 12, 14, 15, 16], [10, 11, 14, 15], [0, 0, 1, 1], 10)
    assert known.tolist() == [False, True, True, True, True, True, False]
    assert index.tolist() == [0, 0, 1, 2, 5, 6, 0]
