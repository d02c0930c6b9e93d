"""A ledger made anew from what an archive holds: products by their names, logs by theirs."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daxa.archive import Archive, layout
from daxa.archive.run import Output, Run
from daxa.archive.staleness import REBUILT
from daxa.backend.datasum import sums
from daxa.backend.output import excerpt
from daxa.exceptions import DAXAError, DAXANotDownloadedError, NoDependencyProcessError
from daxa.process.done import satisfied
from daxa.process.graph import Node
from daxa.process.planning import Planner
from daxa.process.recording import new_run
from daxa.process.records import Records
from daxa.process.simple import steps_of_reduction
from daxa.process.step import Piece, Planned, Recipe
from daxa.process.xmm.assemble import CleanedOptions
from daxa.process.xmm.clean import EspfiltOptions
from daxa.process.xmm.exposures import ExposureOptions
from daxa.process.xmm.generate import ImageSetOptions
from daxa.process.xmm.mosaics import GENERATE_MOSAICS, MosaicOptions, field_run, fields
from daxa.process.xmm.setup import ALLOWED, ODF_INGEST

if TYPE_CHECKING:
    from astropy.units import Quantity

    from daxa.mission import BaseMission

_FLARES = re.compile(r"-en(\d+)_(\d+)keV-gti\.fits$")
_CLEAN = re.compile(r"-en([\d.]+)_([\d.]+)keV-cleanevents\.fits$")
_IMAGE = re.compile(r"-en([\d.]+)_([\d.]+)keV-image\.fits$")
_MOSAIC = re.compile(rf"-inst{layout.ALL}-.*{_IMAGE.pattern}")
#: Of the making of a product that is found.
_UNKNOWN: dict[str, Any] = {"backend": "unknown", "versions": {"daxa": REBUILT}, "status": "done"}


class _Piece(Piece):
    """A piece whose raw files need not be there."""

    @property
    def raw(self) -> Path:
        try:
            return super().raw
        except DAXANotDownloadedError:
            return self.folder / "raw files that are gone"


class _Planner(Planner):
    """Plans what may have been made.

    Attributes
    ----------
    untold
        What could not be recorded, and why.
    """

    def __init__(self, archive: Archive, steps: list[Planned], records: Records) -> None:
        super().__init__(archive, steps, records)
        self.untold: list[str] = []

    def _piece(
        self, mission: BaseMission, obs_id: str, inst: str | None = None, exp_id: str | None = None
    ) -> Piece:
        return _Piece(self.archive, mission, obs_id, inst, exp_id, self.records)


def rebuild(archive: Archive) -> int:
    """Record every product that is there and of which the ledger knows nothing.

    What it was made of, with which options and by which version, is not known: such products are kept as they
    are and count as out of date, until ``redo="stale"`` makes them again.

    Parameters
    ----------
    archive
        The archive; its ledger is changed, its products are not.

    Returns
    -------
    int
        Number of runs recorded.

    Raises
    ------
    DAXAError
        The archive is being processed, or is read-only.

    Warns
    -----
    UserWarning
        Names files that look like products and could not be recorded.
    """
    with archive.processing():
        names = [p.name for m in archive.mission_names for p in _products(archive, m)]
        planner = _Planner(archive, _steps(archive, names), Records(archive))
        count = _take_all(planner)
        # What is made of observations as wholes is known once their parts are.
        if mosaics := _bands(_MOSAIC, names):
            options = MosaicOptions(*_limits(mosaics))
            again = _Planner(archive, [(GENERATE_MOSAICS, options)], planner.records)
            again.untold = planner.untold
            count += _take_all(again)
        count += _take_fields(planner)
        archive.ledger.changed = True
    archive.save()
    if planner.untold:
        more = f"; and {len(planner.untold) - 20} more" if len(planner.untold) > 20 else ""
        warnings.warn(f"not recorded: {'; '.join(planner.untold[:20])}{more}", stacklevel=2)
    return count


def _take_all(planner: _Planner) -> int:
    count = 0
    for mission in planner.archive.missions:
        if mission.name not in ALLOWED:
            continue
        for number, obs_id in enumerate(map(str, mission.filtered_obs_ids)):
            waiting = planner.plan(mission, obs_id, number)
            while waiting:
                node = waiting.pop(0)
                count += _take(node, planner)
                if node.good and node.step.done is not None:
                    waiting += _reveal(node, planner)
    return count


def _take_fields(planner: _Planner) -> int:
    """Record the mosaics of fields that are there and not known; the number of runs recorded."""
    archive, count = planner.archive, 0
    bands = _bands(_IMAGE, (p.name for p in archive.layout.mosaics.glob("*.fits")))
    for ident, chosen, finals in fields(archive, bands):
        first = chosen[0].piece
        if archive.ledger.latest(first.mission.name, GENERATE_MOSAICS.name, ident) is not None:
            continue
        if all(path.is_file() for path in finals.values()):
            run = field_run(ident, first, finals, **_UNKNOWN)
            _take_files(run, first, (made["path"] for made in run.extra.values()))
            count += archive.ledger.add_history(run)
    return count


def _take(node: Node, planner: _Planner) -> int:
    """Record what a step has made of a piece, if it is there and not known; the number of runs recorded."""
    piece, step = node.piece, node.step
    known = planner.records.ends.get((piece.mission.name, step.name, piece.ident))
    if known is not None:
        node.state = "done" if known else "failed"
        return 0
    node.state = "blocked"
    if not satisfied(node):
        return 0
    try:
        recipe = _recipe(node)
    except NoDependencyProcessError:
        return 0
    except (DAXAError, ValueError, OSError) as failure:  # of this piece; the others are recorded
        planner.untold.append(f"{step.name} of {piece.ident} ({failure})")
        return 0
    names = [path for name, path in recipe.outputs.items() if name not in recipe.optional]
    if not names or not all((piece.folder / name).is_file() for name in names):
        return 0
    run = new_run(step.name, piece, **_UNKNOWN)
    _take_files(run, piece, dict.fromkeys(recipe.outputs.values()))
    run.extra = {k: {"path": p} for k, p in recipe.files.items() if p in run.outputs} | recipe.settings
    planner.archive.ledger.add_history(run)
    planner.records.note(run)
    node.state = "done"
    return 1


def _recipe(node: Node) -> Recipe:
    if node.step is not ODF_INGEST:
        return node.step.recipe(node.piece, node.options)
    # Its recipe reads the names of the raw files, which need not be there.
    found = sorted(node.piece.folder.glob(layout.sas_summary("*", node.piece.obs_id)))
    name = found[0].name if found else layout.sas_summary("0000", node.piece.obs_id)
    return Recipe([], {name: name}, files={"sum_path": name}, settings={"odf_path": str(node.piece.raw)})


def _take_files(run: Run, piece: Piece, names: Iterable[str]) -> None:
    """Take what is there of a run's products, and its logs, into it."""
    for name in names:
        path = piece.folder / name
        if path.is_file():
            status = path.stat()
            sha, data = sums(path)
            run.outputs[name] = Output(sha, status.st_size, status.st_mtime_ns, data)
            ended = datetime.fromtimestamp(status.st_mtime, timezone.utc).isoformat(timespec="milliseconds")
            run.started = run.started or ended
            run.ended = ended
    for stream, path in piece.archive.logs(run).items():
        setattr(run, stream, excerpt(path, path))


