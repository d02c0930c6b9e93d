"""The task embadpixfind: search an image of emeventsproj for bad pixels."""

from __future__ import annotations

import numpy as np

from daxa.xmm.errors import TaskError
from daxa.xmm.event.parts import as_cards
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, FOUND, ONBOARD
from daxa.xmm.instruments.mos import files
from daxa.xmm.instruments.mos.options import Embadpixfind, Options
from daxa.xmm.instruments.mos.steps.embadpixfind import embadpixfind as search
from daxa.xmm.notes import note_product
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_mos import CCD_CARDS, camera_of, empty_column, of_header


@task(
    "embadpixfind",
    "2.8",
    [
        Parameter("evimageset", "dataset", required=True, text="image that emeventsproj has written"),
        Parameter("badpixset", "dataset", "badpix.out", text="list of bad pixels to write"),
        Parameter(
            "incremental", "bool", False, text="leave out pixels that badpixset lists, and keep them in it"
        ),
        *parameters_of(Embadpixfind, includedeadpixels=False),
    ],
)
def embadpixfind(ctx: TaskContext, p: Parameters) -> None:
    """Search an image of emeventsproj for bad pixels."""
    path = ctx.path(p.evimageset)
    try:
        with open_hdus(path, memmap=False) as hdus:
            header, image = hdus[0].header.copy(), np.asarray(hdus[0].data, float)
            note_product(header, path)
    except (OSError, TypeError, ValueError) as error:
        raise TaskError("openImage01", f"{path}: no image: {error}") from error
    table = OdfTable(path.name, header, header, {})
    instrument, exp_id, number, node = of_header(table, "openImage01")
    options = Options(embadpixfind=options_of(Embadpixfind, p))
    camera = camera_of(ctx, instrument, exp_id, options)
    ccd = empty_column(camera, table, number, node)
    if image.shape != ccd.shape[::-1]:
        raise TaskError("openImage01", f"{path}: {image.shape} pixels, expected {ccd.shape[::-1]}")
    if p.incremental:
        ccd.found = files.read_badpix(ctx.path(p.badpixset), ccd.shape, "openBadpix01").chosen(FOUND)
    params = options.embadpixfind
    search(ccd, image, params, camera.messages, clumping=float(header.get("CLUMPING", 1.0)))
    pixels = ccd.found
    if params.includedeadpixels:
        dead = ccd.known.chosen(ONBOARD, CALIBRATION)
        dead.origin[dead.kind != DEAD], dead.kind[dead.kind != DEAD] = 0, 0
        pixels = dead.merged(pixels)
    cards = as_cards({k: header[k] for k in CCD_CARDS if k in header})
    files.write(ctx, p.badpixset, {}, files.badpix_hdu(pixels, cards))
    ctx.info(f" Writing {len(pixels.table()['RAWX']):12d}  rows to {p.badpixset}:BADPIX")
