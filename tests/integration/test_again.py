"""Products of the engine made again: from their records, and by a script in an empty folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from simulated_field import Short, Undisturbed, X, products, set_environment

from daxa.archive.ledger import Ledger
from daxa.backend.datasum import data_checksum
from daxa.process.replay import replay
from daxa.process.reproduce import reproduce

pytestmark = pytest.mark.slow


def ledger_of(undisturbed: Undisturbed) -> Ledger:
    return Ledger(undisturbed.root / ".save_info" / "ledger.sqlite", read_only=True)


def held(root: Path) -> dict[str, str]:
    return {name: data_checksum(path) for name, path in products(root).items()}


def test_a_script_makes_the_archive_again(undisturbed: Undisturbed, short: Short, tmp_path: Path):
    script = reproduce(ledger_of(undisturbed), "field", X, short.obs_id)
    (tmp_path / "reproduce.sh").write_text(script)
    done = subprocess.run(["sh", "reproduce.sh"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert held(tmp_path) == held(undisturbed.root)


def test_every_run_gives_the_same_again(undisturbed: Undisturbed, short: Short, tmp_path: Path, monkeypatch):
    set_environment(monkeypatch, tmp_path, short.ccf)
    folder = undisturbed.root / "processed_data" / X / short.obs_id
    for run in ledger_of(undisturbed).runs(logs=False, status="done"):
        found = replay(folder / next(iter(run.outputs)))
        assert set(found.outputs.values()) == {"equal"}, (found, run.ident)
        assert not found.notes
