"""The page that says what happens when something goes wrong names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "reliability.md"


def test_every_outcome_is_held_by_a_test():
    text = PAGE.read_text(encoding="utf-8")
    there = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    rows = [line for line in text.splitlines() if line.startswith("| ") and "held by" not in line]
    assert len(rows) > 60
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row.rsplit(" | ", 1)[1])
        assert named, row
        assert set(named) <= there, row
