"""Raw files of the pn as typed values, checked once.

Parameters
----------
odf
    The opened ODF.
exp_id
    Identifier of the exposure, e.g. ``S003``.
ccd
    Number of the CCD.
quadrant
    Number of the quadrant.
header
    The header.
span_s
    Start and end of the exposure [mission time].
warn
    Given code and text of each warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.hdus import open_hdus
from daxa.xmm.formats.odf import (
    PN_AUXILIARY_CYCLES,
    PN_AUXILIARY_FRAMES,
    PN_EVENTS,
    PN_FTFINE_UNIT_S,
    unsigned,
)
from daxa.xmm.instruments.pn.frames import N_COLUMNS, gap_lengths, reset_length, sorted_unique
from daxa.xmm.instruments.pn.readout import ListedFrames
from daxa.xmm.instruments.pn.reject import OffsetMap, as_map
from daxa.xmm.instruments.pn.screening import Telemetry

if TYPE_CHECKING:
    from daxa.xmm.odf.file import OdfFile
    from daxa.xmm.odf.odf import Odf
    from daxa.xmm.odf.table import OdfTable

#: Coarse time of a frame whose time was lost.
NO_TIME = 65535
_CCDS_PER_QUADRANT = 3
_DATES = ("DATE-OBS", "DATE-END")
_NUMBERS = ("QUADRANT", "CCDID", "CCDMODE", "FRMTIME", "WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY")
Warn = Callable[[str, str], None]
Numbers = npt.NDArray[np.int64]


def check_header(header: Any, where: str) -> None:
    """Refuse a header with a damaged card of those used here, or with text in the place of a number.

    Parameters
    ----------
    where
        Name of the file, for messages.

    Raises
    ------
    TaskError
        ``damagedFile``.
    """
    for name in (*_DATES, *_NUMBERS):
        if name in header and not isinstance(header[name], (int, float)) and name not in _DATES:
            raise TaskError("damagedFile", f"{where}: keyword {name} is {header[name]!r}, not a number")


def read_window(header: Any) -> tuple[int, int, int, int]:
    """Read-out window (RAWX and RAWY of its first pixel, size) from the header of an event file."""
    x0, y0 = int(header.get("WINDOWX0", 0)) + 1, int(header.get("WINDOWY0", 0)) + 1
    size = int(header.get("WINDOWDX", 65 - x0)), int(header.get("WINDOWDY", 201 - y0))
    if not (1 <= x0 <= 64 and 1 <= y0 <= 200 and min(size) >= 1):
        raise TaskError(
            "illegalODF", f"window of {size[0]} x {size[1]} pixels at ({x0}, {y0}) is not on a CCD"
        )
    return x0, y0, *size


def parse_ccds(text: str) -> list[int]:
    """CCD numbers of a list such as ``1,6-9,12``.

    Parameters
    ----------
    text
        The list.

    Raises
    ------
    TaskError
        ``ccdlist``.

    Examples
    --------
    >>> parse_ccds("1,6-9,12")
    [1, 6, 7, 8, 9, 12]
    """
    ccds: set[int] = set()
    for part in text.replace(" ", ",").split(","):
        if not part:
            continue
        first, _, last = part.partition("-")
        if not (first.isdigit() and (not last or last.isdigit())):
            raise TaskError("ccdlist", f"ccds={text}: expected numbers and ranges such as 1,6-9,12")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers[0] < 1 or numbers[-1] > 12:
            raise TaskError("ccdlist", f"ccds={text}: the pn has CCDs 1 to 12")
        ccds.update(numbers)
    if not ccds:
        raise TaskError("ccdlist", "ccds: no CCD is given")
    return sorted(ccds)


# --- events ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RawEvents:
    """The event file of a CCD.

    Attributes
    ----------
    telemetry
        Its rows; at least one.
    window
        RAWX and RAWY of the first pixel that is read out, and size of the window.
    discarded
        Lines discarded per column on board (64); None in modes without such a file.
    """

    telemetry: Telemetry
    window: tuple[int, int, int, int]
    discarded: Numbers | None = None

    @classmethod
    def read(cls, file: OdfFile, ccd: int, discarded: Numbers | None) -> RawEvents:
        """Read an event file, and check it against its name.

        Parameters
        ----------
        file
            The file.
        discarded
            Lines discarded per column; None where there is no such file.

        Raises
        ------
        TaskError
            It is damaged or contradicts its name, or it has no events (``noEvents``).
        """
        table = file.read(1, PN_EVENTS)
        for cards in (table.header, table.primary):
            check_header(cards, table.where)
        quadrant, ccd_id = divmod(ccd - 1, _CCDS_PER_QUADRANT)
        said = int(table.keyword("QUADRANT", quadrant)), int(table.keyword("CCDID", ccd_id))
        if said != (quadrant, ccd_id):
            raise TaskError(
                "illegalODF",
                f"{table.where}: QUADRANT {said[0]}, CCDID {said[1]}, but its name says CCD {ccd}",
            )
        if not len(table):
            raise TaskError("noEvents", f"{table.where}: no events")
        telemetry = Telemetry(
            table["FRAME"].astype(np.int64),
            table["RAWX"].astype(np.int32) + 1,
            table["RAWY"].astype(np.int32) + 1,
            table["ENERGY"].astype(np.int32),
            table.where,
        )
        return cls(telemetry, read_window(table.header), discarded)


def discarded_lines(odf: Odf, exp_id: str, ccd: int, warn: Warn) -> Numbers | None:
    """Lines discarded per column (64) on board; None in modes without such a file."""
    files = odf.find("PN", "DLI", exp_id, ccd)
    if not files:
        return None
    try:
        counts: Numbers = files[0].image().astype(np.int64).ravel()
        if counts.shape != (N_COLUMNS,):
            raise ValueError(f"{counts.size} values, expected {N_COLUMNS}")
        if counts.min() < 0 or counts.max() > np.iinfo(np.int32).max:
            raise ValueError(f"impossible counts, {counts.min()} to {counts.max()}")
    except (ValueError, TypeError, TaskError) as error:
        warn("illegalODF", f"{files[0].path.name}: discarded lines cannot be read: {error}")
        return None
    return counts


# --- frames and counters -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Auxiliary:
    """The auxiliary file of an exposure.

    Attributes
    ----------
    frames, cycles
        Its tables PNAUX1 (frames) and PNAUX2 (counters; None if it cannot be read).
    warn
        Where warnings go: code and message.
    """

    frames: OdfTable
    cycles: OdfTable | None
    warn: Warn

    @classmethod
    def read(cls, odf: Odf, exp_id: str, warn: Warn) -> Auxiliary:
        """Read the file.

        Raises
        ------
        TaskError
            ``noPNAUX1``: there is none.
        """
        files = odf.find("PN", "AUX", exp_id)
        if not files:
            raise TaskError("noPNAUX1", f"{odf.folder}: exposure PN{exp_id} has no auxiliary file (AUX)")
        frames = files[0].read(1, PN_AUXILIARY_FRAMES)
        try:
            return cls(frames, files[0].read(2, PN_AUXILIARY_CYCLES), warn)
        except TaskError as error:
            warn("noPNAUX2", f"{error.message}; no correction for lines discarded on board")
            return cls(frames, None, warn)

    @cached_property
    def _by_ccd(self) -> tuple[Numbers, Numbers]:
        """Rows of PNAUX1 in order of the CCDs, and where those of each begin (at 4 quadrant + CCDID)."""
        key = (self.frames["QUADRANT"] & 3) * 4 + (self.frames["CCDID"] & 3)
        order = np.argsort(key.astype(np.uint8), kind="stable")
        return order, np.searchsorted(key[order], np.arange(17))

    def listed(self, ccd: int) -> ListedFrames:
        """The frames of a CCD, with and without a time, in order of FRAME.

        Raises
        ------
        TaskError
            ``noAUX1forCCD``: it has none. ``NoGoodObtValues``: none has a time.
        """
        quadrant, ccd_id = divmod(ccd - 1, _CCDS_PER_QUADRANT)
        frames, (order, begin) = self.frames, self._by_ccd
        rows = order[begin[4 * quadrant + ccd_id] : begin[4 * quadrant + ccd_id + 1]]
        if not len(rows):
            raise TaskError("noAUX1forCCD", f"{frames.where}: no frames of quadrant {quadrant}, CCD {ccd_id}")
        number = frames["FRAME"][rows].astype(np.int64)
        if np.any(np.diff(number) <= 0):
            self.warn(
                "corruptedAUX1", f"{frames.where}: FRAME of quadrant {quadrant}, CCD {ccd_id} goes back"
            )
            _, first = np.unique(number, return_index=True)
            rows, number = rows[first], number[first]
        coarse = unsigned(frames["FTCOARSE"][rows])
        timed = coarse != NO_TIME
        if not timed.all():
            skipped = np.count_nonzero(~timed)
            self.warn("InvalidObtValue", f"CCD {ccd}: {skipped} frames without a coarse time are skipped")
        if not timed.any():
            raise TaskError("NoGoodObtValues", f"{frames.where}: no frame of CCD {ccd} has a time")
        stamp = coarse + unsigned(frames["FTFINE"][rows]) * PN_FTFINE_UNIT_S
        cycle = frames["CYCLE"][rows].astype(np.int64)
        return ListedFrames(number[timed], cycle[timed], stamp[timed], number[~timed], frames.where)

    @cached_property
    def sent(self) -> tuple[Numbers, ...]:
        """Per quadrant: CYCLE of all frames that any of its CCDs has listed, increasing."""
        order, begin = self._by_ccd
        cycle = self.frames["CYCLE"]
        return tuple(sorted_unique(cycle[order[begin[4 * q] : begin[4 * q + 4]]]) for q in range(4))

    @cached_property
    def last_cycle(self) -> int:
        """CYCLE of the last frame that any CCD has listed."""
        return int(self.frames["CYCLE"].max())

    def reset_frames(self, expected: int) -> int:
        """Frames that a reset of a quadrant's event buffer takes; 0 if none are seen.

        Parameters
        ----------
        expected
            As many by the calibration.
        """
        return reset_length(np.sum([gap_lengths(sent) for sent in self.sent], axis=0), expected)

    def records(self, quadrant: int) -> tuple[Numbers, Numbers]:
        """CYCLE and NDISCLIN of the counter records of a quadrant, in order; empty if there are none."""
        if self.cycles is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        mine = np.flatnonzero(self.cycles["QUADRANT"] == quadrant)
        cycle, first = np.unique(self.cycles["CYCLE"][mine].astype(np.int64), return_index=True)
        return cycle, unsigned(self.cycles["NDISCLIN"][mine[first]])

    def counters(self, quadrant: int) -> dict[str, npt.NDArray[Any]]:
        """All counter records of a quadrant, in order of CYCLE: their columns."""
        names = [c.name for c in PN_AUXILIARY_CYCLES if c.name != "QUADRANT"]
        if self.cycles is None:
            return {name: np.empty(0, np.int64) for name in names}
        rows = np.flatnonzero(self.cycles["QUADRANT"] == quadrant)
        rows = rows[np.argsort(self.cycles["CYCLE"][rows], kind="stable")]
        return {
            name: self.cycles[name][rows].astype(np.int64)
            if name == "CYCLE"
            else unsigned(self.cycles[name][rows])
            for name in names
        }


# --- offset maps -------------------------------------------------------------------------------------


def read_odilist(path: Path) -> dict[int, Path]:
    """Offset maps by CCD from a list of lines "CCD path".

    Parameters
    ----------
    path
        The list.

    Raises
    ------
    TaskError
        ``odilist``: no such file, or a line of another form.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise TaskError("odilist", f"{path}: {error.strerror}") from error
    maps = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*(\d{1,2})\s+(\S.*?)\s*", line)
        if not match or not 1 <= int(match[1]) <= 12:
            raise TaskError("odilist", f"{path}, line {number}: expected a CCD number and a path: {line!r}")
        maps[int(match[1])] = path.parent / Path(match[2]).expanduser()
    return maps


