"""Moving finished files to their final names: whole, checksummed, all or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Collection, Iterable
from pathlib import Path

from daxa.backend.datasum import sums

#: End of the names that files have until they are published.
PART = ".part"


class PublishError(Exception):
    """Files could not be put in their place; nothing was."""


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Parameters
    ----------
    path
        The file.
    """
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def find_outputs(
    work: Path, outputs: dict[str, Path], optional: frozenset[str]
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Match a job's outputs with the files in its scratch folder.

    Parameters
    ----------
    work
        Scratch folder of the job.
    outputs
        Name or pattern in the scratch folder -> final path.
    optional
        Those of the names that need not exist; an empty file counts as none.

    Returns
    -------
    pairs, missing
        (file, final path) pairs; names of required outputs that do not exist. A pattern may match one
        file only: of several the first in alphabetical order is taken.
    """
    pairs, missing = [], []
    for name, final in outputs.items():
        found = sorted(work.glob(name)) if any(c in name for c in "*?[") else [work / name]
        # A link is not one of the job's files, wherever it leads.
        found = [f for f in found if f.is_file() and not f.is_symlink()]
        if found and name in optional and not found[0].stat().st_size:
            continue  # what need not be there, and is empty, is not there
        if found:
            pairs.append((found[0], Path(final)))
        elif name not in optional:
            missing.append(name)
    return pairs, missing


def stage(source: Path, final: Path) -> Path:
    """Bring a file onto the file system of its destination, written out to the disk.

    Parameters
    ----------
    source
        The file.
    final
        Where it is going to be.

    Returns
    -------
    Path
        The file beside its destination, hidden; a link to the source where that is possible.

    Raises
    ------
    OSError
        It cannot be written.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}{PART}")
    try:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)
        with part.open("rb+") as handle:
            os.fsync(handle.fileno())
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return part


def publish(pairs: Iterable[tuple[Path, Path]], shared: Collection[Path] = ()) -> dict[str, tuple[str, str]]:
    """Put files under their final names.

    All are first brought beside their destination; only when that has worked for every one are they
    renamed.

    Parameters
    ----------
    pairs
        (file, final path).
    shared
        Final paths that are left as they are if they exist.

    Returns
    -------
    dict
        Final path -> SHA-256, checksum of what it holds.

    Raises
    ------
    PublishError
        A file could not be written (full disk, missing rights, a folder in its place); no final name was
        touched.
    """
    staged: list[tuple[Path, Path]] = []
    found = {}
    try:
        for source, final in pairs:
            if final.is_dir():
                raise PublishError(f"cannot write {final}: there is a folder of that name")
            try:
                part = stage(source, final)
                staged.append((part, final))
                found[str(final)] = sums(part)
            except OSError as failure:
                raise PublishError(f"cannot write {final}: {failure.strerror or failure}") from failure
        for part, final in staged:
            if final in shared and not _first(part, final):
                found[str(final)] = sums(final)
            elif final not in shared:
                os.replace(part, final)
    finally:
        for part, _ in staged:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return found


def _first(part: Path, final: Path) -> bool:
    """Give a file its final name unless there is one already."""
    try:
        os.link(part, final)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links; two jobs may then replace each other's equal files
        os.replace(part, final)
    return True
