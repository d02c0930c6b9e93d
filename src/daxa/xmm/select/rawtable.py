"""FITS files as blocks of bytes: tables read in chunks of rows, files copied block by block.

Event lists may be larger than memory. Rows are read into one buffer of fixed size and written back as
they are; only columns that are needed are converted.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from daxa.xmm.task import TaskError

if TYPE_CHECKING:
    from astropy.io import fits

BLOCK = 2880
#: Bytes of rows held at a time; small enough to stay in a processor's cache.
CHUNK_BYTES = 4 << 20


@dataclass(frozen=True)
class Field:
    """Where a column lies in a row, and how stored values become physical ones."""

    dtype: np.dtype
    scale: float = 1.0
    zero: float = 0.0
    unit: str = ""


class RawTable:
    """A binary table of an uncompressed FITS file.

    Attributes
    ----------
    path, hdu_index, name
        Where it is.
    header
        Its header.
    count, row_bytes
        Number and length of its rows.
    fields
        Columns by name.
    """

    def __init__(self, path: Path, hdu_index: int, hdu: fits.BinTableHDU) -> None:
        self.path = path
        self.hdu_index = hdu_index
        self.name = hdu.name
        self.header = hdu.header
        self.count = int(hdu.header["NAXIS2"])
        self.row_bytes = int(hdu.header["NAXIS1"])
        self._offset = int(hdu.fileinfo()["datLoc"])
        dtype = hdu.columns.dtype.newbyteorder(">")
        names = list(dtype.names or ())
        described = dtype.fields or {}
        offsets = [described[n][1] for n in names]
        self.dtype = np.dtype(
            {
                "names": names,
                "formats": [described[n][0] for n in names],
                "offsets": offsets,
                "itemsize": self.row_bytes,
            }
        )
        self.fields = {
            column.name: Field(
                described[column.name][0],
                1.0 if column.bscale in ("", None) else float(column.bscale),
                0.0 if column.bzero in ("", None) else float(column.bzero),
                column.unit or "",
            )
            for column in hdu.columns
        }

    def chunks(self, chunk_bytes: int = CHUNK_BYTES) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield the number of rows before a chunk, and its rows as bytes (rows, row_bytes).

        The array is reused for the next chunk.
        """
        if not self.count or not self.row_bytes:
            return
        rows = max(1, min(self.count, chunk_bytes // self.row_bytes))
        buffer = np.empty((rows, self.row_bytes), np.uint8)
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self._offset)
            for row0 in range(0, self.count, rows):
                part = buffer[: min(rows, self.count - row0)]
                view = memoryview(part.data).cast("B")
                done = 0
                while done < len(view):
                    got = file.readinto(view[done:])
                    if not got:
                        raise TaskError(
                            "truncatedFile", f"{self.path}[{self.name}] ends before row {self.count}"
                        )
                    done += got
                yield row0, part

    def columns(self, part: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        """Columns of a chunk by name, converted when asked for."""
        return _Columns(self, part)

    def number(self, column: str) -> int:
        """1-based number of a column.

        Raises
        ------
        TaskError
            There is no such column.
        """
        for i in range(1, int(self.header["TFIELDS"]) + 1):
            if str(self.header.get(f"TTYPE{i}", "")).strip() == column:
                return i
        raise TaskError("missingColumn", f"{self.path}[{self.name}]: no column {column}")

    def keyword(self, key: str, column: str) -> Any:
        """Value of a keyword of a column (``TLMIN`` ...), None if absent."""
        return self.header.get(f"{key}{self.number(column)}")

    @property
    def units(self) -> dict[str, str]:
        """Unit of each column."""
        return {name: f.unit for name, f in self.fields.items()}


class _Columns(Mapping[str, npt.NDArray[Any]]):
    def __init__(self, table: RawTable, part: npt.NDArray[Any]) -> None:
        self._table = table
        self._rows = part.reshape(-1).view(table.dtype)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        field = self._table.fields[name]
        values = self._rows[name]
        if field.scale != 1.0 or field.zero != 0.0:
            whole = field.scale == int(field.scale) and field.zero == int(field.zero)
            if values.dtype.kind in "iu" and whole:
                return values.astype(np.int64) * int(field.scale) + int(field.zero)
            return values.astype(np.float64) * field.scale + field.zero
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.fields)

    def __len__(self) -> int:
        return len(self._table.fields)


def plain_file(path: Path, scratch: Path) -> Path:
    """The file itself, or its decompressed copy in ``scratch`` if it is gzipped."""
    import gzip
    import shutil

    try:
        with open(path, "rb") as file:
            magic = file.read(2)
    except FileNotFoundError:
        raise TaskError("fileNotFound", f"{path}: no such file") from None
    if magic != b"\x1f\x8b":
        return path
    copy = scratch / (path.stem + ".fits")
    with gzip.open(path, "rb") as source, open(copy, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return copy


def hdu_bytes(hdu: Any) -> bytes:
    """A small extension as it stands in a file."""
    stream = io.BytesIO()
    from astropy.io import fits

    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
    return stream.getvalue()[BLOCK:]


def copy_bytes(source: BinaryIO, target: BinaryIO, start: int, length: int) -> None:
    """Copy part of a file."""
    source.seek(start)
    while length:
        piece = source.read(min(length, 4 << 20))
        if not piece:
            raise TaskError("truncatedFile", f"{source.name} is shorter than its headers say")
        target.write(piece)
        length -= len(piece)


def rewrite(
    source: Path,
    target: Path,
    changed: Mapping[int, bytes | Callable[[BinaryIO], None] | None],
    appended: list[bytes],
) -> None:
    """Copy a FITS file, replacing some of its blocks.

    Parameters
    ----------
    changed
        By HDU index: the block's new bytes, a function that writes it, or None to leave it out.
    appended
        Blocks to add at the end.
    """
    from astropy.io import fits

    with fits.open(source, memmap=False, lazy_load_hdus=False) as hdus:
        infos = [h.fileinfo() for h in hdus]
    spans = [(i["hdrLoc"], i["datLoc"] + i["datSpan"] - i["hdrLoc"]) for i in infos]
    with open(source, "rb") as old, open(target, "wb") as new:
        for index, (start, length) in enumerate(spans):
            if index not in changed:
                copy_bytes(old, new, start, length)
                continue
            block = changed[index]
            if isinstance(block, bytes):
                new.write(block)
            elif block is not None:
                block(new)
        for block in appended:
            new.write(block)


class RowWriter:
    """Writes a table whose number of rows is known only at the end."""

    def __init__(self, file: BinaryIO, header: fits.Header) -> None:
        self._file = file
        self._header = header
        self._start = file.tell()
        self._row_bytes = int(header["NAXIS1"])
        self.count = 0
        file.write(header.tostring().encode("ascii"))

    def write(self, rows: npt.NDArray[Any]) -> None:
        """Append rows (count, row_bytes)."""
        if not len(rows):
            return
        self._file.write(memoryview(np.ascontiguousarray(rows).data).cast("B"))
        self.count += len(rows)

    def close(self) -> None:
        """Pad the last block and put the number of rows into the header."""
        self._file.write(b"\0" * (-self.count * self._row_bytes % BLOCK))
        self._header["NAXIS2"] = self.count
        end = self._file.tell()
        self._file.seek(self._start)
        self._file.write(self._header.tostring().encode("ascii"))
        self._file.seek(end, os.SEEK_SET)
