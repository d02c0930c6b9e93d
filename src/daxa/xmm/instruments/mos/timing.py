"""Timing mode of the central MOS CCD: lines of a frame count time, only columns are left of the image.

Sources: manuals of emframes, emevents and emenergy (timing mode), Data Files Handbook (timing event list).
The law of the times stands in :mod:`daxa.xmm.formats.ccf`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.parts import CcdExposure
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.formats.odf import MOS_COMPRESSED_TIMING, MOS_TIMING
from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, HOT
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos import energy
from daxa.xmm.instruments.mos.calibration import (
    calibrated_bad_pixels,
    energy_limits,
    event_threshold,
    gain,
    overscan,
)
from daxa.xmm.instruments.mos.events import Events, flag_thresholds, raw_to_ccd
from daxa.xmm.instruments.mos.exposure import Camera, Ccd
from daxa.xmm.instruments.mos.offsets import OnBoard
from daxa.xmm.instruments.mos.raw import RawHeader, check_mode
from daxa.xmm.instruments.mos.reduce import ccd_keywords, select
from daxa.xmm.instruments.mos.steps.emenergy import energies
from daxa.xmm.instruments.mos.steps.emframes import finish_frames, frame_table
from daxa.xmm.odf.odf import OdfFile, OdfTable

_ENERGY = 4
#: Pattern of an imaging event with as many pixels, by PATTERN of timing mode: 1, 2, 3 and more columns.
_SAME_SIZE = np.array([0, 1, 5, 9])
#: The CCD that timing mode clocks.
TIMING_CCD = 1


@dataclass(frozen=True)
class LineClock:
    """Seconds per line, time from the last row of the CCD to the read-out [s], lines of a frame."""

    line_s: float
    shift_s: float
    n_lines: int

    @classmethod
    def from_calibration(cls, camera: Camera) -> LineClock:
        """The clock that EMOSn_MODEPARAM gives for the exposure's mode.

        Raises
        ------
        TaskError
            ``wrongMode``: no such mode, or times that make no lines.
        """
        constituent = camera.cal.constituent(camera.scope, "MODEPARAM")
        table = constituent.table("MODEPARAM")
        row = np.flatnonzero(camera.of_mode(table))
        where = f"{constituent.path.name}[MODEPARAM]"
        if not len(row):
            raise TaskError("wrongMode", f"{where}: no row for {camera.submode}")
        line, shift, lines = (
            float(np.ravel(table[name][row[0]])[0]) for name in ("TIME_RES", "SHIFT_T", "WINDOWDY")
        )
        if not (line > 0 and shift >= 0 and lines >= 1):
            raise TaskError("wrongMode", f"{where}: TIME_RES {line:g} and WINDOWDY {lines:g} make no lines")
        return cls(line / 1000.0, shift / 1000.0, int(lines))

    def since_start_s(self, line: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Middle of the time in which a line collects charge, from the start of the frame [s]."""
        return (np.asarray(line, float) + 0.5) * self.line_s


@dataclass
class TimingResult:
    """Content of a timing event list."""

    columns: dict[str, npt.NDArray[Any]]
    exposure: CcdExposure
    start_s: float
    stop_s: float
    n_raw: int
    headers: dict[str, Any]


def source_pixel(camera: Camera) -> tuple[float, float]:
    """RAWX and RAWY of the source: the place asked for, else the target, else the middle of the CCD.

    Raises
    ------
    TaskError
        ``srccoords``: the place asked for is not on the CCD.
    """
    from daxa.xmm.instruments.keywords import proposal

    place = camera.options.source
    if place is None:
        target = proposal(camera.odf)
        if target is not None and target.ra_deg is not None and target.dec_deg is not None:
            place = target.ra_deg, target.dec_deg
    if place is not None:
        det = camera.geometry.sky_to_det(*place, *camera.pointing)
        ccd, x, y = camera.geometry.det_to_raw(*det)
        if int(ccd) == TIMING_CCD:
            return float(x), float(y)
        if camera.options.source is not None:
            raise TaskError("srccoords", f"srcra={place[0]}, srcdec={place[1]} is not on CCD {TIMING_CCD}")
    nx, ny = camera.geometry.shape(TIMING_CCD)
    camera.messages.warn(
        "emframes", "srccoords", f"the target is not on CCD {TIMING_CCD}; its middle is taken for it"
    )
    return (nx + 1) / 2, (ny + 1) / 2


