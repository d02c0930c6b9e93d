"""The simulated sky: sources with spectra, and photon lists drawn from them.

Spectra are photon densities on a fine energy grid, fluxes are outside the absorbing column. A photon
list is drawn for one effective-area curve (mirror on axis x filter x detector): the number of photons
of a source is Poisson with mean exposure x integral of spectrum x area, which is the truth that the
list comes with. What depends on the place in the field is left to :mod:`daxa.simulate.optics`.

Parameters
----------
rng
    Random numbers.
start_s, stop_s
    Start and end [s].
ra_deg, dec_deg
    The position [deg].
count
    How many.
mean
    Mean number.
n_h
    Absorbing column of hydrogen [cm^-2].
flux_erg
    Flux [erg/cm2/s].
kt_kev
    Temperature [keV].
redshift
    Redshift.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

#: Energy bins [eV].
EDGES_EV = np.arange(100.0, 15000.1, 5.0)
CENTRES_EV = (EDGES_EV[1:] + EDGES_EV[:-1]) / 2
ERG_PER_EV = 1.602176634e-12

#: Photoelectric absorption of the Galaxy (Morrison and McCammon 1983, table 2): upper energy [keV],
#: c0, c1, c2 of sigma = (c0 + c1 E + c2 E^2) / E^3 x 1e-24 cm2.
_ABSORPTION = np.array(
    [
        (0.100, 17.3, 608.1, -2150.0),
        (0.284, 34.6, 267.9, -476.1),
        (0.400, 78.1, 18.8, 4.3),
        (0.532, 71.4, 66.8, -51.4),
        (0.707, 95.5, 145.8, -61.1),
        (0.867, 308.9, -380.6, 294.0),
        (1.303, 120.6, 169.3, -47.7),
        (1.840, 141.3, 146.8, -31.5),
        (2.471, 202.7, 104.7, -17.0),
        (3.210, 342.7, 18.7, 0.0),
        (4.038, 352.2, 18.7, 0.0),
        (7.111, 433.9, -2.4, 0.75),
        (8.331, 629.0, 30.9, 0.0),
        (np.inf, 701.2, 25.2, 0.0),
    ]
)


def absorption(energy_ev: np.ndarray, n_h: float) -> np.ndarray:
    """Transmission of a hydrogen column ``n_h`` [cm^-2].

    Parameters
    ----------
    energy_ev
        Photon energies [eV].
    """
    kev = np.asarray(energy_ev, float) / 1000
    _, c0, c1, c2 = _ABSORPTION[np.searchsorted(_ABSORPTION[:, 0], kev)].T
    return np.exp(-n_h * 1e-24 * (c0 + c1 * kev + c2 * kev**2) / kev**3)


def _with_flux(
    density: np.ndarray, flux_erg: float, band_ev: tuple[float, float] = (500.0, 10000.0)
) -> np.ndarray:
    inside = (band_ev[0] <= CENTRES_EV) & (band_ev[1] > CENTRES_EV)
    return density * flux_erg / np.sum((density * CENTRES_EV * np.diff(EDGES_EV))[inside] * ERG_PER_EV)


def power_law(index: float, flux_erg: float, n_h: float = 5e20) -> np.ndarray:
    """Photons/cm2/s/eV of a power law with an unabsorbed flux [erg/cm2/s] between 0.5 and 10 keV.

    Parameters
    ----------
    index
        Index of photons per energy.
    """
    return _with_flux(CENTRES_EV**-index, flux_erg) * absorption(CENTRES_EV, n_h)


def thermal(
    kt_kev: float,
    flux_erg: float,
    redshift: float,
    n_h: float = 5e20,
    iron_ev: float = 6700.0,
    equivalent_width_ev: float = 400.0,
    width_ev: float = 20.0,
) -> np.ndarray:
    """Photons/cm2/s/eV of hot gas: bremsstrahlung (Gaunt factor (kT/E)^0.3) and the iron K line.

    Energies, the width of the line and its equivalent width are in the frame of the source.

    Parameters
    ----------
    iron_ev
        Energy of the iron line at rest [eV].
    equivalent_width_ev
        Its equivalent width [eV].
    width_ev
        Its width [eV].
    """
    rest = CENTRES_EV * (1 + redshift)
    continuum = rest**-1.3 * np.exp(-rest / (kt_kev * 1000))
    profile = np.exp(-0.5 * ((rest - iron_ev) / width_ev) ** 2) / (width_ev * np.sqrt(2 * np.pi))
    at_line = iron_ev**-1.3 * np.exp(-iron_ev / (kt_kev * 1000))
    return _with_flux(continuum + at_line * equivalent_width_ev * profile, flux_erg) * absorption(
        CENTRES_EV, n_h
    )


class Source(Protocol):
    """What a source must offer."""

    @property
    def name(self) -> str:
        """What the truth calls it."""
        ...

    @property
    def ra_deg(self) -> float:
        """Right ascension [deg]."""
        ...

    @property
    def dec_deg(self) -> float:
        """Declination [deg]."""
        ...

    @property
    def spectrum(self) -> np.ndarray:
        """Photons/cm2/s/eV at :data:`CENTRES_EV`."""
        ...

    def directions(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Random RA and Dec [deg] of photons."""
        ...

    def times(self, start_s: float, stop_s: float, mean: float, rng: np.random.Generator) -> np.ndarray:
        """Arrival times of a Poisson number of photons with a given mean."""
        ...


