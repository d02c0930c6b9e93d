"""Offsets that a MOS camera subtracts on board.

Parameters
----------
camera
    ``M1`` or ``M2``.
ccd
    Number of the CCD.
"""

from __future__ import annotations

import numpy as np

from daxa.simulate.numbers import cameras as numbers

#: Offset subtracted on board from a pixel, those of its column and row together; read noise squared.
PIXEL_OFFSET, VARIANCE = 106, 23.0
#: What the offsets of masked columns exceed those of others by, to the left and to the right, for CCDs 1 to
#: 7: real lists of 2003 and 2004 (OFFSETX of the extension OFFSETS).
MASKED_OFFSETS = {
    "M1": ((4042, 4043), (4059, 4058), (4050, 4051), (4055, 4055), (4047, 4046), (4060, 4062), (4051, 4051)),
    "M2": ((4051, 4053), (4054, 4053), (4054, 4055), (4051, 4051), (4056, 4056), (4051, 4053), (4052, 4052)),
}
#: A masked column has the largest offset (assumed; it explains why that of other columns differs).
_LARGEST_OFFSET = 4095
#: Last masked column to the left and first one to the right (RAWX); the lowest sum that is sent.
LAST_LEFT, FIRST_RIGHT, LOWEST_SUM = -1, 602, -16384
#: Pixels of a diagnostic frame with charge of particles: 1 % in a real one.
_STRUCK = 3700
#: Places of the pixels around an event: those of its 3x3 box, and of the ring around that.
BOX = [(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1) if (x, y) != (0, 0)]
RING = [(x, y) for y in range(-2, 3) for x in range(-2, 3) if max(abs(x), abs(y)) == 2]


def offset_tables(camera: str, ccd: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets subtracted on board, per column (610) and row (602) of the read-out [adu]."""
    left, right = MASKED_OFFSETS[camera][ccd - 1]
    usual = _LARGEST_OFFSET - max(left, right)
    columns = np.full(610, usual)
    # RAWX 1 is the first column behind the underscan.
    first = numbers.MOS_SCAN["UNDER_X"] - 1
    columns[: LAST_LEFT + first + 1] = usual + left
    columns[FIRST_RIGHT + first :] = usual + right
    # One column far off the others, as the real MOS1 CCD 1 has.
    columns[(97 + 31 * ccd) % 600 + numbers.MOS_SCAN["UNDER_X"]] += 13
    return columns, np.full(602, PIXEL_OFFSET - usual)


def offset_columns(camera: str, ccd: int) -> dict[str, np.ndarray]:
    """Columns of the table of offsets: axis (0: columns, 1: rows), place, offset and variance.

    Parameters
    ----------
    camera
        ``M1`` or ``M2``.
    ccd
        Number of the CCD.
    """
    columns, rows = offset_tables(camera, ccd)
    return {
        "AXIS": np.repeat([0, 1], [len(columns), len(rows)]),
        "INDEX": np.concatenate([np.arange(len(columns)), np.arange(len(rows))]),
        "OFFSET": np.concatenate([columns, rows]),
        "VARIANCE": np.full(len(columns) + len(rows), VARIANCE),
    }


def diagnostic_image(rng: np.random.Generator) -> np.ndarray:
    """All pixels (610, 602) of a frame as read, nothing subtracted; particles have crossed some.

    Parameters
    ----------
    rng
        Random numbers.
    """
    image = rng.normal(PIXEL_OFFSET, np.sqrt(VARIANCE), (610, 602))
    # The first columns of the read-out settle.
    image[:3] -= np.array([18.0, 9.0, 7.0])[:, None]
    struck = rng.integers(0, image.size, _STRUCK)
    image.ravel()[struck] += rng.exponential(1000.0, _STRUCK)
    return np.clip(np.rint(image), 0, 4095)


def masked_pixels(rawx: np.ndarray, rawy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many pixels of the 3x3 box and of the ring around it are masked; no row below the first is read.

    Parameters
    ----------
    rawx, rawy
        The main pixels, shape (n,).
    """

    def count(places: list[tuple[int, int]]) -> np.ndarray:
        masked = [
            ((rawx + dx <= LAST_LEFT) | (rawx + dx >= FIRST_RIGHT)) & (rawy + dy >= 1) for dx, dy in places
        ]
        return np.asarray(np.sum(masked, axis=0, dtype=np.int64))

    return count(BOX), count(RING)


def mark_border(events: dict[str, np.ndarray], camera: str, ccd: int) -> None:
    """Take the offsets of masked columns from E3 and E4 of events beside them; RAWX, RAWY from 0.

    Parameters
    ----------
    events
        Columns of the events; changed.
    """
    x, y = events["RAWX"] + 1, events["RAWY"] + 1
    near = np.flatnonzero((x <= LAST_LEFT + 2) | (x >= FIRST_RIGHT - 2))
    level = np.where(x[near] < 300, *MASKED_OFFSETS[camera][ccd - 1])
    for name, number in zip(("ENERGYE3", "ENERGYE4"), masked_pixels(x[near], y[near]), strict=True):
        sums = np.array(events[name])
        sums[near] = np.where(number > 0, np.maximum(sums[near] - number * level, LOWEST_SUM), sums[near])
        events[name] = sums
