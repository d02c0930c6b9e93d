"""Effective areas and gratings."""
