"""Tables read and written in chunks of rows.

Event lists may be larger than memory. Rows are read into one buffer of fixed size and written back as
they are; only columns that are needed are converted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import Hdu, is_gzipped
from daxa.xmm.fits.header import BLOCK, Header
from daxa.xmm.fits.schema import name_of_column

#: Bytes of rows held at a time: they and what is made of them stay in the cache of one core, and their
#: arrays are small enough for the allocator to use the same memory again.
CHUNK_BYTES = 512 << 10


@dataclass(frozen=True)
class Field:
    """Where a column lies in a row, and how stored values become physical ones."""

    dtype: np.dtype
    scale: float = 1.0
    zero: float = 0.0
    unit: str = ""


class RawTable:
    """A binary table of an uncompressed FITS file.

    Parameters
    ----------
    hdu
        Block of the table.

    Attributes
    ----------
    path, hdu_index, name
        Where it is.
    header
        Its header.
    count, row_bytes
        Number and length of its rows.
    fields
        Columns by name; case does not count, as in all of this class.
    """

    def __init__(self, hdu: Hdu) -> None:
        self.path = hdu.path
        self.hdu_index = hdu.index
        self.name = hdu.name
        self.header = hdu.header
        self.count = hdu.rows
        self.row_bytes = hdu.row_bytes
        self._offset = hdu.data_start
        self.dtype = hdu.dtype
        self._numbers = {name: i for i, name in enumerate(hdu.columns, start=1)}

        def factor(key: str, default: float) -> float:
            value = hdu.header.get(key)
            return default if value is None else float(value)

        described: Mapping[str, Any] = self.dtype.fields or {}
        self.fields: Mapping[str, Field] = _Named(
            {
                name: Field(
                    described[name][0],
                    factor(f"TSCAL{i}", 1.0),
                    factor(f"TZERO{i}", 0.0),
                    hdu.text(f"TUNIT{i}"),
                )
                for name, i in self._numbers.items()
            }
        )

    def chunks(self, chunk_bytes: int = CHUNK_BYTES) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield the number of rows before a chunk, and its rows as bytes (rows, row_bytes).

        The array is reused for the next chunk.

        Parameters
        ----------
        chunk_bytes
            Size of a chunk, in whole rows.
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
        """Columns of a chunk by name, converted when asked for.

        Parameters
        ----------
        part
            A chunk of :meth:`chunks`.
        """
        return _Columns(self, part)

    def number(self, column: str) -> int:
        """1-based number of a column.

        Parameters
        ----------
        column
            Name of the column.

        Raises
        ------
        TaskError
            There is no such column.
        """
        return self._numbers[self.spelled(column)]

    def spelled(self, column: str) -> str:
        """The name of a column as the table spells it.

        Parameters
        ----------
        column
            Name of the column, in any case if no two columns differ only in case.

        Raises
        ------
        TaskError
            There is no such column.
        """
        found = name_of_column(self._numbers, column)
        if found is None:
            raise TaskError("missingColumn", f"{self.path}[{self.name}]: no column {column}")
        return found

    def keyword(self, key: str, column: str) -> Any:
        """Value of a keyword of a column (``TLMIN`` ...), None if absent.

        Parameters
        ----------
        key
            The keyword without its number.
        column
            Name of the column.
        """
        return self.header.get(f"{key}{self.number(column)}")

    @property
    def units(self) -> dict[str, str]:
        """Unit of each column."""
        return {name: f.unit for name, f in self.fields.items()}


class _Named(dict[str, Field]):
    """Columns found by their names, also in another case."""

    def __missing__(self, name: str) -> Field:
        found = name_of_column(self, name)
        if found is None:
            raise KeyError(name)
        return self[found]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name_of_column(self, str(name)) is not None


class _Columns(Mapping[str, npt.NDArray[Any]]):
    def __init__(self, table: RawTable, part: npt.NDArray[Any]) -> None:
        self._table = table
        self._rows = part.reshape(-1).view(table.dtype)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        name = self._table.spelled(name)
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


def plain_file(path: Path, scratch: ExitStack) -> Path:
    """The file itself, or its decompressed copy, deleted with ``scratch``, if it is gzipped.

    Parameters
    ----------
    path
        The file.
    scratch
        Exit stack whose end deletes the copy.
    """
    try:
        if not is_gzipped(path):
            return path
    except FileNotFoundError:
        raise TaskError("fileNotFound", f"{path}: no such file") from None
    import gzip
    import shutil
    import tempfile

    folder = scratch.enter_context(tempfile.TemporaryDirectory(prefix="plain"))
    copy = Path(folder) / (path.stem + ".fits")
    with gzip.open(path, "rb") as source, open(copy, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return copy


class RowWriter:
    """Writes a table whose number of rows is known only at the end.

    Parameters
    ----------
    file
        File to write to, at the place of the table.
    header
        Header of the table; its number of rows is set at the end.
    """

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._header = header
        self._start = file.tell()
        self._row_bytes = int(header["NAXIS1"])
        self.count = 0
        file.write(header.tostring().encode("latin-1"))

    def write(self, rows: npt.NDArray[Any]) -> None:
        """Append rows (count, row_bytes).

        Parameters
        ----------
        rows
            Rows as bytes, shape (n, row_bytes).
        """
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
        self._file.write(self._header.tostring().encode("latin-1"))
        self._file.seek(end, os.SEEK_SET)
