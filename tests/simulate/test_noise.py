"""Noise of the detectors: its rates, and what its mechanisms send down."""

from __future__ import annotations

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from daxa.simulate.cameras.camera import CAMERAS
from daxa.simulate.cameras.mos import observe_mos
from daxa.simulate.cameras.mos_noise import defects
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.pn import RESET_FRAMES, observe_pn
from daxa.simulate.cameras.readout import Exposure
from daxa.simulate.numbers import noise as noise_numbers
from daxa.simulate.odf.clock import Clock, tt_of_utc

START = tt_of_utc("2017-11-01T11:00:00")
CLOCK = Clock(START - 16000)
NOTHING = SimpleNamespace(
    time_s=np.zeros(0), ccd=np.zeros(0, int), rawx=np.zeros(0), rawy=np.zeros(0), energy_ev=np.zeros(0),
    source=np.zeros(0, int),
)  # fmt: skip


def mos(noise: Noise, seconds: float, ccd: int = 2, instrument: str = "M2", seed: int = 4):
    exposure = Exposure(instrument, "S001", START, START + seconds, ccds=(ccd,))
    rng = np.random.default_rng(seed)
    return observe_mos(CAMERAS[instrument], NOTHING, exposure, CLOCK, noise, rng)


def pn(noise: Noise, seconds: float, ccds=(4, 5, 6), seed: int = 4):
    exposure = Exposure("PN", "S003", START, START + seconds, ccds=ccds)
    rng, reset = np.random.default_rng(seed), int(CLOCK.obt(START)) - 9000
    return observe_pn(CAMERAS["PN"], NOTHING, exposure, CLOCK, noise, rng, reset_obt_s=reset)


def test_the_composition_is_that_of_the_real_log(shared_data):
    """Every number of the tables that the log's extract has."""
    rows = noise_numbers._rows
    events, pixels = rows(noise_numbers._MOS_EVENTS), rows(noise_numbers._MOS_PIXELS)
    with (shared_data / "logs" / "0802710101_mos_per_ccd.csv").open() as file:
        real = list(csv.DictReader(file))
    assert [(r["inst"], int(r["ccd"])) for r in real] == [(e["camera"], e["ccd"]) for e in events]
    names = {
        "frames": "frames", "cosmic": "cosmic", "trunc_e1": "truncated", "out_win": "outside",
        "bad_rows": "in_rows", "e3": "low_e3", "flicker": "flicker",
    }  # fmt: skip
    for r, e, p in zip(real, events, pixels, strict=True):
        assert {n: float(r[n]) for n in names} == {n: e[mine] for n, mine in names.items()}
        assert (p["camera"], p["ccd"]) == (e["camera"], e["ccd"])
    with (shared_data / "logs" / "0802710101_pn_per_ccd.csv").open() as file:
        for r, mine in zip(csv.DictReader(file), rows(noise_numbers._PN), strict=True):
            assert [
                float(r[n]) for n in ("ccd", "fifo_reset", "new_badpix", "dli_sum", "mip_cols_per_s")
            ] == [mine[n] for n in ("ccd", "resets", "pixels", "discarded", "lost_s")]


def test_rates_of_a_ccd_and_scaling():
    noise = Noise(mos_soft=1.0, pn_soft=2.0, ccds={("M1", 3): {"mos_soft": 5.0, "mos_hot_pixels": 7.0}})
    assert noise.of("M1", 3).mos_soft == 5.0
    assert noise.of("M2", 3).mos_soft == 1.0
    more = noise.scaled(10.0, 3.0)
    assert (more.mos_soft, more.pn_soft, more.hot_pixel) == (10.0, 6.0, noise.hot_pixel)
    assert (more.of("M1", 3).mos_soft, more.of("M1", 3).mos_hot_pixels) == (50.0, 7.0)
    silent = mos(Noise.quiet(), 700.0)
    assert silent.ccds[2].truth["n_events"] == 0


def test_hot_pixels_fire_at_their_places_and_rates():
    noise = Noise.like_0802710101().of("M1", 2)
    bad = defects(CAMERAS["M1"], 2, noise, 2.7)
    assert len(bad.x) == 606
    assert bad.chance.sum() == pytest.approx(noise.mos_hot_events * 2.7)
    assert bad.chance.max() <= noise.mos_hot_most
    assert len(bad.columns) == 10
    # None beside another, so that each is an event of its own.
    place = bad.x + 1j * bad.y
    apart = np.abs(place[:, None] - place[None, :]) + 99 * np.eye(len(place))
    assert apart.min() >= 3
    only = Noise.quiet(mos_hot_pixels=12, mos_hot_events=2.0, mos_hot_most=0.9)
    events = mos(only, 2600.0).ccds[2].events
    bad = defects(CAMERAS["M2"], 2, only, 2.6)
    for x, y, chance in zip(bad.x, bad.y, bad.chance, strict=True):
        n = np.sum((events["RAWX"] == x + 6) & (events["RAWY"] == y + 1))
        assert n == pytest.approx(1000 * chance, abs=5 * np.sqrt(1000 * chance) + 3)


