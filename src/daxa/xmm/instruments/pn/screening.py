"""From the telemetry of one pn CCD to the raw events that count.

Source: manual of epframes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.pn.frames import MipRejection, out_of_order, reject_mips
from daxa.xmm.instruments.pn.options import Epframes
from daxa.xmm.instruments.pn.patterns import pixel_key

LARGEST_PHA = 4095
Warn = Callable[[str, str], None]


@dataclass(frozen=True)
class Telemetry:
    """Rows of the event file of one CCD, in its order.

    Attributes
    ----------
    number
        FRAME of each event.
    rawx, rawy
        Column and row, from 1 where they are on the CCD.
    pha
        Amplitude [adu], with the extra offset of its column.
    where
        File and extension, for messages.
    """

    number: npt.NDArray[np.int64]
    rawx: npt.NDArray[np.int32]
    rawy: npt.NDArray[np.int32]
    pha: npt.NDArray[np.int32]
    where: str

    @property
    def on_chip(self) -> npt.NDArray[np.bool_]:
        """Whether each event is on a CCD."""
        x, y = self.rawx, self.rawy
        return np.asarray((x >= 1) & (x <= PN_SHAPE[0]) & (y >= 1) & (y <= PN_SHAPE[1]))


@dataclass(frozen=True)
class Screened:
    """The events that count, in order of (frame, column, row), and what was lost.

    Attributes
    ----------
    frame, rawx, rawy, pha, flag
        Per event: row of its frame, column, row, amplitude, FLAG bits.
    good
        Per frame: whether it may be used.
    mips
        Particles and the columns that they spoil.
    amplitudes, places, backwards, disordered, bad_frames
        How many events have an impossible amplitude or place; how many frames are in wrong order of time, are
        read out in wrong order, are bad.
    """

    frame: npt.NDArray[np.int32]
    rawx: npt.NDArray[np.int32]
    rawy: npt.NDArray[np.int32]
    pha: npt.NDArray[np.int32]
    flag: npt.NDArray[np.int32]
    good: npt.NDArray[np.bool_]
    mips: MipRejection
    amplitudes: int
    places: int
    backwards: int
    disordered: int
    bad_frames: int


def frame_rows(
    number: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], int]:
    """Which listed frame each event is of.

    Parameters
    ----------
    number
        FRAME of each event.
    listed
        FRAME of the listed frames, increasing.

    Returns
    -------
    index, known, backwards
        Per event: index of its frame, and whether it is listed; how often FRAME goes back.
    """
    backwards = int(np.count_nonzero(number[1:] < number[:-1]))
    index = np.minimum(_first_at_or_after(listed, number, not backwards), len(listed) - 1)
    return index, np.asarray(listed[index] == number), backwards


def _first_at_or_after(
    listed: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64], ordered: bool
) -> npt.NDArray[np.int64]:
    """As ``searchsorted(listed, wanted)``; where both are ordered, the shorter is looked up in the longer."""
    if not ordered or len(listed) > len(wanted):
        return np.searchsorted(listed, wanted)
    begin = np.searchsorted(wanted, listed, side="right")
    return np.repeat(np.arange(len(listed) + 1), np.diff(begin, prepend=0, append=len(wanted)))


def screen(
    events: Telemetry,
    row: npt.NDArray[np.int32],
    known: npt.NDArray[np.bool_],
    backwards: int,
    good: npt.NDArray[np.bool_],
    window: tuple[int, int, int, int],
    options: Epframes,
    warn: Warn,
) -> Screened:
    """Leave out events that are impossible, lost with particles, or of bad frames; order and flag the others.

    Parameters
    ----------
    events
        The events; at least one.
    row, known
        Per event: row of its frame, and whether it has one.
    backwards
        How often frames go back, see :func:`frame_rows`.
    good
        Per frame: whether it may be used, as far as its time tells.
    window
        RAWX and RAWY of the first pixel that is read out, and size of the window.
    options
        Limits.
    warn
        Where warnings go: code and message.
    """
    rawx, rawy, pha, on_chip = events.rawx, events.rawy, events.pha, events.on_chip
    amplitudes = _tell_of_impossible(events, on_chip, backwards, options.lowerthreshold, warn)
    usable = known & on_chip & (pha >= options.lowerthreshold) & (pha >= 0) & (pha <= LARGEST_PHA)
    bad = np.bincount(row[known & ~on_chip], minlength=len(good)) > options.wrongpixlimit
    good = good & ~bad
    disordered = out_of_order(row[usable], rawy[usable])
    if len(disordered):
        warn("wrongReadoutOrder", f"{events.where}: {len(disordered)} frames in wrong read-out order")
    mips = reject_mips(
        row[usable], rawx[usable], pha[usable], len(good), options.mipthreshold, options.mipmethod
    )
    usable[usable] = ~mips.associated & good[row[usable]]
    row, rawx, rawy, pha = _in_order(row[usable], rawx[usable], rawy[usable], pha[usable], events.where, warn)
    return Screened(
        row,
        rawx,
        rawy,
        pha,
        _flags(row, rawx, rawy, window, disordered, len(good)),
        good,
        mips,
        amplitudes,
        int(np.count_nonzero(~on_chip)),
        backwards,
        len(disordered),
        int(np.count_nonzero(bad)),
    )


def _tell_of_impossible(
    events: Telemetry, on_chip: npt.NDArray[np.bool_], backwards: int, lowest: int, warn: Warn
) -> int:
    """Warn of events that cannot be; returns how many have an impossible amplitude."""
    where, pha = events.where, events.pha
    if backwards:
        warn("wrongTimeOrder", f"{where}: {backwards} frames in wrong time order")
    if not on_chip.all():
        warn("wrongCoord", f"{where}: {np.count_nonzero(~on_chip)} events outside the CCD")
    amplitudes = int(np.count_nonzero((pha <= 0) | (pha > LARGEST_PHA)))
    if amplitudes:
        warn("PHAoffset", f"{where}: {amplitudes} events with an impossible amplitude")
    low = int(np.count_nonzero((pha > 0) & (pha < lowest)))
    if low:
        warn("PHAoffset", f"{where}: {low} events below lowerthreshold={lowest}")
    return amplitudes


def _in_order(
    row: npt.NDArray[Any],
    rawx: npt.NDArray[Any],
    rawy: npt.NDArray[Any],
    pha: npt.NDArray[Any],
    where: str,
    warn: Warn,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Events in order of (frame, column, row), each pixel once."""
    key = pixel_key(row, rawx, rawy)
    if np.all(key[1:] > key[:-1]):
        return row, rawx, rawy, pha
    order = np.argsort(key, kind="stable")
    key = key[order]
    if np.any(key[1:] == key[:-1]):
        twice = np.concatenate([[False], key[1:] == key[:-1]])
        warn("wrongCoord", f"{where}: {np.count_nonzero(twice)} pixels occur twice in a frame")
        order = order[~twice]
    return row[order], rawx[order], rawy[order], pha[order]


def _flags(
    row: npt.NDArray[Any],
    rawx: npt.NDArray[Any],
    rawy: npt.NDArray[Any],
    window: tuple[int, int, int, int],
    disordered: npt.NDArray[Any],
    n_frames: int,
) -> npt.NDArray[np.int32]:
    """FLAG bits for events outside the window and in frames with a wrong order of read-out."""
    x0, y0, dx, dy = window
    inside = (rawx >= x0) & (rawx < x0 + dx) & (rawy >= y0) & (rawy < y0 + dy)
    flag = np.zeros(len(row), np.int32)
    flag[~inside] |= int(PnFlag.OUT_OF_CCD_WINDOW)
    if len(disordered):
        spoiled = np.zeros(n_frames, bool)
        spoiled[disordered] = True
        flag[spoiled[row]] |= int(PnFlag.IN_SPOILED_FRAME)
    return flag
