"""The task emframes: make the frame table, the good times and the renumbered events of one MOS CCD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.odf import MOS_AUXILIARY
from daxa.xmm.instruments.mos import files
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.steps.emframes import emframes as make_frames
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_mos import camera_of, merged, odf_file, refuse, values_of

if TYPE_CHECKING:
    pass


@task(
    "emframes",
    "5.11",
    merged(
        [
            Parameter("auxiliaryset", "dataset", required=True),
            Parameter("frameset", "dataset", "frame.out"),
            Parameter("newframeset", "bool", True),
            Parameter("countingset", "dataset", ""),
            Parameter("withcountingset", "bool", False),
            Parameter("srcra", "real", 0.0),
            Parameter("srcdec", "real", 0.0),
            Parameter("withsrccoords", "bool", False),
            Parameter("checkframes", "bool", True),
            Parameter("ingtiset", "dataset", ""),
            Parameter("outgtiset", "dataset", "ccdgti.out"),
            Parameter("writegtiset", "bool", True),
            Parameter("odfeventset", "dataset", ""),
            Parameter("outeventset", "dataset", ""),
            Parameter("neweventset", "bool", False),
            Parameter("withodfeventset", "bool", False),
        ],
        "emframes",
    ),
)
def emframes(ctx: TaskContext, p: Parameters) -> None:
    """Make the frame table, the good times and the renumbered events of one MOS CCD."""
    refuse("emframes", p, newframeset=True, withcountingset=False, checkframes=True, withsrccoords=False)
    if not p.odfeventset:
        raise TaskError("getParamValues01", "checkframes=yes and no events file: set odfeventset")
    file = odf_file(ctx, p.odfeventset)
    name = file.name
    if name.file_type not in ("IME", "RIE"):
        raise NotImplementedError(
            f"emframes: {file.path.name}: only imaging data; others in emchain and emproc"
        )
    gti = None
    if p.ingtiset and p.flagbadtimes:
        try:
            gti = GTI.read(ctx.path(p.ingtiset))
        except (OSError, KeyError) as error:
            ctx.warn("flagHk10", f"{p.ingtiset}: no good-time intervals, FLAG_HK skipped: {error}")
    options = Options()
    options.change("emframes", **values_of("emframes", p, "emframes"))
    camera = camera_of(ctx, name.instrument, name.exp_id, options, gti)
    auxiliary = odf_file(ctx, p.auxiliaryset).read(1, MOS_AUXILIARY)
    ccd = make_frames(camera, file, auxiliary)
    cards = files.plain_keywords(camera, ccd)
    files.write(ctx, p.frameset, cards, files.frame_hdu(ccd, cards))
    if p.writegtiset:
        files.write(ctx, p.outgtiset, cards, files.gti_hdu(ccd, cards))
    if p.outeventset:
        files.write(ctx, p.outeventset, cards, files.raw_event_hdu(ccd, cards))
