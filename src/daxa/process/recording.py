"""What is recorded of a run: what its result depends on, and how it ended.

Parameters
----------
piece
    The piece of data.
recipe
    The recipe of the job.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from daxa._version import __version__
from daxa.archive.files import raw_state
from daxa.archive.run import SHARED, Input, Output, Run, Seen
from daxa.archive.staleness import generation
from daxa.backend.calibration import CalibrationError, named
from daxa.backend.contract import Job, Outcome, Task
from daxa.backend.job import RAW
from daxa.backend.select import sas_version
from daxa.backend.software import SOFTWARE
from daxa.exceptions import DAXANotDownloadedError
from daxa.process.step import Piece, Recipe


def versions(backend: str) -> dict[str, str]:
    """What a run was made with.

    Parameters
    ----------
    backend
        ``embedded``, ``python``, ``sas`` or the name of another software.
    """
    found = {"daxa": __version__, "python": platform.python_version(), "backend": backend}
    if backend in SOFTWARE:
        return found | SOFTWARE[backend].versions()
    return found | ({"sas": sas_version()} if backend == "sas" else {})


def take_outcome(run: Run, outcome: Outcome, folder: Path) -> None:
    """Take into a run how its job ended; paths become relative to the observation's folder.

    Parameters
    ----------
    run
        The run.
    outcome
        How its job ended.
    folder
        Folder of the observation.
    """
    run.status = "done" if outcome.ok else "failed"
    run.ended = outcome.ended or now()
    run.wall_s, run.cpu_s, run.memory_bytes = outcome.seconds, outcome.cpu_seconds, outcome.peak_memory
    run.timed_out = outcome.timed_out
    run.stdout, run.stderr = outcome.stdout, outcome.stderr
    run.warnings, run.errors = outcome.warnings, outcome.errors
    run.outputs = {}
    for path, sha in outcome.outputs.items():
        try:
            status = os.stat(path)
        except OSError as failure:  # e.g. removed by somebody meanwhile
            message = f"{path}: is not there any more ({failure.strerror or failure})"
            run.status, run.outputs = "failed", {}
            run.errors = [*run.errors, {"originator": "daxa", "name": "outputGone", "message": message}]
            return
        run.outputs[os.path.relpath(path, folder)] = Output(
            sha, status.st_size, status.st_mtime_ns, outcome.data.get(path, sha)
        )


def take_made(run: Run, recipe: Recipe, piece: Piece) -> None:
    """Take into a run that succeeded what later steps use: its files by name, and its settings.

    Parameters
    ----------
    run
        The run.
    recipe
        What was to be made.
    """
    made = {}
    for name, path in recipe.files.items():
        found = path if path in run.outputs else _match(path, run.outputs)
        if found:
            made[name] = {"path": found}
    run.extra = {**made, **recipe.settings}
    if run.process == "cif_build":
        _take_calibration(run, piece)


def _match(pattern: str, names: Iterable[str]) -> str | None:
    return next((n for n in names if fnmatchcase(n, pattern)), None)


def _take_calibration(run: Run, piece: Piece) -> None:
    """Note which calibration files an index names, and what is in them."""
    try:
        names = named(piece.folder / run.extra["cif"]["path"])
    except CalibrationError as failure:
        # The run is good, but that these files change will not be noticed.
        run.warnings.append({"originator": "daxa", "name": "calibrationUnknown", "message": str(failure)})
        return
    if names:
        digest = piece.archive.ledger.set_named("calibration", names)
        run.inputs.append(Input("calibration", "", "", "", digest))


def error_of(originator: str, failure: Exception) -> dict[str, str]:
    """An error as it is recorded.

    Parameters
    ----------
    originator
        Name of the process or task.
    failure
        The exception.
    """
    return {"originator": originator, "name": type(failure).__name__, "message": str(failure)}


def new_run(process: str, piece: Piece, *, ident: str | None = None, **values: Any) -> Run:
    """A run of a process on a piece of data, under the piece's identifier or another.

    Parameters
    ----------
    process
        Name of the process.
    ident
        Another identifier than the piece's.
    **values
        Further fields of the run.
    """
    place = (piece.mission.name, piece.obs_id, piece.inst, piece.exp_id)
    return Run(process, ident or piece.ident, *place, **values)


def now() -> str:
    """The time, for the record."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def seen_by(job: Job, folder: Path) -> Seen:
    """What the tasks of a job see, so that they can be run again.

    Parameters
    ----------
    job
        The job.
    folder
        The observation's folder.
    """

    raw = next((name for name, path in job.links.items() if path == job.raw), "")

    def inside(paths: Mapping[str, Path]) -> dict[str, str]:
        return {name: os.path.relpath(path, folder) for name, path in paths.items()}

    return {
        "links": inside({name: path for name, path in job.links.items() if path != job.raw}),
        "copies": inside(job.inputs),
        "summary": None if job.summary is None else os.path.relpath(job.summary, folder),
        "raw": bool(raw),
        "env": {name: value for name, value in job.env.items() if name != "SAS_CCFPATH"},
        "outputs": inside(job.outputs),
        "optional": sorted(job.optional),
        "shared": sorted(job.shared),
        # Under another name than that of the files of an ODF only for other missions.
        **({"raw_name": raw} if raw not in ("", RAW) else {}),
        **({"renames": {str(k): dict(v) for k, v in job.renames.items()}} if job.renames else {}),
    }


