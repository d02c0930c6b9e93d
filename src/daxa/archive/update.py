"""Bringing an archive up to date: new observations, and the recorded processing for them.

What can process an archive is not known here. Packages say so, this one included, by entry points of the
group ``daxa.processes``: each has the name of a mission and gives its processes, name -> function whose first
argument is the archive.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import entry_points
from inspect import signature
from typing import Any, Protocol

from daxa.archive.preprocessed import PROCESS, Receiving, take_in
from daxa.exceptions import DAXAError, NoDependencyProcessError
from daxa.mission import BaseMission
from daxa.writing import copy_file

GROUP = "daxa.processes"


class Updatable(Receiving, Protocol):
    """What of an archive takes part in its being brought up to date."""

    @property
    def read_only(self) -> bool: ...
    @property
    def version(self) -> Any: ...
    @property
    def missions(self) -> list[BaseMission]: ...
    @property
    def process_configurations(self) -> dict[str, list[dict[str, Any]]]: ...
    def replace_version(self, version: str) -> None: ...


def update(archive: Updatable) -> None:
    """Look for new observations, fetch them, and repeat the recorded processing for them.

    Every mission's filters are run on today's catalogue; the processes that have been run are run again
    with their recorded arguments, and skip what is done. New observations raise the archive's version.

    Parameters
    ----------
    archive
        The archive.

    Raises
    ------
    DAXAError
        The archive is read-only, or being processed; or the installation does not say what can process it.

    Warns
    -----
    UserWarning
        Names recorded processes that could not be run again; the others are.
    """
    if archive.read_only:
        raise DAXAError(f"{archive.layout.root}: the archive is read-only: it can be looked at, not changed")
    known = {name: processes(name) for name in archive.process_configurations}
    with archive.processing():
        _update_missions(archive)
    left_out = []
    for mission_name, configurations in archive.process_configurations.items():
        for process, arguments in (item for entry in configurations for item in entry.items()):
            if process == PROCESS:
                take_in(archive, [m for m in archive.missions if m.name == mission_name])
                continue
            function = known[mission_name].get(process)
            if function is None:
                left_out.append(f"{process}: recorded for {mission_name}, but there is no such process")
                continue
            # Archives of DAXA 0.3.7 record arguments that are not those of a step here.
            names = signature(function).parameters
            try:
                function(archive, **{k: v for k, v in arguments.items() if k in names})
            except NoDependencyProcessError as failure:
                left_out.append(str(failure))
    if left_out:
        warnings.warn("update: " + "; ".join(left_out), stacklevel=3)


def processes(mission_name: str) -> dict[str, Callable[..., Any]]:
    """What the installed packages can do with a mission's data: name of a process -> function.

    Parameters
    ----------
    mission_name
        Name of the mission.

    Raises
    ------
    DAXAError
        No package says anything, not even this one: it is not installed, or was installed before it did.
    """
    everything = entry_points(group=GROUP)
    if not everything:
        raise DAXAError(
            f"no installed package says what can process an archive (entry points {GROUP!r}); "
            "is DAXA installed, e.g. with `pip install -e .`?"
        )
    found: dict[str, Callable[..., Any]] = {}
    for point in everything.select(name=mission_name):
        found |= point.load()
    return found


def _update_missions(archive: Updatable) -> None:
    """Take new observations into an archive, whose earlier states are kept."""
    layout, old = archive.layout, archive.version
    layout.previous_versions.mkdir(exist_ok=True)
    for mission in archive.missions:
        state = layout.mission_state(mission.name)
        copy_file(state, layout.previous_versions / f"{mission.name}_state_{old}.json")
    for mission in archive.missions:
        result = mission.update(download_new=True)
        if result["sel_obs_change"] or result.get("science_usable_change", False):
            # Before the state is written: what is kept under a version's name is that version's.
            archive.replace_version(f"{old.major}.{old.minor + 1}.0")
        mission.save(layout.save_info)
        archive.make_folders(mission)
