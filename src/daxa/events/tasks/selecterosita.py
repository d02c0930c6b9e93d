"""The task selecterosita: keep events of eROSITA by module, energy, pattern, flag and good times."""

from __future__ import annotations

from daxa.events.erosita import Selection, select_list
from daxa.xmm.errors import TaskError
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task


@task(
    "selecterosita",
    "1.0",
    [
        Parameter("table", "dataset", required=True, text="the event list"),
        Parameter("filteredset", "dataset", "filtered.fits", text="the new list"),
        Parameter("gti", "string", None, text="good times to keep, GTI or FLAREGTI; all by default"),
        Parameter("lo", "real", None, unit="eV", text="lowest energy; any by default"),
        Parameter("hi", "real", None, unit="eV", text="highest energy; any by default"),
        Parameter(
            "patterns", "int", None, text="sum of 1, 2, 4, 8 for singles to quadruples; any by default"
        ),
        Parameter("flags", "string", "0x0", text="bits of FLAG, as 0xc0000000"),
        Parameter("keepflagged", "bool", False, text="keep events with one of these bits, not those without"),
        Parameter("modules", "list", (), text="numbers of telescope modules; all by default"),
    ],
)
def selecterosita(ctx: TaskContext, p: Parameters) -> None:
    """Keep events of eROSITA by module, energy, pattern, flag and good times of their module.

    What is of other modules is left out; tables of good times become what they and the chosen ones share.
    """
    try:
        numbers = tuple(int(n) for n in p.modules or ()) or Selection().modules
        selection = Selection(numbers, p.lo, p.hi, p.patterns, int(p.flags, 16), p.keepflagged)
    except ValueError as failure:
        raise TaskError("badSelection", str(failure)) from None
    source = ctx.path(p.table)
    with ctx.output(p.filteredset) as temporary:
        before, after = select_list(source, temporary, selection, p.gti)
    ctx.info(f"{after} of {before} events are kept")
    if not after:
        ctx.warn("emptyList", f"{source.name}: no event is left")
