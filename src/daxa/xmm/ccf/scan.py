"""Looking through folders of calibration files, with what is known of them from earlier runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from daxa.writing import write_text
from daxa.xmm.ccf.index import Entry, entry_of, list_files, md5sum, read_entry
from daxa.xmm.errors import DamagedConstituent


class EntryCache:
    """What is known of constituents from earlier runs, by path, size and time of change.

    Reading headers and checksums of a full mirror takes most of the task's time. The cache is a JSON
    file in the user's cache folder; a damaged or unwritable one is ignored.

    Parameters
    ----------
    path
        File of the cache; None: nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[str, Any] = {}
        self._changed = False
        if path is not None and path.is_file():
            try:
                loaded = json.loads(path.read_text(encoding="utf-8"))
                self._known = loaded if isinstance(loaded, dict) else {}
            except (OSError, ValueError):
                self._known = {}

    def entry(self, path: Path, *, checksum: bool = False) -> Entry | None:
        """The index row of a file, with its MD5 if ``checksum``; None if it is not a constituent.

        Parameters
        ----------
        path
            The file.
        checksum
            Whether the MD5 is wanted.

        Raises
        ------
        DamagedConstituent
            The file is cut short, or a keyword cannot be read.
        OSError
            There is no such file.
        """
        path = path.absolute()
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        known = self._known.get(str(path))
        if not isinstance(known, dict) or known.get("stamp") != stamp or "entry" not in known:
            known = None
        if known is not None and known["entry"] is None:
            return None
        entry = entry_of(known["entry"], path) if known is not None else None
        if entry is None:
            entry = read_entry(path)
        if entry is not None and checksum and not entry.md5:
            entry = replace(entry, md5=md5sum(path))
        row = None if entry is None else {k: v for k, v in asdict(entry).items() if k != "path"}
        if known is None or known["entry"] != row:
            self._known[str(path)] = {"stamp": stamp, "entry": row}
            self._changed = True
        return entry

    def save(self) -> None:
        """Write what is known, if anything is new."""
        if self.path is None or not self._changed:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(self._known))
        except OSError:
            # Without the cache the next run is only slower.
            self._changed = False


def scan(
    folders: Iterable[Path], glob: str, *, recurse: bool, cache: EntryCache, warn: Any
) -> tuple[list[Entry], int]:
    """Constituents in folders and the number of files looked at; damaged ones give a warning each.

    Parameters
    ----------
    folders
        The folders, the first of which wins.
    glob
        Patterns of names, with ``|`` between them.
    recurse
        Whether folders within them are looked into.
    cache
        What is known of files from before.
    warn
        Given code and text of each warning.
    """
    files = list_files(folders, glob, recurse=recurse)
    entries = []
    for path in files:
        try:
            entry = cache.entry(path)
        except (DamagedConstituent, OSError) as err:
            warn("badConstituent", f"{err}; ignored")
            continue
        if entry is not None:
            entries.append(entry)
    return entries, len(files)
