"""An archive: selected observations of one or more missions, and all that is made of them."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from daxa import config
from daxa._version import __version__
from daxa.archive import creation, legacy, rescue
from daxa.archive.arguments import check_missions, check_products
from daxa.archive.creation import State
from daxa.archive.layout import Layout
from daxa.archive.ledger import Ledger
from daxa.archive.lock import hold
from daxa.archive.overview import in_brief, overview
from daxa.archive.preprocessed import take_in
from daxa.archive.products import Products
from daxa.archive.update import update
from daxa.archive.views import ProcessViews
from daxa.archive.work import Work
from daxa.exceptions import DAXAError, PreProcessedNotAvailableError, WrongTypeError
from daxa.mission import BaseMission
from daxa.writing import write_text


class Archive(Products, ProcessViews, Work):
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
        Take such products into the archive, whose final products they then are; of XMM-Newton those of its
        pipeline (PPS), without the raw data. Missions without any are refused before anything is fetched.

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

    >>> Archive("PHL1811")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: missions: there is no archive PHL1811 in .../archives; give the missions to make it of
    """

    _to_come: Iterator[BaseMission] | None = None

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
        given = None if missions is None else check_missions(self.layout.root, missions)
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
            begun = creation.begun_with_products(self.layout)
            if use_preprocessed is False and begun:
                use_preprocessed = {m.name: m.name in begun for m in given}
        checked = check_missions(self.layout.root, given)
        products, ready = check_products(checked, download_products, use_preprocessed)
        with creation.replacing(self.layout, clobber):
            self._create(checked, products, ready)

    def _create(
        self, missions: list[BaseMission], products: dict[str, bool | None], ready: dict[str, bool]
    ) -> None:
        creation.begin(self.layout, [m.name for m in missions], [n for n, taken in ready.items() if taken])
        self._missions = {m.name: m for m in missions}
        for mission in missions:
            mission.save(self.layout.save_info)
            mission.locked = True
            if ready[mission.name]:
                mission.fetch_products()
            else:
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
        wanted = [m for m in missions if ready[m.name]]
        if wanted:
            take_in(self, wanted)

    def _take_up(self, given: list[BaseMission] | None) -> None:
        """Open an existing archive, and say if it is of other observations than those given."""
        self._open()
        different = creation.differences(given or [], self.missions)
        if different:
            warnings.warn(
                f"missions: the archive {self._name} exists and is opened with its own ({different}); "
                "clobber=True or another name makes a new one",
                stacklevel=3,
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
            write_text(self.layout.process_info, json.dumps(state, indent=4))

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

    def __next__(self) -> BaseMission:
        """The next mission, the first to begin with."""
        if self._to_come is None:
            self._to_come = iter(self)
        return next(self._to_come)

    def __getitem__(self, key: str | int) -> BaseMission:
        if isinstance(key, int):
            return self.missions[key]
        if not isinstance(key, str):
            raise WrongTypeError(f"a mission is asked for by name or number, not by {key!r}")
        self._mission_name(key)
        return self._missions[key]

    def __delitem__(self, key: str | int) -> None:
        mission = self[key]
        if len(self._missions) == 1:
            raise ValueError("the only mission of an archive cannot be removed")
        del self._missions[mission.name]
        self.save()

    def __repr__(self) -> str:
        return in_brief(self)

    def __str__(self) -> str:
        return overview(self).text()

    def _repr_html_(self) -> str:
        return overview(self).html()

    def info(self) -> None:
        """Print what the archive holds, what was done, what is out of date and what can be done next."""
        print(self)

    def report(self, output: str | os.PathLike[str] | None = None) -> Path:
        """Write the HTML report of the archive: a folder of pages, which can be handed on.

        Parameters
        ----------
        output : path, optional
            Folder of the report; ``report`` in the archive by default.

        Returns
        -------
        Path
            The first page.

        Raises
        ------
        DAXAError
            The folder cannot be made, or is in an archive that can only be read.
        """
        # What looks at archives knows them; they know it by name only.
        return Path(import_module("daxa.report").build_report(self, output))

    # -- observations -----------------------------------------------------------------------

    @property
    def observation_summaries(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Mission -> ObsID -> instrument -> what was observed, for the chosen instruments.

        Setting it also decides what should be processed (`process_observation`); a summary that is there
        stays.
        """
        return self._observation_view("summary")

    @observation_summaries.setter
    def observation_summaries(self, new: dict[str, dict[str, dict[str, Any]]]) -> None:
        if not isinstance(new, dict):
            raise TypeError(
                "observation_summaries: expected a dictionary mission -> ObsID -> instrument -> info"
            )
        present = self.observation_summaries
        for mission_name, observations in new.items():
            self._mission_name(mission_name)
            mission = self._missions[mission_name]
            for obs_id, instruments in observations.items():
                self._checked(mission_name, obs_id)
                for inst, info in instruments.items():
                    if "active" not in info:
                        raise KeyError(f"observation_summaries: {obs_id} {inst} has no key 'active'")
                if obs_id in present[mission_name]:
                    warnings.warn(
                        f"observation_summaries: {mission_name} has one of {obs_id} already; no change made",
                        stacklevel=2,
                    )
                    continue
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
            self._mission_name(mission_name)
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
        """Record the final judgement on an observation (None: open again) and move its folder to match.

        Parameters
        ----------
        mission
            Name of the mission.
        obs_id
            ObsID.
        success
            Whether it has come through.
        """
        processed, failed = self.layout.processed(mission, obs_id), self.layout.failed(mission, obs_id)
        source, target = (processed, failed) if success is False else (failed, processed)
        if source.is_dir() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
        self.ledger.set_observation(mission, obs_id, final_success=success)

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
        """Delete the raw data of every mission of this archive; asks unless forced.

        Parameters
        ----------
        force_del : bool
            Do not ask.
        all_raw_data : bool
            Delete everything of its missions that is on disk, whether selected or not.
        """
        for mission in self.missions:
            mission.delete_raw_data(force_del=force_del, all_raw_data=all_raw_data)

    def update(self) -> None:
        """Look for new observations, fetch them, and repeat the recorded processing for them.

        Every mission's filters are run on today's catalogue; the processes that have been run are run again
        with their recorded arguments, and skip what is done.
        """
        update(self)

    def replace_version(self, version: str) -> None:
        """Give the archive another version, once its missions have changed.

        Parameters
        ----------
        version
            The new version, e.g. ``1.1.0``.
        """
        self._version = version
        self.save()
