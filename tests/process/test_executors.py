"""Jobs that run elsewhere."""

from __future__ import annotations

import os
import pickle
import sys
from collections import Counter
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import fake_sas
import pytest
from fake_sas import FakeMission

from daxa.archive import Archive
from daxa.backend.contract import Job
from daxa.backend.runner import run_job
from daxa.exceptions import DAXAError
from daxa.process.settings import use_executor
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.setup import cif_build

X, OBS = "xmm_pointed", "0800010101"
#: Shell lines that kill what has started the helper that has started this program's job, once.
KILL = """
up() { cut -d' ' -f4 /proc/$1/stat; }
if [ $task = espfilt ] && mkdir "$FAKE_SAS/killed" 2>/dev/null; then kill -9 $(up $(up $PPID)); fi
"""
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find processes")


@pytest.fixture(autouse=True)
def small(sas, monkeypatch):
    """One observation of two cameras, analysed at one time."""
    monkeypatch.setattr("daxa.process.xmm.setup._now", lambda: "2026-01-01T00:00:00")
    seen = {"M1": {"S001": fake_sas.exposure()}, "M2": {"S002": fake_sas.exposure()}}
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: seen})


def held(archive: Archive) -> dict[str, str]:
    """What is in the archive's products, logs and what is half done too."""
    top = archive.layout.root / "processed_data"
    return {str(p.relative_to(top)): p.read_text() for p in top.rglob("*") if p.is_file()}


def records(archive: Archive) -> list[tuple]:
    """What the ledger says of all runs that ever began, times left out."""
    runs = archive.ledger.runs(everything=True, logs=False)
    return sorted(
        (
            r.process,
            r.ident,
            r.status,
            str(r.tasks),
            r.fingerprint,
            str(sorted(r.inputs)),
            str(sorted(r.job.items())),
        )
        for r in runs
    )


@pytest.fixture
def undisturbed(small) -> Archive:
    """The archive made here."""
    made = Archive("here", FakeMission())
    full_process_xmm(made, num_cores=2, disable_progress=True)
    return made


@linux
def test_dask_with_two_workers_of_which_one_is_killed(undisturbed, sas):
    distributed = pytest.importorskip("distributed")
    expected = Counter(call.split(" ")[0] for call in sas.calls)
    sas.forget()
    sas.behave(KILL)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        before = set(client.run(os.getpid).values())
        archive = Archive("there", FakeMission())
        full_process_xmm(archive, executor=client, disable_progress=True)
        assert (sas.folder / "killed").is_dir()
        assert len(before & set(client.run(os.getpid).values())) == 1
    assert records(archive) == records(undisturbed)
    assert {k: v for k, v in held(archive).items() if "/logs/" not in k} == {
        k: v for k, v in held(undisturbed).items() if "/logs/" not in k
    }
    assert held(archive).keys() == held(undisturbed).keys()
    assert not archive.layout.scratch.exists()
    assert Counter(call.split(" ")[0] for call in sas.calls) == expected + Counter(["espfilt"])


def test_dask_by_name(undisturbed):
    pytest.importorskip("distributed")
    archive = Archive("there", FakeMission())
    cif_build(archive, num_cores=1, disable_progress=True, executor="dask")
    assert archive.process_success[X]["cif_build"] == {OBS: True}


@linux
def test_a_pool_of_processes_one_of_which_is_killed(undisturbed, sas):
    sas.behave(KILL)
    archive = Archive("there", FakeMission())
    spawn = get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=spawn) as pool,
        pytest.warns(UserWarning, match="espfilt .*: BrokenProcessPool raised by daxa"),
    ):
        full_process_xmm(archive, executor=pool, disable_progress=True)
    assert "running" not in {r.status for r in archive.ledger.runs(everything=True)}
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        full_process_xmm(archive, executor=pool, disable_progress=True)
    assert archive.final_process_success == {X: {OBS: True}}
    assert held(archive).keys() == held(undisturbed).keys()


class Elsewhere(Executor):
    """A machine with nothing in its environment but what every machine has."""

    def __init__(self, monkeypatch):
        self.patch = monkeypatch
        self.jobs: list[Job] = []

    def submit(self, function, job):
        future: Future = Future()
        brought = pickle.loads(pickle.dumps(job))
        self.jobs.append(brought)
        with self.patch.context() as patch:
            for name in os.environ:
                if name.startswith(("SAS_", "DAXA_")):
                    patch.delenv(name)
            patch.setenv("PATH", "/usr/bin:/bin")
            future.set_result(function(brought))
        return future


def test_jobs_carry_what_they_need(undisturbed, monkeypatch):
    archive = Archive("there", FakeMission())
    elsewhere = Elsewhere(monkeypatch)
    with use_executor(elsewhere):
        full_process_xmm(archive, disable_progress=True)
    assert elsewhere.jobs
    assert records(archive) == records(undisturbed)
    assert held(archive).keys() == held(undisturbed).keys()


def test_a_worker_that_was_cut_off_publishes_nothing(undisturbed, monkeypatch):
    archive = Archive("there", FakeMission())
    elsewhere = Elsewhere(monkeypatch)
    full_process_xmm(archive, disable_progress=True, executor=elsewhere)
    runs = archive.ledger.runs(logs=False)
    paths = [archive.obs_folder(X, OBS) / name for run in runs for name in run.outputs]
    made = {path: path.stat().st_mtime_ns for path in paths}
    late = [run_job(job) for job in elsewhere.jobs]
    assert {error["name"] for outcome in late for error in outcome.errors} == {"scratchFolder"}
    assert not any(outcome.ok for outcome in late)
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_a_job_that_is_taken_back_meanwhile_publishes_nothing(sas, monkeypatch):
    sas.behave('rm -rf "$(dirname "$(dirname "$PWD")")"\n')
    archive = Archive("there", FakeMission())
    with pytest.warns(UserWarning, match="1 of 1 jobs failed"):
        cif_build(archive, disable_progress=True, executor=Elsewhere(monkeypatch))
    assert not list(archive.obs_folder(X, OBS).rglob("*.cif*"))


def test_not_everything_is_handed_over_at_once(undisturbed, monkeypatch):
    monkeypatch.setattr("daxa.process.runner._MOST_ELSEWHERE", 1)
    under_way, most = [], []

    class Counting(ThreadPoolExecutor):
        def submit(self, function, job):
            most.append(sum(not f.done() for f in under_way))
            under_way.append(super().submit(function, job))
            return under_way[-1]

    archive = Archive("there", FakeMission())
    with Counting(4) as pool:
        full_process_xmm(archive, executor=pool, disable_progress=True)
    assert records(archive) == records(undisturbed)
    assert max(most) == 0


def test_what_is_no_executor_is_refused(small):
    archive = Archive("there", FakeMission())
    with pytest.raises(TypeError, match="executor: expected an executor"):
        cif_build(archive, executor=3)
    with pytest.raises(ValueError, match="expected 'dask' or an address"):
        cif_build(archive, executor="slurm")
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(DAXAError, match="takes no more jobs"):
        cif_build(archive, executor=pool, disable_progress=True)


def test_without_dask_this_is_told(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DAXAError, match="pip install dask distributed"):
        cif_build(Archive("there", FakeMission()), executor="dask")
