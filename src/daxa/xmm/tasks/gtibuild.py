"""The task gtibuild: make good times of a text file of intervals."""

from __future__ import annotations

import codecs

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.blocks import split_block
from daxa.xmm.select.goodtimes import gti_hdu, parse_gti_text, write_gti
from daxa.xmm.task import TaskContext, task


@task(
    "gtibuild",
    "1.5",
    [
        Parameter(
            "file",
            "dataset",
            required=True,
            text="text file: start, stop, and + or - for good or bad, on each line",
        ),
        Parameter("table", "dataset", "gti.ds", text="good times to write, as file or file:table"),
    ],
)
def gtibuild(ctx: TaskContext, p: Parameters) -> None:
    """Make good times of a text file of intervals."""
    from daxa.xmm.odf.times import utc_to_tt

    path = ctx.path(p.file)
    try:
        text = _decoded(path.read_bytes())
    except OSError as error:
        raise TaskError("fileNotFound", f"{path}: {error.strerror}") from error
    gti = parse_gti_text(text, str(path), lambda date: float(utc_to_tt(date)))
    # The table cannot hold infinity in a way that every reader understands.
    gti = GTI(gti.start, np.where(np.isinf(gti.stop), 1e10, gti.stop))
    name, block = split_block(p.table)
    if ctx.path(name).resolve() == path.resolve():
        raise TaskError("sameFile", f"table names {p.table}, the text that it is made of")
    write_gti(ctx, name, [gti_hdu(gti, str(block) if block is not None else "STDGTI")])


def _decoded(raw: bytes) -> str:
    """Text in any encoding: what counts is ASCII in most, so that only comments can be misread."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    return raw.decode("utf-8-sig", errors="replace")
