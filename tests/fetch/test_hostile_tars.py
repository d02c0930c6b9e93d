"""Archive files that were made to hurt: each is refused in one line, at a price that is known before."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import odf_files
import pytest

from daxa.exceptions import DAXADownloadError
from daxa.fetch import disk, unpack
from daxa.fetch.limits import LIMITS, MIB

#: What an unpacker may need of memory, whatever it is given.
MEMORY = 24 * MIB


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of a member that says what it likes."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def pax(**records: str) -> bytes:
    """An extended header in front of a member."""
    body = b""
    for name, value in records.items():
        record = f" {name}={value}\n".encode()
        length = len(record) + 1
        while len(str(length)) + len(record) != length:
            length += 1
        body += str(length).encode() + record
    return header("x", len(body), tarfile.XHDTYPE) + body + bytes(-len(body) % 512)


def zeros(size: int) -> bytes:
    """So many zeros, packed, without having them all in memory."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    return buffer.getvalue()


def packed(start: bytes, size: int) -> bytes:
    """A gzipped tar file that begins so, and goes on with so many zeros."""
    return gzip.compress(start) + zeros(size)


def nested(depth: int) -> bytes:
    content = odf_files.tar_bytes({"a_SCX00000SUM.ASC": b"summary"})
    for _ in range(depth - 1):
        content = odf_files.tar_bytes({"a.tar": content})
    return content


END = bytes(1024)
LINKS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
}
NAMES = ("a\n\x1b[31m", "a\u202eFIT.exe", "a\u2028b", "/etc/x", "../x", "a/../../x", "..\\x", "C:x")
GROW = "its headers grow beyond 1 MiB"
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    # memory
    "long name": (lambda: packed(header("x", 40 * MIB, tarfile.GNUTYPE_LONGNAME), 40 * MIB), GROW),
    "long link": (lambda: packed(header("x", 40 * MIB, tarfile.GNUTYPE_LONGLINK), 40 * MIB), GROW),
    "extended header": (lambda: packed(header("x", 40 * MIB, tarfile.XHDTYPE), 40 * MIB), GROW),
    "global header": (lambda: packed(header("x", 40 * MIB, tarfile.XGLTYPE), 40 * MIB), GROW),
    "header of 8 EiB": (lambda: header("x", 2**63, tarfile.XHDTYPE) + END, GROW),
    "headers of headers": (lambda: pax(comment="x") * 3000 + END, "headers grow|recursion"),
    "member with holes": (
        lambda: pax(**{"GNU.sparse.map": "0,1", "GNU.sparse.size": "3000000000"})
        + header("SUM.ASC", 1)
        + b"x".ljust(512, b"\0")
        + END,
        "has holes",
    ),
    # depth
    "archives in archives": (lambda: nested(60), "archives within archives"),
    "one too deep": (lambda: nested(LIMITS.archive_depth + 1), "archives within archives"),
    # lies about sizes
    "negative size": (lambda: pax(size="-1024") + header("SUM.ASC") + END, "bytes|damaged|holes"),
    "size of the universe": (lambda: header("SUM.ASC", 2**70) + END, "fills the disk|larger|damaged"),
    # names
    "twice": (
        lambda: (header("x", 1) + b"a".ljust(512, b"\0")) * 2 + END,
        "twice",
    ),
    "twice, packed once": (
        lambda: odf_files.tar_bytes({"x.FIT": b"x", "x.FIT.gz": gzip.compress(b"y")}),
        "twice",
    ),
    "name of 300 letters": (lambda: odf_files.tar_bytes({"a" * 300: b"x"}), "no name that a file can have"),
    "no name": (lambda: header("./", 0) + END, "no name|end mark"),
    **{
        f"name {name!r}": (lambda name=name: odf_files.tar_bytes({name: b"x"}), "control characters|outside")
        for name in NAMES
    },
    **{n: (lambda kind=kind: header("x", 0, kind) + END, "link or a device") for n, kind in LINKS.items()},
}  # fmt: skip


def refusal(action: Callable[[], object], says: str) -> tuple[str, int]:
    """The message, and the bytes of memory that it took to come to it."""
    tracemalloc.start()
    try:
        with pytest.raises(DAXADownloadError, match=says) as refused:
            action()
        return str(refused.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BAD)
