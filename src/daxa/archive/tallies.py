"""What very many runs come to: how they ended, what is the newest, how long they took."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from daxa.archive.database import Database
from daxa.archive.run import SHARED, Input

#: Of a run: it came to an end by itself, well or not.
FINISHED = "status IN ('done', 'failed')"


class Tallies:
    """Questions about all runs at once, answered by the database without making each of them."""

    _db: Database

    def endings(self) -> Iterator[tuple[str, str, str, str, str | None, bool]]:
        """Mission, process, identifier, ObsID, instrument and success of each piece's last finished run."""
        query = (
            f"SELECT mission, process, ident, obs_id, inst, status, MAX(id) FROM run WHERE {FINISHED} "
            "GROUP BY mission, process, ident"
        )
        for row in self._db.execute(query):
            yield (*tuple(row)[:5], row["status"] == "done")

    def overview(
        self,
    ) -> tuple[
        dict[tuple[str, str, str], tuple[int, dict[str, str]]],
        dict[tuple[str, str, str], int],
        dict[tuple[int, str], str],
    ]:
        """The last successful runs, the newest runs of any kind, and what the outputs of the former hold.

        Returns
        -------
        good
            (mission, process, identifier) -> number and versions, where the last finished run succeeded.
        newest
            The same -> number of the newest run.
        outputs
            (number, path) -> checksum of what it holds.
        """
        query = (
            f"SELECT mission, process, ident, status, versions, MAX(id) AS id FROM run WHERE {FINISHED} "
            "GROUP BY mission, process, ident"
        )
        decoded: dict[str, dict[str, str]] = {}
        good = {}
        for row in self._db.execute(query):
            if row["status"] == "done":
                text = row["versions"]
                good[row["mission"], row["process"], row["ident"]] = (
                    row["id"],
                    decoded.setdefault(text, json.loads(text)),
                )
        query = "SELECT mission, process, ident, MAX(id) AS id FROM run GROUP BY mission, process, ident"
        newest = {tuple(row)[:3]: row["id"] for row in self._db.execute(query)}
        last = f"SELECT MAX(id) FROM run WHERE {FINISHED} GROUP BY mission, process, ident"
        rows = self._db.execute(f"SELECT run_id, path, data, sha256 FROM output WHERE run_id IN ({last})")
        outputs = {(r["run_id"], r["path"]): r["data"] or r["sha256"] for r in rows}
        return good, newest, outputs

    def totals(self) -> list[dict[str, Any]]:
        """One row per mission and process, in the order they were first run.

        Returns
        -------
        rows
            ``mission``, ``process``; pieces by their last finished run: ``done`` and ``failed``, the sum of
            ``wall_s``, the largest ``memory_bytes``, the number of ``warnings``; pieces that never finished:
            ``running`` and ``interrupted``.
        """
        last = f"SELECT MAX(id) FROM run WHERE {FINISHED} GROUP BY mission, process, ident"
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        query = "SELECT mission, process FROM run GROUP BY mission, process ORDER BY MIN(id)"
        for found in self._db.execute(query):
            empty = dict.fromkeys(("done", "failed", "wall_s", "memory_bytes", "running", "interrupted"), 0)
            rows[tuple(found)] = {"mission": found[0], "process": found[1], "warnings": 0, **empty}
        query = (
            "SELECT mission, process, SUM(status='done') AS done, SUM(status='failed') AS failed, "
            "SUM(wall_s) AS wall_s, MAX(memory_bytes) AS memory_bytes "
            f"FROM run WHERE id IN ({last}) GROUP BY mission, process"
        )
        for found in self._db.execute(query):
            rows[found["mission"], found["process"]] |= {k: found[k] or 0 for k in found.keys()[2:]}
        query = (
            "SELECT run.mission, run.process, COUNT(*) FROM message JOIN run ON run.id=message.run_id "
            f"WHERE message.kind='warning' AND run.id IN ({last}) GROUP BY run.mission, run.process"
        )
        for mission, process, count in self._db.execute(query):
            rows[mission, process]["warnings"] = count
        query = (
            "SELECT mission, process, MAX(status='running') AS running FROM run "
            f"GROUP BY mission, process, ident HAVING SUM({FINISHED})=0"
        )
        for mission, process, running in self._db.execute(query):
            rows[mission, process]["running" if running else "interrupted"] += 1
        return list(rows.values())

    def product_inputs(self) -> dict[int, list[Input]]:
        """Number of a run -> the products that it was made of."""
        found: dict[int, list[Input]] = {}
        query = f"SELECT run_id, {', '.join(Input._fields)} FROM input WHERE kind IN ('product', '{SHARED}')"
        for row in self._db.execute(query):
            found.setdefault(row["run_id"], []).append(Input(*tuple(row)[1:]))
        return found
