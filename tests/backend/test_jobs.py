"""Jobs in processes of their own: success, failure, crash, time limit, loss of the helper."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from daxa.backend import Job, Task, job, launch, run_job, select_backend
from daxa.backend.launch import ForkLauncher, SpawnLauncher
from daxa.backend.publish import PublishError, checksum, publish
from daxa.backend.select import PROGRAMS
from daxa.backend.shims import write_shims
from daxa.exceptions import DAXAConfigError, SASNotFoundError


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Make a program of a name from shell lines."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, script: str) -> None:
        path = folder / name
        path.write_text("#!/bin/sh\n" + textwrap.dedent(script))
        path.chmod(0o755)

    return make


@pytest.fixture(params=[ForkLauncher, SpawnLauncher])
def launcher(request):
    made = request.param()
    yield made
    made.close()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_until(condition, tries: int = 2000) -> bool:
    pause = threading.Event()
    return any(condition() or pause.wait(0.01) for _ in range(tries))


def sas_job(tmp_path, *tasks, outputs=None, **options) -> Job:
    final = {k: tmp_path / "final" / v for k, v in (outputs or {}).items()}
    return Job("job", list(tasks), final, backend="sas", scratch=tmp_path / "scratch", **options)


@pytest.mark.parametrize(("code", "copied"), [(errno.EPERM, True), (errno.ENOSPC, False)])
def test_links_are_replaced_by_copies_only_where_there_are_none(tmp_path, monkeypatch, code, copied):
    source, work = tmp_path / "events.fits", tmp_path / "work"
    source.write_text("photons")
    work.mkdir()

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "symlink", refuse)
    spec = {"links": {"a.fits": str(source)}, "summary": None}
    if not copied:
        with pytest.raises(OSError, match="No space left"):
            job._bring(spec, work)
    else:
        job._bring(spec, work)
        assert (work / "a.fits").read_text() == "photons"


def test_tasks_run_in_order_and_outputs_are_published_at_the_end(tmp_path, program, launcher):
    program("first", 'echo "one $COLOUR" > a; echo "** first: warning (w), careful" >&2')
    program("second", "cat given renamed > b; pwd; [ ! -e ../../../final/b.fits ]")
    given = tmp_path / "given.txt"
    given.write_text("zero\n")
    job = sas_job(
        tmp_path,
        Task("first"),
        Task("second", x=1),
        outputs={"b": "b.fits", "c": "c.fits"},
        optional=frozenset({"c"}),
        env={"COLOUR": "red"},
        renames={0: {"a": "renamed"}},
        inputs={"given": given},
    )
    outcome = run_job(job, launcher)
    assert outcome.ok, outcome.errors
    final = tmp_path / "final" / "b.fits"
    assert final.read_text() == "zero\none red\n"
    assert outcome.outputs == {str(final): checksum(final)}
    assert outcome.stdout.startswith("first\n")
    assert "\nsecond x=1\n" in outcome.stdout
    assert outcome.warnings == [{"originator": "first", "name": "w", "message": "careful"}]
    assert outcome.peak_memory > 0
    assert outcome.started <= outcome.ended
    assert not list((tmp_path / "scratch").iterdir())


def test_programs_of_a_job_keep_the_memory_settings_of_the_user(tmp_path, program, launcher, monkeypatch):
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "123456")
    program("mytask", 'echo "$MALLOC_MMAP_THRESHOLD_ ${MALLOC_TRIM_THRESHOLD_-unset}" > a')
    outcome = run_job(sas_job(tmp_path, Task("mytask"), outputs={"a": "a"}), launcher)
    assert outcome.ok, outcome.errors
    assert (tmp_path / "final" / "a").read_text() == "123456 unset\n"


def test_a_failing_task_publishes_nothing_and_stops_the_job(tmp_path, program):
    program("first", "echo a > a")
    program("second", "echo '** second: error (noEvents), empty' >&2; exit 1")
    program("third", f"touch {tmp_path}/third")
    outcome = run_job(sas_job(tmp_path, Task("first"), Task("second"), Task("third"), outputs={"a": "a"}))
    assert not outcome.ok
    assert outcome.errors == [{"originator": "second", "name": "noEvents", "message": "empty"}]
    assert not (tmp_path / "final").exists()
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    ("script", "name", "message"),
    [
        ("exit 7", "failed", "status 7"),
        ("exit 0", "missingOutput", "did not write a; it wrote nothing"),
        ("mkdir a; echo b > b", "missingOutput", "but as links, folders or pipes: a; it wrote b"),
        ("echo a > a; kill -SEGV $$", "failed", "mytask was ended by SIGSEGV"),
        ("echo a > a; echo '** x::y: error (bad), wrong' >&2", "bad", "wrong"),
        ("kill -KILL $PPID", "crashed", "SIGKILL"),
    ],
)
def test_what_went_wrong_is_told(tmp_path, program, script, name, message):
    program("mytask", script)
    outcome = run_job(sas_job(tmp_path, Task("mytask"), outputs={"a": "a"}))
    assert not outcome.ok
    assert outcome.errors[0]["name"] == name
    assert message in outcome.errors[0]["message"]
    assert not (tmp_path / "final").exists()


def test_missing_programs_are_named(tmp_path):
    outcome = run_job(sas_job(tmp_path, Task("no-such-task")))
    assert "no program no-such-task" in outcome.errors[0]["message"]


def test_time_limits_kill_the_whole_group(tmp_path, program, launcher):
    program("slow", f"sleep 1000 & echo $! > {tmp_path}/pid; echo started; wait")
    outcome = run_job(sas_job(tmp_path, Task("slow"), timeout_s=0.5), launcher)
    assert outcome.timed_out
    assert not outcome.ok
    assert outcome.errors[-1]["name"] == "timeOut"
    if (tmp_path / "pid").exists():
        pid = int((tmp_path / "pid").read_text())
        assert wait_until(lambda: not alive(pid))


def test_what_a_job_leaves_running_ends_with_it(tmp_path, program, launcher):
    program("daemon", f"sleep 1000 & echo $! > {tmp_path}/pid; echo a > a")
    assert run_job(sas_job(tmp_path, Task("daemon"), outputs={"a": "a"}), launcher).ok
    pid = int((tmp_path / "pid").read_text())
    assert wait_until(lambda: not alive(pid))


def read_when_there(path: Path) -> list[int]:
    """Process numbers that a program writes into a file, one line when they are complete."""
    assert wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
    return [int(word) for word in path.read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what is left of a job")
@pytest.mark.parametrize("way", ["success", "time limit", "crash"])
def test_sessions_of_their_own_end_with_the_job(tmp_path, program, way):
    after = {"success": "echo a > a", "time limit": "sleep 1000", "crash": "kill -9 $PPID; sleep 1000"}[way]
    script = f"setsid sh -c 'sleep 1000 & echo $! $$ > {tmp_path}/pids; wait' &\n"
    program("daemon", f"{script}while [ ! -s {tmp_path}/pids ]; do sleep 0.01; done; {after}")
    helper = ForkLauncher()
    limit_s = 5.0 if way == "time limit" else None
    outcome = run_job(sas_job(tmp_path, Task("daemon"), outputs={"a": "a"}, timeout_s=limit_s), helper)
    assert outcome.ok == (way == "success"), outcome.errors
    pids = read_when_there(tmp_path / "pids")
    assert wait_until(lambda: not any(alive(pid) for pid in pids))
    helper.close()


def test_jobs_end_when_parent_and_helper_are_killed_together(tmp_path, program):
    program("slow", f"setsid sleep 1000 & echo $! $$ > {tmp_path}/pids; wait")
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from daxa.backend import Job, Task, run_job
        run_job(Job("job", [Task("slow")], {{}}, backend="sas", scratch=Path({str(tmp_path)!r}) / "scratch"))
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    pids = read_when_there(tmp_path / "pids")
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent.pid)], capture_output=True, text=True, check=False
    )
    (helper,) = map(int, listed.stdout.split())
    for pid in (helper, parent.pid):
        os.kill(pid, signal.SIGSTOP)
    for pid in (helper, parent.pid):
        os.kill(pid, signal.SIGKILL)
    parent.wait()
    assert wait_until(lambda: not any(alive(pid) for pid in pids))


def test_a_time_limit_holds_for_a_helper_that_is_stopped(tmp_path, program, monkeypatch):
    monkeypatch.setattr(launch, "_OBEYS_S", 0.2)
    program("slow", f"echo $$ > {tmp_path}/pids; sleep 1000")
    helper = ForkLauncher()
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.append(run_job(sas_job(tmp_path, Task("slow"), timeout_s=5.0), helper))
    )
    thread.start()
    pids = read_when_there(tmp_path / "pids")
    os.kill(helper._process.pid, signal.SIGSTOP)
    thread.join(60)
    assert outcomes[0].timed_out
    assert wait_until(lambda: not any(alive(pid) for pid in pids))
    helper.close()


def test_a_lost_helper_fails_its_jobs_and_the_next_job_works(tmp_path, program):
    program("slow", f"echo $$ > {tmp_path}/pid; sleep 1000")
    program("quick", "echo a > a")
    helper = ForkLauncher()
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.append(run_job(sas_job(tmp_path, Task("slow")), helper))
    )
    thread.start()
    assert wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    helper._process.kill()
    thread.join(20)
    assert outcomes[0].errors[0]["name"] == "interrupted"
    pid = int((tmp_path / "pid").read_text())
    assert wait_until(lambda: not alive(pid))
    assert run_job(sas_job(tmp_path, Task("quick"), outputs={"a": "a"}), helper).ok
    helper.close()


def test_nothing_survives_the_death_of_the_parent(tmp_path, program):
    program("slow", f"sleep 1000 & echo $! $$ > {tmp_path}/pids; wait")
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from daxa.backend import Job, Task, run_job
        run_job(Job("job", [Task("slow")], {{}}, backend="sas", scratch=Path({str(tmp_path)!r}) / "scratch"))
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    assert wait_until(
        lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2
    )
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    pids = [int(p) for p in (tmp_path / "pids").read_text().split() + children]
    assert wait_until(lambda: not any(alive(p) for p in pids))


def test_embedded_tasks_report_like_programs(tmp_path):
    text = tmp_path / "intervals.txt"
    text.write_text("0.0 10.0 +\n")
    job = Job("job", [Task("gtibuild", file=str(text), table="gti.ds")], {"gti.ds": tmp_path / "gti.fits"})
    outcome = run_job(job)
    assert outcome.ok, outcome.errors
    assert (tmp_path / "gti.fits").exists()
    bad = Job("job", [Task("gtibuild", file="none", colour="red")], {})
    outcome = run_job(bad)
    assert outcome.errors[0]["name"] == "unknownParameter"
    assert "colour" in outcome.errors[0]["message"]
    outcome = run_job(Job("job", [Task("rgsproc", entrystage="1:events")], {}))
    assert outcome.errors[0]["name"] == "NotImplementedError"
    assert "rgsproc" in outcome.errors[0]["message"]


def test_shims_make_the_engine_look_like_sas(tmp_path, monkeypatch):
    folder = write_shims(tmp_path / "shims")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    text = tmp_path / "intervals.txt"
    text.write_text("0.0 10.0 +\n5 6 -\n")
    tasks = [Task("gtibuild", file=str(text), table="gti.ds")]
    sas = run_job(Job("job", tasks, {"gti.ds": tmp_path / "sas.fits"}, backend="sas"))
    own = run_job(Job("job", tasks, {"gti.ds": tmp_path / "own.fits"}))
    assert sas.ok, sas.errors
    assert own.ok
    from astropy.io import fits

    a, b = (fits.getdata(tmp_path / f"{n}.fits", 1) for n in ("sas", "own"))
    assert [list(row) for row in a] == [list(row) for row in b] == [[0.0, 5.0], [6.0, 10.0]]
    failed = run_job(Job("job", [Task("gtibuild", file="none", table="x")], {}, backend="sas"))
    assert failed.errors[0]["originator"] == "gtibuild"


def test_jobs_travel_to_other_processes(tmp_path, program):
    program("quick", "echo a > a")
    job = sas_job(tmp_path, Task("quick", table="x y"), outputs={"a": "a"})
    assert pickle.loads(pickle.dumps(job)) == job
    with ProcessPoolExecutor(1) as pool:
        outcome = pool.submit(run_job, job).result()
    assert outcome.ok, outcome.errors
    assert (tmp_path / "final" / "a").read_text() == "a\n"


def test_programs_have_parameter_files_of_their_own(tmp_path, program, monkeypatch):
    monkeypatch.setenv("PFILES", "/home/me/pfiles;/sas/lib")
    program("show", 'echo "$PFILES" > a')
    assert run_job(sas_job(tmp_path, Task("show"), outputs={"a": "a"})).ok
    own, system = (tmp_path / "final" / "a").read_text().strip().split(";")
    assert own.startswith(str(tmp_path / "scratch"))
    assert system == "/sas/lib"


def test_arguments_are_never_seen_by_a_shell(tmp_path, program):
    program("show", 'printf "%s\\n" "$@" > a')
    nasty = "a b; touch hacked $(touch hacked) 'x' \"y\" *"
    assert run_job(sas_job(tmp_path, Task("show", p=nasty, q=True), outputs={"a": "a"})).ok
    assert (tmp_path / "final" / "a").read_text() == f"p={nasty}\nq=yes\n"


def full_disk(monkeypatch, after: int) -> None:
    calls = []

    def copy(source, target):
        calls.append(target)
        Path(target).write_bytes(b"half")
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        Path(target).write_bytes(Path(source).read_bytes())

    monkeypatch.setattr("daxa.backend.publish.shutil.copyfile", copy)

    def link(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("daxa.backend.publish.os.link", link)


def test_a_full_disk_publishes_nothing(tmp_path, program, monkeypatch):
    program("two", "echo a > a; echo b > b")
    final = tmp_path / "final"
    final.mkdir()
    (final / "a").write_text("old")
    full_disk(monkeypatch, after=1)
    outcome = run_job(sas_job(tmp_path, Task("two"), outputs={"a": "a", "b": "b"}))
    assert not outcome.ok
    assert "No space left on device" in outcome.errors[0]["message"]
    assert str(final / "b") in outcome.errors[0]["message"]
    assert (final / "a").read_text() == "old"
    assert [p.name for p in final.iterdir()] == ["a"]


def test_programs_that_meet_a_full_disk_fail_their_job(tmp_path, program):
    program("big", "ulimit -f 8; head -c 100000 /dev/zero > a && echo done")
    outcome = run_job(sas_job(tmp_path, Task("big"), outputs={"a": "a"}))
    assert not outcome.ok
    assert not (tmp_path / "final").exists()


def test_publishing_replaces_whole_files_and_keeps_shared_ones(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    final, shared = tmp_path / "x" / "final", tmp_path / "x" / "shared"
    publish([(one, final), (one, shared)], [shared])
    sums = publish([(two, final), (two, shared)], [shared])
    assert (final.read_text(), shared.read_text()) == ("2", "1")
    assert {path: sha for path, (sha, _) in sums.items()} == {
        str(final): checksum(two),
        str(shared): checksum(one),
    }
    with pytest.raises(PublishError, match="none"):
        publish([(one, final), (tmp_path / "none", tmp_path / "x" / "none")])
    assert final.read_text() == "2"
    (tmp_path / "x" / "folder").mkdir()
    with pytest.raises(PublishError, match="folder: there is a folder of that name"):
        publish([(one, final), (one, tmp_path / "x" / "folder")])
    assert final.read_text() == "2"
    assert not list((tmp_path / "x").glob(".*"))


def test_an_input_that_is_gone_is_named(tmp_path, program):
    program("quick", "echo a > a")
    gone = tmp_path / "events.fits"
    outcome = run_job(sas_job(tmp_path, Task("quick"), outputs={"a": "a"}, expected={gone: "0" * 64}))
    assert outcome.errors[0]["name"] == "inputChanged"
    assert outcome.errors[0]["message"].startswith(f"{gone}: cannot be read (No such file")
    assert outcome.ended


def test_the_task_that_failed_is_named_however_much_is_printed(tmp_path, program):
    program("first", "yes chatter | head -c 100000")
    program("second", "yes chatter | head -c 100000; kill -9 $PPID; sleep 10")
    outcome = run_job(sas_job(tmp_path, Task("first"), Task("second")))
    assert outcome.errors[0]["name"] == "crashed"
    assert outcome.errors[0]["originator"] == "second"


def test_the_back_end_is_chosen(monkeypatch, program, tmp_path):
    assert select_backend() == "embedded"
    with pytest.raises(SASNotFoundError, match="SAS_DIR"):
        select_backend("sas")
    with pytest.raises(DAXAConfigError):
        select_backend("ciao")
    for name in PROGRAMS:
        program(name, "")
    assert select_backend() == "embedded"
    monkeypatch.setenv("SAS_DIR", str(tmp_path))
    assert select_backend() == "sas"
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    assert select_backend() == "embedded"


def test_the_launcher_of_this_process_is_reused():
    assert launch.launcher() is launch.launcher()
    launch.shut_down()
