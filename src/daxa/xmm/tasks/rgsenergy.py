"""The task rgsenergy: add calibrated energies to the pixels of one CCD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.formats.instruments import CODES
from daxa.xmm.formats.odf import rgs_offset_image
from daxa.xmm.formats.rgs import PIXELS, PIXELS_PI, Arrays
from daxa.xmm.instruments import seeds
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.instruments.rgs.energy import calibrate, pixel_offsets
from daxa.xmm.instruments.rgs.files import identity, keyword, read_set, replace_table, table, write_set
from daxa.xmm.instruments.rgs.options import Rgsenergy
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration

if TYPE_CHECKING:
    from daxa.xmm.odf.odf import Odf

FloatArray = npt.NDArray[np.float64]


def _offset_images(odf: Odf, instrument: str, ccd: int) -> dict[int, FloatArray]:
    """Averaged diagnostic images of a CCD, if the observation has them for both nodes."""
    images: dict[int, FloatArray] = {}
    for file in odf.find(instrument, "OFX"):
        try:
            with open_hdus(file.path) as hdus:
                for node in (0, 1):
                    name = rgs_offset_image(ccd, node)
                    if name in hdus:
                        images[node] = np.asarray(hdus[name].data, float)
        except (OSError, ValueError) as error:
            raise TaskError("damagedFile", f"{file.path.name}: cannot be read: {error}") from error
    return images if len(images) == 2 else {}


@task(
    "rgsenergy",
    "2.2",
    [
        Parameter("ccdset", "dataset", "ccd.ds", required=True, text="file of the CCD, which gets PI"),
        *parameters_of(Rgsenergy),
    ],
)
def rgsenergy(ctx: TaskContext, p: Parameters) -> None:
    """Add calibrated energies to the pixels of one CCD."""
    from daxa.xmm.odf.odf import Odf

    hdus = read_set(ctx, p.ccdset)
    pixels: Arrays = table(hdus, "PIXELS", PIXELS, p.ccdset)
    scope, ccd = str(keyword(hdus, "INSTRUME", p.ccdset)), int(keyword(hdus, "CCDID", p.ccdset))
    calibration = RgsCalibration(open_calibration(ctx), scope)
    scale = calibration.energy_scale(ccd, float(keyword(hdus, "TSTART", p.ccdset)))
    images: dict[int, FloatArray] = {}
    if p.withdiagoffset:
        images = _offset_images(Odf.from_environment(ctx.env, ctx.cwd), CODES[scope], ccd)
        if not images:
            ctx.info(f"CCD {ccd}: no averaged diagnostic images (OFX); one offset per node is used")
    offset = None
    if images:
        names = ("CCDNODE", "RAWX", "RAWY", "SHAPE", "GRADE")
        node, rawx, rawy, shape, grade = (pixels[n] for n in names)
        offset = pixel_offsets(node, rawx, rawy, shape, grade, images)
    rng = seeds.rgs(*identity(hdus, p.ccdset), seeds.RGS_ENERGY)
    pi = calibrate(pixels, scale, rng, offset=offset, with_gain=p.withgain, with_cti=p.withcti)
    replace_table(hdus, (*PIXELS, *PIXELS_PI), {**pixels, "PI": pi}, "PIXELS")
    hdus["EXPOSURE"].header["OFFSCORR"] = ("PIX2PIX" if images else "CCDNODE", "kind of offsets")
    write_set(ctx, p.ccdset, hdus)
