"""Parameters of a task: what each is for, its kind, unit and limits, and values parsed from text.

The options of a step are a frozen dataclass whose fields are made with :func:`option`; no other place states
their defaults. Tasks take their tables from it::

    @dataclass(frozen=True)
    class Badpixfind:
        hithresh: float = option(0.0045, "a pixel with a higher rate is hot", unit="ct/s", minimum=0)
        columnsearchlabel: str = option("median", "how columns are searched", only="no other way is public")

    @task("badpixfind", "1.41", [Parameter("eventset", "dataset", required=True), *parameters_of(Badpixfind)])
    def badpixfind(ctx: TaskContext, p: Parameters) -> None:
        options = options_of(Badpixfind, p)
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from daxa.xmm.errors import TaskError

_TRUE = {"yes", "y", "true", "t", "1"}
_FALSE = {"no", "n", "false", "f", "0"}
_FORMS = {
    "bool": "yes or no", "int": "whole number", "real": "number", "string": "text", "dataset": "file",
    "list": "words", "ints": "whole numbers", "reals": "numbers",
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One parameter of a task.

    Attributes
    ----------
    kind
        ``bool``, ``int``, ``real``, ``string``, ``dataset``, ``choice``, or blank-separated values: ``list``
        (strings), ``ints``, ``reals``.
    default
        ``None`` means "not given".
    text
        What it is for, half a sentence.
    unit
        Unit of the value, as in FITS.
    only
        Why no other value than the default works; one that is given is refused.
    without_effect
        Why it is known and changes nothing.
    count
        How many values ``ints`` and ``reals`` hold; any number if 0.
    """

    name: str
    kind: str
    default: Any = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False
    text: str = ""
    unit: str = ""
    only: str = ""
    without_effect: str = ""
    count: int = 0

    def parse(self, task_name: str, value: Any) -> Any:
        """Turn text (or a Python value) into a value of this parameter's kind.

        Parameters
        ----------
        task_name
            Name of the task, for messages.
        value
            Text as on a command line, or a Python value; None stays None.

        Raises
        ------
        TaskError
            ``badParameter``: the value is of another kind, or outside the limits.

        Examples
        --------
        >>> Parameter("binsize", "int", 60, minimum=1).parse("espfilt", "20")
        20
        """

        def bad(expected: str) -> TaskError:
            return TaskError(
                "badParameter", f"{task_name}: parameter {self.name}: expected {expected}, got {value!r}"
            )

        if value is None:
            return None
        if self.kind == "bool":
            if isinstance(value, bool):
                return value
            text = str(value).strip().lower()
            if text in _TRUE or text in _FALSE:
                return text in _TRUE
            raise bad("yes or no")
        if self.kind in ("list", "ints", "reals"):
            words = list(map(str, value)) if isinstance(value, (list, tuple)) else _words(str(value))
            if self.kind == "list":
                return words
            if self.count and len(words) != self.count:
                raise bad(f"{self.count} numbers")
            return [self._number(word, bad) for word in words]
        text = str(value)
        if self.kind == "choice":
            found = [c for c in self.choices if c.lower() == text.lower()]
            if not found:
                raise bad(f"one of {', '.join(self.choices)}")
            return found[0]
        return self._number(text, bad) if self.kind in ("int", "real") else text

    def _number(self, text: str, bad: Callable[[str], TaskError]) -> int | float:
        whole = self.kind in ("int", "ints")
        try:
            number = int(text) if whole else float(text)
        except ValueError:
            raise bad("an integer" if whole else "a number") from None
        if number != number:  # NaN, which no limit refuses
            raise bad("a number")
        if self.minimum is not None and number < self.minimum:
            raise bad(f"a value of at least {self.minimum:g}")
        if self.maximum is not None and number > self.maximum:
            raise bad(f"a value of at most {self.maximum:g}")
        return number

    @property
    def form(self) -> str:
        """What may be given, in a few words: kind, limits, unit."""
        words = [" or ".join(self.choices) or _FORMS[self.kind]]
        if self.count:
            words.insert(0, str(self.count))
        if self.minimum is not None:
            words.append(f"from {self.minimum:g}")
        if self.maximum is not None:
            words.append(f"to {self.maximum:g}")
        if self.unit:
            words.append(f"[{self.unit}]")
        return " ".join(words)

    @property
    def usage(self) -> str:
        """How it is written on a command line, with its default."""
        value = "..." if self.required else "" if self.default is None else format_value(self.default)
        return f"{self.name}={shlex.quote(value) if value and not self.required else value}"

    def accept(self, task_name: str, value: Any) -> None:
        """Refuse a parsed value that the engine cannot take.

        Parameters
        ----------
        task_name
            Name of the task, for the message.
        value
            What :meth:`parse` has given.

        Raises
        ------
        NotImplementedError
            Only the default works (``only``), and this is another value.
        """
        if self.only and value != self.parse(task_name, self.default):
            raise NotImplementedError(
                f"{task_name}: {self.name}={format_value(value)}: the embedded engine only does "
                f"{self.name}={format_value(self.default)}; {self.only}"
            )


