"""Pattern recognition of pn events: groups of touching pixels of one frame, and the codes of their shapes.

Source: epevents manual (pattern parameters, coding of PATTERN, PAT_ID and PAT_SEQ). The camera sends
every pixel above its threshold; an X-ray lights one to four of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# The eight neighbours (dx, dy) of a main pixel, and the bit that stands for each.
_NEIGHBOURS = {
    (0, 1): 1,
    (1, 0): 2,
    (0, -1): 4,
    (-1, 0): 8,
    (1, 1): 16,
    (1, -1): 32,
    (-1, -1): 64,
    (-1, 1): 128,
}
_UP, _RIGHT, _DOWN, _LEFT, _UP_RIGHT, _DOWN_RIGHT, _DOWN_LEFT, _UP_LEFT = _NEIGHBOURS.values()
_FAR = 256
#: Set of neighbours -> code of the shape; the second value of quadruples is the diagonal pixel.
_DOUBLES = {_UP: 1, _RIGHT: 2, _DOWN: 3, _LEFT: 4}
_TRIPLES = {_UP | _RIGHT: 5, _RIGHT | _DOWN: 6, _DOWN | _LEFT: 7, _LEFT | _UP: 8}
_QUADRUPLES = {
    _UP | _RIGHT | _UP_RIGHT: 9,
    _RIGHT | _DOWN | _DOWN_RIGHT: 10,
    _DOWN | _LEFT | _DOWN_LEFT: 11,
    _LEFT | _UP | _UP_LEFT: 12,
}
_DIAGONALS = _UP_RIGHT | _DOWN_RIGHT | _DOWN_LEFT | _UP_LEFT

#: PATTERN bits: the pattern has no main pixel of a known shape; its main pixel is at an edge or bad pixel.
UNRESOLVED, AT_EDGE = 64, 128
#: Codes of three and four pixels that are not a valid triple or quadruple.
INVALID_TRIPLE, INVALID_QUADRUPLE = 14, 15
_LARGE, _LARGEST = 32, 36


@dataclass(frozen=True)
class Patterns:
    """The patterns of a list of pixels, numbered in the order (frame, column, row) of their first pixel.

    Attributes
    ----------
    label
        Per pixel: index of its pattern.
    main
        Per pattern: index of the pixel with the largest amplitude.
    size
        Per pattern: number of pixels.
    code
        Per pattern: PATTERN of the main pixel, as for a pattern far from edges and bad pixels.
    number
        Per pattern: running number (from 1) among the patterns of more than one pixel of its frame;
        0 for singles.
    sequence
        Per pixel: rows to the next event towards the read-out in the same frame and column, 0 if there
        is none (PAT_SEQ).
    """

    label: npt.NDArray[np.int32]
    main: npt.NDArray[np.int64]
    size: npt.NDArray[np.int32]
    code: npt.NDArray[np.uint8]
    number: npt.NDArray[np.int32]
    sequence: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.main)

    @property
    def recognised(self) -> npt.NDArray[np.bool_]:
        """Whether the shape is one that a single X-ray makes (codes 0 to 12)."""
        return self.code <= 12


def pixel_key(frame: npt.ArrayLike, rawx: npt.ArrayLike, rawy: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Integers that sort pixels by frame, column, row.

    Rows differ by 1 and columns by 256, so that neighbours are found by adding. RAWX 1..64, RAWY 1..254.

    Parameters
    ----------
    frame, rawx, rawy
        Frame, column and row of each pixel, shape (n,).
    """
    return (
        (np.asarray(frame, np.int64) << 14)
        + ((np.asarray(rawx, np.int64) - 1) << 8)
        + np.asarray(rawy, np.int64)
    )


