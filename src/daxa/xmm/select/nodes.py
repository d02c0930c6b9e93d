"""The syntax tree of a selection expression, evaluated on whole columns.

Every node gives an array (or a Python number) for all rows at once; :class:`And` stops early and looks at
the surviving rows only, once they are few. Integer columns stay integers: limits are brought to the
column's type rather than columns to the limits'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.select.operations import (
    ARITHMETIC,
    BITS,
    FUNCTIONS,
    Value,
    compare,
    integer,
    number,
    same_bits,
)
from daxa.xmm.select.regions import ImageMask, Region, Shape

Array = npt.NDArray[Any]
#: Share of surviving rows below which the rest of a conjunction is evaluated on those rows only.
_FEW = 0.3


class Rows:
    """The rows an expression is evaluated on: all of a chunk, or some of them.

    Columns are converted to native byte order once, when first asked for.

    Parameters
    ----------
    columns
        Columns by name, each of shape (count, ...).
    count
        Number of rows.
    row0
        Rows of the table before these.
    """

    def __init__(self, columns: Mapping[str, npt.ArrayLike], count: int, row0: int = 0) -> None:
        self.columns = columns
        self.count = count
        self.row0 = row0
        self._cache: dict[str, Array] = {}
        self._parent: Rows | None = None
        self._index: Array | None = None

    def subset(self, index: Array) -> Rows:
        """The rows of the given positions.

        Parameters
        ----------
        index
            Positions, from 0, shape (n,).
        """
        rows = Rows(self.columns, len(index), self.row0)
        rows._parent, rows._index = self, index
        return rows

    def column(self, name: str) -> Array:
        """A column in native byte order.

        Parameters
        ----------
        name
            Its name.
        """
        if name not in self._cache:
            if self._parent is not None:
                values = self._parent.column(name)[self._index]
            else:
                values = np.asarray(self.columns[name])
                if values.dtype.byteorder not in "=|" or not values.flags.c_contiguous:
                    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
            self._cache[name] = values
        return self._cache[name]

    def __getitem__(self, name: str) -> Array:
        return self.column(name)

    def numbers(self) -> Array:
        """Row numbers, from 1."""
        if self._parent is not None:
            return self._parent.numbers()[self._index]
        return np.arange(self.row0 + 1, self.row0 + self.count + 1, dtype=np.int64)


class Node:
    """Part of an expression."""

    #: Rough effort per row, to try cheap conditions first.
    cost = 1

    def value(self, rows: Rows) -> Value:
        """Values for the rows.

        Parameters
        ----------
        rows
            The rows to evaluate on.

        Returns
        -------
        array or number
            Shape (n,), or one number (or text) that holds for all rows.
        """
        raise NotImplementedError(type(self).__name__)

    def children(self) -> Iterator[Node]:
        """The nodes this one is made of."""
        return iter(())

    def truth(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """The value as a boolean per row; numbers are true if they are not 0.

        Parameters
        ----------
        rows
            The rows to evaluate on.

        Returns
        -------
        bool array
            Shape (n,).

        Raises
        ------
        TypeError
            The value is text.
        """
        values = np.asarray(self.value(rows))
        if values.dtype != bool:
            if values.dtype.kind not in "iuf":
                raise TypeError("a condition is expected, not text")
            values = values != 0
        return values if values.ndim else np.full(rows.count, bool(values))

    def walk(self) -> Iterator[Node]:
        """This node and all below."""
        yield self
        for child in self.children():
            yield from child.walk()

    @property
    def constant(self) -> bool:
        """Whether the value is the same for all rows."""
        return all(type(n) in (Const, Unary, Binary, Function, Compare) for n in self.walk())


@dataclass
class Const(Node):
    """A literal."""

    literal: Any

    def value(self, rows: Rows) -> Value:
        return self.literal


@dataclass
class Column(Node):
    """A column."""

    name: str

    def value(self, rows: Rows) -> Value:
        return rows.column(self.name)


@dataclass
class Row(Node):
    """The row number."""

    def value(self, rows: Rows) -> Value:
        return rows.numbers()


@dataclass
class Unary(Node):
    """Sign or bit complement."""

    operator: str
    operand: Node

    def children(self) -> Iterator[Node]:
        yield self.operand

    def value(self, rows: Rows) -> Value:
        value = self.operand.value(rows)
        if self.operator == "~":
            return ~integer(value)
        return -number(value) if self.operator == "-" else number(value)


@dataclass
class Binary(Node):
    """Arithmetic (integer / integer is real) and bit operators."""

    operator: str
    left: Node
    right: Node
    cost = 2

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right

    def value(self, rows: Rows) -> Value:
        a, b = self.left.value(rows), self.right.value(rows)
        if self.operator in BITS:
            return BITS[self.operator](*same_bits(a, b))
        return ARITHMETIC[self.operator](number(a), number(b))


@dataclass
class Compare(Node):
    """Comparison of two values."""

    operator: str
    left: Node
    right: Node

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right

    @property
    def cost(self) -> int:  # type: ignore[override]
        """What the two sides cost, and one more; a column by itself costs nothing."""
        return 1 + sum(c.cost for c in self.children() if not isinstance(c, (Column, Const)))

    def value(self, rows: Rows) -> Value:
        return compare(self.operator, self.left.value(rows), self.right.value(rows))


@dataclass
class Not(Node):
    """Negation."""

    operand: Node

    def children(self) -> Iterator[Node]:
        yield self.operand

    @property
    def cost(self) -> int:  # type: ignore[override]
        """What the operand costs, and one more."""
        return self.operand.cost + 1

    def value(self, rows: Rows) -> Value:
        return ~self.operand.truth(rows)


@dataclass
class And(Node):
    """Conjunction, cheap terms first, later ones on the surviving rows only."""

    terms: tuple[Node, ...]

    def __post_init__(self) -> None:
        self._ordered = sorted(self.terms, key=lambda t: t.cost)
        self.cost = sum(t.cost for t in self.terms)

    def children(self) -> Iterator[Node]:
        return iter(self.terms)

    def value(self, rows: Rows) -> Value:
        return self._evaluate(self._ordered, rows)

    def _evaluate(self, terms: list[Node], rows: Rows) -> Array:
        mask = terms[0].truth(rows)
        mask = mask if mask.flags.writeable else mask.copy()
        for position, term in enumerate(terms[1:], start=1):
            left = np.count_nonzero(mask)
            if not left:
                return mask
            if left < _FEW * rows.count and rows.count > 1000:
                index = np.flatnonzero(mask)
                mask[index] = self._evaluate(terms[position:], rows.subset(index))
                return mask
            mask = mask & term.truth(rows)
        return mask


@dataclass
class Or(Node):
    """Disjunction."""

    terms: tuple[Node, ...]

    def __post_init__(self) -> None:
        self.cost = sum(t.cost for t in self.terms)

    def children(self) -> Iterator[Node]:
        return iter(self.terms)

    def value(self, rows: Rows) -> Value:
        mask = self.terms[0].truth(rows)
        for term in self.terms[1:]:
            mask = mask | term.truth(rows)
        return mask


@dataclass(frozen=True)
class Interval:
    """A range of values; None is unbounded."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def test(self, values: Value) -> Value:
        """Which values lie inside.

        Parameters
        ----------
        values
            Values of any shape.

        Returns
        -------
        Value
            Booleans of the same shape.
        """
        if self.low is None and self.high is None:
            return np.ones(np.shape(values), bool)
        if self.low is not None and self.low == self.high and not (self.low_open or self.high_open):
            return compare("==", values, self.low)
        above = None if self.low is None else compare(">" if self.low_open else ">=", values, self.low)
        below = None if self.high is None else compare("<" if self.high_open else "<=", values, self.high)
        if above is None or below is None:
            return below if above is None else above
        return above & below


