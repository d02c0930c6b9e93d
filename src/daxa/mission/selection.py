"""A catalogue of observations and what of it is selected."""

from __future__ import annotations

import re
import warnings
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from daxa.exceptions import MissionLockedError, NoObsAfterFilterError, WrongTypeError

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord


class Selection:
    """What of a mission's catalogue is selected, and the filters that have led there."""

    # filled by BaseMission
    pretty_name: str
    id_regex: str
    _locked: bool
    _mask: np.ndarray
    _operations: list[dict]

    # -- what there is and what is selected -------------------------------------------------

    @property
    def coord_frame(self) -> Any:
        """The astropy frame class of the catalogue's positions."""
        raise NotImplementedError(f"{type(self).__name__} does not define coord_frame")

    @property
    def filter_array(self) -> np.ndarray:
        """Boolean mask on `all_obs_info`."""
        self._catalogue()
        return self._mask

    @filter_array.setter
    def filter_array(self, mask: Any) -> None:
        info, mask = self._catalogue(), np.asarray(mask)
        if mask.dtype != bool or mask.shape != (len(info),):
            raise ValueError(
                f"filter_array: expected {len(info)} booleans, got {mask.dtype} of shape {mask.shape}"
            )
        self._check_unlocked()
        if not mask.any():
            warnings.warn(f"{self.pretty_name}: no observation is selected any more", stacklevel=2)
        self._operations = [{"name": "filter_array", "arguments": {"obs_ids": list(info.ObsID[mask])}}]
        self._select(mask.copy())

    @property
    def filtered_obs_info(self) -> pd.DataFrame:
        """The rows of the selected observations."""
        return self._catalogue()[self.filter_array]

    @property
    def filtering_operations(self) -> list[dict]:
        """The filters applied, in order: dicts with ``name`` and ``arguments``.

        Setting it to one such dictionary applies one more filter.
        """
        return list(self._operations)

    @filtering_operations.setter
    def filtering_operations(self, operation: dict) -> None:
        if not isinstance(operation, dict) or set(operation) != {"name", "arguments"}:
            raise WrongTypeError(
                f"filtering_operations: expected a dictionary with name and arguments, got {operation!r}"
            )
        self._replay([operation])

    @property
    def science_usable(self) -> np.ndarray:
        """Which observations of the catalogue hold science data."""
        return self._catalogue()["science_usable"].to_numpy(bool)

    @property
    def obs_ids(self) -> np.ndarray:
        """ObsIDs of all observations, shape (n,)."""
        return self._catalogue()["ObsID"].to_numpy()

    @property
    def filtered_obs_ids(self) -> np.ndarray:
        """ObsIDs of the selected observations."""
        return self.filtered_obs_info["ObsID"].to_numpy()

    @property
    def ra_decs(self) -> SkyCoord:
        """Pointings of all observations."""
        return self._coordinates(self._catalogue())

    @property
    def filtered_ra_decs(self) -> SkyCoord:
        """Pointings of the selected observations."""
        return self._coordinates(self.filtered_obs_info)

    @property
    def num_obs(self) -> int:
        """Number of observations in the catalogue."""
        return len(self._catalogue())

    @property
    def num_filtered_obs(self) -> int:
        """Number of selected observations."""
        return int(self.filter_array.sum())

    def __len__(self) -> int:
        return self.num_filtered_obs

    def reset_filter(self) -> None:
        """Go back to all scientifically usable observations.

        Examples
        --------
        >>> mission.filter_on_obs_ids("0800010101")
        >>> mission.reset_filter()
        >>> mission.num_filtered_obs
        3
        """
        self._check_unlocked()
        self._operations = []
        self._select(self._initial_mask())

    def check_obsid_pattern(self, obs_id_to_check: str) -> bool:
        """Whether a text has the form of an ObsID of this mission.

        Parameters
        ----------
        obs_id_to_check : str
            The text.

        Examples
        --------
        >>> mission.check_obsid_pattern("0800010101"), mission.check_obsid_pattern("A907")
        (True, False)
        """
        text = str(obs_id_to_check)
        return re.match(self.id_regex, text) is not None and not text.endswith("\n")  # which $ lets through

    # -- inside -----------------------------------------------------------------------------

    def _catalogue(self) -> pd.DataFrame:
        raise NotImplementedError(f"{type(self).__name__} does not define _catalogue")

    def _initial_mask(self) -> np.ndarray:
        return self.science_usable.copy()

    def _check_unlocked(self) -> None:
        if self._locked:
            raise MissionLockedError(
                f"{self.pretty_name}: the selection belongs to an archive and cannot change any more"
            )

    def _select(self, mask: np.ndarray) -> None:
        self._mask = mask

    def _apply(self, name: str, arguments: dict, mask: np.ndarray) -> None:
        self._check_unlocked()
        before = self.filter_array
        after = before & mask
        if not after.any():
            raise NoObsAfterFilterError(
                f"{name}: none of the {int(before.sum())} selected {self.pretty_name} observations is left "
                f"(of the whole catalogue {int(mask.sum())} would pass)"
            )
        self._operations.append({"name": name, "arguments": arguments})
        self._select(after)

    def _coordinates(self, info: pd.DataFrame) -> SkyCoord:
        from astropy.coordinates import SkyCoord

        return SkyCoord(info.ra.to_numpy(), info.dec.to_numpy(), unit="deg", frame=self.coord_frame)

    def _replay(self, operations: list[dict]) -> None:
        """Apply recorded filters anew."""
        for operation in operations:
            name, arguments = operation["name"], operation["arguments"]
            if name == "filter_array":
                self.filter_array = np.isin(self.obs_ids.astype(str), arguments["obs_ids"])
            elif name.startswith("filter_on_") and callable(getattr(self, name, None)):
                getattr(self, name)(**arguments)
            else:
                raise ValueError(f"filtering_operations: unknown filter {name!r}")


def today() -> datetime:
    """Now in UTC, without a time zone, as catalogues count."""
    from datetime import timezone

    return datetime.now(timezone.utc).replace(tzinfo=None)
