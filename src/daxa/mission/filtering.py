"""The filters of a mission."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from daxa.exceptions import IllegalSourceType, NoObsAfterFilterError, NoTargetSourceTypeInfo, WrongTypeError
from daxa.mission import filters, given
from daxa.mission.given import Places
from daxa.mission.positions import is_position, position_deg
from daxa.mission.selection import Selection
from daxa.mission.target_types import TARGET_TYPES

if TYPE_CHECKING:
    from astropy.units import Quantity


class Filters(Selection):
    """Filters of a mission: each is a logical and with those before it, and is recorded.

    A filter that would leave nothing raises `NoObsAfterFilterError` and changes nothing.
    """

    # filled by BaseMission
    fov: Any
    name_resolver: Callable[[str, bool], tuple[float, float] | None]
    _chosen: list[str]
    instruments: tuple[str, ...]

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
        ids = [self._spelled(o) for o in given.names("allowed_obs_ids", allowed_obs_ids)]
        malformed = [o for o in ids if not self.check_obsid_pattern(o)]
        if malformed:
            lost = [f"0{o}" for o in malformed[:5] if f"0{o}" in set(self.obs_ids)]
            raise ValueError(
                f"allowed_obs_ids: {', '.join(map(repr, malformed[:5]))} cannot be {self.pretty_name} "
                f"ObsIDs (expected {self.id_regex})"
                + (f"; has a zero been lost, as numbers lose it? There is {', '.join(lost)}" if lost else "")
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
        (ra0, dec0), (ra1, dec1) = (given.place(k, v) for k, v in corners.items())
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
            Right ascension and declination, degrees if without unit; as text also sexagesimal (hours and
            degrees). Masked ones, and what is not a number, are left out with a warning.
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
        near = given.places("positions", positions)
        mask, (obs, pos) = self._near(near, search_distance, pairs=return_pos_obs_info)
        self._apply("filter_on_positions", _recorded(positions, search_distance, near), mask)
        return self._pairs_frame(obs, pos, near) if return_pos_obs_info else None

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
            Looked up with CDS Sesame; names it does not know are warned about. Coordinates are taken as such,
            and names of targets of local data are matched before anybody is asked.
        search_distance
            As in `filter_on_positions`.
        parse_name : bool
            Read the coordinates in names such as ``CRTS J194428-420209`` instead of asking.
        resolved : dict, optional
            Name -> [ra, dec] in degrees, used instead of asking; what a saved selection is replayed with.

        Raises
        ------
        UnknownNameError
            None of the names is known; a ValueError, and a NameResolveError of astropy.
        DAXADownloadError
            The name service cannot be reached.

        Examples
        --------
        What the name service knows can be given; so it is not asked:

        >>> mission.filter_on_name("A 907", search_distance=0.2, resolved={"A 907": [149.59, -11.06]})
        >>> mission.filtered_obs_ids.tolist()
        ['0800010101']
        """
        names = given.texts("object_name", object_name)
        if resolved is None:
            resolved = {n: list(p) for n in names if (p := self._resolve(n, parse_name)) is not None}
            unknown = [n for n in names if n not in resolved]
            if not resolved:
                from daxa.mission.unknown import UnknownNameError

                raise UnknownNameError(f"object_name: {self._unknown_names(unknown)}")
            if unknown:
                warnings.warn(self._unknown_names(unknown), stacklevel=2)
            if isinstance(search_distance, (list, tuple, np.ndarray)) and np.ndim(search_distance) == 1:
                search_distance = [d for n, d in zip(names, search_distance, strict=True) if n in resolved]
        arguments = {
            "object_name": object_name if isinstance(object_name, str) else names,
            "search_distance": search_distance,
            "parse_name": parse_name,
            "resolved": resolved,
        }
        mask, _ = self._near(
            given.places("object_name", list(resolved.values())), search_distance, pairs=False
        )
        for name in resolved:
            mask |= self._of_target(name)
        self._apply("filter_on_name", arguments, mask)

    def _resolve(self, name: str, parse: bool) -> tuple[float, float] | None:
        """Coordinates of an object; None if nobody knows them."""
        if is_position(name):
            return position_deg(name)
        own = self._of_target(name)
        if own.any():
            row = self._catalogue().iloc[int(np.argmax(own))]
            return float(row["ra"]), float(row["dec"])
        return self.name_resolver(name, parse)

    def _of_target(self, name: str) -> np.ndarray:
        """Which observations of local data have a target of this name."""
        info = self._catalogue()
        if not self._names_are_ours or "target" not in info.columns:
            return np.zeros(len(info), bool)
        return (info["target"].map(_plain_name) == _plain_name(name)).to_numpy(bool)

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
        start = given.times("start_datetime", start_datetime)
        end = given.times("end_datetime", end_datetime)
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

        Examples
        --------
        On a mission that has pointed at (149.6, -11.1) for an hour in June 2017, and elsewhere later:

        >>> from datetime import datetime
        >>> year = datetime(2017, 1, 1), datetime(2018, 1, 1)
        >>> mission.filter_on_positions_at_time([149.7, -11.1], *year, search_distance=0.2)
        >>> mission.filtered_obs_ids.tolist()
        ['0800010101']
        """
        start = np.atleast_1d(given.times("start_datetimes", start_datetimes))
        end = np.atleast_1d(given.times("end_datetimes", end_datetimes))
        near = given.places("positions", positions)
        if not len(start) == len(end) == near.given:
            raise WrongTypeError(
                "start_datetimes, end_datetimes: expected one of each for every of the "
                f"{near.given} positions, got {len(start)} and {len(end)}"
            )
        unknown = np.isnat(start[near.rows]) | np.isnat(end[near.rows])
        given.leave_out("start_datetimes, end_datetimes", unknown, near.rows)
        near = near.keep(~unknown)
        start, end = start[near.rows], end[near.rows]
        if not (start <= end).all():
            raise ValueError("start_datetimes: every window must start before it ends")
        _, (obs, pos) = self._near(near, search_distance, pairs=True)
        obs_start, obs_end = self._times()
        hit = filters.in_time(obs_start[obs], obs_end[obs], start[pos], end[pos], over_run)
        mask = np.zeros(self.num_obs, bool)
        mask[obs[hit]] = True
        arguments = _recorded(positions, search_distance, near) | {
            "start_datetimes": start.astype(object).tolist(),
            "end_datetimes": end.astype(object).tolist(),
            "over_run": over_run,
        }
        self._apply("filter_on_positions_at_time", arguments, mask)
        if not return_obs_info:
            return None
        frame = self._pairs_frame(obs[hit], pos[hit], near)
        of = np.searchsorted(near.rows, frame.pos_ind)
        frame["start"], frame["end"] = start[of], end[of]
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
        types = [t.upper() for t in given.texts("target_type", target_type)]
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

    # -- inside -----------------------------------------------------------------------------

    def _times(self) -> tuple[np.ndarray, np.ndarray]:
        info = self._catalogue()
        return info.start.to_numpy("datetime64[us]"), info.end.to_numpy("datetime64[us]")

    def _spelled(self, obs_id: str) -> str:
        """An ObsID as the catalogue spells it."""
        return obs_id

    @property
    def _names_are_ours(self) -> bool:
        """Whether targets in the catalogue are the user's own, and come before what a service says."""
        return False

    def _radii(self, search_distance: Any, near: Places) -> np.ndarray | dict[str, float]:
        """Search radius in degrees: one number, one per position, or one per instrument."""
        if search_distance is not None:
            return given.radii(search_distance, self.instruments, near)
        distance = self.fov
        if isinstance(distance, dict):
            return {inst: 1.2 * d.to_value("deg") for inst, d in distance.items()}
        return np.array(1.2 * distance.to_value("deg"))

    def _near(
        self, near: Places, search_distance: Any, pairs: bool
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Mask of observations near positions; with `pairs`, also which is near which."""
        radii = self._radii(search_distance, near)
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
                obs, pos = filters.match_pairs(obs_ra[rows], obs_dec[rows], near.ra, near.dec, radius)
                pairs_of_groups.append((rows[obs], pos))
                mask[rows[obs]] = True
            else:
                mask[rows] = filters.near_positions(obs_ra[rows], obs_dec[rows], near.ra, near.dec, radius)
        obs = np.concatenate([f[0] for f in pairs_of_groups]) if pairs_of_groups else np.zeros(0, int)
        pos = np.concatenate([f[1] for f in pairs_of_groups]) if pairs_of_groups else np.zeros(0, int)
        return mask, (obs, pos)

    def _instrument_groups(self, info: pd.DataFrame, radii: dict[str, float]) -> list[tuple]:
        if "instrument" in info.columns:
            instrument = info["instrument"].to_numpy()
            return [(np.flatnonzero(instrument == inst), radius) for inst, radius in radii.items()]
        widths = [radius for inst, radius in radii.items() if inst in self._chosen]
        if not widths:
            raise ValueError(f"search_distance: has none of {', '.join(self._chosen)}")
        return [(np.arange(len(info)), max(widths))]

    def _pairs_frame(self, obs: np.ndarray, pos: np.ndarray, near: Places) -> pd.DataFrame:
        keep = self.filter_array[obs]
        ids = pd.Series(self.obs_ids[obs[keep]]).groupby(pos[keep]).agg(",".join)
        index = ids.index.to_numpy(int)
        return pd.DataFrame(
            {
                "pos_ind": near.rows[index],
                "pos_ra": near.ra[index],
                "pos_dec": near.dec[index],
                "ObsIDs": ids.to_numpy(),
            }
        )

    def _unknown_names(self, unknown: list[str]) -> str:
        text = f"Sesame knows no object named {', '.join(map(repr, unknown[:10]))}"
        info = self._catalogue()
        if "target" in info.columns:
            targets = {str(t).lower(): str(t) for t in info["target"].dropna().unique()}
            near = difflib.get_close_matches(unknown[0].lower(), targets, n=3, cutoff=0.6)
            if near:
                return f"{text}; the catalogue has targets named {', '.join(targets[n] for n in near)}"
        return f"{text}; try another name of the object, or filter_on_positions with its coordinates"


def _recorded(positions: Any, search_distance: Any, near: Places) -> dict[str, Any]:
    """Positions and distances as they are replayed: without what was left out."""
    from astropy.units import Quantity

    if not near.complete:
        positions = np.column_stack([near.ra, near.dec])
        if search_distance is not None and not isinstance(search_distance, dict):
            distances = Quantity(search_distance, "deg")
            search_distance = distances[near.rows] if distances.ndim else distances
    return {"positions": positions, "search_distance": search_distance}


def _plain_name(name: Any) -> str:
    """A name without case, blanks and dashes."""
    return re.sub(r"[\s_-]", "", str(name)).upper()
