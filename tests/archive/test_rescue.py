"""Ledgers that are read-only, old, lost, damaged; what an archive holds beside its record."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from small_mission import MISSIONS, OBS, SmallMission, X, record

from daxa.archive import Archive, database
from daxa.archive.ledger import Ledger
from daxa.archive.rescue import begin_anew
from daxa.archive.run import Output, Run
from daxa.archive.schema import MIGRATIONS
from daxa.archive.verify import verify
from daxa.backend.publish import checksum
from daxa.exceptions import DAXAError, IncompatibleSaveError
from daxa.report import build_report


@pytest.fixture(autouse=True)
def _index(monkeypatch):
    monkeypatch.setattr("daxa.mission.MISS_INDEX", MISSIONS)


@pytest.fixture
def archive() -> Archive:
    made = Archive("field", SmallMission())
    path = made.obs_folder(X, OBS[0]) / "events" / "a.fits"
    path.write_text("photons")
    with made.processing():
        record(made, outputs={"events/a.fits": Output(checksum(path), 7, path.stat().st_mtime_ns)})
    return made


@pytest.fixture
def read_only(monkeypatch):
    """Makes everything look as if it were on a disk that cannot be written."""

    def switch() -> None:
        monkeypatch.setattr(database.os, "access", lambda path, mode: mode != os.W_OK)

    return switch


@pytest.mark.parametrize("with_log", [False, True])
def test_an_archive_that_cannot_be_written_can_be_read(archive, read_only, with_log):
    other = None
    if with_log:  # another process works on it: what it has written is in the log yet
        other = archive
        record(archive, ident="0800010201M1S001")
    else:
        archive.ledger.close()
    before = {p: p.stat().st_mtime_ns for p in archive.layout.save_info.glob("ledger.sqlite")}
    read_only()
    opened = Archive("field")
    assert opened.read_only
    assert len(opened.process_success[X]["emchain"]) == (2 if with_log else 1)
    opened.save()
    with pytest.raises(DAXAError, match="read-only"):
        opened.ledger.start(Run("emchain", "x", X, OBS[0], started="2026"))
    opened.ledger.close()
    assert before == {p: p.stat().st_mtime_ns for p in archive.layout.save_info.glob("ledger.sqlite")}
    if other:
        other.ledger.close()


def test_a_report_of_an_archive_that_cannot_be_written(archive, read_only, tmp_path):
    archive.ledger.close()
    read_only()
    opened = Archive("field")
    with pytest.raises(DAXAError, match="read-only; the report needs another folder"):
        build_report(opened)
    assert not (opened.layout.root / "report").exists()
    page = build_report(opened, tmp_path / "elsewhere" / "report")
    assert any("events/a.fits" in other.read_text() for other in page.parent.rglob("*.html"))
    assert not (opened.layout.root / "report").exists()
    opened.ledger.close()


def test_an_old_archive_that_cannot_be_written(archive, read_only):
    archive.ledger.close()
    archive.layout.ledger.unlink()
    old = sqlite3.connect(archive.layout.ledger)
    old.executescript(f"{MIGRATIONS[0]} PRAGMA user_version=1;")
    columns = (
        "process, ident, mission, obs_id, backend, tasks, config, versions, fingerprint, status, started"
    )
    row = ("emchain", "x", X, OBS[0], "sas", "[]", "{}", "{}", "", "done", "2026", "a log")
    old.execute(f"INSERT INTO run ({columns}, stdout) VALUES ({', '.join('?' * len(row))})", row)
    old.commit()
    old.close()
    content = archive.layout.ledger.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database.os, "access", lambda path, mode: mode != os.W_OK)
        assert Archive("field").process_logs[X]["emchain"] == {"x": "a log"}
    assert archive.layout.ledger.read_bytes() == content
    assert Archive("field").process_logs[X]["emchain"] == {"x": "a log"}
    kept = sqlite3.connect(archive.layout.save_info / "ledger_version1.sqlite")
    assert kept.execute("PRAGMA user_version").fetchone() == (1,)
    assert kept.execute("SELECT stdout FROM run").fetchone() == ("a log",)


def test_a_folder_without_write_access(archive, tmp_path):
    """As another user, whom the system itself refuses."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv to become somebody else")
    archive.ledger.close()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    program = (
        "import sys; from pathlib import Path; from daxa.archive.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1])); print(ledger.read_only, len(list(ledger.runs())))"
    )
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*nobody, sys.executable, "-c", program, str(archive.layout.ledger)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Permission denied" in done.stderr or "No module" in done.stderr or "not found" in done.stderr:
        pytest.skip(f"nobody cannot run this Python here: {done.stderr.splitlines()[-1]}")
    assert done.stdout.split() == ["True", "1"], done.stderr


