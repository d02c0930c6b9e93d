"""From the raw stage of a pn CCD to rows of the event list (epevents, attcalc, screening)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.pn.badpixels import BadPixel, BadPixelMap
from daxa.xmm.instruments.pn.energy import EnergyScale, out_of_time_rows
from daxa.xmm.instruments.pn.events import (
    Columns,
    above,
    bad_pixel_flags,
    edge_map,
    most_added,
    offset_flags,
    on_detector,
    pattern_energies,
    without_faint,
)
from daxa.xmm.instruments.pn.options import Epevents, Epexposure
from daxa.xmm.instruments.pn.patterns import UNRESOLVED, code_at_edge, find_patterns, pattern_id
from daxa.xmm.instruments.pn.rawlist import RawCcd, RawList
from daxa.xmm.instruments.seeds import PN_OUT_OF_TIME, PN_TIME

if TYPE_CHECKING:
    from daxa.xmm.instruments.pn.exposure import Sky
    from daxa.xmm.sky.geometry import CameraGeometry


def detector_events(
    raw: RawCcd,
    scale: EnergyScale,
    geometry: CameraGeometry,
    window: tuple[int, int, int, int],
    random: Callable[[int], np.random.Generator],
    options: Epevents,
) -> tuple[Columns, npt.NDArray[np.int64]]:
    """Events of one CCD that pass the screening, one row per pattern, without sky coordinates (epevents).

    Parameters
    ----------
    raw
        Raw stage.
    scale
        Energy scale of this CCD.
    geometry
        For DETX, DETY.
    window
        RAWX, RAWY of the first pixel read out, and size of the window.
    random
        Gives the generator for a purpose.
    options
        Switches; with ``withoutoftime`` every pattern gets a random row before its energy is found.

    Returns
    -------
    columns, patterns
        The columns of an imaging event list but X and Y (TIME is that of the frame, FRAME its row); the
        pattern of each row.
    """
    rawy = raw.rawy.astype(np.int64)
    if options.withoutoftime:
        rawy = out_of_time_rows(rawy, raw.label, raw.main, *raw.rows, random(PN_OUT_OF_TIME))
    charge_row = rawy if options.charge_row is None else np.full(len(rawy), options.charge_row, np.int64)
    pi = pattern_energies(raw, scale, charge_row, random, options)
    chosen = above(pi, raw, options.screening)
    main = raw.main[chosen]
    x, y = raw.rawx[main].astype(np.int64), rawy[main]
    badpix = BadPixelMap.of(raw.badpix)
    border, inner = edge_map(window)
    # The pattern is judged where it was measured, out-of-time or not.
    beside = border | inner | badpix.near_on_board | badpix.near_bright | badpix.near_dead
    at_edge = beside[raw.rawy[main].astype(np.int64) - 1, x - 1]
    code = np.where(at_edge, code_at_edge(raw.code[chosen]), raw.code[chosen])
    pixel = y - 1, x - 1
    flag = raw.flag[main].copy()
    flag[border[pixel]] |= int(PnFlag.CLOSE_TO_CCD_BORDER)
    flag[inner[pixel]] |= int(PnFlag.CLOSE_TO_CCD_WINDOW)
    flag |= offset_flags(raw.offsets, x) | bad_pixel_flags(badpix, pixel)
    detx, dety = on_detector(raw, x, y, chosen, geometry, random, options)
    flag[~geometry.in_fov(detx, dety)] |= int(PnFlag.OUT_OF_FOV)
    flag[(code >= UNRESOLVED) & (flag == 0)] |= int(PnFlag.INVALID_PATTERN)

    keep = (flag & options.screening.mask) == 0
    chosen, main, at_edge = chosen[keep], main[keep], at_edge[keep]
    everywhere = np.zeros(len(raw.main), bool)
    everywhere[chosen] = at_edge
    frame = raw.frame[main]
    return {
        "TIME": raw.time_s[frame],
        "RAWX": x[keep].astype(np.int16),
        "RAWY": y[keep].astype(np.int16),
        "DETX": detx[keep],
        "DETY": dety[keep],
        "PHA": raw.pha[main],
        "PI": pi[chosen].astype(np.int16),
        "FLAG": flag[keep],
        "PATTERN": code[keep].astype(np.uint8),
        "PAT_ID": pattern_id(raw.patterns, everywhere)[chosen],
        "PAT_SEQ": raw.sequence[main],
        "CCDNR": np.full(len(main), raw.ccd, np.uint8),
        "TIME_RAW": raw.stamp_s[frame],
        "FRAME": frame,
    }, chosen


def ccd_events(
    raw: RawCcd,
    scale: EnergyScale,
    sky: Sky,
    window: tuple[int, int, int, int],
    random: Callable[[int], np.random.Generator],
    options: Epevents,
    exposure: Epexposure,
) -> Columns:
    """Events of one CCD that pass the screening, with sky coordinates (epevents, attcalc, epexposure).

    Parameters
    ----------
    sky
        For DETX, DETY, X, Y.
    raw, scale, window, random, options
        As for :func:`detector_events`.
    exposure
        Whether times are random within the frame.

    Returns
    -------
    dict
        The columns of an imaging event list.
    """
    from daxa.xmm.sky.attcalc import sky_coordinates

    columns, patterns = detector_events(raw, scale, sky.geometry, window, random, options)
    time = columns["TIME"]
    columns["X"], columns["Y"] = sky_coordinates(
        time, columns["DETX"], columns["DETY"], sky.geometry, sky.attitude, sky.ra_deg, sky.dec_deg
    )
    if exposure.randomizetime:
        # Anywhere in the integration of the frame; drawn for every pattern, as positions are.
        part = random(PN_TIME).random(len(raw.main))[patterns] - 0.5
        columns["TIME"] = time + float(raw.header["TIMEDEL"][0]) * part
    return columns


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
    lowest_ev
        The energy [eV].
    info
        Takes lines of the log.
    """
    clean = ~BadPixelMap.of(badpix).bad[raw.rawy - 1, raw.rawx - 1]
    row, rawx, rawy, pha, flag = (a[clean] for a in (raw.frame, raw.rawx, raw.rawy, raw.pha, raw.flag))
    patterns = find_patterns(row, rawx, rawy, pha)
    rows = (int(rawy.min()), int(rawy.max())) if len(rawy) else (1, PN_SHAPE[1])
    n_patterns = len(patterns)
    kept, patterns = without_faint(patterns, pha, scale.amplitude_below(lowest_ev, most_added(raw, scale)))
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
