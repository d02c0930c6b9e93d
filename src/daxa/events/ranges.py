"""Ranges and sets of values as parameters of tasks."""

from __future__ import annotations

import re

from daxa.events.lists import Range
from daxa.xmm.errors import TaskError

_RANGE = re.compile(r"(\w+):([-+.\deE]+):([-+.\deE]+)(\]?)", re.ASCII)
_VALUES = re.compile(r"(\w+):(\d+(?:,\d+)*)", re.ASCII)


def parse_range(text: str) -> Range:
    """A range of values from ``COLUMN:lo:hi``; with ``]`` behind it the upper limit belongs to it.

    Parameters
    ----------
    text
        The text.

    Raises
    ------
    TaskError
        ``badRange``: it is none.

    Examples
    --------
    >>> print(parse_range("energy:500:7000"))
    energy 500 to 7000
    """
    match = _RANGE.fullmatch(text)
    try:
        if match is not None:
            return Range(match[1], float(match[2]), float(match[3]), bool(match[4]))
    except ValueError:  # of digits in an order that is no number
        pass
    raise TaskError("badRange", f"ranges: expected COLUMN:lo:hi or COLUMN:lo:hi], got {text!r}")


def parse_values(text: str) -> tuple[str, tuple[int, ...]]:
    """A column and the whole numbers that are kept, from ``COLUMN:a,b,c``.

    Parameters
    ----------
    text
        The text.

    Raises
    ------
    TaskError
        ``badValues``: it is none.

    Examples
    --------
    >>> parse_values("grade:0,2,3")
    ('grade', (0, 2, 3))
    """
    match = _VALUES.fullmatch(text)
    if match is None:
        raise TaskError("badValues", f"values: expected COLUMN:a,b,c, got {text!r}")
    return match[1], tuple(int(v) for v in match[2].split(","))
