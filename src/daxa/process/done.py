"""What is there already: the one place that says what has been done, can be done, and must be done again."""

from __future__ import annotations

from daxa.archive.legacy import RELEASE
from daxa.archive.provenance import RAW_PLACES
from daxa.archive.run import Run
from daxa.archive.staleness import REBUILT
from daxa.backend.calibration import changed
from daxa.process.graph import Node
from daxa.process.step import Piece


def done_before(process: str, piece: Piece) -> list[bool]:
    """Successes of a process in earlier calls, on the data that a piece belongs to or consists of.

    Parameters
    ----------
    process
        Name of the process.
    piece
        The piece of data.
    """
    return piece.records.success(piece.mission.name, process, piece.obs_id, piece.inst, piece.exp_id)


def satisfied(node: Node) -> bool:
    """Whether what a node needs is there, from this call or an earlier one.

    Parameters
    ----------
    node
        The node; its step says what it needs.
    """
    results: list[bool] = []
    for need in node.step.needs(node.piece.inst, node.options):
        inside = [n.good for n in node.needs if n.step.name == need]
        results += inside or done_before(need, node.piece) or [False]
    # What is made of several parts is made of those that there are.
    return all(results) if node.step.scope == "exposure" else any(results) or not results


def why_again(run: Run, last: Run | None, piece: Piece, redo: str) -> str:
    """Why a job is to be run although it may have been; empty if it is done.

    Parameters
    ----------
    run
        What would be run now, with its fingerprint.
    last
        The last finished run on the same data.
    piece
        The piece of data.
    redo
        What is made again; see `daxa.process.settings.redoing`.
    """
    if last is None:
        return "never made"
    if not last.ok:
        return "failed before"
    if redo == "all":
        return "asked for"
    if piece.records.interrupted(last):
        return "a later run did not end"
    fault = flaw(last, piece)
    if fault or redo == "never":
        return fault
    if not last.fingerprint and last.versions.get("daxa") in (RELEASE, REBUILT):
        return "asked for" if redo == "stale" else ""
    if last.fingerprint != run.fingerprint:
        return "made of something else, or otherwise"
    if any(run.extra.get(key) not in (None, last.extra.get(key)) for key in RAW_PLACES):
        return "the raw files are elsewhere now"
    return _calibration_changed(last, piece)


def still_good(last: Run | None, piece: Piece, redo: str) -> bool:
    """Whether what was made of raw data that are not at hand is to be kept.

    Parameters
    ----------
    last
        The last finished run; None if there is none.
    piece
        The piece of data.
    redo
        What is made again, as `redoing` takes it.
    """
    return redo != "all" and last is not None and last.ok and not flaw(last, piece)


def flaw(run: Run, piece: Piece) -> str:
    """What is wrong with the products of a run; empty if all are there as they were recorded.

    A file of the recorded size and time passes for unchanged; one of another time is read.

    Parameters
    ----------
    run
        The run.
    piece
        The piece of data that it was of.
    """
    from daxa.backend.publish import checksum

    folder = piece.folder
    for name, output in run.outputs.items():
        path = folder / name
        try:
            status = path.stat()
        except OSError:
            return f"{name} is missing"
        if status.st_size != output.size:
            return f"{name} has been altered"
        if status.st_mtime_ns == output.mtime_ns or not output.sha256:
            continue
        if checksum(path) != output.sha256:
            return f"{name} has been altered"
        if run.id is not None:
            piece.archive.ledger.touch_output(run.id, name, status.st_mtime_ns)
    return ""


def _calibration_changed(last: Run, piece: Piece) -> str:
    """Whether calibration files that a run has chosen are others now under the same names."""
    ledger, notes = piece.archive.ledger, piece.records.notes
    for given in last.inputs:
        if given.kind != "calibration":
            continue
        key = ("calibration", given.data)
        if key not in notes:
            names = ledger.meta(f"calibration {given.data}", {})
            folders = piece.calibration_folders()
            notes[key] = changed(names, folders, ledger.checksum, ledger.set_checksum)
        if notes[key]:
            return str(notes[key])
    return ""
