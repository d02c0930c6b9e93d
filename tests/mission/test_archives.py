"""XMM-Newton's archives: catalogue, download, and everything that goes wrong on the way."""

from __future__ import annotations

import stat
import warnings
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import archive_server as faults
import odf_files
import pytest
from archive_server import ArchiveServer

from daxa.exceptions import DAXADownloadError, DAXANotDownloadedError
from daxa.mission import XMMPointed
from daxa.xmm.formats.odf_names import OdfName

OBS = [f"08000{n:03d}01" for n in range(1, 4)]
pytestmark = pytest.mark.usefixtures("pauses")


def fill(server: ArchiveServer, obs_ids: list[str], sources: str = "xsa heasarc") -> None:
    """Put observations into the catalogues and the archives."""
    n = len(obs_ids)
    server.tables["xsa.v_all_observations"] = {
        "observation_id": list(obs_ids),
        "ra": [149.59 + 0.001 * i for i in range(n)],
        "dec": [-11.06] * n,
        "start_utc": ["2004-03-01 01:00:00.0"] * n,
        "duration": [36000] * n,
        "with_science": [True] * n,
        "proprietary_end_date": ["2005-06-01 00:00:00.0"] * n,
        "revolution": [70] * n,
        "target": ["A907"] * n,
    }
    server.tables["xmmmaster"] = {
        "obsid": list(obs_ids),
        "ra": [149.59 + 0.001 * i for i in range(n)],
        "dec": [-11.06] * n,
        "time": [53065.041666666664] * n,
        "duration": [36000.0] * n,
        "public_date": [53522] * n,
        "xmm_revolution": [70] * n,
        "status": ["archived"] * n,
        "name": ["A907"] * n,
    }
    for obs in obs_ids:
        files = odf_files.odf(obs)
        if "xsa" in sources:
            server.aio[obs, "ODF"] = odf_files.aio_bytes(files, obs)
        if "heasarc" in sources:
            for name, content in files.items():
                plain = name.endswith("SUM.ASC")
                path = f"xmm/data/rev0/{obs}/ODF/{name}" + ("" if plain else ".gz")
                server.files[path] = content if plain else faults.gzipped(content)


def expected(obs: str, instruments: set[str] | None = None) -> dict[str, bytes]:
    files = odf_files.odf(obs)
    return {
        n: c for n, c in files.items() if instruments is None or OdfName.parse(n).instrument in instruments
    }


def on_disk(mission: XMMPointed, obs: str) -> dict[str, bytes]:
    folder = mission.get_obs_path(obs)
    return {p.name: p.read_bytes() for p in folder.iterdir() if OdfName.parse(p.name)}


@pytest.mark.parametrize("source", ["xsa", "heasarc", "s3", "auto"])
def test_find_filter_download(server: ArchiveServer, source: str) -> None:
    fill(server, OBS)
    mission = XMMPointed(source=source)
    assert list(mission.obs_ids) == OBS
    row = mission.all_obs_info.iloc[0]
    assert str(row.start) == "2004-03-01 01:00:00"
    assert row.duration.total_seconds() == 36000
    assert row.proprietary_usable
    mission.filter_on_positions([149.59, -11.06], search_distance=0.0015)
    assert list(mission.filtered_obs_ids) == OBS[:2]
    report = mission.download(disable_progress=True)
    assert report.done == OBS[:2]
    assert mission.downloaded_type == "raw"
    instruments = {"M1", "M2", "PN", "SC"} if source in ("heasarc", "s3") else None
    for obs in OBS[:2]:
        assert on_disk(mission, obs) == expected(obs, instruments)
    with pytest.raises(DAXANotDownloadedError):
        mission.get_obs_path(OBS[2])
    # nothing is fetched twice, by this mission or another
    before = server.requests.copy()
    again = XMMPointed(source=source)
    again.filter_on_obs_ids(OBS[:2])
    assert again.download(disable_progress=True).present == OBS[:2]
    assert server.requests == before
    for path in mission.get_obs_path(OBS[0]).iterdir():
        assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def test_more_instruments_later(server: ArchiveServer) -> None:
    fill(server, OBS[:1])
    XMMPointed(["PN"], source="heasarc").download(disable_progress=True)
    before = server.requests.copy()
    mission = XMMPointed(["PN", "R1"], source="heasarc")
    with pytest.raises(DAXANotDownloadedError):
        mission.get_obs_path(OBS[0])
    mission.download(disable_progress=True)
    assert on_disk(mission, OBS[0]) == expected(OBS[0], {"PN", "R1", "SC"})
    fetched = {p for p in server.requests - before if p.endswith(".gz")}
    assert not any("PNS003" in p for p in fetched)


