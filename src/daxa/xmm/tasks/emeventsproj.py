"""The task emeventsproj: make an image of the events of one MOS CCD on all their pixels."""

from __future__ import annotations

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.parts import as_cards
from daxa.xmm.instruments.mos import files
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.options import REJECTION_FLAG, Emeventsproj
from daxa.xmm.instruments.mos.patterns import PatternLibrary
from daxa.xmm.instruments.mos.steps.emeventsproj import emeventsproj as project
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task


@task(
    "emeventsproj",
    "1.6",
    [
        Parameter("eventset", "dataset", required=True, text="events of one CCD, or a merged list"),
        Parameter("evimageset", "dataset", "emeventsproj.out", text="image to write"),
        Parameter(
            "ccdnr",
            "int",
            1,
            minimum=0,
            text="CCD to take of a merged list, or of one that does not tell its CCD",
        ),
        Parameter("mergedeventlist", "bool", False, text="take eventset as a merged list, with CCDNR"),
        *parameters_of(Emeventsproj),
    ],
)
def emeventsproj(ctx: TaskContext, p: Parameters) -> None:
    """Make an image of the events of one MOS CCD on all their pixels."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.sky.geometry import CameraGeometry

    table = files.read_table(ctx.path(p.eventset), "EVENTS", "openEventsIn02")
    use = np.ones(len(table), bool)
    ccdnr = p.ccdnr
    if p.mergedeventlist:
        use = table["CCDNR"] == ccdnr
        if p.projectenergy and "ENERGYE1" not in table.columns:
            raise TaskError("badParameter", "projectenergy=yes: the merged list has no ENERGYE1 and ENERGYE2")
    elif "CCDID" in table.header:
        ccdnr = int(table.keyword("CCDID")) + 10 * int(table.keyword("CCDNODE", 0))
    if p.rejectbadevents and "FLAG" not in table.columns:
        raise TaskError("badParameter", "rejectbadevents=yes: the list has no FLAG")
    scope = str(table.keyword("INSTRUME")).strip()
    if scope not in ("EMOS1", "EMOS2"):
        raise TaskError("badParameter", f"{table.where}: INSTRUME is {scope!r}, expected EMOS1 or EMOS2")
    calibration = Calibration.from_environment(ctx.env, ctx.cwd)
    library = PatternLibrary.from_calibration(calibration, scope)
    zero = np.zeros(len(table), np.int64)
    names = ("RAWX", "RAWY", "ENERGYE1", "ENERGYE2", "ENERGYE3", "ENERGYE4", "PATTERN", "PERIPIX", "FLAG")
    values = [table[k].astype(np.int64) if k in table.columns else zero for k in names]
    params = options_of(Emeventsproj, p)
    geometry = CameraGeometry.from_calibration(calibration, scope, 0.0)
    if ccdnr % 10 not in geometry.ccds or ccdnr // 10 not in (0, 1):
        raise TaskError("badParameter", f"emeventsproj: parameter ccdnr: {scope} has no CCD {ccdnr}")
    shape = geometry.shape(ccdnr % 10)
    list_ = Events(zero, *values)
    image, clumping = project(shape, list_, use, library, params)
    kept = ("TELESCOP", "INSTRUME", "OBS_ID", "EXP_ID", "EXPIDSTR", "DATE-OBS", "DATE-END")
    window = ("WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")
    found = {key: table.header.get(key, table.primary.get(key)) for key in (*kept, *window)}
    cards = as_cards({key: value for key, value in found.items() if value is not None})
    cards |= as_cards({"CCDID": ccdnr % 10, "CCDNODE": ccdnr // 10})
    cards["CLUMPING"] = (clumping, "counts per event")
    good = use & (list_.flag & REJECTION_FLAG == 0)
    ctx.info(f" Number of good events in input file: {int(good.sum()):12d}")
    files.write(ctx, p.evimageset, {}, files.image_hdu(image, cards))
