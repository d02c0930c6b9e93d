"""The raw stage of one pn CCD: telemetry to timed, screened patterns (epframes, badpixfind, badpix and the
pattern recognition of epevents).

What it yields depends neither on the energy scale nor on whether the list is an out-of-time one, so that one
raw stage serves both runs of the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from daxa.xmm.epic.pn.badpix import BadpixOptions, bad_pixels
from daxa.xmm.epic.pn.badpixels import BadPixel, BadPixelMap
from daxa.xmm.epic.pn.energy import EnergyScale
from daxa.xmm.epic.pn.epframes import FrameOptions, RawList, frames_of_ccd
from daxa.xmm.epic.pn.epreject import RejectOptions, reject
from daxa.xmm.epic.pn.exposure import PnExposure
from daxa.xmm.epic.pn.patterns import Patterns, find_patterns
from daxa.xmm.errors import TaskError
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.task import TaskContext

#: What the random numbers of epreject are for; part of their seed (others: see events).
NOISE_PURPOSE = 3


@dataclass(frozen=True)
class RawOptions:
    """Parameters of the raw stage; epreject runs only where it has options."""

    frames: FrameOptions = field(default_factory=FrameOptions)
    badpix: BadpixOptions = field(default_factory=BadpixOptions)
    lowest_ev: float = 150.0
    reject: RejectOptions | None = None


@dataclass(kw_only=True)
class RawCcd(RawList):
    """Raw stage of one CCD: its raw events without bad pixels and faint single ones, and their patterns.

    Attributes
    ----------
    sequence
        Per pixel: PAT_SEQ.
    label, main, size, code, number
        Patterns, see :class:`daxa.xmm.epic.pn.patterns.Patterns`.
    rows
        First and last row with events.
    badpix
        Bad pixels.
    lowest_ev
        Single pixels below this energy have been left out.
    """

    sequence: npt.NDArray[np.uint8]
    label: npt.NDArray[np.int32]
    main: npt.NDArray[np.int64]
    size: npt.NDArray[np.int32]
    code: npt.NDArray[np.uint8]
    number: npt.NDArray[np.int32]
    rows: tuple[int, int]
    badpix: list[BadPixel]
    lowest_ev: float

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
    rows = (int(rawy.min()), int(rawy.max())) if len(rawy) else (1, PN_SHAPE[1])
    n_patterns = len(patterns)
    kept, patterns = _without_faint(patterns, pha, scale.amplitude_below(lowest_ev))
    info(
        f" CCD {raw.ccd}: events: {len(row)} used, patterns: {n_patterns}, "
        f"{np.count_nonzero(patterns.size > 1)} of more than one pixel"
    )
    narrow = {
        "fraction": raw.fraction.astype(np.float32),
        "frame": row[kept],
        "rawx": rawx[kept].astype(np.uint8),
        "rawy": rawy[kept].astype(np.uint8),
        "pha": pha[kept].astype(np.int16),
        "flag": flag[kept],
        "off_cor": None if raw.off_cor is None else raw.off_cor[clean][kept],
    }
    return RawCcd(
        **{**vars(raw), **narrow},
        sequence=patterns.sequence,
        label=patterns.label,
        main=patterns.main,
        size=patterns.size,
        code=patterns.code,
        number=patterns.number,
        rows=rows,
        badpix=badpix,
        lowest_ev=lowest_ev,
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
