"""Unpack tar, gzip and compress files without trusting them.

Member names come from outside: absolute paths, ``..``, links and devices are refused, and so is
anything that grows beyond a limit (:mod:`daxa.fetch.limits`), in memory, on disk or in depth. Every file is
written under a temporary name and renamed.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from daxa.exceptions import DAXADownloadError
from daxa.fetch import disk
from daxa.fetch.limits import LIMITS, size_text
from daxa.plain import foreign, plain_line

_BLOCK = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
COMPRESS_MAGIC = b"\x1f\x9d"
# What reading a damaged or crafted tar or gzip file comes to.
_DAMAGED = (
    *(tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile),
    *(ValueError, IndexError, OverflowError, RecursionError, MemoryError),
)
_TARS = (".tar", ".tar.gz", ".tgz")
_LONGEST_NAME = 255  # of a file, in bytes: no file system takes more


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int = -1, /) -> bytes: ...


def kind_of(path: Path) -> str:
    """What a file is by its content: ``gzip``, ``compress``, ``tar`` or ``plain``.

    Parameters
    ----------
    path
        The file.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    if head.startswith(COMPRESS_MAGIC):
        return "compress"
    if head[257:262] == b"ustar" or (path.suffix.lower() == ".tar" and tarfile.is_tarfile(path)):
        return "tar"
    return "plain"


def safe_member_path(name: str, where: str) -> PurePosixPath:
    """A member's path if it stays inside the folder it is unpacked to.

    Parameters
    ----------
    name
        The path as the archive file states it.
    where
        Name of the archive file, for the message.

    Raises
    ------
    DAXADownloadError
        The path is absolute, climbs out with ``..`` or holds a character no file name may have.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    where, shown = plain_line(where), foreign(repr(name))
    if not name.isprintable():
        raise DAXADownloadError(f"{where}: refused, its member {shown} has control characters in its name")
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise DAXADownloadError(f"{where}: refused, its member {shown} points outside the folder")
    if not path.parts or any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
        raise DAXADownloadError(f"{where}: refused, its member {shown} has no name that a file can have")
    return path


def write_atomically(source: Readable, path: Path, limit: int = LIMITS.unpacked_bytes) -> int:
    """Copy a stream to a file that appears only when it is whole; returns its size in bytes.

    Parameters
    ----------
    source
        The stream.
    path
        The file; replaced if it exists.
    limit
        How large it may become [bytes].

    Raises
    ------
    DAXADownloadError
        It becomes larger, or the disk is full but for the reserve.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    size = looked = 0
    try:
        with temporary.open("wb") as out:
            while block := source.read(_BLOCK):
                size += len(block)
                if size > limit:
                    raise DAXADownloadError(f"{path.name}: refused, it grows beyond {size_text(limit)}")
                out.write(block)
                if size - looked >= disk.STEP:
                    looked = size
                    disk.look(path.parent, path.name)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return size


def gunzip(path: Path, target: Path, limit: int = LIMITS.unpacked_bytes) -> int:
    """Decompress one gzip file.

    Parameters
    ----------
    path
        The compressed file; it stays.
    target
        Where its content goes.
    limit
        How large that may become [bytes].

    Returns
    -------
    int
        Size of the content [bytes].

    Raises
    ------
    DAXADownloadError
        The file is damaged or cut.
    """
    try:
        with gzip.open(path, "rb") as file:
            return write_atomically(file, target, limit)
    except _DAMAGED as err:
        raise DAXADownloadError(f"{path.name}: damaged gzip file ({_why(err)})") from err


class _Source:
    """A tar file as its reader sees it: headers in front of a member must not be longer than a limit."""

    def __init__(self, file: IO[bytes], where: str):
        self.file, self.where = file, where
        self.left: int | None = LIMITS.header_bytes

    def read(self, size: int = -1) -> bytes:
        if self.left is not None:
            if not 0 <= size <= self.left:
                text = f"its headers grow beyond {size_text(LIMITS.header_bytes)}"
                raise DAXADownloadError(f"{self.where}: refused, {text}")
            self.left -= size
        return self.file.read(size)

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if position < 0 and whence == io.SEEK_SET:
            raise tarfile.ReadError("a member of less than no bytes")
        return self.file.seek(position, whence)

    def tell(self) -> int:
        return self.file.tell()