def find_patterns(
    frame: npt.ArrayLike, rawx: npt.ArrayLike, rawy: npt.ArrayLike, pha: npt.ArrayLike
) -> Patterns:
    """Join pixels that share a side into patterns and classify them.

    Parameters
    ----------
    frame, rawx, rawy
        Frame number or index, column (1..64) and row (1..200) of each pixel; no pixel twice in a frame.
    pha
        Amplitudes in adu. The largest is the main pixel; of equal ones the first in (column, row).

    Raises
    ------
    ValueError
        A pixel occurs twice in a frame.

    Notes
    -----
    Doubles are two pixels; triples an L with the maximum at its corner; quadruples 2 x 2 pixels with
    the maximum and the minimum at opposite corners. Everything else is unresolved: codes 78, 79, and
    96 + (n - 5) for n >= 5 pixels. Diagonal contact does not join pixels.
    """
    key = pixel_key(frame, rawx, rawy)
    pha = np.asarray(pha)
    count = len(key)
    if count and not np.all(key[1:] > key[:-1]):
        order = np.argsort(key, kind="stable")
        found = _find_sorted(key[order], pha[order])
        back = np.empty(count, np.int64)
        back[order] = np.arange(count)
        return Patterns(
            found.label[back], order[found.main], found.size, found.code, found.number, found.sequence[back]
        )
    return _find_sorted(key, pha)


def _find_sorted(key: npt.NDArray[np.int64], pha: npt.NDArray[np.generic]) -> Patterns:
    count = len(key)
    step = np.diff(key)
    if np.any(step == 0):
        raise ValueError("a pixel occurs twice in a frame")
    column = key >> 8
    same_column = column[1:] == column[:-1]
    sequence = np.zeros(count, np.uint8)
    sequence[1:] = np.where(same_column, step, 0)

    lower = np.flatnonzero(step == 1)
    # The pixel to the right, if lit, is the one 256 further on; column 64 has none. Most pixels are alone.
    left = np.flatnonzero((step <= 256) & ((column[:-1] & 63) != 63))
    right = np.searchsorted(key, key[left] + 256)
    right[right == count] = max(count - 1, 0)
    lit = key[right] == key[left] + 256
    left, right = left[lit], right[lit]
    first, second = np.concatenate([lower, left]), np.concatenate([lower + 1, right])

    touching = np.zeros(count, bool)
    touching[first] = touching[second] = True
    members = np.flatnonzero(touching)
    group, n_groups = _components(members, first, second)
    # Number all patterns by their first pixel: a single, or the first member of a group.
    is_first = ~touching
    leader = np.full(n_groups, count)
    np.minimum.at(leader, group, members)
    is_first[leader] = True
    label = np.cumsum(is_first, dtype=np.int32) - 1
    label[members] = label[leader[group]]
    n_patterns = int(np.count_nonzero(is_first))

    main = np.flatnonzero(is_first)
    size = np.ones(n_patterns, np.int32)
    code = np.zeros(n_patterns, np.uint8)
    number = np.zeros(n_patterns, np.int32)
    if n_groups:
        which = label[leader]
        group_main = _largest(group, pha[members], members, n_groups)
        main[which] = group_main
        size[which] = np.bincount(group, minlength=n_groups)
        code[which] = _classify(group, members, group_main, size[which], key, pha)
        which = np.sort(which)
        frame = key[main[which]] >> 14
        new = np.concatenate([[True], frame[1:] != frame[:-1]])
        begin = np.flatnonzero(new)
        number[which] = np.arange(len(which)) - begin[np.cumsum(new) - 1] + 1
    return Patterns(label, main, size, code, number, sequence)


def _components(
    members: npt.NDArray[np.int64], first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], int]:
    """Group number of each member of the graph with the given edges."""
    if not len(members):
        return np.empty(0, np.int32), 0
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.searchsorted(members, first), np.searchsorted(members, second)
    graph = coo_array((np.ones(len(first), np.int8), ends), shape=(len(members), len(members)))
    n_groups, group = connected_components(graph, directed=False)
    return group, n_groups


