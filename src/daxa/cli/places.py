"""Where archives are looked for, and which there are."""

from __future__ import annotations

from pathlib import Path


def archives() -> str:
    """The folder that archives are looked for in."""
    from daxa import config

    return f"{config.output_path()}archives"


def known_archives() -> list[str]:
    """Names of the archives in that folder."""
    return sorted(path.parent.name for path in Path(archives()).glob("[!.]*/.save_info"))
