"""A server on this machine that answers each path as a function of the request says: mostly badly."""

from __future__ import annotations

import contextlib
import gzip
import io
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MIB = 2**20
Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request, with what answers need."""

    protocol_version = "HTTP/1.1"
    answers: dict[str, Answer]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        name = self.path.strip("/").split("?")[0].split("/")[0]
        with contextlib.suppress(OSError):  # clients that hang up
            self.answers[name](self)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *args: object) -> None:
        pass

    @property
    def number(self) -> int:
        """How often something has been asked, this request included."""
        return len(self.asked)

    def head(self, status: int = 200, **headers: object) -> None:
        """Status and headers; ``_`` stands for ``-``."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def give(self, body: bytes | str, status: int = 200, **headers: object) -> None:
        """A whole answer, of which the headers may lie."""
        body = body.encode() if isinstance(body, str) else body
        headers.setdefault("Content_Length", len(body))
        headers.setdefault("Connection", "close")
        self.head(status, **headers)
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = True

    def go(self, address: str, body: bytes = b"") -> None:
        """Send elsewhere."""
        self.give(body, 302, Location=address)

    def endless(self, block: bytes = bytes(1 << 16), blocks: int = 10_000) -> None:
        """A body without announced length, after the head."""
        for _ in range(blocks):
            self.wfile.write(b"%x\r\n" % len(block) + block + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


class HostileServer:
    """Answers by the first part of the path."""

    def __init__(self, answers: dict[str, Answer]):
        self.asked: list[str] = []
        handler = type("Handler", (Request,), {"answers": answers, "asked": self.asked})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *args: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def zeros(size: int) -> bytes:
    """So many zeros, packed, without having them all in memory."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    return buffer.getvalue()


def clock(step_s: float) -> Callable[[], float]:
    """A clock that goes on by so many seconds whenever somebody looks at it."""

    def ticks() -> Iterator[float]:
        now = 0.0
        while True:
            yield now
            now += step_s

    return ticks().__next__
