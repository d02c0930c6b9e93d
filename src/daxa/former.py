"""Where DAXA 0.3 had what is elsewhere here, so that scripts written for it find it.

Modules that have moved can be imported under their former names (`MODULES`); they are the same modules.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_MISSIONS = (
    "asca",
    "chandra",
    "erosita",
    "integral",
    "nustar",
    "rosat",
    "suzaku",
    "swift",
    "xmm",
    "xrism",
)

#: Former name -> name.
MODULES = {
    "daxa.misc": "daxa.former",
    "daxa.archive.base": "daxa.archive.archive",
    **{f"daxa.mission.{name}": f"daxa.mission.missions.{name}" for name in _MISSIONS},
}


class _Former(MetaPathFinder, Loader):
    """Finds modules by their former names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MODULES else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(MODULES[module.__name__])


def find_modules() -> None:
    """Let imports find modules by their former names, where there is none of that name."""
    if not any(isinstance(finder, _Former) for finder in sys.meta_path):
        sys.meta_path.append(_Former())


def dict_search(key: str, var: Any) -> Iterator[Any]:
    """Values of a key anywhere in nested dictionaries.

    Parameters
    ----------
    key : str
        The key.
    var : dict
        Dictionary of dictionaries; anything else has no keys.

    Yields
    ------
    list or object
        The keys that lead there and the value, one within the other; the value alone if `key` is at the top.

    Examples
    --------
    >>> list(dict_search("b", {"a": {"b": 1, "c": {"b": 2}}, "b": 3}))
    [['a', 1], ['a', ['c', 2]], 3]
    """
    for name, value in var.items() if isinstance(var, dict) else ():
        if name == key:
            yield value
        for found in dict_search(key, value):
            yield [name, found]
