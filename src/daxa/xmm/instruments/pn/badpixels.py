"""Bad pixels of a pn CCD: lists of them, joined without repetition, and their maps.

Source: manual of badpix.

Parameters
----------
pixels
    Bad pixels: stretches of a column with kind and origin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.badpixels import DEAD, FLICKERING, HOT, ONBOARD

#: Shape of maps of the pixels of a CCD.
MAP_SHAPE = PN_SHAPE[::-1]


class BadPixel(NamedTuple):
    """A stretch of bad pixels along one column.

    ``kind`` is TYPE (1 hot, 2 flickering, 3 dead), ``badflag`` the origin (1 on board, 2 CCF, 3 found in
    this exposure).
    """

    rawx: int
    rawy: int
    kind: int
    yextent: int
    badflag: int


def join_rows(pixels: Iterable[BadPixel]) -> list[BadPixel]:
    """Join stretches of one kind and origin that follow each other in a column."""
    joined: list[BadPixel] = []
    for pixel in sorted(pixels, key=lambda p: (p.rawx, p.kind, p.badflag, p.rawy)):
        last = joined[-1] if joined else None
        if (
            last
            and (last.rawx, last.kind, last.badflag) == (pixel.rawx, pixel.kind, pixel.badflag)
            and last.rawy + last.yextent >= pixel.rawy
        ):
            end = max(last.rawy + last.yextent, pixel.rawy + pixel.yextent)
            joined[-1] = last._replace(yextent=end - last.rawy)
        else:
            joined.append(pixel)
    return sorted(joined)


def merge_bad_pixels(*sets: Iterable[BadPixel]) -> list[BadPixel]:
    """One list in which no pixel occurs twice.

    An entry of an earlier origin (on board, CCF, found) wins; among those of one origin hot wins over
    dead, dead over flickering. Stretches are split where another entry takes precedence.

    Parameters
    ----------
    *sets
        Bad pixels; the origins are told by each of them.
    """
    rank = {HOT: 0, DEAD: 1, FLICKERING: 2}
    taken = np.zeros(MAP_SHAPE, bool)
    merged = []
    for pixel in sorted((p for s in sets for p in s), key=lambda p: (p.badflag, rank[p.kind], p)):
        if not 1 <= pixel.rawx <= PN_SHAPE[0]:
            continue
        rows = np.arange(max(pixel.rawy, 1), min(pixel.rawy + pixel.yextent, PN_SHAPE[1] + 1))
        free = rows[~taken[rows - 1, pixel.rawx - 1]]
        taken[free - 1, pixel.rawx - 1] = True
        for run in np.split(free, np.flatnonzero(np.diff(free) > 1) + 1):
            if len(run):
                merged.append(pixel._replace(rawy=int(run[0]), yextent=len(run)))
    return join_rows(merged)


@dataclass(frozen=True)
class BadPixelMap:
    """Maps of one CCD, shape (200, 64), indices RAWY - 1 and RAWX - 1.

    Attributes
    ----------
    bad
        Bad pixels.
    near_on_board, near_bright, near_dead
        Neighbours (sharing a side) of pixels removed on board, of bright and of dead ones.
    """

    bad: npt.NDArray[np.bool_]
    near_on_board: npt.NDArray[np.bool_]
    near_bright: npt.NDArray[np.bool_]
    near_dead: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, pixels: Iterable[BadPixel]) -> BadPixelMap:
        """The maps of a list of bad pixels."""
        kinds = {name: np.zeros(MAP_SHAPE, bool) for name in ("on_board", "bright", "dead")}
        for pixel in pixels:
            name = "on_board" if pixel.badflag == ONBOARD else "dead" if pixel.kind == DEAD else "bright"
            kinds[name][pixel.rawy - 1 : pixel.rawy - 1 + pixel.yextent, pixel.rawx - 1] = True
        bad = kinds["on_board"] | kinds["bright"] | kinds["dead"]
        return cls(bad, *(_beside(kinds[name]) for name in ("on_board", "bright", "dead")))


def _beside(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    near = np.zeros_like(mask)
    near[1:] |= mask[:-1]
    near[:-1] |= mask[1:]
    near[:, 1:] |= mask[:, :-1]
    near[:, :-1] |= mask[:, 1:]
    return near


def badpix_columns(pixels: Iterable[BadPixel]) -> dict[str, list[int]]:
    """Columns of the BADPIX extension."""
    rows = list(pixels)
    return {
        "RAWX": [p.rawx for p in rows],
        "RAWY": [p.rawy for p in rows],
        "TYPE": [p.kind for p in rows],
        "YEXTENT": [p.yextent for p in rows],
        "BADFLAG": [p.badflag for p in rows],
    }


def joined_bad_pixels(
    known: Iterable[BadPixel], found: Iterable[BadPixel], n_lines: int | None
) -> list[BadPixel]:
    """Known and found bad pixels without repetition; in fast modes whole columns.

    Parameters
    ----------
    known
        Those of the calibration.
    found
        Those found in the data.
    n_lines
        Lines of a frame in fast modes, else None.
    """
    pixels = merge_bad_pixels(known, found)
    return pixels if n_lines is None else bad_columns(pixels, PN_SHAPE[1], n_lines)


def bad_columns(pixels: Iterable[BadPixel], n_rows: int, n_lines: int) -> list[BadPixel]:
    """Columns of which more than half is bad, in lines of the frame; no pixel may occur twice.

    Where on its column a pixel lies cannot be seen in fast modes: single bad pixels cannot be cut out.

    Parameters
    ----------
    n_rows
        Rows of the CCD.
    n_lines
        Lines of a frame.
    """
    whole: dict[int, list[BadPixel]] = {}
    for pixel in pixels:
        whole.setdefault(pixel.rawx, []).append(pixel)
    found = []
    for rawx, parts in sorted(whole.items()):
        if sum(p.yextent for p in parts) > n_rows / 2:
            largest = max(parts, key=lambda p: p.yextent)
            found.append(BadPixel(rawx, 1, largest.kind, n_lines, largest.badflag))
    return found
