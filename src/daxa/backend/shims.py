"""Programs with SAS's names that run the embedded engine.

With the folder first on ``PATH``, scripts and packages written for SAS run without SAS.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from daxa import config
from daxa._version import __version__
from daxa.xmm.task import task_names

#: Release whose parameters the tasks have, and whose engine it is; stands in brackets, as SAS's does.
VERSION = f"22.1.0-daxa-{__version__}"
#: Programs that tell the version.
_TELLS_VERSION = ("sas", "sasversion")
#: What a shell reads to use the programs.
SETUP = "setup.sh"

_SETUP = """\
# Read this with ". {folder}/{name}": programs with SAS's names run DAXA's engine.
export SAS_DIR={folder}
export SAS_PATH={folder}
export SAS_CCFPATH="${{SAS_CCFPATH:-"{ccf}"}}"
{more}case ":$PATH:" in
*:{folder}:*) ;;
*) export PATH={folder}:"$PATH" ;;
esac
echo "DAXA {version} under SAS's names; calibration files: $SAS_CCFPATH"
nh --source
"""
#: HEASoft's own program knows more; it stands behind this one on PATH.
_COLUMN = """\
[ -x "${{HEADAS:-/nowhere}}/bin/nh" ] && [ "$1" != --source ] && exec "$HEADAS/bin/nh" "$@"
exec {python} -m daxa.backend.column "$@"
"""


def write_shims(
    folder: str | os.PathLike[str], python: str = sys.executable, variables: Mapping[str, str] | None = None
) -> Path:
    """Write one executable per task of the embedded engine, ``sas`` and ``sasversion``, HEASoft's ``nh``.

    ``setup.sh``, written beside them, sets the variables that packages for SAS ask for.

    Parameters
    ----------
    folder
        Where to; made if it does not exist.
    python
        Interpreter that has this package.
    variables
        More variables of the environment for ``setup.sh`` to set.

    Returns
    -------
    Path
        The folder, to be put on ``PATH``.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    quoted = shlex.quote(python)
    commands = {name: f'exec {quoted} -m daxa.xmm {name} "$@"\n' for name in task_names()}
    commands |= {name: f"echo '{name}: the engine of DAXA [{VERSION}]'\n" for name in _TELLS_VERSION}
    commands["nh"] = _COLUMN.format(python=quoted)
    for name, command in commands.items():
        program = target / name
        program.write_text(f"#!/bin/sh\n{command}", encoding="utf-8")
        program.chmod(0o755)
    text = _SETUP.format(
        folder=shlex.quote(str(target.resolve())),
        name=SETUP,
        ccf=_in_quotes(config.calibration_path()),
        version=__version__,
        more="".join(f"export {name}={shlex.quote(value)}\n" for name, value in (variables or {}).items()),
    )
    (target / SETUP).write_text(text, encoding="utf-8")
    return target


def _in_quotes(text: str) -> str:
    """A text between double quotes of a shell."""
    return "".join(f"\\{c}" if c in '\\"$`' else c for c in text)
