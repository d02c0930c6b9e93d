"""Times of the satellite: UTC, mission time (s since MJDREF 50814, TT), the on-board clock.

Source: XMM-Newton Data Files Handbook.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

EPOCH = datetime(1998, 1, 1)
CLOCK_EPOCH = datetime(1958, 1, 1)
#: First UTC day of each value of TT - UTC.
_TT_UTC = (
    (datetime(1997, 7, 1), 63.184),
    (datetime(1999, 1, 1), 64.184),
    (datetime(2006, 1, 1), 65.184),
    (datetime(2009, 1, 1), 66.184),
    (datetime(2012, 7, 1), 67.184),
    (datetime(2015, 7, 1), 68.184),
    (datetime(2017, 1, 1), 69.184),
)
REVOLUTION_S = 172_360.0


def tt_minus_utc(utc: datetime) -> float:
    """TT minus UTC [s].

    Parameters
    ----------
    utc
        The date.
    """
    return next(offset for start, offset in reversed(_TT_UTC) if utc >= start)


def tt_of_utc(date: str) -> float:
    """Mission time [s] of a UTC date ``yyyy-mm-ddThh:mm:ss[.f]``.

    Parameters
    ----------
    date
        The date.
    """
    utc = datetime.fromisoformat(date)
    return (utc - EPOCH).total_seconds() + tt_minus_utc(utc)


def utc_of_tt(time_s: float) -> datetime:
    """UTC of a mission time [s].

    Parameters
    ----------
    time_s
        The time.
    """
    candidates = (
        (start, EPOCH + timedelta(seconds=float(time_s) - offset)) for start, offset in reversed(_TT_UTC)
    )
    return next(utc for start, utc in candidates if utc >= start)


def utc_text(time_s: float, *, up: bool = False) -> str:
    """UTC date in whole seconds, rounded down (or up).

    Parameters
    ----------
    time_s
        The mission time [s].
    up
        Whether it is rounded up.
    """
    utc = utc_of_tt(time_s)
    whole = utc.replace(microsecond=0)
    return (whole + timedelta(seconds=1) if up and utc > whole else whole).isoformat()


@dataclass(frozen=True)
class Clock:
    """The on-board clock: OBT = at_reference + d + rate d + ageing d^2, d = TT - reference.

    Attributes
    ----------
    reference_s
        Mission time of the reference.
    at_reference_s
        On-board time there.
    rate, ageing
        Fractional error of the frequency, and half its growth [1/s].
    """

    reference_s: float
    at_reference_s: float = 538_041_560.0
    rate: float = 1.3e-6
    ageing: float = 2.5e-14

    def obt(self, time_s):
        """On-board time [s].

        Parameters
        ----------
        time_s
            Mission times [s].
        """
        d = np.asarray(time_s, float) - self.reference_s
        return self.at_reference_s + d + self.rate * d + self.ageing * d * d

    def tt(self, obt_s):
        """Mission time [s] of on-board times.

        Parameters
        ----------
        obt_s
            The on-board times [s].
        """
        target = np.asarray(obt_s, float) - self.at_reference_s
        d = target / (1 + self.rate)
        for _ in range(3):
            d = (target - self.ageing * d * d) / (1 + self.rate)
        return self.reference_s + d
