"""Positions as users write them: angles of several forms, and tables of positions."""

from __future__ import annotations

import codecs
import csv
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
#: One angle, in degrees or sexagesimal with colons or letters.
_ANGLE = re.compile(r"[-+\u2212]?\d+(\.\d*)?([:hdm\u00b0'][\d.]+)*[hdms\u00b0'\"]?")
#: What stands in a cell that is empty.
MISSING = ("", "-", "--", "---", "nan", "null", "none", "n/a", "na", "masked")


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


def position_deg(text: str) -> tuple[float, float]:
    """Right ascension and declination that a text holds, in degrees.

    Parameters
    ----------
    text : str
        Both, as `angle_deg` reads them, with a comma or blanks between.

    Raises
    ------
    ValueError
        It is not such a position.

    Examples
    --------
    >>> [round(angle, 9) for angle in position_deg("09 58 24 -11 06 00")]
    [149.6, -11.1]
    """
    parts = [part.split() for part in text.split(",")]
    if len(parts) > 2:
        raise ValueError(f"{text!r}: one comma at most is expected, between the two")
    if len(parts) != 2 or not all(parts):
        words = text.replace(",", " ").split()
        if len(words) not in (2, 4, 6):
            raise ValueError(f"{text!r}: expected right ascension and declination, got {len(words)} numbers")
        parts = [words[: len(words) // 2], words[len(words) // 2 :]]
    ra, dec = (angle_deg(" ".join(words), right_ascension=n == 0) for n, words in enumerate(parts))
    return ra, dec


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
        letters = set(re.findall(r"[^\W\d_]|[\u00b0'\"]", text))
        own = letters & set("hd\u00b0")
        if letters and (":" in text or not own or ("h" in letters and not right_ascension)):
            # read otherwise than meant: 09:58:21.6s are seconds of arc, a declination of 1h is 15 degrees
            raise ValueError(f"{text!r} mixes ways to write an angle, or lacks its unit")
        value = Angle(text, None if own else "hourangle" if right_ascension else "deg").to_value("deg").item()
    if not (abs(value) <= 360 if right_ascension else abs(value) <= 90):
        kind, span = ("right ascension", "0 to 360") if right_ascension else ("declination", "-90 to 90")
        raise ValueError(f"{text!r} is no {kind} ({span} degrees)")
    return value


#: Spellings of the names of columns, without blanks, signs and case.
_SPELLINGS = {
    "ra": ("ra", "radeg", "rad", "raj2000", "rajdeg", "raj2000deg", "raicrs", "rightascension", "alphaj2000"),
    "dec": ("dec", "decdeg", "de", "dedeg", "decd", "decj2000", "dej2000", "dejdeg", "decj2000deg", "decicrs",
            "deicrs", "declination", "deltaj2000"),
}  # fmt: skip


def read_positions(path: Path) -> SkyCoord:
    """Positions of a text table with columns ra and dec, in usual spellings and among others.

    Columns are separated by commas, semicolons, tabulators or blanks; what begins with ``#`` is left out, and
    so are rows in which both cells are empty.

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

    Warns
    -----
    UserWarning
        Names the lines without a position.
    """
    from astropy.coordinates import SkyCoord

    text = _text_of(path)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.split("#")[0].strip()]
    if not lines:
        raise ValueError(f"{path} is empty; columns ra and dec are expected")
    separator = next((c for c in ",;\t" if c in lines[0][1]), " ")
    rows = [
        (
            n,
            [
                c.strip()
                for c in next(csv.reader([line.strip(" \r")], delimiter=separator, skipinitialspace=True))
            ],
        )
        for n, line in lines
    ]
    columns = {name: _place(path, name, rows[0][1]) for name in _SPELLINGS}
    found: dict[str, list[float]] = {name: [] for name in columns}
    empty = []
    for number, cells in rows[1:]:
        given = {name: cells[at] if at < len(cells) else "" for name, at in columns.items()}
        missing = [name for name, cell in given.items() if cell.lower() in MISSING]
        if len(missing) == len(given):
            empty.append(number)
            continue
        if missing:
            raise ValueError(f"{path}, line {number}: no {missing[0]}; leave out rows without a position")
        for name, cell in given.items():
            try:
                found[name].append(angle_deg(cell, name == "ra"))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {name} is {cell!r}: {error}") from None
    if not found["ra"]:
        raise ValueError(f"{path} holds no position")
    if empty:
        first = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
        warnings.warn(
            f"{path}: {len(empty)} rows without a position are left out (line {first})", stacklevel=2
        )
    return SkyCoord(found["ra"], found["dec"], unit="deg")


def _text_of(path: Path) -> str:
    """What a text file holds; positions are the same in all encodings that have ASCII in them, or a mark."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if marked else "utf-8-sig", errors="replace")
    if "\0" in text or text.startswith("SIMPLE  ="):
        raise ValueError(f"{path} is no text; a table with columns ra and dec is expected")
    return text


def _place(path: Path, name: str, header: list[str]) -> int:
    """Which column of a table has a coordinate."""
    keys = [re.sub(r"[^a-z0-9]", "", column.lower()) for column in header]
    if name in keys:
        keys = [key if key == name else "" for key in keys]
    places = [n for n, key in enumerate(keys) if key in _SPELLINGS[name]]
    if not places:
        missing = [c for c, names in _SPELLINGS.items() if not set(keys) & set(names)]
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {', '.join(header)}")
    if len(places) > 1:
        both = ", ".join(header[n] for n in places)
        raise ValueError(f"{path} has several columns for {name}: {both}; call the one that is meant {name}")
    return places[0]
