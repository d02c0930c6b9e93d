"""The task hkgtigen: good times of an instrument from the limits of its housekeeping parameters.

Source: manual of hkgtigen. Limits come from the constituent HKPARMINT of the instrument: per parameter a
selection expression in which ``@`` stands for the parameter. A time is good when every parameter is within
its limits, in each type of periodic housekeeping file that the instrument has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.odf.times import housekeeping_times
from daxa.xmm.select.expression import compile
from daxa.xmm.select.goodtimes import intervals_of_rows

if TYPE_CHECKING:
    from daxa.xmm.ccf.constituent import Constituent

#: Name of the task's parameter -> scope of the calibration, code of files, types of periodic housekeeping.
PERIODIC = {
    INSTRUMENTS[code].lower(): (INSTRUMENTS[code], code, types)
    for code, types in {
        "SC": (),
        "M1": ("PEH",),
        "M2": ("PEH",),
        "PN": ("PMH", "PAH"),
        "R1": ("PFH",),
        "R2": ("PFH",),
        "OM": ("PEH",),
    }.items()
}
_PAIR = re.compile(r"(\bin\s*[\[(][^\[\](),:]+),\s*([^\[\](),:]+[\])])", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """Limits of housekeeping parameters.

    Attributes
    ----------
    expressions
        Parameter -> expression, ``@`` standing for the parameter.
    aliases
        Name -> the other name of the same parameter, long and short ones both ways.
    auxiliary
        Quantity of the auxiliary files (counters of frames) -> expression; they are not applied.
    """

    expressions: Mapping[str, str]
    aliases: Mapping[str, str]
    auxiliary: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_constituent(cls, constituent: Constituent) -> Limits:
        """The limits of a HKPARMINT file.

        Parameters
        ----------
        constituent
            The opened file.
        """
        table, pairs = constituent.table("HKPARMINT"), constituent.table("TRANSLATION")
        aliases: dict[str, str] = {}
        for one, other in zip(_texts(pairs["SHORT_NAME"]), _texts(pairs["LONG_NAME"]), strict=True):
            aliases[one], aliases[other] = other, one
        auxiliary = constituent.table("AUXPAR")
        return cls(
            dict(zip(_texts(table["PARAMETER"]), _texts(table["EXPRESSION"]), strict=True)),
            aliases,
            dict(zip(_texts(auxiliary["PARAMETER"]), _texts(auxiliary["EXPRESSION"]), strict=True)),
        )

    def chosen(self, names: Sequence[str] | None, *, leave_out: bool = False) -> Limits:
        """Only the named parameters, or all but them.

        Parameters
        ----------
        names
            Parameters; None for all.
        leave_out
            Take all but them.

        Raises
        ------
        TaskError
            ``unknownHkParameter``: there are no limits for a name.
        """
        if names is None:
            return self
        unknown = [n for n in names if n not in self.expressions]
        if unknown:
            raise TaskError(
                "unknownHkParameter",
                f"parameters: no limits for {unknown[0]}; there are for {', '.join(self.expressions)}",
            )
        kept = {k: v for k, v in self.expressions.items() if (k in names) != leave_out}
        return Limits(kept, self.aliases, self.auxiliary)

    def changed(self, names: Sequence[str], values: Sequence[str]) -> Limits:
        """With other expressions for some parameters.

        Parameters
        ----------
        names
            Parameters.
        values
            An expression for each, ``@`` standing for the parameter.

        Raises
        ------
        TaskError
            ``badOverride``: not one expression for each name.
        """
        if len(names) != len(values):
            raise TaskError(
                "badOverride",
                f"overrideparameters has {len(names)} names, overrideparametervalues {len(values)} values",
            )
        changed = {**self.expressions, **dict(zip(names, values, strict=True))}
        return Limits(changed, self.aliases, self.auxiliary)

    def column(self, name: str, available: Mapping[str, Any]) -> str | None:
        """Column of a housekeeping table that holds a parameter; None if it has none.

        Parameters
        ----------
        name
            The parameter.
        available
            Columns of the table by name.
        """
        return next((n for n in (name, self.aliases.get(name)) if n in available), None)


def _texts(values: npt.NDArray[Any]) -> list[str]:
    return [str(value).strip() for value in values]


def expression_of(limit: str, column: str) -> str:
    """A complete selection expression: ``@`` replaced, ranges ``[a, b]`` as ``[a:b]``.

    Parameters
    ----------
    limit
        Expression with ``@``.
    column
        What stands in its place.

    Examples
    --------
    >>> expression_of("(@ in [120, 273])", "F1128")
    '(F1128 in [120:273])'
    """
    return _PAIR.sub(r"\1:\2", limit).replace("@", column)


@dataclass(frozen=True)
class HousekeepingGti:
    """Good times by housekeeping.

    Attributes
    ----------
    total
        Good times, all parameters together.
    covered
        Times for which there is housekeeping at all.
    single
        Parameter -> its expression, and its own good times.
    missing
        Parameters that no housekeeping table holds.
    """

    total: GTI
    covered: GTI
    single: Mapping[str, tuple[str, GTI]]
    missing: Sequence[str]


def housekeeping_gti(
    tables: Mapping[str, Sequence[Mapping[str, npt.NDArray[Any]]]],
    limits: Limits,
    *,
    timecolumn: str = "TIME",
    before: float = 0.5,
    after: float = 0.5,
) -> HousekeepingGti:
    """Good times from tables of housekeeping.

    Parameters
    ----------
    tables
        Type of file -> its tables, one per period; columns by name.
    limits
        What counts as good.
    timecolumn
        Column of times [s].
    before, after
        Parts of the step to the neighbouring rows for which a row stands.

    Notes
    -----
    Periods of one type of file are united, different types intersected.
    """
    parts: list[GTI] = []
    spans: list[GTI] = []
    single: dict[str, tuple[str, list[GTI]]] = {}
    for periods in tables.values():
        good, span = [], []
        for table in periods:
            time = housekeeping_times(table[timecolumn])
            passed = np.ones(len(time), bool)
            span.append(intervals_of_rows(time, passed, before=before, after=after))
            for name, limit in limits.expressions.items():
                column = limits.column(name, table)
                if column is None:
                    continue
                text = expression_of(limit, column)
                selection = compile(text)
                within = selection.mask({n: _plain(table[n]) for n in selection.names})
                passed &= within
                single.setdefault(name, (text, []))[1].append(
                    intervals_of_rows(time, within, before=before, after=after)
                )
            good.append(intervals_of_rows(time, passed, before=before, after=after))
        parts.append(GTI.union(good))
        spans.append(GTI.union(span))
    return HousekeepingGti(
        _common(parts),
        _common(spans),
        {name: (text, GTI.union(gtis)) for name, (text, gtis) in single.items()},
        [name for name in limits.expressions if name not in single],
    )


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values of a column; texts (``NOT FULL``) without the blanks that fill them up."""
    values = np.asarray(values)
    return np.char.strip(values.astype(str)) if values.dtype.kind in "SU" else values


def _common(gtis: Sequence[GTI]) -> GTI:
    result = gtis[0] if gtis else GTI()
    for gti in gtis[1:]:
        result = result & gti
    return result
