"""The step emframes: frames, good times and sound events of one MOS CCD.

Parameters
----------
raw
    What the raw files have on the CCD.
clock
    What turns stamps into mission time.
quality
    What decides how much of a frame counts.
messages
    Where lines and warnings go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import named
from daxa.xmm.instruments.mos import frames
from daxa.xmm.instruments.mos.context import Messages, StepContext
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.frames import FrameClock, FrameQuality
from daxa.xmm.instruments.mos.options import Emframes
from daxa.xmm.instruments.mos.raw import (
    FrameRows,
    Layout,
    RawCcd,
    RawTimes,
    raw_events,
    report_announced,
    sound_rows,
)
from daxa.xmm.odf.mos_clock import header_frame_time, unwrap_stamps
from daxa.xmm.odf.times import check_frames


@dataclass(frozen=True)
class Framed:
    """The frames of a CCD, and its sound events in the CCD's coordinates.

    Attributes
    ----------
    row_frame
        Number of the frame of each row of the event table; -1 if it is not listed.
    gatti_on
        Whether the sliding scale moves.
    """

    frames: frames.Frames
    events: Events
    row_frame: npt.NDArray[np.int64]
    gatti_on: bool


def emframes(
    raw: RawCcd, layout: Layout, clock: FrameClock, quality: FrameQuality, context: StepContext
) -> Framed:
    """Frame table of one CCD and node in an imaging mode, and the events that belong to it.

    Parameters
    ----------
    layout
        Read-out of the CCD.
    context
        What the steps of the CCD share.

    Raises
    ------
    TaskError
        The frames do not make a table.
    """
    messages = context.messages
    made, index, known = frame_table(raw, clock, quality.params, messages)
    events, pixels = raw_events(raw.table, known, index, layout, context.library, messages, raw.number)
    gatti_on = finish_frames(
        made,
        index[known & sound_rows(raw.table, layout)],
        pixels,
        quality,
        messages,
        window_pixels=layout.image_pixels,
        open_fraction=layout.open_fraction,
    )
    say = messages.lines_of("emframes")
    say(f" Area of window within field of view is {layout.arcmin2:12.6f} arcmin2")
    say(f" Fraction of window within field of view is {layout.seen_fraction:.9f}")
    say(f" Fraction of good time : {float(made.fraction[made.received].mean()):.9f}")
    return Framed(made, events, np.where(known, made.number[0] + index, -1), gatti_on)


def finish_frames(
    made: frames.Frames,
    event_frame: npt.NDArray[np.int64],
    event_pixels: npt.NDArray[np.int64],
    quality: FrameQuality,
    messages: Messages,
    *,
    window_pixels: int,
    open_fraction: float,
) -> bool:
    """Dead time, sliding scale and good times of frames (CR_DEAD, GATTI, FLAG_HK).

    Parameters
    ----------
    made
        Frames of the CCD.
    event_frame, event_pixels
        Of each sound event: index of its frame, number of its pixels.
    window_pixels, open_fraction
        See :func:`~daxa.xmm.instruments.mos.frames.set_dead_time`.

    Returns
    -------
    bool
        Whether the sliding scale moves.
    """
    params = quality.params
    if params.setdeadtime:
        frames.set_dead_time(
            made,
            event_frame,
            event_pixels,
            window_pixels=window_pixels,
            open_fraction=open_fraction,
            tracks=quality.tracks,
        )
    gatti_on = params.setgatti and frames.set_gatti(made)
    outside = 0
    if quality.gti is not None and params.flagbadtimes:
        outside = frames.flag_outside(made, quality.gti)
    messages.info("emframes", f" {outside:12d}  frames rejected by FLAG_HK")
    return gatti_on


def frame_table(
    raw: RawCcd, clock: FrameClock, params: Emframes, messages: Messages
) -> tuple[frames.Frames, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Frames of a CCD, with those flagged that are incomplete.

    Parameters
    ----------
    params
        Parameters of the step.

    Returns
    -------
    frames, index, known
        The table; per event, the index of its frame, and whether it is one of the table.
    """
    say = messages.lines_of("emframes")
    made, shift = make_frames(
        raw.rows, raw.times, clock,
        # In fast modes nothing waits for the next read-out.
        joined=frames.JOINED_FRAMES if raw.imaging else 0,
        warn=lambda code, text: messages.warn("emframes", code, f"CCD {raw.number}: {text}"),
    )  # fmt: skip
    received = int(made.received.sum())
    say(f" Create frame table with {received:12d}  rows")
    say(f" {len(made) - received:12d}  frames are missing between them")
    say(f" Observing mode was {clock.timing.mode}")
    say(f" Approximate start time = {made.time_s[0]:20.8f}")
    say(f" Approximate   end time = {made.time_s[-1]:20.8f}")
    index, known = frames.frame_of_events(raw.table["FRAME"], raw.rows.number, shift, int(made.number[0]))
    report_announced(made, index[known], raw.number, messages)
    _flag_incomplete(made, index[known], params, say)
    return made, index, known


def make_frames(
    rows: FrameRows,
    times: RawTimes,
    clock: FrameClock,
    *,
    joined: int = frames.JOINED_FRAMES,
    warn: Callable[[str, str], None] = lambda code, text: None,
) -> tuple[frames.Frames, npt.NDArray[np.int64]]:
    """Frame table of a CCD from its stamps.

    Parameters
    ----------
    rows, times
        Rows of the auxiliary file; what the event table says of times.
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
    timing, correlation = clock.timing, clock.correlation
    obt = unwrap_stamps(rows.coarse, rows.fine, clock.reset_s, correlation.tt_to_obt(times.start_tt_s))
    header_s = header_frame_time(times.frame_time, rows.number, obt, times.where) or timing.nominal_s or 0.0
    with named(rows.where):
        made, shift = frames.build_frames(
            rows.number, correlation.obt_to_tt(obt), rows.counters, header_frame_s=header_s,
            transfer_s=timing.transfer_s, joined=joined, delay_s=timing.delay_s,
            clock_s=obt - clock.reset_s, warn=warn,
        )  # fmt: skip
    if times.end_tt_s is not None:
        check_frames(made.time_s, (times.start_tt_s, times.end_tt_s), rows.where, correlation.source)
    return made, shift


def _flag_incomplete(
    made: frames.Frames,
    event_frame: npt.NDArray[np.int64],
    params: Emframes,
    say: Callable[[str], None],
) -> None:
    """Flag frames of which events are missing, and those at the ends."""
    invalid = frames.flag_invalid(made, event_frame) if params.checknvalid else 0
    say(f" {invalid:12d}  frames rejected by VALID")
    overflow = frames.flag_overflow(made) if params.flagfifooverflow else 0
    say(f" {overflow:12d}  frames rejected by FIFO")
    frames.flag_edges(made)
