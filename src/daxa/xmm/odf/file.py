"""One file of an Observation Data File set, plain or gzipped: its headers, tables and images."""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import Hdu
from daxa.xmm.fits.hdus import is_image, is_table, open_hdus, verify_error
from daxa.xmm.fits.header import BLOCK, Header, read_header
from daxa.xmm.fits.schema import Column
from daxa.xmm.fits.sound import plain_rows, sound_table
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.odf.damage import DAMAGE, Unreadable, check_fields, damage_text, with_damage_marked
from daxa.xmm.odf.table import OdfTable

_OBS_ID = re.compile(r"\d{10}")
#: Bytes that a raw file has at most, unpacked (assumed: the largest real ones have some hundred million).
LARGEST = 4 * 2**30
_ORIGIN = re.compile(rb"ORIGIN  = '([^']*)'")


def _unpacked(data: bytes) -> bytes:
    """The content of a gzip file, if it is not larger than any raw file."""
    parts, size = [], 0
    while data:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        parts.append(unpacker.decompress(data, LARGEST - size + 1))
        size += len(parts[-1])
        if size > LARGEST:
            raise OSError(f"it unpacks to more than {LARGEST >> 20} MiB, as no raw file does")
        if not unpacker.eof:
            raise EOFError("the compressed file ends too early")
        data = unpacker.unused_data.lstrip(b"\0")
    return parts[0] if len(parts) == 1 else b"".join(parts)


