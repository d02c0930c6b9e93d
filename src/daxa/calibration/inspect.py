"""What the engine would take from calibration files, and how it recognises it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from daxa.xmm.ccf.constituent import Constituent
from daxa.xmm.ccf.index import open_constituent, read_entry, unreadable
from daxa.xmm.ccf.readings import reading_of
from daxa.xmm.ccf.recognise import is_number, keyword_of
from daxa.xmm.ccf.roles import Fallback, Reading
from daxa.xmm.errors import DamagedConstituent, UnknownLayout
from daxa.xmm.findings import Finding, column_lines
from daxa.xmm.formats.ccf import LAYOUT, generic_scope

#: Images that the index tables of EPN_REJECT point to.
_MAP = re.compile(r"(NOISE|MEDIAN|MASTER)_MAP_")


def inspect(path: str | os.PathLike[str]) -> list[Finding]:
    """How each table of a constituent is recognised.

    Parameters
    ----------
    path
        The constituent.

    Returns
    -------
    list of Finding
        ``exact``, ``by content``, ``fallback``, ``refused``, ``absent`` (without loss) or ``not read``.

    Raises
    ------
    DamagedConstituent
        The file is not there, not FITS, cut short, or not a constituent.
    """
    constituent = _open(Path(path))
    constituent.load()
    known = LAYOUT.get((generic_scope(constituent.scope), constituent.typeid), {})
    absent = [
        name
        for name in known
        if name not in constituent
        and constituent.typeid != "PATTERNLIB"
        and not reading_of(constituent.scope, constituent.typeid, name).spare
    ]
    return [finding(constituent, name) for name in (*constituent.extensions, *absent)]


def _open(path: Path) -> Constituent:
    if not path.is_file():
        raise DamagedConstituent(f"{path}: no such file")
    entry = read_entry(path)
    if entry is None:
        raise DamagedConstituent(f"{path}: a FITS file, but not a calibration constituent")
    return Constituent(entry, path)


def finding(constituent: Constituent, extname: str) -> Finding:
    """How a table of an opened constituent is recognised.

    Parameters
    ----------
    constituent
        The constituent.
    extname
        Name of the table; it need not be there.
    """
    known = LAYOUT.get((generic_scope(constituent.scope), constituent.typeid), {})
    if extname not in known and not (known and constituent.typeid == "PATTERNLIB"):
        if constituent.typeid == "REJECT" and _MAP.match(extname):
            return _image(constituent, extname)
        return Finding(extname, "not read")
    if known.get(extname) == ():
        return _image(constituent, extname)
    reading = reading_of(constituent.scope, constituent.typeid, extname)
    if extname.startswith("QE_CCD"):
        other = _efficiency(constituent, extname, reading)
        if other is not None:
            return other
    try:
        constituent.table(extname)
    except UnknownLayout as error:
        return _instead(extname, reading, error.message)
    said = constituent.recognised[extname]
    lost = [f"{missing} ({f.code}): {f.cost}" for missing, f in said.fallbacks if f.code]
    if extname not in constituent and not lost:
        return Finding(extname, "absent", reading.substitute.cost if reading.substitute else "")
    lost += _keywords(constituent, extname, reading)
    if reading.items and "PARM_ID" in constituent.table(extname):
        present = {str(name).strip() for name in constituent.table(extname)["PARM_ID"]}
        missing = {name: f for name, f in reading.items.items() if name not in present}
        lost += losses("without row", missing)
    told = [f"{role} is {name}" for role, name in said.by_content.items()]
    return Finding(extname, "fallback" if lost else said.how, "; ".join([*lost, *told]))


def _keywords(constituent: Constituent, extname: str, reading: Reading) -> list[str]:
    """Keywords that are not there, or not numbers, and whose fallback costs something."""
    headers = [constituent.header(extname), constituent.header("PRIMARY")] if extname in constituent else []
    return [
        f"no keyword {name} ({fallback.code}): {fallback.cost}"
        for name, fallback in reading.keywords.items()
        if fallback.code and headers and not any(_has_number(name, reading, header) for header in headers)
    ]


def _has_number(name: str, reading: Reading, header: Mapping[str, Any]) -> bool:
    known = keyword_of(name, reading, header)
    try:
        return known is not None and is_number(header[known])
    except unreadable():
        return False


def _instead(extname: str, reading: Reading, message: str) -> Finding:
    """A table that cannot be read: another may stand in for it."""
    other = reading.lacking.get("*")
    if other is None:
        return Finding(extname, "refused", message)
    return Finding(extname, "fallback", f"{message} ({other.code}): {other.cost}")


def _efficiency(constituent: Constituent, extname: str, reading: Reading) -> Finding | None:
    """What is taken for a CCD's efficiency if it is not its table, which has to fit the energies, too."""
    from daxa.xmm.response.area import total_efficiency

    try:
        _, _, missing = total_efficiency(constituent, int(extname.removeprefix("QE_CCD")))
    except UnknownLayout as error:
        return Finding(extname, "refused", error.message)
    return _instead(extname, reading, missing) if missing else None


