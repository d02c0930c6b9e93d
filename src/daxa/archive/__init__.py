"""Archives: where data are kept, and the record of what has been done to them."""

from __future__ import annotations

__all__ = ["Archive", "assemble_archive_from_positions"]


def __getattr__(name: str):  # type: ignore[no-untyped-def]
    if name == "Archive":
        from daxa.archive.archive import Archive

        return Archive
    if name == "assemble_archive_from_positions":
        from daxa.archive.assemble import assemble_archive_from_positions

        return assemble_archive_from_positions
    raise AttributeError(f"module 'daxa.archive' has no attribute {name!r}")
