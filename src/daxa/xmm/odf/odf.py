"""Opening an Observation Data File set: a folder of files of one observation.

Files may be plain or gzipped, in upper or lower case, in the folder itself or in a sub-folder ``ODF``.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.schema import Column
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.summary import read_ascii_summary, read_sas_summary
from daxa.xmm.notes import note_raw_files
from daxa.xmm.odf.times import is_date, utc_to_tt
from daxa.xmm.origin import SIMULATOR

#: File types that hold events (or images, for OM) of an exposure, per instrument.
SCIENCE_TYPES = {
    "M1": ("IME", "RIE", "TIE", "CTE"),
    "M2": ("IME", "RIE", "TIE", "CTE"),
    "PN": ("IME", "RIE", "TIE", "BUE"),
    "R1": ("SPE", "HTE"),
    "R2": ("SPE", "HTE"),
    "OM": ("IMI", "FAE"),
}
#: What astropy raises on damaged files (an AssertionError for the name of a column; it takes a keyword with a
#: star for a pattern).
DAMAGE = (
    OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, IndexError, AttributeError,
    AssertionError, ArithmeticError, MemoryError, re.error,
)  # fmt: skip
#: Environment variables that choose among spacecraft files.
_PREFERENCES = ("SAS_ATTITUDE", "SAS_TIMECORR", "SAS_TIMECORR_TCX")
_BLOCK = 2880
_OBS_ID = re.compile(r"\d{10}")
#: What numpy and Python say of their own objects.
_RAW_PYTHON = re.compile(
    r"zero-size|could not convert|np\.|invalid literal|broadcast|reshape|dtype|buffer|codec|NaN|ndarray|"
    r"out of bounds|argument"
)
_ORIGIN = re.compile(rb"ORIGIN  = '([^']*)'")
_NO_DEFAULT = object()


@dataclass(frozen=True)
class OdfTable:
    """A binary table of an ODF file: its columns as native-endian arrays, and both headers.

    ``where`` names file and extension in messages.
    """

    where: str
    header: Any
    primary: Any
    columns: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise TaskError(
                "missingColumn", f"{self.where}: no column {name}; it has {', '.join(self.columns)}"
            )
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def keyword(self, name: str, default: Any = _NO_DEFAULT) -> Any:
        """A keyword of the extension, else of the primary header.

        Raises
        ------
        TaskError
            ``missingKeyword``: there is none and no default was given. ``badKeyword``: the default is a
            number and the value is not, or a date that is none.
        """
        for header in (self.header, self.primary):
            if name in header:
                value = header[name]
                number = isinstance(default, (int, float)) and not isinstance(default, bool)
                if number and (isinstance(value, bool) or not isinstance(value, (int, float))):
                    raise TaskError(
                        "badKeyword", f"{self.where}: keyword {name}: expected a number, got {value!r}"
                    )
                if name.startswith("DATE-") and not is_date(value):
                    raise TaskError("badKeyword", f"{self.where}: keyword {name}: {value!r} is not a date")
                return value
        if default is _NO_DEFAULT:
            raise TaskError("missingKeyword", f"{self.where}: no keyword {name}")
        return default


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
            ``damagedFile``: it cannot be read or unpacked.
        """
        try:
            data = self.path.read_bytes()
            return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        except (OSError, EOFError, zlib.error) as error:
            raise TaskError("damagedFile", f"{self.path.name}: cannot be read: {error}") from error

    def _stream(self) -> Any:
        with self.path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        return gzip.open(self.path) if packed else self.path.open("rb")

    def origin(self) -> str | None:
        """ORIGIN of the primary header, found without reading all of it; None if the file is unreadable."""
        try:
            with self._stream() as stream:
                start = stream.read(2 * _BLOCK)
        except DAMAGE:
            return None
        match = _ORIGIN.search(start)
        if match:
            return match[1].decode("latin-1").strip()
        return "" if start.startswith(b"SIMPLE") else None

    def headers(self) -> tuple[Any, Any]:
        """Primary header and header of the first extension (the primary one again if there is none).

        Raises
        ------
        TaskError
            ``damagedFile``: it does not start with FITS headers.
        """
        from astropy.io import fits

        try:
            with self._stream() as stream, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                primary = fits.Header.fromfile(stream)
                if primary.get("SIMPLE") is not True:
                    raise ValueError("no SIMPLE card at the start")
                try:
                    extension = fits.Header.fromfile(stream)
                except EOFError:
                    extension = primary
                # Cards are read when they are used; a damaged one has to be found here.
                dict(primary), dict(extension)
        except (*DAMAGE, fits.VerifyError) as error:
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
        from astropy.io import fits

        self.headers()
        with self._stream() as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            number = -1
            try:
                while True:
                    start = stream.tell()
                    if not stream.read(1):
                        return None
                    stream.seek(start)
                    header = fits.Header.fromfile(stream)
                    number += 1
                    axes = [int(header[f"NAXIS{i}"]) for i in range(1, int(header["NAXIS"]) + 1)]
                    size = int(np.prod(axes, dtype=object)) if axes else 0
                    size = (size + int(header.get("PCOUNT", 0))) * abs(int(header["BITPIX"])) // 8
                    stream.seek(stream.tell() + size)
                    rest = stream.read(-size % _BLOCK)
                    # Some software fills the last block with blanks.
                    if len(set(rest)) > 1:
                        return f"extension {number}: its last block is not empty behind the end of the data"
            except (*DAMAGE, fits.VerifyError):
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
        from astropy.io import fits

        data = self.bytes()
        try:
            with warnings.catch_warnings(), fits.open(io.BytesIO(data), memmap=False) as hdus:
                warnings.simplefilter("ignore")
                try:
                    table, primary = hdus[hdu], hdus[0].header.copy()
                except (IndexError, KeyError):
                    raise Unreadable("there is no such extension") from None
                if not isinstance(table, fits.BinTableHDU):
                    raise Unreadable("not a binary table")
                header = table.header.copy()
                dict(primary), dict(header)
                if header["BITPIX"] != 8:
                    raise Unreadable(f"BITPIX of a table is 8, not {header['BITPIX']}")
                check_fields(header)
                end = table.fileinfo()["datLoc"] + int(header["NAXIS1"]) * int(header["NAXIS2"])
                if end > len(data):
                    raise Unreadable(f"truncated: {len(data)} bytes, the table ends at byte {end}")
                width = table.columns.dtype.itemsize
                if width != header["NAXIS1"]:
                    raise Unreadable(f"its columns take {width} bytes, its rows have {header['NAXIS1']}")
                where = f"{self.path.name}[{header.get('EXTNAME', hdu)}]"
                wanted = table.columns.names if schema is None else [c.name for c in schema]
                missing = [n for n in wanted if n not in table.columns.names]
                if missing:
                    have = ", ".join(table.columns.names)
                    raise TaskError("missingColumn", f"{where}: no column {missing[0]}; it has {have}")
                arrays = {}
                for name in wanted:
                    values = np.asarray(table.data[name])
                    if schema is not None and values.ndim != 1:
                        raise Unreadable(f"column {name} has no single values")
                    arrays[name] = _ascii(values.astype(values.dtype.newbyteorder("=")))
        except TaskError:
            raise
        except (*DAMAGE, fits.VerifyError) as error:
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
        from astropy.io import fits

        data = self.bytes()
        try:
            with warnings.catch_warnings(), fits.open(io.BytesIO(data), memmap=False) as hdus:
                warnings.simplefilter("ignore")
                for hdu in hdus:
                    if isinstance(hdu, (fits.PrimaryHDU, fits.ImageHDU)) and hdu.data is not None:
                        self._check_identity(hdus[0].header, hdu.header)
                        values = np.asarray(hdu.data)
                        return values.astype(values.dtype.newbyteorder("="))
        except (*DAMAGE, fits.VerifyError) as error:
            raise TaskError("damagedFile", f"{self.path.name}: {damage_text(error)}") from error
        raise TaskError("damagedFile", f"{self.path.name}: no image in it")


