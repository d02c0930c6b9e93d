"""Locks between processes, held as long as the process lives.

Unlike those of ``filelock``, which downloads wait for, these refuse at once and say who holds them, and
whether one is held can be seen where nothing can be written.
"""

from __future__ import annotations

import errno
import os
import random
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from daxa.exceptions import DAXAError

_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
#: How often a lock that is only being looked at is asked for.
_LOOKS = 100


@contextmanager
def hold(path: Path, what: str, *, remove: bool = False) -> Iterator[None]:
    """Hold a lock on a file, which is made if needed.

    Parameters
    ----------
    path
        The file. It says who holds the lock, for those who are refused.
    what
        Beginning of the refusal, e.g. ``the archive A907 is being processed``.
    remove
        Take the file away afterwards.

    Raises
    ------
    DAXAError
        Another process holds it, or the file cannot be written.

    Warns
    -----
    UserWarning
        The file system has no locks, as some network file systems.
    """
    handle = _locked(path, what)
    try:
        yield
    finally:
        if remove:
            with suppress(OSError):
                path.unlink()
        handle.close()


def is_held(path: Path) -> bool:
    """Whether a process holds a lock on a file; nothing is written.

    Parameters
    ----------
    path
        The file of the lock.
    """
    try:
        import fcntl

        with path.open(encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as failure:
        return failure.errno in _BUSY and path.exists()
    except ImportError:  # Windows
        return False
    return False


def _locked(path: Path, what: str) -> IO[str]:
    while True:
        try:
            handle = path.open("a+", encoding="utf-8")
        except OSError as failure:
            raise DAXAError(
                f"{path}: cannot be written ({failure.strerror or failure}): it can be looked at only"
            ) from failure
        try:
            _lock(handle, path, what)
            # Its last holder may have taken the file away between opening and locking.
            if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                handle.seek(0)
                handle.truncate()
                handle.write(_holder())
                handle.flush()
                return handle
        except BaseException:
            handle.close()
            raise
        handle.close()


def _lock(handle: IO[str], path: Path, what: str) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        for _ in range(_LOOKS):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as failure:
                if failure.errno not in _BUSY:
                    raise
            # Those who only look whether it is held share it, for a moment.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(handle, fcntl.LOCK_UN)
            time.sleep(random.uniform(0.001, 0.02))
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as failure:
        if failure.errno in _BUSY:
            handle.seek(0)
            holder = handle.read().strip()
            who = f" ({holder})" if holder else ""
            raise DAXAError(f"{what} by another process{who}") from None
        # No locks on this file system: nothing is known of others, which is not a reason to refuse.
        warnings.warn(
            f"{path}: the file system has no file locks ({failure.strerror or failure}); "
            "make sure that no other process works on this archive",
            stacklevel=6,
        )


def _holder() -> str:
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {since}"
