"""Geometry of the RGS: RAW pixels, chips, the camera, dispersion angles, wavelengths and the sky.

Source: Calibration Access and Data Handbook (coordinate systems, LINCOORD, angles of the gratings).

RAWX, RAWY
    pixels from 1, counted from the read-out node, after on-chip binning (``ocb``, normally 3 x 3).
CHIPX, CHIPY
    the same, counted from node 0 over the whole chip.
SACCOORD
    millimetres in the frame of the spacecraft; light travels along +X, the gratings (centre G) throw it
    towards -Z.
beta, xdsp
    angles [rad] of a place on the chips as seen from G: from the plane of the gratings, and out of the
    dispersion plane, positive towards +Y.
offsets
    of a source from the axis [rad]: along the dispersion, ``-theta cos phi``, and across, ``theta sin phi``,
    with theta and phi of the telescope (phi = 0 towards the position angle PA of the spacecraft, growing
    towards PA - 90 deg). In arcmin these are DELTA_DISP and DELTA_XDSP of a source list.

The angle of incidence grows with the offset along the dispersion, as the handbook's equation says. The
sign of xdsp for an offset across is assumed (no public text gives it): a positive offset gives a positive
xdsp.

Parameters
----------
ccd
    Numbers of the CCDs.
node
    Read-out nodes, 0 or 1.
rawx, rawy
    Column and row in the node, from 1; shapes go together.
ocb
    Pixels of the chip in one of the telemetry, along each axis.
ra_pnt_deg, dec_pnt_deg, pa_deg
    Viewing direction and position angle of the telescope [deg].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.instruments.rgs.dispersion import diffraction_angle
from daxa.xmm.response.gratings import Gratings
from daxa.xmm.sky.rotations import attitude_frame, euler_matrix
from daxa.xmm.sky.tangent import direction, local_frame, position

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Pixels of one read-out node before binning: along and across the dispersion.
NODE_PIXELS = (512, 384)
#: Usual binning on the chips.
BINNING = 3


def node_shape(ocb: int = BINNING) -> tuple[int, int]:
    """Columns and rows of one node after binning."""
    nx, ny = NODE_PIXELS
    return -(-nx // ocb), -(-ny // ocb)


def raw_to_chip(node: npt.ArrayLike, rawx: npt.ArrayLike, ocb: int = BINNING) -> FloatArray:
    """CHIPX of RAWX; rows are the same in both."""
    rawx = np.asarray(rawx, float)
    return np.where(np.asarray(node) == 0, rawx, 2 * node_shape(ocb)[0] + 1 - rawx)


def chip_to_raw(chipx: npt.ArrayLike, ocb: int = BINNING) -> tuple[IntArray, FloatArray]:
    """Node and RAWX of CHIPX; inverse of :func:`raw_to_chip`.

    Parameters
    ----------
    chipx
        Columns of the chip, from 1.
    """
    chipx, nx = np.asarray(chipx, float), node_shape(ocb)[0]
    node = (chipx >= nx + 0.5).astype(np.int64)
    return node, np.where(node == 0, chipx, 2 * nx + 1 - chipx)


class RgsGeometry:
    """Places on the chips of one spectrometer, as angles, wavelengths and on the sky, at one epoch.

    Parameters
    ----------
    chips
        CCD and node -> SACCOORD of its pixel (0, 0) [mm], shape (3,), and steps along RAWX and RAWY, shape
        (2, 3).

    Attributes
    ----------
    instrument
        ``RGS1`` or ``RGS2``.
    ccds
        CCD numbers.
    gratings
        Its gratings.
    boresight
        Rotation from the spacecraft frame (view, PA + 90 deg, PA) to the spectrometer's.
    """

    def __init__(
        self,
        instrument: str,
        chips: dict[tuple[int, int], tuple[FloatArray, FloatArray]],
        gratings: Gratings,
        boresight: FloatArray,
    ) -> None:
        self.instrument, self.gratings, self.boresight = instrument, gratings, boresight
        self.ccds = np.array(sorted({ccd for ccd, _ in chips}))
        # SACCOORD of unbinned pixel (0, 0) of a node, and its steps along RAWX and RAWY; NaN: no such node.
        self._origin = np.full((int(self.ccds[-1]) + 1, 2, 3), np.nan)
        self._steps = np.full((int(self.ccds[-1]) + 1, 2, 2, 3), np.nan)
        for (ccd, node), (origin, steps) in chips.items():
            self._origin[ccd, node], self._steps[ccd, node] = origin, steps

    # --- pixels and angles ---

    def raw_to_sac(
        self,
        ccd: npt.ArrayLike,
        node: npt.ArrayLike,
        rawx: npt.ArrayLike,
        rawy: npt.ArrayLike,
        ocb: int = BINNING,
    ) -> FloatArray:
        """SACCOORD [mm] of pixels (real-valued, integers at pixel centres); shape (..., 3).

        Raises
        ------
        ValueError
            The calibration has no such CCD or read-out node.
        """
        ccd, node = np.asarray(ccd, dtype=np.intp), np.asarray(node, dtype=np.intp)
        if (
            np.any((ccd < 0) | (ccd >= len(self._origin)) | (node < 0) | (node > 1))
            or np.isnan(self._origin[ccd, node]).any()
        ):
            raise ValueError(f"{self.instrument}: no such CCD or node; CCDs are {self.ccds.tolist()}")
        # The centre of bin i of n pixels is pixel n (i - 1/2) + 1/2.
        x, y = (ocb * (np.asarray(v, float)[..., None] - 0.5) + 0.5 for v in (rawx, rawy))
        steps = self._steps[ccd, node]
        return self._origin[ccd, node] + x * steps[..., 0, :] + y * steps[..., 1, :]

    def raw_to_angles(
        self,
        ccd: npt.ArrayLike,
        node: npt.ArrayLike,
        rawx: npt.ArrayLike,
        rawy: npt.ArrayLike,
        ocb: int = BINNING,
    ) -> tuple[FloatArray, FloatArray]:
        """Angles beta and xdsp [rad] of pixels."""
        x, y, z = np.moveaxis(self.raw_to_sac(ccd, node, rawx, rawy, ocb) - self.gratings.centre_mm, -1, 0)
        return np.arctan2(-z, x) - self.gratings.alpha0_rad, np.arctan2(y, np.hypot(x, z))

    def angles_to_raw(
        self, beta_rad: npt.ArrayLike, xdsp_rad: npt.ArrayLike, ocb: int = BINNING
    ) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
        """CCD, node, RAWX and RAWY (real-valued) of angles [rad].

        CCD and node are 0 and RAW is NaN where there is no pixel.

        Parameters
        ----------
        beta_rad, xdsp_rad
            The angles, of shapes that go together.
        """
        beta, xdsp = np.broadcast_arrays(np.asarray(beta_rad, float), np.asarray(xdsp_rad, float))
        a = beta + self.gratings.alpha0_rad
        ray = np.stack([np.cos(xdsp) * np.cos(a), np.sin(xdsp), -np.cos(xdsp) * np.sin(a)], axis=-1)
        ccd, node = np.zeros(beta.shape, np.int64), np.zeros(beta.shape, np.int64)
        rawx, rawy = np.full(beta.shape, np.nan), np.full(beta.shape, np.nan)
        nx, ny = NODE_PIXELS
        for number in self.ccds.tolist():
            for side in (0, 1):
                steps = self._steps[number, side]
                # origin + x step_x + y step_y = G + t ray, by Cramer's rule.
                normal = np.cross(steps[0], steps[1])
                offset = self._origin[number, side] - self.gratings.centre_mm
                t = offset @ normal / (ray @ normal)
                place = t[..., None] * ray - offset
                x, y = np.moveaxis(place @ np.linalg.pinv(steps), -1, 0)
                here = (t > 0) & (x >= 0.5) & (x < nx + 0.5) & (y >= 0.5) & (y < ny + 0.5)
                ccd[here], node[here] = number, side
                rawx[here], rawy[here] = (((v[here] - 0.5) / ocb + 0.5) for v in (x, y))
        return ccd, node, rawx, rawy

    # --- sources ---

    def image(
        self, m_lambda_a: npt.ArrayLike, dispersion_rad: npt.ArrayLike = 0.0, cross_rad: npt.ArrayLike = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Angles beta and xdsp [rad] where light of a source falls.

        Parameters
        ----------
        m_lambda_a
            Order times wavelength [Angstrom].
        dispersion_rad, cross_rad
            Offsets of the source.
        """
        beta = diffraction_angle(
            self.gratings.incidence_angle(dispersion_rad), m_lambda_a, self.gratings.spacing
        )
        return np.broadcast_arrays(beta, self.gratings.f_over_l * np.asarray(cross_rad, float))  # type: ignore[return-value]

    def sky_to_offsets(
        self,
        ra_deg: npt.ArrayLike,
        dec_deg: npt.ArrayLike,
        ra_pnt_deg: npt.ArrayLike,
        dec_pnt_deg: npt.ArrayLike,
        pa_deg: npt.ArrayLike,
    ) -> tuple[FloatArray, FloatArray]:
        """Offsets [rad] along and across the dispersion of sky positions, for an attitude [deg].

        NaN for directions 90 deg or more from the axis.

        Parameters
        ----------
        ra_deg, dec_deg
            The positions.
        """
        frame = self.boresight @ attitude_frame(ra_pnt_deg, dec_pnt_deg, pa_deg)
        v = np.einsum("...ij,...j->...i", frame, direction(ra_deg, dec_deg))
        depth = np.where(v[..., 0] > 0, v[..., 0], np.nan)
        return np.arctan(-v[..., 2] / depth), np.arctan(-v[..., 1] / depth)

    def offsets_to_sky(
        self,
        dispersion_rad: npt.ArrayLike,
        cross_rad: npt.ArrayLike,
        ra_pnt_deg: npt.ArrayLike,
        dec_pnt_deg: npt.ArrayLike,
        pa_deg: npt.ArrayLike,
    ) -> tuple[FloatArray, FloatArray]:
        """Right ascension and declination [deg] of offsets; inverse of :meth:`sky_to_offsets`.

        Parameters
        ----------
        dispersion_rad, cross_rad
            Offsets along and across the dispersion [rad].
        """
        along, across = np.broadcast_arrays(
            -np.tan(np.asarray(dispersion_rad, float)), -np.tan(np.asarray(cross_rad, float))
        )
        vectors = np.stack([np.ones_like(along), across, along], axis=-1)
        frame = self.boresight @ attitude_frame(ra_pnt_deg, dec_pnt_deg, pa_deg)
        return position(np.einsum("...ji,...j->...i", frame, vectors))

    def pointing(
        self, ra_pnt_deg: npt.ArrayLike, dec_pnt_deg: npt.ArrayLike, pa_deg: npt.ArrayLike
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Where the spectrometer's axis points [deg]: right ascension, declination, position angle.

        This is what rgsangles calls the reference attitude, if given the median attitude.
        """
        view, _, along = np.moveaxis(self.boresight @ attitude_frame(ra_pnt_deg, dec_pnt_deg, pa_deg), -2, 0)
        ra, dec = position(view)
        _, east, north = np.moveaxis(local_frame(ra, dec), -2, 0)
        angle = np.arctan2(np.sum(along * east, axis=-1), np.sum(along * north, axis=-1))
        return ra, dec, np.rad2deg(angle) % 360.0


def sun_angle(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, time_s: float) -> FloatArray:
    """Angle [rad] between directions and the Sun, as seen from the Earth, at a mission time.

    rgsangles prints it for the reference attitude and the middle of the exposure.

    Parameters
    ----------
    ra_deg, dec_deg
        The directions [deg].
    time_s
        The time.
    """
    import erfa

    # Mission times are TT since MJD 50814.
    heliocentric, _ = erfa.epv00(2400000.5, 50814.0 + time_s / 86400.0)
    sun = -np.asarray(heliocentric["p"], float)
    return np.arccos(np.clip(direction(ra_deg, dec_deg) @ (sun / np.linalg.norm(sun)), -1, 1))


def camera_axes(phi_deg: float, theta_deg: float, psi_deg: float) -> FloatArray:
    """Axes of the camera in SACCOORD as rows, from Euler angles about z, x, z.

    Parameters
    ----------
    phi_deg, theta_deg, psi_deg
        Angles of the rotations [deg].
    """

    def about_z(angle_deg: float) -> Any:
        return euler_matrix(angle_deg, 0, 0)

    return about_z(psi_deg) @ euler_matrix(0, 0, theta_deg) @ about_z(phi_deg)
