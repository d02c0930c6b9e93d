"""Running steps: plan, skip what is done, execute side by side, record.

Every (step, piece of data) is a node of a graph; a node starts as soon as those it needs have ended,
whatever other observations are doing.
"""

from __future__ import annotations

import heapq
import logging
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daxa.archive.archive import Archive, recordable
from daxa.archive.ledger import Run
from daxa.archive.views import error_text
from daxa.backend import launch
from daxa.backend.contract import Job, Outcome
from daxa.backend.runner import run_job
from daxa.backend.select import select_backend
from daxa.exceptions import NoDependencyProcessError, NoValidMissionsError
from daxa.process.arguments import check_cores, check_timeout
from daxa.process.progress import Progress
from daxa.process.recording import complete, fingerprint, now, take_outcome, versions
from daxa.process.step import Options, Piece, Recipe, Step
from daxa.trust import TRUST

if TYPE_CHECKING:
    from daxa.mission import BaseMission

log = logging.getLogger("daxa")

#: The step after which an observation is judged, by the instruments' family.
LAST_STEPS = ("merge_subexposures", "cleaned_rgs_event_lists")
_executor: ContextVar[Executor | None] = ContextVar("executor", default=None)


@contextmanager
def use_executor(executor: Executor) -> Iterator[None]:
    """Run the jobs of the steps called inside on an executor, e.g. that of a Dask cluster.

    The archive and the raw data must be reachable under the same paths where the jobs run.
    """
    token = _executor.set(executor)
    try:
        yield
    finally:
        _executor.reset(token)


@dataclass
class _Node:
    step: Step
    options: Options
    piece: Piece
    order: tuple[int, int]
    needs: list[_Node] = field(default_factory=list)
    dependents: list[_Node] = field(default_factory=list)
    state: str = "waiting"
    why: str = ""
    run: Run | None = None
    recipe: Recipe | None = None

    @property
    def ended(self) -> bool:
        return self.state in ("done", "skipped", "failed", "blocked")

    @property
    def good(self) -> bool:
        return self.state in ("done", "skipped")

    @property
    def bar(self) -> str:
        return f"{self.piece.mission.pretty_name} - {self.step.message}"


