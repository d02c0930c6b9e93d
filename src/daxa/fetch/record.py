"""Answers of servers, written down and given again.

With ``DAXA_RECORD=folder`` every answer is kept there: ``0001-host.json`` says what was asked and how it was
answered, ``0001-host.body`` is what came, as it came. User names, passwords and cookies are left out; long
answers are cut. With ``DAXA_REPLAY=folder`` the answers come from such a folder, and nothing is asked of a
network.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import requests
import urllib3

from daxa.fetch.limits import Limits
from daxa.writing import write_text

#: Parameters of requests that are never written down.
SECRET = re.compile(
    r"^(aiouser|aiopwd|user(name)?|pass(word|wd)?|pwd|token|key|auth.*|x-amz-.*|signature)$", re.I
)
#: Headers that are: none of them tells who asks.
_REQUEST = ("range", "if-range", "accept", "content-type")
_ANSWER = (
    *("content-type", "content-length", "content-encoding", "content-range", "content-disposition"),
    *("accept-ranges", "etag", "last-modified", "date", "location", "retry-after", "server"),
)
_SHOWN = "***"
_lock = threading.Lock()


def _public(pairs: list[tuple[str, str]]) -> str:
    return urlencode([(name, _SHOWN if SECRET.match(name) else value) for name, value in pairs])


def without_secrets(url: str) -> str:
    """An address without user names, passwords and the like.

    Parameters
    ----------
    url
        The address.

    Examples
    --------
    >>> without_secrets("https://me:word@host/a?obsno=1&AIOPWD=word")
    'https://host/a?obsno=1&AIOPWD=%2A%2A%2A'
    """
    parts = urlsplit(url)
    query = parts.query
    if "=" in query:
        query = _public(parse_qsl(query, keep_blank_values=True))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def asked(request: requests.PreparedRequest) -> dict[str, Any]:
    """What a request asks, without secrets.

    Parameters
    ----------
    request
        The request.
    """
    body = request.body.decode("utf-8", "replace") if isinstance(request.body, bytes) else request.body or ""
    form = "=" in str(body) and "form" in request.headers.get("Content-Type", "")
    return {
        "method": request.method,
        "url": without_secrets(request.url or ""),
        "headers": {k: v for k, v in sorted(request.headers.items()) if k.lower() in _REQUEST},
        "body": _public(parse_qsl(str(body), keep_blank_values=True)) if form else "",
    }


class Recorder:
    """Writes answers into a folder.

    Parameters
    ----------
    folder
        The folder; made if it is not there.
    limits
        How large one answer, and all of them, may become there.
    """

    def __init__(self, folder: str | Path, limits: Limits):
        self.folder, self.limits = Path(folder), limits

    def tee(self, request: requests.PreparedRequest, answer: requests.Response) -> io.RawIOBase:
        """The body of an answer, which is written down while it is read.

        Parameters
        ----------
        request
            What was asked.
        answer
            The answer.
        """
        said = {k: v for k, v in answer.headers.items() if k.lower() in _ANSWER}
        if "location" in {k.lower() for k in said}:
            said = {k: without_secrets(v) if k.lower() == "location" else v for k, v in said.items()}
        name = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(request.url or "").netloc.rpartition("@")[2])[:60]
        told = {
            "request": asked(request),
            "status": answer.status_code,
            "reason": answer.reason,
            "headers": said,
        }
        with _lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            used = sum(p.stat().st_size for p in self.folder.iterdir() if p.is_file())
            stem = self._stem(name)
            write_text(self.folder / f"{stem}.json", json.dumps(told, indent=1))
        most = max(0, min(self.limits.record_bytes, self.limits.recorded_bytes - used))
        return _Tee(answer.raw, self.folder / stem, told, most)

    def _stem(self, name: str) -> str:
        """A name that no answer has, of this process or another."""
        number = sum(1 for _ in self.folder.glob("*.body"))
        while True:
            number += 1
            stem = f"{number:04d}-{name}"
            with contextlib.suppress(FileExistsError):
                (self.folder / f"{stem}.body").touch(exist_ok=False)
                return stem


class _Tee(io.RawIOBase):
    """Reads a body and writes it down, up to a number of bytes."""

    def __init__(self, raw: Any, path: Path, told: dict[str, Any], most: int):
        self._raw, self._path, self._told, self._left = raw, path, told, most
        self._file = path.with_name(f"{path.name}.body").open("wb")
        self._size, self._ended = 0, False

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        try:
            data = self._raw.read(None if size < 0 else size, decode_content=False)
        except Exception as err:
            self._told["fault"] = type(err).__name__
            raise
        self._size += len(data)
        self._file.write(data[: self._left])
        self._left = max(0, self._left - len(data))
        self._ended = not data or size < 0
        return data

    def close(self) -> None:
        if not self.closed:
            self._file.close()
            self._raw.close()
            kept = self._path.with_name(f"{self._path.name}.body")
            written = kept.stat().st_size if kept.exists() else 0
            self._told |= {"bytes": self._size, "kept": written, "read_to_the_end": self._ended}
            write_text(self._path.with_name(f"{self._path.name}.json"), json.dumps(self._told, indent=1))
        super().close()


class NotRecorded(requests.ConnectionError):
    """A folder of recorded answers has none to this question."""


class Replay:
    """Gives recorded answers, to the same question in the order in which they came, the last one for ever.

    Parameters
    ----------
    folder
        The folder.
    """

    _given: dict[tuple[str, str], int] = {}

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def answer(self, request: requests.PreparedRequest) -> urllib3.HTTPResponse:
        """The next answer to a request.

        Parameters
        ----------
        request
            The request.

        Raises
        ------
        NotRecorded
            There is none.
        """
        question = asked(request)
        key = _key(question)
        matching = []
        for path in sorted(self.folder.glob("*.json")):
            told = json.loads(path.read_text(encoding="utf-8"))
            if _key(told["request"]) == key:
                matching.append((path, told))
        if not matching:
            raise NotRecorded(
                f"no answer to {question['method']} {question['url']} is recorded in {self.folder}"
            )
        with _lock:
            number = self._given.get((str(self.folder), key), 0)
            self._given[str(self.folder), key] = number + 1
        path, told = matching[min(number, len(matching) - 1)]
        body = path.with_suffix(".body")
        return urllib3.HTTPResponse(
            body=io.BytesIO(body.read_bytes() if body.exists() else b""),
            headers=told["headers"],
            status=told["status"],
            reason=told.get("reason"),
            preload_content=False,
            enforce_content_length=False,
        )


def _key(question: dict[str, Any]) -> str:
    """What tells questions apart."""
    ranged = {k.lower(): v for k, v in question["headers"].items()}.get("range", "")
    return json.dumps([question["method"], question["url"], question["body"], ranged])
