"""Bad pixels of a MOS CCD: known ones and merging of lists (the algorithm of the task badpix).

A list is a set of vertical stretches; merging works on maps of the CCD, one value per pixel.
Sources: manuals of badpix and ebadpixupdate; BADPIX constituent of the calibration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, FLICKERING, FOUND, HOT, ONBOARD

#: Kinds in the order in which they win where lists overlap.
_RANK = {HOT: 0, DEAD: 1, FLICKERING: 2}


@dataclass
class BadPixels:
    """Maps of the bad pixels of a CCD, indices RAWY - 1, RAWX - 1.

    Attributes
    ----------
    kind
        0 good, 1 hot, 2 flickering, 3 dead.
    origin
        0 good, 1 masked on board, 2 calibration, 3 found in the observation.
    """

    shape: tuple[int, int]
    kind: npt.NDArray[np.uint8] = field(init=False)
    origin: npt.NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        nx, ny = self.shape
        self.kind = np.zeros((ny, nx), np.uint8)
        self.origin = np.zeros((ny, nx), np.uint8)

    def add(self, where: npt.NDArray[np.bool_], kind: int, origin: int) -> None:
        """Add pixels. What is in the list stays; within one origin hot wins over dead over flickering.

        Parameters
        ----------
        where
            Map of the pixels, indices RAWY - 1, RAWX - 1.
        kind
            ``HOT``, ``DEAD`` or ``FLICKERING``.
        origin
            ``ONBOARD``, ``CALIBRATION`` or ``FOUND``.
        """
        if not where.any():
            return
        rank = np.array([9, *(_RANK[k] for k in (HOT, FLICKERING, DEAD))])[self.kind]
        free = where & ((self.origin == 0) | ((self.origin == origin) & (_RANK[kind] < rank)))
        self.kind[free] = kind
        self.origin[free] = origin

    def add_stretches(
        self, rawx: Iterable[int], rawy: Iterable[int], length: Iterable[int], kind: int, origin: int
    ) -> None:
        """Add vertical stretches (RAWX, first RAWY, number of pixels); parts off the CCD are left out.

        Parameters
        ----------
        rawx, rawy, length
            Column, first row and number of pixels of each stretch.
        kind
            ``HOT``, ``DEAD`` or ``FLICKERING``.
        origin
            ``ONBOARD``, ``CALIBRATION`` or ``FOUND``.
        """
        nx, ny = self.shape
        where = np.zeros((ny, nx), bool)
        for x, y, n in zip(rawx, rawy, length, strict=True):
            if 1 <= x <= nx:
                where[max(int(y) - 1, 0) : max(int(y) - 1 + int(n), 0), int(x) - 1] = True
        self.add(where, kind, origin)

    def clip(self, window: tuple[int, int, int, int]) -> None:
        """Drop pixels outside the window (first, last RAWX, first, last RAWY).

        Parameters
        ----------
        window
            The window, whose edges are inside.
        """
        x0, x1, y0, y1 = window
        keep = np.zeros(self.kind.shape, bool)
        keep[max(y0 - 1, 0) : y1, max(x0 - 1, 0) : x1] = True
        self.kind[~keep] = 0
        self.origin[~keep] = 0

    def chosen(self, *origins: int) -> BadPixels:
        """Only the pixels of some origins.

        Parameters
        ----------
        *origins
            ``ONBOARD``, ``CALIBRATION`` or ``FOUND``.
        """
        result = BadPixels(self.shape)
        mine = np.isin(self.origin, origins)
        result.kind[mine], result.origin[mine] = self.kind[mine], self.origin[mine]
        return result

    def merged(self, other: BadPixels) -> BadPixels:
        """These, and those of the other list that are not in this one.

        Parameters
        ----------
        other
            The other list.
        """
        result = self.chosen(ONBOARD, CALIBRATION, FOUND)
        free = (self.origin == 0) & (other.origin > 0)
        result.kind[free], result.origin[free] = other.kind[free], other.origin[free]
        return result

    @property
    def bad(self) -> npt.NDArray[np.bool_]:
        """All bad pixels."""
        return self.origin > 0

    @property
    def maps(self) -> dict[str, npt.NDArray[np.bool_]]:
        """``onboard``, ``bright`` (not masked on board), ``dead``."""
        onboard = self.origin == ONBOARD
        return {
            "onboard": onboard,
            "bright": ~onboard & ((self.kind == HOT) | (self.kind == FLICKERING)),
            "dead": ~onboard & (self.kind == DEAD),
        }

    def table(self) -> dict[str, npt.NDArray[np.int16]]:
        """Columns of a BADPIX extension: stretches of pixels of one kind and origin, along RAWY.

        In the order of origins, columns, rows, as in real lists.
        """
        code = (self.origin.astype(np.int32) * 4 + self.kind).T
        nx, ny = code.shape
        flat = np.zeros((nx, ny + 1), np.int32)
        flat[:, :ny] = code
        flat = flat.ravel()
        change = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
        start, stop = change[:-1], change[1:]
        chosen = flat[start] > 0
        start, stop = start[chosen], stop[chosen]
        value = flat[start]
        order = np.argsort(value // 4, kind="stable")
        start, stop, value = start[order], stop[order], value[order]
        return {
            "RAWX": (start // (ny + 1) + 1).astype(np.int16),
            "RAWY": (start % (ny + 1) + 1).astype(np.int16),
            "TYPE": (value % 4).astype(np.int16),
            "YEXTENT": (stop - start).astype(np.int16),
            "BADFLAG": (value // 4).astype(np.int16),
        }


def add_calibration(
    badpix: BadPixels,
    table: Mapping[str, npt.NDArray[Any]],
    kinds: npt.NDArray[np.int64],
    ccd: int,
    node: int,
    *,
    uplinked: bool = True,
    others: bool = True,
) -> None:
    """Add the bad pixels of the BADPIX constituent: those masked on board and/or the others.

    Parameters
    ----------
    badpix
        The list; pixels are added to it.
    table, kinds
        Rows of the constituent, and what they are (HOT or DEAD).
    ccd, node
        Which rows to take; a table without rows of node 1 has all pixels under node 0.
    uplinked, others
        Whether to add those that are masked on board, and those that are not.
    """
    rows = np.asarray(table["CCD_ID"]) == ccd
    mine = rows & (np.asarray(table["NODE_ID"]) == node)
    columns = np.asarray(table["RAWX"])
    if node and not mine.any():
        # A table without this node has all pixels under the other, which counts from its own side.
        mine, columns = rows, badpix.shape[0] + 1 - columns
    rows = mine
    onboard = np.asarray(table["UPLINKED"], bool)
    for use, origin, which in ((uplinked, ONBOARD, onboard), (others, CALIBRATION, ~onboard)):
        for kind in (HOT, DEAD):
            chosen = rows & which & (kinds == kind)
            if use and chosen.any():
                first, length = (np.asarray(table[k])[chosen] for k in ("RAWY", "YEXTENT"))
                badpix.add_stretches(columns[chosen], first, length, kind, origin)
