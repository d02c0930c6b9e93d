"""Processing of NuSTAR data with NuSTARDAS."""

from __future__ import annotations

from daxa.process.lookup import getter

_MODULES = {
    "setup": ("prepare_nustar_info",),
    "assemble": ("nupipeline_calibrate",),
    "clean": ("nupipeline_screen",),
    "generate": ("nuproducts", "sky_images"),
}

__all__ = [function for functions in _MODULES.values() for function in functions]
__getattr__ = getter("daxa.process.nustar", _MODULES)
