"""The user's store of calibration files: what is there, and fetching what is missing.

Only constituents that the engine reads are fetched, for the wanted cameras and dates.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from daxa.calibration.mirror import Mirror, Progress
from daxa.exceptions import DAXADownloadError
from daxa.writing import write_text
from daxa.xmm.ccf.index import (
    Entry,
    entry_of,
    list_files,
    md5sum,
    normal_date,
    open_constituent,
    parse_name,
    read_entry,
    select,
)
from daxa.xmm.errors import DamagedConstituent
from daxa.xmm.fits.hdus import unreadable
from daxa.xmm.formats.ccf import CALIBRATED, LAYOUT, generic_scope, wanted_of

#: Public copies of the calibration files.
MIRRORS = (
    "https://heasarc.gsfc.nasa.gov/FTP/xmm/data/CCF/",
    "https://sasdev-xmm.esac.esa.int/pub/ccf/constituents/",
)
#: Environment variable with other mirrors, separated by blanks or commas.
MIRRORS_VARIABLE = "DAXA_CCF_MIRRORS"


def store_path() -> Path:
    """Folder of the user's calibration files."""
    from daxa.config import cache_path

    return cache_path() / "ccf"


def wanted_types(instruments: Iterable[str]) -> list[tuple[str, str]]:
    """Scope and type of every constituent that the reduction of some instruments reads.

    Parameters
    ----------
    instruments
        Their names, e.g. ``EMOS1``.

    Raises
    ------
    ValueError
        Not an instrument.
    """
    instruments = list(instruments)
    unknown = [i for i in instruments if i not in CALIBRATED]
    if unknown:
        raise ValueError(f"instrument {unknown[0]!r} is not one of {', '.join(CALIBRATED)}")
    return sorted({key for instrument in instruments for key in wanted_of(instrument)})


def needed(entries: Iterable[Entry], dates: Sequence[str] | None, analysis_date: str = "now") -> list[Entry]:
    """The constituents that serve observations of some dates, or of any date (``None``).

    For any date: those that are the best choice for at least one moment.

    Parameters
    ----------
    entries
        All constituents.
    dates
        Dates of the observations (UTC); None for any date.
    analysis_date
        Date that decides which issues are known already.
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
    return (generic_scope(scope), typeid) in LAYOUT


def lacking(names: Iterable[str], instruments: Iterable[str]) -> list[str]:
    """Types, as ``SCOPE_TYPE``, that some instruments need and that are not among the files named.

    Parameters
    ----------
    names
        Names of the files that are there.
    instruments
        Names of the instruments, e.g. ``EMOS1``.

    Raises
    ------
    ValueError
        Not an instrument.
    """
    have = {(parse_name(name) or ("", ""))[:2] for name in names}
    return [f"{scope}_{typeid}" for scope, typeid in wanted_types(instruments) if (scope, typeid) not in have]


def find(name: str | os.PathLike[str], search_path: str) -> Path:
    """The file of that path; else the one of that name, or the latest of that type, in a search path.

    Parameters
    ----------
    name
        A path, the name of a constituent with or without ``.CCF``, or a type such as ``EMOS1_BADPIX``.
    search_path
        Folders, separated as in ``PATH``.

    Raises
    ------
    DamagedConstituent
        There is none.
    """
    if Path(name).is_file():
        return Path(name)
    wanted = Path(name).name.upper().removesuffix(".CCF")
    folders = [Path(f) for f in search_path.split(os.pathsep) if f]
    files = {path.name.upper().removesuffix(".CCF"): path for path in reversed(list_files(folders))}
    found = [stem for stem in files if stem == wanted or stem.rpartition("_")[0] == wanted]
    if not found:
        raise DamagedConstituent(f"{name}: no such file, here or in {search_path}")
    return files[max(found)]


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a constituent is and holds: validity, extensions, columns, and how each is recognised.

    Parameters
    ----------
    path
        The constituent.

    Raises
    ------
    DamagedConstituent
        The file is not there, not FITS or cut short.
    """
    from daxa.calibration.inspect import inspect
    from daxa.xmm.findings import Finding

    path = Path(path)
    findings = {finding.extension.upper(): finding for finding in inspect(path)}
    entry = read_entry(path)
    assert entry is not None  # or it could not have been inspected
    tables = []
    with open_constituent(path) as hdus:
        for hdu in hdus[1:]:
            columns = []
            with contextlib.suppress(*unreadable()):
                columns = [
                    {"name": c.name, "format": str(c.format), "unit": c.unit or ""}
                    for c in getattr(hdu, "columns", [])
                ]
            second = Finding(hdu.name, "not read", "an extension of this name stands before it")
            found = findings.pop(hdu.name.upper(), second)
            tables.append(
                {
                    "extension": hdu.name,
                    "rows": int(hdu.header.get("NAXIS2", 0)) if columns else None,
                    "columns": columns,
                    "read": found.how != "not read",
                    "recognised": found.how,
                    "detail": found.detail,
                }
            )
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
        "layout known": any(t["read"] for t in tables) and all(t["recognised"] != "refused" for t in tables),
        "missing extensions": [f.extension for f in findings.values() if f.how != "absent"],
        "extensions": tables,
    }


