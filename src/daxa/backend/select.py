"""Which back-end runs the tasks."""

from __future__ import annotations

import os
import shutil

from daxa import config
from daxa.exceptions import SASNotFoundError


def sas_ready() -> bool:
    """Whether ESA's SAS is installed and initialised in this environment."""
    return bool(os.environ.get("SAS_DIR")) and shutil.which("evselect") is not None


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
        The name is none of the three.
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
            "backend: 'sas' needs SAS initialised (SAS_DIR set and evselect on PATH); "
            "choose 'embedded' to work without SAS"
        )
    return "embedded"
