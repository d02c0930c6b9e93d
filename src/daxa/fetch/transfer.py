"""One file on its way to disk: continued where it was cut, unless it has become another one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from daxa.exceptions import DAXADownloadError
from daxa.fetch import disk
from daxa.fetch.answers import (
    NETWORK,
    NO_ADDRESS,
    TryAgain,
    check_status,
    hide_secrets,
    innermost,
    is_page,
    length_of,
    looks_like_page,
    piece_of,
    title_of,
)
from daxa.fetch.limits import size_text

if TYPE_CHECKING:
    from daxa.fetch.http import Client

BLOCK = 1 << 16
_PAGES = (".htm", ".html", ".xhtml", ".xml", ".svg", ".vot")


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


class Transfer:
    """One file under way.

    Parameters
    ----------
    client
        What asks.
    file
        The file.
    target
        Where it goes.
    count, expect
        Told the bytes that arrived, and those to come.
    params
        Parameters of the request.
    """

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
        self.total: int | None = None
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

    def _noted(self) -> dict:
        """What the server said of this version of the file when we began."""
        try:
            noted = json.loads(self.note.read_text())
            return noted if isinstance(noted, dict) else {}
        except (OSError, ValueError):
            return {}

    def attempt(self) -> None:
        """Ask once for what is missing.

        Raises
        ------
        TryAgain
            It did not come, or not all of it.
        DAXADownloadError
            It will not.
        """
        try:
            with disk.Claim(self.target.parent) as claim:
                self._attempt(claim)
        except TryAgain as fault:
            limits, new = self.client.limits, self._have() - self.best
            least = limits.progress_bytes
            if self.total is not None:
                missing = self.total - self.best
                least = min(least, max(1, self.total // 100), max(1, missing // 10))
            fault.progress = new >= least
            if fault.progress:
                self.best = self._have()
            raise

    def _attempt(self, claim: disk.Claim) -> None:
        headers, have, validator = {}, self._have(), self._noted().get("validator")
        if have and isinstance(validator, str) and validator.isprintable():
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
                    check_status(answer, self.client.limits)
                    total = self._begin(answer, claim)
                    self._receive(answer, total, claim)
        except NO_ADDRESS as err:
            raise DAXADownloadError(
                hide_secrets(f"{self.file.url}: leads to no web address ({err})")
            ) from err
        except NETWORK as err:
            raise TryAgain(innermost(err)) from err
        self._finish(total)

    def _have_all(self) -> int | None:
        """The length of the file when the server has nothing beyond what is there."""
        if not self._is_right():
            self._forget()
            raise TryAgain("the partial file does not fit the one on the server")
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

    def _begin(self, answer: requests.Response, claim: disk.Claim) -> int | None:
        """Set up for the answer's body; returns the length of the whole file if it is known."""
        if answer.status_code == 206:
            total = self._goes_on(answer)
        else:
            total = self._begins(answer)
        if total is not None and self.file.size is not None and total != self.file.size:
            self._forget()
            raise TryAgain(f"the server offers {total} bytes, its listing says {self.file.size}")
        known = total if total is not None else self.file.size
        if known is not None:
            if known > self.client.limits.file_bytes:
                raise DAXADownloadError(f"{self.target.name}: refused, it has {size_text(known)}")
            self._announce(known)
            claim.take(known - self._have(), self.target.name)
        self.total = known
        return known

    def _goes_on(self, answer: requests.Response) -> int | None:
        """Make sure that what comes is the rest of the same file."""
        piece, noted = piece_of(answer.headers), self._noted()
        if piece is None or piece[0] != self._have():
            self._forget()
            raise TryAgain("the server sent another piece of the file than asked for")
        for name, said in (("etag", "ETag"), ("modified", "Last-Modified")):
            now = answer.headers.get(said)
            if now is not None and noted.get(name) is not None and now != noted[name]:
                self._forget()
                raise TryAgain("the server has another version of the file now")
        if piece[1] is not None and noted.get("total") not in (None, piece[1]):
            self._forget()
            raise TryAgain(f"the file has {piece[1]} bytes now, it had {noted['total']}")
        return piece[1]

    def _begins(self, answer: requests.Response) -> int | None:
        self._forget()
        if is_page(answer) and not self.target.name.lower().endswith(_PAGES):
            start = answer.raw.read(4096, decode_content=True)
            raise TryAgain(f"the server sent a web page instead of the file{title_of(start)}")
        total = length_of(answer.headers)
        etag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        validator = etag if etag and not etag.startswith("W/") else modified
        if validator and answer.headers.get("Accept-Ranges", "").lower() == "bytes":
            noted = {"validator": validator, "etag": etag, "modified": modified, "total": total}
            self.note.write_text(json.dumps(noted))
        return total

    def _receive(self, answer: requests.Response, total: int | None, claim: disk.Claim) -> None:
        have = looked = self._have()
        self._count_to(have)
        # The length is checked below: urllib3 would throw away the last bytes before a cut.
        answer.raw.enforce_content_length = False
        with self.part.open("ab") as out:
            for block in answer.raw.stream(BLOCK, decode_content=False):
                out.write(block)
                have += len(block)
                claim.wrote(len(block))
                self._count_to(have)
                if self.client.stopped.is_set():
                    raise DAXADownloadError(f"{self.target.name}: stopped")
                if total is not None and have > total:
                    break
                if have - looked >= disk.STEP:
                    out.flush()
                    looked = have
                    self._look(have, total)
        if total is not None and have != total and not self._is_right():
            if have > total:
                self._forget()
            raise TryAgain(f"got {have} of {total} bytes")

    def _look(self, have: int, total: int | None) -> None:
        """Stop where the disk, or a file without a known length, grows beyond what is allowed."""
        try:
            disk.look(self.part.parent, self.target.name)
            if have > self.client.limits.file_bytes:
                raise DAXADownloadError(f"{self.target.name}: refused, it has more than {size_text(have)}")
        except DAXADownloadError:
            if total is None or not self._noted():
                self._forget()  # it could not be continued
            raise

    def _finish(self, total: int | None) -> None:
        if total is None:
            self._announce(self._have())
        self._is_no_page()
        if self.file.md5 is not None:
            digest = hashlib.md5(usedforsecurity=False)
            with self.part.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            if digest.hexdigest() != self.file.md5.lower():
                self._forget()
                raise TryAgain("the checksum is wrong")
        if self.file.check is not None:
            try:
                self.file.check(self.part)
            except ValueError as err:
                self._forget()
                raise TryAgain(str(err)) from err
        os.replace(self.part, self.target)
        self.note.unlink(missing_ok=True)

    def _is_no_page(self) -> None:
        """Refuse a page that says it is a file."""
        if self.target.name.lower().endswith(_PAGES) or not self.part.exists():
            return
        with self.part.open("rb") as file:
            start = file.read(4096)
        if looks_like_page(start):
            self._forget()
            raise TryAgain(f"the server sent a web page instead of the file{title_of(start)}")
