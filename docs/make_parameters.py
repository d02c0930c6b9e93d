"""The page docs/parameters.md, from the tables of the tasks.

Run ``python docs/make_parameters.py`` after a change of a task's parameters; a test compares the page with
the tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path

from daxa.xmm.parameters import Parameter, format_value
from daxa.xmm.task import TaskSpec, find_task, task_names

PAGE = Path(__file__).with_name("parameters.md")
HEAD = """\
# Parameters of the tasks

Every task of the embedded engine with its parameters: names and defaults are SAS's. The same is shown by
`python -m daxa.xmm TASK --help`. Where the default is empty, the parameter is not set unless it is given. A
*fixed* parameter has one value, and any other is refused; one with *no effect* is known, so that a script
written for SAS runs, but changes nothing.

This page is made from the tables of the tasks by `python docs/make_parameters.py`.
"""


def cell(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*").replace("_", r"\_").replace("<", "&lt;")


def code(text: str) -> str:
    return f"`{text}`".replace("|", r"\|") if text else ""


def default_of(p: Parameter) -> str:
    if p.required:
        return "must be given"
    return "" if p.default is None else code(format_value(p.default))


def remarks(p: Parameter) -> str:
    """What a parameter is for, and what does not work."""
    parts = [cell(p.text)]
    if p.only:
        parts.append(f"*fixed*: {cell(p.only)}")
    if p.without_effect:
        parts.append(f"*no effect*: {cell(p.without_effect)}")
    return "; ".join(part for part in parts if part)


def table(parameters: Iterable[Parameter]) -> list[str]:
    lines = ["| parameter | default | value | what it is for |", "|---|---|---|---|"]
    for p in parameters:
        lines.append(f"| `{p.name}` | {default_of(p)} | {cell(p.form)} | {remarks(p)} |")
    return lines


def of_steps(spec: TaskSpec) -> list[str]:
    """Parameters of steps that a chain takes, and which defaults differ from those of the step's own task."""
    if not spec.of_steps:
        return []
    names: dict[str, list[str]] = {}
    other = []
    for p in spec.of_steps:
        step, _, name = p.name.partition(":")
        names.setdefault(step, []).append(f"`{name}`")
        own = next((q for q in find_task(step).parameters if q.name == name), p)
        if own.default != p.default:
            other.append(code(p.usage))
    lines = ["", f"Parameters of its steps are given as `{spec.of_steps[0].name}=...`:", ""]
    lines += [f"- [{step}](#{step}): {', '.join(listed)}" for step, listed in names.items()]
    if other:
        lines += ["", f"Unlike the tasks of these names, the chain has {', '.join(other)}."]
    return lines


def section(name: str) -> str:
    spec = find_task(name)
    about = inspect.cleandoc(spec.function.__doc__ or "")
    return "\n".join([f"## {name}", "", about, "", *table(spec.parameters), *of_steps(spec), ""])


def page() -> str:
    return "\n".join([HEAD, *(section(name) for name in task_names())])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
