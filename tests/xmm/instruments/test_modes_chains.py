"""The chains of both kinds of camera on the set of modes: what comes out against what is true."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from astropy.io import fits

from daxa.simulate.cameras.camera import CAMERAS
from daxa.xmm.task import run_task

pytestmark = pytest.mark.slow
#: ObsID, exposure, SUBMODE, window of the prime CCD (RAWX, RAWY of its first pixel, size).
WINDOWS = [
    ("0800020101", "M1S001", "PrimePartialW2", (251, 251, 100, 100)),
    ("0800020101", "M2S002", "PrimePartialW3", (151, 151, 300, 300)),
    ("0800020101", "PNS003", "PrimeSmallWindow", (1, 137, 63, 64)),
    ("0800020201", "M1S001", "PrimePartialW3", (151, 151, 300, 300)),
    ("0800020201", "PNS003", "PrimeLargeWindow", (1, 101, 64, 100)),
]
ODD = [("0800020501", e) for e in ("M1S001", "M1U004", "M2S002", "PNS003", "PNU005", "PNU006")]


def rows(hdu):
    names = hdu.columns.names
    return np.rec.fromarrays([np.asarray(hdu.data[n]) for n in names], names=names)


class Chains:
    """Runs a chain on an exposure when its products are asked for, once."""

    def __init__(self, simulated, folder):
        self.simulated, self.folder = simulated, folder
        self.messages: dict[tuple[str, str], str] = {}

    def run(self, obs_id, exposure, task=None, **arguments):
        folder = self.folder / obs_id
        folder.mkdir(exist_ok=True)
        env = {"SAS_ODF": str(self.simulated.odf(obs_id)), "SAS_CCFPATH": str(self.simulated.ccf)}
        messages = io.StringIO()
        call = {"cwd": folder, "out": io.StringIO(), "err": messages}
        if not (folder / "ccf.cif").exists():
            run_task("cifbuild", {}, env=env, **call)
        env["SAS_CCF"] = str(folder / "ccf.cif")
        if not list(folder.glob("*SUM.SAS")):
            run_task("odfingest", {}, env=env, **call)
        env["SAS_ODF"] = str(next(folder.glob("*SUM.SAS")))
        messages.truncate(0)
        if exposure.startswith("PN"):
            arguments |= {"odfaccess": "odf", "exposure": int(exposure[3:]), "schedule": exposure[2]}
            run_task("epchain", arguments, env=env, **call)
        else:
            run_task("emchain", {"instruments": exposure[:2], **arguments}, env=env, **call)
        return messages.getvalue()

    def product(self, obs_id, exposure):
        """Path of an event list."""
        if (obs_id, exposure) not in self.messages:
            try:
                self.messages[obs_id, exposure] = self.run(obs_id, exposure)
            except NotImplementedError as error:
                pytest.skip(str(error))
        kind = {"M": "MI", "P": "PI"}[exposure[0]]
        return self.folder / obs_id / f"P{obs_id}{exposure}{kind}EVLI0000.FIT"

    def truth(self, obs_id, exposure):
        exposures = self.simulated.truth(obs_id)["exposures"]
        return next(e for e in exposures if e["instrument"] + e["exp_id"] == exposure)

    def photons(self, obs_id, exposure):
        with fits.open(self.simulated.photons(obs_id, exposure[:2], exposure[2:])) as hdus:
            return rows(hdus[1])


@pytest.fixture(scope="module")
def chains(simulated_modes, tmp_path_factory):
    return Chains(simulated_modes, tmp_path_factory.mktemp("modes"))


@pytest.mark.parametrize(("obs_id", "exposure", "submode", "window"), WINDOWS)
def test_headers_and_windows(chains, obs_id, exposure, submode, window):
    prime = 4 if exposure[0] == "P" else 1
    with fits.open(chains.product(obs_id, exposure)) as hdus:
        header, events = hdus["EVENTS"].header, rows(hdus["EVENTS"])
        names = [h.name for h in hdus]
        assert header["SUBMODE"] == submode
        assert header["DATAMODE"] == "IMAGING"
        truth = chains.truth(obs_id, exposure)["ccds"][str(prime)]
        part = hdus[f"EXPOSU{prime:02d}"].header
        # Real MOS lists have it in the extensions of the CCDs.
        assert (header if prime == 4 else part)["FRMTIME"] == round(truth["frame_time_s"] * 1000)
        if prime == 4:
            assert tuple(part[f"WINDOW{k}"] for k in ("X0", "Y0", "DX", "DY")) == window
    ccds = [4] if submode == "PrimeSmallWindow" else list(range(1, 13 if prime == 4 else 8))
    assert [n for n in names if n.startswith("EXPOSU")] == [f"EXPOSU{c:02d}" for c in ccds]
    on_prime = events[events["CCDNR"] == prime]
    x0, y0, dx, dy = window
    assert x0 <= on_prime["RAWX"].min() <= on_prime["RAWX"].max() < x0 + dx
    assert y0 <= on_prime["RAWY"].min() <= on_prime["RAWY"].max() < y0 + dy
    assert np.ptp(on_prime["RAWY"]) > 0.9 * dy


@pytest.mark.parametrize(("obs_id", "exposure"), [w[:2] for w in WINDOWS] + ODD)
def test_good_and_live_time(chains, obs_id, exposure):
    header = fits.getheader(chains.product(obs_id, exposure), "EVENTS")
    truth, total = chains.truth(obs_id, exposure), np.zeros(2)
    # A handful of frames is too few for the counters of lost columns, and its last record is never sent.
    short = truth["stop_s"] - truth["start_s"] < 40
    for text, ccd in truth["ccds"].items():
        number = int(text)
        if ccd["file"] == "missing":
            assert f"ONTIME{number:02d}" not in header
        elif ccd["file"] == "empty":
            # Frames of a MOS CCD that had no event are complete without one.
            quiet = (
                0 if exposure.startswith("PN") else _frames_without_events(chains, obs_id, exposure, number)
            )
            assert header.get(f"ONTIME{number:02d}", 0.0) == pytest.approx(
                quiet * ccd["frame_time_s"], rel=1e-3
            )
        else:
            live = ccd["livetime_s"] * ccd["integration_s"] / ccd["frame_time_s"]
            assert header[f"ONTIME{number:02d}"] == pytest.approx(ccd["ontime_s"], rel=0.1 if short else 2e-4)
            # The pn measures the share of a quadrant; its CCDs differ by their own Poisson scatter.
            assert header[f"LIVETI{number:02d}"] == pytest.approx(live, rel=0.1 if short else 2e-3)
            total += live, header[f"LIVETI{number:02d}"]
    assert total[1] == pytest.approx(total[0], rel=0.1 if short else 1e-3)


def _frames_without_events(chains, obs_id, exposure, number):
    path = next(chains.simulated.odf(obs_id).glob(f"*_{exposure}00AUX.FIT"))
    frames = fits.getdata(path, 1)
    return int(((frames["CCDID"] == number) & (frames["NVALID"] == 0)).sum())


def test_whole_exposures_give_no_warnings(chains):
    for obs_id, exposure, *_ in WINDOWS:
        chains.product(obs_id, exposure)
        assert chains.messages[obs_id, exposure] == ""


def test_live_time_of_windows(chains):
    """The published shares: 71 % in small window, 94.9 % in large window, 97.5 and 99.5 % of MOS.

    Every frame of the pn loses 69.24 us besides.
    """
    for obs_id, exposure, ccd, share in (
        ("0800020101", "PNS003", 4, 0.710 * (1 - 69.24e-6 / 5.67179e-3)),
        ("0800020201", "PNS003", 4, 0.949 * 0.9934 * (1 - 69.24e-6 / 47.66384e-3)),
        # Tracks of cosmic rays cover 0.066 and 0.21 % times 1.88, the measured size of a track.
        ("0800020101", "M1S001", 1, 0.975 * (1 - 1.88 * 0.00066)),
        ("0800020101", "M2S002", 1, 0.995 * (1 - 1.88 * 0.0021)),
    ):
        header = fits.getheader(chains.product(obs_id, exposure), "EVENTS")
        assert header[f"LIVETI{ccd:02d}"] / header[f"ONTIME{ccd:02d}"] == pytest.approx(share, abs=1.2e-3)


def nearest(events, photons):
    """Of each event the nearest true photon in time, of those in touching columns and rows."""
    order = np.argsort(photons["TIME"])
    photons = photons[order]
    at = np.clip(np.searchsorted(photons["TIME"], events["TIME"]), 1, len(photons) - 1)
    at -= events["TIME"] - photons["TIME"][at - 1] < photons["TIME"][at] - events["TIME"]
    return photons[at]


def fold(time_s, period_s, epoch_s):
    """Relative amplitude and phase of a sine, and the phase's error."""
    wave = np.exp(-2j * np.pi * ((time_s - epoch_s) / period_s % 1)).mean() * 1j
    return 2 * abs(wave), np.angle(wave) / (2 * np.pi), np.sqrt(2 / len(time_s)) / (4 * np.pi * abs(wave))


