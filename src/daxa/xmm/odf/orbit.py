"""The spacecraft's way about the Earth, from the orbit file of an observation.

Its layout is an assumption (:mod:`daxa.xmm.formats.orbit`), which :func:`read_orbit` checks by what it gives:
the distance written beside each state, a distance that the spacecraft can have, and blocks that join.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats import orbit as layout
from daxa.xmm.odf.times import utc_to_tt

if TYPE_CHECKING:
    from daxa.xmm.odf.odf import Odf

FloatArray = npt.NDArray[np.float64]
_DAY_S = 86400.0
#: Mass of the Earth times the constant of gravity [km^3/s^2] (IERS 2010).
_EARTH_KM3_S2 = 398600.4418
#: Distances that the spacecraft can have [km].
_NEAREST, _FARTHEST = 6_500.0, 150_000.0
#: Share by which the distance beside a state may differ from it.
_SAME_DISTANCE = 1e-3
#: Greatest step from one block to the next [km]: 0.1 ms of light.
_STEP_KM = 30.0
#: Times so far outside all blocks follow the ellipse of the nearest one [s].
OUTSIDE_S = 172_800.0


@dataclass(frozen=True)
class Block:
    """A part of the orbit.

    Attributes
    ----------
    start_s, stop_s, epoch_s
        Its first and last time, and that of its state [mission time].
    state
        Position [km] and velocity [km/s], shape (6,).
    semi_major_axis_km
        Of the ellipse.
    coefficients
        Of Chebyshev's polynomials, degree 0 first, shape (n, 6).
    reconstructed
        Whether it was measured, not predicted.
    """

    start_s: float
    stop_s: float
    epoch_s: float
    state: FloatArray
    semi_major_axis_km: float
    coefficients: FloatArray
    reconstructed: bool

    def position_km(self, times_s: FloatArray) -> FloatArray:
        """Places of the spacecraft, shape (n, 3).

        Parameters
        ----------
        times_s
            Mission times, shape (n,); outside the block the sum of polynomials is that at its edge.
        """
        place = kepler_km(times_s - self.epoch_s, self.state, self.semi_major_axis_km)
        if len(self.coefficients):
            x = (2.0 * times_s - self.start_s - self.stop_s) / (self.stop_s - self.start_s)
            place += np.polynomial.chebyshev.chebval(np.clip(x, -1, 1), self.coefficients[:, :3]).T
        return place


def kepler_km(seconds: FloatArray, state: FloatArray, semi_major_axis_km: float) -> FloatArray:
    """Places on a Kepler ellipse.

    Parameters
    ----------
    seconds
        Times since that of the state, shape (n,).
    state
        Position [km] and velocity [km/s], shape (6,).
    semi_major_axis_km
        Of the ellipse.

    Returns
    -------
    array
        Shape (n, 3) [km].

    Examples
    --------
    >>> circle = np.array([7000.0, 0, 0, 0, 7.546, 0])
    >>> kepler_km(np.array([5828.5]), circle, 7000.0).round(-1).tolist()
    [[7000.0, -0.0, 0.0]]
    """
    place, velocity = state[:3], state[3:]
    a, distance = semi_major_axis_km, float(np.linalg.norm(state[:3]))
    motion = np.sqrt(_EARTH_KM3_S2 / a**3)
    sine = float(place @ velocity) / (motion * a**2)  # eccentricity times sine of the eccentric anomaly
    cosine = 1.0 - distance / a
    wanted = motion * np.asarray(seconds, float)
    # Start of Newton's iteration: the mean anomalies of both times, far from the steep perigee.
    eccentricity, anomaly0 = np.hypot(sine, cosine), np.arctan2(sine, cosine)
    mean = wanted + anomaly0 - sine
    anomaly = mean + eccentricity * np.sin(mean) / (1 - np.sin(mean + eccentricity) + np.sin(mean))
    for _ in range(60):
        step = (anomaly - eccentricity * np.sin(anomaly) - mean) / (1 - eccentricity * np.cos(anomaly))
        anomaly = anomaly - np.clip(step, -1.0, 1.0)
        if np.max(np.abs(step), initial=0.0) < 1e-13:
            break
    turn = anomaly - anomaly0
    along = 1.0 - a / distance * (1.0 - np.cos(turn))
    ahead = np.asarray(seconds, float) - (turn - np.sin(turn)) / motion
    result: FloatArray = along[:, None] * place + ahead[:, None] * velocity
    return result


@dataclass(frozen=True)
class Orbit:
    """Where the spacecraft was.

    Attributes
    ----------
    name
        Name of its file.
    blocks
        Its parts in order of time.
    """

    name: str
    blocks: tuple[Block, ...]

    @property
    def span_s(self) -> tuple[float, float]:
        """First and last time [mission time]."""
        return self.blocks[0].start_s, max(b.stop_s for b in self.blocks)

    @property
    def reconstructed(self) -> bool:
        """Whether all of it was measured."""
        return all(b.reconstructed for b in self.blocks)

    def position_km(self, times_s: npt.ArrayLike) -> FloatArray:
        """Places about the centre of the Earth, mean equator and equinox of J2000.

        Parameters
        ----------
        times_s
            Mission times, shape (n,).

        Returns
        -------
        array
            Shape (n, 3) [km].

        Raises
        ------
        TaskError
            ``orbitSpan``: a time is more than two days outside the file.
        """
        times = np.asarray(times_s, float)
        first, last = self.span_s
        if len(times) and (times.min() < first - OUTSIDE_S or times.max() > last + OUTSIDE_S):
            raise TaskError(
                "orbitSpan",
                f"{self.name}: it holds the times {first:.0f} to {last:.0f} s, and {times.min():.0f} to "
                f"{times.max():.0f} s are asked for",
            )
        starts = np.array([b.start_s for b in self.blocks])
        index = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, None)
        result = np.zeros((len(times), 3))
        for number in np.unique(index):
            here = index == number
            result[here] = self.blocks[number].position_km(times[here])
        return result


def orbit_of(odf: Odf) -> Orbit | None:
    """The orbit of an observation; None without an orbit file.

    Parameters
    ----------
    odf
        The opened ODF.

    Raises
    ------
    TaskError
        ``orbitLayout``: there is one of another layout than the assumed one.
    """
    for kind in ("ROS", "POS"):
        for file in odf.find("SC", kind):
            return read_orbit(file.bytes().decode("ascii", "replace").splitlines(), str(file.name))
    return None


def read_orbit(lines: Iterable[str], name: str) -> Orbit:
    """The orbit that the lines of an orbit file describe.

    Parameters
    ----------
    lines
        The lines.
    name
        Name of the file, for messages.

    Raises
    ------
    TaskError
        ``orbitLayout``: they are not of the assumed layout.
    """
    try:
        blocks = [_block(part) for part in _parts(lines)]
    except (ValueError, IndexError) as error:
        raise TaskError("orbitLayout", f"{name}: not of the layout that is assumed: {error}") from error
    if not blocks:
        raise TaskError("orbitLayout", f"{name}: no line begins a block of the layout that is assumed")
    orbit = Orbit(name, tuple(sorted(blocks, key=lambda b: b.start_s)))
    _check(orbit)
    return orbit


def _parts(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines of each block."""
    part: list[str] = []
    for line in lines:
        if layout.HEAD.match(line):
            if part:
                yield part
            part = [line]
        elif part and line.strip():
            part.append(line)
    if part:
        yield part


