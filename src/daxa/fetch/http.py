"""Fetching over HTTP from archives that stall, cut connections and answer with web pages.

Downloads continue where they were cut, failed requests are repeated after growing pauses, and a file
gets its final name only when its length, and its checksum where the source gives one, are right.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests

from daxa.exceptions import DAXADownloadError
from daxa.fetch.answers import (
    NETWORK,
    NO_ADDRESS,
    NotThere,
    TryAgain,
    check_status,
    hide_secrets,
    innermost,
    length_of,
)
from daxa.fetch.limits import LIMITS, Limits, size_text
from daxa.fetch.session import Clock, new_session
from daxa.fetch.transfer import BLOCK, RemoteFile, Transfer
from daxa.plain import foreign

__all__ = ["Client", "NotThere", "RemoteFile", "hide_secrets", "host"]


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
    limits : Limits
        What servers may cost.
    clock : callable
        Seconds since some moment.
    """

    def __init__(
        self,
        tries: int = 6,
        first_pause_s: float = 1.0,
        longest_pause_s: float = 60.0,
        timeout_s: float = 60.0,
        sleep: Callable[[float], object] | None = None,
        limits: Limits = LIMITS,
        clock: Clock = time.monotonic,
    ):
        self.tries = tries
        self.first_pause_s = first_pause_s
        self.longest_pause_s = longest_pause_s
        self.timeout_s = timeout_s
        self.limits, self.clock = limits, clock
        # set by another thread to end everything under way
        self.stopped = threading.Event()
        self.sleep = self.stopped.wait if sleep is None else sleep
        self._local = threading.local()

    @property
    def session(self) -> requests.Session:
        """The session of this thread, made when it is first asked for."""
        if not hasattr(self._local, "session"):
            # the bytes as they are on the server, so that lengths can be compared and .gz stays .gz
            headers = {"Accept-Encoding": "identity"}
            self._local.session = new_session(self.limits, clock=self.clock, headers=headers)
        return self._local.session

    def _repeat(self, what: str, attempt: Callable[[], None], tries: int | None = None) -> None:
        """Call `attempt` until it works; attempts that made progress do not count as failures in a row."""
        tries = self.tries if tries is None else tries
        failures = 0
        for number in range(1, self.limits.attempts + 1):
            if self.stopped.is_set():
                raise DAXADownloadError(hide_secrets(f"{what}: stopped"))
            try:
                attempt()
                return
            except TryAgain as fault:
                failures = 1 if fault.progress else failures + 1
                if failures >= tries or number == self.limits.attempts:
                    raise DAXADownloadError(hide_secrets(f"{what}: {fault}{_given_up(number)}")) from None
                pause = min(self.first_pause_s * 2 ** (failures - 1), self.longest_pause_s)
                self.sleep(max(pause, fault.pause_s))

    def get_text(self, url: str, params: dict | str | None = None, tries: int | None = None) -> str:
        """The text at an address.

        Parameters
        ----------
        url : str
        params : dict or str, optional
            Appended to the address.
        tries : int, optional
            Attempts before giving up, if others than the client's.

        Raises
        ------
        NotThere
            The server has nothing there.
        DAXADownloadError
            It refuses, does not answer properly however often it is asked, or sends more than any page has.
        """
        body, encoding = self._get(url, params, None, tries)
        try:
            return body.decode(encoding or "utf-8", errors="replace")
        except LookupError:  # an encoding that nobody knows
            return body.decode("utf-8", errors="replace")

    def get_bytes(self, url: str, first: int | None = None, tries: int | None = None) -> bytes:
        """The bytes at an address, or only so many of the first ones; raises as `get_text`.

        Parameters
        ----------
        url
            The address.
        first
            How many of the first bytes; None: all.
        tries
            Attempts before giving up, if others than the client's.
        """
        return self._get(url, None, first, tries)[0]

    def _get(
        self, url: str, params: dict | str | None, first: int | None, tries: int | None
    ) -> tuple[bytes, str | None]:
        """Bytes at an address, and the encoding that the server names for them."""
        result: list[tuple[bytes, str | None]] = []
        headers = {} if first is None else {"Range": f"bytes=0-{first - 1}"}

        def attempt() -> None:
            try:
                with self.session.get(
                    url, params=params, headers=headers, timeout=self.timeout_s, stream=True
                ) as answer:
                    check_status(answer, self.limits)
                    result.append((self._body(answer, first), answer.encoding))
            except NO_ADDRESS as err:
                raise DAXADownloadError(hide_secrets(f"{url}: leads to no web address ({err})")) from err
            except NETWORK as err:
                raise TryAgain(innermost(err)) from err

        self._repeat(url, attempt, tries)
        return result[-1]

    def _body(self, answer: requests.Response, first: int | None) -> bytes:
        """What comes with an answer, whole, or so many of its first bytes."""
        body, until = bytearray(), self.clock() + self.limits.page_s
        for block in answer.raw.stream(BLOCK if first is None else first, decode_content=True):
            body += block
            if first is not None and len(body) >= first:
                return bytes(body[:first])
            if len(body) > self.limits.page_bytes:
                most = size_text(self.limits.page_bytes)
                raise DAXADownloadError(hide_secrets(f"{answer.url}: refused, a page of more than {most}"))
            if self.clock() > until:
                raise TryAgain(f"the page did not come within {self.limits.page_s} s")
        length = length_of(answer.headers)
        if length is not None and "Content-Encoding" not in answer.headers and len(body) != length:
            raise TryAgain(f"the answer was cut after {len(body)} of {length} bytes")
        return bytes(body)

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
        transfer = Transfer(self, file, target, count, expect, params)
        self._repeat(file.url, transfer.attempt)
        return target


def _given_up(attempts: int) -> str:
    return f" (given up after {attempts} attempts)" if attempts > 1 else ""


def host(url: str) -> str:
    """The server's name, for messages.

    Parameters
    ----------
    url
        The address.
    """
    return foreign(urlsplit(url).netloc.rpartition("@")[2])
