"""The command line of the engine's tasks."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from daxa.xmm.__main__ import main
from daxa.xmm.errors import TaskError
from daxa.xmm.task import find_task, task_names


@pytest.fixture
def times(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text("1 2 +\n")
    return ["gtibuild", "file=t.txt", "table=gti.ds"]


@pytest.mark.parametrize(
    "options", [[], ["-w", "1", "-V", "4"], ["--verbosity=4"], ["-w=10"], ["-V5", "-w0", "-t"]]
)
def test_options_of_sas_are_understood(times, options, tmp_path):
    assert main([*times, *options]) == 0
    assert (tmp_path / "gti.ds").exists()


def test_options_set_the_environment(monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(
        "daxa.xmm.__main__.run_task", lambda name, arguments, env: seen.update(env, **arguments)
    )
    assert main(["cifbuild", "-a", "ccf.cif", "--ccfpath=/a:/b", "-o", "odf", "calindexset=x"]) == 0
    assert (seen["SAS_CCF"], seen["SAS_CCFPATH"], seen["SAS_ODF"]) == ("ccf.cif", "/a:/b", "odf")
    assert seen["calindexset"] == "x"
    assert "PATH" in seen
    assert "DAXA_SYNTHETIC_CALIBRATION" not in seen
    assert main(["cifbuild", "--allow-synthetic"]) == 0
    assert seen["DAXA_SYNTHETIC_CALIBRATION"] == "allow"


def test_files_are_not_replaced_if_that_is_forbidden(times, tmp_path, capsys):
    (tmp_path / "gti.ds").write_text("mine")
    assert main([*times, "-c"]) == 1
    assert "error (noClobber)" in capsys.readouterr().err
    assert (tmp_path / "gti.ds").read_text() == "mine"
    assert main(times) == 0


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["nonsense"], "name=value"),
        (["-V"], "needs a value"),
        (["--dialog"], "no dialogue"),
        (["-d"], "no dialogue"),
        (["--nonsense"], "given as nonsense=value"),
        (["-table=gti.ds"], "given as table=value"),
        (["--tabel=gti.ds"], "did you mean 'table'"),
    ],
)
def test_mistakes_are_named(times, words, what, capsys, tmp_path):
    assert main([*times, *words]) == 2
    assert what in capsys.readouterr().err
    assert not (tmp_path / "gti.ds").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--file=t.txt", "--table=gti.ds"],
        ["--file=t.txt", "table=gti.ds"],
        ["file=t.txt", "--table=a=b.ds"],
    ],
)
def test_parameters_in_both_forms(times, words, tmp_path):
    assert main(["gtibuild", *words]) == 0
    assert (tmp_path / words[1].partition("table=")[2]).exists()


def test_a_list_may_hold_names_with_blanks(tmp_path, monkeypatch):
    from daxa.xmm.parameters import Parameter, format_value

    names = Parameter("table", "list")
    values = ["my data/a.fits", "b.fits"]
    assert names.parse("tabgtigen", '"my data/a.fits" b.fits') == values
    assert names.parse("tabgtigen", format_value(values)) == values
    assert names.parse("tabgtigen", """it's a"b.fits""") == ["it's", 'a"b.fits']


def test_names_that_the_terminal_cannot_print(tmp_path):
    # Bytes that are not text in the terminal's encoding reach Python as lone surrogates.
    name = os.fsdecode(b"d\xe9but.txt")
    (tmp_path / name).write_text("1 2 +\n")
    done = subprocess.run(
        [sys.executable, "-m", "daxa.xmm", "gtibuild", f"file={name}", "table=gti.ds"],
        cwd=tmp_path, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"d\\udce9but.txt" in done.stdout


@pytest.mark.parametrize("name", task_names())
def test_every_task_tells_its_parameters(name, capsys):
    assert main([name, "-h"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {p.name}" in told for p in find_task(name).parameters)
    assert main([name, "--version"]) == 0
    assert capsys.readouterr().out.startswith(f"{name} ({name}-")


def test_a_folder_with_other_letters_is_no_obstacle(tmp_path, monkeypatch):
    folder = tmp_path / "Übung é"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "t.txt").write_text("1 2 +\n")
    assert main(["gtibuild", f"file={folder / 't.txt'}", f"table={folder / 'gti.ds'}"]) == 0
    from astropy.io import fits

    assert "\\xdcbung" in fits.getheader(folder / "gti.ds")["XPROC0"]


def test_standard_error_holds_lines_of_sas_and_no_other(tmp_path, monkeypatch, capsys):
    from daxa.xmm import task

    def speak(ctx, p):
        warnings.warn("two\n lines", RuntimeWarning, stacklevel=1)
        ctx.warn("strange", "two\nlines")
        raise TaskError("bad", "two\nlines")

    monkeypatch.setattr(task, "find_task", lambda name: task.TaskSpec(name, "1.0", (), speak))
    assert main(["speaks"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "** speaks: warning (RuntimeWarning), two lines",
        "** speaks: warning (strange), two lines",
        "** speaks: error (bad), two lines",
    ]
