"""What all missions share: instruments, the catalogue, the selection, raw data, the saved state."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daxa import config
from daxa.exceptions import (
    DAXADownloadError,
    DAXANotDownloadedError,
    IncompatibleSaveError,
    MissionLockedError,
    NoObsAfterFilterError,
)
from daxa.fetch.http import Client
from daxa.mission import state
from daxa.mission.catalogue_table import REQUIRED, make_frame
from daxa.mission.download import MAX_PARALLEL, Report, Request, fetch_all
from daxa.mission.products import ArchiveProducts
from daxa.mission.resolve import resolve
from daxa.mission.selection import Selection, today
from daxa.mission.store import RawStore

STATE_VERSION = 1


class BaseMission(ArchiveProducts, Selection):
    """An X-ray mission: its catalogue, what of it is selected, and the raw data on disk.

    A mission is mostly a description. Its class sets the attributes below and says how to query the
    catalogue (`_query`) and what to fetch of an observation (`_requests`).

    Parameters
    ----------
    insts : str or list of str, optional
        Instruments to use; default those of the mission.
    save_file_path : str or Path, optional
        A state that `save` has written: the same selection, without network.
    """

    name = ""
    pretty_name = ""
    id_regex = ""
    instruments: tuple[str, ...] = ()
    default_instruments: tuple[str, ...] = ()
    aliases: dict[str, str] = {}
    frame_name = "fk5"
    one_inst_per_obs = False
    # what the archive offers ready-made, keV by instrument; empty if nothing
    energy_bands: dict[str, list[tuple[float, float]]] = {}
    products_by_default = True
    name_resolver = staticmethod(resolve)

    def __init__(self, insts: str | list[str] | None = None, save_file_path: str | Path | None = None):
        self.client = Client()
        self._locked = False
        self._processed = False
        self._top_level_path = Path(config.output_path())
        self._info: pd.DataFrame | None = None
        self._mask = np.zeros(0, bool)
        self._operations: list[dict] = []
        self._catalogue_date: str | None = None
        self._report: Report | None = None
        self._downloaded: dict[str, bool] | None = None
        self._meta: dict[str, Any] = {}
        self._chosen: list[str] = list(self.default_instruments)
        if insts is not None:
            self._chosen = self.check_inst_names(insts)
        if save_file_path is not None:
            self._load(Path(save_file_path), insts is not None)
        else:
            self._catalogue()

    # -- description ------------------------------------------------------------------------

    @property
    def fov(self) -> Any:
        """Field of view: the radius (or half width) that searches start from."""
        raise NotImplementedError(f"{type(self).__name__} does not define fov")

    @property
    def coord_frame(self) -> Any:
        """The astropy frame class of the catalogue's positions."""
        from astropy import coordinates

        return {"fk5": coordinates.FK5, "icrs": coordinates.ICRS}[self.frame_name]

    @property
    def all_mission_instruments(self) -> list[str]:
        """Instruments that there are, in the mission's order."""
        return list(self.instruments)

    @property
    def chosen_instruments(self) -> list[str]:
        """Instruments whose data are wanted."""
        return list(self._chosen)

    @chosen_instruments.setter
    def chosen_instruments(self, insts: str | list[str]) -> None:
        self._check_unlocked()
        self._chosen = self.check_inst_names(insts)
        self._downloaded = None

    def check_inst_names(
        self, insts: str | Iterable[str], error_on_bad_inst: bool = True, show_warn: bool = True
    ) -> list[str]:
        """Instrument names in the mission's spelling, in its order.

        Parameters
        ----------
        insts : str or iterable of str
            Names or aliases, in any case.
        error_on_bad_inst : bool
            Raise for unknown names.
        show_warn : bool
            Warn of aliases that were translated.

        Raises
        ------
        ValueError
            A name is unknown (with `error_on_bad_inst`, else it is left out).
        """
        given = [insts] if isinstance(insts, str) else list(insts)
        names = [str(i).strip().upper() for i in given]
        aliases = {k.upper(): v for k, v in self.aliases.items()}
        translated = {n: aliases[n] for n in names if n in aliases}
        if translated and show_warn:
            text = ", ".join(f"{a} is {b}" for a, b in translated.items())
            warnings.warn(f"{self.pretty_name}: instrument names converted ({text})", stacklevel=2)
        known = {i.upper(): i for i in self.instruments}
        final = [known.get(translated.get(n, n).upper()) for n in names]
        unknown = [n for n, f in zip(names, final, strict=True) if f is None]
        if (unknown or not names) and error_on_bad_inst:
            raise ValueError(
                f"insts: {', '.join(unknown) or 'nothing'} given, {self.pretty_name} has "
                f"{', '.join(self.instruments)}"
            )
        return [i for i in self.instruments if i in final]

    # -- catalogue --------------------------------------------------------------------------

    def _query(self, refresh: bool) -> tuple[Any, str | None]:
        """Rows of the whole catalogue (input of `make_frame`) and the date they are of."""
        raise NotImplementedError(f"{type(self).__name__} does not define _query")

    def _adjust(self, info: pd.DataFrame) -> pd.DataFrame:
        """A mission's own columns, after the common ones have been checked."""
        if "proprietary_end_date" in info.columns:
            # an unknown date means that the data are not public yet
            public = info["proprietary_end_date"].to_numpy("datetime64[us]") <= np.datetime64("now", "us")
            info["proprietary_usable"] = public
        return info

    def _catalogue(self) -> pd.DataFrame:
        if self._info is None:
            rows, date = self._query(refresh=False)
            return self._set_info(make_frame(rows, self.id_regex, self.pretty_name), date)
        return self._info

    def _set_info(self, info: pd.DataFrame, date: str | None) -> pd.DataFrame:
        self._info = self._adjust(info)
        self._catalogue_date = date
        self._mask = self._initial_mask()
        return self._info

    @property
    def all_obs_info(self) -> pd.DataFrame:
        """Every observation of the catalogue; of a loaded state, the ones that were selected."""
        return self._catalogue()

    @all_obs_info.setter
    def all_obs_info(self, info: pd.DataFrame) -> None:
        self._check_unlocked()
        missing = [c for c in REQUIRED if c not in info.columns]
        if missing:
            raise ValueError(f"all_obs_info: lacks the required column(s) {', '.join(missing)}")
        self._operations = []
        self._set_info(make_frame(info, self.id_regex, self.pretty_name), None)

    @property
    def catalogue_date(self) -> str | None:
        """When the catalogue was fetched (ISO, UTC); None for local data."""
        return self._catalogue_date

    def _select(self, mask: np.ndarray) -> None:
        super()._select(mask)
        self._downloaded = None

    # -- places -----------------------------------------------------------------------------

    @property
    def top_level_path(self) -> str:
        """Folder under which the raw data are kept."""
        return os.path.join(str(self._top_level_path), "")

    @top_level_path.setter
    def top_level_path(self, path: str | Path) -> None:
        if not Path(path).is_dir():
            raise FileNotFoundError(f"top_level_path: no such folder {path}")
        self._top_level_path = Path(path).resolve()

    @property
    def raw_data_path(self) -> str:
        """Folder that holds one folder per observation."""
        return os.path.join(str(self._top_level_path / f"{self.name}_raw"), "")

    @property
    def store(self) -> RawStore:
        """The raw-data folder of this mission."""
        return RawStore(self.raw_data_path)

    def get_obs_path(self, obs_id: str) -> Path:
        """Folder with the raw files of an observation.

        Parameters
        ----------
        obs_id : str
            An observation of the catalogue.

        Raises
        ------
        DAXANotDownloadedError
            The raw data are not on disk, or not completely.
        """
        self._known(obs_id)
        if not self.store.has(obs_id, "raw", self._wanted_files()):
            raise DAXANotDownloadedError(f"ObsID {obs_id}: its raw {self.pretty_name} data are not on disk")
        return self.store.folder(obs_id)

    def _known(self, obs_id: str) -> None:
        if obs_id not in set(self.obs_ids):
            raise ValueError(f"obs_id: {obs_id!r} is not an observation of this {self.pretty_name} catalogue")

    def _wanted_files(self) -> tuple[str, ...] | None:
        """Instruments whose files must be there; None where the source has no instrument's files apart."""
        return None

    # -- download ---------------------------------------------------------------------------

    @property
    def _parts(self) -> tuple[str, ...]:
        """Parts an observation is fetched in."""
        return ("raw", "products") if self.has_products else ("raw",)

    def _requests(self, obs_ids: list[str], raw: bool, products: bool, credentials: Any) -> list[Request]:
        """What to fetch for these observations."""
        raise NotImplementedError(f"{type(self).__name__} does not define _requests")

    def _downloadable(self, credentials: Any) -> np.ndarray:
        """Which selected observations this user may have; mask on `filtered_obs_info`."""
        info = self.filtered_obs_info
        if "proprietary_usable" not in info.columns or credentials is not None:
            return np.ones(len(info), bool)
        return info["proprietary_usable"].to_numpy(bool)

    def download(
        self,
        num_cores: int | None = None,
        credentials: Any = None,
        download_products: bool | None = None,
        *,
        disable_progress: bool = False,
    ) -> Report:
        """Bring the raw data of the selected observations to disk.

        What is there already is not fetched again, and what an interrupted call began is continued.
        Observations that fail are named, with reasons, in a warning and in `download_report`;
        `retry_failed` tries just those again.

        Parameters
        ----------
        num_cores : int, optional
            Observations at once, at most 10.
        credentials
            What gives access to proprietary observations; without, they are left out with a warning.
        download_products : bool, optional
            Fetch the archive's processed products as well, where there are any. Default: yes, except for
            XMM-Newton, whose raw data this package processes itself.
        disable_progress : bool
            No progress bar.

        Raises
        ------
        DAXADownloadError
            Nothing could be fetched at all.
        """
        if download_products is None:
            download_products = self.products_by_default
        if not isinstance(download_products, bool):
            raise TypeError(f"download_products: expected True or False, got {download_products!r}")
        allowed = self._downloadable(credentials)
        if not allowed.all():
            warnings.warn(
                f"{self.pretty_name}: {int((~allowed).sum())} of {len(allowed)} selected observations are "
                "proprietary and left out",
                stacklevel=2,
            )
        obs_ids = list(self.filtered_obs_ids[allowed])
        if not obs_ids:
            raise DAXADownloadError(f"{self.pretty_name}: all selected observations are proprietary")
        return self._download(obs_ids, num_cores, credentials, download_products, disable_progress)

    def retry_failed(self, num_cores: int | None = None, credentials: Any = None, **options: Any) -> Report:
        """Try the observations again that the last `download` did not get.

        Parameters
        ----------
        num_cores : int, optional
            Observations at once.
        credentials
            As for `download`.
        options
            Further arguments of `download`.

        Returns
        -------
        Report
            What became of them.
        """
        if not self.failed_downloads:
            return Report()
        products = options.pop("download_products", self._downloaded is None or self._downloaded["products"])
        return self._download(
            list(self.failed_downloads),
            num_cores,
            credentials,
            products,
            options.pop("disable_progress", False),
        )

    def _download(
        self, obs_ids: list[str], num_cores: int | None, credentials: Any, products: bool, quiet: bool
    ) -> Report:
        requests = self._requests(obs_ids, True, products, credentials)
        self.client.stopped.clear()
        threads = config.num_cores() if num_cores is None else num_cores
        if num_cores is not None and num_cores > MAX_PARALLEL:
            warnings.warn(f"num_cores: at most {MAX_PARALLEL} downloads run at once", stacklevel=3)
        before = self._report
        report = fetch_all(
            requests,
            self.store,
            threads=threads,
            description=f"Downloading {self.pretty_name}",
            disable_progress=quiet,
            stop=self.client.stopped,
        )
        if before is not None:
            for name in ("failed", "failed_products"):
                untouched = {o: why for o, why in getattr(before, name).items() if o not in obs_ids}
                setattr(report, name, dict(sorted((untouched | getattr(report, name)).items())))
        self._report = report
        has_products = self.has_products and (products or "products" not in self._parts)
        self._downloaded = {"raw": True, "products": has_products}
        if report.failed or report.failed_products:
            text = f"{self.pretty_name}: {len(report.failed)} observations did not come\n{report}"
            if not report.done and not report.present and set(obs_ids) <= set(report.failed):
                self._downloaded = None
                raise DAXADownloadError(text)
            warnings.warn(text, stacklevel=3)
        return report

    @property
    def download_report(self) -> Report | None:
        """What the last download brought and what not; None before a download."""
        return self._report

    @property
    def failed_downloads(self) -> dict[str, str]:
        """ObsID -> reason, for what the last download did not get."""
        return {} if self._report is None else dict(self._report.failed)

    @property
    def download_completed(self) -> bool:
        """Whether everything selected has been downloaded."""
        return self._downloaded is not None and not self.failed_downloads

    @property
    def downloaded_type(self) -> str:
        """``raw``, ``preprocessed`` or ``raw+preprocessed``."""
        if self._downloaded is None:
            raise DAXANotDownloadedError(f"{self.pretty_name}: nothing has been downloaded yet")
        return "+".join(n for k, n in (("raw", "raw"), ("products", "preprocessed")) if self._downloaded[k])

    def delete_raw_data(self, force_del: bool = False, all_raw_data: bool = False) -> None:
        """Delete the downloaded data of the selected observations, or of all; asks unless forced.

        Parameters
        ----------
        force_del : bool
            Do not ask.
        all_raw_data : bool
            Delete everything of this mission that is on disk, whether selected or not.
        """
        root = Path(self.raw_data_path)
        folders = [p.name for p in root.iterdir() if p.is_dir()] if root.is_dir() else []
        gone = [o for o in folders if o != ".partial"] if all_raw_data else list(self.filtered_obs_ids)
        if not force_del:
            answer = input(f"Delete the raw {self.pretty_name} data of {len(gone)} observations? [y/N] ")
            if answer.strip().lower() not in ("y", "yes"):
                return
        for obs_id in gone:
            self.store.delete(obs_id)
        self._downloaded = None

    # -- processing -------------------------------------------------------------------------

    def assess_process_obs(self, obs_info: dict) -> dict:
        """Which exposures of an observation are worth processing.

        Parameters
        ----------
        obs_info : dict
            Instrument -> what is known of its exposures.

        Returns
        -------
        dict
            Instrument -> exposure -> bool.

        Raises
        ------
        NotImplementedError
            Data of this mission are not processed.
        """
        raise NotImplementedError(f"{self.pretty_name} data are not processed by this package")

    def ident_to_obsid(self, ident: str) -> str:
        """The ObsID at the beginning of an identifier such as ``0204310101PNS003``.

        Parameters
        ----------
        ident : str
            ObsID, and perhaps instrument and sub-exposure.

        Raises
        ------
        ValueError
            It does not begin with an ObsID of the mission.
        """
        match = re.match(self.id_regex.rstrip("$"), ident)
        if match is None:
            raise ValueError(f"ident: {ident!r} does not begin with a {self.pretty_name} ObsID")
        return match.group()

    @property
    def locked(self) -> bool:
        """Whether the selection belongs to an archive and cannot change any more."""
        return self._locked

    @locked.setter
    def locked(self, value: bool) -> None:
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"locked: expected True or False, got {value!r}")
        if self._locked and not value:
            raise MissionLockedError(f"{self.pretty_name}: a locked mission stays locked")
        self._locked = bool(value)

    @property
    def processed(self) -> bool:
        """Whether an archive has processed the data."""
        return self._processed

    @processed.setter
    def processed(self, value: bool) -> None:
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"processed: expected True or False, got {value!r}")
        if self._processed and not value:
            raise ValueError("processed: a processed mission stays so")
        self._processed = bool(value)

    # -- state ------------------------------------------------------------------------------

    def _extra_state(self) -> dict:
        """What else a mission has to remember."""
        return {}

    def _set_extra_state(self, saved: dict, folder: Path) -> None:
        """Take up what `_extra_state` saved."""

    def save(self, save_root_path: str | Path, state_file_name: str | None = None) -> None:
        """Write the selection to a JSON file that can be loaded without network.

        Parameters
        ----------
        save_root_path : str or Path
            An existing folder.
        state_file_name : str, optional
            Ending in ``.json``; default ``NAME_state.json``.
        """
        name = f"{self.name}_state.json" if state_file_name is None else state_file_name
        if not name.endswith(".json"):
            raise ValueError(f"state_file_name: expected a name ending in .json, got {name!r}")
        folder = Path(save_root_path)
        if not folder.is_dir():
            raise FileNotFoundError(f"save_root_path: no such folder {folder}")
        info = self.filtered_obs_info
        content = {
            "version": STATE_VERSION,
            "name": self.name,
            "chos_inst": self.chosen_instruments,
            "downloaded_type": None if self._downloaded is None else self.downloaded_type,
            "cur_date": today().isoformat(timespec="seconds"),
            "catalogue_date": self._catalogue_date,
            "processed": self._processed,
            "filtering_operations": [
                {"name": o["name"], "arguments": {k: state.encode(v) for k, v in o["arguments"].items()}}
                for o in self._operations
            ],
            "selected_obs": list(info["ObsID"]),
            "obs_info": state.rows_to_json(info),
            "failed_downloads": self.failed_downloads,
            **self._extra_state(),
        }
        temporary = folder / f".{name}.tmp"
        temporary.write_text(state.dump(content), encoding="utf-8")
        os.replace(temporary, folder / name)

    def _load(self, path: Path, insts_given: bool) -> None:
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            name = saved["name"]
        except OSError as err:
            raise FileNotFoundError(f"save_file_path: {path} cannot be read ({err.strerror})") from err
        except (ValueError, KeyError, TypeError) as err:
            raise IncompatibleSaveError(f"save_file_path: {path} is not a saved mission ({err})") from err
        if name != self.name:
            raise IncompatibleSaveError(f"save_file_path: {path} is of {name}, not of {self.name}")
        if saved.get("version", 1) > STATE_VERSION:
            raise IncompatibleSaveError(f"save_file_path: {path} was written by a newer version")
        if not insts_given:
            self._chosen = self.check_inst_names(saved["chos_inst"], show_warn=False)
        self._set_extra_state(saved, path.parent)
        try:
            operations = [
                {"name": o["name"], "arguments": {k: state.decode(v) for k, v in o["arguments"].items()}}
                for o in saved["filtering_operations"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise IncompatibleSaveError(
                f"save_file_path: the filters in {path} cannot be read ({err})"
            ) from err
        if "obs_info" in saved:
            info = make_frame(saved["obs_info"], self.id_regex, self.pretty_name)
            self._set_info(info, saved.get("catalogue_date"))
            self._mask = np.ones(len(info), bool)
        else:  # a state of the package's first generation: it lists ObsIDs only
            self._mask = np.isin(self.obs_ids.astype(str), list(saved["selected_obs"]))
        self._operations = operations
        self._processed = bool(saved.get("processed", False))
        kinds = saved.get("downloaded_type")
        if kinds:
            self._downloaded = {"raw": "raw" in kinds.split("+"), "products": "preprocessed" in kinds}
        if saved.get("failed_downloads"):
            self._report = Report(failed=saved["failed_downloads"])

    @property
    def updated_meta_info(self) -> dict[str, Any]:
        """What the last `update` changed; empty before one."""
        return dict(self._meta)

    def update(self, download_new: bool = True, **options: Any) -> dict[str, Any]:
        """Run the recorded filters on today's catalogue and tell what has changed.

        Parameters
        ----------
        download_new : bool
            Fetch the observations that are new.
        **options
            Further arguments of `download`.

        Returns
        -------
        dict
            ``sel_obs_change``, ``any_obs_add``, ``new_obs_ids``, ``any_obs_removed``, ``removed_obs_ids``,
            ``science_usable_change``, ``which_changed_science_usable``, ``proprietary_usable_change``,
            ``which_changed_proprietary_usable``.
        """
        old, old_state = self.filtered_obs_info, (self._info, self._mask, self._operations, self._locked)
        downloaded, operations = self._downloaded, self.filtering_operations
        rows, date = self._query(refresh=True)
        self._locked = False
        try:
            self._set_info(make_frame(rows, self.id_regex, self.pretty_name), date)
            self._operations = []
            self._replay(operations)
        except NoObsAfterFilterError:
            self._info, self._mask, self._operations, _ = old_state
            raise
        finally:
            self._locked = old_state[3]
        new = self.filtered_obs_info
        added, removed = set(new.ObsID) - set(old.ObsID), set(old.ObsID) - set(new.ObsID)
        self._meta = {
            "sel_obs_change": bool(added or removed),
            "any_obs_add": bool(added),
            "new_obs_ids": sorted(added),
            "any_obs_removed": bool(removed),
            "removed_obs_ids": sorted(removed),
        }
        for column in ("science_usable", "proprietary_usable"):
            changed: list[str] = []
            today_info = self._catalogue()
            if column in old.columns and column in today_info.columns:
                before, now = old.set_index("ObsID")[column], today_info.set_index("ObsID")[column]
                both = before.index.intersection(now.index)
                changed = sorted(both[before[both].to_numpy() != now[both].to_numpy()])
            self._meta[f"{column}_change"] = bool(changed)
            self._meta[f"which_changed_{column}"] = changed
        if download_new and self._meta["any_obs_add"]:
            self.download(download_products=downloaded is None or downloaded["products"], **options)
        elif not self._meta["any_obs_add"]:
            self._downloaded = downloaded
        return self.updated_meta_info

    def info(self) -> None:
        """Print what the mission is and what is selected."""
        print(self._describe())

    def _describe(self) -> str:
        info = self.filtered_obs_info
        lines = [
            f"{self.pretty_name}",
            f"  instruments      {', '.join(self.chosen_instruments)}",
            f"  observations     {len(info)} selected of {self.num_obs}",
            f"  catalogue of     {self._catalogue_date or 'local data'}",
        ]
        if len(info):
            lines.append(f"  first start      {info.start.min():%Y-%m-%d %H:%M}")
            lines.append(f"  last end         {info.end.max():%Y-%m-%d %H:%M}")
            lines.append(f"  total duration   {info.duration.sum() / pd.Timedelta(hours=1):.1f} h")
        lines.append(f"  filters          {', '.join(o['name'] for o in self._operations) or 'none'}")
        lines.append(f"  downloaded       {self.downloaded_type if self._downloaded else 'no'}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        count = (
            "catalogue not loaded" if self._info is None else f"{len(self)} of {self.num_obs} observations"
        )
        return f"<{type(self).__name__}: {count}, {', '.join(self._chosen)}>"
