"""Positions as users write them: angles of several forms, and tables of positions."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
#: One angle, in degrees or sexagesimal with colons or letters.
_ANGLE = re.compile(r"[-+\u2212]?\d+(\.\d*)?([:hdm\u00b0'][\d.]+)*[hdms\u00b0'\"]?")
_NOTHING = ("", "-", "--", "---", "nan", "null", "none", "n/a", "na", "masked")


def is_position(text: str) -> bool:
    """Whether a text is coordinates, which a service of names must not be asked about.

    Parameters
    ----------
    text : str
        What stands where a name is expected.

    Examples
    --------
    >>> [is_position(t) for t in ("149.59 -11.06", "09:58:21.6, -11:03:36", "A 907", "3C 273", "47 Tuc")]
    [True, True, False, False, False]
    """
    words = text.replace(",", " ").split()
    return len(words) >= 2 and all(_ANGLE.fullmatch(w) for w in words)


def angle_deg(text: str, right_ascension: bool) -> float:
    """An angle in degrees; sexagesimal right ascension is in hours, as everywhere in astronomy.

    Parameters
    ----------
    text : str
        A number of degrees, or hours (degrees), minutes and seconds with colons, blanks or letters.
    right_ascension : bool
        Whether it is one, rather than a declination.

    Raises
    ------
    ValueError
        It is neither, or no such angle exists.

    Examples
    --------
    >>> [round(angle_deg(text, True), 9) for text in ("09:58:24", "149.6", "149d36m")]
    [149.6, 149.6, 149.6]
    """
    from astropy.coordinates import Angle

    text = text.strip().replace("\u2212", "-")
    if _NUMBER.fullmatch(text):
        value = float(text)
    else:
        own = re.search(r"[hd\u00b0]", text)
        value = Angle(text, None if own else "hourangle" if right_ascension else "deg").to_value("deg").item()
    if not (abs(value) <= 360 if right_ascension else abs(value) <= 90):
        kind, span = ("right ascension", "0 to 360") if right_ascension else ("declination", "-90 to 90")
        raise ValueError(f"{text!r} is no {kind} ({span} degrees)")
    return value


def read_positions(path: Path) -> SkyCoord:
    """Positions of a text table with columns ra and dec, in any case and among others.

    Columns are separated by commas, semicolons, tabulators or blanks; what begins with ``#`` is left out.

    Parameters
    ----------
    path : Path
        The table.

    Returns
    -------
    SkyCoord
        In the order of the table.

    Raises
    ------
    ValueError
        Names the line that is not understood.
    """
    from astropy.coordinates import SkyCoord

    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.split("#")[0].strip()]
    if not lines:
        raise ValueError(f"{path} is empty; columns ra and dec are expected")
    separator = next((c for c in ",;\t" if c in lines[0][1]), " ")
    rows = [
        (n, [c.strip() for c in next(csv.reader([line.strip()], delimiter=separator, skipinitialspace=True))])
        for n, line in lines
    ]
    names = [name.lower() for name in rows[0][1]]
    missing = [name for name in ("ra", "dec") if name not in names]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {', '.join(rows[0][1])}")
    found: dict[str, list[float]] = {"ra": [], "dec": []}
    for number, cells in rows[1:]:
        for name, values in found.items():
            place = names.index(name)
            cell = cells[place] if place < len(cells) else ""
            if cell.lower() in _NOTHING:
                raise ValueError(f"{path}, line {number}: no {name}; leave out rows without a position")
            try:
                values.append(angle_deg(cell, name == "ra"))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {name} is {cell!r}: {error}") from None
    if not found["ra"]:
        raise ValueError(f"{path} holds no position")
    return SkyCoord(found["ra"], found["dec"], unit="deg")
