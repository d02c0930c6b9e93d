"""rgsframes: sound frames of one RGS CCD, and the pixels that were read in them.

Source: manual of the task. The rules for frames stand in :mod:`daxa.xmm.instruments.rgs.frames`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.rgs import Arrays, IntArray, RgsFlag
from daxa.xmm.instruments.keywords import Cards
from daxa.xmm.instruments.rgs import shapes
from daxa.xmm.instruments.rgs.frames import Frames, build_frames, repeated, two_nodes, unwrap_counter
from daxa.xmm.instruments.rgs.geometry import node_shape
from daxa.xmm.instruments.rgs.options import Rgsframes
from daxa.xmm.instruments.rgs.raw import SAME_FRAME, Readouts, Telemetry
from daxa.xmm.odf.times import TimeCorrelation, check_frames

Warn = Callable[[str, str], None]
Info = Callable[[str], None]


@dataclass(frozen=True)
class FramesAndPixels:
    """Frames of a CCD, its pixels (columns of the table PIXELS), and keywords of the window of telemetry."""

    frames: Frames
    pixels: Arrays
    window: Cards


def rgsframes(
    ccd: int,
    telemetry: Telemetry,
    readouts: Readouts,
    correlation: TimeCorrelation,
    span_s: tuple[float, float],
    version: Callable[[], str],
    options: Rgsframes,
    warn: Warn,
    info: Info,
) -> FramesAndPixels:
    """Make the tables of frames and pixels of one CCD.

    Parameters
    ----------
    ccd
        Number of the CCD.
    telemetry, readouts
        Its raw pixels and read-outs.
    correlation
        Relation of the on-board clock to TT.
    span_s
        Start and end of the exposure (mission time).
    version
        Gives the version of the on-board software, which tells what codes of shapes mean.
    options
        Limits.
    warn, info
        Where warnings and lines of the log go.

    Raises
    ------
    TaskError
        ``windowSize``: the window is that of one node, and pixels are of two. ``dppIdNotFound``,
        ``wrongSER2``: codes of shapes that are not known.
    """
    frames, dropped = _frames(ccd, readouts, correlation, span_s, options, warn, info)
    number = unwrap_counter(telemetry.frame, readouts.first_number)
    sound = _sound(telemetry, number, frames, dropped, warn, info)
    pixels, window = _pixels(telemetry, number, sound, version(), info)
    if options.withmaxrawpixels or options.withmaxrawpixelrate:
        _limit_pixels(frames, pixels["FRAME"], options)
    bad, total = int((~frames.good).sum()), len(frames.number)
    info(f" Total number of frames flagged bad: {bad:11d} out of a total of {total:11d}")
    if not frames.good.any():
        warn("allFramesBad", f"CCD {ccd}: no frame is sound, there is no good time")
    return FramesAndPixels(frames, pixels, window)


def _frames(
    ccd: int,
    readouts: Readouts,
    correlation: TimeCorrelation,
    span_s: tuple[float, float],
    options: Rgsframes,
    warn: Warn,
    info: Info,
) -> tuple[Frames, IntArray]:
    """Frames of the CCD, and the numbers of those that repeat another."""
    again = repeated(readouts.rows, SAME_FRAME)
    info(f" Identified {int(again.sum()):11d} duplicate entries in EXPOSURE table")
    mine = np.flatnonzero(~again)
    mine = mine[np.argsort(readouts.number[mine], kind="stable")]
    end = correlation.obt_to_tt(readouts.end_obt_s[mine])
    check_frames(end, span_s, readouts.where, correlation.source)
    frames = build_frames(
        readouts.number[mine],
        end,
        *(readouts.rows[n][mine] for n in ("SEQINDEX", "NLOSTEVT", "ABORTFLG", "NDPP")),
        nominal_s=readouts.cycle_s,
        min_exposure_s=options.minexposuretime,
    )
    lost = int((frames.n_lost != 0).sum())
    if lost:
        warn(
            "lostEvents",
            f"{readouts.where}: events of {lost} of {len(frames.number)} frames of CCD {ccd} were lost on "
            "board (NLOSTEVT); the frames are kept, rates in them are too low",
        )
    short = frames.timedel_s < options.minexposuretime
    n_bad = int((~frames.good & ~short).sum())
    info(f" {n_bad:12d} frames flagged bad based on instrument bad-condition flags")
    info(f" {int(short.sum()):12d} frames flagged bad based on minexposuretime")
    return frames, readouts.number[again]


def _sound(
    telemetry: Telemetry, number: IntArray, frames: Frames, dropped: IntArray, warn: Warn, info: Info
) -> npt.NDArray[np.bool_]:
    """Raw pixels that are of a frame and do not repeat another."""
    places = {"FRAME": number, "CCDNODE": telemetry.node, "RAWX": telemetry.rawx, "RAWY": telemetry.rawy}
    twice = repeated(places, tuple(places))
    info(f" Identified {int(twice.sum()):11d} duplicate entries in PIXELS table")
    listed = np.isin(number, frames.number)
    unlisted = int((~listed & ~np.isin(number, dropped)).sum())
    if unlisted:
        warn("MissingFrames", f"{telemetry.where}: {unlisted} events of frames that are not listed")
    return np.asarray(listed & ~twice)


def _pixels(
    telemetry: Telemetry, number: IntArray, sound: npt.NDArray[np.bool_], version: str, info: Info
) -> tuple[Arrays, Cards]:
    """Pixels with coordinates from 1 of the node that reads them, and the window of telemetry."""
    n_columns, _ = node_shape(telemetry.ocb)
    x0, y0, dx, dy = telemetry.window
    single = x0 + dx > n_columns
    if single and (telemetry.node[sound] != 0).any():
        raise TaskError(
            "windowSize", f"{telemetry.where}: WINDOWDX={dx} is the window of one node, CCDNODE of two"
        )
    shape, grade = shapes.translate(telemetry.ser[sound], version)
    rawx, rawy = (v[sound].astype(np.int64) + 1 for v in (telemetry.rawx, telemetry.rawy))
    node = telemetry.node[sound].astype(np.int64)
    if single:
        info(" One node reads the whole CCD; columns are counted as if there were two")
        rawx, shape, node = two_nodes(rawx, shape, n_columns)
        # Only the columns that each half has of the window.
        limits = (x0 + 1, n_columns), (2 * n_columns + 1 - x0 - dx, n_columns)
    else:
        limits = ((x0 + 1, x0 + dx),) * 2
    pixels = {
        "FRAME": number[sound],
        "TELX": telemetry.rawx[sound],
        "TELY": telemetry.rawy[sound],
        "RAWX": rawx,
        "RAWY": rawy,
        "ENERGY": telemetry.energy[sound],
        "CCDNODE": node,
        "SHAPE": shape,
        "GRADE": grade,
    }
    order = np.argsort(pixels["FRAME"], kind="stable")
    window: Cards = {
        "WINDOWX0": (limits[0][0], "first column of node 0"),
        "WINDOWDX": (limits[0][1] - limits[0][0] + 1, "columns of node 0"),
        "WINDX0_1": (limits[1][0], "first column of node 1"),
        "WINDDX_1": (limits[1][1] - limits[1][0] + 1, "columns of node 1"),
        "WINDOWY0": (y0 + 1, "first row"),
        "WINDOWDY": (dy, "rows"),
        "SINGLERO": (int(single), "one node reads the whole CCD"),
        "CCDOCB": (telemetry.ocb, "on-chip binning"),
    }
    return {n: v[order] for n, v in pixels.items()}, window


def _limit_pixels(frames: Frames, frame: IntArray, options: Rgsframes) -> None:
    """Flag frames with too many pixels, in place."""
    count = np.bincount(np.searchsorted(frames.number, frame), minlength=len(frames.number))
    over = np.zeros(len(count), bool)
    if options.withmaxrawpixels:
        over |= count > options.maxrawpixels
    if options.withmaxrawpixelrate:
        over |= count > options.maxrawpixelrate * frames.timedel_s
    frames.flag[over] |= RgsFlag.IN_BAD_FRAME