@pytest.mark.parametrize("content", [None, b""])
def test_a_lost_ledger_is_restored_from_its_copy(archive, content):
    archive.ledger.close()
    for path in archive.layout.save_info.glob("ledger.sqlite*"):
        path.unlink()
    if content is not None:
        archive.layout.ledger.write_bytes(content)
    with pytest.warns(UserWarning, match="the ledger was lost; it is restored from its copy"):
        again = Archive("field")
    assert again.process_success == {X: {"emchain": {"0800010101M1S001": True}}}


def test_a_lost_ledger_without_a_copy_is_told(archive):
    archive.ledger.close()
    for path in archive.layout.save_info.glob("ledger*"):
        path.unlink()
    for missions in (None, SmallMission()):
        with pytest.raises(DAXAError, match="ledger is lost.*daxa rebuild field"):
            Archive("field", missions)
    assert not archive.layout.ledger.exists()


def test_a_damaged_page_is_told_and_put_aside(archive):
    for k in range(200):
        record(archive, ident=f"0800010101M1S{k:03d}", stdout="x" * 500)
    archive.ledger.close()
    content = bytearray(archive.layout.ledger.read_bytes())
    content[4096 * 2 : 4096 * 40] = b"\xff" * (4096 * 38)
    archive.layout.ledger.write_bytes(content)
    with pytest.raises(IncompatibleSaveError, match="not a readable ledger .*daxa rebuild field"):
        list(Archive("field").ledger.runs())
    assert begin_anew(archive.layout) == "its copy"
    assert Archive("field").process_success[X]["emchain"]["0800010101M1S001"]
    assert list(archive.layout.previous_versions.glob("ledger_*.sqlite"))


def test_what_is_put_aside_replaces_nothing(archive, monkeypatch):
    record(archive, ident="0800010101M1S001")
    archive.ledger.close()
    for _ in range(2):  # within one second
        archive.layout.ledger.write_bytes(b"no ledger" * 1000)
        begin_anew(archive.layout)
    assert len(list(archive.layout.previous_versions.glob("ledger_*.sqlite"))) == 2


def test_a_damaged_copy_is_not_restored(archive):
    for k in range(200):
        record(archive, ident=f"0800010101M1S{k:03d}", stdout="x" * 500)
    with archive.processing():
        record(archive)
    archive.ledger.close()
    for path in archive.layout.save_info.glob("ledger.sqlite*"):
        path.unlink()
    content = bytearray(archive.layout.backup.read_bytes())
    content[4096 * 2 : 4096 * 20] = b"\xff" * (4096 * 18)
    archive.layout.backup.write_bytes(content)
    with pytest.raises(DAXAError, match="its copy of .* is damaged; `daxa rebuild field`"):
        Archive("field")
    assert not archive.layout.ledger.exists()
    assert archive.layout.backup.read_bytes() == content


def test_a_sound_ledger_stays(archive):
    record(archive, "espfilt", stdout="a log")
    assert begin_anew(archive.layout) == "itself"
    archive.ledger.close()
    opened = Archive("field")
    assert set(opened.process_success[X]) == {"emchain", "espfilt"}
    assert "a log" in opened.process_logs[X]["espfilt"].values()
    assert not archive.layout.previous_versions.exists()


