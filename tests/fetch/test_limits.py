"""Limits of what servers may cost, and the page that lists them."""

from __future__ import annotations

import re
import runpy
from dataclasses import fields
from pathlib import Path

from daxa.fetch.limits import LIMITS, Limits, rows, size_text

ROOT = Path(__file__).parents[2]


def test_the_page_lists_the_limits_in_force() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_limits.py"))
    current = (ROOT / "docs" / "network.md").read_text(encoding="utf-8")
    assert current == made["page"](), "docs/network.md: run `python docs/make_limits.py`"
    assert "<!-- network limits -->" in current


def test_what_the_page_promises_is_tested() -> None:
    tests = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py"))
    page = (ROOT / "docs" / "network.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)`", page)
    assert len(named) > 15
    assert {name for name in named if f"def {name}(" not in tests} == set()
    assert "half a minute" in page
    assert "up to five minutes" in page
    assert LIMITS.retry_after_s == 300


def test_each_limit_is_used_and_explained() -> None:
    source = "\n".join(
        p.read_text(encoding="utf-8") for p in (ROOT / "src" / "daxa").rglob("*.py") if p.name != "limits.py"
    )
    assert {f.name for f in fields(Limits) if not re.search(rf"\.{f.name}\b", source)} == set()
    assert all(row.text and row.value for row in rows())


def test_sizes_in_words() -> None:
    assert [size_text(n) for n in (5, 2048, 3 << 20, 64 << 30)] == ["5 bytes", "2 KiB", "3 MiB", "64 GiB"]
