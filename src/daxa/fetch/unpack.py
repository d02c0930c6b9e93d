"""Unpack tar, gzip and compress files without trusting them.

Member names come from outside: absolute paths, ``..``, links and devices are refused, and so is
anything that grows beyond a limit. Every file is written under a temporary name and renamed.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from daxa.exceptions import DAXADownloadError

GZIP_MAGIC = b"\x1f\x8b"
COMPRESS_MAGIC = b"\x1f\x9d"
# No ODF, raw or processed observation comes near; a crafted file that does must not fill the disk.
MAX_BYTES = 64 * 2**30
MAX_FILES = 100_000
# Space that downloads must leave free, as processing needs some too.
RESERVE = 64 * 2**20
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


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
    if not name.isprintable():
        raise DAXADownloadError(f"{where}: refused, its member {name!r} has control characters in its name")
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise DAXADownloadError(f"{where}: refused, its member {name!r} points outside the folder")
    return path


def write_atomically(source: Readable, path: Path, limit: int = MAX_BYTES) -> int:
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
        It becomes larger.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    size = 0
    try:
        with temporary.open("wb") as out:
            while block := source.read(1 << 20):
                size += len(block)
                if size > limit:
                    raise DAXADownloadError(f"{path.name}: refused, it grows beyond {limit / 2**30:.1f} GiB")
                out.write(block)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return size


def gunzip(path: Path, target: Path, limit: int = MAX_BYTES) -> int:
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
        raise DAXADownloadError(f"{path.name}: damaged gzip file ({err})") from err


def _members(path: Path, where: str) -> Iterator[tuple[PurePosixPath, Readable, int]]:
    """Regular files of a tar file, plain or gzipped, as (safe path, stream, size).

    Everything is read to the end: only there a gzip file has its checksum and a tar file its end mark.
    """
    opener = gzip.open if kind_of(path) == "gzip" else open
    with opener(path, "rb") as whole, tarfile.open(fileobj=whole, mode="r:") as tar:
        for number, member in enumerate(tar):
            if number >= MAX_FILES:
                raise DAXADownloadError(f"{where}: refused, it has more than {MAX_FILES} members")
            name = safe_member_path(member.name, where)
            if member.isdir():
                continue
            if not member.isreg():
                raise DAXADownloadError(f"{where}: refused, its member {member.name!r} is a link or a device")
            stream = tar.extractfile(member)
            if stream is None:
                raise DAXADownloadError(f"{where}: its member {member.name!r} cannot be read")
            with stream:
                yield name, stream, member.size
        whole.seek(tar.offset)
        if whole.read(512).count(0) != 512:
            raise tarfile.ReadError("it has no end mark")
        while whole.read(1 << 20):
            pass


def untar(
    path: Path,
    folder: Path,
    *,
    wanted: Callable[[str], bool] | None = None,
    flat: bool = False,
    limit: int = MAX_BYTES,
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
    written: list[Path] = []
    left = min(limit, max(0, free_bytes(folder) - RESERVE))
    try:
        for name, stream, size in _members(path, path.name):
            inner_tar = name.suffix.lower() == ".tar" or name.name.lower().endswith((".tar.gz", ".tgz"))
            final = name.name[:-3] if name.suffix.lower() == ".gz" and not inner_tar else name.name
            if not inner_tar and wanted is not None and not wanted(final):
                continue
            if size > left:
                raise DAXADownloadError(
                    f"{path.name}: refused, it unpacks to more than {limit / 2**30:.1f} GiB or fills the disk"
                )
            target = folder / (name.name if flat else name)
            left -= write_atomically(stream, target, left)
            if inner_tar:
                inner = untar(target, target.parent, wanted=wanted, flat=flat, limit=left)
                left -= sum(file.stat().st_size for file in inner)
                written += inner
                target.unlink()
            elif final != name.name:
                left -= gunzip(target, target.with_name(final), left)
                target.unlink()
                written.append(target.with_name(final))
            else:
                written.append(target)
    except _DAMAGED as err:
        raise DAXADownloadError(f"{path.name}: damaged or incomplete archive file ({err})") from err
    return sorted(set(written))


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
        The archive file is damaged or incomplete.
    """
    import tempfile

    try:
        for name, stream, _ in _members(path, path.name):
            lower = name.name.lower()
            if lower.endswith((".tar", ".tar.gz", ".tgz")):
                with tempfile.TemporaryDirectory() as scratch:
                    inner = Path(scratch) / name.name
                    write_atomically(stream, inner)
                    found = read_member(inner, wanted)
                if found is not None:
                    return found
            elif wanted(name.name[:-3] if lower.endswith(".gz") else name.name):
                data = stream.read()
                return gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data
    except _DAMAGED as err:
        raise DAXADownloadError(f"{path}: damaged or incomplete archive file ({err})") from err
    return None


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
    import io

    from daxa.fetch.lzw import decompress

    try:
        data = decompress(path.read_bytes())
    except ValueError as err:
        raise DAXADownloadError(f"{path.name}: damaged .Z file ({err})") from err
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


def free_bytes(folder: Path) -> int:
    """Free space of the disk that holds, or will hold, a folder.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    int
        Size [bytes].
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
