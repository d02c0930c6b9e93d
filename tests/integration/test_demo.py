"""What ``daxa demo`` leaves, and what the other commands say of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulated_field import set_environment
from typer.testing import CliRunner

from daxa.cli.main import app

pytestmark = pytest.mark.slow
run = CliRunner()


def test_table_picture_and_report(field):
    rows = field.said["products"]
    assert {(r["ObsID"], r["camera"]) for r in rows} == {
        (f"0800010{n}01", c) for n in (1, 2, 3) for c in ("M1", "M2", "PN")
    }
    for row in rows:
        assert 0 < row["clean events"] < row["raw events"]
        assert 0 < row["exposure after [s]"] < row["exposure before [s]"]
    assert field.said["failed"] == []
    assert (field.root.parents[2] / "field.png").stat().st_size > 10_000
    page = Path(field.said["report"]).read_text(encoding="utf-8")
    assert "0800010101" in page


def test_status_logs_and_find(field, tmp_path, monkeypatch):
    work = field.root.parents[2]
    set_environment(monkeypatch, work / "daxa_output", field.simulated.ccf)
    monkeypatch.chdir(tmp_path)
    done = run.invoke(app, ["status", "demo", "--json"])
    assert done.exit_code == 0, done.output
    steps = {s["step"]: s for s in json.loads(done.stdout)["steps"]}
    assert steps["emchain"]["done"] == 7
    assert steps["epchain"]["done"] == 3
    done = run.invoke(app, ["logs", "demo", "epchain", "--obs-id", "0800010101"])
    assert done.exit_code == 0
    assert "epchain" in done.stdout
    odf = str(field.simulated.folder / "odf")
    for cells, found in (("09:58:21.6,-11:03:36", 3), ("149.59,-11.06", 3), ("9.97,-11.06", 0)):
        (tmp_path / "p.csv").write_text(f"RA, Dec\n{cells}\n")
        done = run.invoke(app, ["find", "--local", odf, "--file", "p.csv", "--json"])
        assert (len(json.loads(done.stdout)) if found else done.exit_code) == (found or 1)
    done = run.invoke(app, ["find", "--local", odf, "149.59 -11.06", "--json"])
    assert len(json.loads(done.stdout)) == 3, done.output  # coordinates, although there stands a name
    for obs_id, status in (("12", 2), ("0999999999", 1)):
        done = run.invoke(app, ["find", "--local", odf, "--obs-id", obs_id])
        assert done.exit_code == status
