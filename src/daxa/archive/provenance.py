"""Where a product comes from: the runs that it was made by, back to raw and calibration files."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daxa.archive.layout import Layout
from daxa.archive.ledger import Ledger
from daxa.archive.run import Run
from daxa.exceptions import DAXAError


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
    versions, commands
        Of that run.
    files
        Calibration files that were chosen: name -> SHA-256.
    made_of
        Its inputs.
    """

    kind: str
    name: str
    by: str = ""
    note: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    made_of: list[Origin] = field(default_factory=list)


def provenance(path: Path) -> Origin:
    """Follow a product of an archive back to what it was made of; nothing of the archive is changed.

    Parameters
    ----------
    path
        The product, where it is in the archive.

    Raises
    ------
    DAXAError
        It is in no archive, or no run of the archive has made it.
    """
    path = path.resolve()
    root = next((folder for folder in path.parents if Layout(folder).ledger.is_file()), None)
    if root is None:
        raise DAXAError(f"{path}: is not in an archive")
    layout = Layout(root)
    ledger = Ledger(layout.ledger, read_only=True)
    try:
        for run in _candidates(ledger, path.relative_to(root).parts):
            folders = (layout.processed(run.mission, run.obs_id), layout.failed(run.mission, run.obs_id))
            for name in run.outputs:
                if any((folder / name).resolve() == path for folder in folders):
                    return _origin(ledger, run, name)
    finally:
        ledger.close()
    raise DAXAError(f"{path}: no successful run of the archive {root.name} has made it")


def _candidates(ledger: Ledger, parts: tuple[str, ...]) -> Iterator[Run]:
    """Runs that may have made a file of this path in the archive: those of its observation if it has one."""
    if len(parts) > 3:
        return ledger.runs(logs=False, mission=parts[1], obs_id=parts[2], status="done")
    return ledger.runs(logs=False, status="done")


def _origin(ledger: Ledger, run: Run, name: str, data: str = "") -> Origin:
    output = run.outputs.get(name)
    known = "" if output is None else output.data or output.sha256
    found = Origin(
        "product",
        name,
        f"{run.process} {run.ident}",
        "has been made anew since, with another result" if data and data != known else "",
        dict(run.versions),
        [shlex.join([task, *(f"{k}={v}" for k, v in given.items())]) for task, given in run.tasks],
    )
    for given in run.inputs:
        if given.kind == "raw":
            found.made_of.append(Origin("raw", "files of the ODF", note=f"names, sizes, times: {given.data}"))
        elif given.kind == "calibration":
            files = ledger.meta(f"calibration {given.data}", {})
            found.made_of.append(Origin("calibration", f"{len(files)} files", files=dict(files)))
        else:
            maker = ledger.latest(run.mission, given.process, given.ident)
            found.made_of.append(
                Origin("product", given.path, f"{given.process} {given.ident}", "its record is lost")
                if maker is None
                else _origin(ledger, maker, given.path, given.data)
            )
    return found


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
    from dataclasses import fields

    found = {f.name: getattr(origin, f.name) for f in fields(origin)}
    found["made_of"] = [as_dict(part) for part in origin.made_of]
    return {name: value for name, value in found.items() if value}
