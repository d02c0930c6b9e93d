"""Exposures in timing and burst mode make no images; the steps say so and go on."""

from __future__ import annotations

import pytest
from fake_sas import OBSERVED, exposure

from daxa.process.xmm.assemble import emchain, epchain
from daxa.process.xmm.setup import cif_build, odf_ingest

QUIET = {"num_cores": 2, "disable_progress": True}
OBS_ID = "0800010101"


def observe(monkeypatch, pn, m1=None):
    """Let the first observation have a pn (and MOS1) exposure in other modes."""
    monkeypatch.setitem(OBSERVED[OBS_ID]["PN"], "S003", pn)
    if m1:
        monkeypatch.setitem(OBSERVED[OBS_ID]["M1"], "S001", m1)


def test_fast_exposures_are_named(archive, sas, monkeypatch):
    timing = exposure(mode="FastUncompressed", ccds={1: "TIMING", 2: "IMAGING", 3: "IMAGING"})
    observe(monkeypatch, exposure(mode="FastBurst", ccds={4: "BURST"}), timing)
    cif_build(archive, **QUIET)
    odf_ingest(archive, **QUIET)
    with pytest.warns(UserWarning, match=rf"{OBS_ID}PNS003 \(FastBurst\): burst data; it has no image"):
        epchain(archive, **QUIET)
    expected = rf"{OBS_ID}M1S001 \(FastUncompressed\): timing data; CCD 1 has no image"
    with pytest.warns(UserWarning, match=expected):
        emchain(archive, **QUIET)
    chains = [c for c in sas.calls if c.startswith(("epchain", "emchain"))]
    # Two runs for the other observation's pn; all five MOS exposures.
    assert len([c for c in chains if c.startswith("epchain")]) == 2
    assert len([c for c in chains if c.startswith("emchain")]) == 5


def test_nothing_but_fast_exposures_is_no_error(archive, sas, monkeypatch):
    observe(monkeypatch, exposure(mode="FastTiming", ccds={4: "TIMING"}))
    monkeypatch.setitem(OBSERVED["0800010201"], "PN", {"S003": exposure(mode="FastBurst", ccds={4: "BURST"})})
    cif_build(archive, **QUIET)
    odf_ingest(archive, **QUIET)
    with pytest.warns(UserWarning, match="FastTiming") as caught:
        epchain(archive, **QUIET)
    assert any("FastBurst" in str(w.message) for w in caught)
    assert not [c for c in sas.calls if c.startswith("epchain")]
