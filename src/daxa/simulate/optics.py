"""From photons to hits on the chips: mirror, filter, vignetting, PSF, attitude; and what is not from the sky.

A hit is a quantum that the detector will register, at the real-valued pixel where it enters.

Parameters
----------
camera
    The camera.
filter_name
    Name of the filter, e.g. ``Medium``.
energy_ev
    Photon energies [eV].
theta_arcmin
    Angles from the optical axis [arcmin].
phi_rad
    Azimuths [rad].
start_s, stop_s
    Start and end of the exposure [s].
rng
    Random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.simulate.cameras.camera import Camera
from daxa.simulate.numbers import response as response
from daxa.simulate.sky import CENTRES_EV, EDGES_EV, Photons, SkyModel

#: Values of Hits.source that are not numbers of sky sources.
PARTICLES, FLARE, FLUORESCENCE, CALIBRATION = -1, -2, -3, -4

#: Attitude: time [s] -> RA, Dec, position angle [deg].
Attitude = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]

#: Particle background: lower energies [eV] of bands and counts/s/arcmin2/keV of the continuum there, then
#: lines: energy [eV] and counts/s/arcmin2. From spectra with closed filter wheel, lines separated from the
#: continuum by their published peaks and the detector's resolution.
_BANDS_EV = (200.0, 500.0, 2000.0, 4500.0, 7000.0, 10000.0, 12000.0, 15000.0)
PARTICLE_CONTINUUM = {
    "M1": (3.4e-4, 2.0e-4, 9.5e-5, 8.9e-5, 8.1e-5, 7.3e-5, 7.3e-5),
    "M2": (3.0e-4, 2.0e-4, 9.5e-5, 9.0e-5, 8.3e-5, 7.6e-5, 7.6e-5),
    "PN": (6.6e-3, 6.1e-4, 3.7e-4, 3.3e-4, 3.0e-4, 2.55e-4, 2.55e-4),
}
FLUORESCENCE_LINES = {
    "M1": ((1486.6, 1.38e-4), (1740.0, 1.9e-5)),
    "M2": ((1486.6, 1.38e-4), (1740.0, 1.9e-5)),
    "PN": ((1486.6, 1.9e-4), (7470.0, 9.0e-5), (8040.0, 6.4e-4), (8630.0, 8.0e-5), (8900.0, 8.0e-5)),
}
#: On-board calibration source (Fe 55 on aluminium): lines [eV] and their shares, counts/s when it was fresh.
CALIBRATION_LINES = ((1486.6, 0.2), (5895.1, 0.7), (6490.4, 0.1))
CALIBRATION_RATES = {"M1": 40.0, "M2": 40.0, "PN": 100.0}
#: Soft protons: photon index and cut-off [eV] of their spectrum, relative loss at 15 arcmin off axis.
FLARE_INDEX, FLARE_CUTOFF_EV, FLARE_VIGNETTING = 0.6, 6000.0, 0.25


@dataclass(frozen=True)
class Hits:
    """Quanta on the chips; ``source`` is the sky source's number or PARTICLES, FLARE, ..., CALIBRATION."""

    time_s: np.ndarray
    ccd: np.ndarray
    rawx: np.ndarray
    rawy: np.ndarray
    energy_ev: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.time_s)

    def __getitem__(self, rows) -> Hits:
        return Hits(*(getattr(self, f.name)[rows] for f in fields(self)))


def merge(parts: Sequence[Hits]) -> Hits:
    """All hits of several lists, sorted by time.

    Parameters
    ----------
    parts
        The lists.
    """
    columns = [np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Hits)]
    order = np.argsort(columns[0], kind="stable")
    return Hits(*(column[order] for column in columns))


# --- mirror and filter -----------------------------------------------------------------------------


def effective_area(camera: Camera, filter_name: str, energy_ev) -> np.ndarray:
    """Area on axis [cm2]: mirror, gratings (MOS), filter and quantum efficiency for all valid patterns.

    Raises
    ------
    ValueError
        No such filter.
    """
    if filter_name not in response.FILTER_TRANSMISSION:
        raise ValueError(f"no filter {filter_name!r}; there are {', '.join(response.FILTER_TRANSMISSION)}")
    kev = np.asarray(energy_ev, float) / 1000
    share = 1.0 if camera.is_pn else response.RGA_SHARE
    mirror = np.interp(kev, response.ENERGY_KEV, response.MIRROR_AREA_CM2)
    efficiency = np.interp(kev, response.ENERGY_KEV, response.QUANTUM_EFFICIENCY[camera.code])
    transmission = np.interp(kev, response.FILTER_ENERGY_KEV, response.FILTER_TRANSMISSION[filter_name])
    return mirror * share * efficiency * transmission


