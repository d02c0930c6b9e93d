"""Light curves of whole event lists, and times without flares.

Sources: manuals of CIAO's dmextract (``opt=ltc1``), lc_sigma_clip and lc_clean.

Parameters
----------
rate
    Count rate in each bin [1/s], shape (bins,); bins without a count or without exposure have 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI


@dataclass(frozen=True)
class LightCurve:
    """Counts in bins of equal length.

    Attributes
    ----------
    start, stop
        Edges of the bins [s], shape (bins,).
    counts
        Number of events, shape (bins,).
    exposure
        How long of each bin is good time [s], shape (bins,).
    """

    start: npt.NDArray[np.float64]
    stop: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    exposure: npt.NDArray[np.float64]

    @property
    def rate(self) -> npt.NDArray[np.float64]:
        """Count rate [1/s], 0 where there is no exposure."""
        return np.divide(self.counts, self.exposure, out=np.zeros(len(self.counts)), where=self.exposure > 0)

    @property
    def error(self) -> npt.NDArray[np.float64]:
        """Its statistical error, the root of the counts over the exposure."""
        root = np.sqrt(self.counts)
        return np.divide(root, self.exposure, out=np.zeros(len(root)), where=self.exposure > 0)


def light_curve(times: npt.NDArray[np.float64], good: GTI, width_s: float) -> LightCurve:
    """Count events in bins from the first good time to the last.

    Parameters
    ----------
    times
        Times of events [s], shape (events,), in any order; those outside the good times do not count.
    good
        Good times.
    width_s
        Length of a bin [s].

    Raises
    ------
    ValueError
        There is no good time, or the bins have no length.

    Examples
    --------
    >>> light_curve(np.array([1.0, 2.0, 12.0]), GTI([0.0], [15.0]), 10).rate.tolist()
    [0.2, 0.2]
    """
    if not len(good) or not width_s > 0:
        raise ValueError(f"expected good times and a bin length above 0 s, got {good}, {width_s} s")
    first, last = good.start[0], good.stop[-1]
    number = max(1, int(np.ceil((last - first) / width_s - 1e-9)))
    edges = first + width_s * np.arange(number + 1)
    counts, _ = np.histogram(times[good.contains(times)], edges)
    # Good time up to each edge: a piecewise straight line through starts and stops.
    knots = np.stack([good.start, good.stop], axis=1).ravel()
    passed = np.concatenate([[0.0], np.cumsum(good.stop - good.start)])
    upto = np.interp(edges, knots, np.repeat(passed, 2)[1:-1])
    return LightCurve(edges[:-1], edges[1:], counts.astype(np.int64), np.diff(upto))


def sigma_clip(
    rate: npt.NDArray[np.float64], sigma: float = 3.0, minlength: int = 3
) -> npt.NDArray[np.bool_]:
    """Which bins are left when those far from the mean are taken out again and again.

    Parameters
    ----------
    sigma
        Bins further from the mean than this many standard deviations are taken out.
    minlength
        Shortest row of bins that is kept.

    Returns
    -------
    bool array
        Shape (bins,). Bins without a rate are never kept.
    """
    keep = rate > 0
    while keep.any():
        mean, spread = rate[keep].mean(), rate[keep].std()
        # Equal rates differ by their rounding.
        fewer = keep & (np.abs(rate - mean) <= sigma * spread + 1e-9 * abs(mean))
        if (fewer == keep).all():
            break
        keep = fewer
    return long_rows(keep, minlength)


def clean(
    rate: npt.NDArray[np.float64],
    width_s: float,
    clip: float = 3.0,
    scale: float = 1.2,
) -> npt.NDArray[np.bool_]:
    """Which bins have a rate within a factor of the mean of the quiet ones, as for ACIS background files.

    The mean is that of bins within ``clip`` standard deviations, by Poisson's law, of a first estimate, the
    median of all; the manual of lc_clean does not say what is taken for it, and a mean is drawn up by flares.

    Parameters
    ----------
    width_s
        Length of a bin [s].
    clip
        Number of standard deviations.
    scale
        The factor: kept are rates between mean / scale and mean * scale.

    Returns
    -------
    bool array
        Shape (bins,). Bins without a rate are never kept.
    """
    positive = rate > 0
    if not positive.any():
        return positive
    first = float(np.median(rate[positive]))
    near = positive & (np.abs(rate - first) <= clip * np.sqrt(first / width_s))
    mean = rate[near].mean() if near.any() else first
    return positive & (rate >= mean / scale) & (rate <= mean * scale)


def long_rows(keep: npt.NDArray[np.bool_], shortest: int) -> npt.NDArray[np.bool_]:
    """Bins that are kept, without rows of neighbours that are too short.

    Parameters
    ----------
    keep
        Bins, shape (bins,).
    shortest
        Number of bins in the shortest row that is kept.

    Examples
    --------
    >>> long_rows(np.array([True, False, True, True]), 2).tolist()
    [False, False, True, True]
    """
    padded = np.concatenate([[False], keep, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    kept = np.zeros(len(keep), bool)
    for start, stop in edges.reshape(-1, 2):
        if stop - start >= shortest:
            kept[start:stop] = True
    return kept
