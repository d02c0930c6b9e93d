"""Programs with SAS's names that run the embedded engine.

With the folder first on ``PATH``, scripts written for SAS run without SAS.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from daxa.xmm.task import task_names


def write_shims(folder: str | os.PathLike[str], python: str = sys.executable) -> Path:
    """Write one executable per task of the embedded engine.

    Parameters
    ----------
    folder
        Where to; made if it does not exist.
    python
        Interpreter that has this package.

    Returns
    -------
    Path
        The folder, to be put on ``PATH``.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name in task_names():
        program = target / name
        program.write_text(
            f'#!/bin/sh\nexec {shlex.quote(python)} -m daxa.xmm {name} "$@"\n', encoding="utf-8"
        )
        program.chmod(0o755)
    return target
