"""Timing and burst mode of the pn: the CCD is clocked without pause, and lines of a frame count time.

Source: epframes manual (source position), epevents manual (fast modes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.pn.badpixels import BadPixelMap
from daxa.xmm.instruments.pn.clock import LineClock
from daxa.xmm.instruments.pn.events import above, bad_pixel_flags, offset_flags, pattern_energies
from daxa.xmm.instruments.pn.patterns import UNRESOLVED, code_at_edge, pattern_id

if TYPE_CHECKING:
    from daxa.xmm.formats.summary import AsciiSummary
    from daxa.xmm.instruments.pn.energy import EnergyScale
    from daxa.xmm.instruments.pn.options import Epevents
    from daxa.xmm.instruments.pn.rawlist import RawCcd

#: The CCD that fast modes read.
FAST_CCD = 4
#: Rows next to the far edge in which burst mode expects its source (epframes manual).
_BURST_ROWS = 20


def source_row(
    source: tuple[float, float] | int | None,
    default: int,
    data_mode: str,
    camera_pixel: Callable[[float, float], tuple[int, float, float]],
    proposal: AsciiSummary | None,
    warn: Callable[[str, str], None],
    info: Callable[[str], None],
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
    proposal
        What tells the position of the target.
    warn, info
        Where warnings and lines of the log go.

    Raises
    ------
    TaskError
        ``srcposition``, ``srccoords``: the place that was asked for is not read out.
    """
    first = PN_SHAPE[1] - _BURST_ROWS + 1 if data_mode == "BURST" else 1
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
                warn("srcposition", f"the source is on row {row}, {data_mode} expects {first} to 200")
            info(f"the source is on row {row}")
            return row
        if source is not None:
            raise TaskError("srccoords", f"srcra={place[0]}, srcdec={place[1]} is not on CCD {FAST_CCD}")
    warn("srcposition", f"the target is not on CCD {FAST_CCD}; row {default} is taken for it")
    return default


def fast_events(
    raw: RawCcd,
    scale: EnergyScale,
    clock: LineClock,
    source_row: int,
    random: Callable[[int], np.random.Generator],
    options: Epevents,
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
    rows = np.full(len(raw.pha), source_row, np.int64)
    pi = pattern_energies(raw, scale, rows, random, options)
    chosen = above(pi, raw, options.screening)
    main = raw.main[chosen]
    x = raw.rawx[main].astype(np.int64)
    badpix = BadPixelMap.of(raw.badpix)
    border = (x == 1) | (x == PN_SHAPE[0])
    pixel = raw.rawy[main].astype(np.int64) - 1, x - 1
    near = [m[pixel] for m in (badpix.near_on_board, badpix.near_bright, badpix.near_dead)]
    at_edge = np.logical_or.reduce([border, *near])
    code = np.where(at_edge, code_at_edge(raw.code[chosen]), raw.code[chosen])
    flag = raw.flag[main].copy()
    flag[border] |= int(PnFlag.CLOSE_TO_CCD_BORDER)
    flag |= offset_flags(raw.offsets, x) | bad_pixel_flags(badpix, pixel)
    flag[(code >= UNRESOLVED) & (flag == 0)] |= int(PnFlag.INVALID_PATTERN)
    everywhere = np.zeros(len(raw.main), bool)
    everywhere[chosen] = at_edge
    identity = pattern_id(raw.patterns, everywhere)[chosen]
    # Telemetry comes in this order, the raw stage goes by columns.
    keep = np.flatnonzero((flag & options.screening.mask) == 0)
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