def run_steps(
    archive: Archive,
    steps: Sequence[tuple[Step, Options]],
    missions: Sequence[str],
    *,
    num_cores: int | None = None,
    disable_progress: bool = False,
    timeout: Any = None,
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
    num_cores
        Jobs at once; the configured number by default.
    disable_progress
        No progress bars, no messages.
    timeout
        Time limit of each job, a quantity.

    Raises
    ------
    NoValidMissionsError
        The archive has no such mission.
    NoDependencyProcessError
        Nothing that the steps build on is there.
    """
    if not isinstance(archive, Archive):
        raise TypeError(f"obs_archive: expected an Archive, got {type(archive).__name__}")
    cores, limit_s = check_cores(num_cores), check_timeout(timeout)
    chosen = [m for m in archive.missions if m.name in missions]
    if not chosen:
        raise NoValidMissionsError(
            f"{steps[0][0].name}: works on {', '.join(missions)}; the archive {archive.archive_name} has "
            f"{', '.join(archive.mission_names)}"
        )
    backend = select_backend()
    with archive.processing():
        runner = _Runner(archive, steps, backend, cores, limit_s, disable_progress)
        runner.run(chosen)
    archive.save()


class _Runner:
    def __init__(
        self,
        archive: Archive,
        steps: Sequence[tuple[Step, Options]],
        backend: str,
        cores: int,
        limit_s: float | None,
        quiet: bool,
    ) -> None:
        self.archive = archive
        self.steps = list(steps)
        self.names = {step.name for step, _ in steps}
        self.backend = backend
        self.cores = cores
        self.limit_s = limit_s
        self.progress = Progress(quiet)
        self.nodes: dict[str, list[_Node]] = {}
        self.expanded: set[str] = set()
        self.running: dict[Future[Outcome], _Node] = {}
        self.ready: list[tuple[tuple[int, int], int, _Node]] = []
        self.count = 0
        self.notes: list[str] = []
        self.versions = versions(backend)

    # -- the graph --------------------------------------------------------------------------

    def run(self, missions: list[BaseMission]) -> None:
        judged = any(name in self.names for name in LAST_STEPS)
        observations = [(m, str(o)) for m in missions for o in m.filtered_obs_ids]
        if any(step.name != "generate_images_expmaps" for step, _ in self.steps):
            for mission, obs_id in observations:
                self.archive.reopen_observation(mission.name, obs_id)
        for number, (mission, obs_id) in enumerate(observations):
            self._plan(mission, obs_id, number)
        self._check_something_to_do(missions)
        for mission in missions:
            for step, options in self.steps:
                self.archive.ledger.set_configuration(mission.name, step.name, recordable(options))
        own = None
        executor = _executor.get()
        try:
            if executor is None:
                own = executor = ThreadPoolExecutor(self.cores)
            self._loop(executor, bounded=own is not None)
        except BaseException:
            for future in self.running:
                future.cancel()
            while own is not None and any(f.running() for f in self.running):
                launch.shut_down()
                wait(self.running, timeout=0.2)
            self.archive.ledger.interrupt_all()
            raise
        finally:
            self.progress.close()
            if own is not None:
                own.shutdown()
        if judged:
            for mission in missions:
                if not mission.processed:
                    mission.processed = True
                mission.save(self.archive.layout.save_info)
        self._summarise()

    def _announce(self) -> None:
        """Say once which back-end works."""
        text = "DAXA: tasks are run by SAS"
        if self.backend != "sas":
            text = f"DAXA: tasks are run by the embedded engine\n{TRUST}"
        if self.backend not in _announced:
            _announced.add(self.backend)
            log.info(text)
            self.progress.say(text)

    def _plan(self, mission: BaseMission, obs_id: str, number: int) -> None:
        """Make an observation's nodes, as far as its content is known."""
        key = f"{mission.name}/{obs_id}"
        nodes = self.nodes.setdefault(key, [])
        known = self.archive.ledger.observation(mission.name, obs_id)["to_process"]
        ingesting = "odf_ingest" in self.names
        for position, (step, options) in enumerate(self.steps):
            if step.scope == "observation":
                if key not in self.expanded:
                    self._add(nodes, step, options, Piece(self.archive, mission, obs_id), (number, position))
                continue
            if known is None or (ingesting and key not in self.expanded):
                continue
            for inst, exposures in known.items():
                if inst not in step.instruments:
                    continue
                if step.scope == "instrument":
                    pieces = [Piece(self.archive, mission, obs_id, inst)]
                else:
                    pieces = [
                        Piece(self.archive, mission, obs_id, inst, e) for e, use in exposures.items() if use
                    ]
                for piece in pieces:
                    self._add(nodes, step, options, piece, (number, position))
        self.expanded.add(key)

    def _add(
        self, nodes: list[_Node], step: Step, options: Options, piece: Piece, order: tuple[int, int]
    ) -> None:
        note = step.note(piece, options)
        if note and note not in self.notes:
            # What was processed before was told then.
            last = self.archive.ledger.latest(piece.mission.name, step.name, piece.ident)
            if last is None or not last.ok:
                self.notes.append(note)
        if not step.wants(piece, options):
            return
        node = _Node(step, options, piece, order)
        for name in step.needs(piece.inst, options):
            inside = [n for n in nodes if n.step.name == name and _related(n.piece, piece)]
            node.needs += inside
            # What was left out on purpose, e.g. an unscheduled exposure, is left out of later steps too.
            if not inside and not self._recorded(name, piece):
                return
        nodes.append(node)
        for need in node.needs:
            need.dependents.append(node)
        self.progress.expect(node.bar, 1)
        self._offer(node)

    def _offer(self, node: _Node) -> None:
        """Queue a node whose needs have all ended; earlier observations go first."""
        if node.state == "waiting" and all(n.ended for n in node.needs):
            node.state = "ready"
            self.count += 1
            heapq.heappush(self.ready, (node.order, self.count, node))

    def _recorded(self, process: str, piece: Piece) -> bool:
        """Whether the ledger has a run of a process on the same data, successful or not."""
        ledger, mission = self.archive.ledger, piece.mission.name
        idents = [piece.ident, f"{piece.obs_id}{piece.inst}", piece.obs_id]
        if any(ledger.latest(mission, process, ident) for ident in idents):
            return True
        if piece.exp_id is None:
            runs = ledger.runs(
                mission=mission, process=process, obs_id=piece.obs_id, inst=piece.inst, logs=False
            )
            return next(iter(runs), None) is not None
        return False

    def _check_something_to_do(self, missions: list[BaseMission]) -> None:
        """Tell a caller whose step can do nothing, or only a part, why."""
        if len(self.steps) > 1:
            return
        step, options = self.steps[0]
        nodes = [n for group in self.nodes.values() for n in group]
        for mission in missions:
            instruments: list[str | None] = [i for i in mission.chosen_instruments if i in step.instruments]
            if step.instruments and not instruments:
                warnings.warn(
                    f"{step.name}: no {' or '.join(step.instruments)} chosen for {mission.pretty_name}: "
                    "nothing to do",
                    stacklevel=5,
                )
                continue
            unrun = {}
            for inst in instruments or [None]:
                needs = step.needs(inst, options)
                missing = [n for n in needs if not self.archive.ledger.has_run(mission.name, n)]
                if missing:
                    unrun[inst] = missing
                if missing and len(missing) < len(needs):
                    raise NoDependencyProcessError(
                        f"{step.name}: {' and '.join(missing)} must be run on {mission.name} first"
                    )
            names = list(dict.fromkeys(n for missing in unrun.values() for n in missing))
            if unrun and len(unrun) == len(instruments or [None]):
                raise NoDependencyProcessError(
                    f"{step.name}: {' and '.join(names)} must be run on {mission.name} first"
                )
            if unrun:
                warnings.warn(
                    f"{step.name}: {', '.join(map(str, unrun))} left out: "
                    f"{' and '.join(names)} has not been run",
                    stacklevel=5,
                )
            wanted = list(dict.fromkeys(n for i in instruments or [None] for n in step.needs(i, options)))
            # If nothing is left because of what the exposures are, the notes say so.
            if self.notes and not nodes:
                continue
            if wanted and not any(n.piece.mission is mission and self._satisfied(n) for n in nodes):
                raise NoDependencyProcessError(
                    f"{step.name}: {' and '.join(wanted)} succeeded for none of the {mission.name} data"
                )

    # -- execution --------------------------------------------------------------------------

    def _loop(self, executor: Executor, bounded: bool) -> None:
        while True:
            self._start_ready(executor, bounded)
            if not self.running:
                break
            finished, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in finished:
                self._end(self.running.pop(future), future)
        for key, nodes in self.nodes.items():
            self._judge(key, nodes)

    def _start_ready(self, executor: Executor, bounded: bool) -> None:
        while self.ready and not (bounded and len(self.running) >= self.cores):
            _, _, node = heapq.heappop(self.ready)
            if self._satisfied(node):
                self._start(node, executor)
                continue
            bad = [n for n in node.needs if not n.good]
            node.why = bad[0].why if bad else "what it needs failed in an earlier call"
            self._close(node, "blocked")

    def _satisfied(self, node: _Node) -> bool:
        """Whether what a node needs is there, from this call or an earlier one."""
        results = []
        for need in node.step.needs(node.piece.inst, node.options):
            inside = [n for n in node.needs if n.step.name == need]
            if inside:
                results += [n.good for n in inside]
                continue
            idents = (node.piece.ident, f"{node.piece.obs_id}{node.piece.inst}", node.piece.obs_id)
            found = [
                r for i in idents if (r := self.archive.ledger.latest(node.piece.mission.name, need, i))
            ][:1]
            if not found and node.piece.exp_id is None:
                found = list(
                    self.archive.ledger.runs(
                        mission=node.piece.mission.name,
                        process=need,
                        obs_id=node.piece.obs_id,
                        inst=node.piece.inst,
                        logs=False,
                    )
                )
            results += [r.ok for r in found] or [False]
        # What is made of several parts is made of those that there are.
        return all(results) if node.step.scope == "exposure" else any(results) or not results

    def _start(self, node: _Node, executor: Executor) -> None:
        piece = node.piece
        piece.used.clear()
        run = node.run = Run(
            node.step.name,
            piece.ident,
            piece.mission.name,
            piece.obs_id,
            piece.inst,
            piece.exp_id,
            backend=node.step.backend or self.backend,
            config=recordable(node.options),
            versions=self.versions,
            started=now(),
        )
        try:
            recipe = node.recipe = node.step.recipe(piece, node.options)
        except Exception as failure:  # one piece that cannot be planned must not stop the others
            log.debug("planning %s %s", node.step.name, piece.ident, exc_info=True)
            run.errors.append(
                {"originator": node.step.name, "name": type(failure).__name__, "message": str(failure)}
            )
            self._record_failure(node)
            return
        run.tasks = [(t.name, t.parameters) for t in recipe.tasks]
        run.fingerprint = fingerprint(recipe, piece)
        last = self.archive.ledger.latest(run.mission, run.process, run.ident)
        if last is not None and last.ok and last.fingerprint == run.fingerprint and complete(last, piece):
            node.run = last
            self._close(node, "skipped")
            self._after(node)
            return
        folder = piece.folder
        job = Job(
            piece.ident,
            recipe.tasks,
            {name: folder / path for name, path in recipe.outputs.items()},
            env=recipe.env,
            optional=recipe.optional,
            shared=recipe.shared,
            inputs=recipe.inputs,
            timeout_s=self.limit_s,
            backend=node.step.backend or self.backend,
            scratch=self.archive.layout.scratch,
        )
        self._announce()
        self.progress.begin(node.bar)
        self.archive.ledger.start(run)
        node.state = "running"
        self.running[executor.submit(run_job, job)] = node

    def _end(self, node: _Node, future: Future[Outcome]) -> None:
        run, piece = node.run, node.piece
        assert run is not None
        assert node.recipe is not None
        try:
            outcome = future.result()
        except Exception as failure:  # the executor lost the job; the others go on
            outcome = Outcome(
                piece.ident,
                False,
                errors=[{"originator": "daxa", "name": type(failure).__name__, "message": str(failure)}],
            )
        take_outcome(run, outcome, piece.folder)
        if outcome.ok:
            made = {}
            for name, path in node.recipe.files.items():
                found = path if path in run.outputs else _match(path, run.outputs)
                if found:
                    made[name] = {"path": found}
            run.extra = {**made, **node.recipe.settings}
        self.archive.record(run)
        if outcome.timed_out:
            warnings.warn(f"{run.process} {run.ident}: {run.errors[-1]['message']}", stacklevel=6)
        if not outcome.ok:
            self._fail(node)
            return
        self._close(node, "done")
        self._after(node)

    def _record_failure(self, node: _Node) -> None:
        run = node.run
        assert run is not None
        run.status, run.ended = "failed", now()
        self.archive.record(run)
        self._fail(node)

    def _fail(self, node: _Node) -> None:
        assert node.run is not None
        node.why = f"{node.step.name} {node.piece.ident}: {error_text(node.run.errors[0])}"
        self._close(node, "failed")

    def _close(self, node: _Node, state: str) -> None:
        node.state = state
        if state in ("done", "failed"):
            self.progress.advance(node.bar)
        else:
            self.progress.expect(node.bar, -1)
        if state == "failed" or node.step.done is None:
            self._release(node)

    def _release(self, node: _Node) -> None:
        for dependent in node.dependents:
            self._offer(dependent)

    def _after(self, node: _Node) -> None:
        """Take into the archive what a success has revealed."""
        if node.step.done is None:
            return
        assert node.run is not None
        try:
            node.step.done(node.piece)
        except Exception as failure:  # an observation that cannot be understood must not stop the others
            error = {"originator": node.step.name, "name": type(failure).__name__, "message": str(failure)}
            node.run.errors.append(error)
            node.run.status, node.run.id = "failed", None
            self.archive.record(node.run)
            node.state = "failed"
            node.why = f"{node.step.name} {node.piece.ident}: {error_text(error)}"
        else:
            self._plan(node.piece.mission, node.piece.obs_id, node.order[0])
        self._release(node)

    # -- the end ----------------------------------------------------------------------------

    def _judge(self, key: str, nodes: list[_Node]) -> None:
        """Decide whether anything is left of an observation."""
        if not any(name in self.names for name in LAST_STEPS):
            return
        mission, obs_id = key.split("/")
        runs = [
            r
            for process in LAST_STEPS
            for r in self.archive.ledger.runs(mission=mission, process=process, obs_id=obs_id, logs=False)
        ]
        success = any(r.ok for r in runs)
        if self.names.isdisjoint({"merge_subexposures"}) and not runs:
            return
        self.archive.final_process_success = {mission: {obs_id: success}}

    def _summarise(self) -> None:
        if self.notes:
            warnings.warn("\n".join(self.notes), stacklevel=5)
        nodes = [n for group in self.nodes.values() for n in group]
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
        warnings.warn("\n".join(lines), stacklevel=5)


_announced: set[str] = set()


def _related(need: Piece, piece: Piece) -> bool:
    """Whether a piece that is needed covers, or is part of, the one that needs it."""
    if need.inst is None or piece.inst is None:
        return True
    return need.inst == piece.inst and (
        need.exp_id is None or piece.exp_id is None or need.exp_id == piece.exp_id
    )


def _match(pattern: str, names: dict[str, Any]) -> str | None:
    from fnmatch import fnmatchcase

    return next((n for n in names if fnmatchcase(n, pattern)), None)
