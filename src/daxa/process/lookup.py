"""The public functions of a mission's steps, imported only when they are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Modules = Mapping[str, Sequence[str]]


def getter(package: str, modules: Modules) -> Callable[[str], Any]:
    """A ``__getattr__`` for a package of steps: its functions by name, and all of them as ``FUNCTIONS``.

    Parameters
    ----------
    package
        Name of the package.
    modules
        Module -> names of its public functions.
    """
    where = {function: module for module, functions in modules.items() for function in functions}

    def get(name: str) -> Any:
        if name == "FUNCTIONS":
            return {function: get(function) for function in where}
        if name in where:
            return getattr(importlib.import_module(f"{package}.{where[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
