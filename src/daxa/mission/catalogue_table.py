"""From the rows of a catalogue, whatever their source, to a checked table of observations."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

from daxa.plain import plain_line

REQUIRED = ("ra", "dec", "ObsID", "science_usable", "start", "duration", "end")


def to_times(values: Any) -> np.ndarray:
    """Times as datetime64[us]; ISO text, datetimes or MJD numbers (UTC); what cannot be one becomes NaT.

    Microseconds reach the year 294,247: proprietary periods that end in the year 9999 do not matter.

    Parameters
    ----------
    values
        Shape (n,).

    Returns
    -------
    times : array of datetime64[us], shape (n,)

    Examples
    --------
    >>> to_times(["1998-01-01", None]).astype(str).tolist()
    ['1998-01-01T00:00:00.000000', 'NaT']
    """
    series = pd.Series(values)
    if series.dtype.kind == "M":
        return series.to_numpy("datetime64[us]")
    if series.dtype.kind in "iuf":
        mjd = series.to_numpy(float)
        good = np.isfinite(mjd) & (np.abs(mjd) < 1e8)
        days = np.where(good, mjd, 0)
        times = np.datetime64("1858-11-17", "us") + np.rint(days * 86400e6).astype("timedelta64[us]")
        times[~good] = np.datetime64("NaT")
        return times
    times = np.array([_one_time(v) for v in series], "datetime64[us]")
    if (
        np.isnat(times).all()
        and len(given := series.dropna())
        and (given.astype(str).str.strip() != "").any()
    ):
        raise ValueError(f"times in an unknown format, such as {given.iloc[0]!r}")
    return times


def _one_time(value: Any) -> np.datetime64:
    if value is None or value != value:
        return np.datetime64("NaT")
    try:
        if isinstance(value, str):
            # all archives give UTC, some say so
            value = re.sub(r"(Z|[+-]00(:?00)?)$", "", value.strip()).replace(" ", "T")
        return np.datetime64(value, "us")
    except (ValueError, TypeError):
        return np.datetime64("NaT")


def to_bools(values: Any) -> np.ndarray:
    """Truth values from booleans, numbers and the spellings that archives use.

    Parameters
    ----------
    values
        Shape (n,); what is not understood is False.

    Returns
    -------
    truth : bool array of shape (n,)

    Examples
    --------
    >>> to_bools(["Y", "no", "1"]).tolist()
    [True, False, True]
    """
    series = pd.Series(values)
    if series.dtype.kind == "b":
        return series.to_numpy(bool)
    if series.dtype.kind in "iuf":
        return (series.fillna(0) != 0).to_numpy()
    return series.astype(str).str.strip().str.lower().isin(["true", "t", "y", "yes", "1"]).to_numpy()


def make_frame(rows: Any, id_regex: str, name: str) -> pd.DataFrame:
    """A catalogue in the shape that missions use.

    Rows that cannot be used are dropped and counted in one warning: ObsIDs of another form, missing
    positions, all but the last of rows with the same ObsID. Observations that have no start or have
    not begun yet are kept, but not scientifically usable.

    Parameters
    ----------
    rows : DataFrame or mapping of columns
        At least ``ra``, ``dec`` (degrees), ``ObsID``, ``start`` and one of ``end`` and ``duration``
        (seconds or timedelta).
    id_regex : str
    name : str
        The catalogue's name for messages.

    Raises
    ------
    ValueError
        A required column is missing.
    """
    frame = pd.DataFrame(rows).reset_index(drop=True)
    need = [c for c in ("ra", "dec", "ObsID", "start") if c not in frame.columns]
    if "end" not in frame.columns and "duration" not in frame.columns:
        need.append("end or duration")
    if need:
        raise ValueError(f"{name}: the catalogue lacks the column(s) {', '.join(need)}")
    for column in frame.columns:
        frame[column] = _plain(frame[column])
    frame["ObsID"] = frame["ObsID"].astype(str).str.strip().astype(object)
    for column in ("ra", "dec"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce").astype(float)
    for column in ("start", "end", "proprietary_end_date"):
        if column in frame.columns:
            try:
                frame[column] = to_times(frame[column])
            except ValueError as err:
                raise ValueError(f"{name}: column {column}: {err}") from None
    frame["duration"] = _durations(frame)
    if "end" not in frame.columns:
        frame["end"] = frame["start"] + frame["duration"]
    usable = (
        to_bools(frame["science_usable"]) if "science_usable" in frame.columns else np.ones(len(frame), bool)
    )
    tomorrow = np.datetime64("now", "us") + np.timedelta64(1, "D")
    frame["science_usable"] = usable & (frame["start"] <= tomorrow).to_numpy()

    pattern = re.compile(id_regex)
    misnamed = ~frame["ObsID"].map(lambda o: pattern.fullmatch(o) is not None).to_numpy(bool)
    lost = ~(np.isfinite(frame["ra"]) & (frame["dec"].abs() <= 90)).to_numpy() & ~misnamed
    twice = (frame[~(misnamed | lost)].duplicated("ObsID", keep="last")).reindex(
        frame.index, fill_value=False
    )
    reasons = {
        "without coordinates": lost.sum(),
        "given more than once": twice.sum(),
        f"with an ObsID not of the form {id_regex}": misnamed.sum(),
    }
    if any(reasons.values()):
        text = ", ".join(f"{n} {why}" for why, n in reasons.items() if n)
        warnings.warn(f"{name}: of {len(frame)} observations were dropped: {text}", stacklevel=3)
    frame = frame[~(misnamed | lost | twice.to_numpy(bool))]
    frame["ra"] = np.mod(frame["ra"], 360)
    rest = [c for c in frame.columns if c not in REQUIRED]
    return frame[[*REQUIRED, *rest]].reset_index(drop=True)


def _plain(values: pd.Series) -> pd.Series:
    """Words without what terminals and readers would obey."""
    if values.dtype.kind in "biufmM" or all(not isinstance(v, str) or v.isprintable() for v in values):
        return values
    return values.map(lambda v: plain_line(v) if isinstance(v, str) else v)


def _durations(frame: pd.DataFrame) -> pd.Series:
    if "duration" not in frame.columns:
        return (frame["end"] - frame["start"]).astype("timedelta64[us]")
    given = frame["duration"]
    if given.dtype.kind == "m":
        return given.astype("timedelta64[us]")
    seconds = pd.to_numeric(given, errors="coerce").to_numpy(float)
    good = np.isfinite(seconds) & (np.abs(seconds) < 1e12)
    length = np.rint(np.where(good, seconds, 0) * 1e6).astype("timedelta64[us]")
    length[~good] = np.timedelta64("NaT")
    return pd.Series(length, index=frame.index)
