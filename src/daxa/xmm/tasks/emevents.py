"""The task emevents: flag the events of one MOS CCD, and give them places and times."""

from __future__ import annotations

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.mos import files
from daxa.xmm.instruments.mos.content import ccd_columns, ccd_exposure
from daxa.xmm.instruments.mos.files import ccd_of_frames
from daxa.xmm.instruments.mos.options import Emevents, Options
from daxa.xmm.instruments.mos.steps.emevents import emevents as analyse
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_mos import camera_of, of_header

NEW_FILE = "the task does not write into its input"
NO_SPECTRA = "nothing uses them"
NO_OTHER = "the task is for one node; the chains join both"
ALWAYS = "lists without are of no use to what follows"


@task(
    "emevents",
    "8.9.2",
    [
        Parameter("odfeventset", "dataset", required=True, text="events that emframes or badpix has written"),
        Parameter("eventset", "dataset", "event.out", text="events to write"),
        Parameter("newoutput", "bool", True, text="write eventset as a new file", only=NEW_FILE),
        Parameter("frameset", "dataset", "frame.out", text="table of frames that emframes has written"),
        Parameter(
            "gattispecset",
            "dataset",
            "gattispec.out",
            text="spectra of the sliding scale",
            without_effect=NO_SPECTRA,
        ),
        Parameter("writegattispecset", "bool", False, text="write gattispecset", only=NO_SPECTRA),
        Parameter("othereventset", "dataset", "", text="events of the other node", without_effect=NO_OTHER),
        Parameter("otherframeset", "dataset", "", text="frames of the other node", without_effect=NO_OTHER),
        Parameter("withothernode", "bool", False, text="join events cut between the nodes", only=NO_OTHER),
        Parameter("withframeset", "bool", True, text="read frameset", only="times come from the frames"),
        Parameter(
            "offvarsets",
            "list",
            (),
            text="offset/variance files",
            only="withoffvarsets finds those of the ODF",
        ),
        Parameter("setcoordinates", "bool", True, text="work out DETX and DETY", only=ALWAYS),
        Parameter("settimes", "bool", True, text="work out TIME", only=ALWAYS),
        Parameter(
            "blocksize", "int", 10000, text="events read at a time", without_effect="all are read at once"
        ),
        # Joining nodes is for the chain, which has both.
        *(q for q in parameters_of(Emevents) if q.name != "withothernode"),
    ],
)
def emevents(ctx: TaskContext, p: Parameters) -> None:
    """Flag the events of one MOS CCD, and give them places and times."""
    if ctx.path(p.eventset) == ctx.path(p.odfeventset):
        raise TaskError("getParamValues03", "output event file name = input events file name")
    table = files.read_table(ctx.path(p.odfeventset), "EVENTS", "openEventsIn02")
    instrument, exp_id, number, node = of_header(table, "openEventsIn03")
    if table.header.get("EMEVENTS"):
        raise TaskError("getParamValues17", f"{table.where}: already went through emevents")
    options = Options(emevents=options_of(Emevents, p))
    camera = camera_of(ctx, instrument, exp_id, options)
    frames, head = files.read_frames(ctx.path(p.frameset))
    ccd = ccd_of_frames(camera, table, (number, node), frames, bool(head["GATTI_ON"]))
    pixels = None
    if options.emevents.flagbadpixels:
        try:
            pixels = files.read_badpix(ctx.path(p.odfeventset), ccd.shape, "getParamValues10")
        except TaskError as error:
            if error.code != "getParamValues10":
                raise
            ctx.warn(error.code, "flagbadpixels=yes but no bad-pixel extension in the events file: ignored")
    made = analyse(ccd, pixels, options.emevents, camera.context(number, node))
    exposure = ccd_exposure(camera, ccd, frames.gti(), {})
    lines = (ccd.lines + made.wrong).table(ccd.name)
    cards = files.plain_keywords(camera, ccd, ("emevents",)) | files.said_before(table, ("emframes",))
    hdus = files.event_hdus(
        ccd,
        camera.scope,
        ccd_columns(made, ccd),
        cards,
        {"TIME": exposure.frame_time_s, "TIMEDEL": exposure.frame_length_s, "FRACEXP": exposure.fraction},
        lines,
        pixels,
    )
    for key, values in (("RAWX", made.wrong.column), ("RAWY", made.wrong.row)):
        for line in np.flatnonzero(values):
            hdus[0].header.add_history(f"WRONG {key} {line + 1} {int(values[line])}")
    files.write(ctx, p.eventset, cards, *hdus)
