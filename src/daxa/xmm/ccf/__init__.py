"""Calibration files: finding, fetching, indexing and reading them."""

from daxa.xmm.errors import DamagedConstituent, MissingConstituent, UnknownLayout

__all__ = ["DamagedConstituent", "MissingConstituent", "UnknownLayout"]
