"""Fetching over HTTP from archives that stall, cut connections and answer with web pages.

Downloads continue where they were cut, failed requests are repeated after growing pauses, and a file
gets its final name only when its length, and its checksum where the source gives one, are right.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from daxa._version import __version__
from daxa.exceptions import DAXADownloadError
from daxa.fetch.disk import RESERVE, free_bytes

BLOCK = 1 << 16
#: Asking again for an address of this kind helps nothing.
_NO_ADDRESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)
_NETWORK = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)
_SECRET = re.compile(r"((?:AIOUSER|AIOPWD|password)=)[^&\s]+", re.IGNORECASE)


class NotThere(DAXADownloadError):
    """The server says that there is no such file."""


class _TryAgain(Exception):
    """A fault that may pass; `pause_s` is how long the server asks to wait."""

    def __init__(self, reason: str, pause_s: float = 0.0):
        super().__init__(reason)
        self.pause_s = pause_s
        self.progress = False


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch: its address, its place below the observation's folder, what is known of it.

    ``check`` raises a `ValueError` if a file on disk is not the whole file of that address. It has the last
    word: with it, what an earlier call left is continued even where the server names no version of the
    file, and a wrong length told by the server does not matter.
    """

    url: str
    path: str
    size: int | None = None
    md5: str | None = None
    check: Callable[[Path], None] | None = None


def hide_secrets(text: object) -> str:
    """A text without passwords, for messages.

    Parameters
    ----------
    text
        The text; anything else is turned into one.
    """
    return _SECRET.sub(r"\1***", str(text))


class Client:
    """Requests with retries, one session per thread (proxies come from the environment).

    Parameters
    ----------
    tries : int
        Attempts without progress before giving up.
    first_pause_s, longest_pause_s : float
        Pauses between attempts double from the first to the longest, in seconds.
    timeout_s : float
        How long a server may stay silent, in seconds.
    sleep : callable, optional
        Does the waiting; the default one ends when `stopped` is set.
    """

    def __init__(
        self,
        tries: int = 6,
        first_pause_s: float = 1.0,
        longest_pause_s: float = 60.0,
        timeout_s: float = 60.0,
        sleep: Callable[[float], object] | None = None,
    ):
        self.tries = tries
        self.first_pause_s = first_pause_s
        self.longest_pause_s = longest_pause_s
        self.timeout_s = timeout_s
        # set by another thread to end everything under way
        self.stopped = threading.Event()
        self.sleep = self.stopped.wait if sleep is None else sleep
        self._local = threading.local()

    @property
    def session(self) -> requests.Session:
        """The session of this thread, made when it is first asked for."""
        if not hasattr(self._local, "session"):
            session = requests.Session()
            # the bytes as they are on the server, so that lengths can be compared and .gz stays .gz
            session.headers.update({"User-Agent": f"daxa/{__version__}", "Accept-Encoding": "identity"})
            self._local.session = session
        return self._local.session

    def _repeat(self, what: str, attempt: Callable[[], None], tries: int | None = None) -> None:
        """Call `attempt` until it works; attempts that made progress do not count as failures in a row."""
        tries = self.tries if tries is None else tries
        failures = 0
        while True:
            if self.stopped.is_set():
                raise DAXADownloadError(hide_secrets(f"{what}: stopped"))
            try:
                attempt()
                return
            except _TryAgain as fault:
                failures = 1 if fault.progress else failures + 1
                if failures >= tries:
                    raise DAXADownloadError(hide_secrets(f"{what}: {fault}{_given_up(failures)}")) from None
                pause = min(self.first_pause_s * 2 ** (failures - 1), self.longest_pause_s)
                self.sleep(min(max(pause, fault.pause_s), 10 * self.longest_pause_s))

    def get_text(self, url: str, params: dict | None = None, tries: int | None = None) -> str:
        """The text at an address.

        Parameters
        ----------
        url : str
        params : dict, optional
            Appended to the address.
        tries : int, optional
            Attempts before giving up, if others than the client's.

        Raises
        ------
        NotThere
            The server has nothing there.
        DAXADownloadError
            It refuses, or does not answer properly however often it is asked.
        """
        body, encoding = self._get(url, params, None, tries)
        return body.decode(encoding or "utf-8", errors="replace")

    def get_bytes(self, url: str, first: int | None = None) -> bytes:
        """The bytes at an address, or only so many of the first ones; raises as `get_text`.

        Parameters
        ----------
        url
            The address.
        first
            How many of the first bytes; None: all.
        """
        return self._get(url, None, first, None)[0]

    def _get(
        self, url: str, params: dict | None, first: int | None, tries: int | None
    ) -> tuple[bytes, str | None]:
        """Bytes at an address, and the encoding that the server names for them."""
        result: list[tuple[bytes, str | None]] = []
        headers = {} if first is None else {"Range": f"bytes=0-{first - 1}"}

        def attempt() -> None:
            try:
                with self.session.get(
                    url, params=params, headers=headers, timeout=self.timeout_s, stream=True
                ) as answer:
                    self._check_status(answer)
                    result.append((_body(answer, first), answer.encoding))
            except _NO_ADDRESS as err:
                raise DAXADownloadError(hide_secrets(f"{url}: leads to no web address ({err})")) from err
            except _NETWORK as err:
                raise _TryAgain(_short(err)) from err

        self._repeat(url, attempt, tries)
        return result[-1]

    def _check_status(self, answer: requests.Response) -> None:
        status = answer.status_code
        if status < 400:
            return
        if status in (404, 410):
            raise NotThere(hide_secrets(f"{answer.url}: not found on the server (HTTP {status})"))
        if status in (401, 403):
            raise DAXADownloadError(
                hide_secrets(f"{answer.url}: access refused (HTTP {status}); the data may be proprietary")
            )
        if status in (408, 425, 429) or status >= 500:
            wait = answer.headers.get("Retry-After", "")
            raise _TryAgain(f"HTTP {status} {answer.reason}", float(wait) if wait.isdigit() else 0.0)
        raise DAXADownloadError(hide_secrets(f"{answer.url}: HTTP {status} {answer.reason}"))

    def fetch(
        self,
        file: RemoteFile,
        target: Path,
        count: Callable[[int], None] = lambda size: None,
        expect: Callable[[int], None] = lambda size: None,
        params: dict | None = None,
    ) -> Path:
        """Bring a file to disk, continuing what an earlier call left.

        Parameters
        ----------
        file : RemoteFile
        target : Path
            Where it goes. Until it is whole it lies beside as ``NAME.part``.
        count, expect : callable
            Told the bytes that arrived (negative if they are discarded), and the bytes to come once known.
        params
            Parameters of the request.

        Raises
        ------
        NotThere, DAXADownloadError
            As `get_text`; also if the disk is full, or length or checksum stay wrong.
        """
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        transfer = _Transfer(self, file, target, count, expect, params)
        self._repeat(file.url, transfer.attempt)
        return target


