"""The task rgsbadpix: make the tables of bad pixels of one CCD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.rgs import EXPOSURE, PIXELS, PIXELS_PI, RgsFlag
from daxa.xmm.instruments.badpixels import FOUND, HOT, calibrated_kinds
from daxa.xmm.instruments.rgs.badpixels import Window, bad_pixels, write_tables
from daxa.xmm.instruments.rgs.calibration import split_ratios
from daxa.xmm.instruments.rgs.files import keyword, read_set, table, write_set
from daxa.xmm.instruments.rgs.options import Rgsbadpix
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task

if TYPE_CHECKING:
    from daxa.xmm.ccf.constituent import Constituent

BoolArray = npt.NDArray[np.bool_]


def _known_segments(
    badpix: Constituent, ccd: int, window: Window
) -> list[tuple[BoolArray, int, bool, tuple[int, int]]]:
    """Segments of the calibration: pixels, kind, whether masked on board, first pixel (CHIPX, CHIPY)."""
    inside, result = window.mask(), []
    for node, extname in enumerate(("BADPIX", "BADPIX1")):
        rows, kinds = badpix.table(extname), calibrated_kinds(badpix, extname)
        for i in np.flatnonzero(rows["CCD_ID"] == ccd):
            x = int(window.chipx(node, rows["RAWX"][i]))
            y, n = int(rows["RAWY"][i]), int(rows["YEXTENT"][i])
            where = np.zeros_like(inside)
            if 1 <= x <= inside.shape[1]:
                where[max(y - 1, 0) : y - 1 + n, x - 1] = True
            result.append((where & inside, int(kinds[i]), bool(rows["UPLINKED"][i]), (x, y)))
    return result


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
    from daxa.xmm.ccf.calibration import Calibration

    hdus = read_set(ctx, p.ccdset)
    scope, ccd = str(keyword(hdus, "INSTRUME", p.ccdset)), int(keyword(hdus, "CCDID", p.ccdset))
    pixels = table(hdus, "PIXELS", (*PIXELS, *PIXELS_PI), p.ccdset)
    exposure = table(hdus, "EXPOSURE", EXPOSURE, p.ccdset)
    window = Window.from_header(hdus["PIXELS"].header)
    cal = Calibration.from_environment(ctx.env, ctx.cwd)
    good = exposure["FRAME"][(exposure["FLAG"] & RgsFlag.IN_BAD_FRAME) == 0]
    known = _known_segments(cal.constituent(scope, "BADPIX"), ccd, window)
    bad, found = bad_pixels(
        pixels, np.isin(pixels["FRAME"], good), len(good), window, known, split_ratios(cal, scope),
        with_advisory=p.withadvisory, with_found=p.withfoundhot, pixel_limit_ev=p.pixnoiselimit,
        column_limit_ev=p.colnoiselimit, pixel_sharpness=p.pixsharpness, column_sharpness=p.colsharpness,
    )  # fmt: skip
    _report(ctx, ccd, known, found, p)
    more = int((bad.origin == FOUND).sum())
    ctx.info(f"CCD {ccd}: {int((bad.origin > 0).sum())} bad pixels, {more} of them found in this exposure")
    write_tables(hdus, bad, window, ccd)
    write_set(ctx, p.ccdset, hdus)


def _report(
    ctx: TaskContext,
    ccd: int,
    known: list[tuple[BoolArray, int, bool, tuple[int, int]]],
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
