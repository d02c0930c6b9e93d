"""Connections to servers: how long, how far and how much, whatever is asked over them.

Everything that the package asks of a network goes through a session from here. A server that sends, but too
slowly, is given up; one that sends elsewhere is followed a few times, never from a secured connection to one
that is not, and never to anything but a web address. Answers can be recorded, and recorded ones be given
again (:mod:`daxa.fetch.record`).
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Mapping
from http.client import HTTPResponse as Received
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from daxa._version import __version__
from daxa.fetch.answers import REDIRECTS
from daxa.fetch.limits import LIMITS, Limits, size_text
from daxa.fetch.record import Recorder, Replay

Clock = Callable[[], float]
_START = 4096
RECORD, REPLAY = "DAXA_RECORD", "DAXA_REPLAY"


class _Session(requests.Session):
    """A session that leaves no secured connection for one that is not."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # type: ignore[override]
        target = super().get_redirect_target(resp)
        if not target:
            return target
        try:
            to = urlsplit(urljoin(resp.url, target))
        except ValueError as err:
            raise requests.exceptions.InvalidURL(f"a redirect to no address: {err}") from err
        if to.scheme == "http" and urlsplit(resp.url).scheme == "https":
            raise requests.exceptions.InvalidSchema(f"a redirect to an unsecured address of {to.hostname}")
        return target


class _Paced(io.RawIOBase):
    """Bytes of a connection; raises `TimeoutError` if they come too slowly."""

    def __init__(self, raw: Any, limits: Limits, clock: Clock):
        self._raw, self._limits, self._clock = raw, limits, clock
        self._since: float | None = None
        self._came = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        number = self._raw.readinto(buffer)
        self._came += number or 0
        if not number:
            return number
        now = self._clock()
        if self._since is None:  # a server may think for a while before it begins
            self._since = now
        elif now - self._since > self._limits.pace_s:
            if self._came < self._limits.pace_bytes:
                raise TimeoutError(
                    f"the server sends too slowly, {size_text(self._came)} in {now - self._since:.0f} s"
                )
            self._since, self._came = now, 0
        return number

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Counted(urllib3.HTTPResponse):
    """An answer that ends with an error when it grows too large, unpacked, or takes too long."""

    most: int
    until: float
    clock: Clock
    start = b""

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        data = super().read(*args, **kwargs)
        self.most -= len(data)
        if len(self.start) < _START:
            self.start += data[:_START]
            if b"<!doctype" in self.start.lower() or b"<html" in self.start.lower():
                raise ValueError("the answer is a web page, or defines entities")
        if self.most < 0:
            raise ValueError("the answer is larger than any that is expected")
        if self.clock() > self.until:
            raise TimeoutError("the answer takes too long")
        return data


def _pools(limits: Limits, clock: Clock) -> dict[str, type]:
    """Pools of connections, over HTTP and HTTPS, that are watched."""

    class Watched(Received):
        def __init__(self, sock: Any, *args: Any, **kwargs: Any):
            super().__init__(sock, *args, **kwargs)
            self.fp.close()
            self.fp = io.BufferedReader(_Paced(sock.makefile("rb", buffering=0), limits, clock), 1 << 16)

    class Connection(HTTPConnection):
        response_class = Watched

    class SecureConnection(HTTPSConnection):
        response_class = Watched

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection  # type: ignore[assignment]

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection  # type: ignore[assignment]

    return {"http": Pool, "https": SecurePool}


class _Adapter(HTTPAdapter):
    """Sends requests; answers are watched, counted, recorded, or recorded ones."""

    def __init__(self, limits: Limits, clock: Clock, most: tuple[int, float] | None):
        self._pools = _pools(limits, clock)
        self._clock, self._most, self._limits = clock, most, limits
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        replay, record = os.environ.get(REPLAY, ""), os.environ.get(RECORD, "")
        if replay:
            answer = self.build_response(request, Replay(replay).answer(request))  # type: ignore[arg-type]
        else:
            answer = super().send(request, *args, **kwargs)
        if answer.status_code in REDIRECTS:
            # whoever follows would read what comes with it, whatever its size
            answer.raw.close()
            answer.raw = _wrapped(urllib3.HTTPResponse, answer.raw, io.BytesIO())
            answer.raw.enforce_content_length = False
        if record and not replay:
            answer.raw.enforce_content_length = False  # the one around it looks
            tee = Recorder(record, self._limits).tee(request, answer)
            answer.raw = _wrapped(urllib3.HTTPResponse, answer.raw, tee)
        if self._most is not None:
            answer.raw.enforce_content_length = False
            counted = _wrapped(_Counted, answer.raw, answer.raw)
            counted.most, counted.clock = self._most[0], self._clock
            counted.until = self._clock() + self._most[1]
            answer.raw = counted
        return answer


class _Undecoded(io.RawIOBase):
    """The body of an answer as the server sends it."""

    def __init__(self, answer: Any):
        self._answer = answer

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        return self._answer.read(None if size < 0 else size, decode_content=False)

    def close(self) -> None:
        self._answer.close()
        super().close()


def _wrapped(kind: type, answer: Any, body: Any) -> Any:
    """An answer with the same headers and another body."""
    if isinstance(body, urllib3.HTTPResponse):
        body = _Undecoded(body)
    headers = {k: v for k, v in answer.headers.items() if k.lower() != "transfer-encoding"}
    return kind(
        body=body,
        headers=headers,
        status=answer.status,
        reason=answer.reason,
        preload_content=False,
        decode_content=True,
    )


def new_session(
    limits: Limits = LIMITS,
    most: tuple[int, float] | None = None,
    clock: Clock = time.monotonic,
    headers: Mapping[str, str] | None = None,
) -> requests.Session:
    """A session that keeps to the limits.

    Parameters
    ----------
    limits
        The limits.
    most
        Bytes, unpacked, and seconds that an answer may take, for those who read it whole; by default whoever
        reads looks after it.
    clock
        Seconds since some moment.
    headers
        Of every request.
    """
    session = _Session()
    session.headers.update({"User-Agent": f"daxa/{__version__}", **(headers or {})})
    session.max_redirects = limits.redirects
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(limits, clock, most))
    return session
