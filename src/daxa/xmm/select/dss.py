"""The data subspace: what part of the data a file holds, as keywords of its header.

A data subspace is a union of components (in an event list: one per CCD), each an intersection of filters on
one axis: a column, or a pair of them as ``POS(X,Y)`` and ``DET(DETX,DETY)``. Header keywords: ``DSTYPn`` and
``DSUNIn`` name axis n and its unit, ``DSVALn`` is the value for the first component, ``kDSVALn`` that for
component k where it differs. A value is a list of intervals (``500:2000``, ``(12:``, ``:`` for unrestricted),
a bit pattern with ``DSFORMn`` X (``b00xx0``), or ``TABLE`` with the extension in ``DSREFn``.

From component 100 on the keywords have more than the eight letters of the standard and are written by the
HIERARCH convention: assumed of SAS, whose manual names no limit, as CFITSIO writes long keywords so.

Source: dsslib manual; details (order of keywords, names of tables) as in files made by SAS 13.5 to 20.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.fits.header import Header
from daxa.xmm.fits.schema import column_names
from daxa.xmm.select import nodes
from daxa.xmm.select.conditions import (
    Alternatives,
    BitCondition,
    Condition,
    RangeCondition,
    RegionCondition,
    TimeCondition,
    as_time,
    format_bits,
    format_intervals,
    intersect_intervals,
    parse_bits,
    parse_intervals,
)
from daxa.xmm.select.nodes import Node
from daxa.xmm.select.regions import Region

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import HDUList, Header

_KEY = re.compile(r"(\d*)(DSTYP|DSUNI|DSFORM|DSVAL|DSREF)(\d+)$")
_COMMENT = {
    "DSTYP": "name",
    "DSUNI": "units",
    "DSFORM": "data type",
    "DSVAL": "value",
    "DSREF": "reference",
}
Table = GTI | Region
#: Axis, form of the value, and how many of them come before.
Key = tuple[str, str, int]
Plan = dict[Key, Condition]
#: Value that no row fulfils.
_NOTHING = "1:0"


@dataclass(frozen=True)
class Axis:
    """A column, or a pair of them as in ``POS(X,Y)``, and its unit."""

    name: str
    unit: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is made of."""
        # SAS repeats the pair for every region that it has joined: DET(DETX,DETY)(DETX,DETY).
        pair = re.match(r"\w+\((\w+),(\w+)\)", self.name)
        return pair.groups() if pair else (self.name,)

    @property
    def kind(self) -> tuple[str, ...]:
        """Equal for axes whose filters can be joined."""
        return self.columns


@dataclass(frozen=True)
class Filter:
    """Value of one component on one axis."""

    value: str = ":"
    form: str = ""
    reference: str = ""

    @property
    def table(self) -> str:
        """Extension name of a table in the same file, else empty."""
        return self.reference[1:] if self.reference.startswith(":") else ""


