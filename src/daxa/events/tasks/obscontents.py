"""The task obscontents: tell what an observation holds."""

from __future__ import annotations

import json

from daxa.events.contents import chandra_contents, nustar_contents
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

_READERS = {"chandra": chandra_contents, "nustar": nustar_contents}


@task(
    "obscontents",
    "1.0",
    [
        Parameter("indir", "dataset", required=True, text="the observation's folder as the archive gives it"),
        Parameter("mission", "choice", "chandra", choices=tuple(_READERS), text="whose observation it is"),
        Parameter("outfile", "dataset", "contents.json", text="file of what it holds, by instrument"),
    ],
)
def obscontents(ctx: TaskContext, p: Parameters) -> None:
    """Tell what an observation holds, by the headers of its event lists."""
    found = _READERS[p.mission](ctx.path(p.indir))
    with ctx.output(p.outfile) as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    for inst, about in found.items():
        ctx.info(f"{inst}: {', '.join(f'{k} {v}' for k, v in about.items())}")
