"""``python -m daxa.xmm TASK name=value ...``: run a task with SAS's command-line syntax."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from daxa.xmm.task import TaskError, run_task
from daxa.xmm.tasks import TASKS


def main(argv: Sequence[str] | None = None) -> int:
    """Run one task; returns the exit status (0 done, 1 the task failed, 2 unusable arguments)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print("usage: python -m daxa.xmm TASK name=value ...\n\ntasks: " + " ".join(sorted(TASKS)))
        return 0 if words else 2
    name, *rest = words
    arguments: dict[str, str] = {}
    skip = False
    for i, word in enumerate(rest):
        if skip:
            skip = False
        elif word in ("-w", "-V", "-c"):
            skip = word != "-c" and i + 1 < len(rest)
        elif "=" in word:
            key, _, value = word.partition("=")
            arguments[key] = value
        else:
            print(f"{name}: expected name=value, got {word!r}", file=sys.stderr)
            return 2
    try:
        run_task(name, arguments)
    except TaskError as failure:
        return 2 if failure.code in ("unknownParameter", "missingParameter", "badParameter") else 1
    except NotImplementedError as failure:
        print(f"** {name}: error (notImplemented), {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
