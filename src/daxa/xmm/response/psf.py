"""The point-spread function of a telescope: a King profile whose core and slope depend on energy and angle.

Source: Calibration Handbook (table KING_PARAMS of XRTn_XPSF: ``(1 + (r / core)^2)^-slope``); the enclosed
share is that of the profile within 300 arcsec, where scattered light is lost in the background. Files that
have ELLBETA_PARAMS, the columns of which no public text gives, are for other profiles than KING_PARAMS says:
those here enclose what documents and real areas say (``enclosed.csv``), and are round all the same.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.instruments import TELESCOPES

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

FloatArray = npt.NDArray[np.float64]
#: Radius that holds all of a source [arcsec].
WHOLE_ARCSEC = 300.0
#: Table of elliptical profiles, which is not read.
ELLBETA = "ELLBETA_PARAMS"
#: Energy at which enclosed shares of documents are taken [eV]; they hardly depend on it.
_REFERENCE_EV = 1500.0
#: Squares into which the side of a pixel near the source is cut to integrate the profile over it.
_PARTS = 3
#: Middles of these squares, as shares of the side.
_MIDDLES = ((np.arange(_PARTS) + 0.5) / _PARTS - 0.5) * np.ones((_PARTS, 1))
#: Pixels from the source within which they are.
_NEAR = 3.0


@dataclass(frozen=True)
class Enclosed:
    """Share of a source within a radius, at an angle from the axis, and its weight in a fit."""

    radius_arcsec: float
    theta_arcmin: float
    share: float
    weight: float = 1.0

    @classmethod
    def documented(cls, instrument: str) -> list[Enclosed]:
        """What documents and real areas say of a camera.

        Parameters
        ----------
        instrument
            ``EMOS1``, ``EMOS2`` or ``EPN``.
        """
        text = files("daxa.xmm.response").joinpath("enclosed.csv").read_text(encoding="ascii")
        rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
        names = ("radius_arcsec", "theta_arcmin", "share", "weight")
        return [cls(*(float(row[n]) for n in names)) for row in rows if row["instrument"] == instrument]


@dataclass(frozen=True)
class King:
    """A King profile of total 1 within :data:`WHOLE_ARCSEC`.

    Attributes
    ----------
    core_arcsec, slope
        ``(1 + (r / core)^2)^-slope``.
    """

    core_arcsec: float
    slope: float

    @property
    def _outside(self) -> float:
        return float((1 + (WHOLE_ARCSEC / self.core_arcsec) ** 2) ** (1 - self.slope))

    @property
    def _peak(self) -> float:
        return float((self.slope - 1) / (np.pi * self.core_arcsec**2 * (1 - self._outside)))

    def brightness(self, distance2_arcsec2: npt.ArrayLike) -> FloatArray:
        """Share of a source per square arcsec.

        Parameters
        ----------
        distance2_arcsec2
            Squares of the distances from the source [arcsec^2].

        Examples
        --------
        >>> round(float(King(6.0, 1.5).brightness(0.0)), 5)
        0.00451
        """
        return self._peak * (1 + np.asarray(distance2_arcsec2, float) / self.core_arcsec**2) ** -self.slope

    def enclosed(self, radius_arcsec: npt.ArrayLike) -> FloatArray:
        """Share of a source within a radius [arcsec].

        Parameters
        ----------
        radius_arcsec
            Radii [arcsec]; beyond 300 arcsec the share is 1.

        Examples
        --------
        >>> King(6.0, 1.5).enclosed([0.0, 15.0, 300.0]).round(3).tolist()
        [0.0, 0.641, 1.0]
        """
        radius = np.minimum(np.asarray(radius_arcsec, float), WHOLE_ARCSEC)
        within = 1 - (1 + (radius / self.core_arcsec) ** 2) ** (1 - self.slope)
        return within / (1 - self._outside)

    def radius(self, share: float) -> float:
        """Radius [arcsec] within which a share of a source lies; inverse of :meth:`enclosed`.

        Parameters
        ----------
        share
            From 0 to 1.

        Examples
        --------
        >>> round(King(6.0, 1.5).radius(0.641), 1)
        15.0
        """
        left = 1 - share * (1 - self._outside)
        return float(self.core_arcsec * np.sqrt(left ** (1 / (1 - self.slope)) - 1))

    @classmethod
    def with_share(cls, share: float, radius_arcsec: float, slope: float = 1.5) -> King:
        """The profile of which a radius holds a share.

        Parameters
        ----------
        share
            More than 0, less than that of the narrowest profile: a core of 0.1 arcsec stands for all beyond.
        radius_arcsec
            The radius [arcsec].
        slope
            Slope of the profile.

        Examples
        --------
        >>> round(King.with_share(0.641, 15.0).core_arcsec, 1)
        6.0
        """
        cores = np.geomspace(0.1, 100.0, 400)
        shares = [float(cls(core, slope).enclosed(radius_arcsec)) for core in cores]
        return cls(float(np.interp(-share, -np.array(shares), cores)), slope)

    def on_pixels(self, dx_arcsec: FloatArray, dy_arcsec: FloatArray, pixel_arcsec: float) -> FloatArray:
        """Share of a source in each pixel.

        Parameters
        ----------
        dx_arcsec, dy_arcsec
            Offsets of the pixels' middles from the source [arcsec], of one shape.
        pixel_arcsec
            Side of a pixel [arcsec]; the profile is integrated over it.
        """
        distance2 = np.asarray(dx_arcsec**2 + dy_arcsec**2)
        share = self._mean(distance2, pixel_arcsec)
        near = distance2 < (_NEAR * pixel_arcsec) ** 2
        parts = (dx_arcsec[near][:, None] + _MIDDLES.ravel() * pixel_arcsec) ** 2
        parts += (dy_arcsec[near][:, None] + _MIDDLES.T.ravel() * pixel_arcsec) ** 2
        share[near] = self._mean(parts, pixel_arcsec / _PARTS).sum(axis=1) / _PARTS**2
        return share * pixel_arcsec**2

    def _mean(self, distance2: FloatArray, side: float) -> FloatArray:
        """Mean brightness over squares, by the profile and its curvature at their middles."""
        beyond = 1 + distance2 / self.core_arcsec**2
        # The Laplacian over the brightness itself.
        bend = (self.slope - (self.slope + 1) / beyond) / beyond
        curved = 1 + side**2 / 6 * self.slope / self.core_arcsec**2 * bend
        return self._peak * np.exp(-self.slope * np.log(beyond)) * curved


class PointSpread:
    """King profiles of one telescope, by energy and angle.

    Parameters
    ----------
    energy_ev, theta_arcmin
        Grid of the table, growing.
    core_arcsec, slope
        Arrays of the shape (energies, angles).
    """

    def __init__(
        self, energy_ev: FloatArray, theta_arcmin: FloatArray, core_arcsec: FloatArray, slope: FloatArray
    ) -> None:
        values = np.stack([core_arcsec, slope], axis=-1)
        # A table with one energy or one angle says the same of all.
        grid = [np.append(g, g[-1] + 1.0) if len(g) == 1 else g for g in (energy_ev, theta_arcmin)]
        values = np.repeat(values, 2, axis=0) if len(energy_ev) == 1 else values
        values = np.repeat(values, 2, axis=1) if len(theta_arcmin) == 1 else values
        self._grid, self._values = grid, values
        self._factors: FloatArray = np.ones(2)

    @classmethod
    def from_calibration(cls, cal: Calibration, instrument: str) -> PointSpread:
        """Profiles of the telescope of a camera, from KING_PARAMS of its XPSF file.

        Parameters
        ----------
        cal
            The calibration.
        instrument
            ``EMOS1``, ``EMOS2`` or ``EPN``.

        Raises
        ------
        UnknownLayout
            The rows are not a grid of energies and angles.
        """
        constituent = cal.constituent(TELESCOPES[instrument], "XPSF")
        table = constituent.table("KING_PARAMS")
        energy, theta = np.asarray(table["ENERGY"], float), np.asarray(table["THETA"], float)
        parameters = np.asarray(table["PARAMS"], float).reshape(len(energy), -1)
        energies, angles = np.unique(energy), np.unique(theta)
        if len(energy) != len(energies) * len(angles):
            raise UnknownLayout(
                f"{constituent.path.name} KING_PARAMS: {len(energy)} rows for {len(energies)} energies and "
                f"{len(angles)} angles; expected one row for each pair"
            )
        order = np.lexsort((theta, energy))
        core, slope = (parameters[order, k].reshape(len(energies), len(angles)) for k in (0, 1))
        return cls(energies, np.degrees(angles) * 60, core, slope)

    @classmethod
    def elliptical(cls, cal: Calibration, instrument: str) -> tuple[PointSpread, str]:
        """Profiles that stand in for ELLBETA, and why they are what they are.

        Parameters
        ----------
        cal
            The calibration.
        instrument
            ``EMOS1``, ``EMOS2`` or ``EPN``.
        """
        plain = cls.from_calibration(cal, instrument)
        constituent = cal.constituent(TELESCOPES[instrument], "XPSF")
        if ELLBETA in constituent.extensions:
            return plain.enclosing(Enclosed.documented(instrument)), (
                f"no public text gives the columns of {ELLBETA} in {constituent.path.name}: KING_PARAMS "
                "stands in, scaled to enclosed shares of documents and one real area (good to some percent)"
            )
        return plain, f"{constituent.path.name} has no {ELLBETA}: the profile is that of KING_PARAMS"

    def king(self, energy_ev: float, theta_arcmin: float) -> King:
        """The profile at an energy and an angle; interpolated linearly, the ends of the table held.

        Parameters
        ----------
        energy_ev
            Energy [eV].
        theta_arcmin
            Angle from the optical axis [arcmin].
        """
        (i, a), (j, b) = (_between(v, g) for v, g in zip((energy_ev, theta_arcmin), self._grid, strict=True))
        corners = self._values[i : i + 2, j : j + 2]
        shares = np.outer((1 - a, a), (1 - b, b))[..., None]
        core, slope = (corners * shares).sum(axis=(0, 1)) * self._factors
        return King(float(core), float(slope))

    def enclosing(self, shares: Sequence[Enclosed]) -> PointSpread:
        """Profiles with all cores, and all slopes, times a factor, that enclose given shares best.

        Parameters
        ----------
        shares
            What radii should enclose.
        """
        # Imported here: it takes longer than an area, and not every file needs a fit.
        from scipy.optimize import least_squares

        def differences(factors: FloatArray) -> FloatArray:
            found = copy(self)
            found._factors = factors
            return np.array(
                [
                    s.weight
                    * (float(found.king(_REFERENCE_EV, s.theta_arcmin).enclosed(s.radius_arcsec)) - s.share)
                    for s in shares
                ]
            )

        best = copy(self)
        best._factors = least_squares(differences, [1.0, 1.02], bounds=([0.2, 0.8], [5.0, 2.0])).x
        return best


def _between(value: float, grid: FloatArray) -> tuple[int, float]:
    """Number of the point of a grid below a value, and the part of the way to the next; ends are held."""
    value = float(np.clip(value, grid[0], grid[-1]))
    below = int(np.clip(np.searchsorted(grid, value, side="right") - 1, 0, len(grid) - 2))
    return below, float((value - grid[below]) / (grid[below + 1] - grid[below]))
