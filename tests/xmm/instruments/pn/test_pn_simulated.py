"""The pn chain on the simulated set: what comes out against what is true."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.task import run_task

pytestmark = pytest.mark.slow
OBSERVATIONS = ("0800010101", "0800010201", "0800010301")


def rows(hdu):
    """A table as a record array; logical columns as booleans."""
    names = hdu.columns.names
    return np.rec.fromarrays([np.asarray(hdu.data[n]) for n in names], names=names)


class Result:
    """Products of one observation, and its truth."""

    def __init__(self, simulated, obs_id, folder):
        truth = simulated.truth(obs_id)
        self.exposure = next(e for e in truth["exposures"] if e["instrument"] == "PN")
        self.messages = io.StringIO()
        env = {"SAS_ODF": str(simulated.odf(obs_id)), "SAS_CCFPATH": str(simulated.ccf)}
        env["SAS_CCF"] = str(folder / "ccf.cif")
        call = {"cwd": folder, "env": env, "out": io.StringIO(), "err": self.messages}
        run_task("cifbuild", {}, **call)
        common = {"odf": str(simulated.odf(obs_id)), "odfaccess": "odf", "exposure": 3, "schedule": "S"}
        run_task("epchain", {**common, "keepintermediate": "raw", "withoutoftime": "Y"}, **call)
        again = dict.fromkeys(("runatthkgen", "runepframes", "runbadpixfind", "runbadpix"), "N")
        run_task("epchain", {**common, **again}, **call)
        self.path = folder / f"P{obs_id}PNS003PIEVLI0000.FIT"
        with fits.open(self.path) as hdus:
            self.events = rows(hdus["EVENTS"])
            self.header = hdus["EVENTS"].header.copy()
            self.found = {
                int(h.header["CCDNR"]): [
                    (int(r["RAWX"]), int(r["RAWY"])) for r in h.data if r["BADFLAG"] == 3
                ]
                for h in hdus
                if h.name.startswith("BADPIX")
            }
            self.gti = {int(h.header["CCDNR"]): np.array(h.data) for h in hdus if h.name.startswith("STDGTI")}
        with fits.open(folder / f"P{obs_id}PNS003OOEVLI0000.FIT") as hdus:
            self.moved = rows(hdus["EVENTS"])
        with fits.open(simulated.photons(obs_id, "PN", "S003")) as hdus:
            self.photons = rows(hdus[1])
        with simulated.sources(obs_id).open() as handle:
            self.sources = [r for r in csv.DictReader(handle) if r["instrument"] == "PN"]

    def matched(self):
        """Events and the photons they come from: same CCD, frame and main pixel, in time."""
        photons = self.photons[self.photons["KEPT"] & ~self.photons["OOT"]]
        pairs = []
        for ccd, truth in self.exposure["ccds"].items():
            ccd = int(ccd)
            events = np.flatnonzero(self.events["CCDNR"] == ccd)
            step = (truth["stop_s"] - truth["start_s"]) / truth["ontime_s"] * truth["frame_time_s"]
            gap = sum(b - a for a, b in self.exposure["gaps_s"])
            step = truth["frame_time_s"] if gap else step
            frame = np.rint(
                (self.events["TIME"][events] - truth["start_s"] - truth["integration_s"] / 2) / step
            ).astype(int)
            mine = np.flatnonzero(photons["CCDNR"] == ccd)
            place = [np.rint(photons[n][mine]).astype(int) for n in ("RAWX", "RAWY")]
            key = (photons["FRAME"][mine].astype(int) * 64 + place[0] - 1) * 200 + place[1] - 1
            key, first = np.unique(key, return_index=True)
            own = (frame * 64 + self.events["RAWX"][events] - 1) * 200 + self.events["RAWY"][events] - 1
            at = np.minimum(np.searchsorted(key, own), len(key) - 1)
            same = key[at] == own
            pairs.append((events[same], mine[first[at[same]]]))
        index, photon = (np.concatenate(p) for p in zip(*pairs, strict=True))
        return self.events[index], photons[photon]


@pytest.fixture(scope="module", params=OBSERVATIONS)
def result(request, simulated, tmp_path_factory):
    return Result(simulated, request.param, tmp_path_factory.mktemp(f"pn_{request.param}"))


def test_no_warnings(result):
    assert result.messages.getvalue() == ""


def test_good_and_live_time(result):
    for text, truth in result.exposure["ccds"].items():
        ccd = int(text)
        ontime, livetime = (result.header[f"{k}{ccd:02d}"] for k in ("ONTIME", "LIVETI"))
        assert ontime == pytest.approx(truth["ontime_s"], rel=1e-3)
        assert len(result.gti[ccd]) == len(truth["gti_s"])
        # The true live time leaves out the read-out, in which photons are recorded out of time.
        share = truth["integration_s"] / truth["frame_time_s"]
        expected = truth["ontime_s"] * truth["live_fraction"] * share
        # FC1 is the mean of a quadrant; its CCDs differ by their own Poisson scatter.
        assert livetime == pytest.approx(expected, rel=2e-3)
    total = sum(result.header[f"LIVETI{int(c):02d}"] for c in result.exposure["ccds"])
    true = sum(t["ontime_s"] * t["live_fraction"] for t in result.exposure["ccds"].values()) * share
    assert total == pytest.approx(true, rel=1e-3)


def test_bad_pixels(result):
    for text, truth in result.exposure["ccds"].items():
        assert result.found[int(text)] == [(p["rawx"], p["rawy"]) for p in truth["found_bad_pixels"]]


def test_energies(result):
    events, photons = result.matched()
    assert len(events) > 0.75 * len(result.events)
    difference = events["PI"] - photons["ENERGY"]
    single = (photons["NPIXELS"] == 1) & (events["PATTERN"] == 0) & (np.abs(difference) < 400)
    for low, high, limit in ((400, 1000, 3), (1000, 3000, 3), (3000, 6000, 8), (6000, 10_000, 8)):
        chosen = single & (photons["ENERGY"] >= low) & (photons["ENERGY"] < high)
        assert chosen.sum() > 500
        assert difference[chosen].mean() == pytest.approx(0, abs=limit)
    # Al-K and Cu-K of the camera, all patterns.
    for energy, limit in ((1486.6, 10), (8040.0, 25)):
        line = (photons["SOURCE"] == -3) & (np.abs(photons["ENERGY"] - energy) < 1)
        assert line.sum() > 100
        assert np.median(difference[line]) == pytest.approx(0, abs=limit)
    # No trend along the columns: the charge losses are undone.
    middle = single & (photons["ENERGY"] > 1000) & (photons["ENERGY"] < 4000)
    slope = np.polyfit(events["RAWY"][middle] - 100.0, difference[middle], 1)[0]
    assert abs(slope) * 200 < 10


def test_patterns(result):
    energy, pattern = result.events["PI"], result.events["PATTERN"]
    for low, high in ((300, 1000), (1000, 3000), (3000, 9000)):
        seen = pattern[(energy >= low) & (energy < high) & (pattern <= 12)]
        chosen = (result.photons["ENERGY"] >= low) & (result.photons["ENERGY"] < high)
        true = result.photons["NPIXELS"][chosen & result.photons["KEPT"]]
        for pixels, codes in ((1, (0, 0)), (2, (1, 4)), (3, (5, 8)), (4, (9, 12))):
            share = np.mean((seen >= codes[0]) & (seen <= codes[1]))
            # Events of two photons and lost small shares move a percent.
            assert share == pytest.approx(np.mean(true == pixels), abs=0.012)


def test_positions(result):
    events, photons = result.matched()
    from daxa.simulate.cameras.camera import CAMERAS

    detx, dety = CAMERAS["PN"].raw_to_det(photons["CCDNR"], photons["RAWX"], photons["RAWY"])
    for got, true in ((events["DETX"], detx), (events["DETY"], dety)):
        assert np.mean(got - true) * 0.05 == pytest.approx(0, abs=0.05)
        assert np.abs(got - true).max() < 90
    outside = (events["FLAG"] & int(PnFlag.OUT_OF_FOV)) != 0
    assert np.mean(outside == ~CAMERAS["PN"].in_fov(detx, dety)) > 0.995


def test_sources(result):
    step = 0.05 / 3600
    good = result.events["PATTERN"] <= 4
    x, y = result.events["X"][good], result.events["Y"][good]
    offsets = []
    for source in result.sources:
        if source["name"] == "cluster" or float(source["recorded"]) < 500:
            continue
        ra, dec = float(source["ra_deg"]), float(source["dec_deg"])
        from daxa.xmm.sky.tangent import to_xy

        true = to_xy(ra, dec, result.header["RA_PNT"], result.header["DEC_PNT"])
        centre = np.array(true, float)
        for _ in range(8):
            near = np.hypot(x - centre[0], y - centre[1]) < 12 / 3600 / step
            centre = np.array([x[near].mean(), y[near].mean()])
        offsets.append((centre - true) * 0.05)
        # Three standard deviations of the centroid of a few hundred events.
        assert np.hypot(*offsets[-1]) < 0.5 + 3 * 5.0 / np.sqrt(near.sum())
    assert len(offsets) >= 8
    assert np.hypot(*np.mean(offsets, axis=0)) < 0.3


def test_counts(result):
    expected = np.count_nonzero(result.photons["KEPT"] & (result.photons["ENERGY"] > 200))
    above = result.events[result.events["PI"] > 200]
    # Two photons in touching pixels of a frame are one event; hot and soft noise adds some.
    assert len(above) == pytest.approx(expected, rel=0.02)
    inside = np.zeros(len(result.events), bool)
    for ccd, gti in result.gti.items():
        mine = result.events["CCDNR"] == ccd
        time = result.events["TIME"][mine]
        inside[mine] = np.any([(time >= g["START"]) & (time < g["STOP"]) for g in gti], axis=0)
    assert inside.all()


def test_out_of_time_list(result):
    assert len(result.moved) == pytest.approx(len(result.events), rel=0.01)
    for name in ("TIME", "RAWX", "PHA", "PATTERN"):
        assert np.mean(result.moved[name]) == pytest.approx(np.mean(result.events[name]), rel=0.01)
    # Out-of-time events of the list itself, seen where no source is: the share of the mode.
    seen = np.bincount(result.moved["RAWY"], minlength=201)[14:200]
    assert seen.std() < 3 * np.sqrt(seen.mean())
    true = result.photons["OOT"][result.photons["KEPT"]].mean()
    assert true == pytest.approx(result.exposure["oot_fraction"], rel=0.05)


def test_same_input_same_events(simulated, result, tmp_path):
    other = Result(simulated, result.path.name[1:11], tmp_path)
    assert np.array_equal(other.events, result.events)
    assert np.array_equal(other.moved, result.moved)
