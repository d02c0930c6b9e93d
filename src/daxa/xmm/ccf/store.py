"""The user's store of calibration files: what is there, and fetching what is missing.

Only constituents that the engine reads are fetched, for the wanted cameras and dates. A mirror is a
folder served over HTTP(S) with the constituents in it; if it has a master index (``ccf.mif`` or
``XMM_CALINDEX_nnnn.CCF``) validity, size and MD5 are taken from there, else the headers of the
candidates are read (a few kilobytes each). A file gets its name in the store only when its size, its
checksum where known and its FITS structure are right; what has arrived of an unfinished one is kept
beside it and continued by the next attempt.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from daxa.exceptions import DAXADownloadError
from daxa.xmm.ccf.errors import DamagedConstituent
from daxa.xmm.ccf.index import (
    CATEGORY,
    Entry,
    list_files,
    md5sum,
    normal_date,
    open_constituent,
    parse_name,
    read_entry,
    read_index,
    select,
)
from daxa.xmm.ccf.layout import LAYOUT, REQUIRED, TELESCOPES, layout_of
from daxa.xmm.task import TaskError

if TYPE_CHECKING:
    import requests

#: Public copies of the calibration files.
MIRRORS = (
    "https://heasarc.gsfc.nasa.gov/FTP/xmm/data/CCF/",
    "https://sasdev-xmm.esac.esa.int/pub/ccf/constituents/",
)
#: Environment variable with other mirrors, separated by blanks or commas.
MIRRORS_VARIABLE = "DAXA_CCF_MIRRORS"
_HEADER_BYTES = 4 * 2880
_BLOCK = 1 << 16
_TRIES = 3
_LINK = re.compile(r"""href\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_MASTER = re.compile(r"^(ccf\.mif|XMM_CALINDEX_\d+\.CCF)$", re.IGNORECASE)

Progress = Callable[[str, int, int | None], None]


class _Bad(Exception):
    """A file did not come as it should; the message says why."""


def store_path() -> Path:
    """Folder of the user's calibration files."""
    from daxa.config import cache_path

    return cache_path() / "ccf"


def wanted_types(instruments: Iterable[str]) -> list[tuple[str, str]]:
    """Scope and type of every constituent that the reduction of some cameras reads.

    Raises
    ------
    ValueError
        Not a camera.
    """
    instruments = list(instruments)
    unknown = [i for i in instruments if i not in TELESCOPES]
    if unknown:
        raise ValueError(f"instrument {unknown[0]!r} is not one of {', '.join(TELESCOPES)}")
    wanted = [("XMM", typeid) for typeid in REQUIRED["XMM"]]
    for instrument in instruments:
        wanted += [(instrument, typeid) for typeid in REQUIRED[instrument.rstrip("12")]]
        wanted += [(TELESCOPES[instrument], typeid) for typeid in REQUIRED["XRT"]]
    return sorted(set(wanted))


def needed(entries: Iterable[Entry], dates: Sequence[str] | None, analysis_date: str = "now") -> list[Entry]:
    """The constituents that serve observations of some dates, or of any date (``None``).

    For any date: those that are the best choice for at least one moment.
    """
    entries = list(entries)
    if dates is None:
        # The choice changes only where a validity starts or has just ended.
        dates = sorted({e.valdate for e in entries} | {e.valdate_end + "~" for e in entries if e.valdate_end})
    else:
        dates = [normal_date(d) for d in dates]
    analysed = normal_date(analysis_date)
    chosen = {}
    for date in dates:
        for entry in select(entries, date, analysed):
            chosen[entry.name] = entry
    return [chosen[name] for name in sorted(chosen)]


# --- what is there -------------------------------------------------------------------------------


