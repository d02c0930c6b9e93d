"""What an expression says about single axes, in disjunctive normal form: the input of the data subspace.

An alternative is a list of conditions that hold together, each on one axis (a column or a pair of
columns); an expression is a list of alternatives. What cannot be said that way (arithmetic on columns,
comparisons of columns) is left out, and reported as incomplete.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from daxa.xmm.event.gti import GTI
from daxa.xmm.select import nodes, operations
from daxa.xmm.select.nodes import Interval, Node, Rows
from daxa.xmm.select.regions import Region, Shape

#: More alternatives than this are not worth writing down.
_MOST = 64


@dataclass(frozen=True)
class RangeCondition:
    """Values of a column inside any of some intervals."""

    axis: str
    intervals: tuple[Interval, ...]

    key = property(lambda self: (self.axis, ""))


@dataclass(frozen=True)
class BitCondition:
    """Bits of a column that must be clear, and bits that must be set."""

    axis: str
    clear: int
    set: int

    key = property(lambda self: (self.axis, "X"))

    def excludes(self, other: BitCondition) -> bool:
        """Whether no value fulfils both.

        Parameters
        ----------
        other
            Condition, of any axis.
        """
        same = self.axis == other.axis
        return same and bool((self.clear & other.set) | (self.set & other.clear))


@dataclass(frozen=True, eq=False)
class TimeCondition:
    """A column inside good intervals."""

    axis: str
    gti: GTI

    key = property(lambda self: (self.axis, ""))


#: What the data subspace calls pairs of columns; SAS calls any other pair AXIS2D1.
_PAIRS = {("X", "Y"): "POS", ("DETX", "DETY"): "DET", ("RAWX", "RAWY"): "RAW"}


@dataclass(frozen=True)
class RegionCondition:
    """A pair of columns inside a region."""

    axes: tuple[str, str]
    region: Region

    @property
    def axis(self) -> str:
        """Name in the data subspace, by what kind of coordinates the columns are."""
        name = _PAIRS.get((self.axes[0].upper(), self.axes[1].upper()), "AXIS2D1")
        return f"{name}({self.axes[0]},{self.axes[1]})"

    key = property(lambda self: (self.axis, ""))


Condition = RangeCondition | BitCondition | TimeCondition | RegionCondition
Alternatives = list[list[Condition]]


def alternatives(tree: Node) -> tuple[Alternatives, bool]:
    """Alternatives of an expression, and whether they say all of it.

    An empty list of conditions in an alternative restricts nothing; an empty list of alternatives means
    that nothing is selected.

    Parameters
    ----------
    tree
        Syntax tree of the expression.

    Examples
    --------
    >>> from daxa.xmm.select.expression import compile
    >>> conditions, complete = alternatives(compile("PI > 300 && RAWX + RAWY < 10").tree)
    >>> [c.axis for c in conditions[0]], complete
    (['PI'], False)
    """
    result, complete = _convert(tree, False)
    if len(result) > _MOST:
        return [[]], False
    return result, complete


def alternatives_by_ccd(tree: Node, ccds: Iterable[int]) -> tuple[Alternatives, bool]:
    """As :func:`alternatives`, for the events of some CCDs, one CCD after the other.

    Hot columns of many CCDs, each left out by itself, have more alternatives together than can be written
    down, and few on each CCD.

    Parameters
    ----------
    tree
        Syntax tree of the expression.
    ccds
        Numbers of the CCDs.

    Examples
    --------
    >>> from daxa.xmm.select.expression import compile
    >>> tree = compile("!(CCDNR == 1 && RAWX == 5)").tree
    >>> [[(c.axis, format_intervals(c.intervals)) for c in a] for a in alternatives_by_ccd(tree, [1, 2])[0]]
    [[('CCDNR', '1'), ('RAWX', ':5),(5:')], [('CCDNR', '2')]]
    """
    result: Alternatives = []
    complete = True
    for ccd in ccds:
        of_this, whole = alternatives(_of_ccd(tree, ccd))
        complete &= whole
        result += [[RangeCondition("CCDNR", (Interval(ccd, ccd),)), *conditions] for conditions in of_this]
    return result, complete


def _of_ccd(node: Node, ccd: int) -> Node:
    """An expression for the events of one CCD: what it says of CCDNR is true or false, and left out."""
    if isinstance(node, nodes.Not):
        inner = _of_ccd(node.operand, ccd)
        return nodes.Const(not inner.literal) if isinstance(inner, nodes.Const) else nodes.Not(inner)
    if isinstance(node, (nodes.And, nodes.Or)):
        decisive = isinstance(node, nodes.Or)
        terms = []
        for term in (_of_ccd(t, ccd) for t in _flat(node)):
            if not isinstance(term, nodes.Const):
                terms.append(term)
            elif term.literal == decisive:
                return term
        return type(node)(tuple(terms)) if terms else nodes.Const(not decisive)
    names = {n.name for n in node.walk() if isinstance(n, nodes.Column)}
    if node.constant or {name.upper() for name in names} == {"CCDNR"}:
        return nodes.Const(bool(node.truth(Rows({name: np.array([ccd]) for name in names}, 1))[0]))
    return node


def _convert(node: Node, negated: bool) -> tuple[Alternatives, bool]:
    if isinstance(node, nodes.Not):
        return _convert(node.operand, not negated)
    if isinstance(node, (nodes.And, nodes.Or)):
        parts = [_convert(t, negated) for t in _flat(node)]
        return (_product if isinstance(node, nodes.And) != negated else _union)(parts)
    if node.constant:
        true = bool(np.all(node.truth(Rows({}, 1))))
        return ([[]] if true != negated else []), True
    condition = _condition(node, negated)
    return ([[]], False) if condition is None else ([[condition]], True)


def _flat(node: nodes.And | nodes.Or) -> list[Node]:
    """Terms of a conjunction or disjunction, with those of terms of the same kind in their place."""
    return [t for term in node.terms for t in (_flat(term) if type(term) is type(node) else [term])]  # type: ignore[arg-type]


def _product(parts: Sequence[tuple[Alternatives, bool]]) -> tuple[Alternatives, bool]:
    result: Alternatives = [[]]
    complete = True
    for alternatives_, whole in parts:
        complete &= whole
        if len(result) * len(alternatives_) > _MOST:
            complete = False
            continue
        result = [a + b for a in result for b in alternatives_]
    joined = [_join(conditions) for conditions in result]
    return [conditions for conditions in joined if conditions is not None], complete


def _join(conditions: list[Condition]) -> list[Condition] | None:
    """The same with one condition per axis; None if they exclude each other.

    What was joined comes last, as in SAS. Bits of one axis stay apart there, even equal ones.
    """
    alone: dict[object, Condition] = {}
    joined: dict[object, Condition] = {}
    for number, condition in enumerate(conditions):
        key: object = condition.key
        if isinstance(condition, BitCondition):
            if any(condition.excludes(c) for c in alone.values() if isinstance(c, BitCondition)):
                return None
            key = (*condition.key, number)
        old = joined.get(key) or alone.get(key)
        if old is None:
            alone[key] = condition
            continue
        both = _intersect(old, condition)
        if both is None:
            alone[condition.key, number] = condition
            continue
        if isinstance(both, RangeCondition) and not both.intervals:
            return None
        alone[key], joined[key] = old, both
    return [c for k, c in alone.items() if k not in joined] + [joined[k] for k in alone if k in joined]


def _intersect(a: Condition, b: Condition) -> Condition | None:
    if isinstance(a, RangeCondition) and isinstance(b, RangeCondition):
        return RangeCondition(a.axis, intersect_intervals(a.intervals, b.intervals))
    if isinstance(a, TimeCondition) and isinstance(b, TimeCondition):
        return TimeCondition(a.axis, a.gti & b.gti)
    if isinstance(a, RegionCondition) and isinstance(b, RegionCondition):
        return RegionCondition(a.axes, a.region & b.region)
    times = [as_time(c) for c in (a, b)]
    if isinstance(a, (RangeCondition, TimeCondition)) and all(times):
        return TimeCondition(a.axis, times[0].gti & times[1].gti)  # type: ignore[union-attr]
    return None


def as_time(condition: Condition) -> TimeCondition | None:
    """A range as intervals of time; their ends are then closed and open.

    Parameters
    ----------
    condition
        Of one axis.

    Returns
    -------
    TimeCondition or None
        None for bits and regions.
    """
    if isinstance(condition, TimeCondition):
        return condition
    if not isinstance(condition, RangeCondition):
        return None
    low = [-math.inf if i.low is None else i.low for i in condition.intervals]
    high = [math.inf if i.high is None else i.high for i in condition.intervals]
    return TimeCondition(condition.axis, GTI(low, high))


def _union(parts: Sequence[tuple[Alternatives, bool]]) -> tuple[Alternatives, bool]:
    if not all(whole for _, whole in parts):
        # One alternative is not known, so the union restricts nothing that can be written down.
        return [[]], False
    result: Alternatives = []
    for alternatives_, _ in parts:
        for conditions in alternatives_:
            last = result[-1] if result else None
            joined = _either(last, conditions) if last is not None else None
            if joined is not None:
                result[-1] = joined
            else:
                result.append(conditions)
    return result, True


def _either(a: list[Condition], b: list[Condition]) -> list[Condition] | None:
    """Two alternatives as one, where they differ in one axis of the same kind."""
    if len(a) != 1 or len(b) != 1 or a[0].key != b[0].key:
        return None
    x, y = a[0], b[0]
    if isinstance(x, RangeCondition) and isinstance(y, RangeCondition):
        return [RangeCondition(x.axis, x.intervals + y.intervals)]
    if isinstance(x, TimeCondition) and isinstance(y, TimeCondition):
        return [TimeCondition(x.axis, x.gti | y.gti)]
    if isinstance(x, RegionCondition) and isinstance(y, RegionCondition):
        return [RegionCondition(x.axes, Region(x.region.components + y.region.components, x.axes))]
    return None


def _axis(column: nodes.Column) -> str:
    """Axis of a column: those that the data subspace treats apart are in capitals, as in SAS's lists."""
    return column.name.upper() if column.name.upper() in ("TIME", "CCDNR") else column.name


