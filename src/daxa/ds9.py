"""Regions of ds9 as users give them: a file, text, or objects of the ``regions`` package, which reads them.

What that package would pass over with a warning is refused here: a shape that it does not know, and one in
coordinates that it cannot follow, would be missing from a selection without a word.
"""

from __future__ import annotations

import os
import re
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

#: Coordinates that ds9 knows and nothing here can follow.
_UNKNOWN_FRAME = re.compile(r"^\s*(linear|amplifier|detector|tile|wcs[a-z0]?)\s*$", re.IGNORECASE)
_FRAME = re.compile(r"^\s*(physical|image|icrs|fk5|j2000|fk4|b1950|galactic|ecliptic)\s*$", re.IGNORECASE)
#: A shape as it begins a line, behind the sign that excludes it.
_SHAPE = re.compile(r"^\s*#?\s*([+-]?)\s*([a-zA-Z]+)")
#: Shape -> what its numbers are, and whether a number of them is right.
_NUMBERS = {
    "circle": ("x, y, radius", lambda n: n == 3),
    "ellipse": ("x, y, pairs of radii, angle", lambda n: n >= 5 and n % 2),
    "box": ("x, y, pairs of widths, angle", lambda n: n >= 5 and n % 2),
    "annulus": ("x, y, two or more radii", lambda n: n >= 4),
    "polygon": ("x, y of three or more corners", lambda n: n >= 6 and not n % 2),
}
_SHAPES = ", ".join(_NUMBERS)
#: Shapes without an area, and what may be written beside shapes: no part of a selection.
_NO_AREA = ("point", "line", "vector", "ruler", "compass", "projection")
#: Parts of an angle that the package does not know.
_NOT_READ = ("panda", "epanda", "bpanda")


#: What no name of a file has.
_TEXT = re.compile(rf"[;\n]|\b({'|'.join((*_NUMBERS, *_NO_AREA, *_NOT_READ))})\s*\(", re.IGNORECASE)


def is_text(regions: Any) -> bool:
    """Whether something is regions as text, and not the name of a file.

    Parameters
    ----------
    regions
        A path, or text.

    Examples
    --------
    >>> is_text("fk5; circle(150, 2, 30\\")"), is_text("sources.reg")
    (True, False)
    """
    return isinstance(regions, str) and _TEXT.search(regions) is not None


def read_regions(regions: Any) -> list[Any]:
    """Regions as a list of objects of the ``regions`` package.

    Coordinates called ``physical`` by ds9 (also what it assumes where none are named) become pixel regions,
    as those of ``image`` do, with `physical` as ``meta["frame"]``. Pixels are counted from 0, as that package
    does. Text beside shapes is left out.

    Parameters
    ----------
    regions
        Path of a region file, its text (lines may be separated by semicolons), a region or several.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    TypeError
        It is none of these.
    ValueError
        Names the line that is no region, or one that has no area or is not understood.

    Examples
    --------
    >>> [type(r).__name__ for r in read_regions("fk5; circle(150, 2, 30\\"); -box(150, 2, 9\\", 5\\", 0)")]
    ['CircleSkyRegion', 'RectangleSkyRegion']
    """
    from regions import Region, Regions

    if isinstance(regions, Region):
        return [regions]
    if isinstance(regions, (list, tuple, Regions)):
        if all(isinstance(r, Region) for r in regions):
            return [_checked(r, "regions") for r in regions]
    elif is_text(regions):
        return _parsed(regions, "regions")
    elif isinstance(regions, (str, os.PathLike)):
        path = Path(regions).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"no such file of regions: {path}")
        content = path.read_bytes()
        if b"\0" in content or content.startswith(b"SIMPLE  ="):
            raise ValueError(f"{path}: not a text file of ds9 regions")
        # Labels may be in whatever encoding; nothing else is.
        return _parsed(content.decode("utf-8-sig", "replace"), str(path))
    raise TypeError(
        f"expected a path of a region file, its text, or objects of the regions package, got {regions!r}"
    )


def region_text(regions: list[Any]) -> str:
    """Regions as text of ds9, a shape in each part between semicolons.

    Parameters
    ----------
    regions
        Objects of the ``regions`` package.

    Examples
    --------
    >>> region_text(read_regions("icrs; -circle(150, 2, 36\\")"))
    'icrs; -circle(150.000000000,2.000000000,0.010000000)'
    """
    from regions import Regions

    written = Regions(regions).serialize(format="ds9", precision=9).splitlines()
    lines = [line.partition(" # ")[0] for line in written if line and not line.startswith(("#", "global"))]
    # Coordinates that all regions have in common stand on a line of their own.
    common = lines.pop(0).strip() if lines and "(" not in lines[0] else ""
    parts = []
    for region, line in zip(regions, lines, strict=True):
        frame, _, shape = (word.strip() for word in f"{common};{line}".strip(";").rpartition(";"))
        frame = "physical" if is_physical(region) else frame
        parts.append(f"{frame}; {'-' if excludes(region) else ''}{shape}")
    return "; ".join(parts)


