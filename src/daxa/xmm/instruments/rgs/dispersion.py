"""The grating equation of the RGS, between angles and wavelengths.

Sources: Users' Handbook (dispersion equation), Calibration Access and Data Handbook (angle of incidence
of off-axis sources), manual of rgsangles (correction for drifts of the pointing). Angles are those from
the plane of the gratings; ``alpha`` of the incident and ``beta`` of the diffracted ray. The RGS works in
negative orders, so beta is larger than alpha; ``order`` is the positive number here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Planck's constant times the speed of light [eV Angstrom].
HC_EV_ANGSTROM = 12398.419843320026


def m_lambda(alpha_rad: npt.ArrayLike, beta_rad: npt.ArrayLike, spacing: float) -> FloatArray:
    """Order times wavelength (column ``M_LAMBDA``) [Angstrom].

    Parameters
    ----------
    alpha_rad, beta_rad
        Angles of incidence and diffraction [rad]; broadcast.
    spacing
        Distance of the grating's lines [Angstrom].
    """
    alpha, beta = np.asarray(alpha_rad, float), np.asarray(beta_rad, float)
    # The difference of two cosines near 1, without losing digits.
    return spacing * 2 * np.sin((beta + alpha) / 2) * np.sin((beta - alpha) / 2)


def diffraction_angle(alpha_rad: npt.ArrayLike, m_lambda_a: npt.ArrayLike, spacing: float) -> FloatArray:
    """Angle beta [rad] of order times wavelength [Angstrom]; inverse of :func:`m_lambda`.

    NaN where there is no diffracted ray.

    Parameters
    ----------
    alpha_rad
        Angle of incidence [rad].
    m_lambda_a
        Order times wavelength; shapes go together.
    spacing
        Distance of the grating's lines [Angstrom].
    """
    half = np.sin(np.asarray(alpha_rad, float) / 2) ** 2 + np.asarray(m_lambda_a, float) / (2 * spacing)
    return 2 * np.arcsin(np.sqrt(np.where((half >= 0) & (half <= 1), half, np.nan)))


def energy_ev(m_lambda_a: npt.ArrayLike, order: npt.ArrayLike = 1) -> FloatArray:
    """Photon energy [eV] of order times wavelength [Angstrom], in an order.

    Parameters
    ----------
    m_lambda_a
        Order times wavelength.
    order
        The order; shapes go together.

    Examples
    --------
    >>> energy_ev(12.398).round(1)
    np.float64(1000.0)
    """
    with np.errstate(divide="ignore"):
        return np.asarray(order, float) * HC_EV_ANGSTROM / np.asarray(m_lambda_a, float)


def drift_factor(alpha_rad: float, f_over_l: float) -> float:
    """Q, the shift of sin(beta) beta per shift of the pointing along the dispersion (``ASPFACT1``).

    Parameters
    ----------
    alpha_rad
        Angle of incidence [rad].
    f_over_l
        Focal length over the distance of gratings and chips.
    """
    return float(f_over_l * np.sin(alpha_rad))


def corrected_beta(beta_rad: npt.ArrayLike, drift_rad: npt.ArrayLike, factor: float) -> FloatArray:
    """Angle beta as at the reference attitude (``BETA_CORR``) [rad].

    Parameters
    ----------
    beta_rad
        Angle of each event.
    drift_rad
        Correction for the drift of the pointing along the dispersion, at each event's time (``ASPCDSP``):
        the offset of the source at the reference attitude minus that at the time.
    factor
        From :func:`drift_factor`.
    """
    beta = np.asarray(beta_rad, float)
    return beta + factor * np.asarray(drift_rad, float) / np.sin(beta)