@dataclass
class DataSubspace:
    """Components by axes.

    Attributes
    ----------
    axes
        The axes, in the order of their keywords; the same axis may come twice.
    components
        Per component a filter for each axis.
    tables
        Good times and regions that filters refer to, by extension name, as far as known.
    """

    axes: list[Axis] = field(default_factory=list)
    components: list[list[Filter]] = field(default_factory=lambda: [[]])
    tables: dict[str, Table] = field(default_factory=dict)

    # reading and writing
    @classmethod
    def from_header(
        cls, header: Mapping[str, Any], load: Callable[[str], Table | None] | None = None
    ) -> DataSubspace:
        """Parse a header.

        Parameters
        ----------
        header
            Header of a table or image.
        load
            Gives the table of an extension name; without it tables stay unknown.
        """
        values: dict[tuple[int, str, int], str] = {}
        for key in header:
            match = _KEY.match(key)
            if match:
                component, name, number = match.groups()
                values[int(component or 1), name, int(number)] = str(header[key]).strip()
        numbers = sorted(n for k, name, n in values if name == "DSTYP" and k == 1)
        axes = [Axis(values[1, "DSTYP", n], values.get((1, "DSUNI", n), "")) for n in numbers]
        if not axes:
            return cls()
        components: list[list[Filter]] = []
        for k in range(1, max(k for k, *_ in values) + 1):

            def get(name: str, n: int, k: int = k) -> str | None:
                return values.get((k, name, n))

            row = []
            for i, n in enumerate(numbers):
                first = components[0][i] if components else Filter()
                value = get("DSVAL", n)
                form, reference = get("DSFORM", n), get("DSREF", n)
                new = Filter(
                    first.value if value is None else value,
                    first.form if form is None else form,
                    first.reference if reference is None else reference,
                )
                row.append(new if new.value == "TABLE" else replace(new, reference=""))
            components.append(row)
        result = cls(axes, components)
        for name in result.table_names():
            table = load(name) if load else None
            if table is not None:
                result.tables[name] = table
        return result

    def cards(self) -> list[tuple[str, str, str]]:
        """Keywords, values and comments, in the order of SAS."""
        out = []

        def add(key: str, name: str, value: str) -> None:
            out.append((key, value, f"data subspace descriptor: {_COMMENT[name]}"))

        for n, axis in enumerate(self.axes, start=1):
            add(f"DSTYP{n}", "DSTYP", axis.name)
            if axis.unit:
                add(f"DSUNI{n}", "DSUNI", axis.unit)
        for k, component in enumerate(self.components, start=1):
            prefix = "" if k == 1 else str(k)
            for n, value in enumerate(component, start=1):
                first = None if k == 1 else self.components[0][n - 1]
                if value.form != (first.form if first else ""):
                    add(f"{prefix}DSFORM{n}", "DSFORM", value.form)
                if first is None or value.value != first.value:
                    add(f"{prefix}DSVAL{n}", "DSVAL", value.value)
                if value.reference and (first is None or value.reference != first.reference):
                    add(f"{prefix}DSREF{n}", "DSREF", value.reference)
        return out

    def write(self, header: Header | Header) -> None:
        """Replace the data subspace of a header.

        Parameters
        ----------
        header
            The header; the tables the subspace refers to are not written.
        """
        remove(header)
        if not self.axes:
            return
        for key, value, comment in self.cards():
            header[key] = (value, comment)
        for key, value, comment in self.pair_cards():
            header.setdefault(key, (value, comment))

    def pair_cards(self) -> list[tuple[str, str, str]]:
        """Keywords that name the columns of a region, for the last axis with one."""
        pairs = [a for a in self.axes if len(a.columns) == 2]
        if not pairs:
            return []
        return [
            ("MTYPE1", pairs[-1].name.partition("(")[0], "DM Keyword: Descriptor name"),
            ("MFORM1", ",".join(pairs[-1].columns), ""),
        ]

    def table_names(self) -> list[str]:
        """Extensions referred to, in the order they are written in."""
        names = [f.table for component in self.components for f in component if f.table]
        return list(dict.fromkeys(names))

    # meaning
    def index(self, axis: str) -> int | None:
        """Position of the first axis of that name.

        Parameters
        ----------
        axis
            Its name.

        Returns
        -------
        int or None
            None if there is no such axis.
        """
        return next((i for i, a in enumerate(self.axes) if a.name == axis), None)

    def ccds(self) -> list[int | None]:
        """CCD number of each component; None where it has none or several."""
        i = self.index("CCDNR")
        return [int(c[i].value) if i is not None and c[i].value.isdigit() else None for c in self.components]

    def ccd_gti(self) -> dict[int, GTI]:
        """Good times of each CCD: the union over its components."""
        i = self.index("TIME")
        result: dict[int, GTI] = {}
        for ccd, component in zip(self.ccds(), self.components, strict=True):
            if ccd is None or i is None:
                continue
            table = self.tables.get(component[i].table)
            if isinstance(table, GTI):
                result[ccd] = result[ccd] | table if ccd in result else table
        return result

    def limits(self, axis: str) -> tuple[float, float] | None:
        """Least and greatest value allowed on an axis over all components; None if not bounded.

        Parameters
        ----------
        axis
            Its name.
        """
        lows: list[float] = []
        highs: list[float] = []
        for component in self.components:
            ranges: tuple[nodes.Interval, ...] = (nodes.Interval(),)
            for a, f in zip(self.axes, component, strict=True):
                if a.name == axis and f.form != "X" and f.value != "TABLE":
                    ranges = intersect_intervals(ranges, parse_intervals(f.value))
            for i in ranges:
                if i.low is None or i.high is None:
                    return None
                lows.append(i.low)
                highs.append(i.high)
        return (min(lows), max(highs)) if lows else None

    def tree(self) -> Node:
        """The data subspace as a condition on the rows of a table.

        Raises
        ------
        KeyError
            A table it refers to is not known.
        """
        components = []
        for component in self.components:
            terms: list[Node] = []
            for axis, value in zip(self.axes, component, strict=True):
                column = nodes.Column(axis.columns[0])
                if value.value == "TABLE":
                    table = self.tables[value.table]
                    if isinstance(table, GTI):
                        terms.append(nodes.InGti(table, column))
                    else:
                        terms.append(nodes.InRegion(table, column, nodes.Column(axis.columns[1])))
                elif value.value == ":":
                    continue
                elif value.form == "X":
                    bits = parse_bits(axis.name, value.value)
                    tested = nodes.Binary("&", column, nodes.Const(bits.clear | bits.set))
                    terms.append(nodes.Compare("==", tested, nodes.Const(bits.set)))
                else:
                    terms.append(nodes.InIntervals(column, parse_intervals(value.value)))
            components.append(nodes.And(tuple(terms)) if terms else nodes.Const(True))
        return nodes.Or(tuple(components))

    # new filters
    def restrict(self, alternatives: Alternatives, units: Mapping[str, str] | None = None) -> DataSubspace:
        """The intersection with the alternatives of an expression.

        Conditions become further axes. One on an axis that is there already, and has intervals, good times
        or regions, is joined with what is there; joined axes come last, in their old order. Components whose
        CCD is excluded are dropped. (So it is in products of SAS 13.5 to 20. Bits are not joined there.)

        Parameters
        ----------
        alternatives
            Conditions on single axes, of which any alternative may hold.
        units
            Units of columns by name.
        """
        units = units or {}
        plans, keys = _plans(alternatives)
        olds = {j: self._joins(key, plans) for j, key in enumerate(keys)}
        joins = {j: i for j, i in olds.items() if i is not None}
        axes = [*self.axes, *(Axis(name, units.get(name, "")) for name, *_ in keys)]
        order = [i for i in range(len(axes)) if i not in joins.values() and i - len(self.axes) not in joins]
        order += sorted(joins.values())
        result = DataSubspace([axes[i] for i in order], [], dict(self.tables))
        for component in self.components:
            for plan in plans:
                row: list[Filter | Table] = list(component)
                row += [_new_filter(plan.get(key), key) for key in keys]
                for j, i in joins.items():
                    if keys[j] in plan:
                        both = self._joined(component[i], plan[keys[j]])
                        row[i] = component[i] if both is None else both  # no good time at all counts, too
                if Filter(_NOTHING) not in row:
                    number = len(result.components)
                    at = {i: len(self.axes) + j for j, i in joins.items()}
                    result.components.append(
                        [result._named(row[i], number, p, at.get(i, i)) for p, i in enumerate(order)]
                    )
        if not result.components:
            # Nothing is left: keep the components, so that readers still find every CCD.
            return DataSubspace(list(self.axes), [list(c) for c in self.components], dict(self.tables))
        used = set(result.table_names())
        result.tables = {n: t for n, t in result.tables.items() if n in used}
        return result

    def _joins(self, key: Key, plans: list[Plan]) -> int | None:
        """Position of the axis that conditions of that key are joined with."""
        conditions = [plan[key] for plan in plans if key in plan]
        for i, axis in enumerate(self.axes):
            if axis.kind != Axis(key[0]).kind:
                continue
            if all(self._joined(c[i], new) is not None for c in self.components for new in conditions):
                return i
        return None

    def _joined(self, old: Filter, new: Condition) -> Filter | Table | None:
        """A filter and a condition as one; None if that cannot be."""
        table = self.tables.get(old.table)
        if old.form == "X" or isinstance(new, BitCondition):
            return None
        if isinstance(new, RegionCondition):
            return table & new.region if isinstance(table, Region) else None
        if isinstance(table, GTI) or isinstance(new, TimeCondition):
            when = as_time(new)
            range_ = RangeCondition("TIME", parse_intervals(old.value)) if table is None else None
            before = table if range_ is None else as_time(range_)
            if when is None or not isinstance(before, (GTI, TimeCondition)):
                return None
            good = before if isinstance(before, GTI) else before.gti
            both = good & when.gti
            return old if both == table else both
        if old.value == "TABLE":
            return None
        intervals = intersect_intervals(parse_intervals(old.value), new.intervals)
        return Filter(format_intervals(intervals) if intervals else _NOTHING)

    def _named(self, value: Filter | Table, component: int, position: int, unjoined: int) -> Filter:
        """A filter, for a table one that refers to it by a name that it gives it.

        Good times are numbered by component and by the axis that they would have been on, not joined;
        regions by those that they are on, from one, and components that have that of the first one share it.
        """
        if isinstance(value, Filter):
            return value
        if isinstance(value, Region):
            if self.components and self.tables.get(self.components[0][position].table) == value:
                return self.components[0][position]
            kind, number, axis = "REG", component + 1, position + 1
        else:
            kind, number, axis = "GTI", component, unjoined
        names = (f"{kind}{number:03d}{k:02d}" for k in range(axis, axis + 1 + len(self.tables)))
        name = next(n for n in names if n not in self.tables)
        self.tables[name] = value
        return Filter("TABLE", "", f":{name}")

    def clean(self) -> DataSubspace:
        """The same subspace with one filter per axis and kind where they can be joined."""
        keep: list[int] = []
        rows = [list(c) for c in self.components]
        for i, axis in enumerate(self.axes):
            for j in keep:
                if self.axes[j].name == axis.name:
                    joined = [_join(row[j], row[i], axis.name) for row in rows]
                    if None not in joined:
                        for row, value in zip(rows, joined, strict=True):
                            row[j] = value  # type: ignore[assignment]
                        break
            else:
                keep.append(i)
        components: list[list[Filter]] = []
        for row in rows:
            new = [row[i] for i in keep]
            if new not in components:
                components.append(new)
        return DataSubspace([self.axes[i] for i in keep], components, dict(self.tables))


