"""Whether an archive is what its ledger says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daxa.archive.layout import log_name

if TYPE_CHECKING:
    from daxa.archive.archive import Archive

#: Kinds of findings that make an archive unsound.
FAULTS = ("ledger", "missing", "altered")


@dataclass(frozen=True)
class Finding:
    """Something about a file that is not as it was recorded.

    Attributes
    ----------
    kind
        ``ledger``: the ledger is damaged; ``missing``; ``altered``; ``unknown``: no checksum was recorded;
        ``foreign``: in the archive, but made by no run; ``earlier``: made by an earlier run, whose successor
        failed or had other options; ``stale``: out of date; ``unfinished``: of a run that did not end.
    path
        Relative to the archive's folder.
    """

    kind: str
    path: str
    text: str

    @property
    def fault(self) -> bool:
        """Whether something is wrong, and not only worth knowing."""
        return self.kind in FAULTS


def verify(archive: Archive, checksum: Callable[[Path], str]) -> list[Finding]:
    """Compare every file of an archive with the ledger.

    Parameters
    ----------
    archive
        The archive; nothing of it is changed.
    checksum
        SHA-256 of a file.
    """
    found = [Finding("ledger", ".save_info/ledger.sqlite", fault) for fault in archive.ledger.faults()]
    root = archive.layout.root
    if found:
        return found
    known: set[Path] = set()
    for run in archive.ledger.runs(logs=False):
        folder = archive.obs_folder(run.mission, run.obs_id)
        for stream in ("stdout", "stderr"):
            known.add(folder / log_name(run.process, run.ident, stream))
        if not run.ok:
            continue
        for name, output in run.outputs.items():
            path = (folder / name).resolve()
            if path in known:
                continue
            known.add(path)
            by = f"{run.process} of {run.ident}"
            if not path.is_file():
                found.append(Finding("missing", _name(path, root), f"made by {by}"))
            elif not output.sha256:
                found.append(Finding("unknown", _name(path, root), f"{by}: no checksum was recorded"))
            elif path.stat().st_size != output.size or checksum(path) != output.sha256:
                found.append(Finding("altered", _name(path, root), f"not what {by} has made"))
    found += _others(archive, {p.resolve() for p in known})
    for mission, processes in archive.stale.items():
        for process, idents in processes.items():
            for ident, reason in idents.items():
                found.append(Finding("stale", f"{mission} {process} {ident}", reason))
    return found


def _others(archive: Archive, known: set[Path]) -> list[Finding]:
    """Files that the last runs have not made."""
    earlier, unfinished = set(), []
    for run in archive.ledger.runs(everything=True, logs=False):
        folder = archive.obs_folder(run.mission, run.obs_id)
        earlier |= {(folder / name).resolve() for name in run.outputs}
        earlier |= {(folder / log_name(run.process, run.ident, s)).resolve() for s in ("stdout", "stderr")}
        if run.status == "running":
            unfinished.append(Finding("unfinished", f"{run.process} {run.ident}", f"begun {run.started}"))
    found = unfinished
    layout = archive.layout
    for top in ("processed_data", "failed_data", layout.mosaics.name):
        for path in sorted((layout.root / top).rglob("*")):
            if not path.is_file() or path.resolve() in known:
                continue
            name = _name(path, layout.root)
            if path.resolve() in earlier:
                found.append(Finding("earlier", name, "made by an earlier run; the last one has not made it"))
            elif path.name.endswith(".part"):
                found.append(Finding("unfinished", name, "half of a file; the next call removes it"))
            else:
                found.append(Finding("foreign", name, "made by no run of this archive"))
    return found


def _name(path: Path, root: Path) -> str:
    try:
        return str(path.resolve().relative_to(root.resolve()))
    except ValueError:
        return str(path)
