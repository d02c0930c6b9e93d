"""A run killed at random moments: the next call finishes it and repeats nothing that was finished."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
from astropy.io import fits
from simulated_field import (
    Short,
    X,
    begin,
    products,
    set_environment,
    settings,
    show,
)

from daxa.archive import Archive
from daxa.archive.run import Run
from daxa.backend.datasum import data_checksum
from daxa.backend.publish import checksum
from daxa.process.simple import full_process_xmm
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.fits.header import Header

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see processes"),
]
MARK = "DAXA_TEST_RUN"
RUN = (
    "from daxa.archive import Archive; from daxa.process.simple import full_process_xmm; "
    "full_process_xmm(Archive('field'), num_cores=2, disable_progress=True)"
)
#: Cards that differ from run to run.
VOLATILE = {"DATE", "ANALDATE", "CHECKSUM", "DATASUM"}


def cards(header: Header, root: Path) -> list[tuple[str, object]]:
    """Cards without what depends on the time of the run, paths relative to the archive."""
    result, joined = [], dict.fromkeys(("HISTORY", "COMMENT"), "")
    for card in header.cards:
        name, value = card.keyword, card.value
        if name in joined:
            # Where the text of a history is broken depends on the length of the paths in it.
            joined[name] += value
        elif name not in VOLATILE:
            result.append((name, value))
    # The date of the calibration is that of the first call.
    return [
        (name, re.sub(r"analysisdate=\S+", "", value.replace(str(root), "ROOT")))
        if isinstance(value, str)
        else (name, value)
        for name, value in [*result, *joined.items()]
    ]


def difference(path: Path, root: Path, other: Path, other_root: Path) -> str:
    """What differs between two products; empty if nothing does."""
    if path.suffix.lower() in (".fits", ".fit", ".cif"):
        one, two = FitsFile(path), FitsFile(other)
        for number, (a, b) in enumerate(zip(one, two, strict=False)):
            left, right = cards(a.header, root), cards(b.header, other_root)
            if left != right:
                mine, yours = ([c for c in x if c not in y][:3] for x, y in ((left, right), (right, left)))
                return f"HDU {number}: {mine} here, {yours} there"
        pairs = zip(one, two, strict=False)
        if len(one) == len(two) and all(a.read(a.data_start) == b.read(b.data_start) for a, b in pairs):
            return ""
        report = fits.FITSDiff(
            path, other, ignore_keywords=[*VOLATILE, "HISTORY", "COMMENT", "XPROC*", "SLCTEXPR"]
        )
        return "" if report.identical else report.report()
    if path.name.endswith("SUM.SAS"):
        return "" if data_checksum(path) == data_checksum(other) else f"{path.name}: another summary"
    mine, yours = (
        p.read_bytes().replace(str(r).encode(), b"ROOT") for p, r in ((path, root), (other, other_root))
    )
    return "" if mine == yours else f"{path.name}: other bytes"


def marked(mark: str) -> set[int]:
    """Living processes that were started, however indirectly, by the run with this mark."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            here = f"{MARK}={mark}".encode() in (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        if here and state not in "ZX":
            found.add(int(entry.name))
    return found


def poll(condition, limit_s: float = 120.0, step_s: float = 0.03) -> bool:
    """Wait until a condition holds."""
    pause, end = threading.Event(), time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(step_s)
    return True


def states(archive: Archive, key: tuple[str, str]) -> set[str]:
    """What the ledger says of the runs of a job."""
    runs = archive.ledger.runs(everything=True, logs=False, process=key[0], ident=key[1])
    return {run.status for run in runs}


