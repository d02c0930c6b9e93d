from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from astropy import units as u
from small_mission import MISSIONS, OBS, OtherMission, SmallMission, X, record

from daxa.archive import Archive
from daxa.archive.run import Run
from daxa.exceptions import (
    DAXAError,
    DuplicateMissionError,
    MissionNotAssociatedError,
    NoDependencyProcessError,
    NoProcessingError,
    NoRegionsAssociatedError,
    ObsNotAssociatedError,
    PreProcessedNotAvailableError,
    PreProcessedNotSupportedError,
)


@pytest.fixture(autouse=True)
def _index(monkeypatch):
    monkeypatch.setattr("daxa.mission.MISS_INDEX", MISSIONS)


@pytest.fixture
def archive() -> Archive:
    return Archive("field", SmallMission())


def test_a_new_archive_and_the_same_again(archive, tmp_path):
    again = Archive("field")
    for a in (archive, again):
        assert a.archive_name == "field"
        assert a.archive_path == f"{tmp_path}/daxa_output/archives/field/"
        assert a.top_level_path == f"{tmp_path}/daxa_output/"
        assert str(a.version) == "0.0.0"
        assert a.mission_names == [X]
        assert len(a) == 1
        assert [m.name for m in a] == [X]
        assert a[X] is a[0] is a.missions[0]
        assert a[X].locked
        assert not a[X].processed
        with pytest.raises(NoProcessingError):
            _ = a.process_names
        assert a.observation_summaries == a.process_observation == a.final_process_success == {X: {}}
        assert a.process_errors == a.process_warnings == a.process_extra_info == {X: {}}
        assert a.source_regions == {X: {}}
    assert again[X].chosen_instruments == ["M1", "PN"]
    assert Path(archive.construct_processed_data_path(X, OBS[0]), "events").is_dir()


def test_arguments(archive):
    with pytest.raises(ValueError, match="missions"):
        Archive("none")
    with pytest.raises(TypeError, match="missions"):
        Archive("none", [SmallMission(), "xmm"])
    with pytest.raises(DuplicateMissionError):
        Archive("none", [SmallMission(), SmallMission()])
    with pytest.raises(KeyError, match="download_products"):
        Archive("none", SmallMission(), download_products={"other": True})
    with pytest.raises(TypeError, match="download_products"):
        Archive("none", SmallMission(), download_products={X: "yes"})
    with pytest.raises(ValueError, match="use_preprocessed"):
        Archive("none", SmallMission(), download_products=False, use_preprocessed=True)
    with pytest.raises(PreProcessedNotSupportedError):
        Archive("none", SmallMission(), use_preprocessed=True)
    with pytest.raises(ValueError, match="archive_name"):
        Archive("../up", SmallMission())
    with pytest.raises(PreProcessedNotAvailableError):
        _ = archive.preprocessed_missions
    archive.layout.root.with_name("folder").mkdir()
    with pytest.raises(FileNotFoundError, match="not an archive"):
        Archive("folder", SmallMission())


def test_archives_can_be_moved(archive, tmp_path, monkeypatch):
    record(archive, extra={"evt_list": {"path": "events/a.fits"}, "obs_date": "2017"})
    archive.ledger.close()
    shutil.move(str(tmp_path / "daxa_output"), str(tmp_path / "moved"))
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / "moved"))
    info = Archive("field").process_extra_info[X]["emchain"]["0800010101M1S001"]
    assert info == {
        "evt_list": f"{tmp_path}/moved/archives/field/processed_data/xmm_pointed/0800010101/events/a.fits",
        "obs_date": "2017",
    }


