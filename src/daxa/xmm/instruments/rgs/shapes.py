"""Pixels that were summed on board: codes of telemetry, and which pixels they stand for.

Sources: manual of rgsframes (SER to SHAPE and GRADE); real raw lists (which pixels a shape holds). On board,
pixels that share an edge are put together or rejected, so that in a frame neither the pixels of an item nor
their neighbours along edges are items of their own: around the 618,564 items of three real lists the places
where none is found are exactly these. The place of an item is its first pixel: that of the first row which is
nearest to the read-out node.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError

IntArray = npt.NDArray[np.int64]

#: No shape is known.
NULL = 255
#: Version of the on-board software -> SHAPE and GRADE of SER 0, 1, ...
TRANSLATIONS: dict[str, tuple[tuple[int, int], ...]] = {
    "16": ((0, 1), (NULL, 2), (NULL, 3), (1, 4)),
    "16.2": ((0, 1), (1, 4), (2, 2), (3, 2), (4, 3), (5, 3), (6, 3), (7, 3)),
}
TRANSLATIONS["19"] = TRANSLATIONS["19.0"] = TRANSLATIONS["16.2"]
TRANSLATIONS["16.0"] = TRANSLATIONS["16"]
#: Pixels of each shape, as steps of RAWX and RAWY from its place.
PIXELS: dict[int, tuple[tuple[int, int], ...]] = {
    0: ((0, 0),),
    1: ((0, 0), (1, 0), (0, 1), (1, 1)),
    2: ((0, 0), (0, 1)),
    3: ((0, 0), (1, 0)),
    4: ((0, 0), (1, 0), (0, 1)),
    5: ((0, 0), (1, 0), (1, 1)),
    6: ((0, 0), (0, 1), (1, 1)),
    7: ((0, 0), (-1, 1), (0, 1)),
}
#: What a shape becomes when columns are counted from the other side.
MIRRORED = np.arange(256)
MIRRORED[[4, 5, 6, 7]] = [5, 4, 7, 6]
#: Shapes with two pixels in their first row: seen from the other side, the other one comes first.
WIDE = (1, 3, 4, 5)


def translate(ser: npt.ArrayLike, version: str = "19.0") -> tuple[IntArray, IntArray]:
    """SHAPE and GRADE of telemetered SER codes.

    Parameters
    ----------
    ser
        The codes, any shape.
    version
        Version of the on-board software.

    Raises
    ------
    TaskError
        ``dppIdNotFound``, ``wrongSER2``: a version or a code that is not known.
    """
    codes = np.asarray(ser, np.int64)
    if version not in TRANSLATIONS:
        raise TaskError(
            "dppIdNotFound", f"version {version!r} of the on-board software; known: {', '.join(TRANSLATIONS)}"
        )
    known = np.array(TRANSLATIONS[version])
    wrong = (codes < 0) | (codes >= len(known))
    if wrong.any():
        raise TaskError(
            "wrongSER2", f"SER {codes[wrong][0]}: software {version} sends 0 to {len(known) - 1} only"
        )
    return known[codes, 0], known[codes, 1]


def members(shape: npt.ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    """Pixels of items: index of the item, and steps along RAWX and RAWY; ordered by item.

    An item without a known shape has its own place only.

    Parameters
    ----------
    shape
        SHAPE of the items, shape (n,).
    """
    codes = np.asarray(shape, np.int64)
    parts = []
    for code in np.unique(codes):
        index = np.flatnonzero(codes == code)
        for dx, dy in PIXELS.get(int(code), ((0, 0),)):
            parts.append(np.stack([index, np.full(len(index), dx), np.full(len(index), dy)]))
    if not parts:
        empty = np.zeros(0, np.int64)
        return empty, empty, empty
    joined = np.concatenate(parts, axis=1)
    item, dx, dy = joined[:, np.argsort(joined[0], kind="stable")]
    return item, dx, dy


def centre(shape: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean position of the pixels of items, as steps from their place.

    Parameters
    ----------
    shape
        SHAPE of the items, shape (n,).
    """
    codes = np.asarray(shape, np.int64)
    table = np.zeros((256, 2))
    for code, pixels in PIXELS.items():
        table[code] = np.mean(pixels, axis=0)
    return table[codes, 0], table[codes, 1]
