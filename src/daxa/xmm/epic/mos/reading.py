"""Reading the raw files of a MOS CCD: frames, events, offsets.

The sub-tasks emframes, and the preparations of emevents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.epic.mos import badpix as bp
from daxa.xmm.epic.mos import energy, events, frames
from daxa.xmm.epic.mos.camera import Camera, Ccd
from daxa.xmm.epic.mos.events import Events
from daxa.xmm.epic.mos.patterns import COSMIC_PATTERNS, N_PATTERNS
from daxa.xmm.event.eventlist import UNIT_ARCSEC
from daxa.xmm.odf.layout import MOS_IMAGING, MOS_OFFSETS
from daxa.xmm.odf.modes import ReadoutWindow
from daxa.xmm.odf.odf import OdfFile, OdfTable
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.task import TaskError

_COUNTERS = ("NPIXEL", "NVALID", "NBELOW", "NABOVE", "GATTIFLG", "FIFOOVF")


def open_ccd(camera: Camera, file: OdfFile, auxiliary: OdfTable) -> Ccd:
    """Read one CCD's events and build its frame table.

    Raises
    ------
    TaskError
        The file is damaged or does not fit the auxiliary file.
    """
    say = camera.messages
    number, node = file.name.ccd, file.name.node
    table = file.read(1, MOS_IMAGING)
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
    detx, dety = camera.geometry.raw_to_det(number, x[None, :], y[:, None], node)
    fov = camera.geometry.in_fov(detx, dety)
    inside = np.zeros(fov.shape, bool)
    inside[limits[2] - 1 : limits[3], limits[0] - 1 : limits[1]] = True
    seen = camera.geometry.fov_mask(number) & inside
    step = np.hypot(detx[0, 1] - detx[0, 0], dety[0, 1] - dety[0, 0]) * UNIT_ARCSEC / 60.0

    table_frames, raw, gatti_on = _frames(
        camera, table, auxiliary, file, window, under, read_out, fov & inside, inside
    )
    gains = energy.gain_coefficients(camera.table("ADUCONV", "OFFSET_GAIN"), number, node)
    ccd = Ccd(
        number, node, file, table, window, shape, limits, raw, table_frames, fov,
        float(seen.sum()) * step**2, _offsets(camera, file, under, shape), gatti_on,
        raw, bp.BadPixels(shape), gains,
    )  # fmt: skip
    say.info("emframes", f" Area of window within field of view is {ccd.arcmin2:12.6f} arcmin2")
    fraction = seen.sum() / max(inside.sum(), 1)
    say.info("emframes", f" Fraction of window within field of view is {fraction:.9f}")
    live = float((table_frames.fraction * table_frames.good).mean()) if len(table_frames) else 0.0
    say.info("emframes", f" Fraction of good time : {live:.9f}")
    return ccd


def _frames(
    camera: Camera,
    table: OdfTable,
    auxiliary: OdfTable,
    file: OdfFile,
    window: ReadoutWindow,
    under: tuple[int, ...],
    read_out: tuple[int, int],
    open_pixels: npt.NDArray[np.bool_],
    pixels: npt.NDArray[np.bool_],
) -> tuple[frames.Frames, Events, bool]:
    say = camera.messages
    number = file.name.ccd
    made, index, known = frame_table(camera, table, auxiliary, file)
    sound = known & (table["PATTERN"] < N_PATTERNS)
    for axis, start, size in (("RAWX", window.x0, read_out[0]), ("RAWY", window.y0, read_out[1])):
        sound &= (table[axis] >= 0) & (table[axis] + start < size)
    lost = int((~sound).sum())
    if lost:
        say.warn(
            "emevents", "invalidRows", f"CCD {number}: {lost} rows with invalid FRAME, RAWX, RAWY or PATTERN"
        )
    raw = Events(
        index[sound],
        events.raw_to_ccd(table["RAWX"][sound], window.x0, under[0]),
        events.raw_to_ccd(table["RAWY"][sound], window.y0, under[1]),
        *(table[n][sound].astype(np.int64) for n in ("ENERGYE1", "ENERGYE2", "ENERGYE3", "ENERGYE4")),
        *(table[n][sound].astype(np.int64) for n in ("PATTERN", "PERIPIX")),
        np.zeros(int(sound.sum()), np.int64),
    )
    in_pattern = camera.library.n_pixels.copy()
    in_pattern[list(COSMIC_PATTERNS)] = 0
    frames.set_dead_time(
        made,
        raw.frame,
        in_pattern[raw.pattern],
        window_pixels=window.dx * window.dy,
        open_fraction=float(open_pixels.sum() / max(pixels.sum(), 1)),
        cosmic_size=camera.misc("COSMICSI"),
        cosmic_out_over_in=camera.misc("COSMICOU"),
    )
    gatti_on = frames.set_gatti(made)
    outside = 0
    if camera.external_gti is not None:
        outside = frames.flag_outside(made, camera.external_gti)
    say.info("emframes", f" {outside:12d}  frames rejected by FLAG_HK")
    return made, raw, gatti_on


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
    invalid = frames.flag_invalid(made, index[known])
    say.info("emframes", f" {invalid:12d}  frames rejected by VALID")
    say.info("emframes", f" {frames.flag_overflow(made):12d}  frames rejected by FIFO")
    return made, index, known


def _offsets(
    camera: Camera, file: OdfFile, under: tuple[int, ...], shape: tuple[int, int]
) -> tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | None]:
    """Offsets per RAWX and per RAWY that were subtracted on board."""
    name = file.name
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
