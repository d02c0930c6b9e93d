"""The losses of charge in EMOSn_CTI, whose amplitudes may be counted in adu or in 1000 adu.

No public document says which. The two differ some thirty-fold in size, so the size tells: in real event
lists of 2004 and 2006 the loss per transfer along RAWY of 1000 adu is 0.015 to 0.028 adu in every CCD.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import UnknownLayout

#: Losses per transfer along RAWY that are possible for 1000 adu [adu].
POSSIBLE_ADU = (0.001, 0.2)
#: Powers of real lists lie between 0 and 1.
LARGEST_POWER = 10.0
Law = tuple[float, float, float]


def transfer_laws(
    table: Mapping[str, npt.NDArray[Any]], row: int, days: float, where: str
) -> tuple[Law, Law]:
    """Laws of the losses along RAWX and RAWY: (c0 + c1 days) (PHA / 1000 adu)^c2 adu per transfer.

    Parameters
    ----------
    table
        Columns of CTI_EXTENDED.
    row
        Which row is wanted.
    days
        Since the reference date of the table.
    where
        File and table, for the message.

    Returns
    -------
    serial, parallel
        c0 [adu], c1 [adu/day], c2. A law of the plain amplitude in adu is brought to this form.

    Raises
    ------
    UnknownLayout
        The losses along RAWY are possible in neither form.
    """
    c0, c1, power = (np.asarray(table[f"CTI_Y{k}"], float) for k in range(3))
    loss = c0 + c1 * days
    some = loss != 0
    low, high = POSSIBLE_ADU
    for plain in (False, True):
        # Powers that are none give sizes that are none, too.
        with np.errstate(over="ignore", under="ignore"):
            size = loss[some] * (1000.0 ** power[some] if plain else 1.0)
        # All rows together: a single one may look right in either form.
        if np.all((size >= low) & (size <= high)):
            break
    else:
        raise UnknownLayout(
            f"{where}: losses of {loss[some].min():g} to {loss[some].max():g} adu per transfer along RAWY "
            f"(CTI_Y0 + CTI_Y1 days); {low:g} to {high:g} for 1000 adu is expected"
        )
    laws = []
    for axis in "XY":
        a, b, c = (float(table[f"CTI_{axis}{k}"][row]) for k in range(3))
        if abs(c) > LARGEST_POWER:
            raise UnknownLayout(f"{where}: CTI_{axis}2 {c:g} is not a power of an amplitude")
        unit = 1000.0**c if plain else 1.0
        laws.append((a * unit, b * unit, c))
    return laws[0], laws[1]
