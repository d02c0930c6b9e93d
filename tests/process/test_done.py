"""Done means done: what is skipped, what is made again, and what is said to be out of date."""

from __future__ import annotations

import os
import shutil
import warnings
from collections import Counter
from pathlib import Path

import fake_sas
import pytest
from astropy.units import Quantity

from daxa.archive import Archive
from daxa.archive.run import Run
from daxa.backend.contract import Task
from daxa.process import redoing
from daxa.process.recording import fingerprint
from daxa.process.simple import full_process_xmm
from daxa.process.step import Recipe
from daxa.process.xmm.assemble import cleaned_evt_lists, merge_subexposures
from daxa.process.xmm.clean import espfilt
from daxa.process.xmm.generate import generate_images_expmaps
from daxa.process.xmm.setup import cif_build
from daxa.report import status_table
from daxa.xmm.ccf.index import CalibrationIndex, Entry, md5sum, write_index

X, OBS = "xmm_pointed", "0800010101"
QUIET = {"num_cores": 2, "disable_progress": True}
ALL = {"cifbuild": 1, "odfingest": 1, "emchain": 1, "espfilt": 1, "evselect": 3, "eexpmap": 1}


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """Where the first test leaves its archive for the others, with its raw data."""
    return tmp_path_factory.mktemp("template") / "daxa_output"


@pytest.fixture
def archive(sas, monkeypatch, template, tmp_path) -> Archive:
    """An archive of one exposure, reduced."""
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: {"M1": {"S001": fake_sas.exposure()}}})
    if template.exists():
        shutil.copytree(template, tmp_path / "daxa_output")
        moved = Archive("field")
        # Raw files and archive are elsewhere now: the summary names their new place, nothing else is done.
        full_process_xmm(moved, **QUIET)
        assert counted(sas) == {"odfingest": 1}
        return moved
    made = Archive("field", fake_sas.FakeMission())
    full_process_xmm(made, **QUIET)
    assert counted(sas) == ALL
    shutil.copytree(tmp_path / "daxa_output", template)
    return made


def counted(sas) -> dict[str, int]:
    """Programs that have been run since the last time this was asked."""
    found = Counter(line.split()[0] for line in sas.calls)
    sas.forget()
    return dict(found)


def product(archive: Archive, pattern: str) -> Path:
    (path,) = archive.obs_folder(X, OBS).glob(pattern)
    return path


def again(archive: Archive, sas, **options) -> dict[str, int]:
    full_process_xmm(archive, **QUIET, **options)
    return counted(sas)


def test_nothing_is_done_twice(archive, sas):
    assert again(archive, sas) == {}
    assert archive.stale == {X: {}}


def test_an_altered_product_is_noticed(archive, sas):
    events = product(archive, "events/*S001-events.fits")
    content = events.read_bytes()
    events.write_bytes(b"Y" * len(content))
    assert again(archive, sas) == {"emchain": 1}
    assert events.read_bytes() == content


def test_a_copied_archive_is_not_made_again(archive, sas):
    for path in archive.obs_folder(X, OBS).rglob("*.fits"):
        os.utime(path, (1e9, 1e9))
    assert again(archive, sas) == {}


def test_no_step_builds_on_an_altered_product(archive, sas):
    events = product(archive, "events/*S001-events.fits")
    content, status = events.read_bytes(), events.stat()
    events.write_bytes(b"Y" * len(content))
    # Not even if nothing but its content tells.
    os.utime(events, ns=(status.st_atime_ns, status.st_mtime_ns))
    product(archive, "events/*cleanevents.fits").unlink()
    with pytest.warns(UserWarning, match="inputChanged .*has been altered"):
        cleaned_evt_lists(archive, **QUIET)
    events.write_bytes(content)
    cleaned_evt_lists(archive, **QUIET)
    assert counted(sas) == {"evselect": 1}


