"""Task emanom: MOS CCDs in an anomalous low-energy state.

Source: emanom task manual; Kuntz & Snowden 2008 (A&A 478, 575). The hardness of the corner events of
each outer CCD (2.5-5.0 keV over 0.4-0.8 keV) drops when the CCD shows the enhanced background below 1 keV.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def format_log(instrument: str, exposure: str, states: list[CcdState]) -> str:
    """The log: one line per CCD, then the legend."""
    lines = [f"Anomalous state test of {instrument} {exposure}"]
    lines += [
        f"CCD: {s.ccd} Hardness Ratio: {s.hardness:9.4f} Error: {s.error:9.4f} Status: {s.state}"
        for s in states
    ]
    lines += ["", "Legend:", *(f"  {letter} {meaning}" for letter, meaning in STATES.items())]
    return "\n".join(lines) + "\n"
