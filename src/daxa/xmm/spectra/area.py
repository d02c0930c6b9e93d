"""The effective area behind a spectrum: mirror, filter, detector, the share of the source in its region.

Source: manual of arfgen. For a point source the area is that at its place, times the share of its light that
falls on squares of the region that are seen. For an extended one it is the mean over the region, weighted
with a map of the source or evenly, times the share of the region, or of the light in the map, that is seen.
Quantum efficiencies are those of the CCDs that the light falls on.

Parameters
----------
telescope
    Optics and detector.
energy_ev
    Energies, growing [eV].
cells
    Squares of the region.
parts
    The factors wanted; the share of a point source plays no part for an extended one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.response.area import filter_transmission, mirror_area, quantum_efficiency, vignetting
from daxa.xmm.response.patterns import share_of_patterns

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.response.psf import PointSpread
    from daxa.xmm.sky.geometry import CameraGeometry
    from daxa.xmm.spectra.region import Cells

FloatArray = npt.NDArray[np.float64]
#: Unit of detector coordinates [arcsec].
_UNIT = 0.05
#: Steps of the off-axis angle and the azimuth over which an extended source is averaged [arcmin, rad].
_STEP_ARCMIN, _STEP_RAD = 0.25, np.pi / 8


@dataclass(frozen=True)
class Parts:
    """Which factors an area has.

    Attributes
    ----------
    mirror, filter, efficiency
        Mirrors with their vignetting, filter, detector.
    enclosed
        The share of a point source in the region.
    lost
        What gaps and bad pixels take away.
    corrected
        The empirical correction of the mirrors' area (CORRAREA).
    """

    mirror: bool = True
    filter: bool = True
    efficiency: bool = True
    enclosed: bool = True
    lost: bool = True
    corrected: bool = False


@dataclass(frozen=True)
class Telescope:
    """The optics and detector behind an area.

    Attributes
    ----------
    cal
        The calibration.
    instrument, filter_name
        Camera and filter.
    geometry
        Geometry of the camera.
    by_azimuth
        Whether the calibration tells the shade of the gratings by azimuth.
    patterns
        Least and greatest PATTERN that the efficiency is for; None: all that are used.
    """

    cal: Calibration
    instrument: str
    filter_name: str
    geometry: CameraGeometry
    by_azimuth: bool = True
    patterns: tuple[int, int] | None = None

    def on_axis(self, energy_ev: FloatArray, parts: Parts) -> FloatArray:
        """Area of the mirrors and the transmission of the filter on the axis [cm^2]; 1 for what is left out.

        Parameters
        ----------
        energy_ev
            Energies [eV].
        parts
            The factors wanted.
        """
        area = np.ones(len(energy_ev))
        if parts.mirror:
            area = area * mirror_area(self.cal, self.instrument, energy_ev, corrected=parts.corrected)
        if parts.filter:
            area = area * filter_transmission(self.cal, self.instrument, self.filter_name, energy_ev)
        return area

    def angles(self, detx: npt.ArrayLike, dety: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Off-axis angles [arcmin] and azimuths [rad] of places on the detector.

        Parameters
        ----------
        detx, dety
            The places [0.05 arcsec].
        """
        theta, phi = self.geometry.det_to_tel(detx, dety)
        return theta / 60.0, phi

    def vignetting(self, energy_ev: FloatArray, theta_arcmin: float, phi_rad: float) -> FloatArray:
        """Area at an angle over that on the axis.

        Parameters
        ----------
        energy_ev
            Energies [eV].
        theta_arcmin, phi_rad
            Angle and azimuth.
        """
        azimuth = np.full(len(energy_ev), phi_rad) if self.by_azimuth else None
        return vignetting(
            self.cal, self.instrument, energy_ev, np.full(len(energy_ev), theta_arcmin), azimuth
        )

    def efficiency(self, energy_ev: FloatArray, shares: dict[int, float]) -> FloatArray:
        """Quantum efficiency, the mean over CCDs.

        Parameters
        ----------
        energy_ev
            Energies [eV].
        shares
            How much of the light falls on each CCD.
        """
        total = sum(shares.values())
        if not total > 0:
            return np.zeros(len(energy_ev))
        return np.sum(
            [share / total * self._efficiency(energy_ev, ccd) for ccd, share in shares.items()], axis=0
        )

    def _efficiency(self, energy_ev: FloatArray, ccd: int) -> FloatArray:
        result = quantum_efficiency(self.cal, self.instrument, ccd, energy_ev)
        if self.patterns is not None:
            result = result * share_of_patterns(self.cal, self.instrument, ccd, energy_ev, self.patterns)
        return result


