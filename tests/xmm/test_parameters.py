"""Parameters explain themselves, and each default is written once."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from daxa.plain import nearest
from daxa.xmm.__main__ import main
from daxa.xmm.errors import TaskError
from daxa.xmm.parameters import Parameter, option, options_of, parameters_of
from daxa.xmm.task import TaskSpec, find_task, task_names

ENGINE = Path(importlib.import_module("daxa.xmm").__file__).parent
ROOT = Path(__file__).parents[2]

#: Parameters of chains that share a name, not the meaning, with an option of a step.
SAME_NAME = {("emchain", "rejectbadevents"), ("emproc", "runatthkgen")}


@dataclass(frozen=True)
class Search:
    """The options of a step that searches."""

    hithresh: float = option(0.0045, "a pixel with a higher rate is hot", unit="ct/s", minimum=0)
    cellsize: int = option(2, "half of the box around a pixel", minimum=1, maximum=9)
    dead: bool = option(True, "whether dead pixels are looked for")
    thresholdlabel: Literal["rate", "counts"] = option("rate", "what thresholds are")
    method: str = option("median", "how columns are searched", only="no other way is public")
    blocksize: int = option(1000, "rows read at a time", without_effect="lists are read whole")
    bins: tuple[int, int, int] = option((5, 2, 2), "bins of frames, columns, rows", minimum=1)
    factors: tuple[float, ...] = option((0.98, 1.0), "noise of each node")
    names: tuple[str, ...] = option((), "exposures to take")
    image: str = option("image.fits", "the image", kind="dataset")
    inside: float = 1.5

    def parsed(self, **values):
        return options_of(Search, spec().parse(values))


def spec(cls=Search, **defaults) -> TaskSpec:
    return TaskSpec("search", "1.0", tuple(parameters_of(cls, **defaults)), lambda ctx, p: None)


class TestTables:
    def test_a_table_says_what_the_class_says(self):
        table = {p.name: p for p in parameters_of(Search)}
        assert table["hithresh"] == Parameter(
            "hithresh", "real", 0.0045, minimum=0, text="a pixel with a higher rate is hot", unit="ct/s"
        )
        kinds = {name: p.kind for name, p in table.items()}
        assert kinds == {
            "hithresh": "real", "cellsize": "int", "dead": "bool", "thresholdlabel": "choice",
            "method": "string", "blocksize": "int", "bins": "ints", "factors": "reals", "names": "list",
            "image": "dataset",
        }  # fmt: skip
        assert table["thresholdlabel"].choices == ("rate", "counts")
        assert (table["bins"].count, table["factors"].count) == (3, 0)
        assert table["method"].only == "no other way is public"
        assert table["blocksize"].without_effect == "lists are read whole"

    def test_only_fields_made_with_option_are_parameters(self):
        assert "inside" not in {p.name for p in parameters_of(Search)}

    def test_a_chain_may_have_other_defaults(self):
        by_keyword = {p.name: p.default for p in parameters_of(Search, cellsize=4)}
        by_values = {p.name: p.default for p in parameters_of(Search(cellsize=4))}
        assert by_keyword == by_values
        assert by_keyword["cellsize"] == 4

    def test_some_may_be_taken_in_another_order(self):
        assert [p.name for p in parameters_of(Search, "dead", "hithresh")] == ["dead", "hithresh"]
        with pytest.raises(TypeError, match="Search has no option alive"):
            parameters_of(Search, "alive")

    def test_a_default_of_nothing_is_a_mistake(self):
        with pytest.raises(TypeError, match="Search has no option cellsise"):
            parameters_of(Search, cellsise=4)

    def test_defaults_give_the_class_back(self):
        assert Search().parsed() == Search()


class TestValues:
    def test_text_becomes_values_of_the_class(self):
        made = Search().parsed(
            hithresh="0.1",
            dead="no",
            thresholdlabel="COUNTS",
            bins="1 2 3",
            factors="1 2.5 3",
            names="S001 U002",
        )
        assert made == Search(
            hithresh=0.1, dead=False, thresholdlabel="counts", bins=(1, 2, 3), factors=(1.0, 2.5, 3.0),
            names=("S001", "U002"),
        )  # fmt: skip

    def test_the_caller_may_set_what_is_no_parameter(self):
        assert options_of(Search, spec().parse({"cellsize": 3}), inside=2.0, cellsize=1) == Search(
            cellsize=1, inside=2.0
        )

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("hithresh", "-1", "a value of at least 0, got '-1'"),
            ("hithresh", "nan", "a number, got 'nan'"),
            ("hithresh", "high", "a number, got 'high'"),
            ("cellsize", "1.5", "an integer, got '1.5'"),
            ("cellsize", "10", "a value of at most 9, got '10'"),
            ("dead", "perhaps", "yes or no, got 'perhaps'"),
            ("thresholdlabel", "percent", "one of rate, counts, got 'percent'"),
            ("bins", "5 2", "3 numbers, got '5 2'"),
            ("bins", "5 2 0", "a value of at least 1, got '5 2 0'"),
            ("bins", "5 2 x", "an integer, got '5 2 x'"),
            ("factors", "1 x", "a number, got '1 x'"),
        ],
    )
    def test_what_does_not_fit_is_named(self, name, value, expected):
        with pytest.raises(TaskError) as failure:
            spec().parse({name: value})
        assert failure.value.code == "badParameter"
        assert failure.value.message == f"search: parameter {name}: expected {expected}"

    def test_what_only_the_default_does_is_refused(self):
        with pytest.raises(NotImplementedError) as failure:
            spec().parse({"method": "mean"})
        assert str(failure.value) == (
            "search: method=mean: the embedded engine only does method=median; no other way is public"
        )
        assert spec().parse({"method": "median"}).method == "median"

    def test_only_refers_to_the_default_of_the_table(self):
        assert spec(method="mean").parse({"method": "mean"}).method == "mean"
        with pytest.raises(NotImplementedError, match="only does method=mean"):
            spec(method="mean").parse({"method": "median"})

    def test_what_changes_nothing_is_taken(self):
        assert spec().parse({"blocksize": "7"}).blocksize == 7


class TestUnknownNames:
    def test_the_nearest_name_is_told(self):
        assert nearest("hitresh", ["lothresh", "hithresh"]) == "did you mean 'hithresh'?"
        with pytest.raises(TaskError, match="unknown parameter 'celsize'; did you mean 'cellsize'?"):
            spec().parse({"celsize": 1})

    def test_without_a_near_one_all_are_told(self):
        assert nearest("x", ["table", "file"]) == "known are table, file"


def incomplete(name: str) -> list[str]:
    spec = find_task(name)
    return [p.name for p in (*spec.parameters, *spec.of_steps) if not p.text]


@pytest.mark.parametrize("name", task_names())
def test_every_parameter_has_a_text(name):
    assert not incomplete(name)


@pytest.mark.parametrize("name", task_names())
def test_texts_are_half_sentences_in_the_same_form(name):
    spec = find_task(name)
    for p in (*spec.parameters, *spec.of_steps):
        for text in (p.text, p.only, p.without_effect):
            assert text == " ".join(text.split()), p.name
            assert not text.endswith("."), p.name
        assert len(p.text) <= 200, p.name


@pytest.mark.parametrize("name", task_names())
def test_names_are_unique_and_defaults_are_values_of_their_kind(name):
    table = find_task(name).parameters
    assert len({p.name for p in table}) == len(table)
    for p in table:
        p.parse(name, p.default)
        assert not (p.only and p.required), p.name


def option_defaults(name: str) -> dict[str, list[object]]:
    """Defaults, by name, of a task's options classes: its own, and those of modules that it imports."""
    module = importlib.import_module(f"daxa.xmm.tasks.{name}")
    rooms = {getattr(value, "__module__", "") for value in vars(module).values()} | {module.__name__}
    found: dict[str, list[object]] = {}
    for room in sorted(r for r in rooms if r.startswith("daxa.xmm")):
        for cls in vars(importlib.import_module(room)).values():
            if is_dataclass(cls) and cls.__module__ == room:
                for item in fields(cls):
                    if item.default is not MISSING and (item.metadata or room.endswith(".options")):
                        found.setdefault(item.name, []).append(item.default)
    return found