def bad_columns(pixels: bp.BadPixels) -> npt.NDArray[np.int64]:
    """Kind of each column, 0 for good ones.

    A bright pixel shines into all lines; dead or masked ones only take away their share of the column.
    """
    bright = pixels.maps["bright"].any(axis=0)
    dark = (pixels.bad & ~pixels.maps["bright"]).mean(axis=0) > 0.5
    return np.where(bright, HOT, np.where(dark, DEAD, 0))


def process_timing(camera: Camera, file: OdfFile, auxiliary: OdfTable) -> TimingResult:
    """Process the CCD of an exposure that is in timing mode.

    Raises
    ------
    TaskError
        The file is damaged or does not fit the auxiliary file.
    """
    opts, say = camera.options, camera.messages
    number, node = file.name.ccd, file.name.node
    compressed = file.name.file_type == "CTE"
    table = file.read(1, MOS_COMPRESSED_TIMING if compressed else MOS_TIMING)
    check_mode(table, file.name.file_type)
    header = RawHeader.of(table)
    window, scans = header.window, overscan(camera)
    under, over = scans.under[0], scans.over[0]
    shape = camera.geometry.shape(number)
    clock = LineClock.from_calibration(camera)
    source = source_pixel(camera)
    say.info("emframes", f" Source at RAWX {source[0]:.2f}, RAWY {source[1]:.2f}")
    made, index, known = frame_table(camera, table, auxiliary, file)
    transfer = source[1] / shape[1] * clock.shift_s
    made.time_s = made.time_s - transfer
    # Windows hold the columns before and behind the image, as in imaging modes (assumed for this one).
    x_first = max(window.x0 + 1, 1)
    x_last = min(window.x0 - under + window.dx - over, shape[0])
    # As many lines as the header says: the calibration's number is that of the mode.
    sound = known.copy()
    if not compressed:
        sound &= table["PATTERN"] < len(_SAME_SIZE)
        sound &= (table["RAWX"] >= 0) & (table["RAWX"] < window.dx)
    sound &= (table["RAWY"] >= 0) & (table["RAWY"] < clock.n_lines)
    if not sound.all():
        say.warn(
            "emevents",
            "invalidRows",
            f"CCD {number}: {int((~sound).sum())} rows with invalid FRAME, RAWX, RAWY or PATTERN",
        )
    n = int(sound.sum())
    line = table["RAWY"][sound].astype(np.int64)
    zero = np.zeros(n, np.int64)
    # Neither is sent in compressed mode: as if all were on the source.
    pattern, ring = zero, zero
    column = np.full(n, round(source[0]), np.int64)
    if not compressed:
        pattern, ring = (table[k][sound].astype(np.int64) for k in ("PATTERN", "PERIPIX"))
        column = raw_to_ccd(table["RAWX"][sound], window.x0, under)
    row = np.full(n, round(source[1]), np.int64)
    amplitude = table["ENGYE1E2"][sound].astype(np.int64)
    e2, e3, e4, flag = (zero.copy() for _ in range(4))
    list_ = Events(index[sound], column, row, amplitude, e2, e3, e4, pattern, ring, flag)
    gatti_on = finish_frames(
        camera,
        made,
        list_.frame,
        pattern + 1,
        window_pixels=(x_last - x_first + 1) * window.dy,
        open_fraction=1.0,
    )

    flag_thresholds(list_, *energy_limits(camera, header))
    if opts.emevents.flagbadtimes:
        list_.flag[~made.good[list_.frame]] |= MosFlag.IN_BAD_FRAME
        # As in imaging modes (assumed), though no charge waits for the next read-out.
        list_.flag[made.spoiled[list_.frame]] |= MosFlag.IN_SPOILED_FRAME
    kind = np.zeros(shape[0], np.int64)
    if compressed:
        list_.flag |= MosFlag.UNKNOWN_RAWX_PATTERN
        say.info("emevents", " Compressed timing mode: columns and patterns are unknown, no bad columns")
    elif opts.use_bad_pixels:
        kind = _flag_columns(camera, list_, shape, (x_first, x_last), node, number)
    limits = x_first, x_last, 1, shape[1]
    ccd = Ccd(
        number, node, file.name.file_type, header, shape, limits, list_, made, 0.0, OnBoard(), gatti_on,
        gain(camera, number, node), event_threshold(camera, header, number), energy_limits(camera, header),
        bp.BadPixels(shape), bp.BadPixels(shape),
    )  # fmt: skip
    pha = list_.e1.astype(float)
    if opts.emenergy.randomizeenergy:
        pha = pha + camera.random(number, node, _ENERGY).uniform(-0.5, 0.5, n)
    list_.pattern = _SAME_SIZE[pattern]
    pi = energies(camera, ccd, list_, pha, opts.emenergy)

    start = made.end_s[list_.frame] - made.length_s
    time = start + clock.since_start_s(line)
    gti = made.gti()
    keep = np.ones(n, bool)
    if opts.reject_bad_events:
        keep &= list_.flag & opts.rejection_flag == 0
    if opts.apply_ccd_gti:
        keep &= gti.contains(time)
    say.info("evselect", f"selected {int(keep.sum())} rows from the input table.")
    order = np.flatnonzero(keep)
    order = order[np.argsort(time[order], kind="stable")]
    columns: dict[str, npt.NDArray[Any]] = {
        "TIME": time[order],
        # 0 stands for an unknown column.
        "RAWX": np.zeros(len(order), int) if compressed else list_.rawx[order],
        "PHA": energy.to_channel(pha[order]),
        "PI": energy.to_channel(pi[order]),
        "FLAG": list_.flag[order].astype(np.int32),
        "PATTERN": pattern[order].astype(np.uint8),
        "CCDNR": np.full(len(order), ccd.name, np.uint8),
    }
    if opts.expression:
        chosen = select(camera, columns)
        columns = {name: values[chosen] for name, values in columns.items()}
    bad = np.flatnonzero(kind)
    bad = bad[(bad + 1 >= x_first) & (bad + 1 <= x_last)]
    say.info("badpix", f" {len(bad):12d}  bad columns will be added to BADPIX extension")
    badpix = {
        "RAWX": bad + 1,
        "RAWY": np.ones(len(bad), int),
        "TYPE": kind[bad],
        "YEXTENT": np.full(len(bad), clock.n_lines),
        "BADFLAG": np.full(len(bad), CALIBRATION),
    }
    cards = ccd_keywords(camera, ccd)
    sent = made.received
    return TimingResult(
        columns,
        CcdExposure(
            made.time_s[sent],
            made.integration_s[sent],
            made.fraction[sent],
            gti,
            badpix,
            cards,
            transfer_s=made.transfer_s,
            limits=(x_first, x_last, 1, clock.n_lines),
        ),
        float(made.start_s[0]),
        float(made.end_s[-1]) + made.transfer_s,
        len(table),
        {
            "SRC_RAWX": (source[0], "[pixel] RAWX of the source"),
            "SRC_RAWY": (source[1], "[pixel] RAWY of the source"),
            "TIME_RES": (clock.line_s, "[s] from line to line"),
        },
    )


def _flag_columns(
    camera: Camera, list_: Events, shape: tuple[int, int], window: tuple[int, int], node: int, number: int
) -> npt.NDArray[np.int64]:
    """Flag events on and beside bad columns and at the edges of the window; gives the kind of each column."""
    kind = bad_columns(calibrated_bad_pixels(camera, number, node, shape))
    padded = np.concatenate([[0], kind, [0]])
    x = np.clip(list_.rawx, 1, shape[0])
    for mask, bit in (
        ((list_.rawx < window[0]) | (list_.rawx > window[1]), MosFlag.OUT_OF_CCD_WINDOW),
        ((list_.rawx == window[0]) | (list_.rawx == window[1]), MosFlag.CLOSE_TO_CCD_WINDOW),
        (padded[x] > 0, MosFlag.ON_BADPIX),
        ((padded[x - 1] == HOT) | (padded[x + 1] == HOT), MosFlag.CLOSE_TO_BRIGHTPIX),
        ((padded[x - 1] == DEAD) | (padded[x + 1] == DEAD), MosFlag.CLOSE_TO_DEADPIX),
    ):
        list_.flag[mask] |= bit
    return kind
