"""The tutorials: notebooks that are what their scripts say, run to the end, and small."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "tutorials"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def maker():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import make_tutorials
    finally:
        sys.path.pop(0)
    return make_tutorials


def notebook(script):
    return json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_notebook_is_its_script_run(maker, script):
    """``python docs/make_tutorials.py WORK`` makes them."""
    path, book = script.with_suffix(".ipynb"), notebook(script)
    assert maker.source_of(book) == maker.cells(script.read_text(encoding="utf-8"))
    assert path.stat().st_size <= maker.LARGEST
    for cell in book["cells"]:
        if cell["cell_type"] == "code" and "shown" not in cell["metadata"].get("tags", []):
            assert cell["execution_count"], cell["source"]
            assert [o for o in cell["outputs"] if o["output_type"] == "error"] == []
            compile("".join(cell["source"]), str(path), "exec")
    text = path.read_text(encoding="utf-8")
    assert "site-packages" not in text, "a warning shows a place of this machine"
    assert "/tmp/" not in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_links_of_notebooks_lead_somewhere(script):
    for cell in notebook(script)["cells"]:
        if cell["cell_type"] == "markdown":
            for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", "".join(cell["source"])):
                assert link.startswith("http") or (FOLDER / link).is_file(), link


def test_every_tutorial_is_made_and_in_the_contents(maker):
    assert {script.stem for script in SCRIPTS} <= set(maker.ORDER)
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [s.stem for s in SCRIPTS if f"tutorials/{s.stem}.ipynb" not in contents] == []


def test_what_is_printed_in_pieces_is_kept_as_it_stood(maker):
    pieces = [
        {"output_type": "stream", "name": "stderr", "text": text} for text in ("a\n", "\r0 %", "\r9 %\n")
    ]
    assert [o["text"] for o in maker.together(pieces)] == ["a\n9 %\n"]
