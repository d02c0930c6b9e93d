"""Extended sources: their profiles, smeared by the telescope.

Source: manual of emldetect (beta model of slope 2/3 or Gaussian, convolved with the point-spread function).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, next_fast_len, rfft2

from daxa.xmm.response.psf import King

FloatArray = npt.NDArray[np.float64]
#: Distance to which the telescope smears [arcsec]: beyond lies little, and what is extended does not show it.
_SMEARED_ARCSEC = 80.0


def extended_profile(
    dx: FloatArray, dy: FloatArray, pixel_arcsec: float, extent: float, model: str
) -> FloatArray:
    """Share of an extended source in each pixel, before the telescope smears it.

    Parameters
    ----------
    dx, dy
        Offsets of the pixels' middles from the source [arcsec].
    pixel_arcsec
        Side of a pixel [arcsec].
    extent
        Core radius or standard deviation [pixel].
    model
        ``beta`` or ``gaussian``.
    """
    total = np.zeros(np.broadcast(dx, dy).shape)
    size = extent * pixel_arcsec
    # A profile that is wide is even within a pixel.
    parts = 3 if extent < 4 else 1
    steps = ((np.arange(parts) + 0.5) / parts - 0.5) * pixel_arcsec
    for v in steps:
        for u in steps:
            beyond = 1 + ((dx + u) / size) ** 2 + ((dy + v) / size) ** 2
            total += np.exp(0.5 - 0.5 * beyond) if model == "gaussian" else 1 / (beyond * np.sqrt(beyond))
    # Both profiles have the integral 2 pi times the square of their size.
    return total / parts**2 * pixel_arcsec**2 / (2 * np.pi * size**2)


class Smeared:
    """Extended sources in one part of an image, as several point-spread functions show them.

    Parameters
    ----------
    kings
        The point-spread functions.
    shape
        Of the part (ny, nx).
    pixel_arcsec
        Side of a pixel [arcsec].
    """

    def __init__(self, kings: Sequence[King], shape: tuple[int, int], pixel_arcsec: float) -> None:
        self.shape, self.pixel = shape, pixel_arcsec
        # The grid is wider than the part, so that what lies outside is smeared into it, too.
        self._reach = int(np.ceil(_SMEARED_ARCSEC / pixel_arcsec))
        self._grid = [next_fast_len(n + 2 * self._reach, real=True) for n in shape]
        offsets = np.arange(-self._reach, self._reach + 1) * pixel_arcsec
        gx, gy = np.meshgrid(offsets, offsets)
        points = np.array([king.on_pixels(gx, gy, pixel_arcsec) for king in kings])
        self._smearing = rfft2(points / points.sum(axis=(1, 2), keepdims=True), self._grid)

    def shares(self, x: float, y: float, extent: float, model: str) -> FloatArray:
        """Shares of a source in each pixel, (point-spread functions, ny, nx).

        Parameters
        ----------
        x, y
            Its place [pixel of the part].
        extent
            Core radius or standard deviation [pixel].
        model
            ``beta`` or ``gaussian``.
        """
        rows, columns = (np.arange(n) - self._reach for n in self._grid)
        dx, dy = (columns[None, :] - x) * self.pixel, (rows[:, None] - y) * self.pixel
        profile = rfft2(extended_profile(dx, dy, self.pixel, extent, model))
        smeared = irfft2(profile * self._smearing, self._grid)
        # A point-spread function that begins at the corner moves what it smears by its reach.
        first = 2 * self._reach
        return np.asarray(smeared[:, first : first + self.shape[0], first : first + self.shape[1]])
