"""A run that is killed at any moment: the next call finishes it, and nothing finished is done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path

import pytest

from daxa.process.simple import full_process_xmm

X = "xmm_pointed"
HERE = Path(__file__).parent

RUN = textwrap.dedent(
    """
    import sys
    sys.path.insert(0, {here!r})
    import daxa.mission, fake_sas
    import daxa.process.xmm.setup as setup
    setup.parse_odf_sum = fake_sas.fake_summary
    daxa.mission.MISS_INDEX["xmm_pointed"] = fake_sas.FakeMission
    from daxa.archive import Archive
    from daxa.process.simple import full_process_xmm
    full_process_xmm(Archive({name!r}), num_cores=3, disable_progress=True)
    """
)


def products(archive) -> dict[str, bytes]:
    root = archive.layout.root
    return {
        str(p.relative_to(root)): p.read_bytes().replace(archive.archive_name.encode(), b"NAME")
        for p in (root / "processed_data").rglob("*")
        if p.is_file() and "logs" not in p.parts
    }


def done(archive) -> set[tuple[str, str]]:
    return {(r.process, r.ident) for r in archive.ledger.runs(logs=False) if r.ok}


def group_is_gone(pids: set[int]) -> bool:
    def alive(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
        except FileNotFoundError:
            return False

    pause = threading.Event()
    return any(not any(map(alive, pids)) or pause.wait(0.01) for _ in range(1000))


def descendants(pid: int) -> set[int]:
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in table.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found, todo = set(), [pid]
    while todo:
        new = children.get(todo.pop(), [])
        found.update(new)
        todo += new
    return found


def kill_when(archive, name: str, finished: int, extra_s: float) -> None:
    """Start a run, and kill it when so many jobs have been recorded and a moment has passed."""
    script = RUN.format(here=str(HERE), name=name)
    process = subprocess.Popen([sys.executable, "-c", script])
    pause = threading.Event()
    while process.poll() is None and len(done(archive)) < finished:
        pause.wait(0.002)
    pause.wait(extra_s)
    pids = descendants(process.pid)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert group_is_gone(pids)


@pytest.mark.slow
def test_ten_kills(tmp_path):
    """Of the caller, the helper, jobs, and pairs of them; `benchmarks/kill.py` tells what is checked."""
    program = HERE.parents[1] / "benchmarks" / "kill.py"
    words = ["--kills", "10", "--seed", "2", "--folder", str(tmp_path / "kills")]
    done = subprocess.run([sys.executable, str(program), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all | 10 | 0 |" in done.stdout


def test_one_kill_in_the_middle(archive, sas):
    sas.behave("if [ $task$p_instruments = emchainM2 ]; then sleep 1000; fi\n")
    kill_when(archive, "field", 6, 0)
    assert "running" in {r.status for r in archive.ledger.runs(everything=True)}
    before = done(archive)
    assert len(before) >= 6
    sas.forget()
    full_process_xmm(archive, num_cores=3, disable_progress=True)
    assert before <= done(archive)
    assert "running" not in {r.status for r in archive.ledger.runs(everything=True)}
    assert "interrupted" in {r.status for r in archive.ledger.runs(everything=True)}
    counts = Counter((r.process, r.ident) for r in archive.ledger.runs(everything=True) if r.ok)
    assert set(counts.values()) == {1}
    assert not [n for n in products(archive) if n.endswith(".part")]
    assert all(archive.final_process_success[X].values())


def test_a_full_disk_names_the_file_and_can_be_resumed(archive, monkeypatch):
    import errno

    def stage(source, final):
        if "cleanevents" in final.name and "instM1" in final.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(source, final)

    from daxa.backend import publish

    original = publish.stage
    with monkeypatch.context() as patch:
        patch.setattr(publish, "stage", stage)
        with pytest.warns(UserWarning, match=r"cannot write .*instM1-.*No space left on device"):
            full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert archive.process_success[X]["merge_subexposures"]["0800010101PN"]
    assert not [n for n in products(archive) if "instM1" in n and "cleanevents" in n]
    full_process_xmm(archive, num_cores=2, disable_progress=True)
    assert all(all(idents.values()) for idents in archive.process_success[X].values())
