"""Running steps: skip what is done, execute side by side, record.

Every (step, piece of data) is a node of a graph; a node starts as soon as those it needs have ended,
whatever other observations are doing.
"""

from __future__ import annotations

import heapq
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from daxa import config
from daxa.archive.archive import Archive
from daxa.archive.run import Run
from daxa.archive.views import error_text
from daxa.backend import launch
from daxa.backend.contract import Job, Outcome
from daxa.backend.releases import refuse_absent
from daxa.backend.runner import run_job
from daxa.backend.select import why_no_sas
from daxa.backend.software import SOFTWARE, require
from daxa.exceptions import DAXAError, DAXANotDownloadedError, NoValidMissionsError
from daxa.process.done import satisfied, still_good, why_again
from daxa.process.graph import Node
from daxa.process.lending import lend, sweep, take_back
from daxa.process.options import Running
from daxa.process.planning import Planner
from daxa.process.preparing import job_of, prepare, run_of
from daxa.process.progress import Progress
from daxa.process.recording import error_of, now, seen_by, take_made, take_outcome
from daxa.process.records import Records
from daxa.process.settings import Settings, settings_of
from daxa.process.step import Planned
from daxa.process.summary import ends_with, judge, note_plan, summarise
from daxa.process.tell import tell
from daxa.trust import TRUST

if TYPE_CHECKING:
    from daxa.mission import BaseMission

