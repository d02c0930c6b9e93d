"""Part of a MOS frame that is not integrated, from EMOSn_MODEPARAM.

What the file says of it in full frame is checked against real event lists, as no file was at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.ccf.documented import MEASURED_TRANSFER_S

if TYPE_CHECKING:
    from daxa.xmm.ccf.constituent import Constituent

#: Frames longer than this [s] are those of whole CCDs, which the measured number holds for.
WHOLE_FRAME_S = 2.0
#: Another transfer of a whole frame than the measured one by this much [s] is not believed.
TRANSFER_TOLERANCE_S = 0.001


def transfer_s(constituent: Constituent, mode_id: int, ccd: int, *, imaging: bool = True) -> float:
    """Time in every frame in which a CCD collects nothing [s]: FRAME_T less INTEGRATION_T.

    Parameters
    ----------
    constituent
        EMOSn_MODEPARAM.
    mode_id, ccd
        Mode of the camera; CCD, of which the first has frames of its own.
    imaging
        Whether the CCD is in an imaging mode; others lose no time between frames unless the file says so.

    Returns
    -------
    float
        :data:`MEASURED_TRANSFER_S`, with the warning ``noTransferTime``, for imaging CCDs of which the file
        gives no or an impossible integration time.
    """
    table = constituent.table("MODEPARAM")
    row = np.flatnonzero(np.asarray(table["MODE_ID"]) == mode_id)
    frame = integration = 0.0
    if len(row):
        element = 0 if ccd == 1 else 1
        frame, integration = (float(table[k][row[0]][element]) / 1e3 for k in ("FRAME_T", "INTEGRATION_T"))
    transfer = frame - integration
    possible = 0 < integration < frame
    if frame > WHOLE_FRAME_S:
        possible &= abs(transfer - MEASURED_TRANSFER_S) < TRANSFER_TOLERANCE_S
    if possible:
        return transfer
    if not imaging:
        return 0.0
    found = f"FRAME_T {1e3 * frame:g} ms and INTEGRATION_T {1e3 * integration:g} ms of mode {mode_id}"
    return float(constituent.lacks("MODEPARAM", "INTEGRATION_T", found))
