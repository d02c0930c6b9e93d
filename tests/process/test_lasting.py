"""What is good stays good: raw data away, files that vanish, stops, updates, records made anew."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoints
from pathlib import Path

import fake_sas
import pytest
from test_many import trivial

from daxa.archive import Archive
from daxa.exceptions import DAXAError
from daxa.process import redoing, runner, use_executor
from daxa.process.rebuild import rebuild
from daxa.process.simple import full_process_xmm
from daxa.process.xmm import mosaics, setup
from daxa.process.xmm.mosaics import generate_mosaics
from daxa.process.xmm.setup import cif_build

X, OBS, OTHER = "xmm_pointed", "0800010101", "0800010201"
QUIET = {"num_cores": 2, "disable_progress": True}


def archive_of(monkeypatch, observed: dict[str, dict], insts=None) -> Archive:
    monkeypatch.setattr(fake_sas, "OBSERVED", observed)
    return Archive("field", fake_sas.FakeMission(insts))


def counted(sas) -> dict[str, int]:
    found = Counter(line.split()[0] for line in sas.calls)
    sas.forget()
    return dict(found)


def one(inst="M1", exp_id="S001") -> dict:
    return {inst: {exp_id: fake_sas.exposure()}}


def test_gratings_stay_good_while_the_raw_data_are_away(sas, monkeypatch):
    archive = archive_of(monkeypatch, {OBS: {**one(), **one("R1", "S004")}}, ["M1", "R1"])
    full_process_xmm(archive, **QUIET)
    before = archive.process_success
    assert all(before[X]["cleaned_rgs_event_lists"].values())
    counted(sas)
    raw = Path(archive[X].raw_data_path)
    raw.rename(raw.parent / "away")
    with pytest.warns(UserWarning, match="what was made of its raw data is kept"):
        full_process_xmm(archive, **QUIET)
    assert counted(sas) == {}
    assert archive.process_success == before
    # What is lost cannot be made without them; that is said, and nothing else is touched.
    next(archive.obs_folder(X, OBS).glob("events/*R1*finalevents.fits")).unlink()
    with pytest.warns(UserWarning, match="raw data are not there"):
        full_process_xmm(archive, **QUIET)
    assert counted(sas) == {}
    (raw.parent / "away").rename(raw)
    full_process_xmm(archive, **QUIET)
    assert counted(sas) == {"rgsproc": 1}
    assert archive.process_success == before


def test_a_file_that_several_runs_make_alike_is_nobodys(sas, monkeypatch):
    archive = archive_of(monkeypatch, {OBS: {**one(), **one("M2", "S002")}})
    full_process_xmm(archive, **QUIET)
    counted(sas)
    next(archive.obs_folder(X, OBS).glob("events/*M1*S001-events.fits")).unlink()
    sas.behave("if [ $task$p_instruments = emchainM1 ]; then exit 1; fi\n")
    with pytest.warns(UserWarning, match="1 of .* jobs failed"):
        full_process_xmm(archive, **QUIET)
    # The images of M2 build on the attitude file too, which is the same.
    assert counted(sas) == {"emchain": 1}
    assert f"{OBS}M2" not in archive.stale[X].get("generate_images_expmaps", {})
    assert f"{OBS}M1" in archive.stale[X]["generate_images_expmaps"]
    archive.ledger._db.execute("UPDATE output SET data='other' WHERE path LIKE 'P%ATTTSR%'")
    assert "anew" in archive.stale[X]["generate_images_expmaps"][f"{OBS}M2"]


def test_an_output_that_vanishes_fails_its_job_only(sas, monkeypatch):
    archive = archive_of(monkeypatch, {OBS: {**one(), **one("M2", "S002")}})
    run_job = runner.run_job

    def vanishing(job):
        outcome = run_job(job)
        for path in outcome.outputs:
            if "M1" in path and path.endswith("gti.fits"):
                Path(path).unlink()
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(runner, "run_job", vanishing)
        with pytest.warns(UserWarning, match="outputGone .*M1.*gti.fits: is not there any more"):
            full_process_xmm(archive, **QUIET)
    assert archive.process_success[X]["espfilt"] == {f"{OBS}M1S001": False, f"{OBS}M2S002": True}
    assert archive.process_success[X]["generate_images_expmaps"] == {f"{OBS}M2": True}
    full_process_xmm(archive, **QUIET)
    assert all(archive.process_success[X]["generate_images_expmaps"].values())


def test_jobs_on_other_executors_are_awaited(sas, monkeypatch):
    archive = archive_of(monkeypatch, {OBS: one(), OTHER: one()})
    begun, told_to_stop, ended = threading.Event(), threading.Event(), []

    def job_that_is_stopped(job):
        if job.ident == OBS:
            assert begun.wait(60)
            raise KeyboardInterrupt
        begun.set()
        told_to_stop.wait(10)
        ended.append(archive.in_work)
        return trivial(job)

    monkeypatch.setattr(runner, "run_job", job_that_is_stopped)
    monkeypatch.setattr(runner.launch, "shut_down", told_to_stop.set)
    pool = ThreadPoolExecutor(2)
    with pool, use_executor(pool):
        with pytest.raises(KeyboardInterrupt):
            cif_build(archive, **QUIET)
        # It ended before the archive was given free.
        assert ended == [True]
    assert not archive.in_work
    assert {r.status for r in archive.ledger.runs(everything=True)} == {"interrupted"}


def test_an_early_step_reopens_no_observation_that_failed(sas, monkeypatch):
    archive = archive_of(monkeypatch, {OBS: one()})
    sas.behave("if [ $task = emchain ]; then exit 1; fi\n")
    with pytest.warns(UserWarning, match="jobs failed"):
        full_process_xmm(archive, **QUIET)
    assert archive.layout.failed(X, OBS).is_dir()
    with redoing("all"):
        cif_build(archive, **QUIET)
    assert archive.final_process_success == {X: {OBS: False}}
    assert archive.layout.failed(X, OBS).is_dir()
    sas.forget()
    full_process_xmm(archive, **QUIET)
    assert archive.final_process_success == {X: {OBS: True}}
    assert not archive.layout.failed(X, OBS).exists()
    assert (archive.layout.processed(X, OBS) / "events").is_dir()


@pytest.fixture
def with_mosaics(sas, monkeypatch) -> Archive:
    """Two observations with mosaics, made by jobs that run nothing."""
    monkeypatch.setattr(runner, "run_job", trivial)
    monkeypatch.setattr(mosaics, "run_job", trivial)
    archive = archive_of(monkeypatch, {OBS: one(), OTHER: one()})
    full_process_xmm(archive, **QUIET)
    generate_mosaics(archive, **QUIET)
    return archive


def test_mosaics_are_up_to_date_after_an_upgrade(with_mosaics, monkeypatch):
    archive = with_mosaics
    assert archive.stale == {X: {}}
    monkeypatch.setattr("daxa.process.recording.__version__", "99.1.0")
    monkeypatch.setattr("daxa.archive.staleness.__version__", "99.1.0")
    # Everything else is of SAS, whose release is the same.
    assert set(archive.stale[X]) == {"generate_mosaics"}
    assert len(archive.stale[X]["generate_mosaics"]) == 4
    generate_mosaics(archive, **QUIET)
    assert archive.stale == {X: {}}
    count = len(list(archive.ledger.runs(everything=True)))
    generate_mosaics(archive, **QUIET)
    assert len(list(archive.ledger.runs(everything=True))) == count


def test_mosaics_are_recorded_anew(with_mosaics):
    archive = with_mosaics
    before, extra = archive.process_success, archive.process_extra_info[X]["generate_mosaics"]
    archive.ledger.close()
    for path in archive.layout.save_info.glob("ledger*"):
        path.unlink()
    archive.layout.ledger.touch()
    from daxa.archive.rescue import begin_anew

    assert begin_anew(archive.layout) == "nothing"
    again = Archive("field")
    assert rebuild(again) == sum(len(idents) for idents in before[X].values())
    assert again.process_success == before
    assert again.process_extra_info[X]["generate_mosaics"] == extra
    assert rebuild(again) == 0


def test_what_cannot_be_recorded_anew_is_told(with_mosaics, monkeypatch):
    archive = with_mosaics
    archive.ledger._db.execute("DELETE FROM run")
    archive.ledger._db.execute("DELETE FROM observation")
    parse = setup.parse_odf_sum

    def unreadable(path, obs_id=None):
        if obs_id == OBS:
            raise ValueError(f"{path} is damaged")
        return parse(path, obs_id)

    monkeypatch.setattr(setup, "parse_odf_sum", unreadable)
    with pytest.warns(UserWarning, match=f"not recorded: what follows odf_ingest of {OBS} .*damaged"):
        rebuild(archive)
    assert set(archive.process_success[X]["emchain"]) == {f"{OTHER}M1S001"}


def test_calibration_that_is_not_known_is_told(sas, monkeypatch):
    archive = archive_of(monkeypatch, {OBS: one()})
    cif_build(archive, **QUIET)
    (warning,) = archive.process_warnings[X]["cif_build"][OBS]
    assert warning["name"] == "calibrationUnknown"
    assert "ccf.cif: not a readable index" in warning["message"]


@pytest.fixture
def updated(sas, monkeypatch) -> Archive:
    """An archive of one observation; the catalogue has another since."""
    archive = archive_of(monkeypatch, {OBS: one()})
    full_process_xmm(archive, **QUIET)
    counted(sas)
    monkeypatch.setattr(fake_sas, "OBSERVED", {OBS: one(), OTHER: one()})
    return archive


def test_new_observations_are_processed_like_the_old_ones(updated, sas):
    # A process that is no longer known does not keep the others from being run.
    updated.ledger.set_configuration(X, "old_step", {})
    with pytest.warns(UserWarning, match="old_step: recorded for xmm_pointed, but there is no such process"):
        updated.update()
    assert str(updated.version) == "0.1.0"
    assert updated.final_process_success == {X: {OBS: True, OTHER: True}}
    assert counted(sas)["emchain"] == 1
    kept = Archive("field").layout.previous_versions / f"{X}_state_0.0.0.json"
    assert list(fake_sas.FakeMission(save_file_path=kept).filtered_obs_ids) == [OBS]
    state = Archive("field").layout.mission_state(X)
    assert list(fake_sas.FakeMission(save_file_path=state).filtered_obs_ids) == [OBS, OTHER]


def test_an_update_that_is_interrupted_is_one_of_its_version(updated, monkeypatch):
    def stop(self, *_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner._Runner, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            updated.update()
    again = Archive("field")
    again.update()
    assert str(again.version) == "0.1.0"
    assert again.final_process_success == {X: {OBS: True, OTHER: True}}
    kept = again.layout.previous_versions / f"{X}_state_0.0.0.json"
    assert list(fake_sas.FakeMission(save_file_path=kept).filtered_obs_ids) == [OBS]


def test_an_archive_in_work_is_not_updated(updated):
    with updated.processing(), pytest.raises(DAXAError, match="being processed"):
        Archive("field").update()
    assert list(Archive("field")[X].filtered_obs_ids) == [OBS]
    assert str(Archive("field").version) == "0.0.0"


def test_an_installation_that_does_not_say_what_can_process(updated, monkeypatch):
    monkeypatch.setattr("daxa.archive.update.entry_points", lambda group: EntryPoints())
    with pytest.raises(DAXAError, match="no installed package says .*daxa.processes"):
        updated.update()
    assert str(updated.version) == "0.0.0"
