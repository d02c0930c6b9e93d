"""The rules between the rooms, read from the imports themselves."""

import ast
import importlib
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "daxa"

#: Room -> rooms it may import (besides itself, what is common to all, and the formats of files).
ALLOWED = {
    "fetch": set(),
    "mission": {"events", "fetch"},
    "archive": {"mission"},
    "process": {"archive", "backend"},
    "backend": {"events", "xmm"},
    "events": {"xmm"},
    "xmm": set(),
    "calibration": {"fetch", "xmm"},
    "compare": {"xmm"},
    "validate": {"archive", "backend", "compare", "mission", "process"},
    "simulate": set(),
    "report": {"archive", "mission", "process"},
    "cli": {
        "archive", "fetch", "mission", "process", "backend", "calibration", "xmm", "simulate", "report",
        "compare", "validate",
    },
}  # fmt: skip
#: What rooms that do not know the engine read and write its files with.
READ_FILES = {
    "simulate": ("daxa.xmm.fits",),
    "report": (
        "daxa.xmm.fits",
        "daxa.xmm.errors",
        "daxa.xmm.formats",
        "daxa.xmm.ccf",
        "daxa.xmm.response.patterns",
    ),
}
COMMON = {
    "daxa",
    "daxa._version",
    "daxa.config",
    "daxa.display",
    "daxa.ds9",
    "daxa.exceptions",
    "daxa.former",
    "daxa.plain",
    "daxa.trust",
    "daxa.writing",
}

#: Floors of the engine, the lowest first: an arrow leads from a floor to a lower one, or stays in its room.
FLOORS = [
    {"errors", "statistics", "findings", "origin", "sas_names"},
    {"parameters", "notes"},
    {"fits"},
    {"task"},
    {"formats"},
    {"odf"},
    {"ccf"},
    {"event", "response"},
    {"select"},
    {"sky"},
    {"image"},
    {"screen", "instruments", "detect", "spectra"},
    {"timing"},
    {"tasks"},
    {"__main__"},
]

#: Modules outside tasks that know a running task. The list may only become shorter.
KNOW_A_TASK = {
    "__main__", "instruments.mos.exposure", "instruments.mos.files", "instruments.mos.products",
    "instruments.pn.files", "instruments.pn.products", "instruments.pn.reduce",
    "instruments.rgs.files", "instruments.rgs.sources", "select.evselect",
    "select.goodtimes", "select.outputs", "select.source",
}  # fmt: skip

#: Modules of the engine outside ``fits`` that use astropy.io themselves. The number may only become smaller.
USE_ASTROPY_IO = 0


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def modules():
    for path in sorted(SOURCE.rglob("*.py")):
        relative = path.relative_to(SOURCE)
        room = relative.parts[0].removesuffix(".py")
        if room in ALLOWED:
            yield path, relative, room


def executed(tree):
    """Nodes that run; imports for type checkers do not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        yield node
        yield from executed(node)


@cache
def imports(path, nodes=executed):
    """Modules that a module imports, those inside functions too, with the line."""
    found = []
    for node in nodes(parsed(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: imports are written in full"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                place = SOURCE.parent / full.replace(".", "/")
                is_module = place.with_suffix(".py").exists() or place.is_dir()
                found.append((full if is_module else node.module, node.lineno))
    return found


def engine():
    """Modules of the engine: name behind ``daxa.xmm``, file."""
    for path, relative, room in modules():
        if room == "xmm" and relative.name != "__init__.py":
            yield ".".join(relative.with_suffix("").parts[1:]), path


def every_module():
    """Names of all modules of the package, whether or not another one imports them."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__")


@cache
def missing(module):
    """Why a module cannot be imported; empty if it can."""
    try:
        importlib.import_module(module)
    except Exception as failure:
        return f"{type(failure).__name__}: {failure}"
    return ""


@cache
def lacking(module, name):
    """Why a name cannot be imported from a module; empty if it can."""
    if missing(module) or not name or hasattr(sys.modules[module], name):
        return missing(module)
    # It may be there for type checkers only, or be a module that nothing has imported so far.
    for_types = {n for _, n, _ in asked_for(Path(sys.modules[module].__file__))}
    return "" if name in for_types or not missing(f"{module}.{name}") else f"has no {name}"


def test_every_module_can_be_imported():
    assert "daxa.xmm.select.evselect" in set(every_module())
    assert [f"{name}: {why}" for name in every_module() if (why := missing(name))] == []