@dataclass(frozen=True)
class Odf:
    """The files of one observation.

    ``preferences`` are the environment variables that choose among spacecraft files (SAS_ATTITUDE,
    SAS_TIMECORR, SAS_TIMECORR_TCX); empty where the folder was opened by its name.
    """

    folder: Path
    obs_id: str
    revolution: int
    files: tuple[OdfFile, ...]
    sas_summary: Path | None = None
    preferences: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Odf:
        """Open an ODF folder, or the one a ``SUM.SAS`` file points to.

        Parameters
        ----------
        folder
            Folder with the files, or a ``SUM.SAS`` file: then its PATH, and if there are no files there
            (the summary may come from another machine) the folder it lies in.

        Raises
        ------
        TaskError
            ``NoOdfFound``, ``MultipleObservations``.
        """
        folder = Path(folder).expanduser()
        if folder.is_file():
            return cls._from_summary(folder)
        if not folder.is_dir():
            raise TaskError("NoOdfFound", f"{folder}: no such folder")
        found, summary = scan(folder)
        if not found:
            raise TaskError("NoOdfFound", f"{folder}: no ODF file (RRRR_OOOOOOOOOO_II...FIT) in it")
        observations = sorted({(n.revolution, n.obs_id) for n, _ in found})
        if len(observations) > 1:
            # Named by the first file of each: one that strayed in is soon seen.
            text = ", ".join(
                min(p.name for n, p in found if (n.revolution, n.obs_id) == which) for which in observations
            )
            raise TaskError("MultipleObservations", f"{folder}: files of more than one observation: {text}")
        revolution, obs_id = observations[0]
        files = tuple(OdfFile(n, p) for n, p in sorted(found, key=lambda item: str(item[0])))
        return cls(folder, obs_id, revolution, files, summary)

    @classmethod
    def _from_summary(cls, path: Path) -> Odf:
        match = re.search(r"^PATH[ \t]+(.+)$", path.read_text(encoding="latin-1"), re.MULTILINE)
        places = [Path(match[1].strip()).expanduser()] if match else []
        for place in places:
            try:
                odf = cls.open(place) if place.is_dir() else None
            except TaskError as error:
                if error.code != "NoOdfFound":
                    raise
                odf = None
            if odf is not None:
                return cls(odf.folder, odf.obs_id, odf.revolution, odf.files, path)
        odf = cls.open(path.parent)
        return cls(odf.folder, odf.obs_id, odf.revolution, odf.files, path)

    @classmethod
    def from_environment(cls, env: Mapping[str, str], cwd: Path, folder: str | None = None) -> Odf:
        """Open what a task's parameter or the variable SAS_ODF names.

        Raises
        ------
        TaskError
            ``NoOdfFound``: neither is set; else see :meth:`open`. ``syntheticCalibration``: the running task
            has seen calibration that does not belong to these files.
        """
        place = folder or env.get("SAS_ODF")
        if not place:
            raise TaskError("NoOdfFound", "no ODF: set SAS_ODF to the ODF folder or to its SUM.SAS file")
        preferences = {name: env[name] for name in _PREFERENCES if env.get(name)}
        odf = replace(cls.open(cwd / Path(place).expanduser()), preferences=preferences)
        note_raw_files(odf.simulated, odf.folder)
        return odf

    @cached_property
    def simulated(self) -> bool:
        """Whether the files say that they are simulated: one of each instrument, or the summary alone.

        Real files among simulated ones make a real observation.
        """
        said: dict[str, bool] = {}
        for file in self.files:
            if file.name.extension == "FIT" and file.name.instrument not in said:
                origin = file.origin()
                if origin is not None:
                    said[file.name.instrument] = origin == SIMULATOR
        if said:
            return all(said.values())
        summary = self.ascii_summary
        try:
            return summary is not None and SIMULATOR.encode() in summary.bytes()
        except TaskError:
            return False

    @cached_property
    def names(self) -> list[str]:
        """Canonical file names, sorted."""
        return [str(f.name) for f in self.files]

    def find(
        self,
        instrument: str | None = None,
        file_type: str | None = None,
        exp_id: str | None = None,
        ccd: int | None = None,
        node: int | None = None,
    ) -> list[OdfFile]:
        """Files whose names have all the given fields, sorted by name; none is an empty list."""
        wanted = {
            "instrument": instrument,
            "file_type": file_type,
            "exp_id": exp_id,
            "ccd": ccd,
            "node": node,
        }
        wanted = {k: v for k, v in wanted.items() if v is not None}
        return [f for f in self.files if all(getattr(f.name, k) == v for k, v in wanted.items())]

    def one(self, *args: Any, **kwargs: Any) -> OdfFile:
        """The only file with the given fields (as in :meth:`find`).

        Raises
        ------
        TaskError
            ``MissingData``: there is none, or more than one.
        """
        found = self.find(*args, **kwargs)
        if len(found) == 1:
            return found[0]
        names = ("instrument", "file_type", "exp_id", "ccd", "node")
        fields = {
            k: v for k, v in {**dict(zip(names, args, strict=False)), **kwargs}.items() if v is not None
        }
        what = " ".join(str(v) for v in fields.values())
        if not found:
            raise TaskError("MissingData", f"{self.folder}: the ODF has no {what} file")
        listed = ", ".join(f.path.name for f in found)
        raise TaskError("MissingData", f"{self.folder}: more than one {what} file: {listed}")

    @cached_property
    def period(self) -> tuple[float, float] | None:
        """Mission times of the observation's start and end, by its summary; None if that is unreadable."""
        try:
            if self.ascii_summary is not None:
                text = read_ascii_summary(self.ascii_summary.path)
                return float(utc_to_tt(text.start)), float(utc_to_tt(text.end))
            if self.sas_summary is not None:
                summary = read_sas_summary(self.sas_summary)
                return float(utc_to_tt(summary.start)), float(utc_to_tt(summary.end))
        except (ValueError, OSError, EOFError):
            # Who needs more of the summary than this tells what is wrong with it.
            return None
        return None

    def candidates(self, variable: str, default: str, types: Mapping[str, str]) -> list[tuple[str, OdfFile]]:
        """The spacecraft files there are of one kind or another, in the order that SAS's access layer uses.

        Parameters
        ----------
        variable, default
            Environment variable that gives the kinds to try in order (``AHF:RAF``), and its default.
        types
            Kind -> file type.

        Raises
        ------
        TaskError
            ``badParameter``: the variable is not such a list.
        """
        order = self.preferences.get(variable, default)
        kinds = order.split(":")
        if len(set(kinds)) < len(kinds) or not set(kinds) <= set(types):
            raise TaskError(
                "badParameter",
                f"{variable}: expected {' or '.join(types)}, or both with a colon, got {order!r}",
            )
        return [(kind, file) for kind in kinds for file in self.find("SC", types[kind])[:1]]

    def preferred(self, variable: str, default: str, types: Mapping[str, str]) -> tuple[str, OdfFile | None]:
        """The first of :meth:`candidates`; the kind tried first and None if there is none."""
        found = self.candidates(variable, default, types)
        return found[0] if found else (self.preferences.get(variable, default).split(":")[0], None)

    def exposures(self, instrument: str) -> list[str]:
        """Exposure identifiers with science event files, sorted (``S001`` before ``U002``).

        Exposures that hold only offset, noise, diagnostic or discarded-line files are left out.
        """
        types = SCIENCE_TYPES.get(instrument, ())
        return sorted(
            {f.name.exp_id for f in self.find(instrument) if f.name.is_science and f.name.file_type in types}
        )

    def without_events(self, instrument: str) -> list[str]:
        """Exposure identifiers with an auxiliary file but without event files, sorted."""
        listed = {f.name.exp_id for f in self.find(instrument, "AUX") if f.name.is_science}
        return sorted(listed - set(self.exposures(instrument)))

    def science_files(self, instrument: str, exp_id: str) -> list[OdfFile]:
        """Science event files of one exposure, sorted."""
        return [
            f for f in self.find(instrument, exp_id=exp_id) if f.name.file_type in SCIENCE_TYPES[instrument]
        ]

    @property
    def ascii_summary(self) -> OdfFile | None:
        """The ``SUM.ASC`` file, if there is one."""
        found = [f for f in self.find("SC", "SUM") if f.name.extension == "ASC"]
        return found[0] if found else None