def _reveal(node: Node, planner: _Planner) -> list[Node]:
    """The nodes of an observation whose content has become known."""
    assert node.step.done is not None
    try:
        if planner.records.observation(*node.place)["to_process"] is None:
            node.step.done(node.piece)
    except (DAXAError, ValueError, OSError) as failure:
        planner.untold.append(f"what follows {node.step.name} of {node.piece.ident} ({failure})")
        return []
    planner.records.forget(*node.place)
    return planner.plan(node.piece.mission, node.piece.obs_id, node.order[0])


def _steps(archive: Archive, names: list[str]) -> list[Planned]:
    """The steps of a whole reduction, with the energies that the names of files tell."""
    from astropy.units import Quantity

    flares = _bands(_FLARES, names) or [(2500.0, 8500.0)]
    clean = _bands(_CLEAN, names)
    images = _bands(_IMAGE, (n for n in names if not _MOSAIC.search(n)))
    low_en, high_en = (Quantity(v, "keV") for v in clean[-1]) if clean else (None, None)
    low, high = (Quantity(v, "eV") for v in flares[-1])
    return steps_of_reduction(
        archive,
        ExposureOptions(),
        EspfiltOptions(filter_lo_en=low, filter_hi_en=high),
        CleanedOptions(low_en, high_en),
        ImageSetOptions(*_limits(images)),
        anomalies=any(n.endswith("-anom.log") for n in names),
    )


def _limits(bands: list[tuple[float, float]]) -> tuple[Quantity | None, Quantity | None]:
    """Lower and upper limits of bands; None for no band."""
    from astropy.units import Quantity

    lows, highs = zip(*bands, strict=True) if bands else (None, None)
    return (None, None) if lows is None else (Quantity(lows, "keV"), Quantity(highs, "keV"))


def _products(archive: Archive, mission: str) -> Iterable[Path]:
    for top in (archive.layout.processed(mission, "x").parent, archive.layout.failed(mission, "x").parent):
        for folder, _, names in os.walk(top):
            yield from (Path(folder) / name for name in names)


def _bands(pattern: re.Pattern[str], names: Iterable[str]) -> list[tuple[float, float]]:
    found = {(float(m[1]), float(m[2])) for n in names if (m := pattern.search(n))}
    return sorted(found)
