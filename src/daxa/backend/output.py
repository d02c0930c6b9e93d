"""What programs print: whole in a file, beginning and end in memory, however much there is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from daxa.backend.publish import stage

#: Bytes of a stream that are kept in memory and in the ledger, of its beginning and of its end.
KEPT = 16 * 1024
_CHUNK = 1 << 20


def excerpt(path: Path, log: Path | None = None) -> str:
    """Beginning and end of a file of text; between them a line that says how much is left out.

    Parameters
    ----------
    path
        The file; it need not exist.
    log
        Where all of it is to be found.
    """
    try:
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            if size <= 2 * KEPT:
                return _text(handle.read())
            head = handle.read(KEPT)
            handle.seek(-KEPT, os.SEEK_END)
            tail = handle.read()
    except FileNotFoundError:
        return ""
    # Whole lines, where there are any.
    head = head[: head.rfind(b"\n") + 1] or head
    tail = tail[tail.find(b"\n") + 1 :] or tail
    left = size - len(head) - len(tail)
    where = "" if log is None else f"; all of it is in {log.parent.name}/{log.name}"
    return f"{_text(head)}[... {left} bytes are left out here{where} ...]\n{_text(tail)}"


def lines(path: Path) -> Iterator[str]:
    """Lines of a file of text, however long they are: what is longer than a megabyte comes in pieces.

    What a program prints over the same line again and again, to show how far it is, is a line each time.

    Parameters
    ----------
    path
        The file; one that is not there has no lines.
    """
    try:
        with path.open("rb") as handle:
            while line := handle.readline(_CHUNK):
                yield from _text(line.rstrip(b"\r\n")).split("\r")
    except FileNotFoundError:
        return


def keep(path: Path, log: Path, empty: bool) -> str:
    """Put what was printed beside the data.

    Parameters
    ----------
    path
        File with what was printed.
    log
        Where it goes; what was there is replaced, or removed if there is nothing to keep.
    empty
        Keep an empty file too; else there is no log of it.

    Returns
    -------
    str
        Why it could not be kept; empty if it was.
    """
    try:
        if path.exists() and (empty or path.stat().st_size):
            os.replace(stage(path, log), log)
        else:
            log.unlink(missing_ok=True)
    except OSError as failure:  # e.g. a full disk; the ledger has beginning and end
        with contextlib.suppress(OSError):
            log.unlink(missing_ok=True)
        return f"cannot write the log {log}: {failure.strerror or failure}"
    return ""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
