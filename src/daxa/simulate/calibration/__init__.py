"""Synthetic calibration files."""
