"""The grating steps with the embedded engine, from raw files of the simulated set to final event lists."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from daxa.archive import Archive
from daxa.mission import XMMPointed
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.grating import cleaned_rgs_event_lists, rgs_angles, rgs_events
from daxa.process.xmm.setup import cif_build, odf_ingest

X = "xmm_pointed"
QUIET = {"disable_progress": True, "num_cores": 2}
LATE, EARLY = "0800030101", "0800030201"
EXPOSURES = {"R1": "S004", "R2": "S005"}

pytestmark = pytest.mark.slow


@pytest.fixture
def archive(simulated_gratings, monkeypatch) -> Archive:
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    monkeypatch.setenv("DAXA_CCFPATH", str(simulated_gratings.ccf))
    return Archive("gratings", XMMPointed(["R1", "R2"], local=simulated_gratings.folder / "odf"))


def final(archive, obs_id: str, inst: str):
    name = f"obsid{obs_id}-inst{inst}-subexp{EXPOSURES[inst]}-finalevents.fits"
    return archive.layout.processed(X, obs_id) / "events" / name


def test_step_by_step_and_again(archive, simulated_gratings):
    for step in (cif_build, odf_ingest, rgs_events, rgs_angles, cleaned_rgs_event_lists):
        step(archive, **QUIET)
    for process in ("rgs_events", "rgs_angles", "cleaned_rgs_event_lists"):
        done = archive.process_success[X][process]
        assert set(done) == {o + i + e for o in (LATE, EARLY) for i, e in EXPOSURES.items()}
        assert all(done.values()), archive.process_errors
    assert archive.final_process_success == {X: {LATE: True, EARLY: True}}
    for obs_id in (LATE, EARLY):
        truth = {e["instrument"]: e for e in simulated_gratings.truth(obs_id)["gratings"]}
        for inst in EXPOSURES:
            with fits.open(final(archive, obs_id, inst)) as hdus:
                events = hdus["EVENTS"].data
                names = {h.name for h in hdus}
                times = {h.name: h.header["ONTIME"] for h in hdus if h.name.startswith("STDGTI")}
            for ccd, one in truth[inst]["ccds"].items():
                assert times[f"STDGTI0{ccd}"] == pytest.approx(one["ontime_s"], abs=0.02)
                assert {f"EXPMAP0{ccd}", f"EXPMAP1{ccd}", f"REJPIX1{ccd}", f"EXPOSU0{ccd}"} <= names
            line = events[np.abs(events["M_LAMBDA"] - 15.014) < 0.1]
            line = line[np.abs(line["PI"] - 12398.42 / 15.014) < 130]
            # The attitude history does not know the swing of the early observation, but its mean.
            assert np.mean(line["M_LAMBDA"]) == pytest.approx(15.014, abs=4e-3)
            assert len(line) > 900
    path = final(archive, LATE, "R2")
    before = path.stat().st_mtime_ns
    assert any("srclist" in p.name for p in path.parent.parent.rglob("*-instR2-*"))
    # Everything in one call finds that it is all done.
    full_process_xmm(archive, **QUIET)
    assert path.stat().st_mtime_ns == before
    assert archive.final_process_success == {X: {LATE: True, EARLY: True}}