def source_events(chains, obs_id, exposure, radius_arcsec=30.0):
    from daxa.xmm.sky.tangent import to_xy

    with fits.open(chains.product(obs_id, exposure)) as hdus:
        header, events = hdus["EVENTS"].header, rows(hdus["EVENTS"])
    with chains.simulated.sources(obs_id).open() as handle:
        source = next(
            r for r in csv.DictReader(handle)
            if r["instrument"] + r["exp_id"] == exposure and r["name"] == "pulsar"
        )  # fmt: skip
    x, y = to_xy(float(source["ra_deg"]), float(source["dec_deg"]), header["RA_PNT"], header["DEC_PNT"])
    return events[np.hypot(events["X"] - x, events["Y"] - y) < radius_arcsec / 0.05]


@pytest.mark.parametrize(("obs_id", "exposure"), [(w[0], w[1]) for w in WINDOWS if w[1][0] == "P"])
def test_phase_of_the_pulsar(chains, obs_id, exposure):
    pulsar = chains.simulated.truth(obs_id)["pulsars"]["pulsar"]
    events = source_events(chains, obs_id, exposure)
    events = events[events["PI"] > 300]
    assert len(events) > 1500
    amplitude, phase, error = fold(events["TIME"], pulsar["period_s"], pulsar["epoch_s"])
    assert amplitude > 0.55
    assert error < 0.01
    assert abs(phase) < 3.5 * error
    # The same photon by photon, which no Poisson noise blurs: both are anywhere in the frame, with no offset.
    photons = chains.photons(obs_id, exposure)
    photons = photons[photons["KEPT"] & (photons["SOURCE"] == 0) & ~photons["OOT"]]
    near = nearest(events, photons)
    difference = events["TIME"] - near["TIME"]
    truth = chains.truth(obs_id, exposure)["ccds"]["4"]
    matched = np.abs(difference) < truth["integration_s"] + 1e-4
    assert matched.mean() > 0.93
    limit = 4 * truth["integration_s"] / np.sqrt(12 * matched.sum())
    assert difference[matched].mean() == pytest.approx(0, abs=limit)
    single = matched & (events["PATTERN"] == 0) & (near["ENERGY"] > 1000) & (near["ENERGY"] < 4000)
    assert np.median((events["PI"] - near["ENERGY"])[single]) == pytest.approx(0, abs=12)


