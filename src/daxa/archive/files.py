"""The raw files of an observation, as they were when something was made of them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

#: Lists of some of eROSITA's telescope modules, which are made of the raw files beside them.
_MADE = re.compile(r"_if_[1-7]+\.fits$")


def raw_files(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time [ns] of the raw files of an observation, in the order of their names.

    Parameters
    ----------
    folder
        Where they are.
    """
    with os.scandir(folder) as entries:
        states = [(e.name, e.stat()) for e in entries if e.is_file() and not _MADE.search(e.name)]
    states.sort(key=lambda state: state[0])
    return [(name, status.st_size, status.st_mtime_ns) for name, status in states]


def raw_state(folder: Path) -> str:
    """One checksum of names, sizes and times of raw files.

    Parameters
    ----------
    folder
        Where they are.
    """
    digest = hashlib.sha256()
    for name, size, time_ns in raw_files(folder):
        digest.update(f"{name}\0{size}\0{time_ns}\n".encode())
    return digest.hexdigest()
