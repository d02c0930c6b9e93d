"""The simulated set of modes: windows, clocks, rates, fast modes, odd exposures."""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate import simulate_observation
from daxa.simulate.cameras.camera import CAMERAS
from daxa.simulate.cameras.fast import observe_pn_fast, pn_lines
from daxa.simulate.cameras.mos import observe_mos
from daxa.simulate.cameras.noise import Noise
from daxa.simulate.cameras.pn import observe_pn, read_window
from daxa.simulate.cameras.readout import Exposure
from daxa.simulate.odf.clock import Clock, tt_of_utc
from daxa.simulate.optics import Hits
from daxa.simulate.sets.modes import MOS1_CCDS_LEFT, describe_modes
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats.odf_names import OdfName

PN = CAMERAS["PN"]
#: ObsID, exposure, type and CCD of a file; frame time [s], window, CCDMODE (pn).
FILES = [
    ("0800020101", "M1S001", 1, "IME", 0.3, (250, 251, 110, 100), None),
    ("0800020101", "M1S001", 4, "IME", 2.7, (0, 0, 610, 602), None),
    ("0800020101", "M2S002", 1, "IME", 0.9, (150, 150, 310, 300), None),
    ("0800020101", "PNS003", 4, "IME", 0.00567179, (0, 136, 63, 64), 3),
    ("0800020201", "M2S002", 1, "IME", 2.6, (0, 0, 610, 602), None),
    ("0800020201", "PNS003", 9, "IME", 0.04766384, (0, 100, 64, 100), 2),
    ("0800020301", "M1S001", 1, "TIE", 1.05, (250, 0, 110, 600), None),
    ("0800020301", "M1S001", 2, "IME", 2.7, (0, 0, 610, 602), None),
    ("0800020301", "PNS003", 4, "TIE", 0.00596464, (0, 1, 64, 199), 4),
    ("0800020401", "PNS003", 4, "BUE", 0.00434448, (0, 0, 64, 180), 5),
]


def read(simulated, obs_id, exposure, kind, ccd=0, hdu=1):
    """Table and header of one raw file; ``exposure`` as in ``PNS003``."""
    wanted = exposure[:2], exposure[2], int(exposure[3:]), ccd, kind
    for path in simulated.odf(obs_id).iterdir():
        name = OdfName.parse(path.name)
        if name and (name.instrument, name.schedule, name.exposure, name.ccd, name.file_type) == wanted:
            with fits.open(path) as hdus:
                return np.array(hdus[hdu].data), hdus[hdu].header.copy()
    raise FileNotFoundError(wanted)


def files(simulated, obs_id, exposure, *kinds):
    """CCDs with files of some types."""
    names = [OdfName.parse(p.name) for p in simulated.odf(obs_id).iterdir()]
    return sorted(
        n.ccd for n in names
        if n and f"{n.instrument}{n.schedule}{n.exposure:03d}" == exposure and n.file_type in kinds
    )  # fmt: skip


def exposure_of(simulated, obs_id, exposure):
    return next(e for e in simulated.truth(obs_id)["exposures"] if e["instrument"] + e["exp_id"] == exposure)


def stamps(simulated, obs_id, exposure, ccd):
    """Frame numbers and on-board times since the first one of a CCD."""
    table, _ = read(simulated, obs_id, exposure, "AUX")
    if exposure.startswith("PN"):
        quadrant, position = divmod(ccd - 1, 3)
        mine = (table["QUADRANT"] == quadrant) & (table["CCDID"] == position)
        unit, frame = layout.PN_FTFINE_UNIT_S, table["CYCLE"]
    else:
        mine, unit, frame = table["CCDID"] == ccd, layout.MOS_FTFINE_UNIT_S, table["FRAME"]
    time = layout.unsigned(table["FTCOARSE"][mine]) + layout.unsigned(table["FTFINE"][mine]) * unit
    return frame[mine], table["FRAME"][mine], time


