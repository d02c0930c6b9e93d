"""Docstrings: every public function has one that explains what it takes, and their examples run."""

import ast
import doctest
import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from small_mission import OBS, SmallMission, record

import daxa
from daxa.archive import Archive

SOURCE = Path(__file__).resolve().parent.parent / "src" / "daxa"

#: Decorators of functions whose arguments are explained elsewhere: steps of `daxa.process` by their options,
#: SAS tasks by the tables of their parameters. Those of commands (room cli) are explained by their help.
EXPLAINED = ("public(", "task(")

#: A section of a docstring: its name and what is in it.
_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n(.*?)(?=^\w[\w ]*\n-{3,}\n|\Z)", re.MULTILINE | re.DOTALL)


def functions_and_methods(paths, everything=False):
    """File, whether of a class, and node of every public function, method and property."""
    for path in paths:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            inside = [node]
            if isinstance(node, ast.ClassDef) and (everything or not node.name.startswith("_")):
                inside = node.body
            for function in inside:
                if isinstance(function, ast.FunctionDef) and (
                    everything or not function.name.startswith("_")
                ):
                    yield path.relative_to(SOURCE), function is not node, function


@cache
def public_functions():
    """Those that have to speak for themselves: file, whether of a class, node.

    Not setters, nor methods that override one that says it.
    """
    found = []
    every = list(functions_and_methods(sorted(SOURCE.rglob("*.py"))))
    said = {f.name for _, method, f in every if method and ast.get_docstring(f)}
    for path, method, function in every:
        marks = [ast.unparse(mark) for mark in function.decorator_list]
        if any(m.startswith(EXPLAINED) or m.endswith(".setter") or m == "overload" for m in marks):
            continue
        if method and function.name in said and not ast.get_docstring(function):
            continue
        found.append((path, method, function))
    return found


def arguments(function, method):
    """Names of what a function takes; what a method is called on is left out."""
    a = function.args
    static = any(ast.unparse(mark) == "staticmethod" for mark in function.decorator_list)
    named = [*a.posonlyargs, *a.args][1 if method and not static else 0 :]
    return [x.arg for x in (*named, *filter(None, (a.vararg,)), *a.kwonlyargs, *filter(None, (a.kwarg,)))]


def told(docstring, section="Parameters"):
    """Names of arguments that a section of a docstring explains, in its order."""
    lines = dict(_SECTION.findall(docstring or "")).get(section, "").split("\n")
    heads = [line.partition(" : ")[0] for line in lines if line and not line.startswith(" ")]
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


@cache
def shared(path):
    """Arguments that a module explains for all its functions."""
    return frozenset(told(ast.get_docstring(ast.parse((SOURCE / path).read_text(encoding="utf-8")))))


def test_arguments_are_explained():
    """By the function, or by its module for all its functions."""
    bare = []
    for path, method, function in public_functions():
        if path.parts[0] == "cli":
            continue
        known = {*told(ast.get_docstring(function)), *shared(path)}
        if missing := [name for name in arguments(function, method) if name not in known]:
            bare.append(f"{path}: {function.name}: {', '.join(missing)}")
    assert not bare, "\n".join(bare)


def test_classes_explain_what_makes_them():
    """Under Parameters or Attributes; those of dataclasses are told by their annotations."""
    bare = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            said = ast.get_docstring(node)
            if not said:
                bare.append(f"{path.relative_to(SOURCE)}: {node.name}: no docstring")
            makers = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
            known = {*told(said), *told(said, "Attributes"), *shared(path.relative_to(SOURCE))}
            missing = [a for f in makers for a in arguments(f, method=True) if a not in known]
            bare += [f"{path.relative_to(SOURCE)}: {node.name}: {', '.join(missing)}"] if missing else []
    assert not bare, "\n".join(bare)


