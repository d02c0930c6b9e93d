"""What programs print is bounded everywhere but in the log file."""

from __future__ import annotations

import pytest

from daxa.backend.contract import Job, Task
from daxa.backend.messages import LIMIT, parse_messages
from daxa.backend.output import KEPT, excerpt, keep, lines
from daxa.backend.runner import run_job


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a shell script of a name known to the SAS back-end."""

    def make(name, script):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return make


def test_beginning_and_end_are_kept(tmp_path):
    path = tmp_path / "out"
    assert excerpt(path) == ""
    path.write_text("short ☀\n")
    assert excerpt(path) == "short ☀\n"
    text = "".join(f"line {k}\n" for k in range(100_000))
    path.write_text(text)
    found = excerpt(path, tmp_path / "logs" / "epchain_stdout.log")
    assert len(found) < 2 * KEPT + 200
    head, middle, tail = found.partition("[... ")
    left = int(tail.split()[0])
    assert middle
    assert head.startswith("line 0\n")
    assert found.endswith("line 99999\n")
    assert "all of it is in logs/epchain_stdout.log ...]" in tail
    assert len(head) + left + len(tail.partition("]\n")[2]) == len(text)


def test_one_endless_line(tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"x" * 3_000_000 + b"\xff")
    assert len(excerpt(path)) < 2 * KEPT + 200
    assert max(map(len, lines(path))) <= 1 << 20


def test_messages_beyond_a_number_are_counted():
    many = [f"** emchain: warning (odd), number {k}" for k in range(LIMIT + 500)]
    warnings, errors = parse_messages([*many, "** emchain: error (bad), end"])
    assert len(warnings) == LIMIT + 1
    assert warnings[-1] == {
        "originator": "emchain",
        "name": "odd",
        "message": "and 500 more, which are in the log",
    }
    assert [e["name"] for e in errors] == ["bad"]


def test_a_noisy_job(tmp_path, program):
    program(
        "noisy",
        "yes '** noisy: warning (loud), again and again and again' | head -c 3000000 >&2\n"
        "yes 'a line of nothing' | head -c 5000000; echo; echo last; echo x > a",
    )
    logs = {s: tmp_path / "logs" / f"noisy_{s}.log" for s in ("stdout", "stderr")}
    outcome = run_job(Job("x", [Task("noisy")], {"a": tmp_path / "final"}, backend="sas", logs=logs))
    assert outcome.ok
    assert len(outcome.stdout) < 2 * KEPT + 200
    assert outcome.stdout.startswith("noisy\na line")
    assert outcome.stdout.endswith("\nlast\n")
    assert len(outcome.warnings) == LIMIT + 1
    assert logs["stdout"].stat().st_size > 5_000_000
    assert logs["stderr"].stat().st_size == 3_000_000


def test_logs_that_cannot_be_kept_are_no_failure(tmp_path, program):
    (tmp_path / "file").write_text("")
    program("quiet", "echo x > a")
    logs = {"stdout": tmp_path / "file" / "x" / "log"}
    outcome = run_job(Job("x", [Task("quiet")], {"a": tmp_path / "final"}, backend="sas", logs=logs))
    assert outcome.ok
    assert outcome.warnings[-1]["name"] == "log"


def test_an_empty_log_of_errors_is_none(tmp_path):
    empty, log = tmp_path / "empty", tmp_path / "log"
    empty.write_text("")
    log.write_text("of the last run")
    assert keep(empty, log, empty=False) == ""
    assert not log.exists()
    assert keep(empty, log, empty=True) == ""
    assert log.read_text() == ""


@pytest.mark.parametrize(("number", "name"), [(15, "SIGTERM"), (40, "signal 40")])
def test_signals_of_any_number_are_recorded(tmp_path, program, number, name):
    from daxa.backend.launch import ForkLauncher

    program("dies", "echo before; kill -9 $$")
    launcher = ForkLauncher()

    class Killed:
        def run(self, folder, timeout_s, backend):
            end = launcher.run(folder, timeout_s, backend)
            end.status = -number
            return end

    try:
        outcome = run_job(Job("x", [Task("dies")], {}, backend="sas"), Killed())
    finally:
        launcher.close()
    assert f"ended by {name}" in outcome.errors[-1]["message"]
    assert "before" in outcome.stdout
