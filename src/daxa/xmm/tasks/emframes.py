"""The task emframes: make the frame table, the good times and the renumbered events of one MOS CCD."""

from __future__ import annotations

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import MOS_AUXILIARY
from daxa.xmm.instruments.mos import files
from daxa.xmm.instruments.mos.options import Emframes, Options
from daxa.xmm.instruments.mos.reduce import read_ccd
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import gti_file
from daxa.xmm.tasks.support_mos import camera_of, odf_file

ONLY_ODF = "the task makes frames from an ODF and changes no table"
NO_COUNTING = "frames that counting files tell of are missing from the auxiliary file all the same"
NO_SOURCE = "the task is for imaging data; the chains take the source of timing mode"


@task(
    "emframes",
    "5.11",
    [
        Parameter(
            "auxiliaryset", "dataset", required=True, text="auxiliary file of the exposure: its frames"
        ),
        Parameter("frameset", "dataset", "frame.out", text="table of frames to write"),
        Parameter("newframeset", "bool", True, text="write frameset anew", only=ONLY_ODF),
        Parameter("countingset", "dataset", "", text="counting file", without_effect=NO_COUNTING),
        Parameter("withcountingset", "bool", False, text="read a counting file", only=NO_COUNTING),
        Parameter(
            "srcra", "real", 0.0, text="right ascension of the source", unit="deg", without_effect=NO_SOURCE
        ),
        Parameter(
            "srcdec", "real", 0.0, text="declination of the source", unit="deg", without_effect=NO_SOURCE
        ),
        Parameter("withsrccoords", "bool", False, text="take a given source of timing mode", only=NO_SOURCE),
        Parameter("checkframes", "bool", True, text="count and number frames anew", only=ONLY_ODF),
        Parameter("ingtiset", "dataset", "", text="good times; frames outside are flagged (flagbadtimes)"),
        Parameter("outgtiset", "dataset", "ccdgti.out", text="good times of the frames to write"),
        Parameter("writegtiset", "bool", True, text="write outgtiset"),
        Parameter(
            "odfeventset", "dataset", "", text="raw event file of the CCD, of imaging mode; must be given"
        ),
        Parameter("outeventset", "dataset", "", text="events with renumbered frames to write; none if empty"),
        Parameter(
            "neweventset",
            "bool",
            False,
            text="write events",
            without_effect="outeventset alone decides",
        ),
        Parameter("withodfeventset", "bool", False, text="read odfeventset", without_effect="it always is"),
        *parameters_of(Emframes),
    ],
)
def emframes(ctx: TaskContext, p: Parameters) -> None:
    """Make the frame table, the good times and the renumbered events of one MOS CCD."""
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
            gti = gti_file(ctx, p.ingtiset)
        except TaskError as error:
            ctx.warn(error.code, f"{error.message}; FLAG_HK skipped")
    options = Options(emframes=options_of(Emframes, p))
    camera = camera_of(ctx, name.instrument, name.exp_id, options, gti)
    auxiliary = odf_file(ctx, p.auxiliaryset).read(1, MOS_AUXILIARY)
    ccd = read_ccd(camera, file, auxiliary)
    cards = files.plain_keywords(camera, ccd, ("emframes",))
    files.write(ctx, p.frameset, cards, files.frame_hdu(ccd, cards))
    if p.writegtiset:
        files.write(ctx, p.outgtiset, cards, files.gti_hdu(ccd, cards))
    if p.outeventset:
        files.write(ctx, p.outeventset, cards, files.raw_event_hdu(ccd, cards))
