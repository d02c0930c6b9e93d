"""The celestial coordinates of image headers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropy.wcs import WCS


def sky_wcs(header: Any) -> WCS:
    """Celestial WCS of an image header."""
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        # SAS writes RADECSYS, which astropy reads but finds old-fashioned.
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(header, naxis=2)
