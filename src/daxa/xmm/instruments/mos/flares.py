"""Light curve of soft-proton flares from saturated single events, and its good times.

Source: manual of emchain (flare screening).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.schema import Column

FloatArray = npt.NDArray[np.float64]
#: Columns of the flare curve.
CURVE_COLUMNS = (
    Column("RATE", "1E", "count/ks/arcmin**2"),
    Column("ERROR", "1E", "count/ks/arcmin**2"),
    Column("TIME", "1D", "s"),
    Column("FRACEXP", "1E"),
)
#: Bins with less exposure than this fraction say nothing.
_LEAST_EXPOSURE = 0.1


@dataclass
class FlareCurve:
    """Rate of saturated single events.

    Attributes
    ----------
    time_s
        Centres of the bins.
    bin_s
        Length of a bin.
    rate, error
        Counts per ks and square arcminute.
    exposure
        Fraction of each bin covered by good times.
    """

    time_s: FloatArray
    bin_s: float
    rate: FloatArray
    error: FloatArray
    exposure: FloatArray

    def gti(self, max_rate: float) -> GTI:
        """Times with at most ``max_rate``; stretches of a single bin are left out.

        Parameters
        ----------
        max_rate
            The rate [ct/ks/arcmin2].
        """
        quiet = (self.rate <= max_rate) & (self.exposure > _LEAST_EXPOSURE)
        # Runs of bins, not of times: rounding must not part two bins that touch.
        edge = np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8))
        first, last = np.flatnonzero(edge > 0), np.flatnonzero(edge < 0) - 1
        several = last > first
        half = 0.5 * self.bin_s
        return GTI(self.time_s[first[several]] - half, self.time_s[last[several]] + half)

    def table(self) -> dict[str, FloatArray]:
        """Columns of a rate table."""
        return {"RATE": self.rate, "ERROR": self.error, "TIME": self.time_s, "FRACEXP": self.exposure}


def flare_curve(
    time_s: npt.ArrayLike,
    good: GTI,
    area_arcmin2: float,
    bin_s: float,
    span: tuple[float, float] | None = None,
) -> FlareCurve:
    """Bin events into a flare curve.

    Parameters
    ----------
    time_s
        Times of saturated single events.
    good
        Good times of the exposure.
    area_arcmin2
        Area of the field of view they come from.
    bin_s
        Length of a bin [s].
    span
        Start of the first bin and end of the last one; those of the good times if not given.
    """
    if not len(good) or area_arcmin2 <= 0:
        empty = np.zeros(0)
        return FlareCurve(empty, bin_s, empty, empty, empty)
    first, last = span or (good.start[0], good.stop[-1])
    n_bins = max(int(np.ceil((last - first) / bin_s)), 1)
    edges = first + bin_s * np.arange(n_bins + 1)
    counts = np.histogram(np.asarray(time_s, float), edges)[0].astype(float)
    # Good time up to each edge.
    index = np.searchsorted(good.start, edges, side="right") - 1
    before = np.concatenate([[0.0], np.cumsum(good.stop - good.start)])
    inside = np.clip(
        edges - good.start[np.maximum(index, 0)], 0.0, (good.stop - good.start)[np.maximum(index, 0)]
    )
    covered = np.diff(np.where(index >= 0, before[np.maximum(index, 0)] + inside, 0.0))
    scale = np.divide(1000.0, covered * area_arcmin2, out=np.zeros(n_bins), where=covered > 0)
    return FlareCurve(
        0.5 * (edges[1:] + edges[:-1]), bin_s, counts * scale, np.sqrt(counts) * scale, covered / bin_s
    )


def mean_curve(inputs: Sequence[tuple[npt.ArrayLike, GTI, float]], bin_s: float) -> FlareCurve:
    """One flare curve of several exposures: their rates, weighted with the exposure of each bin.

    Parameters
    ----------
    inputs
        Per exposure: times of the events, good times, area [arcmin2].
    bin_s
        Length of a bin [s].

    Returns
    -------
    FlareCurve
        The fractions of exposure are summed, and may exceed 1.
    """
    gtis = [good for _, good, _ in inputs if len(good)]
    if not gtis:
        return flare_curve([], GTI(), 0.0, bin_s)
    span = min(g.start[0] for g in gtis), max(g.stop[-1] for g in gtis)
    curves = [flare_curve(*one, bin_s, span) for one in inputs if len(one[1]) and one[2] > 0]
    exposure = np.sum([c.exposure for c in curves], axis=0)
    weights = [
        np.divide(c.exposure, exposure, out=np.zeros_like(exposure), where=exposure > 0) for c in curves
    ]
    rate = np.sum([w * c.rate for w, c in zip(weights, curves, strict=True)], axis=0)
    error = np.sqrt(np.sum([(w * c.error) ** 2 for w, c in zip(weights, curves, strict=True)], axis=0))
    return FlareCurve(curves[0].time_s, bin_s, rate, error, exposure)
