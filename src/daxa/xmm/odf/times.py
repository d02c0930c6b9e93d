"""Times: UTC, TT and the on-board clock.

TT is counted in seconds since MJDREF 50814.0 (1998-01-01T00:00:00 TT), as in all products. Sources:
XMM-Newton Data Files Handbook (time scales, time-correlation files), manual of the ODF access layer
(SAS_TIMECORR, SAS_OBT_MET_FIT).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import OBTFINE_LONG_UNIT_S, OBTFINE_UNIT_S
from daxa.xmm.notes import warn_once

#: TT - TAI.
TT_TAI_S = 32.184
_EPOCH = np.datetime64("1998-01-01T00:00:00", "us")
_CLOCK_EPOCH = np.datetime64("1958-01-01T00:00:00", "us")
_SECOND = 1_000_000

#: SAS_OBT_MET_FIT: method, highest degree, rms accepted [s], fraction of points that may be removed,
#: ground-station hand-overs ignored.
FIT_DEFAULTS = (0, 4, 5e-5, 0.9, 1)


@functools.lru_cache(maxsize=1)
def _leap_seconds() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    # The table built into ERFA; it needs no network.
    import erfa

    table = erfa.leap_seconds.get()
    table = table[table["year"] >= 1972]
    starts = np.array([f"{y:04d}-{m:02d}-01" for y, m in zip(table["year"], table["month"], strict=True)])
    return (starts.astype("datetime64[us]") - _EPOCH).astype(np.int64), np.round(table["tai_utc"]).astype(
        np.int64
    )


def _offsets_us() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    starts, tai_utc = _leap_seconds()
    return starts, tai_utc * _SECOND + round(TT_TAI_S * _SECOND)


def utc_to_tt(utc: str | npt.ArrayLike) -> Any:
    """Mission time of UTC dates.

    Parameters
    ----------
    utc
        ISO date(s), ``yyyy-mm-ddThh:mm:ss[.ffffff]``; a second of 60 is understood.

    Returns
    -------
    float or array
        Seconds since 1998-01-01T00:00:00 TT, exact to the microsecond.

    Raises
    ------
    ValueError
        Not a date.

    Examples
    --------
    >>> float(utc_to_tt("2017-01-01T00:00:00") - utc_to_tt("2016-12-31T23:59:59"))  # a leap second between
    2.0
    """
    scalar = np.ndim(utc) == 0
    text = np.char.strip(np.atleast_1d(np.asarray(utc, dtype=str)))
    text = np.char.rstrip(text, "Z")
    leap = np.char.find(text, ":60", 16) == 16
    if leap.any():
        text = np.where(leap, np.char.replace(text, ":60", ":59"), text)
    try:
        count = (text.astype("datetime64[us]") - _EPOCH).astype(np.int64)
    except ValueError as err:
        raise ValueError(f"not an ISO date: {err}") from None
    if np.any(np.isnat(text.astype("datetime64[us]"))):
        raise ValueError("not an ISO date: a blank field")
    starts, offsets = _offsets_us()
    index = np.searchsorted(starts, count, side="right") - 1
    seconds = (count + offsets[np.maximum(index, 0)] + leap * _SECOND) / _SECOND
    return float(seconds[0]) if scalar else seconds


def tt_to_utc(tt_s: npt.ArrayLike, decimals: int = 0) -> Any:
    """UTC date(s) ``yyyy-mm-ddThh:mm:ss`` of mission times, rounded to ``decimals`` of a second.

    Parameters
    ----------
    tt_s
        Mission times [s], a number or shape (n,).
    decimals
        Digits behind the point of seconds, up to 6.

    Examples
    --------
    >>> tt_to_utc(utc_to_tt("2017-01-01T00:00:00"))
    '2017-01-01T00:00:00'
    """
    scalar = np.ndim(tt_s) == 0
    step = 10 ** (6 - decimals)
    tt_us = np.round(np.atleast_1d(np.asarray(tt_s, dtype=np.float64)) * _SECOND).astype(np.int64)
    starts, offsets = _offsets_us()
    # All offsets have the same fraction of a second, so that times can be rounded before they are looked up.
    tt_us = (tt_us - offsets[0] + step // 2) // step * step + offsets[0]
    index = np.maximum(np.searchsorted(starts + offsets, tt_us, side="right") - 1, 0)
    utc_us = tt_us - offsets[index]
    # Within a leap second the old offset leads into the next day.
    leap = utc_us >= np.append(starts, np.iinfo(np.int64).max)[index + 1]
    dates = _EPOCH + np.where(leap, utc_us - _SECOND, utc_us).astype("timedelta64[us]")
    text = np.datetime_as_string(dates, unit="us")
    text = np.where(leap, np.char.replace(text, ":59.", ":60."), text)
    width = 19 if decimals == 0 else 20 + decimals
    text = text.astype(f"U{width}")
    return str(text[0]) if scalar else text


def housekeeping_times(
    values: npt.ArrayLike, where: str = "housekeeping", column: str = "TIME"
) -> npt.NDArray[np.float64]:
    """Mission times [s] of the rows of housekeeping, whose TIME is UTC as text; numbers stay as they are.

    Parameters
    ----------
    values
        Column of times, shape (n,).
    where
        Name of the file, for messages.
    column
        Name of the column, for messages.

    Raises
    ------
    TaskError
        ``badHkTime``: a text that is not a date.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "SU":
        return np.asarray(values, np.float64)
    text = values.astype(str)
    try:
        return np.asarray(utc_to_tt(text), np.float64) if len(text) else np.zeros(0)
    except ValueError:
        bad = next(t for t in text.tolist() if not is_date(t))
        raise TaskError(
            "badHkTime", f"{where}, column {column}: {bad.strip()!r} is not a date yyyy-mm-ddThh:mm:ss"
        ) from None


