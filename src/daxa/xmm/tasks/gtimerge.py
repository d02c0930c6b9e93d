"""The task gtimerge: intersect (and) or unite (or) good times."""

from __future__ import annotations

from daxa.xmm.errors import TaskError
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.blocks import Files, split_block
from daxa.xmm.select.goodtimes import gti_hdu, write_gti
from daxa.xmm.task import TaskContext, task


@task(
    "gtimerge",
    "1.6",
    [
        Parameter("tables", "list", required=True, text="good times, each as file or file:table"),
        Parameter(
            "withgtitable",
            "bool",
            False,
            text="whether gtitable is written; yes when it is named, and needed",
        ),
        Parameter("gtitable", "dataset", "gti.ds", text="good times to write, as file or file:table"),
        Parameter(
            "mergemode", "choice", "and", ("and", "or"), text="times that are good in all tables, or in any"
        ),
        Parameter(
            "plotmergeresult", "bool", False, text="plot the intervals", only="this task makes no plots"
        ),
    ],
)
def gtimerge(ctx: TaskContext, p: Parameters) -> None:
    """Intersect (and) or unite (or) good times."""
    if not p.withgtitable:
        raise TaskError("noOutput", "gtitable must be given")
    files = Files(ctx.cwd)
    gtis = [files.gti(name) for name in p.tables]
    gti = gtis[0]
    for other in gtis[1:]:
        gti = gti & other if p.mergemode == "and" else gti | other
    name, block = split_block(p.gtitable)
    write_gti(ctx, name, [gti_hdu(gti, str(block) if block is not None else "STDGTI")])
