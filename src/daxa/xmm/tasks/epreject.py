"""The task epreject: correct the amplitudes of a raw event list for wrong dark levels, and flag
noise, in place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.pn.files import read_raw_list
from daxa.xmm.instruments.pn.options import RejectOptions
from daxa.xmm.instruments.pn.steps.epreject import read_odilist, reject
from daxa.xmm.instruments.seeds import PN_NOISE, random_source
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_pn import open_calibration, parameters, refuse, replace_table, start_of

_EPREJECT_ONLY: dict[str, Any] = {
    "badcolumnset": "badcolumns.tab", "withsoftflarescreening": False,
}  # fmt: skip


@task(
    "epreject",
    "5.18.1",
    [
        Parameter("set", "dataset", required=True),
        Parameter("sigma", "real", 4.0, minimum=0),
        Parameter("withoffsetmap", "bool", True),
        Parameter("withoffsetlist", "bool", False),
        Parameter("odilist", "dataset", "odilist.txt"),
        Parameter("withnoisehandling", "bool", False),
        Parameter("noiseparameters", "list", ("0.98", *("1",) * 12)),
        Parameter("withxrlcorrection", "bool", False),
        *parameters(_EPREJECT_ONLY),
    ],
)
def epreject(ctx: TaskContext, p: Parameters) -> None:
    """Correct the amplitudes of a raw event list for wrong dark levels, and flag noise, in place."""
    from daxa.xmm.odf.odf import Odf

    refuse(p, "epreject", _EPREJECT_ONLY)
    file = read_raw_list(ctx, p.set)
    if file.raw.off_cor is not None:
        raise TaskError("wrongEventSet", f"{p.set}: has been through epreject before")
    try:
        noise = tuple(float(v) for v in p.noiseparameters)
    except ValueError:
        raise TaskError("noiseparameters", f"noiseparameters={p.noiseparameters}: not numbers") from None
    maps = read_odilist(ctx.path(p.odilist)) if p.withoffsetlist else {}
    options = RejectOptions(p.withoffsetmap, maps, p.withnoisehandling, noise, p.withxrlcorrection, p.sigma)
    odf = Odf.from_environment(ctx.env, ctx.cwd) if p.withoffsetmap and not maps else None
    random = random_source(*file.seed())
    raw = reject(
        file.raw,
        open_calibration(ctx),
        odf,
        file.submode,
        start_of(file),
        options,
        lambda: random(PN_NOISE),
        ctx.warn,
        ctx.info,
    )
    replace_table(ctx, p.set, replace(file, raw=raw))