def test_views_of_the_ledger(archive):
    error = {"originator": "emchain::emframes", "name": "noData", "message": "empty"}
    warning = {"originator": "emchain", "name": "odd", "message": "m"}
    record(archive, warnings=[warning])
    record(archive, ident="0800010201M1S001", status="failed", errors=[error], stderr="** noData")
    record(archive, "epchain", "0800010101PNS003")
    assert archive.process_success == {
        X: {
            "emchain": {"0800010101M1S001": True, "0800010201M1S001": False},
            "epchain": {"0800010101PNS003": True},
        }
    }
    assert archive.process_names == {X: ["emchain", "epchain"]}
    assert archive.process_errors[X]["emchain"] == {
        "0800010201M1S001": ["noData raised by emchain::emframes - empty"],
    }
    assert archive.process_warnings[X]["emchain"]["0800010101M1S001"] == [warning]
    assert archive.raw_process_errors[X]["emchain"] == {"0800010201M1S001": "** noData"}
    assert archive.process_logs[X]["emchain"]["0800010101M1S001"] == "emchain odf=x\n"
    assert archive.get_failed_processes("emchain") == {X: ["0800010201M1S001"]}
    assert archive.get_failed_logs("emchain") == (
        {X: {"0800010201M1S001": "emchain odf=x\n"}},
        {X: {"0800010201M1S001": "** noData"}},
    )
    assert list(archive.get_process_logs("emchain", X, obs_id=OBS[1])[X]) == ["0800010201M1S001"]
    assert archive.get_process_logs("emchain", inst="M2") == {X: {}}
    assert list(archive.get_process_logs("emchain", inst="M2", full_ident="0800010101M1S001")[X])
    with pytest.raises(MissionNotAssociatedError):
        archive.get_process_logs("emchain", "chandra")
    assert list(archive.get_process_logs("emchain", [X], obs_id=OBS[1])[X]) == ["0800010201M1S001"]
    assert archive.get_process_logs("emproc") == archive.get_failed_processes("emproc") == {}
    logs = Path(archive.get_current_data_path(X, OBS[1])) / "logs"
    assert sorted(p.name for p in logs.iterdir()) == [
        "emchain_0800010201M1S001_stderr.log",
        "emchain_0800010201M1S001_stdout.log",
    ]


def test_dependences(archive):
    record(archive)
    record(archive, ident="0800010201M1S001", status="failed")
    record(archive, "espfilt")
    pieces = [["0800010101", "M1", "S001"], ["0800010201", "M1", "S001"]]
    assert archive.check_dependence_success(X, pieces, "emchain").tolist() == [True, False]
    assert archive.check_dependence_success(X, pieces, ["emchain", "espfilt"]).tolist() == [True, False]
    assert archive.check_dependence_success(X, pieces[1:], "emchain", no_success_error=False).tolist() == [
        False
    ]
    with pytest.raises(NoDependencyProcessError, match="none of the 1"):
        archive.check_dependence_success(X, pieces[1:], "emchain")
    with pytest.raises(NoDependencyProcessError, match="cif_build must be run"):
        archive.check_dependence_success(X, pieces, ["cif_build", "emchain"])


def test_setting_processes_never_replaces(archive):
    archive.process_success = ("byhand", {X: {"0800010101": True}})
    assert archive.process_success == {X: {"byhand": {"0800010101": True}}}
    with pytest.warns(UserWarning, match="no change made"):
        archive.process_success = ("byhand", {X: {"0800010101": False, "0800010201": False}})
    assert archive.process_success == {X: {"byhand": {"0800010101": True, "0800010201": False}}}
    archive.process_extra_info = ("byhand", {X: {"0800010101": {"a": 1}}})
    assert archive.process_extra_info[X]["byhand"]["0800010101"] == {"a": 1}
    archive.process_logs = ("byhand", {X: {"0800010101": "typed"}})
    assert archive.get_process_logs("byhand", obs_id="0800010101") == {X: {"0800010101": "typed"}}
    archive.raw_process_errors = ("byhand", {X: {"0800010201": "typed too"}})
    assert archive.get_process_raw_error_logs("byhand") == {X: {"0800010201": "typed too"}}
    assert archive.get_failed_processes("byhand") == {X: ["0800010201"]}
    assert archive.get_failed_logs("byhand")[1] == {X: {"0800010201": "typed too"}}
    with pytest.raises(TypeError, match="tuple"):
        archive.process_success = {X: {}}
    with pytest.raises(TypeError, match="True or False"):
        archive.process_success = ("byhand", {X: {"1": "yes"}})
    with pytest.raises(MissionNotAssociatedError):
        archive.process_success = ("byhand", {"chandra": {}})


