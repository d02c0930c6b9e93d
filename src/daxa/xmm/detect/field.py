"""What sources are searched in: images of one grid, of several cameras and bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from daxa.xmm.response.psf import King, PointSpread

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
OffAxis = Callable[[float, float], float]


@dataclass(frozen=True)
class BandImage:
    """One image, with what is known of its background and exposure.

    Attributes
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    band
        Number of the energy band, from 1.
    energy_ev
        Energy at which the point-spread function is taken [eV].
    counts, exposure
        Arrays of the shape (ny, nx); exposure in seconds.
    good
        Pixels that count.
    spread, off_axis
        Point-spread function of the telescope; angle from its axis [arcmin] of a 0-based pixel (x, y).
    background
        Counts expected in each pixel without sources; None if not known.
    ecf
        Counts per energy of a source [1e11 ct cm2 / erg]; 0 if not known.
    """

    instrument: str
    band: int
    energy_ev: float
    counts: FloatArray
    exposure: FloatArray
    good: BoolArray
    spread: PointSpread
    off_axis: OffAxis
    background: FloatArray | None = None
    ecf: float = 0.0

    def king(self, x: float, y: float) -> King:
        """The point-spread function at a place.

        Parameters
        ----------
        x, y
            0-based pixel.
        """
        return self.spread.king(self.energy_ev, self.off_axis(x, y))

    def with_background(self, background: FloatArray) -> BandImage:
        """The same image with another background.

        Parameters
        ----------
        background
            Counts expected in each pixel, of the image's shape.
        """
        return replace(self, background=background)


@dataclass(frozen=True)
class Field:
    """Images of one grid.

    Attributes
    ----------
    images
        One for each camera and band.
    pixel_arcsec
        Side of a pixel [arcsec].
    """

    images: Sequence[BandImage]
    pixel_arcsec: float

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (ny, nx) of all images."""
        ny, nx = self.images[0].counts.shape
        return ny, nx
