"""Steps of eROSITA: with a stand-in for eSASS, and in Python without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import erosita_list
import odf_files
import pytest
from archive_server import ArchiveServer
from astropy.io import fits
from astropy.units import Quantity
from fake_esass import esass

from daxa.archive import Archive
from daxa.exceptions import NoDependencyProcessError, eSASSNotFoundError
from daxa.mission import eROSITACalPV
from daxa.process import PROC_LOOKUP
from daxa.process.erosita import cleaned_evt_lists, flaregti
from daxa.process.erosita.assemble import CleanedOptions
from daxa.process.erosita.clean import FlareOptions
from daxa.process.simple import full_process_erosita

__all__ = ["esass"]
pytestmark = [pytest.mark.usefixtures("pauses"), pytest.mark.filterwarnings("ignore:.*approximate")]
OBS = ["300007", "300008"]
NAME = "erosita_calpv"


def made(
    server: ArchiveServer,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    flares: bool = False,
    insts: Any = None,
) -> Archive:
    monkeypatch.setenv("DAXA_URL_EROSITA_EDR", f"{server.url}/FTP/edr")
    content = erosita_list.write(folder / "list.fits", flares).read_bytes()
    files = {f"eFEDS/fm00_{o}_020_EventList_c001.fits": content for o in OBS}
    server.files["edr/eFEDS.tar.gz"] = odf_files.tar_bytes(files, "w:gz")
    mission = eROSITACalPV(insts, fields="efeds")
    mission.filter_on_obs_ids(OBS)
    return Archive("fields", mission)


def times(archive: Archive, obs_id: str, name: str) -> list[float]:
    with fits.open(Path(archive.get_current_data_path(NAME, obs_id)) / name) as hdus:
        return hdus["EVENTS"].data["TIME"].tolist()


def test_with_esass(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, esass: Path
) -> None:
    archive = made(server, tmp_path, monkeypatch, insts=["TM1", "TM7"])
    full_process_erosita(
        archive, Quantity(0.3, "keV"), Quantity(5, "keV"), num_cores=1, disable_progress=True
    )
    calls = (esass / "calls").read_text().splitlines()
    stem = "obsid300007-instTM1_TM7"
    assert calls[:2] == [
        "flaregti eventfile=events.fits pimin=200 pimax=10000 mask_pimin=200 mask_pimax=10000 timebin=20 "
        "source_size=25 threshold=-1 max_threshold=-1 binsize=1200 mask_iter=3 detml=10 source_like=10 "
        "write_mask=yes mask=mask.fits write_lightcurve=yes lightcurve=lightcurve.fits "
        "write_thresholdimg=yes thresholdimg=threshold.fits",
        f"evtool eventfiles={stem}-subexpNone-events.fits outfile=cleaned.fits gti=FLAREGTI flag=0xc0000000 "
        "flag_invert=no pattern=15 emin=0.3 emax=5 image=no events=yes clobber=yes",
    ]
    assert len(calls) == 4
    folder = Path(archive.get_current_data_path(NAME, OBS[0]))
    kept = {p.relative_to(folder).as_posix() for p in folder.rglob("*.fits")}
    assert kept == {
        f"events/{stem}-subexpNone-events.fits",
        f"events/{stem}-subexpALL-en0.3_5.0keV-finalevents.fits",
        f"cleaning/{stem}-subexpNone-en200_10000PI-lightcurve.fits",
        f"cleaning/{stem}-subexpNone-en200_10000PI-thresholdimage.fits",
        f"cleaning/{stem}-subexpNone-en200_10000PI-maskimage.fits",
    }
    assert archive.final_process_success[NAME] == dict.fromkeys(OBS, True)
    assert archive[NAME].processed
    assert archive.process_extra_info[NAME]["cleaned_evt_lists"][OBS[0]]["final"].endswith("finalevents.fits")
    assert archive.process_logs[NAME]["flaregti"][OBS[0]].endswith("flaregti: DONE\n")
    run = archive.ledger.latest(NAME, "flaregti", OBS[0])
    assert (run.backend, run.versions["esass"]) == ("esass", "eSASS4DR1")
    # nothing is done again, even when lists of other modules have been asked for meanwhile
    archive[NAME].get_evt_list_path(OBS[0], "TM2")
    full_process_erosita(archive, Quantity(0.3, "keV"), Quantity(5, "keV"), disable_progress=True)
    assert len((esass / "calls").read_text().splitlines()) == 4


def test_a_program_that_fails(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, esass: Path
) -> None:
    archive = made(server, tmp_path, monkeypatch)
    (esass / "fail").write_text("EVENTS")
    with pytest.warns(UserWarning, match=f"{OBS[0]}.*flaregti ended with status 4"):
        flaregti(archive, num_cores=1, disable_progress=True)
    assert archive.process_success[NAME]["flaregti"] == dict.fromkeys(OBS, False)
    assert "flaregti: no memory" in archive.raw_process_errors[NAME]["flaregti"][OBS[0]]
    with pytest.raises(NoDependencyProcessError):
        cleaned_evt_lists(archive, disable_progress=True)


def test_without_esass(server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flare-free times of the archive's lists, and selections in Python."""
    archive = made(server, tmp_path, monkeypatch, flares=True)
    with pytest.raises(
        eSASSNotFoundError, match=r"flaregti: needs eSASS, but evtool, flaregti are not on PATH.*eSASS4DR1"
    ):
        flaregti(archive)
    with pytest.warns(
        UserWarning, match="without eSASS no flares are looked for, and events are selected in"
    ):
        full_process_erosita(archive, num_cores=1, disable_progress=True)
    name = "events/obsid300007-instTM1_TM2_TM3_TM4_TM5_TM6_TM7-subexpALL-en0.2_10.0keV-finalevents.fits"
    assert times(archive, OBS[0], name) == [20.0, 90.0]
    assert archive.final_process_success[NAME] == dict.fromkeys(OBS, True)
    assert archive.ledger.latest(NAME, "cleaned_evt_lists", OBS[0]).backend == "python"
    # other options, other events
    with pytest.warns(UserWarning, match="without eSASS, events are selected in Python"):
        cleaned_evt_lists(
            archive,
            hi_en=Quantity(20, "keV"),
            pattern=8,
            flag=0x10,
            gti="GTI",
            num_cores=1,
            disable_progress=True,
        )
    assert times(archive, OBS[1], name.replace("10.0", "20.0").replace(OBS[0], OBS[1])) == [60.0, 80.0]


