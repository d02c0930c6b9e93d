"""What is run and what comes of it: tasks, jobs and outcomes.

The contract between planning and running is the SAS task: a name and its parameters. A job is a list
of tasks run one after the other in a scratch folder of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daxa.xmm.parameters import format_value
from daxa.xmm.task import command_line


class Task:
    """A SAS task and its parameters.

    Parameters
    ----------
    name
        Name of the task.
    **parameters
        Its parameters, as text or Python values.

    Examples
    --------
    >>> print(Task("evselect", table="in.fits", updateexposure=True))
    evselect table=in.fits updateexposure=yes
    """

    def __init__(self, name: str, /, **parameters: Any) -> None:
        self.name = name
        self.parameters = {key: format_value(value) for key, value in parameters.items()}

    def __str__(self) -> str:
        return command_line(self.name, self.parameters)

    def __repr__(self) -> str:
        return f"<Task {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and (self.name, self.parameters) == (other.name, other.parameters)

    __hash__ = None  # type: ignore[assignment]

    def arguments(self) -> list[str]:
        """The argument list of the program, never a shell string."""
        return [self.name, *(f"{key}={value}" for key, value in self.parameters.items())]


@dataclass
class Job:
    """Tasks that run in order in one scratch folder.

    Attributes
    ----------
    ident
        Identifier shown to users, e.g. ``0123456701PNS003``.
    tasks
        What to run.
    outputs
        Name in the scratch folder (a glob is allowed) -> final path. Published only after the last
        task succeeded.
    optional
        Names among ``outputs`` that need not exist.
    env
        Environment variables set for the tasks (``SAS_CCF``, ``SAS_ODF``, ``SAS_CCFPATH``); ``{work}`` in
        a value is the scratch folder.
    renames
        Names in the scratch folder renamed between tasks: task index -> {old: new}, done after that task.
    inputs
        Name in the scratch folder -> existing file put there before the first task: a copy, as tasks may
        change files in place, and users may edit one product without meaning another.
    links
        Name in the scratch folder -> file or folder that the tasks find under it.
    summary
        The observation's ``SUM.SAS``, put into the scratch folder with the place of the raw files of today.
    raw
        Folder of the raw files; a ``SUM.SAS`` among the outputs names it.
    expected
        Files that the job reads -> SHA-256 that they must have.
    timeout_s
        Wall-clock limit, or None.
    shared
        Names among ``outputs`` that several jobs write alike; the first to come is kept.
    logs
        ``stdout`` and ``stderr`` -> file that all of it is put into, whatever becomes of the job.
    backend
        ``embedded``, ``python``, ``sas`` or the name of another software.
    scratch
        Folder in which the job's own scratch folder is made; the system's temporary folder by default.
    leased
        That folder is there as long as the job is wanted: without it, nothing is begun.
    """

    ident: str
    tasks: list[Task]
    outputs: dict[str, Path]
    env: dict[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    renames: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    timeout_s: float | None = None
    inputs: dict[str, Path] = field(default_factory=dict)
    links: dict[str, Path] = field(default_factory=dict)
    summary: Path | None = None
    raw: Path | None = None
    expected: dict[Path, str] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    logs: Mapping[str, Path] = field(default_factory=dict)
    backend: str = "embedded"
    scratch: Path | None = None
    leased: bool = False


@dataclass
class Outcome:
    """What came of a job.

    Attributes
    ----------
    ok
        All tasks succeeded and all required outputs exist.
    stdout, stderr
        What the tasks printed; of very much the beginning and the end.
    warnings, errors
        Dicts with ``originator``, ``name`` and ``message``.
    seconds, cpu_seconds, peak_memory
        Wall-clock time, processor time [s] and largest resident memory [bytes] of the job.
    outputs
        Final path -> SHA-256 of every published file.
    data
        Final path -> checksum of what it holds, without times and places.
    timed_out
        The job was ended because it reached its time limit.
    started, ended
        ISO times, UTC.
    """

    ident: str
    ok: bool
    stdout: str = ""
    stderr: str = ""
    warnings: list[dict[str, str]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    timed_out: bool = False
    started: str = ""
    ended: str = ""
