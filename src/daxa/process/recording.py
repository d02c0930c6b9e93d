"""What is recorded of a run: what its result depends on, and how it ended."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from datetime import datetime, timezone
from pathlib import Path

from daxa._version import __version__
from daxa.archive.ledger import Run
from daxa.backend.contract import Outcome
from daxa.process.step import Piece, Recipe


def versions(backend: str) -> dict[str, str]:
    """What a run was made with."""
    return {"daxa": __version__, "python": platform.python_version(), "backend": backend}


def take_outcome(run: Run, outcome: Outcome, folder: Path) -> None:
    """Take into a run how its job ended; paths become relative to the observation's folder."""
    run.status = "done" if outcome.ok else "failed"
    run.ended = outcome.ended or now()
    run.wall_s, run.cpu_s, run.memory_bytes = outcome.seconds, outcome.cpu_seconds, outcome.peak_memory
    run.timed_out = outcome.timed_out
    run.stdout, run.stderr = outcome.stdout, outcome.stderr
    run.warnings, run.errors = outcome.warnings, outcome.errors
    run.outputs = {
        os.path.relpath(path, folder): (sha, Path(path).stat().st_size)
        for path, sha in outcome.outputs.items()
    }


def now() -> str:
    """The time, for the record."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def fingerprint(recipe: Recipe, piece: Piece) -> str:
    """What a job's result depends on: tasks, parameters and the content of the products it uses.

    Independent of where the archive and the raw data are.
    """
    text = json.dumps(
        [
            [[t.name, t.parameters] for t in recipe.tasks],
            recipe.outputs,
            {name: str(path) for name, path in recipe.inputs.items()},
        ]
    )
    text = text.replace(str(piece.folder), "{observation}")
    text = text.replace(str(_raw_root(piece)), "{raw}")
    inputs = sorted({sha for run in piece.used for sha, _ in run.outputs.values()})
    return hashlib.sha256(json.dumps([text, inputs]).encode()).hexdigest()


def _raw_root(piece: Piece) -> Path | str:
    try:
        return piece.raw
    except Exception:  # raw data may be gone once everything is processed
        return "{raw}"


def complete(run: Run, piece: Piece) -> bool:
    """Whether the products of a run are all there, whole."""
    folder = piece.folder
    for name, (_, size) in run.outputs.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            return False
    return True
