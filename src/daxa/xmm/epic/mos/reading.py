"""Reading the raw files of a MOS CCD: frames, events, offsets (the sub-task emframes)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from daxa.xmm.epic.mos import badpix as bp
from daxa.xmm.epic.mos import energy, events, frames
from daxa.xmm.epic.mos.camera import Camera, Ccd
from daxa.xmm.epic.mos.events import Events
from daxa.xmm.epic.mos.offsets import OnBoard, whole_line
from daxa.xmm.epic.mos.patterns import COSMIC_PATTERNS, N_PATTERNS
from daxa.xmm.epic.mos.recognition import recognise
from daxa.xmm.errors import TaskError, named
from daxa.xmm.formats.eventlist import UNIT_ARCSEC
from daxa.xmm.formats.odf import MOS_IMAGING, MOS_OFFSETS, MOS_REDUCED_IMAGING
from daxa.xmm.odf.modes import ReadoutWindow
from daxa.xmm.odf.mos_clock import header_frame_time, unwrap_stamps
from daxa.xmm.odf.odf import OdfFile, OdfTable
from daxa.xmm.odf.times import check_frames, utc_to_tt

_COUNTERS = ("NPIXEL", "NVALID", "NBELOW", "NABOVE", "GATTIFLG", "FIFOOVF")


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


def emframes(camera: Camera, file: OdfFile, auxiliary: OdfTable) -> Ccd:
    """Frame table of one CCD and node, and the events that belong to it.

    Parameters
    ----------
    camera
        The exposure; ``camera.options.emframes`` are the parameters.
    file
        Imaging (IME) or reduced imaging (RIE) event file.
    auxiliary
        Table of the auxiliary file.

    Raises
    ------
    TaskError
        The file is damaged or does not fit the auxiliary file.
    """
    say = camera.messages
    number, node = file.name.ccd, file.name.node
    table = file.read(1, MOS_IMAGING if file.name.file_type == "IME" else MOS_REDUCED_IMAGING)
    if int(table.keyword("CCDID", number)) != number:
        raise TaskError("readEvents01", f"{table.where}: CCDID is not that of the file's name")
    check_mode(table, file.name.file_type)
    table = without_repetition(camera, table)
    layout = Layout.of(camera, table, number, node)
    made, index, known = frame_table(camera, table, auxiliary, file)
    raw, pixels = raw_events(camera, table, known, index, layout)
    gatti_on = finish_frames(
        camera,
        made,
        index[known & sound_rows(table, layout)],
        pixels,
        window_pixels=layout.image_pixels,
        open_fraction=layout.open_fraction,
    )
    ccd = make_ccd(camera, table, file.name.file_type, (number, node), layout, raw, made, gatti_on)
    ccd.row_frame = np.where(known, made.number[0] + index, -1)
    say.info("emframes", f" Area of window within field of view is {ccd.arcmin2:12.6f} arcmin2")
    say.info("emframes", f" Fraction of window within field of view is {layout.seen_fraction:.9f}")
    live = float(made.fraction[made.received].mean())
    say.info("emframes", f" Fraction of good time : {live:.9f}")
    return ccd


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
        ``initEdusoft02`` to ``05``: EDUMODE is no such number, or that of another mode.
    """
    found = table.keyword("EDUMODE", None)
    if found is None:
        return
    expected, code = _ANALYSER_MODES[file_type]
    if found not in (1, 2, 3):
        code = "initEdusoft02"
    if found != expected:
        raise TaskError(code, f"{table.where}: EDUMODE is {found!r}, expected {expected} for {file_type}")


def make_ccd(
    camera: Camera,
    table: OdfTable,
    file_type: str,
    name: tuple[int, int],
    layout: Layout,
    raw: Events,
    made: frames.Frames,
    gatti_on: bool,
) -> Ccd:
    """A CCD (``name``: number and node) with its calibration."""
    number, node = name
    return Ccd(
        number, node, file_type, table, layout.window, layout.shape, layout.limits, raw, made,
        layout.arcmin2, _offsets(camera, name, layout), gatti_on,
        energy.gain_coefficients(camera.table("ADUCONV", "OFFSET_GAIN"), number, node),
        known_bad_pixels(camera, number, node, layout.shape), bp.BadPixels(layout.shape),
    )  # fmt: skip


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
    raw = Events(
        *place,
        *(table[k][sound].astype(np.int64) for k in ("ENERGYE1", "ENERGYE2", "ENERGYE3", "ENERGYE4")),
        *(table[k][sound].astype(np.int64) for k in ("PATTERN", "PERIPIX")),
        np.zeros(n, np.int64),
    )
    in_pattern = camera.library.n_pixels.copy()
    in_pattern[list(COSMIC_PATTERNS)] = 0
    return raw, in_pattern[raw.pattern]


