"""The file that the ledger is kept in: opening it to write or to read, copies of it, clear words on faults.

SQLite with a write-ahead log, so that readers never wait; on file systems shared between machines, where such
a log must not be used, with a plain journal.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from daxa.archive.schema import MIGRATIONS
from daxa.exceptions import DAXAError, IncompatibleSaveError
from daxa.writing import replacing_file

#: Types of file systems that several machines write to, as ``/proc/mounts`` names them.
_SHARED = (
    "nfs",
    "lustre",
    "gpfs",
    "cifs",
    "smb",
    "beegfs",
    "ceph",
    "afs",
    "glusterfs",
    "orangefs",
    "fuse.sshfs",
)
_WAIT_S = 60


class Rows(list[sqlite3.Row]):
    """The rows of an answer, read as a whole."""

    lastrowid: int | None = None

    def fetchone(self) -> Any:
        """The first row, or None."""
        return self[0] if self else None

    def fetchall(self) -> list[sqlite3.Row]:
        """All rows."""
        return list(self)


class Database:
    """An SQLite file whose faults are told as errors of this package.

    Parameters
    ----------
    path
        The file; made if it does not exist and its folder can be written.
    read_only
        Change nothing, even if that is possible.

    Attributes
    ----------
    read_only
        Nothing can be written.

    Raises
    ------
    IncompatibleSaveError
        It is damaged, or was written by a newer version of this package.
    DAXAError
        It cannot be made or opened.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only or not _writable(path)
        #: On a file system without locks.
        self._unlocked = False
        self._file: os.stat_result | None = None
        #: Of a file that is read without locks: its state then.
        self._as_read: tuple[int, ...] | None = None
        self._open()
        if not self.read_only:
            self._file = path.stat()

    def _open(self) -> None:
        try:
            if self.read_only:
                state = _state(self.path)
                self._db, followed = _for_reading(self.path)
                self._as_read = state if followed else None
            else:
                self._db, self._unlocked = _for_writing(self.path)
            self._migrate()
        except sqlite3.Error as failure:
            raise self._told(failure, "not a readable ledger") from failure

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        if self.read_only:
            self._db, self._as_read = _in_memory(self._db), None
        with self.transaction():
            # Another process may have done it while this one waited for its turn.
            version = self._version()
            if version and version < len(MIGRATIONS) and not self.read_only:
                # What an earlier version has written is kept as it was.
                self.copy(self.path.with_name(f"ledger_version{version}.sqlite"))
            for number in range(version, len(MIGRATIONS)):
                for statement in _statements(MIGRATIONS[number]):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={number + 1}")

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            self._db.close()
            raise IncompatibleSaveError(
                f"{self.path}: written by a newer DAXA (ledger version {version}, known {len(MIGRATIONS)})"
            )
        return int(version)

    def check_same(self) -> None:
        """Make sure that the file is still the one that was opened.

        Raises
        ------
        DAXAError
            It has been replaced or removed: what is written would be lost.
        """
        if self._file is None:
            return
        try:
            now = self.path.stat()
        except FileNotFoundError:
            raise DAXAError(
                f"the ledger is no longer in {self.path.parent}; has the archive been renamed or removed? "
                "Nothing more is done; open it by its new name to go on"
            ) from None
        if not os.path.samestat(self._file, now):
            raise DAXAError(f"{self.path}: has been replaced since the archive was opened; open it again")

    def copy(self, target: Path, leave_out: Sequence[str] = ()) -> None:
        """Copy the ledger, whole or without some tables, so that the copy is always a whole one.

        Parameters
        ----------
        target
            File of the copy; replaced if it exists.
        leave_out
            Tables whose rows are not copied; the tables are there, empty.

        Raises
        ------
        DAXAError
            It cannot be written.
        """
        try:
            with replacing_file(target) as part:
                source, copied = _connect(self.path, self._unlocked), _connect(part, self._unlocked)
                try:
                    if leave_out:
                        _copy_tables(source, copied, _uri(self.path, self._unlocked), leave_out)
                    else:
                        source.backup(copied)
                finally:
                    source.close()
                    copied.close()
        except (sqlite3.Error, OSError) as failure:
            raise DAXAError(f"{target}: no copy of the ledger can be written ({failure})") from failure

    def execute(self, query: str, values: Sequence[Any] = ()) -> Rows:
        """Run one statement, and give the rows that it answers with.

        Parameters
        ----------
        query
            The statement, with ``?`` where values go.
        values
            The values.

        Raises
        ------
        DAXAError
            It fails, the file cannot be written, or another file has taken its place.
        IncompatibleSaveError
            The file is damaged.
        """
        if not self._db.in_transaction and not query.startswith(("SELECT", "PRAGMA")):
            self.check_same()
        while True:
            before = self._as_read
            if before is not None and not self._db.in_transaction and _state(self.path) != before:
                self._again()
                continue
            try:
                cursor = self._db.execute(query, values)
                rows = Rows(cursor.fetchall())
            except sqlite3.Error as failure:
                if before is not None and _state(self.path) != before:
                    continue
                raise self._told(failure) from failure
            # What was read while somebody wrote is worth nothing.
            if before is None or self._db.in_transaction or _state(self.path) == before:
                rows.lastrowid = cursor.lastrowid
                return rows

    def _again(self) -> None:
        """Open again a file that was read without locks and that somebody has written to since."""
        self._db.close()
        self._open()

    def executemany(self, query: str, values: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of many sets of values.

        Parameters
        ----------
        query
            The statement, with ``?`` where values go.
        values
            A sequence of values for each time that it is run.

        Raises
        ------
        DAXAError
            It fails, or the file cannot be written.
        IncompatibleSaveError
            The file is damaged.
        """
        try:
            self._db.executemany(query, values)
        except sqlite3.Error as failure:
            raise self._told(failure) from failure

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside or nothing; one inside another is part of it."""
        if self._db.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite itself mostly rolls back when the disk is full
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
            raise

    def faults(self) -> list[str]:
        """What SQLite finds wrong with the file."""
        found = [str(row[0]) for row in self.execute("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        self._db.close()

    def _told(self, failure: sqlite3.Error, what: str = "cannot be written") -> DAXAError:
        text = str(failure)
        name = self.path.parent.parent.name
        if "readonly" in text:
            return DAXAError(f"{self.path}: the archive is read-only: it can be looked at, not changed")
        if "database is locked" in text or "locking protocol" in text:
            return DAXAError(
                f"{self.path}: is held by another process, or the file system has no file locks ({text}); "
                "on NFS and Lustre, locks have to be switched on where it is mounted"
            )
        if isinstance(failure, sqlite3.OperationalError) and ("full" in text or "I/O" in text):
            return DAXAError(
                f"{self.path}: cannot be written ({text}); is the disk full, or the size of files limited?"
            )
        if isinstance(failure, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
            return IncompatibleSaveError(
                f"{self.path}: not a readable ledger ({text}); `daxa rebuild {name}` makes it anew"
            )
        return DAXAError(f"{self.path}: {what} ({text})")


def _writable(path: Path) -> bool:
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: SQLite's own way ends a transaction that is under way."""
    statement = ""
    for part in script.split(";")[:-1]:
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _uri(path: Path, unlocked: bool = False) -> str:
    return path.resolve().as_uri() + ("?nolock=1" if unlocked else "")


def _connect(place: Path | str, unlocked: bool = False) -> sqlite3.Connection:
    name = _uri(place, unlocked) if isinstance(place, Path) else place
    db = sqlite3.connect(name, timeout=_WAIT_S, isolation_level=None, check_same_thread=False, uri=True)
    db.row_factory = sqlite3.Row
    return db


def _for_writing(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection, and whether it is to a file without locks."""
    db = _connect(path)
    unlocked = False
    try:
        db.execute(f"PRAGMA journal_mode={'DELETE' if is_shared(path) else 'WAL'}")
    except sqlite3.OperationalError as failure:
        db.close()
        if "locking protocol" not in str(failure):
            raise
        warnings.warn(
            f"{path}: the file system has no file locks; make sure that nothing else works on this archive",
            stacklevel=6,
        )
        db, unlocked = _connect(path, unlocked=True), True
    except sqlite3.Error:
        db.close()
        raise
    db.execute("PRAGMA foreign_keys=ON")
    return db, unlocked


def _state(path: Path) -> tuple[int, ...]:
    """Size and time of a file and of its log; nothing of what is not there."""
    found: list[int] = []
    for file in (path, _log(path)):
        try:
            status = file.stat()
        except OSError:
            continue
        found += [status.st_size, status.st_mtime_ns]
    return tuple(found)


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _for_reading(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection to a file that must not be touched, or to what is in it; whether it has to be followed.

    Followed are files that are read without locks: what others write to them has to be noticed.
    """
    if not path.exists():
        return _connect(":memory:"), False
    log = _log(path)
    # Without its log nobody has a file open for writing; SQLite would make one to read it with locks.
    closed = _has_log(path) and not (log.exists() and log.stat().st_size)
    ways = [] if closed and not log.exists() else ["mode=ro"]
    for way in [*ways, "mode=ro&immutable=1"] if closed else ways:
        db = _connect(f"{_uri(path)}?{way}")
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            db.close()
        else:
            return db, "immutable" in way
    # A log that cannot be read in place: a copy can.
    with tempfile.TemporaryDirectory(prefix="daxa_ledger_") as folder:
        for file in (path, log):
            if file.exists():
                shutil.copyfile(file, Path(folder) / file.name)
        return _in_memory(_connect(Path(folder) / path.name)), False


def _has_log(path: Path) -> bool:
    """Whether a file is one that is written by way of a log, as its header says."""
    with path.open("rb") as handle:
        return handle.read(20)[18:] == b"\2\2"


def _in_memory(db: sqlite3.Connection) -> sqlite3.Connection:
    memory = _connect(":memory:")
    db.backup(memory)
    db.close()
    return memory


def is_shared(path: Path) -> bool:
    """Whether a file is on a file system that several machines may write to.

    Parameters
    ----------
    path
        The file; it need not exist.
    """
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    place, kind = str(path.resolve()), ""
    longest = -1
    for line in mounts:
        words = line.split()
        if len(words) < 3:
            continue
        mount = words[1].replace("\\040", " ").rstrip("/")
        if (place == mount or place.startswith(f"{mount}/")) and len(mount) > longest:
            longest, kind = len(mount), words[2]
    return kind.startswith(_SHARED)


def _copy_tables(
    source: sqlite3.Connection, copied: sqlite3.Connection, place: str, leave_out: Sequence[str]
) -> None:
    (version,) = source.execute("PRAGMA user_version").fetchone()
    copied.execute("PRAGMA synchronous=OFF")
    copied.execute("ATTACH ? AS source", [place])
    items = copied.execute(
        "SELECT type, name, sql FROM source.sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'index'"
    ).fetchall()
    copied.execute("BEGIN")
    for kind, name, sql in items:
        copied.execute(sql)
        if kind == "table" and name not in leave_out:
            copied.execute(f"INSERT INTO main.{name} SELECT * FROM source.{name}")
    copied.execute("COMMIT")
    copied.execute(f"PRAGMA user_version={version}")
