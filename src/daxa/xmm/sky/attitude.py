"""Where the spacecraft pointed: the attitude files of an ODF and tables made from them.

Sources: XMM-Newton Data Files Handbook (attitude history file), manuals of the ODF access layer and of
atthkgen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.fits.schema import Column, column
from daxa.xmm.formats.odf import ATTITUDE_FILES
from daxa.xmm.odf.damage import damage_text
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.sky.tangent import direction, position

if TYPE_CHECKING:
    from daxa.xmm.odf.odf import Odf

FloatArray = npt.NDArray[np.float64]

#: An attitude further than this from the nearest record is not to be trusted.
MAX_DISTANCE_S = 20.0
#: Most samples of one attitude file: a dozen days in steps of 0.1 s.
MAX_SAMPLES = 10_000_000
#: Faster than this is a slew: a tenth of the usual 90 deg per hour, and far above the jitter of a pointing.
_SLEW_ARCSEC_S = 9.0

ATTHK_COLUMNS = (
    Column("TIME", "1D", "s"),
    *(
        Column(name, "1D", "deg")
        for name in ("AHFRA", "AHFDEC", "AHFPA", "OMRA", "OMDEC", "OMPA", "DAHFPNT", "DOMPNT", "DAHFOM")
    ),
)


def parse_sexagesimal(text: npt.ArrayLike, *, hours: bool = False) -> FloatArray:
    """Degrees of ``dd:mm:ss.s`` (or ``hh:mm:ss.s``) texts.

    Parameters
    ----------
    text
        Texts of any shape; blanks may stand for colons.
    hours
        Whether they are hours, of 15 degrees each.

    Raises
    ------
    ValueError
        A text is not of that form.

    Examples
    --------
    >>> parse_sexagesimal(["-00:30:00", "01:00:36"]).tolist()
    [-0.5, 1.01]
    """
    values = np.char.strip(np.asarray(text).astype(str))
    values = np.char.replace(values, " ", ":")
    negative = np.char.startswith(values, "-")
    parts = np.char.partition(np.char.lstrip(values, "+-"), ":")
    rest = np.char.partition(parts[..., 2], ":")
    whole, minutes, seconds = parts[..., 0], rest[..., 0], rest[..., 2]
    try:
        degrees = whole.astype(float) + minutes.astype(float) / 60.0 + seconds.astype(float) / 3600.0
    except ValueError:
        for index, fields in enumerate(zip(*(np.ravel(v) for v in (whole, minutes, seconds)), strict=True)):
            try:
                [float(part) for part in fields]
            except ValueError:
                wrong = str(np.ravel(values)[index])
                raise ValueError(f"{wrong!r} is not an angle with two colons") from None
        raise
    return np.where(negative, -degrees, degrees) * (15.0 if hours else 1.0)


@dataclass
class Attitude:
    """Attitude records.

    Attributes
    ----------
    start_s, stop_s
        Validity of each record, mission time; sorted, not overlapping.
    ra_deg, dec_deg, pa_deg
        Viewing direction and position angle of each record.
    slew
        Records that belong to a slew: the attitude changes linearly to the next record.
    source
        ``AHF`` (history file), ``RAF`` (raw file) or ``FIXED``.
    where
        The file, for messages.
    """

    start_s: FloatArray
    stop_s: FloatArray
    ra_deg: FloatArray
    dec_deg: FloatArray
    pa_deg: FloatArray
    slew: npt.NDArray[np.bool_]
    source: str = "AHF"
    where: str = "attitude history"
    _knots: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        order = np.argsort(self.start_s, kind="stable")
        for name in ("start_s", "stop_s", "ra_deg", "dec_deg", "pa_deg", "slew"):
            setattr(self, name, np.asarray(getattr(self, name))[order])
        if len(self.start_s) == 0:
            raise TaskError("noAttitude", f"{self.where}: no records")
        # A record ends where the next begins; a slewing one holds for its first instant only.
        following = np.append(self.start_s[1:], np.inf)
        self.stop_s = np.clip(self.stop_s, self.start_s, following)
        held = np.where(self.slew, self.start_s, self.stop_s)
        time = np.stack([self.start_s, held], axis=1).ravel()
        row = np.repeat(np.arange(len(self.start_s)), 2)
        self._knots = {"time": time, "row": row}

    @classmethod
    def fixed(cls, ra_deg: float, dec_deg: float, pa_deg: float) -> Attitude:
        """One attitude at all times.

        Parameters
        ----------
        ra_deg, dec_deg, pa_deg
            Viewing direction and position angle [deg].
        """
        one = np.ones(1)
        return cls(
            -np.inf * one, np.inf * one, ra_deg * one, dec_deg * one, pa_deg * one, np.zeros(1, bool), "FIXED"
        )

    @classmethod
    def from_table(cls, table: Mapping[str, npt.ArrayLike], where: str = "attitude history") -> Attitude:
        """From the columns VALTIME, VALDUR, VIEWRA, VIEWDECL, ASTPOS and TYPEID of a history file.

        Parameters
        ----------
        table
            Column -> values, one per record.
        where
            What the table is, for messages.

        Raises
        ------
        TaskError
            A date or angle cannot be read; the message names ``where``.
        """
        duration, pa = (_numbers(table[name], name, where) for name in ("VALDUR", "ASTPOS"))
        try:
            text = {
                name: np.char.strip(np.asarray(table[name]).astype(str))
                for name in ("VALTIME", "VIEWRA", "VIEWDECL", "TYPEID")
            }
            start = np.atleast_1d(utc_to_tt(text["VALTIME"]))
            ra = parse_sexagesimal(text["VIEWRA"], hours=True)
            dec = parse_sexagesimal(text["VIEWDECL"])
        except ValueError as err:
            raise TaskError(
                "badAttitudeFile", f"{where}: VALTIME, VIEWRA or VIEWDECL: {damage_text(err)}"
            ) from err
        # Slews come as short records; their type may not have the name that the handbook gives.
        slew = (duration <= MAX_DISTANCE_S) & _fast(start, ra, dec)
        slew |= text["TYPEID"] == "S"
        return cls(start, start + np.maximum(duration, 0.0), ra, dec, pa, slew, where=where)

    @classmethod
    def from_raw_text(cls, text: str, where: str = "raw attitude file") -> Attitude:
        """From a raw attitude file: an instant, a direction and a position angle in every line.

        Parameters
        ----------
        text
            Content of the file.
        where
            Its name, for messages.

        Raises
        ------
        TaskError
            A line is of another form (see :mod:`daxa.xmm.formats.odf`); the message names ``where`` and the
            line.
        """
        lines = [(n, line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        if not lines:
            raise TaskError("noAttitude", f"{where}: the file is empty")
        # Right ascension is the first field with two colons behind the date.
        first = lines[0][1]
        at = next((i for i, word in enumerate(first) if i and word.count(":") == 2), 0)
        for number, words in lines:
            if not at or len(words) < at + 3 or "T" not in words[0] or words[at].count(":") != 2:
                raise TaskError(
                    "badAttitudeFile",
                    f"{where}, line {number}: expected a date, VIEWRA, VIEWDECL and ASTPOS, "
                    f"got {' '.join(words)[:60]!r}",
                )
        fields = [[words[i] for _, words in lines] for i in (0, at, at + 1, at + 2)]
        try:
            time = np.asarray(utc_to_tt(fields[0]))
            ra, dec = parse_sexagesimal(fields[1], hours=True), parse_sexagesimal(fields[2])
        except ValueError as err:
            raise TaskError("badAttitudeFile", f"{where}: {err}") from err
        pa = _numbers(fields[3], "ASTPOS", where)
        order = np.argsort(time, kind="stable")
        time, ra, dec, pa = (v[order] for v in (time, ra, dec, pa))
        return cls(time, time, ra, dec, pa, _fast(time, ra, dec), "RAF", where)

    @classmethod
    def from_odf(cls, odf: Odf) -> Attitude:
        """The attitude of an ODF: from the history file or, where there is none, the raw file.

        SAS_ATTITUDE changes the order (``AHF:RAF`` by default).

        Parameters
        ----------
        odf
            The opened ODF.

        Raises
        ------
        TaskError
            The ODF has no such file, or it cannot be read.
        """
        kind, file = odf.preferred("SAS_ATTITUDE", "AHF:RAF", ATTITUDE_FILES)
        if file is None:
            order = odf.preferences.get("SAS_ATTITUDE", "AHF:RAF")
            types = " or ".join(ATTITUDE_FILES[k] for k in order.split(":"))
            raise TaskError("noAttitude", f"{odf.folder}: no attitude file {types} ({order})")
        if kind == "RAF":
            return cls.from_raw_text(file.bytes().decode("latin-1"), file.path.name)
        table = file.read()
        return cls.from_table(table, table.where)  # type: ignore[arg-type]

    def _locate(self, time_s: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], FloatArray]:
        """Record before, record after and the fraction of the way between them."""
        knots, rows = self._knots["time"], self._knots["row"]
        after = np.clip(np.searchsorted(knots, time_s, side="right"), 1, max(len(knots) - 1, 1))
        if len(knots) == 1:
            zero = np.zeros(time_s.shape, dtype=np.intp)
            return zero, zero, np.zeros(time_s.shape)
        before = after - 1
        with np.errstate(invalid="ignore", divide="ignore"):
            fraction = np.clip((time_s - knots[before]) / (knots[after] - knots[before]), 0.0, 1.0)
        fraction = np.where(rows[before] == rows[after], 0.0, fraction)
        # At the end of a step the later record itself.
        first, second = rows[before], rows[after]
        first = np.where(fraction == 1.0, second, first)
        return first, second, np.where(fraction == 1.0, 0.0, fraction)

    def at(self, time_s: npt.ArrayLike) -> tuple[Any, Any, Any]:
        """Viewing direction and position angle [deg] at mission times; the nearest record's outside all.

        Between two records the direction moves along the great circle and PA by the shorter way.

        Parameters
        ----------
        time_s
            Mission times [s], a number or shape (n,).

        Returns
        -------
        ra_deg, dec_deg, pa_deg
            Numbers for a number, else arrays of shape (n,).
        """
        time = np.asarray(time_s, dtype=np.float64)
        flat = np.atleast_1d(time)
        first, second, fraction = self._locate(flat)
        ra, dec, pa = self.ra_deg[first].copy(), self.dec_deg[first].copy(), self.pa_deg[first].copy()
        moving = (fraction > 0) & ~self._same(first, second)
        if moving.any():
            before, after, part = first[moving], second[moving], fraction[moving]
            from_direction, to_direction = (
                direction(self.ra_deg[before], self.dec_deg[before]),
                direction(self.ra_deg[after], self.dec_deg[after]),
            )
            angle = np.arctan2(
                np.linalg.norm(np.cross(from_direction, to_direction), axis=-1),
                np.sum(from_direction * to_direction, axis=-1),
            )
            safe = np.where(angle > 0, np.sin(angle), 1.0)
            from_weight = np.where(angle > 0, np.sin((1 - part) * angle) / safe, 1.0)
            to_weight = np.where(angle > 0, np.sin(part * angle) / safe, 0.0)
            ra[moving], dec[moving] = position(
                from_weight[:, None] * from_direction + to_weight[:, None] * to_direction
            )
            turn = (self.pa_deg[after] - self.pa_deg[before] + 180.0) % 360.0 - 180.0
            pa[moving] = (self.pa_deg[before] + part * turn) % 360.0
        if time.ndim == 0:
            return float(ra[0]), float(dec[0]), float(pa[0])
        return ra, dec, pa

    def _same(self, a: npt.NDArray[np.intp], b: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        return (
            (self.ra_deg[a] == self.ra_deg[b])
            & (self.dec_deg[a] == self.dec_deg[b])
            & (self.pa_deg[a] == self.pa_deg[b])
        )

    def good(self, time_s: npt.ArrayLike) -> Any:
        """Whether the nearest record is at most 20 s away.

        Parameters
        ----------
        time_s
            Mission times [s], a number or an array.
        """
        time = np.asarray(time_s, dtype=np.float64)
        before = np.clip(np.searchsorted(self.start_s, time, side="right") - 1, 0, None)
        after = np.clip(before + 1, None, len(self.start_s) - 1)
        gap_before = np.maximum(time - self.stop_s[before], self.start_s[before] - time)
        gap_after = np.abs(self.start_s[after] - time)
        good = np.minimum(gap_before, gap_after) <= MAX_DISTANCE_S
        return bool(good) if time.ndim == 0 else good

    def slewing(self, time_s: npt.ArrayLike) -> Any:
        """Whether the spacecraft was slewing.

        Parameters
        ----------
        time_s
            Mission times [s], a number or an array; False before the first record.
        """
        time = np.asarray(time_s, dtype=np.float64)
        before = np.searchsorted(self.start_s, time, side="right") - 1
        slewing = (before >= 0) & self.slew[np.maximum(before, 0)]
        return bool(slewing) if time.ndim == 0 else slewing


def attitude_source(odf: Odf) -> str:
    """ATT_SRC of data reduced with an ODF's attitude: ``AHF`` or ``RAF``.

    Parameters
    ----------
    odf
        The opened ODF.
    """
    return odf.preferred("SAS_ATTITUDE", "AHF:RAF", ATTITUDE_FILES)[0]


def _numbers(values: npt.ArrayLike, name: str, where: str) -> FloatArray:
    """The finite numbers of a column; an attitude with holes would point nowhere without a word."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except ValueError:
        text = str(np.asarray(values).astype(str)[0])
        raise TaskError("badAttitudeFile", f"{where}: {name}: expected numbers, got {text!r}") from None
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise TaskError(
            "badAttitudeFile",
            f"{where}: {name}: {len(bad)} of {len(numbers)} records hold no finite number, "
            f"the first is record {bad[0] + 1}",
        )
    return numbers