@dataclass(frozen=True)
class PointSource:
    """A point, optionally pulsating.

    ``period_s`` is the period of a sine of relative amplitude ``pulsed_fraction`` that is zero and rising
    at ``epoch_s``.
    """

    name: str
    ra_deg: float
    dec_deg: float
    spectrum: np.ndarray = field(repr=False)
    period_s: float | None = None
    pulsed_fraction: float = 0.0
    epoch_s: float = 0.0

    def directions(self, count, rng):
        """All photons come from one place."""
        return np.full(count, self.ra_deg), np.full(count, self.dec_deg)

    def times(self, start_s, stop_s, mean, rng):
        """Uniform, or modulated with the period."""
        if self.period_s is None:
            return rng.uniform(start_s, stop_s, rng.poisson(mean))
        peak = 1 + self.pulsed_fraction
        time = rng.uniform(start_s, stop_s, rng.poisson(mean * peak))
        phase = 2 * np.pi * (time - self.epoch_s) / self.period_s
        return time[rng.random(len(time)) * peak < 1 + self.pulsed_fraction * np.sin(phase)]


@dataclass(frozen=True)
class BetaModel:
    """A cluster: surface brightness (1 + (r / core)^2)^(0.5 - 3 beta) out to a limit."""

    name: str
    ra_deg: float
    dec_deg: float
    spectrum: np.ndarray = field(repr=False)
    core_arcsec: float = 50.0
    beta: float = 0.62
    limit_arcsec: float = 720.0

    def directions(self, count, rng):
        """Drawn from the profile's enclosed light, which has a closed inverse."""
        power = 1.5 - 3 * self.beta
        edge = (1 + (self.limit_arcsec / self.core_arcsec) ** 2) ** power
        radius = np.sqrt((1 - rng.random(count) * (1 - edge)) ** (1 / power) - 1)
        radius = np.deg2rad(radius * self.core_arcsec / 3600)
        return around(self.ra_deg, self.dec_deg, radius, rng.uniform(0, 2 * np.pi, count))

    def times(self, start_s, stop_s, mean, rng):
        """Uniform."""
        return rng.uniform(start_s, stop_s, rng.poisson(mean))


def around(ra_deg: float, dec_deg: float, distance_rad, angle_rad) -> tuple[np.ndarray, np.ndarray]:
    """RA, Dec [deg] at some distance and position angle (east of north) from a direction.

    Parameters
    ----------
    distance_rad
        Distances [rad].
    angle_rad
        Position angles [rad].
    """
    local = np.stack(
        np.broadcast_arrays(
            np.cos(distance_rad),
            np.sin(distance_rad) * np.sin(angle_rad),
            np.sin(distance_rad) * np.cos(angle_rad),
        ),
        axis=-1,
    )
    vector = Rotation.from_euler("ZY", [ra_deg, -dec_deg], degrees=True).apply(local)
    ra = np.rad2deg(np.arctan2(vector[..., 1], vector[..., 0])) % 360
    return ra, np.rad2deg(np.arcsin(np.clip(vector[..., 2], -1, 1)))


@dataclass(frozen=True)
class Photons:
    """Photons that a camera would record on its optical axis. ``source`` indexes the sky model's sources."""

    time_s: np.ndarray
    ra_deg: np.ndarray
    dec_deg: np.ndarray
    energy_ev: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True)
