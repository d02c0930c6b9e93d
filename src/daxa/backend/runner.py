"""Running a job: a scratch folder and a process of its own, outputs published when all went well."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from daxa.backend.contract import Job, Outcome
from daxa.backend.job import signal_name, write_spec
from daxa.backend.launch import Launcher, launcher
from daxa.backend.messages import parse_messages
from daxa.backend.output import excerpt, keep, lines
from daxa.backend.publish import PublishError, checksum, find_outputs, publish
from daxa.backend.software import SOFTWARE

#: Paths that need no other name: programs, and the languages of their parameters, take them as they are.
_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")
_ALIAS = "daxa_job_"
STREAMS = ("stdout", "stderr")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _error(originator: str, name: str, message: str) -> dict[str, str]:
    return {"originator": originator, "name": name, "message": message}


def run_job(job: Job, runner: Launcher | None = None) -> Outcome:
    """Run a job and publish its outputs.

    A top-level function of plain values, so that any executor (threads, processes, Dask) can run it.

    Parameters
    ----------
    job
        What to run.
    runner
        Starts the job's process; by default this process's own launcher.

    Returns
    -------
    Outcome
        Also for jobs that failed, crashed or took too long; only mistakes of the caller raise.
    """
    started, clock = _now(), time.monotonic()
    outcome = Outcome(job.ident, False, started=started)
    folder: Path | None = None
    place: Path | None = None
    try:
        if job.scratch is not None and not job.leased:
            Path(job.scratch).mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{job.ident}_", dir=job.scratch))
        place = folder if _PLAIN.fullmatch(str(folder)) else _alias(folder)
        if changed := _changed(job):
            outcome.errors.append(_error("daxa", "inputChanged", changed))
        else:
            write_spec(job, folder)
            _run_in(place, job, runner or launcher(), outcome)
    except OSError as failure:
        outcome.ok = False
        outcome.errors.append(_error("daxa", "scratchFolder", f"cannot use the scratch folder: {failure}"))
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if place is not None and place != folder:
            place.unlink(missing_ok=True)
    outcome.seconds = time.monotonic() - clock
    outcome.ended = _now()
    return outcome


def _alias(folder: Path) -> Path:
    """A link to a folder by a path that programs of any kind can read."""
    for left in Path(tempfile.gettempdir()).glob(f"{_ALIAS}*"):
        # What a killed process has left; the folder it led to is gone.
        if left.is_symlink() and not left.exists():
            with contextlib.suppress(OSError):
                left.unlink()
    while True:
        link = Path(tempfile.gettempdir()) / f"{_ALIAS}{uuid.uuid4().hex[:12]}"
        with contextlib.suppress(FileExistsError):
            link.symlink_to(folder, target_is_directory=True)
            return link


def _changed(job: Job) -> str:
    """Which input is not what was recorded of it; empty if all are."""
    for path, sha in job.expected.items():
        try:
            altered = bool(sha) and checksum(path) != sha
        except OSError as failure:
            return f"{path}: cannot be read ({failure.strerror or failure}); run the step that makes it again"
        if altered:
            return f"{path}: has been altered since it was made; run the step that makes it again"
    return ""


def _run_in(folder: Path, job: Job, runner: Launcher, outcome: Outcome) -> None:
    end = runner.run(folder, job.timeout_s, job.backend)
    outcome.cpu_seconds, outcome.peak_memory = end.cpu_seconds, end.peak_memory
    outcome.timed_out = end.timed_out
    outcome.stdout, outcome.stderr = (excerpt(folder / s, job.logs.get(s)) for s in STREAMS)
    under_way, others = _UnderWay(job), job.backend in SOFTWARE
    for stream in STREAMS:
        warnings, errors = parse_messages(under_way.seen(lines(folder / stream)), others)
        outcome.warnings += warnings
        outcome.errors += errors
        if stream in job.logs and (problem := keep(folder / stream, job.logs[stream], stream == "stdout")):
            outcome.warnings.append(_error("daxa", "log", problem))
    last = under_way.task
    if end.timed_out:
        outcome.errors.append(
            _error(last, "timeOut", f"ended because it ran longer than the time limit of {job.timeout_s:g} s")
        )
    elif end.lost:
        outcome.errors.append(_error(last, "interrupted", "the run was interrupted"))
    elif end.status < 0:
        name = signal_name(-end.status)
        hint = "; the machine may be out of memory" if name == "SIGKILL" else ""
        outcome.errors.append(_error(last, "crashed", f"the process was ended by {name}{hint}"))
    if end.timed_out or end.lost or end.status < 0:
        return
    result = _result(folder)
    if not result["ok"]:
        if not outcome.errors:
            outcome.errors.append(_error(result["task"], "failed", result["message"]))
        return
    if others:
        # Their programs say by their status how they ended, and go on after some of what they call an error.
        outcome.warnings += outcome.errors
        outcome.errors = []
    if outcome.errors:
        return
    pairs, missing = find_outputs(folder / "work", job.outputs, job.optional)
    empty = [file.name for file, _ in pairs if not file.stat().st_size]
    if empty:
        outcome.errors.append(_error(last, "emptyOutput", f"wrote nothing into {', '.join(empty)}"))
        return
    if missing:
        outcome.errors.append(_error(last, "missingOutput", _not_written(folder / "work", missing, job)))
        return
    try:
        made = publish(pairs, [job.outputs[name] for name in job.shared])
        outcome.outputs = {path: sha for path, (sha, _) in made.items()}
        outcome.data = {path: data for path, (_, data) in made.items()}
    except PublishError as failure:
        outcome.errors.append(_error("daxa", "publish", str(failure)))
        return
    outcome.ok = True


def _not_written(work: Path, missing: Sequence[str], job: Job) -> str:
    """What is to be said of outputs that are not there, or are no files of the job's own."""
    text = f"did not write {', '.join(missing)}"
    others = [name for name in missing if os.path.lexists(work / name)]
    if others:
        text += f" as files of their own, but as links, folders or pipes: {', '.join(others)}"
    given = {*job.links, *job.inputs, *missing} | ({job.summary.name} if job.summary is not None else set())
    written = sorted(set(os.listdir(work)) - given)
    return f"{text}; it wrote {', '.join(written[:20]) or 'nothing'}"


def _result(folder: Path) -> dict:
    try:
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"ok": False, "task": "daxa", "message": "the process ended without saying how it went"}


class _UnderWay:
    """The task of a job that is under way: the last whose command line has been printed."""

    def __init__(self, job: Job) -> None:
        self.task = "daxa"
        self._commands = {str(task): task.name for task in job.tasks}

    def seen(self, printed: Iterable[str]) -> Iterator[str]:
        for line in printed:
            self.task = self._commands.get(line, self.task)
            yield line
