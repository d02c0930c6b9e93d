"""What the detectors of all cameras have in common: exposures, frames, splitting of charge.

A photon frees a charge that fluctuates (Fano), drifts to one pixel or is shared by up to four, and is
measured with read noise. The shares depend on where in its pixel the photon fell, so that the pixels of
an event surround its true position.

Parameters
----------
camera
    The camera.
energy_ev
    Energy of each photon [eV], shape (n,).
rng
    Random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from daxa.simulate.cameras.camera import Camera
from daxa.simulate.cameras.noise import Noise as Noise
from daxa.simulate.numbers.cameras import SPLIT_BIAS

#: Shares are at least this many standard deviations of the read noise above the threshold: which pixels
#: belong to an event is then decided by physics and not by noise.
_MARGIN_SIGMA = 2.5


@dataclass(frozen=True)
class Exposure:
    """One exposure of one camera.

    Attributes
    ----------
    instrument
        ``M1``, ``M2`` or ``PN``.
    exp_id
        Schedule letter and number, ``S001``.
    start_s, stop_s
        Mission times of the first frame's start and of the end.
    submode, filter
        Read-out mode and filter.
    gaps_s
        Telemetry gaps: intervals whose frames never reach the ground.
    overflow_frames
        Frame numbers (from 0) in which a MOS event buffer overflows.
    ccds
        CCDs that are read; all of the mode if empty.
    empty_ccds, missing_ccds
        CCDs of an aborted exposure: whose event file holds no rows, whose files never reached the ground.
    frame_time_s
        Another frame time of MOS CCDs in full frame than that of the mode, if not 0.
    """

    instrument: str
    exp_id: str
    start_s: float
    stop_s: float
    submode: str = "PrimeFullWindow"
    filter: str = "Medium"
    gaps_s: tuple[tuple[float, float], ...] = ()
    overflow_frames: tuple[int, ...] = ()
    ccds: tuple[int, ...] = ()
    empty_ccds: tuple[int, ...] = ()
    missing_ccds: tuple[int, ...] = ()
    frame_time_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Stop minus start."""
        return self.stop_s - self.start_s


@dataclass
class CcdData:
    """What one CCD sent: columns of its event table, window, type of its file, and its truth."""

    events: dict[str, np.ndarray]
    window: tuple[int, int, int, int]
    offsets: dict[str, np.ndarray] | None = None
    discarded: np.ndarray | None = None
    truth: dict[str, Any] = field(default_factory=dict)
    file_type: str = "IME"


@dataclass
class DetectorData:
    """What a camera sent in one exposure.

    Attributes
    ----------
    ccds
        Per CCD.
    auxiliary
        Two tables: MOS frames, and cycles in which a MOS unit counted; both auxiliary tables of the pn.
    start_s, stop_s
        Start of the first and end of the last frame.
    photons
        Columns of the list of photons that fell on a CCD, with what became of them.
    clock_reset_obt_s
        On-board time at which the clock of a MOS camera began anew for the exposure.
    """

    exposure: Exposure
    ccds: dict[int, CcdData]
    auxiliary: list[dict[str, np.ndarray]]
    start_s: float
    stop_s: float
    photons: dict[str, np.ndarray]
    truth: dict[str, Any] = field(default_factory=dict)
    clock_reset_obt_s: float | None = None


