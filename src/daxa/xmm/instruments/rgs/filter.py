"""The task rgsfilter: the final event list, with its good times and exposure maps.

Source: manual of rgsfilter. A frame is kept whole or not at all. Exposure maps leave out pixels whose events
the filter rejects wherever they are: bad ones and, if those flags are rejected, their neighbours, the edges
of the window and the line between the nodes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.rgs import (
    REJECTION_FLAGS,
    RgsFlag,
)

#: Frames may reach this far out of an interval [s]: their lengths are kept in single precision.
SLACK_S = 2e-3


def keep_frames(
    time_s: npt.ArrayLike, timedel_s: npt.ArrayLike, valid: npt.ArrayLike, gti: GTI, slack_s: float = SLACK_S
) -> npt.NDArray[np.bool_]:
    """Frames that are valid and lie wholly in an interval.

    Parameters
    ----------
    time_s
        Middle of each frame [mission time], shape (n,).
    timedel_s
        Length of each [s], shape (n,).
    valid
        Which are valid, shape (n,).
    gti
        The intervals.
    slack_s
        How far a frame may reach out of one [s].
    """
    time, half = np.asarray(time_s, float), np.asarray(timedel_s, float) / 2 - slack_s
    if not len(gti):
        return np.zeros(time.shape, bool)
    index = np.searchsorted(gti.start, time - half, side="right") - 1
    inside = (index >= 0) & (time + half <= gti.stop[np.maximum(index, 0)])
    return inside & np.asarray(valid, bool)


def rejection_mask(names: list[str]) -> int:
    """Bits of the named flags.

    Parameters
    ----------
    names
        Names of the flags.

    Raises
    ------
    TaskError
        ``badParameter``: a flag that cannot be rejected.
    """
    unknown = [n for n in names if n not in REJECTION_FLAGS]
    if unknown:
        raise TaskError(
            "badParameter", f"parameter rejflags: {unknown[0]!r} is not one of {' '.join(REJECTION_FLAGS)}"
        )
    mask = 0
    for name in names:
        mask |= int(RgsFlag[name])
    return mask
