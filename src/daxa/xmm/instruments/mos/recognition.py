"""Recognition of events among single pixels, for data sent without it (EV_REC of emevents).

In reduced imaging mode every pixel between the thresholds comes by itself; the patterns are those of the
on-board software, with the lower threshold of the telemetry instead of its own. What is below that was not
sent: E3 and E4 are not known. Source: manual of emevents.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.patterns import COSMIC_PATTERNS, PatternLibrary

_STRIDE = 1 << 12


def recognise(
    frame: npt.ArrayLike,
    rawx: npt.ArrayLike,
    rawy: npt.ArrayLike,
    adu: npt.ArrayLike,
    library: PatternLibrary,
) -> Events:
    """Events among the pixels of all frames.

    The brightest pixel of its 3x3 box is an event's main one (of equal ones the first in the order of
    read-out). Its pattern is the first of the library that fits the 5x5 box.

    Parameters
    ----------
    frame, rawx, rawy, adu
        Index of the frame, place and amplitude of each pixel sent.
    library
        The patterns of the camera.

    Returns
    -------
    Events
        In the order of frames; E3 and E4 are 0.
    """
    in_frame, x, y, sent = (np.asarray(v, np.int64) for v in (frame, rawx, rawy, adu))
    # Room of three pixels at the edges, so that neighbours never lie in the next line or frame.
    key, first = np.unique((in_frame * _STRIDE + y + 3) * _STRIDE + x + 3, return_index=True)
    in_frame, x, y, sent = in_frame[first], x[first], y[first], sent[first]

    def at(dx: int, dy: int) -> npt.NDArray[np.int64]:
        """Amplitudes of the neighbours, 0 where nothing was sent."""
        wanted = key + dy * _STRIDE + dx
        index = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        return np.where(key[index] == wanted, sent[index], 0) if len(key) else sent

    box = np.stack([at(dx, dy) for dy in range(-2, 3) for dx in range(-2, 3)], axis=1).reshape(-1, 5, 5)
    inner = box[:, 1:4, 1:4].reshape(-1, 9)
    main = (sent[:, None] > inner[:, :4]).all(axis=1) & (sent[:, None] >= inner[:, 5:]).all(axis=1)
    in_frame, x, y, sent, box = in_frame[main], x[main], y[main], sent[main], box[main]
    above = box > 0
    pattern = np.full(len(sent), COSMIC_PATTERNS[1], np.int64)
    cross = above[:, [1, 2, 2, 3], [2, 1, 3, 2]].any(axis=1)
    pattern[~cross] = COSMIC_PATTERNS[0]
    free = np.ones(len(sent), bool)
    for number, roles in enumerate(library.roles):
        if number in COSMIC_PATTERNS:
            continue
        fits = free & (above[:, roles == 1].all(axis=1)) & ~(above[:, roles == 0].any(axis=1))
        pattern[fits] = number
        free &= ~fits
    others = box[:, 1:4, 1:4].sum(axis=(1, 2)) - sent
    zero = np.zeros(len(sent), np.int64)
    ring = above.sum(axis=(1, 2)) - above[:, 1:4, 1:4].sum(axis=(1, 2))
    return Events(in_frame, x, y, sent, others, zero, zero.copy(), pattern, ring, zero.copy())