def shares_of_ccds(cells: Cells, weights: FloatArray) -> dict[int, float]:
    """How much of a weight lies on each CCD that is seen.

    Parameters
    ----------
    cells
        Squares of the region.
    weights
        Weight of each.
    """
    sums = np.bincount(cells.ccd[cells.seen], weights[cells.seen])
    return {int(n): float(sums[n]) for n in np.flatnonzero(sums) if n}


def point_area(
    telescope: Telescope,
    energy_ev: FloatArray,
    cells: Cells,
    source: tuple[float, float],
    psf: PointSpread,
    parts: Parts,
    *,
    every: int = 100,
) -> FloatArray:
    """Area for a point source [cm^2].

    Parameters
    ----------
    source
        DETX, DETY of the source.
    psf
        Point-spread function of the telescope.
    every
        The share of the source in the region is computed at every so many energies.
    """
    theta, phi = (float(v) for v in telescope.angles(*source))
    distance2 = ((cells.detx - source[0]) ** 2 + (cells.dety - source[1]) ** 2) * _UNIT**2
    area = telescope.on_axis(energy_ev, parts)
    if parts.mirror:
        area = area * telescope.vignetting(energy_ev, theta, phi)
    at = np.unique(np.append(np.arange(0, len(energy_ev), every), len(energy_ev) - 1))
    weights = {
        float(e): psf.king(float(e), theta).brightness(distance2) * (cells.step * _UNIT) ** 2
        for e in energy_ev[at]
    }
    if parts.efficiency:
        # Which CCDs see the source does not depend on the energy by as much as efficiencies differ.
        middle = list(weights.values())[len(weights) // 2]
        area = area * telescope.efficiency(energy_ev, shares_of_ccds(cells, middle))
    if parts.enclosed or parts.lost:
        share = [
            float(w[cells.seen].sum() if parts.lost else w.sum())
            / (1.0 if parts.enclosed else max(float(w.sum()), 1e-30))
            for w in weights.values()
        ]
        area = area * np.interp(energy_ev, list(weights), share)
    return area


def extended_area(
    telescope: Telescope,
    energy_ev: FloatArray,
    cells: Cells,
    weight: Callable[[FloatArray, FloatArray], FloatArray] | None,
    parts: Parts,
    *,
    lost_evenly: bool = True,
) -> FloatArray:
    """Area for an extended source [cm^2]: the mean over the region.

    Parameters
    ----------
    weight
        Brightness of the source at DETX, DETY; None: even.
    lost_evenly
        What gaps and bad pixels take away is their share of the region, not of the light: an image of the
        same camera is dark there.
    """
    weights = np.ones(len(cells.detx)) if weight is None else weight(cells.detx, cells.dety)
    area = telescope.on_axis(energy_ev, parts)
    total = float(weights.sum())
    if not total > 0:
        return np.zeros(len(energy_ev))
    if parts.mirror:
        area = area * mean_vignetting(telescope, energy_ev, cells, weights)
    if parts.efficiency:
        area = area * telescope.efficiency(energy_ev, shares_of_ccds(cells, weights))
    if not parts.lost:
        return area
    return area * (cells.area / cells.whole_area if lost_evenly else float(weights[cells.seen].sum()) / total)


def mean_vignetting(
    telescope: Telescope, energy_ev: FloatArray, cells: Cells, weights: FloatArray
) -> FloatArray:
    """Vignetting, the mean over the squares that are seen, taken together where it hardly changes.

    Parameters
    ----------
    weights
        Weight of each square.
    """
    theta, phi = telescope.angles(cells.detx[cells.seen], cells.dety[cells.seen])
    weights = weights[cells.seen]
    if not weights.sum() > 0:
        return np.zeros(len(energy_ev))
    ring = np.floor(theta / _STEP_ARCMIN).astype(np.int64)
    sector = np.floor(phi / _STEP_RAD).astype(np.int64) if telescope.by_azimuth else np.zeros_like(ring)
    _, first, place = np.unique(ring * 64 + sector, return_index=True, return_inverse=True)
    parts = np.bincount(place, weights)
    middle_theta = np.bincount(place, weights * theta) / np.where(parts > 0, parts, 1)
    middle_phi = (np.floor(phi[first] / _STEP_RAD) + 0.5) * _STEP_RAD
    result = np.zeros(len(energy_ev))
    for share, t, p in zip(parts / parts.sum(), middle_theta, middle_phi, strict=True):
        if share > 0:
            result += share * telescope.vignetting(energy_ev, float(t), float(p))
    return result
