"""The task ratemap: images of counts and count rate on the grid of an exposure map."""

from __future__ import annotations

from daxa.events.images import count_rate, read_image, shift_of, sky_image
from daxa.events.lists import EventList, selected
from daxa.events.ranges import parse_range
from daxa.xmm.fits.file import image_bytes
from daxa.xmm.fits.header import Card
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

#: Keywords that tell of the exposure map itself.
_OF_THE_MAP = (
    "BUNIT", "BSCALE", "BZERO", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM", "EXTNAME", "CREATOR",
)  # fmt: skip


@task(
    "ratemap",
    "1.0",
    [
        Parameter("table", "dataset", required=True, text="the event list"),
        Parameter("expimageset", "dataset", required=True, text="the exposure map in seconds"),
        Parameter("imageset", "dataset", "image.fits", text="the image of counts"),
        Parameter("rateset", "dataset", "rate.fits", text="the image of the count rate"),
        Parameter("xcolumn", "string", "X", text="column of the first axis"),
        Parameter("ycolumn", "string", "Y", text="column of the second axis"),
        Parameter("ranges", "list", (), text="values that are counted: COLUMN:lo:hi"),
    ],
)
def ratemap(ctx: TaskContext, p: Parameters) -> None:
    """Count events in the pixels of an exposure map, and divide by it.

    Coordinates of events and map must be of one grid; a list of another one is refused.
    """
    events = EventList(ctx.path(p.table))
    exposure = read_image(ctx.path(p.expimageset))
    keep = selected(events, None, [parse_range(text) for text in p.ranges or ()])
    x, y = (
        events.column(name)[keep] - shift_of(events, exposure.header, axis, name)
        for axis, name in ((1, p.xcolumn), (2, p.ycolumn))
    )
    counts = sky_image(x, y, exposure.pixels.shape)
    rate = count_rate(counts, exposure.pixels)
    cards = exposure.header.copy(strip=True)
    cards.discard(*_OF_THE_MAP)
    for name, pixels, unit in ((p.imageset, counts, "count"), (p.rateset, rate, "count/s")):
        with ctx.output(name) as temporary:
            temporary.write_bytes(image_bytes(pixels, [Card("BUNIT", unit), *cards.cards]))
    ctx.info(f"{counts.sum()} of {len(keep)} events are in the image")
    lost = int(counts[exposure.pixels <= 0].sum())
    if lost:
        ctx.warn("noExposure", f"{lost} events lie where the exposure map has none; their rate is 0")
