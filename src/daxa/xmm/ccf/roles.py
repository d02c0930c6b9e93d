"""How a calibration table is read whose columns may have other names, types or shapes than usual.

:mod:`daxa.xmm.formats.ccf` names the columns that the engine asks for. A :class:`Reading` says, for one
table, by which other names they are known, how they are told by what they hold, which of them a file may
lack, and what then stands in for them at which cost. :mod:`daxa.xmm.ccf.readings` has the reading of every
table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]
#: From the columns still free, how many are looked for, and the columns told so far: names, or None.
Finder = Callable[[Columns, int, Columns], list[str] | None]
#: What stands in for something, and why, in words.
Doubts = Sequence[tuple[str, "Fallback"]]
Test = Callable[[npt.NDArray[Any]], Any]


_NOTHING = "no result depends on it"


@dataclass(frozen=True)
class Fallback:
    """What stands in for something that a file lacks, the code of the warning, and what it costs.

    Without a code there is no warning: no result depends on it, or the value is the documented one.
    """

    value: Any
    code: str = ""
    cost: str = _NOTHING

    @property
    def unused(self) -> bool:
        """Whether no result depends on it."""
        return self.cost == _NOTHING


@dataclass(frozen=True)
class Content:
    """How some columns are told by what they hold; ``says`` is for people.

    Several columns are told together: not if names have found some of them.
    """

    roles: tuple[str, ...]
    says: str
    find: Finder


@dataclass(frozen=True)
class Reading:
    """How one table is read.

    Attributes
    ----------
    names
        Column or keyword of the layout -> other names for it, ``*`` for any letters.
    content
        Rules for columns that no name finds, applied in order to the columns still free.
    absent
        Columns that a file may lack.
    keywords
        Keywords that a file may lack; every other one that is asked for is obligatory.
    algorithms
        Values of the keyword ALGOID, where it is there, with which the columns mean what they are taken for.
    items
        Rows, by the name that stands in them, that a file may lack.
    lacking
        What stands in if the table has nothing that can be used on a mode or CCD, by the column (or the row)
        that should tell; ``*`` for another table, named by the value, that stands in for this one.
    substitute
        Rows that stand in for a table that is absent or cannot be read.
    total
        Column that is the sum of others, and these; it may stand in the file itself.
    image
        Column that an image may hold instead, one plane a row.
    positions
        Two columns that the keyword MFORM1 may name.
    free_widths
        Cells may be wider or narrower than in the layout: the first elements count.
    spread
        A single number stands for every element of a vector.
    alternative
        Name of a text column that may hold all that the columns say, as an expression.
    recode
        Brings codes to the kind that the layout has, in place.
    convert
        Brings units that follow from the sizes of numbers to those of the layout, in place, and refuses
        numbers that cannot be right; what it returns counts as a fallback.
    possible
        Column -> lowest and highest number, after ``convert``; a table with others counts as unreadable.
    held_to
        For people: what else numbers are held to, and what their size tells (``convert`` or the module that
        asks for them). With ``possible`` these are assumptions, which the documentation lists.
    gaps
        Cells may hold no number (NaN): what asks for them looks.
    empty
        It may have no rows; others count as unreadable then.
    spare
        Another table says the same: this one need not be there.
    remark
        More for people.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content: tuple[Content, ...] = ()
    absent: Mapping[str, Fallback] = field(default_factory=dict)
    keywords: Mapping[str, Fallback] = field(default_factory=dict)
    algorithms: tuple[int, ...] = ()
    items: Mapping[str, Fallback] = field(default_factory=dict)
    lacking: Mapping[str, Fallback] = field(default_factory=dict)
    substitute: Fallback | None = None
    total: tuple[str, tuple[str, ...]] | None = None
    image: str | None = None
    positions: tuple[str, str] | None = None
    free_widths: bool = False
    spread: bool = False
    alternative: str | None = None
    recode: Callable[[dict[str, npt.NDArray[Any]]], None] | None = None
    convert: Callable[[str, dict[str, npt.NDArray[Any]]], Doubts | None] | None = None
    possible: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    held_to: tuple[str, ...] = ()
    gaps: bool = False
    empty: bool = False
    spare: bool = False
    remark: str = ""


