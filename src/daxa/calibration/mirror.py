"""A mirror of the calibration files: what it has, and bringing one file home whole.

A mirror is a folder served over HTTP(S) with the constituents in it; if it has a master index
(``ccf.mif`` or ``XMM_CALINDEX_nnnn.CCF``) validity, size and MD5 are taken from there, else the
headers of the candidates are read (a few kilobytes each). A file gets its name only when its size, its
checksum where known and its FITS structure are right; what has arrived of an unfinished one is kept
beside it and continued by the next attempt.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from daxa.xmm.ccf.index import CATEGORY, Entry, md5sum, normal_date, parse_name, read_entry, read_index
from daxa.xmm.errors import DamagedConstituent, TaskError

if TYPE_CHECKING:
    import requests

_HEADER_BYTES = 4 * 2880
_BLOCK = 1 << 16
_TRIES = 3
_LINK = re.compile(r"""href\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_MASTER = re.compile(r"^(ccf\.mif|XMM_CALINDEX_\d+\.CCF)$", re.IGNORECASE)

Progress = Callable[[str, int, int | None], None]


class BadFile(Exception):
    """A file did not come as it should; the message says why."""


@dataclass
class Mirror:
    """A served folder of constituents.

    ``files`` are the names of the constituents in it; ``entries`` what is known of them.
    """

    url: str
    timeout_s: float = 60.0
    pause_s: float = 1.0
    files: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    master: bool = False
    _session: Any = None

    @property
    def session(self) -> requests.Session:
        """Connection shared by the threads of one fetch."""
        if self._session is None:
            import requests

            self._session = requests.Session()
        return self._session

    def _get(self, url: str, **kwargs: Any) -> requests.Response:
        import requests

        try:
            answer = self.session.get(url, timeout=self.timeout_s, **kwargs)
        except requests.RequestException as err:
            raise BadFile(f"{url}: {_reason(err)}") from err
        if answer.status_code not in (200, 206, 416):
            answer.close()
            raise BadFile(f"{url}: the server answers {answer.status_code} {answer.reason}")
        return answer

    def open(self) -> None:
        """Read the folder's listing and its master index, if it has one."""
        base = self.url if self.url.endswith("/") else self.url + "/"
        page = self._get(base).text
        masters = []
        for link in _LINK.findall(page):
            url = urljoin(base, link)
            name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
            # Only files of this very folder: a listing must not lead elsewhere.
            if url.rsplit("/", 1)[0] + "/" != base:
                continue
            if _MASTER.match(name):
                masters.append(url)
            elif parse_name(name):
                self.files[name.upper()] = url
        if not self.files:
            raise BadFile(f"{base}: no calibration constituents are listed there")
        for url in sorted(masters, reverse=True):
            try:
                self._read_master(url)
                break
            except (BadFile, TaskError):
                # Another index, or the headers of the files, will do.
                continue

    def _read_master(self, url: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ccf.mif"
            path.write_bytes(self._get(url).content)
            index = read_index(path)
        by_name = {entry.name: entry for entry in index.entries}
        self.entries = {name: by_name[name] for name in self.files if name in by_name}
        self.master = True

    def entry(self, name: str) -> Entry:
        """Validity of a constituent, from the master index or from the start of the file."""
        if name not in self.entries:
            self.entries[name] = self._read_header(self.files[name])
        return self.entries[name]

    def _read_header(self, url: str) -> Entry:
        from astropy.io import fits

        with self._get(url, headers={"Range": f"bytes=0-{_HEADER_BYTES - 1}"}, stream=True) as answer:
            start = b""
            for block in answer.iter_content(_HEADER_BYTES):
                start += block
                if len(start) >= _HEADER_BYTES:
                    break
        try:
            header = fits.Header.fromfile(io.BytesIO(start))
            named = parse_name(url.rsplit("/", 1)[-1])
            if named is None or "VALDATE" not in header:
                raise ValueError("no VALDATE")
            end = str(header.get("EVALDATE", "")).strip()
            return Entry(
                *named,
                normal_date(str(header["VALDATE"])),
                normal_date(end) if end else "",
                subdate=normal_date(str(header.get("SUBDATE", header["VALDATE"]))),
                category=str(header.get("CATEGORY", CATEGORY)).strip(),
            )
        except (OSError, ValueError, EOFError) as err:
            raise BadFile(f"{url}: no readable calibration header ({err})") from err

    # -- one file --

    def download(self, name: str, folder: Path, progress: Progress | None = None) -> Path:
        """Bring one constituent into a folder.

        Raises
        ------
        BadFile
            It did not come, or not as it should; nothing but a part to continue is left behind.
        """
        final = folder / name
        part = folder / f".{name}.part"
        with _locked(folder / ".locks" / name):
            if final.is_file():
                return final
            problem = ""
            for attempt in range(_TRIES):
                if attempt:
                    time.sleep(self.pause_s * 2 ** (attempt - 1))
                try:
                    self._receive(name, part, progress)
                except BadFile as err:
                    problem = str(err)
                    if "answers 4" in problem:
                        break
                    # A server may lie about the length: what came may be whole all the same.
                    if not self._is_whole(name, part):
                        continue
                try:
                    self.check(name, part)
                except BadFile as err:
                    problem = str(err)
                    part.unlink(missing_ok=True)
                    continue
                os.replace(part, final)
                return final
            raise BadFile(problem)

    def _receive(self, name: str, part: Path, progress: Progress | None) -> None:
        import requests
        import urllib3

        url = self.files[name]
        have = part.stat().st_size if part.is_file() else 0
        headers = (
            {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
            if have
            else {"Accept-Encoding": "identity"}
        )
        with self._get(url, headers=headers, stream=True) as answer:
            if answer.status_code == 416:
                return
            span = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            resumed = answer.status_code == 206 and span is not None and int(span[1]) == have
            if answer.status_code == 206 and not resumed:
                raise BadFile(f"{url}: the server answers with another part of the file than asked for")
            length = answer.headers.get("Content-Length")
            total = (
                (have if resumed else 0) + int(length) if length is not None and length.isdigit() else None
            )
            done = have if resumed else 0
            # The length is checked below: urllib3 would throw away the last bytes before a cut.
            answer.raw.enforce_content_length = False
            try:
                with part.open("ab" if resumed else "wb") as out:
                    for block in answer.iter_content(_BLOCK):
                        out.write(block)
                        done += len(block)
                        if progress is not None:
                            progress(name, done, total)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as err:
                raise BadFile(f"{url}: cut after {done} bytes ({_reason(err)})") from err
            except OSError as err:
                raise BadFile(f"{part}: {err}") from err
            if total is not None and done < total:
                raise BadFile(f"{url}: cut after {done} of {total} bytes")

    def _is_whole(self, name: str, part: Path) -> bool:
        try:
            self.check(name, part)
        except BadFile:
            return False
        return True

    def check(self, name: str, part: Path) -> None:
        """Make sure that a file is the constituent of that name and whole, else raise :class:`BadFile`."""
        url = self.files[name]
        if not part.is_file():
            raise BadFile(f"{url}: nothing came")
        size = part.stat().st_size
        known = self.entries.get(name) if self.master else None
        if known is not None and known.fsize and known.fsize != size:
            raise BadFile(f"{url}: {size} bytes came, the master index says {known.fsize}")
        if known is not None and known.md5 and known.md5.lower() != md5sum(part):
            raise BadFile(f"{url}: the checksum is not that of the master index")
        try:
            entry = read_entry(part)
        except DamagedConstituent as err:
            raise BadFile(f"{url}: what came is not a whole constituent ({err.message})") from err
        if entry is None or (entry.scope, entry.typeid, entry.issue) != parse_name(name):
            raise BadFile(f"{url}: what came is not {name}")


def _reason(err: BaseException) -> str:
    text = str(err.args[0] if err.args else err)
    return f"{type(err).__name__}: {text[:200]}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