def test_mechanisms_have_their_marks():
    rows = (
        mos(Noise.quiet(mos_row_bursts=0.05, mos_burst_events=25.0, mos_ringing=1.0), 4000.0).ccds[2].events
    )
    _, count = np.unique(rows["FRAME"].astype(int) * 1000 + rows["RAWY"], return_counts=True)
    assert count.mean() > 15
    assert np.median(rows["ENERGYE3"]) < -80
    spots = mos(Noise.quiet(mos_incoherent=1.0), 4000.0).ccds[2].events
    assert np.median(spots["ENERGYE4"]) > 130
    assert np.mean(spots["PATTERN"] == 0) > 0.6
    flickers = mos(Noise.quiet(mos_flickering=0.5), 4000.0).ccds[2].events
    place = flickers["RAWX"].astype(int) * 1000 + flickers["RAWY"]
    where, count = np.unique(place, return_counts=True)
    assert np.median(count) >= 6
    span = [np.ptp(flickers["FRAME"][place == p]) for p in where[:20]]
    assert np.median(span) < 12
    pairs = mos(Noise.quiet(mos_fragments=0.5), 4000.0).ccds[2].events
    assert np.mean((pairs["PATTERN"] >= 26) & (pairs["PATTERN"] <= 29)) > 0.9
    shower = mos(Noise.quiet(mos_showers=1 / 1300.0), 2600.0)
    assert shower.auxiliary[0]["FIFOOVF"].sum() == 2
    assert len(shower.ccds[2].truth["bad_frames"]) == 2


def test_lost_frames_leave_their_charge_to_the_next():
    data = mos(Noise.quiet(mos_soft=20.0, mos_lost_frames=20 / 2600.0), 2601.0)
    counters, events = data.auxiliary[0], data.ccds[2].events["FRAME"]
    mine = counters["CCDID"] == 2
    frames, pixels = counters["FRAME"][mine], counters["NPIXEL"][mine]
    lost = np.array(data.ccds[2].truth["lost_frames"]) + 1
    assert len(lost) == 20
    assert not np.isin(lost, [*frames, *events]).any()
    count = np.bincount(events, minlength=frames[-1] + 1)
    usual, after = np.setdiff1d(frames, lost + 1), np.isin(frames, lost + 1)
    # As in real lists: 1.94 times the pixels of tracks.
    assert count[lost + 1].mean() / count[usual].mean() == pytest.approx(2, abs=0.15)
    assert pixels[after].mean() / pixels[~after].mean() == pytest.approx(2, abs=0.2)


def test_the_first_frame_holds_what_came_before():
    """Five times the events of others, as in raw files of a real exposure."""
    data = mos(Noise.quiet(mos_soft=100.0, mos_first_frame=4.0), 260.0)
    events = np.bincount(data.ccds[2].events["FRAME"])
    assert events[1] / events[2:].mean() == pytest.approx(5, rel=0.1)


def test_blocks_of_frames_join_without_a_seam(monkeypatch):
    """Long exposures are made in blocks: the same kinds of events, frames in order."""
    noise = Noise.like_0802710101().of("M2", 5)
    whole = mos(noise, 2600.0, seed=1).ccds[2]
    monkeypatch.setattr("daxa.simulate.cameras.mos._BLOCK", 130)
    parts = mos(noise, 2600.0, seed=1).ccds[2]
    for one in (whole, parts):
        assert (np.diff(one.events["FRAME"]) >= 0).all()
    assert parts.truth["n_events"] == pytest.approx(whole.truth["n_events"], rel=0.1)
    per_block = np.histogram(parts.events["FRAME"], np.arange(1, 1002, 125))[0]
    assert per_block.min() > 0.7 * per_block.mean()
    assert parts.truth["live_fraction"] == pytest.approx(whole.truth["live_fraction"], abs=1e-3)
    monkeypatch.setattr("daxa.simulate.cameras.pn._BLOCK", 1500)
    events = pn(Noise.quiet(pn_soft=20.0), 600.0).ccds[4].events
    assert (np.diff(events["FRAME"]) >= 0).all()
    assert len(events["FRAME"]) == pytest.approx(20 * 600 * 0.94 * 0.978, rel=0.05)


def test_resets_of_the_event_buffer_silence_a_quadrant():
    data = pn(Noise.quiet(pn_soft=90.0, pn_fifo_resets=12 / 600.0), 600.0)
    frames = data.auxiliary[0]
    sent = np.unique(frames["CYCLE"])
    silent = np.setdiff1d(np.arange(sent[0], sent[-1] + 1), sent)
    assert len(silent) == 12 * RESET_FRAMES
    assert (np.diff(silent) > 1).sum() == 11
    truth = data.ccds[5].truth
    assert truth["reset_frames"] == 12 * RESET_FRAMES
    kept = (
        1 - data.ccds[5].discarded.sum() / 64 / truth["n_frames"] - truth["reset_frames"] / truth["n_frames"]
    )
    assert truth["live_fraction"] == pytest.approx(kept * (1 - 69.24e-6 / truth["frame_time_s"]), abs=1e-9)


def test_frames_without_a_coarse_time():
    data = pn(Noise.quiet(pn_soft=90.0, pn_no_time=0.02), 600.0, ccds=(4,))
    frames = data.auxiliary[0]
    lost = frames["FTCOARSE"] == 0xFFFF
    assert lost.mean() == pytest.approx(0.02, rel=0.3)
    with_time, truth = pn(Noise.quiet(pn_soft=90.0), 600.0, ccds=(4,)).ccds[4].truth, data.ccds[4].truth
    share = lost.sum() / truth["n_frames"]
    assert truth["live_fraction"] == pytest.approx(with_time["live_fraction"] - share, abs=2e-3)


def test_noise_comes_in_company():
    alone = pn(Noise.quiet(pn_soft=10.0), 600.0, ccds=(4,)).ccds[4].events["FRAME"]
    together = pn(Noise.quiet(pn_soft=10.0, pn_clump=1.6), 600.0, ccds=(4,)).ccds[4].events["FRAME"]
    assert len(together) == pytest.approx(len(alone), rel=0.08)
    assert together.max() < 0.75 * alone.max()
