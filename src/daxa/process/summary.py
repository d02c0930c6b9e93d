"""After the jobs: which observations went through, and what users are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from daxa.archive import Archive
from daxa.archive.staleness import stale
from daxa.process.graph import Node
from daxa.process.planning import Planner
from daxa.process.tell import FailuresWarning, tell

#: The steps after which an observation is judged, by mission: that of the images' lists first, then those of
#: other instruments, which judge only what has gone through one of them.
LAST_STEPS: dict[str, tuple[str, ...]] = {
    "xmm_pointed": ("merge_subexposures", "cleaned_rgs_event_lists"),
    "erosita_calpv": ("cleaned_evt_lists",),
    "erosita_all_sky_de_dr1": ("cleaned_evt_lists",),
    "chandra": ("cleaned_chandra_evts",),
    "nustar_pointed": ("nupipeline_screen",),
}
_TOLD = 20


def ends_with(mission: str, names: Collection[str]) -> bool:
    """Whether steps reach the end of a mission's processing.

    Parameters
    ----------
    mission
        Name of the mission.
    names
        Names of the steps.
    """
    return any(name in names for name in LAST_STEPS.get(mission, ()))


def judge(planner: Planner, mission: str, obs_id: str) -> None:
    """Decide whether anything is left of an observation.

    Parameters
    ----------
    planner
        What this call has done.
    mission
        Name of the mission.
    obs_id
        The observation.
    """
    names, records = planner.names, planner.records
    if not ends_with(mission, names):
        return
    last = LAST_STEPS[mission]
    found = [good for p in last for good in records.success(mission, p, obs_id, None, None)]
    success = any(found)
    if last[0] not in names and not found:
        return
    if records.observation(mission, obs_id)["final_success"] is success:
        return
    if not success:
        known = records.observation(mission, obs_id)["to_process"]
        usable = known is None or any(
            any(use.values()) if isinstance(use, dict) else use for use in known.values()
        )
        why = "" if usable else ": none of its exposures can be used"
        planner.tell_once([f"{obs_id}: nothing is left of it, so it is among the failed data now{why}"])
    planner.archive.judge(mission, obs_id, success)


def note_plan(archive: Archive, nodes: Sequence[Node]) -> None:
    """Tell other processes how many pieces each step has, as far as it is known.

    Parameters
    ----------
    archive
        The archive.
    nodes
        New nodes.
    """
    planned = archive.ledger.meta("planned", {})
    found = Counter((n.piece.mission.name, n.step.name) for n in nodes)
    for (mission, step), number in found.items():
        planned.setdefault(mission, {})[step] = number
    archive.ledger.set_meta("planned", planned)


def summarise(planner: Planner, kept: Sequence[str]) -> None:
    """Warn of what users should know of a call, and of what failed.

    Parameters
    ----------
    planner
        What this call has done.
    kept
        What was left as it is because its raw data are away.
    """
    nodes = planner.everything()
    if notes := [*planner.notes, *kept, *_left_out(nodes), *_outdated(planner)]:
        tell("\n".join(notes))
    failed = [n for n in nodes if n.state == "failed"]
    if not failed:
        return
    blocked = Counter(n.why for n in nodes if n.state == "blocked")
    others = any(n.good for n in nodes)
    how = "; everything else was processed" if others else ""
    lines = [f"{len(failed)} of {len(nodes)} jobs failed{how}:"]
    for node in failed[:_TOLD]:
        stopped = blocked[node.why]
        lines.append(f"  {node.why}" + (f" (and {stopped} that build on it)" if stopped else ""))
    if len(failed) > _TOLD:
        lines.append(f"  and {len(failed) - _TOLD} more; see process_errors of the archive")
    tell("\n".join(lines), FailuresWarning)


def _left_out(nodes: Sequence[Node]) -> list[str]:
    """What was left out because of failures in earlier calls, which are not told again."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        if node.state == "blocked" and all(need.good for need in node.needs):
            found.setdefault(node.step.name, []).append(node.piece.ident)
    return [
        f"{step}: left out {', '.join(idents[:_TOLD])}{' ...' * (len(idents) > _TOLD)}, as what "
        f"{'it builds' if len(idents) == 1 else 'they build'} on failed in an earlier call"
        for step, idents in found.items()
    ]


def _outdated(planner: Planner) -> list[str]:
    """What of a single step builds on products that are out of date; whole reductions make all anew."""
    if len(planner.steps) > 1:
        return []
    found = stale(planner.archive.ledger)
    nodes = [n for n in planner.everything() if n.good]
    reasons = [found.get((n.piece.mission.name, n.step.name, n.piece.ident)) for n in nodes]
    reasons = [r for r in reasons if r]
    if not reasons:
        return []
    return [
        f"{nodes[0].step.name}: {len(reasons)} of {len(nodes)} build on what is out of date "
        f"({reasons[0]}); run the steps before it again"
    ]
