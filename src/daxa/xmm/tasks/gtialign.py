"""The task gtialign: align good times with the frames of each CCD of an event list."""

from __future__ import annotations

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.fits.schema import column
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.blocks import Files, split_block
from daxa.xmm.select.exposures import ccd_tables
from daxa.xmm.select.goodtimes import align, gti_hdu, write_gti
from daxa.xmm.task import TaskContext, task


@task(
    "gtialign",
    "2.11",
    [
        Parameter("gtitable", "dataset", required=True, text="good times, as file or file:table"),
        Parameter("eventset", "dataset", required=True, text="event list with the frames of each CCD"),
        Parameter("outset", "dataset", "gti.ds", text="good times to write, a table for each CCD"),
    ],
)
def gtialign(ctx: TaskContext, p: Parameters) -> None:
    """Align good times with the frames of each CCD of an event list."""
    gti = Files(ctx.cwd).gti(p.gtitable)
    path = ctx.path(split_block(p.eventset)[0])
    out = []
    try:
        hdus = open_hdus(path)
    except OSError as error:
        raise TaskError("fileNotFound", f"{path}: {error}") from error
    with hdus:
        note_product(hdus[0].header, path, is_list=True)
        exposures = ccd_tables(hdus, "EXPOSU")
        if not exposures:
            raise TaskError("missingBlockName", f"{path} has no EXPOSUnn extension")
        for ccd, index in sorted(exposures.items()):
            hdu = hdus[index]
            time = column(hdu, "TIME", str(path))
            if "TIMEDEL" in hdu.columns.names:
                length = column(hdu, "TIMEDEL", str(path)).astype(float)
            else:
                length = np.full(len(time), float(hdu.header.get("TIMEDEL", 0)))
            part = float(hdu.header.get("TIMEPIXR", 0.5))
            known = np.isfinite(time)
            if not known.all():
                ctx.warn("nullTimes", f"CCD {ccd}: {np.count_nonzero(~known)} frames have no time")
                time, length = time[known], length[known]
            aligned = align(gti, time - part * length, time + (1 - part) * length)
            if not len(aligned):
                ctx.warn("OutsideFrames", f"CCD {ccd}: no frame lies inside the good times")
            out.append(gti_hdu(aligned, f"STDGTI{ccd:02d}", [("CCDID", ccd, "CCD of these intervals")]))
    write_gti(ctx, p.outset, out)
