"""How the efficiency of a CCD is shared among the patterns of its events.

Source: CAL handbook (QUANTUMEF: a column per pattern of MOS; singles and doubles of the pn).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import UnknownLayout

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

#: Columns QE_k of patterns, by the number of pixels. Triples and quadruples of the pn have none.
_COLUMNS = {
    "EMOS": {"single": (0, 0), "double": (1, 4), "triple": (5, 8), "quadruple": (9, 12)},
    "EPN": {"single": (0, 0), "double": (1, 1)},
}


def pattern_efficiencies(
    cal: Calibration, instrument: str, ccd: int, energy_ev: npt.ArrayLike
) -> dict[str, npt.NDArray[np.float64]]:
    """Quantum efficiency of a CCD for single, double, triple and quadruple events.

    The first region of the table of the CCD, interpolated linearly in energy.

    Parameters
    ----------
    cal
        The calibration.
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``; triples and quadruples are of MOS only.
    ccd
        Number of the CCD.
    energy_ev
        Photon energies [eV], any shape.

    Returns
    -------
    efficiencies
        Name of the pattern -> values of the shape of ``energy_ev``.

    Raises
    ------
    UnknownLayout
        The file has no columns by pattern.
    """
    constituent = cal.constituent(instrument, "QUANTUMEF")
    table = constituent.table(f"QE_CCD{ccd}")
    grid = np.ravel(constituent.table("EBINS")["ENERGY"])
    found = {}
    for name, (first, last) in _COLUMNS[instrument.rstrip("12")].items():
        curves = [np.asarray(table[f"QE_{k}"], float)[0] for k in range(first, last + 1)]
        if any(curve.shape != grid.shape for curve in curves):
            raise UnknownLayout(
                f"{table.where}, columns QE_{first} to QE_{last}: {len(grid)} values expected"
            )
        found[name] = np.interp(np.asarray(energy_ev, float), grid, np.sum(curves, axis=0))
    return found