@pytest.mark.parametrize(("obs_id", "exposure"), [w[:2] for w in WINDOWS])
def test_photons_become_events(chains, obs_id, exposure):
    with fits.open(chains.product(obs_id, exposure)) as hdus:
        events = rows(hdus["EVENTS"])
    photons = chains.photons(obs_id, exposure)
    prime = 4 if exposure[0] == "P" else 1
    expected = np.count_nonzero(photons["KEPT"] & (photons["ENERGY"] > 250) & (photons["CCDNR"] == prime))
    seen = np.count_nonzero((events["PI"] > 250) & (events["CCDNR"] == prime))
    # Two photons in touching pixels are one event; MOS rejects a percent, its noise adds some.
    assert seen == pytest.approx(expected, abs=0.03 * expected + 3 * np.sqrt(expected))
    near = source_events(chains, obs_id, exposure, 25.0)
    detx, dety = CAMERAS[exposure[:2]].raw_to_det(photons["CCDNR"], photons["RAWX"], photons["RAWY"])
    pulsar = photons["KEPT"] & (photons["SOURCE"] == 0)
    x, y = np.median(detx[pulsar]), np.median(dety[pulsar])
    true = np.count_nonzero(photons["KEPT"] & (np.hypot(detx - x, dety - y) < 25 / 0.05))
    assert len(near) == pytest.approx(true, rel=0.06)


