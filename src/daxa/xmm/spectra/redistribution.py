"""Redistribution of photons over channels by a measured law, for cameras whose files say it in no public way.

A photon of energy E gives a Gaussian pair about E; an exponential tail below it, from charge lost near the
surface; two even shelves, down to a share S of E and below that; above the edge of silicon an escape peak.
All but the escape peak, which is narrower, are smeared with the pair. The numbers are those that describe
real matrices made by rmfgen (tables ``redistribution_*.csv``, which say of which).

Source: form of the law measured on those matrices; rows that sum to 1 and the threshold of 1e-6 a channel
from manual and matrices of rmfgen.
"""

from __future__ import annotations

import csv
import datetime
import functools
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

FloatArray = npt.NDArray[np.float64]
#: Elements below this are left out.
THRESHOLD = 1e-6
#: Rows that end here or below are empty, as those of the matrix of MOS that the law was measured on [eV].
_LEAST_EV = 30.0
#: Edge of silicon, above which photons of its K line may escape, and the energy of that line [eV].
SILICON_EDGE_EV, SILICON_LINE_EV = 1839.0, 1740.0
#: Variance of the noise [eV^2] and its growth with energy [eV], which make the escape peak narrower.
_NOISE, _GROWTH = 35.0**2, 0.438
#: Beyond so many sigma the integral of a Gaussian is 0 or 1 in double precision, and so is an exponential
#: beyond so many of its scales.
_SURE, _NOTHING = 8.3, 45.0
_SHARES = ("core", "tail", "high", "low", "escape")
_SIZES = ("tail_ev", "edge", "narrow_ev", "wide_ev", "wide", "shift_ev")
#: What differs between modes and dates.
_WIDTHS = ("narrow_ev", "wide_ev", "wide", "shift_ev")


@dataclass(frozen=True)
class Line:
    """The response to one energy: shares of its parts, and their sizes.

    Attributes
    ----------
    core, tail, high, low, escape
        Shares; they sum to 1.
    tail_ev
        Scale of the exponential tail [eV].
    edge
        The upper shelf reaches down to this share of the energy.
    narrow_ev, wide_ev, wide
        Sigmas of the two Gaussians [eV], and the share of the wide one.
    shift_ev
        Shift of all [eV].
    """

    core: float
    tail: float
    high: float
    low: float
    escape: float
    tail_ev: float
    edge: float
    narrow_ev: float
    wide_ev: float
    wide: float
    shift_ev: float

    def below(self, energy_ev: float, limits_ev: FloatArray) -> FloatArray:
        """Share of the photons that are seen below each limit.

        Parameters
        ----------
        energy_ev
            Their energy [eV].
        limits_ev
            Limits of channels [eV].
        """
        x = limits_ev - self.shift_ev
        total = np.zeros(len(limits_ev))
        for sigma, share in ((self.narrow_ev, 1 - self.wide), (self.wide_ev, self.wide)):
            parts = self.core * ndtr((x - energy_ev) / sigma)
            parts += self.tail * _tail_below(x - energy_ev, self.tail_ev, sigma)
            parts += self.high * _shelf_below(x, self.edge * energy_ev, energy_ev, sigma)
            parts += self.low * _shelf_below(x, 0.0, self.edge * energy_ev, sigma)
            if self.escape > 0:
                left = energy_ev - SILICON_LINE_EV
                narrower = sigma * np.sqrt((_NOISE + _GROWTH * left) / (_NOISE + _GROWTH * energy_ev))
                parts += self.escape * ndtr((x - left) / narrower)
            total += share * parts
        return total


def _tail_below(x: FloatArray, scale: float, sigma: float) -> FloatArray:
    """An exponential that ends at 0 and falls to the left, smeared with a Gaussian; x grows."""
    start, stop = np.searchsorted(x, [-_NOTHING * scale - sigma**2 / scale, _SURE * sigma])
    inside = x[start:stop]
    argument = np.minimum(inside / scale + 0.5 * (sigma / scale) ** 2, 600.0)
    found = np.zeros(len(x))
    found[start:stop] = ndtr(inside / sigma) + np.exp(argument) * ndtr(-inside / sigma - sigma / scale)
    found[stop:] = 1.0
    return found


def _shelf_below(x: FloatArray, low: float, high: float, sigma: float) -> FloatArray:
    """An even share between two limits, smeared with a Gaussian; x grows."""
    return sigma * (_ramp((x - low) / sigma) - _ramp((x - high) / sigma)) / max(high - low, 1e-3)


