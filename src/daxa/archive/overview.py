"""What an archive says of itself."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from daxa._version import __version__
from daxa.display import Overview, Table
from daxa.exceptions import DAXAError

if TYPE_CHECKING:
    from daxa.archive.ledger import Ledger
    from daxa.mission import BaseMission

#: Judgement on an observation -> word.
_STATES: dict[bool | None, str] = {True: "processed", False: "failed"}
_COUNTS = ("done", "failed", "unfinished", "out of date", "warnings")


class Told(Protocol):
    """What of an archive is told."""

    ledger: Ledger

    @property
    def archive_name(self) -> str: ...
    @property
    def archive_path(self) -> str: ...
    @property
    def version(self) -> Any: ...
    @property
    def missions(self) -> list[BaseMission]: ...
    @property
    def mission_names(self) -> list[str]: ...
    @property
    def in_work(self) -> bool: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def stale(self) -> dict[str, dict[str, dict[str, str]]]: ...
    @property
    def observation_summaries(self) -> dict[str, dict[str, dict[str, Any]]]: ...
    @property
    def final_process_success(self) -> dict[str, dict[str, bool]]: ...


def overview(archive: Told) -> Overview:
    """What there is, what was done, what is out of date and what can be done next.

    Parameters
    ----------
    archive
        The archive.
    """
    stale = archive.stale
    return Overview(
        f"Archive {archive.archive_name}",
        _facts(archive),
        [_observations(archive, stale), *_steps(archive, stale)],
        _next(archive),
    )


def in_brief(archive: Told) -> str:
    """One line.

    Parameters
    ----------
    archive
        The archive.
    """
    number = sum(len(m) for m in archive.missions)
    states = Counter(
        _STATES[done]
        for of in archive.final_process_success.values()
        for done in of.values()
        if done is not None
    )
    told = (
        ", ".join(f"{n} {state}" for state, n in sorted(states.items(), reverse=True)) or "none processed yet"
    )
    plural = "s" * (number != 1)
    of = ", ".join(archive.mission_names)
    return f"<Archive {archive.archive_name}: {number} observation{plural} of {of}; {told}>"


def _facts(archive: Told) -> list[tuple[str, str]]:
    frames = [m.filtered_obs_info for m in archive.missions]
    written = str(archive.ledger.meta("archive", {}).get("daxa_version", "unknown"))
    facts = [
        ("folder", archive.archive_path),
        ("made with", f"DAXA {written}" + (f" (this is {__version__})" if written != __version__ else "")),
        (
            "archive version",
            f"{archive.version}" + (" (never updated)" if str(archive.version) == "0.0.0" else ""),
        ),
        (
            "missions",
            ", ".join(f"{m.pretty_name} ({', '.join(m.chosen_instruments)})" for m in archive.missions),
        ),
        ("observations", str(sum(map(len, frames)))),
    ]
    if any(map(len, frames)):
        first, last = min(f["start"].min() for f in frames), max(f["end"].max() for f in frames)
        facts.append(("from, to", f"{first:%Y-%m-%d %H:%M}, {last:%Y-%m-%d %H:%M}"))
    if archive.read_only:
        facts.append(("read-only", "it cannot be processed here"))
    if archive.in_work:
        facts.append(("at work", "a process works on it now"))
    return facts


def _observations(archive: Told, stale: dict[str, dict[str, dict[str, str]]]) -> Table:
    several = len(archive.missions) > 1
    rows = []
    for mission in archive.missions:
        done = archive.final_process_success.get(mission.name, {})
        begun = {run[3] for run in archive.ledger.endings() if run[0] == mission.name}
        old = Counter(_of_obs(mission, ident) for of in stale[mission.name].values() for ident in of)
        summaries = archive.observation_summaries.get(mission.name, {})
        row: Any
        for row in mission.filtered_obs_info.itertuples():
            obs_id = str(row.ObsID)
            state = _STATES.get(done.get(obs_id), "begun" if obs_id in begun else "not begun")
            state += f", {old[obs_id]} out of date" if old[obs_id] else ""
            cells = [obs_id, *([mission.name] if several else []), str(getattr(row, "target", "") or "")]
            cells += [f"{row.start:%Y-%m-%d %H:%M}", f"{row.duration.total_seconds() / 3600:.1f}"]
            rows.append([*cells, _cameras(summaries.get(obs_id, {})), state])
    columns = ("ObsID", *(("mission",) if several else ()), "target", "start", "hours", "exposures", "state")
    return Table("Observations", columns, rows)


def _of_obs(mission: BaseMission, ident: str) -> str:
    try:
        return mission.ident_to_obsid(ident)
    except ValueError:
        return ident


def _cameras(summary: dict[str, Any]) -> str:
    """Exposures by instrument, as far as they are known."""
    return ", ".join(
        f"{inst} {len(found)}" if (found := info.get("exposures") or {}) else f"{inst} none"
        for inst, info in summary.items()
    )


def _steps(archive: Told, stale: dict[str, dict[str, dict[str, str]]]) -> list[Table]:
    several = len(archive.missions) > 1
    rows = []
    for total in archive.ledger.totals():
        unfinished = total["running"] + total["interrupted"]
        old = len(stale.get(total["mission"], {}).get(total["process"], {}))
        numbers = (total["done"], total["failed"], unfinished, old, total["warnings"])
        of = [total["mission"]] if several else []
        rows.append([total["process"], *of, *(str(n or "") for n in numbers)])
    columns = ("step", *(("mission",) if several else ()), *_COUNTS)
    return [Table("Steps", columns, rows, longest=40)] if rows else []


def _next(archive: Told) -> list[tuple[str, str]]:
    # What processes archives knows them; they know it by name only.
    try:
        return list(import_module("daxa.process.advice").advice(archive))
    except (DAXAError, OSError):  # what is told is of use without advice, too
        return []
