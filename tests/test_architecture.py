"""The rules between the rooms, read from the imports themselves."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "daxa"

#: Room -> rooms it may import (besides itself, config, exceptions and the version).
ALLOWED = {
    "mission": set(),
    "archive": {"mission"},
    "process": {"archive", "backend"},
    "backend": {"xmm"},
    "xmm": set(),
    "compare": {"xmm"},
    "validate": {"archive", "backend", "compare", "mission", "process"},
    "simulate": set(),
    "report": {"archive", "mission"},
    "cli": {"archive", "mission", "process", "backend", "xmm", "simulate", "report", "compare", "validate"},
}
#: Pure formats that stand outside the arrows, by importing room ("*": any).
FORMATS = {
    "*": {"daxa.xmm.formats.odf_names", "daxa.xmm.formats.summary"},
    "simulate": {
        "daxa.xmm.formats.housekeeping",
        "daxa.xmm.formats.odf",
        "daxa.xmm.formats.records",
        "daxa.xmm.formats.ccf",
        "daxa.xmm.fits.schema",
    },
}
COMMON = {"daxa", "daxa._version", "daxa.config", "daxa.exceptions", "daxa.trust"}


def modules():
    for path in sorted(SOURCE.rglob("*.py")):
        relative = path.relative_to(SOURCE)
        # The command line is several modules: cli, cli_calibration, ...
        room = relative.parts[0].removesuffix(".py").split("_")[0]
        if room in ALLOWED:
            yield path, relative, room


def executed(tree):
    """Nodes that run; imports for type checkers do not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        yield node
        yield from executed(node)


def imports(path, relative):
    for node in executed(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = ["daxa", *relative.parts[: len(relative.parts) - node.level]]
                base = ".".join([*package, base]).rstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}"
                is_module = (SOURCE.parent / full.replace(".", "/")).with_suffix(".py").exists()
                yield (full if is_module else base), node.lineno


def test_every_room_is_known():
    rooms = {p.name for p in SOURCE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert rooms <= set(ALLOWED)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_follow_the_arrows(room):
    formats = FORMATS["*"] | FORMATS.get(room, set())
    wrong = []
    for path, relative, this in modules():
        if this != room:
            continue
        for name, line in imports(path, relative):
            if not name.startswith("daxa") or name in COMMON or name in formats:
                continue
            if name in ("daxa.xmm.odf", "daxa.xmm.ccf") and room == "simulate":
                continue
            target = name.split(".")[1].split("_")[0]
            if target != room and target not in ALLOWED[room]:
                wrong.append(f"{relative}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_process_opens_no_fits_file():
    for path, relative, room in modules():
        if room == "process":
            assert not any(name.startswith("astropy.io") for name, _ in imports(path, relative)), relative


def test_one_module_opens_databases():
    users = [
        str(relative)
        for path, relative, _ in modules()
        if any(name.split(".")[0] == "sqlite3" for name, _ in imports(path, relative))
    ]
    assert users == [str(Path("archive", "database.py"))]


def test_foundations_of_the_engine_import_in_no_circle():
    """Imports inside functions count."""
    paths = {
        ".".join(["daxa", *relative.with_suffix("").parts]): (path, relative)
        for path, relative, room in modules()
        if relative.parts[:2] in {("xmm", part) for part in ("odf", "ccf", "sky", "event")}
    }
    graph = {
        name: {target for target, _ in imports(*place) if target in paths and target != name}
        for name, place in paths.items()
    }
    assert "daxa.xmm.odf.times" in graph["daxa.xmm.odf.odf"]
    assert set(TopologicalSorter(graph).static_order()) == set(paths)
