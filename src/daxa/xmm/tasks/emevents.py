"""The task emevents: flag the events of one MOS CCD, and give them places and times."""

from __future__ import annotations

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.mos import files
from daxa.xmm.instruments.mos.files import ccd_of_frames
from daxa.xmm.instruments.mos.options import Options
from daxa.xmm.instruments.mos.reduce import ccd_exposure
from daxa.xmm.instruments.mos.steps.emevents import emevents as analyse
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_mos import camera_of, merged, of_header, refuse, values_of


@task(
    "emevents",
    "8.9.2",
    merged(
        [
            Parameter("odfeventset", "dataset", required=True),
            Parameter("eventset", "dataset", "event.out"),
            Parameter("newoutput", "bool", True),
            Parameter("frameset", "dataset", "frame.out"),
            Parameter("gattispecset", "dataset", "gattispec.out"),
            Parameter("writegattispecset", "bool", False),
            Parameter("othereventset", "dataset", ""),
            Parameter("otherframeset", "dataset", ""),
            Parameter("withothernode", "bool", False),
            Parameter("withframeset", "bool", True),
            Parameter("offvarsets", "list", ()),
            Parameter("setcoordinates", "bool", True),
            Parameter("settimes", "bool", True),
            Parameter("blocksize", "int", 10000),
        ],
        "emevents",
    ),
)
def emevents(ctx: TaskContext, p: Parameters) -> None:
    """Flag the events of one MOS CCD, and give them places and times."""
    refuse(
        "emevents", p, newoutput=True, writegattispecset=False, withothernode=False, withframeset=True,
        setcoordinates=True, settimes=True, offvarsets=[],
    )  # fmt: skip
    if ctx.path(p.eventset) == ctx.path(p.odfeventset):
        raise TaskError("getParamValues03", "output event file name = input events file name")
    table = files.read_table(ctx.path(p.odfeventset), "EVENTS", "openEventsIn02")
    instrument, exp_id, number, node = of_header(table, "openEventsIn03")
    if table.header.get("EMEVENTS"):
        raise TaskError("getParamValues17", f"{table.where}: already went through emevents")
    options = Options()
    params = values_of("emevents", p, "emevents") | {"withothernode": False}
    options.change("emevents", **params)
    camera = camera_of(ctx, instrument, exp_id, options)
    frames, head = files.read_frames(ctx.path(p.frameset))
    ccd = ccd_of_frames(camera, table, (number, node), frames, bool(head["GATTI_ON"]))
    pixels = None
    if options.emevents.flagbadpixels:
        try:
            pixels = files.read_badpix(ctx.path(p.odfeventset), ccd.shape, "getParamValues10")
        except TaskError as error:
            ctx.warn(error.code, "flagbadpixels=yes but no bad-pixel extension in the events file: ignored")
    made = analyse(camera, ccd, pixels, options.emevents)
    exposure = ccd_exposure(camera, ccd, frames.gti(), {})
    lines = (ccd.lines + made.wrong).table(ccd.name)
    cards = files.plain_keywords(camera, ccd)
    hdus = files.event_hdus(
        ccd,
        camera.scope,
        files.ccd_columns(made, ccd),
        cards,
        {"TIME": exposure.frame_time_s, "TIMEDEL": exposure.frame_length_s, "FRACEXP": exposure.fraction},
        lines,
        pixels,
    )
    wrong = {"RAWX": ("column", made.wrong.column), "RAWY": ("row", made.wrong.row)}
    for key, (_, values) in wrong.items():
        for line in np.flatnonzero(values):
            hdus[0].header.add_history(f"WRONG {key} {line + 1} {int(values[line])}")
    files.write(ctx, p.eventset, cards, *hdus)
