from __future__ import annotations

import sqlite3

import pytest

from daxa.archive import database
from daxa.archive.database import Database
from daxa.archive.ledger import Ledger
from daxa.archive.run import Input, Output, Run
from daxa.archive.schema import MIGRATIONS
from daxa.exceptions import DAXAError, IncompatibleSaveError


def run(process="emchain", ident="0123456789M1S001", **values) -> Run:
    fields = {"inst": "M1", "exp_id": "S001", "status": "done", "started": "2026-01-01T00:00:00"}
    return Run(process, ident, "xmm_pointed", ident[:10], **{**fields, **values})


def test_runs_come_back_as_they_went_in(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    first = run(
        backend="sas",
        tasks=[("emchain", {"odf": "/raw", "instruments": "M1"}), ("merge", {"set1": "a b"})],
        config={"process_unscheduled": True},
        versions={"daxa": "1"},
        fingerprint="abc",
        ended="2026-01-01T00:01:00",
        wall_s=60.5,
        cpu_s=30.25,
        memory_bytes=123,
        timed_out=True,
        stdout="out ☀",
        stderr="err",
        extra={"evt_list": {"path": "events/a.fits"}},
        warnings=[{"originator": "a::b", "name": "w", "message": "m"}],
        errors=[{"originator": "c", "name": "e", "message": ""}],
        outputs={"events/a.fits": Output("00ff", 2880, 5, "11")},
        inputs=[Input("product", "cif_build", "0123456789", "ccf.cif", "22")],
    )
    ledger.finish(first)
    ledger.close()
    again = Ledger(tmp_path / "ledger")
    assert again.latest("xmm_pointed", "emchain", "0123456789M1S001") == first
    assert list(again.runs(obs_id="0123456789")) == [first]
    assert list(again.runs(inst="M2")) == []
    assert next(again.runs(logs=False)).stdout == ""


def test_the_last_finished_run_counts(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    ledger.finish(run(status="failed"))
    second = run()
    ledger.finish(second)
    ledger.start(run(status="running"))
    assert ledger.latest("xmm_pointed", "emchain", "0123456789M1S001").id == second.id
    assert [r.id for r in ledger.runs()] == [second.id]
    assert len(list(ledger.runs(everything=True))) == 3
    assert ledger.has_run("xmm_pointed", "emchain")
    assert not ledger.has_run("xmm_pointed", "epchain")


def test_unfinished_runs_are_marked(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    ledger.start(run(status="running"))
    again = Ledger(tmp_path / "ledger")
    assert again.unfinished() == [("xmm_pointed", "0123456789")]
    again.interrupt_all()
    assert [r.status for r in ledger.runs(everything=True)] == ["interrupted"]
    assert list(ledger.runs()) == []
    assert ledger.unfinished() == []


def test_a_run_that_cannot_be_recorded_leaves_nothing_behind(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    good = run(outputs={"a": Output("00", 1)})
    bad = run(ident="0123456789M2S002", outputs={"a": Output("00", object())})
    ledger.finish(good)
    with pytest.raises(DAXAError, match="cannot be written"):
        ledger.finish(bad)
    assert list(ledger.runs(everything=True)) == [good]


def test_a_ledger_that_cannot_grow_says_so(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(DAXAError, match=r"ledger: cannot be written \(.*full"):
        ledger.finish(run(stdout="x" * 100_000))
    assert list(ledger.runs(everything=True)) == []


def test_observations_keep_numbers_of_ccds(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    summary = {"PN": {"active": True, "exposures": {"S003": {"ccd_modes": {1: "IMAGING", 12: "IMAGING"}}}}}
    ledger.set_observation("xmm_pointed", "0123456789", summary=summary, to_process={"PN": {"S003": True}})
    ledger.set_observation("xmm_pointed", "0123456789", final_success=True)
    assert ledger.observation("xmm_pointed", "0123456789") == {
        "summary": summary,
        "to_process": {"PN": {"S003": True}},
        "final_success": True,
    }
    assert ledger.observation("xmm_pointed", "none")["summary"] is None
    with pytest.raises(ValueError, match="colour"):
        ledger.set_observation("xmm_pointed", "0123456789", colour=1)


def test_configurations_keep_their_order(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    ledger.set_configuration("m", "b", {"x": 1})
    ledger.set_configuration("m", "a", {})
    ledger.set_configuration("m", "b", {"x": 2})
    assert ledger.configurations() == [("m", "b", {"x": 2}), ("m", "a", {})]


def test_meta(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.meta("k", 5) == 5
    ledger.set_meta("k", [1, "a"])
    assert Ledger(tmp_path / "ledger").meta("k") == [1, "a"]


def test_files_that_are_no_ledger_are_refused(tmp_path):
    (tmp_path / "ledger").write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(IncompatibleSaveError, match="not a readable ledger"):
        Ledger(tmp_path / "ledger")


def test_ledgers_of_the_future_are_refused(tmp_path):
    Ledger(tmp_path / "ledger").close()
    with sqlite3.connect(tmp_path / "ledger") as db:
        db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    with pytest.raises(IncompatibleSaveError, match="newer DAXA"):
        Ledger(tmp_path / "ledger")


def test_migrations_are_applied_once(tmp_path, monkeypatch):
    Ledger(tmp_path / "ledger").close()
    more = (*MIGRATIONS, "CREATE TABLE extra (x INTEGER); INSERT INTO extra VALUES (1);")
    monkeypatch.setattr("daxa.archive.database.MIGRATIONS", more)
    for _ in range(2):
        ledger = Ledger(tmp_path / "ledger")
        assert [tuple(r) for r in ledger._db.execute("SELECT x FROM extra")] == [(1,)]
        ledger.close()


def test_two_processes_migrate_one_ledger(tmp_path, monkeypatch):
    old = sqlite3.connect(tmp_path / "ledger")
    old.executescript(f"{MIGRATIONS[0]} PRAGMA user_version=1;")
    old.close()
    asked = Database._version

    def meanwhile(self):
        """Lets another process migrate between the look at the version and the migration."""
        version = asked(self)
        if version == 1 and not self._db.in_transaction:
            monkeypatch.setattr(Database, "_version", asked)
            Ledger(tmp_path / "ledger").finish(run())
        return version

    monkeypatch.setattr(Database, "_version", meanwhile)
    (found,) = Ledger(tmp_path / "ledger").runs()
    assert found.process == "emchain"
    kept = sqlite3.connect(tmp_path / "ledger_version1.sqlite")
    assert kept.execute("PRAGMA user_version").fetchone() == (1,)
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".part") == []


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    Ledger(tmp_path / "ledger").close()
    more = (*MIGRATIONS, "CREATE TABLE extra (x INTEGER); INSERT INTO absent VALUES (1);")
    monkeypatch.setattr("daxa.archive.database.MIGRATIONS", more)
    with pytest.raises(DAXAError, match="no such table: absent"):
        Ledger(tmp_path / "ledger")
    monkeypatch.undo()
    assert list(Ledger(tmp_path / "ledger").runs()) == []


def test_history_is_recorded_whole_or_not_at_all(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    with pytest.raises(DAXAError, match="cannot be written"):
        ledger.add_history(run(outputs={"a": Output("00", object())}))
    assert list(ledger.runs(everything=True)) == []
    assert ledger.add_history(run())
    assert not ledger.add_history(run())


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    connect = database._connect

    class Refusing(sqlite3.Connection):
        def execute(self, *given):
            raise sqlite3.OperationalError("locking protocol")

    def refuse(place, unlocked=False):
        """SQLite where locks do not work: only what does without them."""
        if isinstance(place, database.Path) and not unlocked:
            return sqlite3.connect(place, factory=Refusing)
        return connect(place, unlocked)

    monkeypatch.setattr(database, "_connect", refuse)
    with pytest.warns(UserWarning, match="no file locks"):
        ledger = Ledger(tmp_path / "ledger")
    ledger.finish(run(stdout="a log"))
    for leave_out in ((), ("log",)):
        ledger._db.copy(tmp_path / "copy", leave_out)
        monkeypatch.undo()
        assert [r.stdout for r in Ledger(tmp_path / "copy").runs()] == ["" if leave_out else "a log"]
        monkeypatch.setattr(database, "_connect", refuse)


def test_readers_do_not_wait_for_writers(tmp_path):
    writer, reader = Ledger(tmp_path / "ledger"), Ledger(tmp_path / "ledger")
    writer.finish(run())
    with writer._transaction():
        writer.set_meta("x", 1)
        assert len(list(reader.runs())) == 1
        assert reader.meta("x") is None
    assert reader.meta("x") == 1


def test_totals_count_each_piece_once(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    warned = {"warnings": [{"originator": "a", "name": "b", "message": "c"}] * 2}
    ledger.finish(run(wall_s=1.0, memory_bytes=5, status="failed", **warned))
    ledger.finish(run(wall_s=2.0, memory_bytes=3, **warned))
    ledger.finish(run(ident="0123456789M2S002", wall_s=4.0, status="failed"))
    ledger.start(run(status="running"))
    ledger.start(run(ident="0123456789PNS003", status="running"))
    ledger.start(run("espfilt", status="interrupted"))
    chain, flares = ledger.totals()
    assert chain == {
        "mission": "xmm_pointed",
        "process": "emchain",
        "done": 1,
        "failed": 1,
        "wall_s": 6.0,
        "memory_bytes": 3,
        "warnings": 2,
        "running": 1,
        "interrupted": 0,
    }
    assert (flares["process"], flares["done"], flares["interrupted"]) == ("espfilt", 0, 1)


@pytest.mark.parametrize("shared", [False, True])
def test_a_reader_sees_what_is_written_later(tmp_path, monkeypatch, shared):
    monkeypatch.setattr(database, "is_shared", lambda path: shared)
    path = tmp_path / "ledger.sqlite"
    writer = Ledger(path)
    writer.finish(Run("espfilt", "0", "xmm", "1", status="done"))
    writer.close()
    reader = Ledger(path, read_only=True)
    assert len(list(reader.runs())) == 1
    # Reading leaves nothing behind.
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.sqlite"]
    writer = Ledger(path)
    for number in range(1, 300):
        writer.finish(Run("espfilt", str(number), "xmm", "1", status="done", stdout="x" * 5000))
    assert len(list(reader.runs())) == 300
    writer.close()
    # What was in the log is in the file itself now, whose pages are others.
    assert len(list(reader.runs())) == 300
    assert reader.faults() == []
