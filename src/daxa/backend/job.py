"""``python -m daxa.backend.job FOLDER``: run one job's tasks in this process.

The folder holds ``job.json``; tasks run in its sub-folder ``work``, messages go to ``stdout`` and ``stderr``,
and ``result.json`` appears when the last task has ended. Nothing outside the folder is written.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from daxa.backend.contract import Job, Task
from daxa.backend.software import SOFTWARE

#: Linux's order to share the blocks of a file with another.
_FICLONE = 0x40049409
#: The raw files in the scratch folder.
RAW = "odf"


def write_spec(job: Job, folder: Path) -> None:
    """Put what a job's process needs to know into its folder.

    Parameters
    ----------
    job
        The job.
    folder
        Its scratch folder, empty.
    """
    spec = {
        "ident": job.ident,
        "backend": job.backend,
        "tasks": [[task.name, task.parameters] for task in job.tasks],
        # The whole environment, as the process that forks has that of the time it was started.
        "env": {**os.environ, **job.env},
        "renames": {str(k): dict(v) for k, v in job.renames.items()},
        "inputs": {name: str(path) for name, path in job.inputs.items()},
        "links": {name: str(path) for name, path in job.links.items()},
        "summary": None if job.summary is None else str(job.summary),
        "raw": None if job.raw is None else str(job.raw),
    }
    (folder / "work").mkdir()
    (folder / "job.json").write_text(json.dumps(spec), encoding="utf-8")


def _embedded(task: Task, work: Path, env: dict[str, str]) -> str | None:
    from daxa.xmm.errors import TaskError
    from daxa.xmm.task import run_task

    try:
        run_task(task.name, task.parameters, cwd=work, env=env)
    except TaskError as failure:
        return failure.message
    except Exception as failure:  # any fault of one task must become that job's error, nothing more
        if not isinstance(failure, NotImplementedError):
            traceback.print_exc()
        text = str(failure) or repr(failure)
        if isinstance(failure, OSError) and failure.filename is None:
            # A full disk or a quota: the system does not say which file it refused.
            text += f" (working in {work})"
        print(f"** {task.name}: error ({type(failure).__name__}), {text}", file=sys.stderr)
        return text
    return None


def _python(task: Task, work: Path, env: dict[str, str]) -> str | None:
    """Run a task on event lists of other missions: as one of the engine, once its module is loaded."""
    from daxa.events import load

    load(task.name)
    return _embedded(task, work, env)


def _program(task: Task, work: Path, env: dict[str, str], title: str) -> str | None:
    arguments = task.arguments()
    program = shutil.which(arguments[0], path=env.get("PATH"))
    if program is None:
        text = f"no program {task.name} on PATH; is {title} initialised?"
        print(f"** {task.name}: error (programNotFound), {text}", file=sys.stderr)
        return text
    status = subprocess.run(
        [program, *arguments[1:]], cwd=work, env=env, stdin=subprocess.DEVNULL, check=False
    ).returncode
    if status == 0:
        return None
    if status < 0:
        return f"{task.name} was ended by {signal_name(-status)}"
    return f"{task.name} ended with status {status}"


def signal_name(number: int) -> str:
    """Name of a signal.

    Parameters
    ----------
    number
        Its number.

    Examples
    --------
    >>> signal_name(9), signal_name(40)
    ('SIGKILL', 'signal 40')
    """
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"


def _environment(folder: Path, given: dict[str, str], backend: str) -> dict[str, str]:
    """The job's environment, with parameter files of its own."""
    env = dict(given)
    if backend in SOFTWARE:
        env |= SOFTWARE[backend].environment
    pfiles = folder / "pfiles"
    pfiles.mkdir(exist_ok=True)
    # Before the semicolon are the user's files, of which each job has its own; then those of the software.
    own, *shared = env.get("PFILES", "").split(";")
    env["PFILES"] = ";".join([str(pfiles), *(shared or [own] * bool(own))])
    return env


