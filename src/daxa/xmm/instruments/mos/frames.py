"""Frames of a MOS exposure (the algorithms of the task emframes).

Source: manual of emframes (subroutines FRAMES, FLAG_HK, FIFO, VALID, CR_DEAD, GATTI).

Parameters
----------
frames
    The frame table; what flags frames does so in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.instruments.mos.frame_numbers import (
    FrameTime,
    Places,
    frame_time,
    place_counting,
    place_sending,
)
from daxa.xmm.instruments.mos.options import Emframes
from daxa.xmm.odf.times import TimeCorrelation

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
#: Frames of a cycle of the sliding scale, as real exposures flag it.
GATTI_PERIOD = 510
#: Of this many lost frames in a row the charge is in the next one (real lists have one lost frame, or four
#: and more; that two and three count as the latter is assumed).
JOINED_FRAMES = 1
#: So many aberrant times are named in a warning.
_NAMED = 5
#: Frames per row, and frames of a file of few rows, beyond which a table is refused.
_SPARSEST, _FEW_ROWS = 50, 100_000


class FrameFlag(IntFlag):
    """Why a frame is not used; the first and the last one (EDGE) never are in real lists."""

    MISSING = 1
    ABERRANT_TIME = 2
    HOUSEKEEPING = 4
    FIFO_OVERFLOW = 8
    INVALID_COUNT = 16
    EDGE = 32


@dataclass
class Frames:
    """Continuous table of the frames of one CCD and node; arrays of one length.

    A frame is an integration, at the end of which it is stamped, after the transfer of the one before. One
    that was lost was not read out: the next one that comes has gathered charge for both.

    Attributes
    ----------
    number
        Frame numbers, consecutive.
    time_s, integration_s
        Centres of the integrations, mission time, and their lengths.
    length_s, transfer_s
        Frame time, and the part of it that is not integrated.
    flag
        :class:`FrameFlag` bits; 0 for good frames.
    counters
        NPIXEL, NVALID, NBELOW, NABOVE, GATTIFLG, FIFOOVF of the auxiliary file; 0 in missing frames.
    dead_fraction
        CRRATIO: fraction of the area lost to cosmic rays.
    gatti
        Frames since the start of the sliding-scale cycle.
    steady
        Whether the frame time could be measured.
    joined
        Largest number of lost frames whose charge the next one holds.
    counting
        Whether the CCD counts: most frames are read out and not sent, so that missing ones spoil nothing.
    """

    number: IntArray
    time_s: FloatArray
    length_s: float
    flag: IntArray
    counters: dict[str, IntArray]
    dead_fraction: FloatArray = field(default_factory=lambda: np.zeros(0))
    gatti: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    steady: bool = True
    integration_s: FloatArray = field(default_factory=lambda: np.zeros(0))
    transfer_s: float = 0.0
    joined: int = JOINED_FRAMES
    counting: bool = False

    def __len__(self) -> int:
        return len(self.number)

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Frames without a flag."""
        return self.flag == 0

    @property
    def fraction(self) -> FloatArray:
        """Effective fraction of each frame's time (FRACEXP): 0 for flagged frames."""
        return np.where(self.good, 1.0 - self.dead_fraction, 0.0)

    @property
    def received(self) -> npt.NDArray[np.bool_]:
        """Frames that were sent."""
        return self.flag & FrameFlag.MISSING == 0

    @property
    def spoiled(self) -> npt.NDArray[np.bool_]:
        """Received frames behind lost ones."""
        missing = ~self.received
        if self.counting:
            return np.zeros(len(self), bool)
        return ~missing & np.concatenate([[False], missing[:-1]])

    @property
    def start_s(self) -> FloatArray:
        """Starts of the integrations, mission time."""
        return self.time_s - 0.5 * self.integration_s

    @property
    def end_s(self) -> FloatArray:
        """Ends of the integrations, mission time."""
        return self.time_s + 0.5 * self.integration_s

    def gti(self) -> GTI:
        """Runs of good frames, from the start of the first to the end of the transfer of the last.

        Frames lost one at a time do not interrupt a run, as the next one holds their charge.
        """
        received = np.flatnonzero(self.received)
        good = self.good[received]
        follows = np.diff(received) <= self.joined + 1
        goes_on = good[:-1] & good[1:] & follows
        first = received[good & ~np.concatenate([[False], goes_on])]
        last = received[good & ~np.concatenate([goes_on, [False]])]
        return GTI(self.start_s[first], self.end_s[last] + self.transfer_s)