def test_no_argument_is_explained_that_is_not_there():
    """In the whole package, private functions too."""
    wrong = []
    for path in sorted(SOURCE.rglob("*.py")):
        for _, method, function in functions_and_methods([path], everything=True):
            names = set(told(ast.get_docstring(function))) - set(arguments(function, method))
            wrong += [f"{path.relative_to(SOURCE)}: {function.name}: {name}" for name in sorted(names)]
    assert not wrong, "\n".join(wrong)


def test_public_functions_have_docstrings():
    silent = [f"{path}: {f.name}" for path, _, f in public_functions() if not ast.get_docstring(f)]
    assert not silent, "\n".join(silent)


def with_examples():
    """Modules of the whole package that have examples."""
    for path in sorted(SOURCE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            yield ".".join(["daxa", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(
                ".__init__"
            )


class ThreeFields(SmallMission):
    """What the examples of selections are about: three pointings, a year after each other."""

    def _query(self, refresh):
        start = pd.to_datetime(["2017-06-01T10:00", "2018-06-01T10:00", "2019-06-01T10:00"])
        hour = pd.Timedelta(1, "h")
        columns = {"ObsID": [*OBS, "0800010301"], "ra": [149.6, 150.0, 10.0], "dec": [-11.1, -11.1, 20.0]}
        return pd.DataFrame(
            {**columns, "start": start, "end": start + hour, "duration": hour, "science_usable": True}
        ), None


def an_archive():
    """What the examples of archives are about: emchain succeeded once, and failed once."""
    mission = ThreeFields()
    mission.download()
    archive = Archive("examples", [mission], clobber=True)
    record(archive)
    record(archive, ident="0800010201M1S001", status="failed")
    return archive


#: What the examples of a module find there, made anew for each docstring.
GIVEN = {
    "daxa.mission.selection": {"mission": ThreeFields},
    "daxa.mission.filtering": {"mission": ThreeFields},
    "daxa.mission.base": {"mission": ThreeFields},
    "daxa.archive.places": {"archive": an_archive},
    "daxa.archive.views": {"archive": an_archive},
}


class Checked:
    """Stands for `daxa` where work would take long: names are there, and arguments are ones that are taken.

    Steps get no archive, which they find out after they have looked at all their other arguments.
    """

    def __init__(self, thing):
        self.thing = thing

    def __getattr__(self, name):
        return Checked(getattr(self.thing, name))

    def __call__(self, *args, **kwargs):
        inspect.signature(self.thing).bind(*args, **kwargs)
        if self.thing.__module__.startswith("daxa.process."):
            with pytest.raises(TypeError, match="obs_archive: expected an Archive"):
                self.thing(*args, **kwargs)


class NoArchive:
    """What examples of steps have in place of an archive."""

    missions: list = []
    ledger = SimpleNamespace(runs=lambda **conditions: [])


#: Packages whose examples call what takes long.
LONG = ("daxa.process.", "daxa.report.page", "daxa.simulate.", "daxa.mission.missions.")

#: Modules whose examples find a reduced observation as ``archive``.
ON_PRODUCTS = ("daxa.archive.products",)


@pytest.fixture
def given(request, monkeypatch):
    """What makes the names that examples find: by module, reduced data only where they are needed."""

    def of(name):
        if name.startswith(LONG):
            return {"daxa": lambda: Checked(daxa), "archive": NoArchive}
        if name not in ON_PRODUCTS:
            return GIVEN.get(name, {})
        top = request.getfixturevalue("reduced").archive.parent.parent
        monkeypatch.setenv("DAXA_OUTPUT", str(top))
        return {"archive": lambda: Archive("read")}

    return of


@pytest.mark.parametrize("name", list(with_examples()))
@pytest.mark.filterwarnings("ignore:the archive examples is deleted", "ignore:.*without eSASS")
def test_examples_run(name, given):
    module = importlib.import_module(name)
    makers = given(name)
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder().find(module):
        test.globs |= {word: make() for word, make in makers.items()} if test.examples else {}
        runner.run(test)
    result = runner.summarize(verbose=False)
    assert result.attempted
    assert not result.failed, f"{name}: {result.failed} of {result.attempted} examples"