def run_tasks(folder: Path) -> dict[str, Any]:
    """Run a job's tasks in order; stops at the first that fails.

    Parameters
    ----------
    folder
        Scratch folder of the job; its tasks run in ``work`` there.

    Returns
    -------
    dict
        ``ok`` and, if not, ``task`` and ``message``.
    """
    spec = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    work = folder / "work"
    for name, source in spec["inputs"].items():
        try:
            _copy(source, work / name)
        except OSError as failure:
            print(f"** daxa: error (inputNotReadable), {failure}", file=sys.stderr)
            return {"ok": False, "task": "daxa", "message": str(failure)}
    try:
        _bring(spec, work)
    except OSError as failure:
        print(f"** daxa: error (inputNotReadable), {failure}", file=sys.stderr)
        return {"ok": False, "task": "daxa", "message": str(failure)}
    given = {k: v.replace("{work}", str(work)) for k, v in spec["env"].items()}
    env = _environment(folder, given, spec["backend"])
    # Shells take the folder's name from here, not from the system, which knows no links.
    env["PWD"] = str(work)
    os.environ.clear()
    os.environ.update(env)
    runner = _runner(spec["backend"])
    os.chdir(work)
    for k, (name, parameters) in enumerate(spec["tasks"]):
        task = Task(name, **parameters)
        print(task, flush=True)
        problem = runner(task, work, env)
        sys.stdout.flush()
        sys.stderr.flush()
        if problem is not None:
            return {"ok": False, "task": name, "message": problem}
        for old, new in spec["renames"].get(str(k), {}).items():
            if (work / old).exists():
                os.replace(work / old, work / new)
    if spec["raw"] is not None:
        for path in work.glob("*SUM.SAS"):
            if not path.is_symlink():
                write_place(path, path, spec["raw"])
    return {"ok": True}


def _runner(backend: str) -> Callable[[Task, Path, dict[str, str]], str | None]:
    """What runs the tasks of a back-end."""
    if backend in ("embedded", "python"):
        return _embedded if backend == "embedded" else _python
    title = "SAS" if backend == "sas" else SOFTWARE[backend].title
    return partial(_program, title=title)


def _copy(source: str, target: Path) -> None:
    """Copy a file; where the file system can, the copies share their blocks until one of them is changed."""
    try:
        import fcntl

        with open(source, "rb") as old, target.open("wb") as new:
            fcntl.ioctl(new, _FICLONE, old.fileno())
    except (ImportError, OSError):
        shutil.copyfile(source, target)


def _bring(spec: dict[str, Any], work: Path) -> None:
    """Put what the tasks read into the scratch folder, under plain names."""
    for name, source in spec["links"].items():
        if not os.path.exists(source):
            raise FileNotFoundError(f"{source}: no such file or folder")
        try:
            os.symlink(source, work / name)
        except (OSError, NotImplementedError) as failure:
            if os.path.isdir(source) or not _without_links(failure):
                raise
            _copy(source, work / name)
    if spec["summary"] is not None:
        source = Path(spec["summary"])
        # Where the raw files are today, by a name without anything that a program might stumble on.
        write_place(source, work / source.name, str(work / RAW) if RAW in spec["links"] else None)


def _without_links(failure: Exception) -> bool:
    """Whether a system or file system has no links, or not for everybody; a full disk is another matter."""
    windows = getattr(failure, "winerror", None) == 1314  # a privilege is not held
    kinds = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
    return not isinstance(failure, OSError) or windows or failure.errno in kinds


def write_place(source: Path, target: Path, raw: str | None) -> None:
    """Write an observation's summary with the folder of its raw files.

    Parameters
    ----------
    source
        The summary, SUM.SAS.
    target
        Where it is written; it may be the same file.
    raw
        Folder of the raw files; None leaves the summary as it is.
    """
    lines = source.read_bytes().split(b"\n")
    if raw is not None:
        place = b"PATH " + os.fsencode(os.path.join(raw, ""))
        lines = [place if line.startswith(b"PATH ") else line for line in lines]
    target.write_bytes(b"\n".join(lines))


def _write_usage(folder: Path) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such measurement
        return
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 1 if sys.platform == "darwin" else 1024
    usage = {
        "cpu": sum(u.ru_utime + u.ru_stime for u in used),
        "memory": max(u.ru_maxrss for u in used) * unit,
    }
    (folder / "usage.json").write_text(json.dumps(usage), encoding="utf-8")


def run_here(folder: Path) -> int:
    """Run a job in this process, output into its files; returns the exit status.

    Parameters
    ----------
    folder
        Scratch folder of the job.
    """
    for stream, name in ((1, "stdout"), (2, "stderr")):
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, stream)
        os.close(handle)
    # New text layers: whatever the parent had buffered is not this job's.
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    result = run_tasks(folder)
    _write_usage(folder)
    temporary = folder / "result.json.part"
    temporary.write_text(json.dumps(result), encoding="utf-8")
    os.replace(temporary, folder / "result.json")
    sys.stdout.flush()
    sys.stderr.flush()
    return 0 if result["ok"] else 1


def _die_with_parent() -> None:
    """End this process group once standard input closes, which it does when the starter is gone."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: list[str] | None = None) -> int:
    """Run the job whose folder is named; returns the exit status.

    Parameters
    ----------
    arguments
        The folder; those of this process by default.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) != 1:
        print("usage: python -m daxa.backend.job FOLDER", file=sys.stderr)
        return 2
    if os.environ.get("DAXA_JOB_WATCH"):
        _die_with_parent()
    return run_here(Path(os.path.abspath(words[0])))


if __name__ == "__main__":
    sys.exit(main())
