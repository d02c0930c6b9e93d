"""How far a call is: jobs by step and by observation, and how long the rest takes by what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from daxa.process.graph import Node


@dataclass
class StepCount:
    """The jobs of a step.

    Attributes
    ----------
    total
        Those that run, as far as they are known.
    warned
        Those of the done ones that have warned, of more than stand-ins for calibration.
    seconds
        What those took that have ended.
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    warned: int = 0
    seconds: float = 0.0
    told: bool = False

    @property
    def ended(self) -> int:
        """Those that have run."""
        return self.done + self.failed


@dataclass
class ObservationCount:
    """The jobs of an observation: those that have not ended, those that failed, and what it holds by step."""

    left: int = 0
    failed: int = 0
    ran: int = 0
    by_step: Counter[str] = field(default_factory=Counter)
    opened: bool = False
    told: bool = False


class Tally:
    """Counts of jobs; totals change while observations reveal what they hold.

    Parameters
    ----------
    cores
        Jobs at once.
    known
        Step -> what a job of it took in earlier calls [s].
    """

    def __init__(self, cores: int, known: Mapping[str, float] | None = None) -> None:
        self.cores = cores
        self.known = dict(known or {})
        self.steps: dict[str, StepCount] = {}
        self.observations: dict[tuple[str, str], ObservationCount] = {}
        #: Job that runs -> when it began.
        self.running: dict[int, tuple[Node, float]] = {}
        self._opens = False

    def expect(self, node: Node) -> None:
        """Count a job that may run.

        Parameters
        ----------
        node
            The job.
        """
        self.steps.setdefault(node.step.name, StepCount()).total += 1
        place = self.observations.setdefault(node.place, ObservationCount())
        place.left += 1
        place.by_step[node.step.name] += 1
        place.opened |= node.step.scope != "observation"
        self._opens |= node.step.done is not None

    def begin(self, node: Node, now: float) -> None:
        """Note that a job runs.

        Parameters
        ----------
        node
            The job.
        now
            The time [s].
        """
        self.running[id(node)] = node, now

    def end(self, node: Node, now: float) -> None:
        """Note that nothing more happens to a job.

        Parameters
        ----------
        node
            The job, with how it ended.
        now
            The time [s].
        """
        step, place = self.steps[node.step.name], self.observations[node.place]
        _, began = self.running.pop(id(node), (node, now))
        place.left -= 1
        if node.state in ("done", "failed"):
            step.seconds += now - began
            place.ran += 1
            step.done += node.state == "done"
            step.failed += node.state == "failed"
            step.warned += node.state == "done" and node.run is not None and node.run.warned
            place.failed += node.state == "failed"
        else:
            step.total -= 1
            step.skipped += node.state == "skipped"

    @property
    def total(self) -> int:
        """Jobs that run, as far as they are known."""
        return sum(step.total for step in self.steps.values())

    @property
    def ended(self) -> int:
        """Jobs that have run."""
        return sum(step.ended for step in self.steps.values())

    @property
    def failed(self) -> int:
        """Jobs that have failed."""
        return sum(step.failed for step in self.steps.values())

    def left_s(self, now: float) -> float | None:
        """How long the rest takes [s], as far as jobs of every step that is left have been measured.

        What observations hold that are not opened yet is taken from those that are.

        Parameters
        ----------
        now
            The time [s].
        """
        opened = [o for o in self.observations.values() if o.opened]
        closed = [o for o in self.observations.values() if not o.opened] if self._opens else []
        if closed and not opened:
            return None
        left, jobs = 0.0, 0.0
        running = Counter(node.step.name for node, _ in self.running.values())
        for name, step in self.steps.items():
            waiting = float(step.total - step.ended - running[name])
            if closed:
                usual = sum(o.by_step[name] for o in opened) / len(opened)
                waiting += sum(max(0.0, usual - o.by_step[name]) for o in closed)
            if not waiting and not running[name]:
                continue
            mean = step.seconds / step.ended if step.ended else self.known.get(name)
            if mean is None:
                return None
            begun = [now - began for node, began in self.running.values() if node.step.name == name]
            left += waiting * mean + sum(max(0.0, mean - s) for s in begun)
            jobs += waiting + len(begun)
        return left / max(1.0, min(self.cores, jobs))
