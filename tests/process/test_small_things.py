"""Smaller promises: empty outputs, things in the way, what is shown while an archive is processed."""

from __future__ import annotations

import json
from pathlib import Path

import fake_sas
import pytest
from astropy.io import fits
from astropy.units import Quantity
from typer.testing import CliRunner

from daxa.archive import Archive
from daxa.backend.messages import parse_messages
from daxa.cli.main import app
from daxa.exceptions import DAXAError
from daxa.process import runner
from daxa.process.simple import full_process_xmm
from daxa.process.xmm.mosaics import generate_mosaics
from daxa.process.xmm.setup import cif_build
from daxa.report import build_report, status_table

X, OBS = "xmm_pointed", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}


@pytest.fixture
def one(sas, monkeypatch) -> Archive:
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: {"M1": {"S001": fake_sas.exposure()}}})
    return Archive("field", fake_sas.FakeMission())


def test_an_empty_output_is_no_success(one, sas):
    sas.behave("if [ $task = cifbuild ]; then : > ccf.cif; exit 0; fi\n")
    with pytest.warns(UserWarning, match="emptyOutput raised by cifbuild - wrote nothing into ccf.cif"):
        cif_build(one, **QUIET)
    assert one.process_success[X]["cif_build"] == {OBS: False}
    assert not (one.obs_folder(X, OBS) / "ccf.cif").exists()


def test_an_empty_output_that_need_not_be_is_left_out(one, sas):
    sas.behave('if [ $task = espfilt ]; then trap ": > mos1S001-hist.qdp" EXIT; fi\n')
    full_process_xmm(one, **QUIET)
    assert one.process_success[X]["espfilt"] == {f"{OBS}M1S001": True}
    assert not list(one.obs_folder(X, OBS).glob("cleaning/*hist.qdp"))


def test_a_file_in_the_way_of_the_scratch_folder(one):
    one.layout.scratch.write_text("mine")
    with pytest.raises(DAXAError, match=r"\.scratch: is in the way"):
        cif_build(one, **QUIET)
    assert one.layout.scratch.read_text() == "mine"


def test_terminals_obey_no_message(one, sas):
    text = "** cifbuild: error (bad), \x1b[31mred\x07"
    assert parse_messages(text)[1][0]["message"] == r"\x1b[31mred\x07"
    sas.behave(f"if [ $task = cifbuild ]; then printf '{text}\\n' >&2; printf '\\033[2J\\n'; exit 1; fi\n")
    with pytest.warns(UserWarning, match=r"\\x1b\[31mred"):
        cif_build(one, **QUIET)
    for words in (
        ["status", "field"],
        ["logs", "field", "cif_build"],
        ["logs", "field", "cif_build", "--errors"],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0
        assert "\x1b" not in done.output
        assert "\x07" not in done.output


def test_products_that_are_merged_of_one_are_copies(one, sas):
    full_process_xmm(one, **QUIET)
    folder = one.obs_folder(X, OBS) / "events"
    (clean,), (final,) = folder.glob("*-cleanevents.fits"), folder.glob("*-finalevents.fits")
    assert clean.read_bytes() == final.read_bytes()
    assert not clean.samefile(final)


def test_the_date_of_the_calibration_is_recorded(one, sas):
    cif_build(one, **QUIET)
    (call,) = sas.calls
    assert "analysisdate=2" in call
    assert one.process_extra_info[X]["cif_build"][OBS]["asked"] == "now"
    sas.forget()
    cif_build(one, **QUIET)
    assert sas.calls == []


def test_what_is_running_and_what_is_to_come(one, monkeypatch):
    seen = []

    def look(self, node, future, original=runner._Runner._end):
        if node.step.name == "emchain":
            self._note_plan()
            seen.append({r["step"]: r for r in status_table(Archive("field"))})
        original(self, node, future)

    monkeypatch.setattr(runner._Runner, "_end", look)
    full_process_xmm(one, **QUIET)
    (during,) = seen
    assert (during["emchain"]["running"], during["emchain"]["interrupted"]) == (1, 0)
    assert during["espfilt"]["pending"] == during["generate_images_expmaps"]["pending"] == 1
    after = {r["step"]: r for r in status_table(one)}
    assert all(r["pending"] == r["running"] == 0 for r in after.values())
    one.ledger.start(next(one.ledger.runs(process="emchain")).__class__("x", "y", X, OBS, started="2026"))
    assert {r["step"]: r for r in status_table(one)}["x"]["interrupted"] == 1


def test_a_mosaic_that_cannot_be_made_is_refused_before(one, sas):
    full_process_xmm(one, **QUIET)
    with pytest.raises(ValueError, match=r"no images of 500\.0_2000\.0keV; there are of 0\.5_2\.0keV"):
        generate_mosaics(one, Quantity(500, "keV"), Quantity(2000, "keV"), **QUIET)
    assert "generate_mosaics" not in one.process_success[X]


def test_an_unreadable_image_does_not_end_the_report(one, sas):
    full_process_xmm(one, **QUIET)  # the stand-in's images are not FITS files
    with pytest.warns(UserWarning, match="left out of the report"):
        page = build_report(one)
    assert OBS in Path(page).read_text(encoding="utf-8")
    image = next((one.obs_folder(X, OBS) / "images").glob("*0.5_2.0keV-image.fits"))
    fits.PrimaryHDU().writeto(image, overwrite=True)
    with pytest.warns(UserWarning, match="not a 2-D image"):
        build_report(one)


def test_plain_mistakes_give_one_line(one, monkeypatch, capsys):
    from daxa.cli import main as cli

    for failure in (
        OSError(28, "No space left on device"),
        ValueError("lo_en: \x1b"),
    ):

        def fail(failure=failure):
            raise failure

        with monkeypatch.context() as patch:
            patch.setattr(cli, "app", fail)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith(("daxa: No space left", "daxa: lo_en: "))
        assert error.count("\n") == 1
        assert "\x1b" not in error


def test_status_as_json(one, sas):
    cif_build(one, **QUIET)
    done = CliRunner().invoke(app, ["status", "field", "--json"])
    (row,) = json.loads(done.stdout)["steps"]
    assert (row["step"], row["done"], row["stale"], row["pending"]) == ("cif_build", 1, 0, 0)


def test_energies_of_nustar_lists_are_not_chosen(monkeypatch):
    from daxa.process import simple

    run = []
    monkeypatch.setattr(simple, "run_steps", lambda *given: run.append(given))
    with pytest.warns(UserWarning, match="evt_lo_en, evt_hi_en: event lists of NuSTAR hold all energies"):
        simple.full_process_nustar(None, Quantity(3, "keV"))
    assert len(run) == 1
