"""Energy bins and channels of responses, as those of SAS have them.

Source: all matrices and areas made by SAS 13.5 to 20 that were at hand; that they are the same for every
exposure of a camera is assumed. EBOUNDS of the pn departs from 5 eV a channel below 2 keV: its values are
those of the same five matrices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Bins of the pn: where a stretch of bins of one width begins, and that width [0.5 eV].
_PN_BINS = (
    (100, 2), (598, 3), (601, 5), (606, 6), (1032, 5), (1037, 3), (1040, 2), (1098, 3), (1101, 5), (1106, 6),
    (3092, 5), (3097, 3), (3100, 2), (3198, 9), (3207, 23), (3230, 30), (3410, 23), (3433, 9), (3442, 2),
    (3808, 9), (3817, 23), (3840, 30), (4350, 23), (4373, 9), (4382, 2), (4798, 9), (4807, 23), (4830, 30),
)  # fmt: skip
_PN_END = 32010
#: Shift of the lower limits of every tenth pn channel against 5 eV a channel [eV]; none beyond.
_PN_SHIFT = (
    0, 3.69, 7.3, 10.77, 14.02, 17, 19.67, 21.99, 23.93, 25.48, 26.65, 27.43, 27.85, 27.92, 27.68,
    27.16, 26.38, 25.4, 24.23, 22.93, 21.52, 20.04, 18.52, 16.98, 15.46, 13.96, 12.52, 11.15, 9.86,
    8.65, 7.54, 6.52, 5.6, 4.78, 4.05, 3.41, 2.84, 2.36, 1.94, 1.59, 1.29, 1.04, 0.84, 0.67, 0.53, 0.42,
    0.32, 0.25, 0.19, 0.15, 0.11, 0.09, 0.07, 0.05, 0.04, 0.03, 0.02, 0.01, 0.01,
)  # fmt: skip


def energy_bins(instrument: str) -> FloatArray:
    """Limits of the energy bins of a camera's responses [eV], growing; one more than there are bins.

    Parameters
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.

    Examples
    --------
    >>> len(energy_bins("EPN")) - 1, len(energy_bins("EMOS1")) - 1
    (2067, 2400)
    """
    if instrument != "EPN":
        return np.arange(0.0, 12001.0, 5.0)
    stops = [start for start, _ in _PN_BINS[1:]] + [_PN_END]
    parts = [np.arange(start, stop, width) for (start, width), stop in zip(_PN_BINS, stops, strict=True)]
    limits: FloatArray = 0.5 * np.append(np.concatenate(parts), _PN_END)
    return limits


def channel_limits(instrument: str, first: int, count: int, width_ev: float) -> FloatArray:
    """Limits of the channels of a spectrum [eV]; one more than there are channels.

    Parameters
    ----------
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    first
        Number of the first channel.
    count
        Number of channels.
    width_ev
        Their nominal width [eV].
    """
    nominal = width_ev * (first + np.arange(count + 1, dtype=float))
    if instrument != "EPN":
        return nominal
    every_tenth = 10.0 * np.arange(len(_PN_SHIFT))
    return nominal + np.interp(nominal / 5.0, every_tenth, _PN_SHIFT)
