"""The HTTP client: what it continues, repeats, refuses, and leaves to a check of the file."""

from __future__ import annotations

import random
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import archive_server as faults
import pytest
from archive_server import ArchiveServer

from daxa.exceptions import DAXADownloadError
from daxa.fetch.http import Client, RemoteFile

pytestmark = pytest.mark.usefixtures("pauses")


@pytest.mark.parametrize("seed", range(5))
def test_resume_at_random_places(server: ArchiveServer, seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    content = rng.randbytes(300_000)
    server.files["x/data.bin"] = content
    server.faults["data.bin"] = [faults.cut(rng.random())] + [
        faults.cut_again(rng.random()) for _ in range(4)
    ]
    target = tmp_path / "data.bin"
    arrived: list[int] = []
    Client(tries=3).fetch(RemoteFile(f"{server.url}/FTP/x/data.bin", "data.bin"), target, arrived.append)
    assert target.read_bytes() == content
    assert sum(arrived) == len(content)
    # no byte came twice
    assert server.bytes_sent["/FTP/x/data.bin"] < len(content) + 1


def test_a_changed_file_is_not_glued_together(server: ArchiveServer, tmp_path: Path) -> None:
    server.files["x/data.bin"] = b"old" * 1000
    server.faults["data.bin"] = [faults.cut(0.5)] + [faults.status(500)] * 10
    file = RemoteFile(f"{server.url}/FTP/x/data.bin", "data.bin")
    with pytest.raises(DAXADownloadError, match="given up after 3 attempts"):
        Client(tries=3).fetch(file, tmp_path / "data.bin")
    assert (tmp_path / "data.bin.part").stat().st_size == 1500
    server.faults.clear()
    server.files["x/data.bin"] = b"new" * 2000
    Client(tries=3).fetch(file, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == b"new" * 2000


def test_pauses_grow_and_heed_the_server(server: ArchiveServer, pauses: list[float], tmp_path: Path) -> None:
    server.files["x/a"] = b"content"
    server.faults["x/a"] = [faults.status(500)] * 3 + [faults.status(429, Retry_After="90")]
    Client(first_pause_s=1).fetch(RemoteFile(f"{server.url}/FTP/x/a", "a"), tmp_path / "a")
    assert pauses == [1, 2, 4, 90]


def test_a_server_that_stalls(server: ArchiveServer, tmp_path: Path, pauses: list[float]) -> None:
    server.files["x/a"] = bytes(10**6)

    def stall(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        ArchiveServer.send(handler, 200, body[:1000], length=len(body))
        handler.rfile.read(1)
        handler.close_connection = True

    server.faults["x/a"] = [stall]
    Client(timeout_s=0.3).fetch(RemoteFile(f"{server.url}/FTP/x/a", "a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == bytes(10**6)
    assert len(pauses) == 1


def test_proxies_are_used(server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["x/a"] = b"content"
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    Client().fetch(RemoteFile("http://archive.example/FTP/x/a", "a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert server.headers_seen[-1]["Host"] == "archive.example"


def test_nothing_there(server: ArchiveServer, tmp_path: Path, pauses: list[float]) -> None:
    with pytest.raises(DAXADownloadError, match="not found on the server"):
        Client().fetch(RemoteFile(f"{server.url}/FTP/none", "none"), tmp_path / "none")
    assert pauses == []  # asking again would not help
    assert not list(tmp_path.iterdir())


def test_bytes_are_counted_once(server: ArchiveServer, tmp_path: Path, pauses: list[float]) -> None:
    server.files["x/a"] = bytes(50_000)
    server.faults["x/a"] = [faults.cut(0.5, etag=False), faults.wrong_length(+7), faults.cut(0.2)]
    came, expected = [], []
    Client().fetch(RemoteFile(f"{server.url}/FTP/x/a", "a"), tmp_path / "a", came.append, expected.append)
    assert sum(came) == sum(expected) == 50_000


def whole(content: bytes):
    """A check that knows the content."""

    def check(path: Path) -> None:
        if path.read_bytes() != content:
            raise ValueError("these are other bytes")

    return check


def test_a_check_lets_continue_without_versions(server: ArchiveServer, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(100_000)
    server.files["x/a"] = content
    (tmp_path / "a.part").write_bytes(content[:60_000])
    file = RemoteFile(f"{server.url}/FTP/x/a", "a", check=whole(content))
    Client().fetch(file, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content
    assert server.headers_seen[-1]["Range"] == "bytes=60000-"
    assert server.bytes_sent["/FTP/x/a"] == 40_000


def test_a_part_that_does_not_fit_is_fetched_anew(server: ArchiveServer, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(100_000)
    server.files["x/a"] = content
    (tmp_path / "a.part").write_bytes(bytes(60_000))
    file = RemoteFile(f"{server.url}/FTP/x/a", "a", check=whole(content))
    Client().fetch(file, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content
    assert server.bytes_sent["/FTP/x/a"] == 140_000


def test_a_check_overrules_a_wrong_length(server: ArchiveServer, tmp_path: Path) -> None:
    server.files["x/a"] = b"content"
    server.faults["x/a"] = [faults.wrong_length(+7)] * 9
    address = f"{server.url}/FTP/x/a"
    with pytest.raises(DAXADownloadError, match=r"got 7 of 14 bytes \(given up"):
        Client(tries=2).fetch(RemoteFile(address, "a"), tmp_path / "a")
    Client(tries=2).fetch(RemoteFile(address, "a", check=whole(b"content")), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"


def test_what_a_check_refuses_stays_away(server: ArchiveServer, tmp_path: Path) -> None:
    server.files["x/a"] = b"content"
    file = RemoteFile(f"{server.url}/FTP/x/a", "a", check=whole(b"nothing"))
    with pytest.raises(DAXADownloadError, match=r"/x/a: these are other bytes \(given up after 3"):
        Client(tries=3).fetch(file, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_first_bytes(server: ArchiveServer, pauses: list[float]) -> None:
    content = random.Random(1).randbytes(100_000)
    server.files["x/a"] = content
    client = Client(tries=2)
    assert client.get_bytes(f"{server.url}/FTP/x/a", first=5000) == content[:5000]
    assert client.get_bytes(f"{server.url}/FTP/x/a") == content
    server.faults["x/a"] = [faults.cut(0.1)] * 2
    with pytest.raises(DAXADownloadError, match="given up after 2 attempts"):
        client.get_bytes(f"{server.url}/FTP/x/a")
    assert len(pauses) == 1


def test_asked_once(server: ArchiveServer, pauses: list[float]) -> None:
    server.files["x/a"] = b"content"
    server.faults["x/a"] = [faults.status(500)]
    with pytest.raises(DAXADownloadError, match=r"HTTP 500 [\w ]+$"):
        Client().get_text(f"{server.url}/FTP/x/a", tries=1)
    assert not pauses
    assert Client().get_text(f"{server.url}/FTP/x/a", tries=1) == "content"
