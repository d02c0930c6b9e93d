"""The step badpix: known bad pixels of one MOS CCD, those found added."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.badpixels import CALIBRATION, ONBOARD
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos import energy
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Ccd
from daxa.xmm.instruments.mos.options import Badpix


def badpix(ccd: Ccd, params: Badpix) -> bp.BadPixels:
    """Bad pixels of a CCD: masked on board, others of the calibration, found in the observation.

    Parameters
    ----------
    ccd
        The CCD.
    params
        Parameters of the step.
    """
    origins = ((ONBOARD, params.getuplnkbadpix), (CALIBRATION, params.getotherbadpix))
    pixels = ccd.known.chosen(*(origin for origin, wanted in origins if wanted))
    if params.getnewbadpix:
        pixels = pixels.merged(ccd.found)
    if params.windowfilter:
        pixels.clip(ccd.limits)
    return pixels


def ebadpixupdate(ccd: Ccd, list_: Events) -> npt.NDArray[np.int64]:
    """Flags of events with ON_BADPIX for those whose main pixel is a bright one found in the data.

    Parameters
    ----------
    ccd
        The CCD.
    list_
        Its events.
    """
    inside = (list_.rawx >= 1) & (list_.rawx <= ccd.shape[0]) & (list_.rawy >= 1)
    inside &= list_.rawy <= ccd.shape[1]
    on = inside & energy.at_pixels(ccd.found.bad, list_.rawx, list_.rawy)
    return np.where(on, list_.flag | int(MosFlag.ON_BADPIX), list_.flag)
