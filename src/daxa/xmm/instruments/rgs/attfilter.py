"""The task attfilter: good times of the attitude, and the median pointing of an exposure.

Source: manual of attfilter; parameters from a real run's log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.select.goodtimes import intervals_of_rows

#: Points that ``onlylastatt`` takes.
_LAST = 100


@dataclass(frozen=True)
class FilteredAttitude:
    """Median pointing [deg] and the times near it."""

    ra_deg: float
    dec_deg: float
    pa_deg: float
    gti: GTI


def circular_median(angle_deg: npt.ArrayLike) -> float:
    """Median of angles that may lie on both sides of 0 [deg].

    Parameters
    ----------
    angle_deg
        The angles, shape (n,).
    """
    values = np.asarray(angle_deg, float)
    middle = values[0]
    return float((middle + np.median((values - middle + 180.0) % 360.0 - 180.0)) % 360.0)


def filter_attitude(
    time_s: npt.ArrayLike,
    ra_deg: npt.ArrayLike,
    dec_deg: npt.ArrayLike,
    pa_deg: npt.ArrayLike,
    start_s: float,
    stop_s: float,
    tolerance_rad: float,
    *,
    only_last: bool = False,
) -> FilteredAttitude:
    """Median pointing of an exposure, and the times at which the pointing is near it.

    Parameters
    ----------
    time_s, ra_deg, dec_deg, pa_deg
        Attitude series; NaN where there is none.
    start_s, stop_s
        The exposure.
    tolerance_rad
        Largest angle from the median direction.
    only_last
        Take the median of the last 100 points.

    Raises
    ------
    TaskError
        ``noAttitude``: no attitude in the exposure.
    """
    from daxa.xmm.sky.attitude import separation_deg

    time, ra, dec, pa = (np.asarray(v, float) for v in (time_s, ra_deg, dec_deg, pa_deg))
    inside = (time >= start_s) & (time <= stop_s)
    known = inside & np.isfinite(ra) & np.isfinite(dec) & np.isfinite(pa)
    if not known.any():
        raise TaskError("noAttitude", f"no attitude between {start_s:.1f} and {stop_s:.1f} s")
    chosen = np.flatnonzero(known)[-_LAST:] if only_last else np.flatnonzero(known)
    median = circular_median(ra[chosen]), float(np.median(dec[chosen])), circular_median(pa[chosen])
    off = np.deg2rad(separation_deg(ra[inside], dec[inside], *median[:2]))
    near = np.nan_to_num(off, nan=np.inf) <= tolerance_rad
    return FilteredAttitude(*median, intervals_of_rows(time[inside], near))