def finish_frames(
    camera: Camera,
    made: frames.Frames,
    event_frame: npt.NDArray[np.int64],
    event_pixels: npt.NDArray[np.int64],
    *,
    window_pixels: int,
    open_fraction: float,
) -> bool:
    """Dead time, sliding scale and good times of frames (CR_DEAD, GATTI, FLAG_HK).

    Returns
    -------
    bool
        Whether the sliding scale moves.
    """
    opts = camera.options.emframes
    if opts.setdeadtime:
        frames.set_dead_time(
            made,
            event_frame,
            event_pixels,
            window_pixels=window_pixels,
            open_fraction=open_fraction,
            cosmic_size=camera.misc("COSMICSI"),
            cosmic_out_over_in=camera.misc("COSMICOU"),
        )
    gatti_on = opts.setgatti and frames.set_gatti(made)
    outside = 0
    if camera.external_gti is not None and opts.flagbadtimes:
        outside = frames.flag_outside(made, camera.external_gti)
    camera.messages.info("emframes", f" {outside:12d}  frames rejected by FLAG_HK")
    return gatti_on


def known_bad_pixels(camera: Camera, number: int, node: int, shape: tuple[int, int]) -> bp.BadPixels:
    """Bad pixels masked on board (calibration and bright-pixel table) and others of the calibration."""
    table = camera.table("BADPIX", "BADPIX")
    pixels = bp.BadPixels(shape)
    bp.add_calibration(pixels, table, number, node, others=False)
    for file in camera.odf.find(camera.instrument, "PTH"):
        try:
            sent = file.read(1)
            mine = (sent["CCDID"] == number) & (sent["CCDNODE"] == node)
            pixels.add_stretches(*(sent[k][mine] for k in ("RAWX", "RAWY", "YEXTENT")), bp.HOT, bp.ONBOARD)
        except TaskError as error:
            camera.messages.warn(
                "badpix", "MissingData", f"{error.message}; uplinked pixels from the CCF only"
            )
    bp.add_calibration(pixels, table, number, node, uplinked=False)
    return pixels


