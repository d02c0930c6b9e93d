"""What the documentation says of commands, tasks, scripts, variables and links is so."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import typer

from daxa.cli.main import app
from daxa.xmm.task import find_task, task_names

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").glob("*.md"))]
_CODE = re.compile(r"```(\w*)\n(.*?)```|`([^`\n]+)`", re.DOTALL)


@cache
def code(page: Path) -> list[str]:
    """Lines of code of a page: code between words, and blocks that are not Python."""
    lines = []
    for language, block, span in _CODE.findall(page.read_text(encoding="utf-8")):
        lines += [span] if span else block.splitlines() if language != "python" else []
    return [line.partition("  #")[0].strip() for line in lines]


def words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quotation mark that stands for itself
        return line.split()


def command(said: list[str]):
    """The command that words name, and those behind its name."""
    found = typer.main.get_command(app)
    while said and said[0] in getattr(found, "commands", {}):
        found, said = found.commands[said[0]], said[1:]
    return found, said


def options(said: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in said if re.match(r"--?[a-z]", word)]


def lacks(said: list[str], rest: list[str] = ()) -> list[str]:
    """What of a call of the command line is not there."""
    found, behind = command(said)
    known = {"--help", *(name for p in found.params for name in (*p.opts, *p.secondary_opts))}
    unknown = [option for option in options([*behind, *rest]) if option not in known]
    if hasattr(found, "commands") and behind and not behind[0].startswith("-"):
        unknown.append(behind[0])
    return unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page):
    lines = [words(line) for line in code(page) if line.startswith("daxa ")]
    assert {" ".join(said): missing for said in lines if (missing := lacks(said[1:]))} == {}


def test_the_page_of_the_command_line_lists_every_command():
    rows = re.findall(
        r"^\| (`daxa .*?) \| (.*) \|$", (ROOT / "docs/cli.md").read_text(encoding="utf-8"), re.M
    )
    listed = []
    for called, does in rows:
        first, *others = re.findall(r"`([^`]+)`", called)
        group = first.split()[1:2] if others else []
        for said in [first.split()[1:], *([*group, *other.split()] for other in others)]:
            found, _ = command(said)
            # In a row on several commands an option may be that of any.
            assert others or lacks(said, re.findall(r"`(--[a-z-]+)", does)) == [], called
            listed.append(found)
    everything = []
    for one in typer.main.get_command(app).commands.values():
        everything += getattr(one, "commands", {"": one}).values()
    assert {c.name for c in everything if not c.hidden} <= {c.name for c in listed}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tasks_and_their_parameters_exist(page):
    unknown = []
    for line in code(page):
        said = words(line)
        if said[:3] != ["python", "-m", "daxa.xmm"] or said[3] in ("TASK", "countrows"):
            continue
        assert said[3] in task_names(), line
        spec = find_task(said[3])
        known = {p.name for p in (*spec.parameters, *spec.of_steps)}
        unknown += [f"{said[3]} {w}" for w in said[4:] if "=" in w and w.partition("=")[0] not in known]
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_and_targets_exist(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for line in code(page):
        said = words(line)
        if said[:1] == ["python"] and said[1].endswith(".py"):
            text = (ROOT / said[1]).read_text(encoding="utf-8")
            assert [o for o in options(said[2:]) if f'"{o}"' not in text] == [], line
        elif said[:1] == ["make"]:
            assert set(said[1:]) <= targets, line


def test_variables_are_those_of_the_source():
    places = [p for folder in ("src", "tests") for p in (ROOT / folder).rglob("*.py")]
    source = "\n".join(p.read_text(encoding="utf-8") for p in places)
    unknown = {
        f"{page.name}: {name}"
        for page in PAGES
        for name in re.findall(r"\bDAXA_[A-Z_]+\b", page.read_text(encoding="utf-8"))
        if name not in source and not name.startswith("DAXA_URL_")
    }
    assert unknown == set()


def anchors(page: Path) -> set[str]:
    """Names of the headings of a page in addresses."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    plain = (re.sub(r"[^\w\s-]", "", head.replace("`", "")).strip().lower() for head in heads)
    return {re.sub(r"[-\s]+", "-", head) for head in plain}


def test_links_lead_somewhere():
    dead = []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if link.startswith("http"):
                continue
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            if not target.is_file() or (anchor and anchor not in anchors(target)):
                dead.append(f"{page.name}: {link}")
    assert dead == []


def test_every_page_is_in_the_contents():
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert sorted(re.findall(r": (\w+\.md)$", contents, re.M)) == sorted(p.name for p in PAGES[2:])


def test_parts_that_are_made_are_those_of_a_script_or_test():
    """Each mark around a table that is made from code or data is known to what makes or checks it."""
    makers = [p for folder in ("docs", "benchmarks", "tests") for p in (ROOT / folder).rglob("*.py")]
    text = "\n".join(p.read_text(encoding="utf-8") for p in makers if p != Path(__file__))
    marks = {
        m for page in PAGES for m in re.findall(r"<!-- (?!end)(.*?) -->", page.read_text(encoding="utf-8"))
    }
    assert len(marks) >= 8
    assert {mark for mark in marks if f'"{mark}"' not in text and f"<!-- {mark} -->" not in text} == set()
