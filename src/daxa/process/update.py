"""Bringing an archive up to date: new observations, and the recorded processing for them."""

from __future__ import annotations

import shutil
from inspect import signature

from daxa.archive import Archive
from daxa.archive.layout import SUBFOLDERS
from daxa.exceptions import DAXAError
from daxa.process import PROC_LOOKUP


def update(archive: Archive) -> None:
    """Look for new observations, fetch them, and repeat the recorded processing for them.

    Every mission's filters are run on today's catalogue; the processes that have been run are run again
    with their recorded arguments, and skip what is done. New observations raise the archive's version.
    """
    layout, old = archive.layout, str(archive.version)
    layout.previous_versions.mkdir(exist_ok=True)
    changed = False
    for mission in archive.missions:
        shutil.copyfile(
            layout.mission_state(mission.name), layout.previous_versions / f"{mission.name}_state_{old}.json"
        )
        result = mission.update(download_new=True)
        changed = changed or result["sel_obs_change"] or result.get("science_usable_change", False)
        mission.save(layout.save_info)
        for obs_id in mission.filtered_obs_ids:
            folder = archive.obs_folder(mission, str(obs_id))
            for name in SUBFOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)
    for mission_name, configurations in archive.process_configurations.items():
        for process, arguments in (item for entry in configurations for item in entry.items()):
            function = PROC_LOOKUP.get(mission_name, {}).get(process)
            if function is None:
                raise DAXAError(f"{process}: recorded for {mission_name}, but there is no such process")
            # Archives of DAXA 0.3.7 record arguments that are not those of a step here.
            known = signature(function).parameters
            function(archive, **{k: v for k, v in arguments.items() if k in known})
    if changed:
        major, minor, _ = old.split(".")
        archive.replace_version(f"{major}.{int(minor) + 1}.0")
    else:
        archive.save()
