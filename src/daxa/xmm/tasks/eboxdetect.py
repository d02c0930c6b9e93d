"""The task eboxdetect: find boxes with more counts than the background explains, in all images together."""

from __future__ import annotations

from daxa.xmm.detect.boxes import find_boxes
from daxa.xmm.detect.tables import box_rows
from daxa.xmm.formats.sources import BOX_LIST
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_detect import IMAGES, open_images, write_list


@task(
    "eboxdetect",
    "4.30.1",
    [
        Parameter(
            "usemap", "bool", True, text="compare with background maps; else with the frame about each box"
        ),
        *IMAGES,
        Parameter("boxlistset", "dataset", "eboxlist.fits", text="list of the sources, to write"),
        Parameter("likemin", "real", 8.0, text="least likelihood of a source", minimum=0.0),
        Parameter("boxsize", "choice", "5", ("3", "5"), text="side of the box", unit="pixel"),
        Parameter("nruns", "int", 3, text="searches, each with pixels twice as large", minimum=1, maximum=6),
    ],
)
def eboxdetect(ctx: TaskContext, p: Parameters) -> None:
    """Find boxes with more counts than the background explains, in all images together."""
    opened = open_images(ctx, p, with_background=p.usemap)
    boxes = find_boxes(opened.field, p.likemin, side=int(p.boxsize), runs=p.nruns, with_background=p.usemap)
    if not boxes:
        ctx.warn("noSources", f"no box reaches a likelihood of {p.likemin:g}; the list is empty")
    rows = box_rows(opened.field, boxes, opened.to_sky, [c.name for c in BOX_LIST])
    write_list(ctx, p.boxlistset, BOX_LIST, rows, opened)
    ctx.info(f"{p.boxlistset}: {len(boxes)} sources in {len(opened.field.images)} images")