def _fast(time_s: FloatArray, ra_deg: FloatArray, dec_deg: FloatArray) -> npt.NDArray[np.bool_]:
    """Records after which the direction changes at the speed of a slew."""
    if len(time_s) < 2:
        return np.zeros(len(time_s), dtype=bool)
    step = separation_deg(ra_deg[:-1], dec_deg[:-1], ra_deg[1:], dec_deg[1:]) * 3600.0
    return np.append(step > _SLEW_ARCSEC_S * np.maximum(np.diff(time_s), 0.5), False)


def separation_deg(
    ra1: npt.ArrayLike, dec1: npt.ArrayLike, ra2: npt.ArrayLike, dec2: npt.ArrayLike
) -> FloatArray:
    """Angle between sky positions [deg], accurate at all distances.

    Parameters
    ----------
    ra1, dec1, ra2, dec2
        The positions [deg], of shapes that go together.

    Examples
    --------
    >>> separation_deg(359.5, 0.0, 0.5, 0.0).round(9)
    np.float64(1.0)
    """
    a, b = direction(ra1, dec1), direction(ra2, dec2)
    a, b = np.broadcast_arrays(a, b)
    return np.rad2deg(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1)))


def _circular(values: FloatArray, statistic: Any) -> float:
    """Median or mean of angles [deg] that may straddle 0."""
    if len(values) == 0:
        return float("nan")
    shift = values[0] - 180.0 if values.max() - values.min() > 180.0 else 0.0
    return float((statistic((values - shift) % 360.0) + shift) % 360.0) if shift else float(statistic(values))


