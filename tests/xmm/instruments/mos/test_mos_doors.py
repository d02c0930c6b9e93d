"""Raw files and calibration as typed values: what the steps of the MOS get, without an ODF."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import MOS_FTFINE_UNIT_S
from daxa.xmm.instruments.mos import energy
from daxa.xmm.instruments.mos.frames import FrameClock, FrameTiming
from daxa.xmm.instruments.mos.raw import (
    FrameRows,
    Layout,
    Overscan,
    RawHeader,
    RawTimes,
    check_same_exposure,
    sound_rows,
)
from daxa.xmm.instruments.mos.steps.emframes import make_frames
from daxa.xmm.odf.modes import ReadoutWindow
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.odf.times import TimeCorrelation

WINDOW = {"WINDOWX0": 0, "WINDOWY0": 0, "WINDOWDX": 610, "WINDOWDY": 602}
COUNTERS = ("NPIXEL", "NVALID", "NBELOW", "NABOVE", "GATTIFLG", "FIFOOVF")


def _table(cards: dict, **columns) -> OdfTable:
    return OdfTable("raw", fits.Header(cards), fits.Header(), {k: np.asarray(v) for k, v in columns.items()})


def test_header_of_an_event_table():
    header = RawHeader.of(_table({**WINDOW, "EMDHLOW": 30, "EDUID": 2, "OTHER": 1}))
    assert (header.window.dx, header.window.dy) == (610, 602)
    assert header.threshold_adu is None
    assert header.limits_adu == (30.0, None)
    assert header.kept == {**WINDOW, "EMDHLOW": 30, "EDUID": 2}
    with pytest.raises(TaskError, match="raw: keywords WINDOWX0, WINDOWY0, WINDOWDX, WINDOWDY missing"):
        RawHeader.of(_table({}))
    with pytest.raises(TaskError, match="EDUTHR"):
        RawHeader.of(_table({**WINDOW, "EDUTHR": "low"}))


def test_rows_of_one_node_with_unsigned_counters():
    counters = {name: [1, 2, -1, 4] for name in COUNTERS}
    auxiliary = _table(
        {}, CCDID=[1, 2, 2, 2], CCDNODE=[0, 0, 0, 1], FRAME=[1, 5, 6, 7], FTCOARSE=[0, 3, 5, 7],
        FTFINE=[0, 0, 0, 0], **counters,
    )  # fmt: skip
    rows = FrameRows.of(auxiliary, 2, 0)
    assert rows.number.tolist() == [5, 6]
    assert rows.coarse.tolist() == [3, 5]
    assert all(v.tolist() == [2, 65535] for v in rows.counters.values())
    with pytest.raises(TaskError, match="raw: no data for CCD 3 node 0"):
        FrameRows.of(auxiliary, 3, 0)


def test_files_of_two_exposures_do_not_go_together():
    mine, other = _table({"EXP_ID": "1"}), _table({"EXP_ID": "2"})
    check_same_exposure(mine, mine)
    check_same_exposure(mine, _table({}))
    with pytest.raises(TaskError, match="incompatible: EXP_ID 1 and 2"):
        check_same_exposure(mine, other)


def _rows(since_reset_s: np.ndarray) -> FrameRows:
    n = len(since_reset_s)
    coarse = np.floor(since_reset_s).astype(np.int64)
    fine = np.floor((since_reset_s - coarse) / MOS_FTFINE_UNIT_S).astype(np.int64)
    zero = {name: np.zeros(n, np.int64) for name in COUNTERS}
    return FrameRows("auxiliary, CCD 2", np.arange(1, n + 1), coarse, fine, zero)


#: TT is ahead of the on-board clock by 100 s.
CLOCK = TimeCorrelation(np.array([100.0]), (0.0, 1e6), 0.0, 0.0, "TCX")


def test_frame_table_without_an_odf():
    ends = 50.0 + 2.6 * np.arange(1, 21)
    times = RawTimes("raw", 1150.0, 1150.0 + 2.6 * 20, 0.0)
    made, shift = make_frames(_rows(ends), times, FrameClock(FrameTiming(2.6, 0.5, 0.006), CLOCK, 1000.0))
    assert not shift.any()
    assert len(made) == 20
    assert made.length_s == pytest.approx(2.6, abs=1e-4)
    # The stamps come half a second early.
    assert made.end_s == pytest.approx(1100.0 + ends + 0.5, abs=2 * MOS_FTFINE_UNIT_S)
    assert made.integration_s[1:] == pytest.approx(2.594, abs=2 * MOS_FTFINE_UNIT_S)


def test_frames_outside_the_exposure_are_said(said):
    ends = 5050.0 + 2.6 * np.arange(1, 21)
    times = RawTimes("raw", 1150.0, 1150.0 + 2.6 * 20, 0.0)
    make_frames(_rows(ends), times, FrameClock(FrameTiming(2.6, 0.0, 0.006), CLOCK, 1000.0))
    # The last hundredth of the frames may be late, and frames are at their centres.
    assert "auxiliary, CCD 2: frames lie 4998 s outside DATE-OBS to DATE-END by TCX" in said.err.getvalue()


def test_layout_of_windows():
    """A camera of one flat CCD of 600 pixels of 1.1 arcsec, the field of view its lower half."""
    geometry = SimpleNamespace(
        shape=lambda ccd: (600, 600),
        raw_to_det=lambda ccd, x, y, node: (22.0 * x + 0.0 * y, 22.0 * y + 0.0 * x),
        in_fov=lambda x, y: y <= 22.0 * 300,
        fov_mask=lambda ccd: np.repeat(np.arange(600)[:, None] < 300, 600, axis=1),
    )
    scans = Overscan((5, 0), (5, 2))
    whole = Layout.of(geometry, ReadoutWindow(0, 0, 610, 602), scans, 1, 0)
    assert whole.limits == (1, 600, 1, 600)
    assert whole.read_out == (610, 602)
    assert whole.image_pixels == 360_000
    assert whole.open_fraction == whole.seen_fraction == 0.5
    assert whole.arcmin2 == pytest.approx(180_000 * (1.1 / 60) ** 2)
    half = Layout.of(geometry, ReadoutWindow(0, 0, 305, 602), scans, 1, 0, half=True)
    assert half.limits == (1, 300, 1, 600)
    small = Layout.of(geometry, ReadoutWindow(250, 249, 110, 100), scans, 1, 0)
    assert small.limits == (251, 350, 250, 349)


def test_energies_put_the_loss_back_and_apply_the_gain():
    n = 3
    zero = np.zeros(n, np.int64)
    events = energy.Events(zero, zero + 10, zero + 20, *[zero] * 7)
    pha = np.array([100.0, 1000.0, 2000.0])
    gain = np.tile([5.0, 3.0, 0.0], (4, 1))
    columns = np.zeros((600, 600))
    columns[19, 9] = 7.0
    loss = energy.TransferLoss((0.1, 0.0, 0.0), (0.2, 0.001, 0.0), 100.0, columns)
    assert energy.energies(events, pha, None, None).tolist() == pha.tolist()
    assert energy.energies(events, pha, None, gain) == pytest.approx(5.0 + 3.0 * pha)
    # 10 transfers of 0.1 adu, 20 of 0.2 + 0.1 adu, a step of 7 adu.
    assert energy.energies(events, pha, loss, None) == pytest.approx(pha + 1.0 + 6.0 + 7.0)


def test_places_that_overflow_with_the_window_are_not_sound():
    """16 bits hold the place that was sent, but not its sum with the start of a small window."""
    layout = SimpleNamespace(window=ReadoutWindow(250, 249, 110, 100), read_out=(610, 602))
    x = np.array([0, 359, 360, 32_600, -1], np.int16)
    y = np.array([0, 352, 352, 0, 0], np.int16)
    assert sound_rows(_table({}, RAWX=x, RAWY=y), layout).tolist() == [True, True, False, False, False]