log = logging.getLogger("daxa")
#: How often the number of pieces is told while jobs run.
_NOTE_S = 10.0
#: Jobs that are handed to an executor at a time: more than it has workers, so that none waits and a cluster
#: sees that it may grow, and few enough that observations are finished one after the other.
_MOST_ELSEWHERE = 1000


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
    SASVersionError
        The release of SAS lacks a task.
    BackendSoftwareError
        The software that a step calls is absent.
    """
    if not isinstance(archive, Archive):
        raise TypeError(
            f"obs_archive: expected an Archive, got {type(archive).__name__}; "
            "daxa.Archive(NAME, mission) makes one"
        )
    chosen = [m for m in archive.missions if m.name in missions]
    if not chosen:
        raise NoValidMissionsError(
            f"{steps[0][0].name}: works on {', '.join(missions)}; the archive {archive.archive_name} has "
            f"{', '.join(archive.mission_names)}"
        )
    require((step.name, step.backend or "") for step, _ in steps)
    with settings_of(running, [step.backend for step, _ in steps]) as settings, archive.processing():
        if settings.backend == "sas":
            # Known by the name of the step, which is that of its task; better now than after hours.
            refuse_absent((step.name for step, _ in steps), settings.versions["sas"]["sas"])
        _Runner(archive, steps, settings).run(chosen)
    archive.save()


class _Runner:
    """One call: its graph, the jobs that run, and what comes of them."""

    def __init__(self, archive: Archive, steps: Sequence[Planned], settings: Settings) -> None:
        self.archive = archive
        self.settings = settings
        self.records = Records(archive)
        self.planner = Planner(archive, steps, self.records)
        self.progress = Progress(settings.quiet, settings.cores, self._measured)
        self.running: dict[Future[Outcome], Node] = {}
        self.lent: dict[Future[Outcome], Job] = {}
        #: Folders that jobs elsewhere have put files into.
        self.published: set[Path] = set()
        self.ready: list[tuple[tuple[int, int], int, Node]] = []
        self.count = 0
        self.kept: list[str] = []
        self.noted = 0.0

    def run(self, missions: list[BaseMission]) -> None:
        planner, ledger = self.planner, self.archive.ledger
        observations = [(m, str(o)) for m in missions for o in m.filtered_obs_ids]
        for number, (mission, obs_id) in enumerate(observations):
            self._plan(mission, obs_id, number)
        planner.check_something_to_do(missions)
        for mission in missions:
            for step, options in planner.steps:
                ledger.set_configuration(mission.name, step.name, options.recorded())
        self._note_plan()
        self._execute()
        for mission in missions:
            if ends_with(mission.name, planner.names):
                if not mission.processed:
                    mission.processed = True
                mission.save(self.archive.layout.save_info)
        summarise(planner, self.kept)

    def _plan(self, mission: BaseMission, obs_id: str, number: int) -> None:
        for node in self.planner.plan(mission, obs_id, number):
            self.progress.expect(node)
            self._offer(node)

    def _offer(self, node: Node) -> None:
        """Queue a node whose needs have all ended; earlier observations go first."""
        if node.state == "waiting" and all(n.ended for n in node.needs):
            node.state = "ready"
            self.count += 1
            heapq.heappush(self.ready, (node.order, self.count, node))

    # -- running ----------------------------------------------------------------------------

    def _execute(self) -> None:
        own = None
        executor = self.settings.executor
        try:
            if executor is None:
                own = executor = ThreadPoolExecutor(self.settings.cores)
            self._loop(executor, _MOST_ELSEWHERE if own is None else self.settings.cores)
        except BaseException:
            self._stop()
            raise
        finally:
            self.progress.close()
            if own is not None:
                own.shutdown()

    def _loop(self, executor: Executor, most: int) -> None:
        while True:
            self._start_ready(executor, most)
            self.progress.settle()
            if not self.running:
                break
            finished, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in finished:
                self._end(self.running.pop(future), future)
            if time.monotonic() > self.noted + _NOTE_S:
                self._note_plan()
        sweep(self.published)
        self._note_plan()
        for mission, obs_id in self.planner.nodes:
            judge(self.planner, mission, obs_id)

    def _stop(self) -> None:
        """End what runs here, and wait for what runs elsewhere: it may be about to publish its files."""
        for future in self.running:
            future.cancel()
        for job in self.lent.values():
            take_back(job)
        told = False
        while left := [f for f in self.running if not f.done()]:
            launch.shut_down()
            if wait(left, timeout=0.2).not_done and self.settings.executor is not None and not told:
                told = True
                log.warning("waiting for %d jobs that run elsewhere and cannot be stopped", len(left))
        with suppress(DAXAError):  # the next call does it; what went wrong before is what is to be told
            self.archive.interrupt()
            self._note_plan()

    def _start_ready(self, executor: Executor, most: int) -> None:
        while self.ready and len(self.running) < most:
            _, _, node = heapq.heappop(self.ready)
            if satisfied(node):
                self._start(node, executor)
                continue
            bad = [n for n in node.needs if not n.good]
            node.why = bad[0].why if bad else "what it needs failed in an earlier call"
            self._close(node, "blocked")

    def _start(self, node: Node, executor: Executor) -> None:
        """Submit the job of a node, unless it is done or cannot be planned."""
        run = node.run = run_of(node, self.settings)
        last = self.records.latest(run.mission, run.process, run.ident, run.obs_id)
        try:
            named = prepare(node, run)
        except Exception as failure:  # one piece that cannot be planned must not stop the others
            log.debug("planning %s %s", run.process, run.ident, exc_info=True)
            self._not_planned(node, run, last, failure)
            return
        why = why_again(run, last, node.piece, self.settings.redo)
        if not why:
            self._skip(node, last)
            return
        log.debug("%s %s: %s", run.process, run.ident, why)
        assert node.recipe is not None
        self.planner.tell_once(node.recipe.notes)
        job = job_of(node, run, named, self.settings)
        run.job = seen_by(job, node.piece.folder)
        self._announce(run.backend)
        self.progress.begin(node)
        self.archive.ledger.start(run)
        node.state = "running"
        self.running[self._submitted(executor, job, run.process)] = node

    def _submitted(self, executor: Executor, job: Job, process: str) -> Future[Outcome]:
        """Hand a job to the executor; one that runs elsewhere with all that it needs."""
        elsewhere = self.settings.executor is not None
        if elsewhere:
            lend(job, process, self.settings.environment[job.backend])
        try:
            future = executor.submit(run_job, job)
        except Exception as failure:  # e.g. a pool of processes one of which was killed
            raise DAXAError(
                f"the executor takes no more jobs ({type(failure).__name__}: {failure}); "
                "the same call, with a new one, goes on"
            ) from failure
        if elsewhere:
            self.lent[future] = job
            self.published.update(path.parent for path in job.outputs.values())
        return future

    def _not_planned(self, node: Node, run: Run, last: Run | None, failure: Exception) -> None:
        """Record that a piece cannot be processed; what was made of raw data that are away is kept."""
        away = isinstance(failure, DAXANotDownloadedError)
        if away and still_good(last, node.piece, self.settings.redo):
            text = f"{node.piece.obs_id}: {failure}; what was made of its raw data is kept"
            if text not in self.kept:
                self.kept.append(text)
            self._skip(node, last)
            return
        run.errors.append(error_of(run.process, failure))
        run.status, run.ended = "failed", now()
        self._record(run)
        self._fail(node, run)

    def _end(self, node: Node, future: Future[Outcome]) -> None:
        """Record how the job of a node ended, and go on with what builds on it."""
        run, piece, recipe = node.run, node.piece, node.recipe
        assert run is not None
        assert recipe is not None
        self.archive.check_there()
        try:
            outcome = future.result()
        except Exception as failure:  # the executor lost the job; the others go on
            outcome = Outcome(piece.ident, False, errors=[error_of("daxa", failure)])
        if (job := self.lent.pop(future, None)) is not None:
            take_back(job)
        take_outcome(run, outcome, piece.folder)
        if run.ok:
            take_made(run, recipe, piece)
        self._record(run, logged=bool(outcome.stdout or outcome.stderr))
        if outcome.timed_out:
            tell(f"{run.process} {run.ident}: {run.errors[-1]['message']}")
        if not run.ok:
            self._fail(node, run)
            return
        self._close(node, "done")
        self._after(node)

    # -- how nodes end ----------------------------------------------------------------------

    def _record(self, run: Run, logged: bool = False) -> None:
        self.archive.record(run, write_logs=not logged)
        self.records.note(run)

    def _skip(self, node: Node, last: Run | None) -> None:
        node.run = last
        self._close(node, "skipped")
        self._after(node)

    def _fail(self, node: Node, run: Run) -> None:
        node.why = f"{run.process} {run.ident}: {error_text(run.errors[0])}"
        self._close(node, "failed")

    def _close(self, node: Node, state: str) -> None:
        node.state = state
        self.progress.end(node)
        if state in ("failed", "blocked") or node.step.done is None:
            self._release(node)

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
            error = error_of(node.step.name, failure)
            run = self.archive.ledger.latest(run.mission, run.process, run.ident) or run
            run.errors.append(error)
            run.status, run.id = "failed", None
            self._record(run, logged=True)
            node.state = "failed"
            node.why = f"{node.step.name} {node.piece.ident}: {error_text(error)}"
        else:
            self._plan(node.piece.mission, node.piece.obs_id, node.order[0])
        self._release(node)

    def _release(self, node: Node) -> None:
        for dependent in node.dependents:
            self._offer(dependent)
        # What is left of it is how it ended; there may be very many.
        node.run = node.recipe = None
        node.piece.used.clear()

    # -- what others see --------------------------------------------------------------------

    def _announce(self, backend: str) -> None:
        """Say once which back-end works."""
        versions = self.settings.versions[backend]
        if backend in SOFTWARE:
            text = f"DAXA: programs of {SOFTWARE[backend].title} are run ({versions[backend]})"
        elif backend == "python":
            return
        elif backend == "sas":
            text = f"DAXA: tasks are run by SAS ({versions['sas']})"
        else:
            # Somebody who has begun to set SAS up wants to know why it is not taken.
            broken = config.backend() == "auto" and os.environ.get("SAS_DIR")
            why = f", not by SAS: {why_no_sas()}" if broken else ""
            text = f"DAXA: tasks are run by the embedded engine{why}\n{TRUST}"
        if backend not in _announced:
            _announced.add(backend)
            log.info(text)
            self.progress.say(text)

    def _measured(self) -> dict[str, float]:
        """What a job of each step took in earlier calls [s]."""
        totals = [(t, t["done"] + t["failed"]) for t in self.archive.ledger.totals()]
        return {total["process"]: total["wall_s"] / number for total, number in totals if number}

    def _note_plan(self) -> None:
        note_plan(self.archive, self.planner.everything())
        self.noted = time.monotonic()


_announced: set[str] = set()
