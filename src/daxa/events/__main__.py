"""``python -m daxa.events TASK name=value ...``: run a task on event lists of other missions."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

from daxa.events import load, task_names
from daxa.xmm.__main__ import main as run
from daxa.xmm.task import find_task


def main(argv: Sequence[str] | None = None) -> int:
    """Run one task; returns the exit status (0 done, 1 the task failed, 2 unusable arguments).

    Parameters
    ----------
    argv
        The words of the command line behind ``python -m daxa.events``; those of this process by default.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] not in ("-h", "--help"):
        load(words[0])
        return run(words)
    print(
        "usage: python -m daxa.events TASK name=value ...\n       python -m daxa.events TASK --help\n\ntasks:"
    )
    for name in task_names():
        load(name)
        about = (inspect.getdoc(find_task(name).function) or "").replace("``", "")
        print(f"  {name:<13} {about.partition(chr(10))[0]}")
    return 0 if words else 2


if __name__ == "__main__":
    sys.exit(main())
