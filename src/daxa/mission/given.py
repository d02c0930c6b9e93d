"""What users hand to filters: positions, identifiers, times and distances, checked and in one form each.

Entries of a list that are missing (masked, not a number, None, blank) are left out, with a warning that gives
their places in the list, counted from 0. What is there and makes no sense is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from daxa.exceptions import WrongTypeError
from daxa.mission.positions import MISSING, angle_deg


@dataclass(frozen=True)
class Places:
    """Positions in the sky.

    Parameters
    ----------
    ra, dec : array of shape (n,)
        Degrees.
    rows : integer array of shape (n,)
        Their places among those given.
    given : int
        Number of positions given.
    """

    ra: np.ndarray
    dec: np.ndarray
    rows: np.ndarray
    given: int

    def __len__(self) -> int:
        return len(self.ra)

    @property
    def complete(self) -> bool:
        """Whether none is missing."""
        return len(self) == self.given

    def keep(self, wanted: np.ndarray) -> Places:
        """Those that are wanted.

        Parameters
        ----------
        wanted : bool array of shape (n,)
        """
        return Places(self.ra[wanted], self.dec[wanted], self.rows[wanted], self.given)


def leave_out(argument: str, missing: np.ndarray, rows: np.ndarray | None = None) -> None:
    """Say which entries are missing.

    Parameters
    ----------
    argument
        Name of the argument, for the message.
    missing : bool array of shape (n,)
        Which entries are.
    rows : integer array of shape (n,), optional
        Their places; by default those in the array.

    Raises
    ------
    ValueError
        All are.

    Warns
    -----
    UserWarning
        Some are.
    """
    if not missing.any():
        return
    places = np.flatnonzero(missing) if rows is None else rows[missing]
    first = ", ".join(map(str, places[:10])) + (", ..." if len(places) > 10 else "")
    text = f"{argument}: {len(places)} of {len(missing)} are missing (number {first}, counted from 0)"
    if missing.all():
        raise ValueError(f"{text}; nothing is left")
    warnings.warn(f"{text} and left out", stacklevel=4)


def masked_rows(argument: str, values: Any, count: int) -> np.ndarray:
    """Which of a number of entries are masked: what is stored under a mask is no value.

    Parameters
    ----------
    argument
        Name of the argument, for messages.
    values
        A list, a column, an array or a SkyCoord.
    count
        Number of entries in it; an entry may have two coordinates.

    Returns
    -------
    masked : bool array of shape (count,)

    Raises
    ------
    ValueError
        The masks have been lost.
    """
    listed = isinstance(values, (list, tuple))
    masks = [_mask(argument, entry) for entry in (values if listed else [values])]
    if listed and len(masks) == count:
        return np.array([mask.any() for mask in masks], bool)
    whole = masks[0] if len(masks) == 1 else np.array([mask.any() for mask in masks], bool)
    if whole.size and whole.size % count == 0:
        return np.asarray(whole.reshape(count, -1).any(axis=1))
    return np.full(count, bool(whole.any()), bool)


def _mask(argument: str, entry: Any) -> np.ndarray:
    mask = getattr(entry, "mask", None)
    if mask is None and isinstance(entry, np.ma.MaskedArray):
        raise ValueError(
            f"{argument}: numpy.column_stack and the like lose the masks of table columns; "
            "give SkyCoord(ra, dec) of columns with units, or numpy.ma.column_stack"
        )
    if np.ma.isMA(entry):
        return np.asarray(np.ma.getmaskarray(entry))
    return np.asarray(False if callable(mask) or mask is None else mask)  # of pandas it is a method


def places(argument: str, positions: Any) -> Places:
    """Positions in degrees.

    Parameters
    ----------
    argument
        Name of the argument, for messages.
    positions
        A SkyCoord, a list of them, or pairs of right ascension and declination: degrees if without unit, as
        text also sexagesimal.

    Raises
    ------
    ValueError
        One is no place in the sky, or all are missing.
    WrongTypeError
        They are nothing of that kind.
    """
    from astropy.coordinates import SkyCoord

    if isinstance(positions, (list, tuple)) and positions and isinstance(positions[0], SkyCoord):
        positions = SkyCoord(list(positions))
    if isinstance(positions, SkyCoord):
        # the frames of all these catalogues agree with ICRS to better than 0.1 arcsec
        icrs = positions.icrs
        values = np.column_stack([_plain(icrs.ra.deg), _plain(icrs.dec.deg)])
    else:
        values = _pairs(argument, positions)
    missing = np.isnan(values).any(axis=1) | masked_rows(argument, positions, len(values))
    ra, dec = values.T
    wrong = ~missing & ~(np.isfinite(ra) & (np.abs(dec) <= 90))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"{argument}: number {first} is not a place in the sky (ra {ra[first]}, dec {dec[first]})"
        )
    leave_out(argument, missing)
    return Places(ra[~missing], dec[~missing], np.flatnonzero(~missing), len(values))


def place(argument: str, position: Any) -> tuple[float, float]:
    """One position in degrees; see `places`.

    Parameters
    ----------
    argument
        Name of the argument, for messages.
    position
        As for `places`.
    """
    found = places(argument, position)
    if len(found) != 1:
        raise ValueError(f"{argument}: expected one position, got {len(found)}")
    return float(found.ra[0]), float(found.dec[0])


def _plain(values: Any) -> np.ndarray:
    """Numbers without their mask."""
    return np.atleast_1d(np.asarray(getattr(values, "unmasked", values), float)).ravel()


def _pairs(argument: str, positions: Any) -> np.ndarray:
    """Pairs of coordinates as an array of shape (n, 2); what is missing is not a number."""
    from astropy.units import Quantity

    if isinstance(positions, Quantity):
        positions = positions.to_value("deg")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that masked entries become what is not a number
            values = np.asarray(positions, float)
    except (TypeError, ValueError):
        values = _of_text(argument, positions)
    if not values.size or values.ndim not in (1, 2) or values.shape[-1] != 2:
        raise ValueError(f"{argument}: expected [ra, dec] pairs, got an array of shape {values.shape}")
    return np.atleast_2d(values)


def _of_text(argument: str, positions: Any) -> np.ndarray:
    """Coordinates that are text, sexagesimal perhaps."""
    try:
        cells = np.asarray(positions, object)
        pairs = cells.reshape(-1, 2)
    except (TypeError, ValueError):
        cells, pairs = np.zeros(0, object), np.zeros((0, 2), object)
    if not len(pairs) or not all(isinstance(c, (str, float, int)) or c is None for c in pairs.flat):
        raise WrongTypeError(
            f"{argument}: expected a SkyCoord or [ra, dec] pairs in degrees, got {positions!r}"
        )
    values = np.full(pairs.shape, np.nan)
    for row, column in np.ndindex(pairs.shape):
        text = str(pairs[row, column]).strip()
        if text.lower() not in MISSING:
            try:
                values[row, column] = angle_deg(text, right_ascension=column == 0)
            except ValueError as err:
                raise ValueError(f"{argument}: number {row}: {err}") from None
    return values.reshape(cells.shape)


def names(argument: str, values: Any) -> list[str]:
    """Texts, as a list; one text is a list of one.

    Parameters
    ----------
    argument
        Name of the argument, for messages.
    values
        Text, or a list, column or array of texts.

    Raises
    ------
    ValueError
        There is none, or all are missing.
    """
    listed = list(np.atleast_1d(np.asarray(values, dtype=object)))
    if not listed:
        raise ValueError(f"{argument}: expected at least one, got none")
    masked = masked_rows(argument, values, len(listed))
    absent = [v is None or v is np.ma.masked or v != v or not str(v).strip() for v in listed]
    missing = masked | np.array(absent, bool)
    leave_out(argument, missing)
    return [str(v).strip() for v, gone in zip(listed, missing, strict=True) if not gone]


def texts(argument: str, values: Any) -> list[str]:
    """The same where only texts make sense: a number is none.

    Parameters
    ----------
    argument
        Name of the argument, for messages.
    values
        As of `names`.

    Raises
    ------
    WrongTypeError
        One is no text.
    """
    listed = np.atleast_1d(np.asarray(values, dtype=object))
    wrong = [v for v in listed if isinstance(v, (int, float)) and v == v and v is not np.ma.masked]
    if wrong:
        raise WrongTypeError(f"{argument}: expected text, e.g. {str(wrong[0])!r}, got {wrong[0]!r}")
    return names(argument, values)


def times(argument: str, value: Any) -> np.ndarray:
    """Times as datetime64[us]; what is missing is NaT.

    Parameters
    ----------
    argument
        Name of the argument, for messages.
    value
        Datetimes, astropy Times, ISO text, or a list of them.

    Raises
    ------
    WrongTypeError
        They are nothing of that kind.
    """
    from astropy.time import Time

    if (
        not isinstance(value, Time) and np.asarray(value).dtype.kind in "biuf"
    ):  # which numpy takes for microseconds
        raise WrongTypeError(f"{argument}: expected datetimes, got {value!r}")
    try:
        if isinstance(value, Time):
            found = np.array(getattr(value, "unmasked", value).utc.to_datetime(), "datetime64[us]")
        else:
            found = np.array(value, "datetime64[us]")
    except (ValueError, TypeError) as err:
        raise WrongTypeError(f"{argument}: expected datetimes, got {value!r} ({err})") from None
    masked = masked_rows(argument, value, found.size).reshape(found.shape)
    return np.where(masked, np.datetime64("NaT", "us"), found)


def radii(search_distance: Any, instruments: Sequence[str], near: Places) -> np.ndarray | dict[str, float]:
    """Radii of a search in degrees: one number, one for each position that is left, or by instrument.

    Parameters
    ----------
    search_distance
        A quantity, a number of degrees, one of these for each position given, or by instrument.
    instruments
        The instruments that there are.
    near
        The positions.

    Raises
    ------
    ValueError
        They are not positive, or not as many as the positions; an instrument is unknown.
    WrongTypeError
        They are nothing of that kind.
    """
    from astropy.units import Quantity, UnitConversionError

    by_inst = isinstance(search_distance, dict)
    if by_inst and (unknown := sorted(set(search_distance) - set(instruments))):
        raise ValueError(f"search_distance: unknown instruments {', '.join(unknown)}")
    try:
        if by_inst:
            return {inst: float(Quantity(d, "deg").value) for inst, d in search_distance.items()}
        found = np.asarray(Quantity(search_distance, "deg").value, float)
    except UnitConversionError as failure:  # as DAXA 0.3 raises it
        raise UnitConversionError(
            f"search_distance: expected an angle such as Quantity(10, 'arcmin'), got {search_distance} "
            f"({failure})"
        ) from None
    except (TypeError, ValueError):
        raise WrongTypeError(
            f"search_distance: expected an angle, or a number of degrees, got {search_distance!r}"
        ) from None
    if found.ndim > 1 or (found.ndim == 1 and len(found) != near.given):
        raise ValueError(f"search_distance: expected one value, or one for each of {near.given} positions")
    found = np.where(
        masked_rows("search_distance", search_distance, found.size).reshape(found.shape), 0, found
    )
    found = found if found.ndim == 0 else found[near.rows]
    if not (found > 0).all():
        raise ValueError("search_distance: must be positive, and not masked")
    return found
