"""The task emldetect: fit the point-spread function to the sources of a list, in all images together."""

from __future__ import annotations

import numpy as np

from daxa.xmm.detect.fit import FitOptions, Source, fit_sources, model_maps
from daxa.xmm.detect.tables import source_rows
from daxa.xmm.errors import TaskError
from daxa.xmm.fits.file import image_bytes
from daxa.xmm.formats.instruments import TELESCOPES
from daxa.xmm.formats.sources import ML_LIST
from daxa.xmm.parameters import Parameter, Parameters
from daxa.xmm.response.psf import ELLBETA
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_detect import IMAGES, Opened, open_images, read_image, read_list, write_list

_KING = "the profile is that of KING_PARAMS of the telescope's XPSF file"


@task(
    "emldetect",
    "7.8",
    [
        *IMAGES,
        Parameter("boxlistset", "dataset", "eboxlist.fits", text="list of sources of eboxdetect"),
        Parameter("mllistset", "dataset", "emllist.fits", text="list of the fitted sources, to write"),
        Parameter("mlmin", "real", 10.0, text="least likelihood of a source", minimum=1.0),
        Parameter("dmlextmin", "real", 10.0, text="least likelihood of the extent of a source", minimum=1.0),
        Parameter(
            "ecut",
            "real",
            0.68,
            minimum=0.4,
            maximum=100.0,
            text="radius of counts that are used: share of the point-spread function; above 1 pixels",
        ),
        Parameter(
            "scut",
            "real",
            0.9,
            minimum=0.4,
            maximum=100.0,
            text="sources nearer than this are fitted together",
            without_effect="all sources are background of each other, and are gone through twice",
        ),
        Parameter("nmaxfit", "int", 1, text="sources fitted together", without_effect="as for scut"),
        Parameter("fitposition", "bool", True, text="also fit the places"),
        Parameter("fitextent", "bool", False, text="also fit the extents"),
        Parameter(
            "extentmodel", "choice", "gaussian", ("gaussian", "beta"), text="profile of extended sources"
        ),
        Parameter("maxextent", "real", 20.0, text="largest extent", unit="pixel", minimum=0.5),
        Parameter(
            "psfmodel", "string", "ellbeta", text="model of the point-spread function", without_effect=_KING
        ),
        Parameter("withsourcemap", "bool", False, text="also write maps of the background and all sources"),
        Parameter("sourceimagesets", "list", "srcmap.fits", text="these maps, one for each image"),
    ],
)
def emldetect(ctx: TaskContext, p: Parameters) -> None:
    """Fit the point-spread function to the sources of a list, in all images together."""
    opened = open_images(ctx, p, with_background=True)
    number = len(opened.field.images)
    if p.withsourcemap and len(p.sourceimagesets) != number:
        raise TaskError("badParameter", f"emldetect: sourceimagesets: expected {number} names")
    boxes = read_list(ctx, p.boxlistset, "BOX_ID_SRC", "ID_INST", "ID_BAND", "SCTS", "X_IMA", "Y_IMA")
    whole = (boxes["ID_INST"] == 0) & (boxes["ID_BAND"] == 0)
    order = np.flatnonzero(whole)[np.argsort(-boxes["SCTS"][whole], kind="stable")]
    places = [(boxes["X_IMA"][k] - 1, boxes["Y_IMA"][k] - 1) for k in order]
    options = FitOptions(
        least=p.mlmin,
        least_extent=p.dmlextmin,
        cut=p.ecut,
        with_position=p.fitposition,
        with_extent=p.fitextent,
        extent_model=p.extentmodel,
        largest_extent=p.maxextent,
    )
    sources = fit_sources(opened.field, places, options)
    if not sources:
        ctx.warn("noSources", f"no source reaches a likelihood of {p.mlmin:g}; the list is empty")
    numbers = {k: int(boxes["BOX_ID_SRC"][row]) for k, row in enumerate(order, start=1)}
    names = [c.name for c in ML_LIST]
    _say_profile(ctx, p, opened)
    rows = source_rows(opened.field, sources, opened.to_sky, names, free=2 * p.fitposition)
    rows["BOX_ID_SRC"] = np.array([numbers[n] for n in rows["BOX_ID_SRC"]], int)
    write_list(ctx, p.mllistset, ML_LIST, rows, opened)
    if p.withsourcemap:
        _write_maps(ctx, p, opened, sources)
    extended = sum(s.extent > 0 for s in sources)
    ctx.info(
        f"{p.mllistset}: {len(sources)} sources of {len(places)}, {extended} extended, in {number} images"
    )


def _say_profile(ctx: TaskContext, p: Parameters, opened: Opened) -> None:
    """Warn of elliptical profiles that are asked for, are in the calibration, and are not used."""
    if p.psfmodel.lower() != "ellbeta":
        return
    for telescope in sorted({TELESCOPES[i.instrument] for i in opened.field.images}):
        constituent = opened.cal.constituent(telescope, "XPSF")
        if opened.cal.has(telescope, "XPSF") and ELLBETA in constituent.extensions:
            ctx.warn(
                "noEllbeta",
                f"{constituent.path.name}: {ELLBETA} is not read, as no public text gives its columns; "
                "the round profile of KING_PARAMS stands in, which may put rates off by some percent",
            )


def _write_maps(ctx: TaskContext, p: Parameters, opened: Opened, sources: list[Source]) -> None:
    maps = model_maps(opened.field, sources)
    for name, image, data in zip(p.sourceimagesets, p.imagesets, maps, strict=True):
        header = read_image(ctx, image)[1].copy(strip=True)
        ctx.provenance(header)
        with ctx.output(name) as temporary:
            temporary.write_bytes(image_bytes(data.astype(np.float32), header.cards))
