"""How tasks are run: the task contract, SAS and the embedded engine behind it."""

from __future__ import annotations

from daxa.backend.contract import Job, Outcome, Task
from daxa.backend.select import select_backend

__all__ = ["Job", "Outcome", "Task", "run_job", "select_backend"]


def __getattr__(name: str):  # type: ignore[no-untyped-def]
    if name == "run_job":
        from daxa.backend.runner import run_job

        return run_job
    raise AttributeError(f"module 'daxa.backend' has no attribute {name!r}")
