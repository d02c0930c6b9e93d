"""Calls of users of DAXA 0.3.7: the same here, or else on purpose; and the table of them in the docs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("daxa_calls", ROOT / "benchmarks/daxa_calls.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_calls_give_what_the_page_says(script):
    calls = script.run()
    assert len(calls) > 100
    assert [c["call"] for c in calls if c["verdict"] == "UNEXPLAINED"] == []
    assert not [
        c["call"] for c in calls if c["why"] and c["verdict"] == "same"
    ]  # reasons that are not needed
    page = script.PAGE.read_text(encoding="utf-8").split(script.BEGIN)[1].split(script.END)[0]
    assert page.strip() == script.table(calls).strip()