def kill_within(
    archive: Archive, short: Short, folder: Path, job: tuple[str, str], moment: float, mark: str
) -> bool:
    """Process an archive and kill that some seconds into a job; tells whether it was in time."""
    log = folder / "run.log"
    environment = {**os.environ, **settings(folder, short.ccf), MARK: mark}
    with log.open("w") as handle:
        run = subprocess.Popen(
            [sys.executable, "-c", RUN], env=environment, stderr=handle, start_new_session=True
        )
    try:
        assert poll(lambda: run.poll() is not None or states(archive, job))
        end = time.monotonic() + moment
        poll(lambda: time.monotonic() >= end or "running" not in states(archive, job))
        ended = run.poll()
    finally:
        # The run alone, not its group: its jobs have to notice by themselves.
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGKILL)
        run.wait()
    assert ended in (None, 0), log.read_text()
    return ended is None and run.returncode == -signal.SIGKILL


def key_of(run: Run) -> tuple[str, str]:
    return run.process, run.ident


def counts(archive: Archive) -> Counter[tuple[str, str]]:
    """How often each job was started."""
    return Counter(map(key_of, archive.ledger.runs(everything=True, logs=False)))


@pytest.mark.parametrize(("attempt", "kills"), [(0, 3), (1, 3), (2, 4)])
def test_the_next_call_finishes_a_killed_run(
    attempt, kills, short, undisturbed, tmp_path, monkeypatch, record_property
):
    """A run is killed, and so are the next ones, which go on with it; the last call is left alone."""
    rng = random.Random(1000 + attempt)
    mark = uuid.uuid4().hex
    reference = products(undisturbed.root)
    archive, killed = None, []
    while len(killed) < kills:
        if archive is None:
            # No letter of a path may matter.
            folder = Path(tempfile.mkdtemp(prefix="Größe α (1), #2 ", dir=tmp_path))
            set_environment(monkeypatch, folder, short.ccf)
            archive, finished = begin(short), {}
            root = Path(archive.archive_path)
        # A random moment of a random job that was not begun: short jobs, whose ends are near, have their turn
        # too. It is one of the first ones as long as something has to be left for further kills.
        left = [job for job in undisturbed.seconds if job not in counts(archive)]
        if not left:
            archive = None
            continue
        job = rng.choice(left[: -(-len(left) // (kills - len(killed)))])
        moment = rng.uniform(0.0, 1.0) * undisturbed.seconds[job]
        if not kill_within(archive, short, folder, job, moment, mark):
            archive = None  # everything was done before
            continue
        assert poll(lambda: not marked(mark), limit_s=20), "something of the killed run keeps running"
        for name, path in products(root).items():
            assert difference(path, root, reference[name], undisturbed.root) == "", f"{name}: not whole"
        before = counts(archive)
        assert {k: before[k] for k in finished} == finished
        finished = {k: before[k] for r in archive.ledger.runs(logs=False) if r.ok for k in [key_of(r)]}
        killed.append([f"{moment:.2f} s into {' '.join(job)}", len(finished), sum(before.values())])

    full_process_xmm(archive, num_cores=2, disable_progress=True)

    after, jobs = counts(archive), set(undisturbed.seconds)
    show(f"attempt {attempt}", ["killed", "finished", "begun, again too"], killed)
    record_property("finished_before_kill", len(finished))
    last = list(archive.ledger.runs(logs=False))
    assert {key_of(r) for r in last if r.ok} == jobs
    assert {k: after[k] for k in finished} == finished
    done = Counter(key_of(r) for r in archive.ledger.runs(everything=True, logs=False) if r.ok)
    assert set(done.values()) == {1}
    assert {r.status for r in archive.ledger.runs(everything=True)} <= {"done", "interrupted"}

    assert archive.final_process_success == {X: {short.obs_id: True}}
    made = products(root)
    assert made.keys() == reference.keys()
    recorded = {f"{X}/{short.obs_id}/{name}": made.sha256 for r in last for name, made in r.outputs.items()}
    for name, path in made.items():
        assert recorded[name] == checksum(path), name
        assert difference(path, root, reference[name], undisturbed.root) == "", name
        if not name.endswith("SUM.SAS"):
            assert tmp_path.name.encode() not in path.read_bytes(), f"{name}: has a private folder in it"
    assert not [p for p in root.rglob("*.part")]
    assert not (root / ".scratch").exists()
