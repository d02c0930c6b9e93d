"""``daxa watch``: what another process does to an archive, from a second terminal."""

from __future__ import annotations

import sys
import time
from datetime import datetime, timezone
from typing import Annotated, Any, NamedTuple

import typer

from daxa.cli.archive import ArchiveName, open_archive
from daxa.cli.output import width
from daxa.plain import duration, plain_line

#: The step that tells what an observation holds.
_OPENS = "odf_ingest"


class Row(NamedTuple):
    """How a step stands."""

    step: str
    done: int
    failed: int
    running: int
    pending: int


class Standing(NamedTuple):
    """How an archive stands.

    Attributes
    ----------
    jobs
        The jobs that run, in words.
    left_s
        How long the rest takes [s]; None if nothing was measured.
    """

    busy: bool
    rows: list[Row]
    jobs: list[str]
    left_s: float | None

    @property
    def sums(self) -> Row:
        """All steps together."""
        counts = [sum(numbers) for numbers in zip(*(row[1:] for row in self.rows), strict=True)]
        return Row("all", *(counts or [0, 0, 0, 0]))


def standing(archive: Any, now: datetime | None = None) -> Standing:
    """How an archive stands by its record.

    Parameters
    ----------
    archive
        The archive.
    now
        The time; that of the clock by default.
    """
    ledger, busy = archive.ledger, archive.in_work
    totals = {(t["mission"], t["process"]): t for t in ledger.totals()}
    planned = {(m, s): n for m, steps in ledger.meta("planned", {}).items() for s, n in steps.items()}
    jobs = list(ledger.runs(everything=True, status="running", logs=False)) if busy else []
    rows, left_s, known = [], 0.0, True
    growth = _growth(archive, planned, totals)
    now = now or datetime.now(timezone.utc)
    for key in [*planned, *(k for k in totals if k not in planned)]:
        total = totals.get(key, {})
        done, failed = total.get("done", 0), total.get("failed", 0)
        here = [run for run in jobs if (run.mission, run.process) == key]
        pending = max(0, planned.get(key, 0) - done - failed - len(here))
        rows.append(Row(key[1], done, failed, len(here), pending))
        waiting = pending + max(0.0, planned.get(key, 0) * (growth.get(key, 1.0) - 1.0))
        if not (waiting or here):
            continue
        if not done + failed:
            known = False
            continue
        mean = total["wall_s"] / (done + failed)
        left_s += waiting * mean + sum(max(0.0, mean - _since(run, now)) for run in here)
    left = left_s / max(1, len(jobs)) if busy and known and jobs else None
    return Standing(busy, rows, [_words(run) for run in jobs], left)


def _growth(archive: Any, planned: dict, totals: dict) -> dict[tuple[str, str], float]:
    """By how much the number of jobs of a step will have grown once every observation has been opened."""
    found = {}
    for mission in archive.missions:
        number = len(mission.filtered_obs_ids)
        opened = totals.get((mission.name, _OPENS), {}).get("done", 0)
        later = False
        for key in planned:
            if key[0] == mission.name and later and 0 < opened < number:
                found[key] = number / opened
            later |= key[1] == _OPENS
    return found


def _since(run: Any, now: datetime) -> float:
    started = datetime.fromisoformat(str(run.started).replace("Z", "+00:00"))
    if started.tzinfo is None:
        started = started.replace(tzinfo=timezone.utc)
    return (now - started).total_seconds()


def _words(run: Any) -> str:
    return " ".join(filter(None, (run.process, run.obs_id, run.inst, run.exp_id)))


def summary(name: str, stands: Standing) -> str:
    """How an archive stands, in one line.

    Parameters
    ----------
    name
        Name of the archive.
    stands
        How it stands.
    """
    sums = stands.sums
    text = f"{name}: {sums.done} done, {sums.failed} failed, {sums.running} running, {sums.pending} pending"
    if stands.left_s is not None:
        text += f", about {duration(max(1.0, round(stands.left_s)))} left"
    return text if stands.busy else f"{text}; nothing works on it now"


def lines(name: str, stands: Standing, room: int) -> list[str]:
    """The same as a table with what runs, for a terminal.

    Parameters
    ----------
    name, stands
        As for `summary`.
    room
        Characters of a line.
    """
    rows = [*stands.rows, stands.sums]
    longest = max(len(row.step) for row in rows)
    state = "being processed" if stands.busy else "nothing works on it now"
    if stands.left_s is not None:
        state += f", about {duration(max(1.0, round(stands.left_s)))} left"
    table = [f"{'step':<{longest}}  {'done':>5} {'failed':>6} {'running':>7} {'pending':>7}"]
    table += [
        f"{row.step:<{longest}}  {row.done:>5} {row.failed:>6} {row.running:>7} {row.pending:>7}"
        for row in rows
    ]
    running = ["", *(f"running: {job}" for job in stands.jobs)] if stands.jobs else []
    return [line[:room] for line in (f"{name}: {state}", "", *table, *running)]


def watch(
    archive: ArchiveName,
    once: Annotated[bool, typer.Option("--once", help="Tell how it stands now, and end.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Look again after so many seconds.")] = 2.0,
) -> None:
    """Follow an archive that another process works on: running, done, failed, pending, time left.

    Ends when nothing works on the archive any more; Ctrl-C ends the watching only. Without a terminal a line
    is printed whenever something has changed.
    """
    opened = open_archive(archive)
    name = opened.archive_name
    stands = standing(opened)
    if not sys.stdout.isatty() or once or not stands.busy:
        if once and sys.stdout.isatty():
            typer.echo("\n".join(map(plain_line, lines(name, stands, width()))).rstrip())
        else:
            _tell(opened, stands, every, once)
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            shown = map(plain_line, lines(name, stands, console.width))
            live.update(Text("\n".join(shown).rstrip(), no_wrap=True), refresh=True)
            if not stands.busy:
                return
            time.sleep(every)
            stands = standing(opened)


def _tell(opened: Any, stands: Standing, every: float, once: bool) -> None:
    told = None
    while True:
        if stands.sums != told:
            told = stands.sums
            typer.echo(plain_line(summary(opened.archive_name, stands)))
        if once or not stands.busy:
            return
        time.sleep(every)
        stands = standing(opened)
