"""Times of products as people read them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Seconds of the clock of the products, 1998-01-01 TT, as Julian date of MJD.
MJDREF = 50814.0


def utc_ms(seconds: npt.ArrayLike, mjdref: float = MJDREF) -> npt.NDArray[np.int64]:
    """Milliseconds since 1970 UTC of times of products.

    Parameters
    ----------
    seconds
        Seconds TT since ``mjdref``; all of one observation, so that one number of leap seconds holds for all.
    mjdref
        Reference of the times [MJD, TT].
    """
    from astropy.time import Time

    given = np.atleast_1d(np.asarray(seconds, float))
    if not given.size:
        return np.empty(0, np.int64)
    first = Time(mjdref + given[0] / 86400.0, format="mjd", scale="tt").utc.unix
    return np.asarray(np.round((first + given - given[0]) * 1000), np.int64)
