"""Pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GUIDE = ROOT / "CONTRIBUTING.md"  # its examples are run by tests/test_contributing.py
TASKS = DOCS / "tasks"  # made by docs/make_parameters.py, but for what is common to all of them
PAGES = [ROOT / "README.md", GUIDE, *sorted(DOCS.rglob("*.md"))]
WRITTEN = [page for page in PAGES if page.parent != TASKS or page.name == "index.md"]

#: A comment with the reason before a block that is not run, and the block.
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, m.start("text")), m["language"], m["text"], m["reason"])
        for m in _BLOCK.finditer(text)
    ]


def commands(block: Block) -> Iterator[list[str]]:
    """Words of each command of a block of the shell; settings in front of it are left out."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    for line in text.splitlines():
        line = line.removeprefix("$ ")
        said = shlex.split(line, comments=True)
        while said and re.match(r"[A-Z_]+=", said[0]):
            said = said[1:]
        if said:
            yield said
