"""The task badpix: add the extension of bad pixels to a raw event list of one CCD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import first_header, open_hdus, write_hdus
from daxa.xmm.fits.schema import column
from daxa.xmm.instruments.badpixels import DEAD, FLICKERING, FOUND, HOT
from daxa.xmm.instruments.mos import files
from daxa.xmm.instruments.mos.options import Badpix, Options
from daxa.xmm.instruments.mos.steps.badpix import badpix as mark
from daxa.xmm.instruments.pn import options as pn
from daxa.xmm.instruments.pn.badpixels import BadPixel, joined_bad_pixels
from daxa.xmm.instruments.pn.clock import FAST_MODES
from daxa.xmm.instruments.pn.files import read_raw_list
from daxa.xmm.notes import note_product
from daxa.xmm.parameters import Parameter, Parameters, parameters_of
from daxa.xmm.task import TaskContext, task
from daxa.xmm.tasks.support_mos import CCD_CARDS, camera_of, empty_column, of_header
from daxa.xmm.tasks.support_pn import calibration_of, line_clock_of, replace_table


@task(
    "badpix",
    "2.34",
    [
        Parameter("eventset", "dataset", required=True, text="raw event list of a CCD"),
        Parameter("withoutset", "bool", False, text="write a new file; else eventset is changed"),
        Parameter("outset", "dataset", "out.fits", text="that new file"),
        *parameters_of(pn.Badpix, getnewbadpix=False),
    ],
)
def badpix(ctx: TaskContext, p: Parameters) -> None:
    """Add the extension of bad pixels to a raw event list of one CCD."""

    if is_mos(ctx, p.eventset):
        add_bad_pixels(ctx, p)
        return
    file = read_raw_list(ctx, p.eventset)
    if file.badpix is not None:
        ctx.warn("overwriteBadpix", f"{p.eventset}: its BADPIX is replaced")
    if not (p.getuplnkbadpix or p.getotherbadpix or p.getnewbadpix or p.emptyextension):
        raise TaskError("noBadpixModes", "none of getuplnkbadpix, getotherbadpix, getnewbadpix is set")
    pixels: list[BadPixel] = []
    if not p.emptyextension:
        calibration, ccd = calibration_of(ctx, file), file.raw.ccd
        known = calibration.known_bad_pixels(ccd, uplinked=p.getuplnkbadpix, other=p.getotherbadpix)
        found = _read_found(ctx, p.badpixset) if p.getnewbadpix else []
        fast = file.submode in FAST_MODES
        n_lines = line_clock_of(calibration, ccd).n_lines if fast else None
        pixels = joined_bad_pixels(known, found, n_lines)
    if p.windowfilter:
        pixels = in_window(pixels, file.window)
    ctx.info(f"{len(pixels):12d}  final bad pixel sets will be added to BADPIX extension")
    replace_table(ctx, p.outset if p.withoutset else p.eventset, replace(file, badpix=pixels))


def _read_found(ctx: TaskContext, name: str) -> list[BadPixel]:
    path = ctx.path(name)
    try:
        with open_hdus(path, memmap=False) as hdus:
            note_product(hdus[0].header, path)
            columns = [column(hdus["BADPIX"], n, str(path)) for n in ("RAWX", "RAWY", "TYPE", "YEXTENT")]
    except (OSError, KeyError) as error:
        raise TaskError("badExtension", f"{path}: no table of bad pixels: {error}") from error
    unknown = set(columns[2].tolist()) - {HOT, FLICKERING, DEAD}
    if unknown:
        raise TaskError(
            "badExtension",
            f"{path}[BADPIX], column TYPE: {min(unknown)} is not one of 1 (hot), 2 (flickering), 3 (dead)",
        )
    return [BadPixel(int(x), int(y), int(k), int(n), FOUND) for x, y, k, n in zip(*columns, strict=True)]


def in_window(pixels: Sequence[BadPixel], window: tuple[int, int, int, int]) -> list[BadPixel]:
    """Bad pixels cut at the edges of a window (RAWX, RAWY of its first pixel, size).

    Parameters
    ----------
    pixels
        The bad pixels.
    window
        The window.
    """
    x0, y0, dx, dy = window
    kept = []
    for pixel in pixels:
        first, last = max(pixel.rawy, y0), min(pixel.rawy + pixel.yextent, y0 + dy)
        if x0 <= pixel.rawx < x0 + dx and last > first:
            kept.append(pixel._replace(rawy=first, yextent=last - first))
    return kept


def is_mos(ctx: TaskContext, name: str) -> bool:
    """Whether a file is one of a MOS camera.

    Parameters
    ----------
    ctx
        The running task.
    name
        Name of the file.
    """
    try:
        return str(first_header(ctx.path(name)).get("INSTRUME", "")).startswith("EMOS")
    except OSError:
        return False


def add_bad_pixels(ctx: TaskContext, p: Parameters) -> None:
    """The task badpix for a MOS CCD: add BADPIX to the events that emframes has written.

    Parameters
    ----------
    ctx
        The running task.
    p
        Parameters of badpix.
    """
    path = ctx.path(p.eventset)
    table = files.read_table(path, "EVENTS", "badExtension")
    instrument, exp_id, number, node = of_header(table, "badExtension")
    if not (p.getuplnkbadpix or p.getotherbadpix or p.getnewbadpix or p.emptyextension):
        raise TaskError("noBadpixModes", "none of getuplnkbadpix, getotherbadpix, getnewbadpix is set")
    ccd = empty_column(camera_of(ctx, instrument, exp_id, Options()), table, number, node)
    if p.getnewbadpix:
        found = files.read_badpix(ctx.path(p.badpixset), ccd.shape, "badExtension")
        ccd.found = found.chosen(FOUND)
    switches = {
        k: p[k] and not p.emptyextension for k in ("getuplnkbadpix", "getotherbadpix", "getnewbadpix")
    }
    pixels = mark(ccd, Badpix(**switches, windowfilter=p.windowfilter))
    cards = {k: table.header[k] for k in CCD_CARDS if k in table.header}
    hdu = files.badpix_hdu(pixels, cards)
    ctx.info(f" {len(hdu.data):12d}  final bad pixel sets will be added to BADPIX extension")
    with ctx.output(p.outset if p.withoutset else p.eventset) as part, open_hdus(path) as hdus:
        kept = [h.copy() for h in hdus if h.name != "BADPIX"]
        if len(kept) < len(hdus):
            ctx.warn("overwriteBadpix", f"{p.eventset}: its BADPIX is replaced")
        write_hdus(part, [*kept, hdu])
