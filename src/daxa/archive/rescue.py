"""Ledgers that are lost or damaged: told, restored from their copy, or begun anew."""

from __future__ import annotations

import os
import shutil
import warnings
from datetime import datetime, timezone
from pathlib import Path

from daxa.archive.layout import Layout
from daxa.archive.ledger import Ledger
from daxa.exceptions import DAXAError


def check_ledger(layout: Layout) -> None:
    """Make sure that an archive's ledger is there; a lost one is restored from its copy.

    Raises
    ------
    DAXAError
        It is lost, and there is no copy. Begun anew without a word, it would let everything be done again.
    """
    path = layout.ledger
    if path.exists() and path.stat().st_size:
        return
    if not layout.backup.exists():
        raise DAXAError(
            f"{path}: the ledger is lost, and there is no copy of it; "
            f"`daxa rebuild {layout.root.name}` makes it anew of what is there"
        )
    made = datetime.fromtimestamp(layout.backup.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")
    if not os.access(layout.save_info, os.W_OK):
        raise DAXAError(f"{path}: the ledger is lost, and cannot be restored: the archive is read-only")
    _without_rests(path)
    part = path.with_name(f"{path.name}.part")
    shutil.copyfile(layout.backup, part)
    os.replace(part, path)
    warnings.warn(
        f"{path}: the ledger was lost; it is restored from its copy of {made}. Logs are in files only.",
        stacklevel=6,
    )


def _without_rests(path: Path) -> None:
    """Remove what belongs to a file that is no longer there."""
    for rest in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + rest).unlink(missing_ok=True)


def begin_anew(layout: Layout) -> str:
    """Put a lost or damaged ledger aside and begin another, from the copy if there is a sound one.

    Returns
    -------
    str
        What it begins with.
    """
    path = layout.ledger
    if path.exists():
        layout.previous_versions.mkdir(exist_ok=True)
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        for rest in ("", "-wal", "-shm", "-journal"):
            file = path.with_name(path.name + rest)
            if file.exists():
                os.replace(file, layout.previous_versions / f"ledger_{now}.sqlite{rest}")
    _without_rests(path)
    if layout.backup.exists():
        shutil.copyfile(layout.backup, path)
        try:
            ledger = Ledger(path)
            sound = not ledger.faults()
            ledger.close()
        except DAXAError:
            sound = False
        if sound:
            return "its copy"
        _without_rests(path)
        path.unlink()
    Ledger(path).close()
    return "nothing"
