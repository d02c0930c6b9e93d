"""Timing and burst mode of the pn: the CCD is clocked without pause, and lines of a frame count time.

Source: epframes manual (fine time and source position), epevents manual (fast modes), Kuster et al. (1999,
SPIE 3765) for the clocks; the law of the times stands in :mod:`daxa.xmm.ccf.layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.epic.pn.badpixels import SHAPE, BadPixel, BadPixelMap
from daxa.xmm.epic.pn.patterns import UNRESOLVED, code_at_edge, pattern_id
from daxa.xmm.event.flags import MACROS, PnFlag
from daxa.xmm.task import TaskError

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.epic.pn.energy import EnergyScale
    from daxa.xmm.epic.pn.events import EventOptions
    from daxa.xmm.epic.pn.raw import RawCcd
    from daxa.xmm.odf.summary import AsciiSummary
    from daxa.xmm.task import TaskContext

FloatArray = npt.NDArray[np.float64]
#: SUBMODEs whose rows are lines in time.
FAST_MODES = ("FastTiming", "FastBurst")
#: The CCD that fast modes read.
FAST_CCD = 4
#: Rows next to the far edge in which burst mode expects its source (epframes manual).
_BURST_ROWS = 20
_MASK = MACROS["EPN"]["XMMEA_EP"]
_LARGEST_PI = 32767
#: Frames over which the rounding of time stamps is averaged.
_AVERAGED_FRAMES = 1001


@dataclass(frozen=True)
class LineClock:
    """How lines of a frame count time.

    Attributes
    ----------
    line_s
        Time from line to line [s].
    line_rows
        Rows of the CCD that are collected in one line.
    n_lines
        Lines of a frame.
    delay_s
        From the arrival of photons that need no shifting and are read in line 0 to the time stamp [s].
    """

    line_s: float
    line_rows: float
    n_lines: int
    delay_s: float

    @classmethod
    def from_calibration(cls, cal: Calibration, mode_id: int, n_rows: int, delay_s: float) -> LineClock:
        """The clock that EPN_MODEPARAM (and the delay of EPN_TIMECORR) gives for a fast mode.

        Raises
        ------
        TaskError
            ``wrongMode``: no such mode, or times that make no lines.
        """
        constituent = cal.constituent("EPN", "MODEPARAM")
        table = constituent.table("MODEPARAM")
        row = np.flatnonzero(np.asarray(table["MODE_ID"]) == mode_id)
        if not len(row):
            raise TaskError("wrongMode", f"{constituent.path.name}[MODEPARAM]: no row for mode {mode_id}")
        line, shift, lines = (
            float(np.ravel(table[name][row[0]])[0]) for name in ("TIME_RES", "SHIFT_T", "WINDOWDY")
        )
        if not (line > 0 and shift >= line and lines >= 1):
            raise TaskError(
                "wrongMode",
                f"{constituent.path.name}[MODEPARAM]: TIME_RES {line:g}, SHIFT_T {shift:g}, WINDOWDY "
                f"{lines:g} of mode {mode_id} make no lines",
            )
        return cls(line / 1000.0, n_rows * line / shift, int(lines), delay_s)

    def transfer_s(self, source_row: float) -> float:
        """Time in which charge from a row reaches the read-out [s], in whole lines as TIME counts it."""
        # Rounded first: the quotient of two calibration times is a whole number but for its last digits.
        return self.line_s * float(np.floor(round(source_row / self.line_rows, 6)))

    def event_times(self, stamp_s: npt.ArrayLike, line: npt.ArrayLike, source_row: float) -> FloatArray:
        """Arrival times of photons from a source [s].

        Parameters
        ----------
        stamp_s
            Per event, time stamp of its frame [s].
        line
            Line as telemetered, from 0.
        source_row
            RAWY of the source on the CCD (SRCPOS).
        """
        later = np.asarray(line, float) * self.line_s - self.transfer_s(source_row) - self.delay_s
        return np.asarray(stamp_s, float) + later


def steady_stamps(
    stamp_s: npt.ArrayLike, cycle: npt.ArrayLike, valid: npt.ArrayLike, step_s: float, unit_s: float
) -> FloatArray:
    """Time stamps without the steps of the counter that they were read from.

    Lines are much shorter than a unit of the fine time in burst mode, and as long in timing mode; but the
    frames follow each other evenly, so that many stamps together tell when they were read.

    Parameters
    ----------
    stamp_s
        Unwrapped stamps, increasing [s].
    cycle
        Frame periods since the first one.
    valid
        Stamps that are measurements; the others are left as they are.
    step_s
        Measured frame period [s].
    unit_s
        Unit of the fine time [s]. A counter shows whole units, half of one has passed on average.

    Notes
    -----
    Where the deviation from the even sequence changes by more than four units the read-out was started
    again; each such part is averaged on its own.
    """
    from scipy.ndimage import uniform_filter1d

    stamp, cycle = np.array(stamp_s, float), np.asarray(cycle, np.int64)
    chosen = np.flatnonzero(np.asarray(valid, bool))
    if not len(chosen):
        return stamp
    even = step_s * cycle[chosen]
    rest = stamp[chosen] - even
    parts = np.flatnonzero(np.abs(np.diff(rest)) > 4 * unit_s) + 1
    for part in np.split(np.arange(len(chosen)), parts):
        # The mean period is not exact: a straight line is taken out, and only what is left is averaged.
        since = cycle[chosen[part]] - cycle[chosen[part[0]]]
        line = np.polyval(np.polyfit(since, rest[part], min(1, len(part) - 1)), since)
        smooth = uniform_filter1d(rest[part] - line, min(_AVERAGED_FRAMES, len(part)), mode="reflect")
        stamp[chosen[part]] = even[part] + line + smooth
    return stamp + unit_s / 2


def bad_columns(pixels: Iterable[BadPixel], n_rows: int, n_lines: int) -> list[BadPixel]:
    """Columns of which more than half is bad, in lines of the frame.

    Where on its column a pixel lies cannot be seen in fast modes: single bad pixels cannot be cut out.
    """
    whole: dict[int, list[BadPixel]] = {}
    for pixel in pixels:
        whole.setdefault(pixel.rawx, []).append(pixel)
    found = []
    for rawx, parts in sorted(whole.items()):
        if sum(p.yextent for p in parts) > n_rows / 2:
            largest = max(parts, key=lambda p: p.yextent)
            found.append(BadPixel(rawx, 1, largest.kind, n_lines, largest.badflag))
    return found


def source_row(
    source: tuple[float, float] | int | None,
    default: int,
    data_mode: str,
    camera_pixel: Callable[[float, float], tuple[int, float, float]],
    proposal: AsciiSummary | None,
    ctx: TaskContext,
) -> int:
    """RAWY of the source that times and energies are made for (SRCPOS).

    Parameters
    ----------
    source
        RA and Dec [deg] of the source, its RAWY, or None for the target of the proposal.
    default
        RAWY for a target that is not on the CCD, or not known.
    data_mode
        TIMING or BURST.
    camera_pixel
        CCD, RAWX and RAWY of a direction.
    proposal, ctx
        Where the target's position is read, and messages go.

    Raises
    ------
    TaskError
        ``srcposition``, ``srccoords``: the place that was asked for is not read out.
    """
    first = SHAPE[1] - _BURST_ROWS + 1 if data_mode == "BURST" else 1
    if isinstance(source, int):
        if source < first:
            raise TaskError("srcposition", f"srcposition={source}: {data_mode} needs a row from {first} on")
        return source
    place = source
    if place is None and proposal is not None and None not in (proposal.ra_deg, proposal.dec_deg):
        place = float(proposal.ra_deg or 0.0), float(proposal.dec_deg or 0.0)
    if place is not None:
        ccd, _, y = camera_pixel(*place)
        if ccd == FAST_CCD:
            row = round(y)
            if row < first:
                ctx.warn("srcposition", f"the source is on row {row}, {data_mode} expects {first} to 200")
            ctx.info(f"the source is on row {row}")
            return row
        if source is not None:
            raise TaskError("srccoords", f"srcra={place[0]}, srcdec={place[1]} is not on CCD {FAST_CCD}")
    ctx.warn("srcposition", f"the target is not on CCD {FAST_CCD}; row {default} is taken for it")
    return default


def fast_events(
    raw: RawCcd,
    scale: EnergyScale,
    clock: LineClock,
    source_row: int,
    random: Callable[[int], np.random.Generator],
    options: EventOptions,
) -> dict[str, npt.NDArray[Any]]:
    """Events that pass the screening, one row per pattern, in order of time.

    Parameters
    ----------
    raw
        Raw stage; its rows are lines + 1, its frame times the centres of the frames for the source.
    scale
        Energy scale of the CCD; all charge is taken to come from ``source_row``.
    clock
        How lines count time.
    source_row
        RAWY of the source on the CCD.
    random, options
        As for imaging modes.

    Returns
    -------
    dict
        The columns of a timing event list.
    """
    from daxa.xmm.epic.pn.events import pattern_energies

    rows = np.full(len(raw.pha), source_row, np.int64)
    pi = pattern_energies(raw, scale, rows, random, options)
    chosen = np.flatnonzero(
        (pi > options.screenlowthresh) & (pi <= _LARGEST_PI) & raw.good[raw.frame[raw.main]]
    )
    main = raw.main[chosen]
    x = raw.rawx[main].astype(np.int64)
    badpix = BadPixelMap.of(raw.badpix)
    border = (x == 1) | (x == len(badpix.bad))
    pixel = x - 1, raw.rawy[main].astype(np.int64) - 1
    near = [m[pixel] for m in (badpix.near_on_board, badpix.near_bright, badpix.near_dead)]
    at_edge = np.logical_or.reduce([border, *near])
    code = np.where(at_edge, code_at_edge(raw.code[chosen]), raw.code[chosen])
    offset_column = np.zeros(len(badpix.bad) + 2, bool)
    offset_column[list(raw.offsets)] = True
    flag = raw.flag[main].copy()
    for mask, bit in (
        (border, PnFlag.CLOSE_TO_CCD_BORDER),
        (offset_column[x], PnFlag.ON_OFFSET_COLUMN),
        (offset_column[x - 1] | offset_column[x + 1], PnFlag.NEXT_TO_OFFSET_COLUMN),
        (near[0], PnFlag.CLOSE_TO_ONBOARD_BADPIX),
        (near[1], PnFlag.CLOSE_TO_BRIGHTPIX),
        (near[2], PnFlag.CLOSE_TO_DEADPIX),
        (badpix.bad[pixel], PnFlag.ON_BADPIX),
    ):
        flag[mask] |= int(bit)
    flag[(code >= UNRESOLVED) & (flag == 0)] |= int(PnFlag.INVALID_PATTERN)
    everywhere = np.zeros(len(raw.main), bool)
    everywhere[chosen] = at_edge
    identity = pattern_id(raw.patterns, everywhere)[chosen]
    # Telemetry comes in this order, the raw stage goes by columns.
    keep = np.flatnonzero((flag & _MASK) == 0)
    keep = keep[np.lexsort((x[keep], raw.rawy[main[keep]], raw.frame[main[keep]]))]
    main = main[keep]
    stamp = raw.stamp_s[raw.frame[main]]
    return {
        "TIME": clock.event_times(stamp, raw.rawy[main].astype(np.int64) - 1, source_row),
        "RAWX": x[keep].astype(np.int16),
        "RAWY": raw.rawy[main].astype(np.int16),
        "PHA": raw.pha[main],
        "PI": pi[chosen[keep]].astype(np.int16),
        "FLAG": flag[keep],
        "PATTERN": code[keep].astype(np.uint8),
        "PAT_ID": identity[keep],
        "PAT_SEQ": raw.sequence[main],
        "CCDNR": np.full(len(main), raw.ccd, np.uint8),
    }