class Unreadable(ValueError):
    """A file cannot be read, for a reason in words."""


def _ascii(values: np.ndarray) -> np.ndarray:
    """Texts with a question mark for each byte that ASCII does not know; other values as they are."""
    if values.dtype.kind != "S" or not values.dtype.itemsize:
        return values
    codes = np.ascontiguousarray(values).view(np.uint8)
    if codes.max(initial=0) < 128:
        return values
    return np.where(codes < 128, codes, ord("?")).astype(np.uint8).view(values.dtype).reshape(values.shape)


def check_fields(header: Mapping[str, Any]) -> None:
    """Refuse a table with more columns than FITS allows, which astropy would look for one by one.

    Raises
    ------
    Unreadable
        TFIELDS is not between 0 and 999.
    """
    if not 0 <= int(header["TFIELDS"]) <= 999:
        raise Unreadable(f"TFIELDS is {header['TFIELDS']}: a table has 999 columns at most")


def damage_text(error: Exception) -> str:
    """What is wrong with a file, in one line: what was found by looking, or astropy's text.

    Errors in which Python speaks of its arrays and objects are told in words.
    """
    text = " ".join(str(error).split())
    if isinstance(error, UnicodeDecodeError):
        return "a text with bytes that stand for no character"
    if text == "'recformat'":
        return "a column without format (TFORM)"
    said = isinstance(error, (Unreadable, OSError, EOFError, zlib.error)) or "Verify" in type(error).__name__
    if said or (isinstance(error, ValueError) and not _RAW_PYTHON.search(text)):
        return text
    return "its header does not describe the data behind it"


def scan(folder: Path) -> tuple[list[tuple[OdfName, Path]], Path | None]:
    """ODF files in a folder, else in its sub-folder ODF; and the SUM.SAS file."""
    places = [folder, *sorted(p for p in folder.iterdir() if p.is_dir() and p.name.upper() == "ODF")]
    for place in places:
        found: dict[str, tuple[OdfName, Path]] = {}
        summary = None
        # Reverse order: a plain file comes after its gzipped twin and replaces it.
        for path in sorted((p for p in place.iterdir() if p.is_file()), reverse=True):
            name = OdfName.parse(path.name)
            if name is None:
                continue
            if name.extension == "SAS":
                summary = path
            else:
                found[str(name)] = (name, path)
        if found:
            return list(found.values()), summary
    return [], None