@dataclass(frozen=True)
class OdfFile:
    """One component: the fields of its name, and where it is."""

    name: OdfName
    path: Path

    def bytes(self) -> bytes:
        """The uncompressed content.

        Raises
        ------
        TaskError
            ``damagedFile``: it cannot be read or unpacked, or unpacks to more than any raw file has.
        """
        try:
            data = self.path.read_bytes()
            return _unpacked(data) if data[:2] == b"\x1f\x8b" else data
        except (OSError, EOFError, zlib.error, MemoryError) as error:
            why = str(error) or type(error).__name__
            raise TaskError("damagedFile", f"{self.path.name}: cannot be read: {why}") from error

    def _stream(self) -> Any:
        with self.path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        return gzip.open(self.path) if packed else self.path.open("rb")

    def origin(self) -> str | None:
        """ORIGIN of the primary header, found without reading all of it; None if the file is unreadable."""
        try:
            with self._stream() as stream:
                start = stream.read(2 * BLOCK)
        except DAMAGE:
            return None
        match = _ORIGIN.search(start)
        if match:
            return match[1].decode("latin-1").strip()
        return "" if start.startswith(b"SIMPLE") else None

    def headers(self) -> tuple[Header, Header]:
        """Primary header and header of the first extension (the primary one again if there is none).

        Raises
        ------
        TaskError
            ``damagedFile``: it does not start with FITS headers.
        """
        try:
            with self._stream() as stream:
                primary = read_header(stream)
                if primary is None or primary.get("SIMPLE") is not True:
                    raise Unreadable("no SIMPLE card at the start")
                extension = read_header(stream) or primary
            primary, extension = (with_damage_marked(h, self.path.name) for h in (primary, extension))
        except DAMAGE as error:
            text = damage_text(error)
            raise TaskError("damagedFile", f"{self.path.name}: not a readable FITS file: {text}") from error
        self._check_identity(primary, extension)
        return primary, extension

    def _check_identity(self, *headers: Any) -> None:
        """Refuse a file of an instrument whose headers name another observation or instrument than its name.

        The files of the spacecraft may serve more than one observation.

        Raises
        ------
        TaskError
            ``wrongFile``.
        """
        own = INSTRUMENTS.get(self.name.instrument)
        if own is None or self.name.instrument == "SC":
            return
        others = {*INSTRUMENTS, *INSTRUMENTS.values()} - {self.name.instrument, own}
        for header in headers:
            camera, observation = (str(header.get(key, "")).strip() for key in ("INSTRUME", "OBS_ID"))
            if camera in others:
                raise TaskError(
                    "wrongFile", f"{self.path.name}: its header says INSTRUME {camera}, not {own}"
                )
            if _OBS_ID.fullmatch(observation) and observation != self.name.obs_id:
                raise TaskError(
                    "wrongFile",
                    f"{self.path.name}: its header says OBS_ID {observation}, not {self.name.obs_id}",
                )

    def excess(self) -> str | None:
        """What lies behind the end of an extension though the headers know nothing of it; None if nothing.

        A table whose header counts too few rows reads well: only this tells.

        Raises
        ------
        TaskError
            ``damagedFile``: it does not start with FITS headers.
        """
        self.headers()
        with self._stream() as stream:
            number = -1
            try:
                while True:
                    header = read_header(stream)
                    if header is None:
                        return None
                    number += 1
                    axes = [int(header[f"NAXIS{i}"]) for i in range(1, int(header["NAXIS"]) + 1)]
                    size = int(np.prod(axes, dtype=object)) if axes else 0
                    size = (size + int(header.get("PCOUNT", 0))) * abs(int(header["BITPIX"])) // 8
                    stream.seek(stream.tell() + size)
                    rest = stream.read(-size % BLOCK)
                    # Some software fills the last block with blanks.
                    if len(set(rest)) > 1:
                        return f"extension {number}: its last block is not empty behind the end of the data"
            except DAMAGE:
                return f"extension {number}: other data than an extension behind the end of the data"

    def read(
        self, hdu: int | str = 1, schema: Sequence[Column] | None = None, *, identity: bool = True
    ) -> OdfTable:
        """Read a binary table.

        Parameters
        ----------
        hdu
            Position (1 is the first extension) or name of the extension.
        schema
            Columns to read; all of them must be there. Without it every column is read.
        identity
            Whether the headers must name the observation and the instrument of the file's name.

        Raises
        ------
        TaskError
            ``damagedFile``: not FITS, truncated, or without that extension. ``missingColumn``. ``wrongFile``.
        """
        data = self.bytes()
        try:
            primary, header, rows = sound_table(data, hdu) or _damaged_table(data, hdu, self.path.name)
            names = rows.dtype.names or ()
            where = f"{self.path.name}[{header.get('EXTNAME', hdu)}]"
            wanted = names if schema is None else [c.name for c in schema]
            missing = [n for n in wanted if n not in names]
            if missing:
                have = ", ".join(names)
                raise TaskError("missingColumn", f"{where}: no column {missing[0]}; it has {have}")
            arrays = {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for name in wanted:
                    values = np.asarray(rows[name])
                    if schema is not None and values.ndim != 1:
                        raise Unreadable(f"column {name} has no single values")
                    arrays[name] = _ascii(values.astype(values.dtype.newbyteorder("=")))
        except TaskError:
            raise
        except (*DAMAGE, verify_error()) as error:
            raise TaskError(
                "damagedFile", f"{self.path.name}, extension {hdu}: {damage_text(error)}"
            ) from error
        if identity:
            self._check_identity(header, primary)
        return OdfTable(where, header, primary, arrays)

    def image(self) -> np.ndarray:
        """The first image of the file, axes as FITS counts them reversed.

        Raises
        ------
        TaskError
            ``damagedFile``: not FITS, or without an image.
        """
        data = self.bytes()
        try:
            with warnings.catch_warnings(), open_hdus(io.BytesIO(data), memmap=False) as hdus:
                warnings.simplefilter("ignore")
                for hdu in hdus:
                    if is_image(hdu) and hdu.data is not None:
                        self._check_identity(hdus[0].header, hdu.header)
                        values = np.asarray(hdu.data)
                        return values.astype(values.dtype.newbyteorder("="))
        except (*DAMAGE, verify_error()) as error:
            raise TaskError("damagedFile", f"{self.path.name}: {damage_text(error)}") from error
        raise TaskError("damagedFile", f"{self.path.name}: no image in it")


def _damaged_table(data: bytes, hdu: int | str, where: str) -> tuple[Any, Any, np.ndarray]:
    """Primary header, header and rows of a table that is not sound, as far as astropy can read it."""
    with warnings.catch_warnings(), open_hdus(io.BytesIO(data), memmap=False) as hdus:
        warnings.simplefilter("ignore")
        try:
            table, first = hdus[hdu], hdus[0]
        except (IndexError, KeyError):
            raise Unreadable("there is no such extension") from None
        if not is_table(table):
            raise Unreadable("not a binary table")
        primary, header = (_cards(h, data, where) for h in (first, table))
        if header["BITPIX"] != 8:
            raise Unreadable(f"BITPIX of a table is 8, not {header['BITPIX']}")
        check_fields(header)
        end = table.fileinfo()["datLoc"] + int(header["NAXIS1"]) * int(header["NAXIS2"])
        if end > len(data):
            raise Unreadable(f"truncated: {len(data)} bytes, the table ends at byte {end}")
        rows = _plain_rows(data, table)
        if rows is None:
            width = table.columns.dtype.itemsize
            if width != header["NAXIS1"]:
                raise Unreadable(f"its columns take {width} bytes, its rows have {header['NAXIS1']}")
            rows = table.data
    return primary, header, rows


def _cards(hdu: Any, data: bytes, where: str) -> Any:
    """The header of an HDU; with its damaged cards marked, if there are any."""
    header = hdu.header.copy()
    try:
        dict(header)
    except (ValueError, verify_error()):
        place = hdu.fileinfo()
        return with_damage_marked(Header.fromstring(data[place["hdrLoc"] : place["datLoc"]]), where)
    return header


def _plain_rows(data: bytes, table: Any) -> np.ndarray | None:
    """Rows of a table as stored, found without astropy's columns; None if that does not do.

    It does where all columns are plain numbers and texts, without scales or shapes of their cells.
    """
    place = table.fileinfo()
    try:
        return plain_rows(data, Hdu(Path(), 1, place["hdrLoc"], data[place["hdrLoc"] : place["datLoc"]]))
    except TaskError:
        return None


def _ascii(values: np.ndarray) -> np.ndarray:
    """Texts with a question mark for each byte that ASCII does not know; other values as they are."""
    if values.dtype.kind != "S" or not values.dtype.itemsize:
        return values
    codes = np.ascontiguousarray(values).view(np.uint8)
    if codes.max(initial=0) < 128:
        return values.astype(np.str_)
    return np.where(codes < 128, codes, ord("?")).astype(np.uint8).view(values.dtype).reshape(values.shape)