@pytest.mark.parametrize(("obs_id", "exposure", "ccd", "kind", "frame_s", "window", "mode"), FILES)
def test_windows_and_frame_times(simulated_modes, obs_id, exposure, ccd, kind, frame_s, window, mode):
    events, header = read(simulated_modes, obs_id, exposure, kind, ccd)
    assert tuple(header[f"WINDOW{k}"] for k in ("X0", "Y0", "DX", "DY")) == window
    # Tenths of seconds in raw files of MOS, milliseconds in those of the pn.
    assert header["FRMTIME"] == round(frame_s * (10 if exposure[0] == "M" else 1000))
    assert header["DATATYPE"] == layout.DATATYPES[kind]
    assert mode is None or header["CCDMODE"] == mode
    assert len(events) > 100
    # MOS counts pixels from the window, pn from the chip. The MOS overscan holds a few events.
    low = (0, 0) if exposure[0] == "M" or kind != "IME" else window[:2]
    over = 5 if exposure[0] == "M" and kind == "IME" else 0
    assert low[0] <= events["RAWX"].min()
    assert events["RAWX"].max() < low[0] + window[2] + over
    assert low[1] <= events["RAWY"].min()
    # Places of MOS events count two pixels more than those of the window.
    high = window[3] + 2 * (kind == "IME" and exposure[0] == "M")
    assert events["RAWY"].max() < (low[1] or window[1] * (kind == "TIE" and exposure[0] == "P")) + high
    # Every corner of the window is read.
    assert np.ptp(events["RAWX"]) > 0.8 * window[2]
    assert np.ptp(events["RAWY"]) > 0.8 * window[3]
    frame, _, time = stamps(simulated_modes, obs_id, exposure, ccd)
    step = (time[-1] - time[0]) / (frame[-1] - frame[0])
    assert step == pytest.approx(frame_s, rel=3e-6)


def test_files_of_each_mode(simulated_modes):
    everything = list(range(1, 13))
    assert files(simulated_modes, "0800020101", "PNS003", "IME") == [4]
    assert files(simulated_modes, "0800020101", "PNS003", "DLI", "TIE", "BUE") == []
    assert files(simulated_modes, "0800020201", "PNS003", "IME") == everything
    assert files(simulated_modes, "0800020201", "PNS003", "DLI") == everything
    assert files(simulated_modes, "0800020301", "PNS003", "TIE") == [4]
    assert files(simulated_modes, "0800020401", "PNS003", "BUE") == [4]
    assert files(simulated_modes, "0800020401", "PNS003", "IME", "DLI", "TIE") == []
    for exposure in ("M1S001", "M2S002"):
        assert files(simulated_modes, "0800020301", exposure, "TIE") == [1]
        assert files(simulated_modes, "0800020301", exposure, "IME") == [2, 3, 4, 5, 6, 7]
    table, _ = read(simulated_modes, "0800020101", "PNS003", "AUX", hdu=2)
    assert set(table["QUADRANT"]) == {1}
    assert not table["NDISCLIN"].any()


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_fitsverify_finds_no_error(simulated_modes):
    paths = [p for o in simulated_modes.obs_ids for p in sorted(simulated_modes.odf(o).glob("*.FIT"))]
    some = [p for p in paths if p.name[19:23] in ("S003", "S001", "U004") or "X000" in p.name]
    lines = subprocess.run(["fitsverify", "-q", *map(str, some)], capture_output=True, text=True)
    assert [x for x in lines.stdout.splitlines() if "verification OK" not in x] == []


def test_rates_of_sources(simulated_modes):
    """Windows, dead times and duty cycles leave the expected share of each source's photons."""
    excess = []
    for obs_id in simulated_modes.obs_ids:
        with simulated_modes.sources(obs_id).open() as handle:
            for row in csv.DictReader(handle):
                expected, hits = float(row["expected_hits"]), int(row["hits"])
                if expected < 1:
                    assert hits <= 6
                    continue
                excess.append((hits - expected) / np.sqrt(expected))
                if row["name"] == "pulsar":
                    assert expected > 20
    assert len(excess) > 80
    assert np.abs(excess).max() < 4
    assert np.std(excess) < 1.3


