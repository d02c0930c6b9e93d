"""What has been done to an archive: the only place that knows SQL.

One SQLite file (write-ahead log: readers never wait). Paths of outputs are relative to the observation's
folder. The schema's version is SQLite's ``user_version``; older files are migrated when opened.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daxa.exceptions import DAXAError, IncompatibleSaveError

#: Each entry takes the schema one version further. Never change one that has been released; add.
MIGRATIONS = (
    """
    CREATE TABLE run (
        id INTEGER PRIMARY KEY,
        process TEXT NOT NULL,
        ident TEXT NOT NULL,
        mission TEXT NOT NULL,
        obs_id TEXT NOT NULL,
        inst TEXT,
        exp_id TEXT,
        backend TEXT NOT NULL,
        tasks TEXT NOT NULL,
        config TEXT NOT NULL,
        versions TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'interrupted')),
        started TEXT NOT NULL,
        ended TEXT,
        wall_s REAL,
        cpu_s REAL,
        memory_bytes INTEGER,
        timed_out INTEGER NOT NULL DEFAULT 0,
        stdout TEXT NOT NULL DEFAULT '',
        stderr TEXT NOT NULL DEFAULT '',
        extra TEXT NOT NULL DEFAULT '{}'
    );
    CREATE INDEX run_by_piece ON run (mission, process, ident, id);
    CREATE TABLE message (
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('warning', 'error')),
        originator TEXT NOT NULL,
        name TEXT NOT NULL,
        message TEXT NOT NULL
    );
    CREATE INDEX message_by_run ON message (run_id);
    CREATE TABLE output (
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        path TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL
    );
    CREATE INDEX output_by_run ON output (run_id);
    CREATE TABLE configuration (
        id INTEGER PRIMARY KEY,
        mission TEXT NOT NULL,
        process TEXT NOT NULL,
        arguments TEXT NOT NULL,
        UNIQUE (mission, process)
    );
    CREATE TABLE observation (
        mission TEXT NOT NULL,
        obs_id TEXT NOT NULL,
        summary TEXT,
        to_process TEXT,
        final_success INTEGER,
        PRIMARY KEY (mission, obs_id)
    );
    CREATE TABLE entry (
        mission TEXT NOT NULL,
        process TEXT NOT NULL,
        ident TEXT NOT NULL,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (mission, process, ident, kind)
    );
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
)


