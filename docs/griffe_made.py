"""Shows functions as they are at run time whose signature or docstring is made by a decorator."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import griffe

#: Decorators that make signature or docstring.
MAKERS = ("public(", "_explained")


class Made(griffe.Extension):
    """Takes signature and docstring from the imported function."""

    def on_function(self, *, func: griffe.Function, **others: Any) -> None:
        if not any(str(decorator.value).startswith(MAKERS) for decorator in func.decorators):
            return
        found = importlib.import_module(func.module.path)
        for name in func.path.removeprefix(f"{func.module.path}.").split("."):
            found = getattr(found, name)
        func.parameters = griffe.Parameters(*map(_parameter, inspect.signature(found).parameters.values()))
        if func.docstring is not None:
            func.docstring.value = inspect.getdoc(found) or ""


def _parameter(given: inspect.Parameter) -> griffe.Parameter:
    kind = griffe.ParameterKind(given.kind.description)
    none = inspect.Parameter.empty
    return griffe.Parameter(
        given.name,
        kind=kind,
        annotation=None if given.annotation is none else str(given.annotation),
        default=None if given.default is none else repr(given.default),
    )
