"""The step emevents on values made by hand."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from mos_values import FRAME_S, PIXEL, TRANSFER_S, bad_pixels, ccd_of, context, event_list, frame_table

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.badpixels import DEAD, HOT
from daxa.xmm.instruments.mos.badpixels import BadPixels
from daxa.xmm.instruments.mos.exposure import Calibrated, Ccd
from daxa.xmm.instruments.mos.frames import FrameFlag
from daxa.xmm.instruments.mos.options import Emevents
from daxa.xmm.instruments.mos.steps.emevents import emevents

FIXED = Emevents(randomizeposition=False, randomizetime=False)


def run(ccd: Ccd, params: Emevents = FIXED, pixels: BadPixels | None = None):
    step, said = context()
    return emevents(ccd, pixels, params, step), said


def flagged(made: Calibrated, bit: MosFlag) -> list[int]:
    return np.flatnonzero(made.events.flag & int(bit)).tolist()


def test_places_and_times_of_quiet_events():
    raw = event_list(4, frame=[1, 2, 50, 98], rawx=[1, 300, 301, 600], rawy=[600, 300, 301, 1])
    ccd = ccd_of(raw)
    made, said = run(ccd)
    assert not made.events.flag.any()
    assert made.time_s == pytest.approx(ccd.frames.time_s[raw.frame])
    assert made.detx.tolist() == [-6589.0, -11.0, 11.0, 6589.0]
    assert made.dety.tolist() == [6589.0, -11.0, 11.0, -6589.0]
    assert said.count("events in input") == said.count("events in output") == 4
    assert not said.warnings


def test_random_places_and_times_stay_in_pixel_and_integration():
    n = 2000
    ccd = ccd_of(event_list(n, frame=np.arange(n) % 100, rawx=np.arange(n) % 600 + 1, rawy=np.arange(n) // 4))
    made, _ = run(ccd, Emevents(rejectflickering=False))
    fixed, _ = run(ccd, replace(FIXED, rejectflickering=False))
    for name in ("detx", "dety"):
        off = getattr(made, name) - getattr(fixed, name)
        assert np.abs(off).max() <= PIXEL / 2 + 0.5
        assert off.std() == pytest.approx(PIXEL / 12**0.5, rel=0.05)
    late = made.time_s - fixed.time_s
    assert np.abs(late).max() <= (FRAME_S - TRANSFER_S) / 2
    assert late.std() == pytest.approx((FRAME_S - TRANSFER_S) / 12**0.5, rel=0.05)
    again, _ = run(ccd, Emevents(rejectflickering=False))
    assert np.array_equal(again.detx, made.detx)


def test_what_was_sent_stays():
    raw = event_list(1, pattern=26, e2=300)
    ccd = ccd_of(raw)
    made, _ = run(ccd)
    assert len(made.events) == 2
    assert (ccd.raw.pattern.tolist(), ccd.raw.flag.tolist(), ccd.raw.e2.tolist()) == ([26], [0], [300])


def test_events_of_bad_and_of_spoiled_frames():
    frames = frame_table([1, 2, 4, 5, 6, 7])
    frames.flag[5] |= FrameFlag.FIFO_OVERFLOW
    made, said = run(ccd_of(event_list(7, frame=np.arange(7), rawy=50 * np.arange(7) + 10), frames))
    # Frame 3 was lost.
    assert flagged(made, MosFlag.IN_BAD_FRAME) == [2, 5]
    assert flagged(made, MosFlag.IN_SPOILED_FRAME) == [3]
    assert said.count("events outside good frames") == 2


def test_rows_of_a_ccd_that_sends_every_tenth_frame():
    """What a row holds on average is counted over the frames that came, not over all."""
    frames = frame_table(np.arange(1, 200, 10))
    came = np.flatnonzero(frames.received)
    assert len(frames) > 9 * len(came)
    n = 5 * len(came)
    raw = event_list(n, frame=np.repeat(came, 5), rawy=70, rawx=np.arange(n) * 7 % 590 + 5)
    params = replace(FIXED, rejectflickering=False)
    made, said = run(ccd_of(raw, frames), params)
    assert flagged(made, MosFlag.ON_BADROW) == []
    assert " maximum number of expected events per row  5" in said.lines
    raw.frame[:3] = came[1]
    made, _ = run(ccd_of(raw, frames), replace(params, maxeventsperrow=2))
    assert flagged(made, MosFlag.ON_BADROW) == [0, 1, 2, 5, 6, 7, 8, 9]


def test_diagonal_doubles_are_two_photons_unless_one_is_silicon():
    # The second pixel of the last has 580 adu, 1740 eV.
    ccd = ccd_of(event_list(2, pattern=[27, 26], rawx=[100, 200], e2=[300, 580]))
    made, said = run(ccd)
    assert said.count("diagonal events split in two") == 2
    assert sorted(zip(made.events.rawx, made.events.rawy, made.events.e1, strict=True)) == [
        (100, 300, 500), (101, 299, 300), (200, 300, 500), (201, 301, 580),
    ]  # fmt: skip
    assert flagged(made, MosFlag.DIAGONAL) == [0, 1, 2, 3]
    made, said = run(ccd, replace(FIXED, keepsifluor=True))
    assert said.count("diagonal events split in two") == 1
    assert 26 in made.events.pattern


def test_single_pixels_have_no_diagonals_to_split():
    made, said = run(ccd_of(event_list(1, pattern=26), file_type="RIE"))
    assert len(made.events) == 1
    assert [code for code, _ in said.warnings] == ["getParamValues11"]


def test_bright_pixels_are_taken_out_of_patterns():
    ccd = ccd_of(event_list(3, pattern=[2, 0, 0], e2=200, rawx=[100, 200, 300]))
    pixels = bad_pixels((101, 300, HOT), (200, 300, DEAD))
    made, said = run(ccd, pixels=pixels)
    # The double is a bright pixel and a single; the event on the dead pixel is flagged.
    found = zip(made.events.rawx, made.events.e1, made.events.flag == MosFlag.ON_BADPIX, strict=True)
    assert sorted(found) == [(100, 500, False), (101, 200, True), (200, 500, True), (300, 500, False)]
    assert said.count("events removed or modified by CUT_BAD") == 1
    made, _ = run(ccd, replace(FIXED, analysepatterns=False), pixels)
    assert (made.events.pattern.tolist(), flagged(made, MosFlag.ON_BADPIX)) == ([2, 0, 0], [0, 1])


#: Every option of the step and a value other than the default.
OTHERWISE = {
    "flagbadtimes": False, "flagtruncatede1": False, "analysepatterns": False, "flagbadpixels": False,
    "keepsifluor": True, "splitdiagonals": False, "randomizeposition": False, "maxeventsperrow": 7.0,
    "widthnexttorow": 200, "rejectrows": False, "detectbadoffsets": False, "rejectbade3": False,
    "tolfxy": (1, 1, 1), "rejectflickering": False, "randomizetime": False,
}  # fmt: skip
#: These are for what opens the files: offsets used on board, the other node.
AT_THE_DOOR = {"withoffvarsets", "withothernode"}


@pytest.fixture(scope="module")
def busy():
    """A CCD with something to do for every test."""
    rng = np.random.default_rng(4)
    n = 6000
    list_ = event_list(
        n, frame=rng.integers(1, 98, n), rawx=rng.integers(1, 601, n), rawy=rng.integers(1, 601, n),
        e1=rng.integers(100, 3000, n), e2=rng.integers(30, 600, n), e3=np.rint(rng.normal(0, 8, n)),
        pattern=rng.choice([0, 0, 0, 1, 2, 5, 26], n),
    )  # fmt: skip
    list_.e2[list_.pattern == 0] = 0
    list_.e1[0], list_.e3[1] = 4095, -400
    # Six events in a row of one frame and one beside them; a pixel that fires five times in ten frames; a
    # column with an offset of 64 adu.
    list_.frame[10:17], list_.rawy[10:16], list_.rawy[16] = 20, 77, 78
    list_.rawx[10:17] = [10, 60, 110, 160, 210, 260, 130]
    list_.frame[30:35], list_.rawx[30:35], list_.rawy[30:35] = [40, 41, 42, 43, 44], 401, 401
    list_.pattern[30:35], list_.e2[30:35] = 0, 0
    column = slice(100, 140)
    list_.rawx[column], list_.pattern[column], list_.e1[column] = 500, 0, 1000
    list_.e3[column] -= 128
    list_.e3[np.abs(list_.rawx - 500) == 1] -= 192
    list_.e2[200], list_.pattern[200] = 580, 26
    frames = frame_table(np.arange(1, 101))
    frames.flag[50] |= FrameFlag.FIFO_OVERFLOW
    places = zip(list_.rawx[300:340].tolist(), list_.rawy[300:340].tolist(), strict=True)
    pixels = bad_pixels(*((x, y, HOT) for x, y in places))
    return ccd_of(list_, frames), pixels


def test_every_option_does_something(busy):
    assert {f.name for f in fields(Emevents)} == set(OTHERWISE) | AT_THE_DOOR
    ccd, pixels = busy

    def result(**changes) -> list[list[float]]:
        made, _ = run(ccd, Emevents(**changes), pixels)
        list_ = made.events
        columns = (list_.flag, list_.pattern, list_.rawx, made.detx, made.time_s)
        return [column.tolist() for column in columns]

    usual = result()
    for name, value in OTHERWISE.items():
        assert result(**{name: value}) != usual, name
