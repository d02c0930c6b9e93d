"""Docstrings of the public interface: examples run, and what functions take is told."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "daxa"

#: What users call: rooms and modules of the engine.
PUBLIC = [
    "archive", "process", "mission", "compare", "xmm/select", "xmm/fits", "xmm/task.py", "xmm/parameters.py",
    "xmm/event/gti.py",
]  # fmt: skip

#: Public functions of these with arguments and without a Parameters section. The number may only fall.
WITHOUT_PARAMETERS = 155

#: Public functions and properties of these without a docstring. The number may only fall.
WITHOUT_DOCSTRING = 25


def files():
    for place in PUBLIC:
        path = SOURCE / place
        yield from [path] if path.suffix else sorted(path.rglob("*.py"))


def functions_and_methods():
    """File, whether of a class, and node of every public function, method and property."""
    for path in files():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            inside = [node]
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                inside = node.body
            for function in inside:
                if isinstance(function, ast.FunctionDef) and not function.name.startswith("_"):
                    yield path.relative_to(SOURCE), function is not node, function


def public_functions():
    """Those that have to speak for themselves: file, name, node.

    Not setters, nor what another decorator documents, nor methods that override one that says it.
    """
    every = list(functions_and_methods())
    said = {f.name for _, method, f in every if method and ast.get_docstring(f)}
    for path, method, function in every:
        marks = [ast.unparse(mark) for mark in function.decorator_list]
        if any(m.startswith("public(") or m.endswith(".setter") or m == "overload" for m in marks):
            continue
        if method and function.name in said and not ast.get_docstring(function):
            continue
        yield path, function.name, function


def arguments(function):
    a = function.args
    given = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    return [x.arg for x in given if x.arg not in ("self", "cls")]


def test_arguments_are_explained():
    bare = [
        f"{path}: {name}"
        for path, name, function in public_functions()
        if arguments(function) and "Parameters\n---" not in (ast.get_docstring(function) or "")
    ]
    assert len(bare) <= WITHOUT_PARAMETERS, "\n".join(bare)


def test_public_functions_have_docstrings():
    silent = [f"{path}: {name}" for path, name, f in public_functions() if not ast.get_docstring(f)]
    assert len(silent) <= WITHOUT_DOCSTRING, "\n".join(silent)


def with_examples():
    """Modules of the whole package that have examples."""
    for path in sorted(SOURCE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            yield ".".join(["daxa", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(
                ".__init__"
            )


@pytest.mark.parametrize("name", list(with_examples()))
def test_examples_run(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed, f"{name}: {result.failed} of {result.attempted} examples"
