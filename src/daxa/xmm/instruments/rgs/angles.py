"""The task rgsangles: dispersion angles corrected for the drift of the pointing, wavelengths, channels.

Sources: manual of rgsangles; parameters and defaults from a real run's log. The drift is that of the axis, so
that it is the same for all sources; only the factor Q depends on the prime source. ``ASPCXDSP`` is stored as
the angle to add to XDSP.

Heliocentric correction: velocity of the Earth towards the axis in the middle of the exposure. The satellite's
own motion, some km/s, is not in it, as the layout of the orbit file is not known. Correction for the angle to
the Sun: not made. Public are its form (linear in the angle, a pair a, b per instrument and order) and the
coefficients of one run; shifts of the known size, some mA between 70 and 110 deg, result only from
a + b (angle - 90 deg) in mA (assumed), and neither the sign nor the side from which the angle counts is
known: a wrong guess would double the shift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.instruments.rgs.dispersion import corrected_beta, drift_factor, m_lambda

if TYPE_CHECKING:
    from daxa.xmm.instruments.rgs.geometry import RgsGeometry
    from daxa.xmm.instruments.rgs.options import Rgsangles
    from daxa.xmm.sky.attitude import Attitude

FloatArray = npt.NDArray[np.float64]
_AU_KM_PER_DAY = 149597870.7 / 86400.0


@dataclass(frozen=True)
class Grid:
    """Channels of a column: the middle of channel 1, the width, the number."""

    first: float
    width: float
    n: int

    def channel(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Channel of values, from 1; 0 outside the grid and for NaN.

        Parameters
        ----------
        values
            The values, any shape.
        """
        number = np.floor((np.asarray(values, float) - self.first) / self.width + 1.5)
        inside = np.isfinite(number) & (number >= 1) & (number <= self.n)
        return np.where(inside, number, 0).astype(np.int64)

    def centre(self, channel: npt.ArrayLike) -> FloatArray:
        """Value in the middle of channels.

        Parameters
        ----------
        channel
            The channels, any shape.
        """
        return self.first + (np.asarray(channel, float) - 1) * self.width


def channel_grids(options: Rgsangles) -> dict[str, tuple[str, str, Grid]]:
    """Column of channels -> column that they divide, its unit, and the grid.

    Parameters
    ----------
    options
        Parameters of rgsangles.

    Raises
    ------
    TaskError
        ``badParameter``: the ends of a range are in the wrong order.
    """
    wavelength = Grid(options.lambdabinref, options.lambdabinwidth, options.nlambdabins)
    beta = Grid(options.betabinref, options.betabinwidth, options.nbetabins)
    across = Grid(options.xdispbinref, options.xdispbinwidth, options.nxdispbins)
    if options.betabinning == "binCount":
        beta = _between("beta", options.betamin, options.betamax, options.nbetabins)
    if options.xdispbinning == "binCount":
        across = _between("xdisp", options.xdispmin, options.xdispmax, options.nxdispbins)
    return {
        "MLAMBDA_CHANNEL": ("M_LAMBDA", "Angstrom", wavelength),
        "BETA_CHANNEL": ("BETA_CORR", "rad", beta),
        "XDSP_CHANNEL": ("XDSP_CORR", "rad", across),
    }


def _between(name: str, low: float, high: float, n: int) -> Grid:
    if not high > low:
        raise TaskError("badParameter", f"rgsangles: {name}max={high} is not above {name}min={low}")
    return Grid(low + 0.5 * (high - low) / n, (high - low) / n, n)


def drifts(
    geometry: RgsGeometry, history: Attitude, reference: tuple[float, float, float], time_s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What corrects for the drift of the pointing at mission times [rad]: along and across the dispersion.

    NaN where the attitude is not known. Along the dispersion it is an angle in the sky, across it one at the
    gratings.

    Parameters
    ----------
    geometry
        Geometry of the spectrometer.
    history
        The attitude.
    reference
        Right ascension, declination and position angle [deg] that it is compared with.
    time_s
        The times, shape (n,).
    """
    axis = geometry.pointing(*reference)[:2]
    along, across = geometry.sky_to_offsets(*axis, *history.at(time_s))
    good = history.good(time_s)
    return (
        np.where(good, -along, np.nan),
        np.where(good, -geometry.gratings.f_over_l * across, np.nan),
    )


def earth_velocity(ra_deg: float, dec_deg: float, time_s: float) -> float:
    """Velocity of the Earth around the Sun towards a direction [km/s], at a mission time.

    Parameters
    ----------
    ra_deg, dec_deg
        The direction [deg].
    time_s
        The time.
    """
    import erfa

    from daxa.xmm.sky.tangent import direction

    heliocentric, _ = erfa.epv00(2400000.5, 50814.0 + time_s / 86400.0)
    return float(np.asarray(heliocentric["v"], float) @ direction(ra_deg, dec_deg) * _AU_KM_PER_DAY)


def correct_events(
    events: Mapping[str, npt.NDArray[Any]],
    frames: Mapping[int, Mapping[str, npt.NDArray[Any]]],
    geometry: RgsGeometry,
    along_rad: float,
    stretch: float = 0.0,
) -> dict[str, FloatArray]:
    """BETA_CORR, XDSP_CORR and M_LAMBDA of events.

    Parameters
    ----------
    events
        TIME, CCDNR, BETA, XDSP.
    frames
        CCD -> TIME, ASPCDSP and ASPCXDSP of its frames.
    geometry
        Geometry of the spectrometer.
    along_rad
        Offset of the prime source along the dispersion.
    stretch
        Velocity over the speed of light, to add to wavelengths.
    """
    n = len(events["TIME"])
    shift = np.full((2, n), np.nan)
    for ccd, rows in frames.items():
        mine = np.flatnonzero(events["CCDNR"] == ccd)
        if not len(rows["TIME"]):
            continue
        place = np.clip(np.searchsorted(rows["TIME"], events["TIME"][mine]), 0, len(rows["TIME"]) - 1)
        found = rows["TIME"][place] == events["TIME"][mine]
        for k, name in enumerate(("ASPCDSP", "ASPCXDSP")):
            shift[k, mine[found]] = rows[name][place[found]]
    gratings = geometry.gratings
    alpha = float(gratings.incidence_angle(along_rad))
    beta = corrected_beta(events["BETA"], shift[0], drift_factor(alpha, gratings.f_over_l))
    return {
        "BETA_CORR": beta,
        "XDSP_CORR": events["XDSP"] + shift[1],
        "M_LAMBDA": m_lambda(alpha, beta, gratings.spacing) * (1 + stretch),
    }
