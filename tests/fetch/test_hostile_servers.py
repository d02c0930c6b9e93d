"""Servers that lie, dawdle, never end or send elsewhere: what each costs in requests, memory and waiting."""

from __future__ import annotations

import random
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import requests
from hostile_server import MIB, HostileServer, Request, clock, zeros

from daxa.exceptions import DAXADownloadError
from daxa.fetch import disk
from daxa.fetch.answers import piece_of, retry_after
from daxa.fetch.http import Client, RemoteFile
from daxa.fetch.limits import LIMITS
from daxa.fetch.session import new_session

DATA = random.Random(1).randbytes(200_000)
BOMB = zeros(100 * MIB)
TRIES = 3
SMALL = replace(LIMITS, page_bytes=MIB, file_bytes=2 * MIB, attempts=20)
#: What asking may need of memory, whatever comes; the server's own is in it.
MEMORY = 8 * MIB


def part(start: int, **headers: object) -> dict[str, object]:
    return {"Content_Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}", **headers}


def cut(request: Request, **headers: object) -> None:
    """The first half of version "a", that could be continued."""
    request.give(DATA[:100_000], Content_Length=len(DATA), Accept_Ranges="bytes", **headers)


def then(first: dict[str, object], body: bytes, **headers: object):
    """The first half, and at every further request something else."""

    def answer(request: Request) -> None:
        if request.headers.get("Range"):
            request.give(body, 206, **headers)
        else:
            cut(request, **first)

    return answer


def one_byte(request: Request) -> None:
    have = int((request.headers.get("Range") or "bytes=0-")[6:-1])
    headers = part(have) if have else {"Accept_Ranges": "bytes"}
    request.give(
        DATA[have : have + 1], 206 if have else 200, Content_Length=len(DATA) - have, ETag='"a"', **headers
    )


def endless(request: Request, **headers: object) -> None:
    request.head(Transfer_Encoding="chunked", **headers)
    request.endless()


def endless_redirect(request: Request) -> None:
    request.head(302, Location="/redirect_endless", Transfer_Encoding="chunked")
    request.endless()


