"""Small files that are there whole or not at all, whoever else writes them at the same moment."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a temporary file beside a file; it takes that one's place once it is written and on the disk.

    Parameters
    ----------
    path
        The file that is to be written, or replaced.

    Yields
    ------
    Path
        The temporary file.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}{secrets.token_hex(6)}.part")
    # With the rights of any new file; those of tempfile are the owner's alone.
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield part
        _to_disk(part)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    with suppress(OSError):  # some file systems know no such thing of folders
        _to_disk(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file.

    Parameters
    ----------
    path
        The file; replaced if it exists.
    text
        Its content, written as UTF-8.
    """
    with replacing_file(path) as part:
        part.write_text(text, encoding="utf-8")


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content.

    Parameters
    ----------
    source
        The file that is copied.
    target
        The copy; replaced if it exists.
    """
    with replacing_file(target) as part:
        shutil.copyfile(source, part)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
