"""Catalogues of observations: asked for over TAP, kept in a local cache."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import requests

from daxa import config
from daxa.exceptions import DAXADownloadError
from daxa.fetch.http import host
from daxa.fetch.limits import LIMITS
from daxa.fetch.reasons import reason
from daxa.fetch.session import new_session
from daxa.mission.endpoints import address
from daxa.mission.selection import today
from daxa.plain import foreign
from daxa.writing import replacing_file

# More rows than any of these tables has: services cut answers to 2,000 or 100,000 rows unless told.
_ALL_ROWS = 9_999_999
CACHE_DAYS = 7
#: Columns without which there is no catalogue.
ESSENTIAL = ("ObsID", "ra", "dec", "start")
#: Columns of the services' tables, by the address and the table, asked for once.
_known_columns: dict[tuple[str, str], frozenset[str]] = {}


@dataclass(frozen=True)
class TapTable:
    """A table of a TAP service and how its columns become ours.

    Parameters
    ----------
    service : str
        Key of the address (see `daxa.mission.endpoints`).
    table : str
    columns : dict
        Our name -> the table's name, or several of which the first that exists is taken. One that the service
        does not have any more is left out with a warning, unless it is `ESSENTIAL` or `needed`.
    optional : dict
        The same for columns that may be absent.
    id_width : int
        Numeric ObsIDs are padded with zeros to this many digits.
    needed : tuple of str
        Of `columns`, those without which the observations cannot be told apart or found.
    """

    service: str
    table: str
    columns: Mapping[str, str | tuple[str, ...]]
    optional: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    id_width: int = 0
    needed: tuple[str, ...] = ()

    @property
    def cache_name(self) -> str:
        """Name under which the table is kept."""
        return f"{self.service}-{self.table}"


def query(table: TapTable, timeout_s: float = 300.0) -> pd.DataFrame:
    """All rows of a table.

    Parameters
    ----------
    table
        The table and its columns.
    timeout_s
        How long the service may take to answer [s].

    Raises
    ------
    DAXADownloadError
        The service does not answer, or not with what was asked for.
    """
    import pyvo

    url = address(table.service)
    where = f"{host(url)}: the catalogue {table.table}"
    try:
        frame = _query(url, table, timeout_s)
    except (pyvo.dal.DALAccessError, requests.RequestException, OSError, ValueError) as err:
        _known_columns.pop((url, table.table), None)
        raise DAXADownloadError(f"{where} cannot be read ({reason(err)})") from err
    except Exception as err:
        # nobody thought of it, and still another service or the cache may help
        raise DAXADownloadError(
            f"{where} cannot be read (unexpected {type(err).__name__}: {foreign(err)})"
        ) from err
    missing = [ours for ours in (*ESSENTIAL, *table.needed) if ours not in frame.columns]
    if missing:
        raise DAXADownloadError(f"{where} came without {', '.join(missing)}")
    if not len(frame):
        raise DAXADownloadError(f"{where} came empty")
    if table.id_width:
        frame["ObsID"] = frame["ObsID"].astype(str).str.strip().str.zfill(table.id_width)
    return frame


def _query(url: str, table: TapTable, timeout_s: float) -> pd.DataFrame:
    service = _service(url, timeout_s)
    names = _existing_columns(service, url, table)
    listing = ", ".join(f"{theirs} AS {ours}" if theirs != ours else ours for ours, theirs in names.items())
    select = f"SELECT TOP {_ALL_ROWS} {listing} FROM {table.table}"
    frame = _run(service, select)
    if frame.attrs["truncated"] or len(frame) < _count(service, table.table):
        frame = _run_paged(service, select, names["ObsID"])
    return frame


def _service(url: str, timeout_s: float) -> Any:
    import pyvo

    session = new_session(most=(LIMITS.catalogue_bytes, LIMITS.catalogue_s))
    session.request = _with_timeout(session.request, timeout_s)  # type: ignore[method-assign]
    return pyvo.dal.TAPService(url, session=session)


def _count(service: Any, table: str) -> int:
    """Number of rows of a table; 0 if the service cannot count."""
    import pyvo

    try:
        return int(str(_run(service, f"SELECT COUNT(*) AS number FROM {table}").iloc[0, 0]))
    except (pyvo.dal.DALQueryError, IndexError, ValueError):
        return 0


def _run_paged(service: Any, select: str, key: str) -> pd.DataFrame:
    """All rows of a query whose answer the service cuts, in pages ordered by the key."""
    pages: list[pd.DataFrame] = []
    last: Any = None
    for _ in range(LIMITS.catalogue_pages):
        literal = "'" + last.replace("'", "''") + "'" if isinstance(last, str) else last
        where = "" if last is None else f" WHERE {key} > {literal}"
        page = _run(service, f"{select}{where} ORDER BY {key}")
        pages.append(page)
        if not len(page):
            return pd.concat(pages, ignore_index=True)
        if page["ObsID"].iloc[-1] == last:
            break
        last = page["ObsID"].iloc[-1]
        last = last.strip() if isinstance(last, str) else last
    raise ValueError("the service cuts its answers and cannot be asked for the rest")


def _with_timeout(request: Any, timeout_s: float) -> Any:
    def with_timeout(*args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", timeout_s)
        return request(*args, **kwargs)

    return with_timeout


def _existing_columns(service: Any, url: str, table: TapTable) -> dict[str, str]:
    """Our column names with the one of the candidates that the service has."""
    candidates_of = {
        ours: (c,) if isinstance(c, str) else c for ours, c in {**table.columns, **table.optional}.items()
    }
    known = listed_columns(service, url, table.table)
    if not known:  # a service without a description of its tables: trust ours
        return {ours: candidates[0] for ours, candidates in candidates_of.items() if ours in table.columns}
    names = {
        ours: next((c for c in candidates if c.lower() in known), None)
        for ours, candidates in candidates_of.items()
    }
    gone = {
        ours: f"{ours} ({' or '.join(candidates_of[ours])})" for ours in table.columns if names[ours] is None
    }
    if lost := [text for ours, text in gone.items() if ours in (*ESSENTIAL, *table.needed)]:
        raise ValueError(f"its columns have changed: there is no {', '.join(lost)}")
    if gone:
        warnings.warn(
            f"{host(url)}: the columns of the catalogue {table.table} have changed; it is used without "
            + ", ".join(gone.values()),
            stacklevel=5,
        )
    return {ours: theirs for ours, theirs in names.items() if theirs is not None}


def listed_columns(service: Any, url: str, table: str) -> frozenset[str]:
    """Columns that a service lists for a table, in small letters; empty if it does not list any.

    Parameters
    ----------
    service
        The service, as pyvo has it.
    url
        Its address.
    table
        Name of the table.
    """
    import pyvo

    if (url, table) not in _known_columns:
        bare = table.rpartition(".")[2]
        try:
            answer = _run(
                service,
                "SELECT column_name FROM TAP_SCHEMA.columns "
                f"WHERE table_name = '{table}' OR table_name = '{bare}'",
            )
            names = answer.iloc[:, 0] if answer.shape[1] else ()
        except pyvo.dal.DALQueryError:
            names = ()
        _known_columns[url, table] = frozenset(str(n).strip().strip('"').lower() for n in names)
    return _known_columns[url, table]


def all_columns(url: str, tables: list[str], timeout_s: float) -> dict[str, frozenset[str]]:
    """Columns that a service lists for several tables, asked for at once.

    Parameters
    ----------
    url
        Its address.
    tables
        Their names, with or without that of their schema.
    timeout_s
        How long the service may take to answer [s].

    Returns
    -------
    dict
        Names as given, in small letters -> columns, in small letters.

    Raises
    ------
    DAXADownloadError
        The service does not answer.
    """
    names = sorted({n for table in tables for n in (table, table.rpartition(".")[2])})
    listing = ", ".join(f"'{n}'" for n in names)
    try:
        answer = _run(
            _service(url, timeout_s),
            f"SELECT table_name, column_name FROM TAP_SCHEMA.columns WHERE table_name IN ({listing})",
        )
    except Exception as err:
        raise DAXADownloadError(f"{host(url)}: {type(err).__name__}: {reason(err)}") from err
    found: dict[str, set[str]] = {}
    for name, column in answer.iloc[:, :2].itertuples(index=False):
        bare = str(name).strip().lower().rpartition(".")[2]
        found.setdefault(bare, set()).add(str(column).strip().strip('"').lower())
    return {t.lower(): frozenset(found.get(t.lower().rpartition(".")[2], ())) for t in tables}


def _run(service: Any, adql: str) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = service.run_sync(adql, maxrec=_ALL_ROWS)
        # a cut answer says so after the rows, behind the "OK" in front of them
        infos = [i for resource in result.votable.resources for i in resource.infos]
        truncated = any(i.name == "QUERY_STATUS" and str(i.value).upper() == "OVERFLOW" for i in infos)
        table = result.to_table()
    columns = {}
    for name in table.colnames:
        values = table[name]
        if values.dtype.kind in "f":
            columns[name] = np.ma.filled(np.ma.asarray(values), np.nan).astype(float)
        elif np.ma.is_masked(values):
            columns[name] = np.array([None if v is np.ma.masked else v for v in values], dtype=object)
        else:
            columns[name] = np.asarray(values)
    frame = pd.DataFrame({n: _text(v) for n, v in columns.items()})
    frame.attrs["truncated"] = truncated
    return frame


def _text(values: np.ndarray) -> np.ndarray:
    """Byte strings as text."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "O":
        return np.array(
            [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values], dtype=object
        )
    return values


