"""What all workers of a test run share: made by the first that asks, while the others wait."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Temporary folder that all workers of a test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def once(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock; tells whether what goes into the folder has yet to be made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    marker = folder / "complete"
    with folder.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        todo = not marker.exists()
        yield todo
        if todo:
            marker.touch()
