"""Where a product comes from: the runs that it was made by, back to raw and calibration files."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from daxa.archive.files import raw_files, raw_state
from daxa.archive.layout import Layout
from daxa.archive.ledger import Ledger
from daxa.archive.run import Input, Run
from daxa.exceptions import DAXAError

#: Steps that look through an observation's raw files, one for each mission, and what they call their place.
TELL_OF_RAW = ("odf_ingest", "prepare_chandra_info", "prepare_nustar_info")
RAW_PLACES = ("odf_path", "raw_path")


@dataclass
class Origin:
    """A product or what it was made of.

    Attributes
    ----------
    kind
        ``product``, ``raw`` or ``calibration``.
    name
        Of a product its path relative to the observation's folder.
    by
        Process and identifier of the run that made it; empty for files that were not made.
    note
        What is to be said of it, e.g. that it has been made anew since.
    obs_id
        The observation that it is of.
    sha256
        Of a product: checksum of the file as it was made; empty where none was recorded.
    data
        Checksum of what a product holds, without times and places, or of the names, sizes and times of raw
        files, or of the list of calibration files.
    number, backend, started, ended, versions, commands
        Of the run that made it.
    files
        Files that are meant together: calibration files that were chosen, name -> MD5; raw files, where they
        are at hand as they were, name -> size.
    made_of
        Its inputs. Several products may share one.
    """

    kind: str
    name: str
    by: str = ""
    note: str = ""
    obs_id: str = ""
    sha256: str = ""
    data: str = ""
    number: int = 0
    backend: str = ""
    started: str = ""
    ended: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    made_of: list[Origin] = field(default_factory=list)


def provenance(path: Path) -> Origin:
    """Follow a product of an archive back to what it was made of; nothing of the archive is changed.

    Each input leads to the run that made it as it was then, also where a later run has made another since.

    Parameters
    ----------
    path
        The product, where it is in the archive.

    Raises
    ------
    DAXAError
        It is in no archive, or no run of the archive has made it.
    """
    layout = archive_of(path)
    ledger = Ledger(layout.ledger, read_only=True)
    try:
        run, name = maker_of(path, layout, ledger)
        found = _Chain(ledger).product(run, name)
        found.note = "; ".join(filter(None, (on_disk(path, found.sha256), found.note)))
    finally:
        ledger.close()
    return found


def archive_of(path: Path) -> Layout:
    """The archive that a file is in.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DAXAError
        It is in none.
    """
    root = next((folder for folder in path.resolve().parents if Layout(folder).ledger.is_file()), None)
    if root is None:
        raise DAXAError(f"{path}: is not in an archive")
    return Layout(root)


def maker_of(path: Path, layout: Layout, ledger: Ledger) -> tuple[Run, str]:
    """The last successful run that has made a file, and the name by which the run knows it.

    Parameters
    ----------
    path
        The file.
    layout, ledger
        Of its archive.

    Raises
    ------
    DAXAError
        There is none.
    """
    whole = path.resolve()
    for run in reversed(ledger.makers(whole.name)):
        for folder in (layout.processed(run.mission, run.obs_id), layout.failed(run.mission, run.obs_id)):
            for name in run.outputs:
                if (folder / name).resolve() == whole:
                    return run, name
    raise DAXAError(f"{path}: no successful run of the archive {layout.root.name} has made it")


def on_disk(path: Path, sha256: str) -> str:
    """What is to be said of a file; empty if it is as it was made.

    Parameters
    ----------
    path
        The file.
    sha256
        Its recorded checksum; empty for none.
    """
    if not path.is_file():
        return "is not there any more"
    return "has been altered since it was made" if sha256 and _sha256(path) != sha256 else ""


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _Chain:
    """What products were made of; every one is followed once."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._known: dict[tuple[int | None, str], Origin] = {}
        self._runs: dict[tuple[str, str, str], list[Run]] = {}

    def product(self, run: Run, name: str) -> Origin:
        key = (run.id, name)
        if key not in self._known:
            output = run.outputs[name]
            found = self._known[key] = Origin(
                "product",
                name,
                f"{run.process} {run.ident}",
                obs_id=run.obs_id,
                sha256=output.sha256,
                data=output.data or output.sha256,
                number=run.id or 0,
                backend=run.backend,
                started=run.started,
                ended=run.ended or "",
                versions=dict(run.versions),
                commands=[
                    shlex.join([task, *(f"{k}={v}" for k, v in given.items())]) for task, given in run.tasks
                ],
            )
            found.note = self._since(run, name, found.data)
            found.made_of = [self._input(run, given) for given in run.inputs]
        return self._known[key]

    def _since(self, run: Run, name: str, data: str) -> str:
        """What has become of a product since it was made."""
        last = self.ledger.latest(run.mission, run.process, run.ident)
        if last is None or last.id == run.id:
            return ""
        if not last.ok:
            return "a later run failed"
        now = last.outputs.get(name)
        if now is None:
            return "a later run has made something else"
        return "" if (now.data or now.sha256) == data else "has been made anew since, with another result"

    def _input(self, run: Run, given: Input) -> Origin:
        if given.kind == "raw":
            found, files = self._raw(run, given.data)
            note = "" if found else "not at hand as they were"
            said = "files of the ODF" if run.mission.startswith("xmm") else "raw files"
            return Origin("raw", said, note=note, obs_id=run.obs_id, data=given.data, files=files)
        if given.kind == "calibration":
            chosen = dict(self.ledger.meta(f"calibration {given.data}", {}))
            return Origin("calibration", f"{len(chosen)} files", data=given.data, files=chosen)
        maker = self._maker(run, given)
        if maker is None:
            by = f"{given.process} {given.ident}"
            return Origin("product", given.path, by, "its record is lost", run.obs_id, data=given.data)
        return self.product(maker, given.path)

    def _maker(self, run: Run, given: Input) -> Run | None:
        """The run that has made an input as it was when it was used: the last before it with that content."""
        key = (run.mission, given.process, given.ident)
        if key not in self._runs:
            self._runs[key] = list(
                self.ledger.runs(
                    everything=True, logs=False, status="done", mission=key[0], process=key[1], ident=key[2]
                )
            )
        for maker in reversed(self._runs[key]):
            output = maker.outputs.get(given.path)
            if output is not None and given.data in ("", output.data or output.sha256):
                return maker
        return None

    def _raw(self, run: Run, state: str) -> tuple[bool, dict[str, str]]:
        """Whether the raw files are where they were last seen, as they were; their names and sizes."""
        folder = Path(raw_place(self.ledger, run) or "no folder")
        if not folder.is_dir() or raw_state(folder) != state:
            return False, {}
        return True, {name: str(size) for name, size, _ in raw_files(folder)}


