"""Reading event lists, and writing parts of them with times that say what is left.

Rows are kept as they stand in the file, whatever their columns. Each table of good times of a list, of which
ACIS has one per CCD and eROSITA one per telescope, is cut to the new good times, and the keywords of times
follow.

Source of the keywords: OGIP 93-003 (events), the data products guides of Chandra, NuSTAR and eROSITA.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import FitsFile, Hdu, block_bytes, rewrite
from daxa.xmm.fits.header import Header
from daxa.xmm.fits.schema import Column, column, name_of_column

#: Sums of good times in keywords and tables that differ by less [s] are the same.
_SAME_S = 0.01
#: Keywords of times that stand for all of a list, and their beginnings where they stand for one CCD.
_TIMES = ("ONTIME", "LIVETIME", "EXPOSURE")
_TIMES_OF_CCD = ("ONTIME", "LIVTIME", "EXPOSUR")


@dataclass(frozen=True)
class Range:
    """Values of a column that are kept.

    Attributes
    ----------
    name
        Name of the column, in any case.
    lo, hi
        Limits in the column's unit.
    closed
        The upper limit belongs to it, as for whole numbers; else values are kept below it.
    """

    name: str
    lo: float
    hi: float
    closed: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.lo:g} to {self.hi:g}"


class EventList:
    """An event list, opened.

    Parameters
    ----------
    path
        The file; its table of events is the extension EVENTS.

    Raises
    ------
    TaskError
        ``noEvents``: it has no such extension; ``notFits``: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = FitsFile(path)
        except OSError as failure:
            raise TaskError("notFits", f"{path}: not a readable FITS file ({failure})") from failure
        if "EVENTS" not in self.file:
            raise TaskError(
                "noEvents", f"{path}: no extension EVENTS; it has {', '.join(h.name for h in self.file)}"
            )
        self.events: Hdu = self.file["EVENTS"]

    @property
    def header(self) -> Header:
        """Header of the events."""
        return self.events.header

    def has(self, name: str) -> bool:
        """Whether there is a column.

        Parameters
        ----------
        name
            Its name, in any case.
        """
        return name_of_column(self.events.columns, name) is not None

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """Values of a column, shape (events,).

        Parameters
        ----------
        name
            Its name, in any case.

        Raises
        ------
        TaskError
            ``noColumn``: there is no such column.
        """
        try:
            return column(self.events, name, str(self.path))
        except KeyError as failure:
            raise TaskError("noColumn", str(failure.args[0])) from None

    def good_times(self) -> dict[int, GTI]:
        """Good times by the number of the block that holds them; empty if the list has none."""
        found = {}
        for hdu in self.file:
            if hdu.is_table and "GTI" in hdu.name and {"START", "STOP"} <= {n.upper() for n in hdu.columns}:
                found[hdu.index] = GTI.from_hdu(hdu)
        return found

    def all_times(self) -> GTI:
        """Times that are good for any part of the instrument.

        Raises
        ------
        TaskError
            ``noGoodTimes``: the list has no table of good times.
        """
        tables = self.good_times()
        if not tables:
            raise TaskError(
                "noGoodTimes", f"{self.path}: no table of good times (START and STOP, named ...GTI...)"
            )
        return GTI.union(tables.values())


def read_times(path: Path) -> GTI:
    """Good times of a file: its first table with START and STOP, whose times count as those of the list.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    TaskError
        ``noGoodTimes``: it has no such table; ``notFits``: it cannot be read.
    """
    try:
        file = FitsFile(path)
    except OSError as failure:
        raise TaskError("notFits", f"{path}: not a readable FITS file ({failure})") from failure
    for hdu in file:
        if hdu.is_table and {"START", "STOP"} <= {n.upper() for n in hdu.columns}:
            return GTI.from_hdu(hdu)
    raise TaskError("noGoodTimes", f"{path}: no table with columns START and STOP")


def selected(events: EventList, times: GTI | None, ranges: Iterable[Range]) -> npt.NDArray[np.bool_]:
    """Which events are kept, shape (events,).

    Parameters
    ----------
    events
        The list.
    times
        Good times; None for all.
    ranges
        Values of columns that are kept; all must hold.
    """
    keep = np.ones(events.events.rows, bool)
    if times is not None:
        keep &= times.contains(events.column("TIME"))
    for wanted in ranges:
        values = events.column(wanted.name)
        keep &= values >= wanted.lo
        keep &= values <= wanted.hi if wanted.closed else values < wanted.hi
    return keep


