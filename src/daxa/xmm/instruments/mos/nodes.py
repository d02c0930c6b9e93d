"""A CCD that is read through both of its nodes: events that the line between them has cut (BINODAL).

Each node recognises the events of its own half, so that a photon whose charge lies on both sides is sent
twice. Source: manual of emevents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.patterns import COSMIC_PATTERNS, PatternLibrary


def join_nodes(
    primary: Events, redundant: Events, library: PatternLibrary, last_column: int, n_columns: int
) -> tuple[Events, Events, int]:
    """Join events of the same frame whose pixels touch across the line between the nodes.

    Each list is in the coordinates of its node (the redundant one counts columns from the other side of the
    CCD), and both index the same frames. The event that is made belongs to the node of its brightest pixel;
    E3, E4 and PERIPIX are that event's own. A shape that the library does not hold becomes a cosmic-ray
    pattern.

    Parameters
    ----------
    primary, redundant
        Events of the two nodes.
    library
        The patterns of the camera.
    last_column
        Last RAWX of the primary node.
    n_columns
        Columns of the CCD.

    Returns
    -------
    primary, redundant, number
        The new lists, and how many events were joined.
    """
    sides = (_Side(primary, 1, 0), _Side(redundant, -1, n_columns + 1))
    # Pixels reach two columns from the main one.
    pixels = [
        side.pixels(np.flatnonzero(np.abs(side.column - last_column - 0.5) < 3), library) for side in sides
    ]
    left = pixels[0][pixels[0][:, 2] == last_column]
    right = pixels[1][pixels[1][:, 2] == last_column + 1]
    pairs: set[tuple[int, int]] = set()
    code = right[:, 1] * 4096 + right[:, 3]
    order = np.argsort(code, kind="stable")
    code = code[order]
    for event, frame, _, y in left.astype(np.int64):
        for step in (-1, 0, 1):
            low, high = np.searchsorted(code, [frame * 4096 + y + step, frame * 4096 + y + step + 1])
            pairs.update((int(event), int(right[order[k], 0])) for k in range(low, high))
    keep = [np.ones(len(primary), bool), np.ones(len(redundant), bool)]
    lists = [primary.take(np.arange(len(primary))), redundant.take(np.arange(len(redundant)))]
    joined = 0
    for members in _groups(pairs):
        joined += len(members)
        shares = [sides[side].charges(row, library) for side, row in members]
        x, y, charge = (np.concatenate([s[k] for s in shares]) for k in range(3))
        best = int(np.argmax(charge))
        owner = np.repeat(np.arange(len(members)), [len(s[0]) for s in shares])[best]
        number, row = members[owner]
        side, list_ = sides[number], lists[number]
        shape = frozenset(zip((side.sign * (x - x[best])).tolist(), (y - y[best]).tolist(), strict=True))
        track = any(sides[s].events.pattern[r] in COSMIC_PATTERNS for s, r in members)
        list_.pattern[row] = COSMIC_PATTERNS[1] if track else library.by_shape.get(shape, COSMIC_PATTERNS[1])
        list_.rawx[row], list_.rawy[row] = side.sign * x[best] + side.start, y[best]
        list_.e1[row] = round(float(charge[best]))
        list_.e2[row] = round(float(charge.sum() - charge[best]))
        for s, r in members:
            keep[s][r] = (s, r) == (number, row)
    return lists[0].take(np.flatnonzero(keep[0])), lists[1].take(np.flatnonzero(keep[1])), joined


@dataclass(frozen=True)
class _Side:
    """Events of a node; column of the CCD = ``sign`` RAWX + ``start``."""

    events: Events
    sign: int
    start: int

    @property
    def column(self) -> npt.NDArray[np.int64]:
        return self.sign * self.events.rawx + self.start

    def pixels(self, index: npt.NDArray[np.int64], library: PatternLibrary) -> npt.NDArray[np.int64]:
        """Pixels above threshold of some events: event, frame, column, row; shape (pixels, 4)."""
        events, column = self.events, self.column
        rows = [
            (int(i), int(events.frame[i]), int(column[i] + self.sign * dx), int(events.rawy[i] + dy))
            for i in index
            for dx, dy in library.offsets[events.pattern[i]]
        ]
        return np.array(rows, np.int64).reshape(-1, 4)

    def charges(
        self, row: int, library: PatternLibrary
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Column, row and charge of the pixels of one event: E1 in the main one, E2 shared by the others."""
        events = self.events
        offset = library.offsets[events.pattern[row]]
        charge = np.full(len(offset), float(events.e2[row]) / max(len(offset) - 1, 1))
        charge[0] = events.e1[row]
        return self.column[row] + self.sign * offset[:, 0], events.rawy[row] + offset[:, 1], charge


def _groups(pairs: set[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Sets of events that hang together: (side, row) of each."""
    group: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for left, right in sorted(pairs):
        together = group.get((0, left), {(0, left)}) | group.get((1, right), {(1, right)})
        for member in together:
            group[member] = together
    unique = {min(g): sorted(g) for g in group.values()}
    return [unique[k] for k in sorted(unique)]
