"""pn detector: read-out, out-of-time events, lost columns, counters, times."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.simulate.cameras.camera import CAMERAS
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.pn import MAX_FRAMES, WRAP_S, observe_pn, read_out
from daxa.simulate.cameras.readout import Exposure, split_charge
from daxa.simulate.odf.clock import Clock, tt_of_utc

START = tt_of_utc("2016-11-13T03:00:00")
QUIET = Noise.quiet()
CAMERA = CAMERAS["PN"]
CLOCK = Clock(START - 7000)
RESET = int(CLOCK.obt(START)) - WRAP_S + 100


def hits(n: int, seconds: float, energy_ev: float, ccd: int = 4, seed: int = 3, row: float | None = None):
    rng = np.random.default_rng(seed)
    return SimpleNamespace(
        time_s=np.sort(rng.uniform(START, START + seconds, n)),
        ccd=np.full(n, ccd),
        rawx=rng.uniform(2, 63, n),
        rawy=rng.uniform(20, 195, n) if row is None else np.full(n, row),
        energy_ev=np.full(n, energy_ev),
        source=np.zeros(n, int),
    )


def observe(photons, seconds: float, noise: Noise = QUIET, ccds=(4,), seed: int = 5, **more):
    exposure = Exposure("PN", "S003", START, START + seconds, ccds=ccds, **more)
    rng = np.random.default_rng(seed)
    return observe_pn(CAMERA, photons, exposure, CLOCK, noise, rng, reset_obt_s=RESET)


@pytest.mark.parametrize(
    ("submode", "fraction"), [("PrimeFullWindow", 0.063), ("PrimeFullWindowExtended", 0.023)]
)
def test_out_of_time_fraction(submode: str, fraction: float) -> None:
    photons = hits(60000, 1500, 2000.0, row=150.0)
    data = observe(photons, 1500, submode=submode)
    seen = data.photons["FRAME"] >= 0
    share = data.photons["OOT"][seen].mean()
    assert share == pytest.approx(fraction, abs=0.0006 + 4 * np.sqrt(fraction / 60000))
    rows = data.ccds[4].events["RAWY"] + 1
    elsewhere = (rows < 147) | (rows > 153)
    # They spread over all rows that are transmitted.
    assert np.mean(elsewhere) == pytest.approx(fraction * (188 - 7) / 200, rel=0.12)
    counts, _ = np.histogram(rows[elsewhere], np.arange(13, 202, 27))
    assert counts.min() > 0.7 * counts.max() - 30


@given(st.floats(0, 0.0733), st.integers(1, 200), st.integers(0, 1000))
def test_read_out_shifts_late_photons_only(phase: float, row: int, frame: int) -> None:
    where, new, late = (
        v[0] for v in read_out(np.array([phase]), np.array([frame]), np.array([row]), 0.0687, 0.00466)
    )
    assert 1 <= new <= 200
    assert late == (phase >= 0.0687)
    if not late:
        assert (where, new) == (frame, row)
    else:
        # The charge met was transferred further from its own row, or belongs to the next frame.
        assert (where == frame and new >= row) or (where == frame + 1 and new < row)


@pytest.mark.parametrize("energy_ev", [700.0, 1500.0, 6000.0])
def test_number_of_pixels_is_that_asked_for(energy_ev: float) -> None:
    photons = hits(20000, 3000, energy_ev)
    data = observe(photons, 3000)
    used = (data.photons["FRAME"] >= 0) & data.photons["KEPT"]
    pixels = np.bincount(data.photons["NPIXELS"][used], minlength=5)[1:5] / used.sum()
    expected = CAMERA.pattern_fractions(energy_ev)
    assert np.abs(pixels - expected).max() < 4 * np.sqrt(0.25 / 20000)
    mean = (expected * np.arange(1, 5)).sum()
    assert len(data.ccds[4].events["FRAME"]) / used.sum() == pytest.approx(mean, rel=0.015)


def test_amplitudes_sum_to_the_photons_energy() -> None:
    photons = hits(3000, 3000, 5000.0)
    photons.rawx[:], photons.rawy[:] = 30.0, 100.0
    events = observe(photons, 3000).ccds[4].events
    single = (events["RAWX"] == 29) & (events["RAWY"] == 99)
    expected = CAMERA.amplitude(5000.0, 4, 30, 100, START, 1)
    assert np.median(events["ENERGY"][single & (events["ENERGY"] > 0.9 * expected)]) == pytest.approx(
        float(expected), abs=2
    )


def test_every_pixel_is_above_the_threshold_and_in_read_out_order() -> None:
    data = observe(hits(20000, 1000, 1200.0), 1000, Noise(), ccds=(4, 5))
    for one in data.ccds.values():
        e = one.events
        assert e["ENERGY"].min() >= CAMERA.event_threshold_adu
        assert e["ENERGY"].max() <= 4095
        assert (np.diff(e["FRAME"]) >= 0).all()
        same = np.diff(e["FRAME"]) == 0
        assert (np.diff(e["RAWY"])[same] >= 0).all()
        assert e["RAWY"].min() >= 12
        assert e["RAWX"].min() >= 0
        assert e["RAWX"].max() <= 63


def test_listed_frames_are_those_with_events() -> None:
    gap = (START + 300.0, START + 325.0)
    data = observe(hits(9000, 1000, 1200.0), 1000, ccds=(4, 5, 6), gaps_s=(gap,))
    frames, cycles = data.auxiliary
    for ccd, one in data.ccds.items():
        rows = (frames["QUADRANT"] == (ccd - 1) // 3) & (frames["CCDID"] == (ccd - 1) % 3)
        assert np.array_equal(frames["FRAME"][rows], np.unique(one.events["FRAME"]))
        assert (np.diff(frames["CYCLE"][rows]) > 0).all()
    stamp = frames["FTCOARSE"] + frames["FTFINE"] * 20.48e-6
    assert frames["FTCOARSE"].max() < WRAP_S
    # The counter starts again 100 s into the exposure.
    assert (np.diff(frames["FTCOARSE"]) < -WRAP_S / 2).sum() == 1
    whole = stamp + WRAP_S * np.concatenate([[0], np.cumsum(np.diff(frames["FTCOARSE"]) < -WRAP_S / 2)])
    fit = whole - frames["CYCLE"] * 0.07336496
    assert np.ptp(fit) < 4 * 20.48e-6
    silent = CLOCK.tt(whole + RESET)
    assert not ((silent > gap[0]) & (silent < gap[1])).any()
    assert set(np.diff(cycles["CYCLE"][cycles["QUADRANT"] == 1])) <= {
        MAX_FRAMES,
        MAX_FRAMES * 18,
        MAX_FRAMES * 17,
    }


def test_stamps_follow_the_integration_by_the_delay() -> None:
    mode = CAMERA.mode("PrimeFullWindow")
    for ccd in (4, 5, 6):
        data = observe(hits(4000, 600, 1200.0, ccd=ccd), 600, ccds=(ccd,))
        frames = data.auxiliary[0]
        stamp = RESET + frames["FTCOARSE"] + frames["FTFINE"] * 20.48e-6
        stamp += WRAP_S * (stamp < CLOCK.obt(START) - 100)
        centre = dict(zip(frames["CYCLE"] - 1, stamp - mode.delay_s(ccd), strict=True))
        photons = data.photons
        used = (photons["FRAME"] >= 0) & photons["KEPT"] & ~photons["OOT"]
        found = np.array([centre[frame] for frame in photons["FRAME"][used]])
        offset = CLOCK.obt(photons["TIME"][used]) - found
        assert np.abs(offset).max() <= mode.integration_s / 2 + 1e-4
        assert abs(offset.mean()) < 4 * mode.integration_s / np.sqrt(12 * used.sum())


def test_discarded_columns_are_counted_and_empty() -> None:
    data = observe(hits(40000, 2000, 1200.0), 2000, ccds=(4, 5, 6))
    lost = np.array([data.ccds[c].discarded.sum() for c in (4, 5, 6)])
    cycles = data.auxiliary[1]
    n_frames = data.ccds[4].truth["n_frames"]
    assert cycles["NDISCLIN"].sum() == pytest.approx(lost.sum(), rel=MAX_FRAMES / n_frames + 2e-3)
    live = data.ccds[4].truth["live_fraction"]
    share = 1 - 69.24e-6 / data.ccds[4].truth["frame_time_s"]
    live /= share
    assert live == pytest.approx(1 - lost[0] / (64 * n_frames), abs=1e-12)
    # Some out-of-time events fall on the rows that are never sent.
    seen = (data.photons["FRAME"] >= 0) & ~data.photons["OOT"]
    assert data.photons["KEPT"][seen].mean() == pytest.approx(live, abs=4 * np.sqrt(0.03 / 40000))


def test_shares_sum_to_one_and_exceed_the_threshold() -> None:
    rng = np.random.default_rng(2)
    n = 5000
    amplitude = rng.uniform(30, 2000, n)
    wanted = rng.integers(1, 5, n)
    split = split_charge(CAMERA, amplitude, wanted, rng.uniform(2, 60, n), rng.uniform(2, 190, n), rng)
    assert np.bincount(split.event, weights=split.share) == pytest.approx(1.0)
    assert np.array_equal(np.bincount(split.event), split.n_pixels)
    assert (split.n_pixels <= wanted).all()
    several = split.n_pixels[split.event] > 1
    assert (split.share * amplitude[split.event])[several].min() > CAMERA.event_threshold_adu
    main = (split.dx == 0) & (split.dy == 0)
    largest = np.zeros(n)
    np.maximum.at(largest, split.event, split.share)
    assert np.allclose(split.share[main], largest[split.event[main]])