def available(search_path: str | Iterable[str | os.PathLike[str]] | None = None) -> list[dict[str, Any]]:
    """The constituents in a search path, for tables: name, validity, size, folder.

    Parameters
    ----------
    search_path
        Colon-separated or a list; the configured path by default.
    """
    from daxa.config import calibration_path

    if search_path is None:
        search_path = calibration_path()
    folders = search_path.split(os.pathsep) if isinstance(search_path, str) else list(search_path)
    rows = []
    for path in list_files([Path(f) for f in folders if f]):
        try:
            entry = read_entry(path)
            if entry is None:
                continue
            row = {
                "name": entry.name,
                "valid from": entry.valdate,
                "until": entry.valdate_end,
                "size": entry.fsize,
                "used": _known(entry.scope, entry.typeid),
            }
        except DamagedConstituent as err:
            row = {
                "name": path.name,
                "valid from": f"damaged: {err.message}",
                "until": "",
                "size": 0,
                "used": False,
            }
        rows.append({**row, "folder": str(path.parent)})
    return rows


def _known(scope: str, typeid: str) -> bool:
    generic = scope.rstrip("123") if scope.startswith(("EMOS", "XRT")) else scope
    return (generic, typeid) in LAYOUT


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a constituent is and holds: validity, extensions, columns, and whether its layout is known.

    Raises
    ------
    DamagedConstituent
        The file is not there, not FITS or cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise DamagedConstituent(f"{path}: no such file")
    entry = read_entry(path)
    if entry is None:
        raise DamagedConstituent(f"{path}: a FITS file, but not a calibration constituent")
    known = layout_of(entry.scope, entry.typeid) if _known(entry.scope, entry.typeid) else {}
    tables = []
    with open_constituent(path) as hdus:
        for hdu in hdus[1:]:
            columns = [
                {"name": c.name, "format": str(c.format), "unit": c.unit or ""}
                for c in getattr(hdu, "columns", [])
            ]
            rows = int(hdu.header.get("NAXIS2", 0)) if columns else None
            names = {c["name"] for c in columns}
            lacking = [c.name for c in known.get(hdu.name, ()) if c.name not in names]
            tables.append(
                {
                    "extension": hdu.name,
                    "rows": rows,
                    "columns": columns,
                    "read": hdu.name in known,
                    "missing columns": lacking,
                }
            )
    present = {t["extension"] for t in tables}
    return {
        "name": entry.name,
        "path": str(path),
        "scope": entry.scope,
        "type": entry.typeid,
        "issue": entry.issue,
        "valid from": entry.valdate,
        "valid until": entry.valdate_end or None,
        "submitted": entry.subdate,
        "category": entry.category,
        "size": entry.fsize,
        "md5": md5sum(path),
        "layout known": bool(known) and not any(t["missing columns"] for t in tables),
        "missing extensions": [
            name for name in known if name not in present and entry.typeid != "PATTERNLIB"
        ],
        "extensions": tables,
    }


# --- fetching ------------------------------------------------------------------------------------


