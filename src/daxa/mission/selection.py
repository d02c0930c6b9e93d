"""A catalogue of observations and the filters applied to it."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from daxa.exceptions import (
    IllegalSourceType,
    MissionLockedError,
    NoObsAfterFilterError,
    NoTargetSourceTypeInfo,
)
from daxa.mission import filters
from daxa.mission.positions import is_position

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

TARGET_TYPES = {
    "AGN": "Active Galaxies and Quasars",
    "BLZ": "Blazars",
    "CV": "Cataclysmic Variables",
    "CAL": "Calibration Observation (possibly of objects)",
    "EGS": "Extragalactic Surveys",
    "GCL": "Galaxy Clusters",
    "GS": "Galactic Survey",
    "ASK": "All Sky Survey",
    "MAG": "Magnetars and Rotation-Powered Pulsars",
    "NGS": "Normal and Starburst Galaxies",
    "NS": "Neutron stars and Black Holes",
    "STR": "Non-Degenerate Stars",
    "OAGN": "Obscured Active Galaxies and Quasars",
    "SNE": "Non-ToO Supernovae",
    "SNR": "Supernova Remnants and Galactic diffuse",
    "SOL": "Solar System Observations",
    "ULX": "Ultra-luminous X-ray Sources",
    "XRB": "X-ray Binaries",
    "TOO": "Targets of Opportunity",
    "EGE": "Extended galactic or extragalactic",
    "MISC": "Catch-all for other sources",
}


def _refuse_masked(argument: str, values: Any) -> None:
    """Refuse values of which some are masked: what is stored under a mask is no value.

    Raises
    ------
    ValueError
        Some are masked, or their masks have been lost.
    """
    entries = list(values) if isinstance(values, (list, tuple)) else [values]
    for number, entry in enumerate(entries):
        if getattr(entry, "mask", None) is None and isinstance(entry, np.ma.MaskedArray):
            raise ValueError(
                f"{argument}: numpy.column_stack and the like lose the masks of table columns; "
                "give SkyCoord(ra, dec) of columns with units, or numpy.ma.column_stack"
            )
        masked = np.asarray(np.ma.getmaskarray(entry) if np.ma.isMA(entry) else getattr(entry, "mask", False))
        if masked.any():
            rows = np.flatnonzero(
                masked if masked.ndim < 2 else masked.any(axis=tuple(range(1, masked.ndim)))
            )
            first = number if len(entries) > 1 else int(rows[0])
            more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
            raise ValueError(f"{argument}: number {first}{more} is masked; leave such entries out")


def _datetime64(argument: str, value: Any) -> np.ndarray:
    """Times as datetime64[us]; accepts datetimes, astropy Times, ISO text and lists of them."""
    from astropy.time import Time

    _refuse_masked(argument, value)
    if isinstance(value, Time):
        value = value.utc.to_datetime()
    try:
        return np.asarray(value, "datetime64[us]")
    except (ValueError, TypeError) as err:
        raise ValueError(f"{argument}: expected datetimes, got {value!r} ({err})") from None


class Selection:
    """Filters of a mission: each is a logical and with those before it, and is recorded.

    A filter that would leave nothing raises `NoObsAfterFilterError` and changes nothing.
    """

    # filled by BaseMission
    pretty_name: str
    id_regex: str
    fov: Any
    _locked: bool
    name_resolver: Callable[[str, bool], tuple[float, float] | None]
    _chosen: list[str]
    instruments: tuple[str, ...]
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
        """The filters applied, in order: dicts with ``name`` and ``arguments``."""
        return list(self._operations)

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

    # -- filters ----------------------------------------------------------------------------

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

    def filter_on_obs_ids(self, allowed_obs_ids: str | list[str], invert: bool = False) -> None:
        """Keep the observations with these ObsIDs, or with `invert` all others.

        Parameters
        ----------
        allowed_obs_ids : str or list of str
            The ObsIDs.
        invert : bool
            Keep all others.

        Raises
        ------
        ValueError
            An ObsID is not of the mission's form, or the catalogue does not know it.

        Warns
        -----
        UserWarning
            Some are not in the catalogue; similar ones are named.

        Examples
        --------
        On a mission of three observations:

        >>> mission.filter_on_obs_ids("0800010101", invert=True)
        >>> mission.filtered_obs_ids.tolist()
        ['0800010201', '0800010301']
        """
        _refuse_masked("allowed_obs_ids", allowed_obs_ids)
        ids = [str(o) for o in np.atleast_1d(np.asarray(allowed_obs_ids, dtype=object))]
        malformed = [o for o in ids if not self.check_obsid_pattern(o)]
        if malformed:
            raise ValueError(
                f"allowed_obs_ids: {', '.join(map(repr, malformed[:5]))} cannot be {self.pretty_name} "
                f"ObsIDs (expected {self.id_regex})"
            )
        known = self.obs_ids
        missing = sorted(set(ids) - set(known))
        if missing and not invert:
            hints = {o: difflib.get_close_matches(o, known, n=3, cutoff=0.8) for o in missing[:5]}
            text = "; ".join(f"{o} (near it: {', '.join(h)})" if h else o for o, h in hints.items())
            message = f"{self.pretty_name} has no ObsID {text}" + (", ..." if len(missing) > 5 else "")
            if len(missing) == len(set(ids)):
                raise NoObsAfterFilterError(f"allowed_obs_ids: {message}")
            warnings.warn(message, stacklevel=2)
        mask = np.isin(known.astype(str), ids)
        self._apply("filter_on_obs_ids", {"allowed_obs_ids": ids, "invert": invert}, mask ^ invert)

    def filter_on_rect_region(self, lower_left: Any, upper_right: Any) -> None:
        """Keep the observations that point into a box of right ascension and declination.

        Parameters
        ----------
        lower_left, upper_right : SkyCoord or [ra, dec] in degrees
            Two opposite corners. If the first right ascension is the larger one, the box crosses right
            ascension 0 when they are more than 180 degrees apart, and is swapped with a warning otherwise.

        Raises
        ------
        ValueError
            The corner that is named first lies above the other one.
        NoObsAfterFilterError
            Nothing is left.

        Examples
        --------
        On a mission that has pointed at (149.6, -11.1), (150, -11.1) and (10, 20):

        >>> mission.filter_on_rect_region([149.5, -11.5], [149.8, -11.0])
        >>> mission.filtered_obs_ids.tolist()
        ['0800010101']
        """
        corners = {"lower_left": lower_left, "upper_right": upper_right}
        (ra0, dec0), (ra1, dec1) = (self._radec(k, v, scalar=True) for k, v in corners.items())
        if dec0 > dec1:
            raise ValueError(f"lower_left: its declination {dec0} lies above that of upper_right, {dec1}")
        if 0 < ra0 - ra1 <= 180:
            warnings.warn("lower_left has the larger right ascension: the two are swapped", stacklevel=2)
            ra0, ra1 = ra1, ra0
        info = self._catalogue()
        mask = filters.in_rectangle(info.ra.to_numpy(), info.dec.to_numpy(), ra0, ra1, dec0, dec1)
        self._apply("filter_on_rect_region", corners, mask)

    def filter_on_positions(
        self,
        positions: Any,
        search_distance: Quantity | float | list | dict | None = None,
        return_pos_obs_info: bool = False,
    ) -> pd.DataFrame | None:
        """Keep the observations within a distance of any of the positions.

        Parameters
        ----------
        positions : SkyCoord or array of shape (n, 2) or (2,)
            Right ascension and declination, degrees if without unit.
        search_distance : Quantity, float (degrees), one per position, or dict instrument -> Quantity
            Default: 1.2 times the field of view.
        return_pos_obs_info : bool
            Return a frame with the columns ``pos_ind``, ``pos_ra``, ``pos_dec`` and ``ObsIDs`` (comma
            separated) of the positions that have observations.

        Raises
        ------
        NoObsAfterFilterError
            Nothing is left.

        Examples
        --------
        On a mission that has pointed at (149.6, -11.1), (150, -11.1) and (10, 20):

        >>> mission.filter_on_positions([149.7, -11.1], search_distance=0.2)
        >>> mission.filtered_obs_ids.tolist()
        ['0800010101']
        """
        arguments = {"positions": positions, "search_distance": search_distance}
        mask, (obs, pos), (ra, dec) = self._near(positions, search_distance, pairs=return_pos_obs_info)
        self._apply("filter_on_positions", arguments, mask)
        return self._pairs_frame(obs, pos, ra, dec) if return_pos_obs_info else None

    def filter_on_name(
        self,
        object_name: str | list[str],
        search_distance: Quantity | float | list | dict | None = None,
        parse_name: bool = False,
        *,
        resolved: dict[str, list[float]] | None = None,
    ) -> None:
        """Keep the observations near the named object or objects.

        Parameters
        ----------
        object_name : str or list of str
            Looked up with CDS Sesame; names it does not know are warned about.
        search_distance
            As in `filter_on_positions`.
        parse_name : bool
            Read the coordinates in names such as ``CRTS J194428-420209`` instead of asking.
        resolved : dict, optional
            Name -> [ra, dec] in degrees, used instead of asking; what a saved selection is replayed with.

        Raises
        ------
        ValueError
            None of the names is known.
        DAXADownloadError
            The name service cannot be reached.
        """
        _refuse_masked("object_name", object_name)
        names = [object_name] if isinstance(object_name, str) else [str(n) for n in object_name]
        if not names or not all(n.strip() for n in names):
            raise ValueError("object_name: expected at least one name, and none of blanks")
        for name in names:
            if is_position(name) and not (resolved and name in resolved):
                raise ValueError(
                    f"object_name: {name!r} is a position, not a name; "
                    "give it to filter_on_positions (daxa find --position)"
                )
        if resolved is None:
            resolved = {n: list(p) for n in names if (p := self.name_resolver(n, parse_name)) is not None}
            unknown = [n for n in names if n not in resolved]
            if len(unknown) == len(names):
                raise ValueError(f"object_name: {self._unknown_names(unknown)}")
            if unknown:
                warnings.warn(self._unknown_names(unknown), stacklevel=2)
            if isinstance(search_distance, (list, tuple, np.ndarray)) and np.ndim(search_distance) == 1:
                search_distance = [d for n, d in zip(names, search_distance, strict=True) if n in resolved]
        arguments = {
            "object_name": object_name,
            "search_distance": search_distance,
            "parse_name": parse_name,
            "resolved": resolved,
        }
        mask, _, _ = self._near(np.array(list(resolved.values())), search_distance, pairs=False)
        self._apply("filter_on_name", arguments, mask)

    def filter_on_time(self, start_datetime: Any, end_datetime: Any, over_run: bool = True) -> None:
        """Keep the observations in a time window.

        Parameters
        ----------
        start_datetime, end_datetime : datetime (UTC)
        over_run : bool
            Keep observations that overlap the window, not only those wholly inside.

        Raises
        ------
        ValueError
            The end comes before the start.
        NoObsAfterFilterError
            Nothing is left.

        Examples
        --------
        On a mission that has observed for an hour on the first of June 2017, 2018 and 2019:

        >>> from datetime import datetime
        >>> mission.filter_on_time(datetime(2018, 1, 1), datetime(2020, 1, 1))
        >>> mission.filtered_obs_ids.tolist()
        ['0800010201', '0800010301']
        """
        start, end = _datetime64("start_datetime", start_datetime), _datetime64("end_datetime", end_datetime)
        if start.ndim or end.ndim or not start <= end:
            raise ValueError(
                f"start_datetime, end_datetime: expected a start before an end, got {start}, {end}"
            )
        arguments = {"start_datetime": start[()], "end_datetime": end[()], "over_run": over_run}
        self._apply("filter_on_time", arguments, filters.in_time(*self._times(), start, end, over_run))

    def filter_on_positions_at_time(
        self,
        positions: Any,
        start_datetimes: Any,
        end_datetimes: Any,
        search_distance: Quantity | float | list | dict | None = None,
        return_obs_info: bool = False,
        over_run: bool = True,
    ) -> pd.DataFrame | None:
        """Keep the observations near a position in that position's own time window.

        Parameters
        ----------
        positions, search_distance
            As in `filter_on_positions`.
        start_datetimes, end_datetimes : datetimes (UTC), one per position
        return_obs_info : bool
            Return a frame as `filter_on_positions` does, with the windows.
        over_run : bool
            As in `filter_on_time`.
        """
        start = np.atleast_1d(_datetime64("start_datetimes", start_datetimes))
        end = np.atleast_1d(_datetime64("end_datetimes", end_datetimes))
        _, (obs, pos), (ra, dec) = self._near(positions, search_distance, pairs=True)
        if not len(start) == len(end) == len(ra):
            raise ValueError(
                f"start_datetimes, end_datetimes: expected one of each for every of the {len(ra)} positions, "
                f"got {len(start)} and {len(end)}"
            )
        if not (start <= end).all():
            raise ValueError("start_datetimes: every window must start before it ends")
        obs_start, obs_end = self._times()
        hit = filters.in_time(obs_start[obs], obs_end[obs], start[pos], end[pos], over_run)
        mask = np.zeros(self.num_obs, bool)
        mask[obs[hit]] = True
        arguments = {
            "positions": positions,
            "start_datetimes": start.astype(object).tolist(),
            "end_datetimes": end.astype(object).tolist(),
            "search_distance": search_distance,
            "over_run": over_run,
        }
        self._apply("filter_on_positions_at_time", arguments, mask)
        if not return_obs_info:
            return None
        frame = self._pairs_frame(obs[hit], pos[hit], ra, dec)
        frame["start"], frame["end"] = start[frame.pos_ind], end[frame.pos_ind]
        return frame

    def filter_on_target_type(self, target_type: str | list[str]) -> None:
        """Keep the observations of these kinds of target (see `show_allowed_target_types`).

        Parameters
        ----------
        target_type : str or list of str
            Keys of the taxonomy, in any case.

        Raises
        ------
        IllegalSourceType
            A key is not in the taxonomy.
        NoTargetSourceTypeInfo
            The mission's catalogue has no target types.
        """
        _refuse_masked("target_type", target_type)
        types = [str(t).upper() for t in np.atleast_1d(target_type)]
        wrong = [t for t in types if t not in TARGET_TYPES]
        if wrong:
            raise IllegalSourceType(
                f"target_type: {', '.join(wrong)} unknown, expected some of {', '.join(TARGET_TYPES)}"
            )
        info = self._catalogue()
        if "target_category" not in info.columns:
            raise NoTargetSourceTypeInfo(f"the {self.pretty_name} catalogue does not tell kinds of target")
        mask = info["target_category"].isin(types).to_numpy()
        self._apply("filter_on_target_type", {"target_type": types}, mask)

    @staticmethod
    def show_allowed_target_types(table_format: str = "fancy_grid") -> None:
        """Print the keys that `filter_on_target_type` takes.

        Parameters
        ----------
        table_format : str
            A format of the package tabulate.
        """
        from tabulate import tabulate

        print(tabulate(TARGET_TYPES.items(), ["Target type", "Description"], tablefmt=table_format))

    def check_obsid_pattern(self, obs_id_to_check: str) -> bool:
        """Whether a text has the form of an ObsID of this mission.

        Parameters
        ----------
        obs_id_to_check : str
            The text.
        """
        return re.match(self.id_regex, str(obs_id_to_check)) is not None

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

    def _times(self) -> tuple[np.ndarray, np.ndarray]:
        info = self._catalogue()
        return info.start.to_numpy("datetime64[us]"), info.end.to_numpy("datetime64[us]")

    def _coordinates(self, info: pd.DataFrame) -> SkyCoord:
        from astropy.coordinates import SkyCoord

        return SkyCoord(info.ra.to_numpy(), info.dec.to_numpy(), unit="deg", frame=self.coord_frame)

    def _radec(self, argument: str, positions: Any, scalar: bool = False) -> tuple[Any, Any]:
        """Positions as degrees in the mission's frame, checked."""
        from astropy.coordinates import SkyCoord
        from astropy.units import Quantity

        _refuse_masked(argument, positions)
        if isinstance(positions, (list, tuple)) and positions and isinstance(positions[0], SkyCoord):
            positions = SkyCoord(list(positions))
        if isinstance(positions, SkyCoord):
            # the frames of all these catalogues agree with ICRS to better than 0.1 arcsec
            ra, dec = np.atleast_1d(positions.icrs.ra.deg), np.atleast_1d(positions.icrs.dec.deg)
        else:
            if isinstance(positions, Quantity):
                positions = positions.to_value("deg")
            try:
                values = np.asarray(positions, float)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{argument}: expected a SkyCoord or [ra, dec] pairs in degrees, got {positions!r}"
                ) from None
            if not values.size or values.shape[-1] != 2 or values.ndim > 2:
                raise ValueError(
                    f"{argument}: expected [ra, dec] pairs, got an array of shape {values.shape}"
                )
            ra, dec = np.atleast_2d(values).T
        bad = ~(np.isfinite(ra) & (np.abs(dec) <= 90))
        if bad.any():
            first = int(np.argmax(bad))
            raise ValueError(
                f"{argument}: number {first} is not a place in the sky (ra {ra[first]}, dec {dec[first]})"
            )
        if scalar:
            if len(ra) != 1:
                raise ValueError(f"{argument}: expected one position, got {len(ra)}")
            return float(ra[0]), float(dec[0])
        return ra, dec

    def _radii(self, search_distance: Any, n_positions: int) -> np.ndarray | dict[str, float]:
        """Search radius in degrees: one number, one per position, or one per instrument."""
        from astropy.units import Quantity

        if search_distance is None:
            distance = self.fov
            if isinstance(distance, dict):
                return {inst: 1.2 * d.to_value("deg") for inst, d in distance.items()}
            return np.array(1.2 * distance.to_value("deg"))
        if isinstance(search_distance, dict):
            unknown = sorted(set(search_distance) - set(self.instruments))
            if unknown:
                raise ValueError(f"search_distance: unknown instruments {', '.join(unknown)}")
            return {inst: float(Quantity(d, "deg").value) for inst, d in search_distance.items()}
        _refuse_masked("search_distance", search_distance)
        radii = np.asarray(Quantity(search_distance, "deg").value, float)
        if radii.ndim > 1 or (radii.ndim == 1 and len(radii) != n_positions):
            raise ValueError(
                f"search_distance: expected one value, or one for each of {n_positions} positions"
            )
        if not (radii > 0).all():
            raise ValueError("search_distance: must be positive")
        return radii

    def _near(self, positions: Any, search_distance: Any, pairs: bool) -> tuple:
        """Mask of observations near positions; with `pairs`, also which is near which."""
        ra, dec = self._radec("positions", positions)
        radii = self._radii(search_distance, len(ra))
        info = self._catalogue()
        obs_ra, obs_dec = info.ra.to_numpy(), info.dec.to_numpy()
        if isinstance(radii, dict):
            # the instrument that took an observation decides; without that knowledge, the widest chosen one
            groups = self._instrument_groups(info, radii)
        else:
            groups = [(np.arange(len(info)), radii)]
        mask, pairs_of_groups = np.zeros(len(info), bool), []
        for rows, radius in groups:
            if pairs:
                obs, pos = filters.match_pairs(obs_ra[rows], obs_dec[rows], ra, dec, radius)
                pairs_of_groups.append((rows[obs], pos))
                mask[rows[obs]] = True
            else:
                mask[rows] = filters.near_positions(obs_ra[rows], obs_dec[rows], ra, dec, radius)
        obs = np.concatenate([f[0] for f in pairs_of_groups]) if pairs_of_groups else np.zeros(0, int)
        pos = np.concatenate([f[1] for f in pairs_of_groups]) if pairs_of_groups else np.zeros(0, int)
        return mask, (obs, pos), (ra, dec)

    def _instrument_groups(self, info: pd.DataFrame, radii: dict[str, float]) -> list[tuple]:
        if "instrument" in info.columns:
            instrument = info["instrument"].to_numpy()
            return [(np.flatnonzero(instrument == inst), radius) for inst, radius in radii.items()]
        widths = [radius for inst, radius in radii.items() if inst in self._chosen]
        if not widths:
            raise ValueError(f"search_distance: has none of {', '.join(self._chosen)}")
        return [(np.arange(len(info)), max(widths))]

    def _pairs_frame(self, obs: np.ndarray, pos: np.ndarray, ra: np.ndarray, dec: np.ndarray) -> pd.DataFrame:
        keep = self.filter_array[obs]
        ids = pd.Series(self.obs_ids[obs[keep]]).groupby(pos[keep]).agg(",".join)
        index = ids.index.to_numpy(int)
        columns = {"pos_ind": index, "pos_ra": ra[index], "pos_dec": dec[index], "ObsIDs": ids.to_numpy()}
        return pd.DataFrame(columns)

    def _unknown_names(self, unknown: list[str]) -> str:
        text = f"Sesame knows no object named {', '.join(map(repr, unknown[:10]))}"
        info = self._catalogue()
        if "target" in info.columns:
            targets = {str(t).lower(): str(t) for t in info["target"].dropna().unique()}
            near = difflib.get_close_matches(unknown[0].lower(), targets, n=3, cutoff=0.6)
            if near:
                return f"{text}; the catalogue has targets named {', '.join(targets[n] for n in near)}"
        return f"{text}; try another name of the object, or filter_on_positions with its coordinates"

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