def vignetting(energy_ev, theta_arcmin) -> np.ndarray:
    """Area relative to the optical axis, bilinear in the table of the telescopes."""
    from scipy.ndimage import map_coordinates

    energies = np.array(list(response.VIGNETTING), float)
    table = np.array(list(response.VIGNETTING.values()))
    row = np.interp(energy_ev, energies, np.arange(len(energies)))
    column = np.asarray(theta_arcmin, float) / 60 / response.VIGNETTING_STEP_DEG
    places = np.stack(np.broadcast_arrays(row, column))
    # map_coordinates takes no scalars.
    return map_coordinates(table, places[..., None], order=1, mode="nearest")[..., 0]


def gratings(camera: Camera, theta_arcmin, phi_rad) -> np.ndarray:
    """Light that the gratings leave to a camera, relative to the optical axis; 1 for the pn.

    The beam meets the plates at a small angle; what they cut out of it goes as the sine of that angle.
    Seen from the gratings the focus of a source away from the spacecraft's position angle lies on the side
    that makes the angle larger.
    """
    shape = np.broadcast(theta_arcmin, phi_rad).shape
    if camera.is_pn:
        return np.ones(shape)
    focus = np.array([response.FOCAL_LENGTH_MM - response.GRATINGS_MM, 0.0])
    towards = -np.cos(phi_rad) * np.tan(np.deg2rad(np.minimum(theta_arcmin, 60.0) / 60))
    ray = focus + np.multiply.outer(response.FOCAL_LENGTH_MM * towards, np.array([0.0, 1.0]))
    tilt = np.deg2rad(response.GRATING_ANGLE_DEG)
    sine = ray @ np.array([np.sin(tilt), np.cos(tilt)]) / np.linalg.norm(ray, axis=-1)
    left = 1 - (1 - response.RGA_SHARE) * sine / np.sin(tilt)
    return np.clip(left, 0.0, 1.0) / response.RGA_SHARE


def transmission(camera: Camera, energy_ev, theta_arcmin, phi_rad) -> np.ndarray:
    """Area relative to the optical axis: vignetting of the mirror times what the gratings leave."""
    return vignetting(energy_ev, theta_arcmin) * gratings(camera, theta_arcmin, phi_rad)


def drawn_area(camera: Camera, filter_name: str, energy_ev) -> np.ndarray:
    """Area [cm2] to draw photons for that :func:`photon_hits` then thins out.

    Larger than that on axis: on one side of the axis the gratings gain more than the mirror loses.
    """
    return effective_area(camera, filter_name, energy_ev) * _headroom(camera)


def _headroom(camera: Camera) -> float:
    return 1.0 if camera.is_pn else 1.005


def king_parameters(code: str, energy_ev, theta_arcmin) -> tuple[np.ndarray, np.ndarray]:
    """Core radius [arcsec] and slope of the King profile.

    Parameters
    ----------
    code
        Code of the camera, e.g. ``M1``.
    """
    a, b, c, d, x, y, z, w = response.KING[code]
    kev, theta = np.asarray(energy_ev, float) / 1000, np.asarray(theta_arcmin, float)
    radius = a + b * kev + c * theta + d * kev * theta
    return np.maximum(radius, 1.0), np.maximum(x + y * kev + z * theta + w * kev * theta, 1.1)


def encircled_fraction(camera: Camera, energy_ev, theta_arcmin, radius_arcsec) -> np.ndarray:
    """Fraction of a point source's light inside a circle.

    Parameters
    ----------
    radius_arcsec
        Radius of the circle [arcsec].
    """
    core, slope = king_parameters(camera.code, energy_ev, theta_arcmin)
    whole = 1 - (1 + (response.KING_LIMIT_ARCSEC / core) ** 2) ** (1 - slope)
    return np.minimum((1 - (1 + (np.asarray(radius_arcsec) / core) ** 2) ** (1 - slope)) / whole, 1.0)


def psf_radii(camera: Camera, energy_ev, theta_arcmin, rng: np.random.Generator) -> np.ndarray:
    """Random distances [arcsec] from the centre of the image."""
    core, slope = king_parameters(camera.code, energy_ev, theta_arcmin)
    whole = 1 - (1 + (response.KING_LIMIT_ARCSEC / core) ** 2) ** (1 - slope)
    light = rng.random(np.shape(core)) * whole
    return core * np.sqrt((1 - light) ** (1 / (1 - slope)) - 1)


