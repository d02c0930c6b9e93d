"""How many events of the pn come while it is read out."""

from __future__ import annotations

import numpy as np

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.instruments import PN_MODE_IDS

#: A larger share than this is none of an imaging mode: that of the full frame, the largest, is 0.063.
_LARGEST = 0.2


def readout_share(cal: Calibration, submode: str, frame_ms: float | None = None) -> float:
    """Share of the events that are registered while the charge is moved, in a mode of the pn.

    SMEARED_FRAC of EPN_MODEPARAM. It is the time of a read-out over that of a frame, so that it goes down in
    the same measure where frames are longer than the table says, as those of the extended full frame are in
    some years (read-out 4.66 ms; frames of 199 and 283 ms: 0.023 and 0.016).

    Parameters
    ----------
    cal
        The calibration.
    submode
        SUBMODE of the list.
    frame_ms
        Length of a frame [ms]; None: that of the table.

    Raises
    ------
    TaskError
        ``wrongMode``: the mode has no such events, or the table no row for it, or a share that is none.
    """
    number = PN_MODE_IDS.get(submode)
    if number is None or not submode.startswith("Prime"):
        raise TaskError("wrongMode", f"SUBMODE {submode!r} is no imaging mode of the pn; give scale")
    table = cal.constituent("EPN", "MODEPARAM").table("MODEPARAM")
    rows = np.flatnonzero(np.asarray(table["MODE_ID"]) == number)
    if not len(rows):
        raise TaskError("wrongMode", f"{table.where}: no row for {submode} (MODE_ID {number}); give scale")
    share, cycle = (float(np.ravel(table[name][rows[0]])[0]) for name in ("SMEARED_FRAC", "CYCLE_T"))
    if not 0 < share < _LARGEST:
        raise TaskError("wrongMode", f"{table.where}: SMEARED_FRAC of {submode} is {share:g}; give scale")
    # Headers round to a millisecond; what differs by more is another frame.
    if frame_ms is not None and cycle > 0 and abs(frame_ms - cycle) > 1:
        share *= cycle / frame_ms
    return share