def summary(**instruments):
    return {
        inst: {"active": True, "num_exp": len(ids), "exposures": {e: {"type": "SCIENCE"} for e in ids}}
        for inst, ids in instruments.items()
    }


def test_summaries_decide_what_is_processed(archive):
    archive.observation_summaries = {X: {OBS[0]: summary(M1=["S001", "U002"], M2=["S002"], PN=["S003"])}}
    assert set(archive.observation_summaries[X][OBS[0]]) == {"M1", "PN"}
    assert archive.process_observation == {
        X: {OBS[0]: {"M1": {"S001": True, "U002": True}, "PN": {"S003": True}}}
    }
    everything = [[OBS[0], "M1", "S001"], [OBS[0], "M1", "U002"], [OBS[0], "PN", "S003"]]
    assert archive.get_obs_to_process(X) == everything
    assert archive.get_obs_to_process(X, OBS[0]) == everything
    assert archive.get_obs_to_process(X, "PN") == everything[2:]
    assert archive.get_obs_to_process(X, OBS[1]) == []
    with pytest.raises(KeyError, match="active"):
        archive.observation_summaries = {X: {OBS[0]: {"M1": {}}}}
    with pytest.raises(ObsNotAssociatedError):
        archive.observation_summaries = {X: {"0000000000": {}}}


def test_failed_observations_are_moved_and_taken_back(archive):
    (Path(archive.get_current_data_path(X, OBS[0])) / "events" / "a").write_text("a")
    archive.final_process_success = {X: {OBS[0]: False, OBS[1]: True}}
    assert (Path(archive.construct_failed_data_path(X, OBS[0])) / "events" / "a").read_text() == "a"
    assert archive.get_current_data_path(X, OBS[1]) == archive.construct_processed_data_path(X, OBS[1])
    with pytest.raises(ValueError, match="has not failed"):
        archive.construct_failed_data_path(X, OBS[1])
    archive.final_process_success = {X: {OBS[0]: True}}
    assert (Path(archive.construct_processed_data_path(X, OBS[0])) / "events" / "a").exists()
    with pytest.raises(TypeError):
        archive.final_process_success = {X: {OBS[0]: 1}}
    assert archive.construct_processed_data_path().endswith("processed_data/{mn}/{oi}/")
    assert archive.construct_failed_data_path(X).endswith("failed_data/xmm_pointed/{oi}/")
    with pytest.raises(ObsNotAssociatedError):
        archive.construct_processed_data_path(X, "0000000000")


def test_regions(archive, tmp_path):
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from astropy.wcs import WCS
    from regions import CirclePixelRegion, CircleSkyRegion, PixCoord

    assert archive.source_regions == {X: {}}
    with pytest.raises(NoRegionsAssociatedError):
        archive.get_region_file_path(X, OBS[0])
    circle = CircleSkyRegion(SkyCoord(149.6, -11.1, unit="deg"), Quantity(30, "arcsec"))
    archive.source_regions = {X: {OBS[0]: [circle]}}
    (found,) = archive.source_regions[X][OBS[0]]
    assert found.center.separation(circle.center).arcsec < 0.01
    assert archive.get_region_file_path(X, OBS[0]).endswith(
        "regions/xmm_pointed/0800010101/source_regions_radec.reg"
    )
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [149.6, -11.1], [-0.001, 0.001]
    wcs.wcs.crpix = [100, 100]
    pixels = [CirclePixelRegion(PixCoord(99, 99), 10)]
    with pytest.raises(ValueError, match="WCS"):
        archive.source_regions = {X: {OBS[1]: pixels}}
    with pytest.warns(UserWarning, match="replaced"):
        archive.source_regions = {
            X: {OBS[0]: {"regions": pixels, "wcs_src": wcs}, OBS[1]: archive.get_region_file_path(X, OBS[0])}
        }
    (found,) = archive.source_regions[X][OBS[0]]
    assert found.radius.to_value("arcsec") == pytest.approx(36, rel=1e-3)
    assert found.center.separation(circle.center).arcsec < 0.01
    with pytest.raises(ObsNotAssociatedError):
        archive.source_regions = {X: {"0000000000": [circle]}}
    with pytest.raises(FileNotFoundError):
        archive.source_regions = {X: {OBS[0]: tmp_path / "none.reg"}}


