"""Democratising Archival X-ray Astronomy.

Importing the package is cheap and silent: nothing is written, nothing is fetched, and the heavy
modules are only loaded when a name that needs them is used.
"""

from __future__ import annotations

import importlib
from typing import Any

from daxa._version import __version__
from daxa.former import find_modules

_MISSIONS = (
    *(
        "ASCA",
        "Chandra",
        "INTEGRALPointed",
        "NuSTARPointed",
        "ROSATAllSky",
        "ROSATPointed",
        "Suzaku",
        "Swift",
    ),
    *("XMMPointed", "XRISMPointed", "eRASS1DE", "eROSITACalPV", "BaseMission"),
)
_REDUCTIONS = tuple(f"full_process_{m}" for m in ("xmm", "erosita", "chandra", "nustar"))
# Public names that live in other modules, loaded on first use.
_LAZY = {
    **dict.fromkeys(("NUM_CORES", "OUTPUT", "PFILES_PATH", "BACKEND", "daxa_conf", "sb_rate"), "daxa.config"),
    **dict.fromkeys((*_MISSIONS, "multi_mission_filter_on_positions"), "daxa.mission"),
    **dict.fromkeys(("Archive", "assemble_archive_from_positions"), "daxa.archive"),
    **dict.fromkeys((*_REDUCTIONS, "redoing", "use_executor"), "daxa.process"),
}
#: Packages and modules that are there without being imported by name.
_MODULES = (
    *(
        "archive",
        "calibration",
        "compare",
        "config",
        "exceptions",
        "mission",
        "process",
        "report",
        "simulate",
    ),
    *("validate", "xmm"),
)

__all__ = ["__version__", *_LAZY]

find_modules()


def _steps() -> list[str]:
    """Names of the steps of XMM-Newton."""
    return list(importlib.import_module("daxa.process.xmm").__all__)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"daxa.{name}")
    if not name.startswith("_") and name in _steps():
        return getattr(importlib.import_module("daxa.process.xmm"), name)
    raise AttributeError(f"module 'daxa' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*__all__, *_MODULES, *_steps()))