def _condition(node: Node, negated: bool) -> Condition | None:
    if isinstance(node, nodes.Compare):
        return _comparison(node, negated)
    if isinstance(node, nodes.InIntervals) and isinstance(node.operand, nodes.Column):
        intervals = node.intervals
        axis = _axis(node.operand)
        return RangeCondition(axis, complement_intervals(intervals) if negated else intervals)
    if isinstance(node, nodes.InGti) and isinstance(node.time, nodes.Column):
        gti = node.gti.complement(-math.inf, math.inf) if negated else node.gti
        return TimeCondition(_axis(node.time), gti)
    if isinstance(node, (nodes.InShape, nodes.InRegion)):
        if not (isinstance(node.x, nodes.Column) and isinstance(node.y, nodes.Column)):
            return None
        axes = (node.x.name, node.y.name)
        if isinstance(node, nodes.InShape):
            shape: Shape = replace(node.shape, exclude=node.shape.exclude != negated)
            return RegionCondition(axes, Region(((shape,),), axes))
        if isinstance(node.region, Region) and not negated:
            return RegionCondition(axes, Region(node.region.components, axes))
    return None


def _comparison(node: nodes.Compare, negated: bool) -> Condition | None:
    left, right, operator = node.left, node.right, node.operator
    if left.constant:
        left, right, operator = right, left, operations.FLIPPED[operator]
    if not right.constant:
        return None
    limit = right.value(Rows({}, 0))
    if isinstance(limit, (str, np.ndarray)):
        return None
    if negated:
        operator = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}[operator]
    if isinstance(left, nodes.Column):
        interval = {
            "==": Interval(limit, limit),
            "<": Interval(None, limit, high_open=True),
            "<=": Interval(None, limit),
            ">": Interval(limit, None, low_open=True),
            ">=": Interval(limit, None),
        }.get(operator)
        if interval is None:
            return RangeCondition(_axis(left), complement_intervals((Interval(limit, limit),)))
        return RangeCondition(_axis(left), (interval,))
    if isinstance(left, nodes.Binary) and left.operator == "&" and isinstance(limit, int):
        column, mask = left.left, left.right
        if column.constant:
            column, mask = mask, column
        if not isinstance(column, nodes.Column) or not mask.constant:
            return None
        bits = mask.value(Rows({}, 0))
        if not isinstance(bits, int) or bits < 0 or limit & ~bits:
            return None
        if operator == "==":
            return BitCondition(column.name, bits & ~limit, limit)
        if operator == "!=" and bits.bit_count() == 1:
            return BitCondition(column.name, limit, bits & ~limit)
    return None


