"""Names of eROSITA's calibration and performance-verification fields, as people write them."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

#: An ObsID that the release's pages give by mistake -> the observations that are meant.
MISPRINTS = {"700195": ("700199", "700200")}
_ROMAN = {"I": "1", "II": "2", "III": "3", "IV": "4"}


def read_table(path: str | Path | None = None) -> list[dict[str, str]]:
    """Rows of a table of observations; lines that begin with ``#`` are remarks.

    Parameters
    ----------
    path
        A CSV file; the package's own by default.

    Raises
    ------
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> len(read_table())
    170
    """
    if path is None:
        packaged = resources.files("daxa.mission").joinpath("data/erosita_calpv.csv")
        text = packaged.read_text(encoding="utf-8")
    elif Path(path).is_file():
        text = Path(path).read_text(encoding="utf-8")
    else:
        raise FileNotFoundError(f"table: no such file {path}")
    lines = (line for line in io.StringIO(text) if not line.startswith("#"))
    return list(csv.DictReader(lines))


def key(name: str) -> str:
    """A name without what people spell differently: case, spaces, signs, Abell for A.

    Parameters
    ----------
    name
        The name.

    Examples
    --------
    >>> key("Abell 3391/95") == key("a3391_95")
    True
    """
    return re.sub(r"^ABELL(?=\d)", "A", re.sub(r"[^A-Z0-9]", "", str(name).upper()))


def names_of(field: str, link: str) -> set[str]:
    """Keys of all names that a field goes by.

    Names in the table stand for brackets with underscores (``47_TUC__NGC_104_``); the archive file has a
    name of its own; numbers may be Roman, and a field without its number means all of that name.

    Parameters
    ----------
    field
        Name in the table.
    link
        Its archive file, or the address of it.

    Examples
    --------
    >>> sorted(names_of("CRAB_3", "Crab_III.tar.gz"))
    ['CRAB', 'CRAB3', 'CRABIII']
    """
    stem = link.rpartition("/")[2].removesuffix(".gz").removesuffix(".tar")
    found = {key(field), key(stem), key(field.removeprefix("LMC_"))}
    found |= {key(part) for part in field.split("__")}
    # In names of files, m and p before digits stand for the signs of declinations.
    found.add(key(re.sub(r"(?<=\d)[mp](?=\d)", "", stem)))
    if match := re.fullmatch(r"(\w+?)_([1-9])", field):
        base, number = match.groups()
        # Crab 3 is one of several pointings; in 3C390_3 or the like, the number belongs to the name.
        roman = next((r for r, n in _ROMAN.items() if n == number), None)
        if roman is not None and stem.upper().endswith(f"_{roman}"):
            found |= {key(base), key(base + roman)}
    return found - {""}


def find(fields: Any, rows: Iterable[tuple[str, str, str]]) -> list[str]:
    """Names in the table for names or types of fields, in any spelling.

    Parameters
    ----------
    fields : str or list of str
        What is looked for.
    rows
        Name, type and archive file of each observation.

    Raises
    ------
    ValueError
        There is no such field or type (similar ones are named), or what is given is no text.
    """
    given = [fields] if isinstance(fields, str) else fields
    if not isinstance(given, (list, tuple, set)) or not all(isinstance(f, str) for f in given) or not given:
        raise ValueError(f"fields: expected names or types of fields, got {fields!r}")
    by_key: dict[str, set[str]] = {}
    for field, kind, link in set(rows):
        for name in (*names_of(field, link), key(kind)):
            by_key.setdefault(name, set()).add(field)
    found: set[str] = set()
    for field in given:
        if key(field) not in by_key:
            near = difflib.get_close_matches(key(field), by_key, n=3)
            hint = ", ".join(sorted({n for k in near for n in by_key[k]}))
            raise ValueError(
                f"fields: {field!r} is not an eROSITA CalPV field or field type"
                + (f"; near it: {hint}" if hint else "")
            )
        found |= by_key[key(field)]
    return sorted(found)
