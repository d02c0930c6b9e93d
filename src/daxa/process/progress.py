"""What is told of a call while it runs: a bar in a terminal, elsewhere a line per finished step."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from daxa.plain import duration, plain_text
from daxa.process.graph import Node
from daxa.process.tally import StepCount, Tally


class Shown(Protocol):
    """A way of showing a tally."""

    def update(self) -> None:
        """Show how things stand now."""

    def say(self, text: str) -> None:
        """Print a line.

        Parameters
        ----------
        text
            The line.
        """

    def close(self) -> None:
        """Show nothing more."""


class Progress:
    """Counts jobs and shows them.

    Parameters
    ----------
    disable
        Whether nothing is shown.
    cores
        Jobs at once.
    known
        Step -> what a job of it took in earlier calls [s]; asked for only if it is shown.
    clock
        Tells the time [s].
    """

    def __init__(
        self,
        disable: bool,
        cores: int = 1,
        known: Callable[[], Mapping[str, float]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.disable = disable
        self._clock = clock
        self._lock = threading.Lock()
        self.tally = Tally(cores, {} if disable else known())
        self._shown: Shown | None = None

    def expect(self, node: Node) -> None:
        """Count a job that may run.

        Parameters
        ----------
        node
            The job.
        """
        with self._lock:
            self.tally.expect(node)

    def begin(self, node: Node) -> None:
        """Note that a job runs.

        Parameters
        ----------
        node
            The job.
        """
        with self._lock:
            self.tally.begin(node, self._clock())
        self._display()

    def end(self, node: Node) -> None:
        """Note that nothing more happens to a job.

        Parameters
        ----------
        node
            The job, with how it ended.
        """
        with self._lock:
            self.tally.end(node, self._clock())

    def settle(self) -> None:
        """Show how things stand, after all that is known to have ended was counted."""
        if self._shown is not None:
            self._shown.update()

    def say(self, text: str) -> None:
        """Print a line without disturbing the bar, and as this does to standard error.

        Parameters
        ----------
        text
            The line.
        """
        if not self.disable:
            self._display().say(plain_text(text))

    def close(self) -> None:
        """Show nothing more."""
        skipped = sum(step.skipped for step in self.tally.steps.values())
        if skipped and not self.tally.total:
            self.say(f"nothing to do: {skipped} job{'s' * (skipped != 1)} done before")
        if self._shown is not None:
            self._shown.update()
            self._shown.close()

    def words(self, room: int = 10_000) -> list[str]:
        """How things stand, in one line, and which jobs run in another.

        Parameters
        ----------
        room
            Characters of a line.
        """
        with self._lock:
            tally = self.tally
            text = f"{tally.ended} of {tally.total} jobs"
            if tally.failed:
                text += f", {tally.failed} failed"
            left = tally.left_s(self._clock())
            if left is not None and tally.running:
                text += f", about {duration(max(1.0, round(left)))} left"
            return [text, running_words([node for node, _ in tally.running.values()], room)]

    def _display(self) -> Shown:
        if self._shown is None:
            self._shown = _Nothing() if self.disable else _way(self)
        return self._shown


def running_words(nodes: list[Node], room: int) -> str:
    """Which jobs run, as many as have room.

    Parameters
    ----------
    nodes
        The jobs.
    room
        Characters.
    """
    text = ""
    for number, node in enumerate(nodes):
        piece = node.piece
        name = " ".join(filter(None, (node.step.name, piece.obs_id, piece.inst, piece.exp_id)))
        more = f" and {len(nodes) - number} more"
        longer = f"{text}, {name}" if text else name
        if text and len(longer) + (len(more) if number < len(nodes) - 1 else 0) > room:
            return text + more
        text = longer
    return text


class _Nothing:
    def update(self) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


def _way(progress: Progress) -> Shown:
    """The way of showing that fits to where standard error goes."""
    if "ipykernel" in sys.modules:
        try:
            import ipywidgets  # noqa: F401
        except ImportError:
            return Lines(progress.tally)
        return _Widget(progress)
    return _Terminal(progress) if sys.stderr.isatty() else Lines(progress.tally)


class Lines:
    """One line for each step and each observation that has come to its end.

    Parameters
    ----------
    tally
        What is told.
    """

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def update(self) -> None:
        """Tell what has ended since."""
        several = len(self.tally.observations) > 1
        for (_, obs_id), place in self.tally.observations.items():
            if several and place.ran and not place.left and not place.told:
                place.told = True
                ended = sum(not o.left for o in self.tally.observations.values())
                failed = f", {place.failed} failed" if place.failed else ""
                jobs = f"{place.ran} job{'s' * (place.ran != 1)}"
                self.say(f"{obs_id}: {jobs} done{failed} ({ended} of {len(self.tally.observations)})")
        for name, step in self.tally.steps.items():
            if step.ended < step.total:
                return  # what later ones have to do is not known yet
            if step.ended and not step.told:
                step.told = True
                self.say(step_line(name, step))

    def say(self, text: str) -> None:
        """Print a line.

        Parameters
        ----------
        text
            The line.
        """
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is left to be done."""


def step_line(name: str, step: StepCount) -> str:
    """What has become of a step.

    Parameters
    ----------
    name
        Name of the step.
    step
        Its jobs.
    """
    warned = f", {step.warned} with warnings" if step.warned else ""
    return f"{name}: {step.done} done, {step.failed} failed{warned}, {duration(step.seconds)}"


class _Terminal:
    """A bar with what runs below it, drawn anew several times a second."""

    def __init__(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.live import Live

        self.progress = progress
        self.console = Console(stderr=True)
        self.live = Live(
            get_renderable=self._drawn, console=self.console, refresh_per_second=4, transient=True
        )
        self.live.start()

    def _drawn(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        first, second = self.progress.words(self.console.width - 1)
        tally = self.progress.tally
        row = Table.grid(padding=(0, 1))
        room = max(4, min(30, self.console.width - len(first) - 2))
        bar = ProgressBar(total=max(1, tally.total), completed=tally.ended, width=room)
        row.add_row(bar, Text(first, no_wrap=True))
        return Group(row, Text(second, no_wrap=True, overflow="ellipsis"))

    def update(self) -> None:
        pass  # it is drawn by itself

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        self.live.stop()
        for name, step in self.progress.tally.steps.items():
            if step.ended:
                self.say(step_line(name, step))


class _Widget:
    """A bar of a notebook."""

    def __init__(self, progress: Progress) -> None:
        from tqdm.notebook import tqdm

        self.progress = progress
        self.bar = tqdm(total=progress.tally.total, bar_format="{desc}{bar}")

    def update(self) -> None:
        self.bar.total = self.progress.tally.total
        self.bar.n = self.progress.tally.ended
        self.bar.set_description_str(self.progress.words()[0])
        self.bar.refresh()

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)

    def close(self) -> None:
        self.bar.close()
