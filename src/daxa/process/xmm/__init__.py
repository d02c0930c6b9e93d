"""Processing of XMM-Newton data."""

from __future__ import annotations

from typing import Any

_MODULES = {
    "setup": ("cif_build", "odf_ingest"),
    "assemble": (
        "epchain",
        "emchain",
        "cleaned_evt_lists",
        "merge_subexposures",
        "rgs_events",
        "rgs_angles",
        "cleaned_rgs_event_lists",
    ),
    "check": ("emanom",),
    "clean": ("espfilt",),
    "generate": ("generate_images_expmaps",),
    "mosaics": ("generate_mosaics",),
    "sources": ("find_sources",),
}

__all__ = [function for functions in _MODULES.values() for function in functions]


def __getattr__(name: str) -> Any:
    import importlib

    if name == "FUNCTIONS":
        return {
            function: getattr(importlib.import_module(f"daxa.process.xmm.{module}"), function)
            for module, functions in _MODULES.items()
            for function in functions
        }
    for module, functions in _MODULES.items():
        if name in functions:
            return getattr(importlib.import_module(f"daxa.process.xmm.{module}"), name)
    raise AttributeError(f"module 'daxa.process.xmm' has no attribute {name!r}")
