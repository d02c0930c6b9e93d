"""Lines of a MOS CCD whose offset on board is wrong, found from the events (detectbadoffsets of emevents).

A flipped bit makes the offset of a row or column too large: all its pixels are read too low, and so are
the surroundings (E3, E4) of events on and beside it. Source: J. Ballet, "Bit flips in the MOS offset tables"
(EPIC calibration meeting, March 2004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.patterns import PatternLibrary

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
#: Smallest flip that can be told (bit 6); a line with so large an offset sees nothing.
SMALLEST_FLIP_ADU = 64
#: A line needs as many events for its median to count.
_LEAST_EVENTS = 5
#: Pixels of the 3x3 box (without its middle) and of the ring around it, by distance of their line.
_BOX_PIXELS = {0: 2, 1: 3}
_RING_PIXELS = {0: 2, 1: 2, 2: 5}


@dataclass(frozen=True)
class OnBoard:
    """Offsets used on board [adu]: of columns and rows (index RAWX - 1, RAWY - 1), of columns beside them."""

    column: npt.NDArray[Any] | None = None
    row: npt.NDArray[Any] | None = None
    beside: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of_read_out(
        cls,
        lines: Sequence[npt.NDArray[Any]],
        shape: tuple[int, int],
        under: tuple[int, int],
        *,
        mirrored: bool,
    ) -> OnBoard:
        """From those of all columns and rows that are read.

        Parameters
        ----------
        lines
            Per axis; index ``under`` is RAWX 1 or RAWY 1.
        shape
            Columns and rows of the CCD.
        under
            Pixels that are read before the first column and row.
        mirrored
            Whether RAWX counts from the other side.
        """
        values = []
        for line, number, first in zip(lines, shape, under, strict=True):
            part = np.asarray(line, float)[first : first + number]
            values.append(np.pad(part, (0, number - len(part))))
        column = np.asarray(lines[0], float)
        x = np.arange(len(column)) - under[0] + 1
        beside = {int(i): float(v) for i, v in zip(x, column, strict=True) if not 1 <= i <= shape[0]}
        if mirrored:
            values[0] = values[0][::-1]
            beside = {shape[0] + 1 - i: v for i, v in beside.items()}
        return cls(values[0], values[1], beside)


def whole_line(values: npt.ArrayLike, start: int, length: int) -> npt.NDArray[Any]:
    """Offsets of a line of the whole read-out, from those of the part that a mode reads.

    Parameters
    ----------
    values
        The first ``length`` of them belong to the pixels from ``start`` on, counted from 0.
    start
        First pixel that is read, counted from 0.
    length
        Number of pixels that are read.

    Returns
    -------
    array
        The pixels that are not read get the offset that most of the others have.
    """
    values = np.asarray(values)
    part = values[: max(length, 0)]
    if not len(part):
        return np.zeros(len(values), values.dtype)
    level, count = np.unique(part, return_counts=True)
    line = np.full(max(len(values), start + len(part)), level[np.argmax(count)])
    line[start : start + len(part)] = part
    return line


@dataclass
class LineOffsets:
    """Offsets beyond the usual one [adu]: per column (index RAWX - 1) and per row (index RAWY - 1).

    ``beside`` has those of columns beside the CCD, which are masked on board, by RAWX.
    """

    column: IntArray
    row: IntArray
    beside: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def none(cls, shape: tuple[int, int]) -> LineOffsets:
        """No line has any.

        Parameters
        ----------
        shape
            Columns and rows of the CCD.
        """
        return cls(np.zeros(shape[0], np.int64), np.zeros(shape[1], np.int64))

    @classmethod
    def beyond_usual(
        cls,
        column: npt.ArrayLike | None,
        row: npt.ArrayLike | None,
        beside: Mapping[int, float] | None = None,
    ) -> LineOffsets:
        """What the offsets used on board exceed those of most lines by.

        Parameters
        ----------
        column, row
            Offsets per column and row [adu]; None where they are not known.
        beside
            Column -> offset [adu] of those beside the image.
        """

        def extra(values: npt.ArrayLike | None) -> tuple[IntArray, int]:
            whole = np.rint(np.asarray([] if values is None else values)).astype(np.int64)
            if not len(whole):
                return whole, 0
            level, count = np.unique(whole, return_counts=True)
            usual = int(level[np.argmax(count)])
            return np.maximum(whole - usual, 0), usual

        columns, usual = extra(column)
        masked = {x: round(value) - usual for x, value in (beside or {}).items() if round(value) > usual}
        return cls(columns, extra(row)[0], masked)

    def __add__(self, other: LineOffsets) -> LineOffsets:
        def total(a: IntArray, b: IntArray) -> IntArray:
            return b if not len(a) else a if not len(b) else a + b

        beside = {**self.beside, **other.beside}
        return LineOffsets(total(self.column, other.column), total(self.row, other.row), beside)

    @property
    def blind(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Columns and rows that such an offset makes blind."""
        return self.column >= SMALLEST_FLIP_ADU, self.row >= SMALLEST_FLIP_ADU

    def table(self, ccdnr: int) -> dict[str, npt.NDArray[np.int64]]:
        """Rows of an OFFSETS extension: RAWX is the column where OFFSETX > 0, the row where OFFSETY > 0.

        Parameters
        ----------
        ccdnr
            Number of the CCD.
        """
        on_ccd = np.flatnonzero(self.column)
        on_chip = zip((on_ccd + 1).tolist(), self.column[on_ccd].tolist(), strict=True)
        columns = {**self.beside, **dict(on_chip)}
        x, y = np.array(sorted(columns), np.int64), np.flatnonzero(self.row) + 1
        zero_x, zero_y = np.zeros(len(x), np.int64), np.zeros(len(y), np.int64)
        return {
            "RAWX": np.concatenate([x, y]),
            "OFFSETX": np.concatenate([np.array([columns[i] for i in x.tolist()], np.int64), zero_y]),
            "OFFSETY": np.concatenate([zero_x, self.row[y - 1]]),
            "CCDNR": np.full(len(x) + len(y), ccdnr),
        }