def is_date(value: Any) -> bool:
    """Whether the value of a keyword is a date that times can be made of.

    Parameters
    ----------
    value
        The value.
    """
    try:
        utc_to_tt(value)
    except (ValueError, TypeError):
        return False
    return isinstance(value, str)


#: On-board time and UTC of a TCS or TCX file.
_CLOCK_COLUMNS = ("OBTCOARS", "OBTFINE", "UTCDAY", "UTCMILLI", "UTCMICRO")
#: File types by the names that SAS_TIMECORR gives them.
_KINDS = {"TCX": "TCX", "TCS": "TCS"}
#: UTC of a file's numbers and of its text ERTIME are the same in real files [s].
_SAME_UTC_S = 1.0
#: How far two files may be apart: signal delays, which one of them may lack (assumed) [s].
_SAME_TIME_S = 2.0
#: What no delay explains: times of one of them are wrong (assumed) [s].
_OTHER_TIME_S = 30.0
#: How far outside DATE-OBS to DATE-END frames may lie [s].
_OUTSIDE_S = 60.0
#: How far from its rows a file may be used [s].
_BEYOND_S = 6 * 3600.0


class OdfFolder(Protocol):
    """What is asked of an open ODF here; its own module builds on this one."""

    @property
    def folder(self) -> Path:
        """Where it lies."""

    @property
    def period(self) -> tuple[float, float] | None:
        """Mission times of the observation's start and end."""

    @property
    def preferences(self) -> Mapping[str, str]:
        """Environment variables that choose among files."""

    def candidates(self, variable: str, default: str, types: Mapping[str, str]) -> list[tuple[str, Any]]:
        """Kinds and files that a variable allows, in its order.

        Parameters
        ----------
        variable
            Environment variable that chooses, e.g. ``SAS_TIMECORR``.
        default
            Kinds in order, with colons between them, where it is not set.
        types
            Kind -> three-letter type of its files.
        """


def _polynomial(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], degree: int
) -> npt.NDArray[np.float64]:
    return np.asarray(np.polynomial.chebyshev.chebfit(x, y, degree), dtype=np.float64)


