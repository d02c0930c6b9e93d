"""The task rgsbadpix: make the tables of bad pixels of one CCD."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.rgs import EXPOSURE, PIXELS, PIXELS_PI, RgsFlag
from daxa.xmm.instruments.badpixels import FOUND, HOT
from daxa.xmm.instruments.rgs.badpixels import Segment, Window, bad_pixels
from daxa.xmm.instruments.rgs.calibration import RgsCalibration
from daxa.xmm.instruments.rgs.files import keyword, read_set, table, write_bad_pixels, write_set
from daxa.xmm.instruments.rgs.options import Rgsbadpix
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support import open_calibration

BoolArray = npt.NDArray[np.bool_]


@task(
    "rgsbadpix",
    "2.20",
    [
        Parameter(
            "ccdset",
            "dataset",
            "ccd.ds",
            required=True,
            text="file of the CCD, which gets bad pixels",
        ),
        *parameters_of(Rgsbadpix),
    ],
)
def rgsbadpix(ctx: TaskContext, p: Parameters) -> None:
    """Make the tables of bad pixels of one CCD."""
    hdus = read_set(ctx, p.ccdset)
    scope, ccd = str(keyword(hdus, "INSTRUME", p.ccdset)), int(keyword(hdus, "CCDID", p.ccdset))
    pixels = table(hdus, "PIXELS", (*PIXELS, *PIXELS_PI), p.ccdset)
    exposure = table(hdus, "EXPOSURE", EXPOSURE, p.ccdset)
    window = Window.from_header(hdus["PIXELS"].header)
    calibration = RgsCalibration(open_calibration(ctx), scope)
    good = exposure["FRAME"][(exposure["FLAG"] & RgsFlag.IN_BAD_FRAME) == 0]
    known = calibration.known_segments(ccd, window)
    bad, found = bad_pixels(
        pixels, np.isin(pixels["FRAME"], good), len(good), window, known, calibration.split_ratios(),
        with_advisory=p.withadvisory, with_found=p.withfoundhot, pixel_limit_ev=p.pixnoiselimit,
        column_limit_ev=p.colnoiselimit, pixel_sharpness=p.pixsharpness, column_sharpness=p.colsharpness,
    )  # fmt: skip
    _report(ctx, ccd, known, found, p)
    more = int((bad.origin == FOUND).sum())
    ctx.info(f"CCD {ccd}: {int((bad.origin > 0).sum())} bad pixels, {more} of them found in this exposure")
    write_bad_pixels(hdus, bad, window, ccd)
    write_set(ctx, p.ccdset, hdus)


def _report(
    ctx: TaskContext,
    ccd: int,
    known: Sequence[Segment],
    found: BoolArray,
    p: Parameters,
) -> None:
    for where, kind, uplinked, (x, y) in known:
        n, missing = int(where.sum()), int((where & ~found).sum())
        if kind == HOT and not uplinked and p.withfoundhot and missing:
            text = (
                f"advisory hot segment at ({x},{y}): {missing} out of {n} pixels not found hot in telemetry"
            )
            ctx.warn("BadPixDiscrepancy", f"(CCD {ccd}) {text}")
