"""The calibration index: which constituent serves an observation.

Sources: manual of the task cifbuild (selection, categories, master index); table structure as in
indices written by cifbuild 4.9 and 4.10.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.errors import DamagedConstituent, TaskError
from daxa.xmm.fits.hdus import is_table, open_hdus, primary_hdu, unreadable, write_hdus
from daxa.xmm.fits.schema import make_table
from daxa.xmm.fits.sound import sound_blocks
from daxa.xmm.formats.ccf import CALINDEX

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU, HDUList

FILE_GLOB = "*.ccf|*.CCF"
CATEGORY = "XMMCCF"
# The filters of warnings belong to the process, not to the thread that changes them for a while.
_FILTERS = threading.Lock()
_NAME = re.compile(r"^(?P<scope>[A-Z0-9]{1,5})_(?P<typeid>[A-Z0-9]+)_(?P<issue>\d{3,4})\.CCF$", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One constituent as a row of the index; texts without trailing blanks.

    ``valdate_end`` is empty when the validity has no end. ``path`` is where the file was found, if it was.
    """

    scope: str
    typeid: str
    issue: int
    valdate: str = ""
    valdate_end: str = ""
    fname: str = ""
    date: str = ""
    fsize: int = 0
    subdate: str = ""
    extsequ: str = "ANY"
    extseqid: str = ""
    md5: str = ""
    creator: str = ""
    telescop: str = "XMM"
    category: str = CATEGORY
    path: Path | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """Scope and type, which an index holds once."""
        return self.scope, self.typeid

    @property
    def name(self) -> str:
        """Canonical file name."""
        return f"{self.scope}_{self.typeid}_{self.issue:04d}.CCF"


@dataclass
class CalibrationIndex:
    """Constituents chosen for an observation.

    ``header`` holds CATEGORY, OBSVDATE and ANALDATE.
    """

    entries: list[Entry]
    header: dict[str, str] = field(default_factory=dict)

    def find(self, scope: str, typeid: str) -> Entry | None:
        """The row of a scope and type, or None.

        Parameters
        ----------
        scope
            The scope, e.g. ``EMOS1``.
        typeid
            The type, e.g. ``LINCOORD``.
        """
        wanted = (scope.upper(), typeid.upper())
        return next((entry for entry in self.entries if entry.key == wanted), None)


def parse_name(name: str) -> tuple[str, str, int] | None:
    """Scope, type and issue of a file name such as ``EPN_LINCOORD_0009.CCF``, or None.

    Parameters
    ----------
    name
        Name of a file, without its folder.

    Examples
    --------
    >>> parse_name("EPN_LINCOORD_0009.CCF"), parse_name("ccf.cif")
    (('EPN', 'LINCOORD', 9), None)
    """
    match = _NAME.match(name)
    return (match["scope"].upper(), match["typeid"].upper(), int(match["issue"])) if match else None


def normal_date(text: str) -> str:
    """``yyyy-mm-ddThh:mm:ss`` from a date with or without time; ``now`` is the present (UTC).

    Parameters
    ----------
    text
        The date.

    Raises
    ------
    ValueError
        Not a date.

    Examples
    --------
    >>> normal_date("2017-05-04")
    '2017-05-04T00:00:00'
    """
    text = text.strip()
    if text.lower() == "now":
        return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    stripped = text[:-1] if text.endswith("Z") else text
    return datetime.fromisoformat(stripped).strftime("%Y-%m-%dT%H:%M:%S")


# --- constituents --------------------------------------------------------------------------------


def open_constituent(path: str | os.PathLike[str]) -> HDUList:
    """Open a constituent and make sure that all of it is there.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DamagedConstituent
        The file is not FITS, or shorter than its headers say.
    """
    from astropy.utils.exceptions import AstropyUserWarning

    path = Path(path)
    try:
        with _FILTERS, warnings.catch_warnings():
            warnings.simplefilter("error", AstropyUserWarning)
            hdus = open_hdus(path, memmap=False, lazy_load_hdus=False)
    except (*unreadable(), AstropyUserWarning) as err:
        raise DamagedConstituent(f"{path}: not a complete FITS file ({err})") from err
    last = hdus[-1].fileinfo()
    end, size = last["datLoc"] + last["datSpan"], path.stat().st_size
    if end > size:
        hdus.close()
        raise DamagedConstituent(f"{path}: cut short: {size} bytes where its headers promise {end}")
    return hdus


