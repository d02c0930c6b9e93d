"""Bad input: a message that names it, and everything else is processed."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from astropy.units import Quantity
from simulated_field import Short, X, events, process, set_environment

from daxa.archive import Archive
from daxa.exceptions import DAXAError
from daxa.mission import XMMPointed
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.assemble import cleaned_evt_lists
from daxa.process.xmm.clean import espfilt
from daxa.process.xmm.generate import generate_images_expmaps

pytestmark = pytest.mark.slow
MOS_CCDS, PN_CCDS = set(range(1, 8)), set(range(1, 13))


@pytest.fixture
def environment(short: Short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder for archives, with the environment set."""
    set_environment(monkeypatch, tmp_path / "output", short.ccf)
    return tmp_path / "output"


@pytest.fixture
def copy(short: Short, tmp_path: Path) -> Path:
    """A copy of the raw files that may be damaged."""
    return Path(shutil.copytree(short.raw, tmp_path / "raw"))


def the_file(folder: Path, text: str) -> Path:
    (found,) = (p for p in folder.rglob("*") if text in p.name)
    return found


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def warned(call: Callable[[], Archive | None]) -> tuple[Archive | None, str]:
    """What a call returns, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, "\n".join(str(w.message) for w in caught)


def messages(archive: Archive, process_name: str, ident: str) -> str:
    """What the archive has on record of a process."""
    views = archive.process_warnings, archive.process_errors
    found = [message for view in views for message in view[X][process_name].get(ident, [])]
    return "\n".join(map(str, found))


def ccds(archive: Archive, obs_id: str, exposure: str) -> set[int]:
    folder = Path(archive.archive_path) / "processed_data" / X / obs_id / "events"
    (path,) = folder.glob(f"*inst{exposure[:2]}-subexp{exposure[2:]}-events.fits")
    return {int(c) for c in events(path)["CCDNR"]}


def outcomes(archive: Archive) -> dict[tuple[str, str], bool]:
    return {(p, i): ok for p, idents in archive.process_success[X].items() for i, ok in idents.items()}


def test_damaged_files_of_single_ccds(environment, copy, short):
    obs = short.obs_id
    absent, cut = the_file(copy, "M1S00120IME"), the_file(copy, "M1U00250IME")
    zeros, pn_cut = the_file(copy, "M2S00270IME"), the_file(copy, "PNS00304IME")
    absent.unlink()
    truncate(cut)
    zero(zeros)
    truncate(pn_cut)
    archive = process("field", copy)
    assert all(outcomes(archive).values())
    assert absent.name in messages(archive, "odf_ingest", obs)
    for path, name, ident, ccd in (
        (cut, "emchain", "M1U002", 5),
        (zeros, "emchain", "M2S002", 7),
        (pn_cut, "epchain", "PNS003", 4),
    ):
        text = messages(archive, name, obs + ident)
        assert path.name in text
        assert f"CCD {ccd} is left out" in text
    assert ccds(archive, obs, "M1S001") == MOS_CCDS - {2}
    assert ccds(archive, obs, "M1U002") == MOS_CCDS - {5}
    assert ccds(archive, obs, "M2S002") == MOS_CCDS - {7}
    assert ccds(archive, obs, "PNS003") == PN_CCDS - {4}
    assert archive.final_process_success == {X: {obs: True}}


def test_damaged_file_of_an_exposure(environment, copy, short):
    """Without its auxiliary file a whole exposure is lost; the others go on."""
    path = the_file(copy, "M2S00200AUX")
    zero(path)
    archive, text = warned(lambda: process("field", copy))
    failed = {key for key, ok in outcomes(archive).items() if not ok}
    assert failed == {("emchain", f"{short.obs_id}M2S002")}
    assert path.name in text
    assert "jobs failed; everything else was processed" in text
    assert path.name in messages(archive, "emchain", f"{short.obs_id}M2S002")
    done = {key for key, ok in outcomes(archive).items() if ok}
    assert {("generate_images_expmaps", f"{short.obs_id}{i}") for i in ("M1", "PN")} <= done
    assert archive.get_failed_processes("emchain") == {X: [f"{short.obs_id}M2S002"]}


def test_damaged_observation_beside_a_sound_one(environment, copy, short, simulated):
    """The attitude history is needed by all of an observation: it fails, the other one is processed."""
    other = "0800010301"
    shutil.copytree(simulated.odf(other), copy / other)
    path = the_file(copy / other, "ATS")
    zero(path)
    mission = XMMPointed("M2", local=copy)

    def run() -> Archive:
        archive = Archive("field", mission)
        full_process_xmm(archive, disable_progress=True, num_cores=2)
        return archive

    archive, text = warned(run)
    assert path.name in text
    assert archive.final_process_success == {X: {short.obs_id: True, other: False}}
    assert outcomes(archive)["generate_images_expmaps", f"{short.obs_id}M2"]
    assert (Path(archive.archive_path) / "failed_data" / X / other).is_dir()


def test_missing_calibration_constituent(environment, short, tmp_path, monkeypatch):
    kind = "ADUCONV"
    ccf = tmp_path / "ccf"
    ccf.mkdir()
    for path in short.ccf.iterdir():
        if not path.name.startswith(f"EMOS1_{kind}"):
            (ccf / path.name).symlink_to(path)
    monkeypatch.setenv("DAXA_CCFPATH", str(ccf))

    def run() -> Archive:
        archive = Archive("field", XMMPointed(["M1", "M2"], local=short.raw))
        full_process_xmm(archive, disable_progress=True, num_cores=2)
        return archive

    archive, text = warned(run)
    assert f"EMOS1_{kind}" in text
    results = outcomes(archive)
    assert not results["emchain", f"{short.obs_id}M1S001"]
    assert not results["emchain", f"{short.obs_id}M1U002"]
    assert f"EMOS1_{kind}" in messages(archive, "emchain", f"{short.obs_id}M1S001")
    assert results["generate_images_expmaps", f"{short.obs_id}M2"]


def test_calibration_that_comes_later(environment, short, tmp_path, monkeypatch):
    """A calibration index is kept until a file that was missed has come; then everything is made with it."""
    ccf = tmp_path / "ccf"
    ccf.mkdir()
    for path in short.ccf.iterdir():
        if not path.name.startswith("EMOS1_LINCOORD"):
            (ccf / path.name).symlink_to(path)
    monkeypatch.setenv("DAXA_CCFPATH", str(ccf))
    archive = Archive("field", XMMPointed("M1", local=short.raw))
    with pytest.warns(UserWarning, match="EMOS1_LINCOORD"):
        full_process_xmm(archive, disable_progress=True, num_cores=2)
    monkeypatch.setenv("DAXA_CCFPATH", str(short.ccf))
    full_process_xmm(archive, disable_progress=True, num_cores=2)
    assert all(outcomes(archive).values())
    assert archive.final_process_success == {X: {short.obs_id: True}}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that holds little."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk(short, small_disk, monkeypatch):
    set_environment(monkeypatch, small_disk, short.ccf)
    archive = Archive("field", XMMPointed("M1", local=short.raw))

    def run() -> None:
        full_process_xmm(archive, disable_progress=True, num_cores=2)

    text = ""
    try:
        _, text = warned(run)
    except DAXAError as failure:
        text = str(failure)
    assert "No space left on device" in text or "disk is full" in text
    assert str(small_disk) in text
    # Whatever has a final name is whole: its size and checksum are those on record.
    from daxa.backend.publish import checksum

    recorded = {k: v for r in archive.ledger.runs(logs=False) if r.ok for k, v in r.outputs.items()}
    folder = Path(archive.archive_path) / "processed_data" / X / short.obs_id
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "logs":
            assert checksum(path) == recorded[str(path.relative_to(folder))][0]
    # With more room the next call finishes.
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    run()
    assert all(outcomes(archive).values())
    assert archive.final_process_success == {X: {short.obs_id: True}}
    archive.ledger.close()


def test_unknown_obs_id(environment, short):
    mission = XMMPointed(local=short.raw)
    with pytest.raises(Exception, match="0999999999") as failure:
        mission.filter_on_obs_ids(["0999999999"])
    assert isinstance(failure.value, (DAXAError, ValueError))
    with pytest.raises(ValueError, match="12345"):
        mission.filter_on_obs_ids(["12345"])
    with pytest.warns(UserWarning, match="0999999999"):
        mission.filter_on_obs_ids([short.obs_id, "0999999999"])
    assert list(mission.filtered_obs_ids) == [short.obs_id]


def test_wrong_units(environment, short):
    from astropy.units import UnitConversionError

    archive = Archive("field", XMMPointed("M1", local=short.raw))
    second, kev = Quantity(1, "s"), Quantity(1, "keV")
    for name, call in (
        ("filter_lo_en", lambda: espfilt(archive, filter_lo_en=second)),
        ("with_binning", lambda: espfilt(archive, with_binning=kev)),
        ("lo_en", lambda: cleaned_evt_lists(archive, lo_en=second, hi_en=kev)),
        ("hi_en", lambda: generate_images_expmaps(archive, lo_en=kev, hi_en=second)),
        ("lo_en", lambda: full_process_xmm(archive, lo_en=second, hi_en=kev)),
        ("timeout", lambda: full_process_xmm(archive, timeout=kev)),
    ):
        with pytest.raises((UnitConversionError, TypeError, ValueError), match=name):
            call()
    assert not list(archive.ledger.runs(everything=True))


def test_a_folder_without_observations(environment, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DAXAError, match=str(tmp_path / "empty")):
        XMMPointed(local=tmp_path / "empty")
