"""The data subspace: what part of the data a file holds, as keywords of its header.

A data subspace is a union of components (in an event list: one per CCD), each an intersection of filters on
one axis: a column, or a pair ``POS(X,Y)``. Header keywords: ``DSTYPn`` and ``DSUNIn`` name axis n and its
unit, ``DSVALn`` is the value for the first component, ``kDSVALn`` that for component k where it differs.
A value is a list of intervals (``500:2000``, ``(12:``, ``:`` for unrestricted), a bit pattern with
``DSFORMn`` X (``b00xx0``), or ``TABLE`` with the extension in ``DSREFn``.

From component 100 on the keywords have more than the eight letters of the standard and are written by the
HIERARCH convention: assumed of SAS, whose manual names no limit, as CFITSIO writes long keywords so.

Source: dsslib manual; details (order of keywords, names of tables) as in files made by SAS 17 to 19.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile, Hdu
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


@dataclass(frozen=True)
class Axis:
    """A column or ``POS(X,Y)``, and its unit."""

    name: str
    unit: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is made of."""
        pair = re.fullmatch(r"POS\((\w+),(\w+)\)", self.name, re.IGNORECASE)
        return pair.groups() if pair else (self.name,)


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
        pairs = [a for a in self.axes if len(a.columns) == 2]
        if pairs and "MFORM1" not in header:
            header["MTYPE1"] = ("POS", "descriptor name")
            header["MFORM1"] = (",".join(pairs[0].columns), "columns of the descriptor")

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

        Conditions are appended as further axes, except that times are intersected with the good times of
        each component (axes are then sorted by name), and components whose CCD is excluded are dropped.

        Parameters
        ----------
        alternatives
            Conditions on single axes, of which any alternative may hold.
        units
            Units of columns by name.
        """
        units = units or {}
        columns: list[tuple[str, str]] = []
        time = self.index("TIME")
        known_ccds = self.index("CCDNR") is not None and None not in self.ccds()
        merged_time = False
        plans: list[
            tuple[dict[tuple[str, str], Condition], TimeCondition | None, int, RangeCondition | None]
        ] = []
        for conditions in alternatives:
            plan: dict[tuple[str, str], Condition] = {}
            when, ccd = None, None
            when_index = 0
            for position, condition in enumerate(conditions):
                as_gti = as_time(condition) if condition.axis == "TIME" else None
                if as_gti and time is not None:
                    when, when_index = as_gti, len(self.axes) + position
                    merged_time = True
                elif condition.axis == "CCDNR" and known_ccds and isinstance(condition, RangeCondition):
                    ccd = condition
                else:
                    plan[condition.key] = condition
                    if condition.key not in columns:
                        columns.append(condition.key)
            plans.append((plan, when, when_index, ccd))

        axes = [*self.axes, *(Axis(name, units.get(name, "")) for name, _ in columns)]
        result = DataSubspace(axes, [], dict(self.tables))
        for k, (component, number) in enumerate(zip(self.components, self.ccds(), strict=True)):
            for alternative, (plan, when, when_index, ccd) in enumerate(plans):
                if ccd is not None and not any(bool(i.test(number)) for i in ccd.intervals):
                    continue
                row = list(component)
                if when is not None and time is not None:
                    row[time] = result._time_filter(row[time], when, k, when_index)
                for position, key in enumerate(columns):
                    row.append(
                        result._filter(plan.get(key), alternative, len(self.axes) + position)
                        if key in plan
                        else Filter(form="X" if key[1] == "X" else "")
                    )
                result.components.append(row)
        if not result.components:
            # Nothing is left: keep the components, so that readers still find every CCD.
            return DataSubspace(list(self.axes), [list(c) for c in self.components], dict(self.tables))
        if merged_time:
            order = sorted(range(len(axes)), key=lambda i: axes[i].name)
            result.axes = [axes[i] for i in order]
            result.components = [[row[i] for i in order] for row in result.components]
        used = set(result.table_names())
        result.tables = {n: t for n, t in result.tables.items() if n in used}
        return result

    def _name(self, table: Table, stem: str) -> str:
        """An extension name that no other table has."""
        name, number = stem, 0
        while name in self.tables and self.tables[name] != table:
            number += 1
            name = f"{stem[:3]}{100 + number:03d}{stem[6:]}"
        self.tables[name] = table
        return name

    def _time_filter(self, old: Filter, when: TimeCondition, component: int, axis: int) -> Filter:
        table = self.tables.get(old.table)
        if isinstance(table, GTI):
            gti = table & when.gti
        elif old.value == ":":
            gti = when.gti
        else:
            gti = as_time(RangeCondition("TIME", parse_intervals(old.value))).gti & when.gti  # type: ignore[union-attr]
        if gti == table:
            return old
        return Filter("TABLE", "", ":" + self._name(gti, f"GTI{component:03d}{axis:02d}"))

    def _filter(self, condition: Condition | None, alternative: int, axis: int) -> Filter:
        if isinstance(condition, RangeCondition):
            return Filter(format_intervals(condition.intervals) if condition.intervals else "1:0")
        if isinstance(condition, BitCondition):
            return Filter(format_bits(condition), "X")
        if isinstance(condition, TimeCondition):
            return Filter("TABLE", "", ":" + self._name(condition.gti, f"GTI{alternative:03d}{axis:02d}"))
        if isinstance(condition, RegionCondition):
            name = self._name(condition.region, f"REG{alternative + 1:03d}{axis + 1:02d}")
            return Filter("TABLE", "", ":" + name)
        return Filter()

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
        return Region.from_hdu(hdu.to_astropy() if isinstance(hdu, Hdu) else hdu)

    return DataSubspace.from_header(header, load)
