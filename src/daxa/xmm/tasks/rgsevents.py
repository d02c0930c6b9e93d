"""The task rgsevents: add the tables of events and rejected pixels of one CCD."""

from __future__ import annotations

from daxa.xmm.formats.rgs import (
    EVENTS,
    EVENTS_FRAME,
    EXPOSURE,
    PIXELS,
    PIXELS_EVENT,
    PIXELS_PI,
    REJPIX,
    RgsFlag,
    flag_keywords,
)
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.rgs.badpixels import Window
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.instruments.rgs.events import make_events
from daxa.xmm.instruments.rgs.files import (
    identity,
    keyword,
    read_bad_pixels,
    read_set,
    replace_table,
    table,
    time_header,
    write_set,
)
from daxa.xmm.instruments.rgs.options import Rgsevents
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration


@task(
    "rgsevents",
    "3.13",
    [
        Parameter(
            "ccdset",
            "dataset",
            "ccd.ds",
            required=True,
            text="file of the CCD, which gets events",
        ),
        *parameters_of(Rgsevents),
    ],
)
def rgsevents(ctx: TaskContext, p: Parameters) -> None:
    """Add the tables of events and rejected pixels of one CCD."""
    hdus = read_set(ctx, p.ccdset)
    scope, ccd = str(keyword(hdus, "INSTRUME", p.ccdset)), int(keyword(hdus, "CCDID", p.ccdset))
    schema = (*PIXELS, *PIXELS_PI)
    pixels = table(hdus, "PIXELS", schema, p.ccdset)
    exposure = table(hdus, "EXPOSURE", EXPOSURE, p.ccdset)
    window = Window.from_header(hdus["PIXELS"].header)
    calibration = RgsCalibration(open_calibration(ctx), scope)
    span = (float(keyword(hdus, n, p.ccdset)) for n in ("TSTART", "TSTOP"))
    events = make_events(
        pixels, exposure, window, read_bad_pixels(hdus, window, p.ccdset),
        calibration.thresholds(ccd),
        calibration.split_ratios(), calibration.geometry(0.5 * sum(span)), ccd,
        seeds.rgs(*identity(hdus, p.ccdset), seeds.RGS_EVENTS),
        reconstruct=p.reconstruct, ocb=int(keyword(hdus, "CCDOCB", p.ccdset)), warn=ctx.warn,
    )  # fmt: skip
    for flag in RgsFlag:
        n = int(((events.columns["FLAG"] & flag) != 0).sum())
        if n:
            ctx.info(f"##XMMEA_{flag.name}: {n} events flagged")
    common = time_header(hdus)
    primary = hdus[0].header
    cards = {
        n: primary[n] for n in ("CCDID", "CCDOCB", "TSTART", "TSTOP", "TELAPSE", "EXPIDSTR") if n in primary
    }
    replace_table(hdus, (*schema, *PIXELS_EVENT), {**pixels, "EVENT": events.of_item}, "PIXELS")
    # The number of the frame stays with the event until the lists of the CCDs are joined.
    header = {**common, **cards, **flag_keywords(), "DATATYPE": "SPECT.EL"}
    replace_table(hdus, (*EVENTS, *EVENTS_FRAME), events.columns, "EVENTS", header)
    for node in (0, 1):
        a, b = window.span(node)
        mine = (events.rejected["CHIPX"] >= a) & (events.rejected["CHIPX"] <= b)
        part = {name: values[mine] for name, values in events.rejected.items()}
        replace_table(hdus, REJPIX, part, f"REJPIX{node}", {**common, "CCDNODE": node, "CCDID": ccd})
    write_set(ctx, p.ccdset, hdus)
