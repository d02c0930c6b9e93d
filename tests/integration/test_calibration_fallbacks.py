"""Whole chains without a calibration file for which something stands in: warning, headers, ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import fits
from simulated_field import Short, X, set_environment

from daxa.archive import Archive
from daxa.mission import XMMPointed
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.grating import cleaned_rgs_event_lists, rgs_angles, rgs_events
from daxa.process.xmm.setup import cif_build, odf_ingest

QUIET = {"disable_progress": True, "num_cores": 2}
MOS = ["EMOS1_TIMECORR[FRAMETIME]: noTimeCorrection"]
#: The first from the search of bad pixels, which the chain makes once for its two lists.
PN = ["EPN_BADPIX[BADPIX]: noBadPixels", "EPN_TIMEJUMPTOL[TIMEJUMPTOL]: noJumpTolerance"]
GRATINGS = "RGS1_QUANTUMEF[RGA_OBSCURATE]: noGratingShare"
LIMITS = ["RGS1_HKPARMINT[HKPARMINT]: noHkLimits", "RGS1_HKPARMINT[TRANSLATION]: noHkNames"]

pytestmark = pytest.mark.slow


def without(ccf: Path, folder: Path, *names: str) -> Path:
    """The calibration files of a folder but for those that begin so."""
    folder.mkdir()
    for path in ccf.glob("*.CCF"):
        if not path.name.startswith(names):
            (folder / path.name).symlink_to(path)
    return folder


def noted(path: Path) -> list[str]:
    header = fits.getheader(path)
    return [header[key] for key in header if key.startswith("CALFB")]


def warned(archive: Archive, process: str, ident: str) -> list[str]:
    (run,) = archive.ledger.runs(process=process, ident=ident)
    return [message["name"] for message in run.warnings]


def test_cameras(short: Short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("EMOS1_TIMECORR", "EPN_TIMEJUMPTOL", "EPN_BADPIX", "RGS1_QUANTUMEF")
    ccf = without(short.ccf, tmp_path / "ccf", *names)
    set_environment(monkeypatch, tmp_path / "output", ccf)
    archive = Archive("field", XMMPointed(["M1", "PN"], local=short.raw))
    full_process_xmm(archive, **QUIET)
    folder = tmp_path / "output" / "archives" / "field" / "processed_data" / X / short.obs_id
    for inst, notes in (("M1", MOS), ("PN", PN)):
        lists = [p for p in folder.glob(f"events/*-inst{inst}-*.fits") if "events" in p.name]
        assert len(lists) > 3
        images = list(folder.glob(f"images/*-inst{inst}-*-image.fits"))
        maps = list(folder.glob(f"images/*-inst{inst}-*-expmap.fits"))
        assert len(images) == len(maps) == 2
        for path in (*lists, *images):
            assert sorted(noted(path)) == notes, path.name
        for path in maps:
            assert sorted(noted(path)) == [*notes, *([GRATINGS] if inst == "M1" else [])], path.name
    for exposure in ("M1S001", "M1U002"):
        assert warned(archive, "emchain", short.obs_id + exposure).count("noTimeCorrection") == 1
    # Once in each of the two calls of epchain: out-of-time events come from one of their own.
    said = warned(archive, "epchain", short.obs_id + "PNS003")
    assert [said.count(code) for code in ("noJumpTolerance", "noBadPixels")] == [2, 1]
    assert warned(archive, "generate_images_expmaps", short.obs_id + "M1") == ["noGratingShare"]


def test_spectrometer(simulated_gratings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    obs_id = "0800030101"
    ccf = without(simulated_gratings.ccf, tmp_path / "ccf", "RGS1_HKPARMINT")
    set_environment(monkeypatch, tmp_path / "output", ccf)
    archive = Archive("gratings", XMMPointed(["R1", "R2"], local=simulated_gratings.odf(obs_id)))
    for step in (cif_build, odf_ingest, rgs_events, rgs_angles, cleaned_rgs_event_lists):
        step(archive, **QUIET)
    events = archive.layout.processed(X, obs_id) / "events"
    assert noted(events / f"obsid{obs_id}-instR1-subexpS004-finalevents.fits") == LIMITS
    assert noted(events / f"obsid{obs_id}-instR2-subexpS005-finalevents.fits") == []
    assert warned(archive, "rgs_events", obs_id + "R1S004").count("noHkLimits") == 1
    assert "noHkLimits" not in warned(archive, "rgs_events", obs_id + "R2S005")
