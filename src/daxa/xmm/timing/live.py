"""How much of each bin of a light curve a CCD was live."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.select.exposures import Frames

FloatArray = npt.NDArray[np.float64]
#: A frame lasts until the next one begins, if that is within so many of its integrations: reading it out
#: takes up to 7 % of them.
_FOLLOWS = 1.5


def live_seconds_of_bins(edges_s: FloatArray, good: GTI, frames: Frames | None) -> FloatArray:
    """Live time in each bin.

    Parameters
    ----------
    edges_s
        Edges of the bins, growing [mission time], shape (bins + 1,).
    good
        Good times of the CCD.
    frames
        Its frames; None: all good time is live.

    Returns
    -------
    array
        Seconds, shape (bins,). The live time of a frame (``TIMEDEL * FRACEXP``) is spread evenly from its
        start to that of the next frame, as times of events are; of a frame that good times or bins divide,
        each part counts by its length.

    Examples
    --------
    >>> frames = Frames(np.array([1.0, 3.0]), np.array([2.0, 2.0]), np.array([0.5, 1.0]), "EPN")
    >>> live_seconds_of_bins(np.array([0.0, 1.0, 4.0]), GTI([0.0], [3.0]), frames).tolist()
    [0.5, 1.5]
    """
    cuts = np.unique(np.concatenate([edges_s, good.start, good.stop]))
    cuts = cuts[(cuts >= edges_s[0]) & (cuts <= edges_s[-1])]
    middle = 0.5 * (cuts[1:] + cuts[:-1])
    passed = np.diff(cuts if frames is None else _live_until(cuts, frames))
    # The middle of a step shorter than the digits of a time may be rounded to the last edge.
    bins = np.minimum(np.searchsorted(edges_s, middle, side="right") - 1, len(edges_s) - 2)
    result = np.zeros(len(edges_s) - 1)
    np.add.at(result, bins, np.where(good.contains(middle), passed, 0.0))
    return result


def _live_until(times_s: FloatArray, frames: Frames) -> FloatArray:
    """Live time from the first frame to some times."""
    if not len(frames.time_s):
        return np.zeros(len(times_s))
    order = np.argsort(frames.time_s, kind="stable")
    middle, length = frames.time_s[order], frames.length_s[order]
    live = length * np.broadcast_to(frames.fraction, middle.shape)[order]
    start, stop = middle - 0.5 * length, middle + 0.5 * length
    following = np.append(start[1:], np.inf)
    stop = np.where(following < start + _FOLLOWS * length, np.maximum(following, start), stop)
    total = np.cumsum(live)
    knots = np.stack([start, stop], axis=1).ravel()
    return np.interp(times_s, knots, np.stack([total - live, total], axis=1).ravel())
