"""Processing of XMM-Newton data."""

from __future__ import annotations

from daxa.process.lookup import getter

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
    "spectra": ("generate_matrices", "generate_spectra"),
    "lightcurves": ("generate_lightcurves",),
}

__all__ = [function for functions in _MODULES.values() for function in functions]
__getattr__ = getter("daxa.process.xmm", _MODULES)
