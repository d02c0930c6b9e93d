"""The task epevents: recognise the patterns of a raw event list of the pn and calibrate them, one row
per pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.fits.header import other_cards
from daxa.xmm.fits.schema import Column, make_table
from daxa.xmm.formats.eventlist import EVENT_COLUMNS
from daxa.xmm.formats.flags import flag_keywords
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.pn.clock import FAST_MODES
from daxa.xmm.instruments.pn.files import RawFile, read_raw_list
from daxa.xmm.instruments.pn.options import Epevents, Epframes
from daxa.xmm.instruments.pn.steps.epevents import detector_events, recognise
from daxa.xmm.instruments.pn.timing import fast_events
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_pn import calibration_of, line_clock_of

#: Corrections that a list lacks, and why; said in the log if they are asked for.
_NOT_DONE = {
    p.name: p.without_effect
    for p in parameters_of(Epevents)
    if p.name in ("withtempcorrection", "withbackgroundgain")
}


@task(
    "epevents",
    "6.55",
    [
        Parameter("eventset", "dataset", required=True, text="raw event list of a CCD"),
        Parameter("outset", "dataset", "events.dat", text="event list to write"),
        *parameters_of(Epevents),
    ],
)
def epevents(ctx: TaskContext, p: Parameters) -> None:
    """Recognise the patterns of a raw event list of the pn and calibrate them, one row per pattern."""
    file = read_raw_list(ctx, p.eventset)
    if not len(file.raw.pha):
        raise TaskError("noEvents", f"{p.eventset}: no events")
    for name, reason in _NOT_DONE.items():
        if p[name]:
            ctx.info(f"{name}: not done, {reason}")
    if file.badpix is None:
        ctx.warn("noBadpix", f"{p.eventset}: no BADPIX; run badpix first")
    fast = file.submode in FAST_MODES
    if fast and p.withoutoftime:
        ctx.warn("notUsefulModeOOTE", f"{file.submode} has no out-of-time list")
    calibration = calibration_of(ctx, file)
    scale = calibration.energy_scale(file.raw.ccd, p.gainctiaccuracy)
    row = int(file.primary.get("SRCPOS", Epframes.srcposition))
    out_of_time = p.withoutoftime and not fast
    options = options_of(Epevents, p, withoutoftime=out_of_time, charge_row=row if p.withctisrcpos else None)
    raw = recognise(file.raw, file.badpix or [], scale, 0.0, ctx.info)
    random = seeds.pn(*file.seed())
    if fast:
        clock = line_clock_of(calibration, file.raw.ccd)
        columns = fast_events(raw, scale, clock, row, random, options)
        schema = EVENT_COLUMNS["EPN", "TIMING"]
    else:
        columns, _ = detector_events(raw, scale, calibration.geometry, file.window, random, options)
        columns["FRAME"] = columns["FRAME"].astype(np.int64) + 1
        schema = tuple(c for c in EVENT_COLUMNS["EPN", "IMAGING"] if c.name not in ("X", "Y"))
        schema = (*schema, Column("FRAME", "1J"))
    _write_events(ctx, p, file, schema, columns)


def _write_events(
    ctx: TaskContext, p: Parameters, file: RawFile, schema: Sequence[Column], columns: dict[str, Any]
) -> None:
    """The raw list's file with calibrated events in place of the raw ones."""
    with open_hdus(ctx.path(p.eventset), memmap=False) as hdus:
        cards = other_cards(hdus["EVENTS"].header)
        cards |= {key: (value, comment) for key, value, comment in flag_keywords("EPN")}
        hdus[hdus.index_of("EVENTS")] = make_table(schema, columns, "EVENTS", cards)
        number = sum(k.startswith("XPROC") for k in hdus[0].header)
        ctx.provenance(hdus[0].header, number)
        with ctx.output(p.outset) as temporary:
            hdus.writeto(temporary)
    ctx.info(f"{Path(p.outset).name}: {len(columns['PI'])} events of {len(file.raw.pha)} pixels")
