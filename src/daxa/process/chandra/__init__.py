"""Processing of Chandra data: with CIAO, and in Python where that is not needed."""

from __future__ import annotations

from daxa.process.lookup import getter

_MODULES = {
    "setup": ("prepare_chandra_info",),
    "assemble": ("chandra_repro", "cleaned_chandra_evts"),
    "clean": ("deflare",),
    "generate": ("flux_image", "rate_image"),
}

__all__ = [function for functions in _MODULES.values() for function in functions]
__getattr__ = getter("daxa.process.chandra", _MODULES)
