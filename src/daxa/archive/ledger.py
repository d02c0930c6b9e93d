"""What has been done to an archive: only this and `tallies` know the tables and how they are asked.

Paths of outputs are relative to the observation's folder. The schema's version is SQLite's ``user_version``;
older files are migrated when opened, and kept beside.

Parameters
----------
mission
    Name of the mission.
process
    Name of the process.
obs_id
    The observation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from daxa.archive.database import Database
from daxa.archive.run import Input, Output, Run
from daxa.archive.tallies import FINISHED, Tallies

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
    "extra",
    "job",
)
#: What is read of very many runs at once.
_ESSENTIAL = tuple(
    c
    for c in _COLUMNS
    if c not in ("tasks", "config", "ended", "wall_s", "cpu_s", "memory_bytes", "timed_out", "job")
)
_JSON = {"tasks", "config", "versions", "extra", "job"}


class Ledger(Tallies):
    """The record of an archive.

    Parameters
    ----------
    path
        File; made if it does not exist.
    read_only
        Change nothing of it, even if that is possible.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = Path(path)
        self._parsed: dict[str, dict[str, str]] = {}
        self._db = Database(self.path, read_only)
        #: Whether runs have been recorded since it was opened or copied.
        self.changed = False

    @property
    def read_only(self) -> bool:
        """Whether nothing can be recorded."""
        return self._db.read_only

    def close(self) -> None:
        self._db.close()

    def faults(self) -> list[str]:
        """What is wrong with the file."""
        return self._db.faults()

    def check_same(self) -> None:
        """Make sure that the file is still the one that was opened.

        Raises
        ------
        DAXAError
            There is another in its place, or none.
        """
        self._db.check_same()

    def back_up(self, target: Path) -> None:
        """Write a copy without logs, which are in files too.

        Parameters
        ----------
        target
            File of the copy; replaced if it exists.

        Raises
        ------
        DAXAError
            It cannot be written.
        """
        self._db.copy(target, leave_out=("log",))
        self.changed = False

    # -- runs -------------------------------------------------------------------------------

    def start(self, run: Run) -> int:
        """Record that a run has begun.

        Parameters
        ----------
        run
            The run; it gets its number.

        Returns
        -------
        int
            Number of the run.

        Raises
        ------
        DAXAError
            The ledger cannot be written, e.g. because the disk is full.
        """
        return self._start(run)

    def _start(self, run: Run) -> int:
        cursor = self._db.execute(
            f"INSERT INTO run ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})",
            [_encode(c, getattr(run, c)) for c in _COLUMNS],
        )
        run.id = cursor.lastrowid
        return int(run.id or 0)

    def finish(self, run: Run) -> None:
        """Record how a run ended, with its messages and outputs, in one transaction.

        Parameters
        ----------
        run
            The run, with its status, messages, outputs and inputs. One that was not recorded as begun is
            recorded now.

        Raises
        ------
        DAXAError
            The ledger cannot be written, e.g. because the disk is full.
        """
        self.changed = True
        with self._transaction():
            self._finish_rows(run)

    def _finish_rows(self, run: Run) -> None:
        if run.id is None:
            self._start(run)
        self._db.execute(
            f"UPDATE run SET {', '.join(f'{c}=?' for c in _COLUMNS)} WHERE id=?",
            [*(_encode(c, getattr(run, c)) for c in _COLUMNS), run.id],
        )
        if run.stdout or run.stderr:
            self._db.execute("INSERT OR REPLACE INTO log VALUES (?, ?, ?)", [run.id, run.stdout, run.stderr])
        self._db.executemany(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?)",
            [
                (run.id, kind, m["originator"], m["name"], m["message"])
                for kind, messages in (("warning", run.warnings), ("error", run.errors))
                for m in messages
            ],
        )
        self._db.executemany(
            "INSERT INTO output (run_id, path, sha256, size, mtime_ns, data) VALUES (?, ?, ?, ?, ?, ?)",
            [(run.id, path, *output) for path, output in run.outputs.items()],
        )
        self._db.executemany(
            "INSERT INTO input VALUES (?, ?, ?, ?, ?, ?)", [(run.id, *given) for given in run.inputs]
        )

    def add_history(self, run: Run) -> bool:
        """Record a run that was made before there was this ledger; whether it was not there yet.

        Parameters
        ----------
        run
            The run as far as it is known.

        Returns
        -------
        bool
            Whether it was recorded: False if a finished run of the process on that piece of data is there.
        """
        with self._transaction():
            if self.latest(run.mission, run.process, run.ident) is not None:
                return False
            self._finish_rows(run)
        return True

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Make everything that is recorded inside one transaction: all of it or nothing."""
        with self._transaction():
            yield

    def unfinished(self) -> list[tuple[str, str]]:
        """(mission, ObsID) of the data of runs that have not ended."""
        query = "SELECT DISTINCT mission, obs_id FROM run WHERE status='running'"
        return [(r["mission"], r["obs_id"]) for r in self._db.execute(query)]

    def interrupt_all(self) -> None:
        """Mark runs that never ended as interrupted; only for the one process that may run jobs."""
        self._db.execute("UPDATE run SET status='interrupted' WHERE status='running'")

    def latest(self, mission: str, process: str, ident: str) -> Run | None:
        """The last finished run of a process on a piece of data.

        Parameters
        ----------
        ident
            Identifier of the piece of data: ObsID, instrument and sub-exposure in one, as far as it has them.
        """
        row = self._db.execute(
            f"SELECT * FROM run WHERE mission=? AND process=? AND ident=? AND {FINISHED} "
            "ORDER BY id DESC LIMIT 1",
            [mission, process, ident],
        ).fetchone()
        return None if row is None else self._run(row)

    def has_run(self, mission: str, process: str) -> bool:
        """Whether a process has been run on anything, successfully or not."""
        query = f"SELECT 1 FROM run WHERE mission=? AND process=? AND {FINISHED} LIMIT 1"
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
        where = [f"{k}=?" for k in wanted]
        if not everything:
            where.append(f"id IN (SELECT MAX(id) FROM run WHERE {FINISHED} GROUP BY mission, process, ident)")
        query = f"SELECT id, {', '.join(_COLUMNS)} FROM run"
        if where:
            query += f" WHERE {' AND '.join(where)}"
        rows = self._db.execute(query + " ORDER BY id", list(wanted.values())).fetchall()
        for row in rows:
            yield self._run(row, logs)

    def makers(self, file_name: str) -> list[Run]:
        """Successful runs, in the order they began, that have made a file of this name in any folder.

        Parameters
        ----------
        file_name
            The name, without a folder.
        """
        query = (
            f"SELECT id, {', '.join(_COLUMNS)} FROM run WHERE status='done' AND id IN "
            "(SELECT run_id FROM output WHERE path=? OR path LIKE ?) ORDER BY id"
        )
        rows = self._db.execute(query, [file_name, f"%/{file_name}"])
        return [self._run(row, logs=False) for row in rows]

    def _run(self, row: Any, logs: bool = True) -> Run:
        run = Run(**{c: _decode(c, row[c]) for c in _COLUMNS}, id=row["id"])
        if logs:
            found = self._db.execute("SELECT stdout, stderr FROM log WHERE run_id=?", [run.id]).fetchone()
            run.stdout, run.stderr = ("", "") if found is None else tuple(found)
        for kind in ("message", "output", "input"):
            for part in self._db.execute(f"SELECT * FROM {kind} WHERE run_id=? ORDER BY rowid", [run.id]):
                _take(kind, part, run)
        return run

    def of_observation(self, mission: str, obs_id: str) -> dict[tuple[str, str], tuple[Run | None, int]]:
        """What has been done to an observation: (process, identifier) -> last finished run, newest number.

        The number is that of the newest run, which may be one that has not ended. Runs come without
        logs, tasks, options and jobs.
        """
        rows = self._db.execute(
            f"SELECT process, ident, MAX(id) AS newest, MAX(CASE WHEN {FINISHED} THEN id END) AS last "
            "FROM run WHERE mission=? AND obs_id=? GROUP BY process, ident",
            [mission, obs_id],
        ).fetchall()
        runs = {run.id: run for run in self._many([r["last"] for r in rows if r["last"] is not None])}
        return {(r["process"], r["ident"]): (runs.get(r["last"]), r["newest"]) for r in rows}

    def _many(self, ids: list[int]) -> list[Run]:
        """Runs by their numbers: how they ended and what they are of, with what is essential only."""
        if not ids:
            return []
        marks = ", ".join("?" * len(ids))
        runs = {}
        query = f"SELECT id, {', '.join(_ESSENTIAL)} FROM run WHERE id IN ({marks}) ORDER BY id"
        for row in self._db.execute(query, ids):
            values = dict(zip(("id", *_ESSENTIAL), row, strict=True))
            # The same for all runs of a call.
            values["versions"] = self._parsed.setdefault(values["versions"], json.loads(values["versions"]))
            values["extra"] = json.loads(values["extra"])
            runs[values["id"]] = Run(**values)
        for kind in ("message", "output", "input"):
            query = f"SELECT * FROM {kind} WHERE run_id IN ({marks}) ORDER BY rowid"
            for row in self._db.execute(query, ids):
                _take(kind, row, runs[row["run_id"]])
        return list(runs.values())

    def touch_output(self, run_id: int, path: str, mtime_ns: int) -> None:
        """Note that an output is as recorded, whatever its time is now.

        Parameters
        ----------
        run_id
            Number of the run that made it.
        path
            The output, relative to the observation's folder.
        mtime_ns
            Its time of modification now [ns].
        """
        self._db.execute("UPDATE output SET mtime_ns=? WHERE run_id=? AND path=?", [mtime_ns, run_id, path])

    def checksum(self, path: str, size: int, mtime_ns: int) -> str | None:
        """The checksum that a file had when it had this size and time.

        Parameters
        ----------
        path
            The file.
        size
            Its size [bytes].
        mtime_ns
            Its time of modification [ns].

        Returns
        -------
        str or None
            SHA-256; None if none was kept for this size and time.
        """
        row = self._db.execute(
            "SELECT sha256 FROM checksum WHERE path=? AND size=? AND mtime_ns=?", [path, size, mtime_ns]
        ).fetchone()
        return None if row is None else str(row["sha256"])

    def set_checksum(self, path: str, size: int, mtime_ns: int, sha256: str) -> None:
        """Keep the checksum that a file has at this size and time.

        Parameters
        ----------
        path
            The file.
        size
            Its size [bytes].
        mtime_ns
            Its time of modification [ns].
        sha256
            The checksum.
        """
        self._db.execute(
            "INSERT OR REPLACE INTO checksum VALUES (?, ?, ?, ?)", [path, size, mtime_ns, sha256]
        )

    # -- entries made by hand ---------------------------------------------------------------

    def add_entry(self, mission: str, process: str, ident: str, kind: str, value: Any) -> None:
        """Record something about a process that was not run by this package.

        Parameters
        ----------
        ident
            Identifier of the piece of data.
        kind
            What is recorded, e.g. ``process_logs``.
        value
            Anything that JSON can hold.
        """
        self._db.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?)", [mission, process, ident, kind, json.dumps(value)]
        )

    def entries(self, kind: str) -> list[tuple[str, str, str, Any]]:
        """(mission, process, identifier, value) of the entries of one kind.

        Parameters
        ----------
        kind
            What was recorded, e.g. ``process_logs``.
        """
        rows = self._db.execute("SELECT * FROM entry WHERE kind=? ORDER BY rowid", [kind]).fetchall()
        return [(r["mission"], r["process"], r["ident"], json.loads(r["value"])) for r in rows]

    # -- configurations, observations, the archive ------------------------------------------

    def set_configuration(self, mission: str, process: str, arguments: dict[str, Any]) -> None:
        """Record the arguments that a process was last run with.

        Parameters
        ----------
        arguments
            Argument -> value that JSON can hold; see `recordable` in ``arguments.py``.
        """
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
        """Set ``summary``, ``to_process`` (dictionaries) or ``final_success`` (bool or None).

        Parameters
        ----------
        **values
            The properties; others stay as they are.

        Raises
        ------
        ValueError
            There is no such property.
        """
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
        """Keep a value of the archive under a name; it replaces an earlier one.

        Parameters
        ----------
        key
            The name.
        value
            Anything that JSON can hold.
        """
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value=excluded.value",
            [key, json.dumps(value)],
        )

    def meta(self, key: str, default: Any = None) -> Any:
        """A value of the archive that was kept under a name.

        Parameters
        ----------
        key
            The name.
        default
            What to give where none is kept.
        """
        row = self._db.execute("SELECT value FROM meta WHERE key=?", [key]).fetchone()
        return default if row is None else json.loads(row["value"])

    def set_named(self, kind: str, content: dict[str, str]) -> str:
        """Keep something once, however many runs refer to it; returns its checksum.

        It is read again as the meta value ``"KIND CHECKSUM"``.

        Parameters
        ----------
        kind
            What it is, e.g. ``calibration``.
        content
            What is kept, by name.
        """
        text = json.dumps(content, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", [f"{kind} {digest}", text])
        return digest

    def _transaction(self) -> AbstractContextManager[None]:
        return self._db.transaction()


def _take(kind: str, row: Any, run: Run) -> None:
    """Take a message, an output or an input into its run."""
    if kind == "message":
        messages = run.warnings if row["kind"] == "warning" else run.errors
        messages.append({k: row[k] for k in ("originator", "name", "message")})
    elif kind == "output":
        run.outputs[row["path"]] = Output(*(row[k] for k in Output._fields))
    else:
        run.inputs.append(Input(*(row[k] for k in Input._fields)))


def _values(row: Any) -> dict[str, Any]:
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
