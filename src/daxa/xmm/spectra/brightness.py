"""How bright a source is over the detector: images of any camera, and point-spread functions, as weights.

Source: manual of arfgen (an image in detector or sky coordinates of any EPIC camera stands for the source; it
is carried over through the sky).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import open_hdus, unreadable
from daxa.xmm.image.wcs import sky_wcs

if TYPE_CHECKING:
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.spectra.region import Observed

FloatArray = npt.NDArray[np.float64]
Weight = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class DetectorMap:
    """An image that stands for a source.

    Attributes
    ----------
    path
        Its file.
    counts
        Its pixels, shape (rows, columns).
    header
        Its header.
    """

    path: Path
    counts: FloatArray
    header: Any

    @classmethod
    def read(cls, path: Path) -> DetectorMap:
        """From the primary HDU of a file.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        TaskError
            ``noFile``, ``notFits``, ``badMap``: there is no image, or nothing in it.
        """
        if not path.exists():
            raise TaskError("noFile", f"{path}: no such file")
        try:
            with open_hdus(path) as hdus:
                data, header = hdus[0].data, hdus[0].header.copy()
        except unreadable() as error:
            raise TaskError("notFits", f"{path}: {error}") from error
        counts = (
            np.zeros((0, 0)) if data is None or data.ndim != 2 else np.nan_to_num(np.asarray(data, float))
        )
        if not counts.sum() > 0:
            raise TaskError("badMap", f"{path}: the primary HDU is not an image with a sum above zero")
        return cls(path, counts, header)

    @property
    def in_detector_coordinates(self) -> bool:
        """Whether its axes are DETX and DETY."""
        return self._axes is not None

    @property
    def _axes(self) -> str | None:
        """What follows the keywords of axes that are DETX and DETY."""
        names = ("", "L")
        return next((n for n in names if str(self.header.get(f"CTYPE1{n}", "")).strip() == "DETX"), None)

    def weight(
        self, observed: Observed, geometry: CameraGeometry, own: CameraGeometry | None = None
    ) -> Weight:
        """The image as a function of DETX, DETY of the spectrum's camera.

        Parameters
        ----------
        observed, geometry
            The spectrum, and the geometry of its camera.
        own
            Geometry of the camera that the image is of, if it is another one and in detector coordinates.

        Raises
        ------
        TaskError
            ``badMap``: keywords of its axes or of its pointing are missing.
        """
        if not self.in_detector_coordinates:
            wcs = sky_wcs(self.header)
            if not wcs.has_celestial:
                kinds = f"{self.header.get('CTYPE1')!r}, {self.header.get('CTYPE2')!r}"
                raise TaskError(
                    "badMap", f"{self.path}: axes are {kinds}, not DETX, DETY or those of the sky"
                )

            def of_the_sky(detx: FloatArray, dety: FloatArray) -> FloatArray:
                x, y = wcs.wcs_world2pix(*geometry.det_to_sky(detx, dety, *observed.pointing), 0)
                return self._at(x, y)

            return of_the_sky
        start, step, pixel = (
            [self._number(f"{key}{axis}{self._axes}") for axis in (1, 2)]
            for key in ("CRVAL", "CDELT", "CRPIX")
        )
        if own is None:

            def of_the_detector(detx: FloatArray, dety: FloatArray) -> FloatArray:
                return self._at(
                    *(
                        (v - s) / d + p - 1
                        for v, s, d, p in zip((detx, dety), start, step, pixel, strict=True)
                    )
                )

            return of_the_detector
        pointing = [self._number(key) for key in ("RA_PNT", "DEC_PNT", "PA_PNT")]

        def of_another(detx: FloatArray, dety: FloatArray) -> FloatArray:
            sky = geometry.det_to_sky(detx, dety, *observed.pointing)
            there = own.sky_to_det(*sky, *pointing)
            return self._at(
                *((v - s) / d + p - 1 for v, s, d, p in zip(there, start, step, pixel, strict=True))
            )

        return of_another

    def _number(self, key: str) -> float:
        try:
            return float(self.header[key])
        except (KeyError, TypeError, ValueError):
            raise TaskError("badMap", f"{self.path}: keyword {key} is missing or not a number") from None

    def _at(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Values at 0-based pixel coordinates; 0 outside."""
        x, y = (np.nan_to_num(v, nan=-9.0, posinf=-9.0, neginf=-9.0) for v in (x, y))
        column, row = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
        ny, nx = self.counts.shape
        inside = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
        result = np.zeros(x.shape)
        result[inside] = self.counts[row[inside], column[inside]]
        return result