@dataclass(frozen=True)
class TimeCorrelation:
    """Relation between the on-board clock and TT: a polynomial of their difference.

    Attributes
    ----------
    coefficients
        Chebyshev coefficients of TT - OBT [s] over ``domain`` mapped to -1 .. 1.
    domain
        First and last on-board time fitted [s].
    rms_s
        Scatter of the points used.
    removed
        Fraction of the points left out.
    source
        File the points come from.
    """

    coefficients: npt.NDArray[np.float64]
    domain: tuple[float, float]
    rms_s: float
    removed: float
    source: str = ""

    @classmethod
    def fit(
        cls,
        obt_s: npt.ArrayLike,
        tt_s: npt.ArrayLike,
        *,
        degree: int = FIT_DEFAULTS[1],
        rms_s: float = FIT_DEFAULTS[2],
        fraction: float = FIT_DEFAULTS[3],
        source: str = "",
    ) -> TimeCorrelation:
        """Fit pairs of on-board and true time.

        The degree rises to ``degree`` as long as that lowers the Bayesian information criterion; while
        the scatter exceeds ``rms_s`` points more than three robust standard deviations off are removed, up
        to ``fraction`` of them.

        Parameters
        ----------
        obt_s
            On-board times [s], shape (n,).
        tt_s
            Mission times [s], shape (n,).
        degree
            Highest degree of the polynomial.
        rms_s
            Scatter that is good enough [s].
        fraction
            Largest part of the points that may be removed.
        source
            Where the pairs come from, for headers and messages.

        Raises
        ------
        TaskError
            Fewer than two distinct points, or no fit reaches ``rms_s``.
        """
        obt = np.asarray(obt_s, dtype=np.float64)
        difference = np.asarray(tt_s, dtype=np.float64) - obt
        good = np.isfinite(obt) & np.isfinite(difference)
        obt, difference = obt[good], difference[good]
        obt, first = np.unique(obt, return_index=True)
        difference = difference[first]
        if len(obt) < 2:
            raise TaskError(
                "badTimeCorrelation", f"{source}: {len(obt)} usable point(s), at least 2 are needed"
            )
        low, high = float(obt[0]), float(obt[-1])
        x = (2 * obt - low - high) / (high - low)
        used = np.ones(len(x), dtype=bool)
        while True:
            n_used = int(used.sum())
            best, best_score = np.zeros(1), np.inf
            for trial in range(1, max(1, min(degree, n_used - 2)) + 1):
                coefficients = _polynomial(x[used], difference[used], trial)
                residual = difference[used] - np.polynomial.chebyshev.chebval(x[used], coefficients)
                variance = max(float(np.mean(residual**2)), 1e-16)
                score = n_used * np.log(variance) + (trial + 1) * np.log(n_used)
                if score < best_score:
                    best, best_score = coefficients, score
            residuals = difference - np.polynomial.chebyshev.chebval(x, best)
            rms = float(np.sqrt(np.mean(residuals[used] ** 2)))
            if rms <= rms_s:
                break
            centre = np.median(residuals[used])
            spread = 1.4826 * np.median(np.abs(residuals[used] - centre))
            keep = used & (np.abs(residuals - centre) <= max(3 * spread, rms_s))
            if keep.sum() == n_used:
                worst = np.flatnonzero(used)[np.argmax(np.abs(residuals[used]))]
                keep[worst] = False
            if keep.sum() < max(2, (1 - fraction) * len(x)):
                raise TaskError(
                    "badTimeCorrelation",
                    f"{source}: no polynomial of degree up to {degree} fits within {rms_s:g} s rms "
                    f"(reached {rms:g} s)",
                )
            used = keep
        return cls(best, (low, high), rms, 1.0 - used.sum() / len(x), source)

    @classmethod
    def from_odf(
        cls, odf: OdfFolder, start_tt_s: float | None = None, stop_tt_s: float | None = None
    ) -> TimeCorrelation:
        """Fit the reconstructed (TCX) or, where there is no useful one, the raw (TCS) correlation of an ODF.

        SAS_TIMECORR changes the order (``TCX:TCS`` by default). A file that is empty, damaged or of another
        time is replaced by the other one, with a warning; two that differ by seconds are told, by more
        refused.

        Parameters
        ----------
        odf
            The opened ODF.
        start_tt_s, stop_tt_s
            Use the rows of this interval only (by default of the observation), if it holds ten or more and
            SAS_TIMECORR_TCX is not ``ALL``.

        Raises
        ------
        TaskError
            The ODF has no such file, none of use, or two that disagree; its points fit no polynomial, or a
            variable has an impossible value.
        """
        order = odf.preferences.get("SAS_TIMECORR", "TCX:TCS")
        scope = odf.preferences.get("SAS_TIMECORR_TCX", "OBS")
        if scope not in ("OBS", "ALL"):
            raise TaskError("badParameter", f"SAS_TIMECORR_TCX: expected OBS or ALL, got {scope!r}")
        files = [file for _, file in odf.candidates("SAS_TIMECORR", "TCX:TCS", _KINDS)]
        if not files:
            raise TaskError("noTimeCorrelation", f"{odf.folder}: no {' or '.join(order.split(':'))} file")
        period = odf.period if start_tt_s is None or stop_tt_s is None else (start_tt_s, stop_tt_s)
        problems: list[TaskError] = []
        for number, file in enumerate(files):
            try:
                pairs = read_pairs(file, period)
                used = pairs if scope == "ALL" or period is None else pairs.within(period)
                fit = cls.fit(used.obt_s, used.tt_s, source=pairs.name)
            except TaskError as error:
                problems.append(error)
                continue
            for problem in problems:
                warn_once("badTimeCorrelation", f"{problem.message}; {pairs.name} is used")
            for other in files[number + 1 :]:
                _compare(pairs, other, period)
            return fit
        raise problems[0]

    def obt_to_tt(self, obt_s: npt.ArrayLike) -> Any:
        """Mission time [s] of on-board time [s].

        Parameters
        ----------
        obt_s
            On-board times [s], a number or an array.
        """
        obt = np.asarray(obt_s, dtype=np.float64)
        low, high = self.domain
        x = (2 * obt - low - high) / (high - low)
        # Beyond the points a line: a polynomial of degree 4 runs away.
        inside = np.clip(x, -1.0, 1.0)
        difference = np.polynomial.chebyshev.chebval(inside, self.coefficients)
        outside = x != inside
        if np.any(outside):
            slope = np.polynomial.chebyshev.chebval(
                inside, np.polynomial.chebyshev.chebder(self.coefficients)
            )
            difference = np.where(outside, difference + slope * (x - inside), difference)
        result = obt + difference
        return float(result) if np.ndim(obt_s) == 0 else result

    def tt_to_obt(self, tt_s: npt.ArrayLike) -> Any:
        """On-board time [s] of mission time [s].

        Parameters
        ----------
        tt_s
            Mission times [s], a number or an array.
        """
        tt = np.asarray(tt_s, dtype=np.float64)
        obt = tt - self.coefficients[0]
        for _ in range(4):
            obt = obt + (tt - self.obt_to_tt(obt))
        return float(obt) if np.ndim(tt_s) == 0 else obt

    def keywords(self) -> dict[str, tuple[Any, str]]:
        """TFIT_RPD, TFIT_DEG, TFIT_RMS, TFIT_PFR and TFIT_IGH as products carry them."""
        return {
            "TFIT_RPD": (bool(FIT_DEFAULTS[0]), "signal propagation delays recalculated"),
            "TFIT_DEG": (len(self.coefficients) - 1, "degree of the OBT-MET fit polynomial"),
            "TFIT_RMS": (self.rms_s, "[s] rms of the OBT-MET fit"),
            "TFIT_PFR": (float(self.removed), "fraction of points left out of the OBT-MET fit"),
            "TFIT_IGH": (bool(FIT_DEFAULTS[4]), "ground-station hand-overs ignored"),
        }


