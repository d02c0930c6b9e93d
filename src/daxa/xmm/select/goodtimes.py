"""Tasks that make good time intervals: tabgtigen, gtibuild, gtimerge, gtialign.

Source: the manuals of these tasks; header and rounding of tabgtigen as in a file made by SAS 17.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.hdus import primary_hdu, write_hdus
from daxa.xmm.parameters import option
from daxa.xmm.task import TaskContext

if TYPE_CHECKING:
    from daxa.xmm.fits.hdus import BinTableHDU


@dataclass(frozen=True)
class RowTimes:
    """What the rows of a time series stand for; see :func:`intervals_of_rows`."""

    timecolumn: str = option("TIME", "column of times")
    prefraction: float = option(0.5, "part of the step before a good row that is good", minimum=0, maximum=1)
    postfraction: float = option(0.5, "part of the step behind a good row that is good", minimum=0, maximum=1)


def intervals_of_rows(
    time_s: npt.ArrayLike,
    good: npt.ArrayLike,
    bin_s: npt.ArrayLike | None = None,
    *,
    before: float = 0.5,
    after: float = 0.5,
) -> GTI:
    """Intervals covered by the good rows of a time series.

    A row stands for ``[t - before * bin, t + after * bin)``; runs of good rows become one interval.

    Parameters
    ----------
    time_s
        Time of each row.
    good
        Whether each row is good.
    bin_s
        Length of the bins, one number or one per row; the distances to the neighbours if None.
    before, after
        Parts of a bin before and after its time.

    Examples
    --------
    >>> intervals_of_rows([0, 1, 2, 3], [True, True, False, True], 1.0).start.tolist()
    [-0.5, 2.5]
    """
    time, good = np.asarray(time_s, float), np.asarray(good, bool)
    order = np.argsort(time, kind="stable")
    time, good = time[order], good[order]
    if not len(time):
        return GTI()
    spacing = np.diff(time)
    if bin_s is not None:
        length = np.broadcast_to(np.asarray(bin_s, float), time.shape)
        length = length[order] if np.ndim(bin_s) else length
        start, stop = time - before * length, time + after * length
        # Bins whose edges differ only by rounding belong together.
        joined = spacing <= (before * length[1:] + after * length[:-1]) * (1 + 1e-6)
    else:
        only = spacing[-1:] if len(spacing) else np.zeros(1)
        start = time - before * np.concatenate([spacing[:1] if len(spacing) else only, spacing])
        stop = time + after * np.concatenate([spacing, only])
        joined = np.full(len(spacing), before + after >= 1 - 1e-6)
    first = good & ~np.concatenate([[False], good[:-1] & joined])
    last = good & ~np.concatenate([good[1:] & joined, [False]])
    return GTI(start[first], stop[last])


def parse_gti_text(text: str, where: str = "", to_tt: Callable[[str], float] | None = None) -> GTI:
    r"""Good times from gtibuild's text: ``start stop [+|-|+g|+b|-g|-b [len1 len2]]`` per line.

    Parameters
    ----------
    text
        The lines; ``#`` starts a comment, a stop of 0 is infinity.
    where
        Name of the file, for messages.
    to_tt
        Turns the UTC date of a ``timeref`` line into seconds.

    Raises
    ------
    TaskError
        A line cannot be understood.

    Examples
    --------
    >>> parse_gti_text("0 100 +\n20 30 -").stop.tolist()
    [20.0, 100.0]
    """
    good: list[tuple[float, float]] = []
    bad: list[tuple[float, float]] = []
    any_good = False
    reference = 0.0
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue

        def wrong(reason: str, number: int = number, line: str = line) -> TaskError:
            return TaskError("badLine", f"{where}, line {number}: {reason}: {line.strip()!r}")

        if words[0].lower() == "timeref":
            if len(words) != 2:
                raise wrong("timeref needs one date")
            if to_tt is None:
                raise wrong("timeref is not understood here")
            try:
                reference = to_tt(words[1])
            except ValueError as error:
                raise wrong(str(error)) from None
            continue
        operator = words[2] if len(words) > 2 else "+"
        if operator not in ("+", "-", "+g", "+b", "-g", "-b"):
            raise wrong(f"unknown operator {operator}")
        if len(words) != (5 if len(operator) == 2 else len(words[:3])) or len(words) < 2:
            raise wrong("a start, a stop, an operator and for periods two lengths are expected")
        try:
            start, stop, *lengths = (_seconds(w) for w in words[:2] + words[3:])
        except ValueError:
            raise wrong("a number is expected") from None
        if start < 0 or stop < 0:
            raise wrong("times cannot be negative")
        stop = math.inf if stop == 0 else stop
        if stop < start:
            raise wrong("the stop is before the start")
        wanted = good if operator[0] == "+" else bad
        any_good |= operator[0] == "+"
        if not lengths:
            wanted.append((start + reference, stop + reference))
            continue
        if min(lengths) <= 0 or math.isinf(stop):
            raise wrong("periods need two positive lengths and a finite stop")
        period = sum(lengths)
        starts = start + reference + period * np.arange(max(1, math.ceil((stop - start) / period - 1e-9)))
        # '+' adds the good part of each period, '-' takes away the bad part.
        first = (operator[1] == "g") == (operator[0] == "+")
        offset, length = (0.0, lengths[0]) if first else (lengths[0], lengths[1])
        wanted += [(s + offset, s + offset + length) for s in starts.tolist()]

    def united(intervals: list[tuple[float, float]]) -> GTI:
        return GTI([i[0] for i in intervals], [i[1] for i in intervals])

    result = united(good) if any_good else GTI([0.0], [math.inf])
    return result - united(bad) if bad else result


def _seconds(word: str) -> float:
    """A number as Python, C or Fortran write it, but NaN."""
    number = float(re.sub("[dD]", "e", word))
    if math.isnan(number):
        raise ValueError(word)
    return number


def align(gti: GTI, start_s: npt.ArrayLike, stop_s: npt.ArrayLike) -> GTI:
    """Shrink intervals to the frames that lie entirely inside them.

    Where frames are separated by gaps, an edge is put in the middle of the gap, so that it does not matter
    which time within its frame an event carries.

    Parameters
    ----------
    gti
        The intervals.
    start_s, stop_s
        Start and end of each frame [s], shape (n,), in any order.

    Returns
    -------
    GTI
        Intervals that hold no whole frame are left out.

    Examples
    --------
    >>> align(GTI([0.5], [3.5]), [0, 1, 2, 3], [1, 2, 3, 4])
    GTI(1 intervals, 2 s)
    """
    start, stop = np.asarray(start_s, float), np.asarray(stop_s, float)
    order = np.argsort(start, kind="stable")
    start, stop = start[order], stop[order]
    if not len(start) or not len(gti):
        return GTI()
    tolerance = 1e-6
    first = np.searchsorted(start, gti.start - tolerance, side="left")
    last = np.searchsorted(stop, gti.stop + tolerance, side="right") - 1
    some = (first < len(start)) & (last >= first)
    first, last = first[some], last[some]
    low = np.concatenate([start[:1], np.maximum((start[1:] + stop[:-1]) / 2, start[1:] - np.diff(start) / 2)])
    low = np.minimum(low, start)
    high = np.concatenate([np.maximum(low[1:], stop[:-1]), stop[-1:]])
    return GTI(low[first], high[last])


# adapters
_COMMENTS = {
    "ONTIME": "[s] sum of all Good Time Intervals",
    "TSTART": "[s] Lower bound of first GTI",
    "TSTOP": "[s] Upper bound of last GTI",
}


def gti_hdu(gti: GTI, name: str = "STDGTI", extra: Sequence[tuple[str, Any, str]] = ()) -> BinTableHDU:
    """A GTI table with SAS's comments and further keywords.

    Parameters
    ----------
    gti
        The good times.
    name
        Name of the extension.
    extra
        Further keywords: name, value, comment.
    """
    hdu = gti.to_hdu(name)
    for key, comment in _COMMENTS.items():
        if key in hdu.header:
            hdu.header.comments[key] = comment
    for key, value, comment in extra:
        hdu.header[key] = (value, comment)
    return hdu


def write_gti(ctx: TaskContext, target: str, hdus: list[Any]) -> None:
    """Write GTI tables to a file.

    Parameters
    ----------
    ctx
        The running task.
    target
        The file, relative to the task's folder.
    hdus
        The tables.
    """
    primary = primary_hdu()
    primary.header["LONGSTRN"] = "OGIP 1.0"
    ctx.provenance(primary.header)
    with ctx.output(target) as path:
        write_hdus(path, [primary, *hdus])