@dataclass
class Run:
    """One run of a process on one piece of data.

    Attributes
    ----------
    tasks
        (name, parameters) of every task, parameters as text.
    fingerprint
        Of tasks, parameters and inputs: a run with the same fingerprint need not be repeated.
    extra
        Named paths (relative to the observation's folder) and settings that later steps use.
    outputs
        Relative path -> (SHA-256, size).
    """

    process: str
    ident: str
    mission: str
    obs_id: str
    inst: str | None = None
    exp_id: str | None = None
    backend: str = "embedded"
    tasks: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    status: str = "running"
    started: str = ""
    ended: str | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    memory_bytes: int | None = None
    timed_out: bool = False
    stdout: str = ""
    stderr: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    warnings: list[dict[str, str]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    outputs: dict[str, tuple[str, int]] = field(default_factory=dict)
    id: int | None = None

    @property
    def ok(self) -> bool:
        return self.status == "done"


_COLUMNS = (
    "process",
    "ident",
    "mission",
    "obs_id",
    "inst",
    "exp_id",
    "backend",
    "tasks",
    "config",
    "versions",
    "fingerprint",
    "status",
    "started",
    "ended",
    "wall_s",
    "cpu_s",
    "memory_bytes",
    "timed_out",
    "stdout",
    "stderr",
    "extra",
)
_JSON = {"tasks", "config", "versions", "extra"}
_FINISHED = "status IN ('done', 'failed')"


class Ledger:
    """The record of an archive.

    Parameters
    ----------
    path
        File; made if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._migrate()
        except sqlite3.DatabaseError as failure:
            self._db.close()
            raise IncompatibleSaveError(f"{self.path}: not a readable ledger ({failure})") from failure

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            self._db.close()
            raise IncompatibleSaveError(
                f"{self.path}: written by a newer DAXA (ledger version {version}, known {len(MIGRATIONS)})"
            )
        for number in range(version, len(MIGRATIONS)):
            self._db.executescript(f"BEGIN; {MIGRATIONS[number]} PRAGMA user_version={number + 1}; COMMIT;")

    def close(self) -> None:
        self._db.close()

    # -- runs -------------------------------------------------------------------------------

    def start(self, run: Run) -> int:
        """Record that a run has begun.

        Raises
        ------
        DAXAError
            The ledger cannot be written, e.g. because the disk is full.
        """
        try:
            return self._start(run)
        except sqlite3.OperationalError as failure:
            raise DAXAError(f"{self.path}: cannot be written ({failure})") from failure

    def _start(self, run: Run) -> int:
        cursor = self._db.execute(
            f"INSERT INTO run ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})",
            [_encode(c, getattr(run, c)) for c in _COLUMNS],
        )
        run.id = cursor.lastrowid
        return int(run.id or 0)

    def finish(self, run: Run) -> None:
        """Record how a run ended, with its messages and outputs, in one transaction.

        Raises
        ------
        DAXAError
            The ledger cannot be written, e.g. because the disk is full.
        """
        try:
            self._finish(run)
        except sqlite3.OperationalError as failure:
            raise DAXAError(f"{self.path}: cannot be written ({failure})") from failure

    def _finish(self, run: Run) -> None:
        with self._transaction():
            self._finish_rows(run)

    def _finish_rows(self, run: Run) -> None:
        if run.id is None:
            self._start(run)
        self._db.execute(
            f"UPDATE run SET {', '.join(f'{c}=?' for c in _COLUMNS)} WHERE id=?",
            [*(_encode(c, getattr(run, c)) for c in _COLUMNS), run.id],
        )
        self._db.executemany(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?)",
            [
                (run.id, kind, m["originator"], m["name"], m["message"])
                for kind, messages in (("warning", run.warnings), ("error", run.errors))
                for m in messages
            ],
        )
        self._db.executemany(
            "INSERT INTO output VALUES (?, ?, ?, ?)",
            [(run.id, path, sha, size) for path, (sha, size) in run.outputs.items()],
        )

    def add_history(self, run: Run) -> bool:
        """Record a run that was made before there was this ledger; whether it was not there yet."""
        if self.latest(run.mission, run.process, run.ident) is not None:
            return False
        self._finish_rows(run)
        return True

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Make everything that is recorded inside one transaction: all of it or nothing."""
        with self._transaction():
            yield

    def interrupt_all(self) -> list[tuple[str, str]]:
        """Mark runs that never ended as interrupted; only for the one process that may run jobs.

        Returns
        -------
        list
            (mission, ObsID) of their data.
        """
        where = "status='running'"
        rows = self._db.execute(f"SELECT DISTINCT mission, obs_id FROM run WHERE {where}").fetchall()
        self._db.execute(f"UPDATE run SET status='interrupted' WHERE {where}")
        return [(r["mission"], r["obs_id"]) for r in rows]

    def latest(self, mission: str, process: str, ident: str) -> Run | None:
        """The last finished run of a process on a piece of data."""
        row = self._db.execute(
            f"SELECT * FROM run WHERE mission=? AND process=? AND ident=? AND {_FINISHED} "
            "ORDER BY id DESC LIMIT 1",
            [mission, process, ident],
        ).fetchone()
        return None if row is None else self._run(row)

    def has_run(self, mission: str, process: str) -> bool:
        """Whether a process has been run on anything, successfully or not."""
        query = f"SELECT 1 FROM run WHERE mission=? AND process=? AND {_FINISHED} LIMIT 1"
        return self._db.execute(query, [mission, process]).fetchone() is not None

    def runs(self, *, everything: bool = False, logs: bool = True, **conditions: str | None) -> Iterator[Run]:
        """Runs in the order they began.

        Parameters
        ----------
        everything
            All runs that ever began; by default the last finished one of each piece only.
        logs
            With standard output and error.
        **conditions
            Values of ``mission``, ``process``, ``ident``, ``obs_id``, ``inst``, ``exp_id``,
            ``status``; None: any.
        """
        wanted = {k: v for k, v in conditions.items() if v is not None}
        columns = [c if logs or c not in ("stdout", "stderr") else f"'' AS {c}" for c in _COLUMNS]
        where = [f"{k}=?" for k in wanted]
        if not everything:
            where.append(
                f"id IN (SELECT MAX(id) FROM run WHERE {_FINISHED} GROUP BY mission, process, ident)"
            )
        query = f"SELECT id, {', '.join(columns)} FROM run"
        if where:
            query += f" WHERE {' AND '.join(where)}"
        rows = self._db.execute(query + " ORDER BY id", list(wanted.values())).fetchall()
        for row in rows:
            yield self._run(row)

    def _run(self, row: sqlite3.Row) -> Run:
        run = Run(**{c: _decode(c, row[c]) for c in _COLUMNS}, id=row["id"])
        for message in self._db.execute("SELECT * FROM message WHERE run_id=? ORDER BY rowid", [run.id]):
            target = run.warnings if message["kind"] == "warning" else run.errors
            target.append({k: message[k] for k in ("originator", "name", "message")})
        for output in self._db.execute("SELECT * FROM output WHERE run_id=? ORDER BY rowid", [run.id]):
            run.outputs[output["path"]] = (output["sha256"], output["size"])
        return run

    # -- entries made by hand ---------------------------------------------------------------

    def add_entry(self, mission: str, process: str, ident: str, kind: str, value: Any) -> None:
        """Record something about a process that was not run by this package."""
        self._db.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?)", [mission, process, ident, kind, json.dumps(value)]
        )

    def entries(self, kind: str) -> list[tuple[str, str, str, Any]]:
        """(mission, process, identifier, value) of the entries of one kind."""
        rows = self._db.execute("SELECT * FROM entry WHERE kind=? ORDER BY rowid", [kind]).fetchall()
        return [(r["mission"], r["process"], r["ident"], json.loads(r["value"])) for r in rows]

    # -- configurations, observations, the archive ------------------------------------------

    def set_configuration(self, mission: str, process: str, arguments: dict[str, Any]) -> None:
        self._db.execute(
            "INSERT INTO configuration (mission, process, arguments) VALUES (?, ?, ?) "
            "ON CONFLICT (mission, process) DO UPDATE SET arguments=excluded.arguments",
            [mission, process, json.dumps(arguments)],
        )

    def configurations(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(mission, process, arguments) in the order the processes were first run."""
        rows = self._db.execute("SELECT mission, process, arguments FROM configuration ORDER BY id")
        return [(r["mission"], r["process"], json.loads(r["arguments"])) for r in rows]

    def set_observation(self, mission: str, obs_id: str, **values: Any) -> None:
        """Set ``summary``, ``to_process`` (dictionaries) or ``final_success`` (bool or None)."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO observation (mission, obs_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
                [mission, obs_id],
            )
            for name, value in values.items():
                if name not in ("summary", "to_process", "final_success"):
                    raise ValueError(f"no property {name!r} of an observation")
                stored = value if name == "final_success" else json.dumps(value)
                self._db.execute(
                    f"UPDATE observation SET {name}=? WHERE mission=? AND obs_id=?", [stored, mission, obs_id]
                )

    def observation(self, mission: str, obs_id: str) -> dict[str, Any]:
        """``summary``, ``to_process`` and ``final_success`` of an observation, None where not set."""
        row = self._db.execute(
            "SELECT * FROM observation WHERE mission=? AND obs_id=?", [mission, obs_id]
        ).fetchone()
        return dict.fromkeys(("summary", "to_process", "final_success")) if row is None else _values(row)

    def observations(self) -> Iterable[tuple[str, str, dict[str, Any]]]:
        """(mission, ObsID, values), values None where not set."""
        for row in self._db.execute("SELECT * FROM observation ORDER BY rowid").fetchall():
            yield row["mission"], row["obs_id"], _values(row)

    def set_meta(self, key: str, value: Any) -> None:
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value=excluded.value",
            [key, json.dumps(value)],
        )

    def meta(self, key: str, default: Any = None) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE key=?", [key]).fetchone()
        return default if row is None else json.loads(row["value"])

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    """Everything inside or nothing; one inside another is part of it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.outer = False

    def __enter__(self) -> None:
        self.outer = not self.db.in_transaction
        if self.outer:
            self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if not self.outer:
            return
        if kind is None:
            self.db.execute("COMMIT")
        elif self.db.in_transaction:  # SQLite itself rolls back when the disk is full
            self.db.execute("ROLLBACK")


def _values(row: sqlite3.Row) -> dict[str, Any]:
    success = row["final_success"]
    summary = None if row["summary"] is None else json.loads(row["summary"])
    for instrument in (summary or {}).values():
        for exposure in instrument.get("exposures", {}).values():
            if "ccd_modes" in exposure:  # JSON has no numbers as keys
                exposure["ccd_modes"] = {int(ccd): mode for ccd, mode in exposure["ccd_modes"].items()}
    return {
        "summary": summary,
        "to_process": None if row["to_process"] is None else json.loads(row["to_process"]),
        "final_success": None if success is None else bool(success),
    }


def _encode(column: str, value: Any) -> Any:
    if column in _JSON:
        return json.dumps(value)
    return int(value) if isinstance(value, bool) else value


def _decode(column: str, value: Any) -> Any:
    if column == "tasks":
        return [(name, parameters) for name, parameters in json.loads(value)]
    if column in _JSON:
        return json.loads(value)
    return bool(value) if column == "timed_out" else value
