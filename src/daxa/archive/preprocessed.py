"""Taking ready-made products of a mission's archive into an archive.

They are copied under names of the archive's own, decompressed, and recorded as runs of processes
``preprocessed_events``, ``preprocessed_images`` ..., whose log says which file came from where.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from daxa._version import __version__
from daxa.archive import layout
from daxa.archive.layout import Layout
from daxa.archive.ledger import Ledger
from daxa.archive.run import Output, Run
from daxa.exceptions import DAXAError
from daxa.mission import BaseMission
from daxa.mission.ready import BACKGROUND, CURVE, EVENTS, EXPOSURE, IMAGE, ReadyProduct

#: Kind of products -> the process that takes them in.
PROCESSES = {
    EVENTS: "preprocessed_events",
    IMAGE: "preprocessed_images",
    EXPOSURE: "preprocessed_expmaps",
    BACKGROUND: "preprocessed_backmaps",
    CURVE: "preprocessed_lightcurves",
    "companion": "preprocessed_files",
}
# Their event lists have names with exposures, whatever there is.
_GRATINGS = ("R1", "R2")
#: What stands for all of them among the recorded configurations.
PROCESS = "preprocessed_in_archive"
_KEYS = {EVENTS: "final", IMAGE: "image", EXPOSURE: "expmap", BACKGROUND: "backmap", CURVE: "lightcurve"}


class Receiving(Protocol):
    """What of an archive is needed to take products in."""

    layout: Layout
    ledger: Ledger

    def processing(self) -> AbstractContextManager[None]: ...
    def obs_folder(self, mission: BaseMission | str, obs_id: str) -> Path: ...
    def make_folders(self, mission: BaseMission) -> None: ...
    def record(self, run: Run, write_logs: bool = True) -> None: ...
    def judge(self, mission: str, obs_id: str, success: bool | None) -> None: ...


def take_in(archive: Receiving, missions: Sequence[BaseMission]) -> None:
    """Take the products of missions that are on disk into an archive.

    An observation has come through if it has an event list or an image then. What is there already is not
    taken again.

    Parameters
    ----------
    archive
        The archive.
    missions
        Missions of it whose products have been fetched.

    Warns
    -----
    UserWarning
        Names observations without products, and products that could not be taken in; the others are.
    """
    told: list[str] = []
    with archive.processing():
        for mission in missions:
            archive.make_folders(mission)
            for obs_id in map(str, mission.filtered_obs_ids):
                told += _observation(archive, mission, obs_id)
            archive.ledger.set_configuration(mission.name, PROCESS, {})
            if not mission.processed:
                mission.processed = True
            mission.save(archive.layout.save_info)
    if told:
        more = f"; and {len(told) - 20} more" if len(told) > 20 else ""
        warnings.warn("preprocessed: " + "; ".join(told[:20]) + more, stacklevel=3)


def _observation(archive: Receiving, mission: BaseMission, obs_id: str) -> list[str]:
    """Take in what there is of an observation, and judge it; what users should know."""
    try:
        products = [*mission.ready_products(obs_id), *mission.ready_companions(obs_id)]
    except DAXAError as failure:
        products, problems = [], [f"{obs_id}: {failure}"]
    else:
        problems = [] if products else [f"{obs_id}: no products are on disk"]
    good = False
    for group in _groups(products):
        run = _run_of(archive, mission, obs_id, group)
        good |= run.ok and group[0][0].kind in (EVENTS, IMAGE)
        problems += [f"{run.ident}: {e['message']}" for e in run.errors]
    known = archive.ledger.observation(mission.name, obs_id)["final_success"]
    # What a reduction has made of it stays.
    if known is not good and (good or known is None):
        archive.judge(mission.name, obs_id, good)
    return problems


def _groups(products: Iterable[ReadyProduct]) -> list[list[tuple[ReadyProduct, str | None]]]:
    """Products of one kind, instrument and exposure together, with the exposure that names of files have.

    The only exposure of an instrument stands for all of it, as where exposures have been merged; so do
    products that are of no single one.
    """
    products = list(products)
    exposures: dict[tuple[str, ...], set[str]] = {}
    for product in products:
        if product.exp_id is not None:
            exposures.setdefault(product.insts, set()).add(product.exp_id)
    groups: dict[tuple[str, str, str], list[tuple[ReadyProduct, str | None]]] = {}
    for product in products:
        label, there = product.exp_id, exposures.get(product.insts, set())
        if there and (label is None or there == {label}):
            label = layout.ALL
        key = (product.kind, "_".join(product.insts), product.exp_id or "")
        groups.setdefault(key, []).append((product, label))
    return list(groups.values())


def _run_of(
    archive: Receiving,
    mission: BaseMission,
    obs_id: str,
    group: Sequence[tuple[ReadyProduct, str | None]],
) -> Run:
    """Take in the products of one group, unless they are there."""
    first = group[0][0]
    inst = "_".join(first.insts) or None
    names = _targets(mission, obs_id, group)
    content = [[str(p.path.name), p.path.stat().st_size, name] for (p, _), name in names]
    run = Run(
        PROCESSES[first.kind],
        f"{obs_id}{inst or ''}{first.exp_id or ''}",
        mission.name,
        obs_id,
        inst,
        first.exp_id,
        backend="archive",
        versions={"daxa": __version__, "backend": "archive"},
        started=_now(),
        fingerprint=hashlib.sha256(json.dumps(content).encode()).hexdigest(),
    )
    folder = archive.obs_folder(mission, obs_id)
    last = archive.ledger.latest(run.mission, run.process, run.ident)
    if last is not None and last.ok and last.fingerprint == run.fingerprint and _whole(last, folder):
        return last
    source = mission.product_source(obs_id)
    run.extra = {"source": source, "files": {name: p.path.name for (p, _), name in names}}
    lines = []
    try:
        for (product, _), name in names:
            _refuse_reduced(archive, run, folder, name)
            run.outputs[name] = _copied(product, folder / name)
            key = _KEYS.get(product.kind, Path(name).name)
            band = layout.energy_text(*product.band) if product.band else ""
            run.extra.setdefault("_".join(filter(None, (key, band))), {"path": name})
            lines.append(f"{product.path.name} ({source}) -> {name}")
    except (DAXAError, OSError) as failure:
        run.status, run.extra = "failed", {}
        run.errors = [{"originator": "daxa", "name": "notTaken", "message": str(failure)}]
        run.outputs = {}
    else:
        run.status = "done"
    run.stdout, run.ended = "".join(f"{line}\n" for line in lines), _now()
    archive.record(run)
    return run


def _refuse_reduced(archive: Receiving, run: Run, folder: Path, name: str) -> None:
    """Refuse to put a product in the place of one that has been made here."""
    if not (folder / name).exists():
        return
    for maker in archive.ledger.makers(Path(name).name):
        same = (maker.mission, maker.obs_id) == (run.mission, run.obs_id)
        if same and maker.ok and maker.process not in PROCESSES.values():
            raise DAXAError(f"{name} has been made by {maker.process} here, and is not replaced")


def _targets(
    mission: BaseMission, obs_id: str, group: Sequence[tuple[ReadyProduct, str | None]]
) -> list[tuple[tuple[ReadyProduct, str | None], str]]:
    """Names in the observation's folder; of products with the same one, the others are numbered."""
    found: list[tuple[tuple[ReadyProduct, str | None], str]] = []
    taken: set[str] = set()
    for product, label in group:
        if product.kind == "companion":
            name = product.path.name.removesuffix(".gz")
            if name.upper().endswith(".FTZ"):
                name = f"{name[:-4]}.FIT"
        else:
            insts = "_".join(product.insts)
            named = product.exp_id if insts in _GRATINGS and product.kind == EVENTS else label
            name = layout.ready_made(obs_id, insts, named, product.kind, *(product.band or ()))
        number, base = 2, name
        while name in taken:
            name = base.replace(".fits", f"_{number}.fits")
            number += 1
        taken.add(name)
        found.append(((product, label), name))
    return found


def _copied(product: ReadyProduct, target: Path) -> Output:
    target.parent.mkdir(parents=True, exist_ok=True)
    product.copy_to(target)
    digest = hashlib.sha256()
    with target.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    status = target.stat()
    return Output(digest.hexdigest(), status.st_size, status.st_mtime_ns, digest.hexdigest())


def _whole(run: Run, folder: Path) -> bool:
    """Whether everything that was taken in is there, at its size."""
    try:
        return all((folder / name).stat().st_size == output.size for name, output in run.outputs.items())
    except OSError:
        return False


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
