"""Parameters of a task: their kinds, and values parsed from text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daxa.xmm.errors import TaskError

_TRUE = {"yes", "y", "true", "t", "1"}
_FALSE = {"no", "n", "false", "f", "0"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a task.

    ``kind`` is ``bool``, ``int``, ``real``, ``string``, ``dataset``, ``choice`` or ``list`` (blank-separated
    strings). ``None`` as default means "not given".
    """

    name: str
    kind: str
    default: Any = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False

    def parse(self, task_name: str, value: Any) -> Any:
        """Turn text (or a Python value) into a value of this parameter's kind."""

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
        if self.kind == "list":
            return list(map(str, value)) if isinstance(value, (list, tuple)) else str(value).split()
        text = str(value)
        if self.kind == "choice":
            found = [c for c in self.choices if c.lower() == text.lower()]
            if not found:
                raise bad(f"one of {', '.join(self.choices)}")
            return found[0]
        if self.kind in ("int", "real"):
            try:
                number = int(text) if self.kind == "int" else float(text)
            except ValueError:
                raise bad("an integer" if self.kind == "int" else "a number") from None
            if self.minimum is not None and number < self.minimum:
                raise bad(f"a value of at least {self.minimum}")
            if self.maximum is not None and number > self.maximum:
                raise bad(f"a value of at most {self.maximum}")
            return number
        return text


def format_value(value: Any) -> str:
    """A parameter value as it stands on a command line (unquoted)."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(format_value(v) for v in value)
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)


class Parameters(Mapping[str, Any]):
    """Parsed parameter values, as attributes and as a mapping; ``given`` names those set by the caller."""

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
