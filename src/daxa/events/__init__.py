"""Event lists of other missions than XMM-Newton: good times, light curves, selections, images.

What is here is pure Python and knows no calibration: it works on lists that the mission's own software has
calibrated. Each file of ``tasks`` holds one task, which steps run by its name on the back-end ``python``, and
users by ``python -m daxa.events TASK name=value ...``.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

_ROOM = Path(__file__).with_name("tasks")


@functools.cache
def task_names() -> tuple[str, ...]:
    """Names of all tasks: the files of ``daxa.events.tasks``."""
    return tuple(sorted(p.stem for p in _ROOM.glob("*.py") if not p.stem.startswith("_")))


def load(name: str) -> None:
    """Make a task known to `daxa.xmm.task`, which runs it.

    Parameters
    ----------
    name
        Name of the task; one that does not exist is left to `daxa.xmm.task.find_task` to refuse.
    """
    if name in task_names():
        importlib.import_module(f"daxa.events.tasks.{name}")
