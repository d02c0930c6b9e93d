"""The step emframes on values made by hand."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from astropy.io import fits
from mos_values import COUNTERS, FRAME_S, SHAPE, TRANSFER_S, context

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.odf import MOS_FTFINE_UNIT_S
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.instruments.mos.frames import CosmicTracks, FrameClock, FrameFlag, FrameQuality, FrameTiming
from daxa.xmm.instruments.mos.options import Emframes
from daxa.xmm.instruments.mos.raw import Layout, RawCcd
from daxa.xmm.instruments.mos.steps.emframes import Framed, emframes
from daxa.xmm.odf.modes import ReadoutWindow
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.odf.times import TimeCorrelation, tt_to_utc

NAME = OdfName.parse("3100_0800010201_M1S00120IME.FIT")
#: On-board time of the reset, and mission time of it.
RESET_OBT, RESET_TT = 1000.0, 5e8
CLOCK = FrameClock(
    FrameTiming(FRAME_S, 0.0, TRANSFER_S, "PrimeFullWindow"),
    TimeCorrelation(np.array([RESET_TT - RESET_OBT]), (0.0, 1e6), 0.0, 0.0, "TCX"),
    RESET_OBT,
)
TRACKS = CosmicTracks(1.88, 1.0)
LAYOUT = Layout(
    SHAPE, ReadoutWindow(0, 0, 610, 602), (5, 0), (610, 602), (1, 600, 1, 600), 120.0, 1.0, 0.9
)  # fmt: skip
N = 20


def table(cards: dict, **columns) -> OdfTable:
    return OdfTable("raw", fits.Header(cards), fits.Header(), {k: np.asarray(v) for k, v in columns.items()})


def raw_ccd(lost: tuple[int, ...] = (), **counters) -> RawCcd:
    """Twenty frames from number 11 on, two events in each that came."""
    number = np.array([11 + i for i in range(N) if i not in lost])
    stamp = 50.0 + FRAME_S * (number - 10)
    coarse = np.floor(stamp).astype(np.int64)
    sent = {name: np.zeros(len(number), np.int64) for name in COUNTERS} | {"NVALID": np.full(len(number), 2)}
    auxiliary = table(
        {}, CCDID=np.full(len(number), 2), CCDNODE=np.zeros(len(number), np.int64), FRAME=number,
        FTCOARSE=coarse, FTFINE=np.rint((stamp - coarse) / MOS_FTFINE_UNIT_S).astype(np.int64),
        **sent | {name: np.asarray(value) for name, value in counters.items()},
    )  # fmt: skip
    frame = np.repeat(number, 2)
    zero = np.zeros(len(frame), np.int64)
    cards = {
        "WINDOWX0": 0, "WINDOWY0": 0, "WINDOWDX": 610, "WINDOWDY": 602, "FRMTIME": 26, "EDUMODE": 3,
        "DATE-OBS": tt_to_utc(RESET_TT + 50), "DATE-END": tt_to_utc(RESET_TT + 110),
    }  # fmt: skip
    events = table(
        cards, FRAME=frame, RAWX=zero + 106, RAWY=np.arange(len(frame)) + 101, ENERGYE1=zero + 500,
        ENERGYE2=zero, ENERGYE3=zero, ENERGYE4=zero, PATTERN=zero, PERIPIX=zero,
    )  # fmt: skip
    return RawCcd.of(events, auxiliary, NAME)


def run(raw: RawCcd, params: Emframes | None = None, gti: GTI | None = None):
    step, said = context()
    return emframes(raw, LAYOUT, CLOCK, FrameQuality(params or Emframes(), TRACKS, gti), step), said


def flagged(made: Framed, bit: FrameFlag) -> list[int]:
    return np.flatnonzero(made.frames.flag & int(bit)).tolist()


def test_frames_and_their_events():
    made, said = run(raw_ccd())
    assert len(made.frames) == N
    assert made.frames.end_s == pytest.approx(RESET_TT + 50 + FRAME_S * np.arange(1, N + 1), abs=1e-4)
    assert flagged(made, FrameFlag.EDGE) == [0, N - 1]
    assert np.count_nonzero(made.frames.flag) == 2
    assert made.events.frame.tolist() == np.repeat(np.arange(N), 2).tolist()
    assert set(made.events.rawx) == {100}
    assert made.events.rawy.tolist() == list(range(100, 100 + 2 * N))
    assert made.row_frame.tolist() == np.repeat(np.arange(11, 11 + N), 2).tolist()
    assert " Observing mode was PrimeFullWindow" in said.lines
    assert not said.warnings


def test_one_lost_frame_is_in_the_next():
    made, _ = run(raw_ccd(lost=(7,)))
    assert flagged(made, FrameFlag.MISSING) == [7]
    assert made.frames.integration_s[8] == pytest.approx(2 * FRAME_S - TRANSFER_S, abs=1e-4)
    assert len(made.frames.gti()) == 1


def test_events_of_frames_that_are_not_listed_are_left_out():
    raw = raw_ccd()
    raw.table["FRAME"][:2] = 10
    made, said = run(raw)
    assert len(made.events) == 2 * N - 2
    assert made.row_frame[:2].tolist() == [-1, -1]
    assert [code for code, _ in said.warnings] == ["eventsNotAnnounced", "invalidRows"]


def test_files_that_do_not_belong_together():
    table_ = raw_ccd().table
    with pytest.raises(TaskError, match="raw: CCDID is not that of the file's name"):
        RawCcd.of(OdfTable("raw", fits.Header({"CCDID": 3}), fits.Header(), table_.columns), table({}), NAME)


def test_every_option_does_something():
    raw = raw_ccd(
        FIFOOVF=[0] * 10 + [1] + [0] * 9, NVALID=[2] * 5 + [3] + [2] * 14, GATTIFLG=[1] + [0] * 19,
        NPIXEL=[5000] * N,
    )  # fmt: skip
    gti = GTI([RESET_TT], [RESET_TT + 50 + 15.5 * FRAME_S])

    def result(**changes):
        made, _ = run(raw, Emframes(**changes), gti)
        frames = made.frames
        columns = [frames.flag.tolist(), frames.dead_fraction.tolist(), frames.gatti.tolist()]
        return columns, made.gatti_on

    usual = result()
    made, _ = run(raw, gti=gti)
    assert flagged(made, FrameFlag.FIFO_OVERFLOW) == [10]
    assert flagged(made, FrameFlag.INVALID_COUNT) == [5]
    assert flagged(made, FrameFlag.HOUSEKEEPING) == [15, 16, 17, 18, 19]
    # Two pixels of each frame are those of events.
    assert made.frames.dead_fraction == pytest.approx(1.88 * 4998 / 360_000)
    assert made.gatti_on
    for item in fields(Emframes):
        assert result(**{item.name: False}) != usual, item.name