def intersect_intervals(a: Sequence[Interval], b: Sequence[Interval]) -> tuple[Interval, ...]:
    """Values inside both lists.

    Parameters
    ----------
    a, b
        Lists of intervals of one column, each a union.
    """
    out = []
    for x in a:
        for y in b:
            low, low_open = max(_low(x), _low(y))
            high, high_closed = min(_high(x), _high(y))
            if low < high or (low == high and not low_open and high_closed):
                out.append(
                    Interval(
                        None if low == -math.inf else low,
                        None if high == math.inf else high,
                        low_open and low != -math.inf,
                        not high_closed and high != math.inf,
                    )
                )
    return tuple(out)


def _low(i: Interval) -> tuple[float, bool]:
    return (-math.inf, False) if i.low is None else (i.low, i.low_open)


def _high(i: Interval) -> tuple[float, bool]:
    return (math.inf, True) if i.high is None else (i.high, not i.high_open)


def complement_intervals(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    """Values outside all intervals.

    Parameters
    ----------
    intervals
        Intervals of one column, a union.

    Examples
    --------
    >>> format_intervals(complement_intervals([Interval(0, 4)]))
    ':0),(4:'
    """
    result: tuple[Interval, ...] = (Interval(),)
    for i in intervals:
        outside = []
        if i.low is not None:
            outside.append(Interval(None, i.low, high_open=not i.low_open))
        if i.high is not None:
            outside.append(Interval(i.high, None, low_open=not i.high_open))
        result = intersect_intervals(result, outside)
    return result


def format_intervals(intervals: Sequence[Interval]) -> str:
    """Intervals as a data-subspace value: ``500:2000``, ``(12:``, ``0:4,8``.

    Parameters
    ----------
    intervals
        Intervals of one column.

    Examples
    --------
    >>> format_intervals([Interval(200, 12000, True, True), Interval(None, 4)])
    '(200:12000),:4'
    """
    parts = []
    for i in intervals:
        if i.low is not None and i.low == i.high:
            parts.append(_text(i.low))
            continue
        text = f"{_text(i.low)}:{_text(i.high)}"
        if i.low_open or i.high_open:
            if i.low is not None:
                text = ("(" if i.low_open else "[") + text
            if i.high is not None:
                text += ")" if i.high_open else "]"
        parts.append(text)
    return ",".join(parts)


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.15g}"


