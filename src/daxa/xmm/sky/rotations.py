"""Rotations between the frames of the spacecraft, its cameras and the sky."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.eventlist import UNIT_ARCSEC
from daxa.xmm.sky.tangent import local_frame

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

FloatArray = npt.NDArray[np.float64]

DET_UNIT_RAD = np.deg2rad(UNIT_ARCSEC / 3600.0)
#: Where the position angle PA points on each detector, along DETX and DETY: the dispersion of the gratings
#: (XMM-Newton Users' Handbook; signs measured on products).
_TOWARDS_PA = {"EMOS1": (0, 1), "EMOS2": (-1, 0), "EPN": (1, 0)}
#: How far a camera may be turned from that, and its axis from the spacecraft's (really 0.4 and 0.04 deg).
_MISALIGNMENT_DEG = 2.0


def euler_matrix(phi_deg: float, theta_deg: float, psi_deg: float) -> FloatArray:
    """Passive 3-2-1 rotation R1(psi) R2(theta) R3(phi); its rows are the new axes in the old frame.

    Parameters
    ----------
    phi_deg, theta_deg, psi_deg
        Angles of the rotations about the third, second and first axis [deg].

    Returns
    -------
    array of shape (3, 3)
        The rotation.

    Examples
    --------
    >>> euler_matrix(90.0, 0.0, 0.0).round(12).tolist()
    [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    a, b, c = np.deg2rad([phi_deg, theta_deg, psi_deg])
    r3 = np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
    r2 = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    r1 = np.array([[1, 0, 0], [0, np.cos(c), np.sin(c)], [0, -np.sin(c), np.cos(c)]])
    return r1 @ r2 @ r3


def euler_angles(matrix: npt.ArrayLike) -> tuple[float, float, float]:
    """Angles phi, theta, psi [deg] of a rotation; inverse of :func:`euler_matrix`.

    Parameters
    ----------
    matrix
        Rotation, shape (3, 3).

    Examples
    --------
    >>> [round(angle, 9) for angle in euler_angles(euler_matrix(10.0, -20.0, 30.0))]
    [10.0, -20.0, 30.0]
    """
    m = np.asarray(matrix, float)
    theta = -np.arcsin(np.clip(m[0, 2], -1, 1))
    phi = np.arctan2(m[0, 1], m[0, 0])
    psi = np.arctan2(m[1, 2], m[2, 2])
    return tuple(float(v) for v in np.rad2deg([phi, theta, psi]))  # type: ignore[return-value]


def attitude_frame(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, pa_deg: npt.ArrayLike) -> FloatArray:
    """Spacecraft axes in J2000 as rows (..., 3, 3): viewing direction, position angle PA + 90 deg, PA.

    Parameters
    ----------
    ra_deg, dec_deg, pa_deg
        Viewing direction and position angle [deg], of shapes that go together.
    """
    frame = local_frame(ra_deg, dec_deg)
    pa = np.deg2rad(np.asarray(pa_deg, float))[..., None]
    view, east, north = frame[..., 0, :], frame[..., 1, :], frame[..., 2, :]
    view, along = np.broadcast_arrays(view, north * np.cos(pa) + east * np.sin(pa))
    across = np.broadcast_to(-north * np.sin(pa) + east * np.cos(pa), view.shape)
    return np.stack([view, across, along], axis=-2)


def check_orientation(instrument: str, boresight: FloatArray) -> None:
    """Refuse angles that mean another frame than ours: they would give wrong positions, quietly.

    The frame of the real file's angles is known in words only; a quarter turn or a sign apart it would
    look like ours.

    Parameters
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    boresight
        Rotation of the camera, shape (3, 3).
    """
    x, y = _TOWARDS_PA[instrument]
    for axis, expected, name in (
        (boresight[0], (1, 0, 0), "the optical axis"), (boresight[1], (0, y, x), "+DETX"),
        (boresight[2], (0, -x, y), "+DETY"),
    ):  # fmt: skip
        if axis @ np.array(expected, float) < np.cos(np.deg2rad(_MISALIGNMENT_DEG)):
            found = ", ".join(f"{v:.4f}" for v in axis)
            raise UnknownLayout(
                f"XMM_BORESIGHT: its angles for {instrument} put {name} at ({found}) in the "
                f"spacecraft frame (view, PA + 90 deg, PA), not near {expected}: they mean another frame"
            )


def camera_vectors(x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
    """Directions (axis, +DETX, +DETY), not normalised, of positions from the axis [0.05 arcsec]; (..., 3).

    Parameters
    ----------
    x, y
        Positions, of shapes that go together.
    """
    x, y = np.broadcast_arrays(np.asarray(x, float) * DET_UNIT_RAD, np.asarray(y, float) * DET_UNIT_RAD)
    return np.stack([np.ones_like(x), x, y], axis=-1)


def boresight_matrix(cal: Calibration, instrument: str, time_s: float) -> FloatArray:
    """Rotation from the spacecraft frame to a camera's frame at a mission time (XMM_BORESIGHT).

    Parameters
    ----------
    cal
        The calibration.
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    time_s
        Mission time [s].

    Raises
    ------
    MissingConstituent, UnknownLayout
        The calibration lacks something.
    """
    constituent = cal.constituent("XMM", "BORESIGHT")
    table = constituent.table("BORESIGHT")
    rows = np.flatnonzero(np.char.strip(table["INSTRUMENT_ID"]) == instrument)
    if len(rows) != 1:
        raise UnknownLayout(f"{table.where}: {len(rows)} rows for {instrument}")
    angles: list[float] = []
    offsets = constituent.table(f"{instrument}_ANGVAR")
    for name in ("PHI", "THETA", "PSI"):
        value = float(table[f"EULER_{name}"][rows[0]])
        if offsets.n_rows:
            value += float(np.interp(time_s, offsets["TIME"], offsets[f"DELTA_{name}"])) / 3600.0
        angles.append(value)
    return euler_matrix(*angles)
