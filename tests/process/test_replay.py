"""Products made again from their records."""

from __future__ import annotations

import json
import os

import fake_sas
import pytest
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.cli.main import app
from daxa.exceptions import DAXAError
from daxa.process.replay import ReplayRefusedError, replay
from daxa.process.simple import full_process_xmm

X, OBS = "xmm_pointed", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}
STEM = f"obsid{OBS}-instM1-subexp"


@pytest.fixture
def reduced(sas, monkeypatch) -> Archive:
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: {"M1": {"S001": fake_sas.exposure()}}})
    made = Archive("field", fake_sas.FakeMission())
    full_process_xmm(made, **QUIET)
    return made


def products(archive: Archive) -> list:
    """One product of every run, the last of each."""
    runs = archive.ledger.runs(logs=False, status="done")
    return [archive.obs_folder(X, OBS) / list(run.outputs)[-1] for run in runs]


def contents(archive: Archive) -> dict:
    """Every file but what SQLite keeps beside the ledger."""
    files = (p for p in archive.layout.root.rglob("*") if p.is_file() and "sqlite-" not in p.name)
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_every_run_is_made_again(reduced, sas, tmp_path):
    reduced.ledger.close()
    before = contents(reduced)
    sas.forget()
    for path in products(Archive("field")):
        found = replay(path)
        assert (found.equal, found.notes, found.errors) == (True, [], []), path
    assert {call.split(" ")[0] for call in sas.calls} == {
        "cifbuild",
        "odfingest",
        "emchain",
        "espfilt",
        "evselect",
        "eexpmap",
    }
    assert contents(reduced) == before
    final = reduced.obs_folder(X, OBS) / "events" / f"{STEM}ALL-en-finalevents.fits"
    found = replay(final, keep=tmp_path / "kept")
    assert (tmp_path / "kept" / final.name).read_bytes() == final.read_bytes()
    assert found.folder == tmp_path / "kept"


def test_another_result_is_told(reduced, sas, tmp_path):
    events = reduced.obs_folder(X, OBS) / "events" / f"{STEM}S001-events.fits"
    sas.behave('if [ $task = emchain ]; then task=none; echo other > "P${obs}M1S001MIEVLI0000.FIT"; '
               'echo "attitude $obs" > P${obs}OBX000ATTTSR0000.FIT; fi\n')  # fmt: skip
    done = CliRunner().invoke(app, ["replay", str(events), "--json"])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["verdict"] == "differs"
    assert sorted(told["outputs"].values()) == ["differs", "equal"]
    sas.behave('if [ $task = emchain ]; then echo "** emchain: error (noGood), broken" >&2; exit 1; fi\n')
    done = CliRunner().invoke(app, ["replay", str(events)])
    assert (done.exit_code, "error: noGood raised by emchain - broken" in done.stdout) == (1, True)
    sas.forget()
    done = CliRunner().invoke(app, ["replay", str(events)])
    assert (done.exit_code, done.stdout.splitlines()[-1].split("; ")[0]) == (0, f"{events}: equal")


def test_what_has_become_of_the_product_does_not_count(reduced):
    events = reduced.obs_folder(X, OBS) / "events" / f"{STEM}S001-events.fits"
    events.write_text("mine")
    found = replay(events)
    assert (found.verdict, found.notes) == ("equal", ["the file has been altered since it was made"])
    events.unlink()
    assert replay(events).notes == ["the file is not there any more"]


def test_changed_inputs_are_refused_unless_asked_for(reduced):
    folder = reduced.obs_folder(X, OBS)
    events = folder / "events" / f"{STEM}S001-events.fits"
    clean = folder / "events" / f"{STEM}S001-en-cleanevents.fits"
    events.write_text("mine")
    with pytest.raises(ReplayRefusedError, match=f"{events.name} holds something else"):
        replay(clean)
    done = CliRunner().invoke(app, ["replay", str(clean)])
    assert (done.exit_code, done.stderr.startswith("refused: ")) == (2, True)
    assert CliRunner().invoke(app, ["replay", str(clean), "--anyway"]).exit_code == 1
    events.unlink()
    with pytest.raises(ReplayRefusedError, match=f"gone are: processed_data/.*{events.name}"):
        replay(clean, anyway=True)


def test_raw_files_that_changed_moved_or_are_gone(reduced, tmp_path):
    events = reduced.obs_folder(X, OBS) / "events" / f"{STEM}S001-events.fits"
    raw = reduced[X].get_obs_path(OBS)
    raw.rename(tmp_path / "elsewhere")
    with pytest.raises(ReplayRefusedError, match="gone are: the raw files"):
        replay(events, anyway=True)
    elsewhere = tmp_path / "elsewhere"
    assert replay(events, raw=elsewhere).equal
    os.utime(elsewhere / "summary", (1e9, 1e9))
    with pytest.raises(ReplayRefusedError, match="names, sizes or times of the raw files"):
        replay(events, raw=elsewhere)
    found = replay(events, raw=elsewhere, anyway=True)
    assert found.equal
    assert "names, sizes or times of the raw files" in found.notes[0]


def test_another_version_is_refused_unless_asked_for(reduced, monkeypatch):
    events = reduced.obs_folder(X, OBS) / "events" / f"{STEM}S001-events.fits"
    monkeypatch.setattr("daxa.process.recording.sas_version", lambda: "xmmsas-99.0.0")
    with pytest.raises(ReplayRefusedError, match=r"it was made by sas unknown, this is sas xmmsas-99\.0\.0"):
        replay(events)
    assert replay(events, anyway=True).equal
    monkeypatch.delenv("SAS_DIR")
    with pytest.raises(ReplayRefusedError, match=r"gone are: SAS, which made it \(SAS_DIR is not set\)"):
        replay(events, anyway=True)


def test_runs_without_a_record_of_their_job(reduced, tmp_path):
    events = reduced.obs_folder(X, OBS) / "events" / f"{STEM}S001-events.fits"
    reduced.ledger._db.execute("UPDATE run SET job='{}'")
    with pytest.raises(ReplayRefusedError, match="nothing is known of what its tasks saw"):
        replay(events)
    with pytest.raises(DAXAError, match="is not in an archive"):
        replay(tmp_path / "a.fits")
