"""The simulated spectrometers as optics: from a direction in the sky and a wavelength to a place on a chip.

Light is traced in two planes: the plane of dispersion (x along the telescope's axis towards the camera, z
as in SACCOORD) and across it. Numbers are those of :mod:`daxa.simulate.numbers.gratings`.

Parameters
----------
name
    ``RGS1`` or ``RGS2``.
ra_deg, dec_deg
    The direction [deg].
time_s
    Mission time [s].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from daxa.simulate.calibration.rgs import rgs_boresight_deg
from daxa.simulate.cameras.camera import ANGLES, J2000_S, attitude_rotation
from daxa.simulate.numbers import gratings as numbers
from daxa.simulate.numbers.cameras import boresight_drift
from daxa.simulate.numbers.response import FOCAL_LENGTH_MM

#: Wavelength times energy [eV Angstrom].
HC = 12398.42
_X = np.array(numbers.CAMERA_MM) - np.array(numbers.GRATING_CENTRE_MM)
DISTANCE_MM = float(np.hypot(_X[0], _X[2]))
#: Rays gain this much in angle between sky and camera.
MAGNIFICATION = FOCAL_LENGTH_MM / DISTANCE_MM
ALPHA0 = np.deg2rad(numbers.INCIDENCE_DEG + numbers.GRATING_ROTATION_DEG)
#: Widths (standard deviations) of a line in the first order [Angstrom] and across [rad].
LINE_SIGMA_A, CROSS_SIGMA_RAD = 0.024, 8.0e-5


@dataclass(frozen=True)
class Chips:
    """Where the chips of one spectrometer stand, in the plane of dispersion.

    Attributes
    ----------
    middle
        Distance from the gratings along x and depth below the axis along -z [mm] of each chip's middle;
        shape (9, 2), CCD 1 first.
    along
        Direction in which CHIPX grows, shape (9, 2).
    """

    middle: np.ndarray
    along: np.ndarray

    @classmethod
    def of(cls, name: str) -> Chips:
        """The chips of ``RGS1`` or ``RGS2``: tangents of a circle that touches the camera's plane."""
        tilt = np.deg2rad(numbers.CAMERA_ANGLES_DEG[1])
        # The camera's plane leans from the vertical; up is +z, here with depth counted downwards.
        up, forward = np.array([np.cos(tilt), -np.sin(tilt)]), np.array([-np.sin(tilt), -np.cos(tilt)])
        origin = np.array([_X[0], -_X[2]])
        arc = numbers.CHIP_SHIFT_MM[name] + (np.arange(1, 10) - 5) * numbers.CHIP_PITCH_MM
        turn = (arc / numbers.CIRCLE_MM)[:, None]
        radius = numbers.CIRCLE_MM
        middle = origin + radius * np.sin(turn) * up + radius * (1 - np.cos(turn)) * forward
        return cls(middle, np.cos(turn) * up + np.sin(turn) * forward)

    def hit(self, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """CCD (0: none) and place along CHIPX [unbinned pixels from the edge] of diffracted rays.

        Parameters
        ----------
        beta
            Angles of diffraction [rad].
        """
        angle = np.asarray(beta, float) + ALPHA0
        ray = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        ccd, place = np.zeros(angle.shape, int), np.full(angle.shape, np.nan)
        half = numbers.PIXELS[0] / 2
        for number, (middle, along) in enumerate(zip(self.middle, self.along, strict=True), start=1):
            # s such that middle + s along is parallel to the ray.
            s = (middle[1] * ray[..., 0] - middle[0] * ray[..., 1]) / (
                along[0] * ray[..., 1] - along[1] * ray[..., 0]
            )
            x = s / numbers.PIXEL_MM + half
            inside = (x >= 0) & (x < 2 * half)
            ccd[inside], place[inside] = number, x[inside]
        return ccd, place

    def distance_mm(self, ccd: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Distance from the gratings, in the plane of dispersion.

        Parameters
        ----------
        ccd
            Numbers of the CCDs.
        place
            Place along the CCD [pixel].
        """
        s = (place - numbers.PIXELS[0] / 2) * numbers.PIXEL_MM
        return np.linalg.norm(self.middle[ccd - 1] + s[..., None] * self.along[ccd - 1], axis=-1)


def off_axis(name: str, ra_deg, dec_deg, attitude, time_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Angles [rad] of a source from a spectrometer's axis, along the dispersion and across it.

    Parameters
    ----------
    attitude
        Right ascension, declination and position angle [deg] of the spacecraft; may be arrays.
    """
    drift = boresight_drift()
    angles = [
        angle + np.interp(time_s, drift["time_s"], drift[axis]) / 3600
        for angle, axis in zip(rgs_boresight_deg(name), ANGLES, strict=True)
    ]
    to_sky = attitude_rotation(*attitude) * Rotation.from_euler("ZYX", angles, degrees=True)
    ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
    source = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    x, y, z = np.moveaxis(to_sky.inv().apply(source), -1, 0)
    # Positive along the dispersion is away from the position angle, across away from PA + 90 deg.
    return np.arctan2(-z, x), np.arctan2(-y, x)


def diffract(wavelength_a, order, along_rad) -> np.ndarray:
    """Angle of diffraction [rad] of light that comes from an angle along the dispersion.

    Parameters
    ----------
    wavelength_a
        Wavelengths [Angstrom].
    order
        The order.
    along_rad
        The angle [rad].
    """
    cosine = (
        np.cos(ALPHA0 + MAGNIFICATION * np.asarray(along_rad))
        - np.asarray(order) * np.asarray(wavelength_a) / numbers.LINE_SPACING_A
    )
    return np.arccos(cosine)


def earth_velocity_km_s(ra_deg: float, dec_deg: float, time_s: float) -> float:
    """Velocity of the Earth towards a direction, from the Sun's low-precision longitude (to 0.05 km/s)."""

    def earth(days: float) -> np.ndarray:
        anomaly = np.deg2rad(357.529 + 0.98560028 * days)
        longitude = np.deg2rad(280.459 + 0.98564736 * days)
        longitude += np.deg2rad(1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
        radius = 1.00014 - 0.01671 * np.cos(anomaly) - 0.00014 * np.cos(2 * anomaly)
        tilt = np.deg2rad(23.439)
        sun = np.cos(longitude), np.cos(tilt) * np.sin(longitude), np.sin(tilt) * np.sin(longitude)
        return -radius * np.array(sun)

    days = (time_s - J2000_S) / 86400
    per_day = (earth(days + 0.05) - earth(days - 0.05)) / 0.1
    ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
    towards = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    return float(per_day @ towards * 149597870.7 / 86400)