def test_lists_without_times_of_flares(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = made(server, tmp_path, monkeypatch, insts="TM7")
    with (
        pytest.warns(UserWarning, match="no good times FLAREGTI1 to FLAREGTI7; flaregti makes them"),
        pytest.warns(UserWarning, match="without eSASS no flares"),
        pytest.warns(UserWarning, match="nothing is left of it"),
    ):
        full_process_erosita(archive, num_cores=1, disable_progress=True)
    assert archive.final_process_success[NAME] == dict.fromkeys(OBS, False)


def test_where_they_are_found() -> None:
    assert PROC_LOOKUP["erosita_all_sky_de_dr1"] == PROC_LOOKUP[NAME] == {
        "flaregti": flaregti, "cleaned_evt_lists": cleaned_evt_lists,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "parameter", "value"),
    [
        ({"pimin": Quantity(0.3, "keV")}, "pimin", "300"),
        ({"mask_pimax": Quantity(5, "keV")}, "mask_pimax", "5000"),
        ({"binsize": 600}, "binsize", "600"),
        ({"detml": 12.5}, "detml", "12.5"),
        ({"timebin": Quantity(1, "min")}, "timebin", "60"),
        ({"source_size": Quantity(1, "arcmin")}, "source_size", "60"),
        ({"source_like": 8}, "source_like", "8"),
        ({"threshold": Quantity(1.1, "ct / (deg2 s)")}, "threshold", "1.1"),
        ({"max_threshold": Quantity(2, "ct / (deg2 s)")}, "max_threshold", "2"),
        ({"threshold": Quantity(-1, "ct / (deg2 s)")}, "threshold", "-1"),
        ({"mask_iter": 1}, "mask_iter", "1"),
    ],
)
def test_options_of_flaregti(given: dict, parameter: str, value: str) -> None:
    assert FlareOptions(**given).parameters[parameter] == value


@pytest.mark.parametrize(
    ("options", "given", "error", "message"),
    [
        (FlareOptions, {"pimin": 200}, TypeError, "pimin: expected a quantity"),
        (
            FlareOptions,
            {"pimin": Quantity(20, "keV")},
            ValueError,
            "pimin, pimax: no band from 20000 to 10000",
        ),
        (FlareOptions, {"binsize": 1.5}, TypeError, "binsize: expected an integer"),
        (FlareOptions, {"mask_iter": 0}, ValueError, "mask_iter: expected a positive number"),
        (FlareOptions, {"timebin": Quantity(0, "s")}, ValueError, "timebin: expected a positive quantity"),
        (CleanedOptions, {"lo_en": Quantity(11, "keV")}, ValueError, "expected 0 <= lo_en < hi_en"),
        (CleanedOptions, {"pattern": 16}, ValueError, "pattern: expected 1 to 15"),
        (CleanedOptions, {"flag": "0xc0"}, TypeError, "flag: expected an integer"),
        (CleanedOptions, {"flag_invert": 1}, TypeError, "flag_invert"),
        (CleanedOptions, {"gti": "X"}, ValueError, "gti: expected FLAREGTI or GTI"),
    ],
)
def test_unusable_options(options: type, given: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        options(**given)