@pytest.mark.parametrize(("obs_id", "exposure"), [w[:2] for w in WINDOWS])
def test_no_bad_pixel_is_invented(chains, obs_id, exposure):
    truth = chains.truth(obs_id, exposure)["ccds"]
    invented = 0
    with fits.open(chains.product(obs_id, exposure)) as hdus:
        for hdu in hdus:
            if not hdu.name.startswith("BADPIX"):
                continue
            true = {(p["rawx"], p["rawy"]) for p in truth[str(int(hdu.name[-2:]))]["found_bad_pixels"]}
            found = {(int(r["RAWX"]), int(r["RAWY"])) for r in hdu.data if r["BADFLAG"] == 3}
            invented += len(found - true)
    assert invented <= 1


def test_out_of_time_list_of_windows(chains):
    """Random rows stay in the window."""
    for obs_id, first_row in (("0800020101", 137), ("0800020201", 101)):
        path = chains.product(obs_id, "PNS003")
        normal = fits.getdata(path, "EVENTS")
        chains.run(obs_id, "PNS003", withoutoftime="Y")
        moved = fits.getdata(path.with_name(path.name.replace("PIEVLI", "OOEVLI")), "EVENTS")
        assert len(moved) == pytest.approx(len(normal), rel=0.02)
        assert moved["RAWY"].min() >= first_row
        counts = np.bincount(moved["RAWY"], minlength=201)[first_row + 1 : 200]
        assert counts.std() < 1.5 * np.sqrt(counts.mean())


@pytest.mark.parametrize("exposure", ["M2S002", "PNU006"])
def test_lines_of_the_calibration_source(chains, exposure):
    header = fits.getheader(chains.product("0800020501", exposure), "EVENTS")
    assert header["FILTER"] == "CalClosed"
    energy = fits.getdata(chains.product("0800020501", exposure), "EVENTS")["PI"]
    for line in chains.simulated.truth("0800020501")["calibration_ev"]:
        near = energy[np.abs(energy - line) < 120]
        assert len(near) > 1000
        assert np.median(near) == pytest.approx(line, abs=6)


def test_odd_exposures(chains):
    with fits.open(chains.product("0800020501", "M1S001")) as hdus:
        names = [h.name for h in hdus if h.name.startswith("EXPOSU")]
        assert names == [f"EXPOSU{c:02d}" for c in (1, 2, 4, 5, 7)]
        assert hdus["EVENTS"].header["DATE-OBS"] > "2021"
    closed = chains.product("0800020501", "PNS003")
    assert fits.getheader(closed, "EVENTS")["FILTER"] == "Closed"
    true = chains.photons("0800020501", "PNS003")
    expected = np.count_nonzero(true["KEPT"] & (true["ENERGY"] > 300))
    assert np.count_nonzero(fits.getdata(closed, "EVENTS")["PI"] > 300) == pytest.approx(expected, rel=0.04)
    with fits.open(chains.product("0800020501", "PNU005")) as hdus:
        ccds = {int(h.name[-2:]) for h in hdus if h.name.startswith("STDGTI")}
        assert ccds == set(range(1, 13)) - {5, 9}


# --- fast modes --------------------------------------------------------------------------------------


def fast_product(chains, obs_id, exposure, **arguments):
    """The event list of a fast exposure; skips where the chain does not reduce it."""
    folder = chains.folder / obs_id
    try:
        chains.run(obs_id, exposure, **arguments)
    except NotImplementedError as error:
        pytest.skip(str(error))
    found = sorted(folder.glob(f"P{obs_id}{exposure}*EVLI0000.FIT"))
    # MIEVLI, PIEVLI and OOEVLI are imaging lists.
    found = [p for p in found if p.name[17:19] not in ("MI", "PI", "OO")]
    if not found:
        pytest.skip("the chain does not reduce this mode")
    return found[0]


