"""What the engine would take from calibration files, and how it recognises it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.ccf.calibration import Constituent
from daxa.xmm.ccf.errors import DamagedConstituent, MissingConstituent, UnknownLayout
from daxa.xmm.ccf.index import open_constituent, read_entry
from daxa.xmm.ccf.layout import LAYOUT, generic_scope
from daxa.xmm.ccf.roles import OWN_READERS, READINGS, Reading

#: Values of each column that a report shows.
_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One table: ``exact``, ``by content``, ``fallback``, ``refused``, ``own reader``, ``not read``."""

    extension: str
    how: str
    detail: str = ""


def inspect(path: str | os.PathLike[str]) -> list[Finding]:
    """How each table of a constituent is recognised.

    Raises
    ------
    DamagedConstituent
        The file is not there, not FITS, cut short, or no constituent.
    """
    constituent = _open(Path(path))
    known = LAYOUT.get((generic_scope(constituent.scope), constituent.typeid), {})
    absent = [name for name in known if name not in constituent and constituent.typeid != "PATTERNLIB"]
    return [_finding(constituent, name, known) for name in (*constituent.extensions, *absent)]


def _open(path: Path) -> Constituent:
    if not path.is_file():
        raise DamagedConstituent(f"{path}: no such file")
    entry = read_entry(path)
    if entry is None:
        raise DamagedConstituent(f"{path}: a FITS file, but not a calibration constituent")
    return Constituent(entry, path)


def _finding(constituent: Constituent, extname: str, known: Iterable[str]) -> Finding:
    if extname not in known and not (known and constituent.typeid == "PATTERNLIB"):
        return Finding(extname, "not read")
    own = _own_reader(constituent, extname)
    if own is not None and extname in constituent:
        return own
    try:
        constituent.table(extname)
    except UnknownLayout as error:
        return Finding(extname, "refused", error.message)
    said = constituent.recognised[extname]
    told = [f"{role} is {name}" for role, name in said.by_content.items()]
    lost = [f"{missing} ({f.code}): {f.cost}" for missing, f in said.fallbacks if f.code]
    return Finding(extname, said.how, "; ".join([*lost, *told]))


def _own_reader(constituent: Constituent, extname: str) -> Finding | None:
    key = (generic_scope(constituent.scope), constituent.typeid)
    if key[1] == "QUANTUMEF" and key[0] != "RGS" and extname.startswith("QE_CCD"):
        from daxa.xmm.ccf.response import total_efficiency

        try:
            _, energies, where = total_efficiency(constituent, constituent.scope, int(extname[6:]))
        except (UnknownLayout, MissingConstituent) as error:
            return Finding(extname, "refused", error.message)
        return Finding(extname, "exact", f"from {where} at {len(energies)} energies")
    text = OWN_READERS.get(key)
    return None if text is None else Finding(extname, "own reader", text)


def report(path: str | os.PathLike[str]) -> str:
    """Names, shapes, units and first values of a constituent, to go with a bug report; no data in bulk."""
    path = Path(path)
    lines = [f"{path.name} {path.stat().st_size} bytes"] if path.is_file() else []
    findings = {finding.extension: finding for finding in inspect(path)}
    with open_constituent(path) as hdus:
        for key in ("TELESCOP", "SCOPE", "TYPEID", "ISSUE", "VALDATE", "EVALDATE", "SUBDATE", "SYNTHETI"):
            if key in hdus[0].header:
                lines.append(f"  {key:8s} {hdus[0].header[key]}")
        for hdu in hdus[1:]:
            found = findings.pop(hdu.name if hdu.name in findings else str(hdu.header.get("EXTNAME")), None)
            lines.append(
                f"[{hdu.name}] {found.how if found else ''} {found.detail if found else ''}".rstrip()
            )
            names = getattr(hdu, "columns", None)
            if names is None:
                lines.append(f"  image {hdu.shape}")
                continue
            lines.append(f"  {len(hdu.data)} rows")
            for column in names:
                text = ", ".join(_first_values(hdu.data[column.name]))
                lines.append(f"  {column.name:18s} {column.format!s:>8s} {column.unit or '-':10s} {text}")
    lines += [f"[{f.extension}] {f.how} {f.detail}".rstrip() for f in findings.values()]
    return "\n".join(lines) + "\n"


def _first_values(values: Any) -> list[str]:
    """The first numbers or texts of a column."""
    cells = [np.ravel(cell) for cell in values[:_SHOWN]]
    return [str(value).strip() for cell in cells for value in cell][:_SHOWN]


def files_of(path: Path) -> list[Path]:
    """A file, or the files of a folder.

    Raises
    ------
    DamagedConstituent
        There is no such file, or no file in the folder.
    """
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    if not files:
        raise DamagedConstituent(f"{path}: no files in this folder")
    return files


def table_of_readings() -> str:
    """How each table is recognised, as a table of the documentation."""
    head = ("constituent", "table", "columns by name", "told by content", "fallback, and what it costs")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for (scope, typeid), tables in LAYOUT.items():
        if (scope, typeid) in OWN_READERS:
            lines.append(f"| {scope}_{typeid} | {_list(tables)} | {OWN_READERS[scope, typeid]} | | |")
            continue
        groups: dict[tuple[str, ...], list[str]] = {}
        for extname, schema in tables.items():
            given = READINGS.get((scope, typeid), {})
            reading = given.get(extname) or given.get("*") or Reading()
            groups.setdefault(_cells([c.name for c in schema], reading), []).append(extname)
        for cells, names in groups.items():
            lines.append(f"| {scope}_{typeid} | {_list(names)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _list(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"


def _cells(columns: list[str], reading: Reading) -> tuple[str, str, str]:
    content = "; ".join(f"{', '.join(rule.roles)}: {rule.says}" for rule in reading.content)
    lost = [
        f"without {name}: " + (f"`{f.code}`, {f.cost}" if f.code else f.cost.removeprefix("nothing: "))
        for name, f in reading.absent.items()
    ]
    if reading.substitute is not None:
        lost.append(f"unreadable: `{reading.substitute.code}`, {reading.substitute.cost}")
    return ", ".join(columns), content, "; ".join(lost)
