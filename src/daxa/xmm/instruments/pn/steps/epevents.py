"""From the raw stage of a pn CCD to rows of the event list (epevents, attcalc, screening)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import MACROS, PnFlag
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.pn.badpixels import BadPixel, BadPixelMap
from daxa.xmm.instruments.pn.energy import EnergyScale, out_of_time_rows
from daxa.xmm.instruments.pn.options import REJECTED, Epevents, Epexposure, Screening
from daxa.xmm.instruments.pn.patterns import UNRESOLVED, Patterns, code_at_edge, find_patterns, pattern_id
from daxa.xmm.instruments.pn.rawlist import RawCcd, RawList
from daxa.xmm.instruments.seeds import PN_ENERGY, PN_OUT_OF_TIME, PN_POSITION, PN_TIME

if TYPE_CHECKING:
    from daxa.xmm.sky.attitude import Attitude
    from daxa.xmm.sky.geometry import CameraGeometry

_LARGEST_PI = 32767

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Sky:
    """Camera, attitude, and pointing [deg] whose direction is the tangent point of sky coordinates."""

    geometry: CameraGeometry
    attitude: Attitude
    ra_deg: float
    dec_deg: float
    pa_deg: float
    average: str = "MEDIAN"

    def camera_pixel(self, ra_deg: float, dec_deg: float) -> tuple[int, float, float]:
        """CCD (0: none), RAWX and RAWY of a direction when the camera points at the tangent point."""
        det = self.geometry.sky_to_det(ra_deg, dec_deg, self.ra_deg, self.dec_deg, self.pa_deg)
        ccd, x, y = self.geometry.det_to_raw(*det)
        return int(ccd), float(x), float(y)


def edge_map(window: tuple[int, int, int, int]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Pixels (64, 200) at the edge of the CCD (not at the read-out), and at the edge of a smaller window."""
    x0, y0, dx, dy = window
    border = np.zeros(PN_SHAPE, bool)
    border[[0, -1], :] = True
    border[:, -1] = True
    inner = np.zeros(PN_SHAPE, bool)
    x1, y1 = min(x0 + dx - 1, PN_SHAPE[0]), min(y0 + dy - 1, PN_SHAPE[1])
    inner[[x0 - 1, x1 - 1], y0 - 1 : y1] = True
    inner[x0 - 1 : x1, [y0 - 1, y1 - 1]] = True
    return border, inner & ~border


def pattern_energies(
    raw: RawCcd,
    scale: EnergyScale,
    rawy: npt.NDArray[np.int64],
    random: Callable[[int], np.random.Generator],
    options: Epevents,
) -> npt.NDArray[np.float64]:
    """PI of each pattern, whole numbers of eV.

    Parameters
    ----------
    rawy
        Per pixel, row that its charge is taken to come from.
    """
    amplitude: npt.NDArray[np.float64] = (
        raw.pha.astype(np.float64) - (scale.offset - np.rint(scale.offset))[raw.rawx - 1]
    )
    if raw.off_cor is not None:
        amplitude = amplitude + (raw.off_cor - np.rint(raw.off_cor))
    if options.randomizeenergy:
        amplitude = amplitude + (random(PN_ENERGY).random(len(raw.pha), dtype=np.float32) - 0.5)
    pixels = scale.pixel_energy(amplitude, raw.rawx, rawy)
    energy = np.asarray(np.bincount(raw.label, weights=pixels, minlength=len(raw.main)), np.float64)
    if options.withpatternoffset:
        energy = energy + scale.pattern_shift(raw.code, energy)
    if not options.testenergywidth:
        energy = scale.adu_ev * np.rint(energy / scale.adu_ev)
    return np.rint(energy)


def filtered(columns: Columns, expression: str) -> Columns:
    """Events for which a selection expression holds; all of them for an empty one.

    Raises
    ------
    TaskError
        ``filterexpression``: it cannot be understood, or uses other than the columns.
    """
    if not expression:
        return columns
    from daxa.xmm.select.blocks import SelectionError
    from daxa.xmm.select.expression import compile

    try:
        keep = compile(expression, MACROS["EPN"] | {"XMMEA_EP": f"(FLAG & {REJECTED:#x}) == 0"}).mask(columns)
    except (SelectionError, KeyError) as error:
        raise TaskError("filterexpression", f"filterexpression: {error}") from error
    return {name: values[keep] for name, values in columns.items()}


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
    at_edge = beside[x - 1, raw.rawy[main].astype(np.int64) - 1]
    code = np.where(at_edge, code_at_edge(raw.code[chosen]), raw.code[chosen])
    pixel = x - 1, y - 1
    flag = raw.flag[main].copy()
    flag[border[pixel]] |= int(PnFlag.CLOSE_TO_CCD_BORDER)
    flag[inner[pixel]] |= int(PnFlag.CLOSE_TO_CCD_WINDOW)
    flag |= offset_flags(raw.offsets, x) | bad_pixel_flags(badpix, pixel)
    detx, dety = _on_detector(raw, x, y, chosen, geometry, random, options)
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


def above(pi: npt.NDArray[np.float64], raw: RawCcd, screening: Screening) -> npt.NDArray[np.int64]:
    """Patterns of frames that may be used, with an energy [eV] above the screening's and within the scale."""
    return np.flatnonzero((pi > screening.lowest_pi) & (pi <= _LARGEST_PI) & raw.good[raw.frame[raw.main]])


def offset_flags(offsets: Iterable[int], column: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """FLAG bits of events on columns with an extra offset and beside them.

    Parameters
    ----------
    offsets
        These columns, 1..64.
    column
        Column of each event, 1..64.
    """
    has_offset = np.zeros(PN_SHAPE[0] + 2, bool)
    has_offset[list(offsets)] = True
    flag = np.zeros(len(column), np.int32)
    flag[has_offset[column]] |= int(PnFlag.ON_OFFSET_COLUMN)
    flag[has_offset[column - 1] | has_offset[column + 1]] |= int(PnFlag.NEXT_TO_OFFSET_COLUMN)
    return flag


def bad_pixel_flags(
    badpix: BadPixelMap, pixel: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> npt.NDArray[np.int32]:
    """FLAG bits of events on bad pixels and beside them.

    Parameters
    ----------
    pixel
        Column and row of each event, from 0.
    """
    flag = np.zeros(len(pixel[0]), np.int32)
    for mask, bit in (
        (badpix.near_on_board, PnFlag.CLOSE_TO_ONBOARD_BADPIX),
        (badpix.near_bright, PnFlag.CLOSE_TO_BRIGHTPIX),
        (badpix.near_dead, PnFlag.CLOSE_TO_DEADPIX),
        (badpix.bad, PnFlag.ON_BADPIX),
    ):
        flag[mask[pixel]] |= int(bit)
    return flag


def _on_detector(
    raw: RawCcd,
    x: npt.NDArray[np.int64],
    y: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.int64],
    geometry: CameraGeometry,
    random: Callable[[int], np.random.Generator],
    options: Epevents,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """DETX and DETY of the chosen patterns, somewhere in their pixel or at its centre."""
    shift: npt.NDArray[Any] = np.zeros((2, len(x)))
    if options.randomizeposition:
        # Drawn for every pattern, so that a selection does not change the others' positions.
        shift = random(PN_POSITION).random((2, len(raw.main)), dtype=np.float32)[:, chosen] - 0.5
    detx, dety = geometry.raw_to_det(raw.ccd, x + shift[0], y + shift[1])
    return np.rint(detx).astype(np.int16), np.rint(dety).astype(np.int16)


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
