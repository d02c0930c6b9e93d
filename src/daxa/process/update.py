"""Bringing an archive up to date: new observations, and the recorded processing for them."""

from __future__ import annotations

import warnings
from inspect import signature

from daxa.archive import Archive
from daxa.archive.files import copy_file
from daxa.archive.layout import SUBFOLDERS
from daxa.exceptions import DAXAError, NoDependencyProcessError
from daxa.process import PROC_LOOKUP


def update(archive: Archive) -> None:
    """Look for new observations, fetch them, and repeat the recorded processing for them.

    Every mission's filters are run on today's catalogue; the processes that have been run are run again
    with their recorded arguments, and skip what is done. New observations raise the archive's version.

    Raises
    ------
    DAXAError
        The archive is read-only, or being processed.

    Warns
    -----
    UserWarning
        Names recorded processes that could not be run again; the others are.
    """
    if archive.read_only:
        raise DAXAError(f"{archive.layout.root}: the archive is read-only: it can be looked at, not changed")
    with archive.processing():
        _update_missions(archive)
    left_out = []
    for mission_name, configurations in archive.process_configurations.items():
        for process, arguments in (item for entry in configurations for item in entry.items()):
            function = PROC_LOOKUP.get(mission_name, {}).get(process)
            if function is None:
                left_out.append(f"{process}: recorded for {mission_name}, but there is no such process")
                continue
            # Archives of DAXA 0.3.7 record arguments that are not those of a step here.
            known = signature(function).parameters
            try:
                function(archive, **{k: v for k, v in arguments.items() if k in known})
            except NoDependencyProcessError as failure:
                left_out.append(str(failure))
    if left_out:
        warnings.warn("update: " + "; ".join(left_out), stacklevel=3)


def _update_missions(archive: Archive) -> None:
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
        for obs_id in mission.filtered_obs_ids:
            folder = archive.obs_folder(mission, str(obs_id))
            for name in SUBFOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)