def test_raw_files_that_change_or_come(archive, sas):
    raw = archive[X].get_obs_path(OBS)
    (raw / "extra.FIT").write_text("x")
    # What reads the raw files is made again; as its result is the same, nothing else is.
    assert again(archive, sas) == {"odfingest": 1, "emchain": 1}
    (raw / "summary").write_text("CHANGED content, of another length")
    # The chain reads the raw files itself; here its result is the same, and what is made of it stays.
    assert again(archive, sas) == {"odfingest": 1, "emchain": 1, "espfilt": 1, "evselect": 3, "eexpmap": 1}
    assert again(archive, sas) == {}


def test_another_back_end_makes_everything_again(archive, sas, monkeypatch):
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    with pytest.warns(UserWarning, match="jobs failed"):
        cif_build(archive, **QUIET)
    assert archive.process_success[X]["cif_build"] == {OBS: False}


def test_another_release_of_sas(archive, sas, monkeypatch):
    monkeypatch.setattr("daxa.process.recording.sas_version", lambda: "xmmsas-22.1.0")
    assert again(archive, sas) == ALL
    (run,) = archive.ledger.runs(process="espfilt")
    assert run.versions["sas"] == "xmmsas-22.1.0"
    assert again(archive, sas, redo="never") == {}


def test_releases_of_the_engine_that_differ_in_the_last_number_only(archive):
    def made_by(version: str) -> str:
        run = Run(
            "emchain", OBS, X, OBS, backend="embedded", versions={"backend": "embedded", "daxa": version}
        )
        return fingerprint([Task("emchain", odf="odf")], Recipe([], {}), run)

    assert made_by("1.2.3") == made_by("1.2.4")
    assert made_by("1.2.3") != made_by("1.3.0")
    assert made_by("1.2.3") != made_by("2.2.3")


def test_calibration_files_that_are_others_now(sas, monkeypatch, tmp_path):
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: {"M1": {"S001": fake_sas.exposure()}}})
    ccf = tmp_path / "ccf"
    ccf.mkdir()
    monkeypatch.setenv("SAS_CCFPATH", str(ccf))
    files = {name: ccf / name for name in ("EMOS1_ADUCONV_0001.CCF", "XMM_BORESIGHT_0002.CCF")}
    entries = []
    for name, path in files.items():
        path.write_text(f"content of {name}")
        scope, kind, issue = name.removesuffix(".CCF").rsplit("_", 2)
        entries.append(Entry(scope, kind, int(issue), md5=md5sum(path)))
    write_index(sas.folder / "index", CalibrationIndex(entries, {"CATEGORY": "XMMCCF"}))
    behaviour = 'if [ $task = cifbuild ]; then cp "$FAKE_SAS/index" "$p_calindexset"; exit 0; fi\n'
    sas.behave(behaviour)
    archive = Archive("field", fake_sas.FakeMission())
    full_process_xmm(archive, **QUIET)
    assert counted(sas) == ALL
    assert again(archive, sas) == {}

    def index_again() -> dict[str, int]:
        sas.behave(behaviour)
        return again(archive, sas)

    # The same again under another time: nothing is done.
    one = files["EMOS1_ADUCONV_0001.CCF"]
    os.utime(one, (1, 1))
    assert index_again() == {}
    # Others under their names, and one that is gone; as the new index is the same, nothing else is made.
    one.write_text("another content")
    assert index_again() == {"cifbuild": 1}
    one.unlink()
    assert index_again() == {"cifbuild": 1}
    # The folder is not at hand: nothing is known of its files.
    ccf.rename(tmp_path / "away")
    assert index_again() == {}


