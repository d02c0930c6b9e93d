"""What `daxa doctor` says, and the programs that `daxa sas-shims` writes."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from typer.testing import CliRunner

from daxa._version import __version__
from daxa.backend import select
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
    assert found["missions"] == ("ok", "xmm_pointed can be processed")
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
    assert "evselect is not on PATH" in found["back-end"][1]
    assert found["SAS"][0] == "note"
    assert "which is not a folder" in found["SAS"][1]


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
    assert f'SAS_DIR="{folder}"' in done.stdout
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SAS_DIR", str(folder))
    return folder


def test_shims_pass_for_an_initialised_sas(shims):
    assert {p.name for p in shims.iterdir()} == {*task_names(), "sas", "sasversion"}
    assert select.select_backend("auto") == "sas"
    assert select.sas_version() == f"daxa-{__version__}"
    told = subprocess.run(["sasversion"], capture_output=True, text=True, check=True).stdout
    assert f"[daxa-{__version__}]" in told
    assert examined()["SAS"] == ("ok", f"daxa-{__version__}, {shims}")