FAULTS = {
    "cut": lambda: faults.cut(0.4),
    "cut without validator": lambda: faults.cut(0.4, etag=False),
    "busy": lambda: faults.status(429, Retry_After="7"),
    "error": lambda: faults.status(500),
    "gateway": lambda: faults.status(503),
    "too long": lambda: faults.wrong_length(+40),
    "too short": lambda: faults.wrong_length(-40),
    "web page": lambda: faults.page,
    "corrupt": lambda: faults.corrupt,
}


@pytest.mark.parametrize("source", ["xsa", "heasarc", "s3"])
@pytest.mark.parametrize("name", FAULTS)
def test_faults_that_pass(server: ArchiveServer, source: str, name: str) -> None:
    fill(server, OBS[:1])
    server.faults[{"xsa": "level=ODF", "heasarc": "PNS003", "s3": "PNS003"}[source]] = [FAULTS[name]()]
    mission = XMMPointed(source=source)
    report = mission.download(disable_progress=True)
    assert not report.failed, report
    instruments = None if source == "xsa" else {"M1", "M2", "PN", "SC"}
    assert on_disk(mission, OBS[0]) == expected(OBS[0], instruments)
    assert not list(Path(mission.raw_data_path).rglob("*.part"))


@pytest.mark.parametrize("name", FAULTS)
def test_faults_that_stay(server: ArchiveServer, name: str) -> None:
    fill(server, OBS[:2])
    server.faults[f"level=ODF obsno={OBS[0]}"] = [FAULTS[name]() for _ in range(100)]
    mission = XMMPointed(source="xsa")
    with pytest.warns(UserWarning, match=f"1 observations did not come(.|\n)*{OBS[0]}"):
        report = mission.download(disable_progress=True)
    assert list(report.failed) == [OBS[0]]
    assert report.done == [OBS[1]]
    assert not (Path(mission.raw_data_path) / OBS[0]).exists()
    assert not mission.download_completed
    # when the server is well again, only that one is asked for
    server.faults.clear()
    before = server.requests.copy()
    assert mission.retry_failed(disable_progress=True).done == [OBS[0]]
    assert set(server.requests - before) == {f"/aio level=ODF obsno={OBS[0]}"}
    assert on_disk(mission, OBS[0]) == expected(OBS[0])
    assert mission.download_completed


