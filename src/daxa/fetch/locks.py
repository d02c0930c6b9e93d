"""Locks between processes, and between threads, that fetch the same files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock on a file, which is made if needed; wait for whoever holds it.

    Where the file system has no locks, as some network file systems, nothing is held: two processes at
    worst fetch the same files.

    Parameters
    ----------
    path
        The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire()
    except NotImplementedError:
        yield
        return
    try:
        yield
    finally:
        lock.release()
