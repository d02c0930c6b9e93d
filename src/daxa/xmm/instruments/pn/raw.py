"""Headers of raw pn files, checked once."""

from __future__ import annotations

from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import verify_error

_NUMBERS = ("QUADRANT", "CCDID", "CCDMODE", "FRMTIME", "WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")


def check_header(header: Any, where: str) -> None:
    """Refuse a header with a card that cannot be read, or with the numbers used here as text.

    Raises
    ------
    TaskError
        ``damagedFile``.
    """
    try:
        for card in header.cards:
            _ = card.value
    except verify_error() as error:
        raise TaskError("damagedFile", f"{where}: {error}") from error
    for name in _NUMBERS:
        if name in header and not isinstance(header[name], (int, float)):
            raise TaskError("damagedFile", f"{where}: keyword {name} is {header[name]!r}, not a number")


def read_window(header: Any) -> tuple[int, int, int, int]:
    """Read-out window (RAWX and RAWY of its first pixel, size) from the header of an event file."""
    x0, y0 = int(header.get("WINDOWX0", 0)) + 1, int(header.get("WINDOWY0", 0)) + 1
    size = int(header.get("WINDOWDX", 65 - x0)), int(header.get("WINDOWDY", 201 - y0))
    if not (1 <= x0 <= 64 and 1 <= y0 <= 200 and min(size) >= 1):
        raise TaskError(
            "illegalODF", f"window of {size[0]} x {size[1]} pixels at ({x0}, {y0}) is not on a CCD"
        )
    return x0, y0, *size


def parse_ccds(text: str) -> list[int]:
    """CCD numbers of a list such as ``1,6-9,12``.

    Raises
    ------
    TaskError
        ``ccdlist``.
    """
    ccds: set[int] = set()
    for part in text.replace(" ", ",").split(","):
        if not part:
            continue
        first, _, last = part.partition("-")
        if not (first.isdigit() and (not last or last.isdigit())):
            raise TaskError("ccdlist", f"ccds={text}: expected numbers and ranges such as 1,6-9,12")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers[0] < 1 or numbers[-1] > 12:
            raise TaskError("ccdlist", f"ccds={text}: the pn has CCDs 1 to 12")
        ccds.update(numbers)
    if not ccds:
        raise TaskError("ccdlist", "ccds: no CCD is given")
    return sorted(ccds)
