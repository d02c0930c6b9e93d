"""What the pn chain takes from calibration files, as values for one CCD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daxa.xmm.instruments.badpixels import CALIBRATION, ONBOARD, calibrated_kinds
from daxa.xmm.instruments.pn.badpixels import BadPixel, psf_core_share

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration


def core_share(cal: Calibration, cellsize: int) -> float:
    """Share of an on-axis point source's counts in its central pixel."""
    table = cal.constituent("XRT3", "XPSF").table("KING_PARAMS")
    on_axis = np.asarray(table["THETA"]) == np.min(table["THETA"])
    core, slope = np.median(np.asarray(table["PARAMS"], float)[on_axis], axis=0)
    # The plate scale in arcsec per mm, times the pixel.
    pixel = abs(cal.constituent("EPN", "LINCOORD").number("MM_PX_X", "LINCOORD")) * abs(
        cal.constituent("EPN", "LINCOORD").number("ARC_MM_X", "LINCOORD")
    )
    return psf_core_share(float(core), float(slope), pixel, cellsize)


def known_bad_pixels(cal: Calibration, ccd: int, *, uplinked: bool, other: bool) -> list[BadPixel]:
    """Bad pixels of a CCD in EPN_BADPIX: those removed on board and the others.

    Parameters
    ----------
    uplinked, other
        Which of the two kinds to return (getuplnkbadpix, getotherbadpix).
    """
    constituent = cal.constituent("EPN", "BADPIX")
    table, kinds = constituent.table("BADPIX"), calibrated_kinds(constituent)
    found = []
    for i in np.flatnonzero(np.asarray(table["CCD_ID"]) == ccd):
        on_board = bool(table["UPLINKED"][i])
        if uplinked if on_board else other:
            found.append(
                BadPixel(
                    int(table["RAWX"][i]),
                    int(table["RAWY"][i]),
                    int(kinds[i]),
                    int(table["YEXTENT"][i]),
                    ONBOARD if on_board else CALIBRATION,
                )
            )
    return sorted(found)