def integration_times(end_s: FloatArray, place: IntArray, frames: Frames) -> FloatArray:
    """Integration of every frame [s]: the time since the read-out before, less the transfer.

    That of missing frames, the first one and those behind more lost ones than ``frames.joined`` is nominal.

    Parameters
    ----------
    end_s
        Ends of the frames that were received.
    place
        Their indices in the table.
    """
    result = np.full(len(frames), frames.length_s - frames.transfer_s)
    follows = np.diff(place) <= frames.joined + 1
    result[place[1:][follows]] = np.diff(end_s)[follows] - frames.transfer_s
    return result


def _warn_aberrant(
    number: IntArray,
    clock_s: FloatArray,
    aberrant: npt.NDArray[np.bool_],
    warn: Callable[[str, str], None],
) -> None:
    """Name the first frames whose times do not fit."""
    rows = np.flatnonzero(aberrant)
    if not len(rows):
        return
    shown = ", ".join(f"frame {number[i]} at {clock_s[i]:.2f} s" for i in rows[:_NAMED])
    warn(
        "frames13",
        f"{len(rows)} aberrant time(s) in the auxiliary file ({shown}"
        f"{', ...' if len(rows) > _NAMED else ''}): frames flagged",
    )


def _spread(values: npt.ArrayLike, at: IntArray, span: int, fill: int = 0) -> IntArray:
    """Values of rows at their places in a table of that many frames."""
    table = np.full(span, fill, np.int64)
    table[at] = np.asarray(values)
    return table


def build_frames(
    number: npt.ArrayLike,
    stamp_s: npt.ArrayLike,
    counters: Mapping[str, npt.ArrayLike],
    *,
    header_frame_s: float,
    transfer_s: float = 0.0,
    joined: int = JOINED_FRAMES,
    delay_s: float = 0.0,
    clock_s: npt.ArrayLike | None = None,
    warn: Callable[[str, str], None] = lambda code, message: None,
) -> tuple[Frames, IntArray]:
    """Make the continuous frame table (subroutine FRAMES).

    Parameters
    ----------
    number
        Frame numbers of the auxiliary file's rows, rising.
    stamp_s
        Times of the end of each integration, mission time [s].
    counters
        Other columns of the auxiliary file.
    header_frame_s
        Frame time of the header, used where it cannot be measured.
    transfer_s, joined
        See :class:`Frames`.
    delay_s
        What has to be added to the stamps to get the end of the integration.
    clock_s
        The same times by the camera's clock, for messages.
    warn
        Receives SAS's warning codes and a text.

    Returns
    -------
    frames
        The table; missing frames are inserted and flagged, aberrant times corrected and flagged.
    shift
        Per input row, what was added to its frame number because the times show that numbers were lost.

    Raises
    ------
    TaskError
        ``frames02``: no row; ``frames05``: the numbers span more than the file can hold.
    """
    numbers, stamp = np.asarray(number, np.int64), np.asarray(stamp_s, float)
    clock = _measured_time(numbers, stamp, header_frame_s, warn)
    places = (place_counting if clock.counting else place_sending)(numbers, stamp, clock.length_s)
    _warn_aberrant(numbers, stamp if clock_s is None else np.asarray(clock_s, float), places.aberrant, warn)
    row = _indices(places, numbers, clock, warn)
    span = int(row[-1]) + 1
    end = np.interp(np.arange(span), row, places.end_s)
    frames = Frames(
        number=np.arange(places.number[0], places.number[0] + span),
        time_s=end + delay_s,
        length_s=clock.length_s,
        flag=_spread(np.where(places.aberrant, FrameFlag.ABERRANT_TIME, 0), row, span, FrameFlag.MISSING),
        counters={name: _spread(values, row, span) for name, values in counters.items()},
        dead_fraction=np.zeros(span),
        gatti=np.zeros(span, np.int64),
        steady=clock.measured,
        transfer_s=transfer_s,
        # Frames that a CCD counted were read out, though not sent.
        joined=0 if clock.counting else joined,
        counting=clock.counting,
    )
    frames.integration_s = integration_times(end[row], row, frames)
    frames.time_s -= 0.5 * frames.integration_s
    return frames, places.number - numbers


