"""XGA loads the event lists, images and exposure maps of an archive, without SAS.

XGA reads its configuration and changes global state as it is imported: it runs in an interpreter of its own,
``DAXA_XGA_PYTHON``, or else this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from daxa.archive.xga import xga_configuration

pytestmark = pytest.mark.slow

NAMES = {"PN": "pn", "M1": "mos1", "M2": "mos2"}


def xga_python() -> str:
    python = os.environ.get("DAXA_XGA_PYTHON", sys.executable)
    probe = subprocess.run(
        [python, "-c", "import importlib.util as u; raise SystemExit(not u.find_spec('xga'))"], check=False
    )
    if probe.returncode:
        pytest.skip(f"{python} has no XGA (set DAXA_XGA_PYTHON to an interpreter that has)")
    return python


@pytest.fixture(scope="module")
def session(reduced, tmp_path_factory: pytest.TempPathFactory):
    python = xga_python()
    folder = tmp_path_factory.mktemp("xga")
    (folder / "xga.cfg").write_text(xga_configuration(reduced.archive, folder / "output"))
    # Every XGA source asks HEASoft's nh for the Galactic column; two numbers stand in for its table.
    (folder / "nh").write_text('#!/bin/sh\necho "average 5.0E+20"\necho "weighted 5.0E+20"\n')
    (folder / "nh").chmod(0o755)
    ra, dec, _ = reduced.sources()[0]
    run = subprocess.run(
        [python, "-W", "ignore", str(Path(__file__).with_name("xga_session.py")), str(ra), str(dec)],
        cwd=folder,
        env={
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "XGA_CONFIG_DIR": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    answers = [line for line in run.stdout.splitlines() if line.startswith("FOUND ")]
    assert answers, run.stderr[-3000:]
    return json.loads(answers[-1].removeprefix("FOUND "))


def test_observations_are_found(session, reduced):
    header = fits.getheader(reduced.events("PN"), "EVENTS")
    (row,) = session["census"]
    assert row["ObsID"] == reduced.obs_id
    assert (row["RA_PNT"], row["DEC_PNT"]) == pytest.approx((header["RA_PNT"], header["DEC_PNT"]))
    assert all(row[f"USE_{name.upper()}"] is True for name in NAMES.values())
    assert sorted(session["instruments"][reduced.obs_id]) == sorted(NAMES.values())
    assert sorted(session["source"][reduced.obs_id]) == sorted(NAMES.values())


@pytest.mark.parametrize("inst", NAMES)
def test_event_lists_are_read_whole(session, reduced, inst: str):
    found = session["events"][f"{reduced.obs_id} {NAMES[inst]}"]
    assert found["usable"]
    assert found["rows"] == fits.getheader(reduced.events(inst), "EVENTS")["NAXIS2"]


@pytest.mark.parametrize("inst", NAMES)
def test_images_and_exposure_maps_have_their_coordinates(session, reduced, inst: str):
    found = session["images"][NAMES[inst]]
    ra, dec, _ = reduced.sources()[0]
    with fits.open(reduced.image(inst)) as image, fits.open(reduced.image(inst, "expmap")) as expmap:
        assert found["counts"] == image[0].data.sum()
        assert found["shape"] == list(image[0].data.shape)
        x, y = WCS(image[0].header, naxis=2).wcs_world2pix(ra, dec, 0)
        column, row = round(float(x)), round(float(y))
        assert found["exposure"] == pytest.approx(expmap[0].data[row, column], rel=0.02)
        assert found["largest"] == pytest.approx(expmap[0].data.max())
        header = image[0].header
    # XGA gives whole pixels.
    assert np.abs(np.subtract(found["pixel"], (x, y))).max() <= 1.0
    sky = [
        header[f"CRVAL{k}L"] + header[f"CDELT{k}L"] * (float(v) + 1 - header[f"CRPIX{k}L"])
        for k, v in ((1, x), (2, y))
    ]
    assert found["sky"] == pytest.approx(sky, abs=0.01)
    # The brightest source of the truth is where XGA looks for it.
    assert found["peak"] > 10 * max(found["elsewhere"], 1.0 / found["largest"] / 10)


def test_spectra_are_made_without_sas(reduced, simulated, tmp_path):
    python = xga_python()
    root = Path(__file__).parents[2]
    needs = "import sys, daxa.process, xga.sources; raise SystemExit(sys.version_info < (3, 12))"
    env = {**os.environ, "DAXA_NH": "5e20", "PYTHONPATH": str(root / "src"), "XGA_CONFIG_DIR": str(tmp_path)}
    if subprocess.run([python, "-c", needs], env=env, capture_output=True, check=False).returncode:
        pytest.skip(f"{python} cannot import daxa and XGA's point sources (these need Python 3.12)")
    place = ",".join(f"{v:.6f}" for v in reduced.sources()[0][:2])
    options = ["--ccf", simulated.ccf, "--steps", "images", "--point", place]
    run = subprocess.run(
        [python, root / "benchmarks" / "xga_session.py", reduced.archive, tmp_path, *options],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    answers = [line for line in run.stdout.splitlines() if line.startswith("FOUND ")]
    assert answers, run.stderr[-3000:]
    answer = json.loads(answers[-1].removeprefix("FOUND "))
    assert answer["failed"] == []
    assert answer["found"]["column of hydrogen"] == "5e+20 cm^-2"
    assert len(answer["found"]["... loaded"]) == 3
    assert run.stdout.endswith("\n0 lines of errors\n")
