"""From pn amplitudes to energies: column gain, charge-transfer losses, ageing, recombination of patterns.

Source: calibration handbook (EPN_ADUCONV, EPN_CTI), manuals of epevents and calpnalgo. The laws are those
that :mod:`daxa.xmm.formats.ccf` states beside the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EnergyScale:
    """Energy scale of one CCD in one mode at one time.

    Attributes
    ----------
    adu_ev
        Energy of one adu after the column gain [eV].
    gain, loss
        Per column (64): relative gain; share of the charge lost per row at ``reference_ev``.
    offset
        Per column (64): extra offset, in the amplitudes as telemetered [adu].
    reference_ev, slope
        The loss goes as (E / reference_ev)^slope.
    ageing_ev
        Energies of the long-term table [eV], increasing.
    ageing_start, ageing_now
        T of the long-term law at these energies, at the first epoch and now. What a row costs is linear in
        the logarithm of the energy between them, as it was when the table was made, and the same beyond
        (assumed).
    shifts
        PATTERN -> (energies [eV], energy to add [eV]).
    """

    adu_ev: float
    gain: FloatArray
    loss: FloatArray
    offset: FloatArray
    reference_ev: float = 1000.0
    slope: float = 0.0
    ageing_ev: FloatArray = field(default_factory=lambda: np.empty(0))
    ageing_start: FloatArray = field(default_factory=lambda: np.empty(0))
    ageing_now: FloatArray = field(default_factory=lambda: np.empty(0))
    shifts: Mapping[int, tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    def pixel_energy(self, amplitude: npt.ArrayLike, rawx: npt.ArrayLike, rawy: npt.ArrayLike) -> FloatArray:
        """Energy [eV] of single pixels.

        Parameters
        ----------
        amplitude
            Amplitudes [adu] without the column offset, randomised inside their bin if so wished.
        rawx, rawy
            Column (1..64) and row (1..200): the charge was moved through ``rawy`` rows.
        """
        column = np.asarray(rawx, np.int64) - 1
        row = np.asarray(rawy, np.float64)
        energy = self.adu_ev * self.gain[column] * np.asarray(amplitude, np.float64)
        # Losses of 1 % per row are far beyond any CCD; amplitudes near zero must not reach them.
        part = self.loss[column] * (np.maximum(energy, 1.0) / self.reference_ev) ** self.slope
        energy = energy * np.exp(-row * np.log1p(-np.minimum(part, 0.01)))
        if len(self.ageing_ev):
            lost = np.log1p(-self.ageing_start) - np.log1p(-self.ageing_now)
            energy = energy * np.exp(
                row * np.interp(np.log(np.maximum(energy, 1.0)), np.log(self.ageing_ev), lost)
            )
        return energy

    def pattern_shift(self, code: npt.ArrayLike, energy_ev: npt.ArrayLike) -> FloatArray:
        """Energy [eV] to add to the sum over a pattern, by PATTERN; 0 for patterns without an entry.

        Parameters
        ----------
        code
            PATTERN of each, any shape.
        energy_ev
            Energy of each [eV], of the same shape.
        """
        code, energy = np.asarray(code), np.asarray(energy_ev, float)
        shift = np.zeros(len(energy))
        for pattern, (energies, values) in self.shifts.items():
            chosen = code == pattern
            shift[chosen] = np.interp(energy[chosen], energies, values)
        return shift

    def amplitude_below(self, energy_ev: float, beyond: float) -> float:
        """An amplitude [adu] whose pixel, if alone, is below an energy wherever on the CCD it is.

        Parameters
        ----------
        energy_ev
            The energy.
        beyond
            By how much the amplitude that energies are made of may exceed the telemetered one [adu].
        """
        if 0 in self.shifts:
            energy_ev -= max(float(np.max(self.shifts[0][1])), 0.0)
        amplitude = np.arange(0.0, 4096.0)
        # The worst place: the column with the largest gain and loss, the farthest row.
        gain, loss = self.gain.max(), self.loss.max()
        worst = EnergyScale(
            self.adu_ev,
            np.full(64, gain),
            np.full(64, loss),
            self.offset,
            self.reference_ev,
            self.slope,
            self.ageing_ev,
            self.ageing_start,
            self.ageing_now,
        )
        energy = worst.pixel_energy(
            amplitude + beyond, np.ones(len(amplitude), int), np.full(len(amplitude), 200)
        )
        above = np.flatnonzero(energy >= energy_ev)
        return float(above[0]) if len(above) else 4096.0


def out_of_time_rows(
    rawy: npt.ArrayLike,
    label: npt.ArrayLike,
    main: npt.ArrayLike,
    first_row: int,
    last_row: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """New rows that move every pattern as a whole to a random place along its column.

    Parameters
    ----------
    rawy, label
        Row and pattern of each pixel.
    main
        Per pattern: index of its main pixel.
    first_row, last_row
        Range of rows that the events occupy; every pixel of a pattern stays inside it.
    rng
        Source of the random numbers.

    Notes
    -----
    A charge that arrives during the read-out is assigned a row that depends on the moment, not on the
    place (epevents manual, option withoutoftime).
    """
    rawy, label, main = (np.asarray(v, np.int64) for v in (rawy, label, main))
    lowest = np.full(len(main), np.iinfo(np.int64).max)
    highest = np.full(len(main), np.iinfo(np.int64).min)
    np.minimum.at(lowest, label, rawy)
    np.maximum.at(highest, label, rawy)
    # Room below and above the pattern as a whole; a pattern longer than the range stays where it is.
    down, up = first_row - lowest, last_row - highest
    shift = np.floor(rng.random(len(main)) * (up - down + 1)).astype(np.int64) + down
    shift[up < down] = 0
    return rawy + shift[label]
