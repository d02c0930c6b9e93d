"""Interrupts, other processes, servers that stall, proxies, folders that were meddled with."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import odf_files
import pytest
from archive_server import ArchiveServer

from daxa import config
from daxa.exceptions import DAXANotDownloadedError
from daxa.fetch.http import Client, RemoteFile
from daxa.mission.download import Progress, Request, fetch_all, sizes_of
from daxa.mission.local import read_summaries, scan
from daxa.mission.store import MANIFEST, Part, RawStore


def bring(server: ArchiveServer, client: Client, name: str) -> Callable[[Path, Progress], Part]:
    def fetch(staging: Path, progress: Progress) -> Part:
        file = RemoteFile(f"{server.url}/FTP/x/{name}", name)
        got = client.fetch(file, staging / name, progress.add, progress.expect)
        return Part("test", sizes_of([got], staging))

    return fetch


def test_an_interrupt_ends_what_is_under_way(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files |= {f"x/{n}": bytes(10**6) for n in range(6)}
    started = threading.Event()

    def stall(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        extra = {"Accept-Ranges": "bytes", "ETag": f'"{hash(body)}"'}
        ArchiveServer.send(handler, 200, body[: 5 * 10**5], extra=extra, length=len(body))
        started.set()
        handler.rfile.read(1)  # until the client goes away
        handler.close_connection = True

    server.faults["x/"] = [stall] * 3
    client = Client(timeout_s=0.5, first_pause_s=1000, longest_pause_s=1000)

    def interrupt(running: object, **options: object) -> None:
        started.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr("daxa.mission.download.wait", interrupt)
    store = RawStore(tmp_path / "raw")
    requests = [Request(f"{n}", "raw", None, bring(server, client, str(n))) for n in range(6)]
    with pytest.raises(KeyboardInterrupt):
        fetch_all(requests, store, threads=2, disable_progress=True, stop=client.stopped)
    assert not any(store.has(str(n)) for n in range(6))
    assert not [p for p in store.root.iterdir() if p.name != ".partial"]
    # what had come is used
    monkeypatch.undo()
    server.faults.clear()
    client.stopped.clear()
    report = fetch_all(requests, store, threads=2, disable_progress=True, stop=client.stopped)
    assert len(report.done) == 6
    assert any("Range" in headers for headers in server.headers_seen)
    assert all((store.folder(str(n)) / str(n)).read_bytes() == bytes(10**6) for n in range(6))


def test_two_at_once_fetch_once(server: ArchiveServer, tmp_path: Path) -> None:
    server.files["x/a"] = bytes(10**6)
    reports = []

    def work() -> None:
        request = Request("a", "raw", None, bring(server, Client(), "a"))
        reports.append(fetch_all([request], RawStore(tmp_path / "raw"), disable_progress=True))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(r.failed for r in reports)
    assert server.requests["/FTP/x/a"] == 1


def test_folders_that_were_meddled_with(server: ArchiveServer, tmp_path: Path) -> None:
    server.files["x/a"] = b"content"
    store = RawStore(tmp_path / "raw")
    request = Request("a", "raw", None, bring(server, Client(), "a"))
    # a folder without manifest is not taken for a complete one
    (store.root / "a").mkdir(parents=True)
    (store.root / "a" / "a").write_bytes(b"half")
    assert not store.has("a")
    for meddle in (
        lambda f: (f / "a").write_bytes(b"cont"),
        lambda f: (f / "a").unlink(),
        lambda f: (f / MANIFEST).write_text("{"),
        lambda f: (f / MANIFEST).unlink(),
    ):
        assert fetch_all([request], store, disable_progress=True).done == ["a"]
        assert store.has("a")
        folder = store.folder("a")
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)
        meddle(folder)
        assert not store.has("a")
    assert fetch_all([request], store, disable_progress=True).done == ["a"]
    assert (store.folder("a") / "a").read_bytes() == b"content"
    store.delete("a")
    assert not store.folder("a").exists()


def test_packed_summaries_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "0800010101.tar.gz"
    path.write_bytes(odf_files.tar_bytes(odf_files.odf("0800010101"), "w:gz"))
    first = read_summaries(scan(tmp_path).values())
    monkeypatch.setattr("daxa.mission.local.read_summary", None)
    assert read_summaries(scan(tmp_path).values()) == first
    monkeypatch.undo()
    path.write_bytes(odf_files.tar_bytes(odf_files.odf("0800010101", ra=10), "w:gz"))
    rows, unreadable = read_summaries(scan(tmp_path).values())
    assert rows[0]["ra"] == pytest.approx(10)
    assert unreadable == []
    (config.cache_path() / "local_summaries.json").write_text("[1]")
    assert read_summaries(scan(tmp_path).values()) == (rows, [])


def test_a_summary_whose_gzip_is_damaged_is_named(tmp_path: Path) -> None:
    odf_files.write(odf_files.odf("0800010101"), tmp_path)
    (path,) = tmp_path.glob("*SUM.ASC")
    content = gzip.compress(path.read_bytes())
    path.with_name(f"{path.name}.gz").write_bytes(content[:10] + b"\xff" * 40 + content[50:])
    path.unlink()
    rows, unreadable = read_summaries(scan(tmp_path).values())
    assert rows == []
    assert len(unreadable) == 1
    assert "damaged gzip file" in unreadable[0]


def test_not_downloaded(tmp_path: Path) -> None:
    from daxa.mission import XMMPointed

    odf_files.write(odf_files.odf("0800010101"), tmp_path / "a" / "ODF", compress=True)
    mission = XMMPointed(local=tmp_path / "a")
    with pytest.raises(DAXANotDownloadedError, match="0800010101"):
        mission.get_obs_path("0800010101")
    with pytest.raises(ValueError, match="'0800010102' is not an observation"):
        mission.get_obs_path("0800010102")
