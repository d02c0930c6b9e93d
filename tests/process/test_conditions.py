"""What comes of clocks that are set back, disks that are full, and other versions of this package."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import datetime, timedelta, timezone

import fake_sas
import pytest
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.archive.ledger import Ledger
from daxa.archive.schema import MIGRATIONS
from daxa.cli.main import app
from daxa.exceptions import DAXAError, IncompatibleSaveError
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.clean import espfilt

X, OBS = "xmm_pointed", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}


@pytest.fixture
def archive(sas, monkeypatch) -> Archive:
    """One observation of one camera, nothing processed."""
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: {"M1": {"S001": fake_sas.exposure()}}})
    return Archive("field", fake_sas.FakeMission())


def test_a_clock_that_is_set_back(archive, sas, monkeypatch):
    full_process_xmm(archive, **QUIET)
    sas.forget()
    past = datetime.now(timezone.utc) - timedelta(days=400)

    def now() -> str:
        return past.isoformat(timespec="milliseconds")

    for place in ("daxa.process.runner.now", "daxa.process.preparing.now", "daxa.backend.runner._now"):
        monkeypatch.setattr(place, now)
    full_process_xmm(archive, **QUIET)
    assert not sas.calls
    espfilt(archive, range_scale={"mos": 7.0, "pn": 15.0}, **QUIET)
    # The run that came last counts, whatever its time.
    last = archive.ledger.latest(X, "espfilt", f"{OBS}M1S001")
    assert last.started == now()
    assert dict(last.tasks)["espfilt"]["rangescale"] == "7"
    assert set(archive.stale[X]) >= {"cleaned_evt_lists", "merge_subexposures"}
    full_process_xmm(archive, **QUIET)
    assert archive.stale == {X: {}}
    sas.forget()
    full_process_xmm(archive, **QUIET)
    assert not sas.calls


def test_a_disk_that_is_too_full_for_the_ledger(archive, sas, monkeypatch):
    finish, count = Ledger.finish, []

    def full(self, run):
        count.append(run)
        if len(count) > 5:
            raise self._db._told(sqlite3.OperationalError("database or disk is full"))
        finish(self, run)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "finish", full)
        with pytest.raises(DAXAError, match=r"ledger\.sqlite: cannot be written .* is the disk full"):
            full_process_xmm(archive, **QUIET)
    assert "running" not in {r.status for r in archive.ledger.runs(everything=True)}
    full_process_xmm(archive, **QUIET)
    assert all(archive.final_process_success[X].values())
    done = Counter((r.process, r.ident) for r in archive.ledger.runs(everything=True) if r.ok)
    assert set(done.values()) == {1}


def test_an_archive_of_a_newer_version_is_left_alone(archive, sas):
    full_process_xmm(archive, **QUIET)
    archive.ledger.close()
    with sqlite3.connect(archive.layout.ledger) as db:
        db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    db.close()
    before = archive.layout.ledger.read_bytes()
    with pytest.raises(IncompatibleSaveError, match="written by a newer DAXA"):
        Archive("field")
    done = CliRunner().invoke(app, ["status", "field"])
    assert (done.exit_code, "written by a newer DAXA" in done.stderr) == (2, True)
    assert archive.layout.ledger.read_bytes() == before


def test_an_archive_of_an_older_version_is_taken_over(archive, sas):
    full_process_xmm(archive, **QUIET)
    archive.ledger.close()
    with sqlite3.connect(archive.layout.ledger) as db:
        db.execute("ALTER TABLE run DROP COLUMN job")
        db.execute("PRAGMA user_version=2")
    db.close()
    sas.forget()
    again = Archive("field")
    full_process_xmm(again, **QUIET)
    assert not sas.calls
    assert again.layout.ledger.with_name("ledger_version2.sqlite").is_file()
    (image,) = again.obs_folder(X, OBS).glob("images/*instM1*0.5_2.0keV-image.fits")
    assert CliRunner().invoke(app, ["provenance", str(image)]).exit_code == 0
    # How its tasks saw their files was not kept.
    done = CliRunner().invoke(app, ["replay", str(image)])
    assert (done.exit_code, "nothing is known of what its tasks saw" in done.stderr) == (2, True)
    full_process_xmm(again, redo="all", **QUIET)
    assert CliRunner().invoke(app, ["replay", str(image)]).exit_code == 0
