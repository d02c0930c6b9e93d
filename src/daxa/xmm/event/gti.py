"""Good time intervals: exact interval algebra and the FITS tables they are kept in.

Intervals are half-open, ``[start, stop)``: two intervals that share an edge never count an event
twice. Times are seconds since MJDREF (1998-01-01T00:00:00 TT).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.fits.file import FitsFile, Hdu
from daxa.xmm.fits.header import Card
from daxa.xmm.fits.schema import Column, column, make_table, table_bytes
from daxa.xmm.notes import warn_once

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU

GTI_COLUMNS = (Column("START", "1D", "s"), Column("STOP", "1D", "s"))
#: Time keywords of every product.
TIME_KEYWORDS: dict[str, tuple[Any, str]] = {
    "TIMESYS": ("TT", "time system"),
    "MJDREF": (50814.0, "1998-01-01T00:00:00 (TT) expressed in MJD (TT)"),
    "TIMEREF": ("LOCAL", "no barycentric correction"),
    "TASSIGN": ("SATELLITE", "where the time was assigned"),
    "TIMEUNIT": ("s", "unit of times in this header"),
    "TIMEZERO": (0, "offset of times"),
    "CLOCKAPP": (True, "clock correction applied"),
}
#: Reference days closer than this [d] are the same.
_SAME_DAY = 1e-6


@dataclass(frozen=True, eq=False)
class GTI:
    """Sorted, disjoint, non-empty intervals ``[start, stop)`` in seconds.

    Any arrays may be given: overlapping and touching intervals are joined, empty ones dropped.

    Parameters
    ----------
    start, stop
        Edges of the intervals [s], shape (n,); a number stands for one interval.

    Raises
    ------
    ValueError
        The arrays differ in length, have more than one axis, or hold a NaN.

    Examples
    --------
    >>> gti = GTI([0.0, 5.0], [3.0, 9.0])
    >>> (gti & GTI([2.0], [6.0])).total
    2.0
    """

    start: npt.NDArray[np.float64]
    stop: npt.NDArray[np.float64]

    def __init__(self, start: npt.ArrayLike = (), stop: npt.ArrayLike = ()) -> None:
        start, stop = np.atleast_1d(np.asarray(start, float)), np.atleast_1d(np.asarray(stop, float))
        if start.shape != stop.shape or start.ndim != 1:
            raise ValueError(
                f"start and stop: expected 1-D arrays of one length, got {start.shape}, {stop.shape}"
            )
        if np.isnan(start).any() or np.isnan(stop).any():
            raise ValueError("start and stop: NaN is not a time")
        keep = stop > start
        start, stop = start[keep], stop[keep]
        order = np.argsort(start, kind="stable")
        start, stop = start[order], stop[order]
        if len(start):
            reach = np.maximum.accumulate(stop)
            first = np.concatenate([[True], start[1:] > reach[:-1]])
            last = np.concatenate([first[1:], [True]])
            start, stop = start[first], reach[last]
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "stop", stop)

    def __len__(self) -> int:
        return len(self.start)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, GTI)
            and np.array_equal(self.start, other.start)
            and np.array_equal(self.stop, other.stop)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"GTI({len(self)} intervals, {self.total:.6g} s)"

    @property
    def total(self) -> float:
        """Sum of the lengths, in seconds."""
        return float(np.sum(self.stop - self.start))

    def __or__(self, other: GTI) -> GTI:
        return GTI(np.concatenate([self.start, other.start]), np.concatenate([self.stop, other.stop]))

    def __and__(self, other: GTI) -> GTI:
        # Each interval of self meets the run of others between two bisections.
        if not len(self) or not len(other):
            return GTI()
        low = np.searchsorted(other.stop, self.start, side="right")
        high = np.searchsorted(other.start, self.stop, side="left")
        count = np.maximum(high - low, 0)
        mine = np.repeat(np.arange(len(self)), count)
        theirs = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
        return GTI(
            np.maximum(self.start[mine], other.start[theirs]), np.minimum(self.stop[mine], other.stop[theirs])
        )

    def complement(self, start: float, stop: float) -> GTI:
        """The times of ``[start, stop)`` outside these intervals.

        Parameters
        ----------
        start, stop
            The span [s]; may be infinite.

        Examples
        --------
        >>> GTI([2.0], [3.0]).complement(0, 10).start.tolist()
        [0.0, 3.0]
        """
        inside = self & GTI([start], [stop])
        return GTI(np.concatenate([[start], inside.stop]), np.concatenate([inside.start, [stop]]))

    def __sub__(self, other: GTI) -> GTI:
        if not len(self):
            return GTI()
        return self & other.complement(self.start[0], self.stop[-1])

    def contains(self, times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether each time lies in an interval.

        Parameters
        ----------
        times
            Times [s], of any shape.

        Returns
        -------
        bool array
            Of the shape of ``times``; the start of an interval is inside, its stop is not.

        Examples
        --------
        >>> GTI([0.0, 5.0], [3.0, 9.0]).contains([0, 3, 5]).tolist()
        [True, False, True]
        """
        times = np.asarray(times, float)
        if _in_order(times, len(self)):
            inside = np.zeros(len(times), bool)
            edges = np.searchsorted(times, self.start), np.searchsorted(times, self.stop)
            for first, last in zip(*edges, strict=True):
                inside[first:last] = True
            return inside
        if not len(self):
            return np.zeros(times.shape, bool)
        index = np.searchsorted(self.start, times, side="right") - 1
        return (index >= 0) & (times < self.stop[np.maximum(index, 0)])

    def covers(
        self, start: npt.ArrayLike, stop: npt.ArrayLike, tolerance_s: float = 1e-6
    ) -> npt.NDArray[np.bool_]:
        """Whether each stretch from ``start`` to ``stop`` lies wholly in one interval.

        Parameters
        ----------
        start, stop
            Edges of the stretches [s], shape (n,).
        tolerance_s
            How far an edge may lie outside the interval.

        Returns
        -------
        bool array
            Shape (n,).

        Examples
        --------
        >>> GTI([0.0], [10.0]).covers([1, 9], [2, 11]).tolist()
        [True, False]
        """
        start, stop = np.asarray(start, float) + tolerance_s, np.asarray(stop, float) - tolerance_s
        if _in_order(start, len(self)):
            inside = np.zeros(len(start), bool)
            edges = [*np.searchsorted(start, self.start), len(start)]
            for first, last, end in zip(edges[:-1], edges[1:], self.stop, strict=True):
                inside[first:last] = stop[first:last] <= end
            return inside
        if not len(self):
            return np.zeros(start.shape, bool)
        index = np.searchsorted(self.start, start, side="right") - 1
        return (index >= 0) & (stop <= self.stop[np.maximum(index, 0)])

    @classmethod
    def union(cls, gtis: Iterable[GTI]) -> GTI:
        """Union of any number of interval sets.

        Parameters
        ----------
        gtis
            The sets; none give an empty one.

        Examples
        --------
        >>> GTI.union([GTI([0], [2]), GTI([1], [4])])
        GTI(1 intervals, 4 s)
        """
        gtis = list(gtis)
        if not gtis:
            return cls()
        return cls(np.concatenate([g.start for g in gtis]), np.concatenate([g.stop for g in gtis]))

    @classmethod
    def from_hdu(cls, hdu: Hdu | BinTableHDU) -> GTI:
        """Read START and STOP of a table; rows without one of them are left out with a warning.

        Parameters
        ----------
        hdu
            A table with columns START and STOP [s].

        Raises
        ------
        KeyError
            There is no such column.
        """
        where = str(getattr(hdu, "path", "") or "good times")
        start, stop = (np.asarray(column(hdu, name, where), float) for name in ("START", "STOP"))
        known = ~(np.isnan(start) | np.isnan(stop))
        if not known.all():
            lost = np.count_nonzero(~known)
            warn_once(
                "nullTimes",
                f"{where}[{hdu.name}]: {lost} of {len(known)} intervals have no START or no STOP, "
                "and are left out",
            )
        return cls(start[known], stop[known])

    @classmethod
    def read(cls, path: Any, extension: str | int | None = None) -> GTI:
        """Read a GTI file: the named extension, or its first table with START and STOP.

        Parameters
        ----------
        path
            The file.
        extension
            Name or number of the table; the first fitting one by default.

        Raises
        ------
        KeyError
            The file has no such table.
        """
        hdus = FitsFile(path)
        if extension is not None:
            hdu = hdus[extension]
        else:
            fitting = [h for h in hdus if h.is_table and {"START", "STOP"} <= {n.upper() for n in h.columns}]
            if not fitting:
                raise KeyError(f"{path}: no table with columns START and STOP")
            hdu = fitting[0]
        _check_times(hdu)
        return cls.from_hdu(hdu)

    def _cards(self, header: Mapping[str, Any] | None) -> dict[str, Any]:
        cards: dict[str, Any] = {"HDUCLASS": "OGIP", "HDUCLAS1": "GTI", "HDUCLAS2": "STANDARD"}
        cards |= TIME_KEYWORDS
        if len(self):
            cards |= {"TSTART": self.start[0], "TSTOP": self.stop[-1]}
        return cards | {"ONTIME": (self.total, "[s] sum of the intervals")} | dict(header or {})

    def to_hdu(self, name: str = "STDGTI", header: Mapping[str, Any] | None = None) -> BinTableHDU:
        """The OGIP standard table.

        Parameters
        ----------
        name
            Name of the extension.
        header
            Further keywords; a value may be a ``(value, comment)`` pair.
        """
        return make_table(GTI_COLUMNS, {"START": self.start, "STOP": self.stop}, name, self._cards(header))

    def to_bytes(
        self, name: str = "STDGTI", header: Mapping[str, Any] | None = None, more: Iterable[Card] = ()
    ) -> bytes:
        """The OGIP standard table as it stands in a file, with ``more`` cards that it has not.

        Parameters
        ----------
        name, header
            As for :meth:`to_hdu`.
        more
            Cards to add where the header has no such keyword yet.
        """
        columns = {"START": self.start, "STOP": self.stop}
        return table_bytes(GTI_COLUMNS, columns, name, self._cards(header), more)