def frame_table(
    camera: Camera, table: OdfTable, auxiliary: OdfTable, file: OdfFile
) -> tuple[frames.Frames, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Frames of a CCD, with those flagged that are incomplete.

    Returns
    -------
    frames, index, known
        The table; per event, the index of its frame, and whether it is one of the table.
    """
    say = camera.messages
    number, node = file.name.ccd, file.name.node
    for key in ("INSTRUME", "OBS_ID", "EXP_ID"):
        pair = [str(t.keyword(key, "")).strip() for t in (table, auxiliary)]
        if all(pair) and pair[0] != pair[1]:
            raise TaskError(
                "frames04",
                f"{table.where} and {auxiliary.where} are incompatible: {key} {' and '.join(pair)}",
            )
    rows = np.flatnonzero((auxiliary["CCDID"] == number) & (auxiliary["CCDNODE"] == node))
    if not len(rows):
        raise TaskError("frames03", f"{auxiliary.where}: no data for CCD {number} node {node}")
    where = f"{auxiliary.where}, CCD {number}"
    with named(where):
        rows = rows[frames.valid_rows(auxiliary["FRAME"][rows])]
    nominal, delay = camera.frame_times(number)
    imaging = file.name.file_type in ("IME", "RIE")
    start_tt = utc_to_tt(str(table.keyword("DATE-OBS")))
    numbers = auxiliary["FRAME"][rows].astype(np.int64)
    start_obt = camera.correlation.tt_to_obt(start_tt)
    reset = camera.clock_reset_s
    obt = unwrap_stamps(auxiliary["FTCOARSE"][rows], auxiliary["FTFINE"][rows], reset, start_obt)
    told = float(table.keyword("FRMTIME", 0.0))
    header_s = header_frame_time(told, numbers, obt, table.where) or nominal or 0.0
    counters = {}
    for name in _COUNTERS:
        values = auxiliary[name][rows].astype(np.int64)
        counters[name] = np.where(values < 0, values + 65536, values)
    with named(where):
        made, shift = frames.build_frames(
            numbers,
            camera.correlation.obt_to_tt(obt),
            counters,
            header_frame_s=header_s,
            transfer_s=camera.transfer_s(number, imaging=imaging),
            # In fast modes nothing waits for the next read-out.
            joined=frames.JOINED_FRAMES if imaging else 0,
            delay_s=delay,
            clock_s=obt - reset,
            warn=lambda code, text: say.warn("emframes", code, f"CCD {number}: {text}"),
        )
    end = table.keyword("DATE-END", None)
    if end is not None:
        span = start_tt, float(utc_to_tt(str(end)))
        check_frames(made.time_s, span, where, camera.correlation.source)
    received = int(made.received.sum())
    say.info("emframes", f" Create frame table with {received:12d}  rows")
    say.info("emframes", f" {len(made) - received:12d}  frames are missing between them")
    say.info("emframes", f" Observing mode was {camera.submode}")
    say.info("emframes", f" Approximate start time = {made.time_s[0]:20.8f}")
    say.info("emframes", f" Approximate   end time = {made.time_s[-1]:20.8f}")
    # Events of a frame whose row is missing belong to the frame that was inserted for it.
    event_frame = table["FRAME"].astype(np.int64)
    before = np.maximum(np.searchsorted(numbers, event_frame, side="right") - 1, 0)
    known = (event_frame >= numbers[0]) & (event_frame <= numbers[-1])
    index = np.where(known, event_frame + shift[before] - made.number[0], 0)
    opts = camera.options.emframes
    report_announced(camera, made, index[known], number)
    invalid = frames.flag_invalid(made, index[known]) if opts.checknvalid else 0
    say.info("emframes", f" {invalid:12d}  frames rejected by VALID")
    overflow = frames.flag_overflow(made) if opts.flagfifooverflow else 0
    say.info("emframes", f" {overflow:12d}  frames rejected by FIFO")
    frames.flag_edges(made)
    return made, index, known


def _offsets(camera: Camera, name: tuple[int, int], layout: Layout) -> OnBoard:
    """Offsets that were subtracted on board."""
    number, node = name
    if not camera.options.emevents.withoffvarsets:
        return _calibrated_offsets(camera, name, layout)
    found = camera.odf.find(camera.instrument, "OVE", camera.exp_id, number, node)
    found = found or camera.odf.find(camera.instrument, "OVE", ccd=number, node=node)
    if not found:
        camera.messages.warn("emevents", "addOffsets01", f"CCD {number}: no offset/variance file in the ODF")
        return OnBoard()
    try:
        table = found[0].read(1, MOS_OFFSETS)
    except TaskError as error:
        camera.messages.warn("emevents", "addOffsets01", f"{error.message}; offsets are taken as 0")
        return OnBoard()
    lines = []
    for axis in (0, 1):
        # Lines are counted in the whole read-out, whatever the window.
        mine = (table["AXIS"] == axis) & (table["INDEX"] >= 0)
        index = table["INDEX"][mine]
        line = np.zeros(layout.under[axis] + layout.shape[axis])
        line = np.pad(line, (0, max(int(index.max(initial=0)) + 1 - len(line), 0)))
        line[index] = table["OFFSET"][mine]
        lines.append(line)
    return OnBoard.of_read_out(lines, layout.shape, layout.under, mirrored=False)


def _calibrated_offsets(camera: Camera, name: tuple[int, int], layout: Layout) -> OnBoard:
    """Offsets that the calibration says are used on board."""
    from daxa.xmm.errors import MissingConstituent, UnknownLayout

    number, node = name
    try:
        table = camera.table("DARKFRAME", f"OFFSET_CCD{number}")
    except (MissingConstituent, UnknownLayout) as error:
        text = f"CCD {number}: no offsets, truncated events are those at the end of the converter: {error}"
        camera.messages.warn("emevents", "addOffsets01", text)
        return OnBoard()
    rows = np.flatnonzero(camera.of_mode(table))
    row = rows[0] if len(rows) else 0
    if not len(rows):
        constituent = camera.cal.constituent(camera.scope, "DARKFRAME")
        constituent.lacks(f"OFFSET_CCD{number}", "MODE_ID", f"nothing for {camera.submode}")
    # ROW_OFFSET holds a value for each pixel of a row: those of columns.
    lines = [
        whole_line(table[key][row], int(table[start][row]), int(table[length][row]))
        for key, start, length in (
            ("ROW_OFFSET", "COL_X0", "ROW_LEN"),
            ("COLUMN_OFFSET", "ROW_Y0", "COL_LEN"),
        )
    ]
    return OnBoard.of_read_out(lines, layout.shape, layout.under, mirrored=bool(node))
