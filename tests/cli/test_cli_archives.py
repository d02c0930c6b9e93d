"""Which archive a command works on, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from small_mission import OBS, SmallMission, X
from typer.testing import CliRunner

from daxa.archive import Archive, creation
from daxa.cli.main import app

run = CliRunner()


class Local(SmallMission):
    """Finds its observations without network, wherever they are said to be."""

    def __init__(self, insts=None, save_file_path=None, local=None):
        self._local = None if local is None else Path(local).resolve()
        super().__init__(insts, save_file_path)

    @property
    def local(self):
        return self._local

    @local.setter
    def local(self, folder):
        if folder.name != "moved":
            raise ValueError(f"local: nothing in {folder}")
        self._local = folder

    def filter_on_name(self, name, search_distance=None):
        pass

    def filter_on_positions(self, positions, search_distance=None):
        pass

    def _extra_state(self):
        return {"local": None if self._local is None else str(self._local)}

    def _set_extra_state(self, saved, folder):
        self._local = None if saved["local"] is None else Path(saved["local"])


@pytest.fixture(autouse=True)
def processed(monkeypatch, tmp_path):
    """Archives that were processed, and the folders of calibration files then; nothing really is."""
    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    monkeypatch.setattr("daxa.mission.MISS_INDEX", {X: Local})
    monkeypatch.setattr("daxa.mission.XMMPointed", Local, raising=False)
    monkeypatch.setattr("daxa.cli.process.fetch_calibration", lambda mission: None)
    monkeypatch.setattr("daxa.cli.process.finish", lambda archive, as_json: None)
    monkeypatch.setattr(
        "daxa.process.simple.full_process_xmm",
        lambda archive, **options: calls.append((archive.archive_name, archive.calibration_folders)),
    )
    monkeypatch.setenv("DAXA_CCFPATH", "")
    for name in ("a", "b", "odf"):
        (tmp_path / name).mkdir()
    yield calls
    os.environ.pop("DAXA_CCFPATH", None)


def plain(text: str) -> str:
    return "".join(c for c in text if c not in " │\n╭╰─╮╯")


def process(*words: str, status: int = 0) -> str:
    done = run.invoke(app, ["process", *words])
    assert done.exit_code == status, done.output
    return plain(done.output)


def test_each_selection_has_an_archive_of_its_own(processed, tmp_path):
    process("--local", "a")
    process("--local", "b")
    process("--local", "odf")
    process("--obs-id", OBS[0])
    process("--obs-id", OBS[0], "--obs-id", OBS[1])
    process("--position", "149.6 -11.1")
    process("Abell 907")
    names = [name for name, _ in processed]
    assert names[:2] == ["a", "b"]
    assert names[2:] == [
        f"{tmp_path.name}_odf",
        OBS[0],
        f"{OBS[0]}_and_1_more",
        "149.600000-11.100000",
        "Abell907",
    ]


@pytest.mark.parametrize(
    "other",
    [
        ["--local", "b"],
        ["--obs-id", OBS[0]],
        ["--inst", "M2"],
        ["--position", "1 2"],
        ["Coma"],
    ],
)
def test_an_existing_archive_of_other_observations_is_refused(processed, other):
    process("--local", "a", "--archive", "X")
    output = process("--archive", "X", *other, status=2)
    assert "thearchiveXexists,andwasnotmadewith" in output
    assert "foundby--local" in output
    assert len(processed) == 1


def test_the_same_command_goes_on(processed):
    for words in (["A907", "--inst", "M1"], ["--local", "a", "--archive", "Y"]):
        process(*words)
        process(*words)
    process("--archive", "Y")
    process("--archive", "Y", "--obs-id", OBS[1], "--obs-id", OBS[0])
    assert [name for name, _ in processed] == ["A907", "A907", "Y", "Y", "Y", "Y"]


def test_raw_files_that_were_moved(processed, tmp_path):
    process("--local", "a", "--archive", "X")
    (tmp_path / "a").rename(tmp_path / "moved")
    assert "rawfilesaretakenfrom" in process("--local", "moved", "--archive", "X")
    assert Archive("X")[X].local == tmp_path / "moved"
    process("--local", "moved", "--archive", "X")
    assert len(processed) == 3


def test_a_command_that_is_refused_changes_nothing(processed, tmp_path):
    process("--local", "a", "--archive", "X")
    (tmp_path / "a").rename(tmp_path / "moved")
    state = Archive("X").layout.mission_state(X)
    before = state.read_bytes()
    output = process("--local", "moved", "--archive", "X", "--inst", "M2", status=2)
    assert "wasnotmadewith--instM2:" in output
    assert "rawfilesaretakenfrom" not in output
    assert state.read_bytes() == before


def test_an_archive_whose_replacement_was_interrupted(processed):
    process("--local", "a", "--archive", "X")
    layout = Archive("X").layout
    layout.root.rename(layout.aside)
    creation.begin(layout, [X])
    # It is the archive; another selection is refused as ever, and does not become its own.
    with pytest.warns(UserWarning, match="about to be replaced"):
        assert "wasnotmadewith--local" in process("--local", "b", "--archive", "X", status=2)
    process("--local", "a", "--archive", "X")
    assert len(processed) == 2


@pytest.mark.parametrize(
    "mistake", [["--cores", "0"], ["--backend", "ciao"], ["--ccf", "/nowhere"], ["--executor", "slurm"]]
)
def test_mistakes_leave_no_archive_behind(mistake, tmp_path):
    done = run.invoke(app, ["process", "--local", "a", *mistake])
    assert done.exit_code != 0
    assert not (tmp_path / "daxa_output" / "archives").exists()


def test_the_archive_remembers_its_calibration(processed, tmp_path):
    process("--local", "a", "--ccf", "odf")
    process("--archive", "a")
    process("--archive", "a", "--ccf", "b")
    folders = [calibration for _, calibration in processed]
    assert folders == [[str(tmp_path / "odf")]] * 2 + [[str(tmp_path / "b"), str(tmp_path / "odf")]]


@pytest.mark.parametrize("name", [".", "..", "/etc", "", "x" * 300, "a\nb"])
@pytest.mark.parametrize("command", [["status"], ["report"], ["logs"], ["mosaic"]])
def test_impossible_names_of_archives(command, name):
    done = run.invoke(app, [*command, name, *(["epchain"] if command == ["logs"] else [])])
    assert done.exit_code == 2
    said = plain(done.output)
    assert any(why in said for why in ("notusable", "longerthan200", "isnoarchive:thereisnofolder"))


def test_an_archive_by_its_path(processed, tmp_path, monkeypatch):
    """From anywhere, and from within its folder; the name alone means the folder of output."""
    Archive("here", Local())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("DAXA_OUTPUT", str(elsewhere))
    assert run.invoke(app, ["status", "here"]).exit_code == 2
    folder = tmp_path / "daxa_output" / "archives" / "here"
    for words in ([str(folder)], [f"{folder}/"], [os.path.relpath(folder)]):
        monkeypatch.setenv("DAXA_OUTPUT", str(elsewhere))
        done = run.invoke(app, ["status", *words])
        assert done.exit_code == 0, done.output
        assert "here: nothing has been processed yet" in done.output
    monkeypatch.setenv("DAXA_OUTPUT", str(elsewhere))
    monkeypatch.chdir(folder)
    assert run.invoke(app, ["status", "."]).exit_code == 0
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("DAXA_OUTPUT", str(elsewhere))
    assert run.invoke(app, ["verify", "here"]).exit_code == 0
    # A copy that does not lie where archives do cannot be opened.
    (elsewhere / "copy" / ".save_info").mkdir(parents=True)
    refused = run.invoke(app, ["status", str(elsewhere / "copy")])
    assert refused.exit_code == 2
    assert "liesinonenamed'archives'" in plain(refused.output)


def test_an_archive_whose_creation_was_interrupted(monkeypatch, processed):
    def stop(self, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Local, "download", stop)
        assert run.invoke(app, ["process", "--local", "a"]).exit_code == 130
    done = run.invoke(app, ["status", "a"])
    assert done.exit_code == 2
    assert "creationofthearchive'a'wasinterrupted" in plain(done.output)
    process("--local", "a")
    assert [name for name, _ in processed] == ["a"]
    assert Archive("a").mission_names == [X]


def test_programs_under_names_of_sas_come_with_a_configuration_of_xga(tmp_path):
    process("--local", "a", "--archive", "X")
    done = run.invoke(app, ["sas-shims", "bin", "--xga", "X"])
    assert done.exit_code == 0, done.output
    assert f"XGA_CONFIG_DIR={tmp_path}/bin/xga\n" in Path("bin/setup.sh").read_text()
    assert f"xga_save_path = {tmp_path}/bin/xga/output/\n" in Path("bin/xga/xga.cfg").read_text()
    assert "no archive 'Y'" in run.invoke(app, ["sas-shims", "bin", "--xga", "Y"]).output
