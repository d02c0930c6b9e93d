"""Ready-made products of missions, taken into an archive."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import archive_server as faults
import erosita_list
import odf_files
import pytest
from archive_server import ArchiveServer
from astropy import units as u
from astropy.io import fits

from daxa.archive import Archive
from daxa.archive.run import Output, Run
from daxa.exceptions import PreProcessedNotAvailableError, PreProcessedNotSupportedError
from daxa.mission import INTEGRALPointed, NuSTARPointed, XMMPointed, eROSITACalPV
from daxa.process.general import preprocessed_in_archive
from daxa.process.general.preprocessed import preprocessed_in_archive as same

pytestmark = [pytest.mark.usefixtures("pauses"), pytest.mark.filterwarnings("ignore:.*approximate")]
NU = ["60001107002", "60001107004"]
XMM = "0800010101"
#: Files of the pipeline: pn with two exposures in one camera of MOS.
PPS = [
    "PNS003PIEVLI0000.FTZ", "PNS003OOEVLI0000.FTZ", "PNS003IMAGE_2000.FTZ", "PNS003IMAGE_8000.FTZ",
    "PNS003EXPMAP2000.FTZ", "PNS003FBKTSR0000.FTZ", "M1S001MIEVLI0000.FTZ", "M1U002MIEVLI0000.FTZ",
    "M1S001IMAGE_2000.FTZ", "PNX000BKGMAP2000.FTZ", "R1S004EVENLI0000.FTZ",
    "OBX000ATTTSR0000.FTZ", "EPX000REGION0000.ASC", "PNS003STSPLT0001.PDF",
]  # fmt: skip


@pytest.fixture
def nustar(server: ArchiveServer) -> ArchiveServer:
    server.tables["numaster"] = {
        "obsid": NU,
        "ra": [149.6, 149.6],
        "dec": [-11.1, -11.1],
        "time": [57000.0, 57001.0],
        "end_time": [57000.5, 57001.5],
        "public_date": [57400.0, 57400.0],
        "status": ["archived", "archived"],
        "exposure_a": [2e4, 2e4],
        "exposure_b": [2e4, 2e4],
    }
    for obs_id in NU:
        root = f"nustar/data/obs/00/6/{obs_id}"
        server.files[f"{root}/auxil/nu{obs_id}_att.fits.gz"] = faults.gzipped(b"attitude")
        server.files[f"{root}/event_uf/nu{obs_id}A_uf.evt.gz"] = faults.gzipped(b"raw")
        server.files[f"{root}/hk/nu{obs_id}A_fpm.hk.gz"] = faults.gzipped(b"hk")
        for module in "AB":
            stem = f"{root}/event_cl/nu{obs_id}{module}01"
            server.files[f"{stem}_cl.evt.gz"] = faults.gzipped(f"events {module}".encode())
            server.files[f"{stem}_sk.img.gz"] = faults.gzipped(f"image {module}".encode())
    return server


@pytest.fixture
def xmm(server: ArchiveServer) -> ArchiveServer:
    server.tables["xsa.v_all_observations"] = {
        "observation_id": [XMM],
        "ra": [149.6],
        "dec": [-11.1],
        "start_utc": ["2017-06-01 10:00:00"],
        "duration": [20_000],
        "with_science": [True],
        "proprietary_end_date": ["2020-01-01 00:00:00.0"],
        "revolution": [3200],
    }
    files = {f"P{XMM}{name}": gzip.compress(name.encode()) for name in PPS}
    server.aio[XMM, "PPS"] = odf_files.tar_bytes({f"{XMM}/pps/{n}": c for n, c in files.items()})
    server.files |= {f"xmm/data/rev0/{XMM}/PPS/{n}": c for n, c in files.items()}
    return server


def test_products_become_those_of_the_archive(nustar: ArchiveServer) -> None:
    archive = Archive("ready", NuSTARPointed(), use_preprocessed=True)
    name = "nustar_pointed"
    assert archive.final_process_success[name] == dict.fromkeys(NU, True)
    assert archive[name].processed
    assert set(archive.process_names[name]) == {"preprocessed_events", "preprocessed_images"}
    folder = Path(archive.get_current_data_path(name, NU[0]))
    events = folder / f"events/obsid{NU[0]}-instFPMA-subexpNone-finalevents.fits"
    image = folder / f"images/obsid{NU[0]}-instFPMB-subexpNone-en3.0_78.0keV-image.fits"
    assert (events.read_bytes(), image.read_bytes()) == (b"events A", b"image B")
    extra = archive.process_extra_info[name]["preprocessed_images"][f"{NU[0]}FPMB"]
    assert extra["image_3.0_78.0keV"] == str(image)
    assert extra["source"] == "archive"
    assert "cl.evt (archive) -> events/" in archive.process_logs[name]["preprocessed_events"][f"{NU[0]}FPMA"]
    # opened again, and not taken again
    again = Archive("ready")
    assert again.final_process_success[name] == dict.fromkeys(NU, True)
    before = events.stat().st_mtime_ns
    preprocessed_in_archive(again)
    assert events.stat().st_mtime_ns == before
    assert same is preprocessed_in_archive
    # what was deleted comes back
    events.unlink()
    preprocessed_in_archive(again, name)
    assert events.read_bytes() == b"events A"


def test_taken_in_later(nustar: ArchiveServer) -> None:
    archive = Archive("later", NuSTARPointed("FPMA"))
    assert not archive.final_process_success.get("nustar_pointed")
    preprocessed_in_archive(archive, archive["nustar_pointed"])
    assert list(archive.process_success["nustar_pointed"]["preprocessed_events"]) == [f"{o}FPMA" for o in NU]


def test_refused_before_anything_is_fetched(nustar: ArchiveServer, server: ArchiveServer) -> None:
    server.tables["intscwpub"] = {
        "scw_id": ["003900020020"], "ra": [149.6], "dec": [-11.1], "start_date": [52600.0],
        "end_date": [52600.1], "scw_ver": ["001"], "good_isgri": [1e3],
    }  # fmt: skip
    missions = [NuSTARPointed(), INTEGRALPointed("ISGRI")]
    with pytest.raises(PreProcessedNotSupportedError, match="INTEGRAL Pointed offers no ready-made products"):
        Archive("none", missions, use_preprocessed=True)
    assert not any("/data/obs" in path for path in server.requests)
    with pytest.raises(ValueError, match="needs download_products as well"):
        Archive("none", missions[0], download_products=False, use_preprocessed=True)
    archive = Archive("raw", missions[0], download_products=False)
    with pytest.raises(PreProcessedNotAvailableError):
        preprocessed_in_archive(archive)
    with pytest.raises(PreProcessedNotAvailableError, match=r"use its fetch_products\(\)"):
        preprocessed_in_archive(archive, "nustar_pointed")


def test_an_observation_without_products(nustar: ArchiveServer) -> None:
    for path in [p for p in nustar.files if f"nu{NU[1]}" in p and "event_cl" in p]:
        del nustar.files[path]
    nustar.files[f"nustar/data/obs/00/6/{NU[1]}/event_cl/nu{NU[1]}A.html"] = b"page"
    with pytest.warns(UserWarning, match=f"preprocessed: {NU[1]}: no products are on disk"):
        archive = Archive("half", NuSTARPointed(), use_preprocessed=True)
    assert archive.final_process_success["nustar_pointed"] == {NU[0]: True, NU[1]: False}
    assert "failed_data" in archive.get_current_data_path("nustar_pointed", NU[1])


def test_a_new_observation_is_taken_in_too(nustar: ArchiveServer) -> None:
    nustar_table = nustar.tables["numaster"]
    nustar.tables["numaster"] = {k: v[:1] for k, v in nustar_table.items()}
    archive = Archive("grows", NuSTARPointed(), use_preprocessed=True)
    assert list(archive.final_process_success["nustar_pointed"]) == NU[:1]
    nustar.tables["numaster"] = nustar_table
    archive.update()
    assert archive.final_process_success["nustar_pointed"] == dict.fromkeys(NU, True)


def test_an_interrupted_creation_is_completed(nustar: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "record", stop)
        with pytest.raises(KeyboardInterrupt):
            Archive("stopped", NuSTARPointed(), use_preprocessed=True)
    # by its name alone
    assert Archive("stopped").final_process_success["nustar_pointed"] == dict.fromkeys(NU, True)


def test_from_the_products_of_the_pipeline(xmm: ArchiveServer) -> None:
    """XMM-Newton without raw data, and without any reduction."""
    mission = XMMPointed(["M1", "PN", "R1"])
    archive = Archive("pps", mission, use_preprocessed=True)
    name = "xmm_pointed"
    assert mission.downloaded_type == "preprocessed"
    assert not any("/ODF" in path for path in xmm.requests)
    assert archive.final_process_success[name] == {XMM: True}
    folder = Path(archive.get_current_data_path(name, XMM))
    made = {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and "logs" not in p.parts
    }
    stem = f"obsid{XMM}-inst"
    assert made == {
        # the names that our own reduction gives, where there is one exposure
        f"events/{stem}PN-subexpALL-en-finalevents.fits",
        f"images/{stem}PN-subexpALL-en0.5_1.0keV-image.fits",
        f"images/{stem}PN-subexpALL-en0.2_12.0keV-image.fits",
        f"images/{stem}PN-subexpALL-en0.5_1.0keV-expmap.fits",
        f"cleaning/{stem}PN-subexpALL-lightcurve.fits",
        f"background/{stem}PN-subexpALL-en0.5_1.0keV-backmap.fits",
        f"events/{stem}R1-subexpS004-finalevents.fits",
        f"events/{stem}M1-subexpS001-en-finalevents.fits",
        f"events/{stem}M1-subexpU002-en-finalevents.fits",
        f"images/{stem}M1-subexpS001-en0.5_1.0keV-image.fits",
        f"P{XMM}OBX000ATTTSR0000.FIT",
        f"P{XMM}EPX000REGION0000.ASC",
    }
    events = folder / f"events/{stem}PN-subexpALL-en-finalevents.fits"
    assert events.read_bytes() == b"PNS003PIEVLI0000.FTZ"  # decompressed
    assert archive.process_extra_info[name]["preprocessed_events"][f"{XMM}PNS003"]["source"] == "xsa"


def test_kinds_of_pipeline_products(xmm: ArchiveServer, tmp_path: Path) -> None:
    xmm.tables["xmmmaster"] = {
        "obsid": [XMM], "ra": [149.6], "dec": [-11.1], "time": [57905.0], "duration": [2e4],
        "public_date": [58000], "xmm_revolution": [3200], "status": ["archived"],
    }  # fmt: skip
    mission = XMMPointed(["M1", "PN"], source="heasarc")
    assert [n[11:] for n in mission.list_products(XMM, "image")] == [
        "M1S001IMAGE_2000.FTZ", "PNS003IMAGE_2000.FTZ", "PNS003IMAGE_8000.FTZ",
    ]  # fmt: skip
    mission.chosen_products = "image"
    mission.fetch_products(disable_progress=True)
    assert {p.kind for p in mission.ready_products(XMM)} == {"image"}
    with pytest.raises(
        PreProcessedNotAvailableError, match="the event list of PN is not on disk, there is none"
    ):
        mission.get_evt_list_path(XMM, "PN")
    mission.save(tmp_path)
    again = XMMPointed(save_file_path=tmp_path / "xmm_pointed_state.json")
    assert again.chosen_products == ["image"]
    # other kinds are fetched when they are wanted
    mission.chosen_products = ["event list", "light curve"]
    mission.fetch_products(disable_progress=True)
    kinds = {p.kind for p in mission.ready_products(XMM)}
    assert kinds == {"image", "event list", "light curve"}
    assert mission.get_lightcurve_path(XMM, "PN").endswith("PNS003FBKTSR0000.FTZ")
    with pytest.raises(PreProcessedNotSupportedError, match="offers no spectrums, only event lists, images"):
        mission.chosen_products = ["spectrum"]


def test_what_could_mean_several(xmm: ArchiveServer) -> None:
    mission = XMMPointed(["M1", "PN"])
    mission.fetch_products(disable_progress=True)
    with pytest.raises(ValueError, match="the event list is there of M1 and of PN; say which"):
        mission.get_evt_list_path(XMM)
    with pytest.raises(ValueError, match=r"in the bands 0\.2-12, 0\.5-1 keV; say which"):
        mission.get_image_path(XMM, inst="PN")
    with pytest.raises(ValueError, match="give both or none"):
        mission.get_image_path(XMM, lo_en=0.5 * u.keV, inst="PN")
    assert mission.get_image_path(XMM, 500 * u.eV, 1 * u.keV, "PN").endswith("PNS003IMAGE_2000.FTZ")
    with pytest.warns(UserWarning, match=r"M1S001MIEVLI0000\.FTZ is one of several event lists.*M1U002"):
        assert mission.get_evt_list_path(XMM, "M1").endswith("M1S001MIEVLI0000.FTZ")
    with pytest.raises(
        PreProcessedNotAvailableError, match=r"from 1 to 2 keV is not on disk, there is M1 S001"
    ):
        mission.get_image_path(XMM, 1, 2, "PN")


def test_a_damaged_product(xmm: ArchiveServer) -> None:
    bad = gzip.compress(b"x" * 1000)[:-9]
    files = {f"P{XMM}PNS003PIEVLI0000.FTZ": bad, f"P{XMM}PNS003IMAGE_2000.FTZ": gzip.compress(b"image")}
    xmm.aio[XMM, "PPS"] = odf_files.tar_bytes({f"{XMM}/pps/{n}": c for n, c in files.items()})
    with pytest.warns(UserWarning, match=f"{XMM}PNS003: .*PIEVLI0000.FTZ: damaged gzip"):
        archive = Archive("bad", XMMPointed("PN"), use_preprocessed=True)
    assert archive.process_success["xmm_pointed"]["preprocessed_events"] == {f"{XMM}PNS003": False}
    assert archive.final_process_success["xmm_pointed"] == {XMM: True}  # it has an image


def test_what_was_made_here_is_not_replaced(xmm: ArchiveServer) -> None:
    mission = XMMPointed("PN")
    mission.fetch_products(disable_progress=True)
    archive = Archive("both", mission, use_preprocessed=True)
    name = f"events/obsid{XMM}-instPN-subexpALL-en-finalevents.fits"
    events = Path(archive.get_current_data_path("xmm_pointed", XMM)) / name
    events.write_bytes(b"of our own")
    made = Run("merge_subexposures", f"{XMM}PN", "xmm_pointed", XMM, "PN", status="done")
    made.outputs = {name: Output("", events.stat().st_size)}
    archive.record(made)
    with pytest.warns(UserWarning, match="has been made by merge_subexposures here, and is not replaced"):
        preprocessed_in_archive(archive)
    assert events.read_bytes() == b"of our own"
    assert archive.final_process_success["xmm_pointed"] == {XMM: True}


def test_chosen_modules_of_erosita(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAXA_URL_EROSITA_EDR", f"{server.url}/FTP/edr")
    content = erosita_list.write(tmp_path / "list.fits").read_bytes()
    files = {"e/fm00_300004_020_EventList_c001.fits": content}
    server.files["edr/eta_Cha.tar.gz"] = odf_files.tar_bytes(files, "w:gz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        archive = Archive("tm", eROSITACalPV(["TM1", "TM7"], fields="eta cha"), use_preprocessed=True)
    folder = Path(archive.get_current_data_path("erosita_calpv", "300004"))
    with fits.open(folder / "events/obsid300004-instTM1_TM7-subexpNone-finalevents.fits") as hdus:
        assert set(hdus["EVENTS"].data["TM_NR"]) == {1, 7}
    with pytest.raises(PreProcessedNotSupportedError, match="CalPV offers no images, only event lists"):
        _ = archive["erosita_calpv"].preprocessed_energy_bands
