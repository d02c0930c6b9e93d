"""The tables of the page on calibration are those that its script makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_tables_are_current(shared_data, tmp_path):
    spec = importlib.util.spec_from_file_location("make_figures", ROOT / "docs" / "make_figures.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    made = script.tables(script.calibration(tmp_path), shared_data)
    assert len(made) == 4
    for name, text in made.items():
        assert f"<!-- {name} -->\n{text}\n<!-- end of {name} -->\n" in page, (
            "run `python docs/make_figures.py`"
        )
