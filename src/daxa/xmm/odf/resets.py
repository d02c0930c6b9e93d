"""When the clock of a MOS camera was reset: the stamps of its frames count from there.

Attested by summaries and raw files of real observations: the reset is a whole second of on-board time, some
seconds before DATE-OBS of the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import OBTFINE_UNIT_S, unsigned
from daxa.xmm.formats.summary import Assumed
from daxa.xmm.odf.mos_clock import central_stamps, check_whole
from daxa.xmm.odf.times import housekeeping_times

if TYPE_CHECKING:
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.table import OdfTable
    from daxa.xmm.odf.times import TimeCorrelation

#: Seconds from the reset to DATE-OBS where nothing tells it, as measured in 2001 (1.9 to 2.1 s).
ASSUMED_LEAD_S = 2.0
#: The same in real observations of 2001 and 2004. The longest is inferred: in a summary of SAS the reset of
#: MOS1 lies 3637 s before that of the pn, which is taken to precede its DATE-OBS by 2.35 s (as in 2000).
REAL_LEADS_S = (1.9, 6.4)
#: Where a number in housekeeping may lie to be the reset, against on-board time of DATE-OBS [s].
_PLAUSIBLE_S = (-60.0, 1.0)
#: Counting cycles start and end with their report; frames end within this of it [s].
_CYCLE_EDGE_S = 0.1


@dataclass(frozen=True)
class ClockReset:
    """On-board time [s] of a reset; where it was not found, how far off it may be and why, in words."""

    obt_s: float
    assumed: Assumed | None = None
    doubt: str = ""


def assumed_reset(start_obt_s: float) -> float:
    """On-board time of the reset where nothing tells it: a whole second 2 s before DATE-OBS.

    Parameters
    ----------
    start_obt_s
        On-board time of DATE-OBS [s].
    """
    return float(np.floor(start_obt_s + 0.5) - ASSUMED_LEAD_S)


def is_plausible(reset_obt_s: Any, start_obt_s: float) -> Any:
    """Whether a number can be the reset of an exposure with this on-board time of DATE-OBS.

    Parameters
    ----------
    reset_obt_s
        The number or numbers [s].
    start_obt_s
        On-board time of DATE-OBS [s].
    """
    since = reset_obt_s - start_obt_s
    return (since >= _PLAUSIBLE_S[0]) & (since <= _PLAUSIBLE_S[1])


def mos_clock_reset(
    odf: Odf, instrument: str, exp_id: str, span: tuple[float, float], correlation: TimeCorrelation
) -> ClockReset:
    """Reset of the clock of an exposure, from housekeeping, else assumed.

    Parameters
    ----------
    odf
        The raw files; those that cannot be read count as absent.
    instrument, exp_id
        ``M1``, ``S001``.
    span
        DATE-OBS and DATE-END, mission time [s].
    correlation
        Relation of mission time and on-board time.
    """
    start_obt = float(correlation.tt_to_obt(span[0]))
    found: set[float] = set()
    for file in odf.find(instrument, "PEH"):
        try:
            table = file.read(1)
            times = housekeeping_times(table["TIME"], table.where)
        except TaskError:
            continue
        found |= resets_in_housekeeping(table, (times >= span[0]) & (times <= span[1]), start_obt)
    if len(found) == 1:
        return ClockReset(found.pop())
    doubt = (
        "neither summary nor housekeeping tells when the clock was reset"
        if not found
        else f"housekeeping has {len(found)} numbers that may be the reset of the clock"
    )
    reset = assumed_reset(start_obt)
    allowed = _allowed_leads(odf, instrument, exp_id, start_obt)
    if allowed is not None:
        # Whole seconds between the two.
        earlier, later = np.ceil(start_obt - allowed[1]), np.floor(start_obt - allowed[0])
        reset = float(np.clip(reset, earlier, later)) if earlier <= later else reset
        doubt += f"; counting cycles allow {allowed[0]:.1f} to {allowed[1]:.1f} s before DATE-OBS"
    lead = start_obt - reset
    assumed = _uncertainty(lead, allowed)
    low, high = REAL_LEADS_S
    doubt += (
        f"; {lead:.1f} s before DATE-OBS is taken. In real observations it was {low:g} to {high:g} s, so "
        f"that {assumed}"
    )
    return ClockReset(reset, assumed, doubt)


def _uncertainty(lead_s: float, allowed_s: tuple[float, float] | None) -> Assumed:
    """How far off times may be by a lead, where real ones and counting cycles leave others."""
    low, high = REAL_LEADS_S
    if allowed_s is not None:
        both = max(low, allowed_s[0]), min(high, allowed_s[1])
        low, high = both if both[0] <= both[1] else allowed_s
    # A reset earlier than the one taken makes times earlier.
    return Assumed(early_s=round(max(lead_s - low, 0.0), 1), late_s=round(max(high - lead_s, 0.0), 1))


def resets_in_housekeeping(table: OdfTable, rows: npt.NDArray[np.bool_], start_obt_s: float) -> set[float]:
    """Numbers of periodic housekeeping that can only be the reset of the clock.

    No public text names the parameter, so that it is told by what it holds: a number that stays the same
    through the exposure and lies a minute or less before the on-board time of its start (assumed to be
    telemetered as one number).

    Parameters
    ----------
    table
        Columns of the file.
    rows
        Which rows are of the exposure.
    start_obt_s
        On-board time of DATE-OBS [s].
    """
    found = set()
    for values in table.columns.values():
        if values.ndim != 1 or values.dtype.kind not in "iuf" or not rows.any():
            continue
        mine = values[rows]
        if is_plausible(float(mine[0]), start_obt_s) and (mine == mine[0]).all():
            found.add(float(mine[0]))
    return found


def leads_between_cycles(
    stamps_s: npt.NDArray[np.float64],
    starts_s: npt.NDArray[np.float64],
    stops_s: npt.NDArray[np.float64],
    step_s: float = 0.1,
    most_s: float = 8.0,
) -> tuple[float, float] | None:
    """Seconds from reset to DATE-OBS for which no frame ends while the camera only counts.

    A CCD in counting cycles sends no frames; the cycles are dated by the clock of the spacecraft.

    Parameters
    ----------
    stamps_s
        Ends of frames since the reset.
    starts_s, stops_s
        Counting cycles, in time order, on-board time since DATE-OBS.
    step_s, most_s
        Steps and largest value of what is tried.

    Returns
    -------
    tuple or None
        Smallest and largest such number; None if there is none or nothing forbids any.
    """
    leads = np.arange(0.0, most_s + step_s / 2, step_s)
    if not len(stamps_s) or not len(starts_s):
        return None
    ends = stamps_s - leads[:, None]
    cycle = np.maximum(np.searchsorted(starts_s, ends, side="right") - 1, 0)
    inside = (ends > starts_s[cycle] + _CYCLE_EDGE_S) & (ends < stops_s[cycle] - _CYCLE_EDGE_S)
    allowed = leads[~inside.any(axis=1)]
    return None if len(allowed) in (0, len(leads)) else (float(allowed[0]), float(allowed[-1]))


def _allowed_leads(odf: Odf, instrument: str, exp_id: str, start_obt_s: float) -> tuple[float, float] | None:
    """Leads that the counting cycles of CCD 1 (the first event selector) leave; None if they tell nothing."""
    try:
        cycles = odf.one(instrument, "CCX", exp_id).read(1)
        check_whole(cycles, ("HBRID", "STCOARSE", "STFINE", "ETCOARSE", "ETFINE"))
        mine = cycles["HBRID"] == 1
        starts, stops = (
            cycles[f"{which}COARSE"][mine]
            + unsigned(cycles[f"{which}FINE"][mine]) * OBTFINE_UNIT_S
            - start_obt_s
            for which in ("ST", "ET")
        )
        stamps = central_stamps(odf, instrument, exp_id)[1]
    except TaskError:
        return None
    order = np.argsort(starts, kind="stable")
    return leads_between_cycles(stamps, starts[order], stops[order])