def stated(name: str) -> dict[str, object]:
    """Defaults that the table of a task states itself."""
    tree = ast.parse((ENGINE / "tasks" / f"{name}.py").read_text(encoding="utf-8"))
    calls = (
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Parameter"
    )
    literal = [c.args for c in calls if len(c.args) > 2 and isinstance(c.args[0], ast.Constant)]
    known = {p.name: p.default for p in find_task(name).parameters}
    return {args[0].value: known[args[0].value] for args in literal if args[0].value in known}


@pytest.mark.parametrize("name", task_names())
def test_no_default_is_written_twice(name):
    options = option_defaults(name)
    twice = [
        parameter
        for parameter, default in stated(name).items()
        if any(default == other and type(default) is type(other) for other in options.get(parameter, []))
        and (name, parameter) not in SAME_NAME
    ]
    assert not twice


def another(p: Parameter) -> object:
    """A value of a parameter's kind that is not its default."""
    if p.kind == "bool":
        return not p.default
    if p.kind == "choice":
        return next(c for c in p.choices if c != p.default)
    if p.kind in ("int", "real"):
        return p.default + 1 if p.maximum is None or p.default + 1 <= p.maximum else p.default - 1
    return "1" if p.kind in ("ints", "reals") else "other"


@pytest.mark.parametrize("name", task_names())
def test_what_is_fixed_is_refused_by_name(name):
    spec = find_task(name)
    required = {p.name: "file" for p in spec.parameters if p.required}
    for p in (*spec.parameters, *spec.of_steps):
        if p.only:
            with pytest.raises(NotImplementedError, match=f"{name}: {p.name}="):
                spec.parse({**required, p.name: another(p)})


