"""Raw event files of MOS as typed values, checked once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.eventlist import UNIT_ARCSEC
from daxa.xmm.instruments.mos import events, frames
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Camera
from daxa.xmm.instruments.mos.patterns import COSMIC_PATTERNS, N_PATTERNS
from daxa.xmm.instruments.mos.recognition import recognise
from daxa.xmm.odf.modes import ReadoutWindow
from daxa.xmm.odf.odf import OdfTable


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
    def of(cls, camera: Camera, table: OdfTable, number: int, node: int) -> Layout:
        """From the keywords of an event table and the calibration.

        Raises
        ------
        TaskError
            ``readEvents01``: the keywords of the window are missing.
        """
        window = ReadoutWindow.from_header({**dict(table.primary), **dict(table.header)})
        if window is None:
            raise TaskError(
                "readEvents01", f"{table.where}: keywords WINDOWX0, WINDOWY0, WINDOWDX, WINDOWDY missing"
            )
        shape = camera.geometry.shape(number)
        modeparam = camera.cal.constituent(camera.scope, "MODEPARAM")
        under_x, under_y, over_x, over_y = (
            int(modeparam.number(k, "MODEPARAM")) for k in ("UNDER_X", "UNDER_Y", "OVER_X", "OVER_Y")
        )
        # Columns of the window include those before and behind the image (110 for the 100 of small windows);
        # a half of a CCD has none behind it (assumed).
        files = camera.odf.science_files(camera.instrument, camera.exp_id)
        half = any(f.name.ccd == number and f.name.node != node for f in files)
        limits = (
            max(window.x0 + 1, 1),
            min(window.x0 - under_x + window.dx - (0 if half else over_x), shape[0]),
            max(window.y0 - under_y + 1, 1),
            min(window.y0 - under_y + window.dy, shape[1]),
        )
        x, y = np.arange(1, shape[0] + 1), np.arange(1, shape[1] + 1)
        detx, dety = camera.geometry.raw_to_det(number, x[None, :], y[:, None], node)
        fov = camera.geometry.in_fov(detx, dety)
        inside = np.zeros(fov.shape, bool)
        inside[limits[2] - 1 : limits[3], limits[0] - 1 : limits[1]] = True
        mask = camera.geometry.fov_mask(number)
        seen = (mask[:, ::-1] if node else mask) & inside
        step = np.hypot(detx[0, 1] - detx[0, 0], dety[0, 1] - dety[0, 0]) * UNIT_ARCSEC / 60.0
        area = max(int(inside.sum()), 1)
        return cls(
            shape, window, (under_x, under_y), (shape[0] + under_x + over_x, shape[1] + under_y + over_y),
            limits, float(seen.sum()) * step**2, float((fov & inside).sum() / area),
            float(seen.sum() / area),
        )  # fmt: skip


def without_repetition(camera: Camera, table: OdfTable) -> OdfTable:
    """The events, none of which has the frame and the pixel of another one; in real raw files none has."""
    if not len(table):
        camera.messages.warn("emframes", "noEvents", f"{table.where}: no events")
        return table
    # All bits of the three numbers, so that damaged rows are told apart, too.
    frame, y, x = (np.asarray(table[name]).astype(np.int64) for name in ("FRAME", "RAWY", "RAWX"))
    place = (frame << 32) | ((y & 0xFFFF) << 16) | (x & 0xFFFF)
    ordered = np.sort(place, kind="stable")
    if not (ordered[1:] == ordered[:-1]).any():
        return table
    order = np.argsort(place, kind="stable")
    repeated = order[1:][place[order[1:]] == place[order[:-1]]]
    camera.messages.warn(
        "emframes", "repeatedEvents", f"{table.where}: {len(repeated)} rows repeat the place of another in a "
        "frame: left out",
    )  # fmt: skip
    kept = np.ones(len(table), bool)
    kept[repeated] = False
    return replace(table, columns={name: values[kept] for name, values in table.columns.items()})


def report_announced(
    camera: Camera, made: frames.Frames, event_frame: npt.NDArray[np.int64], ccd: int
) -> None:
    """Warn if another number of events came than the frames announce (NVALID); overflows apart."""
    count = np.bincount(event_frame, minlength=len(made))
    looked_at = made.received & (made.counters["FIFOOVF"] == 0)
    announced, came = made.counters["NVALID"][looked_at], count[looked_at]
    wrong = announced != came
    if wrong.any():
        camera.messages.warn(
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


def sound_rows(table: OdfTable, layout: Layout) -> npt.NDArray[np.bool_]:
    """Rows without telemetry errors: place inside the read-out, a pattern that exists."""
    sound = np.ones(len(table), bool)
    if "PATTERN" in table.columns:
        sound &= table["PATTERN"] < N_PATTERNS
    starts = (layout.window.x0, layout.window.y0)
    for axis, start, size in zip(("RAWX", "RAWY"), starts, layout.read_out, strict=True):
        sound &= (table[axis] >= 0) & (table[axis] + start < size)
    return sound


def raw_events(
    camera: Camera,
    table: OdfTable,
    known: npt.NDArray[np.bool_],
    index: npt.NDArray[np.int64],
    layout: Layout,
) -> tuple[Events, npt.NDArray[np.int64]]:
    """Events in the CCD's coordinates.

    Parameters
    ----------
    known, index
        Per row: whether its frame is listed, and the index of the frame.

    Returns
    -------
    events, pixels
        Events, and the number of pixels of each row that was used (0 for tracks of cosmic rays).
    """
    sound = known & sound_rows(table, layout)
    lost = int((~sound).sum())
    if lost:
        number = table.keyword("CCDID", 0)
        camera.messages.warn(
            "emevents", "invalidRows", f"CCD {number}: {lost} rows with invalid FRAME, RAWX, RAWY or PATTERN"
        )
    place = (
        index[sound],
        events.raw_to_ccd(table["RAWX"][sound], layout.window.x0, layout.under[0]),
        events.raw_to_ccd(table["RAWY"][sound], layout.window.y0, layout.under[1]),
    )
    n = int(sound.sum())
    if "PATTERN" not in table.columns:
        raw = recognise(*place, table["ENGYE1E2"][sound], camera.library)
        camera.messages.info("emevents", f" {len(raw):12d}  events recognised in {n} pixels")
        return raw, np.ones(n, np.int64)
    dark = int((table["ENERGYE1"][sound] <= 0).sum())
    if dark:
        camera.messages.warn(
            "emevents", "PHAoffset",
            f"{table.where}: {dark} of {n} events have a main pixel (ENERGYE1) of 0 adu or less; they count "
            "as below the threshold",
        )  # fmt: skip
    names = (*(f"ENERGYE{k}" for k in (1, 2, 3, 4)), "PATTERN", "PERIPIX")
    e1, e2, e3, e4, pattern, peripix = (table[name][sound].astype(np.int64) for name in names)
    raw = Events(*place, e1, e2, e3, e4, pattern, peripix, np.zeros(n, np.int64))
    in_pattern = camera.library.n_pixels.copy()
    in_pattern[list(COSMIC_PATTERNS)] = 0
    return raw, in_pattern[raw.pattern]
