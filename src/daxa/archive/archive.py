"""An archive: selected observations of one or more missions, and all that is made of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daxa import config
from daxa._version import __version__
from daxa.archive import creation, files, legacy, regions, rescue
from daxa.archive.arguments import check_missions, check_products
from daxa.archive.creation import State
from daxa.archive.layout import SUBFOLDERS, Layout, log_name
from daxa.archive.ledger import Ledger, Run
from daxa.archive.lock import hold, is_held
from daxa.archive.update import update
from daxa.archive.views import ProcessViews
from daxa.exceptions import (
    DAXAError,
    MissionNotAssociatedError,
    NoRegionsAssociatedError,
    PreProcessedNotAvailableError,
    PreProcessedNotSupportedError,
)
from daxa.mission import BaseMission


class Archive(ProcessViews):
    """An archive of X-ray data under ``OUTPUT/archives/``.

    Parameters
    ----------
    archive_name : str
        Name of its folder. An archive of that name is opened again, without network; one whose creation was
        interrupted is completed.
    missions : BaseMission or list of BaseMission, optional
        What is to be archived. An archive that exists keeps its own.
    clobber : bool
        Replace an archive of that name: it is deleted once the new one stands.
    download_products : bool or dict
        Fetch the missions' ready-made products too; a dictionary has every mission's name. By default
        each mission decides: yes, except for XMM-Newton, whose raw data are processed here.
    use_preprocessed : bool or dict
        Take such products into the archive.

    Raises
    ------
    DAXAError
        Another process is making the archive, or processing the one that would be replaced.

    Warns
    -----
    UserWarning
        The archive exists and is of other observations or instruments than ``missions``.

    Examples
    --------
    A name alone opens an archive that exists:

    >>> Archive("PHL1811")
    Traceback (most recent call last):
    ...
    ValueError: missions: there is no archive PHL1811 yet; give the missions to make it of
    """

    def __init__(
        self,
        archive_name: str,
        missions: BaseMission | list[BaseMission] | None = None,
        clobber: bool = False,
        download_products: bool | dict[str, bool] | None = None,
        use_preprocessed: bool | dict[str, bool] = False,
    ) -> None:
        self._name = creation.check_name(archive_name)
        self._top = config.output_path()
        self.layout = Layout(Path(self._top) / "archives" / archive_name)
        creation.check_place(self.layout.root.parent)
        given = None if missions is None else check_missions(archive_name, missions)
        if clobber or creation.state(self.layout) is not State.WHOLE:
            with creation.alone(self.layout):
                self._make(given, clobber, download_products, use_preprocessed)
        else:
            self._take_up(given)

    def _make(
        self, given: list[BaseMission] | None, clobber: bool, download_products: Any, use_preprocessed: Any
    ) -> None:
        """Create an archive, take up an interrupted creation, or restore a lost state."""
        creation.take_back(self.layout, clobber)
        found = creation.state(self.layout)
        if not clobber and found is State.WHOLE:  # another process has made it meanwhile
            self._take_up(given)
            return
        if not clobber and found is State.UNTOLD:
            self._restore_state()
            self._take_up(given)
            return
        if given is None and found is State.BEGUN and creation.saved_missions(self.layout):
            given = self._saved_missions()
        checked = check_missions(self._name, given)
        products, ready = check_products(checked, download_products, use_preprocessed)
        with creation.replacing(self.layout, clobber):
            self._create(checked, products, ready)

    def _create(
        self, missions: list[BaseMission], products: dict[str, bool | None], ready: dict[str, bool]
    ) -> None:
        if any(ready.values()):
            raise PreProcessedNotSupportedError(
                "use_preprocessed: ready-made products cannot be taken into an archive yet"
            )
        creation.begin(self.layout, [m.name for m in missions])
        self._missions = {m.name: m for m in missions}
        for mission in missions:
            mission.save(self.layout.save_info)
            mission.locked = True
            mission.download(download_products=products[mission.name])
            # The state also says what has been downloaded.
            mission.save(self.layout.save_info)
        self._version = "0.0.0"
        if self.layout.backup.exists():  # of an archive whose states are lost
            rescue.check_ledger(self.layout)
        self.ledger = Ledger(self.layout.ledger)
        for mission in missions:
            self.make_folders(mission)
        self.save()

    def _take_up(self, given: list[BaseMission] | None) -> None:
        """Open an existing archive, and say if it is of other observations than those given."""
        self._open()
        different = creation.differences(given or [], self.missions)
        if different:
            warnings.warn(
                f"missions: the archive {self._name} exists and is opened with its own ({different}); "
                "clobber=True or another name makes a new one",
                stacklevel=4,
            )

    def _restore_state(self) -> None:
        rescue.check_ledger(self.layout)
        self.ledger = Ledger(self.layout.ledger)
        known = self.ledger.meta("archive", {})
        self._version = known.get("version", "0.0.0")
        # A mission that was removed has left its state.
        missions = [m for m in self._saved_missions() if m.name in known.get("mission_names", [m.name])]
        self._missions = {m.name: m for m in missions}
        warnings.warn(
            f"{self.layout.process_info} was missing; it is restored from the ledger and the states of "
            f"{', '.join(self._missions)}",
            stacklevel=5,
        )
        self.save()
        self.ledger.close()

    def _saved_missions(self) -> list[BaseMission]:
        from daxa.mission import MISS_INDEX

        names = creation.saved_missions(self.layout)
        return [MISS_INDEX[n](save_file_path=self.layout.mission_state(n)) for n in names if n in MISS_INDEX]

    def _open(self) -> None:
        from daxa.mission import MISS_INDEX

        try:
            saved = json.loads(self.layout.process_info.read_text(encoding="utf-8"))
            names = list(saved["mission_names"])
            self._version = str(saved["version"])
        except (ValueError, KeyError, TypeError) as failure:
            raise DAXAError(
                f"{self.layout.process_info}: not a readable archive state ({failure})"
            ) from failure
        unknown = [n for n in names if n not in MISS_INDEX]
        if unknown:
            raise DAXAError(
                f"{self.layout.process_info}: unknown missions {', '.join(unknown)}; "
                f"known are {', '.join(MISS_INDEX)}"
            )
        old = legacy.is_legacy(saved)
        if not old:
            rescue.check_ledger(self.layout)
        self.ledger = Ledger(self.layout.ledger)
        self._missions = {}
        for name in names:
            mission = MISS_INDEX[name](save_file_path=self.layout.mission_state(name))
            mission.locked = True
            self._missions[name] = mission
        if old:
            legacy.migrate(self, saved)
            self.save()

    def save(self) -> None:
        """Write the archive's state; called by everything that changes it."""
        state = {
            "version": self._version,
            "mission_names": self.mission_names,
            "daxa_version": __version__,
        }
        if self.ledger.read_only:
            return
        # One process at a time, and none that removes the halves of others.
        with self.ledger.at_once():
            self.ledger.set_meta("archive", state)
            files.write_text(self.layout.process_info, json.dumps(state, indent=4))

    # -- description ------------------------------------------------------------------------

    @property
    def archive_name(self) -> str:
        """Name of the archive, that of its folder."""
        return self._name

    @property
    def archive_path(self) -> str:
        """Absolute path of the archive, with a trailing slash."""
        return os.path.join(str(self.layout.root), "")

    @property
    def top_level_path(self) -> str:
        """Absolute path under which all archives and raw data are."""
        return self._top

    @property
    def version(self) -> Any:
        """Version of the archive; `update` raises it."""
        from packaging.version import Version

        return Version(self._version)

    @property
    def mission_names(self) -> list[str]:
        """Names of its missions."""
        return list(self._missions)

    @property
    def missions(self) -> list[BaseMission]:
        """Its missions, in the order in which they were given."""
        return list(self._missions.values())

    @property
    def preprocessed_missions(self) -> list[BaseMission]:
        """Missions whose ready-made products were downloaded."""
        found = [m for m in self.missions if "preprocessed" in m.downloaded_type]
        if not found:
            raise PreProcessedNotAvailableError(
                f"{self._name}: no mission of this archive has ready-made products"
            )
        return found

    def __len__(self) -> int:
        return len(self._missions)

    def __iter__(self) -> Iterator[BaseMission]:
        return iter(self.missions)

    def __getitem__(self, key: str | int) -> BaseMission:
        if isinstance(key, int):
            return self.missions[key]
        self._check_mission(key)
        return self._missions[key]

    def __delitem__(self, key: str | int) -> None:
        mission = self[key]
        if len(self._missions) == 1:
            raise ValueError("the only mission of an archive cannot be removed")
        del self._missions[mission.name]
        self.save()

    def __repr__(self) -> str:
        return f"<Archive {self._name}: {', '.join(self.mission_names)}>"

    def info(self) -> None:
        """Print what the archive holds."""
        print(self._describe())

    def _describe(self) -> str:
        frames = [m.filtered_obs_info for m in self.missions]
        lines = [
            f"Archive {self._name}",
            f"  version          {self._version}",
            f"  missions         {len(self)}",
            f"  observations     {sum(map(len, frames))}",
            f"  first start      {min(f['start'].min() for f in frames)}",
            f"  last end         {max(f['end'].max() for f in frames)}",
        ]
        for mission, frame in zip(self.missions, frames, strict=True):
            lines += [
                "",
                f"  {mission.pretty_name} ({mission.name})",
                f"    instruments    {', '.join(mission.chosen_instruments)}",
                f"    observations   {len(frame)}",
                f"    processed      {'yes' if mission.processed else 'no'}",
            ]
        return "\n".join(lines)

    # -- places -----------------------------------------------------------------------------

    def _mission_name(self, mission: BaseMission | str) -> str:
        name = mission if isinstance(mission, str) else getattr(mission, "name", None)
        if name not in self._missions:
            raise MissionNotAssociatedError(
                f"mission: {name or mission!r} is not in this archive; it has {', '.join(self.mission_names)}"
            )
        return str(name)

    def _checked(self, mission: BaseMission | str, obs_id: str) -> str:
        name = self._mission_name(mission)
        self._check_obs(name, obs_id, [str(o) for o in self._missions[name].filtered_obs_ids])
        return name

    def obs_folder(self, mission: BaseMission | str, obs_id: str) -> Path:
        """Folder of an observation, wherever it is now.

        Parameters
        ----------
        mission
            The mission or its name.
        obs_id
            ObsID.

        Raises
        ------
        MissionNotAssociatedError
            The archive does not have the mission.
        """
        name = self._mission_name(mission)
        failed = self.layout.failed(name, obs_id)
        return failed if failed.is_dir() else self.layout.processed(name, obs_id)

    def make_folders(self, mission: BaseMission) -> None:
        """Make the folders of a mission's observations that are not there yet."""
        for obs_id in mission.filtered_obs_ids:
            folder = self.obs_folder(mission, str(obs_id))
            for name in SUBFOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)

    def get_current_data_path(self, mission: BaseMission | str, obs_id: str) -> str:
        """Folder of an observation's data: among the processed, or among the failed ones.

        Parameters
        ----------
        mission : BaseMission or str
            The mission or its name.
        obs_id : str
            ObsID.

        Returns
        -------
        str
            Absolute, with a trailing slash.

        Raises
        ------
        MissionNotAssociatedError
            The archive does not have the mission.
        """
        return os.path.join(str(self.obs_folder(mission, obs_id)), "")

    def construct_processed_data_path(
        self, mission: BaseMission | str | None = None, obs_id: str | None = None
    ) -> str:
        """Path of processed data, with ``{mn}`` and ``{oi}`` for what is not given.

        Parameters
        ----------
        mission : BaseMission or str, optional
            The mission or its name.
        obs_id : str, optional
            ObsID.

        Raises
        ------
        MissionNotAssociatedError, ObsNotAssociatedError
            The archive does not have the mission, or the mission not the observation.
        """
        name = "{mn}" if mission is None else self._mission_name(mission)
        if obs_id is not None and mission is not None:
            self._checked(mission, obs_id)
        return os.path.join(str(self.layout.processed(name, obs_id or "{oi}")), "")

    def construct_failed_data_path(
        self, mission: BaseMission | str | None = None, obs_id: str | None = None
    ) -> str:
        """Path of data of failed observations, with ``{mn}`` and ``{oi}`` for what is not given.

        Parameters
        ----------
        mission : BaseMission or str, optional
            The mission or its name.
        obs_id : str, optional
            ObsID.

        Raises
        ------
        ValueError
            The observation has not failed.
        """
        name = "{mn}" if mission is None else self._mission_name(mission)
        if obs_id is not None and mission is not None:
            self._checked(mission, obs_id)
            if self.final_process_success.get(name, {}).get(obs_id, True):
                raise ValueError(f"obs_id: {obs_id} of {name} has not failed")
        return os.path.join(str(self.layout.failed(name, obs_id or "{oi}")), "")

    def get_region_file_path(
        self, mission: BaseMission | str | None = None, obs_id: str | None = None
    ) -> str:
        """Path of an observation's region file, with ``{mn}`` and ``{oi}`` for what is not given.

        Parameters
        ----------
        mission : BaseMission or str, optional
            The mission or its name.
        obs_id : str, optional
            ObsID.

        Raises
        ------
        NoRegionsAssociatedError
            The observation has none.
        """
        name = "{mn}" if mission is None else self._mission_name(mission)
        path = self.layout.regions(name, obs_id or "{oi}")
        if mission is not None and obs_id is not None:
            self._checked(mission, obs_id)
            if not path.exists():
                raise NoRegionsAssociatedError(f"obs_id: there are no regions for {obs_id} of {name}")
        return str(path)

    # -- regions ----------------------------------------------------------------------------

    @property
    def source_regions(self) -> dict[str, dict[str, list[Any]]]:
        """Mission -> ObsID -> list of sky regions.

        To be set with a path of a region file, a list of ``regions`` objects, or a dictionary with
        ``regions`` (one of these) and ``wcs_src`` (a WCS or an image) for each observation.
        """
        found: dict[str, dict[str, list[Any]]] = {name: {} for name in self._missions}
        for name, mission in self._missions.items():
            for obs_id in map(str, mission.filtered_obs_ids):
                path = self.layout.regions(name, obs_id)
                if path.exists():
                    found[name][obs_id] = regions.sky_regions(path)
        return found

    @source_regions.setter
    def source_regions(self, new: dict[str, dict[str, Any]]) -> None:
        if not isinstance(new, dict) or not all(isinstance(v, dict) for v in new.values()):
            raise TypeError("source_regions: expected a dictionary mission -> ObsID -> regions")
        ready = []
        for mission, observations in new.items():
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

    # -- observations -----------------------------------------------------------------------

    @property
    def observation_summaries(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Mission -> ObsID -> instrument -> what was observed, for the chosen instruments.

        Setting it also decides what should be processed (`process_observation`).
        """
        return self._observation_view("summary")

    @observation_summaries.setter
    def observation_summaries(self, new: dict[str, dict[str, dict[str, Any]]]) -> None:
        if not isinstance(new, dict):
            raise TypeError(
                "observation_summaries: expected a dictionary mission -> ObsID -> instrument -> info"
            )
        for mission_name, observations in new.items():
            self._check_mission(mission_name)
            mission = self._missions[mission_name]
            for obs_id, instruments in observations.items():
                self._checked(mission_name, obs_id)
                for inst, info in instruments.items():
                    if "active" not in info:
                        raise KeyError(f"observation_summaries: {obs_id} {inst} has no key 'active'")
                kept = {i: info for i, info in instruments.items() if i in mission.chosen_instruments}
                self.ledger.set_observation(
                    mission_name, obs_id, summary=kept, to_process=mission.assess_process_obs(kept)
                )

    @property
    def final_process_success(self) -> dict[str, dict[str, bool]]:
        """Mission -> ObsID -> whether the observation went through to its final products."""
        return self._observation_view("final_success")

    @final_process_success.setter
    def final_process_success(self, new: dict[str, dict[str, bool]]) -> None:
        for mission_name, observations in new.items():
            self._check_mission(mission_name)
            for obs_id, success in observations.items():
                if not isinstance(success, bool):
                    raise TypeError(
                        f"final_process_success: {obs_id}: expected True or False, got {success!r}"
                    )
                self._checked(mission_name, obs_id)
        with hold(self.layout.lock, f"the archive {self._name} is being processed"):
            self.check_there()
            for mission_name, observations in new.items():
                for obs_id, success in observations.items():
                    self.judge(mission_name, obs_id, success)

    def judge(self, mission: str, obs_id: str, success: bool | None) -> None:
        """Record the final judgement on an observation (None: open again) and move its folder to match."""
        processed, failed = self.layout.processed(mission, obs_id), self.layout.failed(mission, obs_id)
        source, target = (processed, failed) if success is False else (failed, processed)
        if source.is_dir() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
        self.ledger.set_observation(mission, obs_id, final_success=success)

    # -- recording --------------------------------------------------------------------------

    @contextlib.contextmanager
    def processing(self) -> Iterator[None]:
        """Keep other processes from processing this archive at the same time.

        Raises
        ------
        DAXAError
            One does.
        """
        self.check_there()
        with hold(self.layout.lock, f"the archive {self._name} is being processed"):
            self.check_there()
            self.interrupt()
            shutil.rmtree(self.layout.scratch, ignore_errors=True)
            if os.path.lexists(self.layout.scratch):
                raise DAXAError(
                    f"{self.layout.scratch}: is in the way of the scratch folder of jobs; please remove it"
                )
            try:
                yield
            finally:
                self._leave()

    def _leave(self) -> None:
        """Clean up, and keep a copy of the ledger once something has been recorded."""
        try:
            self.check_there()
        except DAXAError:  # moved, or another in its place: nothing there is of this call
            return
        shutil.rmtree(self.layout.scratch, ignore_errors=True)
        if self.ledger.changed:
            try:
                self.ledger.back_up(self.layout.backup)
            except DAXAError as failure:
                warnings.warn(str(failure), stacklevel=5)

    def interrupt(self) -> None:
        """Note that runs have not ended, and remove what was being published; only for who may run jobs."""
        unfinished = self.ledger.unfinished()
        folders = [self.obs_folder(*place) for place in unfinished if place[0] in self._missions]
        for folder in [*folders, self.layout.mosaics] if unfinished else []:
            for path in folder.rglob(".*.part"):
                path.unlink(missing_ok=True)
        # Of copies of the ledger and of states, which are written in transactions or by who may run jobs.
        with self.ledger.at_once():
            for path in self.layout.save_info.glob(".*.part*"):
                path.unlink(missing_ok=True)
        # Last: as long as they are not noted, a call that is killed here is followed by one that does it.
        self.ledger.interrupt_all()

    def check_there(self) -> None:
        """Make sure that the archive is where it was opened, and the one that was opened.

        Raises
        ------
        DAXAError
            It is not.
        """
        if not self.layout.save_info.is_dir():
            raise DAXAError(
                f"the archive {self._name} is no longer in {self.layout.root.parent}; has it been renamed or "
                "removed? Nothing more is done; open it by its new name to go on"
            )
        self.ledger.check_same()

    @property
    def in_work(self) -> bool:
        """Whether a process works on this archive."""
        return is_held(self.layout.lock)

    @property
    def read_only(self) -> bool:
        """Whether the archive can be looked at only: that of a colleague, or one on a read-only disk."""
        return self.ledger.read_only

    def logs(self, run: Run) -> dict[str, Path]:
        """Where the output of a run is kept: ``stdout`` and ``stderr`` -> file."""
        folder = self.obs_folder(run.mission, run.obs_id)
        return {s: folder / log_name(run.process, run.ident, s) for s in ("stdout", "stderr")}

    def record(self, run: Run, write_logs: bool = True) -> None:
        """Record a finished run, and write its logs beside the data unless they are there."""
        self.ledger.finish(run)
        if not write_logs:
            return
        for stream, path in self.logs(run).items():
            text = getattr(run, stream)
            try:
                if text or stream == "stdout":
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
                else:
                    path.unlink(missing_ok=True)
            except OSError as failure:  # e.g. a full disk; the ledger has the text
                warnings.warn(f"cannot write the log {path}: {failure}", stacklevel=2)

    # -- calibration ------------------------------------------------------------------------

    @property
    def calibration_folders(self) -> list[str]:
        """Folders of calibration files that are searched for this archive, after the configured ones."""
        return list(self.ledger.meta("calibration_folders", []))

    @calibration_folders.setter
    def calibration_folders(self, folders: list[str]) -> None:
        self.ledger.set_meta("calibration_folders", [os.path.abspath(f) for f in folders])

    # -- raw data, updates ------------------------------------------------------------------

    def delete_raw_data(self, force_del: bool = False, all_raw_data: bool = False) -> None:
        """Delete the raw data of every mission of this archive; asks unless forced."""
        for mission in self.missions:
            mission.delete_raw_data(force_del=force_del, all_raw_data=all_raw_data)

    def update(self) -> None:
        """Look for new observations, fetch them, and repeat the recorded processing for them.

        Every mission's filters are run on today's catalogue; the processes that have been run are run again
        with their recorded arguments, and skip what is done.
        """
        update(self)

    def replace_version(self, version: str) -> None:
        """Give the archive another version, once its missions have changed."""
        self._version = version
        self.save()