def _image(constituent: Constituent, extname: str) -> Finding:
    try:
        shape = constituent.image(extname).shape
    except UnknownLayout as error:
        return Finding(extname, "refused", error.message)
    return Finding(extname, "exact", f"image of {' x '.join(map(str, reversed(shape)))}")


def report(path: str | os.PathLike[str], findings: Iterable[Finding]) -> str:
    """Names, shapes, units and first values of a constituent, to go with a bug report; no data in bulk.

    Parameters
    ----------
    path
        The constituent.
    findings
        Those of :func:`inspect`.
    """
    path = Path(path)
    lines = [f"{path.name} {path.stat().st_size} bytes"]
    found = {finding.extension.upper(): finding for finding in findings}
    with open_constituent(path) as hdus:
        for key in ("TELESCOP", "SCOPE", "TYPEID", "ISSUE", "VALDATE", "EVALDATE", "SUBDATE", "SYNTHETI"):
            if key in hdus[0].header:
                lines.append(f"  {key:8s} {hdus[0].header[key]}")
        for hdu in hdus[1:]:
            lines.append(str(found.pop(hdu.name.upper(), f"[{hdu.name}]")))
            try:
                if getattr(hdu, "columns", None) is None:
                    lines.append(f"  image {hdu.shape}")
                else:
                    lines += [f"  {hdu.header['NAXIS2']} rows", *column_lines(hdu, unreadable())]
            except unreadable() as error:
                lines.append(f"  unreadable ({error})")
    return "\n".join([*lines, *map(str, found.values())]) + "\n"


def files_of(path: Path) -> list[Path]:
    """A file, or the files of a folder.

    Parameters
    ----------
    path
        A file or a folder.

    Raises
    ------
    DamagedConstituent
        There is no such file, or no file in the folder.
    """
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    if not files:
        raise DamagedConstituent(f"{path}: no files in this folder")
    return files


def losses(what: str, fallbacks: Mapping[str, Fallback]) -> list[str]:
    """What happens without columns or keywords, those of one cost together.

    Parameters
    ----------
    what
        Begins each line, e.g. ``without keyword``.
    fallbacks
        What stands in for each of them.
    """
    together: dict[str, list[str]] = {}
    for name, fallback in fallbacks.items():
        together.setdefault(cost_of(fallback), []).append(name)
    return [f"{what} {', '.join(names)}: {cost}" for cost, names in together.items()]


def cost_of(fallback: Fallback) -> str:
    """The code of the warning, if there is one, and what a fallback costs.

    Parameters
    ----------
    fallback
        What stands in for something.
    """
    return f"`{fallback.code}`, {fallback.cost}" if fallback.code else fallback.cost
