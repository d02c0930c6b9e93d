"""Fetching calibration files from a server that may misbehave."""

from __future__ import annotations

import io
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from astropy.io import fits

from daxa.calibration import store
from daxa.exceptions import DAXADownloadError
from daxa.xmm.ccf import DamagedConstituent
from daxa.xmm.ccf.index import read_entry
from daxa.xmm.task import run_task


class Server:
    """A local mirror: serves a folder, with faults by file name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: dict[str, str] = {}
        self.requests: Counter[str] = Counter()
        self.ranges: list[tuple[str, str]] = []
        self.bytes: Counter[str] = Counter()
        self.ignore_range = False
        self.meeting: threading.Barrier | None = None
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                server.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(
            target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/ccf/"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.rsplit("/", 1)[-1]
        asked = request.headers.get("Range", "")
        self.requests[name] += 1
        if asked:
            self.ranges.append((name, asked))
        if not name and self.faults.get("listing", "").isdigit():
            self._send(request, int(self.faults["listing"]), b"no")
            return
        if not name:
            links = "".join(f'<a href="{p.name}">{p.name}</a>\n' for p in sorted(self.folder.iterdir()))
            links += '<a href="../">up</a> <a href="http://elsewhere.invalid/EPN_CTI_9999.CCF">x</a>'
            self._send(request, 200, f"<html>{links}</html>".encode())
            return
        path = self.folder / name
        is_header = asked.startswith("bytes=0-")
        if self.meeting is not None and not is_header and name.endswith(".CCF"):
            self.meeting.wait(timeout=30)
        fault = "" if is_header else self.faults.get(name, "")
        if fault.startswith("once "):
            self.faults[name] = ""
            fault = fault[5:]
        if fault.isdigit():
            self._send(request, int(fault), b"<html>no</html>")
            return
        if not path.is_file():
            self._send(request, 404, b"no such file")
            return
        data = path.read_bytes()
        status, headers = 200, {}
        match = re.match(r"bytes=(\d+)-(\d*)", asked)
        if match and not self.ignore_range:
            start = int(match[1])
            if start >= len(data):
                self._send(request, 416, b"")
                return
            stop = min(len(data), int(match[2]) + 1 if match[2] else len(data))
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            data, status = data[start:stop], 206
        length = len(data)
        if fault == "cut":
            data = data[: len(data) // 2]
        elif fault == "short length":
            length -= 2880
            data = data[:length]
        elif fault == "long length":
            length += 1000
        elif fault == "flipped":
            data = data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]
        elif fault == "page":
            data = b"<html>Please log in</html>"
            length = len(data)
        elif fault == "other file":
            data = next(p for p in sorted(self.folder.glob("XMM_*.CCF"))).read_bytes()
            length = len(data)
        self.bytes[name] += len(data)
        self._send(request, status, data, length, headers)

    @staticmethod
    def _send(
        request: BaseHTTPRequestHandler,
        status: int,
        data: bytes,
        length: int | None = None,
        headers: dict | None = None,
    ) -> None:
        length = len(data) if length is None else length
        request.send_response(status)
        for key, value in (headers or {}).items():
            request.send_header(key, value)
        request.send_header("Content-Length", str(length))
        request.end_headers()
        request.wfile.write(data)
        request.wfile.flush()
        if length != len(data):
            request.close_connection = True


@pytest.fixture
def served(synthetic_ccf: Path, tmp_path: Path) -> Path:
    """Folder to be served: pn's files, and some that nobody needs."""
    folder = tmp_path / "served"
    folder.mkdir()
    for path in synthetic_ccf.iterdir():
        if path.name.startswith(("EPN", "XMM", "XRT3", "EMOS1_BADPIX")):
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "EPN_FWC_0002.CCF").write_bytes(b"x" * 5_000_000)
    (folder / "README.txt").write_text("hello")
    return folder


@pytest.fixture
def server(served: Path):
    server = Server(served)
    yield server
    server.close()


@pytest.fixture
def with_master(served: Path) -> None:
    arguments = {"masterindex": True, "calindexset": "ccf.mif"}
    env = {"SAS_CCFPATH": str(served)}
    run_task("cifbuild", arguments, cwd=served, env=env, out=io.StringIO(), err=io.StringIO())


NAME = "EPN_LINCOORD_0009.CCF"
DATES = ["2017-11-01T10:42:37"]


def fetch(server: Server, target: Path, **arguments) -> list[Path]:
    return store.fetch(
        ["EPN"],
        arguments.pop("dates", DATES),
        mirror=server.url,
        folder=target,
        timeout_s=5,
        pause_s=0.0,
        **arguments,
    )