def reads_raw(recipe: Recipe, piece: Piece) -> bool:
    """Whether a job reads the raw files."""
    raw = raw_folder(piece)
    named = raw is not None and any(str(raw) in v for t in recipe.tasks for v in t.parameters.values())
    return recipe.reads_raw or named


def inputs_of(recipe: Recipe, piece: Piece) -> list[Input]:
    """What a job is made of: products of earlier ones, and the raw files if it reads them.

    Parameters
    ----------
    piece
        The piece of data; it knows which products the recipe has asked for.

    Raises
    ------
    DAXANotDownloadedError
        It reads the raw files, and they are not there.
    """
    inputs = sorted(given for given, _ in piece.used.values())
    if reads_raw(recipe, piece):
        inputs.append(Input("raw", "", "", RAW, _raw_state(piece, raw_folder(piece) or piece.raw)))
    return inputs


def fingerprint(tasks: Sequence[Task], recipe: Recipe, run: Run) -> str:
    """What a job's result depends on: back-end and its version, tasks, parameters, and what it is made of.

    Independent of where the archive and the raw data are: ``tasks`` have plain names. Of products counts what
    they hold, of raw files their names, sizes and times, of the version what
    :func:`~daxa.archive.staleness.generation` tells. A file that several runs make alike counts as that file,
    whichever of them has made it.

    Parameters
    ----------
    tasks
        The tasks, with plain names of files.
    run
        The run, with its inputs, back-end and versions.

    Returns
    -------
    str
        SHA-256 of it all.
    """
    what = [[[t.name, t.parameters] for t in tasks], recipe.outputs, sorted(recipe.inputs)]
    made_of = [
        [given.kind, "", "", given.path, given.data] if given.kind == SHARED else list(given)
        for given in run.inputs
        if given.kind != "calibration"
    ]
    by = [run.backend, generation(run.versions)]
    return hashlib.sha256(json.dumps([what, made_of, by]).encode()).hexdigest()


def raw_folder(piece: Piece) -> Path | None:
    """The observation's raw files, if they are there."""
    key = ("raw", piece.mission.name, piece.obs_id)
    notes = piece.records.notes
    if key not in notes:
        try:
            notes[key] = piece.raw
        except DAXANotDownloadedError:  # they may be gone once everything is processed
            notes[key] = None
    return notes[key]


def _raw_state(piece: Piece, raw: Path) -> str:
    """Names, sizes and times of raw files, as one checksum."""
    key = ("raw files", piece.mission.name, piece.obs_id)
    notes = piece.records.notes
    if key not in notes:
        notes[key] = raw_state(raw)
    return notes[key]
