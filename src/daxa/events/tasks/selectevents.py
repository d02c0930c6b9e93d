"""The task selectevents: keep events of good times, energies and other columns."""

from __future__ import annotations

import re

from daxa.events.lists import EventList, Range, read_times, selected, write_selection
from daxa.xmm.errors import TaskError
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

_RANGE = re.compile(r"(\w+):([-+.\deE]+):([-+.\deE]+)(\]?)", re.ASCII)


def parse_range(text: str) -> Range:
    """A range of values from ``COLUMN:lo:hi``; with ``]`` behind it the upper limit belongs to it.

    Parameters
    ----------
    text
        The text.

    Raises
    ------
    TaskError
        ``badRange``: it is none.

    Examples
    --------
    >>> print(parse_range("energy:500:7000"))
    energy 500 to 7000
    """
    match = _RANGE.fullmatch(text)
    try:
        if match is not None:
            return Range(match[1], float(match[2]), float(match[3]), bool(match[4]))
    except ValueError:  # of digits in an order that is no number
        pass
    raise TaskError("badRange", f"ranges: expected COLUMN:lo:hi or COLUMN:lo:hi], got {text!r}")


@task(
    "selectevents",
    "1.0",
    [
        Parameter("table", "dataset", required=True, text="the event list"),
        Parameter("filteredset", "dataset", "filtered.fits", text="the new list"),
        Parameter("gtifile", "dataset", None, text="file of good times to keep"),
        Parameter("ranges", "list", (), text="values to keep: COLUMN:lo:hi, where ] behind it takes hi in"),
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
    said = [f"{ctx.name}: kept {', '.join(map(str, ranges))}"] if ranges else []
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