def test_regions_as_text(archive):
    archive.source_regions = {X: {OBS[0]: 'fk5; circle(150,2,36"); -ellipse(150,2,3",4",20)'}}
    circle, ellipse = archive.source_regions[X][OBS[0]]
    assert circle.radius.to_value("arcsec") == pytest.approx(36)
    assert ellipse.meta["include"] == 0
    with pytest.raises(ValueError, match="source_regions: regions: line 1: .*a point has no area"):
        archive.source_regions = {X: {OBS[0]: "fk5; point(150,2)"}}
    with pytest.raises(ValueError, match="source_regions: physical coordinates"):
        archive.source_regions = {X: {OBS[0]: "circle(150,2,3)"}}


def test_an_image_without_coordinates_is_refused(archive, tmp_path):
    from astropy.io import fits
    from regions import CirclePixelRegion, PixCoord

    fits.PrimaryHDU().writeto(tmp_path / "image.fits")
    pixels = [CirclePixelRegion(PixCoord(10, 20), 5)]
    with pytest.raises(ValueError, match=r"wcs_src: .*image\.fits has no coordinates on the sky"):
        archive.source_regions = {X: {OBS[0]: {"regions": pixels, "wcs_src": tmp_path / "image.fits"}}}


def test_several_missions(capsys):
    archive = Archive("two", [SmallMission(), OtherMission()])
    assert Archive("two").mission_names == [X, "other"]
    archive.info()
    text = capsys.readouterr().out
    assert "observations     4" in text
    assert "M1, PN" in text
    del archive["other"]
    assert Archive("two").mission_names == [X]
    with pytest.raises(MissionNotAssociatedError):
        archive["other"]
    with pytest.raises(ValueError, match="only mission"):
        del archive[0]


def test_one_process_at_a_time(archive):
    with (
        archive.processing(),
        pytest.raises(DAXAError, match="another process"),
        Archive("field").processing(),
    ):
        pass
    with archive.processing():
        pass


def test_what_a_killed_run_left_is_swept(archive):
    archive.ledger.start(Run("emchain", "0800010101M1S001", X, OBS[0], started="2026"))
    rest = Path(archive.get_current_data_path(X, OBS[0])) / "events" / ".a.fits.12345678.part"
    rest.write_text("half")
    archive.layout.scratch.mkdir()
    with archive.processing():
        assert not rest.exists()
        assert [r.status for r in archive.ledger.runs(everything=True)] == ["interrupted"]
        assert not archive.layout.scratch.exists()


def test_damaged_states_are_named(archive):
    archive.layout.process_info.write_text("{")
    with pytest.raises(DAXAError, match=r"process_info\.json"):
        Archive("field")


