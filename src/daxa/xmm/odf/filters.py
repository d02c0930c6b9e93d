"""Filters of EPIC exposures, from the housekeeping of the filter wheel."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from daxa.xmm.formats.odf import MOS_FILTER_CODES, PN_FILTER_CODES, PN_FILTER_TOLERANCE_DEG
from daxa.xmm.odf.configuration import Housekeeping, Records
from daxa.xmm.odf.times import utc_to_tt

Warn = Callable[[str, str], None]
#: Housekeeping file, column and codes of the filter wheel.
FILTER_WHEEL = {
    "M1": ("PEH", "E1317", MOS_FILTER_CODES),
    "M2": ("PEH", "K1317", MOS_FILTER_CODES),
    "PN": ("PMH", "F1122", PN_FILTER_CODES),
}
#: Names of pn filters in the housekeeping columns F1118 (``FILTC-MEDIUM``) and FD130 (``MEDIUM``), which a
#: real log of odfingest 3.33 prints. "CAL" in front stands for the calibration source (assumed).
_PN_FILTER_TEXT = re.compile(r"^(?:FILTC-)?(CAL)?[-_ ]?(CLOSED|THIN1|THIN2|MEDIUM|THICK|OPEN)$")
#: How far a potentiometer reading may be from the nominal code of a position.
_CODE_TOLERANCE = 2


def translate(value: float, codes: Mapping[int, str], tolerance: float = _CODE_TOLERANCE) -> str | None:
    """Name of a housekeeping code, None if no code is near enough.

    Parameters
    ----------
    value
        The code that was read.
    codes
        Code -> name.
    tolerance
        How far the value may be from a code.
    """
    nearest = min(codes, key=lambda code: abs(code - value))
    return codes[nearest] if abs(nearest - value) <= tolerance else None


def housekeeping_value(
    time_s: np.ndarray, values: np.ndarray, start_s: float, stop_s: float
) -> tuple[float | None, str | None]:
    """Value of a housekeeping parameter during an exposure.

    Parameters
    ----------
    time_s, values
        Records, in time order.
    start_s, stop_s
        The exposure, same clock as ``time_s``.

    Returns
    -------
    value, problem
        The value and None, or None and the name of SAS's warning: ``HousekeepingParameterMissing`` (no
        record in the exposure, or the exposure reaches beyond the records), ``NewHousekeepingValue``
        (it changed).
    """
    if not len(time_s):
        return None, "HousekeepingParameterMissing"
    inside = (time_s >= start_s) & (time_s <= stop_s)
    # A record stands for the time until the next one.
    margin = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0
    if not inside.any() or start_s < time_s.min() - margin or stop_s > time_s.max() + margin:
        return None, "HousekeepingParameterMissing"
    found = np.unique(values[inside])
    return (float(found[0]), None) if len(found) == 1 else (None, "NewHousekeepingValue")


def pn_filter_of_text(text: str) -> str | None:
    """Name of a pn filter as the columns F1118 and FD130 write it; None for other texts.

    Parameters
    ----------
    text
        Content of the column.

    Examples
    --------
    >>> pn_filter_of_text("THIN1")
    'Thin1'
    """
    match = _PN_FILTER_TEXT.match(text.strip().upper())
    return f"{'Cal' if match[1] else ''}{match[2].capitalize()}" if match else None


def filter_of(
    hk: Housekeeping, instrument: str, start: str, end: str, warn: Warn
) -> tuple[str | None, float | None]:
    """Filter of an exposure and reading of its wheel; None, with a warning, where they cannot be told.

    Parameters
    ----------
    hk
        Housekeeping of the observation.
    instrument
        Two-letter code of the camera.
    start, end
        Start and end of the exposure, UTC dates.
    warn
        Given code and text of each warning.
    """
    file_type, column, codes = FILTER_WHEEL[instrument]
    records = hk.records(instrument, file_type)
    if not records.columns:
        # Told at the end, once for all exposures.
        return None, None
    if column not in records.columns:
        have = ", ".join(records.columns)
        warn("HousekeepingParameterMissing", f"{records.where}: no column {column}; it has {have}")
        return None, None
    span = float(utc_to_tt(start)), float(utc_to_tt(end))
    if records.columns[column].dtype.kind not in "iuf":
        warn("HousekeepingParameterMissing", f"{records.where}: column {column} holds no numbers")
        return None, None
    values = records.columns[column].astype(np.float64)
    if instrument == "PN":
        texts = _pn_filters(records, *span)
        if len(texts) == 1:
            rows = (records.time_s >= span[0]) & (records.time_s <= span[1])
            named, wheel = texts.pop(), float(np.median(values[rows]))
            _compare_wheel(named, wheel, codes, start, end, warn)
            return named, wheel
    found, problem = housekeeping_value(records.time_s, values, *span)
    if problem is not None or found is None:
        what = "changes" if problem == "NewHousekeepingValue" else "has no records for the whole time"
        warn(
            problem or "HousekeepingParameterMissing",
            f"{instrument} {column} {what} between {start} and {end}: the filter stays unknown",
        )
        return None, None
    tolerance = PN_FILTER_TOLERANCE_DEG if instrument == "PN" else _CODE_TOLERANCE
    name = translate(found, codes, tolerance)
    if name is None:
        warn("TranslationNotAvailable", f"{instrument} {column}: {found:g} is not a filter position")
        return None, None
    return name, found


def _compare_wheel(
    name: str, wheel_deg: float, codes: Mapping[int, str], start: str, end: str, warn: Warn
) -> None:
    """Tell of a wheel that stands elsewhere than the filter by its name, which is taken."""
    by_wheel = translate(wheel_deg, codes, PN_FILTER_TOLERANCE_DEG)
    if by_wheel not in (None, name):
        warn(
            "InconsistentData",
            f"PN between {start} and {end}: housekeeping names the filter {name}, which is taken; its wheel "
            f"at {wheel_deg:.1f} deg (F1122) stands for {by_wheel}",
        )


def _pn_filters(records: Records, start_s: float, stop_s: float) -> set[str]:
    """Filters that the text columns name during an exposure, while the wheel stands still."""
    rows = (records.time_s >= start_s) & (records.time_s <= stop_s)
    columns = records.columns
    if "F1119" in columns:
        rows &= np.char.strip(columns["F1119"].astype(str)) == "STOPPED"
    for column in ("FD130", "F1118"):
        if column in columns:
            texts = np.unique(columns[column][rows].astype(str))
            found = {name for text in texts if (name := pn_filter_of_text(str(text)))}
            if found:
                return found
    return set()