def endless_headers(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(10_000):
        request.wfile.write(bytes(1000).replace(b"\0", b"a"))


def raw(text: str):
    def answer(request: Request) -> None:
        request.wfile.write(text.encode("latin-1"))
        request.close_connection = True

    return answer


PAGE = "<html><head><title>Sign\x1b[31m in\u202e</title></head></html>"
ERROR = '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'
OTHER = bytes(100_000)
A, B = {"ETag": '"a"'}, {"ETag": '"b"'}
MONDAY, TUESDAY = ({"Last_Modified": f"{d} Jan 2024 00:00:00 GMT"} for d in ("Mon, 01", "Tue, 02"))
ANSWERS = {
    # elsewhere
    "redirect_file": lambda r: r.go("file:///etc/passwd"),
    "redirect_script": lambda r: r.go("javascript:alert(1)"),
    "redirect_gopher": lambda r: r.go("gopher://127.0.0.1/x"),
    "redirect_loop": lambda r: r.go(r.path),
    "redirect_further": lambda r: r.go(f"/redirect_further/{r.number}"),
    "redirect_endless": endless_redirect,
    "redirect_bomb": lambda r: r.give(BOMB, 302, Location=r.path, Content_Encoding="gzip"),
    "redirect_nowhere": lambda r: r.go("http://[::1"),
    # lengths
    "longer": lambda r: r.give(DATA, Content_Length=len(DATA) + 1000),
    "length_negative": lambda r: r.give(DATA, Content_Length=-5),
    "length_letters": lambda r: r.give(DATA, Content_Length="²"),
    "length_digits": lambda r: r.give(DATA, Content_Length="9" * 5000),
    "length_huge": lambda r: r.give(DATA, Content_Length=10**15),
    "length_disk": lambda r: r.give(DATA, Content_Length=MIB),
    "piece_unasked": lambda r: r.give(DATA[5:], 206, **part(5)),
    "piece_nonsense": lambda r: r.give(DATA, 206, Content_Range="bytes ²-³/*"),
    # other versions
    "version_tag": then(A, OTHER, **part(100_000, **B)),
    "version_date": then(MONDAY, OTHER, **part(100_000, **TUESDAY)),
    "version_length": then(A, OTHER, Content_Range="bytes 100000-199999/300000"),
    "piece_wrong": then(A, DATA, **part(0, **A)),
    "piece_other_end": then(A, OTHER, **part(50_000, **A)),
    "one_byte": one_byte,
    "range_ignored": lambda r: cut(r, **A) if r.number == 1 else r.give(DATA, **A),
    # waiting
    "wait_seconds": lambda r: r.give("", 503, Retry_After=999_999),
    "wait_a_little_too_long": lambda r: r.give("", 429, Retry_After=LIMITS.retry_after_s + 1),
    "wait_until": lambda r: r.give("", 503, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"),
    "wait_nonsense": lambda r: r.give("", 503, Retry_After="-5²"),
    # pages instead of files
    "page": lambda r: r.give(PAGE, Content_Type="text/html"),
    "page_as_file": lambda r: r.give(PAGE, Content_Type="application/octet-stream"),
    "page_late": lambda r: r.give("\r\n  <!DOCTYPE HTML>" + PAGE),
    "page_of_error": lambda r: r.give(ERROR),
    "page_endless": lambda r: endless(r, Content_Type="text/html"),
    "reason": raw("HTTP/1.1 418 \x1b[31mred\x9b2J\r\nContent-Length: 0\r\n\r\n"),
    # without end
    "endless": endless,
    "endless_page": endless,
    "bomb": lambda r: r.give(BOMB, Content_Encoding="gzip"),
    "bomb_twice": lambda r: r.give(BOMB, Content_Encoding="gzip, gzip"),
    "endless_headers": endless_headers,
    "many_headers": raw("HTTP/1.1 200 OK\r\n" + "X-A: 1\r\n" * 2000 + "\r\n"),
    "long_header": raw("HTTP/1.1 200 OK\r\nX: " + "a" * 200_000 + "\r\n\r\n"),
    # nonsense
    "no_status": raw("SSH-2.0-server\r\n\r\n"),
    "bad_gzip": lambda r: r.give(DATA, Content_Encoding="gzip"),
    "charset": lambda r: r.give("text \x1b", Content_Type="text/plain; charset=klingon"),
    "good": lambda r: r.give(DATA, **A),
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    server = HostileServer(ANSWERS)
    yield server
    server.close()


class Outcome:
    """What asking came to."""

    def __init__(self, server: HostileServer, action) -> None:
        server.asked.clear()
        self.error, self.result, start = "", None, len(server.asked)
        tracemalloc.start()
        try:
            self.result = action()
        except DAXADownloadError as err:
            self.error = str(err)
        finally:
            self.memory = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        self.requests = len(server.asked) - start
        assert self.error.isprintable()
        assert len(self.error) < 500


class Asking:
    """A client that does not really wait."""

    def __init__(self, server: HostileServer, folder: Path):
        self.server, self.folder, self.waited = server, folder, []

    def client(self, **options: object) -> Client:
        options = {"limits": SMALL, "tries": TRIES, "timeout_s": 20, "sleep": self.waited.append} | options
        return Client(**options)

    def file(self, name: str, size: int | None = None, **options: object) -> Outcome:
        file, target = RemoteFile(f"{self.server.url}/{name}", "a.bin", size), self.folder / "a.bin"
        return Outcome(self.server, lambda: self.client(**options).fetch(file, target).read_bytes())

    def text(self, name: str, **options: object) -> Outcome:
        return Outcome(self.server, lambda: self.client(**options).get_text(f"{self.server.url}/{name}"))


@pytest.fixture
def ask(hostile: HostileServer, tmp_path: Path) -> Asking:
    return Asking(hostile, tmp_path)


REFUSED = {
    # what is asked for -> what is said, at how many requests
    "redirect_file": ("leads to no web address", 1),
    "redirect_script": ("leads to no web address|not found", 1),
    "redirect_gopher": ("leads to no web address", 1),
    "redirect_nowhere": ("leads to no web address", 1),
    "redirect_loop": ("Exceeded 10 redirects", 11),
    "redirect_further": ("Exceeded 10 redirects", 11),
    "redirect_endless": ("Exceeded 10 redirects", 11),
    "redirect_bomb": ("Exceeded 10 redirects", 11),
    "longer": ("got 200000 of 201000 bytes", TRIES),
    "length_huge": ("refused, it has", 1),
    "length_disk": ("got 200000 of 1048576", TRIES),
    "piece_unasked": ("another piece of the file", TRIES),
    "piece_nonsense": ("another piece of the file", TRIES),
    "version_tag": ("another version|got 100000", 2 * TRIES),
    "version_date": ("another version|got 100000", 2 * TRIES),
    "version_length": ("has 300000 bytes now|got 100000", 2 * TRIES),
    "piece_wrong": ("another piece|got 100000", 2 * TRIES),
    "piece_other_end": ("another piece|got 100000", 2 * TRIES),
    "one_byte": (r"got \d of 200000 bytes", 10),
    "wait_seconds": ("come back after 999,999 s", 1),
    "wait_a_little_too_long": ("come back after 301 s", 1),
    "wait_until": ("come back after", 1),
    "wait_nonsense": ("HTTP 503", TRIES),
    "page": (r"web page instead of the file \(Sign\\x1b\[31m in\\u202e\)", TRIES),
    "page_as_file": (r"web page instead of the file \(Sign\\x1b", TRIES),
    "page_late": ("web page instead of the file", TRIES),
    "page_of_error": ("web page instead of the file", TRIES),
    "page_endless": ("web page instead of the file", TRIES),
    "reason": (r"HTTP 418 \\x1b\[31mred", 1),
    "endless": ("refused, it has more than", 1),
    "many_headers": ("headers", TRIES),
    "long_header": ("header line", TRIES),
    "no_status": ("Bad|Status|SSH", TRIES),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_files_of_hostile_servers(ask: Asking, tmp_path: Path, name: str) -> None:
    says, requests_at_most = REFUSED[name]
    outcome = ask.file(name)
    assert re.search(says, outcome.error), outcome.error or outcome.result
    assert 1 <= outcome.requests <= requests_at_most
    assert outcome.memory < MEMORY
    assert max(ask.waited, default=0) <= LIMITS.retry_after_s
    assert len(ask.waited) < requests_at_most
    assert not (tmp_path / "a.bin").exists()


@pytest.mark.parametrize(
    "name", ["good", "length_negative", "length_letters", "length_digits", "range_ignored"]
)
def test_what_can_be_had_in_spite_of_it_is_right(ask: Asking, tmp_path: Path, name: str) -> None:
    outcome = ask.file(name)
    assert outcome.result == DATA
    assert outcome.requests <= 2
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("ending", ["html", "xml", "svg"])
def test_pages_that_are_asked_for_come(hostile: HostileServer, tmp_path: Path, ending: str) -> None:
    file, target = RemoteFile(f"{hostile.url}/page_of_error", f"a.{ending}"), tmp_path / f"a.{ending}"
    assert Client(tries=1).fetch(file, target).read_text() == ERROR


def test_another_length_than_the_listing_says(ask: Asking) -> None:
    outcome = ask.file("good", size=1000)
    assert "offers 200000 bytes, its listing says 1000" in outcome.error
    assert outcome.requests == TRIES


PAGES = {
    "endless_page": ("refused, a page of more than 1 MiB", 1),
    "bomb": ("refused, a page of more than 1 MiB", 1),
    "bomb_twice": ("", TRIES),
    "bad_gzip": ("given up after", TRIES),
    "redirect_bomb": ("Exceeded 10 redirects", 11),
    "longer": ("IncompleteRead(200000 bytes read, 1000 more expected)", TRIES),
    "wait_until": ("come back after", 1),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_of_hostile_servers(ask: Asking, name: str) -> None:
    says, requests_at_most = PAGES[name]
    outcome = ask.text(name)
    assert outcome.error
    assert says in outcome.error
    assert outcome.requests <= requests_at_most
    # a block of 64 KiB that is packed a thousandfold is unpacked before it is looked at
    assert outcome.memory < MEMORY + 64 * MIB


def test_an_encoding_that_nobody_knows(ask: Asking) -> None:
    assert ask.text("charset").result == "text \x1b"


@pytest.mark.parametrize("name", ["endless", "endless_headers"])
@pytest.mark.parametrize("what", ["file", "text"])
def test_servers_that_trickle(ask: Asking, name: str, what: str) -> None:
    # each look at the clock is later than the one before by more than the time that so many bytes may take
    limits = replace(LIMITS, pace_bytes=2**40, page_s=10**9)
    outcome = getattr(ask, what)(name, clock=clock(LIMITS.pace_s + 1), tries=1, limits=limits)
    assert "the server sends too slowly" in outcome.error
    assert outcome.requests == 1


def test_a_page_that_takes_too_long(ask: Asking) -> None:
    limits = replace(SMALL, pace_bytes=0, page_bytes=2**40)
    outcome = ask.text("endless_page", clock=clock(60), tries=1, limits=limits)
    assert "did not come within 600 s" in outcome.error
    assert outcome.requests == 1


def test_a_body_without_end_leaves_the_disk_its_reserve(
    ask: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([10**9, disk.RESERVE - 1])
    monkeypatch.setattr(disk, "free_bytes", lambda folder: next(left))
    outcome = ask.file("endless", limits=LIMITS)
    assert "a.bin: stopped, its disk has less than 64 MiB free" in outcome.error
    assert outcome.requests == 1
    assert not list(tmp_path.iterdir())  # it could not be continued


def test_the_disk_is_shared_by_all_that_is_fetched(
    ask: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: disk.RESERVE + 300_000)
    with disk.Claim(tmp_path) as claim:
        claim.take(150_000, "another file")
        assert "a.bin: needs 195.3 KiB, of its disk 146.5 KiB are free" in ask.file("good").error
    assert ask.file("good").result == DATA


def test_parts_of_another_version_are_thrown_away(ask: Asking, tmp_path: Path) -> None:
    ask.file("version_tag", tries=1)
    assert (tmp_path / "a.bin.part").stat().st_size == 100_000
    outcome = ask.file("version_tag", tries=1)
    assert "the server has another version of the file now" in outcome.error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("note", ["", "[]", '{"validator": 5}', '{"validator": "\\r\\nX: y"}', "\x00"])
def test_damaged_notes_of_parts_are_ignored(ask: Asking, tmp_path: Path, note: str) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"x" * 100)
    (tmp_path / "a.bin.part.json").write_text(note)
    assert ask.file("good").result == DATA


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90", 90), (" 90 ", 90), ("-90", 0), ("1e9", 0), ("²", 0), ("", 0), ("9" * 30, 0), ("Fri, 31", 0)),
        *(("Sat, 01 Jan 2000 00:02:00 GMT", 120), ("Sat, 01 Jan 2000 00:00:00 -0001", 60)),
    ],
)
def test_how_long_servers_ask_to_wait(text: str, seconds: float) -> None:
    now = datetime(2000, 1, 1, tzinfo=timezone.utc)
    assert retry_after({"Retry-After": text}, now) == seconds


@pytest.mark.parametrize(
    "text", ["", "bytes", "bytes a-b/c", "bytes 5-9", "items 5-9/10", f"bytes {'9' * 30}-9/9"]
)
def test_pieces_that_are_none(text: str) -> None:
    assert piece_of({"Content-Range": text}) is None


def test_a_secured_connection_is_not_left_for_an_unsecured_one() -> None:
    answer = requests.Response()
    answer.status_code, answer.url = 302, "https://archive.example/a"
    session = new_session()
    for address in ("http://archive.example/a", "//other.example/a".replace("//", "HTTP://")):
        answer.headers["Location"] = address
        with pytest.raises(requests.exceptions.InvalidSchema, match="unsecured address of"):
            session.get_redirect_target(answer)
    answer.headers["Location"] = "//other.example/a"
    assert session.get_redirect_target(answer) == "//other.example/a"
