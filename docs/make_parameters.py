"""The pages of docs/tasks, one of each task of the engine, from the tables of the tasks.

Run ``python docs/make_parameters.py`` after a change of a task's parameters; a test compares the pages with
the tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path

from daxa.xmm.parameters import Parameter, format_value
from daxa.xmm.task import TaskSpec, find_task, task_names

FOLDER = Path(__file__).with_name("tasks")
HEAD = """\
# Tasks of the engine

Every task of the embedded engine: names, parameters and defaults are SAS's. Each runs from a shell and from
Python:

```sh
python -m daxa.xmm evselect table=events.fits filteredset=soft.fits expression='PI in [500:2000]'
```

```python
from daxa.xmm.task import run_task

run_task("evselect", {"table": "events.fits", "filteredset": "soft.fits", "expression": "PI in [500:2000]"})
```

`python -m daxa.xmm TASK --help` shows what is on the pages below. Where the default is empty, the parameter
is not set unless it is given. A *fixed* parameter has one value, and any other is refused; one with *no
effect* is known, so that a script written for SAS runs, but changes nothing.

How the tasks belong together is told by [the engine](../engine.md) and [the chains](../chains.md).

| task | does |
|---|---|
"""
FOOT = """
These pages are made from the tables of the tasks by `python docs/make_parameters.py`.
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
    lines += [f"- [{step}]({step}.md): {', '.join(listed)}" for step, listed in names.items()]
    if other:
        lines += ["", f"Unlike the tasks of these names, the chain has {', '.join(other)}."]
    return lines


def about(name: str) -> str:
    return inspect.cleandoc(find_task(name).function.__doc__ or "").replace("``", "`")


def summary(name: str) -> str:
    return about(name).partition("\n\n")[0].replace("\n", " ").replace("|", r"\|").removesuffix(".")


def page(name: str) -> str:
    """The page of a task."""
    spec = find_task(name)
    needed = " ".join(p.usage for p in spec.parameters if p.required)
    call = f"python -m daxa.xmm {name} {needed or 'name=value'} ..."
    parts = [f"# {name}", "", about(name), "", "```text", call, "```", ""]
    return "\n".join([*parts, *table(spec.parameters), *of_steps(spec), ""])


def contents() -> str:
    """The page that lists them."""
    rows = (f"| [{name}]({name}.md) | {summary(name)} |" for name in task_names())
    return HEAD + "\n".join(rows) + "\n" + FOOT


def pages() -> dict[str, str]:
    """Name of a file in docs/tasks -> what it holds."""
    return {"index.md": contents(), **{f"{name}.md": page(name) for name in task_names()}}


def current() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}


if __name__ == "__main__":
    made = pages()
    FOLDER.mkdir(exist_ok=True)
    for name in current().keys() - made.keys():
        (FOLDER / name).unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
