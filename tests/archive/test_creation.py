"""Archives that are made, interrupted, replaced and restored: nothing of them is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import types
import warnings
from pathlib import Path

import pytest
from small_mission import MISSIONS, OBS, SmallMission, X, record

from daxa.archive import Archive, creation
from daxa.archive.lock import hold
from daxa.archive.run import Run
from daxa.exceptions import DAXAError, NoProcessingError, PreProcessedNotSupportedError


@pytest.fixture(autouse=True)
def _index(monkeypatch):
    monkeypatch.setattr("daxa.mission.MISS_INDEX", MISSIONS)


@pytest.fixture
def archive() -> Archive:
    made = Archive("field", SmallMission())
    product = made.obs_folder(X, OBS[0]) / "events" / "a.fits"
    product.write_text("photons")
    record(made)
    return made


def kept(archive: Archive) -> bool:
    product = archive.obs_folder(X, OBS[0]) / "events" / "a.fits"
    return product.read_text() == "photons" and archive.process_success[X]["emchain"]["0800010101M1S001"]


class Interrupted(SmallMission):
    def download(self, **options):
        raise KeyboardInterrupt


@pytest.mark.parametrize("missions", [True, False])
def test_a_lost_state_is_restored(archive, missions):
    archive.replace_version("0.2.0")
    archive.ledger.close()
    archive.layout.process_info.unlink()
    with pytest.warns(UserWarning, match="restored from the ledger"):
        again = Archive("field", SmallMission() if missions else None)
    assert kept(again)
    assert str(again.version) == "0.2.0"
    assert again.layout.process_info.exists()


def test_with_nothing_but_products_these_stay(archive):
    archive.ledger.close()
    for path in archive.layout.save_info.iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="give the missions"):
        Archive("field")
    again = Archive("field", SmallMission())
    assert (again.obs_folder(X, OBS[0]) / "events" / "a.fits").read_text() == "photons"
    with pytest.raises(NoProcessingError):
        _ = again.process_success


@pytest.mark.parametrize("missions", [True, False])
def test_an_interrupted_creation_is_taken_up(missions):
    with pytest.raises(KeyboardInterrupt):
        Archive("field", Interrupted())
    begun = creation.Layout(Path(Archive("other", SmallMission()).archive_path).with_name("field"))
    assert creation.state(begun) is creation.State.BEGUN
    again = Archive("field", SmallMission() if missions else None)
    assert again.mission_names == [X]
    assert creation.state(again.layout) is creation.State.WHOLE
    assert (again.obs_folder(X, OBS[1]) / "logs").is_dir()


def test_an_existing_archive_is_opened_and_differences_are_told(archive):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kept(Archive("field", SmallMission()))
    one = SmallMission(["M2"])
    one.filter_on_obs_ids([OBS[0]])
    with pytest.warns(UserWarning, match=r"its own .*instruments are M1, PN, not M2"):
        again = Archive("field", one)
    assert list(again[X].filtered_obs_ids) == list(OBS)
    with pytest.warns(UserWarning, match="it has no other"):
        Archive("field", [SmallMission(), MISSIONS["other"]()])


def test_clobber_replaces(archive):
    archive.ledger.close()
    with pytest.warns(UserWarning, match="deleted and made anew"):
        again = Archive("field", SmallMission(), clobber=True)
    with pytest.raises(NoProcessingError):
        _ = again.process_success
    assert [p.name for p in again.layout.root.parent.iterdir()] == ["field"]


@pytest.mark.parametrize("mission", [Interrupted, None])
def test_an_archive_whose_successor_fails_is_taken_back(archive, mission, monkeypatch):
    if mission is None:
        monkeypatch.setattr(Archive, "save", lambda self: 1 / 0)
    with pytest.warns(UserWarning, match="made anew"), pytest.raises((KeyboardInterrupt, ZeroDivisionError)):
        Archive("field", (mission or SmallMission)(), clobber=True)
    monkeypatch.undo()
    monkeypatch.setattr("daxa.mission.MISS_INDEX", MISSIONS)
    monkeypatch.setenv("DAXA_OUTPUT", archive.top_level_path)
    assert kept(Archive("field"))


def test_a_replacement_killed_at_any_moment(archive):
    # Killed after the old archive was put aside: it is the archive.
    archive.layout.root.rename(archive.layout.aside)
    with pytest.warns(UserWarning, match="about to be replaced"):
        assert kept(Archive("field", SmallMission()))
    # Killed while its successor was being made: the same command completes it.
    archive.layout.root.rename(archive.layout.aside)
    creation.begin(archive.layout, [X])
    again = Archive("field", SmallMission(), clobber=True)
    with pytest.raises(NoProcessingError):
        _ = again.process_success
    assert not again.layout.aside.exists()


def test_only_clobber_completes_a_replacement(archive):
    archive.layout.root.rename(archive.layout.aside)
    creation.begin(archive.layout, [X])
    with pytest.warns(UserWarning, match="about to be replaced.*clobber=True replaces it"):
        again = Archive("field", SmallMission())
    assert kept(again)
    assert [p.name for p in again.layout.root.parent.iterdir()] == ["field"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_deletion_that_is_killed_brings_nothing_back(archive, monkeypatch, when):
    """Half of an archive never takes the place of a whole one."""

    def killed(folder, **_):
        if when == "after":
            shutil.rmtree(folder / ".save_info")
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(creation, "shutil", types.SimpleNamespace(rmtree=killed))
        with pytest.warns(UserWarning, match="made anew"), pytest.raises(SystemExit):
            Archive("field", SmallMission(), clobber=True)
    again = Archive("field")
    with pytest.raises(NoProcessingError):
        _ = again.process_success
    shutil.rmtree(again.layout.root)
    with pytest.raises(ValueError, match="give the missions"):
        Archive("field")


def test_a_successor_whose_removal_is_killed(archive, monkeypatch):
    """The successor failed, and what there was of it was being deleted."""

    def killed(folder, **_):
        shutil.rmtree(folder / ".save_info")
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(creation, "shutil", types.SimpleNamespace(rmtree=killed))
        with pytest.warns(UserWarning, match="made anew"), pytest.raises(SystemExit):
            Archive("field", Interrupted(), clobber=True)
    assert kept(Archive("field", SmallMission()))


def test_an_object_of_a_replaced_archive_records_nothing(archive):
    with pytest.warns(UserWarning, match="made anew"):
        again = Archive("field", SmallMission(), clobber=True)
    for use in (
        lambda: archive.processing().__enter__(),
        archive.save,
        lambda: record(archive),
        lambda: archive.replace_version("9.0.0"),
        lambda: setattr(archive, "final_process_success", {X: {OBS[0]: False}}),
    ):
        with pytest.raises(DAXAError, match="replaced since the archive was opened"):
            use()
    assert str(Archive("field").version) == str(again.version)
    assert (again.obs_folder(X, OBS[0]) / "logs").is_dir()
    assert list((again.obs_folder(X, OBS[0]) / "logs").iterdir()) == []


def test_folders_are_moved_by_one_process_only(archive):
    with archive.processing(), pytest.raises(DAXAError, match="being processed by another"):
        Archive("field").final_process_success = {X: {OBS[0]: False}}
    assert kept(archive)


def test_a_removed_mission_stays_away(archive):
    both = Archive("both", [SmallMission(), MISSIONS["other"]()])
    del both["other"]
    both.ledger.close()
    both.layout.process_info.unlink()
    with pytest.warns(UserWarning, match="restored"):
        assert Archive("both").mission_names == [X]


@pytest.mark.parametrize("content", [None, b""])
@pytest.mark.parametrize("missions", [True, False])
def test_a_lost_state_and_a_lost_ledger_are_restored(archive, content, missions):
    with archive.processing():
        record(archive, "epchain")
    archive.ledger.close()
    for path in archive.layout.save_info.glob("ledger.sqlite*"):
        path.unlink()
    archive.layout.process_info.unlink()
    if content is not None:
        archive.layout.ledger.write_bytes(content)
    with pytest.warns(UserWarning, match="restored"):
        assert kept(Archive("field", SmallMission() if missions else None))


def test_all_but_the_copy_of_the_ledger_is_lost(archive):
    with archive.processing():
        record(archive, "epchain")
    archive.ledger.close()
    for path in archive.layout.save_info.iterdir():
        if path != archive.layout.backup:
            path.unlink()
    with pytest.warns(UserWarning, match="restored from its copy"):
        assert kept(Archive("field", SmallMission()))


def test_states_saved_at_the_same_moment(archive, monkeypatch):
    """Another process wants to write the state between writing and renaming it: it waits its turn."""
    replace = os.replace
    refused = []

    def meanwhile(source, target):
        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(DAXAError, match="held by another process"):
            other.save()
        refused.append(target)
        replace(source, target)

    monkeypatch.setattr("daxa.archive.database._WAIT_S", 0)
    other = Archive("field")
    monkeypatch.setattr(os, "replace", meanwhile)
    archive.save()
    assert refused == [archive.layout.process_info]
    other.save()
    assert kept(Archive("field"))
    assert not list(archive.layout.save_info.glob(".*.part"))


def test_halves_of_states_and_copies_are_removed(archive):
    halves = [archive.layout.save_info / f".{n}.abc.part" for n in ("process_info.json", "ledger.backup")]
    for path in halves:
        path.write_text("half")
    with archive.processing():
        record(archive, "epchain")
        assert not any(p.exists() for p in halves)
    assert archive.layout.backup.exists()


def test_looking_at_an_archive_stops_no_start(archive, monkeypatch):
    """Another process looks whether the archive is in work at the very moment that it is to be."""
    import fcntl

    with archive.processing():
        pass
    looking = archive.layout.lock.open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("daxa.archive.lock.time.sleep", lambda _: looking.close())
    with archive.processing():
        assert Archive("field").in_work


def test_what_was_being_published_is_removed_whenever_that_is_stopped(archive, monkeypatch):
    archive.ledger.start(Run("generate_mosaics", "x", X, OBS[0], status="running", started="2026"))
    archive.layout.mosaics.mkdir()
    parts = [
        archive.obs_folder(X, OBS[0]) / "images" / ".a.fits.12.part",
        archive.layout.mosaics / ".b.fits.12.part",
    ]
    for part in parts:
        part.write_text("half")

    def killed(*_, **__):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(SystemExit):
            archive.processing().__enter__()
    with archive.processing():
        assert not any(p.exists() for p in parts)


def test_clobber_respects_a_run(archive):
    with (
        archive.processing(),
        pytest.raises(DAXAError, match=r"being processed by another process \(process"),
    ):
        Archive("field", SmallMission(), clobber=True)
    assert kept(archive)


def test_clobber_leaves_other_folders_alone(archive):
    folder = archive.layout.root.with_name("thesis")
    (folder / "text").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="not an archive"):
        Archive("thesis", SmallMission(), clobber=True)
    assert (folder / "text").is_dir()


def test_two_processes_make_one_archive(archive, tmp_path):
    layout = archive.layout
    other = layout.root.with_name(".second.lock")
    program = (
        "import sys; from pathlib import Path; from daxa.archive.lock import hold\n"
        "with hold(Path(sys.argv[1]), 'x'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(other)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DAXAError, match=f"second is being made by another process .*{holder.pid}"):
            Archive("second", SmallMission())
    finally:
        holder.communicate("")
    assert Archive("second", SmallMission()).mission_names == [X]
    assert not other.exists()


def test_what_cannot_work_is_refused_before_anything_is_made(archive):
    class WithoutProducts(SmallMission):
        def download(self, **options):
            raise AssertionError("downloaded")

    with pytest.raises(PreProcessedNotSupportedError):
        Archive("new", WithoutProducts(), use_preprocessed=True)
    assert not archive.layout.root.with_name("new").exists()


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", " ", "a\0b", "...", ".hidden", "x" * 300, "a/b", " a"])
def test_unusable_names(name):
    with pytest.raises(ValueError, match="archive_name"):
        Archive(name, SmallMission())


@pytest.mark.parametrize("name", ["Größe", "data (new), #2", "星", "a'b"])
def test_usable_names(name):
    assert Archive(name, SmallMission()).archive_path.endswith(f"/archives/{name}/")


def test_a_lock_that_the_file_system_lacks(tmp_path, monkeypatch):
    import errno
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match="no file locks"), hold(tmp_path / "lock", "x"):
        pass


def old_archive(root: Path) -> Path:
    """An archive as DAXA 0.3.7 leaves it, by its description."""
    folder = root / "processed_data" / X / OBS[0]
    for name in ("events", "cleaning", "logs"):
        (folder / name).mkdir(parents=True)
    info = root / ".save_info"
    info.mkdir()
    clean, gti = folder / "events" / "clean.fits", folder / "cleaning" / "gti.fits"
    clean.write_text("clean")
    gti.write_text("gti")
    (folder / "logs" / f"espfilt_{OBS[0]}M1S001_stdout.log").write_text("espfilt eventfile=x\n")
    logs = root / "failed_data" / X / OBS[1] / "logs"
    logs.mkdir(parents=True)
    (logs / f"emchain_{OBS[1]}M1S001_stderr.log").write_text("** emchain: error")
    elsewhere = str(folder).replace(str(root), "/elsewhere/old")
    ident, bad = f"{OBS[0]}M1S001", f"{OBS[1]}M1S001"
    exposures = {"S001": {"scheduled": True, "type": "SCIENCE", "mode": "m", "filter": "f", "ccd_modes": {}}}
    state = {
        "version": "0.1.0",
        "mission_names": [X],
        "process_success": {
            X: {
                "emchain": {ident: True, bad: False},
                "espfilt": {ident: True},
                "cleaned_evt_lists": {ident: True},
            }
        },
        "process_errors": {X: {"emchain": {bad: ["noEvents raised by emchain - nothing"]}}},
        "process_warnings": {
            X: {"espfilt": {ident: [{"originator": "espfilt", "name": "w", "message": "m"}]}}
        },
        "process_extra_info": {
            X: {
                "espfilt": {ident: {"gti_path": f"{elsewhere}/cleaning/gti.fits"}},
                "cleaned_evt_lists": {
                    ident: {"evt_clean_path": f"{elsewhere}/events/clean.fits", "en_key": ""}
                },
            }
        },
        "obs_summaries": {X: {OBS[0]: {"M1": {"active": True, "num_exp": 1, "exposures": exposures}}}},
        "use_this_obs": {X: {OBS[0]: {"M1": {"S001": True}}}},
        "final_process_success": {X: {OBS[0]: True}},
        "process_run_config": {X: [{"espfilt": {"method": "histogram", "with_binning": "Quantity 60.0 s"}}]},
    }
    (info / "process_info.json").write_text(json.dumps(state, indent=4))
    SmallMission().save(info)
    return info / "process_info.json"


def test_an_archive_of_the_first_package_opens_with_its_history(tmp_path):
    root = tmp_path / "daxa_output" / "archives" / "old"
    before = old_archive(root).read_text()
    ident, bad = f"{OBS[0]}M1S001", f"{OBS[1]}M1S001"
    with pytest.warns(UserWarning, match=r"made by DAXA 0\.3\.7: its history \(4 runs\)"):
        archive = Archive("old")
    for opened in (archive, Archive("old")):
        assert opened.process_success[X] == {
            "emchain": {ident: True, bad: False},
            "espfilt": {ident: True},
            "cleaned_evt_lists": {ident: True},
        }
        assert opened.process_errors[X]["emchain"] == {bad: ["noEvents raised by emchain - nothing"]}
        assert opened.process_warnings[X]["espfilt"][ident][0]["message"] == "m"
        assert opened.raw_process_errors[X]["emchain"] == {bad: "** emchain: error"}
        assert opened.get_process_logs("espfilt")[X] == {
            ident: "espfilt eventfile=x\n",
        }
        clean = str(root / "processed_data" / X / OBS[0] / "events" / "clean.fits")
        extra = opened.process_extra_info[X]["cleaned_evt_lists"][ident]
        assert extra == {"evt_list": clean, "evt_clean_path": clean, "en_key": ""}
        assert opened.final_process_success == {X: {OBS[0]: True}}
        assert opened.get_obs_to_process(X) == [[OBS[0], "M1", "S001"]]
        (entry,) = opened.process_configurations[X]
        assert entry["espfilt"]["with_binning"].to_value("min") == 1
        assert str(opened.version) == "0.1.0"
        opened.save()
    kept_state = archive.layout.previous_versions / "process_info_0.3.7.json"
    assert kept_state.read_text() == before


def test_a_migration_that_is_interrupted_is_done_again(tmp_path, monkeypatch):
    root = tmp_path / "daxa_output" / "archives" / "old"
    state = old_archive(root)
    before = state.read_text()

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("daxa.archive.ledger.Ledger.set_configuration", stop)
        with pytest.raises(KeyboardInterrupt):
            Archive("old")
    assert state.read_text() == before
    with pytest.warns(UserWarning, match="4 runs"):
        assert len(list(Archive("old").ledger.runs(everything=True))) == 4
