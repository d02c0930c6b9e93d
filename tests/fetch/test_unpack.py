"""Archive files from outside are never trusted."""

from __future__ import annotations

import gzip
import io
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import odf_files
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.exceptions import DAXADownloadError
from daxa.fetch import unpack
from daxa.fetch.lzw import decompress


def tar_with(member: tarfile.TarInfo, content: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member.size = len(content) if member.isreg() else 0
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\..\\evil", "C:evil"])
def test_paths_that_climb_out(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_with(tarfile.TarInfo(name)))
    with pytest.raises(DAXADownloadError, match="outside the folder"):
        unpack.untar(path, tmp_path / "in")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("innocent.FIT")
    member.type, member.linkname = kind, "/etc/passwd"
    path = tmp_path / "a.tar"
    path.write_bytes(tar_with(member))
    with pytest.raises(DAXADownloadError, match="link or a device"):
        unpack.untar(path, tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_bombs(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(odf_files.tar_bytes({"a.gz": gzip.compress(bytes(3_000_000))}, "w:gz"))
    with pytest.raises(DAXADownloadError, match="grows beyond"):
        unpack.untar(path, tmp_path / "in", limit=1_000_000)
    path.write_bytes(odf_files.tar_bytes({"a": bytes(3_000_000)}, "w:gz"))
    with pytest.raises(DAXADownloadError, match="unpacks to more"):
        unpack.untar(path, tmp_path / "in", limit=1_000_000)
    assert not [p for p in (tmp_path / "in").rglob("*") if p.is_file() and p.stat().st_size > 1_000_000]


@settings(max_examples=40)
@given(st.integers(1, 10**6), st.booleans())
def test_a_cut_archive_never_passes(tmp_path_factory: pytest.TempPathFactory, at: int, zipped: bool) -> None:
    content = odf_files.aio_bytes(odf_files.odf("0800010101"), "0800010101")
    if not zipped:
        content = odf_files.tar_bytes(odf_files.odf("0800010101"))
        # beyond the end mark only padding is lost
        content = content[: len(content.rstrip(b"\0")) // 512 * 512 + 512]
    cut = content[: at % len(content)]
    folder = tmp_path_factory.mktemp("cut")
    (folder / "a.tar").write_bytes(cut)
    with pytest.raises(DAXADownloadError, match="damaged"):
        unpack.untar(folder / "a.tar", folder / "in")


def test_nested(tmp_path: Path) -> None:
    files = odf_files.odf("0800010101")
    inner = odf_files.tar_bytes({f"{n}.gz": gzip.compress(c) for n, c in files.items()})
    (tmp_path / "a.tar.gz").write_bytes(
        odf_files.tar_bytes({"0800010101/odf/0070_0800010101.TAR": inner}, "w:gz")
    )
    found = unpack.untar(tmp_path / "a.tar.gz", tmp_path / "in", flat=True)
    assert {p.name: p.read_bytes() for p in found} == files
    assert unpack.read_member(tmp_path / "a.tar.gz", lambda n: n.endswith("SUM.ASC")) == next(
        c for n, c in files.items() if n.endswith("SUM.ASC")
    )


def compress(data: bytes, longest: int = 16, clear_at: int | None = None) -> bytes:
    """A ``.Z`` file as the Unix program writes it; optionally with a clear code after so many bytes."""
    bits, n_bits, group, width, sent = 0, 0, 0, 9, 0

    def fresh() -> dict[bytes, int]:
        return {bytes([i]): i for i in range(256)}

    table, current, free = fresh(), b"", 257

    def pad() -> None:
        nonlocal n_bits, group
        n_bits = group + -(-(n_bits - group) // (8 * width)) * 8 * width
        group = n_bits

    def emit(code: int) -> None:
        nonlocal bits, n_bits, width, sent
        bits |= code << n_bits
        n_bits += width
        sent += 1
        if 256 + sent >= 1 << width and width < longest:
            pad()
            width += 1

    for number, byte in enumerate(data):
        longer = current + bytes([byte])
        if longer in table:
            current = longer
            continue
        emit(table[current])
        if free < 1 << longest:
            table[longer] = free
            free += 1
        current = bytes([byte])
        if clear_at is not None and number >= clear_at:
            bits |= 256 << n_bits
            n_bits += width
            pad()
            width, sent, free, table, clear_at = 9, 0, 257, fresh(), None
    if current:
        emit(table[current])
    return b"\x1f\x9d" + bytes([0x80 | longest]) + bits.to_bytes(-(-n_bits // 8), "little")


@settings(max_examples=60)
@given(
    st.one_of(
        st.binary(max_size=3000),
        st.lists(st.sampled_from([b"abc", b"a", b"\0" * 9]), max_size=900).map(b"".join),
    )
)
def test_compress_files(data: bytes) -> None:
    assert decompress(compress(data)) == data


@pytest.mark.parametrize("longest", [12, 16])
@pytest.mark.parametrize("clear_at", [None, 300, 9000])
def test_compress_files_long_enough_to_change_code_widths(
    longest: int, clear_at: int | None, tmp_path: Path
) -> None:
    rng = random.Random(1)
    data = bytes(rng.choice(b"abcdefgh") for _ in range(20_000)) + rng.randbytes(10_000)
    packed = compress(data, longest, clear_at)
    assert decompress(packed) == data
    if shutil.which("gzip"):  # which reads this format too
        assert subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True).stdout == data
    with pytest.raises(ValueError, match="grows beyond"):
        decompress(packed, limit=1000)
    (tmp_path / "a.fits.Z").write_bytes(packed)
    assert unpack.decompress_in_place(tmp_path / "a.fits.Z").read_bytes() == data
    assert not (tmp_path / "a.fits.Z").exists()


def test_not_a_compress_file() -> None:
    with pytest.raises(ValueError, match="not a"):
        decompress(b"no")
