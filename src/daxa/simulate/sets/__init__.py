"""Whole simulated data sets."""