@pytest.mark.parametrize(
    ("obs_id", "mode", "datamode", "resolution"),
    [("0800020301", "FastTiming", "TIMING", 29.56e-6), ("0800020401", "FastBurst", "BURST", 0.72e-6)],
)
def test_pn_fast_modes(chains, obs_id, mode, datamode, resolution):
    path = fast_product(chains, obs_id, "PNS003", datamode=datamode)
    with fits.open(path) as hdus:
        header, events = hdus["EVENTS"].header, rows(hdus["EVENTS"])
    assert header["SUBMODE"] == mode
    truth = chains.truth(obs_id, "PNS003")["ccds"]["4"]
    share = truth["integration_s"] / truth["frame_time_s"]
    assert header["ONTIME04"] == pytest.approx(truth["ontime_s"], rel=1e-3)
    assert header["LIVETI04"] == pytest.approx(truth["livetime_s"] * share, rel=2e-3)
    pulsar = chains.simulated.truth(obs_id)["pulsars"]["pulsar"]
    chosen = events[(np.abs(events["RAWX"] - 37.0) <= 4) & (events["PI"] > 300)]
    amplitude, phase, error = fold(chosen["TIME"], pulsar["period_s"], pulsar["epoch_s"])
    assert amplitude > 0.55
    assert error < 0.006
    assert abs(phase) < 3.5 * error
    photons = chains.photons(obs_id, "PNS003")
    photons = photons[photons["KEPT"] & (photons["SOURCE"] == 0)]
    difference = chosen["TIME"] - nearest(chosen, photons)["TIME"]
    # The image is some rows wide, and each row is shifted for its own time; the clocks' pause adds 53 us.
    matched = np.abs(difference) < 4 * resolution + 100e-6
    assert matched.mean() > 0.8
    # Time stamps are whole numbers of 20.48 us, rounded down.
    assert np.median(difference[matched]) == pytest.approx(0, abs=max(1.2 * resolution, 15e-6))
    single = nearest(chosen[matched], photons)["ENERGY"]
    good = (chosen["PATTERN"][matched] == 0) & (single > 1000) & (single < 4000)
    assert np.median((chosen["PI"][matched] - single)[good]) == pytest.approx(0, abs=25)
    if datamode == "BURST":
        # Energies that epfast has not corrected are too low.
        path = fast_product(chains, obs_id, "PNS003", datamode=datamode, withdefaultcal="no")
        with fits.open(path) as hdus:
            raw = rows(hdus["EVENTS"])
        raw = raw[np.isin(raw["TIME"], chosen["TIME"][matched][good])]
        assert len(raw) > 1000
        assert np.median((raw["PI"] - nearest(raw, photons)["ENERGY"]) / raw["PI"]) < -0.01


@pytest.mark.parametrize("exposure", ["M1S001", "M2S002"])
def test_mos_timing(chains, exposure):
    path = fast_product(chains, "0800020301", exposure)
    with fits.open(path) as hdus:
        header, events = hdus["EVENTS"].header, rows(hdus["EVENTS"])
    assert header["SUBMODE"] == "FastUncompressed"
    truth = chains.truth("0800020301", exposure)["ccds"]["1"]
    assert header["ONTIME01"] == pytest.approx(truth["ontime_s"], rel=1e-3)
    assert header["LIVETI01"] == pytest.approx(truth["livetime_s"], rel=2e-3)
    pulsar = chains.simulated.truth("0800020301")["pulsars"]["pulsar"]
    photons = chains.photons("0800020301", exposure)
    photons = photons[photons["KEPT"] & (photons["SOURCE"] == 0)]
    x = np.median(photons["RAWX"])
    chosen = events[(np.abs(events["RAWX"] - x) <= 12) & (events["PI"] > 300)]
    amplitude, phase, error = fold(chosen["TIME"], pulsar["period_s"], pulsar["epoch_s"])
    assert amplitude > 0.5
    assert abs(phase) < 3.5 * error
    difference = chosen["TIME"] - nearest(chosen, photons)["TIME"]
    matched = np.abs(difference) < 0.0015
    assert matched.mean() > 0.85
    assert difference[matched].mean() == pytest.approx(0, abs=1e-4)


def test_outer_ccds_beside_mos_timing(chains):
    """They are imaging, whatever becomes of the central one."""
    with fits.open(chains.product("0800020301", "M1S001")) as hdus:
        names = [h.name for h in hdus if h.name.startswith("EXPOSU")]
        header = hdus["EVENTS"].header
        truth = chains.truth("0800020301", "M1S001")["ccds"]
        for ccd in range(2, 8):
            one = truth[str(ccd)]
            live = one["livetime_s"] * one["integration_s"] / one["frame_time_s"]
            assert header[f"ONTIME{ccd:02d}"] == pytest.approx(one["ontime_s"], rel=1e-5)
            assert header[f"LIVETI{ccd:02d}"] == pytest.approx(live, rel=1e-3)
    assert names == [f"EXPOSU{c:02d}" for c in range(2, 8)]
