"""What programs leave behind: on Linux no process that a job has started escapes its end.

A process that leaves its group, by a session of its own, is not killed with the group. A reaper becomes the
parent of all orphans among its descendants, however often they have forked, and can tell what is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def become_reaper() -> None:
    """Become the parent of descendants whose own parents end; on Linux only."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(pid: int) -> list[int]:
    """Processes whose parent a process is; empty where the system does not tell.

    Parameters
    ----------
    pid
        Number of the process.
    """
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def end_descendants(pid: int) -> None:
    """Kill all that a process has started; what is stopped first can start nothing more meanwhile.

    Parameters
    ----------
    pid
        Number of the process; it is not killed itself.
    """
    found: list[int] = []
    todo = [pid]
    while todo:
        below = children(todo.pop())
        for one in below:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGSTOP)
        found += below
        todo += below
    for one in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)
