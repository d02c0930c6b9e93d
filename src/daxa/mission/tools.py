"""Searching several missions at once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from daxa.exceptions import DAXADownloadError, NoObsAfterFilterError, WrongTypeError

if TYPE_CHECKING:
    from daxa.mission.base import BaseMission


def multi_mission_filter_on_positions(
    positions: Any,
    search_distance: Any = None,
    missions: str | list[str] | None = None,
    insts: dict[str, list[str]] | None = None,
) -> list[BaseMission]:
    """Missions that have observed around positions, filtered to those observations.

    Parameters
    ----------
    positions : SkyCoord or array of shape (n, 2)
        Right ascension and declination, degrees if without unit.
    search_distance : Quantity, float (degrees) or dict mission name -> any of these, optional
        Default: 1.2 times each mission's field of view.
    missions : list of str, optional
        Names of the missions to search; default all.
    insts : dict, optional
        Mission name -> instruments.

    Returns
    -------
    list of missions
        Those with data; the others, and those whose catalogue cannot be had, are warned about.

    Raises
    ------
    ValueError
        A mission name is unknown, or instruments are given for a mission that is not searched.
    NoObsAfterFilterError
        No mission has data there.
    """
    from daxa.mission.missions import MISS_INDEX

    if missions is not None and not isinstance(missions, (str, list, tuple)):
        raise WrongTypeError(f"missions: expected names of missions, got {missions!r}")
    names = (
        list(MISS_INDEX) if missions is None else [missions] if isinstance(missions, str) else list(missions)
    )
    insts = insts or {}
    distances = search_distance if isinstance(search_distance, dict) else {}
    for argument, given in {"missions": names, "insts": insts, "search_distance": distances}.items():
        unknown = sorted(set(given) - set(MISS_INDEX))
        if unknown:
            raise ValueError(
                f"{argument}: unknown mission(s) {', '.join(unknown)}, there are {', '.join(MISS_INDEX)}"
            )
    idle = sorted(set(insts) - set(names))
    if idle:
        raise ValueError(f"insts: {', '.join(idle)} not among the missions to search, {', '.join(names)}")
    selected, without = [], []
    for name in names:
        distance = distances.get(name) if isinstance(search_distance, dict) else search_distance
        try:
            mission = MISS_INDEX[name](insts[name]) if name in insts else MISS_INDEX[name]()
            mission.filter_on_positions(positions, distance)
        except NoObsAfterFilterError:
            without.append(f"{name} has no data there")
        except DAXADownloadError as err:
            without.append(f"{name} could not be searched ({err})")
        else:
            selected.append(mission)
    if not selected:
        raise NoObsAfterFilterError(f"positions: {'; '.join(without)}")
    if without:
        warnings.warn("left out: " + "; ".join(without), stacklevel=2)
    return selected
