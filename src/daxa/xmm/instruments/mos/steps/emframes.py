"""The step emframes: frames, good times and sound events of one MOS CCD."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError, named
from daxa.xmm.formats.odf import MOS_IMAGING, MOS_REDUCED_IMAGING
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos import frames
from daxa.xmm.instruments.mos.calibration import (
    FrameTiming,
    cosmic_tracks,
    energy_limits,
    event_threshold,
    frame_timing,
    gain,
    known_bad_pixels,
    layout_of,
    on_board_offsets,
)
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Camera, Ccd
from daxa.xmm.instruments.mos.raw import (
    FrameRows,
    Layout,
    RawHeader,
    RawTimes,
    check_mode,
    check_same_exposure,
    raw_events,
    report_announced,
    sound_rows,
    without_repetition,
)
from daxa.xmm.odf.file import OdfFile
from daxa.xmm.odf.mos_clock import header_frame_time, unwrap_stamps
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.odf.times import TimeCorrelation, check_frames


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
    header = RawHeader.of(table)
    table = without_repetition(camera, table)
    layout = layout_of(camera, header, number, node)
    made, index, known = frame_table(camera, table, auxiliary, file)
    raw, pixels = raw_events(camera, table, known, index, layout, number)
    gatti_on = finish_frames(
        camera,
        made,
        index[known & sound_rows(table, layout)],
        pixels,
        window_pixels=layout.image_pixels,
        open_fraction=layout.open_fraction,
    )
    ccd = make_ccd(camera, header, file.name.file_type, (number, node), layout, raw, made, gatti_on)
    ccd.rows = table.columns
    ccd.row_frame = np.where(known, made.number[0] + index, -1)
    say.info("emframes", f" Area of window within field of view is {ccd.arcmin2:12.6f} arcmin2")
    say.info("emframes", f" Fraction of window within field of view is {layout.seen_fraction:.9f}")
    live = float(made.fraction[made.received].mean())
    say.info("emframes", f" Fraction of good time : {live:.9f}")
    return ccd


def make_ccd(
    camera: Camera,
    header: RawHeader,
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
        number, node, file_type, header, layout.shape, layout.limits, raw, made, layout.arcmin2,
        on_board_offsets(camera, name, layout), gatti_on, gain(camera, number, node),
        event_threshold(camera, header, number), energy_limits(camera, header),
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
            tracks=cosmic_tracks(camera),
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
    say, number = camera.messages, file.name.ccd
    check_same_exposure(table, auxiliary)
    rows = FrameRows.of(auxiliary, number, file.name.node)
    imaging = file.name.file_type in ("IME", "RIE")
    timing = frame_timing(camera, number, imaging=imaging)
    times = RawTimes.of(table)
    made, shift = make_frames(
        rows, times, timing, camera.correlation, camera.clock_reset_s,
        # In fast modes nothing waits for the next read-out.
        joined=frames.JOINED_FRAMES if imaging else 0,
        warn=lambda code, text: say.warn("emframes", code, f"CCD {number}: {text}"),
    )  # fmt: skip
    received = int(made.received.sum())
    say.info("emframes", f" Create frame table with {received:12d}  rows")
    say.info("emframes", f" {len(made) - received:12d}  frames are missing between them")
    say.info("emframes", f" Observing mode was {camera.submode}")
    say.info("emframes", f" Approximate start time = {made.time_s[0]:20.8f}")
    say.info("emframes", f" Approximate   end time = {made.time_s[-1]:20.8f}")
    index, known = frames.frame_of_events(table["FRAME"], rows.number, shift, int(made.number[0]))
    report_announced(camera, made, index[known], number)
    _flag_incomplete(camera, made, index[known])
    return made, index, known


def make_frames(
    rows: FrameRows,
    times: RawTimes,
    timing: FrameTiming,
    correlation: TimeCorrelation,
    reset_s: float,
    *,
    joined: int = frames.JOINED_FRAMES,
    warn: Callable[[str, str], None] = lambda code, text: None,
) -> tuple[frames.Frames, npt.NDArray[np.int64]]:
    """Frame table of a CCD from its stamps.

    Parameters
    ----------
    rows, times, timing
        Rows of the auxiliary file; what the event table says of times; what the calibration does.
    correlation, reset_s
        Relation of the clocks; on-board time of the reset that the stamps count from.
    joined
        See :class:`~daxa.xmm.instruments.mos.frames.Frames`.
    warn
        Receives code and text.

    Returns
    -------
    frames, shift
        See :func:`~daxa.xmm.instruments.mos.frames.build_frames`.

    Raises
    ------
    TaskError
        The frames do not make a table.
    """
    obt = unwrap_stamps(rows.coarse, rows.fine, reset_s, correlation.tt_to_obt(times.start_tt_s))
    header_s = header_frame_time(times.frame_time, rows.number, obt, times.where) or timing.nominal_s or 0.0
    with named(rows.where):
        made, shift = frames.build_frames(
            rows.number, correlation.obt_to_tt(obt), rows.counters, header_frame_s=header_s,
            transfer_s=timing.transfer_s, joined=joined, delay_s=timing.delay_s, clock_s=obt - reset_s,
            warn=warn,
        )  # fmt: skip
    if times.end_tt_s is not None:
        check_frames(made.time_s, (times.start_tt_s, times.end_tt_s), rows.where, correlation.source)
    return made, shift


def _flag_incomplete(camera: Camera, made: frames.Frames, event_frame: npt.NDArray[np.int64]) -> None:
    """Flag frames of which events are missing, and those at the ends."""
    opts, say = camera.options.emframes, camera.messages
    invalid = frames.flag_invalid(made, event_frame) if opts.checknvalid else 0
    say.info("emframes", f" {invalid:12d}  frames rejected by VALID")
    overflow = frames.flag_overflow(made) if opts.flagfifooverflow else 0
    say.info("emframes", f" {overflow:12d}  frames rejected by FIFO")
    frames.flag_edges(made)
