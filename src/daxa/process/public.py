"""Public functions of steps: signature and docstring from the options of the step and from what all share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import wraps
from inspect import Parameter, Signature, cleandoc
from typing import TYPE_CHECKING, Any, TypeVar

from daxa.process.options import Running, StepOptions

if TYPE_CHECKING:
    from daxa.archive import Archive

Given = TypeVar("Given", bound=StepOptions)
Result = TypeVar("Result")

_ARCHIVE = "obs_archive : Archive\n    Archive with {} observations."
_SECTION = re.compile(r"^\w+\n-+$", re.MULTILINE)
_WIDTH = 106


def public(
    options: type[Given], order: Sequence[str] = (), mission: str = "XMM-Newton"
) -> Callable[[Callable[[Archive, Given, Running], Result]], Callable[..., Result]]:
    """Make a public function of one that takes an archive, checked options and how jobs are run.

    Parameters
    ----------
    options
        What its own arguments are; with those of `Running` they become the arguments of the public function,
        in this order.
    order
        Names of its arguments in another order.
    mission
        Whose observations it works on, for the docstring.
    """
    items = [*fields(options), *fields(Running)]
    if order:
        items.sort(key=lambda item: order.index(item.name))
    own = {item.name for item in fields(options)}

    def decorate(function: Callable[[Archive, Given, Running], Result]) -> Callable[..., Result]:
        kind = Parameter.POSITIONAL_OR_KEYWORD
        signature = Signature(
            [
                Parameter("obs_archive", kind, annotation="Archive"),
                *(Parameter(i.name, kind, default=i.default, annotation=i.type) for i in items),
            ],
            return_annotation=function.__annotations__.get("return", Signature.empty),
        )

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Result:
            try:
                given = dict(signature.bind(*args, **kwargs).arguments)
            except TypeError as failure:
                raise TypeError(f"{function.__name__}: {failure}") from None
            archive = given.pop("obs_archive")
            chosen = options(**{name: given.pop(name) for name in list(given) if name in own})
            return function(archive, chosen, Running(**given))

        called.__signature__ = signature  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        called.__doc__ = _with_parameters(function.__doc__ or "", items, mission)
        return called

    return decorate


def _with_parameters(text: str, items: Sequence[Any], mission: str) -> str:
    """A docstring with the section of parameters put before its other sections."""
    text = cleandoc(text)
    section = _SECTION.search(text)
    place = section.start() if section is not None else len(text)
    told = (f"{i.name} : {_kind(i)}\n{_paragraph(i.metadata['text'])}" for i in items)
    lines = "\n".join([_ARCHIVE.format(mission), *told])
    parts = [text[:place].rstrip(), f"Parameters\n----------\n{lines}", text[place:]]
    return "\n\n".join(part for part in parts if part)


def _kind(item: Any) -> str:
    """The annotation of a field in words."""
    kind = str(item.type)
    if kind.startswith("Literal["):
        return "{" + kind[len("Literal[") : -1] + "}"
    kind, *others = kind.split(" | ")
    return " or ".join([kind, *(o for o in others if o != "None")]) + ", optional" * ("None" in others)


def _paragraph(text: str) -> str:
    from textwrap import fill

    return fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")
