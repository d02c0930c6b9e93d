"""Events of a pn CCD: energies, flags, places and times of the patterns of its pixels.

Source: manuals of epevents and attcalc.

Parameters
----------
raw
    Pixels and patterns of the CCD.
random
    Gives the generator of the CCD's random numbers for a purpose.
options
    Parameters of epevents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.flags import MACROS, PnFlag
from daxa.xmm.formats.instruments import PN_SHAPE
from daxa.xmm.instruments.pn.badpixels import MAP_SHAPE, BadPixelMap
from daxa.xmm.instruments.pn.energy import EnergyScale
from daxa.xmm.instruments.pn.options import REJECTED, Epevents, Screening
from daxa.xmm.instruments.pn.patterns import Patterns
from daxa.xmm.instruments.pn.rawlist import RawCcd, RawList
from daxa.xmm.instruments.seeds import PN_ENERGY, PN_POSITION

if TYPE_CHECKING:
    from daxa.xmm.sky.geometry import CameraGeometry

_LARGEST_PI = 32767

Columns = dict[str, npt.NDArray[Any]]


def edge_map(window: tuple[int, int, int, int]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Maps (200, 64) of pixels at the edge of the CCD (not at the read-out), and at that of a smaller window.

    Parameters
    ----------
    window
        RAWX and RAWY of the first pixel that is read out, and size of the window.
    """
    x0, y0, dx, dy = window
    border = np.zeros(MAP_SHAPE, bool)
    border[:, [0, -1]] = True
    border[-1] = True
    inner = np.zeros(MAP_SHAPE, bool)
    x1, y1 = min(x0 + dx - 1, PN_SHAPE[0]), min(y0 + dy - 1, PN_SHAPE[1])
    inner[y0 - 1 : y1, [x0 - 1, x1 - 1]] = True
    inner[[y0 - 1, y1 - 1], x0 - 1 : x1] = True
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
    scale
        Energy scale of the CCD.
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


def most_added(raw: RawList, scale: EnergyScale) -> float:
    """By how much amplitudes that energies are made of may exceed the telemetered ones [adu].

    See :func:`pattern_energies`: the fractions that rounding has cut off, and the place within an adu.

    Parameters
    ----------
    raw
        The raw events of a CCD.
    scale
        Its energy scale.
    """
    cut_off = max(float(np.max(np.rint(scale.offset) - scale.offset)), 0.0)
    return 0.5 + cut_off + (0.5 if raw.off_cor is not None else 0.0)


def filtered(columns: Columns, expression: str) -> Columns:
    """Events for which a selection expression holds; all of them for an empty one.

    Parameters
    ----------
    columns
        Columns of the events, each of shape (n,).
    expression
        The expression.

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


def above(pi: npt.NDArray[np.float64], raw: RawCcd, screening: Screening) -> npt.NDArray[np.int64]:
    """Patterns of frames that may be used, with an energy [eV] above the screening's and within the scale.

    Parameters
    ----------
    pi
        Energy of each pattern [eV].
    screening
        What is selected.
    """
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
    badpix
        Bad pixels of the CCD.
    pixel
        Row and column of each event, from 0.
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


def on_detector(
    raw: RawCcd,
    x: npt.NDArray[np.int64],
    y: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.int64],
    geometry: CameraGeometry,
    random: Callable[[int], np.random.Generator],
    options: Epevents,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """DETX and DETY of the chosen patterns, somewhere in their pixel or at its centre.

    Parameters
    ----------
    x, y
        Column and row of each pattern, from 0.
    chosen
        Numbers of the patterns.
    geometry
        Geometry of the camera.
    """
    shift: npt.NDArray[Any] = np.zeros((2, len(x)))
    if options.randomizeposition:
        # Drawn for every pattern, so that a selection does not change the others' positions.
        shift = random(PN_POSITION).random((2, len(raw.main)), dtype=np.float32)[:, chosen] - 0.5
    detx, dety = geometry.raw_to_det(raw.ccd, x + shift[0], y + shift[1])
    return np.rint(detx).astype(np.int16), np.rint(dety).astype(np.int16)


def without_faint(
    patterns: Patterns, pha: npt.NDArray[np.int32], floor: float
) -> tuple[npt.NDArray[np.bool_], Patterns]:
    """Leave out single pixels below an amplitude: most of the telemetry, and never selected later.

    Parameters
    ----------
    patterns
        The patterns.
    pha
        Amplitude of each pixel [adu].
    floor
        The amplitude [adu].

    Returns
    -------
    kept, patterns
        Which pixels are left, and the patterns among them.
    """
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