def read_entry(path: str | os.PathLike[str]) -> Entry | None:
    """The index row of a file, without its MD5; None if it is a FITS file but no constituent.

    Scope, type and issue come from the header (primary, else first extension), else from the name.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DamagedConstituent
        The file is cut short, or a keyword cannot be read.
    """
    path = Path(path)
    headers, names = _headers(path)

    def get(keyword: str, default: Any = "") -> Any:
        try:
            return next((h[keyword] for h in headers if keyword in h), default)
        except unreadable() as err:
            raise DamagedConstituent(f"{path}: keyword {keyword} is unreadable ({err})") from None

    named = parse_name(path.name)
    scope = str(get("SCOPE", named[0] if named else "")).strip().upper()
    typeid = str(get("TYPEID", named[1] if named else "")).strip().upper()
    valdate = str(get("VALDATE")).strip()
    if not (scope and typeid and valdate):
        return None
    try:
        return Entry(
            scope,
            typeid,
            int(get("ISSUE", named[2] if named else 0)),
            normal_date(valdate),
            normal_date(str(get("EVALDATE"))) if str(get("EVALDATE")).strip() else "",
            path.name,
            str(get("DATE")).strip()[:19],
            path.stat().st_size,
            normal_date(str(get("SUBDATE") or valdate)),
            str(get("EXTSEQU", "ANY")).strip(),
            (str(get("EXTSEQID")).strip() or " ".join(names))[:256].strip(),
            "",
            str(get("CREATOR")).strip()[:64],
            str(get("TELESCOP", "XMM")).strip()[:4],
            str(get("CATEGORY", CATEGORY)).strip(),
            path,
        )
    except (ValueError, TypeError) as err:
        raise DamagedConstituent(f"{path}: unusable date or issue in the header ({err})") from err


def _headers(path: Path) -> tuple[list[Any], list[str]]:
    """The first two headers of a file, and the names of its extensions."""
    try:
        blocks = sound_blocks(path)
    except OSError as err:
        raise DamagedConstituent(f"{path}: not a complete FITS file ({err})") from err
    if blocks is not None:
        return [block.header for block in blocks[:2]], [block.text("EXTNAME") for block in blocks[1:]]
    with open_constituent(path) as hdus:
        return [hdu.header for hdu in hdus[:2]], [hdu.name for hdu in hdus[1:]]


def entry_of(row: Any, path: Path | None) -> Entry | None:
    """The entry that was kept as a dictionary, in a file that may be damaged; None if it is.

    Parameters
    ----------
    row
        What was kept.
    path
        Where the constituent is; None if it is not on this computer.
    """
    kinds = {field.name: int if field.name in ("issue", "fsize") else str for field in fields(Entry)}
    if not isinstance(row, dict) or not all(isinstance(v, kinds.get(k, ())) for k, v in row.items()):
        return None
    try:
        return Entry(**row, path=path)
    except TypeError:
        return None


