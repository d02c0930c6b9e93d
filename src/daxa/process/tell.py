"""Warnings that point at the line that called a step, however deep in here they are given."""

from __future__ import annotations

import sys
import warnings


class FailuresWarning(UserWarning):
    """Jobs of a call have failed; whoever tells each failure otherwise need not tell this."""


def tell(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn users of something.

    Parameters
    ----------
    text
        The warning.
    category
        Its class.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("daxa.process."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
