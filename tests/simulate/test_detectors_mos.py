"""MOS detector: pattern recognition on board, counters, times."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.simulate.calibration.constituents import pattern_roles
from daxa.simulate.cameras.camera import CAMERAS
from daxa.simulate.cameras.mos import GATTI_CYCLE, observe_mos, recognise
from daxa.simulate.cameras.mos_noise import Deposits, pixel_key
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.readout import Exposure
from daxa.simulate.numbers import cameras as numbers
from daxa.simulate.odf.clock import Clock, tt_of_utc

START = tt_of_utc("2016-11-13T03:00:00")
QUIET = Noise.quiet()
CAMERA = CAMERAS["M1"]


def hits(n: int, seconds: float, energy_ev: float, ccd: int = 1, seed: int = 3, margin: float = 3.0):
    rng = np.random.default_rng(seed)
    return SimpleNamespace(
        time_s=np.sort(rng.uniform(START, START + seconds, n)),
        ccd=np.full(n, ccd),
        rawx=rng.uniform(margin, 600 - margin, n),
        rawy=rng.uniform(margin, 600 - margin, n),
        energy_ev=np.full(n, energy_ev),
        source=np.zeros(n, int),
    )


def observe(photons, seconds: float, noise: Noise = QUIET, ccds=(1,), seed: int = 5, **more):
    exposure = Exposure("M1", "S001", START, START + seconds, ccds=ccds, **more)
    return observe_mos(CAMERA, photons, exposure, Clock(START - 7000), noise, np.random.default_rng(seed))


def recognise_pixels(pixels: dict[tuple[int, int], int], threshold: int = 25):
    deposits = Deposits()
    for (x, y), adu in pixels.items():
        deposits.add(3, 100 + x, 200 + y, float(adu))
    keys, adu = deposits.joined()
    return recognise(keys, adu.astype(int), threshold, lambda n: np.zeros(n, int))


@pytest.mark.parametrize("pattern", [p for p in pattern_roles() if p < 30])
def test_every_pattern_of_the_library_is_recognised(pattern: int) -> None:
    role = pattern_roles()[pattern]
    pixels = {(x - 2, y - 2): 60 for y in range(5) for x in range(5) if role[y, x] == 1}
    pixels[0, 0] = 500
    found = recognise_pixels(pixels)
    assert found["pattern"].tolist() == [pattern]
    assert found["key"].tolist() == [int(pixel_key(3, 100, 200))]
    inner = sum(1 for x, y in pixels if (x, y) != (0, 0) and max(abs(x), abs(y)) == 1)
    assert found["e1"].tolist() == [500]
    assert found["e2"].tolist() == [60 * inner]


def test_energies_are_sums_over_the_box() -> None:
    found = recognise_pixels({(0, 0): 300, (1, 0): 80, (-1, 1): 10, (2, 2): 7, (-2, 0): 30})
    # The pixel in the ring is an event of its own, and the first in order.
    assert found["pattern"][0] == 0
    assert found["pattern"][1] in range(1, 5)
    values = {name: int(found[name][1]) for name in ("e1", "e2", "e3", "e4", "peripix")}
    assert values == {"e1": 300, "e2": 80, "e3": 10, "e4": 7, "peripix": 1}


def test_a_neighbour_in_the_ring_makes_a_single_no_single_only_if_it_touches() -> None:
    assert recognise_pixels({(0, 0): 300, (2, 0): 90})["pattern"].tolist() == [0, 0]
    touching = recognise_pixels({(0, 0): 300, (1, 0): 90, (2, 0): 60})
    assert touching["pattern"].tolist() == [31]
    assert touching["peripix"].tolist() == [1]


def test_of_equal_pixels_one_is_the_main_one() -> None:
    found = recognise_pixels({(0, 0): 100, (1, 0): 100, (0, 1): 100, (1, 1): 100})
    assert len(found["key"]) == 1
    assert found["e1"][0] + found["e2"][0] == 400


@settings(max_examples=40)
@given(st.dictionaries(st.tuples(st.integers(0, 7), st.integers(0, 7)), st.integers(1, 300), max_size=20))
def test_main_pixels_are_the_maxima(pixels: dict[tuple[int, int], int]) -> None:
    found = recognise_pixels(pixels)
    mains = {(int(k & 1023) - 108, int(k >> 10 & 1023) - 208) for k in found["key"]}
    for (x, y), adu in pixels.items():
        around = [pixels.get((x + i, y + j), 0) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
        if adu >= 25 and adu > max(around):
            assert (x, y) in mains
        if adu < 25 or adu < max(around):
            assert (x, y) not in mains


@pytest.mark.parametrize("energy_ev", [500.0, 1500.0, 6000.0])
def test_pattern_fractions_are_those_asked_for(energy_ev: float) -> None:
    data = observe(hits(12000, 4000, energy_ev), 4000)
    pattern = data.ccds[1].events["PATTERN"]
    counts = np.array([np.sum((pattern >= a) & (pattern <= b)) for a, b in ((0, 0), (1, 4), (5, 8), (9, 12))])
    expected = CAMERA.pattern_fractions(energy_ev)
    assert np.abs(counts / counts.sum() - expected).max() < 4 * np.sqrt(0.25 / 12000)
    assert np.mean(pattern > 12) < 0.01


def test_amplitudes_sum_to_that_of_the_photon() -> None:
    photons = hits(4000, 4000, 3000.0)
    data = observe(photons, 4000)
    events = data.ccds[1].events
    # Each class of patterns has a scale of its own.
    single = events["PATTERN"] == 0
    total = (events["ENERGYE1"] + events["ENERGYE2"])[single]
    expected = CAMERA.amplitude(3000.0, 1, photons.rawx, photons.rawy, START, 1)
    assert abs(np.median(total) - np.median(expected)) < 4
    assert np.mean(events["ENERGYE3"]) == pytest.approx(8 * 0.8, abs=2.5)
    assert np.mean(events["ENERGYE4"]) == pytest.approx(16 * 0.8, abs=3)


def test_positions_in_the_telemetry_are_the_main_pixel() -> None:
    photons = hits(500, 2000, 3000.0)
    photons.rawx[:], photons.rawy[:] = 401.1, 17.0
    events = observe(photons, 2000).ccds[1].events
    # Six columns and one row more than RAWX and RAWY.
    assert set(events["RAWX"]) <= {407, 408}
    assert np.mean(events["RAWX"] == 407) > 0.95
    assert np.mean(events["RAWY"] == 18) > 0.95


def test_frames_count_what_is_sent() -> None:
    seconds = 1300.0
    gap = (START + 400.0, START + 431.2)
    data = observe(
        hits(3000, seconds, 2000.0), seconds, Noise(), ccds=(1, 2), gaps_s=(gap,), overflow_frames=(7,)
    )
    table = data.auxiliary[0]
    for ccd in (1, 2):
        rows = table["CCDID"] == ccd
        frame = table["FRAME"][rows]
        sent = np.bincount(data.ccds[ccd].events["FRAME"], minlength=frame.max() + 1)[frame]
        full = table["FIFOOVF"][rows] == 0
        assert (sent[full] == table["NVALID"][rows][full]).all()
        assert frame[~full].tolist() == [8]
        assert sent[~full][0] <= table["NVALID"][rows][~full][0]
        missing = np.setdiff1d(np.arange(1, frame.max() + 1), frame)
        assert len(missing) == 12
        assert not np.isin(data.ccds[ccd].events["FRAME"], missing).any()
        flagged = frame[table["GATTIFLG"][rows] == 1]
        assert flagged.tolist() == [1]
        assert (table["NPIXEL"][rows] >= table["NABOVE"][rows]).all()
    seen = np.isin(data.ccds[1].events["PATTERN"], (30, 31)).sum()
    assert seen > 0.5 * Noise().mos_cosmic * seconds


def test_time_stamps_end_the_frames() -> None:
    photons = hits(200, 260, 2000.0)
    data = observe(photons, 260)
    table, clock = data.auxiliary[0], Clock(START - 7000)
    stamp = table["FTCOARSE"] + table["FTFINE"] * 40e-6
    stamp = np.unwrap(stamp, period=32768)
    assert np.diff(stamp) == pytest.approx(2.6, abs=1e-4)
    first = clock.obt(START) + 2.6 + numbers.MOS_STAMP_DELAY_S
    # The clock is reset at a whole second, two seconds before the start.
    reset = first - stamp[0]
    assert reset == pytest.approx(round(reset), abs=1e-4)
    assert 1.4 < clock.obt(START) - reset < 3.6
    frame = data.photons["FRAME"]
    ends = clock.tt(first - numbers.MOS_STAMP_DELAY_S + 2.6 * frame)
    used = frame >= 0
    assert ((data.photons["TIME"] <= ends) & (data.photons["TIME"] > ends - 2.6001))[used].all()


def test_particles_hide_their_share_of_photons() -> None:
    data = observe(hits(40000, 8000, 1500.0), 8000)
    live = data.ccds[1].truth["live_fraction"]
    assert 0.97 < live < 0.995
    seen = data.photons["FRAME"] >= 0
    assert data.photons["KEPT"][seen].mean() == pytest.approx(live, abs=4 * np.sqrt(0.02 / 40000))


def test_truncated_events_stand_at_the_converters_end() -> None:
    noise = Noise.quiet(mos_truncated=0.5)
    events = observe(hits(10, 2000, 1000.0), 2000, noise).ccds[1].events
    high = events["ENERGYE1"] > 3400
    assert high.sum() > 700
    limit = 4095 - 106 - (events["FRAME"][high] - 2) % GATTI_CYCLE
    assert np.mean(events["ENERGYE1"][high] == limit) > 0.99


def test_bad_pixels_are_silent_or_noisy() -> None:
    photons = hits(20000, 2000, 1500.0)
    # (1, 137, 412) is masked on board, (1, 511, 77) is hot.
    photons.rawx[:4000], photons.rawy[:4000] = 137.0, 412.0
    noise = Noise.quiet(hot_pixel=0.08)
    data = observe(photons, 2000, noise)
    events = data.ccds[1].events
    assert not ((events["RAWX"] == 143) & (events["RAWY"] == 413)).any()
    assert ((events["RAWX"] == 517) & (events["RAWY"] == 78)).sum() > 80
    assert not (data.photons["KEPT"] & ~data.photons["OOT"])[:4000].any()
    for bad in data.ccds[1].truth["found_bad_pixels"]:
        x, y = bad["rawx"] + 6, bad["rawy"] + 1
        assert ((events["RAWX"] == x) & (events["RAWY"] == y)).sum() > 10