def statements(node):
    """Statements below a node, those inside others too; expressions, where no import stands, are left out."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, block, ()):
            yield child
            yield from statements(child)


@cache
def asked_for(path):
    """Module, name and line of each import, wherever in the file it stands."""
    found = []
    for node in statements(parsed(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "", node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(node.module, alias.name, node.lineno) for alias in node.names]
    return found


def test_every_imported_name_exists():
    """In functions and for type checkers too, also in tests, benchmarks and what makes the docs."""
    wrong = []
    for folder in ("src", "tests", "benchmarks", "docs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for module, name, line in asked_for(path):
                if module.split(".")[0] == "daxa" and (why := lacking(module, name)):
                    wrong.append(f"{path.relative_to(ROOT)}:{line}: {module} {why}")
    assert not wrong, "\n".join(wrong)


def test_every_room_is_known():
    rooms = {p.name for p in SOURCE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert rooms == set(ALLOWED)
    known = set().union(*FLOORS)
    assert {name.split(".")[0] for name, _ in engine()} == known


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_follow_the_arrows(room):
    wrong = []
    for path, relative, this in modules():
        if this != room:
            continue
        for name, line in imports(path):
            if not name.startswith("daxa") or name in COMMON or name.startswith("daxa.xmm.formats"):
                continue
            if name.startswith(READ_FILES.get(room, ("no module",))):
                continue
            target = name.split(".")[1]
            if target != room and target not in ALLOWED[room]:
                wrong.append(f"{relative}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_no_arrow_of_the_engine_runs_up():
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    wrong = []
    for name, path in engine():
        room = name.split(".")[0]
        for target, line in imports(path, ast.walk):
            if target.startswith("daxa.xmm."):
                other = target.split(".")[2]
                if other != room and floor[other] >= floor[room]:
                    wrong.append(f"{name}:{line} imports {target}")
    assert not wrong, "\n".join(wrong)


def graph_of(rooms, nodes=executed):
    """Which modules of some rooms import which."""
    names = {
        ".".join(["daxa", *r.with_suffix("").parts]).removesuffix(".__init__"): p
        for p, r, room in modules()
        if room in rooms
    }
    return {n: {t for t, _ in imports(p, nodes) if t in names and t != n} for n, p in names.items()}


def test_nothing_imports_in_a_circle():
    """Imports inside functions count."""
    graph = graph_of(ALLOWED)
    assert "daxa.xmm.odf.times" in graph["daxa.xmm.odf.odf"]
    assert set(TopologicalSorter(graph).static_order()) == set(graph)


def test_types_make_no_circle_either():
    graph = graph_of(("mission", "archive", "process", "backend"), ast.walk)
    assert "daxa.archive.archive" in graph["daxa.archive.verify"]
    assert set(TopologicalSorter(graph).static_order()) == set(graph)
    engine = graph_of(("xmm",), ast.walk)
    wings = {n: {t for t in to if ".instruments." in t} for n, to in engine.items() if ".instruments." in n}
    assert "daxa.xmm.instruments.mos.raw" in wings["daxa.xmm.instruments.mos.exposure"]
    assert set(TopologicalSorter(wings).static_order()) == set(wings)


def test_nothing_imports_a_task():
    for path, relative, _ in modules():
        for name, line in imports(path, ast.walk):
            if name.startswith("daxa.xmm.tasks."):
                assert name.split(".")[3].startswith("support"), f"{relative}:{line} imports {name}"
                assert relative.parts[:2] == ("xmm", "tasks"), f"{relative}:{line} imports {name}"


def test_wings_do_not_know_each_other():
    for name, path in engine():
        words = name.split(".")
        if words[0] == "instruments" and len(words) > 2:
            for target, line in imports(path, ast.walk):
                other = target.split(".")[3:]
                if target.startswith("daxa.xmm.instruments.") and len(other) > 1:
                    assert other[0] == words[1], f"{name}:{line} imports {target}"
        elif words[0] == "instruments":
            # What the wings share knows none of them.
            shared = [t for t, _ in imports(path, ast.walk) if t.startswith("daxa.xmm.instruments.")]
            assert not {t.split(".")[3] for t in shared} & {"mos", "pn", "rgs"}, f"{name} imports {shared}"


def test_only_tasks_know_running_tasks():
    found = {
        name
        for name, path in engine()
        if not name.startswith("tasks.") and any(t == "daxa.xmm.task" for t, _ in imports(path, ast.walk))
    }
    assert found == KNOW_A_TASK


def test_fits_files_have_one_room():
    users = [
        name
        for name, path in engine()
        if not name.startswith("fits.")
        and any(t.startswith("astropy.io") for t, _ in imports(path, ast.walk))
    ]
    assert len(users) <= USE_ASTROPY_IO, users


def test_formats_know_only_schemas():
    for name, path in engine():
        if name.startswith("formats."):
            for target, line in imports(path, ast.walk):
                if target.startswith("daxa.") and not target.startswith("daxa.xmm.formats"):
                    assert target == "daxa.xmm.fits.schema", f"{name}:{line} imports {target}"


def test_process_opens_no_fits_file():
    for path, relative, room in modules():
        if room == "process":
            assert not any(name.startswith("astropy.io") for name, _ in imports(path)), relative


def test_one_module_opens_databases():
    users = [
        str(relative)
        for path, relative, _ in modules()
        if any(name.split(".")[0] == "sqlite3" for name, _ in imports(path))
    ]
    assert users == [str(Path("archive", "database.py"))]


#: Folders of tests that are not rooms of the package: why they are there.
NOT_ROOMS = {
    "benchmarks": "what benchmarks/ compares and measures",
    "fuzz": "files damaged at random, for all that reads them",
    "integration": "whole reductions",
    "readers": "other programs that read the products",
}

#: Rooms without tests of their own: what tests them.
WITHOUT_TESTS = {
    "xmm/formats": "no behaviour; what reads and writes the files",
}


def files_with_tests():
    """Folder of tests -> its files of tests."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        found.setdefault(path.parent.relative_to(ROOT / "tests").as_posix(), []).append(path)
    return found