def wrong_offsets(position: npt.ArrayLike, e3: npt.ArrayLike, n_lines: int) -> IntArray:
    """Additional offsets of lines [adu], from the medians of E3 along them.

    On line ``i`` E3 is low by ``3 d[i-1] + 2 d[i] + 3 d[i+1]``, where ``d`` is the additional offset.
    Where the medians are unusually low these equations, weighted with the number of events, are solved.

    Parameters
    ----------
    position
        Line of each event, from 1.
    e3
        E3 of single events that are well above threshold [adu].
    n_lines
        Number of columns or rows.

    Returns
    -------
    array
        Whole numbers, 0 where nothing is wrong.
    """
    position, e3 = np.asarray(position, np.int64) - 1, np.asarray(e3, float)
    inside = (position >= 0) & (position < n_lines)
    position, e3 = position[inside], e3[inside]
    result = np.zeros(n_lines, np.int64)
    if not len(position):
        return result
    order = np.lexsort((e3, position))
    line, values = position[order], e3[order]
    first = np.searchsorted(line, np.arange(n_lines))
    number = np.searchsorted(line, np.arange(n_lines), side="right") - first
    median = np.zeros(n_lines)
    some = number > 0
    median[some] = 0.5 * (
        values[first[some] + (number[some] - 1) // 2] + values[first[some] + number[some] // 2]
    )
    sure = number >= _LEAST_EVENTS
    if not sure.any():
        return result
    median -= np.median(median[sure])
    upper = np.zeros(n_lines)
    upper[some] = values[first[some] + 3 * number[some] // 4]
    upper -= np.median(upper[sure])
    # On its own line the smallest flip lowers E3 by twice its value, and that of all events: electronic
    # rebounds lower that of some.
    low = sure & (median < -SMALLEST_FLIP_ADU) & (upper < -SMALLEST_FLIP_ADU)
    if not low.any():
        return result
    beside = low.copy()
    beside[1:] |= low[:-1]
    beside[:-1] |= low[1:]
    # The line itself may have lost its events.
    unknown = np.flatnonzero(low | (beside & ~sure))
    for group in np.split(unknown, np.flatnonzero(np.diff(unknown) > 2) + 1):
        lines = np.arange(max(group[0] - 1, 0), min(group[-1] + 2, n_lines))
        distance = np.abs(lines[:, None] - group[None, :])
        matrix = np.select([distance == 0, distance == 1], [2.0, 3.0], 0.0)
        weight = np.sqrt(np.where(sure[lines], number[lines], 0.0))
        solution = np.linalg.lstsq(weight[:, None] * matrix, -weight * median[lines], rcond=None)[0]
        found = solution > 0.75 * SMALLEST_FLIP_ADU
        result[group[found]] = np.rint(solution[found])
    return result


def corrected(events: Events, library: PatternLibrary, wrong: LineOffsets) -> tuple[IntArray, IntArray]:
    """E3 and E4 with the wrong offsets of lines that their pixels lie on put back [adu].

    Parameters
    ----------
    events
        Events of one CCD.
    library
        The patterns of the camera.
    wrong
        The offsets.
    """
    e3, e4 = events.e3.copy(), events.e4.copy()
    inner = library.roles == 1
    for axis, values, position in ((2, wrong.column, events.rawx), (1, wrong.row, events.rawy)):
        if not values.any():
            continue
        # Pixels above threshold per line of the box, the main one apart: they are not in E3.
        above = inner.sum(axis=3 - axis)
        above[:, 2] -= 1
        padded = np.concatenate([np.zeros(3, np.int64), values, np.zeros(3, np.int64)])
        at = np.clip(position + 2, 2, len(padded) - 3)
        for step in range(-2, 3):
            amount = padded[at + step]
            if abs(step) < 2:
                pixels = np.maximum(_BOX_PIXELS[abs(step)] - above[events.pattern, 2 + step], 0)
                e3 = e3 + pixels * amount
            e4 = e4 + _RING_PIXELS[abs(step)] * amount
    return e3, e4