class _Transfer:
    """One file under way."""

    def __init__(
        self,
        client: Client,
        file: RemoteFile,
        target: Path,
        count: Callable[[int], None],
        expect: Callable[[int], None],
        params: dict | None,
    ):
        self.client, self.file, self.target, self.params = client, file, target, params
        self.count, self.expect = count, expect
        self.part = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self.announced = 0
        self.best = self._have()
        self.counted = 0

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _announce(self, total: int) -> None:
        self.expect(total - self.announced)
        self.announced = total

    def _count_to(self, have: int) -> None:
        self.count(have - self.counted)
        self.counted = have

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self._count_to(0)

    def _validator(self) -> str | None:
        """What the server called this version of the file when we began."""
        try:
            return json.loads(self.note.read_text())["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def attempt(self) -> None:
        try:
            self._attempt()
        except _TryAgain as fault:
            fault.progress = self._have() > self.best
            self.best = max(self.best, self._have())
            raise

    def _attempt(self) -> None:
        headers, have, validator = {}, self._have(), self._validator()
        if have and validator:
            headers = {"Range": f"bytes={have}-", "If-Range": validator}
        elif have and self.file.check is not None:
            headers = {"Range": f"bytes={have}-"}
        elif have:
            # nothing tells whether the rest would fit what we have
            self._forget()
        try:
            with self.client.session.get(
                self.file.url, params=self.params, headers=headers, timeout=self.client.timeout_s, stream=True
            ) as answer:
                if answer.status_code == 416:
                    total = self._have_all()
                else:
                    self.client._check_status(answer)
                    total = self._begin(answer)
                    self._receive(answer, total)
        except _NO_ADDRESS as err:
            raise DAXADownloadError(
                hide_secrets(f"{self.file.url}: leads to no web address ({err})")
            ) from err
        except _NETWORK as err:
            raise _TryAgain(_short(err)) from err
        self._finish(total)

    def _have_all(self) -> int | None:
        """The length of the file when the server has nothing beyond what is there."""
        if not self._is_right():
            self._forget()
            raise _TryAgain("the partial file does not fit the one on the server")
        self._count_to(self._have())
        return self._have()

    def _is_right(self) -> bool:
        """Whether a check says that the file is whole."""
        try:
            if self.file.check is not None:
                self.file.check(self.part)
        except ValueError:
            return False
        return self.file.check is not None

    def _begin(self, answer: requests.Response) -> int | None:
        """Set up for the answer's body; returns the length of the whole file if it is known."""
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        if answer.status_code == 206:
            match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != self._have():
                self._forget()
                raise _TryAgain("the server sent another piece of the file than asked for")
            total = int(match[2]) if match[2] != "*" else None
        else:
            self._forget()
            if _is_page(answer) and not self.target.name.lower().endswith((".htm", ".html")):
                raise _TryAgain(f"the server sent a web page instead of the file{_title(answer)}")
            etag = answer.headers.get("ETag", "")
            validator = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified")
            if validator and answer.headers.get("Accept-Ranges", "").lower() == "bytes":
                self.note.write_text(json.dumps({"validator": validator}))
        if total is not None and self.file.size is not None and total != self.file.size:
            self._forget()
            raise _TryAgain(f"the server offers {total} bytes, its listing says {self.file.size}")
        known = total if total is not None else self.file.size
        if known is not None:
            self._announce(known)
            free = free_bytes(self.target.parent)
            if known - self._have() + RESERVE > free:
                raise DAXADownloadError(
                    f"{self.target.name}: needs {known / 2**20:.0f} MiB, its disk has "
                    f"{free / 2**20:.0f} MiB free"
                )
        return known

    def _receive(self, answer: requests.Response, total: int | None) -> None:
        have = self._have()
        self._count_to(have)
        # The length is checked below: urllib3 would throw away the last bytes before a cut.
        answer.raw.enforce_content_length = False
        with self.part.open("ab") as out:
            for block in answer.raw.stream(BLOCK, decode_content=False):
                out.write(block)
                have += len(block)
                self._count_to(have)
                if self.client.stopped.is_set():
                    raise DAXADownloadError(f"{self.target.name}: stopped")
                if total is not None and have > total:
                    break
        if total is not None and have != total and not self._is_right():
            if have > total:
                self._forget()
            raise _TryAgain(f"got {have} of {total} bytes")

    def _finish(self, total: int | None) -> None:
        if total is None:
            self._announce(self._have())
        if self.file.md5 is not None:
            digest = hashlib.md5(usedforsecurity=False)
            with self.part.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            if digest.hexdigest() != self.file.md5.lower():
                self._forget()
                raise _TryAgain("the checksum is wrong")
        if self.file.check is not None:
            try:
                self.file.check(self.part)
            except ValueError as err:
                self._forget()
                raise _TryAgain(str(err)) from err
        os.replace(self.part, self.target)
        self.note.unlink(missing_ok=True)


def _body(answer: requests.Response, first: int | None) -> bytes:
    """What comes with an answer, whole, or so many of its first bytes."""
    body = bytearray()
    for block in answer.raw.stream(BLOCK if first is None else first, decode_content=True):
        body += block
        if first is not None and len(body) >= first:
            return bytes(body[:first])
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and "Content-Encoding" not in answer.headers and len(body) != int(length):
        raise _TryAgain(f"the answer was cut after {len(body)} of {length} bytes")
    return bytes(body)


def _given_up(attempts: int) -> str:
    return f" (given up after {attempts} attempts)" if attempts > 1 else ""


def _is_page(answer: requests.Response) -> bool:
    return answer.headers.get("Content-Type", "").split(";")[0].strip().lower() in (
        "text/html",
        "application/xhtml+xml",
    )


def _title(answer: requests.Response) -> str:
    text = answer.raw.read(4096, decode_content=True).decode("utf-8", errors="replace")
    match = re.search(r"<(title|h1)[^>]*>(.*?)</\1>", text, re.IGNORECASE | re.DOTALL)
    words = " ".join(re.sub(r"<[^>]+>", " ", match[2] if match else "").split())
    return f" ({words[:120]})" if words else ""


def _short(err: BaseException) -> str:
    """The innermost cause of a network error, in one line."""
    while inner := err.__cause__ or err.__context__:
        err = inner
    text = " ".join(str(err).split()) or type(err).__name__
    return f"{type(err).__name__}: {text[:200]}"


def host(url: str) -> str:
    """The server's name, for messages.

    Parameters
    ----------
    url
        The address.
    """
    return urlsplit(url).netloc
