"""The task hkgtigen: make good times of an instrument from its housekeeping."""

from __future__ import annotations

from daxa.xmm.errors import TaskError
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.select.goodtimes import RowTimes, gti_hdu, write_gti
from daxa.xmm.select.housekeeping import PERIODIC, HousekeepingGti, Limits, housekeeping_gti
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import HOUSEKEEPING


@task(
    "hkgtigen",
    "1.15.1",
    [
        Parameter("instrument", "choice", "emos1", tuple(PERIODIC), text="instrument"),
        Parameter("gtiset", "dataset", "gti.ds", text="good times to write"),
        Parameter("withgtiset", "bool", True, text="whether gtiset is written"),
        Parameter("diagfile", "string", "STDOUT", text="text file for diagnosticmode; STDOUT prints it"),
        Parameter("plotgtis", "bool", False, text="plot the intervals", only="this task makes no plots"),
        Parameter(
            "diagnosticmode",
            "bool",
            False,
            text="also say how long each parameter is out of its limits, and write its good times",
        ),
        *HOUSEKEEPING,
        Parameter("overrideparametervalues", "list", (), text="their limits, one for each"),
        *parameters_of(RowTimes),
    ],
)
def hkgtigen(ctx: TaskContext, p: Parameters) -> None:
    """Make good times of an instrument from its housekeeping."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.odf.odf import Odf

    scope, code, types = PERIODIC[p.instrument]
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
