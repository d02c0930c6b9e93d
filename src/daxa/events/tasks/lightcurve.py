"""The task lightcurve: the count rate of a whole list."""

from __future__ import annotations

import numpy as np

from daxa.events.lightcurves import light_curve
from daxa.events.lists import EventList, gti_cards, selected
from daxa.events.ranges import parse_range
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import block_bytes, primary_header
from daxa.xmm.fits.schema import columns, table_bytes
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

#: As dmextract of CIAO names them in a light curve.
COLUMNS = columns(
    "TIME_BIN 1J\nTIME_MIN 1D s\nTIME 1D s\nTIME_MAX 1D s\nCOUNTS 1J count\nSTAT_ERR 1D count\n"
    "EXPOSURE 1D s\nCOUNT_RATE 1D count/s\nCOUNT_RATE_ERR 1D count/s"
)


@task(
    "lightcurve",
    "1.0",
    [
        Parameter("table", "dataset", required=True, text="the event list"),
        Parameter("rateset", "dataset", "rates.fits", text="the light curve"),
        Parameter("timebinsize", "real", 200.0, minimum=1e-6, text="length of a bin", unit="s"),
        Parameter("ranges", "list", (), text="values that are counted: COLUMN:lo:hi"),
    ],
)
def lightcurve(ctx: TaskContext, p: Parameters) -> None:
    """Count the events of a list in bins of time, with the exposure that its good times leave each."""
    events = EventList(ctx.path(p.table))
    keep = selected(events, None, [parse_range(text) for text in p.ranges or ()])
    times = events.column("TIME")[keep]
    good = events.all_times()
    try:
        curve = light_curve(times, good, p.timebinsize)
    except ValueError as failure:
        raise TaskError("noLightCurve", f"{p.table}: {failure}") from None
    data = {
        "TIME_BIN": np.arange(1, len(curve.counts) + 1),
        "TIME_MIN": curve.start,
        "TIME": (curve.start + curve.stop) / 2,
        "TIME_MAX": curve.stop,
        "COUNTS": curve.counts,
        "STAT_ERR": np.sqrt(curve.counts),
        "EXPOSURE": curve.exposure,
        "COUNT_RATE": curve.rate,
        "COUNT_RATE_ERR": curve.error,
    }
    cards = {
        "HDUCLASS": "OGIP",
        "HDUCLAS1": "LIGHTCURVE",
        "TIMEDEL": (p.timebinsize, "[s] length of a bin"),
        **dict(gti_cards(events.header)),
    }
    with ctx.output(p.rateset) as temporary:
        temporary.write_bytes(block_bytes(primary_header()) + table_bytes(COLUMNS, data, "LIGHTCURVE", cards))
    ctx.info(f"{curve.counts.sum()} events in {len(curve.counts)} bins, {curve.exposure.sum():.1f} s")
