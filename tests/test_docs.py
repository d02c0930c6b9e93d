"""What the documentation says of commands, tasks, scripts, variables and links is so."""

from __future__ import annotations

import pkgutil
import re
import runpy
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from pages import DOCS, PAGES, ROOT, WRITTEN, blocks, commands, name

from daxa.cli.main import app
from daxa.events import load
from daxa.process import PROC_LOOKUP
from daxa.xmm.task import find_task, task_names

#: What a block may be of.
LANGUAGES = {"python", "sh", "console", "text", "ini"}
#: Programs beside ours that a reader is told to call.
OTHERS = {"make", "pip", "git", "cd", ".", "export", "cp", "tar", "ds9", "python3", "xdg-open"}
#: Blocks of code that are not run, each with its reason in front of it.
NOT_RUN = 19
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


@cache
def whole():
    """The whole command line."""
    return typer.main.get_command(app)


def command(said: list[str]):
    """The command that words name, and those behind its name."""
    found = whole()
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


@pytest.mark.parametrize("page", WRITTEN, ids=name)
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
    for one in whole().commands.values():
        everything += getattr(one, "commands", {"": one}).values()
    assert {c.name for c in everything if not c.hidden} <= {c.name for c in listed}


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_tasks_and_their_parameters_exist(page):
    unknown = []
    for line in code(page):
        said = words(line)
        if said[:3] != ["python", "-m", "daxa.xmm"] or said[3:4] in ([], ["TASK"], ["countrows"]):
            continue
        assert said[3] in task_names(), line
        spec = find_task(said[3])
        known = {p.name for p in (*spec.parameters, *spec.of_steps)}
        unknown += [f"{said[3]} {w}" for w in said[4:] if "=" in w and w.partition("=")[0] not in known]
    assert unknown == []


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_scripts_and_targets_exist(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for line in code(page):
        said = words(line)
        if said[:1] == ["python"] and said[-1] != "python" and said[1].endswith(".py"):
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


def test_every_page_is_in_the_contents_once():
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = re.findall(r"([\w/]+\.md|[\w/]+\.ipynb|\w+/)$", contents, re.M)
    assert len(set(listed)) == len(listed)
    pages = {p.relative_to(DOCS).as_posix() for kind in ("*.md", "*.ipynb") for p in DOCS.rglob(kind)}
    folders = tuple(entry for entry in listed if entry.endswith("/"))
    missing = {page for page in pages if page not in listed and not page.startswith(folders)}
    assert missing == set()
    made = {"changelog.md", "contributing.md"}
    assert {entry for entry in listed if not entry.endswith("/")} - pages - made == set()


def test_every_block_says_what_it_is():
    assert [b.name for page in PAGES for b in blocks(page) if b.language not in LANGUAGES] == []
    odd = [
        name(page)
        for page in PAGES
        if len(blocks(page)) * 2 != len(re.findall(r"^```", page.read_text(encoding="utf-8"), re.M))
    ]
    assert odd == []


def test_blocks_that_are_not_run_are_few_and_say_why():
    told = [b for page in PAGES for b in blocks(page) if b.reason]
    marks = [
        m for page in PAGES for m in re.findall(r"^<!-- not run", page.read_text(encoding="utf-8"), re.M)
    ]
    assert len(told) == len(marks)  # each stands in front of a block
    assert len(told) <= NOT_RUN, [b.name for b in told]
    assert [b.name for b in told if len(b.reason) < 15] == []


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_blocks_of_python_compile(page):
    for block in blocks(page):
        assert block.language != "python" or compile(block.text, block.name, "exec")


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_commands_of_blocks_can_be_called(page):
    """Each is taken by the parser that takes it from the shell, options and parameters with their values."""
    for block in blocks(page):
        if block.language in ("sh", "console"):
            for said in commands(block):
                try:
                    check(said)
                except Exception as failure:
                    raise AssertionError(f"{block.name}: {' '.join(said)}: {failure}") from None


def check(said: list[str]) -> None:
    """Fail for a command that its program would refuse."""
    if said[0] == "daxa":
        found, behind = command(said[1:])
        taken(found, behind, said)
    elif said[:2] == ["python", "-m"] and said[2] in ("daxa.xmm", "daxa.events"):
        given = dict(word.split("=", 1) for word in said[4:] if "=" in word)
        if said[2] == "daxa.events":
            load(said[3])
        if not {"-h", "--help"} & set(said):
            find_task(said[3]).parse(given)
    elif said[0].removeprefix(".venv/bin/") == "daxa":
        check(["daxa", *said[1:]])
    elif said[0] == "python":
        assert (ROOT / said[1]).is_file(), said
    else:
        assert said[0].removeprefix(".venv/bin/") in OTHERS, f"{said[0]}: what is that?"


def taken(found: Any, behind: list[str], said: list[str]) -> None:
    """Let a command read its words, and convert them, without looking for the files that they name."""
    context = found.context_class(found, info_name=" ".join(said))
    values, left, _ = found.make_parser(context).parse_args(args=list(behind))
    assert not left, f"{' '.join(left)} is too much"
    for parameter in found.params:
        value = values.get(parameter.name)
        assert value or not parameter.required or "help" in values, f"{parameter.name} is missing"
        if value:
            try:
                parameter.process_value(context, value)
            except Exception as failure:
                if "does not exist" not in str(failure):
                    raise


def test_steps_are_listed():
    """Each step of XMM-Newton has its row on the page of steps, and its place in the API."""
    page = (DOCS / "steps.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert sorted(listed) == sorted(PROC_LOOKUP["xmm_pointed"]), "docs/steps.md"
    api = (DOCS / "api" / "steps.md").read_text(encoding="utf-8")
    named = {member for members in re.findall(r"members: \[(.*?)\]", api) for member in members.split(", ")}
    assert set(listed) - named == set(), "docs/api/steps.md"


def test_what_the_api_names_is_there():
    for page in (DOCS / "api").glob("*.md"):
        for named, members in re.findall(r"^::: (\S+)(?:\n.*members: \[(.*?)\])?", page.read_text(), re.M):
            found = pkgutil.resolve_name(named)
            assert [m for m in members.split(", ") if m and not hasattr(found, m)] == [], named


def test_the_flags_are_current():
    made = runpy.run_path(str(DOCS / "make_flags.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"](), "run `python docs/make_flags.py`"
