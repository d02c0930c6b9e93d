"""Free space, shared by everything that this process fetches and unpacks at once."""

from __future__ import annotations

import shutil
import threading
from collections import defaultdict
from pathlib import Path
from types import TracebackType

from daxa.exceptions import DAXADownloadError
from daxa.fetch.limits import LIMITS, size_text

#: Space that downloads must leave free, as processing needs some too.
RESERVE = LIMITS.spare_bytes
#: Bytes after which whoever writes looks at the disk again.
STEP = 4 * 2**20

_lock = threading.Lock()
_promised: defaultdict[int, int] = defaultdict(int)


def free_bytes(folder: Path) -> int:
    """Free space of the disk that holds, or will hold, a folder.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    int
        Size [bytes].
    """
    return shutil.disk_usage(_there(folder)).free


def available(folder: Path) -> int:
    """What may be written: the free space without the reserve and what downloads under way will need.

    Parameters
    ----------
    folder
        A folder on the disk.

    Returns
    -------
    int
        Size [bytes], not below zero.
    """
    with _lock:
        return _available(folder)


def _available(folder: Path) -> int:
    return max(0, free_bytes(folder) - RESERVE - _promised[_device(folder)])


def look(folder: Path, name: str) -> None:
    """Refuse to go on writing a file of that name when the disk is full but for the reserve.

    Parameters
    ----------
    folder
        A folder on the disk.
    name
        What is written, for the message.

    Raises
    ------
    DAXADownloadError
        It is.
    """
    if free_bytes(folder) < RESERVE:
        raise DAXADownloadError(f"{name}: stopped, its disk has less than {size_text(RESERVE)} free")


class Claim:
    """Space that one download will need; others do not get it.

    Parameters
    ----------
    folder
        A folder on the disk.
    """

    def __init__(self, folder: Path):
        self.folder, self.left = folder, 0
        self._device = _device(folder)

    def take(self, size: int, name: str) -> None:
        """Claim so many bytes, instead of what was claimed before.

        Parameters
        ----------
        size
            Bytes that are still to be written.
        name
            What is written, for the message.

        Raises
        ------
        DAXADownloadError
            So much is not free.
        """
        self.give_back()
        with _lock:
            free = _available(self.folder)
            if size > free:
                raise DAXADownloadError(
                    f"{name}: needs {size_text(size)}, of its disk {size_text(free)} are free for downloads"
                )
            self._change(size)

    def wrote(self, size: int) -> None:
        """So many of the bytes are on the disk now.

        Parameters
        ----------
        size
            The number.
        """
        with _lock:
            self._change(-min(size, self.left))

    def give_back(self) -> None:
        """Nothing more is going to be written."""
        with _lock:
            self._change(-self.left)

    def _change(self, by: int) -> None:
        self.left += by
        _promised[self._device] += by

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()


def _there(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _device(folder: Path) -> int:
    return _there(folder).stat().st_dev
