"""Simulated observations: raw data and calibration files with a known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daxa.simulate.observation import simulate_observation
    from daxa.simulate.sets.standard import SimulatedSet, simulate_set

__all__ = ["SimulatedSet", "simulate_observation", "simulate_set"]

_HOMES = {
    "SimulatedSet": "sets.standard",
    "simulate_set": "sets.standard",
    "simulate_observation": "observation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