def used(name: str) -> set[str]:
    """What the code of a task names outside its table: words, and names put together in f-strings."""
    texts = [path.read_text(encoding="utf-8") for path in (ENGINE / "tasks").glob("support*.py")]
    trees = [
        ast.parse(text) for text in [*texts, (ENGINE / "tasks" / f"{name}.py").read_text(encoding="utf-8")]
    ]
    for node in ast.walk(trees[-1]):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
    found = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(re.findall(r"\w+", node.value) if "\n" not in node.value else [])
        elif isinstance(node, ast.JoinedStr):
            parts = [re.escape(v.value) if isinstance(v, ast.Constant) else r"\w+" for v in node.values]
            if any(part.isalpha() for part in parts):
                found.add("".join(parts))
    return found


@pytest.mark.parametrize("name", task_names())
def test_what_changes_nothing_says_so(name):
    """A parameter is named in the task's code, or is one of its options classes, or says that it is idle."""
    module = importlib.import_module(f"daxa.xmm.tasks.{name}")
    shared = {str(getattr(value, "__module__", "")) for value in vars(module).values()}
    rooms = [module, *(importlib.import_module(m) for m in shared if m.startswith("daxa.xmm.tasks.support"))]
    classes = [c for room in rooms for c in vars(room).values() if isinstance(c, type) and is_dataclass(c)]
    known = {item.name for cls in classes for item in fields(cls) if item.metadata}
    patterns = used(name)
    idle = [
        p.name
        for p in find_task(name).parameters
        if not (p.only or p.without_effect or p.name in known)
        and not any(re.fullmatch(pattern, p.name) for pattern in patterns)
    ]
    assert not idle


def test_the_help_is_a_manual_page(monkeypatch, capsys):
    def search(ctx, p):
        """Search an image.

        Details.
        """

    required = Parameter("table", "dataset", required=True, text="the list")
    made = TaskSpec("search", "1.0", (required, *parameters_of(Search)), search)
    monkeypatch.setattr("daxa.xmm.__main__.find_task", lambda name: made)
    assert main(["search", "-h"]) == 0
    page = capsys.readouterr().out
    text = " ".join(page.split())
    assert "NAME search - search an image" in text
    assert "DESCRIPTION Details." in text
    assert "USAGE python -m daxa.xmm search table=... [name=value ...]" in text
    assert "table=... (file; must be given) the list" in text
    assert "hithresh=0.0045 (number from 0 [ct/s]) a pixel with a higher rate is hot" in text
    assert "dead=yes whether dead pixels are looked for" in text
    assert "thresholdlabel=rate (rate or counts) what thresholds are" in text
    assert "bins='5 2 2' (3 whole numbers from 1) bins of frames, columns, rows" in text
    assert "(another is refused) no other way is public: method=median how columns are searched" in text
    assert "WITHOUT EFFECT lists are read whole: blocksize=1000 rows read at a time" in text
    assert max(map(len, page.splitlines())) <= 100


def test_the_pages_of_tasks_are_current():
    made = runpy.run_path(str(ROOT / "docs" / "make_parameters.py"))
    told, current = made["pages"](), made["current"]()
    other = {name for name in told.keys() | current.keys() if told.get(name) != current.get(name)}
    assert other == set(), "docs/tasks is not what the tables say: run `python docs/make_parameters.py`"


class TestParametersOfSteps:
    @pytest.fixture
    def chain(self):
        of_steps = tuple(replace(p, name=f"search:{p.name}") for p in parameters_of(Search))
        return TaskSpec("chain", "1.0", (Parameter("odf", "string"),), lambda ctx, p: None, of_steps)

    def test_a_task_names_its_steps(self):
        assert {p.name.partition(":")[0] for p in find_task("emchain").of_steps} == {
            "emframes", "emevents", "emenergy", "emeventsproj", "embadpixfind", "badpix",
        }  # fmt: skip

    def test_they_are_known_and_parsed(self, chain):
        values = chain.parse({"search:cellsize": "4", "search:bins": "1 2 3"})
        assert values["search:cellsize"] == 4
        assert values["search:bins"] == [1, 2, 3]
        assert "search:dead" not in values

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("search:celsize", 1, "unknown parameter 'search:celsize'; did you mean 'search:cellsize'?"),
            ("cellsize", 1, "unknown parameter 'cellsize'; did you mean 'search:cellsize'?"),
            ("find:cellsize", 1, "unknown parameter 'find:cellsize'; known are search:..."),
            ("search:cellsize", "x", "parameter search:cellsize: expected an integer, got 'x'"),
            ("search:bins", "1 2", "parameter search:bins: expected 3 numbers, got '1 2'"),
        ],
    )
    def test_mistakes_are_named(self, chain, name, value, message):
        with pytest.raises(TaskError) as failure:
            chain.parse({name: value})
        assert failure.value.message == f"chain: {message}"

    def test_what_only_the_default_does_is_refused(self, chain):
        with pytest.raises(
            NotImplementedError, match="chain: search:method=mean: the embedded engine only does"
        ):
            chain.parse({"search:method": "mean"})
