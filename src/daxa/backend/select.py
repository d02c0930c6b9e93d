"""Which back-end runs the tasks, and which SAS there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import NamedTuple

from daxa import config
from daxa.exceptions import SASNotFoundError

#: What the steps of every reduction call.
PROGRAMS = ("cifbuild", "odfingest", "epchain", "emchain", "espfilt", "evselect", "merge", "eexpmap")
#: In place of a release that no program tells.
UNKNOWN = "unknown"
#: Programs that tell the release, in square brackets, and how they are asked.
_TELLERS = (("sas", "--version"), ("sasversion", "-v"))
_LIMIT_S = 60.0


class Told(NamedTuple):
    """What came of asking for the release.

    Attributes
    ----------
    version
        The release, or ``unknown``.
    fault
        Why it is unknown, where a program was there to tell it.
    """

    version: str
    fault: str = ""


def sas_ready() -> bool:
    """Whether ESA's SAS is installed and initialised in this environment."""
    return not why_no_sas()


def why_no_sas() -> str:
    """What keeps SAS from being used, in one line; empty if it can be."""
    folder = os.environ.get("SAS_DIR", "")
    if not folder:
        return "SAS_DIR is not set"
    if not os.path.isdir(folder):
        return f"SAS_DIR is {folder}, which is not a folder"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        many = "its programs are" if len(lacking) == len(PROGRAMS) else f"{_listed(lacking)}"
        return f"{many} not on PATH (SAS_DIR is {folder}); has its set-up script been run?"
    return _told().fault


def _listed(names: list[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{', '.join(names)} are"


def sas_version() -> str:
    """Release of the SAS that is initialised, e.g. ``xmmsas_20211130_0941-20.0.0``; else ``unknown``."""
    return _told().version


def _told() -> Told:
    """The release; one that has been told is not asked for again, but for another SAS."""
    there = [(path, option) for name, option in _TELLERS if (path := shutil.which(name)) is not None]
    key = (os.environ.get("SAS_DIR", ""), *there)
    if key not in _known:
        told = _ask(there)
        if told.fault:
            return told
        _known[key] = told
    return _known[key]


_known: dict[tuple[object, ...], Told] = {}


def _ask(tellers: list[tuple[str, str]]) -> Told:
    """Ask programs for the release, in order, until one tells."""
    fault = ""
    for program, option in tellers:
        command = f"{os.path.basename(program)} {option}"
        try:
            done = subprocess.run(
                [program, option],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            fault = fault or f"{command} has not answered within {_LIMIT_S:.0f} s"
            continue
        except OSError as failure:
            fault = fault or f"{command} cannot be run ({failure.strerror or failure})"
            continue
        text = "\n".join(part.decode("utf-8", "replace") for part in (done.stdout, done.stderr))
        if found := re.findall(r"\[([^\[\]]+)\]", text):
            return Told(found[-1])
        last = f": {text.strip().splitlines()[-1].strip()}" if text.strip() else ""
        fault = fault or f"{command} tells no release (status {done.returncode}{last})"
    return Told(UNKNOWN, fault)


def select_backend(name: str | None = None) -> str:
    """Choose a back-end.

    Parameters
    ----------
    name
        ``auto``, ``sas`` or ``embedded``; the configured one by default. ``auto`` takes SAS if it is
        initialised and works.

    Raises
    ------
    SASNotFoundError
        ``sas`` was asked for and is not there, or is broken.
    DAXAConfigError
        The name is not one of the three.
    """
    wanted = config.backend() if name is None else name.lower()
    if wanted not in config.BACKENDS:
        raise config.DAXAConfigError(f"backend: expected one of {', '.join(config.BACKENDS)}, got {name!r}")
    if wanted == "embedded":
        return "embedded"
    why = why_no_sas()
    if not why:
        return "sas"
    if wanted == "sas":
        raise SASNotFoundError(
            f"backend: 'sas' needs SAS initialised, but {why}; choose 'embedded' to work without SAS"
        )
    return "embedded"
