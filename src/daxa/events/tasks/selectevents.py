"""The task selectevents: keep events of good times, energies and other columns."""

from __future__ import annotations

import numpy as np

from daxa.events.lists import EventList, read_times, selected, write_selection
from daxa.events.ranges import parse_range, parse_values
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task


@task(
    "selectevents",
    "1.0",
    [
        Parameter("table", "dataset", required=True, text="the event list"),
        Parameter("filteredset", "dataset", "filtered.fits", text="the new list"),
        Parameter("gtifile", "dataset", None, text="file of good times to keep"),
        Parameter("ranges", "list", (), text="values to keep: COLUMN:lo:hi, where ] behind it takes hi in"),
        Parameter("values", "list", (), text="values to keep: COLUMN:a,b,c, whole numbers"),
    ],
)
def selectevents(ctx: TaskContext, p: Parameters) -> None:
    """Keep events of good times and values; tables of good times, ONTIME, LIVETIME and EXPOSURE follow.

    Each table of good times is cut to the new ones. LIVETIME and EXPOSURE stay the fraction of ONTIME that
    they were: for instruments whose dead time varies, as HRC's, that is an estimate, and a warning says so.
    """
    events = EventList(ctx.path(p.table))
    times = None if p.gtifile is None else read_times(ctx.path(p.gtifile))
    ranges = [parse_range(text) for text in p.ranges or ()]
    keep = selected(events, times, ranges)
    said = list(map(str, ranges))
    for name, wanted in map(parse_values, p["values"] or ()):
        keep &= np.isin(events.column(name), wanted)
        said.append(f"{name} {', '.join(map(str, wanted))}")
    said = [f"{ctx.name}: kept {', '.join(said)}"] if said else []
    if times is not None:
        said.append(f"{ctx.name}: kept the good times of {ctx.path(p.gtifile).name}")
        if events.header.get("INSTRUME") == "HRC":
            ctx.warn("varyingDeadTime", "LIVETIME is scaled with ONTIME; the dead time of HRC varies")
    with ctx.output(p.filteredset) as temporary:
        write_selection(
            events, temporary, keep, None if times is None else (lambda hdu, its: its & times), said
        )
    ctx.info(f"{keep.sum()} of {len(keep)} events are kept")
    if not keep.any():
        ctx.warn("emptyList", f"{p.table}: no event is left")
