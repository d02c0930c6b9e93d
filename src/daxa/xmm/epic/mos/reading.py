"""Reading the raw files of a MOS CCD: frames, events, offsets (the sub-task emframes)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.epic.mos import badpix as bp
from daxa.xmm.epic.mos import energy, events, frames
from daxa.xmm.epic.mos.camera import Camera, Ccd
from daxa.xmm.epic.mos.events import Events
from daxa.xmm.epic.mos.patterns import COSMIC_PATTERNS, N_PATTERNS
from daxa.xmm.epic.mos.recognition import recognise
from daxa.xmm.event.eventlist import UNIT_ARCSEC
from daxa.xmm.odf.layout import MOS_IMAGING, MOS_OFFSETS, MOS_REDUCED_IMAGING
from daxa.xmm.odf.modes import ReadoutWindow
from daxa.xmm.odf.odf import OdfFile, OdfTable
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.task import TaskError

_COUNTERS = ("NPIXEL", "NVALID", "NBELOW", "NABOVE", "GATTIFLG", "FIFOOVF")


def emframes(camera: Camera, file: OdfFile, auxiliary: OdfTable) -> Ccd:
    """Frame table of one CCD and node, and the events that belong to it.

    Parameters
    ----------
    camera
        The exposure; ``camera.options.emframes`` are the parameters.
    file
        Imaging (IME) or reduced imaging (RIE) event file.
    auxiliary
        Table of the auxiliary file.

    Raises
    ------
    TaskError
        The file is damaged or does not fit the auxiliary file.
    """
    say = camera.messages
    number, node = file.name.ccd, file.name.node
    table = file.read(1, MOS_IMAGING if file.name.file_type == "IME" else MOS_REDUCED_IMAGING)
    if int(table.keyword("CCDID", number)) != number:
        raise TaskError("readEvents01", f"{table.where}: CCDID is not that of the file's name")
    window = ReadoutWindow.from_header({**dict(table.primary), **dict(table.header)})
    if window is None:
        raise TaskError(
            "readEvents01", f"{table.where}: keywords WINDOWX0, WINDOWY0, WINDOWDX, WINDOWDY missing"
        )
    shape = camera.geometry.shape(number)
    modeparam = camera.cal.constituent(camera.scope, "MODEPARAM")
    scan = [
        int(modeparam.keyword(k, "MODEPARAM", default=0)) for k in ("UNDER_X", "UNDER_Y", "OVER_X", "OVER_Y")
    ]
    under = tuple(scan[:2])
    read_out = (shape[0] + scan[0] + scan[2], shape[1] + scan[1] + scan[3])
    limits = (
        max(window.x0 - under[0] + 1, 1),
        min(window.x0 - under[0] + window.dx, shape[0]),
        max(window.y0 - under[1] + 1, 1),
        min(window.y0 - under[1] + window.dy, shape[1]),
    )
    x, y = np.arange(1, shape[0] + 1), np.arange(1, shape[1] + 1)
    detx, dety = camera.raw_to_det(number, x[None, :], y[:, None], node)
    fov = camera.geometry.in_fov(detx, dety)
    inside = np.zeros(fov.shape, bool)
    inside[limits[2] - 1 : limits[3], limits[0] - 1 : limits[1]] = True
    seen = camera.geometry.fov_mask(number) & inside
    step = np.hypot(detx[0, 1] - detx[0, 0], dety[0, 1] - dety[0, 0]) * UNIT_ARCSEC / 60.0

    made, index, known = frame_table(camera, table, auxiliary, file)
    sound = known & sound_rows(camera, table, window, read_out, number)
    raw, pixels = _events(camera, table, sound, index, window, under)
    gatti_on = finish_frames(
        camera,
        made,
        index[sound],
        pixels,
        window_pixels=window.dx * window.dy,
        open_fraction=float((fov & inside).sum() / max(inside.sum(), 1)),
    )
    ccd = Ccd(
        number, node, file, table, window, shape, limits, raw, made, fov,
        float(seen.sum()) * step**2, _offsets(camera, file, under, shape), gatti_on,
        energy.gain_coefficients(camera.table("ADUCONV", "OFFSET_GAIN"), number, node),
        known_bad_pixels(camera, number, node, shape), bp.BadPixels(shape),
    )  # fmt: skip
    say.info("emframes", f" Area of window within field of view is {ccd.arcmin2:12.6f} arcmin2")
    fraction = seen.sum() / max(inside.sum(), 1)
    say.info("emframes", f" Fraction of window within field of view is {fraction:.9f}")
    live = float((made.fraction * made.good).mean()) if len(made) else 0.0
    say.info("emframes", f" Fraction of good time : {live:.9f}")
    return ccd


def sound_rows(
    camera: Camera, table: OdfTable, window: ReadoutWindow, read_out: tuple[int, int], number: int
) -> npt.NDArray[np.bool_]:
    """Rows without telemetry errors: place inside the read-out, a pattern that exists."""
    sound = np.ones(len(table), bool)
    if "PATTERN" in table.columns:
        sound &= table["PATTERN"] < N_PATTERNS
    for axis, start, size in (("RAWX", window.x0, read_out[0]), ("RAWY", window.y0, read_out[1])):
        sound &= (table[axis] >= 0) & (table[axis] + start < size)
    return sound


def _events(
    camera: Camera,
    table: OdfTable,
    sound: npt.NDArray[np.bool_],
    index: npt.NDArray[np.int64],
    window: ReadoutWindow,
    under: tuple[int, ...],
) -> tuple[Events, npt.NDArray[np.int64]]:
    """Events, and the number of pixels of each row that was sent (0 for tracks of cosmic rays)."""
    lost = int((~sound).sum())
    if lost:
        number = table.keyword("CCDID", 0)
        camera.messages.warn(
            "emevents", "invalidRows", f"CCD {number}: {lost} rows with invalid FRAME, RAWX, RAWY or PATTERN"
        )
    place = (
        index[sound],
        events.raw_to_ccd(table["RAWX"][sound], window.x0, under[0]),
        events.raw_to_ccd(table["RAWY"][sound], window.y0, under[1]),
    )
    n = int(sound.sum())
    if "PATTERN" not in table.columns:
        raw = recognise(*place, table["ENGYE1E2"][sound], camera.library)
        camera.messages.info("emevents", f" {len(raw):12d}  events recognised in {n} pixels")
        return raw, np.ones(n, np.int64)
    raw = Events(
        *place,
        *(table[k][sound].astype(np.int64) for k in ("ENERGYE1", "ENERGYE2", "ENERGYE3", "ENERGYE4")),
        *(table[k][sound].astype(np.int64) for k in ("PATTERN", "PERIPIX")),
        np.zeros(n, np.int64),
    )
    in_pattern = camera.library.n_pixels.copy()
    in_pattern[list(COSMIC_PATTERNS)] = 0
    return raw, in_pattern[raw.pattern]


def finish_frames(
    camera: Camera,
    made: frames.Frames,
    event_frame: npt.NDArray[np.int64],
    event_pixels: npt.NDArray[np.int64],
    *,
    window_pixels: int,
    open_fraction: float,
) -> bool:
    """Dead time, sliding scale and good times of frames (CR_DEAD, GATTI, FLAG_HK).

    Returns
    -------
    bool
        Whether the sliding scale moves.
    """
    opts = camera.options.emframes
    if opts.setdeadtime:
        frames.set_dead_time(
            made,
            event_frame,
            event_pixels,
            window_pixels=window_pixels,
            open_fraction=open_fraction,
            cosmic_size=camera.misc("COSMICSI"),
            cosmic_out_over_in=camera.misc("COSMICOU"),
        )
    gatti_on = opts.setgatti and frames.set_gatti(made)
    outside = 0
    if camera.external_gti is not None and opts.flagbadtimes:
        outside = frames.flag_outside(made, camera.external_gti)
    camera.messages.info("emframes", f" {outside:12d}  frames rejected by FLAG_HK")
    return gatti_on


def known_bad_pixels(camera: Camera, number: int, node: int, shape: tuple[int, int]) -> bp.BadPixels:
    """Bad pixels masked on board (calibration and bright-pixel table) and others of the calibration."""
    table = camera.table("BADPIX", "BADPIX")
    pixels = bp.BadPixels(shape)
    bp.add_calibration(pixels, table, number, node, others=False)
    for file in camera.odf.find(camera.instrument, "PTH"):
        try:
            sent = file.read(1)
            mine = (sent["CCDID"] == number) & (sent["CCDNODE"] == node)
            pixels.add_stretches(*(sent[k][mine] for k in ("RAWX", "RAWY", "YEXTENT")), bp.HOT, bp.ONBOARD)
        except TaskError as error:
            camera.messages.warn(
                "badpix", "MissingData", f"{error.message}; uplinked pixels from the CCF only"
            )
    bp.add_calibration(pixels, table, number, node, uplinked=False)
    return pixels


def frame_table(
    camera: Camera, table: OdfTable, auxiliary: OdfTable, file: OdfFile
) -> tuple[frames.Frames, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Frames of a CCD, with those flagged that are incomplete.

    Returns
    -------
    frames, index, known
        The table; per event, the index of its frame, and whether it is listed.
    """
    say = camera.messages
    number, node = file.name.ccd, file.name.node
    rows = np.flatnonzero((auxiliary["CCDID"] == number) & (auxiliary["CCDNODE"] == node))
    if not len(rows):
        raise TaskError("frames03", f"{auxiliary.where}: no data for CCD {number} node {node}")
    rows = rows[frames.valid_rows(auxiliary["FRAME"][rows])]
    nominal, delay = camera.frame_times(number)
    header_s = float(table.keyword("FRMTIME", 0.0)) / 1000.0 or nominal or 0.0
    start_tt = utc_to_tt(str(table.keyword("DATE-OBS")))
    numbers = auxiliary["FRAME"][rows].astype(np.int64)
    obt = frames.unwrap_stamps(
        auxiliary["FTCOARSE"][rows],
        auxiliary["FTFINE"][rows],
        numbers,
        camera.correlation.tt_to_obt(start_tt),
        header_s,
    )
    counters = {}
    for name in _COUNTERS:
        values = auxiliary[name][rows].astype(np.int64)
        counters[name] = np.where(values < 0, values + 65536, values)
    made, shift = frames.build_frames(
        numbers,
        camera.correlation.obt_to_tt(obt),
        counters,
        header_frame_s=header_s,
        delay_s=delay,
        warn=lambda code, text: say.warn("emframes", code, f"CCD {number}: {text}"),
    )
    say.info("emframes", f" Create frame table with {len(made):12d}  rows")
    missing = int((made.flag & frames.FrameFlag.MISSING != 0).sum())
    say.info("emframes", f" {missing:12d}  missing frames inserted")
    say.info("emframes", f" Observing mode was {camera.submode}")
    say.info("emframes", f" Approximate start time = {made.time_s[0]:20.8f}")
    say.info("emframes", f" Approximate   end time = {made.time_s[-1]:20.8f}")
    found = np.clip(np.searchsorted(numbers, table["FRAME"]), 0, len(numbers) - 1)
    known = numbers[found] == table["FRAME"]
    index = numbers[found] + shift[found] - made.number[0]
    opts = camera.options.emframes
    invalid = frames.flag_invalid(made, index[known]) if opts.checknvalid else 0
    say.info("emframes", f" {invalid:12d}  frames rejected by VALID")
    overflow = frames.flag_overflow(made) if opts.flagfifooverflow else 0
    say.info("emframes", f" {overflow:12d}  frames rejected by FIFO")
    return made, index, known


def _offsets(
    camera: Camera, file: OdfFile, under: tuple[int, ...], shape: tuple[int, int]
) -> tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | None]:
    """Offsets per RAWX and per RAWY that were subtracted on board."""
    name = file.name
    if not camera.options.emevents.withoffvarsets:
        return None, None
    found = camera.odf.find(name.instrument, "OVE", name.exp_id, name.ccd, name.node)
    found = found or camera.odf.find(name.instrument, "OVE", ccd=name.ccd, node=name.node)
    if not found:
        return None, None
    try:
        table = found[0].read(1, MOS_OFFSETS)
    except TaskError as error:
        camera.messages.warn("emevents", "addOffsets01", f"{error.message}; offsets are taken as 0")
        return None, None
    result = []
    for axis in (0, 1):
        values = np.zeros(shape[axis])
        mine = table["AXIS"] == axis
        # Lines are counted in the whole read-out, whatever the window.
        position = events.raw_to_ccd(table["INDEX"][mine], 0, under[axis])
        inside = (position >= 1) & (position <= shape[axis])
        values[position[inside] - 1] = table["OFFSET"][mine][inside]
        result.append(values)
    return tuple(result)  # type: ignore[return-value]
