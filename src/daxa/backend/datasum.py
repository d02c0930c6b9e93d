"""What a file holds, whatever its time and place: a checksum without what changes from one making to another.

Of a FITS file everything counts but the cards that say when, where and by which program it was written; of
the summary of an observation everything but the folder of the raw files, what odfingest tells of itself and
comments, of which those count that say what is assumed. Any other file counts as it is.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import BinaryIO

from daxa.xmm.formats.summary import ASSUMED_MARK

_BLOCK = 2880
_WIDTH = 80
#: Cards that differ between files of equal content; the second kind stands for all that begin so.
_LEFT_OUT = ("DATE", "CHECKSUM", "DATASUM", "CREATOR", "ORIGIN", "USER", "SLCTEXPR")
_LEFT_OUT_BEGINNINGS = ("XPROC", "XDAL", "FILEN", "HISTORY", "COMMENT")
_LEFT_OUT_OF_SUMMARIES = (b"PATH ", b"//", b"PROCESS_DATE", b"SAS_MANIFEST", b"ODFINGEST_VERSION")
_ASSUMED = ASSUMED_MARK.encode()
_AXIS = re.compile(r"NAXIS\d+", re.ASCII)
_CHUNK = 1 << 20


def sums(path: Path) -> tuple[str, str]:
    """SHA-256 of a file, and of what it holds.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    sha256, data
        Hexadecimal. Equal where the file is not a FITS file, or one that is cut off.

    Raises
    ------
    OSError
        It cannot be read.
    """
    whole = hashlib.sha256()
    with path.open("rb") as handle:
        try:
            held = _of_summary(handle, whole) if "SUM.SAS" in path.name else _of_fits(handle, whole)
        except ValueError:
            held = None
        # What is left is hashed as it is; trailing bytes are not content of FITS.
        for chunk in iter(lambda: handle.read(_CHUNK), b""):
            whole.update(chunk)
    sha256 = whole.hexdigest()
    return sha256, sha256 if held is None else held


def data_checksum(path: Path) -> str:
    """Checksum of what a file holds.

    Parameters
    ----------
    path
        The file.
    """
    return sums(path)[1]


def _of_summary(handle: BinaryIO, whole: hashlib._Hash) -> str:
    held = hashlib.sha256()
    for line in handle:
        whole.update(line)
        if line.startswith(_ASSUMED) or not line.startswith(_LEFT_OUT_OF_SUMMARIES):
            held.update(line)
    return held.hexdigest()


def _of_fits(handle: BinaryIO, whole: hashlib._Hash) -> str | None:
    held = hashlib.sha256()
    first = True
    while True:
        header = _header(handle, whole, first)
        if header is None:
            return None if first else held.hexdigest()
        first = False
        held.update(b"".join(c for c in _joined(header) if not _left_out(c)))
        left = _data_size(header)
        left += -left % _BLOCK
        while left:
            chunk = handle.read(min(left, _CHUNK))
            if not chunk:
                raise ValueError("cut off")
            whole.update(chunk)
            held.update(chunk)
            left -= len(chunk)


def _header(handle: BinaryIO, whole: hashlib._Hash, first: bool) -> list[bytes] | None:
    """Cards of the next header; None at the end."""
    cards: list[bytes] = []
    while True:
        block = handle.read(_BLOCK)
        whole.update(block)
        start = b"SIMPLE  =" if first else b"XTENSION="
        if not cards and not block.startswith(start):
            return None
        if len(block) < _BLOCK:
            raise ValueError("cut off")
        for k in range(0, _BLOCK, _WIDTH):
            card = block[k : k + _WIDTH]
            if card.startswith(b"END     "):
                return cards
            cards.append(card)


def _joined(cards: list[bytes]) -> list[bytes]:
    """Cards with their continuations."""
    joined: list[bytes] = []
    for card in cards:
        if card.startswith(b"CONTINUE") and joined:
            joined[-1] += card
        else:
            joined.append(card)
    return joined


def _left_out(card: bytes) -> bool:
    keyword = card[:8].decode("ascii", "replace").rstrip()
    return keyword in _LEFT_OUT or keyword.startswith(_LEFT_OUT_BEGINNINGS)


def _data_size(cards: list[bytes]) -> int:
    """Bytes of data that follow a header, without their padding.

    Raises
    ------
    ValueError
        The header does not tell.
    """
    found: dict[str, int] = {}
    for card in cards:
        keyword = card[:8].decode("ascii", "replace").rstrip()
        if keyword in ("BITPIX", "PCOUNT", "GCOUNT") or _AXIS.fullmatch(keyword):
            found[keyword] = int(card[10:30].split(b"/")[0])
        elif keyword == "NAXIS":
            # The standard knows up to 999.
            found[keyword] = min(int(card[10:30].split(b"/")[0]), 1000)
    axes = [found.get(f"NAXIS{k}", -1) for k in range(1, found.get("NAXIS", 0) + 1)]
    if not axes:
        return 0
    if "BITPIX" not in found or min(*axes, found.get("PCOUNT", 0), found.get("GCOUNT", 1)) < 0:
        raise ValueError("no sizes")
    size = math.prod(axes)
    return abs(found["BITPIX"]) // 8 * found.get("GCOUNT", 1) * (found.get("PCOUNT", 0) + size)
