"""Fixtures of the stand-ins for SAS, CIAO and NuSTARDAS."""

from fake_programs import chandra, nustar, programs
from fake_sas import archive, sas

__all__ = ["archive", "chandra", "nustar", "programs", "sas"]
