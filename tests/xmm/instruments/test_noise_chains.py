"""The chains on an exposure with the noise of a real one: bad pixels found, events kept, live time.

The numbers of noise events are those of 0802710101, CCD by CCD; quiet, hot and very noisy CCDs are here.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

pytestmark = pytest.mark.slow
#: Exposures and CCDs: MOS1 CCD 2 has 606 hot pixels, MOS2 CCD 5 most of its events in noisy rows.
CCDS = {"M1": (1, 2), "M2": (5, 7), "PN": (4, 5, 6, 10, 11, 12)}
DURATION_S = 8000.0


class Reduced:
    """Truth and products of one camera."""

    def __init__(self, camera, truth, photons, path):
        self.truth = next(e for e in truth["exposures"] if e["instrument"] == camera)["ccds"]
        self.photons = fits.getdata(photons, 1)
        with fits.open(path) as hdus:
            self.events = np.array(hdus["EVENTS"].data)
            self.header = hdus["EVENTS"].header.copy()
            self.bad = {int(h.name[-2:]): np.array(h.data) for h in hdus if h.name.startswith("BADPIX")}

    def bad_map(self, ccd: int, shape: tuple[int, int], found_only: bool = False) -> np.ndarray:
        """Bad pixels by RAWX - 1, RAWY - 1."""
        image = np.zeros(shape, bool)
        for row in self.bad[ccd]:
            if row["BADFLAG"] == 3 or not found_only:
                image[row["RAWX"] - 1, row["RAWY"] - 1 : row["RAWY"] - 1 + row["YEXTENT"]] = True
        return image


@pytest.fixture(scope="module")
def reduced(tmp_path_factory, synthetic_ccf) -> dict[str, Reduced]:
    from daxa.simulate.observation import simulate_observation
    from daxa.simulate.sets.real_exposure import OBS_ID, describe_like_0802710101
    from daxa.xmm.task import run_task

    folder = tmp_path_factory.mktemp("noise")
    description, sky = describe_like_0802710101(DURATION_S)
    exposures = [replace(e, ccds=CCDS[e.instrument]) for e in description.exposures]
    simulate_observation(
        replace(description, exposures=exposures), sky, folder / "odf", folder / "truth", seed=3
    )
    env = {
        "SAS_ODF": str(folder / "odf"),
        "SAS_CCFPATH": str(synthetic_ccf),
        "SAS_CCF": str(folder / "ccf.cif"),
    }
    for name in ("cifbuild", "emchain", "epchain"):
        run_task(name, {}, cwd=folder, env=env, out=io.StringIO(), err=io.StringIO())
    truth = json.loads((folder / "truth" / f"{OBS_ID}.json").read_text())
    names = {"M1": ("S001", "MI"), "M2": ("S002", "MI"), "PN": ("S003", "PI")}
    return {
        camera: Reduced(
            camera,
            truth,
            folder / "truth" / f"{OBS_ID}_{camera}{exp_id}_photons.fits",
            folder / f"P{OBS_ID}{camera}{exp_id}{kind}EVLI0000.FIT",
        )
        for camera, (exp_id, kind) in names.items()
    }


@pytest.mark.parametrize("camera", ["M1", "M2"])
def test_bad_pixels_of_mos(reduced, camera):
    """Every pixel that fires often is found, and next to nothing else."""
    for text, truth in reduced[camera].truth.items():
        found = reduced[camera].bad_map(int(text), (600, 600), found_only=True)
        bad = np.zeros_like(found)
        pixels = truth["defects"]["pixels"]
        often = [p for p in pixels if p["chance"] * truth["n_frames"] >= 20]
        assert len(often) > 0.3 * len(pixels)
        missed = [p for p in often if not found[p["rawx"] - 1, p["rawy"] - 1]]
        assert not missed, (text, missed)
        for pixel in [*pixels, *truth["found_bad_pixels"]]:
            bad[pixel["rawx"] - 1, pixel["rawy"] - 1] = True
        columns, rows = truth["defects"]["columns"], truth["defects"]["rows"]
        # A bright line whose rest differs a little from its surroundings counts as bad along its length.
        for x, _, _ in columns:
            bad[x - 1] = True
        for y, _, _ in rows:
            bad[:, y - 1] = True
        # So does one beside those at the border: thirty events in a row, and neighbours on one side only.
        bad[:, max((y for y, _, _ in rows if y < 5), default=0)] = True
        assert (found & ~bad).sum() < 2e-4 * bad.size
        lit = [found[x - 1, y - 1 : y - 1 + n].mean() > 0.5 for x, y, n in columns]
        lit += [found[x - 1 : x - 1 + n, y - 1].mean() > 0.5 for y, x, n in rows]
        assert np.mean(lit) >= 0.5


def test_bad_pixels_of_pn(reduced):
    for text, truth in reduced["PN"].truth.items():
        found = reduced["PN"].bad_map(int(text), (64, 200), found_only=True)
        bad = {(p["rawx"], p["rawy"]) for p in truth["found_bad_pixels"]}
        assert {(int(x) + 1, int(y) + 1) for x, y in np.argwhere(found)} == bad


@pytest.mark.parametrize("camera", ["M1", "M2", "PN"])
def test_live_time(reduced, camera):
    """To 0.1 %, with dead frames of the MOS and resets of the pn's event buffer."""
    header, truth = reduced[camera].header, reduced[camera].truth
    measured = true = 0.0
    for text, ccd in truth.items():
        live = header[f"LIVETI{int(text):02d}"]
        expected = ccd["livetime_s"] * ccd["integration_s"] / ccd["frame_time_s"]
        # Columns discarded on board are counted by quadrant, and its CCDs differ.
        assert live == pytest.approx(expected, rel=2e-3 if camera == "PN" else 1e-3)
        measured, true = measured + live, true + expected
    assert measured == pytest.approx(true, rel=1e-3)
    if camera == "PN":
        resets = [ccd["reset_frames"] for ccd in truth.values()]
        assert resets[0] > 200
        assert resets[3] > 100


