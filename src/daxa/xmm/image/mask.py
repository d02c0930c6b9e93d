"""Where an exposure map is good for finding sources.

Source: emask task manual. What a change of the exposure is, and that it is compared with the largest one, is
found in five masks of emask 2.16 (SAS 20), which come out equal in every pixel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.select.regions import Region

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def detection_mask(exposure: FloatArray, least: float, steepest: float) -> BoolArray:
    """Pixels that are exposed long enough, away from edges.

    Parameters
    ----------
    exposure : (ny, nx) array
        The map [s].
    least
        Share of the largest exposure that a pixel has to exceed.
    steepest
        Share of the largest exposure that the difference of the pixels to either side may not exceed, along
        both axes in quadrature. At the border of the image a pixel is its own neighbour.

    Examples
    --------
    >>> detection_mask(np.array([[0.0, 9.0, 10.0, 10.0]]), 0.3, 0.95).astype(int).tolist()
    [[0, 0, 1, 1]]
    """
    most = float(exposure.max()) if exposure.size else 0.0
    framed = np.pad(exposure, 1, mode="edge")
    along_x = framed[1:-1, 2:] - framed[1:-1, :-2]
    along_y = framed[2:, 1:-1] - framed[:-2, 1:-1]
    return (exposure > least * most) & (np.hypot(along_x, along_y) <= steepest * most)


def pixels_in(region: Region, shape: tuple[int, int]) -> BoolArray:
    """Pixels whose centre lies in any shape of a region given in pixels, the first of which is 1.

    Every shape counts by itself, whatever its COMPONENT: so do the tables that ESAS gives to emask.

    Parameters
    ----------
    region
        The region.
    shape
        ``(ny, nx)`` of the image.
    """
    y, x = np.indices(shape, float) + 1.0
    inside = np.zeros(shape, bool)
    for component in region.components:
        for one in component:
            inside |= one.contains(x, y)
    return inside
