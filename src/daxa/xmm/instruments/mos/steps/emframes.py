"""The step emframes: frames, good times and sound events of one MOS CCD."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError, named
from daxa.xmm.formats.odf import MOS_IMAGING, MOS_REDUCED_IMAGING
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos import energy, frame_numbers, frames
from daxa.xmm.instruments.mos.calibration import known_bad_pixels, on_board_offsets
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Camera, Ccd
from daxa.xmm.instruments.mos.raw import (
    Layout,
    check_mode,
    raw_events,
    report_announced,
    sound_rows,
    without_repetition,
)
from daxa.xmm.odf.mos_clock import header_frame_time, unwrap_stamps
from daxa.xmm.odf.odf import OdfFile, OdfTable
from daxa.xmm.odf.times import check_frames, utc_to_tt

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
    check_mode(table, file.name.file_type)
    table = without_repetition(camera, table)
    layout = Layout.of(camera, table, number, node)
    made, index, known = frame_table(camera, table, auxiliary, file)
    raw, pixels = raw_events(camera, table, known, index, layout)
    gatti_on = finish_frames(
        camera,
        made,
        index[known & sound_rows(table, layout)],
        pixels,
        window_pixels=layout.image_pixels,
        open_fraction=layout.open_fraction,
    )
    ccd = make_ccd(camera, table, file.name.file_type, (number, node), layout, raw, made, gatti_on)
    ccd.row_frame = np.where(known, made.number[0] + index, -1)
    say.info("emframes", f" Area of window within field of view is {ccd.arcmin2:12.6f} arcmin2")
    say.info("emframes", f" Fraction of window within field of view is {layout.seen_fraction:.9f}")
    live = float(made.fraction[made.received].mean())
    say.info("emframes", f" Fraction of good time : {live:.9f}")
    return ccd


def make_ccd(
    camera: Camera,
    table: OdfTable,
    file_type: str,
    name: tuple[int, int],
    layout: Layout,
    raw: Events,
    made: frames.Frames,
    gatti_on: bool,
) -> Ccd:
    """A CCD (``name``: number and node) with its calibration."""
    number, node = name
    return Ccd(
        number, node, file_type, table, layout.window, layout.shape, layout.limits, raw, made,
        layout.arcmin2, on_board_offsets(camera, name, layout), gatti_on,
        energy.gain_coefficients(camera.table("ADUCONV", "OFFSET_GAIN"), number, node),
        known_bad_pixels(camera, number, node, layout.shape), bp.BadPixels(layout.shape),
    )  # fmt: skip


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


def frame_table(
    camera: Camera, table: OdfTable, auxiliary: OdfTable, file: OdfFile
) -> tuple[frames.Frames, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Frames of a CCD, with those flagged that are incomplete.

    Returns
    -------
    frames, index, known
        The table; per event, the index of its frame, and whether it is one of the table.
    """
    say = camera.messages
    number, node = file.name.ccd, file.name.node
    for key in ("INSTRUME", "OBS_ID", "EXP_ID"):
        pair = [str(t.keyword(key, "")).strip() for t in (table, auxiliary)]
        if all(pair) and pair[0] != pair[1]:
            raise TaskError(
                "frames04",
                f"{table.where} and {auxiliary.where} are incompatible: {key} {' and '.join(pair)}",
            )
    rows = np.flatnonzero((auxiliary["CCDID"] == number) & (auxiliary["CCDNODE"] == node))
    if not len(rows):
        raise TaskError("frames03", f"{auxiliary.where}: no data for CCD {number} node {node}")
    where = f"{auxiliary.where}, CCD {number}"
    with named(where):
        rows = rows[frame_numbers.valid_rows(auxiliary["FRAME"][rows])]
    nominal, delay = camera.frame_times(number)
    imaging = file.name.file_type in ("IME", "RIE")
    start_tt = utc_to_tt(str(table.keyword("DATE-OBS")))
    numbers = auxiliary["FRAME"][rows].astype(np.int64)
    start_obt = camera.correlation.tt_to_obt(start_tt)
    reset = camera.clock_reset_s
    obt = unwrap_stamps(auxiliary["FTCOARSE"][rows], auxiliary["FTFINE"][rows], reset, start_obt)
    told = float(table.keyword("FRMTIME", 0.0))
    header_s = header_frame_time(told, numbers, obt, table.where) or nominal or 0.0
    counters = {}
    for name in _COUNTERS:
        values = auxiliary[name][rows].astype(np.int64)
        counters[name] = np.where(values < 0, values + 65536, values)
    with named(where):
        made, shift = frames.build_frames(
            numbers,
            camera.correlation.obt_to_tt(obt),
            counters,
            header_frame_s=header_s,
            transfer_s=camera.transfer_s(number, imaging=imaging),
            # In fast modes nothing waits for the next read-out.
            joined=frames.JOINED_FRAMES if imaging else 0,
            delay_s=delay,
            clock_s=obt - reset,
            warn=lambda code, text: say.warn("emframes", code, f"CCD {number}: {text}"),
        )
    end = table.keyword("DATE-END", None)
    if end is not None:
        span = start_tt, float(utc_to_tt(str(end)))
        check_frames(made.time_s, span, where, camera.correlation.source)
    received = int(made.received.sum())
    say.info("emframes", f" Create frame table with {received:12d}  rows")
    say.info("emframes", f" {len(made) - received:12d}  frames are missing between them")
    say.info("emframes", f" Observing mode was {camera.submode}")
    say.info("emframes", f" Approximate start time = {made.time_s[0]:20.8f}")
    say.info("emframes", f" Approximate   end time = {made.time_s[-1]:20.8f}")
    # Events of a frame whose row is missing belong to the frame that was inserted for it.
    event_frame = table["FRAME"].astype(np.int64)
    before = np.maximum(np.searchsorted(numbers, event_frame, side="right") - 1, 0)
    known = (event_frame >= numbers[0]) & (event_frame <= numbers[-1])
    index = np.where(known, event_frame + shift[before] - made.number[0], 0)
    opts = camera.options.emframes
    report_announced(camera, made, index[known], number)
    invalid = frames.flag_invalid(made, index[known]) if opts.checknvalid else 0
    say.info("emframes", f" {invalid:12d}  frames rejected by VALID")
    overflow = frames.flag_overflow(made) if opts.flagfifooverflow else 0
    say.info("emframes", f" {overflow:12d}  frames rejected by FIFO")
    frames.flag_edges(made)
    return made, index, known
