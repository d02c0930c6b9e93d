"""Democratising Archival X-ray Astronomy.

Importing the package is cheap and silent: nothing is written, nothing is fetched, and the heavy
modules are only loaded when a name that needs them is used.
"""

from __future__ import annotations

import importlib
from typing import Any

from daxa._version import __version__

# Public names that live in other modules, loaded on first use.
_LAZY = {
    "NUM_CORES": ("daxa.config", "num_cores"),
    "OUTPUT": ("daxa.config", "output_path"),
    "BACKEND": ("daxa.config", "backend"),
    "daxa_conf": ("daxa.config", "as_dict"),
}
_LAZY_OBJECTS = {
    "XMMPointed": "daxa.mission",
    "BaseMission": "daxa.mission",
    "Archive": "daxa.archive",
}

__all__ = ["__version__", *_LAZY, *_LAZY_OBJECTS, "sb_rate"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, function = _LAZY[name]
        return getattr(importlib.import_module(module), function)()
    if name in _LAZY_OBJECTS:
        return getattr(importlib.import_module(_LAZY_OBJECTS[name]), name)
    if name == "sb_rate":
        from astropy import units

        return units.def_unit("sb_rate", units.ct / (units.deg**2 * units.s))
    raise AttributeError(f"module 'daxa' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
