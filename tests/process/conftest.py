"""Fixtures of the stand-in for SAS."""

from fake_sas import archive, sas

__all__ = ["archive", "sas"]
