"""What was done, as shell scripts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import fake_sas
import pytest
from fake_sas import FakeMission
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.backend.contract import Job, Outcome
from daxa.backend.datasum import data_checksum
from daxa.backend.publish import publish
from daxa.cli.main import app
from daxa.process import runner
from daxa.process.reproduce import FIELDS, reproduce, reproduced
from daxa.process.simple import full_process_xmm
from daxa.process.xmm import mosaics
from daxa.process.xmm.clean import espfilt

X, OBS = "xmm_pointed", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}


def made(root: Path) -> dict[str, str]:
    """What the products of an archive hold, logs left out."""
    top = root / "processed_data"
    files = (p for p in top.rglob("*") if p.is_file() and p.parent.name != "logs")
    return {str(p.relative_to(top)): data_checksum(p) for p in files}


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    (folder / "reproduce.sh").write_text(script)
    return subprocess.run(["sh", "reproduce.sh"], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["plain", "it's (α) #1, $HOME"])
def test_a_script_makes_everything_again(sas, monkeypatch, tmp_path, name):
    both = {"M1": {"S001": fake_sas.exposure(), "U002": fake_sas.exposure(scheduled=False)}}
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: {**both, "PN": {"S003": fake_sas.exposure()}}})
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / name))
    archive = Archive("field", FakeMission())
    full_process_xmm(archive, **QUIET)
    done = CliRunner().invoke(app, ["reproduce", "field", OBS])
    assert done.exit_code == 0, done.output
    sas.forget()
    ended = run(done.stdout, tmp_path / f"{name} again")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert made(tmp_path / f"{name} again") == made(archive.layout.root)
    (cifbuild,) = (c for c in sas.calls if c.startswith("cifbuild "))
    assert archive.process_extra_info[X]["cif_build"][OBS]["analysis_date"] in cifbuild
    # Nothing of the archive is needed, nor was anything of it touched.
    assert str(archive.layout.root) not in done.stdout


def test_mosaics_of_fields_have_a_script_of_their_own(sas, monkeypatch):
    def trivial(job: Job) -> Outcome:
        made = publish([(sas.folder / "evselect", path) for path in job.outputs.values()])
        return Outcome(job.ident, True, outputs={path: sha for path, (sha, _) in made.items()})

    monkeypatch.setattr(runner, "run_job", trivial)
    monkeypatch.setattr(mosaics, "run_job", trivial)
    seen = {"M1": {"S001": fake_sas.exposure()}}
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: seen, "0800010201": seen})
    archive = Archive("field", FakeMission())
    full_process_xmm(archive, **QUIET)
    mosaics.generate_mosaics(archive, **QUIET)
    assert reproduced(archive.ledger) == [(X, OBS), (X, "0800010201"), (X, FIELDS)]
    lines = reproduce(archive.ledger, "field", X, FIELDS).splitlines()
    assert sum("-m daxa.xmm emosaic " in line for line in lines) == 2
    other = (
        f'"$here"/processed_data/{X}/0800010201/images/obsid0800010201-instM1-subexpALL-en0.5_2.0keV-image'
    )
    assert any(line.startswith(f"ln -s {other}") for line in lines)
    kept = [line for line in lines if line.startswith("mv field_image.fits")]
    assert [line.split("/")[1] for line in kept] == ["mosaics"] * 2
    assert "emosaic" in reproduce(archive.ledger, "field", X, OBS)


def test_a_failure_stops_the_script(archive, sas, tmp_path):
    full_process_xmm(archive, **QUIET)
    script = reproduce(archive.ledger, "field", X, OBS)
    sas.behave("if [ $task = espfilt ]; then echo broken >&2; exit 3; fi\n")
    ended = run(script, tmp_path / "again")
    assert (ended.returncode, ended.stderr) == (3, "broken\n")


def test_scripts_of_a_whole_archive(archive, sas):
    full_process_xmm(archive, **QUIET)
    done = CliRunner().invoke(app, ["reproduce", "field"])
    paths = [archive.layout.root / "reproduce" / X / o / "reproduce.sh" for o in (OBS, "0800010201")]
    assert (done.exit_code, done.stdout.splitlines()) == (0, [str(p) for p in paths])
    assert "emchain" in paths[1].read_text()
    assert "S009" not in paths[1].read_text()
    archive.ledger._db.execute("UPDATE run SET job='{}' WHERE process='espfilt' AND obs_id=?", [OBS])
    done = CliRunner().invoke(app, ["reproduce", "field"])
    assert (done.exit_code, done.stdout.splitlines()) == (1, [str(paths[1])])
    assert "nothing is known of what the tasks of espfilt" in done.stderr
    assert CliRunner().invoke(app, ["reproduce", "field", "0123456789"]).exit_code == 2


def test_the_order_is_that_in_which_they_build_on_each_other(archive, sas):
    full_process_xmm(archive, **QUIET)
    espfilt(archive, range_scale={"mos": 7.0, "pn": 15.0}, **QUIET)
    script = reproduce(archive.ledger, "field", X, OBS)
    begun = [line.split()[1] for line in script.splitlines() if line.startswith("# ") and OBS in line][1:]
    order = ["cif_build", "odf_ingest", "emchain", "espfilt", "cleaned_evt_lists", "merge_subexposures"]
    assert [begun.index(p) for p in order] == sorted(begun.index(p) for p in order)
    assert "rangescale=7" in script
    assert "# It is out of date: espfilt of" in script
