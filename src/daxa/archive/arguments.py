"""Checks of what users hand to an archive, and options as the ledger keeps them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daxa.exceptions import DuplicateMissionError, PreProcessedNotSupportedError
from daxa.mission import BaseMission


def check_missions(archive: Path, missions: Any) -> list[BaseMission]:
    """Missions of a new archive as a list, whichever way they were given.

    Parameters
    ----------
    archive
        Folder of the archive, for the message.
    missions
        A mission, or a list or tuple of missions; None is refused.

    Raises
    ------
    ValueError
        No missions were given.
    TypeError
        Something given is not a mission.
    DuplicateMissionError
        A mission was given more than once.
    """
    if missions is None:
        known = [path.parent.name for path in archive.parent.glob("[!.]*/.save_info")]
        known = [name for name in known if name != archive.name]
        near = difflib.get_close_matches(archive.name, known, n=1)
        text = f"missions: there is no archive {archive.name} in {archive.parent}"
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{text}{meant}; give the missions to make it of")
    found = list(missions) if isinstance(missions, (list, tuple)) else [missions]
    wrong = [m for m in found if not isinstance(m, BaseMission)]
    if wrong or not found:
        raise TypeError(f"missions: expected missions, got {wrong[0]!r}" if wrong else "missions: none given")
    names = [m.name for m in found]
    double = {n for n in names if names.count(n) > 1}
    if double:
        raise DuplicateMissionError(f"missions: {', '.join(sorted(double))} given more than once")
    return found


def recordable(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a step in the form that the ledger keeps.

    Parameters
    ----------
    options
        Argument of the step -> value as the user gave it, quantities and times too.
    """
    from daxa.mission.state import encode

    return {k: encode(v) for k, v in options.items()}


def _per_mission(argument: str, missions: list[BaseMission], value: Any) -> dict[str, Any]:
    names = [m.name for m in missions]
    if isinstance(value, bool):
        return dict.fromkeys(names, value)
    if not isinstance(value, dict) or not all(isinstance(v, bool) for v in value.values()):
        raise TypeError(f"{argument}: expected True, False or a dictionary mission -> bool, got {value!r}")
    if set(value) != set(names):
        raise KeyError(
            f"{argument}: expected exactly the missions {', '.join(names)}, got {', '.join(value)}"
        )
    return dict(value)


def check_products(
    missions: list[BaseMission], download_products: Any, use_preprocessed: Any
) -> tuple[dict[str, bool | None], dict[str, bool]]:
    """What of ready-made products is to be fetched, and what of it used, for each mission.

    Parameters
    ----------
    missions
        Missions of the archive.
    download_products
        True or False for all of them, or a dictionary mission -> bool; None leaves it to each mission.
    use_preprocessed
        The same; None is refused.

    Returns
    -------
    products
        Mission -> whether to fetch its products; None where the mission decides.
    ready
        Mission -> whether its products are used as they are.

    Raises
    ------
    TypeError
        Neither a truth value nor a dictionary of such.
    KeyError
        A dictionary does not have exactly the given missions.
    ValueError
        Products are to be used and not fetched.
    PreProcessedNotSupportedError
        A mission offers no ready-made products.
    """
    if download_products is None:
        products: dict[str, Any] = {m.name: None for m in missions}
    else:
        products = _per_mission("download_products", missions, download_products)
    ready = _per_mission("use_preprocessed", missions, use_preprocessed)
    for name, wanted in ready.items():
        if wanted and products[name] is False:
            raise ValueError(f"use_preprocessed: {name} needs download_products as well")
    for mission in missions:
        if ready[mission.name] and not mission.has_products:
            raise PreProcessedNotSupportedError(
                f"use_preprocessed: {mission.pretty_name} offers no ready-made products"
            )
    return products, ready


def unknown_text(name: str, known: Sequence[str]) -> str:
    """What to say of a name that is not among those known.

    Parameters
    ----------
    name
        The name.
    known
        Those there are.

    Examples
    --------
    >>> unknown_text("0800010102", ["0800010101", "0693010201"])
    "'0800010102' is not in this archive; near it: 0800010101 (of 2)"
    """
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.8)
    if near:
        return f"{name!r} is not in this archive; near it: {', '.join(near)} (of {len(known)})"
    told = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
    return f"{name!r} is not in this archive; it has {told or 'none'}"
