"""Programs with SAS's names that run the embedded engine.

With the folder first on ``PATH``, scripts written for SAS run without SAS.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from daxa._version import __version__
from daxa.xmm.task import task_names

#: Programs that tell the version; its name stands in brackets, as that of a release of SAS does.
_TELLS_VERSION = ("sas", "sasversion")


def write_shims(folder: str | os.PathLike[str], python: str = sys.executable) -> Path:
    """Write one executable per task of the embedded engine, and ``sas`` and ``sasversion``.

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
    commands = {name: f'exec {shlex.quote(python)} -m daxa.xmm {name} "$@"' for name in task_names()}
    commands |= {name: f"echo '{name}: the embedded engine [daxa-{__version__}]'" for name in _TELLS_VERSION}
    for name, command in commands.items():
        program = target / name
        program.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
        program.chmod(0o755)
    return target
