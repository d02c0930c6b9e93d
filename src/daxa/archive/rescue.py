"""Ledgers that are lost or damaged: told, restored from their copy, or begun anew."""

from __future__ import annotations

import os
import uuid
import warnings
from datetime import datetime, timezone
from pathlib import Path

from daxa.archive.layout import Layout
from daxa.archive.ledger import Ledger
from daxa.exceptions import DAXAError
from daxa.writing import copy_file

#: Files that SQLite keeps beside its own.
_RESTS = ("-wal", "-shm", "-journal")


def check_ledger(layout: Layout) -> None:
    """Make sure that an archive's ledger is there; a lost one is restored from its copy.

    Parameters
    ----------
    layout
        Where the archive is.

    Raises
    ------
    DAXAError
        It is lost, and there is no copy. Begun anew without a word, it would let everything be done again.

    Warns
    -----
    UserWarning
        The ledger was restored.
    """
    path = layout.ledger
    if path.exists() and path.stat().st_size:
        return
    if not layout.backup.exists():
        raise DAXAError(
            f"{path}: the ledger is lost, and there is no copy of it; "
            f"`daxa rebuild {layout.root.name}` makes it anew from what is there"
        )
    made = datetime.fromtimestamp(layout.backup.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")
    if not os.access(layout.save_info, os.W_OK):
        raise DAXAError(f"{path}: the ledger is lost, and cannot be restored: the archive is read-only")
    if faults(layout.backup):
        raise DAXAError(
            f"{path}: the ledger is lost, and its copy of {made} is damaged; "
            f"`daxa rebuild {layout.root.name}` makes it anew from what is there"
        )
    _restore(layout)
    warnings.warn(
        f"{path}: the ledger was lost; it is restored from its copy of {made}. Logs are in files only.",
        stacklevel=6,
    )


def faults(path: Path) -> list[str]:
    """What is wrong with the file of a ledger; it is not changed.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    list of str
        One sentence per fault; empty for a sound file.
    """
    try:
        ledger = Ledger(path, read_only=True)
        try:
            found = ledger.faults()
            if not found:
                ledger.totals()
        finally:
            ledger.close()
    except DAXAError as failure:
        return [str(failure)]
    return found


def _restore(layout: Layout) -> None:
    """Put the copy of a ledger in its place."""
    _without_rests(layout.ledger)
    copy_file(layout.backup, layout.ledger)


def _without_rests(path: Path) -> None:
    """Remove what belongs to a file that is no longer there."""
    for rest in _RESTS:
        path.with_name(path.name + rest).unlink(missing_ok=True)


def begin_anew(layout: Layout) -> str:
    """Put a lost or damaged ledger aside and begin another, from the copy if that is sound.

    A sound ledger stays where it is.

    Parameters
    ----------
    layout
        Where the archive is.

    Returns
    -------
    str
        What it begins with.
    """
    path = layout.ledger
    if path.exists() and path.stat().st_size and not faults(path):
        return "itself"
    if path.exists():
        layout.previous_versions.mkdir(exist_ok=True)
        # Never twice the same, also when the clock was set back.
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S") + f"_{uuid.uuid4().hex[:6]}"
        # What belongs to it goes first: without its log, a ledger is older than it was, not sound.
        for rest in (*_RESTS, ""):
            file = path.with_name(path.name + rest)
            if file.exists():
                os.replace(file, layout.previous_versions / f"ledger_{now}.sqlite{rest}")
    if layout.backup.exists() and not faults(layout.backup):
        _restore(layout)
        return "its copy"
    _without_rests(path)
    Ledger(path).close()
    return "nothing"