def assert_sound(folder: Path) -> None:
    """Whatever has a constituent's name is a whole constituent of that name."""
    for path in folder.glob("*.CCF"):
        entry = read_entry(path)
        assert entry is not None
        assert entry.name == path.name


def test_only_what_is_needed(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "store"
    paths = fetch(server, target)
    assert {p.name for p in paths} == {p.name for p in target.glob("*.CCF")}
    names = {p.name for p in paths}
    assert NAME in names
    assert "EPN_BADPIX_0104.CCF" in names
    assert "XMM_BORESIGHT_0035.CCF" in names
    assert not names & {"EPN_FWC_0002.CCF", "EMOS1_BADPIX_0045.CCF", "XMM_BORESIGHT_0028.CCF"}
    assert server.requests["EPN_FWC_0002.CCF"] == 0
    for path in paths:
        assert path.read_bytes() == (server.folder / path.name).read_bytes()
    assert not list(target.glob("*.part*"))
    # A second time nothing is fetched.
    before = sum(server.bytes.values())
    assert fetch(server, target) == paths
    assert sum(server.bytes.values()) == before
    assert store.fetch(["EPN"], DATES, folder=target, offline=True) == paths


def test_files_for_any_date(server: Server, tmp_path: Path) -> None:
    early = {p.name for p in fetch(server, tmp_path / "a", dates=["2000-06-01"])}
    late = {p.name for p in fetch(server, tmp_path / "b", dates=["2020-06-01"])}
    every = {p.name for p in fetch(server, tmp_path / "c", dates=None)}
    assert early | late <= every
    assert early != late


@pytest.mark.parametrize(
    "kept", [5, [1], {NAME: 3}, {NAME: {"scope": 1}}, {NAME: {"scope": "EPN", "x": "y"}}]
)
def test_damaged_notes_of_headers_are_ignored(server: Server, tmp_path: Path, kept: object) -> None:
    target = tmp_path / "store"
    paths = fetch(server, target)
    for path in paths:
        path.unlink()
    (target / ".headers.json").write_text(json.dumps({server.url: kept}))
    assert fetch(server, target) == paths
    assert [p.name for p in target.glob(".headers.json*")] == [".headers.json"]


def test_header_that_cannot_be_read_is_named(server: Server, tmp_path: Path) -> None:
    data = (server.folder / NAME).read_bytes()
    place = data.index(b"VALDATE ")
    card = data[place : place + 80]
    assert b"'" in card
    damaged = card.replace(b"'", b"\x01", 1).ljust(80)[:80]
    (server.folder / "EPN_LINCOORD_0099.CCF").write_bytes(data.replace(card, damaged, 1))
    with pytest.raises(DAXADownloadError, match=r"EPN_LINCOORD_0099\.CCF: no readable calibration header"):
        fetch(server, tmp_path / "store")


@pytest.mark.usefixtures("with_master")
def test_master_index_saves_reading_headers(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path / "store")
    assert not server.ranges
    assert server.requests["ccf.mif"] == 1


def test_cut_transfers_are_continued(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "store"
    size = (server.folder / NAME).stat().st_size
    server.faults[NAME] = "once cut"
    fetch(server, target)
    assert (NAME, f"bytes={size // 2}-") in server.ranges
    assert (target / NAME).read_bytes() == (server.folder / NAME).read_bytes()


def test_continued_by_the_next_run(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "store"
    server.faults[NAME] = "cut"
    with pytest.raises(DAXADownloadError, match=rf"{NAME}: got \d+ of \d+ bytes"):
        fetch(server, target)
    assert not (target / NAME).exists()
    assert_sound(target)
    assert len(list(target.glob("*.CCF"))) > 5
    have = (target / f"{NAME}.part").stat().st_size
    assert 0 < have < (server.folder / NAME).stat().st_size
    del server.faults[NAME]
    server.ranges.clear()
    fetch(server, target)
    assert (NAME, f"bytes={have}-") in server.ranges
    assert (target / NAME).read_bytes() == (server.folder / NAME).read_bytes()


def test_server_without_ranges(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "store"
    server.ignore_range = True
    server.faults[NAME] = "once cut"
    fetch(server, target)
    assert (target / NAME).read_bytes() == (server.folder / NAME).read_bytes()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("404", "HTTP 404"),
        ("500", "HTTP 500"),
        ("short length", "not a whole constituent"),
        ("page", "sent a web page instead"),
        ("other file", f"what came is not {NAME}"),
    ],
)
def test_faults_concern_one_file_only(server: Server, tmp_path: Path, fault: str, message: str) -> None:
    target = tmp_path / "store"
    server.faults[NAME] = fault
    with pytest.raises(DAXADownloadError, match=message) as failure:
        fetch(server, target)
    assert "1 problems" in str(failure.value)
    assert NAME in str(failure.value)
    assert not (target / NAME).exists()
    assert (target / "EPN_CTI_0056.CCF").is_file()
    assert_sound(target)
    del server.faults[NAME]
    fetch(server, target)
    assert (target / NAME).read_bytes() == (server.folder / NAME).read_bytes()


@pytest.mark.parametrize("fault", ["long length", "once 500", "once short length"])
def test_faults_that_do_no_harm(server: Server, tmp_path: Path, fault: str) -> None:
    server.faults[NAME] = fault
    fetch(server, tmp_path / "store")
    assert (tmp_path / "store" / NAME).read_bytes() == (server.folder / NAME).read_bytes()


@pytest.mark.usefixtures("with_master")
@pytest.mark.parametrize(
    ("fault", "message"),
    [("flipped", "checksum"), ("short length", "master index says"), ("cut", "got")],
)
def test_master_index_is_believed(server: Server, tmp_path: Path, fault: str, message: str) -> None:
    target = tmp_path / "store"
    server.faults[NAME] = fault
    with pytest.raises(DAXADownloadError, match=message):
        fetch(server, target)
    assert not (target / NAME).exists()
    del server.faults[NAME]
    fetch(server, target)
    assert (target / NAME).read_bytes() == (server.folder / NAME).read_bytes()


def test_damaged_file_in_the_store_is_replaced(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "store"
    fetch(server, target)
    whole = (target / NAME).read_bytes()
    (target / NAME).write_bytes(whole[:-2880])
    fetch(server, target)
    assert (target / NAME).read_bytes() == whole
    assert not list(target.glob(".*damaged"))


def test_another_mirror_helps(server: Server, tmp_path: Path) -> None:
    second = Server(server.folder)
    try:
        server.faults[NAME] = "404"
        dead = "http://127.0.0.1:9/ccf/"
        paths = store.fetch(
            ["EPN"],
            DATES,
            mirror=[dead, server.url, second.url],
            folder=tmp_path / "store",
            pause_s=0.0,
            timeout_s=5,
        )
        assert tmp_path / "store" / NAME in paths
        assert second.requests[NAME] == 1
    finally:
        second.close()


@pytest.mark.usefixtures("with_master")
def test_several_files_come_at_once(server: Server, tmp_path: Path) -> None:
    for path in server.folder.glob("*.CCF"):
        if not path.name.startswith(("EPN_LINCOORD", "EPN_CTI_0056", "EPN_MODEPARAM", "XMM_MISCDATA")):
            path.unlink()
    # No answer before four are asked for: fetched one by one they would never come.
    server.meeting = threading.Barrier(4)
    with pytest.raises(DAXADownloadError, match=r"4 calibration files are in"):
        fetch(server, tmp_path / "store", threads=4)
    assert len(list((tmp_path / "store").glob("*.CCF"))) == 4
    assert not server.meeting.broken


@pytest.mark.parametrize("status", ["404", "500"])
def test_mirror_that_does_not_list_its_files(server: Server, tmp_path: Path, status: str) -> None:
    server.faults["listing"] = status
    with pytest.raises(DAXADownloadError, match=rf"no calibration mirror can be read: .*HTTP {status}"):
        fetch(server, tmp_path / "store")
    second = Server(server.folder)
    try:
        both = [server.url, second.url]
        paths = store.fetch(["EPN"], DATES, mirror=both, folder=tmp_path / "store", timeout_s=5, pause_s=0.0)
        assert tmp_path / "store" / NAME in paths
    finally:
        second.close()


def test_no_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.MIRRORS_VARIABLE, "http://127.0.0.1:9/a/, http://127.0.0.1:9/b/")
    assert store.mirrors() == ["http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/"]
    with pytest.raises(DAXADownloadError, match=r"no calibration mirror can be read: http://127.0.0.1:9/a/"):
        store.fetch(["EPN"], DATES, folder=tmp_path / "store", timeout_s=5)


def test_mirror_without_a_type(server: Server, tmp_path: Path) -> None:
    for path in server.folder.glob("EPN_CTI_*"):
        path.unlink()
    with pytest.raises(DAXADownloadError, match="has no EPN_CTI for these dates"):
        fetch(server, tmp_path / "store")
    assert (tmp_path / "store" / NAME).is_file()
    for path in server.folder.glob("*.CCF"):
        path.unlink()
    with pytest.raises(DAXADownloadError, match="no calibration constituents are listed there"):
        fetch(server, tmp_path / "store")


def test_two_at_once(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "store"
    problems: list[Exception] = []

    def run() -> None:
        try:
            fetch(server, target)
        except DAXADownloadError as err:
            problems.append(err)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert_sound(target)
    full = [n for n, r in server.ranges if not r.startswith("bytes=0-")]
    assert not full


def test_offline(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DAXADownloadError, match="offline, and .*EPN_LINCOORD"):
        store.fetch(["EPN"], DATES, folder=tmp_path / "store", offline=True)
    assert sum(server.requests.values()) == 0


def test_only_types_that_a_task_reads(shared_data: Path) -> None:
    from daxa.xmm.ccf.index import read_index

    wanted = set(store.wanted_types(["EMOS1", "EMOS2", "EPN"]))
    # The 70 MB of each mirror's point-spread function serve the pn only.
    assert ("XRT3", "XPSF") in wanted
    assert not {("XRT1", "XPSF"), ("XRT2", "XPSF"), ("EPN", "FWC"), ("EPN", "REDIST")} & wanted
    scopes = {scope for scope, _ in store.wanted_types(["EMOS2"])}
    # The gratings of RGS2 stand in the beam of MOS2.
    assert scopes == {"XMM", "EMOS2", "RGS2", "XRT2"}
    assert {t for s, t in wanted if s == "RGS1"} == {"LINCOORD", "QUANTUMEF"}
    spectrometer = set(store.wanted_types(["RGS1"]))
    assert {scope for scope, _ in spectrometer} == {"XMM", "RGS1"}
    assert {t for s, t in spectrometer if s == "RGS1"} == {
        "LINCOORD", "ADUCONV", "CTI", "HKPARMINT", "BADPIX", "QUANTUMEF",
    }  # fmt: skip
    # By the sizes of a real index, less than an eighth of what there is.
    entries = read_index(shared_data / "epic_pn_0124710801" / "ccf.cif").entries
    size = sum(e.fsize for e in entries if e.key in wanted)
    assert size < 1.05e8
    assert size < sum(e.fsize for e in entries) / 8
    assert wanted | spectrometer <= {e.key for e in entries}


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'OM' is not one of EMOS1, EMOS2, EPN, RGS1, RGS2"):
        store.fetch(["OM"], folder=tmp_path)
    with pytest.raises(ValueError):
        store.fetch(["EPN"], ["yesterday"], folder=tmp_path)


def test_listing_and_description(synthetic_ccf: Path, tmp_path: Path) -> None:
    (tmp_path / "EPN_CTI_0099.CCF").write_bytes(b"junk")
    rows = store.available(f"{synthetic_ccf}:{tmp_path}:/nowhere")
    by_name = {r["name"]: r for r in rows}
    assert by_name[NAME]["used"] is True
    assert by_name[NAME]["folder"] == str(synthetic_ccf)
    assert by_name["EPN_CTI_0099.CCF"]["valid from"].startswith("damaged")
    assert store.available([]) == []
    what = store.describe(synthetic_ccf / NAME)
    assert (what["scope"], what["type"], what["issue"]) == ("EPN", "LINCOORD", 9)
    assert what["layout known"] is True
    assert what["missing extensions"] == []
    table = next(t for t in what["extensions"] if t["extension"] == "LINCOORD")
    assert table["rows"] == 12
    assert "PHI0" in {c["name"] for c in table["columns"]}
    # Nameless extensions, two of a name, and one named as the first.
    with fits.open(synthetic_ccf / NAME) as hdus:
        odd = [fits.BinTableHDU(), fits.BinTableHDU(), fits.BinTableHDU(name="LINCOORD")]
        fits.HDUList([*hdus, *odd, fits.BinTableHDU(name="PRIMARY")]).writeto(tmp_path / NAME)
    what = store.describe(tmp_path / NAME)
    assert [t["recognised"] for t in what["extensions"]] == ["exact", "exact"] + ["not read"] * 4
    assert "stands before it" in what["extensions"][4]["detail"]
    for wrong in (tmp_path / "EPN_CTI_0099.CCF", tmp_path / "absent.CCF"):
        with pytest.raises(DamagedConstituent, match=wrong.name):
            store.describe(wrong)