class SkyModel:
    """A list of sources; a photon's source number is the place in this list."""

    sources: Sequence[Source]

    @cached_property
    def names(self) -> list[str]:
        """Names of the sources."""
        return [source.name for source in self.sources]

    def rates(self, area_cm2: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Expected counts/s of each source on the optical axis.

        Parameters
        ----------
        area_cm2
            Effective area as a function of the energy [eV].
        """
        weight = area_cm2(CENTRES_EV) * np.diff(EDGES_EV)
        return np.array([np.sum(source.spectrum * weight) for source in self.sources])

    def photons(
        self,
        start_s: float,
        stop_s: float,
        area_cm2: Callable[[np.ndarray], np.ndarray],
        rng: np.random.Generator,
    ) -> Photons:
        """Draw the photons of an interval, sorted by time.

        Parameters
        ----------
        area_cm2
            Effective area [cm2] of energies [eV].
        """
        weight = area_cm2(CENTRES_EV) * np.diff(EDGES_EV)
        parts = []
        for number, source in enumerate(self.sources):
            cumulated = np.concatenate([[0.0], np.cumsum(source.spectrum * weight)])
            time = source.times(start_s, stop_s, cumulated[-1] * (stop_s - start_s), rng)
            energy = np.interp(rng.random(len(time)) * cumulated[-1], cumulated, EDGES_EV)
            ra, dec = source.directions(len(time), rng)
            parts.append((time, ra, dec, energy, np.full(len(time), number, np.int16)))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        return Photons(*(column[order] for column in columns))


#: Where all simulated observations look [deg]: the place of A907.
FIELD_RA_DEG, FIELD_DEC_DEG = 149.5917, -11.0642
#: Point sources of the default field: offsets east and north [arcmin], power-law index, flux 0.5-10 keV
#: [erg/cm2/s]. Brighter than those of a real field of this size, so that each can be located to a fraction
#: of an arcsecond in a short exposure.
FIELD_SOURCES = (
    (-3.1, 4.4, 1.7, 3.0e-12),
    (5.2, 3.3, 1.9, 2.4e-12),
    (6.6, -2.9, 1.6, 3.4e-12),
    (-6.3, -1.2, 2.1, 2.2e-12),
    (-4.0, -5.5, 1.8, 3.2e-12),
    (1.4, 7.7, 1.5, 2.8e-12),
    (2.4, -6.6, 2.0, 2.6e-12),
    (-8.3, 4.1, 1.7, 3.8e-12),
    (8.8, 1.6, 1.8, 3.6e-12),
    (-1.7, -9.2, 1.6, 4.0e-12),
)


def cluster_field(
    ra_deg: float = FIELD_RA_DEG,
    dec_deg: float = FIELD_DEC_DEG,
    *,
    cluster_flux_erg: float = 1.5e-11,
    kt_kev: float = 5.0,
    redshift: float = 0.153,
    period_s: float | None = None,
) -> SkyModel:
    """A field like that of A907: a cluster at the given position and ten point sources around it.

    Parameters
    ----------
    cluster_flux_erg
        Unabsorbed flux of the cluster between 0.5 and 10 keV [erg/cm2/s].
    period_s
        Add an eleventh point source that pulsates with this period.
    """
    sources: list[Source] = [
        BetaModel("cluster", ra_deg, dec_deg, thermal(kt_kev, cluster_flux_erg, redshift)),
        *_field_sources(ra_deg, dec_deg),
    ]
    if period_s is not None:
        ra, dec = around(ra_deg, dec_deg, np.deg2rad(4.2 / 60), np.deg2rad(230.0))
        sources.append(PointSource("pulsar", float(ra), float(dec), power_law(1.4, 3.0e-12), period_s, 0.7))
    return SkyModel(sources)


def _field_sources(ra_deg: float, dec_deg: float) -> list[Source]:
    sources: list[Source] = []
    for number, (east, north, index, flux) in enumerate(FIELD_SOURCES, 1):
        distance, angle = np.deg2rad(np.hypot(east, north) / 60), np.arctan2(east, north)
        ra, dec = around(ra_deg, dec_deg, distance, angle)
        sources.append(PointSource(f"point{number:02d}", float(ra), float(dec), power_law(index, flux)))
    return sources


def pulsar_field(
    ra_deg: float, dec_deg: float, *, period_s: float, flux_erg: float, epoch_s: float
) -> SkyModel:
    """The point sources of :func:`cluster_field` around a pulsar.

    Parameters
    ----------
    period_s, epoch_s
        Period, and a time at which the light curve is at its mean and rising.
    flux_erg
        Unabsorbed mean flux of the pulsar between 0.5 and 10 keV [erg/cm2/s].
    """
    pulsar = PointSource("pulsar", ra_deg, dec_deg, power_law(1.6, flux_erg), period_s, 0.7, epoch_s)
    return SkyModel([pulsar, *_field_sources(ra_deg, dec_deg)])


def faint_field(ra_deg: float, dec_deg: float, *, flux_erg: float = 6e-13) -> SkyModel:
    """A faint source in an ordinary field: faint points, and the light of the sky itself.

    Parameters
    ----------
    flux_erg
        Unabsorbed flux of the central source between 0.5 and 10 keV [erg/cm2/s].
    """
    sources: list[Source] = [PointSource("target", ra_deg, dec_deg, power_law(1.8, flux_erg))]
    rng = np.random.default_rng(79)
    # Counts of a field: N(> S) falls as S^-1.4.
    for number, flux in enumerate(np.sort(1.5e-14 * (1 - rng.random(20)) ** (-1 / 1.4))[::-1], 1):
        distance = np.deg2rad(14.0 / 60) * np.sqrt(rng.random())
        ra, dec = around(ra_deg, dec_deg, distance, rng.uniform(0, 2 * np.pi))
        sources.append(PointSource(f"point{number:02d}", float(ra), float(dec), power_law(1.7, flux)))
    # A beta model without a gradient: unresolved sources, and the hot gas of the Galaxy.
    for name, spectrum in (
        ("background", power_law(1.45, 8e-12)),
        ("galaxy", thermal(0.2, 2e-12, 0.0, equivalent_width_ev=0.0)),
    ):
        sources.append(BetaModel(name, ra_deg, dec_deg, spectrum, 100.0, 1 / 6, 1200.0))
    return SkyModel(sources)
