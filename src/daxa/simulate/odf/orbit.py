"""A made-up orbit of the spacecraft, and its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats import orbit as layout

FloatArray = npt.NDArray[np.float64]
_EARTH_KM3_S2 = 398600.4418
_EPOCH = datetime(1998, 1, 1)


@dataclass(frozen=True)
class MadeOrbit:
    """An ellipse about the Earth that a smooth disturbance bends.

    Attributes
    ----------
    perigee_s
        A time of perigee [mission time].
    semi_major_axis_km, eccentricity
        Of the ellipse.
    inclination_deg, node_deg, perigee_deg
        How it lies: inclination, right ascension of the node, argument of perigee.
    bend_km
        Amplitude of the disturbance, which has half the period.
    tt_minus_utc_s
        Leap seconds and 32.184 s.
    """

    perigee_s: float
    semi_major_axis_km: float = 66_930.0
    eccentricity: float = 0.80
    inclination_deg: float = 67.0
    node_deg: float = 210.0
    perigee_deg: float = 95.0
    bend_km: float = 20.0
    tt_minus_utc_s: float = 69.184

    @property
    def period_s(self) -> float:
        """Time of a turn."""
        return float(2 * np.pi * np.sqrt(self.semi_major_axis_km**3 / _EARTH_KM3_S2))

    def position_km(self, times_s: npt.ArrayLike) -> FloatArray:
        """Places, shape (n, 3).

        Parameters
        ----------
        times_s
            Mission times, shape (n,).
        """
        times = np.asarray(times_s, float)
        angle = 4 * np.pi * (times - self.perigee_s) / self.period_s
        bend = self.bend_km * np.stack([np.cos(angle), np.sin(angle), np.cos(angle + 1.0)], axis=1)
        return self._ellipse(times) + bend

    def lines(self, start_s: float, stop_s: float, blocks: int = 24) -> Iterator[str]:
        """The orbit file: lines from a first to a last time.

        Parameters
        ----------
        start_s, stop_s
            First and last time [mission time].
        blocks
            Parts of the orbit.
        """
        edges = np.linspace(start_s, stop_s, blocks + 1)
        for number, (first, last) in enumerate(pairwise(edges)):
            # Days are written to a tenth of a second, and hold as written.
            day0, day1 = (round(self._day(t), 6) for t in (first, last))
            epoch = round(self._day(0.5 * (first + last)), 9)
            begin, end, middle = (self._time(d) for d in (day0, day1, epoch))
            made, since, until = (self._date(t) for t in (begin, begin, end))
            yield f"{layout.SPACECRAFT:3d}  R  {made:20s}  {since:20s}  {until:20s}"
            turn = number + 1.0
            inverse = self.period_s / (2 * np.pi)
            yield _line(11, layout.ELLIPSE, [day0, day1, epoch, turn, self.semi_major_axis_km, inverse])
            place = self._ellipse(np.array([middle]))[0]
            step = 0.05
            around = self._ellipse(np.array([middle - step, middle + step]))
            velocity = (around[1] - around[0]) / (2 * step)
            yield _line(12, layout.STATE, [*place, *velocity, float(np.linalg.norm(place))])
            x = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
            times = 0.5 * (begin + end) + 0.5 * (end - begin) * x
            written = self.position_km(times) - self._ellipse(times)
            found = np.polynomial.chebyshev.chebfit(x, written, 4)
            for degree, coefficients in enumerate(found):
                yield _line(16 - degree, layout.POLYNOMIAL, [*coefficients, 0.0, 0.0, 0.0])

    def _ellipse(self, times: FloatArray) -> FloatArray:
        mean = 2 * np.pi * (((times - self.perigee_s) / self.period_s) % 1.0)
        low, high = np.zeros(len(mean)), np.full(len(mean), 2 * np.pi)
        for _ in range(60):  # halving the interval: slow, and safe at any eccentricity
            middle = 0.5 * (low + high)
            beyond = middle - self.eccentricity * np.sin(middle) > mean
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        anomaly, e = 0.5 * (low + high), self.eccentricity
        flat = self.semi_major_axis_km * np.stack(
            [np.cos(anomaly) - e, np.sqrt(1 - e**2) * np.sin(anomaly), np.zeros(len(anomaly))], axis=1
        )
        turned: FloatArray = flat @ self._turn().T
        return turned

    def _turn(self) -> FloatArray:
        def about(axis: int, angle_deg: float) -> FloatArray:
            c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
            matrix = np.eye(3)
            i, j = [k for k in range(3) if k != axis]
            matrix[i, i] = matrix[j, j] = c
            matrix[i, j], matrix[j, i] = -s, s
            return matrix

        return about(2, self.node_deg) @ about(0, self.inclination_deg) @ about(2, self.perigee_deg)

    def _day(self, time_s: float) -> float:
        since = datetime.fromisoformat(layout.FIRST_DAY) - _EPOCH
        return (time_s - self.tt_minus_utc_s - since.total_seconds()) / 86400

    def _time(self, day: float) -> float:
        since = datetime.fromisoformat(layout.FIRST_DAY) - _EPOCH
        return day * 86400 + since.total_seconds() + self.tt_minus_utc_s

    def _date(self, time_s: float) -> str:
        date = _EPOCH + timedelta(seconds=round(time_s - self.tt_minus_utc_s))
        return date.isoformat(timespec="seconds") + "Z"


def _line(number: int, fields: tuple[tuple[int, int], ...], values: list[float]) -> str:
    written = (f"{v:{width}.{decimals}f}" for v, (width, decimals) in zip(values, fields, strict=True))
    return f"{number:3d}" + "".join(written)
