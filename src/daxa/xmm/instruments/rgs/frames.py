"""The task rgsframes: frames and pixels of one RGS CCD from its raw files.

Source: manual of rgsframes; Data Files Handbook (auxiliary file); real auxiliary files. A frame lasts from
one read-out of its CCD to the next. The first frame of a CCD has no beginning and is bad, and so is one whose
preceding record is missing (it lasts longer than half as much again as is usual for its place in the
sequence: this engine's own rule, as nothing is published) and one that was aborted: ABORTFLG is 1 then (2
otherwise), or no pixel was read (NDPP is 0).

Frames whose counter of lost events is not 0 are kept, with a warning: the manual does not call them bad, and
15 per cent of the frames of a real exposure in a bright field are like that. Assumed: a frame ends at EOS,
the end of its read-out; FT, the beginning of that, is 0.57 s earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats.rgs import IntArray, RgsFlag
from daxa.xmm.instruments.rgs import shapes

if TYPE_CHECKING:
    from collections.abc import Mapping


def unwrap_counter(frame: npt.ArrayLike, first: int | None = None) -> IntArray:
    """Frame numbers of a 16-bit counter, in the order of telemetry, as a counter that goes on.

    Parameters
    ----------
    frame
        The counter.
    first
        Number near which, or not long before which, the series starts; its own first value if None.
    """
    values = np.asarray(frame, np.int64)
    if not len(values):
        return values
    step = np.diff(values)
    turn = np.concatenate([[0], np.cumsum((step < -(2**14)).astype(np.int64) - (step > 3 * 2**14))])
    result = values + 65536 * turn
    if first is not None:
        result += 65536 * max(0, -(-(first - 2**14 - int(result[0])) // 65536))
    return result


def frame_gti(time_s: npt.ArrayLike, timedel_s: npt.ArrayLike, slack_s: float = 2e-3) -> GTI:
    """Intervals covered by frames; those that follow each other within ``slack_s`` are one interval.

    Parameters
    ----------
    time_s
        Middle of each frame [mission time], shape (n,).
    timedel_s
        Length of each [s], shape (n,).
    slack_s
        Gap that does not count [s].
    """
    time, half = np.asarray(time_s, float), np.asarray(timedel_s, float) / 2
    order = np.argsort(time, kind="stable")
    start, stop = (time - half)[order], (time + half)[order]
    near = np.abs(start[1:] - stop[:-1]) < slack_s
    stop[:-1][near] = start[1:][near]
    return GTI(start, stop)


@dataclass
class Frames:
    """Frames of one CCD.

    Attributes
    ----------
    number
        Frame numbers, growing.
    time_s, timedel_s
        Middle and length of each frame.
    flag
        :class:`RgsFlag` of each.
    n_lost, abort
        Counters of the auxiliary file.
    """

    number: IntArray
    time_s: npt.NDArray[np.float64]
    timedel_s: npt.NDArray[np.float64]
    flag: IntArray
    n_lost: IntArray
    abort: IntArray

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Whether each frame is sound."""
        return (self.flag & RgsFlag.IN_BAD_FRAME) == 0

    def gti(self) -> GTI:
        """Good times."""
        return frame_gti(self.time_s[self.good], self.timedel_s[self.good])


def repeated(rows: Mapping[str, npt.NDArray[Any]], names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Rows that repeat an earlier one in the named columns.

    Parameters
    ----------
    rows
        Column -> values, each of shape (n,).
    names
        The columns.
    """
    n = len(rows[names[0]])
    if not n:
        return np.zeros(0, bool)
    _, first = np.unique(np.stack([rows[name] for name in names]), axis=1, return_index=True)
    again = np.ones(n, bool)
    again[first] = False
    return again


def aborted(abort: npt.ArrayLike, n_read: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Frames that were aborted on board, from ABORTFLG and NDPP.

    Parameters
    ----------
    abort
        ABORTFLG of each frame, shape (n,).
    n_read
        NDPP of each, shape (n,).
    """
    return (np.asarray(abort) == layout.RGS_ABORTED) | (np.asarray(n_read) == 0)


def build_frames(
    number: IntArray,
    readout_s: npt.NDArray[np.float64],
    sequence: npt.NDArray[Any],
    n_lost: npt.NDArray[Any],
    abort: npt.NDArray[Any],
    n_read: npt.NDArray[Any],
    *,
    nominal_s: float | None = None,
    min_exposure_s: float = 0.001,
) -> Frames:
    """Frame table of one CCD.

    Parameters
    ----------
    number
        Frame numbers, growing.
    readout_s
        Time at which the read-out of each frame starts.
    sequence
        Place of each read-out in the sequence.
    n_lost, abort, n_read
        NLOSTEVT, ABORTFLG and NDPP of each frame, as telemetered.
    nominal_s
        Length of the only frame, if there is but one.
    min_exposure_s
        Shorter frames are bad.
    """
    length = np.diff(readout_s, prepend=np.nan)
    usual = np.full(len(length), nominal_s or 0.0)
    for place in np.unique(sequence):
        mine = sequence == place
        known = length[mine & np.isfinite(length)]
        if len(known):
            usual[mine] = np.median(known)
    orphan = ~np.isfinite(length) | (length > 1.5 * usual) | (length <= 0)
    timedel = np.where(orphan, usual, length)
    bad = orphan | aborted(abort, n_read) | (timedel < min_exposure_s)
    flag = np.where(bad, int(RgsFlag.IN_BAD_FRAME), 0).astype(np.int64)
    return Frames(
        number,
        readout_s - timedel / 2,
        timedel,
        flag,
        np.asarray(n_lost, np.int64),
        np.asarray(abort, np.int64),
    )


def two_nodes(
    rawx: IntArray, shape: IntArray, columns: int
) -> tuple[IntArray, IntArray, npt.NDArray[np.int64]]:
    """RAWX, SHAPE and node of data read by node 0 alone, as if each half had been read by its own node.

    Parameters
    ----------
    rawx
        Columns from 1 over the whole chip.
    shape
        SHAPE of each item.
    columns
        Columns of one node.
    """
    far = rawx > columns
    wide = np.isin(shape, shapes.WIDE)
    mirrored = 2 * columns + 1 - rawx - wide
    # A pair that lies on both halves keeps its place on node 0.
    return (
        np.where(far, mirrored, rawx),
        np.where(far, shapes.MIRRORED[shape], shape),
        far.astype(np.int64),
    )
