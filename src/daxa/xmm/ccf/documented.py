"""Numbers that stand in where calibration files lack them, from products and logs of real runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from daxa.xmm.formats.instruments import PN_MODE_IDS

#: Time between successive integrations, while charge moves into the frame store [s]: in 53 frame tables of
#: eight real event lists (both cameras in full frame, 2004 to 2006) it is 5.9999 to 6.0001 ms.
MEASURED_TRANSFER_S = 0.006
#: Offsets of master maps end here [adu] (release note of EPN_REJECT_0005); that no correction of a dark
#: level is larger is assumed.
LARGEST_DARK_SHIFT_ADU = 7.0
#: Live time that every frame loses besides its read-out [s]: 1 - AX_FC0 of real headers times the frame time
#: (full frame, extended full frame, timing); for the window modes that of the other imaging modes, for burst
#: mode nothing is known.
CONSTANT_LOSS_S = {
    "PrimeFullWindow": 69.240e-6,
    "PrimeFullWindowExtended": 69.242e-6,
    "PrimeLargeWindow": 69.24e-6,
    "PrimeSmallWindow": 69.24e-6,
    "FastTiming": 52.669e-6,
    "FastBurst": 0.0,
}
#: Dead time of a reset of the event buffer [s], as logs of real runs print it "from CCF".
FIFO_DEAD_S = {
    "PrimeFullWindow": 366.82e-3,
    "PrimeFullWindowExtended": 398.39e-3,
    "PrimeLargeWindow": 95.33e-3,
}
#: Share of its exposure that is left to the frame in which the buffer was reset (logs of real runs).
FIFO_RESIDUAL = 0.9
#: Shares of the integration in the frame: TIMEDEL of real images over the frame time in both full frames,
#: live times of the Users' Handbook in the others (that these are shares of the integration is assumed).
INTEGRATION_SHARE = {
    "PrimeFullWindow": 0.936444,
    "PrimeFullWindowExtended": 0.976592,
    "PrimeLargeWindow": 0.949,
    "PrimeSmallWindow": 0.710,
    "FastTiming": 1.0,
    "FastBurst": 0.03,
}
NO_INTEGRATION_TIME = (
    "of the frame is integration what it is in real images in full frame (0.936) and extended full frame "
    "(0.977), in windows and burst mode the live time of the Users' Handbook (0.949, 0.71, 0.03), in timing "
    "all: live times off by up to 1 %, in burst mode by more (assumed)"
)
#: Tolerance of time jumps in FTFINE units by revolution, from headers and logs of real runs: imaging, fast.
_JUMP_TOLERANCE: dict[bool, tuple[tuple[int, float], ...]] = {
    False: ((184, 22), (240, 25), (347, 26), (868, 32), (2522, 50), (3278, 51), (3575, 51)),
    True: ((347, 20), (535, 23), (730, 33), (815, 36), (1516, 40), (3553, 42)),
}


def documented_tolerance(submode: str, revolution: int) -> float:
    """Tolerance of time jumps that real runs used, of the last revolution known before this one [units].

    Parameters
    ----------
    submode
        SUBMODE of the pn.
    revolution
        Revolution of the satellite.
    """
    known = _JUMP_TOLERANCE[submode.startswith("Fast")]
    return next((value for rev, value in reversed(known) if rev <= revolution), known[0][1])


def tolerance_rows() -> dict[str, Any]:
    """The tolerances known, as rows of EPN_TIMEJUMPTOL."""
    rows = [
        (mode_id, revolution, value)
        for submode, mode_id in PN_MODE_IDS.items()
        for revolution, value in _JUMP_TOLERANCE[submode.startswith("Fast")]
    ]
    mode_id, revolution, tolerance = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "MODE_ID": mode_id,
        "REVOLUTION": revolution,
        "TOLERANCE": tolerance[:, None],
        "TOLERANCE_FAST": np.full(len(rows), np.nan),
    }
