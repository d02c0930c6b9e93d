"""What archives and missions say of themselves, and what they advise next."""

from __future__ import annotations

import pytest
from small_mission import MISSIONS, OBS, OtherMission, SmallMission, X, record

from daxa._version import __version__
from daxa.archive import Archive
from daxa.process.advice import advice

ONE, TWO = OBS


@pytest.fixture(autouse=True)
def _index(monkeypatch):
    monkeypatch.setattr("daxa.mission.MISS_INDEX", MISSIONS)


@pytest.fixture
def calibration(tmp_path, monkeypatch):
    (tmp_path / "ccf").mkdir()
    (tmp_path / "ccf" / "XMM_MISCDATA_0001.CCF").touch()
    monkeypatch.setenv("DAXA_CCFPATH", str(tmp_path / "ccf"))


@pytest.fixture
def archive():
    return Archive("field", SmallMission())


def test_a_new_archive_needs_calibration_files_and_a_reduction(archive):
    assert repr(archive) == f"<Archive field: 2 observations of {X}; none processed yet>"
    assert [call for _, call in advice(archive)] == [
        "daxa calibration fetch",
        "daxa.full_process_xmm(archive)",
    ]
    text = str(archive)
    assert f"made with        DAXA {__version__}\n" in text
    assert text.count("not begun") == 2
    assert "daxa calibration fetch" in archive._repr_html_()


def test_what_is_done_failed_and_out_of_date(archive, calibration, capsys):
    record(archive, ident=f"{ONE}M1S001", versions={"daxa": "0.3.7"})
    record(archive, "espfilt", f"{TWO}M1S001", status="failed")
    archive.final_process_success = {X: {ONE: True}}
    assert repr(archive) == f"<Archive field: 2 observations of {X}; 1 processed>"
    told = advice(archive)
    assert [call for _, call in told] == [
        "daxa.full_process_xmm(archive)",
        f'archive.process_errors["{X}"]["espfilt"]',
        'daxa.full_process_xmm(archive, redo="stale")',
        "archive.report()",
        "daxa.process.find_sources(archive)",
        f'archive.events("{ONE}"), archive.images("{ONE}")',
    ]
    assert told[0][0] == "1 of 2 observations are not processed yet"
    archive.info()
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert lines[ONE].endswith("processed, 1 out of date")
    assert lines[TWO].endswith("begun")


def test_an_exposure_of_which_nothing_is_left(archive, calibration):
    told = {"originator": "espfilt", "name": "allFlare", "message": "no quiet level"}
    record(
        archive,
        "espfilt",
        f"{TWO}M1S001",
        warnings=[told],
        versions={"daxa": __version__, "backend": "embedded"},
    )
    why, call = advice(archive)[1]
    assert why == f"espfilt has found no time without flares in {TWO}M1S001; see why"
    assert call == f'archive.process_warnings["{X}"]["espfilt"]'


def test_a_process_at_work(archive):
    with archive.processing():
        assert advice(archive) == [("a process works on it; see later how far it is", "archive.info()")]
        assert "at work" in str(archive)


def test_missions_without_steps(calibration):
    archive = Archive("two", [SmallMission(), OtherMission()])
    assert "use_preprocessed=True" in advice(archive)[1][1]
    assert " other " in str(archive)


def test_a_mission(archive):
    mission = SmallMission()
    assert [line.split()[0] for line in str(mission).splitlines() if ONE[:6] in line] == [ONE, TWO]
    assert "mission.filter_on_name" in str(mission)
    mission.filter_on_obs_ids(ONE)
    assert "filter_on_name" not in str(mission)
    assert 'archive = daxa.Archive("NAME", mission)' in str(mission)
    assert "&quot;NAME&quot;" in mission._repr_html_()
    with pytest.warns(UserWarning, match="no observation is selected any more"):
        mission.filter_array = mission.filter_array & False
    assert "mission.reset_filter()" in str(mission)
    assert "belongs to an archive" in str(archive[X])