# -- the cache --------------------------------------------------------------------------------


def cache_file(name: str) -> Path:
    """Where a catalogue is kept.

    Parameters
    ----------
    name
        The catalogue's name.
    """
    return config.cache_path() / "catalogues" / f"{name}.npz"


def write_cache(name: str, frame: pd.DataFrame, date: datetime) -> None:
    """Keep a catalogue; a cache that cannot be written is only warned about.

    Parameters
    ----------
    name
        The catalogue's name.
    frame
        Its rows.
    date
        When it was fetched (UTC).
    """
    path = cache_file(name)
    arrays = {"date": np.array(date.isoformat(timespec="seconds"))}
    for column in frame.columns:
        values = frame[column].to_numpy()
        if values.dtype.kind not in "biufmM":
            missing = np.array([v is None or v != v for v in values], bool)
            arrays[f"none:{column}"] = missing
            values = np.array(["" if m else str(v) for v, m in zip(values, missing, strict=True)], dtype=str)
        arrays[f"col:{column}"] = values
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    except OSError as err:
        warnings.warn(f"the catalogue cannot be kept in {path} ({err.strerror})", stacklevel=2)


def read_cache(name: str) -> tuple[pd.DataFrame, datetime] | None:
    """A kept catalogue and its date; None if there is none or it cannot be read.

    Parameters
    ----------
    name
        The catalogue's name.
    """
    import zipfile

    try:
        with np.load(cache_file(name), allow_pickle=False) as arrays:
            date = datetime.fromisoformat(str(arrays["date"]))
            columns = {}
            for key in arrays.files:
                if key.startswith("col:"):
                    column, values = key[4:], arrays[key]
                    if f"none:{column}" in arrays.files:
                        values = values.astype(object)
                        values[arrays[f"none:{column}"]] = None
                    columns[column] = values
            return pd.DataFrame(columns), date
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def load(tables: list[TapTable], refresh: bool = False) -> tuple[pd.DataFrame, datetime, TapTable]:
    """A catalogue from the cache if it is recent, else from the first service that answers.

    Parameters
    ----------
    tables : list of TapTable
        In order of preference.
    refresh : bool
        Ask even if the cache is recent.

    Returns
    -------
    frame, date, table
        The rows, when they were fetched (UTC), and which table they are of.

    Raises
    ------
    DAXADownloadError
        No service answers and nothing is cached.
    """
    kept = [(t, *c) for t in tables if (c := read_cache(t.cache_name)) is not None]
    if kept and not refresh and today() - kept[0][2] < timedelta(days=CACHE_DAYS) and kept[0][0] is tables[0]:
        return kept[0][1], kept[0][2], kept[0][0]
    errors = []
    for table in tables:
        try:
            frame = query(table)
        except DAXADownloadError as err:
            errors.append(str(err))
            continue
        if errors:
            warnings.warn(f"{errors[0]}; {host(address(table.service))} is used instead", stacklevel=3)
        date = today()
        write_cache(table.cache_name, frame, date)
        return frame, date, table
    if kept:
        table, frame, date = max(kept, key=lambda k: k[2])
        warnings.warn(
            f"no catalogue service answers ({'; '.join(errors)}); the catalogue of {date:%Y-%m-%d} from "
            "the cache is used",
            stacklevel=3,
        )
        return frame, date, table
    raise DAXADownloadError(
        f"no catalogue: {'; '.join(errors)}; and none is in the cache. Check the network (or the proxy "
        "settings HTTPS_PROXY), or give a folder of data on disk with local="
    )