def _measured_time(
    number: IntArray, stamp_s: FloatArray, header_s: float, warn: Callable[[str, str], None]
) -> FrameTime:
    """Frame time of the rows of an auxiliary file; what cannot be measured is warned of."""
    if not len(number):
        raise TaskError("frames02", "the auxiliary file has no frame of this CCD")
    clock = frame_time(number, stamp_s, header_s)
    if not clock.measured:
        warn(
            "frames10", "time interval between frames not constant or fewer than 4 frames: FRMTIME unchecked"
        )
    if not clock.length_s > 0:
        raise TaskError("frames02", f"frame time of {clock.length_s} s")
    return clock


def _indices(
    places: Places, number: IntArray, clock: FrameTime, warn: Callable[[str, str], None]
) -> IntArray:
    """Where the rows of an auxiliary file go in the table; numbers that were lost are warned of."""
    row = places.number - places.number[0]
    span, lost = int(row[-1]) + 1, int(places.number[-1] - number[-1])
    if span > _SPARSEST * len(number) + _FEW_ROWS:
        raise TaskError(
            "frames05", f"{len(number)} frames with numbers from {places.number[0]} to {places.number[-1]}"
        )
    if clock.counting:
        warn(
            "framesRenumbered",
            f"frames follow each other by multiples of {clock.length_s:.5f} s: {span - len(number)} lost",
        )
    elif lost:
        warn("framesRenumbered", f"times show that frame numbers jump wrongly: {lost} lost")
    return row