@dataclass
class InIntervals(Node):
    """Membership of a list of intervals."""

    operand: Node
    intervals: tuple[Interval, ...]

    def children(self) -> Iterator[Node]:
        yield self.operand

    @property
    def cost(self) -> int:  # type: ignore[override]
        """What the operand costs, and as much as up to three intervals."""
        return self.operand.cost + min(len(self.intervals), 3)

    def value(self, rows: Rows) -> Value:
        values = self.operand.value(rows)
        if isinstance(values, bool):
            values = int(values)
        small = isinstance(values, np.ndarray) and values.dtype.kind in "iu" and values.dtype.itemsize <= 2
        if small and len(self.intervals) > 2 and len(values) > 65536:
            # A table of all values is quicker than many comparisons.
            unsigned = np.dtype(f"u{values.dtype.itemsize}")
            every = np.arange(1 << 8 * values.dtype.itemsize).astype(unsigned)
            return self._any(every.view(values.dtype))[values.view(unsigned)]
        return self._any(values)

    def _any(self, values: Value) -> Value:
        result = self.intervals[0].test(values)
        for interval in self.intervals[1:]:
            result = result | interval.test(values)
        return result


@dataclass
class InShape(Node):
    """Position inside a region shape."""

    shape: Shape
    x: Node
    y: Node
    cost = 8

    def children(self) -> Iterator[Node]:
        yield self.x
        yield self.y

    def value(self, rows: Rows) -> Value:
        return self.shape.contains(self.x.value(rows), self.y.value(rows))


@dataclass
class InRegion(Node):
    """Position inside the regions of a table, or on the non-zero pixels of an image."""

    region: Region | ImageMask
    x: Node
    y: Node
    offset: tuple[float, float] | None = None
    block: str = ""
    cost = 20

    def children(self) -> Iterator[Node]:
        yield self.x
        yield self.y

    def value(self, rows: Rows) -> Value:
        x, y = self.x.value(rows), self.y.value(rows)
        if isinstance(self.region, ImageMask):
            return self.region.contains(x, y, *(self.offset or (1.0, 1.0)))
        return self.region.contains(x, y)


@dataclass
class InGti(Node):
    """Time inside good intervals."""

    gti: GTI
    time: Node
    block: str = ""
    cost = 6

    def children(self) -> Iterator[Node]:
        yield self.time

    def value(self, rows: Rows) -> Value:
        return self.gti.contains(self.time.value(rows))


@dataclass
class Function(Node):
    """A function of its arguments."""

    name: str
    arguments: tuple[Node, ...]
    cost = 5

    def children(self) -> Iterator[Node]:
        return iter(self.arguments)

    def value(self, rows: Rows) -> Value:
        return FUNCTIONS[self.name][2](*(a.value(rows) for a in self.arguments))
