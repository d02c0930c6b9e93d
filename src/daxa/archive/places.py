"""Where an archive keeps what is of an observation: its data, its regions.

Parameters
----------
mission : BaseMission or str
    The mission or its name.
obs_id : str
    ObsID.

Raises
------
MissionNotAssociatedError
    The archive does not have the mission.
ObsNotAssociatedError
    The mission does not have the observation.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from daxa.archive import regions
from daxa.archive.arguments import unknown_text
from daxa.archive.layout import SUBFOLDERS, Layout, found_regions
from daxa.archive.ledger import Ledger
from daxa.exceptions import MissionNotAssociatedError, NoRegionsAssociatedError, ObsNotAssociatedError
from daxa.mission import BaseMission


class Places:
    """Paths of an archive's observations, and the regions that are kept there."""

    layout: Layout
    ledger: Ledger
    _missions: dict[str, BaseMission]

    @property
    def mission_names(self) -> list[str]:
        """Names of the missions, in the order they were given."""
        return list(self._missions)

    @property
    def missions(self) -> list[BaseMission]:
        """Its missions, in the order in which they were given."""
        return list(self._missions.values())

    def _mission_name(self, mission: BaseMission | str) -> str:
        name = mission if isinstance(mission, str) else getattr(mission, "name", None)
        if name not in self._missions:
            raise MissionNotAssociatedError(
                f"mission: {name or mission!r} is not in this archive; it has {', '.join(self.mission_names)}"
            )
        return str(name)

    def _checked(self, mission: BaseMission | str, obs_id: str) -> str:
        name = self._mission_name(mission)
        known = self.obs_ids_of(name)
        if obs_id not in known:
            raise ObsNotAssociatedError(f"obs_id: {unknown_text(obs_id, known)}")
        return name

    def obs_ids_of(self, mission: BaseMission | str) -> list[str]:
        """ObsIDs of a mission's observations in this archive.

        Parameters
        ----------
        mission
            The mission or its name.

        Examples
        --------
        >>> archive.obs_ids_of("xmm_pointed")
        ['0800010101', '0800010201', '0800010301']
        """
        return list(map(str, self._missions[self._mission_name(mission)].filtered_obs_ids))

    def _named(self, mission: BaseMission | str | None, obs_id: str | None) -> tuple[str, str]:
        """Mission and observation as they stand in paths, and what stands for those that are not given."""
        if mission is not None and obs_id is not None:
            return self._checked(mission, obs_id), obs_id
        if mission is None and obs_id is not None:
            raise ValueError(f"obs_id: {obs_id} says nothing without its mission")
        return "{mn}" if mission is None else self._mission_name(mission), obs_id or "{oi}"

    def obs_folder(self, mission: BaseMission | str, obs_id: str) -> Path:
        """Folder of an observation, wherever it is now: among the processed, or among the failed ones."""
        name = self._mission_name(mission)
        failed = self.layout.failed(name, obs_id)
        return failed if failed.is_dir() else self.layout.processed(name, obs_id)

    def make_folders(self, mission: BaseMission) -> None:
        """Make the folders of a mission's observations that are not there yet.

        Parameters
        ----------
        mission
            A mission of the archive.
        """
        for obs_id in mission.filtered_obs_ids:
            folder = self.obs_folder(mission, str(obs_id))
            for name in SUBFOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)

    def get_current_data_path(self, mission: BaseMission | str, obs_id: str) -> str:
        """The same as text, absolute and with a trailing slash.

        Examples
        --------
        >>> archive.get_current_data_path("xmm_pointed", "0800010101").endswith("/xmm_pointed/0800010101/")
        True
        """
        name = self._mission_name(mission)
        if not self._missions[name].check_obsid_pattern(obs_id):
            raise ObsNotAssociatedError(f"obs_id: {obs_id!r} cannot be an ObsID of {name}")
        return os.path.join(str(self.obs_folder(name, obs_id)), "")

    def construct_processed_data_path(
        self, mission: BaseMission | str | None = None, obs_id: str | None = None
    ) -> str:
        """Path of processed data, with ``{mn}`` and ``{oi}`` for what is not given."""
        return os.path.join(str(self.layout.processed(*self._named(mission, obs_id))), "")

    def construct_failed_data_path(
        self, mission: BaseMission | str | None = None, obs_id: str | None = None
    ) -> str:
        """Path of data of failed observations, with ``{mn}`` and ``{oi}`` for what is not given.

        Raises
        ------
        ValueError
            The observation has not failed.
        """
        name, observation = self._named(mission, obs_id)
        known = mission is not None and obs_id is not None
        if known and self.ledger.observation(name, observation)["final_success"] is not False:
            raise ValueError(f"obs_id: {obs_id} of {name} has not failed")
        return os.path.join(str(self.layout.failed(name, observation)), "")

    def get_region_file_path(
        self, mission: BaseMission | str | None = None, obs_id: str | None = None
    ) -> str:
        """Path of an observation's region file, with ``{mn}`` and ``{oi}`` for what is not given.

        Raises
        ------
        NoRegionsAssociatedError
            The observation has none.
        """
        name, observation = self._named(mission, obs_id)
        if mission is None or obs_id is None:
            return str(self.layout.regions(name, observation))
        path = self._region_file(name, observation)
        if not path.exists():
            raise NoRegionsAssociatedError(f"obs_id: there are no regions for {obs_id} of {name}")
        return str(path)

    # -- regions ----------------------------------------------------------------------------

    def _region_file(self, mission: str, obs_id: str) -> Path:
        """Regions that were set; without them those of the sources found in the observation."""
        own = self.layout.regions(mission, obs_id)
        found = self.obs_folder(mission, obs_id) / found_regions(obs_id)
        return found if found.exists() and not own.exists() else own

    @property
    def source_regions(self) -> dict[str, dict[str, list[Any]]]:
        """Mission -> ObsID -> list of sky regions: those that were set, else those of `find_sources`.

        To be set with a path of a region file, its text, a list of ``regions`` objects, or a dictionary with
        ``regions`` (one of these) and ``wcs_src`` (a WCS or an image) for each observation.
        """
        found: dict[str, dict[str, list[Any]]] = {name: {} for name in self._missions}
        for name, mission in self._missions.items():
            for obs_id in map(str, mission.filtered_obs_ids):
                path = self._region_file(name, obs_id)
                if path.exists():
                    found[name][obs_id] = regions.sky_regions(path)
        return found

    @source_regions.setter
    def source_regions(self, new: dict[str, dict[str, Any]]) -> None:
        if not isinstance(new, dict) or not all(isinstance(v, dict) for v in new.values()):
            raise TypeError("source_regions: expected a dictionary mission -> ObsID -> regions")
        ready = []
        for mission, observations in new.items():
            self._mission_name(mission)
            for obs_id, value in observations.items():
                name = self._checked(mission, obs_id)
                if isinstance(value, dict):
                    if "regions" not in value:
                        raise KeyError(f"source_regions: {obs_id}: the dictionary has no 'regions'")
                    found = regions.sky_regions(value["regions"], value.get("wcs_src"))
                else:
                    found = regions.sky_regions(value)
                ready.append((name, obs_id, found))
        for name, obs_id, found in ready:
            path = self.layout.regions(name, obs_id)
            if path.exists():
                warnings.warn(f"source_regions: those of {obs_id} of {name} are replaced", stacklevel=2)
            regions.write_regions(found, path)
