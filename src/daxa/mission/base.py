"""What all missions share: instruments, the catalogue, the selection, raw data, the saved state."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daxa import config
from daxa.exceptions import MissionLockedError, WrongTypeError
from daxa.fetch.http import Client
from daxa.mission.catalogue_table import REQUIRED, make_frame
from daxa.mission.download import Report
from daxa.mission.overview import overview
from daxa.mission.resolve import resolve
from daxa.mission.saved import SavedState

#: Columns of exposures, which catalogues give in seconds.
_EXPOSURE = re.compile(r"(^|_)(exposure|expo|ontime)(_[ab])?$")


class BaseMission(SavedState):
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
        WrongTypeError
            One is no text.

        Examples
        --------
        >>> mission.check_inst_names(["pn", "M1"])
        ['M1', 'PN']
        """
        given = [insts] if isinstance(insts, str) or not isinstance(insts, Iterable) else list(insts)
        if not all(isinstance(i, str) for i in given):
            raise WrongTypeError(f"insts: expected names such as {self.instruments[0]!r}, got {insts!r}")
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
        """A mission's own columns, after the common ones have been checked; exposures become durations."""
        for column in filter(_EXPOSURE.search, info.columns):
            if info[column].dtype.kind in "iuf":
                info[column] = pd.to_timedelta(info[column], unit="s")
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

        Examples
        --------
        >>> mission.ident_to_obsid("0800010101PNS003")
        '0800010101'
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
            raise WrongTypeError(f"locked: expected True or False, got {value!r}")
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
            raise WrongTypeError(f"processed: expected True or False, got {value!r}")
        if self._processed and not value:
            raise ValueError("processed: a processed mission stays so")
        self._processed = bool(value)

    # -- what the catalogue brings later ---------------------------------------------------

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
        old, locked = self.filtered_obs_info, self._locked
        before = self._info, self._mask, self._operations, self._catalogue_date, self._downloaded
        downloaded, operations = self._downloaded, self.filtering_operations
        rows, date = self._query(refresh=True)
        self._locked = False
        try:
            self._set_info(make_frame(rows, self.id_regex, self.pretty_name), date)
            self._operations = []
            self._replay(operations)
        except BaseException:
            self._info, self._mask, self._operations, self._catalogue_date, self._downloaded = before
            raise
        finally:
            self._locked = locked
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
                then, now = old.set_index("ObsID")[column], today_info.set_index("ObsID")[column]
                both = then.index.intersection(now.index)
                changed = sorted(both[then[both].to_numpy() != now[both].to_numpy()])
            self._meta[f"{column}_change"] = bool(changed)
            self._meta[f"which_changed_{column}"] = changed
        if download_new and self._meta["any_obs_add"] and downloaded is not None and not downloaded["raw"]:
            self.fetch_products(**options)
        elif download_new and self._meta["any_obs_add"]:
            self.download(download_products=downloaded is None or downloaded["products"], **options)
        elif not self._meta["any_obs_add"]:
            self._downloaded = downloaded
        return self.updated_meta_info

    def info(self) -> None:
        """Print what the mission is, what is selected, and what can be done next."""
        print(self)

    def __str__(self) -> str:
        return overview(self).text()

    def _repr_html_(self) -> str:
        return overview(self).html()

    def __repr__(self) -> str:
        count = (
            "catalogue not loaded" if self._info is None else f"{len(self)} of {self.num_obs} observations"
        )
        return f"<{type(self).__name__}: {count}, {', '.join(self._chosen)}>"
