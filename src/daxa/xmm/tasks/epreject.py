"""The task epreject: correct the amplitudes of a raw event list for wrong dark levels, and flag
noise, in place.
"""

from __future__ import annotations

from dataclasses import replace

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.pn.files import read_raw_list
from daxa.xmm.instruments.pn.options import Epreject
from daxa.xmm.instruments.pn.reduce import corrections_of
from daxa.xmm.instruments.pn.steps.epreject import epreject as reject
from daxa.xmm.instruments.seeds import PN_NOISE
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_pn import calibration_of, reject_options, replace_table


@task(
    "epreject",
    "5.18.1",
    [
        Parameter("set", "dataset", required=True, text="raw event list to correct, in place"),
        *parameters_of(Epreject),
    ],
)
def epreject(ctx: TaskContext, p: Parameters) -> None:
    """Correct the amplitudes of a raw event list for wrong dark levels, and flag noise, in place."""
    from daxa.xmm.odf.odf import Odf

    file = read_raw_list(ctx, p.set)
    if file.raw.off_cor is not None:
        raise TaskError("wrongEventSet", f"{p.set}: has been through epreject before")
    options = reject_options(ctx, p)
    odf = Odf.from_environment(ctx.env, ctx.cwd) if options.withoffsetmap and not options.maps else None
    random = seeds.pn(*file.seed())
    raw = reject(
        file.raw,
        file.submode,
        corrections_of(file.raw.ccd, calibration_of(ctx, file), odf, options),
        options,
        lambda: random(PN_NOISE),
        ctx.warn,
        ctx.info,
    )
    replace_table(ctx, p.set, replace(file, raw=raw))
