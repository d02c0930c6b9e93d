"""Locks of files that are fetched."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest

from daxa.fetch.locks import hold


def test_others_wait(tmp_path: Path) -> None:
    path, order = tmp_path / "below" / "a.lock", []

    def wait() -> None:
        with hold(path):
            order.append("second")

    with hold(path):
        thread = threading.Thread(target=wait)
        thread.start()
        # Another process cannot have it either.
        code = f"import filelock; filelock.FileLock({str(path)!r}).acquire(timeout=0)"
        refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "Timeout" in refused.stderr
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    done = []
    with hold(tmp_path / "a.lock"):
        done.append("work")
    assert done == ["work"]


def test_a_failure_passes_through(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="mine"), hold(tmp_path / "a.lock"):
        raise NotImplementedError("mine")
    with hold(tmp_path / "a.lock"):
        pass
