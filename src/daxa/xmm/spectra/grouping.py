"""Grouping of a spectrum's channels: groups with enough counts, and none narrower than what is resolved.

Source: manual of specgroup (groups of counts first, whole groups then joined until they are wide enough; the
remainder joins the last one); that limits of groups are limits of groups of counts, and which channels are
good, holds in all three grouped spectra of real pipelines that were at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Quality:
    """Which energies of a camera are good, and how well it resolves them.

    Attributes
    ----------
    low_ev, high_ev
        Limits of the good energies [eV].
    energy_ev, fwhm_ev
        Energies, growing, and the full width at half maximum of a line there [eV].
    """

    low_ev: float
    high_ev: float
    energy_ev: tuple[float, ...]
    fwhm_ev: tuple[float, ...]

    def resolution(self, energy_ev: npt.ArrayLike) -> FloatArray:
        """Full width at half maximum [eV], interpolated linearly, the ends held.

        Parameters
        ----------
        energy_ev
            Energies [eV].
        """
        return np.interp(np.asarray(energy_ev, float), self.energy_ev, self.fwhm_ev)


_ENERGIES = (100, 250, 400, 600, 800, 1000, 1200, 1400, 1600, 1850, 2100, 2500, 3000, 4000, 6000, 8000, 15000)
#: What stands in for XMM_SPECQUAL, whose layout is not public: good channels of the grouped spectra of
#: 0693760101 (SAS 18), and the resolution that the limits of 330 of their groups are best explained by.
MEASURED = {
    "EMOS": Quality(
        110.0, 9990.0, _ENERGIES,
        (40, 40.5, 59.6, 86.6, 90.1, 89.3, 93.0, 97.1, 105.5, 103.9, 121.9, 116.8, 122.9, 116.0, 106.4, 137.6,
         215.4),
    ),
    "EPN": Quality(
        100.0, 15000.0, _ENERGIES,
        (78.4, 106.1, 96.1, 90.7, 98.1, 108.2, 112.3, 120.2, 119.9, 118.7, 120.1, 131.3, 145.7, 170.5, 177.4,
         217.1, 232.6),
    ),
}  # fmt: skip


def quality_of(instrument: str) -> Quality:
    """Good energies and resolution of a camera, as grouped spectra of real pipelines show them.

    Parameters
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.

    Raises
    ------
    KeyError
        It is no camera.
    """
    return MEASURED[instrument.rstrip("12")]


def count_groups(counts: npt.ArrayLike, least: float) -> IntArray:
    """First channels of groups of at least so many counts, and the channel after the last complete one.

    Parameters
    ----------
    counts
        Counts of the channels.
    least
        Counts that close a group.

    Examples
    --------
    >>> count_groups([3, 1, 0, 5, 2, 1], 4).tolist()
    [0, 2, 4]
    """
    return reaching(
        lambda first, last: total[last + 1] - total[first] >= least, len(total := _sums(counts)) - 1
    )


def _sums(values: npt.ArrayLike) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(np.asarray(values, float))])


def reaching(enough: Callable[[int, int], bool], size: int) -> IntArray:
    """Limits of groups of channels that are each closed by the first channel with which they have enough.

    Parameters
    ----------
    enough
        Whether the channels from the first to the last given are enough.
    size
        Number of channels.
    """
    limits = [0]
    for channel in range(size):
        if enough(limits[-1], channel):
            limits.append(channel + 1)
    return np.array(limits)


def join(limits: IntArray, least: Callable[[int], float]) -> IntArray:
    """Join whole groups until each has a least width.

    Parameters
    ----------
    limits
        First channels of the groups, and the channel after the last one.
    least
        Width [channel] that a group that begins at a channel must have.

    Examples
    --------
    >>> join(np.array([0, 2, 3, 7, 8]), lambda first: 3).tolist()
    [0, 3, 7]
    """
    joined = [int(limits[0])]
    for limit in limits[1:].tolist():
        if limit - joined[-1] >= least(joined[-1]):
            joined.append(limit)
    return np.array(joined)


def signal_to_noise(counts: npt.ArrayLike, background: npt.ArrayLike, ratio: float) -> FloatArray:
    """Significance of the net counts of groups.

    Parameters
    ----------
    counts, background
        Counts of source and background regions.
    ratio
        Area of the source over that of the background.

    Returns
    -------
    array
        Net counts over their Gaussian error; 0 without counts.
    """
    source, other = np.asarray(counts, float), np.asarray(background, float)
    error = np.sqrt(source + ratio**2 * other)
    return np.divide(source - ratio * other, error, out=np.zeros_like(error), where=error > 0)


def columns_of(size: int, limits: IntArray, last: int) -> IntArray:
    """GROUPING: 1 where a group begins, -1 where it goes on; 1 for channels in no group.

    Parameters
    ----------
    size
        Number of channels of the spectrum.
    limits
        First channels of the groups.
    last
        Channel after the last group.
    """
    grouping = np.ones(size, np.int64)
    if len(limits):
        grouping[limits[0] : last] = -1
        grouping[limits] = 1
    return grouping
