"""The task emask: write where an exposure map is good for finding sources, as an image of ones and zeros."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import block_bytes, image_bytes, primary_header
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.image.mask import detection_mask, pixels_in
from daxa.xmm.image.wcs import sky_wcs
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.select.blocks import Files
from daxa.xmm.select.ds9 import Plane
from daxa.xmm.select.expression import SelectionError
from daxa.xmm.task import TaskContext, task

#: Keywords of the exposure map that are not those of a mask.
_OF_THE_MAP = re.compile(r"BUNIT|PIMIN|PIMAX|VIGNETT|XPROC\d+|BITPIX|NAXIS\d*|SIMPLE|EXTEND")


@task(
    "emask",
    "2.16",
    [
        Parameter("expimageset", "dataset", "expimage.fits", text="exposure map"),
        Parameter("detmaskset", "dataset", "detmask.fits", text="file of the mask, to write"),
        Parameter("detmasktable", "string", "MASK", text="name of the mask's extension"),
        Parameter(
            "threshold1", "real", 0.3, minimum=0.0, text="least exposure, as a share of the largest one"
        ),
        Parameter(
            "threshold2",
            "real",
            0.5,
            minimum=0.0,
            text="greatest change of the exposure over two pixels, likewise",
        ),
        Parameter("withregionset", "bool", False, text="leave out regions"),
        Parameter(
            "regionset",
            "dataset",
            "region.fits",
            text="table of regions in pixels of the image, or regions of ds9: a file, or text",
        ),
    ],
)
def emask(ctx: TaskContext, p: Parameters) -> None:
    """Write where an exposure map is good for finding sources, as an image of ones and zeros."""
    path = ctx.path(p.expimageset)
    exposure, header = _read(path)
    mask = detection_mask(exposure, p.threshold1, p.threshold2)
    if not exposure.max() > 0:
        ctx.warn("noExposure", f"{path}: no pixel is exposed; the mask is zero")
    if p.withregionset:
        inside = _inside(ctx, p, path, header, mask.shape)
        if not (inside & mask).any():
            ctx.warn("regionOutside", f"{p.regionset}: no region covers a pixel of the mask of {path.name}")
        mask &= ~inside
    primary = primary_header()
    ctx.provenance(primary)
    header["HDUCLAS2"] = ("MASK", "Detection mask")
    header["CONTENT"] = ("EPIC DETECTION MASK", "Content of file")
    with ctx.output(p.detmaskset) as temporary:
        temporary.write_bytes(
            block_bytes(primary) + image_bytes(mask.astype(np.int32), header.cards, p.detmasktable)
        )
    ctx.info(f"{int(mask.sum())} of {mask.size} pixels are in the mask")


def _inside(
    ctx: TaskContext, p: Parameters, path: Path, header: Any, shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Pixels that the regions cover."""
    files = Files(ctx.cwd, path)
    sky = sky_wcs(header) if str(header.get("CTYPE1", "")).startswith("RA--") else None
    try:
        if files.ds9(p.regionset) is None:
            return pixels_in(files.region(p.regionset), shape)
        y, x = np.indices(shape, float) + 1.0
        return files.region(p.regionset, Plane.of_image(header, sky, shape)).contains(x, y)
    except SelectionError as error:
        raise TaskError("badRegion", f"emask: parameter regionset: {error.message}") from error


def _read(path: Path) -> tuple[np.ndarray, Any]:
    if not path.exists():
        raise TaskError("noFile", f"{path}: no such file")
    with open_hdus(path) as hdus:
        if hdus[0].data is None or hdus[0].data.ndim != 2:
            raise TaskError("badImage", f"{path}: the primary HDU is not a 2-D image")
        header = hdus[0].header.copy(strip=True)
        for key in [k for k in header if _OF_THE_MAP.fullmatch(k)]:
            del header[key]
        return np.nan_to_num(np.asarray(hdus[0].data, float)), header
