"""A mission's selection as a file, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daxa.exceptions import IncompatibleSaveError
from daxa.mission import state
from daxa.mission.catalogue_table import make_frame
from daxa.mission.download import Report
from daxa.mission.raw_data import RawData
from daxa.mission.selection import today
from daxa.writing import write_text

STATE_VERSION = 1


class SavedState(RawData):
    """The part of a mission that writes its selection to a file and takes it up again."""

    # filled by BaseMission
    chosen_instruments: Any
    _set_info: Callable[[pd.DataFrame, str | None], pd.DataFrame]
    _catalogue_date: str | None
    _processed: bool

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
        write_text(folder / name, state.dump(content))

    def _load(self, path: Path, insts_given: bool) -> None:
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            name, version = saved["name"], int(saved.get("version", 1))
        except OSError as err:
            raise FileNotFoundError(f"save_file_path: {path} cannot be read ({err.strerror})") from err
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise IncompatibleSaveError(f"save_file_path: {path} is not a saved mission ({err})") from err
        if name != self.name:
            raise IncompatibleSaveError(f"save_file_path: {path} is of {name}, not of {self.name}")
        if version > STATE_VERSION:
            raise IncompatibleSaveError(f"save_file_path: {path} was written by a newer version")
        try:
            if not insts_given:
                self._chosen = self.check_inst_names(saved["chos_inst"], show_warn=False)
            self._set_extra_state(saved, path.parent)
            self._set_selection(saved)
        except KeyError as err:
            raise IncompatibleSaveError(f"save_file_path: {path} lacks {err}") from err
        except (ValueError, TypeError, AttributeError) as err:
            raise IncompatibleSaveError(f"save_file_path: {path} is damaged ({err})") from err

    def _set_selection(self, saved: dict) -> None:
        operations = [
            {"name": str(o["name"]), "arguments": {k: state.decode(v) for k, v in o["arguments"].items()}}
            for o in saved["filtering_operations"]
        ]
        failed = {str(o): str(why) for o, why in (saved.get("failed_downloads") or {}).items()}
        kinds = (saved.get("downloaded_type") or "").split("+")
        if "obs_info" in saved:
            info = make_frame(saved["obs_info"], self.id_regex, self.pretty_name)
            self._set_info(info, saved.get("catalogue_date"))
            self._mask = np.ones(len(info), bool)
        else:  # a state of the package's first generation: it lists ObsIDs only
            self._mask = np.isin(self.obs_ids.astype(str), list(saved["selected_obs"]))
        self._operations = operations
        self._processed = bool(saved.get("processed", False))
        if kinds != [""]:
            self._downloaded = {"raw": "raw" in kinds, "products": "preprocessed" in kinds}
        if failed:
            self._report = Report(failed=failed)
