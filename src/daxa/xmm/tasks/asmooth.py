"""The task asmooth: smooth an image, everywhere alike or adaptively."""

from __future__ import annotations

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import image_bytes
from daxa.xmm.image.smooth import FloatArray, smooth, smooth_adaptively
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_detect import read_image


@task(
    "asmooth",
    "2.32",
    [
        Parameter("inset", "dataset", required=True, text="image to smooth"),
        Parameter("outset", "dataset", "outimage.ds", text="smoothed image, to write"),
        Parameter(
            "smoothstyle",
            "choice",
            "adaptive",
            ("simple", "adaptive"),
            text="one width everywhere, or as little as the counts allow",
        ),
        Parameter(
            "convolverstyle",
            "choice",
            "gaussian",
            ("gaussian", "tophat", "squarebox"),
            text="what the image is folded with",
            only="other shapes leave edges in the picture",
        ),
        Parameter(
            "width",
            "real",
            5.0,
            minimum=0.0,
            maximum=100.0,
            text="simple: sigma of the Gaussian",
            unit="pixel",
        ),
        Parameter("nconvolvers", "int", 20, minimum=2, maximum=126, text="adaptive: number of Gaussians"),
        Parameter(
            "minwidth", "real", 0.0, minimum=0.0, maximum=100.0, text="adaptive: narrowest one", unit="pixel"
        ),
        Parameter(
            "maxwidth", "real", 20.0, minimum=0.0, maximum=100.0, text="adaptive: widest one", unit="pixel"
        ),
        Parameter(
            "widthliststyle", "choice", "linear", ("linear", "log"), text="adaptive: steps between the widths"
        ),
        Parameter(
            "desiredsnr", "real", 10.0, minimum=0.0, text="adaptive: mean over its error that is aimed at"
        ),
        Parameter("readvarianceset", "bool", False, text="use invarianceset; else variance is counts"),
        Parameter("invarianceset", "dataset", "variance.ds", text="variance of the image"),
        Parameter("withexpimageset", "bool", False, text="divide the image by its exposure map"),
        Parameter("expimageset", "dataset", "expimage.ds", text="exposure map"),
        Parameter("withweightset", "bool", False, text="weigh pixels"),
        Parameter("weightset", "dataset", "weight.ds", text="weights of pixels, e.g. the exposure map"),
        Parameter("withoutmaskset", "bool", False, text="set pixels outside a mask to 0"),
        Parameter("outmaskset", "dataset", "outmask.ds", text="that mask"),
    ],
)
def asmooth(ctx: TaskContext, p: Parameters) -> None:
    """Smooth an image, everywhere alike or adaptively."""
    image, header = read_image(ctx, p.inset)

    def like(name: str) -> FloatArray:
        other, _ = read_image(ctx, name)
        if other.shape != image.shape:
            raise TaskError("badImage", f"{ctx.path(name)}: not of the shape of {p.inset}")
        return other

    variance = like(p.invarianceset) if p.readvarianceset else np.maximum(image, 0.0)
    weights = like(p.weightset) if p.withweightset else np.ones(image.shape)
    if (weights < 0).any():
        raise TaskError("badImage", f"{ctx.path(p.weightset)}: weights below 0")
    values = image
    if p.withexpimageset:
        exposure = like(p.expimageset)
        seen = exposure > 0
        values = np.divide(image, exposure, out=np.zeros(image.shape), where=seen)
        variance = np.divide(variance, exposure**2, out=np.zeros(image.shape), where=seen)
        weights = np.where(seen, weights, 0.0)
    if p.smoothstyle == "simple":
        smoothed = smooth(values, weights, p.width)
        ctx.info(f"{p.outset}: a Gaussian of {p.width:g} pixels")
    else:
        smoothed, widths = smooth_adaptively(values, variance, weights, _widths(p), p.desiredsnr)
        used = widths[weights > 0]
        said = f"{np.min(used):.3g} to {np.max(used):.3g}" if used.size else "no"
        ctx.info(f"{p.outset}: Gaussians of {said} pixels")
        wide = np.count_nonzero(used == p.maxwidth)
        if wide:
            ctx.info(f"{100 * wide / used.size:.1f} % of the pixels have the widest")
    if p.withoutmaskset:
        smoothed = np.where(like(p.outmaskset) > 0, smoothed, 0.0)
    if not weights.any():
        ctx.warn("noExposure", f"{ctx.path(p.inset)}: no pixel is exposed; the image is zero")
    header["BUNIT"] = "count / s" if p.withexpimageset else "count"
    ctx.provenance(header)
    with ctx.output(p.outset) as temporary:
        temporary.write_bytes(image_bytes(smoothed.astype(np.float32), header.cards))


def _widths(p: Parameters) -> list[float]:
    """Standard deviations of the row of Gaussians."""
    if p.minwidth >= p.maxwidth:
        raise TaskError(
            "badParameter", f"asmooth: minwidth ({p.minwidth:g}) must be below maxwidth ({p.maxwidth:g})"
        )
    if p.widthliststyle == "linear":
        return [float(w) for w in np.linspace(p.minwidth, p.maxwidth, p.nconvolvers)]
    if p.minwidth == 0:
        raise TaskError("badParameter", "asmooth: widthliststyle=log needs a minwidth above 0")
    return [float(w) for w in np.geomspace(p.minwidth, p.maxwidth, p.nconvolvers)]
