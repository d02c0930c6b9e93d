"""A ledger made anew of what an archive holds: products by their names, logs by theirs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from daxa.archive import Archive, layout
from daxa.archive.ledger import Output, Run
from daxa.archive.staleness import REBUILT
from daxa.backend.datasum import sums
from daxa.backend.output import excerpt
from daxa.exceptions import DAXAError, DAXANotDownloadedError
from daxa.process.graph import Node
from daxa.process.planning import Planner
from daxa.process.records import Records
from daxa.process.step import RGS, Options, Piece, Recipe, Step
from daxa.process.xmm.assemble import (
    CLEANED_EVT_LISTS,
    EMCHAIN,
    EPCHAIN,
    MERGE_SUBEXPOSURES,
    chain_options,
    cleaned_options,
)
from daxa.process.xmm.check import EMANOM
from daxa.process.xmm.clean import ESPFILT, espfilt_options
from daxa.process.xmm.generate import GENERATE_IMAGES_EXPMAPS, image_options
from daxa.process.xmm.grating import CLEANED_RGS_EVENT_LISTS, RGS_ANGLES, RGS_EVENTS
from daxa.process.xmm.setup import ALLOWED, CIF_BUILD, ODF_INGEST, cif_build_options

if TYPE_CHECKING:
    from daxa.mission import BaseMission

_FLARES = re.compile(r"-en(\d+)_(\d+)keV-gti\.fits$")
_CLEAN = re.compile(r"-en([\d.]+)_([\d.]+)keV-cleanevents\.fits$")
_IMAGE = re.compile(r"-en([\d.]+)_([\d.]+)keV-image\.fits$")


class _Piece(Piece):
    """A piece whose raw files need not be there."""

    @property
    def raw(self) -> Path:
        try:
            return super().raw
        except DAXANotDownloadedError:
            return self.folder / "raw files that are gone"


class _Planner(Planner):
    def _piece(
        self, mission: BaseMission, obs_id: str, inst: str | None = None, exp_id: str | None = None
    ) -> Piece:
        return _Piece(self.archive, mission, obs_id, inst, exp_id, self.records)


def rebuild(archive: Archive) -> int:
    """Record every product that is there and of which the ledger knows nothing.

    What it was made of, with which options and by which version, is not known: such products are kept as they
    are and count as out of date, until ``redo="stale"`` makes them again.

    Returns
    -------
    int
        Number of runs recorded.
    """
    with archive.processing():
        records = Records(archive)
        planner = _Planner(archive, _steps(archive), records)
        count = 0
        for mission in archive.missions:
            if mission.name not in ALLOWED:
                continue
            for number, obs_id in enumerate(map(str, mission.filtered_obs_ids)):
                waiting = planner.plan(mission, obs_id, number)
                while waiting:
                    node = waiting.pop(0)
                    count += _take(node, planner)
                    if node.good and node.step.done is not None:
                        waiting += _reveal(node, planner)
        archive.ledger.changed = True
    archive.save()
    return count


def _take(node: Node, planner: Planner) -> int:
    """Record what a step has made of a piece, if it is there and not known; the number of runs recorded."""
    piece, step = node.piece, node.step
    known = planner.records.ends.get((piece.mission.name, step.name, piece.ident))
    if known is not None:
        node.state = "done" if known else "failed"
        return 0
    node.state = "blocked"
    if not planner.satisfied(node):
        return 0
    try:
        recipe = _recipe(node)
    except (DAXAError, ValueError, OSError, KeyError):
        return 0
    names = [path for name, path in recipe.outputs.items() if name not in recipe.optional]
    if not names or not all((piece.folder / name).is_file() for name in names):
        return 0
    run = _run(node, recipe)
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


def _run(node: Node, recipe: Recipe) -> Run:
    piece = node.piece
    run = Run(
        node.step.name,
        piece.ident,
        piece.mission.name,
        piece.obs_id,
        piece.inst,
        piece.exp_id,
        backend="unknown",
        versions={"daxa": REBUILT},
        status="done",
    )
    for name in dict.fromkeys(recipe.outputs.values()):
        path = piece.folder / name
        if path.is_file():
            status = path.stat()
            sha, data = sums(path)
            run.outputs[name] = Output(sha, status.st_size, status.st_mtime_ns, data)
            ended = datetime.fromtimestamp(status.st_mtime, timezone.utc).isoformat(timespec="milliseconds")
            run.started = run.started or ended
            run.ended = ended
    run.extra = {k: {"path": p} for k, p in recipe.files.items() if p in run.outputs} | recipe.settings
    for stream, path in piece.archive.logs(run).items():
        setattr(run, stream, excerpt(path, path))
    return run


def _reveal(node: Node, planner: Planner) -> list[Node]:
    """The nodes of an observation whose content has become known."""
    assert node.step.done is not None
    try:
        if planner.records.observation(*node.place)["to_process"] is None:
            node.step.done(node.piece)
    except (DAXAError, ValueError, OSError):
        return []
    planner.records.forget(*node.place)
    return planner.plan(node.piece.mission, node.piece.obs_id, node.order[0])


def _steps(archive: Archive) -> list[tuple[Step, Options]]:
    """The steps of a whole reduction, with the energies that the names of files tell."""
    from astropy.units import Quantity

    names = [p.name for m in archive.mission_names for p in _products(archive, m)]
    chosen = {inst for m in archive.missions for inst in m.chosen_instruments}
    flares = _bands(_FLARES, names) or [(2500.0, 8500.0)]
    clean, images = _bands(_CLEAN, names), _bands(_IMAGE, names)
    low_en, high_en = (Quantity(v, "keV") for v in clean[-1]) if clean else (None, None)
    lows, highs = zip(*images, strict=True) if images else (None, None)
    anomalies = any(n.endswith("-anom.log") for n in names)
    chain = chain_options(True)
    steps: list[tuple[Step, Options]] = [(CIF_BUILD, cif_build_options()), (ODF_INGEST, {})]
    if chosen & set(RGS):
        steps += [(RGS_EVENTS, chain), (RGS_ANGLES, {}), (CLEANED_RGS_EVENT_LISTS, {})]
    steps += [(EPCHAIN, chain), (EMCHAIN, chain)]
    if anomalies:
        steps.append((EMANOM, {}))
    low, high = (Quantity(v, "eV") for v in flares[-1])
    return [
        *steps,
        (ESPFILT, espfilt_options(filter_lo_en=low, filter_hi_en=high)),
        (CLEANED_EVT_LISTS, cleaned_options(low_en, high_en)),
        (MERGE_SUBEXPOSURES, {}),
        (
            GENERATE_IMAGES_EXPMAPS,
            image_options(
                None if lows is None else Quantity(lows, "keV"),
                None if highs is None else Quantity(highs, "keV"),
            ),
        ),
    ]


def _products(archive: Archive, mission: str) -> Iterable[Path]:
    for top in (archive.layout.processed(mission, "x").parent, archive.layout.failed(mission, "x").parent):
        for folder, _, names in os.walk(top):
            yield from (Path(folder) / name for name in names)


def _bands(pattern: re.Pattern[str], names: Iterable[str]) -> list[tuple[float, float]]:
    found = {(float(m[1]), float(m[2])) for n in names if (m := pattern.search(n))}
    return sorted(found)