def frame_of_events(
    event_frame: npt.ArrayLike, listed: npt.ArrayLike, shift: npt.ArrayLike, first: int
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Index into the frame table of each event, and whether there is such a frame (else the index is 0).

    Events of a frame whose row is missing belong to the frame that was inserted for it.

    Parameters
    ----------
    event_frame
        Frame number of each event, as sent.
    listed, shift
        Numbers of the auxiliary file's rows, rising, and what was added to each.
    first
        Number of the table's first frame.
    """
    event, numbers = np.asarray(event_frame, np.int64), np.asarray(listed, np.int64)
    before = np.maximum(np.searchsorted(numbers, event, side="right") - 1, 0)
    known = (event >= numbers[0]) & (event <= numbers[-1])
    return np.where(known, event + np.asarray(shift)[before] - first, 0), known


def flag_outside(frames: Frames, gti: GTI) -> int:
    """Flag frames that are not wholly inside the good times (FLAG_HK); returns how many are.

    Parameters
    ----------
    gti
        The good times.
    """
    inside = gti.covers(frames.start_s, frames.end_s)
    frames.flag[~inside] |= FrameFlag.HOUSEKEEPING
    return int((~inside).sum())


def flag_edges(frames: Frames) -> None:
    """Flag the first and the last frame that was received."""
    frames.flag[np.flatnonzero(frames.received)[[0, -1]]] |= FrameFlag.EDGE


def flag_overflow(frames: Frames) -> int:
    """Flag frames with an overflow of the first-in-first-out buffer; returns how many."""
    bad = frames.counters["FIFOOVF"] != 0
    frames.flag[bad] |= FrameFlag.FIFO_OVERFLOW
    return int(bad.sum())


def flag_invalid(frames: Frames, event_frame: npt.ArrayLike) -> int:
    """Flag frames whose number of events is not NVALID; returns how many.

    Parameters
    ----------
    event_frame
        Index into the table of every event received.
    """
    count = np.bincount(np.asarray(event_frame, np.int64), minlength=len(frames))
    bad = frames.received & (count != frames.counters["NVALID"])
    frames.flag[bad] |= FrameFlag.INVALID_COUNT
    return int(bad.sum())


@dataclass(frozen=True)
class FrameTiming:
    """Times of the frames of a CCD in the exposure's mode [s].

    Attributes
    ----------
    nominal_s
        Frame time; None if nothing is known of the mode.
    delay_s
        What has to be added to the stamps to get the ends of the integrations.
    transfer_s
        Part of a frame that is not integrated.
    mode
        Name of the mode.
    """

    nominal_s: float | None
    delay_s: float
    transfer_s: float
    mode: str = ""


@dataclass(frozen=True)
class CosmicTracks:
    """Size of a track of a cosmic ray over its telemetered part (COSMICSI), and of those outside the field of
    view over those inside (COSMICOU)."""

    size: float
    out_over_in: float


@dataclass(frozen=True)
class FrameClock:
    """What turns the stamps of a CCD into mission time.

    Attributes
    ----------
    timing
        Times of the frames by the calibration.
    correlation, reset_s
        Relation of the clocks; on-board time of the reset that the stamps count from.
    """

    timing: FrameTiming
    correlation: TimeCorrelation
    reset_s: float


@dataclass(frozen=True)
class FrameQuality:
    """What is not part of the raw files and decides how much of a frame counts.

    Attributes
    ----------
    params
        Which tests are made.
    tracks
        Sizes of the tracks of cosmic rays.
    gti
        Good times besides those of the frames; None: all.
    """

    params: Emframes
    tracks: CosmicTracks
    gti: GTI | None = None


def set_dead_time(
    frames: Frames,
    event_frame: npt.ArrayLike,
    event_pixels: npt.ArrayLike,
    *,
    window_pixels: int,
    open_fraction: float,
    tracks: CosmicTracks,
) -> None:
    """Fraction of the area that cosmic rays make useless in each frame (CR_DEAD).

    ``(NPIXEL - pixels of events - NBELOW) / window``, at least ``NABOVE / window``, enlarged to the whole
    track: times ``size / (open + (1 - open) out_over_in)``.

    Parameters
    ----------
    event_frame, event_pixels
        Frame index of each event, and number of its pixels (0 for patterns of cosmic rays).
    window_pixels
        Area of the read-out window.
    open_fraction
        Part of the window in the field of view.
    tracks
        Sizes of tracks.
    """
    pixels = np.bincount(
        np.asarray(event_frame, np.int64), weights=np.asarray(event_pixels, float), minlength=len(frames)
    )
    c = frames.counters
    ratio = np.maximum(c["NPIXEL"] - pixels - c["NBELOW"], c["NABOVE"]) / window_pixels
    ratio *= tracks.size / (open_fraction + (1 - open_fraction) * tracks.out_over_in)
    frames.dead_fraction = np.clip(ratio, 0.0, 1.0)


def set_gatti(frames: Frames) -> bool:
    """Count frames since the last end of a sliding-scale cycle; returns whether the scale moves.

    Real exposures set the flag in their first frame and after every 510th; the cycle of an exposure with one
    flag only is taken as that (in test modes of CCD 1 every frame is flagged).
    """
    end = frames.counters["GATTIFLG"] != 0
    if not end.any():
        frames.gatti = np.zeros(len(frames), np.int64)
        return False
    index = np.arange(len(frames))
    last = np.maximum.accumulate(np.where(end, index, -1))
    before = np.concatenate([[-1], last[:-1]])
    first = int(np.argmax(end))
    period = int(np.median(np.diff(np.flatnonzero(end)))) if end.sum() > 1 else GATTI_PERIOD
    # Modulo the cycle, as the flags of missing frames are missing, too.
    frames.gatti = np.where(before >= 0, index - before - 1, index - first - 1) % max(period, 1)
    return True
