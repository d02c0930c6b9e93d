"""Filter arguments and catalogue rows as JSON, and back."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import numpy as np


def encode(value: Any) -> Any:
    """A value as JSON can hold it; what needs a type is a dict with one key, the type's name.

    Parameters
    ----------
    value
        Numbers, text, dates, quantities, coordinates, and lists and dictionaries of them.

    Raises
    ------
    TypeError
        There is no way to write it.
    """
    from astropy.coordinates import SkyCoord
    from astropy.time import Time
    from astropy.units import Quantity

    if isinstance(value, SkyCoord):
        icrs = value.icrs
        return {"skycoord": {"ra": encode(icrs.ra.deg), "dec": encode(icrs.dec.deg), "frame": "icrs"}}
    if isinstance(value, Quantity):
        return {"quantity": {"value": encode(value.value), "unit": value.unit.to_string()}}
    if isinstance(value, Time):
        return encode(value.to_datetime())
    if isinstance(value, (datetime, date)):
        return {"datetime": value.isoformat()}
    if isinstance(value, np.datetime64):
        return {"datetime": str(value)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"ndarray": value.tolist()}
    if isinstance(value, np.ndarray):
        return {"ndarray": [encode(v) for v in value.tolist()]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {"dict": {str(k): encode(v) for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    return value


def decode(value: Any) -> Any:
    """The value that `encode` wrote.

    Parameters
    ----------
    value
        What JSON has read.
    """
    if isinstance(value, list):
        # plain numbers and text, of which there may be very many, stand for themselves
        return [decode(v) for v in value] if any(isinstance(v, (list, dict)) for v in value) else value
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((kind, content),) = value.items()
        if kind == "skycoord":
            from astropy.coordinates import SkyCoord

            return SkyCoord(decode(content["ra"]), decode(content["dec"]), unit="deg", frame=content["frame"])
        if kind == "quantity":
            from astropy.units import Quantity

            return Quantity(decode(content["value"]), content["unit"])
        if kind == "datetime":
            return datetime.fromisoformat(content)
        if kind == "datetime_list":
            return [datetime.fromisoformat(v) for v in content]
        if kind == "ndarray":
            return np.array(decode(content))
        if kind == "dict":
            return {k: decode(v) for k, v in content.items()}
    return {k: decode(v) for k, v in value.items()}


def dump(content: dict[str, Any]) -> str:
    """A JSON object with one key per line: quick to write and still readable.

    Parameters
    ----------
    content
        What JSON can hold, by key.
    """
    return "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in content.items()) + "\n}\n"


def rows_to_json(frame: Any) -> dict[str, list]:
    """A catalogue as one list per column; times as ISO text, durations in seconds.

    Parameters
    ----------
    frame
        The catalogue.
    """
    columns: dict[str, list] = {}
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind == "M":
            columns[name] = [None if v == "NaT" else v for v in values.to_numpy("datetime64[us]").astype(str)]
        elif values.dtype.kind == "m":
            columns[name] = (values / np.timedelta64(1, "s")).tolist()
        else:
            columns[name] = [None if v != v else v for v in values.tolist()]
    return columns