def test_directory_page_that_is_cut(server: ArchiveServer) -> None:
    fill(server, OBS[:1])

    def half(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        ArchiveServer.send(handler, 200, body[: len(body) // 2], "text/html")

    server.faults["/ODF/"] = [half] * 50
    mission = XMMPointed(source="heasarc")
    with pytest.raises(DAXADownloadError, match=f"{OBS[0]}.*directory page is incomplete"):
        mission.download(disable_progress=True)
    assert not (Path(mission.raw_data_path) / OBS[0]).exists()


def nested(depth: int) -> bytes:
    """Archives in archives."""
    content = odf_files.tar_bytes({"a": b"x"})
    for _ in range(depth):
        content = odf_files.tar_bytes({"a.tar": content})
    return content


HOSTILE = {
    "archives within archives": nested(50),
    r"control characters in its name": odf_files.tar_bytes({"\x1b[31mMANIFEST.1": b"x"}),
    "points outside the folder": odf_files.tar_bytes({"../../../MANIFEST.1": b"x"}),
}


def test_two_hundred_of_which_seven_fail_three_of_them_hostile(server: ArchiveServer) -> None:
    obs_ids = [f"08{n:06d}01" for n in range(200)]
    fill(server, obs_ids, "xsa")
    bad = obs_ids[3::30]
    assert len(bad) == 7
    sound = {obs: server.aio[obs, "ODF"] for obs in bad}
    for obs, content in zip(bad, HOSTILE.values(), strict=False):
        server.aio[obs, "ODF"] = content
    for obs in bad[3:5]:
        server.faults[f"obsno={obs}"] = [faults.status(500)] * 100
    server.faults[f"obsno={bad[5]}"] = [faults.page] * 100
    server.faults[f"obsno={bad[6]}"] = [faults.status(503, Retry_After="99999")] * 100
    mission = XMMPointed(source="xsa")
    with pytest.warns(UserWarning, match="7 observations did not come") as told:
        report = mission.download(num_cores=8, disable_progress=True)
    assert sorted(report.failed) == bad
    reasons = [*HOSTILE, "HTTP 500", "HTTP 500", "a web page instead", "come back after 99,999 s"]
    for obs, says in zip(bad, reasons, strict=True):
        assert says in report.failed[obs]
        assert report.failed[obs].isprintable()
        assert obs in str(told[0].message)
    # at most twice what was damaged, six times what may pass
    assert all(server.requests[f"/aio level=ODF obsno={obs}"] <= 6 for obs in bad)
    assert server.requests[f"/aio level=ODF obsno={bad[6]}"] == 1
    assert len(report.done) == 193
    for obs in set(obs_ids) - set(bad):
        assert mission.get_obs_path(obs).is_dir()
    root = Path(mission.raw_data_path)
    assert {p.name for p in root.iterdir()} == {*set(obs_ids) - set(bad), ".partial"}
    assert not list(root.parent.rglob("MANIFEST.1"))
    before = server.requests.copy()
    server.faults.clear()
    server.aio |= {(obs, "ODF"): content for obs, content in sound.items()}
    assert mission.retry_failed(disable_progress=True).done == bad
    assert set(server.requests - before) == {f"/aio level=ODF obsno={obs}" for obs in bad}


@pytest.mark.parametrize(
    "fault", [MemoryError(), RecursionError("deep"), KeyError("\x1b[31m"), OSError(28, "full")]
)
def test_a_fault_that_nobody_thought_of_is_of_its_observation_only(
    server: ArchiveServer, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    fill(server, OBS)
    bring = XMMPointed._bring_raw

    def fail(self: XMMPointed, obs_id: str, *args: object) -> object:
        if obs_id == OBS[1]:
            raise fault
        return bring(self, obs_id, *args)

    monkeypatch.setattr(XMMPointed, "_bring_raw", fail)
    mission = XMMPointed(source="xsa")
    with pytest.warns(UserWarning, match="1 observations did not come"):
        report = mission.download(disable_progress=True)
    assert report.done == [OBS[0], OBS[2]]
    assert type(fault).__name__ in report.failed[OBS[1]]
    assert report.failed[OBS[1]].isprintable()


def test_fallback_to_heasarc(server: ArchiveServer) -> None:
    fill(server, OBS[:1])
    del server.tables["xsa.v_all_observations"]
    server.aio.clear()
    with pytest.warns(UserWarning, match="is used instead"):
        mission = XMMPointed()
    mission.download(disable_progress=True)
    assert on_disk(mission, OBS[0]) == expected(OBS[0], {"M1", "M2", "PN", "SC"})


def test_proprietary_data_are_left_out(server: ArchiveServer) -> None:
    fill(server, OBS)
    server.tables["xsa.v_all_observations"]["proprietary_end_date"][0] = "9999-12-31 00:00:00.0"
    server.tables["xsa.v_all_observations"]["proprietary_end_date"][1] = None
    mission = XMMPointed(source="xsa")
    assert list(mission.all_obs_info.proprietary_usable) == [False, False, True]
    with pytest.warns(UserWarning, match="2 of 3 selected observations are proprietary"):
        report = mission.download(disable_progress=True)
    assert report.done == [OBS[2]]
    report = mission.download(credentials=("me", "s3cret"), disable_progress=True)
    assert report.done == OBS[:2]


def test_secrets_stay_out_of_messages(server: ArchiveServer) -> None:
    fill(server, OBS[:1])
    server.faults["level=ODF"] = [faults.status(403)]
    with pytest.raises(DAXADownloadError, match="access refused") as error:
        XMMPointed(source="xsa").download(credentials=("me", "s3cret"), disable_progress=True)
    assert "s3cret" not in str(error.value)


def test_a_full_disk_is_told_before(server: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(server, OBS[:1])
    monkeypatch.setattr("daxa.fetch.disk.free_bytes", lambda folder: 1000)
    with pytest.raises(DAXADownloadError, match=f"{OBS[0]}.*are free for downloads"):
        XMMPointed(source="xsa").download(disable_progress=True)


# -- the catalogue ------------------------------------------------------------------------------


def test_bad_rows_are_dropped_and_counted(server: ArchiveServer) -> None:
    fill(server, [*OBS, OBS[0]])
    table = server.tables["xsa.v_all_observations"]
    table["ra"][1] = float("nan")
    table["start_utc"][2] = "20310-01-01 00:00:00.0"
    with pytest.warns(
        UserWarning, match="of 4 observations were dropped: 1 without coordinates, 1 given more"
    ):
        mission = XMMPointed(source="xsa")
    assert list(mission.obs_ids) == [OBS[2], OBS[0]]
    # an observation in the far future is known, but cannot be used
    assert list(mission.science_usable) == [False, True]


@pytest.mark.parametrize("flagged", [True, False])
def test_a_service_that_cuts_its_answers(server: ArchiveServer, flagged: bool) -> None:
    obs_ids = [f"08{n:06d}01" for n in range(57)]
    fill(server, obs_ids)
    server.row_limit, server.flag_overflow = 10, flagged
    assert sorted(XMMPointed(source="xsa").obs_ids) == obs_ids


def test_catalogue_cache(server: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(server, OBS)
    first = XMMPointed(source="xsa")
    asked = len(server.queries)
    second = XMMPointed(source="xsa")
    assert len(server.queries) == asked
    assert first.all_obs_info.equals(second.all_obs_info)
    assert second.catalogue_date == first.catalogue_date
    # no network: the cache serves, with a warning once it is old
    monkeypatch.setenv("DAXA_URL_XSA_TAP", "http://127.0.0.1:9/tap")
    monkeypatch.setattr("daxa.mission.catalogue.CACHE_DAYS", 0)
    with pytest.warns(UserWarning, match="from the cache is used"):
        assert list(XMMPointed(source="xsa").obs_ids) == OBS


def test_no_network_and_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAXA_URL_XSA_TAP", "http://127.0.0.1:9/tap")
    monkeypatch.setenv("DAXA_URL_HEASARC_TAP", "http://127.0.0.1:9/tap")
    with pytest.raises(DAXADownloadError, match="no catalogue: .*none is in the cache.*local="):
        XMMPointed()


def test_a_damaged_cache_is_no_cache(server: ArchiveServer) -> None:
    from daxa.mission.catalogue import cache_file

    fill(server, OBS)
    XMMPointed(source="xsa")
    cache_file("xsa_tap-xsa.v_all_observations").write_bytes(b"PK\x03\x04 nonsense")
    assert list(XMMPointed(source="xsa").obs_ids) == OBS


def test_state_replays_without_network(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server, OBS)
    mission = XMMPointed(source="xsa")
    mission.filter_on_positions([149.59, -11.06], search_distance=0.0015)
    mission.filter_on_obs_ids(OBS[2], invert=True)
    mission.save(tmp_path)
    fill(server, ["0800000401", *OBS[1:]])
    server.tables["xsa.v_all_observations"]["with_science"][1] = False
    url = server.url
    for key in ("XSA_TAP", "HEASARC_TAP"):
        monkeypatch.setenv(f"DAXA_URL_{key}", "http://127.0.0.1:9")
    again = XMMPointed(save_file_path=tmp_path / "xmm_pointed_state.json")
    assert list(again.filtered_obs_ids) == OBS[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.save(tmp_path, "copy.json")
    monkeypatch.setenv("DAXA_URL_XSA_TAP", f"{url}/xsa/tap")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        news = again.update(download_new=False)
    # in today's catalogue the first is gone, the second cannot be used any more, a fourth has come
    assert news["removed_obs_ids"] == OBS[:2]
    assert news["new_obs_ids"] == ["0800000401"]
    assert news["which_changed_science_usable"] == [OBS[1]]


def test_products(server: ArchiveServer) -> None:
    fill(server, OBS[:1])
    obs = OBS[0]
    names = ["M1S001MIEVLI0000.FTZ", "PNS003PIEVLI0000.FTZ", "PNS003IMAGE_2000.FTZ", "R1S004EVENLI0000.FTZ"]
    names += ["PNS003STSPLT0001.PDF", "OBX000ATTTSR0000.FTZ", "PNS003EXPMAP2000.FTZ"]
    files = {f"P{obs}{n}": n.encode() for n in names}
    server.aio[obs, "PPS"] = odf_files.tar_bytes({f"{obs}/pps/{n}": c for n, c in files.items()})
    server.files |= {f"xmm/data/rev0/{obs}/PPS/{n}": c for n, c in files.items()}
    for source in ("xsa", "heasarc"):
        mission = XMMPointed(source=source)
        mission.download(download_products=True, disable_progress=True)
        assert mission.downloaded_type == "raw+preprocessed"
        assert Path(mission.get_evt_list_path(obs, "PN")).read_bytes() == b"PNS003PIEVLI0000.FTZ"
        assert mission.get_image_path(obs, 0.5, 1.0, "PN").endswith("PNS003IMAGE_2000.FTZ")
        assert mission.get_expmap_path(obs, 0.5, 1.0, "PN").endswith("PNS003EXPMAP2000.FTZ")
        held = {p.name[11:] for p in (mission.get_obs_path(obs) / "PPS").iterdir()}
        assert held == {n for n in names if not n.startswith("R1") and "STSPLT" not in n}
        mission.delete_raw_data(force_del=True)
    assert len(mission.list_products(obs)) == len(names)
