"""Running steps: skip what is done, execute side by side, record.

Every (step, piece of data) is a node of a graph; a node starts as soon as those it needs have ended,
whatever other observations are doing.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from daxa.archive.archive import Archive
from daxa.archive.ledger import Input, Run
from daxa.archive.staleness import stale
from daxa.archive.views import error_text
from daxa.backend import launch
from daxa.backend.calibration import CalibrationError, changed, named
from daxa.backend.contract import Job, Outcome
from daxa.backend.runner import run_job
from daxa.backend.select import select_backend
from daxa.exceptions import DAXAError, DAXANotDownloadedError, NoValidMissionsError
from daxa.process.graph import Node
from daxa.process.naming import plain
from daxa.process.options import Running
from daxa.process.planning import REDO, Planner, why_again
from daxa.process.progress import Progress
from daxa.process.recording import (
    fingerprint,
    flaw,
    inputs_of,
    new_run,
    now,
    raw_folder,
    take_outcome,
    versions,
)
from daxa.process.records import Records
from daxa.process.step import Planned
from daxa.process.tell import tell
from daxa.trust import TRUST

if TYPE_CHECKING:
    from daxa.mission import BaseMission

log = logging.getLogger("daxa")
#: How often the number of pieces is told while jobs run.
_NOTE_S = 10.0

#: The step after which an observation is judged, by the instruments' family.
LAST_STEPS = ("merge_subexposures", "cleaned_rgs_event_lists")
_executor: ContextVar[Executor | None] = ContextVar("executor", default=None)
_redo: ContextVar[str] = ContextVar("redo", default="changed")


@contextmanager
def use_executor(executor: Executor) -> Iterator[None]:
    """Run the jobs of the steps called inside on an executor, e.g. that of a Dask cluster.

    The archive and the raw data must be reachable under the same paths where the jobs run.

    Parameters
    ----------
    executor
        What runs jobs; the steps do not shut it down.
    """
    token = _executor.set(executor)
    try:
        yield
    finally:
        _executor.reset(token)


@contextmanager
def redoing(what: str) -> Iterator[None]:
    """Choose what the steps called inside make again.

    Parameters
    ----------
    what : {"changed", "stale", "all", "never"}
        ``changed``, the default: what is missing or altered, and what depends on something that has changed:
        options, raw files, calibration, products of earlier steps, back-end, version. ``stale``: also what
        DAXA 0.3.7 has made, of which nothing is known. ``all``: everything. ``never``: only what is missing,
        altered or failed.

    Raises
    ------
    ValueError
        It is none of these.
    """
    if what not in REDO:
        raise ValueError(f"redo: expected one of {', '.join(REDO)}, got {what!r}")
    token = _redo.set(what)
    try:
        yield
    finally:
        _redo.reset(token)


def redo_mode() -> str:
    """What is made again in this context; see `redoing`."""
    return _redo.get()


def run_steps(
    archive: Archive,
    steps: Sequence[Planned],
    missions: Sequence[str],
    running: Running,
) -> None:
    """Run steps on an archive.

    Parameters
    ----------
    archive
        The archive.
    steps
        Steps with their options, in order.
    missions
        Names of the missions that the steps are for.
    running
        How many jobs at once, for how long at most, and whether there are progress bars and messages.

    Raises
    ------
    NoValidMissionsError
        The archive has no such mission.
    NoDependencyProcessError
        Nothing that the steps build on is there.
    """
    if not isinstance(archive, Archive):
        raise TypeError(f"obs_archive: expected an Archive, got {type(archive).__name__}")
    cores, limit_s = running.cores, running.limit_s
    chosen = [m for m in archive.missions if m.name in missions]
    if not chosen:
        raise NoValidMissionsError(
            f"{steps[0][0].name}: works on {', '.join(missions)}; the archive {archive.archive_name} has "
            f"{', '.join(archive.mission_names)}"
        )
    settings = _Settings(select_backend(), cores, limit_s, _redo.get(), running.disable_progress)
    with archive.processing():
        _Runner(archive, steps, settings).run(chosen)
    archive.save()


@dataclass(frozen=True)
class _Settings:
    """How the jobs of a call are run."""

    backend: str
    cores: int
    limit_s: float | None
    redo: str
    quiet: bool


class _Runner:
    def __init__(self, archive: Archive, steps: Sequence[Planned], settings: _Settings) -> None:
        self.archive = archive
        self.settings = settings
        self.records = Records(archive)
        self.planner = Planner(archive, steps, self.records)
        self.progress = Progress(settings.quiet)
        self.running: dict[Future[Outcome], Node] = {}
        self.ready: list[tuple[tuple[int, int], int, Node]] = []
        self.count = 0
        self.kept: list[str] = []
        self.noted = 0.0
        self.versions = {b: versions(b) for b in {settings.backend, "embedded"}}

    # -- the graph --------------------------------------------------------------------------

    def run(self, missions: list[BaseMission]) -> None:
        planner = self.planner
        observations = [(m, str(o)) for m in missions for o in m.filtered_obs_ids]
        for number, (mission, obs_id) in enumerate(observations):
            self._plan(mission, obs_id, number)
        planner.check_something_to_do(missions)
        for mission in missions:
            for step, options in planner.steps:
                self.archive.ledger.set_configuration(mission.name, step.name, options.recorded())
        self._note_plan()
        self._execute()
        if any(name in planner.names for name in LAST_STEPS):
            for mission in missions:
                if not mission.processed:
                    mission.processed = True
                mission.save(self.archive.layout.save_info)
        self._summarise()

    def _execute(self) -> None:
        own = None
        executor = _executor.get()
        try:
            if executor is None:
                own = executor = ThreadPoolExecutor(self.settings.cores)
            self._loop(executor, bounded=own is not None)
        except BaseException:
            self._stop()
            raise
        finally:
            self.progress.close()
            if own is not None:
                own.shutdown()

    def _stop(self) -> None:
        """End what runs here, and wait for what runs elsewhere: it may be about to publish its files."""
        for future in self.running:
            future.cancel()
        told = False
        while left := [f for f in self.running if not f.done()]:
            launch.shut_down()
            if wait(left, timeout=0.2).not_done and _executor.get() is not None and not told:
                told = True
                log.warning("waiting for %d jobs that run elsewhere and cannot be stopped", len(left))
        with suppress(DAXAError):  # the next call does it; what went wrong before is what is to be told
            self.archive.interrupt()

    def _announce(self) -> None:
        """Say once which back-end works."""
        backend = self.settings.backend
        text = "DAXA: tasks are run by SAS"
        if backend != "sas":
            text = f"DAXA: tasks are run by the embedded engine\n{TRUST}"
        if backend not in _announced:
            _announced.add(backend)
            log.info(text)
            self.progress.say(text)

    def _plan(self, mission: BaseMission, obs_id: str, number: int) -> None:
        for node in self.planner.plan(mission, obs_id, number):
            self.progress.expect(node.bar, 1)
            self._offer(node)

    def _offer(self, node: Node) -> None:
        """Queue a node whose needs have all ended; earlier observations go first."""
        if node.state == "waiting" and all(n.ended for n in node.needs):
            node.state = "ready"
            self.count += 1
            heapq.heappush(self.ready, (node.order, self.count, node))

    # -- execution --------------------------------------------------------------------------

    def _loop(self, executor: Executor, bounded: bool) -> None:
        while True:
            self._start_ready(executor, bounded)
            if not self.running:
                break
            finished, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in finished:
                self._end(self.running.pop(future), future)
            if time.monotonic() > self.noted + _NOTE_S:
                self._note_plan()
        self._note_plan()
        for mission, obs_id in self.planner.nodes:
            self._judge(mission, obs_id)

    def _note_plan(self) -> None:
        """Tell others how many pieces each step has, as far as it is known."""
        planned = self.archive.ledger.meta("planned", {})
        found = Counter((n.piece.mission.name, n.step.name) for n in self.planner.everything())
        for (mission, step), number in found.items():
            planned.setdefault(mission, {})[step] = number
        self.archive.ledger.set_meta("planned", planned)
        self.noted = time.monotonic()

    def _start_ready(self, executor: Executor, bounded: bool) -> None:
        while self.ready and not (bounded and len(self.running) >= self.settings.cores):
            _, _, node = heapq.heappop(self.ready)
            if self.planner.satisfied(node):
                self._start(node, executor)
                continue
            bad = [n for n in node.needs if not n.good]
            node.why = bad[0].why if bad else "what it needs failed in an earlier call"
            self._close(node, "blocked")

    def _start(self, node: Node, executor: Executor) -> None:
        piece = node.piece
        piece.used.clear()
        backend = node.step.backend or self.settings.backend
        run = node.run = new_run(
            node.step.name,
            piece,
            backend=backend,
            config=self._config(node),
            versions=self.versions[backend],
            started=now(),
        )
        last = self.records.latest(run.mission, run.process, run.ident, run.obs_id)
        try:
            recipe = node.recipe = node.step.recipe(piece, node.options)
            raw = raw_folder(piece)
            named = plain(recipe.tasks, recipe.env, piece.used, raw)
            run.tasks = [(t.name, t.parameters) for t in named.tasks]
            run.inputs = inputs_of(recipe, piece)
            run.fingerprint = fingerprint(named.tasks, recipe, run)
            run.extra = dict(recipe.settings)
        except Exception as failure:  # one piece that cannot be planned must not stop the others
            log.debug("planning %s %s", node.step.name, piece.ident, exc_info=True)
            gone = isinstance(failure, DAXANotDownloadedError) and self.settings.redo != "all"
            if gone and last is not None and last.ok and not flaw(last, piece):
                # What was made of raw data that are not at hand is still good.
                self._note_kept(f"{piece.obs_id}: {failure}; what was made of its raw data is kept")
                self._skip(node, last)
                return
            run.errors.append(
                {"originator": node.step.name, "name": type(failure).__name__, "message": str(failure)}
            )
            self._record_failure(node)
            return
        why = why_again(run, last, piece, self.settings.redo) or (
            "" if last is None or self.settings.redo == "never" else self._calibration_changed(last, node)
        )
        if not why:
            assert last is not None
            self._skip(node, last)
            return
        log.debug("%s %s: %s", run.process, run.ident, why)
        folder = piece.folder
        job = Job(
            piece.ident,
            named.tasks,
            {name: folder / path for name, path in recipe.outputs.items()},
            env=named.env,
            links=named.links,
            summary=named.summary,
            raw=raw,
            logs=self.archive.logs(run),
            optional=recipe.optional,
            shared=recipe.shared,
            inputs=recipe.inputs,
            expected={path: sha for path, (_, sha) in piece.used.items() if sha},
            timeout_s=self.settings.limit_s,
            backend=backend,
            scratch=self.archive.layout.scratch,
        )
        self._announce()
        self.progress.begin(node.bar)
        self.archive.ledger.start(run)
        node.state = "running"
        self.running[executor.submit(run_job, job)] = node

    def _config(self, node: Node) -> dict[str, Any]:
        key = ("config", node.step.name)
        if key not in self.records.notes:
            self.records.notes[key] = node.options.recorded()
        return self.records.notes[key]

    def _skip(self, node: Node, last: Run) -> None:
        node.run = last
        self._close(node, "skipped")
        self._after(node)

    def _note_kept(self, text: str) -> None:
        if text not in self.kept:
            self.kept.append(text)

    def _calibration_changed(self, last: Run, node: Node) -> str:
        """Whether calibration files that a run has chosen are others now under the same names."""
        folders = node.piece.calibration_folders()
        ledger, notes = self.archive.ledger, self.records.notes
        for given in last.inputs:
            if given.kind != "calibration":
                continue
            key = ("calibration", given.data)
            if key not in notes:
                names = ledger.meta(f"calibration {given.data}", {})
                notes[key] = changed(names, folders, ledger.checksum, ledger.set_checksum)
            if notes[key]:
                return str(notes[key])
        return ""

    def _note_calibration(self, run: Run, node: Node) -> None:
        """Note which calibration files an index names, and what is in them."""
        if run.process != "cif_build":
            return
        try:
            names = named(node.piece.folder / run.extra["cif"]["path"])
        except CalibrationError as failure:
            # The run is good, but that these files change will not be noticed.
            run.warnings.append({"originator": "daxa", "name": "calibrationUnknown", "message": str(failure)})
            return
        if names:
            digest = self.archive.ledger.set_named("calibration", names)
            run.inputs.append(Input("calibration", "", "", "", digest))

    def _end(self, node: Node, future: Future[Outcome]) -> None:
        run, piece = node.run, node.piece
        assert run is not None
        assert node.recipe is not None
        self.archive.check_there()
        try:
            outcome = future.result()
        except Exception as failure:  # the executor lost the job; the others go on
            outcome = Outcome(
                piece.ident,
                False,
                errors=[{"originator": "daxa", "name": type(failure).__name__, "message": str(failure)}],
            )
        take_outcome(run, outcome, piece.folder)
        if run.ok:
            made = {}
            for name, path in node.recipe.files.items():
                found = path if path in run.outputs else _match(path, run.outputs)
                if found:
                    made[name] = {"path": found}
            run.extra = {**made, **node.recipe.settings}
            self._note_calibration(run, node)
        self._record(run, logged=bool(outcome.stdout or outcome.stderr))
        if outcome.timed_out:
            tell(f"{run.process} {run.ident}: {run.errors[-1]['message']}")
        if not run.ok:
            self._fail(node)
            return
        self._close(node, "done")
        self._after(node)

    def _record(self, run: Run, logged: bool = False) -> None:
        self.archive.record(run, write_logs=not logged)
        self.records.note(run)

    def _record_failure(self, node: Node) -> None:
        run = node.run
        assert run is not None
        run.status, run.ended = "failed", now()
        self._record(run)
        self._fail(node)

    def _fail(self, node: Node) -> None:
        assert node.run is not None
        node.why = f"{node.step.name} {node.piece.ident}: {error_text(node.run.errors[0])}"
        self._close(node, "failed")

    def _close(self, node: Node, state: str) -> None:
        node.state = state
        if state in ("done", "failed"):
            self.progress.advance(node.bar)
        else:
            self.progress.expect(node.bar, -1)
        if state in ("failed", "blocked") or node.step.done is None:
            self._release(node)

    def _release(self, node: Node) -> None:
        for dependent in node.dependents:
            self._offer(dependent)
        # What is left of it is how it ended; there may be very many.
        node.run = node.recipe = None
        node.piece.used.clear()

    def _after(self, node: Node) -> None:
        """Take into the archive what a success has revealed."""
        if node.step.done is None:
            return
        run, place = node.run, node.place
        assert run is not None
        known = node.state == "skipped" and self.records.observation(*place)["to_process"] is not None
        try:
            if not known:
                node.step.done(node.piece)
                self.records.forget(*place)
        except Exception as failure:  # an observation that cannot be understood must not stop the others
            error = {"originator": node.step.name, "name": type(failure).__name__, "message": str(failure)}
            run = self.archive.ledger.latest(run.mission, run.process, run.ident) or run
            run.errors.append(error)
            run.status, run.id = "failed", None
            self._record(run, logged=True)
            node.state = "failed"
            node.why = f"{node.step.name} {node.piece.ident}: {error_text(error)}"
        else:
            self._plan(node.piece.mission, node.piece.obs_id, node.order[0])
        self._release(node)

    # -- the end ----------------------------------------------------------------------------

    def _judge(self, mission: str, obs_id: str) -> None:
        """Decide whether anything is left of an observation."""
        names = self.planner.names
        if not any(name in names for name in LAST_STEPS):
            return
        found = [good for p in LAST_STEPS for good in self.records.success(mission, p, obs_id, None, None)]
        success = any(found)
        if "merge_subexposures" not in names and not found:
            return
        if self.records.observation(mission, obs_id)["final_success"] is not success:
            self.archive.judge(mission, obs_id, success)

    def _outdated(self) -> list[str]:
        """What of a single step builds on products that are out of date; whole reductions make all anew."""
        if len(self.planner.steps) > 1:
            return []
        found = stale(self.archive.ledger)
        nodes = [n for n in self.planner.everything() if n.good]
        reasons = [found.get((n.piece.mission.name, n.step.name, n.piece.ident)) for n in nodes]
        reasons = [r for r in reasons if r]
        if not reasons:
            return []
        return [
            f"{nodes[0].step.name}: {len(reasons)} of {len(nodes)} build on what is out of date "
            f"({reasons[0]}); run the steps before it again"
        ]

    def _summarise(self) -> None:
        notes = [*self.planner.notes, *self.kept, *self._outdated()]
        if notes:
            tell("\n".join(notes))
        nodes = self.planner.everything()
        failed = [n for n in nodes if n.state == "failed"]
        if not failed:
            return
        blocked = [n for n in nodes if n.state == "blocked"]
        lines = [f"{len(failed)} of {len(nodes)} jobs failed; everything else was processed:"]
        for node in failed[:20]:
            stopped = sum(n.why == node.why for n in blocked)
            lines.append(f"  {node.why}" + (f" (and {stopped} that build on it)" if stopped else ""))
        if len(failed) > 20:
            lines.append(f"  and {len(failed) - 20} more; see process_errors of the archive")
        tell("\n".join(lines))


_announced: set[str] = set()


def _match(pattern: str, names: dict[str, Any]) -> str | None:
    return next((n for n in names if fnmatchcase(n, pattern)), None)