def _words(text: str) -> list[str]:
    """Words of a list; double quotes keep together one that holds blanks, as the manual of param says."""
    return [quoted or word for quoted, word in re.findall(r'"([^"]+)"(?=\s|$)|(\S+)', text)]


def format_value(value: Any) -> str:
    """A parameter value as it stands on a command line (unquoted).

    Parameters
    ----------
    value
        A value of any kind.

    Examples
    --------
    >>> format_value(True), format_value([1, 2.5]), format_value("PI > 300")
    ('yes', '1 2.5', 'PI > 300')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        words = map(format_value, value)
        return " ".join(f'"{w}"' if re.search(r"\s", w) else w for w in words)
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)


class Parameters(Mapping[str, Any]):
    """Parsed parameter values, as attributes and as a mapping; ``given`` names those set by the caller.

    Parameters
    ----------
    values
        Name -> value.
    given
        Names of those that the caller has set.
    """

    def __init__(self, values: dict[str, Any], given: frozenset[str]) -> None:
        self._values = values
        self.given = given

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


Options = TypeVar("Options")
_KINDS = {bool: "bool", int: "int", float: "real", str: "string", tuple: "list", list: "list"}


def option(
    default: Any,
    text: str,
    *,
    unit: str = "",
    kind: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    only: str = "",
    without_effect: str = "",
) -> Any:
    """A field of an options class: see :class:`Parameter` for what the arguments say.

    ``kind`` is told by the annotation where it is not given; a ``Literal`` becomes a choice.

    Parameters
    ----------
    default
        Its default.
    text, unit, kind, minimum, maximum, only, without_effect
        As for :class:`Parameter`.
    """
    about = {
        "text": text, "unit": unit, "kind": kind, "minimum": minimum, "maximum": maximum, "only": only,
        "without_effect": without_effect,
    }  # fmt: skip
    return field(default=default, metadata=about)


def _kind(hint: Any) -> str:
    """Kind of parameter that an annotation stands for."""
    if get_origin(hint) in (tuple, list) and get_args(hint)[0] in (int, float):
        return _KINDS[get_args(hint)[0]] + "s"
    return _KINDS[get_origin(hint) or hint]


def parameters_of(options: type | object, *names: str, **defaults: Any) -> list[Parameter]:
    """The parameters that an options class, or one set of its values, stands for.

    Parameters
    ----------
    options
        A dataclass, each field made with :func:`option`, or an instance of one.
    names
        Those wanted, in this order; all if none are named.
    defaults
        Defaults that differ from those of the class, by name.

    Raises
    ------
    TypeError
        A name is given that is not one of the class.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Search:
    ...     hithresh: float = option(0.0045, "a pixel with a higher rate is hot", unit="ct/s", minimum=0)
    >>> [(p.name, p.kind, p.default) for p in parameters_of(Search, hithresh=0.01)]
    [('hithresh', 'real', 0.01)]
    """
    cls = options if isinstance(options, type) else type(options)
    hints = get_type_hints(cls)
    made = {}
    for item in fields(cls):  # type: ignore[arg-type]
        if not item.metadata:
            continue
        about = dict(item.metadata)
        default = item.default if isinstance(options, type) else getattr(options, item.name)
        hint = hints[item.name]
        choices = tuple(map(str, get_args(hint))) if get_origin(hint) is Literal else ()
        kind = about.pop("kind") or ("choice" if choices else _kind(hint))
        if get_origin(hint) is tuple and kind != "list" and ... not in get_args(hint):
            about["count"] = len(get_args(hint))
        made[item.name] = Parameter(item.name, kind, defaults.get(item.name, default), choices, **about)
    unknown = [n for n in (*names, *defaults) if n not in made]
    if unknown:
        raise TypeError(f"{cls.__name__} has no option {', '.join(unknown)}")
    return [made[n] for n in names or made]


def options_of(cls: type[Options], values: Mapping[str, Any], **others: Any) -> Options:
    """An options class filled from parsed parameters of the same names; ``others`` win over them.

    Options that take no other value, or change nothing, keep their defaults: a chain may have a parameter of
    the same name that means something else.

    Parameters
    ----------
    cls
        The options class.
    values
        Parsed parameters by name; those that the class does not have are left alone.
    others
        Values of fields, by name.
    """
    found = {
        item.name: tuple(value) if isinstance(value := values[item.name], list) else value
        for item in fields(cls)  # type: ignore[arg-type]
        if item.name in values
        and item.name not in others
        and not (item.metadata.get("only") or item.metadata.get("without_effect"))
    }
    return cls(**found, **others)
