"""The command line as a user meets it."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from daxa.cli.main import app, main

COMMANDS = ["find", "download", "simulate", "process", "status", "logs", "report", "demo", "calibration"]
run = CliRunner()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_it_does(command):
    done = run.invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output
    assert len(done.output) > 150


def test_short_help_of_every_command():
    for words in ([], ["find"], ["calibration"], ["calibration", "fetch"], ["odf", "inspect"]):
        short, long = (run.invoke(app, [*words, flag]) for flag in ("-h", "--help"))
        assert short.exit_code == 0
        assert short.output == long.output


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "daxa", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("daxa ")


def test_simulate_leaves_the_sky_to_the_size(tmp_path, monkeypatch):
    asked = {}

    def refuse(folder, **options):
        asked.update(options)
        raise ValueError("asked")

    monkeypatch.setattr("daxa.simulate.sets.standard.simulate_set", refuse)
    run.invoke(app, ["simulate", str(tmp_path), "--size", "modes"])
    assert asked["sky"] is None
    run.invoke(app, ["simulate", str(tmp_path), "--size", "modes", "--sky", "cluster"])
    assert asked["sky"] == "cluster"


def test_version():
    from daxa import __version__

    assert run.invoke(app, ["--version"]).output.strip() == f"daxa {__version__}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["process"], "give a NAME"),
        (["process", "--local", "/nowhere"], "--local"),
        (["process", "A907", "--ccf", "/nowhere"], "--ccf"),
        (["status", "nothing"], "no archive 'nothing'"),
        (["logs", "nothing", "epchain"], "no archive 'nothing'"),
        (["simulate", "x", "--size", "huge"], "size: expected one of modes, demo"),
        (["find", "A907", "--mission", "voyager"], "no mission 'voyager'; known are"),
        (["find", "--position", "north"], "expected RA and Dec"),
        (["find", "--local", ".", " "], "NAME is blank"),
        (["find", "--local", ".", "--file", "none.csv"], "No such file"),
    ],
)
def test_mistakes_give_one_message_and_status_2(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run.invoke(app, words)
    assert done.exit_code == 2
    # Words are wrapped in a box; compare without the layout.
    assert message.replace(" ", "") in "".join(c for c in done.output if c not in " │\n╭╰─╮╯")


@pytest.mark.parametrize("words", [["process"], ["validate", "0800010101"]])
def test_made_up_and_real_files_may_meet(words, tmp_path, monkeypatch):
    """Only where the option is given; without data both commands end soon."""
    monkeypatch.setenv("DAXA_SYNTHETIC_CALIBRATION", "")
    monkeypatch.chdir(tmp_path)
    words = [*words, "--local", str(tmp_path)]
    assert run.invoke(app, words).exit_code
    assert os.environ["DAXA_SYNTHETIC_CALIBRATION"] == ""
    assert run.invoke(app, [*words, "--allow-synthetic"]).exit_code
    assert os.environ["DAXA_SYNTHETIC_CALIBRATION"] == "allow"


@pytest.mark.parametrize("failure", [TypeError("no such argument"), KeyError("PN"), ZeroDivisionError("x")])
def test_a_fault_of_ours_does_not_look_like_a_mistake(failure, monkeypatch, capsys):
    def broken():
        raise failure

    monkeypatch.setattr("daxa.cli.main.app", broken)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 70
    shown = capsys.readouterr().err
    assert "in broken" in shown
    assert "a fault of DAXA, not yours" in shown


def test_a_mistake_is_one_line(monkeypatch, capsys):
    def refuse():
        raise ValueError("lo_en: expected\nless than hi_en")

    monkeypatch.setattr("daxa.cli.main.app", refuse)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_unknown_command_names_the_usage():
    done = run.invoke(app, ["reduce"])
    assert done.exit_code == 2


def test_task_syntax():
    done = subprocess.run(
        [sys.executable, "-m", "daxa.xmm", "gtibuild", "nonsense"],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 2
    assert "name=value" in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "daxa.xmm", "epatplot", "set=x"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "epatplot is a task of SAS that the embedded engine lacks" in done.stderr


def test_demo_simulates_the_size_it_is_given(tmp_path, monkeypatch):
    asked = {}

    def refuse(folder, **options):
        asked.update(options, folder=folder)
        raise ValueError("asked")

    monkeypatch.setattr("daxa.simulate.simulate_set", refuse)
    for words, size in (([], "demo"), (["--size", "small"], "small")):
        assert run.invoke(app, ["demo", str(tmp_path / "work"), *words]).exit_code
        assert asked == {"folder": tmp_path / "work" / "simulated", "size": size}


def test_warnings_are_told_without_source(tmp_path):
    (tmp_path / "p.csv").write_text("name,ra,dec\nA,149.59,-11.06\nB,,\n")
    (tmp_path / "odfs").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "daxa", "find", "--file", "p.csv", "--local", "odfs"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    told = [line for line in done.stderr.splitlines() if "warning" in line.lower()]
    assert any("line 3" in line or "row" in line for line in told), done.stderr
    assert "read_positions" not in done.stderr
    assert "UserWarning" not in done.stderr