@dataclass
class _Allowance:
    """What is left for an archive file and those inside it."""

    size: int
    limit: int
    members: int = LIMITS.members
    depth: int = LIMITS.archive_depth

    def count(self, where: str) -> None:
        """One more member."""
        self.members -= 1
        if self.members < 0:
            raise DAXADownloadError(f"{where}: refused, it has more than {LIMITS.members} members")

    def within(self, size: int, where: str) -> None:
        """Something of that size is going to be written."""
        if size > self.size:
            raise DAXADownloadError(
                f"{where}: refused, it unpacks to more than {size_text(self.limit)} or fills the disk"
            )

    def deeper(self, where: str) -> None:
        """An archive inside of this one."""
        self.depth -= 1
        if self.depth <= 0:
            raise DAXADownloadError(
                f"{where}: refused, it has archives within archives, more than {LIMITS.archive_depth} deep"
            )


def _allowance(folder: Path, limit: int) -> _Allowance:
    return _Allowance(min(limit, disk.available(folder)), limit)


def _members(path: Path, where: str, allowance: _Allowance) -> Iterator[tuple[PurePosixPath, Readable, int]]:
    """Regular files of a tar file, plain or gzipped, as (safe path, stream, size).

    Everything is read to the end: only there a gzip file has its checksum and a tar file its end mark.
    """
    opener = gzip.open if kind_of(path) == "gzip" else open
    with opener(path, "rb") as whole:
        source = _Source(whole, where)  # type: ignore[arg-type]
        with tarfile.open(fileobj=source, mode="r:") as tar:  # type: ignore[call-overload]
            while True:
                source.left = LIMITS.header_bytes
                member = tar.next()
                source.left = None
                if member is None:
                    break
                tar.members = []  # as all of them are kept
                allowance.count(where)
                name = safe_member_path(member.name, where)
                if member.isdir():
                    continue
                shown = foreign(repr(member.name))
                if not member.isreg():
                    raise DAXADownloadError(f"{where}: refused, its member {shown} is a link or a device")
                if member.issparse():
                    raise DAXADownloadError(f"{where}: refused, its member {shown} has holes")
                if member.size < 0:
                    raise DAXADownloadError(f"{where}: refused, its member {shown} has {member.size} bytes")
                stream = tar.extractfile(member)
                if stream is None:
                    raise DAXADownloadError(f"{where}: its member {shown} cannot be read")
                with stream:
                    yield name, stream, member.size
            whole.seek(tar.offset)
        if whole.read(512).count(0) != 512:
            raise tarfile.ReadError("it has no end mark")
        rest = 0
        while block := whole.read(_BLOCK):
            rest += len(block)
            allowance.within(rest, where)


def untar(
    path: Path,
    folder: Path,
    *,
    wanted: Callable[[str], bool] | None = None,
    flat: bool = False,
    limit: int = LIMITS.unpacked_bytes,
) -> list[Path]:
    """Unpack a tar file, with the tar and gzip files inside it.

    Parameters
    ----------
    path : Path
        A tar file, plain or gzipped, recognised by its content.
    folder : Path
    wanted : callable, optional
        Given the final file name (no folder, no ``.gz``), whether to keep it.
    flat : bool
        Put every file directly into the folder, as the inner tar of an ODF does.
    limit : int
        Refuse to write more bytes than this.

    Returns
    -------
    list of Path
        The files written, sorted.

    Raises
    ------
    DAXADownloadError
        The file is damaged, cut or refused.
    """
    written = _untar(path, folder, wanted, flat, _allowance(folder, limit))
    return sorted(set(written))


def _untar(
    path: Path, folder: Path, wanted: Callable[[str], bool] | None, flat: bool, left: _Allowance
) -> list[Path]:
    written: dict[Path, int] = {}
    inside: list[Path] = []
    try:
        for name, stream, size in _members(path, path.name, left):
            inner_tar = name.name.lower().endswith(_TARS)
            packed = name.suffix.lower() == ".gz" and not inner_tar
            final = name.name[:-3] if packed else name.name
            if not inner_tar and wanted is not None and not wanted(final):
                continue
            left.within(size, path.name)
            target = folder / (name.name if flat else name)
            plain = target.with_name(final)
            if plain in written:
                raise DAXADownloadError(f"{path.name}: refused, it has {foreign(repr(final))} twice")
            if inner_tar:
                # under another name, as one inside may have the same
                target = target.with_name(f".{left.depth}{''.join(name.suffixes[-2:])}")
            left.size -= write_atomically(stream, target, left.size)
            if inner_tar:
                left.deeper(path.name)
                inside += _untar(target, target.parent, wanted, flat, left)
                left.depth += 1
            elif packed:
                written[plain] = gunzip(target, plain, left.size)
                left.size -= written[plain]
            else:
                written[plain] = size
            if plain != target:
                target.unlink()
                left.size += size
    except _DAMAGED as err:
        raise DAXADownloadError(f"{path.name}: damaged or incomplete archive file ({_why(err)})") from err
    return [*written, *inside]


