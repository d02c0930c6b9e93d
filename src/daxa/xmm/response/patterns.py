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
#: Columns QE_k of the pn for a range of patterns.
_PN_COLUMNS = {(0, 0): (0, 0), (1, 4): (1, 1), (0, 4): (0, 1)}


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


def share_of_patterns(
    cal: Calibration, instrument: str, ccd: int, energy_ev: npt.ArrayLike, patterns: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Efficiency of a CCD for some patterns over that for all used (0 to 12 of MOS, 0 to 4 of the pn).

    Parameters
    ----------
    cal
        The calibration.
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    ccd
        Number of the CCD.
    energy_ev
        Photon energies [eV], any shape.
    patterns
        Least and greatest PATTERN.

    Returns
    -------
    array
        Shares of the shape of ``energy_ev``; 0 where the CCD sees nothing.

    Raises
    ------
    UnknownLayout
        The file has no columns by pattern, or none for just these.
    """
    first, last = patterns
    if instrument == "EPN":
        if (first, last) not in _PN_COLUMNS:
            raise UnknownLayout(f"patterns {first} to {last}: QUANTUMEF has singles and doubles (1 to 4)")
        first, last = _PN_COLUMNS[first, last]
    constituent = cal.constituent(instrument, "QUANTUMEF")
    table = constituent.table(f"QE_CCD{ccd}")
    curves = [np.asarray(table[f"QE_{k}"], float)[0] for k in range(2 if instrument == "EPN" else 13)]
    grid, energy = np.ravel(constituent.table("EBINS")["ENERGY"]), np.asarray(energy_ev, float)
    some, whole = (np.interp(energy, grid, np.sum(c, axis=0)) for c in (curves[first : last + 1], curves))
    return np.divide(some, whole, out=np.zeros_like(whole), where=whole > 0)
