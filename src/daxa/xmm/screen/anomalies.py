"""Task emanom: MOS CCDs in an anomalous low-energy state.

Source: emanom task manual; Kuntz & Snowden 2008 (A&A 478, 575). The hardness of the corner events of
each outer CCD (2.5-5.0 keV over 0.4-0.8 keV) drops when the CCD shows the enhanced background below 1 keV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

SOFT_EV = (400, 800)
HARD_EV = (2500, 5000)
STATES = {
    "G": "good at all energies",
    "I": "intermediate for E<1 keV",
    "B": "bad for E<1 keV",
    "O": "off",
    "U": "undetermined (low band counts <= 0)",
}


@dataclass(frozen=True)
class CcdState:
    """Hardness of one CCD's corner events, its error, and the state letter."""

    ccd: int
    hardness: float
    error: float
    state: str


def ccd_state(
    ccd: int, soft: int, hard: int, livetime_s: float, bad: float | None, good: float | None
) -> CcdState:
    """State of one CCD.

    Parameters
    ----------
    ccd
        Number of the CCD.
    soft, hard
        Corner counts in 0.4-0.8 and 2.5-5.0 keV.
    livetime_s
        Live time; zero means the CCD is off.
    bad, good
        The CCD is bad below ``bad`` and good above ``good``; None where the CCD is not known to misbehave.
    """
    if livetime_s <= 0:
        return CcdState(ccd, 0.0, 0.0, "O")
    if soft <= 0:
        return CcdState(ccd, 0.0, 0.0, "U")
    hardness = hard / soft
    error = (hard / soft**2 * (1 + hardness)) ** 0.5
    if bad is None or good is None or hardness > good:
        state = "G"
    else:
        state = "B" if hardness < bad else "I"
    return CcdState(ccd, hardness, error, state)


def ccd_states(
    pi: npt.NDArray[Any],
    ccdnr: npt.NDArray[Any],
    live_s: Mapping[int, float],
    limits: Mapping[int, tuple[float, float]],
) -> list[CcdState]:
    """States of the CCDs 1 to 7.

    Parameters
    ----------
    pi, ccdnr
        Energy [eV] and CCD of the events in the corners.
    live_s
        Live time of each CCD [s].
    limits
        Hardness below which a CCD is bad and above which it is good, where that is known.
    """
    soft = (pi >= SOFT_EV[0]) & (pi < SOFT_EV[1])
    hard = (pi >= HARD_EV[0]) & (pi < HARD_EV[1])
    # CCD 1 has no corner; it is listed as good so that consumers of the log keep it.
    states = [CcdState(1, 0.0, 0.0, "G")] if live_s.get(1, 0.0) > 0 else []
    for ccd in range(2, 8):
        low, high = (int(np.sum(band & (ccdnr == ccd))) for band in (soft, hard))
        states.append(ccd_state(ccd, low, high, live_s.get(ccd, 0.0), *limits.get(ccd, (None, None))))
    return states


def keywords(states: list[CcdState]) -> dict[str, tuple[float | str, str]]:
    """Keywords that say the states in an event list.

    Parameters
    ----------
    states
        States of the CCDs.

    Returns
    -------
    dict
        Keyword -> value and comment.
    """
    cards: dict[str, tuple[float | str, str]] = {}
    for s in states:
        cards[f"ANOMHR{s.ccd}"] = (s.hardness, "corner hardness ratio")
        cards[f"ANOMHE{s.ccd}"] = (s.error, "error of the hardness ratio")
        cards[f"ANOMFL{s.ccd}"] = (s.state, STATES[s.state])
    return cards


def format_log(instrument: str, exposure: str, states: list[CcdState]) -> str:
    """The log: one line per CCD, then the legend.

    Parameters
    ----------
    instrument
        Name of the camera.
    exposure
        Identifier of the exposure.
    states
        States of the CCDs.
    """
    lines = [f"Anomalous state test of {instrument} {exposure}"]
    lines += [
        f"CCD: {s.ccd} Hardness Ratio: {s.hardness:9.4f} Error: {s.error:9.4f} Status: {s.state}"
        for s in states
    ]
    lines += ["", "Legend:", *(f"  {letter} {meaning}" for letter, meaning in STATES.items())]
    return "\n".join(lines) + "\n"
