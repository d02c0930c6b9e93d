"""Raw data on disk: one folder per observation, shared by every archive.

``ROOT/OBSID/`` holds what has been fetched. A folder counts as complete only for the parts that its
manifest (``.daxa.json``) lists, with every file present at its recorded size; what is still under way
lies in ``ROOT/.partial/OBSID/``. Complete files are read-only.

Parameters
----------
obs_id
    The observation.
part
    ``raw`` or ``products``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from daxa.fetch.locks import hold
from daxa.writing import write_text

MANIFEST = ".daxa.json"
_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass
class Part:
    """A complete set of files of one observation, e.g. its ``raw`` data or its ``products``.

    ``instruments`` is None when the part holds every instrument's files.
    """

    source: str
    files: dict[str, int]
    instruments: list[str] | None = None
    date: str = ""

    def covers(self, instruments: Iterable[str] | None) -> bool:
        """Whether the part holds the files of all these instruments (None: of every instrument).

        Parameters
        ----------
        instruments
            Names, or None.
        """
        if self.instruments is None:
            return True
        return instruments is not None and set(instruments) <= set(self.instruments)


class RawStore:
    """The raw-data folder of one mission.

    Parameters
    ----------
    root
        The folder.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def folder(self, obs_id: str) -> Path:
        """Where the files of an observation are, or go."""
        return self.root / obs_id

    def staging(self, obs_id: str) -> Path:
        """Where files of an observation are put until all are there; survives interruptions.

        Returns
        -------
        Path
            The folder, made if it was not there.
        """
        path = self.root / ".partial" / obs_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def parts(self, obs_id: str) -> dict[str, Part]:
        """What the manifest says is complete; empty if there is none or it cannot be read."""
        try:
            text = (self.folder(obs_id) / MANIFEST).read_text(encoding="utf-8")
            return {name: Part(**part) for name, part in json.loads(text)["parts"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def has(self, obs_id: str, part: str = "raw", instruments: Iterable[str] | None = None) -> bool:
        """Whether a part is complete for these instruments, checked against the files' sizes.

        Parameters
        ----------
        obs_id
            ObsID.
        instruments
            Names; None for all that there are.
        """
        held = self.parts(obs_id).get(part)
        if held is None or not held.files or not held.covers(instruments):
            return False
        return self.intact(obs_id, part) == set(held.files)

    def intact(self, obs_id: str, part: str = "raw") -> set[str]:
        """Files of a part that are there at their recorded sizes, as paths below the folder.

        Parameters
        ----------
        obs_id
            ObsID.
        """
        held = self.parts(obs_id).get(part)
        folder, names = self.folder(obs_id), set()
        for name, size in ({} if held is None else held.files).items():
            with contextlib.suppress(OSError):
                if (folder / name).stat().st_size == size:
                    names.add(name)
        return names

    @contextlib.contextmanager
    def lock(self, obs_id: str) -> Iterator[None]:
        """Keep other processes from fetching the same observation at the same time."""
        with hold(self.root / ".partial" / f"{obs_id}.lock"):
            yield

    def publish(self, obs_id: str, part: str, staged: Path, description: Part) -> Path:
        """Move a part's files from the staging folder to their place and record them.

        The manifest is written last: until then the part does not count.

        Parameters
        ----------
        obs_id
            ObsID.
        staged
            The staging folder.
        description
            What is to be recorded of the part.

        Returns
        -------
        Path
            The observation's folder.
        """
        folder = self.folder(obs_id)
        folder.mkdir(parents=True, exist_ok=True)
        parts = self.parts(obs_id)
        self._writable(folder)
        for name in description.files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / name, target)
        if part in parts:
            kept = {n: parts[part].files[n] for n in self.intact(obs_id, part) - set(description.files)}
            whole = len(kept.keys() | description.files.keys()) >= len(parts[part].files)
            description.files = dict(sorted((kept | description.files).items()))
            if whole and description.instruments is not None:
                earlier = parts[part].instruments
                description.instruments = (
                    None if earlier is None else sorted({*earlier, *description.instruments})
                )
        description.date = description.date or datetime.now(timezone.utc).isoformat(timespec="seconds")
        parts[part] = description
        content = {"obs_id": obs_id, "parts": {name: vars(p) for name, p in parts.items()}}
        write_text(folder / MANIFEST, json.dumps(content, indent=1))
        self._read_only(folder)
        shutil.rmtree(staged, ignore_errors=True)
        return folder

    @contextlib.contextmanager
    def adding(self, obs_id: str) -> Iterator[Path]:
        """Let a file be added that is made of an observation's own; it belongs to no part.

        Parameters
        ----------
        obs_id
            ObsID.

        Yields
        ------
        Path
            The observation's folder, which can be written and is locked for other processes.
        """
        folder = self.folder(obs_id)
        with self.lock(obs_id):
            self._writable(folder)
            try:
                yield folder
            finally:
                self._read_only(folder)

    def delete(self, obs_id: str) -> None:
        """Remove everything of an observation."""
        for folder in (self.folder(obs_id), self.root / ".partial" / obs_id):
            if folder.is_dir():
                self._writable(folder)
                shutil.rmtree(folder)

    def _read_only(self, folder: Path) -> None:
        for path in (*folder.rglob("*"), folder):
            path.chmod(path.stat().st_mode & ~_WRITE)

    def _writable(self, folder: Path) -> None:
        for path in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
