"""Bring one file home whole: download, resume, unpack. Knows no mission and no calibration."""
