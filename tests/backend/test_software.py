"""Software of other missions: how it is found, what is said of it, how its programs are run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daxa.archive.staleness import generation
from daxa.backend.contract import Job, Task
from daxa.backend.messages import parse_messages
from daxa.backend.runner import run_job
from daxa.backend.software import SOFTWARE, UNKNOWN, require
from daxa.exceptions import CIAONotFoundError, NuSTARDASNotFoundError
from daxa.process.executors import carried
from daxa.process.recording import versions

SETS = {"ciao": "ASCDS_INSTALL", "nustardas": "HEADAS"}


def program(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def ciao(tmp_path, monkeypatch):
    """A CIAO of two programs, with its CALDB."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in SOFTWARE["ciao"].programs:
        program(programs, name, 'echo "$PFILES|$0 $*"')
    program(programs, "ciaover", "echo '  CIAO        : CIAO 4.17.0 Friday, December 06, 2024'")
    index = tmp_path / "caldb" / "data" / "chandra" / "acis" / "caldb.indx"
    index.parent.mkdir(parents=True)
    index.write_text("one")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ASCDS_INSTALL", str(tmp_path))
    monkeypatch.setenv("CALDB", str(tmp_path / "caldb"))
    monkeypatch.setenv("PFILES", "/home/somebody/cxcds_param4;/soft/ciao/param")
    return tmp_path


def test_it_is_recognised_and_its_version_told(ciao, monkeypatch):
    assert SOFTWARE["ciao"].why_absent() == ""
    require([("chandra_repro", "ciao"), ("deflare", "python"), ("epchain", "")])
    before = versions("ciao")
    assert before["ciao"] == "4.17.0"
    assert generation(before) == f"ciao 4.17.0, caldb {before['caldb']}"
    (ciao / "caldb/data/chandra/acis/caldb.indx").write_text("two")
    assert versions("ciao")["caldb"] != before["caldb"]
    assert carried("ciao")["PFILES"].startswith("/home")
    assert "PFILES" not in carried("embedded")
    monkeypatch.setenv("CALDB", "https://heasarc.gsfc.nasa.gov/FTP/caldb")
    assert SOFTWARE["ciao"].why_absent() == ""
    assert versions("ciao")["caldb"] == UNKNOWN


@pytest.mark.parametrize(
    ("output", "version"),
    [("# packages\nciao           4.16.0   0  conda", "4.16.0"), ("no version here", UNKNOWN)],
)
def test_versions_are_told_in_several_ways(ciao, output, version):
    program(ciao / "bin", "ciaover", f"printf '{output}'")
    assert versions("ciao")["ciao"] == version


@pytest.mark.parametrize("name", sorted(SETS))
def test_absence_is_told_in_one_error(name, monkeypatch, tmp_path):
    kind = {"ciao": CIAONotFoundError, "nustardas": NuSTARDASNotFoundError}[name]
    monkeypatch.setenv("PATH", str(tmp_path))
    for place, why in (
        (None, f"{SETS[name]} is not set"),
        ("/no/where", "which is not a folder"),
        (str(tmp_path), "are not on PATH"),
    ):
        monkeypatch.delenv(SETS[name], raising=False)
        if place is not None:
            monkeypatch.setenv(SETS[name], place)
        with pytest.raises(kind, match=why) as caught:
            require([("a_step", name)])
    text = str(caught.value)
    assert text.startswith(f"a_step: needs {SOFTWARE[name].title}, but ")
    assert f"It is recognised by {SETS[name]}, PFILES, CALDB and its programs on PATH" in text
    assert "https://" in text


def test_a_caldb_without_the_mission_is_none(ciao, monkeypatch):
    monkeypatch.setenv("CALDB", str(ciao / "bin"))
    assert "which has no data/chandra/caldb.indx" in SOFTWARE["ciao"].why_absent()
    monkeypatch.delenv("CALDB")
    assert "CALDB, the folder of calibration files, is not set" in SOFTWARE["ciao"].why_absent()
    monkeypatch.delenv("PFILES")
    assert (
        "PFILES, which leads to the parameter files of its programs, is not set"
        in SOFTWARE["ciao"].why_absent()
    )


@pytest.mark.parametrize("given", ["/home/me/cxcds_param4;/soft/ciao/param", "/soft/ciao/param"])
def test_programs_have_parameter_files_of_their_own(ciao, monkeypatch, given):
    monkeypatch.setenv("PFILES", given)
    outcome = run_job(Job("4935ACIS", [Task("fluximage", infile="a.fits", clobber=True)], {}, backend="ciao"))
    assert outcome.ok
    pfiles, call = outcome.stdout.splitlines()[-1].split("|")
    first, rest = pfiles.split(";")
    assert first.endswith("/pfiles")
    assert rest == "/soft/ciao/param"
    assert call.endswith("fluximage infile=a.fits clobber=yes")
    assert outcome.stdout.startswith("fluximage infile=a.fits clobber=yes\n")


@pytest.mark.parametrize(
    ("ending", "ok", "said"),
    [
        ("exit 1", False, "bad pixels are bad"),
        ("kill -9 $$", False, "bad pixels are bad"),
        ("exit 0", True, ""),
    ],
)
def test_the_status_decides(ciao, ending, ok, said):
    """What is called an error and is gone on after is a warning."""
    program(
        ciao / "bin", "fluximage", f"echo '# fluximage (1 May 2024): ERROR bad pixels are bad' >&2; {ending}"
    )
    outcome = run_job(Job("4935ACIS", [Task("fluximage")], {}, backend="ciao"))
    assert outcome.ok is ok
    assert [e["message"] for e in outcome.errors] == [said] * (not ok)
    assert [w["message"] for w in outcome.warnings] == ["bad pixels are bad"] * ok


def test_a_program_that_is_gone_is_named(ciao):
    outcome = run_job(Job("4935ACIS", [Task("dmcopy")], {}, backend="ciao"))
    assert "no program dmcopy on PATH; is CIAO initialised?" in outcome.errors[0]["message"]


def test_heasoft_is_not_asked_to_prompt(ciao, monkeypatch):
    program(ciao / "bin", "nupipeline", 'echo "prompt=$HEADASPROMPT query=${HEADASNOQUERY-unset}"')
    outcome = run_job(Job("30001039002", [Task("nupipeline")], {}, backend="nustardas"))
    assert outcome.stdout.splitlines()[-1] == "prompt=/dev/null query="


@pytest.mark.parametrize(
    ("line", "kind", "task", "text"),
    [
        ("nupipeline_0.4.9: Error: running 'numetrology'", 1, "nupipeline", "running 'numetrology'"),
        ("nuscreen_0.1.7: Warning: no events", 0, "nuscreen", "no events"),
        ("Task fthedit 1.1 terminating with status 104", 1, "fthedit", "terminating with status 104"),
        ("# dmcopy (CIAO 4.17.0): WARNING: no rows", 0, "dmcopy", "no rows"),
        ("# DMEXTRACT (CIAO): ERROR: no such column", 1, "DMEXTRACT", "no such column"),
    ],
)
def test_messages_of_other_software(line, kind, task, text):
    found = parse_messages(line, others=True)[kind]
    assert [(m["originator"], m["message"]) for m in found] == [(task, text)]
    assert parse_messages(line) == ([], [])