def _plans(alternatives: Alternatives) -> tuple[list[Plan], list[Key]]:
    """Conditions of each alternative by key, and all keys in the order in which they are met."""
    plans: list[Plan] = []
    for conditions in alternatives:
        plan: Plan = {}
        for condition in conditions:
            # Two masks of bits stay two axes.
            axis, form = condition.key
            plan[axis, form, sum(key[:2] == (axis, form) for key in plan)] = condition
        plans.append(plan)
    return plans, list(dict.fromkeys(key for plan in plans for key in plan))


def _new_filter(condition: Condition | None, key: Key) -> Filter | Table:
    """What a condition is on an axis of its own; a missing one restricts nothing."""
    if isinstance(condition, RangeCondition):
        return Filter(format_intervals(condition.intervals) if condition.intervals else _NOTHING)
    if isinstance(condition, BitCondition):
        return Filter(format_bits(condition), "X")
    if isinstance(condition, TimeCondition):
        return condition.gti
    if isinstance(condition, RegionCondition):
        return condition.region
    return Filter(form="X" if key[1] == "X" else "")


def _join(a: Filter, b: Filter, axis: str) -> Filter | None:
    if a == b or b.value == ":":
        return a
    if a.value == ":":
        return b
    if "TABLE" in (a.value, b.value) or a.form != b.form:
        return None
    if a.form == "X":
        x, y = parse_bits(axis, a.value), parse_bits(axis, b.value)
        if (x.clear & y.set) or (x.set & y.clear):
            return None
        return Filter(format_bits(BitCondition(axis, x.clear | y.clear, x.set | y.set)), "X")
    both = intersect_intervals(parse_intervals(a.value), parse_intervals(b.value))
    return Filter(format_intervals(both)) if both else None


def remove(header: Header | Header) -> None:
    """Delete the data-subspace keywords of a header.

    Parameters
    ----------
    header
        The header, changed in place.
    """
    for key in [k for k in header if _KEY.match(k)]:
        del header[key]


def read(hdus: FitsFile | HDUList, header: Mapping[str, Any]) -> DataSubspace:
    """The data subspace of a header, with the tables of its file.

    Parameters
    ----------
    hdus
        The opened file.
    header
        Header of the table.
    """

    def load(name: str) -> Table | None:
        if name not in hdus:
            return None
        hdu = hdus[name]
        columns = {c.upper() for c in column_names(hdu)}
        if {"START", "STOP"} <= columns:
            return GTI.from_hdu(hdu)
        if "SHAPE" not in columns:
            return None
        return Region.from_hdu(hdu)

    return DataSubspace.from_header(header, load)