def parse_intervals(text: str) -> tuple[Interval, ...]:
    """The inverse of :func:`format_intervals`.

    Parameters
    ----------
    text
        Intervals, separated by commas.

    Raises
    ------
    ValueError
        The text is not a list of intervals.
    """
    out = []
    for part in text.split(","):
        part = part.strip()
        low_open, high_open = part.startswith("("), part.endswith(")")
        part = part.strip("()[]")
        if ":" in part:
            low, high = (_value(v) for v in part.split(":"))
            out.append(Interval(low, high, low_open and low is not None, high_open and high is not None))
        else:
            value = _value(part)
            if value is None:
                raise ValueError(f"{text!r} is not a list of intervals")
            out.append(Interval(value, value))
    return tuple(out)


def _value(text: str) -> float | None:
    text = text.strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)


def format_bits(condition: BitCondition) -> str:
    """Bits as a data-subspace value: ``b`` and one of 0, 1, x for each bit from the highest tested one.

    Parameters
    ----------
    condition
        What is asked of the bits.

    Examples
    --------
    >>> format_bits(BitCondition("FLAG", clear=0b101, set=0b10))
    'b010'
    """
    tested = condition.clear | condition.set
    return "b" + "".join(
        "1" if condition.set >> n & 1 else "0" if condition.clear >> n & 1 else "x"
        for n in reversed(range(tested.bit_length()))
    )


def parse_bits(axis: str, text: str) -> BitCondition:
    """The inverse of :func:`format_bits`.

    Parameters
    ----------
    axis
        The column.
    text
        ``b`` and a letter per bit, the highest first.
    """
    clear = bits = 0
    for char in text.removeprefix("b"):
        clear, bits = clear << 1 | (char == "0"), bits << 1 | (char == "1")
    return BitCondition(axis, clear, bits)
