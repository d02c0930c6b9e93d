"""Checks of what users hand to an archive, and options as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daxa.exceptions import DuplicateMissionError, PreProcessedNotSupportedError
from daxa.mission import BaseMission


def check_missions(archive_name: str, missions: Any) -> list[BaseMission]:
    if missions is None:
        raise ValueError(f"missions: there is no archive {archive_name} yet; give the missions to make it of")
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
    """Options of a step in the form that the ledger keeps."""
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
