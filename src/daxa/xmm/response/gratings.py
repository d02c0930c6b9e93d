"""The grating arrays behind two of the telescopes: where they stand, and how light falls on them.

Source: Calibration Access and Data Handbook. An offset along the dispersion is ``-theta cos phi`` of the
telescope's angles (phi = 0 towards the position angle PA of the spacecraft); the angle of incidence grows
with it, by the focal length over the distance from the gratings to their camera. The sign is also that of
the spectrometer team's model rgsxsrc in XSPEC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.instruments import GRATINGS, TELESCOPES

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.ccf.constituent import Constituent

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gratings:
    """The gratings of one spectrometer.

    Attributes
    ----------
    centre_mm
        G in SACCOORD.
    alpha0_rad
        Angle of incidence of light from the axis, the rotation of the array included.
    spacing
        Distance of the lines [Angstrom].
    f_over_l
        Focal length of the telescope over the distance from the gratings to the camera.
    """

    centre_mm: FloatArray
    alpha0_rad: float
    spacing: float
    f_over_l: float

    @classmethod
    def from_calibration(cls, cal: Calibration, instrument: str) -> Gratings:
        """The gratings of ``RGS1`` or ``RGS2``, from LINCOORD and MISCDATA.

        Parameters
        ----------
        cal
            The calibration.
        instrument
            ``RGS1`` or ``RGS2``.

        Raises
        ------
        MissingConstituent, UnknownLayout
            The calibration lacks something.
        """
        lincoord = cal.constituent(instrument, "LINCOORD")
        centre = vector(lincoord, "G_T")
        telescope = TELESCOPES[next(camera for camera, rgs in GRATINGS.items() if rgs == instrument)]
        distance = np.linalg.norm(vector(lincoord, "CC2_T") - centre)
        rotation_deg = lincoord.number("G_RY", "LINCOORD")
        return cls(
            centre,
            float(np.deg2rad(cal.misc(instrument, "INCIDENCE_ANGLE") + rotation_deg)),
            1e7 / cal.misc(instrument, "GRAT_LINE_DENS"),
            float(cal.misc(telescope, "FOCAL_LENGTH") / distance),
        )

    def incidence_angle(self, dispersion_rad: npt.ArrayLike) -> FloatArray:
        """Angle of incidence alpha [rad] of light from an offset along the dispersion [rad].

        Parameters
        ----------
        dispersion_rad
            Offsets [rad], any shape.
        """
        return self.alpha0_rad + self.f_over_l * np.asarray(dispersion_rad, float)


def vector(lincoord: Constituent, prefix: str) -> FloatArray:
    """Three header keywords of LINCOORD that begin alike, for X, Y and Z.

    Parameters
    ----------
    lincoord
        The constituent LINCOORD.
    prefix
        What the keywords begin with.

    Returns
    -------
    array of shape (3,)
        Their values.
    """
    return np.array([lincoord.number(f"{prefix}{axis}", "LINCOORD") for axis in "XYZ"])
