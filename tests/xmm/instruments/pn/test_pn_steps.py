"""The steps of the pn on values made by hand: no files, no exposure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from daxa.xmm.ccf.pn_times import PnTimes
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, FOUND, HOT, ONBOARD
from daxa.xmm.instruments.pn.badpixels import BadPixel
from daxa.xmm.instruments.pn.clock import LineClock
from daxa.xmm.instruments.pn.energy import EnergyScale
from daxa.xmm.instruments.pn.events import filtered, most_added
from daxa.xmm.instruments.pn.options import Badpixfind, Epevents, Epexposure, Epframes, Epreject, Screening
from daxa.xmm.instruments.pn.raw import RawEvents
from daxa.xmm.instruments.pn.rawlist import RawList
from daxa.xmm.instruments.pn.readout import ExposureClock, ListedFrames, Quadrant
from daxa.xmm.instruments.pn.reject import DarkLevels, Loading, NoiseMap, OffsetMap
from daxa.xmm.instruments.pn.screening import Telemetry
from daxa.xmm.instruments.pn.steps.badpix import badpix
from daxa.xmm.instruments.pn.steps.badpixfind import badpixfind
from daxa.xmm.instruments.pn.steps.epevents import ccd_events, detector_events, recognise
from daxa.xmm.instruments.pn.steps.epframes import Received, epframes
from daxa.xmm.instruments.pn.steps.epreject import Corrections, epreject
from daxa.xmm.instruments.pn.timing import fast_events
from daxa.xmm.odf.times import TimeCorrelation

STEP_S, UNIT_S, WRAP_S = 0.07336496, 20.48e-6, 32400.0
#: Time of a reset on board, mission time of on-board zero, start of the exposure after the reset.
RESET_S, SHIFT_S, AFTER_S = 100_000.0, 5_000_000.0, 64_900.0
START_S = RESET_S + SHIFT_S + AFTER_S
WHOLE = (1, 1, 64, 200)
SCALE = EnergyScale(5.0, np.ones(64), np.zeros(64), np.zeros(64))
random = seeds.pn("0123456789", "S003", 4)


@pytest.fixture
def said():
    """Codes of warnings, and lines."""
    return [], []


@pytest.fixture
def say(said):
    return (lambda code, text: said[0].append(code)), said[1].append


def raw_list(frame, rawx, rawy, pha, **changes) -> RawList:
    """Events of a CCD in 1000 frames."""
    frame, rawx, rawy, pha = (np.asarray(v, np.int32) for v in (frame, rawx, rawy, pha))
    time = START_S + STEP_S * np.arange(1000)
    values = {
        "ccd": 4, "time_s": time, "stamp_s": time, "fraction": np.ones(1000), "good": np.ones(1000, bool),
        "gti": GTI([START_S], [START_S + 1000 * STEP_S]), "frame": frame, "rawx": rawx, "rawy": rawy,
        "pha": pha, "flag": np.zeros(len(frame), np.int32), "offsets": {}, "dli_odf": None,
        "dli_sas": np.zeros(64, np.int64), "counters": {}, "header": {"TIMEDEL": (0.07, "")},
        "n_raw": len(frame),
    }  # fmt: skip
    return RawList(**(values | changes))


# --- epframes ----------------------------------------------------------------------------------------


def received(frame, rawx, rawy, pha, listed, **changes) -> Received:
    """Telemetry of CCD 4, of a quadrant whose frames are those listed (periods since the first)."""
    listed = np.asarray(listed)
    stamp = np.floor((AFTER_S % WRAP_S + listed * STEP_S) / UNIT_S) * UNIT_S
    frames = ListedFrames(1 + np.arange(len(listed)), 500 + listed, stamp, np.empty(0, np.int64), "AUX")
    record = 500 + 20 * np.arange(1 + int(listed[-1]) // 20)
    left = np.full(len(record), 0.9)
    counters = {"CYCLE": record, "NDISCLIN": np.full(len(record), 384)}
    telemetry = Telemetry(
        np.asarray(frame, np.int64), *(np.asarray(v, np.int32) for v in (rawx, rawy, pha)), "IME"
    )
    quadrant = Quadrant(1, 500 + listed, record, left, int(500 + listed[-1]))
    values = {
        "ccd": 4, "events": RawEvents(telemetry, WHOLE), "listed": frames, "quadrant": quadrant,
        "counters": counters, "offset_adu": np.zeros(64),
    }  # fmt: skip
    return Received(**(values | changes))


def clock(duration_s=1000.0) -> ExposureClock:
    times = PnTimes(STEP_S, 0.005, tuple(-0.03 - 0.006 * i for i in range(12)), 0.0, 1.0, 69.24e-6, 51.0)
    correlation = TimeCorrelation(np.array([SHIFT_S]), (0.0, 1e6), 1e-6, 0.0, "clock")
    return ExposureClock(times, correlation, RESET_S, WRAP_S, START_S, START_S + duration_s)


def test_frames_times_and_live_fractions(say, said):
    listed = np.arange(0, 400, 2)
    number = np.repeat(1 + np.arange(200), 1)
    raw = epframes(
        received(number, np.full(200, 10), np.full(200, 50), np.full(200, 300), listed), clock(),
        {"INSTRUME": ("EPN", "")}, Epframes(), *say,
    )  # fmt: skip
    # The empty frames between are put in, up to the end of the last counter record.
    assert len(raw.time_s) == 400
    np.testing.assert_allclose(raw.stamp_s, START_S + STEP_S * np.arange(400), atol=3e-5)
    np.testing.assert_allclose(raw.time_s - raw.stamp_s, -0.03 - 0.006 * 3)
    np.testing.assert_allclose(raw.fraction, 0.9 * (1 - 69.24e-6 / STEP_S))
    assert raw.frame.tolist() == listed.tolist()
    assert raw.gti.total == pytest.approx(400 * STEP_S, rel=1e-6)
    # The clock restarted twice since the reset.
    assert raw.header["F1030"][0] == RESET_S + 2 * WRAP_S
    assert raw.header["FRAMETOT"][0] == 200
    np.testing.assert_allclose(raw.counters["TIME"][:3], raw.time_s[[0, 20, 40]])
    assert said[0] == []
    assert any("number of frames: 400, of which 200 hold events" in line for line in said[1])


def test_particles_offsets_and_foreign_events(say, said):
    listed = np.arange(0, 200)
    frame = [1, 1, 1, 2, 250]
    raw = epframes(
        received(frame, [20, 21, 40, 30, 5], [9, 50, 60, 70, 80], [3500, 300, 301, 302, 303], listed,
                 offset_adu=np.where(np.arange(64) == 39, 12.4, 0.0)),
        clock(), {}, Epframes(), *say,
    )  # fmt: skip
    # The particle takes the columns beside it; an event of a frame that is not listed is left out.
    assert raw.rawx.tolist() == [40, 30]
    assert raw.pha.tolist() == [301 - 12, 302]
    assert raw.offsets == {40: 12}
    assert raw.fraction[0] / raw.fraction[1] == pytest.approx(1 - 3 / 64)
    assert said[0] == ["misFrame"]
    assert raw.header["MIPCOLN"][0] == 2


def test_frames_that_outlast_the_exposure_are_refused(say):
    listed = np.arange(0, 40_000, 10)
    with pytest.raises(TaskError, match="AUX: the frames of CCD 4 span"):
        epframes(received([1], [1], [1], [300], listed), clock(10.0), {}, Epframes(), *say)


def test_times_of_fast_modes_are_those_of_the_source(say):
    lines = LineClock(3e-5, 10.0, 200, 0.0)
    plain, fast = (
        epframes(received([1, 2], [5, 5], [5, 5], [300, 300], np.arange(200), lines=of), clock(), {},
                 replace(Epframes(), source_row=190), *say)
        for of in (None, lines)
    )  # fmt: skip
    # Half a frame's integration later, less 19 lines, and half a unit of the fine time.
    expected = (STEP_S - 0.005) / 2 - 19 * 3e-5 + UNIT_S / 2
    np.testing.assert_allclose(fast.time_s - plain.time_s, expected, atol=UNIT_S)


# --- bad pixels --------------------------------------------------------------------------------------


def test_bad_pixels_are_searched_in_the_band(say, said):
    rng = np.random.default_rng(3)
    flat = [rng.integers(0, 1000, 4000), rng.integers(1, 65, 4000), rng.integers(13, 201, 4000)]
    hot = [np.arange(0, 1000, 5), np.full(200, 30), np.full(200, 90)]
    frame, rawx, rawy = (np.concatenate(pair) for pair in zip(flat, hot, strict=True))
    raw = raw_list(frame, rawx, rawy, np.full(len(frame), 100))
    limits = Badpixfind(hithresh=0.5, hicolthresh=0.5)
    found = badpixfind(raw, [], limits, 5.0, 0.3, say[1])
    assert [(p.rawx, p.rawy, p.kind, p.badflag) for p in found] == [(30, 90, HOT, FOUND)]
    assert said[1] == [" CCD 4: number of entries: 1 (1 hot, 0 flickering, 0 dead)"]
    # 0.5 keV lies outside of the band; what is known is not found again.
    assert badpixfind(raw, [], replace(limits, loenergythresh=1.0), 5.0, 0.3, say[1]) == []
    assert badpixfind(raw, [BadPixel(30, 90, HOT, 1, CALIBRATION)], limits, 5.0, 0.3, say[1]) == []


def test_lists_of_bad_pixels_are_joined(say, said):
    known = [BadPixel(3, 1, DEAD, 150, ONBOARD), BadPixel(3, 100, DEAD, 80, CALIBRATION)]
    found = [BadPixel(3, 190, HOT, 1, FOUND), BadPixel(9, 5, HOT, 1, FOUND)]
    assert badpix(4, known, found, None, say[1]) == [
        BadPixel(3, 1, DEAD, 150, ONBOARD), BadPixel(3, 151, DEAD, 29, CALIBRATION), *found,
    ]  # fmt: skip
    # In fast modes a column counts if more than half of it is bad, each pixel once.
    assert badpix(4, known, [], 180, say[1]) == [BadPixel(3, 1, DEAD, 180, ONBOARD)]
    twice = [BadPixel(7, 1, HOT, 60, CALIBRATION), BadPixel(7, 1, DEAD, 60, CALIBRATION)]
    assert badpix(4, twice, [], 180, say[1]) == []
    assert "4 final bad pixel sets, 2 of them new" in said[1][0]


# --- epreject ----------------------------------------------------------------------------------------


def test_dark_levels_by_the_offset_map(say, said):
    offsets = np.full((200, 64), 50.0)
    offsets[49, 9] = 47.0
    raw = raw_list([1, 2, 3], [10, 10, 11], [50, 51, 50], [100, 100, 100])
    corrections = Corrections(OffsetMap(offsets, "map"), DarkLevels(None, limit_adu=2.0))
    made = epreject(raw, "PrimeFullWindow", corrections, Epreject(), lambda: random(3), *say)
    # 3 adu too few were subtracted; at most 2 are taken away.
    assert made.pha.tolist() == [98, 100, 100]
    assert made.off_cor.tolist() == [-2.0, 0.0, 0.0]
    assert said[0] == []
    assert "offset map map: 1 of 3 events shifted" in said[1][0]


def test_without_offset_map_and_median_amplitudes_stay(say, said):
    raw = raw_list([1], [10], [50], [100])
    assert epreject(raw, "PrimeFullWindow", Corrections(), Epreject(), lambda: random(3), *say) is raw
    assert said[0] == ["NoOffsetMap"]


def test_dark_levels_by_brightness(say, said):
    rng = np.random.default_rng(5)
    x, y = (v.ravel() for v in np.meshgrid(np.arange(1, 65), np.arange(1, 201), indexing="ij"))
    frame = rng.integers(0, 1000, len(x))
    extra = np.arange(100)
    raw = raw_list(
        np.concatenate([frame, extra]), np.concatenate([x, np.full(100, 20)]),
        np.concatenate([y, np.full(100, 101)]), np.full(len(x) + 100, 20),
    )  # fmt: skip
    levels = DarkLevels(np.ones((200, 64)), "median", shift_of=lambda excess: np.where(excess > 50, 3.0, 0.0))
    made = epreject(raw, "PrimeFullWindow", Corrections(levels=levels), Epreject(), lambda: random(3), *say)
    bright = (raw.rawx == 20) & (raw.rawy == 101)
    assert set(made.pha[bright].tolist()) == {23}
    assert set(made.pha[~bright].tolist()) == {20}
    assert said[0] == ["NoOffsetMap"]


def test_noise_is_flagged_by_its_probability(say, said):
    n = 20_000
    rng = np.random.default_rng(6)
    raw = raw_list(rng.integers(0, 1000, n), rng.integers(1, 65, n), rng.integers(1, 201, n), np.full(n, 25))
    # All events of channel 5 in columns 1 to 32 are noise, by the map of ten times the exposure.
    counts = np.zeros((200, 20))
    counts[:, 5] = 10 * n / 200 / 2
    noise = NoiseMap(np.arange(64) < 32, counts, 10 * raw.gti.total)
    options = Epreject(withnoisehandling=True)
    made = epreject(raw, "PrimeFullWindow", Corrections(noise=[noise]), options, lambda: random(3), *say)
    flagged = (made.flag & int(PnFlag.DETECTOR_NOISE)) != 0
    assert not flagged[raw.rawx > 32].any()
    # The largest probability is 0.98.
    assert flagged[raw.rawx <= 32].mean() == pytest.approx(0.95, abs=0.04)
    epreject(raw, "PrimeFullWindow", Corrections(), options, lambda: random(3), *say)
    assert said[0][-1] == "notCalibrated"
    few = replace(options, noiseparameters=(0.9,))
    with pytest.raises(TaskError, match="a limit and a factor for each of 12 CCDs"):
        epreject(raw, "PrimeFullWindow", Corrections(noise=[noise]), few, lambda: random(3), *say)


def test_loading_of_fast_modes(say, said):
    closed = np.full((200, 64), 40.0)
    offsets = closed.copy()
    offsets[:, 29] += 8.0
    raw = raw_list([1, 2], [30, 31], [5, 5], [100, 100])
    corrections = Corrections(OffsetMap(offsets, "map"), loading=Loading(closed, 0.5))
    options = Epreject(withxrlcorrection=True)
    made = epreject(raw, "FastTiming", corrections, options, lambda: random(3), *say)
    assert made.pha.tolist() == [104, 100]
    assert epreject(raw, "FastTiming", corrections, Epreject(), lambda: random(3), *say) is raw
    assert epreject(raw, "FastTiming", Corrections(), options, lambda: random(3), *say) is raw
    assert said[0] == ["NoOffsetMap"]
    epreject(raw, "PrimeFullWindow", Corrections(), options, lambda: random(3), *say)
    assert "XRLcorrFastModeOnly" in said[0]


# --- epevents ----------------------------------------------------------------------------------------


class Flat:
    """A camera whose pixels are 10 units wide, with a field of view of 1500 units to the right."""

    def raw_to_det(self, ccd, rawx, rawy):
        return 10.0 * np.asarray(rawx), 10.0 * np.asarray(rawy)

    def in_fov(self, detx, dety):
        return np.asarray(dety) <= 1500


PLAIN = Epevents(randomizeposition=False, randomizeenergy=False)


def test_patterns_without_bad_pixels_and_faint_singles(say, said):
    # A double, a single that is too faint, one on a bad pixel.
    raw = raw_list([1, 1, 2, 3], [10, 10, 20, 30], [50, 51, 60, 70], [100, 40, 29, 100])
    made = recognise(raw, [BadPixel(30, 70, HOT, 1, FOUND)], SCALE, 150.0, say[1])
    assert made.rawx.tolist() == [10, 10]
    assert made.size.tolist() == [2]
    assert made.code.tolist() == [1]
    assert made.rows == (50, 60)
    assert "events: 3 used, patterns: 2, 1 of more than one pixel" in said[1][0]


@pytest.mark.parametrize(
    ("scale", "off_cor", "kept"),
    [
        (SCALE, None, [30, 31]),
        # 29 adu may stand for 29.4, and 29.9 with the place within the adu; epreject may add half an adu.
        (replace(SCALE, offset=np.full(64, 12.6)), None, [30, 31]),
        (replace(SCALE, offset=np.full(64, 13.5)), None, [29, 30, 31]),
        (SCALE, np.zeros(4, np.float32), [29, 30, 31]),
        # Singles get 4 eV more.
        (replace(SCALE, shifts={0: (np.array([100.0]), np.array([4.0]))}), None, [29, 30, 31]),
    ],
)
def test_no_single_is_left_out_that_could_reach_the_energy(scale, off_cor, kept, say):
    raw = raw_list([1, 2, 3, 4], [10, 20, 30, 40], [50, 60, 70, 80], [28, 29, 30, 31], off_cor=off_cor)
    assert recognise(raw, [], scale, 150.0, say[1]).pha.tolist() == kept
    assert most_added(raw, SCALE) == (0.5 if off_cor is None else 1.0)


def test_rows_of_the_event_list(say):
    raw = raw_list(
        [1, 1, 2, 3, 4], [10, 10, 64, 20, 20], [50, 51, 60, 160, 20], [100, 40, 200, 100, 100],
        offsets={21: 7},
    )  # fmt: skip
    made = recognise(raw, [BadPixel(20, 19, DEAD, 1, CALIBRATION)], SCALE, 0.0, say[1])
    columns, patterns = detector_events(made, SCALE, Flat(), WHOLE, random, PLAIN)
    assert columns["PI"].tolist() == [700, 1000, 500, 500]
    assert columns["PATTERN"].tolist() == [1, 0, 0, 0]
    assert columns["DETX"].tolist() == [100, 640, 200, 200]
    assert columns["FLAG"].tolist() == [
        0,
        int(PnFlag.CLOSE_TO_CCD_BORDER),
        int(PnFlag.OUT_OF_FOV | PnFlag.NEXT_TO_OFFSET_COLUMN),
        int(PnFlag.CLOSE_TO_DEADPIX | PnFlag.NEXT_TO_OFFSET_COLUMN),
    ]
    assert patterns.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(columns["TIME"], START_S + STEP_S * np.array([1, 2, 3, 4]))
    few = replace(PLAIN, screening=Screening(600, int(PnFlag.CLOSE_TO_CCD_BORDER)))
    assert detector_events(made, SCALE, Flat(), WHOLE, random, few)[0]["PI"].tolist() == [700]


def test_events_out_of_time_stay_in_their_columns(say):
    n = 500
    raw = raw_list(np.arange(n), np.full(n, 30), np.full(n, 100), np.full(n, 200), offsets={})
    raw.rawy[0], raw.rawy[-1] = 13, 200
    made = recognise(raw, [], replace(SCALE, loss=np.full(64, 1e-3)), 0.0, say[1])
    scale = replace(SCALE, loss=np.full(64, 1e-3))
    columns, _ = detector_events(made, scale, Flat(), WHOLE, random, replace(PLAIN, withoutoftime=True))
    assert set(columns["RAWX"].tolist()) == {30}
    assert columns["RAWY"].min() >= 13
    assert columns["RAWY"].max() <= 200
    assert np.std(columns["RAWY"]) == pytest.approx(188 / np.sqrt(12), rel=0.1)
    # Energies are those of the new rows.
    assert np.all(np.diff(columns["PI"][np.argsort(columns["RAWY"])]) >= 0)


def test_times_within_the_frame_and_places_on_the_sky(say, monkeypatch):
    sky = type("Sky", (), {"geometry": Flat(), "attitude": None, "ra_deg": 10.0, "dec_deg": 20.0})()
    monkeypatch.setattr(
        "daxa.xmm.sky.attcalc.sky_coordinates", lambda time, x, y, *rest: (x.astype(int) + 1, y.astype(int))
    )
    raw = raw_list(np.arange(900), np.full(900, 30), np.full(900, 100), np.full(900, 200))
    made = recognise(raw, [], SCALE, 0.0, say[1])
    columns = ccd_events(made, SCALE, sky, WHOLE, random, PLAIN, Epexposure())
    late = columns["TIME"] - raw.time_s[:900]
    assert np.abs(late).max() <= 0.035
    assert np.std(late) == pytest.approx(0.07 / np.sqrt(12), rel=0.1)
    assert columns["X"].tolist() == [301] * 900
    still = ccd_events(made, SCALE, sky, WHOLE, random, PLAIN, Epexposure(randomizetime=False))
    np.testing.assert_array_equal(still["TIME"], raw.time_s[:900])


def test_lines_of_fast_modes_are_times(say):
    raw = raw_list([1, 1, 2], [30, 31, 30], [9, 5, 2], [200, 100, 100], offsets={})
    made = recognise(raw, [], SCALE, 0.0, say[1])
    lines = LineClock(3e-5, 10.0, 200, 0.0)
    columns = fast_events(made, SCALE, lines, 190, random, PLAIN)
    assert columns["RAWX"].tolist() == [31, 30, 30]
    frame = START_S + STEP_S * np.array([1, 1, 2])
    np.testing.assert_allclose(columns["TIME"], frame + 3e-5 * (np.array([4, 8, 1]) - 19), atol=1e-8)
    assert columns["PI"].tolist() == [500, 1000, 500]


def test_expressions_select_events():
    columns = {"PI": np.array([100, 200, 300]), "FLAG": np.array([0, 0, 1 << 21])}
    assert filtered(columns, "")["PI"].tolist() == [100, 200, 300]
    assert filtered(columns, "PI > 150 && #XMMEA_EP")["PI"].tolist() == [200]
    with pytest.raises(TaskError, match="filterexpression"):
        filtered(columns, "ENERGY > 3")
