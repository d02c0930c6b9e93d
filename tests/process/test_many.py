"""Many observations: what a call reads and keeps does not grow faster than their number."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter

import fake_sas
import pytest

from daxa.archive import Archive
from daxa.archive.ledger import Ledger
from daxa.backend.contract import Outcome
from daxa.exceptions import DAXAError
from daxa.process import runner
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.setup import cif_build

X = "xmm_pointed"
QUIET = {"num_cores": 1, "disable_progress": True}


def trivial(job):
    """A job that runs nothing and writes each output with its name in it."""
    outcome = Outcome(job.ident, True, stdout="a long log", started="2026", ended="2026")
    for name, final in job.outputs.items():
        if name not in job.optional:
            final.parent.mkdir(parents=True, exist_ok=True)
            final.write_text(final.name)
            outcome.outputs[str(final)] = hashlib.sha256(final.name.encode()).hexdigest()
    return outcome


def archive_of(count, monkeypatch, name):
    observed = {f"{800000001 + 100 * k:010d}": {"M1": {"S001": fake_sas.exposure()}} for k in range(count)}
    monkeypatch.setattr(fake_sas, "OBSERVED", observed)
    monkeypatch.setattr(runner, "run_job", trivial)
    archive = Archive(name, fake_sas.FakeMission())
    full_process_xmm(archive, **QUIET)
    return archive


def test_a_call_with_nothing_to_do_is_linear(sas, monkeypatch):
    questions = Counter()

    def counted(self, *arguments, original=Ledger.of_observation):
        questions["of one observation"] += 1
        return original(self, *arguments)

    def everything(self, **conditions):
        raise AssertionError("reads all runs")

    found = {}
    for count in (3, 6):
        archive = archive_of(count, monkeypatch, f"of{count}")
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "of_observation", counted)
            patch.setattr(Ledger, "runs", everything)
            patch.setattr(Ledger, "observations", everything)
            questions.clear()
            full_process_xmm(archive, **QUIET)
            found[count] = questions["of one observation"]
    assert found == {3: 3, 6: 6}


def test_runs_are_not_kept(sas, monkeypatch):
    seen = []

    def summarise(planner, kept, original=runner.summarise):
        seen.extend(planner.everything())
        original(planner, kept)

    monkeypatch.setattr(runner, "summarise", summarise)
    archive_of(3, monkeypatch, "three")
    assert len(seen) == 3 * 7
    assert all(n.run is None and n.recipe is None and not n.piece.used for n in seen)


def test_an_archive_that_is_renamed_while_it_is_processed(sas, archive):
    root = archive.layout.root
    moved = root.with_name("renamed")

    def rename(job):
        if root.exists():
            root.rename(moved)
        return Outcome(job.ident, True, stdout="x")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "run_job", rename)
        with pytest.raises(DAXAError, match="no longer in .*open it by its new name"):
            cif_build(archive, **QUIET)
    assert not root.exists()
    archive.ledger.close()
    again = Archive("renamed")
    cif_build(again, **QUIET)
    assert all(again.process_success[X]["cif_build"].values())
    shutil.rmtree(moved)
