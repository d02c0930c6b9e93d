"""The CCD of a MOS exposure that is in timing mode, from its raw file to the content of an event list.

Parameters
----------
camera
    The exposure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.event.parts import CcdExposure
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.formats.odf import MOS_COMPRESSED_TIMING, MOS_TIMING
from daxa.xmm.instruments.keywords import Cards
from daxa.xmm.instruments.mos import badpixels as bp
from daxa.xmm.instruments.mos import energy
from daxa.xmm.instruments.mos.calibration import (
    calibrated_bad_pixels,
    energy_limits,
    energy_scale,
    event_threshold,
    frame_clock,
    frame_quality,
    gain,
    line_clock,
    overscan,
)
from daxa.xmm.instruments.mos.content import ccd_keywords, select
from daxa.xmm.instruments.mos.events import Events, flag_thresholds
from daxa.xmm.instruments.mos.exposure import Camera, Ccd
from daxa.xmm.instruments.mos.frames import Frames
from daxa.xmm.instruments.mos.offsets import OnBoard
from daxa.xmm.instruments.mos.raw import RawCcd
from daxa.xmm.instruments.mos.steps.emframes import finish_frames, frame_table
from daxa.xmm.instruments.mos.timing import (
    SAME_SIZE,
    LineClock,
    bad_column_table,
    bad_columns,
    flag_columns,
    line_events,
    sound_rows,
)
from daxa.xmm.instruments.seeds import MOS_TIMING_ENERGY
from daxa.xmm.odf.file import OdfFile
from daxa.xmm.odf.table import OdfTable

#: The CCD that timing mode clocks.
TIMING_CCD = 1


@dataclass
class TimingResult:
    """Content of a timing event list."""

    columns: dict[str, npt.NDArray[Any]]
    exposure: CcdExposure
    start_s: float
    stop_s: float
    n_raw: int
    headers: Cards
    ccd: int


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


@dataclass(frozen=True)
class Lines:
    """Events of an exposure in timing mode; arrays of one length.

    Attributes
    ----------
    compressed
        Whether columns and patterns are unknown.
    events, line
        What was sent, and the line in its frame.
    window
        First and last RAWX that are read.
    """

    compressed: bool
    events: Events
    line: npt.NDArray[np.int64]
    window: tuple[int, int]


def process_timing(camera: Camera, file: OdfFile, auxiliary: OdfTable) -> TimingResult:
    """Process the CCD of an exposure that is in timing mode.

    Parameters
    ----------
    file
        Raw event file.
    auxiliary
        Table of the auxiliary file.

    Raises
    ------
    TaskError
        The file is damaged or does not fit the auxiliary file.
    """
    clock, source, say = line_clock(camera), source_pixel(camera), camera.messages
    say.info("emframes", f" Source at RAWX {source[0]:.2f}, RAWY {source[1]:.2f}")
    ccd, lines, n_raw = _read(camera, file, auxiliary, clock, source)
    made = ccd.frames
    flag_thresholds(lines.events, *ccd.limits_adu)
    if camera.options.emevents.flagbadtimes:
        lines.events.flag[~made.good[lines.events.frame]] |= MosFlag.IN_BAD_FRAME
        # As in imaging modes (assumed), though no charge waits for the next read-out.
        lines.events.flag[made.spoiled[lines.events.frame]] |= MosFlag.IN_SPOILED_FRAME
    kind = _flag_columns(camera, ccd, lines)
    time = made.end_s[lines.events.frame] - made.length_s + clock.since_start_s(lines.line)
    gti = made.gti()
    columns = _selected(camera, ccd, lines, time, gti)
    table = bad_column_table(kind, lines.window, clock.n_lines)
    say.info("badpix", f" {len(table['RAWX']):12d}  bad columns will be added to BADPIX extension")
    return TimingResult(
        columns,
        _exposure(camera, ccd, gti, table, clock.n_lines),
        float(made.start_s[0]),
        float(made.end_s[-1]) + made.transfer_s,
        n_raw,
        {
            "SRC_RAWX": (source[0], "[pixel] RAWX of the source"),
            "SRC_RAWY": (source[1], "[pixel] RAWY of the source"),
            "TIME_RES": (clock.line_s, "[s] from line to line"),
        },
        ccd.name,
    )


def _read(
    camera: Camera, file: OdfFile, auxiliary: OdfTable, clock: LineClock, source: tuple[float, float]
) -> tuple[Ccd, Lines, int]:
    """The CCD with its frames and calibration, its sound events, and the number of rows."""
    number, node = file.name.ccd, file.name.node
    compressed = file.name.file_type == "CTE"
    table = file.read(1, MOS_COMPRESSED_TIMING if compressed else MOS_TIMING)
    raw = RawCcd.of(table, auxiliary, file.name)
    header, scans, quality = raw.header, overscan(camera), frame_quality(camera)
    shape, under = camera.geometry.shape(number), scans.under[0]
    clock_of_frames = frame_clock(camera, number, file.name.file_type)
    made, index, known = frame_table(raw, clock_of_frames, quality.params, camera.messages)
    made.time_s = made.time_s - source[1] / shape[1] * clock.shift_s
    # Windows hold the columns before and behind the image, as in imaging modes (assumed for this one).
    window = (
        max(header.window.x0 + 1, 1),
        min(header.window.x0 - under + header.window.dx - scans.over[0], shape[0]),
    )
    sound = known & sound_rows(table.columns, header.window.dx, clock.n_lines)
    if not sound.all():
        camera.messages.warn(
            "emevents",
            "invalidRows",
            f"CCD {number}: {int((~sound).sum())} rows with invalid FRAME, RAWX, RAWY or PATTERN",
        )
    sent = {name: values[sound] for name, values in table.columns.items()}
    list_ = line_events(sent, index[sound], source, header.window.x0, under)
    gatti_on = finish_frames(
        made,
        list_.frame,
        list_.pattern + 1,
        quality,
        camera.messages,
        window_pixels=(window[1] - window[0] + 1) * header.window.dy,
        open_fraction=1.0,
    )
    ccd = Ccd(
        number, node, file.name.file_type, header, shape, (*window, 1, shape[1]), list_, made, 0.0,
        OnBoard(), gatti_on, gain(camera, number, node), event_threshold(camera, header, number),
        energy_limits(camera, header), bp.BadPixels(shape), bp.BadPixels(shape),
    )  # fmt: skip
    return ccd, Lines(compressed, list_, sent["RAWY"].astype(np.int64), window), len(table)


def _flag_columns(camera: Camera, ccd: Ccd, lines: Lines) -> npt.NDArray[np.int64]:
    """Flag events by their columns, if these are known; gives the kind of each column of the CCD."""
    if lines.compressed:
        lines.events.flag |= MosFlag.UNKNOWN_RAWX_PATTERN
        camera.messages.info(
            "emevents", " Compressed timing mode: columns and patterns are unknown, no bad columns"
        )
    elif camera.options.use_bad_pixels:
        kind = bad_columns(calibrated_bad_pixels(camera, ccd.number, ccd.node, ccd.shape))
        flag_columns(lines.events, kind, lines.window)
        return kind
    return np.zeros(ccd.shape[0], np.int64)


def _selected(
    camera: Camera, ccd: Ccd, lines: Lines, time_s: npt.NDArray[np.float64], gti: GTI
) -> dict[str, npt.NDArray[Any]]:
    """Columns of the events that belong to the list, in the order of time."""
    opts, list_ = camera.options, lines.events
    pha = list_.e1.astype(float)
    if opts.emenergy.randomizeenergy:
        pha = pha + camera.random(ccd.number, ccd.node, MOS_TIMING_ENERGY).uniform(-0.5, 0.5, len(pha))
    scale = energy_scale(camera, ccd, opts.emenergy, parts=False)
    same_size = replace(list_, pattern=SAME_SIZE[list_.pattern])
    pi = energy.energies(same_size, pha, scale.loss, scale.gain)
    keep = np.ones(len(list_), bool)
    if opts.reject_bad_events:
        keep &= list_.flag & opts.rejection_flag == 0
    if opts.apply_ccd_gti:
        keep &= gti.contains(time_s)
    camera.messages.info("evselect", f"selected {int(keep.sum())} rows from the input table.")
    order = np.flatnonzero(keep)
    order = order[np.argsort(time_s[order], kind="stable")]
    columns: dict[str, npt.NDArray[Any]] = {
        "TIME": time_s[order],
        # 0 stands for an unknown column.
        "RAWX": np.zeros(len(order), int) if lines.compressed else list_.rawx[order],
        "PHA": energy.to_channel(pha[order]),
        "PI": energy.to_channel(pi[order]),
        "FLAG": list_.flag[order].astype(np.int32),
        "PATTERN": list_.pattern[order].astype(np.uint8),
        "CCDNR": np.full(len(order), ccd.name, np.uint8),
    }
    if opts.expression:
        chosen = select(camera, columns)
        columns = {name: values[chosen] for name, values in columns.items()}
    return columns


def _exposure(
    camera: Camera, ccd: Ccd, gti: GTI, table: dict[str, npt.NDArray[np.int64]], n_lines: int
) -> CcdExposure:
    """Extensions of the CCD; RAWY of its limits counts lines."""
    made: Frames = ccd.frames
    sent = made.received
    return CcdExposure(
        made.time_s[sent],
        made.integration_s[sent],
        made.fraction[sent],
        gti,
        table,
        ccd_keywords(camera, ccd),
        transfer_s=made.transfer_s,
        limits=(*ccd.limits[:2], 1, n_lines),
    )