@pytest.mark.parametrize("camera", ["M1", "M2", "PN"])
def test_events_are_kept(reduced, camera):
    """Photons of 2 to 9 keV on sound pixels arrive in the list; noise at these energies does not."""
    events, photons = reduced[camera].events, reduced[camera].photons
    shape = (64, 200) if camera == "PN" else (600, 600)
    valid = (events["PATTERN"] <= (4 if camera == "PN" else 12)) & (events["FLAG"] & 0x400000 == 0)
    hard = valid & (events["PI"] > 2000) & (events["PI"] < 9000)
    true = photons["KEPT"] & (photons["ENERGY"] > 2000) & (photons["ENERGY"] < 9000)
    true &= photons["NPIXELS"] <= (2 if camera == "PN" else 4)
    for ccd in CCDS[camera]:
        # Two pixels around bad ones, where patterns are cut.
        bad = reduced[camera].bad_map(ccd, shape)
        near = bad.copy()
        for axis in (0, 1):
            for _ in range(2):
                near = near | np.roll(near, 1, axis) | np.roll(near, -1, axis)
        near[:3] = near[-3:] = near[:, :14] = near[:, -3:] = True

        def count(table, chosen, ccd=ccd, near=near):
            mine = chosen & (table["CCDNR"] == ccd)
            x, y = (np.rint(table[n][mine]).astype(int) - 1 for n in ("RAWX", "RAWY"))
            inside = (x >= 0) & (x < near.shape[0]) & (y >= 0) & (y < near.shape[1])
            return int((~near[x[inside], y[inside]]).sum())

        kept, sent = count(events, hard), count(photons, true)
        assert sent > 150
        # The same photons: their number does not scatter, what the tests and noise change does.
        assert kept / sent == pytest.approx(1.0, abs=0.025), (ccd, kept, sent)


def test_the_swing_of_the_pointing_leaves_no_trace(reduced):
    """The target stands still on the sky, while the telescope swings by 4 arcsec about it."""
    from daxa.simulate.odf.housekeeping import DRIFT_PERIOD_S

    events = np.concatenate([reduced[c].events[["TIME", "X", "Y", "PI"]] for c in ("M1", "M2", "PN")])
    header = reduced["PN"].header
    ra, dec = header["REFXCRVL"], header["REFYCRVL"]
    target = (150.490835, 55.679722)
    x = header["REFXCRPX"] - (target[0] - ra) * np.cos(np.deg2rad(dec)) * 72000
    y = header["REFYCRPX"] + (target[1] - dec) * 72000
    near = (np.hypot(events["X"] - x, events["Y"] - y) < 300) & (events["PI"] > 500)
    phase = 2 * np.pi * (events["TIME"][near] - events["TIME"].min()) / DRIFT_PERIOD_S
    offset = np.stack([events["X"][near] - x, events["Y"][near] - y]) * 0.05
    n = near.sum()
    assert n > 300
    assert np.hypot(*offset.mean(axis=1)) < 1.0
    # A swing that stays would show as an amplitude of up to 4 arcsec; the image is 6 arcsec wide.
    amplitude = 2 * np.abs((offset * np.exp(1j * phase)).mean(axis=1))
    assert np.hypot(*amplitude) < 5 * 6 * np.sqrt(2 / n)
