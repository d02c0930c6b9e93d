"""Energy scale of the simulated MOS CCDs: gains, losses and offsets of columns as measured on real lists.

Gains, powers and losses of each CCD were fitted to events of May and June 2004 and May 2006 (SAS 13.5 and
14); offsets of the columns are drawn with the spread and the steps that the same lists show.

Parameters
----------
code
    ``M1`` or ``M2``.
ccd
    Number of the CCD.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Scale(NamedTuple):
    """Energy scale of a CCD.

    Attributes
    ----------
    sets
        OFFSET [eV] and GAIN [eV/adu] of singles, doubles, triples and quadruples.
    parallel
        Loss per transfer along RAWY at 1000 adu: adu on 2004-06-01, adu per day since the cooling of 2002,
        power of the amplitude.
    serial
        Along RAWX, constant in time: adu, power.
    """

    sets: tuple[tuple[float, float], ...]
    parallel: tuple[float, float, float]
    serial: tuple[float, float]


#: Per camera and CCD: OFFSET [eV] and GAIN [eV/adu] of singles; loss along RAWY [1e-3 adu], its growth
#: [1e-6 adu per day] and power; loss along RAWX [1e-3 adu] and power; OFFSET [eV] and GAIN [meV/adu] of
#: doubles, triples and quadruples less those of singles. Offsets of singles are those of September
#: 2004 where columns outside the field give them; those of CCD 1 and of MOS2 CCD 4 are of the median column,
#: that of MOS2 CCD 3 is uncertain. The loss along RAWX of MOS2 CCD 4 was nothing within its error; the growth
#: of MOS1 CCD 6 is assumed.
_MEASURED = {
    "M1": (
        (-3.8, 3.25934, 25.110, 4.1, 0.4833, 9.831, 0.6254, 1.26, 0.20, 10.11, -5.14, 33.85, -6.78),
        (-3.8, 3.39302, 15.286, 1.1, 0.3782, 10.423, 0.9992, 4.82, -1.78, 13.24, -9.48, 16.43, -19.28),
        (12.1, 3.47407, 19.110, 3.6, 0.4244, 13.546, 0.5256, 19.84, 0.31, -1.35, -11.79, 14.46, -6.85),
        (-8.2, 3.27592, 16.701, 3.0, 0.4108, 13.299, 0.4860, -3.68, 2.11, 18.04, -13.08, 42.08, -16.01),
        (-12.6, 3.22729, 22.770, 3.5, 0.4601, 16.590, 0.5815, 1.10, 2.60, -4.09, -26.29, 24.00, 17.78),
        (-11.0, 3.43093, 18.750, 2.5, 0.4219, 7.842, 0.7882, -1.24, 1.36, 11.39, -29.89, 30.36, -12.64),
        (-5.4, 3.32565, 19.934, 4.1, 0.4116, 7.544, 0.3492, 1.91, 1.08, 11.31, 3.38, 21.80, -1.85),
    ),
    "M2": (
        (1.0, 3.37434, 16.591, 3.9, 0.5749, 10.731, 0.2847, 2.34, 0.55, 15.34, -5.76, 42.48, -4.53),
        (-9.2, 3.38604, 20.231, 3.6, 0.5585, 9.139, 0.7581, 1.45, -1.09, 9.00, -0.31, 26.76, -10.47),
        (-7.5, 3.34957, 22.530, 4.0, 0.3804, 9.367, 0.4439, -0.92, 1.96, -1.42, -5.44, 19.29, 1.36),
        (28.8, 3.37692, 17.834, 3.7, 0.4827, 0.0, 0.5, 13.38, 1.14, -4.04, -10.04, 8.98, -9.06),
        (-6.6, 3.36496, 18.326, 3.8, 0.4970, 10.189, 0.6139, -0.82, 1.31, 5.06, -6.88, 16.71, -6.92),
        (-5.8, 3.34938, 19.804, 4.2, 0.5042, 2.890, 1.2727, 0.55, 0.44, 14.60, -9.30, 32.29, -8.62),
        (-7.5, 3.45482, 18.588, 4.7, 0.4701, 6.371, 0.2152, 1.12, 0.81, 0.65, -1.34, 33.82, -11.46),
    ),
}  # fmt: skip


def _scale(row: tuple[float, ...]) -> Scale:
    offset, gain, loss, growth, power, serial, serial_power, *more = row
    sets = [(offset, gain)]
    sets += [
        (round(offset + more[k], 2), round(gain + more[k + 1] / 1000, 5)) for k in range(0, len(more), 2)
    ]
    return Scale(tuple(sets), (loss / 1000, round(growth * 1e-6, 9), power), (serial / 1000, serial_power))


SCALES = {code: {ccd: _scale(row) for ccd, row in enumerate(rows, 1)} for code, rows in _MEASURED.items()}

#: Losses are (c0 + c1 days) (PHA / 1000 adu)^c2, days since this date; they were measured on that day of it.
CTI_REF_DATE, MEASURED_DAY = "2000-01-01T00:00:00", 1613.0
#: Periods of one law each: start, end, issues of MOS1 and MOS2, and whether the cameras were warm. They were
#: cooled from -100 to -120 C in November 2002, which made the losses along RAWY several times smaller.
CTI_PERIODS = (
    ("1998-01-01T00:00:00", "2002-11-06T23:59:59", 77, 78, True),
    ("2002-11-07T00:00:00", None, 95, 96, False),
)
#: Growth of the losses of warm cameras: share of those of 2004 per day since REF_DATE (assumed).
WARM_GROWTH = 2.6e-3


def parallel_law(code: str, ccd: int, warm: bool) -> tuple[float, float, float]:
    """The three numbers of the law along RAWY of a CCD, before or after the cooling.

    Parameters
    ----------
    warm
        Whether before the cooling.
    """
    loss, growth, power = SCALES[code][ccd].parallel
    if warm:
        return 0.0, WARM_GROWTH * loss, power
    return loss - growth * MEASURED_DAY, growth, power


def serial_law(code: str, ccd: int) -> tuple[float, float, float]:
    """The three numbers of the law along RAWX of a CCD."""
    loss, power = SCALES[code][ccd].serial
    return loss, 0.0, power


#: Offsets of columns [adu to add on ground]: spread, share and mean size of the tail, most; share of the
#: columns with a step, its smallest and mean size, most; share of the steps that go down.
_SPREAD_ADU, _TAIL_SHARE, _TAIL_ADU, _MOST_ADU = 2.5, 0.12, 8.0, 40.0
_STEP_SHARE, _STEP_LEAST_ADU, _STEP_MEAN_ADU, _DOWN_SHARE = 0.06, 8.0, 14.0, 0.1


def column_sections(
    code: str, sees_sky: Callable[[int], np.ndarray]
) -> tuple[tuple[int, int, int, int, float], ...]:
    """Sections of columns with an offset: CCD, RAWX, first row, rows, adu to add on ground.

    Parameters
    ----------
    code
        Camera.
    sees_sky
        Gives for a CCD which of its columns see the sky; the others have no offset, as in real lists.
    """
    sections = []
    for ccd in SCALES[code]:
        rng = np.random.default_rng([int(code[1]), ccd, 97])
        for x in np.flatnonzero(sees_sky(ccd)) + 1:
            adu = _SPREAD_ADU * rng.standard_normal()
            if rng.random() < _TAIL_SHARE:
                adu += rng.exponential(_TAIL_ADU)
            stepped, row = rng.random() < _STEP_SHARE, int(rng.integers(40, 561))
            size = _STEP_LEAST_ADU + rng.exponential(_STEP_MEAN_ADU - _STEP_LEAST_ADU)
            size *= -1 if rng.random() < _DOWN_SHARE else 1
            above = float(np.round(np.clip(adu + size, -_MOST_ADU, _MOST_ADU), 2))
            first = float(np.round(min(adu, _MOST_ADU), 2))
            sections.append((ccd, int(x), 1, row - 1 if stepped else 600, first))
            if stepped:
                sections.append((ccd, int(x), row, 601 - row, above))
    return tuple(sections)
