"""The guide for contributors is true: its examples run, and what it and the documentation name is there."""

import fnmatch
import importlib
import re
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "CONTRIBUTING.md"
PAGES = [GUIDE, ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FILE = re.compile(r"# src/daxa/(\S+)/(\w+)\.py\n")


def blocks():
    """The Python examples: line, text."""
    text = GUIDE.read_text(encoding="utf-8")
    for match in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        yield text.count("\n", 0, match.start()) + 2, match[1]


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Lets packages of the house have modules in another folder; gives the function that puts one there."""
    from daxa.xmm import task

    names = task.task_names()
    added = []

    def put(package, name, text):
        folder = tmp_path / "added" / package
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        full = f"daxa.{package.replace('/', '.')}"
        module = importlib.import_module(full)
        assert not (ROOT / "src" / "daxa" / package / f"{name}.py").exists()
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
        added.append(f"{full}.{name}")
        if package == "xmm/tasks":
            monkeypatch.setattr(task, "task_names", lambda: (*names, name))

    yield put
    for name in added:
        sys.modules.pop(name, None)
        task._REGISTRY.pop(name.rpartition(".")[2], None)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive of two observations without data."""
    from small_mission import SmallMission

    from daxa.archive import Archive

    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    mission = SmallMission()
    mission.download()
    return Archive("guide", [mission])


def test_examples(house, archive, tmp_path, monkeypatch, capsys):
    """Every example, files first, then the others from top to bottom."""
    from daxa.mission import catalogue
    from daxa.xmm.ccf.readings import READINGS
    from daxa.xmm.formats.ccf import LAYOUT

    frame = pd.DataFrame(
        {
            "ObsID": ["100000001", "100000002"], "ra": [149.6, 10.0], "dec": [-11.1, 20.0],
            "start": pd.Timestamp("2020-01-01"), "duration": pd.Timedelta(1000, "s"),
            "end": pd.Timestamp("2020-01-01T01:00:00"),
        }
    )  # fmt: skip
    monkeypatch.setattr(catalogue, "load", lambda tables, refresh: (frame, datetime(2026, 1, 1), None))
    monkeypatch.chdir(tmp_path)
    for table in (LAYOUT, READINGS):
        monkeypatch.setitem(table, ("EMOS", "EXAMPLE"), {})
    plain = []
    for line, text in blocks():
        place = _FILE.match(text)
        if place:
            house(place[1], place[2], text)
        else:
            plain.append((line, text))
    assert len(plain) >= 6
    # The list that the first example counts is made by the one on columns.
    plain.sort(key=lambda block: "countrows" in block[1])
    names = {"archive": archive}
    for line, text in plain:
        capsys.readouterr()
        exec(compile("\n" * (line - 1) + text, str(GUIDE), "exec"), names)
        printed = capsys.readouterr().out
        for said in re.findall(r"\)  # (.+)", text):
            assert said in printed
    assert Path("rows.txt").read_text() == "5\n"
    assert list(archive.obs_folder(archive["xmm_pointed"], "0800010101").glob("times/*-chosen.fits"))


def _exists(path):
    """Whether something of the repository, or of the source below one of its rooms, has that path."""
    places = [ROOT, *(ROOT / "src").glob("daxa"), *(ROOT / "src" / "daxa").glob("xmm")]
    return any(list(place.glob(path)) for place in places)


def test_paths_in_the_pages_exist():
    """Paths of modules, of tests, benchmarks and pages; in the guide those of folders, too."""
    names = {p.name for p in (ROOT / "src" / "daxa").rglob("*.py")}
    missing = []
    for page in PAGES:
        text = re.sub(r"```python.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for word in re.findall(r"(?<![\w/.~>-])[\w*./-]*[\w*/]", " ".join(re.findall(r"`([^`\n]+)`", text))):
            if "/" not in word:
                known = not word.endswith(".py") or word == ".py" or fnmatch.filter(names, word)
            elif word.endswith(".py") or re.match(r"(src|tests|benchmarks|docs)/", word) or page == GUIDE:
                known = word.startswith(("../", "steps/")) or _exists(word)
            else:
                known = True
            if not known:
                missing.append(f"{page.name}: {word}")
    assert not missing, "\n".join(missing)


def test_names_in_the_guide_are_where_it_says():
    """Wherever it says "`name` in `file`", in one way or another."""
    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    pairs = re.findall(r"`(\w+)(?:\[[^`]*\])?` (?:of|in) `([\w/]+\.py)`", text)
    assert len(pairs) >= 5
    for name, file in pairs:
        source = next(p for r in ("src/daxa/xmm", "src/daxa") if (p := ROOT / r / file).exists())
        pattern = rf"^(def |class |    def )?{name}\b"
        assert re.search(pattern, source.read_text(encoding="utf-8"), re.MULTILINE), f"{name} in {file}"


def test_modules_in_the_pages_exist():
    missing = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if page == GUIDE:
            text = re.sub(r"```python\n.*?```", "", text, flags=re.DOTALL)
        for name in sorted(set(re.findall(r"\bdaxa(?:\.[a-zA-Z_]\w*)+", text))):
            if name.endswith(".cfg"):
                continue
            words = name.split(".")
            for end in range(len(words), 0, -1):
                try:
                    value = importlib.import_module(".".join(words[:end]))
                except ModuleNotFoundError:
                    continue
                for word in words[end:]:
                    value = getattr(value, word, None)
                if value is None:
                    missing.append(f"{page.name}: {name}")
                break
    assert not missing, "\n".join(missing)


def test_the_guide_shows_the_house_as_it_is():
    """Every room of the package, and the floors of the engine as another test holds them."""
    from test_architecture import ALLOWED, FLOORS

    text = GUIDE.read_text(encoding="utf-8")
    assert set(re.findall(r"(?:^| )\b(\w+)/ ", text[text.index("src/daxa/\n") :][:1500])) >= set(ALLOWED)
    table = text[text.index("### The floors") : text.index("### The floor plan")]
    rows = [
        re.findall(r"`(\w+)(?:/|\.py)`", row.split("|")[1]) for row in re.findall(r"^\| `.*", table, re.M)
    ]
    lowest = FLOORS[0]
    assert set(rows.pop()) <= lowest
    assert [set(row) for row in reversed(rows)] == [floor for floor in FLOORS[1:] if floor != {"__main__"}]
