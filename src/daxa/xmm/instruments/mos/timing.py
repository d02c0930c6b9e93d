"""Timing mode of the central MOS CCD: lines of a frame count time, only columns are left of the image.

Sources: manuals of emframes, emevents and emenergy (timing mode), Data Files Handbook (timing event list).
The law of the times stands in :mod:`daxa.xmm.formats.ccf`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, HOT
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos.events import Events, raw_to_ccd

IntArray = npt.NDArray[np.int64]
#: Pattern of an imaging event with as many pixels, by PATTERN of timing mode: 1, 2, 3 and more columns.
SAME_SIZE = np.array([0, 1, 5, 9])


@dataclass(frozen=True)
class LineClock:
    """Seconds per line, time from the last row of the CCD to the read-out [s], lines of a frame."""

    line_s: float
    shift_s: float
    n_lines: int

    def since_start_s(self, line: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Middle of the time in which a line collects charge, from the start of the frame [s].

        Parameters
        ----------
        line
            Number of the line, counted from 0, any shape.
        """
        return (np.asarray(line, float) + 0.5) * self.line_s


def bad_columns(pixels: bp.BadPixels) -> npt.NDArray[np.int64]:
    """Kind of each column, 0 for good ones.

    A bright pixel shines into all lines; dead or masked ones only take away their share of the column.

    Parameters
    ----------
    pixels
        Bad pixels of the CCD.
    """
    bright = pixels.maps["bright"].any(axis=0)
    dark = (pixels.bad & ~pixels.maps["bright"]).mean(axis=0) > 0.5
    return np.where(bright, HOT, np.where(dark, DEAD, 0))


def bad_column_table(kind: IntArray, window: tuple[int, int], n_lines: int) -> dict[str, IntArray]:
    """Rows of a BADPIX extension: the bad columns of the window, over all lines.

    Parameters
    ----------
    kind
        Of each column of the CCD, 0 for good ones.
    window
        First and last RAWX that are read.
    n_lines
        Number of lines of a frame.
    """
    column = np.flatnonzero(kind) + 1
    column = column[(column >= window[0]) & (column <= window[1])]
    return {
        "RAWX": column,
        "RAWY": np.ones(len(column), np.int64),
        "TYPE": kind[column - 1],
        "YEXTENT": np.full(len(column), n_lines),
        "BADFLAG": np.full(len(column), CALIBRATION),
    }


def sound_rows(
    columns: Mapping[str, npt.NDArray[Any]], window_columns: int, n_lines: int
) -> npt.NDArray[np.bool_]:
    """Rows without telemetry errors: a line of the frame and, where they are sent, a column and a pattern.

    Parameters
    ----------
    columns
        The event table; compressed timing mode has neither RAWX nor PATTERN.
    window_columns
        Columns of the telemetry window.
    n_lines
        Lines of a frame by the calibration; the header's number is the window's.
    """
    sound = (columns["RAWY"] >= 0) & (columns["RAWY"] < n_lines)
    if "PATTERN" in columns:
        sound &= columns["PATTERN"] < len(SAME_SIZE)
    if "RAWX" in columns:
        sound &= (columns["RAWX"] >= 0) & (columns["RAWX"] < window_columns)
    return sound


def line_events(
    columns: Mapping[str, npt.NDArray[Any]],
    frame: IntArray,
    source: tuple[float, float],
    first_column: int,
    under: int,
) -> Events:
    """Events of sound rows; all lie in the source's row, those of compressed mode in its column too.

    Parameters
    ----------
    columns
        Sound rows of the event table.
    frame
        Index of the frame of each.
    source
        RAWX and RAWY of the source.
    first_column, under
        First column of the telemetry window; columns that are read before the first of the image.

    Returns
    -------
    Events
        ``e1`` is the whole amplitude, ``pattern`` that of timing mode.
    """
    n_events = len(frame)
    e2, e3, e4, flag = (np.zeros(n_events, np.int64) for _ in range(4))
    # Neither is sent in compressed mode: as if all were on the source.
    rawx, pattern, ring = np.full(n_events, round(source[0]), np.int64), e2.copy(), e2.copy()
    if "RAWX" in columns:
        rawx = raw_to_ccd(columns["RAWX"], first_column, under)
        pattern, ring = (columns[k].astype(np.int64) for k in ("PATTERN", "PERIPIX"))
    rawy = np.full(n_events, round(source[1]), np.int64)
    return Events(frame, rawx, rawy, columns["ENGYE1E2"].astype(np.int64), e2, e3, e4, pattern, ring, flag)


def flag_columns(events: Events, kind: IntArray, window: tuple[int, int]) -> None:
    """Flag events on and beside bad columns and at the edges of the window.

    Parameters
    ----------
    events
        Events of the CCD; flagged in place.
    kind
        Of each column of the CCD, 0 for good ones.
    window
        First and last RAWX that are read.
    """
    padded = np.concatenate([[0], kind, [0]])
    x = np.clip(events.rawx, 1, len(kind))
    for mask, bit in (
        ((events.rawx < window[0]) | (events.rawx > window[1]), MosFlag.OUT_OF_CCD_WINDOW),
        ((events.rawx == window[0]) | (events.rawx == window[1]), MosFlag.CLOSE_TO_CCD_WINDOW),
        (padded[x] > 0, MosFlag.ON_BADPIX),
        ((padded[x - 1] == HOT) | (padded[x + 1] == HOT), MosFlag.CLOSE_TO_BRIGHTPIX),
        ((padded[x - 1] == DEAD) | (padded[x + 1] == DEAD), MosFlag.CLOSE_TO_DEADPIX),
    ):
        events.flag[mask] |= bit