# --- telling columns by what they hold -------------------------------------------------------------


def kind_of(values: npt.NDArray[Any]) -> str:
    """``text``, ``flag``, ``integer`` or ``number``.

    Parameters
    ----------
    values
        The column.
    """
    return {"U": "text", "b": "flag", "i": "integer", "u": "integer", "f": "number"}.get(
        values.dtype.kind, ""
    )


def is_whole(values: npt.NDArray[Any]) -> bool:
    """Whether a column holds whole numbers, of whatever type, one in each row.

    Parameters
    ----------
    values
        The column.
    """
    if not values.size or values.size != len(values):
        return False
    return kind_of(values) == "integer" or (
        kind_of(values) == "number" and bool(np.all(values == np.rint(values)))
    )


def _fitting(free: Columns, kind: str, test: Test | None) -> list[str]:
    if kind == "whole":
        right = [name for name, v in free.items() if is_whole(v)]
    else:
        right = [name for name, v in free.items() if kind_of(v) == kind and v.size]
    return [name for name in right if test is None or bool(test(free[name]))]


def only(kind: str, test: Test | None = None) -> Finder:
    """The columns that fit, if there are just as many as are looked for.

    Parameters
    ----------
    kind
        ``text``, ``flag``, ``integer`` or ``number``.
    test
        What a column has to pass besides.
    """

    def find(free: Columns, n: int, told: Columns) -> list[str] | None:
        fitting = _fitting(free, kind, test)
        return fitting if len(fitting) == n else None

    return find


def first(kind: str, test: Test | None = None) -> Finder:
    """The first columns, in the order of the table, that fit.

    Parameters
    ----------
    kind
        ``text``, ``flag``, ``integer`` or ``number``.
    test
        What a column has to pass besides.
    """

    def find(free: Columns, n: int, told: Columns) -> list[str] | None:
        fitting = _fitting(free, kind, test)
        return fitting[:n] if len(fitting) >= n else None

    return find


def largest(test: Test | None = None) -> Finder:
    """The columns of the largest mean absolute values, in the order of the table.

    Parameters
    ----------
    test
        What a column has to pass besides.
    """

    def find(free: Columns, n: int, told: Columns) -> list[str] | None:
        fitting = _fitting(free, "number", test)
        if len(fitting) < n:
            return None
        size = {name: float(np.mean(np.abs(free[name]))) for name in fitting}
        kept = sorted(fitting, key=lambda name: -size[name])[:n]
        return [name for name in fitting if name in kept]

    return find


def between(low: float, high: float) -> Test:
    """All values within limits.

    Parameters
    ----------
    low, high
        The limits, which are allowed.
    """
    return lambda v: np.all((v >= low) & (v <= high))


def growing(v: npt.NDArray[Any]) -> bool:
    """Values that grow from one to the next.

    Parameters
    ----------
    v
        The column.
    """
    return v.size > 1 and bool(np.all(np.diff(np.ravel(v)) > 0))


def is_vector(v: npt.NDArray[Any]) -> bool:
    """Several elements in each row.

    Parameters
    ----------
    v
        The column.
    """
    return bool(len(v)) and v.size > len(v)


def is_single(v: npt.NDArray[Any]) -> bool:
    """One element in each row.

    Parameters
    ----------
    v
        The column.
    """
    return v.size == len(v)


MODE = Content(
    ("MODE_ID",),
    "whole numbers from 0 to at most 8",
    only("whole", lambda v: v.min() == 0 and 1 < v.max() <= 8),
)


def ccd_column(n: int) -> Content:
    """The column of CCDs of a camera that has so many.

    Parameters
    ----------
    n
        Number of CCDs.
    """
    return Content(("CCD_ID",), f"integers 1 to {n}", only("integer", between(1, n)))


#: Names by which the columns of CCDs, nodes and modes are known.
KEYS = {"CCD_ID": ("*CCD*",), "NODE_ID": ("*NODE*",), "MODE_ID": ("*MODE*",)}
