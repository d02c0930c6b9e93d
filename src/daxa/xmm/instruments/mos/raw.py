"""Raw event files of MOS as typed values, checked once.

Parameters
----------
table
    Table of a raw event file.
auxiliary
    Table of the auxiliary file.
ccd, number
    Number of the CCD.
node
    Read-out node, 0 or 1.
layout
    Read-out of the CCD.
library
    The patterns of the camera.
messages
    Where lines and warnings go.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError, named
from daxa.xmm.formats.eventlist import UNIT_ARCSEC
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.instruments.mos import events, frames
from daxa.xmm.instruments.mos.context import Messages
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.frame_numbers import valid_rows
from daxa.xmm.instruments.mos.patterns import COSMIC_PATTERNS, N_PATTERNS, PatternLibrary
from daxa.xmm.instruments.mos.recognition import recognise
from daxa.xmm.odf.modes import ReadoutWindow
from daxa.xmm.odf.table import OdfTable
from daxa.xmm.odf.times import utc_to_tt

if TYPE_CHECKING:
    from daxa.xmm.sky.geometry import CameraGeometry


@dataclass(frozen=True)
class Overscan:
    """Columns and rows that are read before the image, and behind it."""

    under: tuple[int, int]
    over: tuple[int, int]


#: Keywords of a raw event table that files of the chain repeat.
_KEPT = (
    "WINDOWX0", "WINDOWY0", "WINDOWDX", "WINDOWDY", "EDUTHR", "EDUMODE", "DATATYPE", "DATE-OBS", "EDUID",
    "EMDHLOW", "EMDHUPP",
)  # fmt: skip
_COUNTERS = ("NPIXEL", "NVALID", "NBELOW", "NABOVE", "GATTIFLG", "FIFOOVF")


@dataclass(frozen=True)
class RawHeader:
    """What the header of an event table says.

    Attributes
    ----------
    where
        File and extension, for messages.
    kept
        Keywords that files of the chain repeat, as far as they are there.
    window
        Telemetry window.
    threshold_adu
        Least amplitude of a pixel of an event (EDUTHR); None if it is not there.
    limits_adu
        Least and greatest sum of E1 and E2 that was sent (EMDHLOW, EMDHUPP); None if not there.
    """

    where: str
    kept: Mapping[str, Any]
    window: ReadoutWindow
    threshold_adu: float | None
    limits_adu: tuple[float | None, float | None]

    @classmethod
    def of(cls, table: OdfTable) -> RawHeader:
        """From an event table.

        Raises
        ------
        TaskError
            ``readEvents01``: the keywords of the window are missing; ``badKeyword``: one is not a number.
        """
        window = ReadoutWindow.from_header(ChainMap(table.header, table.primary))
        if window is None:
            raise TaskError(
                "readEvents01", f"{table.where}: keywords WINDOWX0, WINDOWY0, WINDOWDX, WINDOWDY missing"
            )
        kept = {key: table.keyword(key, None) for key in _KEPT}

        def number(key: str) -> float | None:
            return None if kept[key] is None else float(table.keyword(key, 0.0))

        return cls(
            table.where,
            {key: value for key, value in kept.items() if value is not None},
            window,
            number("EDUTHR"),
            (number("EMDHLOW"), number("EMDHUPP")),
        )


@dataclass(frozen=True)
class RawTimes:
    """Start and end of an event table, mission time (None: not told), and FRMTIME, 0 if it is not there."""

    where: str
    start_tt_s: float
    end_tt_s: float | None
    frame_time: float

    @classmethod
    def of(cls, table: OdfTable) -> RawTimes:
        """From the keywords DATE-OBS, DATE-END and FRMTIME."""
        end = table.keyword("DATE-END", None)
        return cls(
            table.where,
            float(utc_to_tt(str(table.keyword("DATE-OBS")))),
            None if end is None else float(utc_to_tt(str(end))),
            float(table.keyword("FRMTIME", 0.0)),
        )


@dataclass(frozen=True)
class FrameRows:
    """Rows of the auxiliary file of one CCD and node whose numbers rise; arrays of one length.

    Attributes
    ----------
    number
        Frame numbers.
    coarse, fine
        The two parts of the stamps.
    counters
        NPIXEL, NVALID, NBELOW, NABOVE, GATTIFLG, FIFOOVF.
    """

    where: str
    number: npt.NDArray[np.int64]
    coarse: npt.NDArray[Any]
    fine: npt.NDArray[Any]
    counters: Mapping[str, npt.NDArray[np.int64]]

    @classmethod
    def of(cls, auxiliary: OdfTable, number: int, node: int) -> FrameRows:
        """From an auxiliary file.

        Raises
        ------
        TaskError
            ``frames03``: it has nothing of the CCD; ``frames05``: the numbers do not rise anywhere.
        """
        rows = np.flatnonzero((auxiliary["CCDID"] == number) & (auxiliary["CCDNODE"] == node))
        if not len(rows):
            raise TaskError("frames03", f"{auxiliary.where}: no data for CCD {number} node {node}")
        where = f"{auxiliary.where}, CCD {number}"
        with named(where):
            rows = rows[valid_rows(auxiliary["FRAME"][rows])]
        counters = {}
        for name in _COUNTERS:
            values = auxiliary[name][rows].astype(np.int64)
            # Counts of 16 bits without sign.
            counters[name] = np.where(values < 0, values + 65536, values)
        return cls(
            where,
            auxiliary["FRAME"][rows].astype(np.int64),
            auxiliary["FTCOARSE"][rows],
            auxiliary["FTFINE"][rows],
            counters,
        )


def check_same_exposure(table: OdfTable, auxiliary: OdfTable) -> None:
    """See that two files are of one camera, observation and exposure, as far as they say.

    Raises
    ------
    TaskError
        ``frames04``: they are not.
    """
    for key in ("INSTRUME", "OBS_ID", "EXP_ID"):
        pair = [str(t.keyword(key, "")).strip() for t in (table, auxiliary)]
        if all(pair) and pair[0] != pair[1]:
            raise TaskError(
                "frames04",
                f"{table.where} and {auxiliary.where} are incompatible: {key} {' and '.join(pair)}",
            )


@dataclass(frozen=True)
class Layout:
    """Which pixels of a CCD are read, and which of them see the sky.

    Attributes
    ----------
    window, under, read_out
        Telemetry window; pixels read before the first real one; columns and rows of the whole read-out.
    limits
        First and last RAWX, first and last RAWY that are read.
    arcmin2
        Area in the field of view that is read and not behind another CCD.
    open_fraction, seen_fraction
        Share of what is read in the field of view, and not behind another CCD either.
    """

    shape: tuple[int, int]
    window: ReadoutWindow
    under: tuple[int, int]
    read_out: tuple[int, int]
    limits: tuple[int, int, int, int]
    arcmin2: float
    open_fraction: float
    seen_fraction: float

    @property
    def image_pixels(self) -> int:
        """Number of pixels of the CCD that are read."""
        first_x, last_x, first_y, last_y = self.limits
        return max(last_x - first_x + 1, 0) * max(last_y - first_y + 1, 0)

    @classmethod
    def of(
        cls,
        geometry: CameraGeometry,
        window: ReadoutWindow,
        scans: Overscan,
        number: int,
        node: int,
        *,
        half: bool = False,
    ) -> Layout:
        """From the place of a CCD in the camera and its telemetry window.

        Parameters
        ----------
        geometry
            Geometry of the camera.
        window
            Its window.
        scans
            Pixels that are read beside the image.
        half
            Whether the other node reads the other half of the CCD.
        """
        shape = geometry.shape(number)
        (under_x, under_y), (over_x, over_y) = scans.under, scans.over
        # Columns of the window include those before and behind the image (110 for the 100 of small windows);
        # a half of a CCD has none behind it (assumed).
        limits = (
            max(window.x0 + 1, 1),
            min(window.x0 - under_x + window.dx - (0 if half else over_x), shape[0]),
            max(window.y0 - under_y + 1, 1),
            min(window.y0 - under_y + window.dy, shape[1]),
        )
        x, y = np.arange(1, shape[0] + 1), np.arange(1, shape[1] + 1)
        detx, dety = geometry.raw_to_det(number, x[None, :], y[:, None], node)
        fov = geometry.in_fov(detx, dety)
        inside = np.zeros(fov.shape, bool)
        inside[limits[2] - 1 : limits[3], limits[0] - 1 : limits[1]] = True
        mask = geometry.fov_mask(number)
        seen = (mask[:, ::-1] if node else mask) & inside
        step = np.hypot(detx[0, 1] - detx[0, 0], dety[0, 1] - dety[0, 0]) * UNIT_ARCSEC / 60.0
        area = max(int(inside.sum()), 1)
        return cls(
            shape, window, (under_x, under_y), (shape[0] + under_x + over_x, shape[1] + under_y + over_y),
            limits, float(seen.sum()) * step**2, float((fov & inside).sum() / area),
            float(seen.sum() / area),
        )  # fmt: skip


def without_repetition(table: OdfTable, messages: Messages) -> OdfTable:
    """The events, none of which has the frame and the pixel of another one; in real raw files none has."""
    if not len(table):
        messages.warn("emframes", "noEvents", f"{table.where}: no events")
        return table
    # All bits of the three numbers, so that damaged rows are told apart, too.
    frame, y, x = (np.asarray(table[name]).astype(np.int64) for name in ("FRAME", "RAWY", "RAWX"))
    place = (frame << 32) | ((y & 0xFFFF) << 16) | (x & 0xFFFF)
    ordered = np.sort(place, kind="stable")
    if not (ordered[1:] == ordered[:-1]).any():
        return table
    order = np.argsort(place, kind="stable")
    repeated = order[1:][place[order[1:]] == place[order[:-1]]]
    messages.warn(
        "emframes", "repeatedEvents", f"{table.where}: {len(repeated)} rows repeat the place of another in a "
        "frame: left out",
    )  # fmt: skip
    kept = np.ones(len(table), bool)
    kept[repeated] = False
    return replace(table, columns={name: values[kept] for name, values in table.columns.items()})


def report_announced(
    made: frames.Frames, event_frame: npt.NDArray[np.int64], ccd: int, messages: Messages
) -> None:
    """Warn if another number of events came than the frames announce (NVALID); overflows apart.

    Parameters
    ----------
    made
        The frames.
    event_frame
        Index of the frame of each event.
    """
    count = np.bincount(event_frame, minlength=len(made))
    looked_at = made.received & (made.counters["FIFOOVF"] == 0)
    announced, came = made.counters["NVALID"][looked_at], count[looked_at]
    wrong = announced != came
    if wrong.any():
        messages.warn(
            "emframes", "eventsNotAnnounced",
            f"CCD {ccd}: {int(came.sum())} events came of {int(announced.sum())} that the frames announce "
            f"(NVALID); {int(wrong.sum())} of {len(wrong)} frames differ",
        )  # fmt: skip


#: EDUMODE of each type of event file, and SAS's code for another one.
_ANALYSER_MODES = {
    "IME": (3, "initEdusoft03"),
    "TIE": (1, "initEdusoft04"),
    "CTE": (1, "initEdusoft04"),
    "RIE": (2, "initEdusoft05"),
}


def check_mode(table: OdfTable, file_type: str) -> None:
    """See that the event analyser worked as the file's type says.

    Parameters
    ----------
    file_type
        Type of the file, e.g. ``IME``.

    Raises
    ------
    TaskError
        ``initEdusoft02`` to ``05``: EDUMODE is not such a number, or that of another mode.
    """
    found = table.keyword("EDUMODE", None)
    if found is None:
        return
    expected, code = _ANALYSER_MODES[file_type]
    if found not in (1, 2, 3):
        code = "initEdusoft02"
    if found != expected:
        raise TaskError(code, f"{table.where}: EDUMODE is {found!r}, expected {expected} for {file_type}")


@dataclass(frozen=True)
class RawCcd:
    """The raw files of one CCD and node, checked.

    Attributes
    ----------
    number, node, file_type
        CCD, node, and IME, RIE, TIE or CTE.
    table
        Events as they were sent.
    header, times
        What the headers of the event table say.
    rows
        Frames of the auxiliary file.
    """

    number: int
    node: int
    file_type: str
    table: OdfTable
    header: RawHeader
    times: RawTimes
    rows: FrameRows

    @classmethod
    def of(cls, table: OdfTable, auxiliary: OdfTable, name: OdfName) -> RawCcd:
        """From the tables of an event file and of the exposure's auxiliary file.

        Parameters
        ----------
        name
            What the name of the event file says.

        Raises
        ------
        TaskError
            The files are damaged, or do not belong together.
        """
        if int(table.keyword("CCDID", name.ccd)) != name.ccd:
            raise TaskError("readEvents01", f"{table.where}: CCDID is not that of the file's name")
        check_mode(table, name.file_type)
        header = RawHeader.of(table)
        check_same_exposure(table, auxiliary)
        rows = FrameRows.of(auxiliary, name.ccd, name.node)
        return cls(name.ccd, name.node, name.file_type, table, header, RawTimes.of(table), rows)

    @property
    def imaging(self) -> bool:
        """Whether rows and columns are those of an image."""
        return self.file_type in ("IME", "RIE")


def sound_rows(table: OdfTable, layout: Layout) -> npt.NDArray[np.bool_]:
    """Rows without telemetry errors: place inside the read-out, a pattern that exists."""
    sound = np.ones(len(table), bool)
    if "PATTERN" in table.columns:
        sound &= table["PATTERN"] < N_PATTERNS
    starts = (layout.window.x0, layout.window.y0)
    for axis, start, size in zip(("RAWX", "RAWY"), starts, layout.read_out, strict=True):
        # The sum of a damaged place and the window's start need not fit into the 16 bits that were sent.
        sound &= (table[axis] >= 0) & (table[axis] < size - start)
    return sound


def raw_events(
    table: OdfTable,
    known: npt.NDArray[np.bool_],
    index: npt.NDArray[np.int64],
    layout: Layout,
    library: PatternLibrary,
    messages: Messages,
    ccd: int,
) -> tuple[Events, npt.NDArray[np.int64]]:
    """Events in the CCD's coordinates.

    Parameters
    ----------
    known, index
        Per row: whether its frame is listed, and the index of the frame.
    ccd
        Number, for messages.

    Returns
    -------
    events, pixels
        Events, and the number of pixels of each row that was used (0 for tracks of cosmic rays).
    """
    sound = known & sound_rows(table, layout)
    lost = int((~sound).sum())
    if lost:
        messages.warn(
            "emevents", "invalidRows", f"CCD {ccd}: {lost} rows with invalid FRAME, RAWX, RAWY or PATTERN"
        )
    place = (
        index[sound],
        events.raw_to_ccd(table["RAWX"][sound], layout.window.x0, layout.under[0]),
        events.raw_to_ccd(table["RAWY"][sound], layout.window.y0, layout.under[1]),
    )
    n = int(sound.sum())
    if "PATTERN" not in table.columns:
        raw = recognise(*place, table["ENGYE1E2"][sound], library)
        messages.info("emevents", f" {len(raw):12d}  events recognised in {n} pixels")
        return raw, np.ones(n, np.int64)
    dark = int((table["ENERGYE1"][sound] <= 0).sum())
    if dark:
        messages.warn(
            "emevents", "PHAoffset",
            f"{table.where}: {dark} of {n} events have a main pixel (ENERGYE1) of 0 adu or less; they count "
            "as below the threshold",
        )  # fmt: skip
    names = (*(f"ENERGYE{k}" for k in (1, 2, 3, 4)), "PATTERN", "PERIPIX")
    e1, e2, e3, e4, pattern, peripix = (table[name][sound].astype(np.int64) for name in names)
    raw = Events(*place, e1, e2, e3, e4, pattern, peripix, np.zeros(n, np.int64))
    in_pattern = library.n_pixels.copy()
    in_pattern[list(COSMIC_PATTERNS)] = 0
    return raw, in_pattern[raw.pattern]
