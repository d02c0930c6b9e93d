"""What a list holds beside what is asked of it: CCDs, bands, times and coordinates, in sentences.

A selection that finds nothing is carried out all the same; these sentences are the warnings that go with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.rows import RawTable
from daxa.xmm.select.conditions import Alternatives, RangeCondition
from daxa.xmm.select.dss import DataSubspace
from daxa.xmm.select.products import Extremes

#: Columns of energies.
_ENERGIES = ("PI", "PHA")


def asked_ccds(conditions: Alternatives) -> set[int]:
    """CCDs that an expression names one by one.

    Parameters
    ----------
    conditions
        Its alternatives.
    """
    return {
        int(i.low)
        for alternative in conditions
        for c in alternative
        if isinstance(c, RangeCondition) and c.axis == "CCDNR"
        for i in c.intervals
        if i.low is not None and i.low == i.high
    }


def missing_ccds(conditions: Alternatives, subspace: DataSubspace) -> str:
    """Which CCDs are asked for by number that the list does not hold; empty if it holds all.

    Parameters
    ----------
    conditions
        Alternatives of the expression.
    subspace
        Data subspace of the list.

    Examples
    --------
    >>> from daxa.xmm.select.dss import Axis, Filter
    >>> from daxa.xmm.select.nodes import Interval
    >>> held = DataSubspace([Axis("CCDNR")], [[Filter("1")], [Filter("4")]])
    >>> missing_ccds([[RangeCondition("CCDNR", (Interval(3, 3),))]], held)
    'CCD 3 is asked for; the list holds CCD 1, 4'
    """
    held = subspace.ccds()
    if not held or None in held:
        return ""
    there = sorted({c for c in held if c is not None})
    missing = sorted(asked_ccds(conditions) - set(there))
    if not missing:
        return ""
    return f"CCD {_numbers(missing)} is asked for; the list holds CCD {_numbers(there)}"


def missing_bands(conditions: Alternatives, subspace: DataSubspace) -> list[str]:
    """Bands that are asked for with both ends, and of which the list holds only a part, or nothing.

    Parameters
    ----------
    conditions
        Alternatives of the expression.
    subspace
        Data subspace of the list.

    Examples
    --------
    >>> from daxa.xmm.select.dss import Axis, Filter
    >>> from daxa.xmm.select.nodes import Interval
    >>> held = DataSubspace([Axis("PI")], [[Filter("500:2000")]])
    >>> missing_bands([[RangeCondition("PI", (Interval(300, 7000),))]], held)
    ['PI 300 to 7000 is asked for; the list holds PI 500 to 2000 only']
    """
    asked = {
        (c.axis, min(i.low for i in c.intervals), max(i.high for i in c.intervals)): None  # type: ignore[type-var]
        for alternative in conditions
        for c in alternative
        if isinstance(c, RangeCondition) and c.axis in _ENERGIES and c.intervals
        if all(i.low is not None and i.high is not None for i in c.intervals)
    }
    said = []
    for column, low, high in asked:
        held = subspace.limits(column)
        if held is not None and (low < held[0] or high > held[1]):  # type: ignore[operator]
            there = f"the list holds {column} {held[0]:g} to {held[1]:g} only"
            said.append(f"{column} {low:g} to {high:g} is asked for; {there}")
    return said


def span(gtis: Iterable[GTI]) -> tuple[float, float] | None:
    """First start and last stop [s] of sets of intervals; None if they hold none.

    Parameters
    ----------
    gtis
        The sets, of each CCD one.

    Examples
    --------
    >>> span([GTI([5.0], [7.0]), GTI([1.0], [2.0])])
    (1.0, 7.0)
    """
    some = [g for g in gtis if len(g)]
    return (min(g.start[0] for g in some).item(), max(g.stop[-1] for g in some).item()) if some else None


def lost_times(before: Mapping[int, GTI], after: Mapping[int, GTI]) -> str:
    """What to say where a selection leaves no good time of any CCD; empty if it leaves some.

    Parameters
    ----------
    before, after
        Good times of each CCD, of the list and of the selection.
    """
    had, left = span(before.values()), span(after.values())
    if had is None or left is not None or not after:
        return ""
    return f"no good time is left; that of the list lies between {had[0]:.15g} and {had[1]:.15g}"


def ranges_of(table: RawTable, columns: Iterable[str]) -> str:
    """Ranges of columns over all rows of a table, in words.

    Parameters
    ----------
    table
        The table, which is read for it.
    columns
        Names of columns; those that the table does not have, and those of text, are left out.
    """
    known = [n for n in columns if n in table.fields and table.fields[n].dtype.kind in "iuf"]
    extremes = Extremes(known)
    if known:
        for _, part in table.chunks():
            extremes.add(table.columns(part))
    return ", ".join(
        f"{n} is {extremes.low[n]:.15g} to {extremes.high[n]:.15g}"
        if np.isfinite(extremes.low[n])
        else f"{n} is undefined"
        for n in known
    )


class Nulls:
    """Counts rows whose coordinates are undefined.

    Parameters
    ----------
    nulls
        Value that stands for undefined, by column; columns of real numbers have NaN and need none.
    """

    def __init__(self, nulls: Mapping[str, int]) -> None:
        self.nulls = nulls
        self.count = 0

    def add(self, columns: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take rows into account.

        Parameters
        ----------
        columns
            At least those columns by name, shape (n,).
        """
        undefined = None
        for name, null in self.nulls.items():
            values = columns[name]
            # Most chunks have none: the least value tells that much quicker than a comparison of each.
            if values.size and values.min() <= null:
                here = values == null
                undefined = here if undefined is None else undefined | here
        if undefined is not None:
            self.count += int(np.count_nonzero(undefined))


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