def test_calls_of_daxa_0_3(archive):
    """What its users may still call: `next`, setters, questions that have no answer."""
    assert next(archive) is archive[0]
    assert list(archive) == list(archive) == archive.missions
    with pytest.raises(StopIteration):
        next(archive)
    assert archive.process_configurations == {X: []}
    archive.process_configurations = ("mine", {X: {"size": 5 * u.s, "names": ["a"]}})
    archive.process_configurations = ("mine", {X: {"size": 9 * u.s}})
    assert archive.process_configurations == {X: [{"mine": {"size": 5 * u.s, "names": ["a"]}}]}
    with pytest.raises(TypeError, match="process_configurations: expected a tuple"):
        archive.process_configurations = {X: {}}
    archive.process_success = ("mine", {X: {OBS[0]: True, OBS[1]: False}})
    archive.process_logs = ("mine", {X: {OBS[0]: "hello"}})
    archive.raw_process_errors = ("mine", {X: {OBS[1]: "alas"}})
    assert archive.get_process_logs("mine", [X], [OBS[0]]) == {X: {OBS[0]: "hello"}}
    assert archive.get_process_logs("mine", inst="PN") == {X: {}}
    assert archive.get_process_logs("other") == archive.get_failed_processes("other") == {}
    assert archive.get_failed_logs("mine") == ({X: {}}, {X: {OBS[1]: "alas"}})
    record(
        archive, "cleaned_evt_lists", extra={"en_key": "en0.5_2.0keV", "evt_list": {"path": "events/a.fits"}}
    )
    extra = archive.process_extra_info[X]["cleaned_evt_lists"]["0800010101M1S001"]
    assert extra["en_key"] == "0.5_2.0keV"
    assert extra["evt_list"] == extra["evt_clean_path"]
    assert extra["evt_list"] == f"{archive.get_current_data_path(X, OBS[0])}events/a.fits"


def test_a_summary_that_is_there_stays(archive):
    info = {"M1": {"active": True, "exposures": {"S001": {}}}}
    archive.observation_summaries = {X: {OBS[0]: info}}
    with pytest.warns(UserWarning, match=f"{X} has one of {OBS[0]} already"):
        archive.observation_summaries = {X: {OBS[0]: {"M1": {"active": False, "exposures": {}}}}}
    assert archive.observation_summaries[X][OBS[0]] == info


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda a: a["nope"], KeyError),
        (lambda a: a[1.5], ValueError),
        (lambda a: a[7], IndexError),
        (lambda a: a.__delitem__("nope"), KeyError),
        (lambda a: setattr(a, "source_regions", {"nope": {}}), KeyError),
        (lambda a: setattr(a, "process_logs", ("p", {"nope": {}})), KeyError),
        (lambda a: setattr(a, "observation_summaries", {"nope": {}}), KeyError),
        (lambda a: setattr(a, "final_process_success", {"nope": {}}), KeyError),
        (lambda a: a.construct_processed_data_path("nope"), ValueError),
        (lambda a: a.construct_processed_data_path(X, "zz"), ValueError),
        (lambda a: a.construct_processed_data_path(obs_id=OBS[0]), ValueError),
        (lambda a: a.construct_failed_data_path(X, OBS[0]), ValueError),
        (lambda a: a.get_current_data_path(X, "zz"), ValueError),
        (lambda a: a.get_region_file_path(X, OBS[0]), ValueError),
        (lambda a: a.get_obs_to_process("nope"), ValueError),
        (lambda a: a.get_obs_to_process(X, "zz"), ValueError),
        (lambda a: a.check_dependence_success("nope", [OBS[0]], "p"), ValueError),
        (lambda a: a.check_dependence_success(X, [], "p"), ValueError),
        (lambda a: a.check_dependence_success(X, [OBS[0]], "p"), NoProcessingError),
        (lambda a: a.get_process_logs("p", "nope"), MissionNotAssociatedError),
    ],
)
def test_errors_are_what_scripts_catch(archive, call, error):
    with pytest.raises(error):
        call(archive)


def test_a_warning_points_at_the_line_of_the_user(archive):
    with pytest.warns(UserWarning, match="is opened with its own") as told:
        Archive("field", SmallMission(["M2"]))
    assert told[0].filename == __file__