def _check_times(hdu: Hdu) -> None:
    """Warn of times that do not count as those of event lists do: they are taken as they stand."""
    header = hdu.header
    reference = header.get("MJDREF")
    if reference is None and "MJDREFI" in header:
        reference = float(header["MJDREFI"]) + float(header.get("MJDREFF", 0))
    unit = header.get("TIMEUNIT") or "s"
    if "START" in (n.upper() for n in hdu.columns):
        number = [n.upper() for n in hdu.columns].index("START") + 1
        unit = header.get(f"TUNIT{number}") or unit
    ours = TIME_KEYWORDS["MJDREF"][0]
    odd = []
    if isinstance(reference, (int, float)) and abs(reference - ours) > _SAME_DAY:
        odd.append(f"they count from MJD {reference:.10g}, those of event lists from {ours:.10g}")
    if isinstance(zero := header.get("TIMEZERO", 0), (int, float)) and zero:
        odd.append(f"TIMEZERO is {zero:.10g}")
    if str(unit).strip().lower() not in ("s", "sec", "second", "seconds"):
        odd.append(f"their unit is {str(unit).strip()!r}, not s")
    if odd:
        warn_once(
            "otherTimes", f"{hdu.path}[{hdu.name}]: times are taken as they stand, but {'; '.join(odd)}"
        )


def _in_order(times: npt.NDArray[np.float64], intervals: int) -> bool:
    """Whether times rise, as those of frames do, so that few intervals are better sought among them.

    One bisection per interval then takes the place of one per time, a hundredth of the work.
    """
    return times.ndim == 1 and 16 * intervals < len(times) and bool(np.all(times[1:] >= times[:-1]))
