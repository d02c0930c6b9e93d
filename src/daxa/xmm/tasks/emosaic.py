"""The task emosaic: write the sum of the images and, with exposure maps, the summed exposure and the
rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import empty_header, open_hdus, primary_hdu
from daxa.xmm.image import mosaic
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.task import TaskContext, task

#: Beginnings of keywords that describe the first image only.
_OF_ONE_IMAGE = ("XPROC", "DS", "BITPIX", "ONTIME", "LIVETI", "EXPOSURE", "EXP_ID", "EXPIDSTR", "SUBMODE")


def _read(path: Path) -> tuple[np.ndarray, Any]:
    if not path.exists():
        raise TaskError("noFile", f"{path}: no such file")
    with open_hdus(path) as hdus:
        if hdus[0].data is None or hdus[0].data.ndim != 2:
            raise TaskError("badImage", f"{path}: the primary HDU is not a 2-D image")
        note_product(hdus[0].header, path)
        return np.asarray(hdus[0].data, float), hdus[0].header.copy()


@task(
    "emosaic",
    "1.0",
    [
        Parameter("imagesets", "list", required=True, text="images of counts"),
        Parameter("mosaicedset", "dataset", "mosaic.fits", text="sum of the images, to write"),
        Parameter("withexposure", "bool", False, text="also add exposure maps"),
        Parameter("exposuremaps", "list", "", text="exposure maps, one for each image"),
        Parameter("expmosaicset", "dataset", "", text="sum of the exposure maps, to write if named"),
        Parameter("ratemosaicset", "dataset", "", text="counts over exposure, to write if named"),
        Parameter(
            "weighting",
            "choice",
            "time",
            choices=("time", "area"),
            text="add exposures as they are, or times the area of each camera over that of the reference",
        ),
    ],
)
def emosaic(ctx: TaskContext, p: Parameters) -> None:
    """Write the sum of the images and, with exposure maps, the summed exposure and the rate.

    With ``weighting=time`` exposures are added as they are: the rate is the mean rate of one camera, which
    steps where another set of cameras sees the sky. With ``weighting=area`` each exposure is multiplied by
    the camera's effective area over that of the reference camera (pn, if it is among them, else the first):
    the rate is that which the reference camera would see, the same on both sides of an edge.
    """
    if p.withexposure and len(p.exposuremaps) != len(p.imagesets):
        raise TaskError(
            "badParameter",
            f"emosaic: exposuremaps: expected one per image ({len(p.imagesets)}), got {len(p.exposuremaps)}",
        )
    images, headers = zip(*(_read(ctx.path(name)) for name in p.imagesets), strict=True)
    target = mosaic.covering_header(headers)
    counts = mosaic.add_images(images, headers, target)
    cards: dict[str, Any] = {}
    products: list[tuple[str, np.ndarray, str]] = [(p.mosaicedset, counts, "count")]
    if p.withexposure:
        exposure, cards = _exposure(ctx, p, target)
        if p.expmosaicset:
            products.append((p.expmosaicset, exposure, "s"))
        if p.ratemosaicset:
            products.append((p.ratemosaicset, mosaic.rate_image(counts, exposure), "count / s"))
    for name, data, unit in products:
        header = _header(target, headers, {**cards, "BUNIT": unit})
        ctx.provenance(header)
        header["CREATOR"] = f"emosaic ({header['CREATOR']})"
        with ctx.output(name) as temporary:
            primary_hdu(data.astype(np.float32), header).writeto(temporary)
        ctx.info(f"{name}: {data.shape[1]} x {data.shape[0]} pixels")


def _exposure(ctx: TaskContext, p: Parameters, target: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Sum of the exposure maps, and keywords that say how each was weighed."""
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.image.area import area_weights

    maps, headers = zip(*(_read(ctx.path(name)) for name in p.exposuremaps), strict=True)
    weights = [1.0] * len(maps)
    cards: dict[str, Any] = {}
    if p.weighting == "area":
        weights, reference = area_weights(Calibration.from_environment(ctx.env, ctx.cwd), headers)
        cards = {"EMSREF": (reference, "camera whose rate is given")}
        for k, weight in enumerate(weights, start=1):
            cards[f"EMSWT{k:03d}"] = (round(weight, 6), "area over that of the reference")
    weighted = [w * m for w, m in zip(weights, maps, strict=True)]
    return mosaic.add_images(weighted, headers, target, mean=True), cards


def _header(target: Any, sources: Sequence[Any], cards: Mapping[str, Any]) -> Any:
    """Header of a mosaic: its grid, further keywords, and camera and observation of each image."""
    header = empty_header([c for c in target.cards if not c.keyword.startswith(_OF_ONE_IMAGE)])
    cameras = [str(source.get("INSTRUME", "")).strip() for source in sources]
    if len(set(cameras)) > 1:
        header["INSTRUME"] = ("EPIC", "several cameras, see EMSCInnn")
    for key, card in cards.items():
        header[key] = card
    for k, (camera, source) in enumerate(zip(cameras, sources, strict=True), start=1):
        header[f"EMSCI{k:03d}"] = camera
        header[f"EMSCA{k:03d}"] = str(source.get("OBS_ID", "")).strip()
    return header