def _block(lines: list[str]) -> Block:
    head = layout.HEAD.match(lines[0])
    if head is None or len(lines) < 3:
        raise ValueError(f"a block has only {len(lines)} lines")
    ellipse = dict(zip(layout.ELLIPSE_NAMES, _numbers(lines[1], layout.ELLIPSE), strict=True))
    *state, distance = _numbers(lines[2], layout.STATE)
    found = float(np.linalg.norm(state[:3]))
    if abs(found - distance) > _SAME_DISTANCE * found or not _NEAREST < found < _FARTHEST:
        raise ValueError(f"a state {found:.0f} km from the Earth has {distance:.0f} km beside it")
    start, stop, epoch = (
        _time_of_day(ellipse[key], head[3]) for key in ("first_day", "last_day", "epoch_day")
    )
    if not stop > start:
        raise ValueError(f"a block ends before it begins: {ellipse}")
    coefficients = [_numbers(line, layout.POLYNOMIAL) for line in lines[3:]]
    return Block(
        start,
        stop,
        epoch,
        np.array(state),
        ellipse["semi_major_axis_km"],
        np.array(coefficients).reshape(-1, 6),
        head[1] == "R",
    )


def _numbers(line: str, fields: tuple[tuple[int, int], ...]) -> list[float]:
    """Numbers behind that of a record."""
    place, found = 3, []
    for width, _ in fields:
        found.append(float(line[place : place + width]))
        place += width
    return found


def _time_of_day(day: float, near: str) -> float:
    """Mission time of a day since 2000, with the leap seconds of a date near it."""
    date = np.datetime64(near.rstrip("Z"), "us")
    days = (date - np.datetime64(layout.FIRST_DAY, "us")) / np.timedelta64(1, "D")
    return float(utc_to_tt(near)) + (day - float(days)) * _DAY_S


def _check(orbit: Orbit) -> None:
    """Refuse an orbit whose blocks do not join: its layout has been misunderstood."""
    for one, other in zip(orbit.blocks, orbit.blocks[1:], strict=False):
        if abs(other.start_s - one.stop_s) > 1.0:
            continue
        at = np.array([one.stop_s])
        step = float(np.linalg.norm(one.position_km(at) - other.position_km(at)))
        if step > _STEP_KM:
            raise TaskError(
                "orbitLayout",
                f"{orbit.name}: parts of the orbit are {step:.0f} km apart where they meet: not of the "
                "layout that is assumed",
            )
