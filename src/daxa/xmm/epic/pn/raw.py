"""The raw stage of one pn CCD: telemetry to timed, screened patterns (epframes, badpixfind, badpix and the
pattern recognition of epevents).

What it yields depends neither on the energy scale nor on whether the list is an out-of-time one, so that one
raw stage serves both runs of the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.epic.pn.badpix import BadpixOptions, bad_pixels
from daxa.xmm.epic.pn.badpixels import SHAPE, BadPixel, BadPixelMap
from daxa.xmm.epic.pn.energy import EnergyScale
from daxa.xmm.epic.pn.epframes import FrameOptions, RawList, frames_of_ccd
from daxa.xmm.epic.pn.epreject import RejectOptions, reject
from daxa.xmm.epic.pn.exposure import PnExposure
from daxa.xmm.epic.pn.patterns import Patterns, find_patterns
from daxa.xmm.event.gti import GTI
from daxa.xmm.task import TaskContext, TaskError

#: What the random numbers of epreject are for; part of their seed (others: see events).
NOISE_PURPOSE = 3


@dataclass(frozen=True)
class RawOptions:
    """Parameters of the raw stage; epreject runs only where it has options."""

    frames: FrameOptions = field(default_factory=FrameOptions)
    badpix: BadpixOptions = field(default_factory=BadpixOptions)
    lowest_ev: float = 150.0
    reject: RejectOptions | None = None


@dataclass
class RawCcd:
    """Raw stage of one CCD.

    Attributes
    ----------
    ccd
        CCD number, 1 to 12.
    time_s, stamp_s, fraction
        Per frame, empty ones included: centre of the integration, time stamp (mission time), live
        fraction by lost columns. In fast modes the centre is that of the source's photons.
    good
        Per frame: whether it lies in the good times.
    gti
        Good times.
    frame, rawx, rawy, pha, sequence, flag
        Per pixel, in order of (frame, column, row): row of its frame, column, row (fast modes: line
        + 1), amplitude without the extra offset of its column, PAT_SEQ, FLAG bits known so far.
    label, main, size, code, number
        Patterns, see :class:`daxa.xmm.epic.pn.patterns.Patterns`.
    rows
        First and last row with events.
    badpix
        Bad pixels.
    offsets
        Column -> extra offset [adu], where not zero.
    dli_odf, dli_sas
        Lines discarded per column, on board and here.
    lowest_ev
        Single pixels below this energy have been left out.
    header
        Keywords of the CCD's extensions.
    counters
        Counter records of the quadrant, see :class:`daxa.xmm.epic.pn.epframes.RawList`.
    n_raw
        Rows of the telemetry.
    off_cor
        Per pixel, what epreject has added to its amplitude [adu]; None if it has not run.
    """

    ccd: int
    time_s: npt.NDArray[np.float64]
    stamp_s: npt.NDArray[np.float64]
    fraction: npt.NDArray[np.float32]
    good: npt.NDArray[np.bool_]
    gti: GTI
    frame: npt.NDArray[np.int32]
    rawx: npt.NDArray[np.uint8]
    rawy: npt.NDArray[np.uint8]
    pha: npt.NDArray[np.int16]
    sequence: npt.NDArray[np.uint8]
    flag: npt.NDArray[np.int32]
    label: npt.NDArray[np.int32]
    main: npt.NDArray[np.int64]
    size: npt.NDArray[np.int32]
    code: npt.NDArray[np.uint8]
    number: npt.NDArray[np.int32]
    rows: tuple[int, int]
    badpix: list[BadPixel]
    offsets: dict[int, int]
    dli_odf: npt.NDArray[np.int64] | None
    dli_sas: npt.NDArray[np.int64]
    lowest_ev: float
    header: dict[str, Any]
    counters: dict[str, npt.NDArray[Any]]
    n_raw: int = 0
    off_cor: npt.NDArray[np.float32] | None = None

    @property
    def patterns(self) -> Patterns:
        """The patterns."""
        return Patterns(self.label, self.main, self.size, self.code, self.number, self.sequence)


def raw_ccd(
    exposure: PnExposure,
    ccd: int,
    options: RawOptions,
    sub: Callable[[str], TaskContext],
    keep: Callable[[RawList, list[BadPixel]], None] | None = None,
) -> RawCcd:
    """Run the raw stage on one CCD.

    Parameters
    ----------
    exposure
        The exposure.
    ccd
        CCD number.
    options
        Thresholds and switches.
    sub
        Gives the context of a sub-task by name, for messages.
    keep
        Called with the raw events and bad pixels before patterns are recognised.

    Raises
    ------
    TaskError
        As :func:`daxa.xmm.epic.pn.epframes.frames_of_ccd`.
    """
    raw = frames_of_ccd(exposure, ccd, options.frames, sub("epframes").info)
    if options.reject is not None:
        raw = _reject(exposure, raw, options.reject, sub("epreject"))
    scale = EnergyScale.from_calibration(exposure.cal, ccd, exposure.mode_id, exposure.start_s)
    lines = exposure.line_clock(ccd)
    badpix = bad_pixels(
        raw,
        exposure.cal,
        options.badpix,
        scale.adu_ev,
        None if lines is None else lines.n_lines,
        sub("badpixfind").info,
        sub("badpix").info,
    )
    if keep is not None:
        keep(raw, badpix)
    return recognise(raw, badpix, scale, options.lowest_ev, sub("epevents").info)


def _reject(exposure: PnExposure, raw: RawList, options: RejectOptions, ctx: TaskContext) -> RawList:
    seed = [
        int(exposure.odf.obs_id),
        ord(exposure.exp_id[0]),
        int(exposure.exp_id[1:]),
        raw.ccd,
        NOISE_PURPOSE,
    ]
    try:
        return reject(
            raw,
            exposure.cal,
            exposure.odf,
            exposure.submode,
            exposure.start_s,
            options,
            lambda: np.random.default_rng(seed),
            ctx.warn,
            ctx.info,
        )
    except TaskError as error:
        if options.needed:
            raise
        ctx.warn("notCalibrated", f"CCD {raw.ccd}: no epreject: {error.message}")
        return raw


def recognise(
    raw: RawList, badpix: list[BadPixel], scale: EnergyScale, lowest_ev: float, info: Callable[[str], None]
) -> RawCcd:
    """Leave out bad pixels and join the others to patterns (first part of epevents).

    Parameters
    ----------
    raw
        The raw events.
    badpix
        Bad pixels of the CCD.
    scale
        Energy scale, which tells below what amplitude single pixels cannot reach ``lowest_ev``.
    """
    clean = ~BadPixelMap.of(badpix).bad[raw.rawx - 1, raw.rawy - 1]
    row, rawx, rawy, pha, flag = (a[clean] for a in (raw.frame, raw.rawx, raw.rawy, raw.pha, raw.flag))
    patterns = find_patterns(row, rawx, rawy, pha)
    rows = (int(rawy.min()), int(rawy.max())) if len(rawy) else (1, SHAPE[1])
    n_patterns = len(patterns)
    kept, patterns = _without_faint(patterns, pha, scale.amplitude_below(lowest_ev))
    info(
        f" CCD {raw.ccd}: events: {len(row)} used, patterns: {n_patterns}, "
        f"{np.count_nonzero(patterns.size > 1)} of more than one pixel"
    )
    return RawCcd(
        raw.ccd,
        raw.time_s,
        raw.stamp_s,
        raw.fraction.astype(np.float32),
        raw.good,
        raw.gti,
        row[kept],
        rawx[kept].astype(np.uint8),
        rawy[kept].astype(np.uint8),
        pha[kept].astype(np.int16),
        patterns.sequence,
        flag[kept],
        patterns.label,
        patterns.main,
        patterns.size,
        patterns.code,
        patterns.number,
        rows,
        badpix,
        raw.offsets,
        raw.dli_odf,
        raw.dli_sas,
        lowest_ev,
        raw.header,
        raw.counters,
        raw.n_raw,
        None if raw.off_cor is None else raw.off_cor[clean][kept],
    )


def _without_faint(
    patterns: Patterns, pha: npt.NDArray[np.int32], floor: float
) -> tuple[npt.NDArray[np.bool_], Patterns]:
    """Leave out single pixels below an amplitude: most of the telemetry, and never selected later."""
    keep = (patterns.size > 1) | (pha[patterns.main] >= floor)
    pixels = keep[patterns.label]
    new_label = np.cumsum(keep, dtype=np.int32) - 1
    new_index = np.cumsum(pixels) - 1
    return pixels, Patterns(
        new_label[patterns.label[pixels]],
        new_index[patterns.main[keep]],
        patterns.size[keep],
        patterns.code[keep],
        patterns.number[keep],
        patterns.sequence[pixels],
    )
