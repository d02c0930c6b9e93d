"""The task ootsubtract: take the events of the read-out from an image of the pn. It is not one of SAS."""

from __future__ import annotations

from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import image_bytes
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_detect import read_image, share_of_readout


@task(
    "ootsubtract",
    "1.0",
    [
        Parameter("imageset", "dataset", required=True, text="image of a pn list"),
        Parameter("ootimageset", "dataset", required=True, text="image of its list of out-of-time events"),
        Parameter("outset", "dataset", "subtracted.fits", text="the difference, to write"),
        Parameter(
            "scale",
            "real",
            None,
            minimum=0.0,
            maximum=1.0,
            text="share of the events that come during the read-out; that of the mode by default",
        ),
    ],
)
def ootsubtract(ctx: TaskContext, p: Parameters) -> None:
    """Take the events of the read-out from an image of the pn."""
    image, header = read_image(ctx, p.imageset)
    out_of_time, other = read_image(ctx, p.ootimageset)
    if image.shape != out_of_time.shape:
        raise TaskError("badImage", f"{ctx.path(p.ootimageset)}: not of the shape of {p.imageset}")
    for name, card in ((p.imageset, header), (p.ootimageset, other)):
        camera = str(card.get("INSTRUME", "")).strip()
        if camera != "EPN":
            raise TaskError(
                "WrongInst", f"{ctx.path(name)}: INSTRUME is {camera!r}; only the pn has such lists"
            )
    _check_same(ctx, p, header, other)
    share = share_of_readout(ctx, header) if p.scale is None else p.scale
    result = image - share * out_of_time
    header["OOTSCALE"] = (share, "share of the events that come during read-out")
    header["BUNIT"] = "count"
    ctx.provenance(header)
    with ctx.output(p.outset) as temporary:
        temporary.write_bytes(image_bytes(result.astype(np.float32), header.cards))
    ctx.info(
        f"{p.outset}: {share:.5f} of {out_of_time.sum():.0f} events out of time taken from {image.sum():.0f}"
    )


def _check_same(ctx: TaskContext, p: Parameters, header: Any, other: Any) -> None:
    """Refuse images of two places, whose difference means nothing; warn of two selections."""
    for key in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2"):
        if header.get(key) != other.get(key):
            raise TaskError(
                "badImage",
                f"{ctx.path(p.ootimageset)}: {key} is {other.get(key)!r}, not {header.get(key)!r}",
            )
    selections = [str(h.get("SLCTEXPR", "")) for h in (header, other)]
    if selections[0] != selections[1]:
        ctx.warn(
            "otherSelection",
            f"{p.imageset} was selected by {selections[0]!r}, {p.ootimageset} by {selections[1]!r}",
        )