def test_unpacking_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    make, says = BAD[name]
    (tmp_path / "a.tar").write_bytes(make())
    text, memory = refusal(lambda: unpack.untar(tmp_path / "a.tar", tmp_path / "in"), says)
    assert text.isprintable()
    assert len(text) < 500
    assert memory < MEMORY
    assert not list(tmp_path.rglob("*.tmp"))
    outside = [p for p in tmp_path.rglob("*") if tmp_path / "in" not in p.parents and p.name != "a.tar"]
    assert [p.name for p in outside] in ([], ["in"])


@pytest.mark.parametrize("name", [n for n in BAD if not n.startswith(("twice", "one too deep"))])
def test_looking_for_a_member_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tar").write_bytes(BAD[name][0]())
    text, memory = refusal(lambda: unpack.read_member(tmp_path / "a.tar", lambda n: n == "SUM.ASC"), ".")
    assert text.isprintable()
    assert memory < MEMORY


@pytest.mark.parametrize("kind", ["plain", "packed"])
def test_a_member_that_is_too_large_for_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name, content = ("SUM.ASC", bytes(40 * MIB)) if kind == "plain" else ("SUM.ASC.gz", zeros(40 * MIB))
    (tmp_path / "a.tar.gz").write_bytes(odf_files.tar_bytes({name: content}, "w:gz"))
    del content
    monkeypatch.setattr(unpack._small, "__defaults__", (4 * MIB,))
    text, memory = refusal(lambda: unpack.read_member(tmp_path / "a.tar.gz", lambda n: n == "SUM.ASC"), ".")
    assert "is larger than 4 MiB" in text
    assert memory < MEMORY


def test_as_deep_as_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(nested(LIMITS.archive_depth))
    (file,) = unpack.untar(tmp_path / "a.tar", tmp_path / "in")
    assert file.read_bytes() == b"summary"
    assert unpack.read_member(tmp_path / "a.tar", lambda name: name.endswith("SUM.ASC")) == b"summary"


def test_members_are_counted_in_all_archives_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack._Allowance.__init__, "__defaults__", (10, LIMITS.archive_depth))
    inner = odf_files.tar_bytes({f"{n}.FIT": b"x" for n in range(6)})
    (tmp_path / "a.tar").write_bytes(odf_files.tar_bytes({"a/1.tar": inner, "b/2.tar": inner}))
    with pytest.raises(DAXADownloadError, match="more than .* members"):
        unpack.untar(tmp_path / "a.tar", tmp_path / "in")
    with pytest.raises(DAXADownloadError, match="more than .* members"):
        unpack.read_member(tmp_path / "a.tar", lambda name: False)


def test_a_disk_that_fills_while_files_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter([10**9, 10**9, 0])
    monkeypatch.setattr(disk, "free_bytes", lambda folder: next(left))
    (tmp_path / "a.tar.gz").write_bytes(odf_files.tar_bytes({"x": bytes(9 * MIB)}, "w:gz"))
    with pytest.raises(DAXADownloadError, match="x: stopped, its disk has less than 64 MiB free"):
        unpack.untar(tmp_path / "a.tar.gz", tmp_path / "in")
    assert not [p for p in (tmp_path / "in").rglob("*") if p.is_file()]


def test_what_is_being_fetched_is_not_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: disk.RESERVE + 100)
    with disk.Claim(tmp_path) as first, disk.Claim(tmp_path / "not" / "yet") as second:
        first.take(70, "a")
        assert disk.available(tmp_path) == 30
        with pytest.raises(DAXADownloadError, match="b: needs 40 bytes, of its disk 30 bytes are free"):
            second.take(40, "b")
        second.take(30, "b")
        first.wrote(70)
        second.give_back()
        assert disk.available(tmp_path) == 100
    assert disk.available(tmp_path) == 100


@pytest.mark.parametrize("ending", ["gz", "Z"])
def test_files_of_one_byte_a_thousand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    path = tmp_path / f"a.fits.{ending}"
    if ending == "gz":
        path.write_bytes(zeros(20 * MIB))
        text, _ = refusal(lambda: unpack.gunzip(path, tmp_path / "a.fits", limit=MIB), "grows beyond 1 MiB")
    else:
        path.write_bytes(b"\x1f\x9d\x90" + bytes(4000))
        monkeypatch.setattr(disk, "available", lambda folder: 1000)
        text, _ = refusal(lambda: unpack.decompress_in_place(path), "grows beyond|before it is defined")
    assert not (tmp_path / "a.fits").exists()
    assert text.isprintable()
