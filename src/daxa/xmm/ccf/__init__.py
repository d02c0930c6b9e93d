"""Calibration files: finding, fetching, indexing and reading them."""

from daxa.xmm.ccf.errors import DamagedConstituent, MissingConstituent, UnknownLayout

__all__ = ["DamagedConstituent", "MissingConstituent", "UnknownLayout"]
