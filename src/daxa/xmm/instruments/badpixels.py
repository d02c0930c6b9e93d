"""Codes of bad pixels that the cameras share: what they are and who found them."""

from __future__ import annotations

HOT, FLICKERING, DEAD = 1, 2, 3
ONBOARD, CALIBRATION, FOUND = 1, 2, 3
