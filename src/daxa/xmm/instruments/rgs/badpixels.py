"""The task rgsbadpix: bad pixels of one RGS CCD, known ones and those found in the data.

Source: manual of rgsbadpix. Maps cover both nodes: index CHIPY - 1, CHIPX - 1, CHIPX counted from node 0.
That the limits of noise are upper limits of the energy is inferred from their defaults: 250 eV for columns is
just below the light of the longest wavelength, so that lines of a source are not taken for hot columns; 0
means no limit.

Parameters
----------
window
    Window of the CCD.
pixels
    Telemetered items: CCDNODE, RAWX, RAWY, SHAPE, GRADE, PI, each of shape (n,).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.rgs import Arrays, IntArray
from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, FOUND, HOT, ONBOARD
from daxa.xmm.instruments.rgs import shapes
from daxa.xmm.instruments.rgs.geometry import node_shape

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Window:
    """The part of a CCD that is telemetered.

    Attributes
    ----------
    columns
        Per node, first and last RAWX.
    rows
        First and last row.
    size
        Columns and rows of a node.
    """

    columns: tuple[tuple[int, int], tuple[int, int]]
    rows: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def from_header(cls, header: Any) -> Window:
        """From the keywords of a table of pixels.

        Parameters
        ----------
        header
            The header.
        """
        first = header["WINDOWX0"], header["WINDX0_1"]
        width = header["WINDOWDX"], header["WINDDX_1"]
        spans = tuple((int(a), int(a + n - 1)) for a, n in zip(first, width, strict=True))
        rows = int(header["WINDOWY0"]), int(header["WINDOWY0"] + header["WINDOWDY"] - 1)
        return cls(spans, rows, node_shape(int(header["CCDOCB"])))  # type: ignore[arg-type]

    def chipx(self, node: npt.ArrayLike, rawx: npt.ArrayLike) -> IntArray:
        """Column of the chip.

        Parameters
        ----------
        node, rawx
            Node and column of each pixel.
        """
        x = np.asarray(rawx, np.int64)
        return np.where(np.asarray(node) == 0, x, 2 * self.size[0] + 1 - x)

    def span(self, node: int) -> tuple[int, int]:
        """First and last CHIPX of a node's window.

        Parameters
        ----------
        node
            The node.
        """
        low, high = self.columns[node]
        return (low, high) if node == 0 else (2 * self.size[0] + 1 - high, 2 * self.size[0] + 1 - low)

    @property
    def abutted(self) -> bool:
        """Whether the windows of the nodes touch."""
        return self.columns[0][1] == self.columns[1][1] == self.size[0]

    def mask(self) -> BoolArray:
        """Telemetered pixels of the chip."""
        result = np.zeros((self.size[1], 2 * self.size[0]), bool)
        for node in (0, 1):
            a, b = self.span(node)
            result[self.rows[0] - 1 : self.rows[1], a - 1 : b] = True
        return result

    def border(self) -> BoolArray:
        """Telemetered pixels at the edge of the window (the line between abutting nodes is not one)."""
        inside = np.pad(self.mask(), 1)
        around = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
        return self.mask() & ~around

    def interface(self) -> BoolArray:
        """Pixels at the line between abutting nodes."""
        result = np.zeros_like(self.mask())
        if self.abutted:
            result[:, self.size[0] - 1 : self.size[0] + 1] = True
        return result & self.mask()


class Segment(NamedTuple):
    """A stretch of bad pixels of the calibration along a column.

    Attributes
    ----------
    pixels
        Which pixels of the window it covers.
    kind
        1 hot, 3 dead.
    uplinked
        Whether it is masked on board.
    place
        CHIPX and CHIPY of its first pixel.
    """

    pixels: BoolArray
    kind: int
    uplinked: bool
    place: tuple[int, int]


def neighbours(image: npt.NDArray[Any], fill: Any) -> npt.NDArray[Any]:
    """The four neighbours of every pixel, shape (4, rows, columns); ``fill`` beyond the edges.

    Parameters
    ----------
    image
        Image or map of the chip.
    fill
        Value of what lies beyond the edges.
    """
    padded = np.pad(image, 1, constant_values=fill)
    return np.stack([padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]])


def hot_pixels(counts: FloatArray, active: BoolArray, n_frames: int, sharpness: float) -> BoolArray:
    """Pixels with many more counts than the least of their active neighbours.

    Parameters
    ----------
    counts
        Counts of every pixel.
    active
        Pixels that can have counts.
    n_frames
        Frames that the counts come from.
    sharpness
        Threshold, in standard deviations.
    """
    around = np.where(neighbours(active, False), neighbours(counts, 0.0), np.inf).min(axis=0)
    known = np.isfinite(around)
    m = np.where(known, around, 0.0)

    def variance(n: FloatArray) -> FloatArray:
        return n * np.maximum(1 - n / max(n_frames, 1), 0.0)

    limit = m + sharpness * np.sqrt(variance(counts) + variance(m))
    return active & known & (counts > limit)


def hot_columns(
    counts: FloatArray, good: BoolArray, n_frames: int, sharpness: float, groups: IntArray | None = None
) -> BoolArray:
    """Columns with a much higher mean than the lower of their neighbours; shape (columns,).

    Parameters
    ----------
    counts, good
        Counts of the pixels, and which of them count.
    n_frames, sharpness
        As for :func:`hot_pixels`.
    groups
        Columns of different groups are not neighbours.
    """
    size = good.sum(axis=0)
    mean = np.where(good, counts, 0.0).sum(axis=0) / np.maximum(size, 1)
    spread = mean / np.maximum(size, 1) * np.maximum(1 - mean / max(n_frames, 1), 0.0)
    group = np.zeros(len(size), np.int64) if groups is None else np.asarray(groups)
    best = np.full(len(size), np.inf)
    best_spread = np.zeros(len(size))
    for step in (1, -1):
        other, other_spread = np.roll(mean, step), np.roll(spread, step)
        valid = (np.roll(size, step) > 0) & (np.roll(group, step) == group)
        valid[0 if step == 1 else -1] = False
        lower = valid & (other < best)
        best = np.where(lower, other, best)
        best_spread = np.where(lower, other_spread, best_spread)
    known = np.isfinite(best) & (size > 0)
    limit = np.where(known, best, 0.0) + sharpness * np.sqrt(spread + best_spread)
    return known & (mean > limit)


def count_pixels(
    pixels: Mapping[str, npt.NDArray[Any]],
    window: Window,
    good: BoolArray,
    split: tuple[float, ...],
    limit_ev: float,
) -> FloatArray:
    """Counts of every pixel of the chip, of items that may be noise.

    Parameters
    ----------
    good
        Which items to count.
    split
        Part of the energy in the highest pixel, of items of 2, 3 and 4 pixels.
    limit_ev
        Only items whose highest pixel is below it; 0: all.
    """
    ratio = np.array([1.0, 1.0, *split])[np.clip(pixels["GRADE"].astype(np.int64), 0, 4)]
    item, dx, dy = shapes.members(pixels["SHAPE"])
    chosen = (good & (pixels["PI"] * ratio < limit_ev))[item] if limit_ev > 0 else good[item]
    item, dx, dy = item[chosen], dx[chosen], dy[chosen]
    chipx = window.chipx(pixels["CCDNODE"][item], pixels["RAWX"][item] + dx) - 1
    row = pixels["RAWY"][item] + dy - 1
    counts = np.zeros((window.size[1], 2 * window.size[0]))
    inside = (chipx >= 0) & (chipx < counts.shape[1]) & (row >= 0) & (row < counts.shape[0])
    np.add.at(counts, (row[inside], chipx[inside]), 1.0)
    return counts


@dataclass
class BadMap:
    """Bad pixels of a chip: kind (1 hot, 3 dead) and origin (1 masked on board, 2 calibration, 3 found)."""

    kind: npt.NDArray[np.int64]
    origin: npt.NDArray[np.int64]

    def add(self, where: BoolArray, kind: int, origin: int) -> None:
        """Add pixels; what is known already stays.

        Parameters
        ----------
        where
            Map of the pixels.
        kind
            ``HOT`` or ``DEAD``.
        origin
            ``ONBOARD``, ``CALIBRATION`` or ``FOUND``.
        """
        free = where & (self.origin == 0)
        self.kind[free], self.origin[free] = kind, origin

    def segments(self, first: int, last: int) -> Arrays:
        """Stretches along columns, of the columns ``first`` to ``last`` (CHIPX).

        Parameters
        ----------
        first, last
            The columns, both of them too.
        """
        part = slice(first - 1, last)
        code = (self.origin * 256 + self.kind)[:, part]
        edges = np.diff(np.pad(code, ((1, 1), (0, 0))), axis=0) != 0
        column, row = np.nonzero(edges.T)
        begin, column = row[:-1], column[:-1]
        end = row[1:]
        same = np.nonzero(edges.T)[0][1:] == column if len(row) > 1 else np.zeros(0, bool)
        begin, end, column = begin[same], end[same], column[same]
        value = code[begin, column]
        used = value > 0
        begin, end, column, value = begin[used], end[used], column[used], value[used]
        return {
            "CHIPX": column + first,
            "CHIPY": begin + 1,
            "YEXTENT": end - begin,
            "TYPE": value % 256,
            "BADFLAG": value // 256,
        }


def bad_pixels(
    pixels: Mapping[str, npt.NDArray[Any]],
    in_good_frame: BoolArray,
    n_frames: int,
    window: Window,
    known: Sequence[Segment],
    split: tuple[float, ...],
    *,
    with_advisory: bool = True,
    with_found: bool = True,
    pixel_limit_ev: float = 0.0,
    column_limit_ev: float = 250.0,
    pixel_sharpness: float = 5.0,
    column_sharpness: float = 8.0,
) -> tuple[BadMap, BoolArray]:
    """Map of the bad pixels of a CCD, and which pixels are hot in the data.

    Parameters
    ----------
    pixels
        Telemetered items: CCDNODE, RAWX, RAWY, SHAPE, GRADE, PI.
    in_good_frame, n_frames
        Which items are of sound frames, and the number of these.
    window, known
        Window of telemetry, and the bad pixels of the calibration.
    split
        As for :func:`count_pixels`.
    with_advisory
        Whether pixels that are not masked on board count; dead ones always do.
    with_found
        Whether to search the data.
    pixel_limit_ev, column_limit_ev
        Energies of items that count in the search of pixels and of columns, see :func:`count_pixels`.
    pixel_sharpness, column_sharpness
        Thresholds [standard deviations].
    """
    inside = window.mask()
    zero = np.zeros(inside.shape, np.int64)
    bad = BadMap(zero, zero.copy())
    active = inside.copy()
    for where, kind, uplinked, _ in known:
        if uplinked:
            bad.add(where, kind, ONBOARD)
            active &= ~where
    for where, kind, uplinked, _ in known:
        if not uplinked and with_advisory:
            bad.add(where, kind, CALIBRATION)
            if kind == DEAD:
                active &= ~where
        elif not uplinked and kind == DEAD:
            bad.add(where, kind, CALIBRATION)
    found = np.zeros_like(inside)
    if with_found:
        counts = count_pixels(pixels, window, in_good_frame, split, pixel_limit_ev)
        found = hot_pixels(counts, active, n_frames, pixel_sharpness)
        counts = count_pixels(pixels, window, in_good_frame, split, column_limit_ev)
        good = active & ~found
        columns = hot_columns(counts, good, n_frames, column_sharpness)
        found |= active & columns[None, :]
        bad.add(found, HOT, FOUND)
    return bad, found