@dataclass
class AttHk:
    """An attitude time series (``ATTHK``) and its statistics.

    Attributes
    ----------
    columns
        TIME [s], AHFRA, AHFDEC, AHFPA, OMRA, OMDEC, OMPA, DAHFPNT, DOMPNT, DAHFOM [deg].
    keywords
        Means (A...), medians (M...) and counts (NATT, NGAHF, NGOM, NGAHFOM).
    """

    columns: dict[str, FloatArray]
    keywords: dict[str, Any]

    @property
    def median(self) -> tuple[float, float, float]:
        """Median pointing: right ascension, declination, position angle [deg]."""
        return tuple(float(self.keywords[k]) for k in ("MAHFRA", "MAHFDEC", "MAHFPA"))  # type: ignore[return-value]

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean pointing: right ascension, declination, position angle [deg]."""
        return tuple(float(self.keywords[k]) for k in ("AAHFRA", "AAHFDEC", "AAHFPA"))  # type: ignore[return-value]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> AttHk:
        """Read an attitude file made by atthkgen.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        TaskError
            No such file, or without the table ATTHK or its keywords (``noAtthkgenFile``).
        """
        path = Path(path)
        try:
            with open_hdus(path) as hdus:
                hdu = hdus["ATTHK"]
                columns = {c.name: column(hdu, c.name, path.name).astype(float) for c in ATTHK_COLUMNS}
                header = {**hdu.header, **hdus[0].header}
        except (OSError, KeyError) as err:
            raise TaskError("noAtthkgenFile", f"{path}: not an attitude file of atthkgen ({err})") from err
        names = [prefix + c.name for c in ATTHK_COLUMNS[1:] for prefix in "AM"]
        missing = [
            n for n in ("MAHFRA", "MAHFDEC", "MAHFPA", "AAHFRA", "AAHFDEC", "AAHFPA") if n not in header
        ]
        if missing:
            raise TaskError("badPntValues", f"{path}: no keyword {', '.join(missing)}")
        names += ["NATT", "NGAHF", "NGOM", "NGAHFOM"]
        return cls(columns, {n: header[n] for n in names if n in header})


def make_atthk(attitude: Attitude, start_s: float, stop_s: float, step_s: float = 1.0) -> AttHk:
    """Sample an attitude from ``start_s`` to ``stop_s`` [mission time] every ``step_s``.

    Rows without a trustworthy attitude hold NaN and do not count in the statistics. There being no
    attitude from the optical monitor, its columns repeat those of the history file.

    Parameters
    ----------
    attitude
        The attitude.
    start_s, stop_s
        The interval [mission time]; the end is in it where it is a whole number of steps away.
    step_s
        Step [s].

    Raises
    ------
    TaskError
        No trustworthy attitude at all, or an empty interval.
    """
    if not (step_s > 0 and stop_s > start_s):
        raise TaskError(
            "badTimeRange", f"attitude from {start_s} to {stop_s} s in steps of {step_s} s: no interval"
        )
    number = (stop_s - start_s) / step_s + 1
    if number > MAX_SAMPLES:
        raise TaskError(
            "badTimeRange",
            f"attitude from {start_s} to {stop_s} s in steps of {step_s} s: {number:.0f} samples; at most "
            f"{MAX_SAMPLES} are made",
        )
    time = start_s + step_s * np.arange(int(np.floor(number)))
    good = attitude.good(time)
    if not good.any():
        raise TaskError(
            "noAttitude",
            f"{attitude.where}: no attitude record within {MAX_DISTANCE_S:g} s of the interval "
            f"{start_s:.1f} to {stop_s:.1f} s",
        )
    values = [np.where(good, v, np.nan) for v in attitude.at(time)]
    columns: dict[str, Any] = {"TIME": time}
    columns.update(zip(("AHFRA", "AHFDEC", "AHFPA"), values, strict=True))
    columns.update(zip(("OMRA", "OMDEC", "OMPA"), (v.copy() for v in values), strict=True))
    median = (_circular(values[0][good], np.median), float(np.median(values[1][good])))
    distance = separation_deg(values[0], values[1], *median)
    columns["DAHFPNT"], columns["DOMPNT"] = distance, distance.copy()
    columns["DAHFOM"] = np.where(good, 0.0, np.nan)
    keywords: dict[str, Any] = {}
    for name, series in list(columns.items())[1:]:
        angle = name.endswith(("RA", "PA"))
        for prefix, statistic in (("A", np.mean), ("M", np.median)):
            chosen = series[good]
            keywords[prefix + name] = _circular(chosen, statistic) if angle else float(statistic(chosen))
    n = int(good.sum())
    keywords.update({"NATT": len(time), "NGAHF": n, "NGOM": n, "NGAHFOM": n})
    return AttHk(columns, keywords)


def atthk_keywords(keywords: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """The statistics as header cards with comments.

    Parameters
    ----------
    keywords
        Keyword -> value, as `make_atthk` finds them.

    Returns
    -------
    dict
        Keyword -> value and comment.
    """
    cards = {}
    for name, value in keywords.items():
        if name.startswith("N"):
            comment = "number of samples" if name == "NATT" else "number of good samples"
        else:
            comment = f"[deg] {'mean' if name[0] == 'A' else 'median'} of {name[1:]}"
        cards[name] = (value, comment)
    return cards