@pytest.mark.parametrize(
    ("submode", "first_row", "share"), [("LargeWindow", 101, 0.0016), ("SmallWindow", 137, 0.011)]
)
def test_photons_of_window_modes(submode, first_row, share):
    """What becomes of photons through a cycle: recorded, out of time, lost."""
    mode, rng = PN.mode(f"Prime{submode}"), np.random.default_rng(5)
    n = 400_000
    phase, row = rng.uniform(0, mode.frame_time_s, n), np.full(n, 190)
    frame, apparent, late, seen = read_window(phase, np.zeros(n, int), row, mode.integration_s, first_row)
    assert late[seen].mean() == pytest.approx(share, rel=0.05)
    in_time = seen & ~late
    assert in_time.mean() == pytest.approx(mode.integration_s / mode.frame_time_s, abs=3e-3)
    assert (apparent[in_time] == 190).all()
    moved = seen & late
    # Behind the source in this frame, before it in the next; evenly over the window.
    assert np.array_equal(frame[moved] == 1, apparent[moved] < 190)
    rows = np.bincount(apparent[moved], minlength=201)[first_row:]
    assert rows.std() < 1.4 * np.sqrt(rows.mean())
    # Outside the window photons only leave what the passing charge picks up.
    *_, outside = read_window(phase, np.zeros(n, int), np.full(n, 60), mode.integration_s, first_row)
    assert outside.mean() < 0.002


def test_live_time_of_window_modes(simulated_modes):
    for obs_id, live in (("0800020101", 0.710), ("0800020201", 0.949)):
        truth = exposure_of(simulated_modes, obs_id, "PNS003")["ccds"]["4"]
        assert truth["integration_s"] / truth["frame_time_s"] == pytest.approx(live, abs=5e-4)
        assert 0.985 < truth["live_fraction"] < 1
    for exposure, live in (("M1S001", 0.975), ("M2S002", 0.995)):
        truth = exposure_of(simulated_modes, "0800020101", exposure)["ccds"]["1"]
        assert truth["integration_s"] / truth["frame_time_s"] == pytest.approx(live)


START = 600_000_000.0


def steady(camera, ccd, n, duration_s, seed=3):
    """Photons of 2 keV that fall evenly on a patch of one CCD."""
    rng = np.random.default_rng(seed)
    low = (20, 150) if camera.is_pn else (290, 290)
    x, y = (rng.uniform(first, first + 20, n) for first in low)
    time = np.sort(rng.uniform(START, START + duration_s, n))
    return Hits(time, np.full(n, ccd), x, y, np.full(n, 2000.0), np.zeros(n, int))


def observe(camera, submode, hits, duration_s, gaps_s=()):
    exposure = Exposure(camera.code, "S001", START, START + duration_s, submode=submode, gaps_s=gaps_s)
    clock, noise, rng = Clock(START - 1000.0), Noise().scaled(0.1, 0.01), np.random.default_rng(9)
    if camera.is_pn:
        read = observe_pn_fast if camera.mode(submode).fast_ccds else observe_pn
        return read(camera, hits, exposure, clock, noise, rng, reset_obt_s=538_041_000)
    return observe_mos(camera, hits, exposure, clock, noise, rng)


@pytest.mark.parametrize(
    ("code", "submode"),
    [
        (c, m)
        for c in ("M1", "PN")
        for m in CAMERAS[c].modes
        if m not in ("FastCompressed", "PrimeFullWindow")
    ],
)
def test_every_mode_records_its_share_and_loses_gaps(code, submode):
    camera, ccd = CAMERAS[code], 4 if code == "PN" else 1
    mode, gap = camera.mode(submode), (START + 20, START + 30)
    # Few enough that MOS frames do not pile up.
    n = 600 if code == "M1" else 40_000
    data = observe(camera, submode, steady(camera, ccd, n, 60.0), 60.0, (gap,))
    live = mode.integration_s / mode.frame_time_s
    if code == "PN" and submode == "PrimeFullWindowExtended":
        live = 1.0
    seen = (data.photons["FRAME"] >= 0).mean()
    assert seen == pytest.approx(live, rel=0.09)
    kept = data.photons["TIME"][data.photons["KEPT"]]
    lost = (kept > gap[0] + mode.frame_time_s) & (kept < gap[1] - mode.frame_time_s)
    assert lost.sum() == 0
    one = data.ccds[ccd]
    assert len(one.events["FRAME"]) > 0.6 * live * n
    assert set(data.ccds) == set(mode.ccds)
    assert one.file_type == ("BUE" if submode == "FastBurst" else "TIE" if mode.fast_ccds else "IME")