# --- fetching ------------------------------------------------------------------------------------


def mirrors(mirror: str | Sequence[str] | None = None) -> list[str]:
    """Addresses to try, in order: those given, else of the environment, else the public ones.

    Parameters
    ----------
    mirror
        One or several addresses; None: those of the environment.
    """
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
    """Make sure that the calibration files of some instruments are in the store.

    Parameters
    ----------
    instruments
        ``EMOS1``, ``EMOS2``, ``EPN``, ``RGS1``, ``RGS2``.
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
        Not an instrument, or not a date.
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
        entries, untold = _entries(source, wanted, target, pool)
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
    failures = [text for _, text in results.values() if text] + untold
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
        self._all: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            loaded = json.loads(path.read_text(encoding="utf-8"))
            self._all = loaded if isinstance(loaded, dict) else {}

    def restore(self, source: Mirror) -> None:
        if source.master:
            return
        kept = self._all.get(self.url)
        for name, row in kept.items() if isinstance(kept, dict) else ():
            if (entry := entry_of(row, None)) is not None:
                source.entries.setdefault(name, entry)

    def save(self, source: Mirror) -> None:
        if source.master:
            return
        rows = {n: {k: v for k, v in asdict(e).items() if k != "path"} for n, e in source.entries.items()}
        if rows == self._all.get(self.url):
            return
        self._all[self.url] = rows
        # The store works without this file, only slower.
        with contextlib.suppress(OSError):
            write_text(self.path, json.dumps(self._all))


def _open_one(remaining: list[str], timeout_s: float, pause_s: float) -> tuple[Mirror | None, str]:
    """The first mirror that can be read, taken off the list with those before it; else the reasons."""
    problems = []
    while remaining:
        source = Mirror(remaining.pop(0), timeout_s, pause_s)
        try:
            source.open()
        except DAXADownloadError as err:
            problems.append(str(err))
        else:
            return source, ""
    return None, "; ".join(problems)


def _entries(
    source: Mirror, wanted: set[tuple[str, str]], target: Path, pool: ThreadPoolExecutor
) -> tuple[list[Entry], list[str]]:
    """What is known of a mirror's files of some types, and why nothing is of others.

    From the master index, from files in the store, from their headers.
    """
    names = sorted(name for name in source.files if (parse_name(name) or ("", ""))[:2] in wanted)
    known = _HeaderCache(target / ".headers.json", source.url)
    known.restore(source)

    def one(name: str) -> Entry | str:
        local = target / name
        if name not in source.entries and local.is_file():
            with contextlib.suppress(DamagedConstituent):
                entry = read_entry(local)
                if entry is not None:
                    return replace(entry, path=None)
        try:
            return source.entry(name)
        except DAXADownloadError as err:
            return str(err)

    found = list(pool.map(one, names))
    known.save(source)
    return [e for e in found if isinstance(e, Entry)], [e for e in found if isinstance(e, str)]


def _bring(source: Mirror, name: str, target: Path, progress: Progress | None) -> tuple[Path | None, str]:
    final = target / name
    if final.is_file():
        try:
            source.check(name, final)
            return final, ""
        except ValueError:
            # Damaged since it was fetched: it is fetched again, and kept until the new one is there.
            damaged = final.with_name(f".{name}.damaged")
            os.replace(final, damaged)
            try:
                path = source.download(name, target, progress)
            except DAXADownloadError as err:
                return None, str(err)
            damaged.unlink(missing_ok=True)
            return path, ""
    try:
        return source.download(name, target, progress), ""
    except DAXADownloadError as err:
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
