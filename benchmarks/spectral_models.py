"""Spectra for ``spectral_truth.py``: as photons are drawn from them, and as models of Sherpa.

No table of lines of hot gas can be had without a download, so the cluster is bremsstrahlung with the
strongest lines of hot gas as Gaussians. Their equivalent widths stand beside each other as at 5 keV, roughly;
one number multiplies them all, and is called abundance here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daxa.simulate.sky import absorption

ERG_PER_EV = 1.602176634e-12
REDSHIFT, COLUMN = 0.153, 5e20
BAND_EV = (500.0, 10000.0)
#: Energy at rest, width (sigma) and equivalent width at abundance 1 [eV].
LINES = (
    (1090.0, 90.0, 45.0),
    (2006.0, 15.0, 25.0),
    (2622.0, 15.0, 20.0),
    (6700.0, 20.0, 650.0),
    (6966.0, 20.0, 250.0),
    (7900.0, 60.0, 110.0),
)
_GRID = np.geomspace(*BAND_EV, 4001)
_MIDDLE = np.sqrt(_GRID[1:] * _GRID[:-1])


def power_law(energy_ev: np.ndarray, flux: float, index: float) -> np.ndarray:
    """Photons/cm2/s/eV of a power law with a flux [erg/cm2/s] from 0.5 to 10 keV, not absorbed."""
    low, high = BAND_EV
    power = 2 - index
    whole = np.log(high / low) if abs(power) < 1e-9 else (high**power - low**power) / power
    return flux / ERG_PER_EV / whole * energy_ev**-index


def _hot_gas(energy_ev: np.ndarray, kt: float, abundance: float) -> np.ndarray:
    rest = energy_ev * (1 + REDSHIFT)

    def continuum(e: Any) -> Any:
        return e**-1.3 * np.exp(-e / (1000 * kt))

    total = continuum(rest)
    for line, sigma, width in LINES:
        profile = np.exp(-0.5 * ((rest - line) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        total = total + abundance * width * continuum(line) * profile
    return total


def hot_gas(energy_ev: np.ndarray, flux: float, kt: float, abundance: float) -> np.ndarray:
    """Photons/cm2/s/eV of the cluster with a flux [erg/cm2/s] from 0.5 to 10 keV, not absorbed."""
    whole = np.sum(_hot_gas(_MIDDLE, kt, abundance) * _MIDDLE * np.diff(_GRID)) * ERG_PER_EV
    return flux / whole * _hot_gas(energy_ev, kt, abundance)


@dataclass(frozen=True)
class Point:
    """A point source and where it is [arcmin east and north of the pointing]."""

    name: str
    offset: tuple[float, float]
    flux: float
    index: float

    def spectrum(self, energy_ev: np.ndarray) -> np.ndarray:
        """Photons/cm2/s/eV at the telescope."""
        return power_law(energy_ev, self.flux, self.index) * absorption(energy_ev, COLUMN)


@dataclass(frozen=True)
class Cluster:
    """A cluster; temperature in keV."""

    name: str
    offset: tuple[float, float]
    flux: float
    kt: float
    abundance: float

    def spectrum(self, energy_ev: np.ndarray) -> np.ndarray:
        """Photons/cm2/s/eV at the telescope."""
        return hot_gas(energy_ev, self.flux, self.kt, self.abundance) * absorption(energy_ev, COLUMN)


POINTS = (Point("near", (-3.1, 4.4), 3e-11, 1.7), Point("far", (8.3, 2.4), 5e-11, 1.7))
CLUSTER = Cluster("cluster", (0.4, 1.2), 1.5e-10, 5.0, 0.4)


def sherpa_model(source: Point | Cluster) -> Any:
    """A model of Sherpa whose parameters start away from the truth; fluxes in 1e-12 erg/cm2/s."""
    from sherpa.models.model import RegriddableModel1D
    from sherpa.models.parameter import Parameter

    def integrated(low: np.ndarray, high: np.ndarray, density: Any) -> np.ndarray:
        # Three points a bin (Simpson): bins are narrower than the lines but for those of the edges.
        points = [1000 * low, 500 * (low + high), 1000 * high]
        parts = [density(np.maximum(e, 1.0)) * absorption(np.maximum(e, 30.0), COLUMN) for e in points]
        return (parts[0] + 4 * parts[1] + parts[2]) / 6 * 1000 * (high - low)

    class Absorbed(RegriddableModel1D):
        def __init__(self, name: str = "m") -> None:
            self.flux = Parameter(name, "flux", 0.8e12 * source.flux, min=1e-3, max=1e5)
            if isinstance(source, Point):
                self.index = Parameter(name, "index", 2.0, min=0, max=5)
                own = (self.index,)
            else:
                self.kt = Parameter(name, "kt", 4.0, min=0.3, max=30)
                self.abundance = Parameter(name, "abundance", 0.3, min=-1, max=5)
                own = (self.kt, self.abundance)
            super().__init__(name, (self.flux, *own))

        def calc(self, p: Any, low: Any, high: Any = None, *args: Any, **kwargs: Any) -> Any:
            law = power_law if isinstance(source, Point) else hot_gas
            return integrated(low, high, lambda e: law(e, 1e-12 * p[0], *p[1:]))

    return Absorbed()