@dataclass
class Mirror:
    """A served folder of constituents.

    ``files`` are the names of the constituents in it; ``entries`` what is known of them.
    """

    url: str
    timeout_s: float = 60.0
    pause_s: float = 1.0
    files: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    master: bool = False
    _session: Any = None

    @property
    def session(self) -> requests.Session:
        """Connection shared by the threads of one fetch."""
        if self._session is None:
            import requests

            self._session = requests.Session()
        return self._session

    def _get(self, url: str, **kwargs: Any) -> requests.Response:
        import requests

        try:
            answer = self.session.get(url, timeout=self.timeout_s, **kwargs)
        except requests.RequestException as err:
            raise _Bad(f"{url}: {_reason(err)}") from err
        if answer.status_code not in (200, 206, 416):
            answer.close()
            raise _Bad(f"{url}: the server answers {answer.status_code} {answer.reason}")
        return answer

    def open(self) -> None:
        """Read the folder's listing and its master index, if it has one."""
        base = self.url if self.url.endswith("/") else self.url + "/"
        page = self._get(base).text
        masters = []
        for link in _LINK.findall(page):
            url = urljoin(base, link)
            name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
            # Only files of this very folder: a listing must not lead elsewhere.
            if url.rsplit("/", 1)[0] + "/" != base:
                continue
            if _MASTER.match(name):
                masters.append(url)
            elif parse_name(name):
                self.files[name.upper()] = url
        if not self.files:
            raise _Bad(f"{base}: no calibration constituents are listed there")
        for url in sorted(masters, reverse=True):
            try:
                self._read_master(url)
                break
            except (_Bad, TaskError):
                # Another index, or the headers of the files, will do.
                continue

    def _read_master(self, url: str) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ccf.mif"
            path.write_bytes(self._get(url).content)
            index = read_index(path)
        by_name = {entry.name: entry for entry in index.entries}
        self.entries = {name: by_name[name] for name in self.files if name in by_name}
        self.master = True

    def entry(self, name: str) -> Entry:
        """Validity of a constituent, from the master index or from the start of the file."""
        if name not in self.entries:
            self.entries[name] = self._read_header(self.files[name])
        return self.entries[name]

    def _read_header(self, url: str) -> Entry:
        from astropy.io import fits

        with self._get(url, headers={"Range": f"bytes=0-{_HEADER_BYTES - 1}"}, stream=True) as answer:
            start = b""
            for block in answer.iter_content(_HEADER_BYTES):
                start += block
                if len(start) >= _HEADER_BYTES:
                    break
        try:
            header = fits.Header.fromfile(io.BytesIO(start))
            named = parse_name(url.rsplit("/", 1)[-1])
            if named is None or "VALDATE" not in header:
                raise ValueError("no VALDATE")
            end = str(header.get("EVALDATE", "")).strip()
            return Entry(
                *named,
                normal_date(str(header["VALDATE"])),
                normal_date(end) if end else "",
                subdate=normal_date(str(header.get("SUBDATE", header["VALDATE"]))),
                category=str(header.get("CATEGORY", CATEGORY)).strip(),
            )
        except (OSError, ValueError, EOFError) as err:
            raise _Bad(f"{url}: no readable calibration header ({err})") from err

    # -- one file --

    def download(self, name: str, folder: Path, progress: Progress | None = None) -> Path:
        """Bring one constituent into a folder.

        Raises
        ------
        _Bad
            It did not come, or not as it should; nothing but a part to continue is left behind.
        """
        final = folder / name
        part = folder / f".{name}.part"
        with _locked(folder / ".locks" / name):
            if final.is_file():
                return final
            problem = ""
            for attempt in range(_TRIES):
                if attempt:
                    time.sleep(self.pause_s * 2 ** (attempt - 1))
                try:
                    self._receive(name, part, progress)
                except _Bad as err:
                    problem = str(err)
                    if "answers 4" in problem:
                        break
                    # A server may lie about the length: what came may be whole all the same.
                    if not self._is_whole(name, part):
                        continue
                try:
                    self._check(name, part)
                except _Bad as err:
                    problem = str(err)
                    part.unlink(missing_ok=True)
                    continue
                os.replace(part, final)
                return final
            raise _Bad(problem)

    def _receive(self, name: str, part: Path, progress: Progress | None) -> None:
        import requests
        import urllib3

        url = self.files[name]
        have = part.stat().st_size if part.is_file() else 0
        headers = (
            {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
            if have
            else {"Accept-Encoding": "identity"}
        )
        with self._get(url, headers=headers, stream=True) as answer:
            if answer.status_code == 416:
                return
            span = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            resumed = answer.status_code == 206 and span is not None and int(span[1]) == have
            if answer.status_code == 206 and not resumed:
                raise _Bad(f"{url}: the server answers with another part of the file than asked for")
            length = answer.headers.get("Content-Length")
            total = (have if resumed else 0) + int(length) if (length or "").isdigit() else None
            done = have if resumed else 0
            # The length is checked below: urllib3 would throw away the last bytes before a cut.
            answer.raw.enforce_content_length = False
            try:
                with part.open("ab" if resumed else "wb") as out:
                    for block in answer.iter_content(_BLOCK):
                        out.write(block)
                        done += len(block)
                        if progress is not None:
                            progress(name, done, total)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as err:
                raise _Bad(f"{url}: cut after {done} bytes ({_reason(err)})") from err
            except OSError as err:
                raise _Bad(f"{part}: {err}") from err
            if total is not None and done < total:
                raise _Bad(f"{url}: cut after {done} of {total} bytes")

    def _is_whole(self, name: str, part: Path) -> bool:
        try:
            self._check(name, part)
        except _Bad:
            return False
        return True

    def _check(self, name: str, part: Path) -> None:
        url = self.files[name]
        if not part.is_file():
            raise _Bad(f"{url}: nothing came")
        size = part.stat().st_size
        known = self.entries.get(name) if self.master else None
        if known is not None and known.fsize and known.fsize != size:
            raise _Bad(f"{url}: {size} bytes came, the master index says {known.fsize}")
        if known is not None and known.md5 and known.md5.lower() != md5sum(part):
            raise _Bad(f"{url}: the checksum is not that of the master index")
        try:
            entry = read_entry(part)
        except DamagedConstituent as err:
            raise _Bad(f"{url}: what came is not a whole constituent ({err.message})") from err
        if entry is None or (entry.scope, entry.typeid, entry.issue) != parse_name(name):
            raise _Bad(f"{url}: what came is not {name}")


def _reason(err: BaseException) -> str:
    text = str(err.args[0] if err.args else err)
    return f"{type(err).__name__}: {text[:200]}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def mirrors(mirror: str | Sequence[str] | None = None) -> list[str]:
    """Addresses to try, in order: those given, else of the environment, else the public ones."""
    if mirror is not None:
        return [mirror] if isinstance(mirror, str) else list(mirror)
    configured = [m for m in re.split(r"[\s,]+", os.environ.get(MIRRORS_VARIABLE, "")) if m]
    return configured or list(MIRRORS)


def fetch(
    instruments: Iterable[str] = ("EMOS1", "EMOS2", "EPN"),
    dates: Sequence[str] | None = None,
    *,
    analysis_date: str = "now",
    mirror: str | Sequence[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    threads: int = 4,
    offline: bool = False,
    timeout_s: float = 60.0,
    pause_s: float = 1.0,
    progress: Progress | None = None,
) -> list[Path]:
    """Make sure that the calibration files of some cameras are in the store.

    Parameters
    ----------
    instruments
        ``EMOS1``, ``EMOS2``, ``EPN``.
    dates
        Dates of the observations (ISO, UTC); by default the files for any date.
    analysis_date
        Ignore files submitted later; ``now`` by default.
    mirror
        Address or addresses of served folders with ``*.CCF`` files, tried in order. By default those in
        ``DAXA_CCF_MIRRORS``, else HEASARC's and ESA's.
    folder
        The store; by default the user's.
    threads
        Files fetched at once.
    offline
        Use no network: tell what the store has, and fail if a type is missing.
    timeout_s
        How long a server may be silent.
    pause_s
        Pause before a file is tried again; it doubles every time.
    progress
        Called with name, bytes so far and bytes in all (or None) of a file.

    Returns
    -------
    list of Path
        All files needed, those that were there before included.

    Raises
    ------
    ValueError
        Not a camera, or not a date.
    DAXADownloadError
        No mirror can be read, or some files did not come. Everything else has been fetched by then.
    """
    target = Path(folder) if folder is not None else store_path()
    wanted = set(wanted_types(instruments))
    observed = None if dates is None else [normal_date(d) for d in dates]
    if offline:
        return _at_hand(target, wanted, observed, analysis_date)
    target.mkdir(parents=True, exist_ok=True)
    remaining = mirrors(mirror)
    source, problem = _open_one(remaining, timeout_s, pause_s)
    if source is None:
        raise DAXADownloadError(f"no calibration mirror can be read: {problem}")
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        candidates = sorted(name for name in source.files if (parse_name(name) or ("", ""))[:2] in wanted)
        known = _HeaderCache(target / ".headers.json", source.url)
        known.restore(source)
        entries, unreadable = _entries(source, candidates, target, pool)
        known.save(source)
        chosen = needed(entries, observed, analysis_date)
        absent = sorted(wanted - {e.key for e in chosen})
        names = [e.name for e in chosen]
        results = dict(
            zip(names, pool.map(lambda n: _bring(source, n, target, progress), names), strict=True)
        )
        # What one mirror cannot give another may.
        while remaining and any(path is None for path, _ in results.values()):
            other, _ = _open_one(remaining, timeout_s, pause_s)
            if other is None:
                break
            for name in [n for n, (path, _) in results.items() if path is None and n in other.files]:
                path, text = _bring(other, name, target, progress)
                results[name] = (path, "" if path else f"{results[name][1]}; {text}")
    paths = [path for path, _ in results.values() if path is not None]
    failures = [text for _, text in results.values() if text] + unreadable
    failures += [f"{source.url} has no {scope}_{typeid} for these dates" for scope, typeid in absent]
    if failures:
        raise DAXADownloadError(
            f"{len(paths)} calibration files are in {target}, {len(failures)} problems: "
            + "; ".join(failures)
        )
    return paths


class _HeaderCache:
    """Validity of a mirror's constituents, so that their headers are read once; they never change."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.url = path, url
        self._all: dict[str, dict[str, dict[str, Any]]] = {}
        with contextlib.suppress(OSError, ValueError):
            loaded = json.loads(path.read_text(encoding="utf-8"))
            self._all = loaded if isinstance(loaded, dict) else {}

    def restore(self, source: Mirror) -> None:
        if source.master:
            return
        for name, row in self._all.get(self.url, {}).items():
            with contextlib.suppress(TypeError):
                source.entries.setdefault(name, Entry(**row))

    def save(self, source: Mirror) -> None:
        if source.master:
            return
        rows = {n: {k: v for k, v in asdict(e).items() if k != "path"} for n, e in source.entries.items()}
        if rows == self._all.get(self.url):
            return
        self._all[self.url] = rows
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        # The store works without this file, only slower.
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(self._all), encoding="utf-8")
            os.replace(temporary, self.path)


def _open_one(remaining: list[str], timeout_s: float, pause_s: float) -> tuple[Mirror | None, str]:
    """The first mirror that can be read, taken off the list with those before it; else the reasons."""
    problems = []
    while remaining:
        source = Mirror(remaining.pop(0), timeout_s, pause_s)
        try:
            source.open()
        except _Bad as err:
            problems.append(str(err))
        else:
            return source, ""
    return None, "; ".join(problems)


def _entries(
    source: Mirror, names: list[str], target: Path, pool: ThreadPoolExecutor
) -> tuple[list[Entry], list[str]]:
    """What is known of candidates: from the master index, from files in the store, from their headers."""

    def one(name: str) -> Entry | str:
        local = target / name
        if name not in source.entries and local.is_file():
            with contextlib.suppress(DamagedConstituent):
                entry = read_entry(local)
                if entry is not None:
                    return replace(entry, path=None)
        try:
            return source.entry(name)
        except _Bad as err:
            return str(err)

    found = list(pool.map(one, names))
    return [e for e in found if isinstance(e, Entry)], [e for e in found if isinstance(e, str)]


def _bring(source: Mirror, name: str, target: Path, progress: Progress | None) -> tuple[Path | None, str]:
    final = target / name
    if final.is_file():
        try:
            source._check(name, final)
            return final, ""
        except _Bad:
            # Damaged since it was fetched: it is fetched again, and kept until the new one is there.
            damaged = final.with_name(f".{name}.damaged")
            os.replace(final, damaged)
            try:
                path = source.download(name, target, progress)
            except _Bad as err:
                return None, str(err)
            damaged.unlink(missing_ok=True)
            return path, ""
    try:
        return source.download(name, target, progress), ""
    except _Bad as err:
        return None, str(err)


def _at_hand(
    target: Path, wanted: set[tuple[str, str]], dates: Sequence[str] | None, analysis_date: str
) -> list[Path]:
    entries = []
    for path in list_files([target]):
        if (parse_name(path.name) or ("", ""))[:2] in wanted:
            with contextlib.suppress(DamagedConstituent):
                entry = read_entry(path)
                if entry is not None:
                    entries.append(entry)
    chosen = needed(entries, dates, analysis_date)
    lacking = sorted(wanted - {e.key for e in chosen})
    if lacking:
        names = ", ".join(f"{scope}_{typeid}" for scope, typeid in lacking)
        raise DAXADownloadError(f"offline, and {target} has no {names} for these dates")
    return [e.path for e in chosen if e.path is not None]
