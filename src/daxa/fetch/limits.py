"""What servers and archive files may cost at most.

No sound archive comes near any of these numbers; each is there so that a broken or hostile one costs one
observation, and neither the memory, the disk nor the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

KIB, MIB, GIB = 2**10, 2**20, 2**30


def _limit(default: int, text: str, unit: str = "") -> Any:
    return field(default=default, metadata={"text": text, "unit": unit})


@dataclass(frozen=True)
class Limits:
    """The limits; :func:`rows` explains each."""

    page_bytes: int = _limit(32 * MIB, "a directory page or another text, unpacked", "bytes")
    page_s: int = _limit(600, "time that one page may take", "s")
    catalogue_bytes: int = _limit(512 * MIB, "the answer to a question to a catalogue, unpacked", "bytes")
    catalogue_s: int = _limit(3600, "time that one such answer may take", "s")
    catalogue_pages: int = _limit(1000, "answers that a catalogue may be cut into")
    redirects: int = _limit(10, "other addresses that one request may be sent to")
    listing_requests: int = _limit(1000, "pages of the listing of one observation")
    listing_files: int = _limit(100_000, "files in it")
    listing_s: int = _limit(3600, "time that it may take", "s")
    directory_depth: int = _limit(6, "directories within directories")
    attempts: int = _limit(1000, "requests for one file")
    progress_bytes: int = _limit(
        MIB, "new bytes (or 1 % of the file, or 10 % of what lacks) without which a request failed", "bytes"
    )
    pace_bytes: int = _limit(64 * KIB, "bytes that must arrive, headers included, ...", "bytes")
    pace_s: int = _limit(600, "... in so much time, while a server sends", "s")
    retry_after_s: int = _limit(
        300, "longest wait that a server may ask for; else the observation is left", "s"
    )
    file_bytes: int = _limit(64 * GIB, "one file", "bytes")
    spare_bytes: int = _limit(64 * MIB, "space that all downloads together leave free on a disk", "bytes")
    unpacked_bytes: int = _limit(64 * GIB, "what one file unpacks to, archives in it included", "bytes")
    members: int = _limit(100_000, "members of an archive file, those of archives in it included")
    archive_depth: int = _limit(3, "archives within archives")
    header_bytes: int = _limit(MIB, "headers in front of one member", "bytes")
    member_bytes: int = _limit(64 * MIB, "a member that is read into memory", "bytes")
    compress_bytes: int = _limit(GIB, "what a `.Z` file unpacks to", "bytes")
    record_bytes: int = _limit(16 * MIB, "one answer that is recorded; what is longer is cut", "bytes")
    recorded_bytes: int = _limit(GIB, "all answers recorded in one folder", "bytes")


LIMITS = Limits()


class Row(NamedTuple):
    """A limit as people read it."""

    name: str
    value: str
    text: str


def rows(limits: Limits = LIMITS) -> Iterator[Row]:
    """The limits, as the documentation lists them.

    Parameters
    ----------
    limits
        Other limits than those in force.
    """
    for one in fields(limits):
        value = getattr(limits, one.name)
        unit = one.metadata["unit"]
        yield Row(
            one.name,
            size_text(value) if unit == "bytes" else f"{value:,} {unit}".strip(),
            one.metadata["text"],
        )


def size_text(size: float) -> str:
    """A number of bytes as people write it.

    Parameters
    ----------
    size
        The number.

    Examples
    --------
    >>> size_text(67108864)
    '64 MiB'
    """
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size:g} bytes"
