"""What holds for all steps called in a context: where jobs run, and what is made again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from daxa.backend.select import select_backend
from daxa.process.executors import carried, executor_of
from daxa.process.options import Running
from daxa.process.recording import versions

#: What is made again although it has been made; see `redoing`.
REDO = ("changed", "stale", "all", "never")
_executor: ContextVar[Executor | None] = ContextVar("executor", default=None)
_redo: ContextVar[str] = ContextVar("redo", default="changed")


@contextmanager
def use_executor(executor: Executor) -> Iterator[None]:
    """Run the jobs of the steps called inside on an executor, e.g. that of a Dask cluster.

    The archive and the raw data must be reachable under the same paths where the jobs run.

    Parameters
    ----------
    executor
        What runs jobs; the steps do not shut it down.
    """
    token = _executor.set(executor)
    try:
        yield
    finally:
        _executor.reset(token)


@contextmanager
def redoing(what: str) -> Iterator[None]:
    """Choose what the steps called inside make again.

    Parameters
    ----------
    what : {"changed", "stale", "all", "never"}
        ``changed``, the default: what is missing or altered, and what depends on something that has changed:
        options, raw files, calibration, products of earlier steps, back-end, version. ``stale``: also what
        DAXA 0.3.7 has made, of which nothing is known. ``all``: everything. ``never``: only what is missing,
        altered or failed.

    Raises
    ------
    ValueError
        It is not one of these.
    """
    if what not in REDO:
        raise ValueError(f"redo: expected one of {', '.join(REDO)}, got {what!r}")
    token = _redo.set(what)
    try:
        yield
    finally:
        _redo.reset(token)


def redo_mode() -> str:
    """What is made again in this context; see `redoing`."""
    return _redo.get()


@dataclass(frozen=True)
class Settings:
    """How the jobs of one call are run.

    Attributes
    ----------
    limit_s
        Time limit of each job [s].
    quiet
        No progress bars, no messages.
    executor
        Where they run; None for here.
    versions
        Of the back-ends that are used: back-end -> what runs are recorded with.
    environment
        What jobs that run elsewhere need of the environment here: back-end -> variables.
    """

    backend: str
    cores: int
    limit_s: float | None
    redo: str
    quiet: bool
    executor: Executor | None
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)


@contextmanager
def settings_of(running: Running, fixed: Iterable[str | None]) -> Iterator[Settings]:
    """The settings of a call in this context; what runs its jobs is there as long as they are.

    Parameters
    ----------
    running
        How the user wants the step to run: cores, time limit, progress bars.
    fixed
        Back-ends of the steps, None where the configured one does it.

    Raises
    ------
    TypeError, ValueError
        An argument is not usable, or there is no back-end.
    """
    cores, limit_s = running.cores, running.limit_s
    known = set(fixed)
    # What is configured concerns XMM-Newton only: without a step that asks for it, it is not looked for.
    backend = select_backend() if None in known else "embedded"
    used = {backend, "embedded", *(b for b in known if b is not None)}
    given = _executor.get() if running.executor is None else running.executor
    with executor_of(given, cores) as executor:
        yield Settings(
            backend,
            cores,
            limit_s,
            redo_mode(),
            running.disable_progress,
            executor,
            {b: versions(b) for b in used},
            {} if executor is None else {b: carried(b) for b in used},
        )
