"""epfast: charge losses of the pn in fast modes that depend on the rate of the source.

Source: manual of epfast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.pn.options import Epfast

#: Mean energy for an electron in silicon [eV]; the manual counts the charge of PI in electrons.
_EV_PER_ELECTRON = 3.65
#: Keyword that tells that a list has been corrected (name assumed).
APPLIED = "RDCTI_CO"


@dataclass(frozen=True)
class RateLaw:
    """Energy loss by rate: E -> E (a0 rate^a1 + a2), rate in electrons per second and column."""

    a0: float
    a1: float
    a2: float

    def loss(self, rate: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Factor by which energies have shrunk; 1 where nothing was seen.

        Parameters
        ----------
        rate
            Rates in the units of the law, any shape.
        """
        rate = np.asarray(rate, float)
        factor = np.ones(rate.shape)
        seen = rate > 0
        factor[seen] = self.a0 * rate[seen] ** self.a1 + self.a2
        return factor


def electron_rates(
    time_s: npt.ArrayLike, rawx: npt.ArrayLike, pi_ev: npt.ArrayLike, gti: GTI, bin_s: float
) -> npt.NDArray[np.float64]:
    """Electrons per second in the column and the time bin of each event.

    Parameters
    ----------
    time_s, rawx, pi_ev
        Time, column (1..64) and energy of the events; energies that do not count are 0.
    gti
        Good times: a bin is as long as what of it is good.
    bin_s
        Length of the bins.
    """
    time, column = np.asarray(time_s, float), np.asarray(rawx, np.int64) - 1
    if not len(time):
        return np.empty(0)
    begin = gti.start[0] if len(gti) else time.min()
    number = np.maximum(np.floor((time - begin) / bin_s).astype(np.int64), 0)
    n_bins = int(number.max()) + 1
    charge = np.bincount(
        number * PN_SHAPE[0] + column,
        weights=np.asarray(pi_ev, float) / _EV_PER_ELECTRON,
        minlength=n_bins * PN_SHAPE[0],
    )
    edges = begin + bin_s * np.arange(n_bins + 1)
    good = np.concatenate([[0.0], np.cumsum(gti.stop - gti.start)])
    # Good time up to each edge.
    at = np.searchsorted(gti.start, edges, side="right")
    until = good[at] - np.where(at > 0, np.maximum(gti.stop[np.maximum(at - 1, 0)] - edges, 0.0), 0.0)
    length = np.diff(until)
    rate = np.divide(
        charge.reshape(n_bins, PN_SHAPE[0]),
        length[:, None],
        out=np.zeros((n_bins, PN_SHAPE[0])),
        where=length[:, None] > 0,
    )
    return rate[number, column]


def corrected_energies(
    time_s: npt.ArrayLike,
    rawx: npt.ArrayLike,
    pi: npt.NDArray[np.int16],
    gti: GTI,
    law: RateLaw,
    rng: np.random.Generator | None,
    options: Epfast,
) -> npt.NDArray[np.int16]:
    """PI without the losses by rate.

    Parameters
    ----------
    time_s
        Time of each event [mission time], shape (n,).
    rawx
        Column of each event, shape (n,).
    pi
        Energies [eV].
    gti
        Good times.
    law
        Losses by the rate.
    rng
        Source of a random part of 1 eV, which keeps steps of the scale out of spectra; None for none.
    options
        Energies that make the rate, and its bins.
    """
    chosen = (pi >= options.pimin) & (pi <= options.pimax)
    rate = electron_rates(time_s, rawx, np.where(chosen, pi, 0), gti, options.timebinwidth)
    energy = pi.astype(np.float64)
    if rng is not None:
        energy += rng.random(len(pi)) - 0.5
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(energy / law.loss(rate)), limits.min, limits.max).astype(np.int16)


def mark(header: Any) -> None:
    """Note in a header that energies have been corrected.

    Parameters
    ----------
    header
        The header; changed.
    """
    header[APPLIED] = (True, "energies corrected for the rate of the source")


def report(old: npt.NDArray[np.int16], new: npt.NDArray[np.int16], info: Callable[[str], None]) -> None:
    """Say how far energies have moved.

    Parameters
    ----------
    old, new
        Energies before and after [eV], shape (n,).
    info
        Takes lines of the log.
    """
    usable = old > 0
    ratio = new[usable] / old[usable]
    if len(ratio):
        middle, most = np.median(ratio), ratio.max()
        info(f"energies of {len(ratio)} events times {middle:.4f} (median), {most:.4f} at most")