def _largest(
    group: npt.NDArray[np.int32],
    pha: npt.NDArray[np.generic],
    members: npt.NDArray[np.int64],
    n_groups: int,
) -> npt.NDArray[np.int64]:
    """Member with the largest amplitude of each group; the first of equal ones."""
    order = np.lexsort((members, -pha.astype(np.float64), group))
    begin = np.searchsorted(group[order], np.arange(n_groups))
    return members[order[begin]]


def _classify(
    group: npt.NDArray[np.int32],
    members: npt.NDArray[np.int64],
    main: npt.NDArray[np.int64],
    size: npt.NDArray[np.int32],
    key: npt.NDArray[np.int64],
    pha: npt.NDArray[np.generic],
) -> npt.NDArray[np.uint8]:
    """PATTERN code of each group of at least two pixels."""
    lookup = np.full((3, 3), 0)
    for (right, up), value in _NEIGHBOURS.items():
        lookup[right + 1, up + 1] = value
    centre = main[group]
    dx = ((key[members] >> 8) & 63) - ((key[centre] >> 8) & 63)
    dy = (key[members] & 255) - (key[centre] & 255)
    near = (np.abs(dx) <= 1) & (np.abs(dy) <= 1)
    bit = np.full(len(members), _FAR)
    bit[near] = lookup[dx[near] + 1, dy[near] + 1]
    # Each neighbour occurs once, so the sum is the set; far pixels push it out of the table.
    shape = np.bincount(group, weights=bit, minlength=len(main)).astype(np.int64)
    table = np.zeros(_FAR, np.uint8)
    for shapes in (_DOUBLES, _TRIPLES, _QUADRUPLES):
        for bits, number in shapes.items():
            table[bits] = number
    code = table[np.minimum(shape, _FAR - 1)]

    corner = (bit & _DIAGONALS).astype(bool) & near
    smallest = np.full(len(main), np.inf)
    np.minimum.at(smallest, group, pha[members].astype(np.float64))
    opposite = np.zeros(len(main))
    opposite[group[corner]] = pha[members[corner]]
    code[(code >= 9) & (opposite > smallest)] = 0

    code[(code == 0) & (size == 3)] = UNRESOLVED | INVALID_TRIPLE
    code[(code == 0) & (size == 4)] = UNRESOLVED | INVALID_QUADRUPLE
    large = size >= 5
    code[large] = UNRESOLVED | (_LARGE + np.minimum(size[large], _LARGEST) - 5).astype(np.uint8)
    return code


def code_at_edge(code: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """PATTERN of patterns whose main pixel is next to a bad pixel or at an edge.

    Singles and doubles keep their code (since epevents 6.30.4); triples become 206, quadruples 207,
    unresolved ones get the edge bit.

    Parameters
    ----------
    code
        PATTERN, any shape.
    """
    code = np.asarray(code, np.uint8)
    result = code.copy()
    result[(code >= 5) & (code <= 8)] = AT_EDGE | UNRESOLVED | INVALID_TRIPLE
    result[(code >= 9) & (code <= 12)] = AT_EDGE | UNRESOLVED | INVALID_QUADRUPLE
    result[code >= UNRESOLVED] |= AT_EDGE
    return result


def pattern_id(patterns: Patterns, at_edge: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int16]:
    """PAT_ID of the main pixels.

    Bits 1 to 9 hold the number of the pattern in its frame, bits 10, 11 and 12, 13 the position (2, 2) of
    the main pixel in the 3 x 3 box; the position is 0 for singles and for patterns that are not valid.

    Parameters
    ----------
    patterns
        The patterns.
    at_edge
        Which of them are next to a bad pixel or at an edge.
    """
    resolved = patterns.recognised & (patterns.size > 1)
    if at_edge is not None:
        resolved &= ~at_edge
    position = (2 << 9) | (2 << 11)
    return (np.minimum(patterns.number, 511) | np.where(resolved, position, 0)).astype(np.int16)
