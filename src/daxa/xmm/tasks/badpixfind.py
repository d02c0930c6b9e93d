"""The task badpixfind: find the bad pixels that the events of a raw list of the pn give away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import image_hdu, primary_hdu, write_hdus
from daxa.xmm.fits.schema import make_table
from daxa.xmm.formats.eventlist import BADPIX_COLUMNS
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.badpixels import DEAD, FLICKERING, FOUND, HOT
from daxa.xmm.instruments.pn.badpixels import BadPixel, BadPixelMap, badpix_columns, merge_bad_pixels
from daxa.xmm.instruments.pn.calibration import PnCalibration
from daxa.xmm.instruments.pn.clock import FAST_MODES
from daxa.xmm.instruments.pn.files import read_raw_list
from daxa.xmm.instruments.pn.options import Badpix, Badpixfind
from daxa.xmm.instruments.pn.steps.badpixfind import badpixfind as search
from daxa.xmm.parameters import Parameter, Parameters, options_of, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_pn import calibration_of


@task(
    "badpixfind",
    "1.41",
    [
        Parameter("eventset", "dataset", required=True, text="raw event list of a CCD"),
        *parameters_of(Badpix, "badpixset"),
        *parameters_of(Badpixfind),
    ],
)
def badpixfind(ctx: TaskContext, p: Parameters) -> None:
    """Find the bad pixels that the events of a raw list of the pn give away."""
    file = read_raw_list(ctx, p.eventset)
    if file.submode in FAST_MODES:
        raise TaskError("badMode", f"{p.eventset}: {file.submode} has no pixels to search")
    calibration, ccd = calibration_of(ctx, file), file.raw.ccd
    known = calibration.known_bad_pixels(ccd, uplinked=True, other=False)
    found: list[BadPixel] = []
    if p.searchbadpix:
        limits = options_of(Badpixfind, p)
        adu_ev, share = calibration.energy_scale(ccd).adu_ev, calibration.core_share(limits.cellsize)
        found = search(file.raw, known, limits, adu_ev, share, ctx.info)
    if p.userflagbadpix:
        found = merge_bad_pixels(_user_pixels(p), found)
    cards = {
        k: file.primary[k] for k in ("TELESCOP", "INSTRUME", "EXP_ID", "OBS_ID") if k in file.primary
    } | {k: file.raw.header[k] for k in ("CCDID", "QUADRANT", "WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")}
    columns = badpix_columns(found)
    table = make_table(BADPIX_COLUMNS[:4], columns, "BADPIX", cards)
    primary = primary_hdu()
    ctx.provenance(primary.header)
    ctx.info(f" Creating file ({p.badpixset}): Number of entries: {len(found):12d}")
    with ctx.output(p.badpixset) as temporary:
        write_hdus(temporary, [primary, table])
    if p.withbadpixmap:
        good = ~BadPixelMap.of([*known, *found]).bad
        if p.withfovmask:
            good &= in_field_of_view(calibration, ccd)
        image = image_hdu(good.astype(np.uint8), name="MASK")
        primary.header.update(cards)
        primary.header["GOODPIX"] = (int(good.sum()), "good pixels")
        with ctx.output(p.badpixmap) as temporary:
            write_hdus(temporary, [primary, image])


def in_field_of_view(calibration: PnCalibration, ccd: int) -> npt.NDArray[np.bool_]:
    """Map (200, 64) of the pixels of a CCD whose centre is in the field of view.

    Parameters
    ----------
    calibration
        The calibration of the exposure.
    ccd
        Number of the CCD.
    """
    geometry = calibration.geometry
    x, y = np.meshgrid(np.arange(1, PN_SHAPE[0] + 1), np.arange(1, PN_SHAPE[1] + 1))
    detx, dety = geometry.raw_to_det(ccd, x.ravel().astype(float), y.ravel().astype(float))
    return np.asarray(geometry.in_fov(detx, dety)).reshape(x.shape)


def _user_pixels(p: Parameters) -> list[BadPixel]:
    names = ("rawxlist", "rawylist", "typelist", "yextentlist")
    try:
        x, y, kind, extent = ([int(v) for v in p[name]] for name in names)
    except ValueError as error:
        raise TaskError("userListValuesOutOfRange", f"{', '.join(names)}: {error}") from None
    if len({len(x), len(y), len(kind), len(extent)}) != 1:
        raise TaskError("nonEqualLists", f"{', '.join(names)}: expected as many values in each")
    for a, b, k, e in zip(x, y, kind, extent, strict=True):
        inside = 1 <= a <= PN_SHAPE[0] and 1 <= b <= PN_SHAPE[1] and e >= 1 and b + e - 1 <= PN_SHAPE[1]
        if not inside or k not in (HOT, FLICKERING, DEAD):
            raise TaskError("userListValuesOutOfRange", f"RAWX {a}, RAWY {b}, TYPE {k}, YEXTENT {e}")
    return [BadPixel(a, b, k, e, FOUND) for a, b, k, e in zip(x, y, kind, extent, strict=True)]