def clock_pairs(
    table: Mapping[str, npt.ArrayLike],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """On-board times and mission times [s] from the columns of a TCS or TCX file.

    Parameters
    ----------
    table
        Column -> values, each of shape (n,).

    Returns
    -------
    obt_s, tt_s
        Arrays of shape (n,).
    """
    coarse, fine = (np.asarray(table[name], dtype=np.float64) for name in _CLOCK_COLUMNS[:2])
    day, ms, us = (np.asarray(table[name]).astype(np.int64) for name in _CLOCK_COLUMNS[2:])
    # Leap seconds are added by day, so that a leap second itself needs no special care.
    midnight = (_CLOCK_EPOCH - _EPOCH).astype(np.int64) + day * 86400 * _SECOND
    starts, offsets = _offsets_us()
    index = np.maximum(np.searchsorted(starts, midnight, side="right") - 1, 0)
    unit = OBTFINE_LONG_UNIT_S if fine.max(initial=0.0) >= 2**16 else OBTFINE_UNIT_S
    return coarse + fine * unit, (midnight + ms * 1000 + us + offsets[index]) / _SECOND


@dataclass(frozen=True)
class Pairs:
    """On-board times and mission times [s] of a file."""

    name: str
    obt_s: npt.NDArray[np.float64]
    tt_s: npt.NDArray[np.float64]

    def within(self, period: tuple[float, float]) -> Pairs:
        """The rows of an interval, if it holds ten or more; else all of them.

        Parameters
        ----------
        period
            Start and end [mission time].
        """
        inside = (self.tt_s >= period[0]) & (self.tt_s <= period[1])
        return Pairs(self.name, self.obt_s[inside], self.tt_s[inside]) if inside.sum() >= 10 else self


def read_pairs(file: Any, period: tuple[float, float] | None) -> Pairs:
    """Rows of a file, compared with themselves and with the observation.

    Parameters
    ----------
    file
        TCX or TCS.
    period
        Start and end of the observation, mission time; None if unknown.

    Raises
    ------
    TaskError
        ``badTimeCorrelation``: fewer than two rows, its UTC in numbers and as text differ, or it is of
        another time; else as :meth:`~daxa.xmm.odf.file.OdfFile.read`.
    """
    table = file.read()
    name = file.path.name
    try:
        obt, tt_s = clock_pairs({c: table[c] for c in _CLOCK_COLUMNS})
    except (ValueError, TypeError, OverflowError) as error:
        raise TaskError("badTimeCorrelation", f"{table.where}: times that are not numbers: {error}") from None
    good = np.isfinite(obt) & np.isfinite(tt_s)
    if len(np.unique(obt[good])) < 2:
        raise TaskError(
            "badTimeCorrelation", f"{name}: {int(good.sum())} usable row(s), at least 2 are needed"
        )
    if "ERTIME" in table.columns:
        off = _off_text(table["ERTIME"], tt_s, name)
        if abs(off) > _SAME_UTC_S:
            raise TaskError(
                "badTimeCorrelation",
                f"{name}: UTCDAY, UTCMILLI and UTCMICRO are {off:.0f} s off the same time in ERTIME",
            )
    own = float(tt_s[good].min()), float(tt_s[good].max())
    if period is not None and (period[1] < own[0] - _BEYOND_S or period[0] > own[1] + _BEYOND_S):
        ours, wanted = (" to ".join(tt_to_utc(np.array(p)).tolist()) for p in (own, period))
        raise TaskError("badTimeCorrelation", f"{name} is of {ours}, the observation of {wanted}")
    return Pairs(name, obt, tt_s)


def _off_text(texts: npt.NDArray[Any], tt: npt.NDArray[np.float64], name: str) -> float:
    """Seconds that mission times are late against the dates of ERTIME; 0, with a warning, without any."""
    texts = texts.astype(str)
    good = np.isfinite(tt)
    try:
        dates = utc_to_tt(texts)
    except ValueError:
        # One by one, as only few are expected.
        is_good = np.array([is_date(text) for text in texts.tolist()])
        bad, good = int((~is_good).sum()), good & is_good
        first = int(np.argmin(is_good))
        left = "the others are compared" if good.any() else "its UTC is not compared with them"
        warn_once(
            "badTimeCorrelation",
            f"{name}: ERTIME is not a date in {bad} of {len(texts)} rows (row {first + 1}: "
            f"{texts[first].strip()!r}); {left}",
        )
        dates = np.full(len(texts), np.nan)
        if good.any():
            dates[good] = utc_to_tt(texts[good])
    return float(np.median((tt - dates)[good])) if good.any() else 0.0


def difference_s(one: Pairs, other: Pairs) -> float | None:
    """Median of what one file's times are later than another's, where both have rows; None without such.

    Parameters
    ----------
    one, other
        Pairs of the two files.
    """
    order = np.argsort(other.obt_s, kind="stable")
    obt, offset = other.obt_s[order], (other.tt_s - other.obt_s)[order]
    shared = (one.obt_s >= obt[0]) & (one.obt_s <= obt[-1])
    if not shared.any():
        return None
    return float(np.median((one.tt_s - one.obt_s - np.interp(one.obt_s, obt, offset))[shared]))


def check_frames(
    times_s: npt.NDArray[np.float64], span: tuple[float, float], where: str, source: str
) -> None:
    """Warn where frames of an exposure lie outside of it, which a wrong time correlation makes of them.

    Parameters
    ----------
    times_s
        Times of the frames, mission time.
    span
        DATE-OBS and DATE-END, mission time.
    where, source
        What the frames are of, and the file of the time correlation.
    """
    if not len(times_s):
        return
    # Single broken stamps are found elsewhere.
    first, last = np.quantile(times_s, (0.01, 0.99))
    off = max(span[0] - first, last - span[1])
    if off > _OUTSIDE_S:
        warn_once(
            "badTimeCorrelation",
            f"{where}: frames lie {off:.0f} s outside DATE-OBS to DATE-END by {source}: one of them is wrong",
        )


def _compare(pairs: Pairs, file: Any, period: tuple[float, float] | None) -> None:
    """Tell of two files that differ, refuse what no delay explains; one that cannot be used says nothing."""
    try:
        other = read_pairs(file, period)
    except TaskError:
        return
    off = difference_s(pairs, other)
    if off is None or abs(off) <= _SAME_TIME_S:
        return
    differ = f"{pairs.name} and {other.name} differ by {off:.1f} s"
    if abs(off) > _OTHER_TIME_S:
        raise TaskError("badTimeCorrelation", f"{differ}; SAS_TIMECORR=TCX or TCS chooses one")
    warn_once("badTimeCorrelation", f"{differ}; {pairs.name} is used")
