"""Selections of eROSITA events: telescope modules, energies, patterns, flags, good times of each module.

Source: the public descriptions of eROSITA event files and of the eSASS task evtool (release 1 of the survey).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daxa.events.lists import EventList, write_selection
from daxa.writing import replacing_file
from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import Hdu
from daxa.xmm.fits.header import Header

MODULES = (1, 2, 3, 4, 5, 6, 7)
#: All four kinds of valid patterns: singles, doubles, triples, quadruples.
ALL_PATTERNS = 15
# Extensions of one module. Housekeeping (HK and two digits) is kept: the descriptions of the two releases do
# not agree on which digit is the module.
_OF_MODULE = re.compile(r"^[A-Z]+(?P<module>[1-7])$")


@dataclass(frozen=True)
class Selection:
    """What is asked of an event; what is None, or stands at its default, is not asked.

    Attributes
    ----------
    modules
        Numbers of telescope modules (TM_NR).
    lo_ev, hi_ev
        Limits of the energy (PI) [eV]; both belong to the band.
    patterns
        Sum of 1 for single events, 2 for doubles, 4 for triples, 8 for quadruples (PAT_TYP).
    flags
        Bits of FLAG; by default, an event that has any of them is left out.
    having_flags
        Only events that have any of them are kept instead.
    """

    modules: tuple[int, ...] = MODULES
    lo_ev: float | None = None
    hi_ev: float | None = None
    patterns: int | None = None
    flags: int = 0
    having_flags: bool = False

    def __post_init__(self) -> None:
        if not self.modules or not set(self.modules) <= set(MODULES):
            raise ValueError(f"modules: expected numbers from 1 to 7, got {self.modules!r}")
        if self.lo_ev is not None and self.hi_ev is not None and not self.lo_ev < self.hi_ev:
            raise ValueError(f"lo_ev, hi_ev: no band from {self.lo_ev:g} to {self.hi_ev:g} eV")
        if self.patterns is not None and not 1 <= self.patterns <= ALL_PATTERNS:
            raise ValueError(f"patterns: expected a number from 1 to 15, got {self.patterns!r}")
        if not 0 <= self.flags <= 0xFFFFFFFF:
            raise ValueError(f"flags: expected 32 bits, got {self.flags!r}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it needs."""
        asked = {
            "TM_NR": set(self.modules) != set(MODULES),
            "PI": self.lo_ev is not None or self.hi_ev is not None,
            "PAT_TYP": self.patterns is not None,
            "FLAG": bool(self.flags),
        }
        return tuple(name for name, needed in asked.items() if needed)


def chosen(events: Mapping[str, np.ndarray], selection: Selection, number: int) -> np.ndarray:
    """Which events a selection keeps.

    Parameters
    ----------
    events
        The columns that the selection needs, each of shape (n,).
    selection
        What is asked.
    number
        How many events there are, n.

    Returns
    -------
    mask : bool array of shape (n,)

    Examples
    --------
    >>> chosen({"PI": np.array([150.0, 500.0])}, Selection(lo_ev=200), 2).tolist()
    [False, True]
    """
    keep = np.ones(number, bool)
    needed = selection.columns
    if "TM_NR" in needed:
        keep &= np.isin(events["TM_NR"], selection.modules)
    if selection.lo_ev is not None:
        keep &= events["PI"] >= selection.lo_ev
    if selection.hi_ev is not None:
        keep &= events["PI"] <= selection.hi_ev
    if selection.patterns is not None:
        kind = np.asarray(events["PAT_TYP"]).astype(int)
        valid = (kind >= 1) & (kind <= 4)
        keep &= valid & ((selection.patterns >> np.where(valid, kind - 1, 0)) & 1 == 1)
    if selection.flags:
        flagged = (np.asarray(events["FLAG"]).astype(np.int64) & selection.flags) != 0
        keep &= flagged if selection.having_flags else ~flagged
    return keep


def within(time: np.ndarray, module: np.ndarray, good: Mapping[int, GTI]) -> np.ndarray:
    """Which events came in good times of their module; of a module without any, none did.

    Parameters
    ----------
    time, module
        TIME [s] and TM_NR of events, shape (n,).
    good
        Number of a module -> its good times.

    Returns
    -------
    mask : bool array of shape (n,)
    """
    keep = np.zeros(len(time), bool)
    for number, times in good.items():
        own = np.asarray(module) == number
        keep[own] = times.contains(time[own])
    return keep


def good_times(events: EventList, name: str) -> dict[int, GTI]:
    """Good times by module, from the extensions of a name: ``GTI`` or ``FLAREGTI``.

    Parameters
    ----------
    events
        The opened list.
    name
        Name of the extensions without the number.

    Raises
    ------
    TaskError
        ``noGoodTimes``: there is no such extension.
    """
    tables = events.good_times()
    found = {
        int(hdu.name[-1]): tables[hdu.index]
        for hdu in events.file
        if hdu.index in tables and re.fullmatch(rf"{name}[1-7]", hdu.name.upper())
    }
    if not found:
        hint = "; flaregti makes them" if name == "FLAREGTI" else ""
        raise TaskError("noGoodTimes", f"{events.path}: no good times {name}1 to {name}7{hint}")
    return found


def select_list(
    source: Path | str, target: Path | str, selection: Selection, gti: str | None = None
) -> tuple[int, int]:
    """Write the events of a list that a selection keeps, with what belongs to their modules.

    With good times, tables of good times become what they and the chosen ones have in common.

    Parameters
    ----------
    source
        The event list.
    target
        The new list; replaced if it exists.
    selection
        Which events are kept.
    gti
        Name of good-time extensions that events have to lie in: ``GTI`` or ``FLAREGTI``.

    Returns
    -------
    before, after
        Numbers of events.

    Raises
    ------
    TaskError
        The file cannot be read, has no EVENTS, lacks a column or the good times.
    """
    events = EventList(Path(source))
    keep = chosen({n: events.column(n) for n in selection.columns}, selection, events.events.rows)
    good = None if gti is None else good_times(events, gti)
    if good is not None:
        keep &= within(events.column("TIME"), events.column("TM_NR"), good)

    def cut(hdu: Hdu, times: GTI) -> GTI:
        return times & (good or {}).get(int(hdu.name[-1]), GTI()) if hdu.name[-1].isdigit() else times

    every = set(selection.modules) == set(MODULES)
    others = [h.index for h in events.file if not every and _other(h.name, selection.modules)]
    with replacing_file(Path(target)) as part:
        write_selection(
            events,
            part,
            keep,
            None if good is None else cut,
            left_out=others,
            cards={} if every else _modules_left(events.header, selection.modules),
        )
    return len(keep), int(keep.sum())


def _other(name: str, modules: tuple[int, ...]) -> bool:
    match = _OF_MODULE.match(name.upper())
    return match is not None and int(match["module"]) not in modules


def _modules_left(header: Header, modules: tuple[int, ...]) -> dict[str, str | int | None]:
    """What INSTRUME, NINST and INSTRUMn say of the modules that are left; None for keywords to be removed."""
    if "NINST" not in header:
        return {}
    listed = [header.get(f"INSTRUM{n}") for n in MODULES]
    left = [f"TM{n}" for n in modules if not any(listed) or f"TM{n}" in listed]
    return {
        "INSTRUME": left[0] if len(left) == 1 else "merged",
        "NINST": len(left),
        **{f"INSTRUM{n}": left[n - 1] if n <= len(left) else None for n in MODULES},
    }