def number_of_pixels(camera: Camera, energy_ev: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Number of pixels (1 to 4) that each photon's charge is shared by."""
    upper = np.cumsum(camera.pattern_fractions(energy_ev)[:, :3], axis=1)
    return 1 + (rng.random(len(energy_ev))[:, None] > upper).sum(axis=1)


def fluctuate(camera: Camera, energy_ev: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Energy that the freed charge stands for."""
    sigma = np.sqrt(camera.fano * camera.ev_per_electron * energy_ev)
    return energy_ev + sigma * rng.standard_normal(len(energy_ev))


@dataclass(frozen=True)
class Split:
    """Pixels of events: index of the event, offset from its pixel, share of its charge."""

    event: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    share: np.ndarray
    n_pixels: np.ndarray


def split_charge(
    camera: Camera,
    amplitude_adu: np.ndarray,
    n_pixels: np.ndarray,
    rawx: np.ndarray,
    rawy: np.ndarray,
    rng: np.random.Generator,
) -> Split:
    """Share the charge of events among pixels.

    Parameters
    ----------
    amplitude_adu
        Whole amplitude, which limits how small a share can be seen.
    n_pixels
        Wanted number of pixels; fewer if the charge is too small for that many.
    rawx, rawy
        Position (integers at pixel centres); the charge leaks over the nearest edges.
    """
    n = len(amplitude_adu)
    floor = (camera.event_threshold_adu + _MARGIN_SIGMA * camera.noise_adu) / np.maximum(amplitude_adu, 1.0)
    n_pixels = np.where((n_pixels == 4) & (floor > 0.22), 3, n_pixels)
    n_pixels = np.where((n_pixels == 3) & (floor > 0.30), 2, n_pixels)
    n_pixels = np.where((n_pixels == 2) & (floor > 0.46), 1, n_pixels)
    fx, fy = rawx - np.rint(rawx), rawy - np.rint(rawy)
    sideways, below = SPLIT_BIAS[camera.code]
    sx, sy = np.where(fx < 0, -1, 1), np.where(fy < -below, -1, 1)
    along_x = sideways * np.abs(fx) > np.abs(fy)
    # Small shares are the more frequent ones, as the charge cloud is small.
    u, v = rng.random(n) ** 1.5, rng.random(n) ** 1.5
    two, three, four = n_pixels == 2, n_pixels == 3, n_pixels == 4
    arm_x, arm_y, corner = np.zeros(n), np.zeros(n), np.zeros(n)
    pair = floor + (0.5 - floor) * u
    arm_x[two & along_x] = pair[two & along_x]
    arm_y[two & ~along_x] = pair[two & ~along_x]
    a, b = (floor + (1 / 3 - floor) * w for w in (u, v))
    arm_x[three], arm_y[three] = a[three], b[three]
    low = np.sqrt(np.minimum(floor, 0.25))
    a, b = (low + (0.5 - low) * w for w in (u, v))
    arm_x[four], arm_y[four], corner[four] = (a * (1 - b))[four], (b * (1 - a))[four], (a * b)[four]
    event, dx, dy, share = [], [], [], []
    zero, every = np.zeros(n, int), np.arange(n)
    for part, x, y in (
        (1 - arm_x - arm_y - corner, zero, zero),
        (arm_x, sx, zero),
        (arm_y, zero, sy),
        (corner, sx, sy),
    ):
        used = part > 0
        event.append(every[used])
        dx.append(x[used])
        dy.append(y[used])
        share.append(part[used])
    return Split(
        np.concatenate(event), np.concatenate(dx), np.concatenate(dy), np.concatenate(share), n_pixels
    )


def unseen(n: int) -> dict[str, np.ndarray]:
    """What became of photons of which no pixel was read: columns to be filled for those that were.

    Parameters
    ----------
    n
        Number of photons.
    """
    return {
        "FRAME": np.full(n, -1),
        "NPIXELS": np.zeros(n, int),
        "OOT": np.zeros(n, bool),
        "KEPT": np.zeros(n, bool),
    }


def measure(
    camera: Camera, key: np.ndarray, charge_adu: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and their amplitudes: charge that falls on the same pixel is added, read noise comes to it.

    Parameters
    ----------
    key, charge_adu
        A number of the pixel and a charge, for each deposit.

    Returns
    -------
    key, adu
        Each pixel once, in the order of its number.
    """
    key, index = np.unique(key, return_inverse=True)
    charge = np.bincount(index, weights=charge_adu, minlength=len(key)).astype(float)
    return key, np.rint(charge + camera.noise_adu * rng.standard_normal(len(key))).astype(np.int64)


def in_intervals(time_s: np.ndarray, intervals: Sequence[tuple[float, float]]) -> np.ndarray:
    """Whether times lie in one of some intervals.

    Parameters
    ----------
    time_s
        The times, shape (n,).
    intervals
        Start and stop of each.
    """
    inside = np.zeros(np.shape(time_s), bool)
    for start, stop in intervals:
        inside |= (time_s >= start) & (time_s < stop)
    return inside


def photon_columns(hits: Any, **more: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of a list of true photons.

    Parameters
    ----------
    hits
        The photons.
    **more
        Further columns.
    """
    columns = {
        "TIME": np.asarray(hits.time_s, float),
        "ENERGY": np.asarray(hits.energy_ev, float),
        "SOURCE": np.asarray(hits.source, int),
        "CCDNR": np.asarray(hits.ccd, int),
        "RAWX": np.asarray(hits.rawx, float),
        "RAWY": np.asarray(hits.rawy, float),
    }
    return columns | more
