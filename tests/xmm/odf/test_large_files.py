"""Raw files that unpack to more than there is."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hostile_server import MIB, zeros

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.summary import read_ascii_summary
from daxa.xmm.odf import file as odf_file
from daxa.xmm.odf.file import OdfFile

NAME = "0001_0800000101_M1S00110IME.FIT.gz"


def raw_file(folder: Path, content: bytes) -> OdfFile:
    path = folder / NAME
    path.write_bytes(content)
    return OdfFile(OdfName.parse(NAME), path)


@pytest.mark.parametrize("pieces", [1, 5])
def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    monkeypatch.setattr(odf_file, "LARGEST", 4 * MIB)
    bomb = raw_file(tmp_path, zeros(50 * MIB // pieces) * pieces)
    tracemalloc.start()
    with pytest.raises(TaskError, match="unpacks to more than 4 MiB, as no raw file does"):
        bomb.bytes()
    assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b"x" * 5000, gzip.compress(b"x" * 5000), gzip.compress(b"x" * 2000) + gzip.compress(b"x" * 3000)],
)
def test_sound_ones_are_read(tmp_path: Path, content: bytes) -> None:
    assert raw_file(tmp_path, content).bytes() == b"x" * 5000


@pytest.mark.parametrize(
    "content", [gzip.compress(b"x" * 5000)[:-9], gzip.compress(b"x") + b"garbage", b"\x1f\x8b"]
)
def test_damaged_ones_are_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TaskError, match=f"{NAME}: cannot be read"):
        raw_file(tmp_path, content).bytes()


def test_a_summary_without_end(tmp_path: Path) -> None:
    path = tmp_path / "0001_0800000101_SCX00000SUM.ASC"
    path.write_bytes(zeros(40 * MIB))
    with pytest.raises(ValueError, match="larger than 16 MiB, which no summary is"):
        read_ascii_summary(path)
