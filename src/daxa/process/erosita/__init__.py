"""Processing of eROSITA data: with eSASS, and in Python where that is not needed."""

from __future__ import annotations

from daxa.process.lookup import getter

_MODULES = {"clean": ("flaregti",), "assemble": ("cleaned_evt_lists",)}

__all__ = [function for functions in _MODULES.values() for function in functions]
__getattr__ = getter("daxa.process.erosita", _MODULES)
