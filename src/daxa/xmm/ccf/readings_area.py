"""How the tables of the effective area and of the point-spread function are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.ccf.roles import Content, Fallback, Reading, between, growing, is_single, is_vector, only
from daxa.xmm.errors import UnknownLayout

_ENERGY = Content(
    ("ENERGY",), "growing numbers beyond 100", only("number", lambda v: growing(v) and v.max() > 100)
)


#: Where the highest energy of a curve lies, if energies are in eV.
_HIGHEST_EV = (100.0, 1e6)
_IN_EV = f"the highest ENERGY is between {_HIGHEST_EV[0]:g} and {_HIGHEST_EV[1]:g} eV, the lowest at least 0"


def _energies(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Refuses curves whose energies are not in eV."""
    energy, (low, high) = columns["ENERGY"], _HIGHEST_EV
    if not len(energy):
        return
    if len(np.unique(energy)) < len(energy) or not low < np.max(energy) < high or np.min(energy) < 0:
        found = f"{np.min(energy):g} to {np.max(energy):g}"
        raise UnknownLayout(f"{where}, column ENERGY: {found}, expected different energies in eV")


def _profiles(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Vignetting at the same angles for each energy."""
    factors = columns["VIGNETTING_FACTOR"]
    if factors.ndim != 2 or factors.shape[1] < 2:
        raise UnknownLayout(f"{where}, column VIGNETTING_FACTOR: expected a vector in each row")
    _energies(where, columns)


#: Wider than shares can be: what lies outside is in percent, or something else.
_SHARE = (-0.01, 2.0)
#: Share that the gratings keep at 1.5 keV; the handbook has 0.55 to 0.56.
_KEPT = (0.5, 0.65)


def _shares_kept(where: str, columns: dict[str, npt.NDArray[Any]]) -> None:
    """The handbook says that about 0.55 are kept; a table of what is left would give 0.45."""
    if len(columns["ENERGY"]) != len(columns["OBSCURATE"]):
        raise UnknownLayout(f"{where}: ENERGY and OBSCURATE differ in length")
    order = np.argsort(columns["ENERGY"])
    at_1500 = float(np.interp(1500.0, columns["ENERGY"][order], columns["OBSCURATE"][order]))
    if not _KEPT[0] < at_1500 < _KEPT[1]:
        raise UnknownLayout(
            f"{where}: expected the share that the gratings keep, about 0.55 at 1.5 keV; found {at_1500:.2f}"
        )


_GRATINGS = Reading(
    content=(
        _ENERGY,
        Content(
            ("OBSCURATE",),
            "numbers about 0.55, the share that the gratings keep",
            only("number", lambda v: np.all((v >= 0) & (v <= 1)) and _KEPT[0] < np.median(v) < _KEPT[1]),
        ),
    ),
    substitute=Fallback(
        {"ENERGY": [0.0, 20000.0], "OBSCURATE": [0.55, 0.55]},
        "noGratingShare",
        "0.55 at all energies, as the handbook has it: areas of the MOS camera off by some percent (assumed)",
    ),
    convert=_shares_kept,
    held_to=(f"OBSCURATE is {_KEPT[0]:g} to {_KEPT[1]:g} at 1.5 keV",),
)
_TRANSMISSION = Reading(
    content=(Content(("TRANSMISSION",), "numbers from 0 to 1", only("number", between(0, 1))),),
    absent={"REGION": Fallback("")},
    possible={"TRANSMISSION": _SHARE},
)
_GRID = Reading(content=(_ENERGY,), convert=_energies, held_to=(_IN_EV,))


_ALL_CCDS = "QE_TOTAL, of all CCDs and patterns: areas of this CCD off by some percent (assumed)"


def _efficiency(n_patterns: int, says: str) -> Reading:
    return Reading(
        content=(Content(("QE",), says, lambda free, n, told: None),),
        absent={"REGION": Fallback("")},
        total=("QE", tuple(f"QE_{k}" for k in range(n_patterns))),
        lacking={"*": Fallback("QE_TOTAL", "noCcdEfficiency", _ALL_CCDS)},
        possible={"QE": _SHARE},
    )


def _efficiencies(n_patterns: int, says: str) -> dict[str, Reading]:
    total = Content(("QE_TOTAL",), "numbers from 0 to 1", only("number", between(0, 1)))
    return {
        "EBINS": _GRID,
        "EBINS_FRACTION": replace(_GRID, spare=True),
        "QE_TOTAL": Reading(content=(total,), spare=True, possible={"QE_TOTAL": _SHARE}),
        "*": _efficiency(n_patterns, says),
    }


AREA_READINGS: dict[tuple[str, str], dict[str, Reading]] = {
    ("EMOS", "QUANTUMEF"): _efficiencies(13, "the sum of QE_0 to QE_12, or a column of that name"),
    ("EPN", "QUANTUMEF"): _efficiencies(2, "the sum of QE_0 and QE_1, or a column of that name"),
    ("RGS", "QUANTUMEF"): {"RGA_OBSCURATE": _GRATINGS},
    ("EMOS", "FILTERTRANSX"): {"EBINS": _GRID, "*": _TRANSMISSION},
    ("EPN", "FILTERTRANSX"): {"EBINS": _GRID, "*": _TRANSMISSION},
    ("XRT", "XAREAEF"): {
        "ONAXISXAREAEF": Reading(
            content=(_ENERGY, Content(("AREA",), "the other number", only("number", is_single))),
            convert=_energies,
            possible={"AREA": (0.0, 1e5)},
            held_to=(_IN_EV,),
        ),
        "VIGNETTING": Reading(
            content=(
                _ENERGY,
                Content(("VIGNETTING_FACTOR",), "numbers in a vector", only("number", is_vector)),
            ),
            convert=_profiles,
            # Up to 1.28 in the real file.
            possible={"VIGNETTING_FACTOR": (0.0, 10.0)},
            held_to=(_IN_EV,),
        ),
        "CORRAREA": Reading(
            content=(_ENERGY, Content(("FACTOR",), "the other number", only("number", is_single))),
            substitute=Fallback(
                {"ENERGY": [0.0, 20000.0], "FACTOR": [1.0, 1.0]},
                "noAreaCorrection",
                "factor 1: areas off by some percent (5 % in the one real file at hand)",
            ),
            empty=True,
            convert=_energies,
            possible={"FACTOR": (0.1, 10.0)},
            held_to=(_IN_EV,),
        ),
    },
    ("XRT", "XPSF"): {
        "KING_PARAMS": Reading(
            substitute=Fallback(
                {"ENERGY": [1500.0], "THETA": [0.0], "PARAMS": [[6.2, 1.5]]},
                "noPointSpread",
                "core 6.2 arcsec and slope 1.5: what the search for bad pixels takes for a source",
            )
        )
    },
}
