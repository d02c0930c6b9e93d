"""A mirror of the calibration files: what it has, and bringing one file home whole.

A mirror is a folder served over HTTP(S) with the constituents in it; if it has a master index
(``ccf.mif`` or ``XMM_CALINDEX_nnnn.CCF``) validity, size and MD5 are taken from there, else the
headers of the candidates are read (a few kilobytes each). A file gets its name only when its size, its
checksum where known and its FITS structure are right; what has arrived of an unfinished one is kept
beside it and continued by the next attempt.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from daxa.exceptions import DAXADownloadError
from daxa.fetch.http import Client, RemoteFile
from daxa.fetch.locks import hold
from daxa.xmm.ccf.index import CATEGORY, Entry, md5sum, normal_date, parse_name, read_entry, read_index
from daxa.xmm.errors import DamagedConstituent, TaskError
from daxa.xmm.fits.hdus import unreadable

_HEADER_BYTES = 4 * 2880
_TRIES = 3
_LINK = re.compile(r"""href\s{0,9}=\s{0,9}["']?([^"'\s>]{1,2000})""", re.IGNORECASE)
_MASTER = re.compile(r"^(ccf\.mif|XMM_CALINDEX_\d+\.CCF)$", re.IGNORECASE)

Progress = Callable[[str, int, int | None], None]


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

    def __post_init__(self) -> None:
        self.client = Client(_TRIES, first_pause_s=self.pause_s, timeout_s=self.timeout_s)

    def open(self) -> None:
        """Read the folder's listing and its master index, if it has one.

        Raises
        ------
        DAXADownloadError
            There is no listing, or it names no constituents.
        """
        base = self.url if self.url.endswith("/") else self.url + "/"
        # Asked once: another mirror may answer.
        page = self.client.get_text(base, tries=1)
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
            raise DAXADownloadError(f"{base}: no calibration constituents are listed there")
        for url in sorted(masters, reverse=True):
            try:
                self._read_master(url)
                break
            except (DAXADownloadError, TaskError):
                # Another index, or the headers of the files, will do.
                continue

    def _read_master(self, url: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ccf.mif"
            path.write_bytes(self.client.get_bytes(url))
            index = read_index(path)
        by_name = {entry.name: entry for entry in index.entries}
        self.entries = {name: by_name[name] for name in self.files if name in by_name}
        self.master = True

    def entry(self, name: str) -> Entry:
        """Validity of a constituent, from the master index or from the start of the file.

        Parameters
        ----------
        name
            Name of its file.

        Raises
        ------
        DAXADownloadError
            The file does not come, or does not start as a constituent does.
        """
        if name not in self.entries:
            self.entries[name] = self._read_header(self.files[name])
        return self.entries[name]

    def _read_header(self, url: str) -> Entry:
        from astropy.io import fits

        start = self.client.get_bytes(url, first=_HEADER_BYTES)
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
        except unreadable() as err:
            raise DAXADownloadError(f"{url}: no readable calibration header ({err})") from err

    def download(self, name: str, folder: Path, progress: Progress | None = None) -> Path:
        """Bring one constituent into a folder.

        Parameters
        ----------
        name
            Name of its file.
        folder
            The folder.
        progress
            Told the name, the bytes that are there, and the whole number of bytes once it is known.

        Returns
        -------
        Path
            The constituent.

        Raises
        ------
        DAXADownloadError
            It did not come, or not as it should; nothing but a part to continue is left behind.
        """
        done, total = 0, None

        def count(size: int) -> None:
            nonlocal done
            done += size
            if progress is not None:
                progress(name, done, total)

        def expect(size: int) -> None:
            nonlocal total
            total = (total or 0) + size

        file = RemoteFile(self.files[name], name, check=lambda part: self.check(name, part))
        with hold(folder / ".locks" / name):
            return self.client.fetch(file, folder / name, count, expect)

    def check(self, name: str, path: Path) -> None:
        """Make sure that a file is the constituent of that name and whole.

        Parameters
        ----------
        name
            The name.
        path
            The file.

        Raises
        ------
        ValueError
            It is not; the message says why.
        """
        size = path.stat().st_size
        known = self.entries.get(name) if self.master else None
        if known is not None and known.fsize and known.fsize != size:
            raise ValueError(f"{size} bytes came, the master index says {known.fsize}")
        if known is not None and known.md5 and known.md5.lower() != md5sum(path):
            raise ValueError("the checksum is not that of the master index")
        try:
            entry = read_entry(path)
        except DamagedConstituent as err:
            raise ValueError(f"what came is not a whole constituent ({err.message})") from err
        if entry is None or (entry.scope, entry.typeid, entry.issue) != parse_name(name):
            raise ValueError(f"what came is not {name}")
