"""What `daxa doctor` says, and the programs that `daxa sas-shims` writes."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from typer.testing import CliRunner

from daxa._version import __version__
from daxa.backend import select
from daxa.backend.shims import VERSION
from daxa.cli.main import app
from daxa.xmm.task import task_names


def examined() -> dict[str, tuple[str, str]]:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == int("fault" in done.stdout), done.output
    return {check["about"]: (check["state"], check["text"]) for check in json.loads(done.stdout)}


def test_a_machine_without_sas_is_well(monkeypatch):
    monkeypatch.setenv("DAXA_BACKEND", "auto")
    found = examined()
    assert found["version"][1].startswith(f"daxa {__version__}")
    assert found["missions"] == (
        "ok",
        "chandra, erosita_all_sky_de_dr1, erosita_calpv, nustar_pointed, xmm_pointed can be processed",
    )
    assert found["back-end"] == ("ok", "auto is configured, embedded is used")
    assert found["SAS"] == ("ok", "not used: SAS_DIR is not set")
    assert found["archives"][0] in ("ok", "note")
    assert "GB free" in found["archives"][1]
    assert "daxa calibration fetch" in found["calibration"][1]
    lines = CliRunner().invoke(app, ["doctor"]).stdout.splitlines()
    assert any(line.startswith("ok    back-end") for line in lines)


def test_a_broken_sas_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("SAS_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("DAXA_BACKEND", "sas")
    found = examined()
    assert found["back-end"][0] == "fault"
    assert "which is not a folder" in found["back-end"][1]
    assert found["SAS"] == ("note", f"not used: SAS_DIR is {tmp_path / 'none'}, which is not a folder")
    monkeypatch.setenv("SAS_DIR", str(tmp_path))
    assert "its programs are not on PATH" in examined()["SAS"][1]


@pytest.fixture
def sas(tmp_path, monkeypatch):
    """A stand-in for SAS; returns the way to make it another release."""
    folder = tmp_path / "sas"
    folder.mkdir()
    for name in (*select.PROGRAMS, "lcurve"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("SAS_DIR", str(folder))

    def install(version: str):
        monkeypatch.setattr(select, "_known", {})
        (folder / "sasversion").write_text(f"#!/bin/sh\necho 'sasversion (sasversion-1.3) [{version}]'\n")
        (folder / "sasversion").chmod(0o755)
        return folder

    return install


def test_a_sas_and_what_it_needs(sas, monkeypatch, tmp_path):
    folder = sas("xmmsas_20230412_1735-21.0.0")
    found = examined()
    assert found["back-end"] == ("ok", "auto is configured, sas is used")
    assert found["SAS"] == ("ok", f"xmmsas_20230412_1735-21.0.0, {folder}")
    assert found["SAS calls"][1].startswith("epchain: `runradmonfix=N`")
    assert found["SAS_PATH"][0] == "note"
    assert found["SAS_CCFPATH"][1].startswith("is not set; programs are given ")
    assert found["HEASOFT"] == ("ok", f"lcurve is {folder / 'lcurve'}")
    monkeypatch.setenv("SAS_PATH", f"{folder}:{tmp_path / 'none'}")
    monkeypatch.setenv("SAS_CCFPATH", str(tmp_path))
    (folder / "lcurve").unlink()
    found = examined()
    assert found["SAS_PATH"] == ("note", f"{folder}:{tmp_path / 'none'}: {tmp_path / 'none'} is not a folder")
    assert found["SAS_CCFPATH"] == ("ok", str(tmp_path))
    assert found["HEASOFT"] == ("note", "lcurve, which emchain of SAS calls, is not on PATH")
    monkeypatch.setenv("SAS_PATH", str(folder))
    assert examined()["SAS_PATH"] == ("ok", str(folder))


def test_a_sas_that_was_not_looked_into_or_tells_no_release(sas):
    folder = sas("30.0.0-abc-20300101")
    assert examined()["SAS"] == (
        "note",
        f"30.0.0-abc-20300101, which was not looked into (14 to 22.1 were), {folder}",
    )
    sas("x")
    (folder / "sasversion").unlink()
    text = f"no release is told; programs are called as those of 22.1, {folder}"
    assert examined()["SAS"] == ("note", text)


def test_a_place_that_is_no_folder_is_a_fault(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / "file" / "output"))
    state, text = examined()["archives"]
    assert state == "fault"
    assert "is not a folder" in text


@pytest.fixture
def shims(tmp_path, monkeypatch):
    folder = tmp_path / "with blank"
    done = CliRunner().invoke(app, ["sas-shims", str(folder)])
    assert done.exit_code == 0, done.output
    assert f'. "{folder}/setup.sh"' in done.stdout
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SAS_DIR", str(folder))
    return folder


def test_shims_pass_for_an_initialised_sas(shims):
    assert {p.name for p in shims.iterdir()} == {*task_names(), "sas", "sasversion", "nh", "setup.sh"}
    assert select.select_backend("auto") == "sas"
    assert select.sas_version() == VERSION
    told = subprocess.run(["sasversion"], capture_output=True, text=True, check=True).stdout
    assert f"[{VERSION}]" in told
    found = examined()
    assert found["SAS"] == ("ok", f"{VERSION}, {shims}")
    # The engine under SAS's names needs nothing else.
    assert not {"SAS_PATH", "HEASOFT", "SAS calls"} & set(found)