def scatter(camera: Camera, detx, dety, energy_ev, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Detector positions [0.05 arcsec] moved by the PSF.

    Parameters
    ----------
    detx, dety
        Positions [0.05 arcsec].
    """
    theta, _ = camera.off_axis(detx, dety)
    shift = psf_radii(camera, energy_ev, theta, rng) / 0.05 * np.exp(2j * np.pi * rng.random(np.shape(theta)))
    return detx + shift.real, dety + shift.imag


# --- hits ------------------------------------------------------------------------------------------


def photon_hits(camera: Camera, photons: Photons, attitude: Attitude, rng: np.random.Generator) -> Hits:
    """Photons drawn for this camera's area, through the vignetting and the PSF onto the chips.

    Parameters
    ----------
    photons
        From :meth:`SkyModel.photons` with this camera's :func:`drawn_area`.
    attitude
        Attitude as a function of time; may return scalars.
    """
    if not len(photons):
        return Hits(*(np.zeros(0) for _ in fields(Hits)))
    pointing = attitude(photons.time_s)
    middle = float(np.mean(photons.time_s))
    detx, dety = camera.sky_to_det(photons.ra_deg, photons.dec_deg, *pointing, middle)
    theta, phi = (np.nan_to_num(angle, nan=1e9) for angle in camera.off_axis(detx, dety))
    share = transmission(camera, photons.energy_ev, theta, phi) / _headroom(camera)
    seen = (rng.random(len(photons)) < share) & np.isfinite(detx)
    energy = photons.energy_ev[seen]
    detx, dety = scatter(camera, detx[seen], dety[seen], energy, rng)
    ccd, rawx, rawy = camera.det_to_raw(detx, dety)
    on_chip = (ccd > 0) & camera.in_fov(detx, dety)
    return Hits(photons.time_s[seen], ccd, rawx, rawy, energy, photons.source[seen])[on_chip]


def _field_positions(camera: Camera, count: int, rng: np.random.Generator):
    """Random pixels inside the field of view, thinned by the soft protons' vignetting."""
    parts, found = [], 0
    while found < count:
        detx, dety = rng.uniform(-20000, 20000, (2, int(2.5 * (count - found)) + 100))
        ccd, rawx, rawy = camera.det_to_raw(detx, dety)
        theta, _ = camera.off_axis(detx, dety)
        keep = (ccd > 0) & camera.in_fov(detx, dety)
        keep &= rng.random(len(detx)) < 1 - FLARE_VIGNETTING * (theta / 15) ** 2
        parts.append((ccd[keep], rawx[keep], rawy[keep]))
        found += int(keep.sum())
    return (
        [np.concatenate(column)[:count] for column in zip(*parts, strict=True)]
        if parts
        else [np.zeros(0)] * 3
    )


def flare_hits(camera: Camera, time_s: npt.ArrayLike, rate: npt.ArrayLike, rng: np.random.Generator) -> Hits:
    """Soft protons: they come through the mirror, so they fill the field of view and spare the corners.

    Parameters
    ----------
    time_s, rate
        Light curve: counts/s of the whole field at some times, linear between them.
    """
    time_s, rate = np.asarray(time_s, float), np.asarray(rate, float)
    cumulated = np.concatenate([[0.0], np.cumsum(np.diff(time_s) * (rate[1:] + rate[:-1]) / 2)])
    count = int(rng.poisson(cumulated[-1]))
    # Inside a segment the cumulated rate is a parabola: sample it finely enough to be linear.
    fine = np.unique(np.concatenate([time_s, np.linspace(time_s[0], time_s[-1], 4001)]))
    level = np.interp(fine, time_s, rate)
    fine_sum = np.concatenate([[0.0], np.cumsum(np.diff(fine) * (level[1:] + level[:-1]) / 2)])
    time = np.interp(rng.random(count) * fine_sum[-1], fine_sum, fine)
    spectrum = (CENTRES_EV**-FLARE_INDEX * np.exp(-CENTRES_EV / FLARE_CUTOFF_EV)) * (CENTRES_EV > 300)
    ccd, rawx, rawy = _field_positions(camera, count, rng)
    energy = _draw_energies(spectrum, count, rng)
    return merge([Hits(time, ccd, rawx, rawy, energy, np.full(count, FLARE, np.int16))])


def calibration_hits(camera: Camera, start_s: float, stop_s: float, rng: np.random.Generator) -> Hits:
    """Lines of the calibration source, spread over the field of view."""
    count = int(rng.poisson(CALIBRATION_RATES[camera.code] * (stop_s - start_s)))
    energies, shares = np.array(CALIBRATION_LINES).T
    ccd, rawx, rawy = _field_positions(camera, count, rng)
    time, energy = rng.uniform(start_s, stop_s, count), rng.choice(energies, count, p=shares)
    return merge([Hits(time, ccd, rawx, rawy, energy, np.full(count, CALIBRATION, np.int16))])


def particle_rates(camera: Camera) -> tuple[float, float]:
    """Expected counts/s of the particle background on all chips together: continuum, lines."""
    pixel_arcmin2 = np.prod(camera.pixel) * (0.05 / 60) ** 2
    area = pixel_arcmin2 * camera.nx * camera.ny * len(camera.ccds)
    continuum = np.sum(np.array(PARTICLE_CONTINUUM[camera.code]) * np.diff(_BANDS_EV) / 1000)
    return float(area * continuum), float(area * sum(rate for _, rate in FLUORESCENCE_LINES[camera.code]))


def particle_hits(
    camera: Camera, start_s: float, stop_s: float, rng: np.random.Generator, factor: float = 1.0
) -> Hits:
    """Particle background and the fluorescence that it excites, uniform over the chips, corners included.

    Parameters
    ----------
    factor
        Multiplies the rates of a quiet orbit.
    """
    duration = (stop_s - start_s) * factor
    continuum, lines = (int(rng.poisson(rate * duration)) for rate in particle_rates(camera))
    density = np.array(PARTICLE_CONTINUUM[camera.code])
    shape = density[np.clip(np.searchsorted(_BANDS_EV, CENTRES_EV) - 1, 0, len(density) - 1)]
    shape = np.where(_BANDS_EV[0] > CENTRES_EV, 0.0, shape)
    line_energies, line_rates = np.array(FLUORESCENCE_LINES[camera.code]).T
    energy = np.concatenate(
        [
            _draw_energies(shape, continuum, rng),
            rng.choice(line_energies, lines, p=line_rates / line_rates.sum()),
        ]
    )
    count = continuum + lines
    source = np.repeat(np.array([PARTICLES, FLUORESCENCE], np.int16), [continuum, lines])
    return merge(
        [
            Hits(
                rng.uniform(start_s, stop_s, count),
                rng.choice(np.array(camera.ccds, np.int16), count),
                rng.uniform(0.5, camera.nx + 0.5, count),
                rng.uniform(0.5, camera.ny + 0.5, count),
                energy,
                source,
            )
        ]
    )


def _draw_energies(spectrum: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    cumulated = np.concatenate([[0.0], np.cumsum(spectrum * np.diff(EDGES_EV))])
    return np.interp(rng.random(count) * cumulated[-1], cumulated, EDGES_EV)


# --- truth -----------------------------------------------------------------------------------------


def expected_rates(
    model: SkyModel,
    camera: Camera,
    filter_name: str,
    pointing: tuple[float, float, float],
    time_s: float,
    seed: int = 1,
    recorded: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """What to expect from each source at a fixed pointing, before the detector's read-out.

    Parameters
    ----------
    model
        What shines.
    pointing
        Where the telescope looks.
    time_s
        Mission time [s].
    seed
        Chooses the random numbers.
    recorded
        Share of the time in which a chip's pixel (CCD, RAWX, RAWY) records; always if None.

    Returns
    -------
    list of dict
        Per source: name, ra_deg, dec_deg, theta_arcmin, on_axis (counts/s on the optical axis),
        vignetted (counts/s through the vignetting at its place: exact for points, for extended sources
        an average over 20000 photons), on_chip (of those, the fraction on chips in the field of view).
    """
    rng = np.random.default_rng(seed)
    area = effective_area(camera, filter_name, CENTRES_EV) * np.diff(EDGES_EV)
    rows = []
    for source in model.sources:
        counts = source.spectrum * area
        count = 20000
        cumulated = np.concatenate([[0.0], np.cumsum(counts)])
        energy = np.interp(rng.random(count) * cumulated[-1], cumulated, EDGES_EV)
        ra, dec = source.directions(count, rng)
        detx, dety = camera.sky_to_det(ra, dec, *pointing, time_s)
        theta, phi = camera.off_axis(detx, dety)
        through = transmission(camera, energy, theta, phi)
        detx, dety = scatter(camera, detx, dety, energy, rng)
        place = camera.det_to_raw(detx, dety)
        on_chip = ((place[0] > 0) & camera.in_fov(detx, dety)).astype(float)
        if recorded is not None:
            on_chip *= recorded(*place)
        place = camera.sky_to_det(source.ra_deg, source.dec_deg, *pointing, time_s)
        centre, azimuth = camera.off_axis(*place)
        is_point = bool(np.ptp(theta) == 0)
        mean = (
            np.sum(counts * transmission(camera, CENTRES_EV, centre, azimuth)) / cumulated[-1]
            if is_point
            else np.mean(through)
        )
        rows.append(
            {
                "name": source.name,
                "ra_deg": source.ra_deg,
                "dec_deg": source.dec_deg,
                "theta_arcmin": float(centre),
                "on_axis": float(cumulated[-1]),
                "vignetted": float(cumulated[-1] * mean),
                "on_chip": float(np.average(on_chip, weights=through)),
            }
        )
    return rows
