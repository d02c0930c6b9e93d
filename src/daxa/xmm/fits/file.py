"""FITS files as blocks of bytes, headers parsed only when they are asked for.

An event list has some fifty extensions, of which a task needs a few keywords and columns: parsing and
rewriting all of them would take longer than its own work.
"""

from __future__ import annotations

import functools
import io
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.header import BLOCK, Card, Header, find_card, read_raw_header
from daxa.xmm.notes import note_product

if TYPE_CHECKING:
    from astropy.io import fits

_FORM = re.compile(r"(\d*)([LXBIJKAEDCMPQ])")
_PIECE = 256 << 10
_TYPES = {
    "L": "i1", "X": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "C": ">c8",
    "M": ">c16", "P": ">i4", "Q": ">i8",
}  # fmt: skip
#: What a block is and where it ends: asked of every header, and of most nothing else.
_OF_EVERY_BLOCK = ("XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "EXTNAME")
#: What FITS allows.
_MOST_AXES, _MOST_COLUMNS = 999, 999


def is_gzipped(path: Path) -> bool:
    """Whether a file starts as gzip files do.

    Parameters
    ----------
    path
        The file.
    """
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _open(path: Path) -> BinaryIO:
    if not is_gzipped(path):
        return open(path, "rb")
    import gzip

    return gzip.open(path, "rb")  # type: ignore[return-value]


def is_fits(path: Path) -> bool:
    """Whether a file, gzipped or not, starts as FITS files do.

    Parameters
    ----------
    path
        The file.
    """
    try:
        with _open(path) as file:
            return file.read(9) == b"SIMPLE  ="
    except (OSError, EOFError):
        return False


def column_dtype(form: str) -> np.dtype:
    """Type of a cell as stored, from its TFORM.

    Parameters
    ----------
    form
        The TFORM.

    Raises
    ------
    ValueError
        The text is not a TFORM of a binary table.

    Examples
    --------
    >>> column_dtype("2D").shape, column_dtype("16A")
    ((2,), dtype('S16'))
    """
    match = _FORM.match(form.strip())
    if not match:
        raise ValueError(f"{form!r} is not a TFORM of a binary table")
    repeat, letter = int(match[1] or 1), match[2]
    if letter == "A":
        return np.dtype(f"S{repeat}")
    repeat = {"X": (repeat + 7) // 8, "P": 2 * repeat, "Q": 2 * repeat}.get(letter, repeat)
    return np.dtype(_TYPES[letter]) if repeat == 1 else np.dtype((_TYPES[letter], (repeat,)))


class Hdu:
    """One block of a file.

    Attributes
    ----------
    path, index, start
        Where it is: file, number, first byte.
    raw
        Its header as it stands in the file.
    name
        EXTNAME in upper case; PRIMARY for a first block without one.
    """

    def __init__(self, path: Path, index: int, start: int, raw: bytes) -> None:
        self.path, self.index, self.start, self.raw = path, index, start, raw
        axes = [self._count(f"NAXIS{i}") for i in range(1, self._count("NAXIS", most=_MOST_AXES) + 1)]
        self.row_bytes, self.rows = (axes[0], axes[1]) if len(axes) == 2 else (0, 0)
        size = abs(self.number("BITPIX")) // 8 * self._count("GCOUNT", 1)
        self.data_bytes = size * (self._count("PCOUNT") + (math.prod(axes) if axes else 0))
        self.data_start = start + len(raw)
        self.end = self.data_start + -(-self.data_bytes // BLOCK) * BLOCK
        self.name = (self.text("EXTNAME") or ("PRIMARY" if index == 0 else "")).upper()
        self.is_table = self.text("XTENSION") in ("BINTABLE", "A3DTABLE")

    @functools.cached_property
    def header(self) -> Header:
        """Its cards."""
        return Header.fromstring(self.raw)

    def text(self, key: str, default: str = "") -> str:
        """Value of a keyword as text.

        Parameters
        ----------
        key
            The keyword.
        default
            What stands for a keyword that is absent.
        """
        value = self._value(key)
        return default if value is None else str(value)

    def number(self, key: str, default: int = 0) -> int:
        """Value of an integer keyword.

        Parameters
        ----------
        key
            The keyword.
        default
            What stands for a keyword that is absent.

        Raises
        ------
        TaskError
            ``badHeader``: the value is not an integer.
        """
        value = self._value(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise TaskError("badHeader", f"{self.path}[{self.index}]: {key} is not an integer: {value}")
        return value

    def _count(self, key: str, default: int = 0, most: int | None = None) -> int:
        """Value of a keyword that counts something: a negative size would lead back into the file."""
        value = self.number(key, default)
        if value < 0 or (most is not None and value > most):
            expected = "0 or more" if most is None else f"0 to {most}"
            raise TaskError("badHeader", f"{self.path}[{self.index}]: {key} is {value}, expected {expected}")
        return value

    def _value(self, key: str) -> Any:
        try:
            if key.startswith(_OF_EVERY_BLOCK):
                card = find_card(self.raw, key)
                return None if card is None else card.value
            return self.header.get(key)
        except ValueError as error:
            raise TaskError("badHeader", f"{self.path}[{self.index}]: {error}") from None

    @functools.cached_property
    def dtype(self) -> np.dtype:
        """Layout of a table's row as stored."""
        names, formats, offsets, offset = [], [], [], 0
        for i in range(1, self._count("TFIELDS", most=_MOST_COLUMNS) + 1):
            try:
                dtype = column_dtype(self.text(f"TFORM{i}"))
            except ValueError as error:
                raise TaskError("badColumn", f"{self.path}[{self.name}], column {i}: {error}") from error
            names.append(self.text(f"TTYPE{i}") or f"col{i}")
            formats.append(dtype)
            offsets.append(offset)
            offset += dtype.itemsize
        twice = [name for number, name in enumerate(names) if name in names[:number]]
        if twice:
            raise TaskError("badColumn", f"{self.path}[{self.name}]: two columns have the name {twice[0]}")
        if offset > self.row_bytes:
            raise TaskError(
                "badColumn",
                f"{self.path}[{self.name}]: columns of {offset} bytes in rows of {self.row_bytes}",
            )
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": self.row_bytes})

    def read(self, start: int | None = None, length: int | None = None) -> bytes:
        """The block as it stands in the file, or a part of the file.

        Parameters
        ----------
        start, length
            First byte in the file and number of bytes; the whole block by default.

        Raises
        ------
        TaskError
            ``truncatedFile``: the file is shorter.
        """
        start = self.start if start is None else start
        length = self.end - start if length is None else length
        with _open(self.path) as file:
            file.seek(start)
            found = file.read(length)
        if len(found) < length:
            raise TaskError("truncatedFile", f"{self.path}[{self.name}] is shorter than its header says")
        return found

    def to_astropy(self) -> fits.BinTableHDU:
        """The table with everything that astropy can do with it."""
        from astropy.io import fits

        return fits.BinTableHDU.fromstring(self.read())

    @functools.cached_property
    def data(self) -> npt.NDArray[Any]:
        """Rows of a table as stored; with physical values where the columns are scaled."""
        if any(key.startswith(("TSCAL", "TZERO")) for key in self.header):
            return self.to_astropy().data
        return np.frombuffer(self.read(self.data_start, self.row_bytes * self.rows), self.dtype)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a table's columns."""
        return self.dtype.names or ()


class FitsFile(list[Hdu]):
    """The blocks of a FITS file (which may be gzipped), by number or name.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    OSError
        The file is missing, is not a FITS file, or ends within a header.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self.path = Path(path)
        with _open(self.path) as file:
            start = 0
            while True:
                file.seek(start)
                raw = file.read(BLOCK)
                if not raw.startswith(b"XTENSION" if self else b"SIMPLE  "):
                    break
                try:
                    raw = read_raw_header(file, raw)
                except OSError as error:
                    raise OSError(f"{self.path}, block {len(self)}: {error}") from error
                self.append(Hdu(self.path, len(self), start, raw))
                start = self[-1].end
        if not self:
            raise OSError(f"{self.path} is not a FITS file: it does not start with SIMPLE")
        note_product(self[0].header, self.path, is_list="EVENTS" in self)

    def index_of(self, key: str | int) -> int:
        """Number of a block.

        Parameters
        ----------
        key
            Its number (from the end if negative) or its name, in any case.

        Raises
        ------
        KeyError
            There is no such block.
        """
        if isinstance(key, int):
            if -len(self) <= key < len(self):
                return key % len(self)
        else:
            name = key.strip().upper()
            for hdu in self:
                if hdu.name == name or (hdu.index == 0 and name == "PRIMARY"):
                    return hdu.index
        raise KeyError(f"{self.path}: no extension {key}")

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key if isinstance(key, slice) else self.index_of(key))

    def __contains__(self, key: object) -> bool:
        try:
            self.index_of(key)  # type: ignore[arg-type]
        except KeyError:
            return False
        return True


def block_bytes(header: Header, data: bytes | npt.NDArray[Any] = b"") -> bytes:
    """A block as it stands in a file, from its header and its data in the file's byte order.

    Parameters
    ----------
    header
        The header.
    data
        Bytes, or an array in big-endian order.
    """
    if isinstance(data, np.ndarray):
        # Its memory as it is: large tables are copied once only.
        payload = np.ascontiguousarray(data).reshape(-1).view(np.uint8).data
    else:
        payload = memoryview(data)
    return b"".join((header.tostring().encode("latin-1"), payload, b"\0" * (-len(payload) % BLOCK)))


def primary_header() -> Header:
    """Header of a first block without data."""
    return Header(
        [
            ("SIMPLE", True, "conforms to FITS standard"),
            ("BITPIX", 8, "array data type"),
            ("NAXIS", 0, "number of array dimensions"),
            ("EXTEND", True, "extensions may follow"),
        ]
    )


def image_bytes(data: npt.NDArray[Any], header: Iterable[Card] = (), extension: str = "") -> bytes:
    """An image as it stands in a file.

    Parameters
    ----------
    data : (ny, nx) array
        Its pixels.
    header
        Further cards; those that describe the structure of other data are left out.
    extension
        EXTNAME of an image that is not the first block.
    """
    first = (
        ("XTENSION", "IMAGE", "image extension")
        if extension
        else ("SIMPLE", True, "conforms to FITS standard")
    )
    bits = data.dtype.itemsize * (-8 if data.dtype.kind == "f" else 8)
    head = Header(
        [first, ("BITPIX", bits, "array data type"), ("NAXIS", data.ndim, "number of array dimensions")]
    )
    for i, size in enumerate(reversed(data.shape), start=1):
        head.append((f"NAXIS{i}", size))
    if extension:
        for key, value in (("PCOUNT", 0), ("GCOUNT", 1), ("EXTNAME", extension)):
            head.append((key, value))
    else:
        head.append(("EXTEND", True, "extensions may follow"))
    for card in Header(header).copy(strip=True).cards:
        head.append(card)
    return block_bytes(head, data.astype(data.dtype.newbyteorder(">"), copy=False))


def hdu_bytes(hdu: Any) -> bytes:
    """A block as it stands in a file, from an astropy HDU.

    Parameters
    ----------
    hdu
        Of any kind.
    """
    from astropy.io import fits

    stream = io.BytesIO()
    primary = isinstance(hdu, fits.PrimaryHDU)
    fits.HDUList([hdu] if primary else [fits.PrimaryHDU(), hdu]).writeto(
        stream, output_verify="silentfix+ignore"
    )
    return stream.getvalue()[0 if primary else BLOCK :]


def copy_bytes(source: BinaryIO, target: BinaryIO, start: int, length: int) -> None:
    """Copy part of a file.

    Parameters
    ----------
    source, target
        Opened files.
    start, length
        First byte and number of bytes.

    Raises
    ------
    TaskError
        ``truncatedFile``: the source is shorter.
    """
    source.seek(start)
    while length:
        # Pieces that stay in the cache of a core: twice as quick as pieces of some MB.
        piece = source.read(min(length, _PIECE))
        if not piece:
            raise TaskError("truncatedFile", f"{source.name} is shorter than its headers say")
        target.write(piece)
        length -= len(piece)


def rewrite(
    source: FitsFile,
    target: Path,
    changed: Mapping[int, bytes | Callable[[BinaryIO], None] | None],
    appended: Iterable[bytes] = (),
) -> None:
    """Copy a FITS file, replacing some of its blocks.

    Parameters
    ----------
    source
        The file that is copied.
    target
        The copy; replaced if it exists.
    changed
        By block number: the block's new bytes, a function that writes it, or None to leave it out.
    appended
        Blocks to add at the end.
    """
    with _open(source.path) as old, open(target, "wb") as new:
        for hdu in source:
            block = changed.get(hdu.index, b"")
            if hdu.index not in changed:
                copy_bytes(old, new, hdu.start, hdu.end - hdu.start)
            elif isinstance(block, bytes):
                new.write(block)
            elif block is not None:
                block(new)
        for part in appended:
            new.write(part)


def set_keywords(path: Path, extension: str | int, cards: Mapping[str, Any]) -> None:
    """Set keywords of one header of a file, in place where the header's blocks have room for them.

    Parameters
    ----------
    path
        Uncompressed file, which nobody else reads meanwhile.
    extension
        Name or number of the block.
    cards
        Values, or pairs of value and comment.
    """
    file = FitsFile(path)
    hdu = file[extension]
    for key, card in cards.items():
        hdu.header[key] = card
    new = block_bytes(hdu.header)
    if len(new) == len(hdu.raw):
        with open(path, "r+b") as target:
            target.seek(hdu.start)
            target.write(new)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        data = hdu.read(hdu.data_start)
        rewrite(file, temporary, {hdu.index: new + data})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
