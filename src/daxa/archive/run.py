"""A run of a process on a piece of data: what it was made of, what it has made, how it ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

#: Kind of a product that several runs of an observation make alike, e.g. its attitude file.
SHARED = "shared"
#: Warnings of what stands in for parts of calibration files: they begin with the file and its table, or have
#: a code of their own, of parts whose layout is not public.
_STANDS_IN = re.compile(r"\S+\.CCF\[", re.IGNORECASE)
_STAND_INS = {"kingProfile", "measuredQuality", "measuredRedistribution", "noContamination", "noEllbeta"}


class Output(NamedTuple):
    """A file that a run has made.

    Attributes
    ----------
    sha256, size
        Of the file; the checksum is empty where none was recorded.
    mtime_ns
        Its time when it was last known to have that checksum.
    data
        Checksum of what it holds, without the times and places in its headers.
    """

    sha256: str
    size: int
    mtime_ns: int = 0
    data: str = ""


class Input(NamedTuple):
    """What a run was made of.

    Attributes
    ----------
    kind
        ``product``, ``shared``, ``raw`` or ``calibration``.
    process, ident
        The run that made a product; empty for others.
    path
        Relative to the observation's folder; for calibration files the name.
    data
        Checksum of what it holds; of raw files that of their names, sizes and times.
    """

    kind: str
    process: str
    ident: str
    path: str
    data: str


class Seen(TypedDict, total=False):
    """What tasks saw: names in their scratch folder -> paths relative to the observation's folder.

    Attributes
    ----------
    links, copies
        What they read; copies may be changed in place.
    summary
        The observation's summary, which was put beside them with the place of the raw files.
    raw
        Whether the raw files were there, as ``odf``.
    raw_name
        The other name under which they were there, of missions without ODF.
    env
        Environment variables but the folders of calibration files; ``{work}`` is the scratch folder.
    outputs
        What was kept; names may be patterns.
    optional, shared
        Names among ``outputs`` that need not be there, or that other runs make alike.
    renames
        Place of a task -> names of files that changed after it.
    """

    links: dict[str, str]
    copies: dict[str, str]
    summary: str | None
    raw: bool
    raw_name: str
    env: dict[str, str]
    outputs: dict[str, str]
    optional: list[str]
    shared: list[str]
    renames: dict[str, dict[str, str]]


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
        Relative path -> checksum, size, time.
    inputs
        What it was made of.
    job
        What the tasks found in their scratch folder and what became of what they left there; see `Seen`.
        Empty for runs of versions that did not keep it.
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
    outputs: dict[str, Output] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    job: Seen = field(default_factory=lambda: Seen())
    id: int | None = None

    @property
    def ok(self) -> bool:
        return self.status == "done"

    @property
    def warned(self) -> bool:
        """Whether it has warned of more than what stands in for parts of calibration files."""
        return any(w["name"] not in _STAND_INS and not _STANDS_IN.match(w["message"]) for w in self.warnings)
