"""Which calibration files an index names, and by which checksums."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from daxa.exceptions import DAXAError
from daxa.xmm.ccf.index import md5sum, read_index
from daxa.xmm.errors import TaskError


class CalibrationError(DAXAError):
    """It is not known which calibration files were chosen."""


def named(index: Path) -> dict[str, str]:
    """File name -> MD5 of the constituents of an index; empty if it gives no checksums.

    Parameters
    ----------
    index
        The index of calibration files.

    Raises
    ------
    CalibrationError
        It is not an index, or cannot be read.
    """
    try:
        entries = read_index(index).entries
    except (TaskError, OSError, ValueError) as failure:
        raise CalibrationError(f"{index}: not a readable index of calibration files ({failure})") from failure
    return {os.path.basename(e.fname or e.name): e.md5.lower() for e in entries if e.md5}


def changed(
    names: dict[str, str],
    folders: Iterable[str],
    known: Callable[[str, int, int], str | None],
    note: Callable[[str, int, int, str], None],
) -> str:
    """What has become of calibration files since they were used.

    Parameters
    ----------
    names
        File name -> MD5.
    folders
        Where to look for them, in order.
    known, note
        Asked for, and told, the checksum of a path with a size and a time.

    Returns
    -------
    str
        The first difference; empty if there is none, or none of the files is to be found.
    """
    paths = {name: _find(name, folders) for name in names}
    if not any(paths.values()):
        # The folder is not at hand; nothing is known of its files.
        return ""
    for name, path in paths.items():
        if path is None:
            return f"the calibration file {name} is gone"
        try:
            status = path.stat()
            place = (str(path), status.st_size, status.st_mtime_ns)
            found = known(*place)
            if found is None:
                found = md5sum(path)
                note(*place, found)
        except OSError as failure:
            return f"the calibration file {path} cannot be read ({failure.strerror or failure})"
        if found != names[name]:
            return f"the calibration file {path} has changed"
    return ""


def _find(name: str, folders: Iterable[str]) -> Path | None:
    for folder in folders:
        for spelling in (name, name.upper(), name.lower()):
            path = Path(folder) / spelling
            if path.is_file():
                return path
    return None
