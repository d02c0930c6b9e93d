"""Small files that are there whole or not at all."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from daxa.writing import copy_file, replacing_file, write_text


def test_many_at_once_leave_rights_alone(tmp_path, monkeypatch):
    """The mask of rights belongs to the process: a thread that changes it for a moment changes all."""
    before, start = os.umask(0o027), threading.Barrier(8)
    touched = []

    def write(number):
        start.wait()
        for turn in range(20):
            write_text(tmp_path / f"{number % 4}.txt", f"{number} {turn}")

    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda mask: touched.append(mask) or 0o027)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(write, range(8)))
    finally:
        os.umask(before)
    assert not touched
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o640}


def test_what_fails_leaves_the_old_file(tmp_path):
    def fail():
        with replacing_file(tmp_path / "a") as part:
            part.write_text("half")
            raise ValueError("no")

    write_text(tmp_path / "a", "old")
    with pytest.raises(ValueError, match="no"):
        fail()
    copy_file(tmp_path / "a", tmp_path / "b")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "old", "b": "old"}
