"""Democratising Archival X-ray Astronomy.

Importing the package is cheap and silent: nothing is written, nothing is fetched, and the heavy
modules are only loaded when a name that needs them is used.
"""

from __future__ import annotations

import importlib
from typing import Any

from daxa._version import __version__
from daxa.former import find_modules

# Public names that live in other modules, loaded on first use.
_LAZY = {
    **dict.fromkeys(("NUM_CORES", "OUTPUT", "PFILES_PATH", "BACKEND", "daxa_conf", "sb_rate"), "daxa.config"),
    "XMMPointed": "daxa.mission",
    "BaseMission": "daxa.mission",
    "Archive": "daxa.archive",
}

__all__ = ["__version__", *_LAZY]

find_modules()


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'daxa' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
