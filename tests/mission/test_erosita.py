"""eROSITA: fields and sky tiles, their names, owners and dates, against the archive's stand-in."""

from __future__ import annotations

import csv
import os
from datetime import datetime
from pathlib import Path

import archive_server as faults
import erosita_list
import numpy as np
import odf_files
import pytest
from archive_server import ArchiveServer
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from daxa.exceptions import DAXADownloadError, NoObsAfterFilterError, PreProcessedNotAvailableError
from daxa.mission import calpv_fields, eRASS1DE, eROSITACalPV
from daxa.mission.erass_tiles import scan_limits

pytestmark = [pytest.mark.usefixtures("pauses"), pytest.mark.filterwarnings("ignore:.*approximate")]


@pytest.fixture
def tiles(server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArchiveServer:
    """A table of sky tiles: a German one, one of both, one of the other half."""
    table = Table(
        {
            "SRVMAP": np.array([150102, 60120, 153102, 240045], "i4"),
            "OWNER": np.array([2, 0, 2, 1], "i2"),
            "RA_CEN": [149.6, 60.0, 153.0, 240.0],
            "DE_CEN": [-11.9, -30.0, -11.9, 45.0],
            "ELON_CEN": [156.2, 51.0, 159.5, 217.6],
            "ELAT_CEN": [-22.9, -49.3, -21.8, 63.6],
            **{name: [1.0, 2.0, 3.0, 4.0] for name in ("RA_MIN", "RA_MAX", "DE_MIN", "DE_MAX")},
            "FIELD1": np.array([153102, 240045, 150102, 60120], "i4"),
            "FIELD2": np.array([240045, 0, 60120, 0], "i4"),
        }
    )
    table.write(tmp_path / "tiles.fits")
    server.files["tiles.fits"] = (tmp_path / "tiles.fits").read_bytes()
    monkeypatch.setenv("DAXA_URL_ERASS_TILES", f"{server.url}/FTP/tiles.fits")
    return server


def test_tiles_that_are_not_public_are_left_out(tiles: ArchiveServer) -> None:
    mission = eRASS1DE()
    assert list(mission.obs_ids) == ["150102", "060120", "153102"]
    assert list(mission.all_obs_info["owner"]) == [2, 0, 2]
    assert list(mission.all_obs_info["dec_max"]) == [1.0, 2.0, 3.0]
    # the neighbour 240045 is the other consortium's, and no tile is its own neighbour
    assert mission.neighbours("150102") == ["153102"]
    assert mission.neighbours("060120") == []
    assert mission.all_obs_info["neigh_obs"].tolist() == ["153102", "", "060120,150102"]
    # nowhere but in the other half
    with pytest.raises(NoObsAfterFilterError):
        mission.filter_on_positions([240.0, 45.0])
    # one was scanned in January and February; the others lie where the survey began and ended
    mission.filter_on_time(datetime(2020, 3, 10), datetime(2020, 4, 1))
    assert list(mission.filtered_obs_ids) == ["150102", "153102"]


def test_tiles_without_further_columns(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"SRVMAP": [60120], "OWNER": [2], "RA_CEN": [60.0], "DE_CEN": [-30.0]}
    limits = {name: [0.0] for name in ("RA_MIN", "RA_MAX", "DE_MIN", "DE_MAX")}
    Table(columns | limits).write(tmp_path / "tiles.fits")
    server.files["tiles.fits"] = (tmp_path / "tiles.fits").read_bytes()
    monkeypatch.setenv("DAXA_URL_ERASS_TILES", f"{server.url}/FTP/tiles.fits")
    mission = eRASS1DE()
    assert mission.neighbours("060120") == []
    start, end = mission.all_obs_info[["start", "end"]].iloc[0]
    assert datetime(2020, 1, 15) < start < datetime(2020, 1, 30)
    assert datetime(2020, 2, 20) < end < datetime(2020, 3, 5)


def test_when_a_tile_was_scanned() -> None:
    """The great circle at right angles to the direction of the Sun passes it."""
    lon, lat = np.array([31.0, 200.0, 10.0, 350.0]), np.array([-23.0, 0.0, 89.0, 0.0])
    start, end = (times.astype("datetime64[D]") for times in scan_limits(lon, lat))
    # the Sun is at 301 deg on 21 January
    assert start[0] < np.datetime64("2020-01-21") < end[0]
    assert end[0] - start[0] < np.timedelta64(36, "D")
    # the Sun is at 290 deg on 11 January
    assert start[1] < np.datetime64("2020-01-11") < end[1] < np.datetime64("2020-02-01")
    # a pole of the ecliptic is on all circles; where the survey began it also ended
    survey = np.datetime64("2019-12-12"), np.datetime64("2020-06-11")
    assert (start[2], end[2]) == survey
    assert (start[3], end[3]) == survey


def test_erass_download(tiles: ArchiveServer) -> None:
    names = ["020_EventList", "024_Image", "021_Image", "024_ExposureMap"]
    for version in ("009", "010"):
        for name in names:
            path = f"erass/102/150/EXP_{version}/em01_150102_{name}_c{version}.fits.gz"
            tiles.files[path] = faults.gzipped(f"{name} {version}".encode())
    tiles.files["erass/102/150/DET_010/em01_150102_021_BackgrImage_c010.fits.gz"] = faults.gzipped(
        b"background"
    )
    mission = eRASS1DE()
    mission.filter_on_positions([149.6, -11.1], 2 * u.deg)
    assert list(mission.filtered_obs_ids) == ["150102"]
    mission.download(disable_progress=True)
    assert Path(mission.get_evt_list_path("150102")).read_bytes() == b"020_EventList 010"
    assert Path(mission.get_image_path("150102", 0.2, 2.3)).read_bytes() == b"024_Image 010"
    assert Path(mission.get_expmap_path("150102", 0.2, 2.3)).name == "em01_150102_024_ExposureMap_c010.fits"
    assert Path(mission.get_background_path("150102", 0.2, 0.6)).read_bytes() == b"background"
    mission.delete_raw_data(force_del=True)
    with pytest.raises(DAXADownloadError, match="no version 011, there are 009, 010"):
        mission.download(pipeline_version=11, disable_progress=True)
    mission.download(1, False, 9, disable_progress=True)  # products, version
    assert Path(mission.get_evt_list_path("150102")).read_bytes() == b"020_EventList 009"
    assert mission.downloaded_type == "raw"
    # the tiles are cached
    tiles.files.pop("tiles.fits")
    assert len(eRASS1DE()) == 3


def test_calpv_download(server: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAXA_URL_EROSITA_EDR", f"{server.url}/FTP/edr")
    files = {f"eFEDS/fm00_30000{n}_020_EventList_c001.fits": f"{n}".encode() for n in (7, 8, 9)}
    files["eFEDS/fm00_300010_020_EventList_c001.fits"] = b"10"
    server.files["edr/eFEDS.tar.gz"] = odf_files.tar_bytes(files, "w:gz")
    mission = eROSITACalPV(fields="efeds")
    assert mission.chosen_fields == ["EFEDS"]
    assert len(mission) == 4
    mission.filter_on_obs_ids(["300007", "300010"])
    mission.download(disable_progress=True)
    assert Path(mission.get_evt_list_path("300007")).read_bytes() == b"7"
    assert server.requests["/FTP/edr/eFEDS.tar.gz"] == 1  # one file for the whole field


def test_every_observation_of_the_release() -> None:
    mission = eROSITACalPV()
    info = mission.all_obs_info
    assert (len(mission), len(mission.all_mission_fields)) == (170, 32)
    assert mission.all_mission_field_types == [
        "EXTRAGALACTIC_FIELDS", "GALACTIC_FIELDS", "MAGELLANIC_CLOUDS", "SURVEY",
    ]  # fmt: skip
    assert (info["end"] > info["start"]).all()
    assert info["start"].min() > datetime(2019, 9, 1)
    assert info["end"].max() < datetime(2019, 12, 12)
    assert info["active_insts"].str.fullmatch(r"TM\d( TM\d)*").all()
    assert info["link"].str.endswith(".tar.gz").all()
    # the survey of eFEDS was made in four days, one after the other
    mission.filter_on_time(datetime(2019, 11, 4, 4), datetime(2019, 11, 5), over_run=True)
    assert list(mission.filtered_obs_ids) == ["300008"]


def test_the_table_holds_the_facts_of_the_release() -> None:
    folder = Path(os.environ.get("DAXA_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    original = folder / "erosita" / "calpv_observations.csv"
    if not original.is_file():
        pytest.skip(f"no {original}")
    with original.open(encoding="utf-8") as file:
        facts = {row["ObsID"]: row for row in csv.DictReader(file)}
    ours = {row["ObsID"]: row for row in calpv_fields.read_table()}
    assert ours.keys() == facts.keys()
    for obs_id, fact in facts.items():
        own = ours[obs_id]
        assert own["active_insts"].split() == fact["active_insts"].split(",")
        for column in ("start", "end", "Field_Name", "Field_Type", "link"):
            assert own[column] == fact[column]
        for column in ("ra", "dec"):
            assert float(own[column]) == pytest.approx(float(fact[column]), abs=1e-6)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ("crab", ["CRAB_1", "CRAB_2", "CRAB_3", "CRAB_4"]),
        ("crab iii", ["CRAB_3"]),
        ("Crab 4", ["CRAB_4"]),
        ("survey", ["EFEDS", "ETA_CHA"]),
        (["survey", "Puppis A"], ["EFEDS", "ETA_CHA", "PUPPIS_A"]),
        ("47 Tuc", ["47_TUC__NGC_104_"]),
        ("NGC 104", ["47_TUC__NGC_104_"]),
        ("zet pup", ["HR_3165__ZET_PUP_"]),
        ("Abell 3158", ["A3158"]),
        ("SN 1987A", ["LMC_SN1987A"]),
        ("RE J2334-471", ["RE_J2334_471"]),
        ("3C 390.3", ["3C390_3"]),
        ("IGR J13020-6359", ["IGR_J13020_6359__2RXP_J130159_635806_"]),
        ("PSR B0656+14", ["PSR_B0656_14"]),
    ],
)
def test_fields_go_by_several_names(given: str | list[str], fields: list[str]) -> None:
    assert eROSITACalPV(fields=given).chosen_fields == fields


def test_no_name_means_two_fields_by_chance() -> None:
    names: dict[str, set[str]] = {}
    for row in calpv_fields.read_table():
        for name in calpv_fields.names_of(row["Field_Name"], row["link"]):
            names.setdefault(name, set()).add(row["Field_Name"])
    assert {n: sorted(f) for n, f in names.items() if len(f) > 1} == {"CRAB": [f"CRAB_{n}" for n in "1234"]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("EFED", "'EFED' is not an eROSITA CalPV field or field type; near it: EFEDS"),
        (["efeds", "nope"], "'nope' is not"),
        (7, "expected names or types of fields, got 7"),
        (["efeds", 7], "expected names"),
        ([], "expected names"),
    ],
)
def test_what_is_no_field(given: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        eROSITACalPV(fields=given)


def test_a_misprinted_observation() -> None:
    mission = eROSITACalPV()
    with pytest.warns(UserWarning, match="700195 is a misprint of the release and means 700199 and 700200"):
        mission.filter_on_obs_ids("700195")
    assert list(mission.filtered_obs_ids) == ["700199", "700200"]
    assert mission.filtering_operations[0]["arguments"]["allowed_obs_ids"] == ["700199", "700200"]


def test_modules_choose_observations(tmp_path: Path) -> None:
    assert len(eROSITACalPV("TM3")) == 44
    whole = eROSITACalPV("TM1")
    whole.filter_on_fields("magellanic clouds")
    assert whole.chosen_fields[:2] == ["1ES_0102_72", "LMC_N132D"]
    assert "700016" not in whole.filtered_obs_ids  # TM3 and TM4 only
    own = tmp_path / "own.csv"
    own.write_text(
        "# mine\nObsID,ra,dec,start,end,Field_Name,Field_Type,active_insts,link\n"
        "300004,130.3,-79.0,2019-11-16,2019-11-18,MINE,SURVEY,\"TM1,TM2\",mine.tar.gz\n"
    )  # fmt: skip
    assert list(eROSITACalPV("TM2", table=own).filtered_obs_ids) == ["300004"]
    with pytest.raises(FileNotFoundError, match="table: no such file"):
        eROSITACalPV(table=tmp_path / "none.csv")


def test_modules_choose_events(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAXA_URL_EROSITA_EDR", f"{server.url}/FTP/edr")
    content = erosita_list.write(tmp_path / "list.fits").read_bytes()
    name = "fm00_300007_020_EventList_c001"
    server.files["edr/eFEDS.tar.gz"] = odf_files.tar_bytes({f"eFEDS/{name}.fits": content}, "w:gz")
    mission = eROSITACalPV(["TM1", "TM2"])
    mission.filter_on_obs_ids("300007")
    mission.download(disable_progress=True)
    folder = mission.get_obs_path("300007")
    assert (folder / f"{name}_if_12.fits").is_file()  # made with the download
    path = Path(mission.get_evt_list_path("300007"))
    assert path == folder / f"{name}_if_12.fits"
    with fits.open(path) as hdus:
        assert set(hdus["EVENTS"].data["TM_NR"]) == {1, 2}
        assert "GTI3" not in hdus
    assert Path(mission.get_evt_list_path("300007", "TM7")).name == f"{name}_if_7.fits"
    assert not os.stat(path).st_mode & 0o222  # as all raw data
    # the list itself is as it was, and that of all modules
    whole = eROSITACalPV()
    assert whole.get_evt_list_path("300007") == str(folder / f"{name}.fits")
    assert (folder / f"{name}.fits").read_bytes() == content
    mission.delete_raw_data(force_del=True)
    assert not folder.exists()


def test_a_list_whose_events_cannot_be_chosen(server: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAXA_URL_EROSITA_EDR", f"{server.url}/FTP/edr")
    files = {"a/fm00_700016_020_EventList_c001.fits": b"damaged"}
    server.files["edr/LMC_SN1987A.tar.gz"] = odf_files.tar_bytes(files, "w:gz")
    mission = eROSITACalPV("TM3")
    mission.filter_on_obs_ids("700016")
    with pytest.warns(UserWarning, match="events of TM3 could not be chosen: .*not a readable FITS file"):
        mission.download(disable_progress=True)
    # it has TM3 and TM4: both together are the whole list, TM1 has nothing there
    assert eROSITACalPV(["TM3", "TM4", "TM5"]).get_evt_list_path("700016").endswith("c001.fits")
    with pytest.raises(PreProcessedNotAvailableError, match="ObsID 700016: TM1 was not active"):
        mission.get_evt_list_path("700016", "TM1")
