"""The task hkgtigen: good times of an instrument from the limits of its housekeeping parameters.

Source: manual of hkgtigen. Limits come from the constituent HKPARMINT of the instrument: per parameter a
selection expression in which ``@`` stands for the parameter. A time is good when every parameter is within
its limits, in each type of periodic housekeeping file that the instrument has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.odf.times import housekeeping_times
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.expression import compile
from daxa.xmm.select.gtitasks import gti_hdu, intervals_of_rows, write_gti
from daxa.xmm.task import TaskContext, find_task, task

if TYPE_CHECKING:
    from daxa.xmm.ccf.constituent import Constituent

#: Name of the task's parameter -> scope of the calibration, code of files, types of periodic housekeeping.
INSTRUMENTS = {
    "xmm": ("XMM", "SC", ()),
    "emos1": ("EMOS1", "M1", ("PEH",)),
    "emos2": ("EMOS2", "M2", ("PEH",)),
    "epn": ("EPN", "PN", ("PMH", "PAH")),
    "rgs1": ("RGS1", "R1", ("PFH",)),
    "rgs2": ("RGS2", "R2", ("PFH",)),
    "om": ("OM", "OM", ("PEH",)),
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
        """The limits of a HKPARMINT file."""
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
        """Column of a housekeeping table that holds a parameter; None if it has none."""
        return next((n for n in (name, self.aliases.get(name)) if n in available), None)


def _texts(values: npt.NDArray[Any]) -> list[str]:
    return [str(value).strip() for value in values]


def expression_of(limit: str, column: str) -> str:
    """A complete selection expression: ``@`` replaced, ranges ``[a, b]`` as ``[a:b]``.

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
            ok = np.ones(len(time), bool)
            span.append(intervals_of_rows(time, ok, before=before, after=after))
            for name, limit in limits.expressions.items():
                column = limits.column(name, table)
                if column is None:
                    continue
                text = expression_of(limit, column)
                selection = compile(text)
                within = selection.mask({n: _plain(table[n]) for n in selection.names})
                ok &= within
                single.setdefault(name, (text, []))[1].append(
                    intervals_of_rows(time, within, before=before, after=after)
                )
            good.append(intervals_of_rows(time, ok, before=before, after=after))
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


@task(
    "hkgtigen",
    "1.15.1",
    [
        Parameter("instrument", "choice", "emos1", tuple(INSTRUMENTS)),
        Parameter("gtiset", "dataset", "gti.ds"),
        Parameter("withgtiset", "bool", True),
        Parameter("diagfile", "string", "STDOUT"),
        Parameter("plotgtis", "bool", False),
        Parameter("diagnosticmode", "bool", False),
        Parameter("withparameters", "bool", False),
        Parameter("parameters", "list", ()),
        Parameter("except", "bool", False),
        Parameter("withoverrideparameters", "bool", False),
        Parameter("overrideparameters", "list", ()),
        Parameter("overrideparametervalues", "list", ()),
        Parameter("timecolumn", "string", "TIME"),
        Parameter("prefraction", "real", 0.5, minimum=0, maximum=1),
        Parameter("postfraction", "real", 0.5, minimum=0, maximum=1),
    ],
)
def hkgtigen(ctx: TaskContext, p: Parameters) -> None:
    """Make good times of an instrument from its housekeeping."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.odf.odf import Odf

    if p.plotgtis:
        raise NotImplementedError("plotgtis=yes: plots are not made by this task")
    scope, code, types = INSTRUMENTS[p.instrument]
    limits = Limits.from_constituent(
        Calibration.from_environment(ctx.env, ctx.cwd).constituent(scope, "HKPARMINT")
    )
    limits = limits.chosen(p.parameters if p.withparameters else None, leave_out=p["except"])
    if p.withoverrideparameters:
        limits = limits.changed(p.overrideparameters, p.overrideparametervalues)
    odf = Odf.from_environment(ctx.env, ctx.cwd)
    files = {t: found for t in types if (found := odf.find(code, t))}
    if not files:
        wanted = ", ".join(types) or "unknown type"
        raise TaskError("noHkFiles", f"{odf.folder}: no periodic housekeeping ({wanted}) of {p.instrument}")
    tables = {t: [f.read(1) for f in found] for t, found in files.items()}
    for table in (table for found in tables.values() for table in found):
        _ = table[p.timecolumn]
    result = housekeeping_gti(
        {t: [table.columns for table in found] for t, found in tables.items()},
        limits,
        timecolumn=p.timecolumn,
        before=p.prefraction,
        after=p.postfraction,
    )
    if result.missing:
        message = f"not in the housekeeping of {p.instrument}: {', '.join(result.missing)}"
        if p.withparameters or p.withoverrideparameters:
            ctx.warn("noHkParameter", message)
        else:
            ctx.info(message)
    if not result.total.total > 0:
        ctx.warn("noGoodTime", f"the housekeeping of {p.instrument} is never within its limits")
    if limits.auxiliary:
        ctx.info(f"limits of the auxiliary files, which are not applied: {', '.join(limits.auxiliary)}")
    good, covered = result.total.total, result.covered.total
    ctx.info(f"{len(result.single)} parameters, good for {good:.3f} s of {covered:.3f} s")
    if p.diagnosticmode:
        _diagnose(ctx, p.diagfile, result)
    if p.withgtiset:
        hdus = [gti_hdu(result.total)]
        if p.diagnosticmode:
            hdus += [
                gti_hdu(gti, f"STDGTI-{name}", [("EXPR", text, "selection expression")])
                for name, (text, gti) in result.single.items()
            ]
        write_gti(ctx, p.gtiset, hdus)


def housekeeping_of_chain(
    ctx: TaskContext, instrument: str, gtiset: str, chosen: Mapping[str, Any], *, needed: bool
) -> GTI | None:
    """Run hkgtigen inside a chain, unless its output is there already.

    Parameters
    ----------
    ctx
        The chain's context; messages come under ``chain::hkgtigen``.
    instrument, gtiset
        As for the task.
    chosen
        Further parameters of the task.
    needed
        Whether a failure is one of the chain; else it is a warning, and there are no intervals.
    """
    path = ctx.path(gtiset)
    if not path.is_file():
        spec = find_task("hkgtigen")
        arguments = {"instrument": instrument, "gtiset": gtiset, **chosen}
        try:
            spec.function(replace(ctx, name=f"{ctx.name}::hkgtigen"), spec.parse(arguments))
        except TaskError as error:
            if needed:
                raise
            ctx.warn("noHkGti", f"no good times from housekeeping: {error.message}")
            return None
    return GTI.read(path)


def _diagnose(ctx: TaskContext, diagfile: str, result: HousekeepingGti) -> None:
    covered = result.covered.total
    lines = ["# parameter, fraction of the time out of its limits"]
    for name, (_, gti) in result.single.items():
        lines.append(f"{name} {1 - (gti & result.covered).total / covered if covered else 0.0:.6f}")
    if diagfile == "STDOUT":
        print("\n".join(lines), file=ctx.out)
    else:
        with ctx.output(diagfile) as path:
            path.write_text("\n".join(lines) + "\n")