def _ramp(z: FloatArray) -> FloatArray:
    """Integral of the Gaussian's integral; z grows."""
    start, stop = np.searchsorted(z, [-_SURE, _SURE])
    near = z[start:stop]
    found = np.maximum(z, 0.0)
    found[start:stop] = near * ndtr(near) + np.exp(-0.5 * near**2) / np.sqrt(2 * np.pi)
    return found


@dataclass(frozen=True)
class Law:
    """Lines at some energies, from which those between follow.

    Attributes
    ----------
    energy_ev
        Their energies, growing [eV].
    values
        Numbers of :class:`Line` in its order, shape (energies, 11).
    """

    energy_ev: FloatArray
    values: FloatArray

    def line(self, energy_ev: float) -> Line:
        """The response to an energy.

        Numbers are interpolated in the logarithm of the energy, shares in their logarithms, and not across
        the edge of silicon; beyond the table its ends hold.

        Parameters
        ----------
        energy_ev
            The energy [eV].
        """
        beyond = self.energy_ev >= SILICON_EDGE_EV
        own = beyond if energy_ev >= SILICON_EDGE_EV else ~beyond
        grid, values = np.log(self.energy_ev[own]), self.values[own]
        at = np.log(energy_ev)
        shares = [np.exp(np.interp(at, grid, np.log(np.maximum(values[:, k], 1e-7)))) for k in range(5)]
        if energy_ev < SILICON_EDGE_EV:
            shares[4] = 0.0
        sizes = [float(np.interp(at, grid, values[:, k])) for k in range(5, values.shape[1])]
        total = sum(shares)
        return Line(*(float(s / total) for s in shares), *sizes)


def _rows(name: str) -> list[dict[str, str]]:
    """Rows of a table of the package."""
    text = files("daxa.xmm.spectra").joinpath(f"redistribution_{name}.csv").read_text(encoding="ascii")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def _numbers(rows: list[dict[str, str]], names: tuple[str, ...]) -> FloatArray:
    return np.array([[float(row[name]) for name in names] for row in rows])


@functools.lru_cache(maxsize=32)
def measured_law(instrument: str, submode: str = "", date: str = "") -> Law:
    """The law of a camera, from tables of the package.

    Widths of the pn are those of the mode, between dates at which they were measured by these; of a mode in
    which they were not, those of full frame.

    Parameters
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    submode
        Mode, as in the keyword SUBMODE.
    date
        Start of the exposure (ISO).
    """
    table = _numbers(_rows(instrument.rstrip("12").lower()), ("energy", *_SHARES, *_SIZES))
    if instrument == "EPN":
        table = _with_widths(table, submode, date)
    return Law(table[:, 0], table[:, 1:])


def _with_widths(table: FloatArray, submode: str, date: str) -> FloatArray:
    """The table of the pn with the widths of another mode."""
    rows = [row for row in _rows("epn_widths") if row["mode"] == submode]
    if not rows:
        return table
    dates = sorted({row["date"] for row in rows})
    days = [_day(d) for d in dates]
    values = np.array([_numbers([row for row in rows if row["date"] == d], _WIDTHS) for d in dates])
    at = np.interp(_day(date) if date else days[-1], days, np.arange(len(days)))
    low, share = int(at), at - int(at)
    mixed = (1 - share) * values[low] + share * values[min(low + 1, len(days) - 1)]
    table = table.copy()
    table[:, [1 + len(_SHARES) + _SIZES.index(name) for name in _WIDTHS]] = mixed
    return table


def _day(date: str) -> int:
    return datetime.date.fromisoformat(date[:10]).toordinal()


def matrix(law: Law, bins_ev: FloatArray, limits_ev: FloatArray) -> FloatArray:
    """Shares of the photons of each energy bin in each channel; rows sum to 1, those below 30 eV are empty.

    Parameters
    ----------
    law
        The law of the camera.
    bins_ev
        Limits of the energy bins [eV].
    limits_ev
        Limits of the channels [eV].

    Returns
    -------
    array
        Shape (energy bins, channels).
    """
    rows = np.zeros((len(bins_ev) - 1, len(limits_ev) - 1))
    for k, energy in enumerate(0.5 * (bins_ev[1:] + bins_ev[:-1])):
        if bins_ev[k + 1] <= _LEAST_EV:
            continue
        row = np.diff(law.line(float(max(energy, 1.0))).below(float(energy), limits_ev))
        row[row < THRESHOLD] = 0.0
        total = row.sum()
        rows[k] = row / total if total > 0 else 0.0
    return rows
