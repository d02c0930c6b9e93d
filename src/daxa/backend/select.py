"""Which back-end runs the tasks."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess

from daxa import config
from daxa.exceptions import SASNotFoundError


def sas_ready() -> bool:
    """Whether ESA's SAS is installed and initialised in this environment."""
    return not why_no_sas()


def why_no_sas() -> str:
    """What keeps SAS from being used, in a few words; empty if it can be."""
    folder = os.environ.get("SAS_DIR", "")
    if not folder:
        return "SAS_DIR is not set"
    if shutil.which("evselect") is None:
        there = "is there" if os.path.isdir(folder) else "is not a folder"
        return f"evselect is not on PATH (SAS_DIR is {folder}, which {there})"
    return ""


def sas_version() -> str:
    """Release of the SAS that is initialised, e.g. ``xmmsas_20211130_0941-20.0.0``; else ``unknown``."""
    program = shutil.which("sas")
    return "unknown" if program is None else _sas_version(program, os.environ.get("SAS_DIR", ""))


@functools.lru_cache
def _sas_version(program: str, folder: str) -> str:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = re.findall(r"\[([^\[\]]+)\]", done.stdout)
    return found[-1] if found else "unknown"


def select_backend(name: str | None = None) -> str:
    """Choose a back-end.

    Parameters
    ----------
    name
        ``auto``, ``sas`` or ``embedded``; the configured one by default. ``auto`` takes SAS if it is
        initialised.

    Raises
    ------
    SASNotFoundError
        ``sas`` was asked for and is not there.
    DAXAConfigError
        The name is not one of the three.
    """
    wanted = config.backend() if name is None else name.lower()
    if wanted not in config.BACKENDS:
        raise config.DAXAConfigError(f"backend: expected one of {', '.join(config.BACKENDS)}, got {name!r}")
    if wanted == "embedded":
        return "embedded"
    if sas_ready():
        return "sas"
    if wanted == "sas":
        raise SASNotFoundError(
            f"backend: 'sas' needs SAS initialised (SAS_DIR set and evselect on PATH), but {why_no_sas()}; "
            "choose 'embedded' to work without SAS"
        )
    return "embedded"