def read_member(path: Path, wanted: Callable[[str], bool]) -> bytes | None:
    """Content of the first member, at any depth, whose file name is wanted; None if there is none.

    Parameters
    ----------
    path
        The archive file: tar, compressed or not, and such files within it.
    wanted
        Whether a member is wanted, by its name without ``.gz``.

    Raises
    ------
    DAXADownloadError
        The archive file is damaged, incomplete or refused, or the member is too large for memory.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        return _read_member(path, wanted, Path(scratch), _allowance(Path(scratch), LIMITS.unpacked_bytes))


def _read_member(path: Path, wanted: Callable[[str], bool], scratch: Path, left: _Allowance) -> bytes | None:
    try:
        for name, stream, size in _members(path, path.name, left):
            lower = name.name.lower()
            if lower.endswith(_TARS):
                left.within(size, path.name)
                left.deeper(path.name)
                inner = scratch / f"{left.depth}{''.join(name.suffixes[-2:])}"
                write_atomically(stream, inner, left.size)
                found = _read_member(inner, wanted, scratch, left)
                left.depth += 1
                if found is not None:
                    return found
            elif wanted(name.name[:-3] if lower.endswith(".gz") else name.name):
                return _small(stream, f"{path.name}: {name.name}")
    except _DAMAGED as err:
        raise DAXADownloadError(f"{path.name}: damaged or incomplete archive file ({_why(err)})") from err
    return None


def _small(stream: Readable, name: str, limit: int = LIMITS.member_bytes) -> bytes:
    """A member, unpacked, as far as it fits into memory."""
    data = bytearray()
    while block := stream.read(_BLOCK):
        data += block
        if len(data) > limit:
            raise DAXADownloadError(f"{name}: refused, it is larger than {size_text(limit)}")
    if not data.startswith(GZIP_MAGIC):
        return bytes(data)
    with gzip.open(io.BytesIO(data)) as file:
        del data
        return _small(file, name, limit) if file.peek(1) else b""


def read_small(path: Path) -> bytes:
    """Content of a file that is small, packed with gzip or not.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DAXADownloadError
        It is damaged, or too large for memory.
    """
    try:
        with path.open("rb") as file:
            return _small(file, path.name)
    except (OSError, *_DAMAGED) as err:
        kind = "gzip file" if path.suffix.lower() == ".gz" else "file"
        raise DAXADownloadError(f"{path}: damaged {kind} ({_why(err)})") from err


def _why(err: BaseException) -> str:
    return foreign(err) or type(err).__name__


def uncompress(path: Path, target: Path) -> int:
    """Decompress one ``.Z`` file (LZW), as ROSAT's archive has them.

    Parameters
    ----------
    path
        The compressed file; it stays.
    target
        Where its content goes.

    Returns
    -------
    int
        Size of the content [bytes].

    Raises
    ------
    DAXADownloadError
        It is damaged.
    """
    from daxa.fetch.lzw import decompress

    try:
        if path.stat().st_size > LIMITS.compress_bytes:
            raise ValueError(f"it is larger than {size_text(LIMITS.compress_bytes)}")
        data = decompress(path.read_bytes(), min(LIMITS.compress_bytes, disk.available(path.parent)))
    except (ValueError, MemoryError) as err:
        raise DAXADownloadError(f"{path.name}: damaged .Z file ({_why(err)})") from err
    return write_atomically(io.BytesIO(data), target)


def decompress_in_place(path: Path) -> Path:
    """Replace ``name.gz`` or ``name.Z`` by ``name``; other files are left as they are.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Path
        The file that is there now.

    Raises
    ------
    DAXADownloadError
        Its content is not what the name says, or is damaged.
    """
    kind = kind_of(path)
    if kind == "gzip" and path.suffix.lower() == ".gz":
        gunzip(path, path.with_suffix(""))
    elif kind == "compress" and path.suffix == ".Z":
        uncompress(path, path.with_suffix(""))
    elif path.suffix in (".gz", ".Z"):
        raise DAXADownloadError(f"{path.name}: not the compressed file its name says")
    else:
        return path
    path.unlink()
    return path.with_suffix("")
