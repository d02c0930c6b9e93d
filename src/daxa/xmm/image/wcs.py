"""The celestial coordinates of image headers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError

if TYPE_CHECKING:
    from astropy.wcs import WCS

FloatArray = npt.NDArray[np.float64]
PixelsTo = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


def sky_wcs(header: Any) -> WCS:
    """Celestial WCS of an image header.

    Parameters
    ----------
    header
        The header.
    """
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        # SAS writes RADECSYS, which astropy reads but finds old-fashioned.
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(header, naxis=2)


def detector_grid(header: Any, where: str) -> PixelsTo:
    """Function from 0-based pixel coordinates (x, y) of an image to DETX, DETY.

    Parameters
    ----------
    header
        The header.
    where
        Name of the file, for messages.

    Raises
    ------
    TaskError
        ``badImage``: neither axes of the header nor the alternate ones (``L``) are DETX, DETY.
    """
    for alternate in ("", "L"):
        if str(header.get(f"CTYPE1{alternate}", "")).strip() == "DETX":
            break
    else:
        raise TaskError("badImage", f"{where}: withdetcoords=yes needs an image in DETX, DETY")
    values = [
        [float(header[f"{key}{axis}{alternate}"]) for key in ("CRVAL", "CDELT", "CRPIX")] for axis in (1, 2)
    ]

    def grid(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        (vx, dx, rx), (vy, dy, ry) = values
        return vx + dx * (x + 1 - rx), vy + dy * (y + 1 - ry)

    return grid
