"""Paths are in no language: whatever folders are called, and wherever they go."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import fake_sas
import pytest

from daxa.archive import Archive
from daxa.backend.contract import Job, Task
from daxa.backend.job import write_place
from daxa.backend.runner import run_job
from daxa.process.naming import _renamed, plain
from daxa.process.simple import full_process_xmm

X, OBS = "xmm_pointed", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}


@pytest.fixture
def one(monkeypatch):
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: {"M1": {"S001": fake_sas.exposure()}}})


@pytest.mark.parametrize("name", ["Größe", "a, (b) #2 'c' $d", "星 α"])
def test_tasks_see_plain_names_only(one, sas, tmp_path, monkeypatch, name):
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / name))
    # A place of its own: other tests run jobs at the same time.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sas.behave('echo "$SAS_ODF $SAS_CCF $(pwd)" >> "$FAKE_SAS/seen"\n')
    archive = Archive(name, fake_sas.FakeMission())
    full_process_xmm(archive, **QUIET)
    assert archive.final_process_success == {X: {OBS: True}}
    seen = (sas.folder / "seen").read_text().replace(f"{tempfile.gettempdir()}/daxa_job_", "")
    for text in (*sas.calls, *archive.get_process_logs("cleaned_evt_lists")[X].values(), seen):
        assert name not in text
    assert any("GTI(obsid0800010101-instM1-subexpS001-en2500_8500keV-gti.fits,TIME)" in c for c in sas.calls)
    assert not list(Path(tempfile.gettempdir()).glob("daxa_job_*"))


def test_a_summary_follows_the_raw_files(one, sas, tmp_path, monkeypatch):
    archive = Archive("field", fake_sas.FakeMission())
    raw = archive[X].get_obs_path(OBS)
    (raw / "summary").write_bytes(b"// comment\nPATH /nowhere/\nFILES\n")
    full_process_xmm(archive, **QUIET)
    summary = archive.obs_folder(X, OBS) / f"3100_{OBS}_SCX00000SUM.SAS"
    assert f"PATH {raw}/\n" in summary.read_text()
    sas.forget()
    archive.ledger.close()
    shutil.move(str(tmp_path / "daxa_output"), str(tmp_path / "Ørsted"))
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / "Ørsted"))
    sas.behave('if [ $task = espfilt ]; then grep ^PATH "$SAS_ODF" > "$FAKE_SAS/place"; fi\n')
    moved = Archive("field")
    next(moved.obs_folder(X, OBS).glob("cleaning/*gti.fits")).unlink()
    full_process_xmm(moved, **QUIET)
    assert [c.split()[0] for c in sas.calls] == ["odfingest", "espfilt"]
    raw = moved[X].get_obs_path(OBS)
    summary = moved.obs_folder(X, OBS) / summary.name
    assert f"PATH {raw}/\n" in summary.read_text(encoding="utf-8")
    # The job's own copy names them by a path without such letters.
    assert "Ørsted" not in (sas.folder / "place").read_text()


def test_names_that_meet_are_told_apart(tmp_path):
    one, two = tmp_path / "a" / "x.fits", tmp_path / "b" / "x.fits"
    longer = tmp_path / "a" / "x.fits.gz"
    tasks = [Task("merge", set1=str(one), set2=str(two), set3=f"{longer}:EVENTS")]
    found = plain(tasks, {"SAS_CCF": str(one), "OTHER": str(two)}, [one, two, longer])
    assert found.tasks[0].parameters == {"set1": "x.fits", "set2": "2_x.fits", "set3": "x.fits.gz:EVENTS"}
    assert found.links == {"x.fits": one, "2_x.fits": two, "x.fits.gz": longer}
    assert found.env == {"SAS_CCF": "{work}/x.fits", "OTHER": str(two)}


def test_a_path_that_begins_with_another_is_left_alone(tmp_path):
    raw, events = tmp_path / "raw", tmp_path / "raw_out" / "e.fits"
    region = tmp_path / "raw_regions" / "r.fits"
    task = Task("evselect", table=f"{events}:EVENTS", expression=f"region({region}) && GTI({events},TIME)")
    found = plain([task], {}, [events], raw)
    assert found.tasks[0].parameters == {
        "table": "e.fits:EVENTS",
        "expression": f"region({region}) && GTI(e.fits,TIME)",
    }
    both = plain([Task("merge", sets=f"{events} {events}2 {region} {raw} {events},{raw}")], {}, [events], raw)
    assert both.tasks[0].parameters == {"sets": f"e.fits {events}2 {region} odf e.fits,odf"}
    inside = plain([Task("epchain", odf=str(raw), more=f"{raw}/x.FIT")], {}, [], raw)
    assert inside.tasks[0].parameters == {"odf": "odf", "more": "odf/x.FIT"}


def test_only_the_place_of_a_summary_changes(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"// \xe9\nPATH /old place/\nFILES\nPATHOLOGY\n")
    write_place(source, target, "/new/α")
    assert target.read_bytes() == b"// \xe9\nPATH /new/\xce\xb1/\nFILES\nPATHOLOGY\n"


def test_an_output_that_is_a_link_is_none(sas, tmp_path):
    program = sas.folder / "linker"
    program.write_text("#!/bin/sh\nln -s /etc/hostname a\n")
    program.chmod(0o755)
    job = Job("x", [Task("linker")], {"a": tmp_path / "final"}, backend="sas", scratch=tmp_path / "scratch")
    outcome = run_job(job)
    assert not outcome.ok
    assert outcome.errors[0]["name"] == "missingOutput"
    assert not (tmp_path / "final").exists()


def test_an_input_that_is_gone_is_named(sas, tmp_path):
    job = Job("x", [Task("merge")], {}, backend="sas", links={"a": tmp_path / "gone"})
    outcome = run_job(job)
    assert "gone: no such file" in outcome.errors[0]["message"]


def test_folders_of_more_than_one_line_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / "a\nb"))
    with pytest.raises(ValueError, match="line break"):
        Archive("field", fake_sas.FakeMission())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("/a/b", "N"),
        ("GTI(/a/b,TIME) && /a/b", "GTI(N,TIME) && N"),
        ("/a/b/c", "N/c"),
        ("/a/bc x/a/b /a/b-1 /a/b.fits", "/a/bc x/a/b /a/b-1 /a/b.fits"),
        ("/a/b/a/b", "N/a/b"),
        ("'/a/b' /a/b:EVENTS", "'N' N:EVENTS"),
    ],
)
def test_only_whole_paths_get_a_plain_name(text, named):
    assert _renamed(text, "/a/b", "N") == named