def is_physical(region: Any) -> bool:
    """Whether a pixel region is in what ds9 calls physical coordinates.

    Parameters
    ----------
    region
        An object of the ``regions`` package.
    """
    return region.meta.get("frame") == "physical"


def excludes(region: Any) -> bool:
    """Whether a region is one to leave out (a sign ``-`` before it, or ``include=0``).

    Parameters
    ----------
    region
        An object of the ``regions`` package.
    """
    return region.meta.get("include", 1) in (0, False, "-")


def _parsed(text: str, where: str) -> list[Any]:
    from regions import Regions

    found: list[Any] = []
    physical = True
    # Each part by itself, under its coordinates: a message then names the line.
    frame = ""
    common = ""
    for number, part in _parts(text):
        if not part.strip() or (part.lstrip().startswith("#") and not _is_hidden_shape(part)):
            continue
        if part.lstrip().lower().startswith("global"):
            common = part
            continue
        if _UNKNOWN_FRAME.match(part):
            raise ValueError(
                f"{where}: line {number}: coordinates {part.strip()!r} are not understood; known are fk5, "
                "icrs, fk4, galactic, ecliptic, image, physical"
            )
        if _FRAME.match(part):
            physical = part.strip().lower() == "physical"
            frame = "image" if physical else part.strip()
            continue
        shape = _SHAPE.match(part)
        name = shape[2].lower() if shape else ""
        if name in ("text", "composite", "tile"):
            continue
        _check_shape(name, part, f"{where}: line {number}")
        lines = "\n".join(filter(None, [common, frame or "image", part.replace("||", "")]))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                made = list(Regions.parse(lines, format="ds9"))
            except Exception as error:  # whatever it trips over, the line is what is wrong
                raise ValueError(f"{where}: line {number}: {part.strip()!r}: {error}") from None
        if not made:
            why = next((str(w.message).partition(":")[0] for w in said), "it is not understood")
            raise ValueError(f"{where}: line {number}: {part.strip()!r}: {why}")
        for region in made:
            if physical:
                region.meta["frame"] = "physical"
        found += made
    if not found:
        raise ValueError(f"{where}: no region of ds9 ({_SHAPES}) in it")
    return found


def _parts(text: str) -> list[tuple[int, str]]:
    """Parts between line ends and semicolons, those within texts aside, each with the number of its line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        plain, hash_, rest = line.partition("#")
        if hash_ and not plain.strip():
            found.append((number, line))
            continue
        pieces = plain.split(";")
        if hash_:
            # Properties may hold semicolons; further shapes behind them are found by their names.
            ends = [
                m.start() for m in re.finditer(r";(?=\s*[+-]?(circle|ellipse|box|annulus|polygon)\b)", rest)
            ]
            cuts = [0, *(e + 1 for e in ends), len(rest) + 1]
            tails = [rest[a : b - 1] for a, b in pairwise(cuts)]
            pieces[-1] = f"{pieces[-1]}#{tails[0]}"
            pieces += tails[1:]
        found += [(number, piece) for piece in pieces]
    return found


def _is_hidden_shape(part: str) -> bool:
    """Whether a comment is a shape: ds9 writes some of them so, e.g. ``# vector(...)``."""
    shape = _SHAPE.match(part)
    return shape is not None and shape[2].lower() in (*_NO_AREA, *_NOT_READ) and "(" in part


def _check_shape(name: str, part: str, where: str) -> None:
    if name in _NO_AREA:
        raise ValueError(f"{where}: {part.strip()!r}: a {name} has no area; known are {_SHAPES}")
    if name in _NOT_READ:
        raise ValueError(f"{where}: {part.strip()!r}: {name} is not understood; known are {_SHAPES}")
    if name not in _NUMBERS:
        raise ValueError(f"{where}: {part.strip()!r} is no region of ds9; known are {_SHAPES}")
    expected, right = _NUMBERS[name]
    inside = part.partition("#")[0].lower().partition(name)[2].replace("||", "").strip(" ()")
    count = len(re.findall(r"[^\s,()]+", inside))
    if not right(count):
        raise ValueError(f"{where}: {part.strip()!r}: a {name} has {expected}, not {count} numbers")


def _checked(region: Any, where: str) -> Any:
    """A region object that has an area."""
    name = type(region).__name__.removesuffix("Region").removesuffix("Sky").removesuffix("Pixel")
    if name in ("Point", "Line", "Text"):
        raise ValueError(f"{where}: a {name.lower()} has no area; known are {_SHAPES}")
    return region
