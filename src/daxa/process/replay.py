"""A product made again from its record, in a folder of its own, and compared."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from daxa.archive.ledger import Ledger
from daxa.archive.provenance import archive_of, maker_of, on_disk
from daxa.archive.run import Run
from daxa.archive.views import error_text
from daxa.backend.datasum import sums
from daxa.backend.runner import run_job
from daxa.exceptions import DAXAError
from daxa.process.again import Again


class ReplayRefusedError(DAXAError):
    """A product cannot be made again as it was made."""


@dataclass
class Replay:
    """What came of making a product again.

    Attributes
    ----------
    path
        The product.
    by
        Process and identifier of the run that made it.
    verdict
        ``equal``: the new file holds the same data, times and places left out; ``differs``; ``failed``.
    outputs
        All products of the run: name -> ``equal``, ``differs``, or ``missing`` where none was made this time.
    notes
        What should be known: what differs from then, what has become of the product since.
    errors
        Of a run that failed.
    folder
        Where the new files are; None if they were not to be kept.
    """

    path: Path
    by: str
    verdict: str
    outputs: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    folder: Path | None = None

    @property
    def equal(self) -> bool:
        """Whether the new file holds the same data."""
        return self.verdict == "equal"


def replay(
    path: Path | str, *, anyway: bool = False, raw: Path | None = None, keep: Path | None = None
) -> Replay:
    """Run again what made a product, on its recorded inputs, and compare; nothing of the archive is changed.

    The new product is compared with what the ledger says of the old one, not with the file, which may have
    been altered since.

    Parameters
    ----------
    path
        The product, where it is in its archive.
    anyway
        Go on if inputs, calibration or versions are not those of then.
    raw
        Folder of the raw files, if they are elsewhere now.
    keep
        Folder that the new files are put into; by default they are not kept.

    Raises
    ------
    ReplayRefusedError
        Something that was read is gone; or has changed, or the version is another, without ``anyway``.
    DAXAError
        The file is in no archive, or no run of the archive has made it.
    """
    whole = Path(path)
    layout = archive_of(whole)
    ledger = Ledger(layout.ledger, read_only=True)
    try:
        run, name = maker_of(whole, layout, ledger)
        again = Again(run, layout, ledger, raw)
        _check(whole, again, anyway)
        result = Replay(whole, f"{run.process} {run.ident}", "failed", notes=[*again.changed, *again.notes])
        if said := on_disk(whole, run.outputs[name].sha256):
            result.notes.append(f"the file {said}")
        with tempfile.TemporaryDirectory(prefix="daxa_replay_") as folder:
            target = Path(folder) / "made" if keep is None else Path(keep)
            target.mkdir(parents=True, exist_ok=True)
            _run(again, target, Path(folder), result)
    finally:
        ledger.close()
    if result.outputs:
        result.verdict = result.outputs[name]
    result.folder = keep
    return result


def _check(path: Path, again: Again, anyway: bool) -> None:
    made = f"{path}: made by {again.run.process} {again.run.ident}"
    if again.gone:
        raise ReplayRefusedError(f"{made}, which cannot be run again; gone are: {'; '.join(again.gone)}")
    if again.changed and not anyway:
        raise ReplayRefusedError(f"{made}, not of what there is now: {'; '.join(again.changed)}")


def _run(again: Again, target: Path, scratch: Path, result: Replay) -> None:
    """Run the job, and say of each product whether it is equal."""
    job = again.job(target, scratch)
    outcome = run_job(job)
    if not outcome.ok:
        result.errors = [error_text(e) for e in outcome.errors]
        return
    for pattern, path in again.run.job["outputs"].items():
        if path in again.run.outputs:
            result.outputs[path] = _compared(again.run, path, job.outputs[pattern])


def _compared(run: Run, name: str, made: Path) -> str:
    if not made.is_file():
        return "missing"
    old = run.outputs[name]
    return "equal" if sums(made)[1] == (old.data or old.sha256) else "differs"