def md5sum(path: str | os.PathLike[str]) -> str:
    """Lower-case hexadecimal MD5 of a file.

    Parameters
    ----------
    path
        The file.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def list_files(
    folders: Iterable[str | os.PathLike[str]], glob: str = FILE_GLOB, *, recurse: bool = False
) -> list[Path]:
    """Files matching a ``|``-separated list of patterns; of files of one name the first folder's wins.

    Parameters
    ----------
    folders
        The folders, the first of which wins.
    glob
        The patterns.
    recurse
        Whether folders within them are looked into.
    """
    patterns = [p for p in glob.split("|") if p]
    found: dict[str, Path] = {}
    for folder in folders:
        folder = Path(folder).expanduser()
        if not folder.is_dir():
            continue
        if recurse:
            names = (Path(base, name) for base, _, files in os.walk(folder) for name in files)
        else:
            names = (Path(entry.path) for entry in os.scandir(folder) if entry.is_file())
        for path in sorted(names):
            if any(fnmatch.fnmatchcase(path.name, p) for p in patterns):
                found.setdefault(path.name.upper(), path)
    return [found[name] for name in sorted(found)]


def select(
    entries: Iterable[Entry], observation_date: str, analysis_date: str, category: str | None = CATEGORY
) -> list[Entry]:
    """The constituents that serve an observation, sorted by scope and type.

    Of each scope and type the highest issue that is valid on the observation date and was submitted
    by the analysis date.

    Parameters
    ----------
    entries
        All constituents there are.
    observation_date, analysis_date
        ``yyyy-mm-ddThh:mm:ss``, UTC.
    category
        Required CATEGORY, or None for any.
    """
    best: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if category is not None and entry.category.upper() != category.upper():
            continue
        if entry.valdate > observation_date or entry.subdate > analysis_date:
            continue
        if entry.valdate_end and entry.valdate_end < observation_date:
            continue
        if entry.key not in best or entry.issue > best[entry.key].issue:
            best[entry.key] = entry
    return [best[key] for key in sorted(best)]


# --- the index file ------------------------------------------------------------------------------

_FIELD_OF = {"VALDATE-END": "valdate_end"}


def index_hdu(entries: Sequence[Entry], header: Mapping[str, Any] | None = None) -> BinTableHDU:
    """The CALINDEX table.

    Parameters
    ----------
    entries
        The rows.
    header
        Keywords of the table.
    """
    data = {
        column.name: [getattr(entry, _FIELD_OF.get(column.name, column.name.lower())) for entry in entries]
        for column in CALINDEX
    }
    return make_table(CALINDEX, data, "CALINDEX", header)


def write_index(
    path: str | os.PathLike[str], index: CalibrationIndex, primary: Mapping[str, Any] | None = None
) -> None:
    """Write an index file: an empty primary HDU and CALINDEX.

    Parameters
    ----------
    path
        The file; replaced if it exists.
    index
        The index.
    primary
        Keywords of the first header.
    """
    first = primary_hdu()
    for key, value in (primary or {}).items():
        first.header[key] = value
    first.header["LONGSTRN"] = ("OGIP 1.0", "long string values may be continued")
    comments = {
        "CATEGORY": "category of the constituents",
        "OBSVDATE": "observation date",
        "ANALDATE": "analysis date",
    }
    header = {k: (v, comments.get(k, "")) for k, v in index.header.items()}
    write_hdus(path, [first, index_hdu(index.entries, header)], overwrite=True, output_verify="exception")


def read_index(path: str | os.PathLike[str]) -> CalibrationIndex:
    """Read CALINDEX of an index file or of any product that carries one.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    TaskError
        No such file, not FITS, or without a complete CALINDEX table.
    """
    path = Path(path)
    if not path.is_file():
        raise TaskError("noCalindex", f"{path}: no such calibration index")
    try:
        hdus = open_hdus(path, memmap=False)
    except unreadable() as err:
        raise TaskError("noCalindex", f"{path}: not a FITS file ({err})") from err
    with hdus:
        try:
            return _read_index(hdus, path)
        except unreadable() as err:
            raise TaskError("noCalindex", f"{path}[CALINDEX]: a table that cannot be read ({err})") from err


def _read_index(hdus: HDUList, path: Path) -> CalibrationIndex:
    if "CALINDEX" not in hdus:
        raise TaskError("noCalindex", f"{path}: no extension CALINDEX")
    table = hdus["CALINDEX"]
    if not is_table(table):
        raise TaskError("noCalindex", f"{path}[CALINDEX]: not a table")
    missing = [c.name for c in CALINDEX if c.name not in table.columns.names]
    if missing:
        raise TaskError("noCalindex", f"{path}[CALINDEX]: no column {', '.join(missing)}")
    values = {}
    for column in CALINDEX:
        raw = table.data[column.name]
        name = _FIELD_OF.get(column.name, column.name.lower())
        values[name] = (
            [str(v).strip() for v in raw] if column.letter == "A" else np.asarray(raw).astype(int).tolist()
        )
    header = {
        k: str(table.header[k]).strip() for k in ("CATEGORY", "OBSVDATE", "ANALDATE") if k in table.header
    }
    names = [f.name for f in fields(Entry) if f.name in values]
    category = header.get("CATEGORY", CATEGORY)
    entries = [
        Entry(**dict(zip(names, row, strict=True)), category=category)
        for row in zip(*(values[n] for n in names), strict=True)
    ]
    entries = [replace(e, scope=e.scope.upper(), typeid=e.typeid.upper()) for e in entries]
    return CalibrationIndex(entries, header)