def offset_map_file(odf: Odf, ccd: int, start_s: float) -> OdfFile | None:
    """The offset map that was in use: the last one made before the exposure, else the first one after it.

    Parameters
    ----------
    start_s
        Mission time of the start of the exposure.
    """
    from daxa.xmm.odf.times import utc_to_tt

    dated = []
    for file in odf.find("PN", "ODI", ccd=ccd):
        try:
            texts = [h[k] for h in file.headers() for k in ("DATE-OBS", "DATE-END") if k in h]
            dated.append((float(utc_to_tt(str(texts[0]))), file))
        except (IndexError, ValueError, TaskError):
            dated.append((-np.inf, file))
    before = [entry for entry in dated if entry[0] <= start_s]
    if before:
        return max(before, key=lambda entry: entry[0])[1]
    return min(dated, key=lambda entry: entry[0])[1] if dated else None


def offset_map(odf: Odf | None, ccd: int, start_s: float, named: Mapping[int, Path]) -> OffsetMap | None:
    """Dark levels of a CCD that were in use, from a map that is named, or from the ODF if none is; or None.

    Parameters
    ----------
    start_s
        Mission time of the start of the exposure.
    named
        CCD -> file of its map.

    Raises
    ------
    TaskError
        The map cannot be read, or has not the size of a CCD.
    """
    if ccd in named:
        path = named[ccd]
        try:
            with open_hdus(path) as hdus:
                image = next(h.data for h in hdus if h.is_image and h.data is not None)
        except (OSError, StopIteration) as error:
            raise TaskError("odilist", f"{path}: no offset map can be read: {error}") from error
        return OffsetMap(as_map(image, path.name), path.name)
    file = None if odf is None or named else offset_map_file(odf, ccd, start_s)
    return None if file is None else OffsetMap(as_map(file.image(), file.path.name), file.path.name)
