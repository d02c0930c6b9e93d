"""What can be done next with an archive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from daxa import config

if TYPE_CHECKING:
    from daxa.archive import Archive
    from daxa.mission import BaseMission

#: Mission -> what takes its data through all steps.
REDUCTIONS = {
    "xmm_pointed": "full_process_xmm",
    "erosita_calpv": "full_process_erosita",
    "erosita_all_sky_de_dr1": "full_process_erosita",
    "chandra": "full_process_chandra",
    "nustar_pointed": "full_process_nustar",
}
#: Warnings of a screening that accepts nothing.
_NOTHING_LEFT = {"allFlare", "noGoodTime"}
Advice = tuple[str, str]


def advice(archive: Archive) -> list[Advice]:
    """Pairs of a reason and the call that it asks for, the most urgent first.

    Parameters
    ----------
    archive
        The archive; it is called so in the calls.
    """
    if archive.in_work:
        return [("a process works on it; see later how far it is", "archive.info()")]
    urgent = [] if archive.read_only else [a for m in archive.missions for a in _of_mission(archive, m)]
    return [*urgent, *_use(archive)]


def _of_mission(archive: Archive, mission: BaseMission) -> list[Advice]:
    states = archive.final_process_success.get(mission.name, {})
    waiting = [o for o in map(str, mission.filtered_obs_ids) if states.get(o) is None]
    reduce = REDUCTIONS.get(mission.name)
    found: list[Advice] = []
    if waiting and reduce is None:
        call = f"daxa.Archive(NAME, {type(mission).__name__}(...), use_preprocessed=True)"
        return [
            (f"there are no steps for {mission.pretty_name} data; ready-made products can be taken in", call)
        ]
    if waiting and mission.name == "xmm_pointed" and not has_calibration(archive):
        found.append(
            (
                "no calibration files (*.CCF) are at hand; in a shell, or with ! before it",
                "daxa calibration fetch",
            )
        )
    if waiting:
        text = f"{len(waiting)} of {len(mission)} observations are not processed yet"
        found.append((text, f"daxa.{reduce}(archive)"))
    totals = {row["process"]: row for row in archive.ledger.totals() if row["mission"] == mission.name}
    for process, row in totals.items():
        if number := row["failed"]:
            text = f"{process} has failed {number} time{'s' * (number > 1)}; see why"
            found.append((text, f'archive.process_errors["{mission.name}"]["{process}"]'))
    if totals.get("espfilt", {}).get("warnings"):
        found += _screened(archive, mission)
    stale = archive.stale[mission.name]
    number = sum(map(len, stale.values()))
    if number and reduce is not None:
        reason = next(iter(next(iter(stale.values())).values()))
        how = "" if "anew" in reason or "failed" in reason or "interrupted" in reason else ', redo="stale"'
        found.append((f"{number} results are out of date ({reason})", f"daxa.{reduce}(archive{how})"))
    return found


def _screened(archive: Archive, mission: BaseMission) -> list[Advice]:
    """Exposures of which nothing is left, which is a success of the step."""
    runs = archive.ledger.runs(logs=False, mission=mission.name, process="espfilt", status="done")
    lost = [run.ident for run in runs if {w["name"] for w in run.warnings} & _NOTHING_LEFT]
    if not lost:
        return []
    told = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
    call = f'archive.process_warnings["{mission.name}"]["espfilt"]'
    return [(f"espfilt has found no time without flares in {told}; see why", call)]


def has_calibration(archive: Archive) -> bool:
    """Whether any calibration file of XMM-Newton is in the folders that are searched.

    Parameters
    ----------
    archive
        The archive, which may have folders of its own.
    """
    folders = [*archive.calibration_folders, *config.calibration_path().split(os.pathsep)]
    return any(
        entry.name.upper().endswith(".CCF")
        for folder in folders
        if folder and Path(folder).is_dir()
        for entry in os.scandir(folder)
    )


def _use(archive: Archive) -> list[Advice]:
    """What can be done with what there is."""
    done = archive.final_process_success
    good = {
        m.name: [o for o in map(str, m.filtered_obs_ids) if done[m.name].get(o)] for m in archive.missions
    }
    mission, obs_ids = next(((m, o) for m, o in good.items() if o), ("", []))
    if not obs_ids:
        return []
    found = [("see how good it is", "archive.report()")]
    if (
        mission == "xmm_pointed"
        and not archive.read_only
        and not archive.ledger.has_run(mission, "find_sources")
    ):
        found.append(("find sources", "daxa.process.find_sources(archive)"))
    found.append(("use the products", f'archive.events("{obs_ids[0]}"), archive.images("{obs_ids[0]}")'))
    return found