def write_selection(
    events: EventList,
    target: Path,
    keep: npt.NDArray[np.bool_],
    cut: Callable[[Hdu, GTI], GTI] | None = None,
    history: Iterable[str] = (),
    left_out: Iterable[int] = (),
    cards: Mapping[str, str | int | None] | None = None,
) -> None:
    """Write the events that are kept, with everything else of the file.

    Parameters
    ----------
    events
        The list.
    target
        The new file.
    keep
        Which events, shape (events,).
    cut
        Gives of each table of good times, and what it holds, what is left; None leaves all as they are.
    history
        What to say in the header, a card or more each.
    left_out
        Numbers of blocks that are not written.
    cards
        Keywords of the events that change; None removes one.

    Raises
    ------
    TaskError
        ``heap``: rows of the events have parts outside the table, which is not expected of a list.
    """
    hdu = events.events
    if hdu.number("PCOUNT"):
        raise TaskError(
            "heap", f"{events.path}[EVENTS]: columns of variable length are not expected (PCOUNT)"
        )
    raw = np.frombuffer(hdu.read(hdu.data_start, hdu.row_bytes * hdu.rows), np.uint8)
    rows = raw.reshape(hdu.rows, hdu.row_bytes)[keep]
    header = hdu.header.copy()
    header["NAXIS2"] = len(rows)
    header.discard("CHECKSUM", "DATASUM")
    changed: dict[int, bytes | Callable[[BinaryIO], None] | None] = {}
    if cut is not None:
        old = events.good_times()
        new = {index: cut(events.file[index], times) for index, times in old.items()}
        _set_times(header, events, old, new)
        for index, times in new.items():
            changed[index] = _gti_block(events.file[index], times)
    for key, value in (cards or {}).items():
        if value is None:
            header.discard(key)
        else:
            header[key] = value
    for line in history:
        header.append(("HISTORY", line))
    changed[hdu.index] = block_bytes(header, rows)
    changed |= dict.fromkeys(left_out)
    rewrite(events.file, target, changed)


def _set_times(header: Header, events: EventList, old: dict[int, GTI], new: dict[int, GTI]) -> None:
    """Let keywords of times follow good times; dead time stays the fraction that it was."""
    for index, times in old.items():
        if ccd := _ccd(events.file[index].header):
            _scale(header, [f"{key}{ccd}" for key in _TIMES_OF_CCD], times.total, new[index].total)
    if not old:
        return
    # That of all is that of one of the tables, of ACIS e.g. that of the CCD of the aim point.
    ontime = header.get("ONTIME")
    fitting = [i for i, g in old.items() if ontime is not None and abs(g.total - float(ontime)) < _SAME_S]
    chosen = (fitting or sorted(old, key=lambda i: -old[i].total))[0]
    _scale(header, _TIMES, old[chosen].total, new[chosen].total)


def _ccd(header: Header) -> str:
    """The CCD that a table of good times is of: its keyword, else the number at the end of its name."""
    if "CCD_ID" in header:
        return str(header["CCD_ID"])
    found = re.fullmatch(r"\D+(\d+)", str(header.get("HDUNAME", "")), re.ASCII)
    return found[1] if found else ""


def _scale(header: Header, keys: Iterable[str], before: float, after: float) -> None:
    for key in keys:
        if key in header:
            exact = key.startswith("ONTIME") or not before
            header[key] = after if exact else float(header[key]) * after / before


def _gti_block(hdu: Hdu, times: GTI) -> bytes:
    """A table of good times with other intervals; further columns, which are of single ones, are emptied."""
    header = hdu.header.copy()
    names = [n.upper() for n in hdu.columns]
    rows = np.zeros(len(times), hdu.dtype)
    for name, values in (("START", times.start), ("STOP", times.stop)):
        rows[hdu.columns[names.index(name)]] = values
    header["NAXIS2"] = len(rows)
    header.discard("CHECKSUM", "DATASUM")
    if "ONTIME" in header:
        _scale(header, _TIMES, GTI.from_hdu(hdu).total, times.total)
    return block_bytes(header, rows.view(np.uint8))


def gti_cards(header: Header) -> Iterator[tuple[str, tuple[object, str]]]:
    """Cards of a list that say how its times count, for files of good times and light curves.

    Parameters
    ----------
    header
        Header of the events.
    """
    for key in (
        "TELESCOP", "INSTRUME", "DETNAM", "OBS_ID", "OBJECT", "TIMESYS", "MJDREF", "MJDREFI", "MJDREFF",
        "TIMEREF", "TIMEUNIT", "TIMEZERO", "CLOCKAPP", "TASSIGN", "DATE-OBS", "DATE-END",
    ):  # fmt: skip
        if key in header:
            yield key, (header[key], header.comments[key])


#: A table of good times.
GTI_COLUMNS = (Column("START", "1D", "s"), Column("STOP", "1D", "s"))
