"""Processing: which task runs on which piece of data, in which order.

``PROC_LOOKUP`` has the processing functions, by mission and name; each can also be imported from here.
"""

from __future__ import annotations

import importlib
from typing import Any

#: Package of steps -> the missions whose data they are for.
_PACKAGES = {
    "xmm": ("xmm_pointed",),
    "erosita": ("erosita_calpv", "erosita_all_sky_de_dr1"),
    "chandra": ("chandra",),
    "nustar": ("nustar_pointed",),
}
#: Missions whose data have no steps.
_OTHERS = ("rosat_all_sky", "rosat_pointed", "swift", "suzaku", "asca", "integral_pointed", "xrism_pointed")

#: Whole reductions.
_REDUCTIONS = tuple(f"full_process_{m}" for m in ("xmm", "erosita", "chandra", "nustar"))

__all__ = ["PROC_LOOKUP", "redoing", "use_executor"]


def _functions(package: str) -> dict[str, Any]:
    return importlib.import_module(f"daxa.process.{package}").FUNCTIONS


def __getattr__(name: str) -> Any:
    if name in ("redoing", "use_executor"):
        from daxa.process import settings

        return getattr(settings, name)
    if name in (*_PACKAGES, "simple"):
        return importlib.import_module(f"daxa.process.{name}")
    if name in _REDUCTIONS:
        return getattr(importlib.import_module("daxa.process.simple"), name)
    if name == "PROC_LOOKUP":
        steps = {mission: _functions(p) for p, missions in _PACKAGES.items() for mission in missions}
        return steps | {mission: {} for mission in _OTHERS}
    if not name.startswith("_"):
        for package in _PACKAGES:
            if name in (functions := _functions(package)):
                return functions[name]
    raise AttributeError(f"module 'daxa.process' has no attribute {name!r}")


def __dir__() -> list[str]:
    steps = {n for package in _PACKAGES for n in importlib.import_module(f"daxa.process.{package}").__all__}
    return sorted({*__all__, *_REDUCTIONS, *_PACKAGES, "simple", *steps})
