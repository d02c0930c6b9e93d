"""Sound files, read from their bytes.

astropy, which knows what to do with all others, takes ten times as long for the many small files of an
observation and of its calibration. A file is sound where its headers are as FITS wants them, to the letter,
and everything that they promise is there.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import Hdu
from daxa.xmm.fits.header import Header, read_raw_header

_WIDTH = 80
#: A card that all readers take for the same: a comment, or a keyword with a text, a boolean or a number
#: (Python takes more for numbers). A text of a keyword and a number is more than a text to astropy.
_CARD = re.compile(
    rb"(?:COMMENT |HISTORY | {8}).{72}|"
    rb"(?=[A-Z0-9_-]+ *= )[A-Z0-9_ -]{8}= +(?!'\S+: +[-+.\d])"
    rb"(?:'(?:[^']|'')*'|[TF]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[ED][-+]?\d+)?) *(?:/.*)?"
)
#: More of the text of the card before, which ends with an ampersand.
_MORE = re.compile(rb"CONTINUE  '(?:[^']|'')*' *(?:/.*)?")
#: Formats of columns whose cells are values as they are stored.
_PLAIN = re.compile(r"([1-9]\d*)?[BIJKEDA]")
#: Keywords that make a column more than that.
_CONVERTED = ("TSCAL", "TZERO", "TDIM")
_UNSIGNED = 1 << 15
#: Columns that FITS allows.
_MOST = 999


def is_sound(raw: bytes) -> bool:
    """Whether all readers take every card of a header for the same.

    Parameters
    ----------
    raw
        The header as it stands in a file.

    Examples
    --------
    >>> cards = [b"SIMPLE  =                    T", b"BITPIX  =  8", b"NAXIS   =  0", b"END"]
    >>> is_sound(b"".join(card.ljust(80) for card in cards).ljust(2880))
    True
    """
    if not raw.isascii() or not raw.decode("ascii").isprintable():
        return False
    first, second, third = (raw[i : i + 10] for i in (0, _WIDTH, 2 * _WIDTH))
    if first not in (b"SIMPLE  = ", b"XTENSION= ") or second != b"BITPIX  = " or third != b"NAXIS   = ":
        return False
    for start in range(0, len(raw), _WIDTH):
        if raw.startswith(b"END     ", start):
            return not raw[start + 3 :].strip(b" ")
        form = _CARD
        if raw.startswith(b"CONTINUE", start) and raw.find(b"&'", start - _WIDTH, start) > 0:
            form = _MORE
        if not form.fullmatch(raw, start, start + _WIDTH):
            return False
    return False


def sound_blocks(path: Path) -> list[Hdu] | None:
    """The blocks of a sound file; None where it is not one.

    Parameters
    ----------
    path
        The file, not gzipped.

    Raises
    ------
    OSError
        It cannot be opened.
    """
    blocks: list[Hdu] = []
    with path.open("rb") as file:
        size, start = file.seek(0, io.SEEK_END), 0
        while start < size:
            file.seek(start)
            block = _block(file, path, len(blocks), start)
            if block is None or block.end > size:
                return None
            blocks.append(block)
            start = block.end
    return blocks or None


def _block(file: BinaryIO, path: Path, index: int, start: int) -> Hdu | None:
    """The block whose header begins where a file stands; None where that is not sound."""
    try:
        raw = read_raw_header(file)
        if not raw.startswith(b"XTENSION= '" if index else b"SIMPLE  =") or not is_sound(raw):
            return None
        block = Hdu(path, index, start, raw)
        kind = block.text("XTENSION")
        if index and kind not in ("BINTABLE", "IMAGE"):
            return None
        if not index and block.header["SIMPLE"] is not True:
            return None
        if kind == "BINTABLE" and not (
            block.number("BITPIX") == 8
            and block.number("NAXIS") == 2
            and 0 < block.number("TFIELDS") <= _MOST
        ):
            return None
    except (TaskError, OSError, KeyError, ValueError, TypeError):
        return None
    return block


def sound_table(data: bytes, wanted: int | str) -> tuple[Header, Header, np.ndarray] | None:
    """Primary header, header and rows of a binary table of plain numbers and texts.

    Parameters
    ----------
    data
        The uncompressed file.
    wanted
        Position (1 is the first extension) or name of the extension.

    Returns
    -------
    tuple or None
        The rows are a structured array. None where the file is not sound up to the table, or a column needs a
        conversion other than that of unsigned integers.
    """
    found = _find(data, wanted)
    if found is None:
        return None
    primary, hdu = found
    try:
        rows = _converted(hdu, plain_rows(data, hdu, converted=True))
    except (TaskError, ValueError):
        return None
    return None if rows is None else (primary.header, hdu.header, rows)


def _find(data: bytes, wanted: int | str) -> tuple[Hdu, Hdu] | None:
    """The first block, without data, and that of the table; None unless they and all between are sound."""
    stream = io.BytesIO(data)
    primary = block = _block(stream, Path(), 0, 0)
    name = wanted.strip().upper() if isinstance(wanted, str) else None
    while block is not None and block.index != wanted and (name is None or block.name != name):
        stream.seek(block.end)
        block = _block(stream, Path(), block.index + 1, block.end)
    if primary is None or block is None or block is primary or primary.number("NAXIS"):
        return None
    fixed = block.is_table and block.number("PCOUNT") == 0 and block.number("GCOUNT") == 1
    return (primary, block) if fixed and block.data_start + block.data_bytes <= len(data) else None


def plain_rows(data: bytes, hdu: Hdu, *, converted: bool = False) -> np.ndarray | None:
    """Rows of a table as stored; None where its columns are not plain numbers and texts.

    Parameters
    ----------
    data
        The uncompressed file.
    hdu
        The table.
    converted
        Whether columns may be stored with a scale or a zero.

    Raises
    ------
    TaskError
        Its header does not describe a table.
    """
    numbers = range(1, hdu.number("TFIELDS") + 1)
    names = [str(name) for i in numbers if isinstance(name := hdu.header.get(f"TTYPE{i}"), str)]
    plain = all(_PLAIN.fullmatch(hdu.text(f"TFORM{i}")) for i in numbers)
    changed = ("TDIM",) if converted else _CONVERTED
    if any(key.startswith(changed) for key in hdu.header):
        return None
    if not plain or not all(names) or len({n.lower() for n in names}) < len(numbers):
        return None
    dtype = hdu.dtype
    if not names or sum(dtype[name].itemsize for name in names) != dtype.itemsize:
        return None
    return np.frombuffer(data, dtype, hdu.rows, hdu.data_start)


def _converted(hdu: Hdu, rows: np.ndarray | None) -> np.ndarray | None:
    """Rows with unsigned integers where these are stored as signed ones; None for any other conversion."""
    if rows is None or not any(key.startswith(_CONVERTED) for key in hdu.header):
        return rows
    names = rows.dtype.names or ()
    unsigned = []
    for number, name in enumerate(names, start=1):
        scale, zero = hdu.header.get(f"TSCAL{number}", 1), hdu.header.get(f"TZERO{number}", 0)
        if scale == 1 and zero == 0:
            continue
        if scale != 1 or zero != _UNSIGNED or rows.dtype[name].base != np.dtype(">i2"):
            return None
        unsigned.append(name)
    texts = [rows[name] for name in names if rows.dtype[name].kind == "S"]
    if any(np.ascontiguousarray(text).view(np.uint8).max(initial=0) >= 128 for text in texts):
        return None
    types = [(n, ">u2" if n in unsigned else rows.dtype[n].base, rows.dtype[n].shape) for n in names]
    result = np.empty(len(rows), types)
    for name in names:
        result[name] = rows[name].view(">u2") ^ np.uint16(_UNSIGNED) if name in unsigned else rows[name]
    return result