def test_a_restoration_that_is_killed_is_done_again(archive, monkeypatch):
    archive.ledger.close()
    for path in archive.layout.save_info.glob("ledger.sqlite*"):
        path.unlink()

    def killed(source, target):
        Path(target).write_bytes(Path(source).read_bytes()[:5000])
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("daxa.writing.shutil.copyfile", killed)
        for restore in (lambda: Archive("field"), lambda: begin_anew(archive.layout)):
            with pytest.raises(SystemExit):
                restore()
            assert not archive.layout.ledger.exists()
    with pytest.warns(UserWarning, match="restored from its copy"):
        assert Archive("field").process_success[X]["emchain"]["0800010101M1S001"]


def test_two_damaged_ones_begin_with_nothing(archive):
    archive.ledger.close()
    archive.layout.ledger.write_bytes(b"garbage" * 1000)
    archive.layout.backup.write_bytes(b"garbage" * 1000)
    with pytest.raises(IncompatibleSaveError, match="daxa rebuild"):
        Archive("field")
    assert begin_anew(archive.layout) == "nothing"
    assert list(Archive("field").ledger.runs()) == []


def test_the_copy_has_everything_but_logs(archive):
    copied = Ledger(archive.layout.backup)
    (run,) = copied.runs()
    (original,) = archive.ledger.runs()
    assert run.outputs == original.outputs
    assert (run.stdout, original.stdout) == ("", "emchain odf=x\n")


def test_no_write_ahead_log_where_machines_share_files(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "is_shared", lambda path: True)
    ledger = Ledger(tmp_path / "ledger")
    assert ledger._db.execute("PRAGMA journal_mode")[0][0] == "delete"
    ledger.close()
    monkeypatch.undo()
    ledger = Ledger(tmp_path / "ledger")
    assert ledger._db.execute("PRAGMA journal_mode")[0][0] == "wal"


@pytest.mark.parametrize(
    ("kind", "shared"), [("nfs4", True), ("lustre", True), ("ext4", False), ("fuse.sshfs", True)]
)
def test_which_file_systems_are_shared(tmp_path, monkeypatch, kind, shared):
    mounts = f"/dev/x / ext4 rw 0 0\nserver:/x {tmp_path.resolve()} {kind} rw 0 0\n"
    monkeypatch.setattr(Path, "read_text", lambda self, **_: mounts)
    assert database.is_shared(tmp_path / "a" / "ledger") is shared
    assert not database.is_shared(Path("/elsewhere/ledger"))


def test_a_lock_that_is_not_given_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "_WAIT_S", 0)
    ledger = Ledger(tmp_path / "ledger")
    other = sqlite3.connect(tmp_path / "ledger", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DAXAError, match="held by another process, or .* no file locks"):
        ledger.set_meta("a", 1)


def test_what_is_not_as_recorded_is_found(archive):
    assert verify(archive, checksum) == []
    folder = archive.obs_folder(X, OBS[0])
    path = folder / "events" / "a.fits"
    status = path.stat()
    path.write_text("photonz")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (folder / "events" / "mine.reg").write_text("circle")
    (folder / "images" / ".b.fits.1234.part").write_text("half")
    record(archive, "espfilt", outputs={"cleaning/gti.fits": Output("00", 3)})
    (folder / "cleaning" / "old.fits").write_text("old")
    record(archive, "merge", outputs={"cleaning/old.fits": Output("00", 3)})
    record(archive, "merge", outputs={"cleaning/new.fits": Output("", 3)})
    (folder / "cleaning" / "new.fits").write_text("new")
    found = {(f.kind, Path(f.path).name) for f in verify(archive, checksum)}
    assert {
        ("altered", "a.fits"),
        ("missing", "gti.fits"),
        ("foreign", "mine.reg"),
        ("unfinished", ".b.fits.1234.part"),
        ("earlier", "old.fits"),
        ("unknown", "new.fits"),
    } <= found
    assert {f.kind for f in verify(archive, checksum) if f.fault} == {"altered", "missing"}