def test_a_publication_that_was_killed_is_no_result(archive, sas, monkeypatch):
    gti = product(archive, "cleaning/*gti.fits")
    sound = gti.read_text()

    def killed(self, run, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            espfilt(archive, range_scale={"mos": 9.0, "pn": 15.0}, **QUIET)
    assert gti.read_text() != sound
    assert "interrupted" in archive.stale[X]["espfilt"][f"{OBS}M1S001"]
    counted(sas)
    assert again(archive, sas) == {"espfilt": 1}
    assert gti.read_text() == sound
    assert archive.stale == {X: {}}


def test_what_is_out_of_date_is_told(archive, sas):
    espfilt(archive, allowed_sigma=2.0, range_scale={"mos": 9.0, "pn": 15.0}, **QUIET)
    assert set(archive.stale[X]) == {"cleaned_evt_lists", "merge_subexposures", "generate_images_expmaps"}
    stale = {row["step"]: row["stale"] for row in status_table(archive)}
    assert stale["cleaned_evt_lists"] == stale["generate_images_expmaps"] == 1
    assert stale["espfilt"] == stale["emchain"] == 0
    with pytest.warns(UserWarning, match=r"generate_images_expmaps: 1 of 1 build on what is out of date"):
        generate_images_expmaps(archive, **QUIET)
    counted(sas)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cleaned_evt_lists(archive, **QUIET)
        merge_subexposures(archive, **QUIET)
        generate_images_expmaps(archive, **QUIET)
    # The stand-in's cleaned list is the same whatever the good times: what is made of it is up to date.
    assert counted(sas) == {"evselect": 1}
    assert archive.stale == {X: {}}
    # One that has the good times in it makes everything after it out of date, one step after the other.
    sas.behave('if [ -n "$p_filteredset" ]; then trap \'cat *gti.fits >> "$p_filteredset"\' EXIT; fi\n')
    with redoing("all"):
        cleaned_evt_lists(archive, **QUIET)
    assert counted(sas) == {"evselect": 1}
    assert set(archive.stale[X]) == {"merge_subexposures", "generate_images_expmaps"}
    merge_subexposures(archive, **QUIET)
    assert set(archive.stale[X]) == {"generate_images_expmaps"}
    generate_images_expmaps(archive, **QUIET)
    assert counted(sas) == {"evselect": 2, "eexpmap": 1}
    assert archive.stale == {X: {}}
    assert "gti" in product(archive, "images/*0.5_2.0keV-image.fits").read_text()


def test_time_stamps_make_nothing_out_of_date(archive, sas):
    # The shell programs write no time; a file made anew with equal content stands for one that differs in it.
    product(archive, "ccf.cif").unlink()
    assert again(archive, sas) == {"cifbuild": 1}
    assert archive.stale == {X: {}}


def test_what_may_be_made_again(archive, sas):
    assert again(archive, sas, redo="all") == ALL
    with redoing("never"):
        espfilt(archive, allowed_sigma=1.0, **QUIET)
    assert counted(sas) == {}
    with pytest.raises(ValueError, match="redo: expected one of changed"):
        full_process_xmm(archive, redo="some", **QUIET)


def test_what_the_first_package_has_made_is_kept_unless_asked(archive, sas):
    archive.ledger._db.execute("UPDATE run SET fingerprint='', versions='{\"daxa\": \"0.3.7\"}'")
    assert again(archive, sas) == {}
    assert len(archive.stale[X]) == 7
    assert again(archive, sas, redo="stale") == ALL
    assert archive.stale == {X: {}}


def test_raw_data_that_are_away_for_a_while(archive, sas):
    raw = Path(archive[X].raw_data_path)
    away = raw.parent / "away"
    raw.rename(away)
    with pytest.warns(UserWarning, match="what was made of its raw data is kept"):
        assert again(archive, sas) == {}
    assert all(all(i.values()) for i in archive.process_success[X].values())
    assert archive.final_process_success == {X: {OBS: True}}
    product(archive, "cleaning/*gti.fits").unlink()
    with pytest.warns(UserWarning, match="is kept"):
        assert again(archive, sas) == {"espfilt": 1}
    away.rename(raw)
    assert again(archive, sas) == {}


def test_images_of_what_the_list_holds_only(archive, sas):
    band = Quantity(0.5, "keV"), Quantity(3, "keV")
    full_process_xmm(archive, *band, **QUIET)
    names = {p.name.split("-en")[1] for p in (archive.obs_folder(X, OBS) / "images").iterdir()}
    assert "2.0_3.0keV-image.fits" in names
    with pytest.warns(UserWarning, match=r"holds 0\.5-3 keV only; no image of 2-10 keV"):
        generate_images_expmaps(archive, **QUIET)