def test_folders_of_tests_are_rooms():
    places = {p.parent.relative_to(SOURCE).as_posix() for p in SOURCE.rglob("__init__.py")}
    assert set(files_with_tests()) - places == set(NOT_ROOMS)


def test_rooms_have_tests():
    rooms = {room for room in ALLOWED if room != "xmm"}
    rooms |= {f"xmm/{p.parent.name}" for p in (SOURCE / "xmm").glob("*/__init__.py")}
    rooms |= {f"xmm/instruments/{p.parent.name}" for p in (SOURCE / "xmm/instruments").glob("*/__init__.py")}
    assert rooms - set(files_with_tests()) == set(WITHOUT_TESTS)


def test_tests_import_their_room():
    """Those of the engine may also run tasks, or look at what these have made."""
    strangers = []
    for folder, paths in files_with_tests().items():
        room = folder.split("/")[0]
        for path in paths if room in ALLOWED and room != "xmm" else ():
            if not any(f"{module}.".startswith(f"daxa.{room}.") for module, *_ in asked_for(path)):
                strangers.append(path.relative_to(ROOT / "tests").as_posix())
    assert not strangers, "\n".join(strangers)


#: Words that calls begin with which find a fault in something.
FINDS_FAULT = ("raises", "warns", "assert_", "fail")


def calls(node):
    """Names of what is called below a node."""
    for call in (n.func for n in ast.walk(node) if isinstance(n, ast.Call)):
        yield call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "")


def finds_fault(function):
    asserts = any(isinstance(node, ast.Assert) for node in ast.walk(function))
    return asserts or any(name.startswith(FINDS_FAULT) for name in calls(function))


def test_every_test_asserts_something():
    """Itself, or in a function that it calls."""
    paths = [p for p in sorted((ROOT / "tests").rglob("*.py"))]
    functions = [
        (path, node) for path in paths for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef)
    ]
    found = {f.name for _, f in functions if finds_fault(f)}
    left = {f.name: set(calls(f)) for _, f in functions if f.name not in found}
    while more := {name for name, called in left.items() if name not in found and called & found}:
        found |= more
    idle = [
        f"{path.relative_to(ROOT)}: {f.name}"
        for path, f in functions
        if f.name.startswith("test_") and f.name not in found
    ]
    assert not idle, "\n".join(idle)


def test_modules_of_tests_have_names_of_their_own():
    """Folders of tests are no packages: pytest takes two modules of one name for one."""
    paths = sorted((ROOT / "tests").rglob("test_*.py"))
    names = [p.name for p in paths]
    assert not [str(p.relative_to(ROOT)) for p in paths if names.count(p.name) > 1]