def test_the_mode_that_nobody_used_is_refused():
    with pytest.raises(NotImplementedError, match="FastCompressed"):
        observe(CAMERAS["M1"], "FastCompressed", steady(CAMERAS["M1"], 1, 10, 10.0), 10.0)


# --- fast modes --------------------------------------------------------------------------------------


def fold(time_s, period_s, epoch_s):
    """Relative amplitude and phase of a sine, and the phase's error."""
    wave = np.exp(-2j * np.pi * ((time_s - epoch_s) / period_s % 1)).mean() * 1j
    return 2 * abs(wave), np.angle(wave) / (2 * np.pi), np.sqrt(2 / len(time_s)) / (4 * np.pi * abs(wave))


def pn_fast_times(simulated, obs_id, kind, source_row=189):
    """Event times by the published formulas, and the events."""
    events, _ = read(simulated, obs_id, "PNS003", kind, 4)
    _, number, time = stamps(simulated, obs_id, "PNS003", 4)
    stamp = time[np.searchsorted(number, events["FRAME"])]
    line = events["RAWY"].astype(float)
    if kind == "TIE":
        return events, stamp + ((line - 200) - source_row // 10) * 739 * 40e-9
    return events, stamp - (105014 + (source_row - line) * 18) * 40e-9


@pytest.mark.parametrize(("obs_id", "kind"), [("0800020301", "TIE"), ("0800020401", "BUE")])
def test_the_pulsar_in_fast_modes_of_the_pn(simulated_modes, obs_id, kind):
    truth = simulated_modes.truth(obs_id)
    pulsar = truth["pulsars"]["pulsar"]
    events, time = pn_fast_times(simulated_modes, obs_id, kind)
    housekeeping, _ = read(simulated_modes, obs_id, "PNX000", "PMH")
    clock = Clock(truth["start_s"] - {"0800020301": 48000, "0800020401": 68000}[obs_id])
    wraps = np.round((float(clock.obt(truth["start_s"])) - housekeeping["F1030"][0]) // 32400)
    tt = clock.tt(time + housekeeping["F1030"][0] + 32400 * wraps)
    assert truth["start_s"] < tt.min()
    assert tt.max() < truth["stop_s"]
    chosen = (np.abs(events["RAWX"] + 1 - 37) <= 4) & (events["ENERGY"] > 60)
    amplitude, phase, error = fold(tt[chosen], pulsar["period_s"], pulsar["epoch_s"])
    assert amplitude > 0.5
    assert error < 0.006
    assert abs(phase) < 3.5 * error


def test_lines_follow_the_published_clock():
    rng = np.random.default_rng(8)
    time = rng.uniform(0, 100.0, 100_000)
    for submode, lines in (("FastTiming", 200), ("FastBurst", 180)):
        mode = PN.mode(submode)
        frame, line = pn_lines(mode, time, np.full(len(time), 189))
        if submode == "FastTiming":
            stamp = frame * mode.frame_time_s + 200 * 739 * 39.99998e-9
            found = stamp + ((line - 200) - 189 // 10) * 739 * 39.99998e-9
            # Besides line 0, which is not sent, 23.1 us of every frame are lost: 52.67 us together.
            seen = line >= 0
            assert 1 - seen.mean() == pytest.approx(23.1e-6 / 5.96464e-3, abs=1e-3)
            assert 1 - np.mean(line > 0) == pytest.approx(1 - 0.991169989109039, abs=1.2e-3)
            difference = (found - time)[seen]
            assert difference.min() > -60e-6
            assert difference.max() < 53e-6
            assert np.bincount(line[seen], minlength=200)[18] == pytest.approx(2 * len(time) / 201.8, rel=0.1)
        else:
            read_out = line >= 0
            assert read_out.mean() == pytest.approx(0.0298, abs=2e-3)
            stamp = frame[read_out] * mode.frame_time_s + 105014 * 39.999246e-9
            found = stamp - (105014 + (189 - line[read_out]) * 18) * 39.999246e-9
            assert np.abs(found - time[read_out]).max() < 0.73e-6
        assert line.max() == lines - 1


def test_the_first_line_of_timing_frames_is_left_out(simulated_modes):
    events, _ = read(simulated_modes, "0800020301", "PNS003", "TIE", 4)
    lines = np.bincount(events["RAWY"], minlength=200)
    assert lines[0] == 0
    assert np.argmax(lines) == 18
    assert lines[18] == pytest.approx(1.6 * np.median(lines), rel=0.3)


@pytest.mark.parametrize("exposure", ["M1S001", "M2S002"])
def test_the_pulsar_in_mos_timing(simulated_modes, exposure):
    truth = simulated_modes.truth("0800020301")
    pulsar = truth["pulsars"]["pulsar"]
    events, _ = read(simulated_modes, "0800020301", exposure, "TIE", 1)
    assert set(events.dtype.names) == {"FRAME", "RAWX", "RAWY", "ENGYE1E2", "PATTERN", "PERIPIX"}
    assert set(events["PATTERN"]) <= {0, 1, 2, 3}
    table, _ = read(simulated_modes, "0800020301", exposure, "AUX")
    mine = table["CCDID"] == 1
    assert np.array_equal(
        layout.unsigned(table["NVALID"][mine]),
        np.bincount(events["FRAME"], minlength=table["FRAME"].max() + 1)[table["FRAME"][mine]],
    )
    source = exposure_of(simulated_modes, "0800020301", exposure)["ccds"]["1"]
    begin = source["start_s"] + (events["FRAME"] - source["first_frame"]) * source["frame_time_tt_s"]
    with fits.open(simulated_modes.photons("0800020301", exposure[:2], exposure[2:])) as hdus:
        photons = hdus[1].data[(hdus[1].data["SOURCE"] == 0) & (hdus[1].data["FRAME"] >= 0)]
    x, row = np.median(photons["RAWX"]), np.median(photons["RAWY"])
    time = begin + (events["RAWY"] + 0.5 - row / 100) * 0.00175
    chosen = (np.abs(events["RAWX"] + 244 - x) <= 12) & (events["PATTERN"] <= 2)
    assert chosen.sum() > 0.75 * len(photons)
    amplitude, phase, error = fold(time[chosen], pulsar["period_s"], pulsar["epoch_s"])
    assert amplitude > 0.5
    assert abs(phase) < 3.5 * error


def test_the_calibration_tells_how_fast_modes_count_lines(simulated_modes):
    """TIME_RES, SHIFT_T and the time constant are those of the published clock formulas."""
    for name, mode, line_s, shift_s, lines in (
        ("EPN_MODEPARAM_0003", 4, 29.56e-6, 591.2e-6, 200),
        ("EPN_MODEPARAM_0003", 5, 0.72e-6, 144e-6, 180),
        ("EMOS1_MODEPARAM_0006", 7, 1.75e-3, 10.5e-3, 600),
    ):
        table = fits.getdata(simulated_modes.ccf / f"{name}.CCF", "MODEPARAM")
        row = table[table["MODE_ID"] == mode][0]
        first = {k: float(np.ravel(row[k])[0]) for k in ("TIME_RES", "SHIFT_T", "WINDOWDY", "FRAME_T")}
        if mode == 4:
            # Line 0 is not part of the window.
            assert np.ravel(row["WINDOWY0"])[0] == 1
            first["WINDOWDY"] += 1
        assert first["TIME_RES"] == pytest.approx(1e3 * line_s, rel=3e-5)
        assert first["SHIFT_T"] == pytest.approx(1e3 * shift_s, rel=3e-5)
        assert first["WINDOWDY"] == lines
        assert first["FRAME_T"] >= 0.999999 * lines * first["TIME_RES"]
    delays = fits.getdata(simulated_modes.ccf / "EPN_TIMECORR_0011.CCF", "TIMECORR")
    for mode, clocks in ((4, 200 * 739), (5, 105014)):
        assert delays["TIME_CORR"][delays["MODE_ID"] == mode] == pytest.approx(-clocks * 40e-9, rel=3e-5)


# --- odd exposures -----------------------------------------------------------------------------------


def photons_of(simulated, obs_id, exposure):
    return fits.getdata(simulated.photons(obs_id, exposure[:2], exposure[2:]), 1)


def test_calibration_and_closed_exposures(simulated_modes):
    obs_id = "0800020501"
    truth = simulated_modes.truth(obs_id)
    for exposure, filter_, code in (
        ("PNU006", "CalClosed", 49),
        ("M2S002", "CalClosed", 1580),
        ("PNS003", "Closed", 54),
    ):
        found = exposure_of(simulated_modes, obs_id, exposure)
        assert found["filter"] == filter_
        table, _ = read(simulated_modes, obs_id, f"{exposure[:2]}X000", "PMH" if code < 360 else "PEH")
        time = np.array([tt_of_utc(value) for value in np.asarray(table["TIME"]).astype(str)])
        now = (time > found["start_s"]) & (time < found["stop_s"])
        assert set(table["F1122" if code < 360 else "K1317"][now]) == {code}
        photons = photons_of(simulated_modes, obs_id, exposure)
        assert (photons["SOURCE"] < 0).all()
        lines = photons["SOURCE"] == truth["source_codes"]["calibration"]
        if filter_ == "Closed":
            assert not lines.any()
            continue
        rate = lines.sum() / (found["stop_s"] - found["start_s"])
        assert rate == pytest.approx({"PN": 100, "M2": 40}[exposure[:2]], rel=0.05)
        camera = CAMERAS[exposure[:2]]
        at = camera.raw_to_det(*(photons[k][lines] for k in ("CCDNR", "RAWX", "RAWY")))
        assert camera.in_fov(*at).mean() > 0.999
        assert np.unique(photons["ENERGY"][lines]) == pytest.approx(truth["calibration_ev"], rel=1e-6)


def test_mos1_has_lost_two_ccds(simulated_modes):
    assert files(simulated_modes, "0800020501", "M1S001", "IME") == list(MOS1_CCDS_LEFT)
    table, header = read(simulated_modes, "0800020501", "M1S001", "AUX")
    assert set(table["CCDID"]) == set(MOS1_CCDS_LEFT)
    assert header["DATE-OBS"] > "2021"


def test_aborted_exposures(simulated_modes):
    for exposure, empty, missing, n_frames in (("M1U004", 5, 7, 11), ("PNU005", 9, 5, 66)):
        ccds = files(simulated_modes, "0800020501", exposure, "IME")
        assert empty in ccds
        assert missing not in ccds
        assert len(read(simulated_modes, "0800020501", exposure, "IME", empty)[0]) == 0
        truth = exposure_of(simulated_modes, "0800020501", exposure)["ccds"]
        assert (truth[str(empty)]["file"], truth[str(missing)]["file"]) == ("empty", "missing")
        assert all(ccd["n_frames"] == n_frames for ccd in truth.values())


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for description, sky in describe_modes(90.0, Noise().scaled(0.3, 0.02))[:4]:
        sums = []
        for name in ("a", "b"):
            folder = tmp_path / description.pointing.obs_id / name
            simulate_observation(description, sky, folder, seed=4)
            sums.append({p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in folder.iterdir()})
        assert sums[0] == sums[1]
