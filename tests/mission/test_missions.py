"""Every mission: its rows, its folders, its products, against the archives' stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import archive_server as faults
import pandas as pd
import pytest
from archive_server import ArchiveServer
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord

from daxa.exceptions import (
    DAXADownloadError,
    NoObsAfterFilterError,
    PreProcessedNotAvailableError,
    PreProcessedNotSupportedError,
)
from daxa.mission import (
    ASCA,
    MISS_INDEX,
    Chandra,
    INTEGRALPointed,
    NuSTARPointed,
    ROSATAllSky,
    ROSATPointed,
    Suzaku,
    Swift,
    XMMPointed,
    XRISMPointed,
)
from daxa.mission.tools import multi_mission_filter_on_positions

pytestmark = [pytest.mark.usefixtures("pauses"), pytest.mark.filterwarnings("ignore:.*approximate")]
PLACE = {"ra": 149.6, "dec": -11.1}

# mission: table, rows (the first is good, the others are not to be selected), files of the first
# (True: expected with the raw data, "product": with the products, False: not fetched)
CASES: dict[type, dict[str, Any]] = {
    Chandra: {
        "table": "chanmaster",
        "rows": [
            {"obsid": "3205", "time": 52460.0, "exposure": 4e4, "public_date": 52900, "status": "archived",
             "detector": "ACIS-I", "grating": "NONE", "category": "CLUSTERS OF GALAXIES"},
            {"obsid": "3206", "time": 52460.0, "exposure": 4e4, "public_date": 52900, "status": "archived",
             "detector": "ACIS-S", "grating": "HETG", "category": "NORMAL STARS AND WD"},
            {"obsid": "3207", "time": 52460.0, "exposure": 4e4, "public_date": 52900, "status": "scheduled",
             "detector": "ACIS-I", "grating": "NONE", "category": "X"},
        ],
        "root": "chandra/data/byobsid/5/3205",
        "files": {"oif.fits": True, "primary/acisf03205N003_evt2.fits.gz": True, "primary/a_full.jpg": False,
                  "secondary/acisf03205_000N003_evt1.fits.gz": True},
        "events": ("ACIS", "primary/acisf03205N003_evt2.fits"),
    },
    NuSTARPointed: {
        "table": "numaster",
        "rows": [
            {"obsid": "60001107002", "time": 56500.0, "end_time": 56501.0, "public_date": 56900,
             "status": "archived", "observation_mode": "SCIENCE", "spacecraft_mode": "INERTIAL",
             "ontime_a": 1e4, "ontime_b": 1e4},
            {"obsid": "60001107003", "time": 56500.0, "end_time": 56501.0, "public_date": 56900,
             "status": "archived", "observation_mode": "SLEW", "spacecraft_mode": "INERTIAL",
             "ontime_a": 1e4, "ontime_b": 1e4},
            {"obsid": "60001107004", "time": 56500.0, "end_time": 56501.0, "public_date": 56900,
             "status": "archived", "observation_mode": "SCIENCE", "spacecraft_mode": "INERTIAL",
             "ontime_a": 0.0, "ontime_b": 0.0},
        ],
        "root": "nustar/data/obs/00/6/60001107002",
        "files": {"auxil/nu60001107002_att.fits.gz": True, "event_uf/nu60001107002A_uf.evt.gz": True,
                  "hk/nu60001107002A_fpm.hk.gz": True, "event_cl/nu60001107002A01_cl.evt.gz": "product",
                  "event_cl/nu60001107002A01_sk.img.gz": "product"},
        "events": ("FPMA", "event_cl/nu60001107002A01_cl.evt"),
        "image": ("FPMA", 3, 78, "event_cl/nu60001107002A01_sk.img"),
    },
    ROSATPointed: {
        "table": "rosmaster",
        "rows": [
            {"seq_id": "RP800001N00", "start_date": 48400.0, "end_date": 48401.0, "exposure": 9e3,
             "instrument": "PSPCB", "subject_category": 8},
            {"seq_id": "RH800002N00", "start_date": 48400.0, "end_date": 48401.0, "exposure": 0.0,
             "instrument": "HRI", "subject_category": 8},
        ],
        "root": "rosat/data/pspc/processed_data/800000/rp800001n00",
        "files": {"rp800001n00_bas.fits.Z": True, "rp800001n00_anc.fits.Z": True,
                  "rp800001n00_im2.fits.Z": "product", "rp800001n00_mex.fits.Z": "product"},
        "id": "RP800001N00",
        "events": ("PSPCB", "rp800001n00_bas.fits"),
        "image": ("PSPCB", 0.4, 2.4, "rp800001n00_im2.fits"),
    },
    ROSATAllSky: {
        "table": "rassmaster",
        "rows": [{"seq_id": "RS931016N00", "start_date": 48100.0, "end_date": 48200.0, "exposure": 9e3}],
        "root": "rosat/data/pspc/processed_data/900000/rs931016n00",
        "files": {"rs931016n00_bas.fits.Z": True, "rs931016n00_im1.fits.Z": "product"},
        "events": ("PSPC", "rs931016n00_bas.fits"),
        "image": ("PSPC", 0.07, 2.4, "rs931016n00_im1.fits"),
    },
    Swift: {
        "table": "swiftmastr",
        "rows": [
            {"obsid": "00035001001", "start_time": 53600.0, "stop_time": 53601.0, "xrt_exposure": 5e3,
             "bat_exposure": 5e3, "uvot_exposure": 0.0},
            {"obsid": "00035001002", "start_time": 53600.0, "stop_time": 53601.0, "xrt_exposure": 0.0,
             "bat_exposure": 0.0, "uvot_exposure": 0.0},
        ],
        "root": "swift/data/obs/2005_08/00035001001",
        "files": {"auxil/sw00035001001sat.fits.gz": True, "xrt/event/sw00035001001xpcw3po_cl.evt.gz": True,
                  "uvot/event/x.evt.gz": False, "xrt/products/sw00035001001xpc_sk.img.gz": "product"},
        "events": ("XRT", "xrt/event/sw00035001001xpcw3po_cl.evt"),
        "image": ("XRT", 0.01, 10.23, "xrt/products/sw00035001001xpc_sk.img"),
    },
    Suzaku: {
        "table": "suzamaster",
        "rows": [
            {"obsid": "801001010", "time": 53800.0, "stop_time": 53801.0, "exposure": 4e4,
             "public_date": 54400},
            {"obsid": "801001020", "time": 53800.0, "stop_time": 53801.0, "exposure": 0.0,
             "public_date": 54400},
        ],
        "root": "suzaku/data/obs/8/801001010",
        "files": {"auxil/ae801001010.att.gz": True, "hxd/event_uf/x.evt.gz": False,
                  "xis/event_cl/ae801001010xi0_0_3x3n066a_cl.evt.gz": True,
                  "xis/products/ae801001010xi0_0_3x3n066a_sk.img.gz": "product"},
        "events": ("XIS0", "xis/event_cl/ae801001010xi0_0_3x3n066a_cl.evt"),
        "image": ("XIS0", 0.2, 12, "xis/products/ae801001010xi0_0_3x3n066a_sk.img"),
    },
    ASCA: {
        "table": "ascamaster",
        "rows": [
            {"sequence_number": 80000000, "time": 49200.0, "exposure": 3e4, "sis_exposure": 3e4,
             "gis_exposure": 3e4},
            {"sequence_number": 80000010, "time": 49200.0, "exposure": 0.0, "sis_exposure": 0.0,
             "gis_exposure": 0.0},
        ],
        "root": "asca/data/rev2/80000000",
        "files": {"screened/ad80000000s000102h.evt.gz": True, "telem/ft930511.gz": False,
                  "images/ad80000000sis32002_hi.totsky.gz": "product",
                  "images/ad80000000gis25670_all.totexpo.gz": "product"},
        "events": ("SIS0", "screened/ad80000000s000102h.evt"),
        "image": ("SIS0", 2, 10, "images/ad80000000sis32002_hi.totsky"),
    },
    INTEGRALPointed: {
        "table": "intscwpub",
        "rows": [
            {"scw_id": "003900020020", "scw_ver": "001", "start_date": 52680.0, "end_date": 52680.1,
             "good_jemx1": 0.0, "good_jemx2": 0.0, "good_isgri": 2e3, "good_spi": 0.0},
            {"scw_id": "003900020030", "scw_ver": "001", "start_date": 52680.0, "end_date": 52680.1,
             "good_jemx1": 0.0, "good_jemx2": 0.0, "good_isgri": 0.0, "good_spi": 2e3},
        ],
        "root": "integral/data/scw/0039/003900020020.001",
        "files": {"swg.fits": True, "isgri_events.fits.gz": True, "spi_oper.fits.gz": False,
                  "omc_shots.fits": False},
    },
    XRISMPointed: {
        "table": "xrismmastr",
        "rows": [
            {"obsid": "000126000", "time": 60280.0, "exposure": 1e5, "public_date": 60500},
            {"obsid": "000127000", "time": 60280.0, "exposure": 0.0, "public_date": 60500},
        ],
        "root": "xrism/data/obs/0/000126000",
        "files": {"auxil/xa000126000.att.gz": True,
                  "resolve/event_uf/xa000126000rsl_p0px1000_uf.evt.gz": True,
                  "resolve/event_cl/xa000126000rsl_p0px1000_cl.evt.gz": "product"},
        "events": ("RESOLVE", "resolve/event_cl/xa000126000rsl_p0px1000_cl.evt"),
    },
}  # fmt: skip


def packed(name: str) -> bytes:
    """What the archive holds under a name: the plain name, compressed as the suffix says."""
    content = Path(name).name.encode() * 9
    if name.endswith(".gz"):
        return faults.gzipped(content)
    # a .Z file of which every code has 9 bits
    bits = sum(byte << 9 * i for i, byte in enumerate(content))
    width = -(-9 * len(content) // 8)
    return b"\x1f\x9d\x90" + bits.to_bytes(width, "little") if name.endswith(".Z") else content


def fill(server: ArchiveServer, mission: type) -> dict[str, Any]:
    case = CASES[mission]
    rows = [row | PLACE for row in case["rows"]]
    server.tables[case["table"]] = {k: [row[k] for row in rows] for k in rows[0]}
    server.files |= {f"{case['root']}/{name}": packed(name) for name in case["files"]}
    if mission is INTEGRALPointed:
        server.files["integral/data/scw/0039/rev.001/idx/isgri.fits"] = b"index"
        server.files["integral/data/aux/adp/0039.001/orbit.fits"] = b"orbit"
    return case


@pytest.mark.parametrize("mission_class", CASES)
def test_heasarc_missions(server: ArchiveServer, mission_class: type, tmp_path: Path) -> None:
    case = fill(server, mission_class)
    obs_id = case.get("id") or str(next(iter(case["rows"][0].values())))
    mission = mission_class()
    assert list(mission.filtered_obs_ids) == [obs_id]
    assert MISS_INDEX[mission.name] is mission_class
    assert mission.check_obsid_pattern(obs_id)
    assert mission.ident_to_obsid(obs_id) == obs_id
    mission.filter_on_positions([149.7, -11.1], 0.2)
    with pytest.raises(NoObsAfterFilterError):
        mission.filter_on_positions([10, 10])
    report = mission.download(disable_progress=True)
    assert not report.failed, report
    assert not report.failed_products, report
    folder = mission.get_obs_path(obs_id)
    held = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name[0] != "."}
    plain = {n.removesuffix(".gz").removesuffix(".Z"): n for n, use in case["files"].items() if use}
    assert held == set(plain)
    for name, original in plain.items():
        assert (folder / name).read_bytes() == Path(original).name.encode() * 9
    if "events" in case:
        inst, path = case["events"]
        assert mission.get_evt_list_path(obs_id, inst) == str(folder / path)
        assert "preprocessed" in mission.downloaded_type
    else:
        with pytest.raises(PreProcessedNotSupportedError):
            mission.get_evt_list_path(obs_id)
    if "image" in case:
        inst, low, high, path = case["image"]
        assert mission.get_image_path(obs_id, low, high * u.keV, inst) == str(folder / path)
        assert (low, high) in [tuple(band) for band in mission.preprocessed_energy_bands[inst].value]
        with pytest.raises(PreProcessedNotAvailableError, match="no image from 1 to 3 keV, there are"):
            mission.get_image_path(obs_id, 1, 3, inst)
    mission.save(tmp_path)
    again = mission_class(save_file_path=tmp_path / f"{mission.name}_state.json")
    assert list(again.filtered_obs_ids) == [obs_id]
    before = mission.filtered_obs_info.reset_index(drop=True)
    pd.testing.assert_frame_equal(again.filtered_obs_info, before, check_dtype=False)
    assert not again.update(download_new=False)["sel_obs_change"]
    with pytest.raises(ValueError, match="insts"):
        mission_class.check_inst_names(mission, ["NO-SUCH"])


def test_products_can_be_left_out(server: ArchiveServer) -> None:
    fill(server, NuSTARPointed)
    mission = NuSTARPointed("FA")
    assert mission.chosen_instruments == ["FPMA"]
    mission.download(download_products=False, disable_progress=True)
    assert mission.downloaded_type == "raw"
    with pytest.raises(PreProcessedNotAvailableError, match="60001107002"):
        mission.get_evt_list_path("60001107002", "FPMA")
    assert not any("event_cl/nu" in path for path in server.requests)


def test_integral_revolutions_are_shared(server: ArchiveServer) -> None:
    fill(server, INTEGRALPointed)
    mission = INTEGRALPointed()
    mission.download(disable_progress=True)
    shared = Path(mission.raw_data_path) / "revolution_0039"
    assert (shared / "rev/idx/isgri.fits").read_bytes() == b"index"
    assert (shared / "aux/orbit.fits").read_bytes() == b"orbit"


def test_data_of_a_revolution_are_tried_again(server: ArchiveServer) -> None:
    fill(server, INTEGRALPointed)
    server.faults["rev.001"] = [faults.status(500)] * 100
    mission = INTEGRALPointed()
    with pytest.warns(UserWarning, match="revolution_0039"):
        mission.download(disable_progress=True)
    assert list(mission.failed_downloads) == ["revolution_0039"]
    server.faults.clear()
    assert mission.retry_failed(disable_progress=True).done == ["revolution_0039"]
    assert mission.download_completed


def test_chandra_gratings_and_targets(server: ArchiveServer) -> None:
    fill(server, Chandra)
    assert list(Chandra(["ACIS", "HETG"]).filtered_obs_ids) == ["3206"]
    with pytest.warns(UserWarning, match="ACIS-I is ACIS"):
        mission = Chandra("ACIS-I")
    mission.filter_on_target_type("GCL")
    assert mission.coord_frame is ICRS
    with pytest.warns(UserWarning, match="approximate"):
        mission.filter_on_positions(SkyCoord(149.6, -10.7, unit="deg"))
    with pytest.raises(NotImplementedError, match="credentials"):
        mission.download(credentials="me", disable_progress=True)


def test_renamed_columns_are_told(server: ArchiveServer) -> None:
    fill(server, Swift)
    server.tables["swiftmastr"]["start"] = server.tables["swiftmastr"].pop("start_time")
    with pytest.raises(
        DAXADownloadError, match=r"its columns have changed: there is no start \(start_time\)"
    ):
        Swift()


# -- several at once ------------------------------------------------------------------------------


def test_several_missions(server: ArchiveServer) -> None:
    for mission in (Chandra, Suzaku, NuSTARPointed):
        fill(server, mission)
    server.tables["numaster"]["ra"] = [10.0] * 3
    with pytest.warns(UserWarning, match="nustar_pointed has no data there; swift could not be searched"):
        found = multi_mission_filter_on_positions(
            [149.6, -11.1],
            {"chandra": 0.5 * u.deg, "suzaku": 20 * u.arcmin},
            ["chandra", "suzaku", "nustar_pointed", "swift"],
            {"suzaku": ["XIS1"]},
        )
    assert [m.name for m in found] == ["chandra", "suzaku"]
    assert found[1].chosen_instruments == ["XIS1"]
    with pytest.raises(ValueError, match="missions: unknown mission\\(s\\) hubble"):
        multi_mission_filter_on_positions([1, 2], missions="hubble")
    with pytest.raises(NoObsAfterFilterError, match="suzaku has no data there"):
        multi_mission_filter_on_positions([1, 2], missions="suzaku")


def test_every_mission_is_described() -> None:
    assert len(MISS_INDEX) == 12
    for name, mission in MISS_INDEX.items():
        assert mission.name == name
        assert mission.pretty_name
        assert set(mission.default_instruments) <= set(mission.instruments)
        assert set(mission.aliases.values()) <= set(mission.instruments)
    assert XMMPointed.instruments == ("M1", "M2", "PN", "OM", "R1", "R2")


def test_calls_of_daxa_0_3(server: ArchiveServer) -> None:
    """Capitals of ROSAT, positional arguments, columns of catalogues, types of arguments."""
    for mission in (ROSATPointed, NuSTARPointed, Suzaku, INTEGRALPointed, XRISMPointed):
        fill(server, mission)
    server.tables["rosmaster"] |= {"filter": ["N", "N"], "proc_rev": [2, 2], "name": ["A907", "x"]}
    server.tables["numaster"] |= {"exposure_a": [9e3] * 3, "subject_category": ["GCL", "x", "x"]}
    server.tables["xrismmastr"] |= {"xtd_datamode1": ["WINDOW1", "x"], "rsl_datamode": ["PX_NORMAL", "x"]}
    rosat = ROSATPointed()
    rosat.filter_on_obs_ids(["rp800001n00"])
    rosat.filter_on_obs_ids(["RP800001N00"])
    columns = ["with_filter", "proc_rev", "target_name", "target_category"]
    assert rosat.all_obs_info.loc[0, columns].tolist() == ["N", 2, "A907", "GCL"]
    for wrong in (0, -3, 1.5, "x"):
        with pytest.raises(ValueError, match="num_cores: expected a number of downloads at once"):
            rosat.download(wrong)
    rosat.download(1, False, disable_progress=True)  # number of cores, products
    assert rosat.downloaded_type == "raw"
    nustar = NuSTARPointed()
    nustar.filter_on_target_type("GCL")
    assert nustar.all_obs_info["exposure_a"].tolist()[0] == pd.Timedelta("2.5h")
    assert {f"xis{n}_expo" for n in range(4)}.isdisjoint(Suzaku().all_obs_info)  # not in this service's table
    integral = INTEGRALPointed().all_obs_info
    assert integral["isgri_exposure"].tolist()[0] == pd.Timedelta(2000, "s")
    assert integral["proprietary_usable"].all()
    assert XRISMPointed().all_obs_info["xtend_mode1-2"].tolist() == ["WINDOW1", "x"]
    for name in ("locked", "processed"):
        with pytest.raises(TypeError, match=f"{name}: expected True or False"):
            setattr(nustar, name, 3)
    with pytest.raises(ValueError, match="missions: expected names of missions, got 2"):
        multi_mission_filter_on_positions([1, 2], missions=2)
    with pytest.raises(ValueError, match="search_distance: expected an angle"):
        multi_mission_filter_on_positions([1, 2], ["wrong"], "suzaku")
    with pytest.raises(ValueError, match="insts: swift not among the missions to search, suzaku"):
        multi_mission_filter_on_positions([1, 2], missions=["suzaku"], insts={"swift": ["XRT"]})