def raw_place(ledger: Ledger, run: Run) -> str:
    """Where the raw files of an observation were last seen; empty if nothing tells.

    Parameters
    ----------
    ledger
        The archive's record.
    run
        A run on the observation.
    """
    told = (ledger.latest(run.mission, process, run.obs_id) for process in TELL_OF_RAW)
    places = (r.extra.get(key) for r in (*told, run) if r is not None for key in RAW_PLACES)
    return next((str(place) for place in places if place), "")


def as_lines(origin: Origin, depth: int = 0, told: set[tuple[str, str]] | None = None) -> Iterator[str]:
    """An origin as indented text; what has been told once is not told again.

    Parameters
    ----------
    origin
        What to tell.
    depth
        Steps of indentation of the first line.
    told
        Products, as (run, name), whose origin has been told.
    """
    told = set() if told is None else told
    indent = "  " * depth
    by = f", made by {origin.by}" if origin.by else ""
    again = (origin.by, origin.name) in told
    seen = " (as above)" if again and origin.made_of else ""
    yield f"{indent}{origin.name}{by}{seen}" + (f" [{origin.note}]" if origin.note else "")
    if again:
        return
    if origin.by:
        told.add((origin.by, origin.name))
        made_with = ", ".join(f"{k} {v}" for k, v in origin.versions.items())
        yield f"{indent}  with {made_with or 'what is not known'}"
    yield from (f"{indent}  $ {command}" for command in origin.commands)
    yield from (f"{indent}  {name}  {sha256}" for name, sha256 in origin.files.items())
    for part in origin.made_of:
        yield from as_lines(part, depth + 1, told)


def as_dict(origin: Origin) -> dict[str, Any]:
    """An origin for JSON, without what is empty.

    Parameters
    ----------
    origin
        What to tell.
    """
    found = {f.name: getattr(origin, f.name) for f in fields(origin)}
    found["made_of"] = [as_dict(part) for part in origin.made_of]
    return {name: value for name, value in found.items() if value}
