"""Energies of MOS events (the algorithms of the task emenergy).

Sources: manuals of emenergy and of the calibration access layer (MOS amplitude, charge transfer, gain).

Parameters
----------
events
    Events of one CCD; what flags them does so in place.
library
    The patterns of the camera.
ccd
    Number of the CCD.
node
    Read-out node, 0 or 1.
shape
    Columns and rows of the CCD.
pattern
    Pattern of each event, any shape.
pha
    Amplitudes [adu], one per event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos.events import Events, beyond_border
from daxa.xmm.instruments.mos.patterns import PatternLibrary

FloatArray = npt.NDArray[np.float64]
#: Pixels of the ring around the 3x3 box, and of that box without its middle.
RING_PIXELS = 16
NEIGHBOURS = 8
#: Size of the cells of the background map [pixels].
BACKGROUND_CELL = 5
#: Events with that many ring pixels above threshold have no usable E4.
_PERIPIX_LIMIT = 7
#: Patterns whose surroundings are clean enough to measure the background.
_LAST_BACKGROUND_PATTERN = 4


def background_map(
    events: Events,
    use: npt.NDArray[np.bool_],
    shape: tuple[int, int],
    *,
    min_number: int = 10,
    fill: bool = True,
    cell: int = 5,
) -> FloatArray:
    """Local zero level, from the ring pixels of isolated events (CCDBKG).

    The level is averaged over squares of 3 x 3 cells.

    Parameters
    ----------
    events, use
        Events, and which of them to use.
    shape
        Columns and rows of the CCD.
    min_number, fill
        With fewer events in the square its value is row average + column average - full average; without
        ``fill`` it is that of the few events.
    cell
        Size of a cell [pixels].

    Returns
    -------
    array
        Level [adu per pixel] per cell, indices (RAWY - 1) // cell, (RAWX - 1) // cell.
    """
    from scipy.ndimage import convolve1d

    nx, ny = (-(-n // cell) for n in shape)
    use = (
        use & (events.rawx >= 1) & (events.rawx <= shape[0]) & (events.rawy >= 1) & (events.rawy <= shape[1])
    )
    if not use.any():
        return np.zeros((ny, nx))
    at = (events.rawy[use] - 1) // cell * nx + (events.rawx[use] - 1) // cell
    pixels = (RING_PIXELS - events.peripix[use]).astype(float)

    def image(weights: npt.NDArray | None) -> FloatArray:
        return np.bincount(at, weights=weights, minlength=nx * ny).reshape(ny, nx).astype(float)

    def spread(values: FloatArray) -> FloatArray:
        for axis in range(values.ndim):
            values = convolve1d(values, np.ones(3), axis=axis, mode="constant")
        return values

    charge, area, number = image(events.e4[use].astype(float)), image(pixels), image(None)
    overall = charge.sum() / area.sum()

    def profile(axis: int) -> FloatArray:
        top, bottom = spread(charge.sum(axis=axis)), spread(area.sum(axis=axis))
        return np.divide(top, bottom, out=np.full(len(top), overall), where=bottom > 0.5)

    if not fill:
        area = spread(area)
        return np.divide(spread(charge), area, out=np.zeros((ny, nx)), where=area > 0.5)
    filled = profile(1)[:, None] + profile(0)[None, :] - overall
    enough = spread(number) > min_number - 0.5
    return np.divide(spread(charge), spread(area), out=filled.copy(), where=enough)


def at_pixels(image: npt.NDArray, rawx: npt.NDArray, rawy: npt.NDArray) -> npt.NDArray:
    """Values of a CCD image at pixels; positions beyond the edge take the edge's value.

    Parameters
    ----------
    image
        Values, indices RAWY - 1, RAWX - 1.
    rawx, rawy
        The pixels, counted from 1.
    """
    ny, nx = image.shape
    return image[np.clip(rawy - 1, 0, ny - 1), np.clip(rawx - 1, 0, nx - 1)]


def background(
    events: Events,
    shape: tuple[int, int],
    *,
    min_energy_adu: float = 100.0,
    max_peripix: int = 0,
    min_number: int = 10,
    fill: bool = True,
) -> tuple[FloatArray, FloatArray, int]:
    """Background level under each event, in two passes with 3-sigma clipping between (CCDBKG, CLIPE4).

    Parameters
    ----------
    min_energy_adu, max_peripix
        Events with a main pixel at least as bright, and so few ring pixels above threshold, measure it.
    min_number, fill
        See :func:`background_map`.

    Returns
    -------
    level, map, clipped
        Level per pixel [adu] at each event, the map, and how many events the clipping left out.
    """
    use = (
        (events.flag & ~int(MosFlag.OUT_OF_FOV) == 0)
        & (events.peripix <= max_peripix)
        & (events.pattern <= _LAST_BACKGROUND_PATTERN)
        & (events.e1 >= min_energy_adu)
        & ~beyond_border(events)[1]
    )
    cell = BACKGROUND_CELL
    x, y = (events.rawx - 1) // cell + 1, (events.rawy - 1) // cell + 1
    settings = {"min_number": min_number, "fill": fill, "cell": cell}
    image = background_map(events, use, shape, **settings)  # type: ignore[arg-type]
    level = at_pixels(image, x, y)
    if not use.any():
        return level, image, 0
    rest = events.e4 / np.maximum(RING_PIXELS - events.peripix, 1) - level
    keep = use & (np.abs(rest) <= 3.0 * np.sqrt(np.mean(rest[use] ** 2)))
    image = background_map(events, keep, shape, **settings)  # type: ignore[arg-type]
    return at_pixels(image, x, y), image, int(use.sum() - keep.sum())


@dataclass(frozen=True)
class Ellipse:
    """Where (E3, E4) of true events lie.

    Attributes
    ----------
    centre, radii
        Of E3 and of E4 [adu]: E3CEN, E4CEN; E3RAD, E4RAD of MISCDATA.
    angle_deg
        E3ANG: of the first axis from E3 towards E4.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    angle_deg: float


def flag_incoherent(events: Events, library: PatternLibrary, level: npt.ArrayLike, ellipse: Ellipse) -> int:
    """Flag events whose (E3, E4) lie outside an ellipse (REJECT_E3E4); returns how many.

    A sum that reaches beyond the border tells nothing and counts as the ellipse's middle.

    Parameters
    ----------
    level
        Background per pixel, subtracted from E3 and E4 [adu]; scalar or per event.
    ellipse
        The ellipse.
    """
    level = np.broadcast_to(np.asarray(level, float), events.e3.shape)
    inner = np.maximum(NEIGHBOURS - (library.n_pixels[events.pattern] - 1), 0)
    outer = np.maximum(RING_PIXELS - events.peripix, 0)
    e3 = events.e3 - inner * level - ellipse.centre[0]
    e4 = events.e4 - outer * level - ellipse.centre[1]
    for rest, beyond in zip((e3, e4), beyond_border(events), strict=True):
        rest[beyond] = 0.0
    angle, radii = np.deg2rad(ellipse.angle_deg), ellipse.radii
    c, s = np.cos(angle), np.sin(angle)
    bad = ((e3 * c + e4 * s) / radii[0]) ** 2 + ((e4 * c - e3 * s) / radii[1]) ** 2 > 1.0
    events.flag[bad] |= MosFlag.BAD_E3E4
    return int(bad.sum())


def amplitude(
    events: Events,
    library: PatternLibrary,
    level: npt.ArrayLike,
    weights: npt.NDArray[np.float64],
    dither: npt.ArrayLike = 0.0,
) -> FloatArray:
    """Amplitude of the whole event from its four parts (MAKE_E).

    Sums that reach beyond the border have no weight.

    Parameters
    ----------
    level
        Background per pixel at each event [adu].
    weights
        a1 .. a4 per pattern, shape (32, 4) (ENERGY_COMBINE). ``a4 <= 0``: E4 measures the background;
        ``a4 > 0``: E4 is signal.
    dither
        Added to E1 (randomisation inside the converter's step).

    Returns
    -------
    array
        PHA [adu].
    """
    a1, a2, a3, a4 = (weights[events.pattern, k] for k in range(4))
    level = np.broadcast_to(np.asarray(level, float), events.e1.shape)
    others = library.n_pixels[events.pattern] - 1
    ring = RING_PIXELS - events.peripix
    box_beyond, ring_beyond = beyond_border(events)
    # Without a usable ring its weight is nil.
    a4 = np.where((events.peripix < _PERIPIX_LIMIT) & ~ring_beyond, a4, 0.0)
    a3 = np.where(box_beyond, 0.0, a3)
    area = a1 + a2 * others + a3 * np.maximum(NEIGHBOURS - others, 0)
    signal = a1 * (events.e1 + np.asarray(dither, float)) + a2 * events.e2 + a3 * events.e3
    compact = signal - area * ((1 + a4) * level - a4 * events.e4 / np.maximum(ring, 1))
    spread = signal + a4 * events.e4 - (area + a4 * ring) * level
    return np.where(a4 > 0, spread, compact)


def combine_weights(table: Mapping[str, npt.NDArray[Any]], n_patterns: int = 32) -> FloatArray:
    """Weights a1 .. a4 of ENERGY_COMBINE as an array (pattern, 4); absent patterns get 1, 1, 0, 0.

    Parameters
    ----------
    table
        Columns PATTERN and C1 to C4.
    n_patterns
        Number of patterns.
    """
    weights = np.tile([1.0, 1.0, 0.0, 0.0], (n_patterns, 1))
    number = np.asarray(table["PATTERN"], int)
    inside = (number >= 0) & (number < n_patterns)
    for k in range(4):
        weights[number[inside], k] = np.asarray(table[f"C{k + 1}"], float)[inside]
    return weights


def correct_transfer(
    pha: npt.ArrayLike,
    rawx: npt.ArrayLike,
    rawy: npt.ArrayLike,
    *,
    serial: tuple[float, float, float],
    parallel: tuple[float, float, float],
    days: float,
    column_offset: npt.ArrayLike = 0.0,
) -> FloatArray:
    """Amplitude with the charge lost in the transfers put back (CTI_CORR).

    Loss per transfer = ``(c0 + c1 days) (PHA / 1000)^c2`` adu.

    Parameters
    ----------
    pha
        Amplitudes [adu].
    rawx, rawy
        Pixels, counted from the read-out node: numbers of serial and parallel transfers.
    serial, parallel
        c0 [adu], c1 [adu/day], c2 of the two directions.
    days
        Since the reference date of the table.
    column_offset
        Steps in the column's offset [adu], added.
    """
    sent = np.asarray(pha, float)
    scaled = np.maximum(sent, 0.0) / 1000.0
    corrected = sent + np.asarray(column_offset, float)
    for (c0, c1, c2), transfers in ((serial, np.asarray(rawx)), (parallel, np.asarray(rawy))):
        loss = c0 + c1 * days
        if loss:
            corrected = corrected + transfers * loss * np.power(scaled, c2)
    return corrected


@dataclass(frozen=True)
class TransferLoss:
    """Charge lost in the transfers of one CCD and node.

    Attributes
    ----------
    serial, parallel
        c0 [adu], c1 [adu/day], c2 of the two directions, see :func:`correct_transfer`.
    days
        Since the reference date of the table.
    columns
        Offsets of columns [adu], indices RAWY - 1, RAWX - 1; None if there are none.
    """

    serial: tuple[float, float, float]
    parallel: tuple[float, float, float]
    days: float
    columns: FloatArray | None = None


@dataclass(frozen=True)
class Parts:
    """How the four parts of an event are judged and summed.

    Attributes
    ----------
    weights
        a1 .. a4 per pattern, see :func:`amplitude`.
    ellipse
        Where (E3, E4) of true events lie.
    """

    weights: FloatArray
    ellipse: Ellipse


@dataclass(frozen=True)
class EnergyScale:
    """What makes energies of what one CCD and node sent.

    Attributes
    ----------
    loss
        Charge lost in transfers; None: it is not put back.
    gain
        See :func:`gain_coefficients`; None: energies are the amplitudes.
    parts
        None where the surroundings of events were not sent (single pixels, timing mode).
    """

    loss: TransferLoss | None
    gain: FloatArray | None
    parts: Parts | None = None


def energies(
    events: Events, pha: FloatArray, loss: TransferLoss | None, gain: FloatArray | None
) -> FloatArray:
    """Energies [eV] of amplitudes [adu]: the loss put back, and the gain; None leaves a step out.

    Parameters
    ----------
    loss
        Charge losses of the CCD.
    gain
        Coefficients, see `gain_coefficients`.
    """
    if loss is not None:
        x, y = events.rawx, events.rawy
        pha = correct_transfer(
            pha, x, y, serial=loss.serial, parallel=loss.parallel, days=loss.days,
            column_offset=0.0 if loss.columns is None else at_pixels(loss.columns, x, y),
        )  # fmt: skip
    return pha if gain is None else apply_gain(pha, events.pattern, gain)


def column_offsets(
    table: Mapping[str, npt.NDArray[Any]], ccd: int, node: int, shape: tuple[int, int]
) -> FloatArray | None:
    """Map of the offsets of CTI_COLUMN [adu], indices RAWY - 1, RAWX - 1; None if there are none.

    Parameters
    ----------
    table
        Columns of CTI_COLUMN.
    """
    rows = np.flatnonzero((table["CCD_ID"] == ccd) & (table["NODE_ID"] == node) & (table["OFFSET"] != 0))
    if not len(rows):
        return None
    nx, ny = shape
    image = np.zeros((ny, nx))
    for i in rows:
        x, y, length = (int(table[k][i]) for k in ("RAWX", "RAWY_START", "YLENGTH"))
        # A start of 0 stands for the whole column.
        low = max(y - 1, 0)
        if 1 <= x <= nx:
            image[low : low + length, x - 1] += float(table["OFFSET"][i])
    return image


def gain_class(pattern: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Row of gain coefficients of a pattern: 0 singles, 1 doubles, 2 triples, 3 all others."""
    return np.searchsorted([0, 4, 8], np.asarray(pattern), side="left")


def gain_coefficients(table: Mapping[str, npt.NDArray[Any]], ccd: int, node: int) -> FloatArray:
    """Offset [eV], gain [eV/adu] and quadratic term per class of patterns, shape (4, 3).

    Parameters
    ----------
    table
        Columns of OFFSET_GAIN.

    Raises
    ------
    UnknownLayout
        The table has no such CCD, or nothing of the node.
    """
    rows = np.flatnonzero(np.asarray(table["CCD_ID"]) == ccd)
    if not len(rows):
        raise UnknownLayout(f"{getattr(table, 'where', 'OFFSET_GAIN')}: no row of CCD {ccd}")
    names = ("OFFSET", "GAIN", "POLY_TERM")
    terms = [[np.atleast_1d(table[f"{n}{s}"][rows[0]]) for n in names] for s in ("", "1", "2", "3")]
    if any(len(values) <= node for row in terms for values in row):
        raise UnknownLayout(f"{getattr(table, 'where', 'OFFSET_GAIN')}: nothing of node {node} of CCD {ccd}")
    return np.array([[float(values[node]) for values in row] for row in terms])


def apply_gain(pha: npt.ArrayLike, pattern: npt.ArrayLike, coefficients: FloatArray) -> FloatArray:
    """Energy [eV] of amplitudes: offset + gain PHA + term PHA^2, by class of patterns.

    Parameters
    ----------
    coefficients
        See `gain_coefficients`.
    """
    pha = np.asarray(pha, float)
    offset, gain, term = coefficients[gain_class(pattern)].T
    return offset + (gain + term * pha) * pha


def to_channel(values: npt.ArrayLike, null: int = -32768) -> npt.NDArray[np.int16]:
    """Whole numbers of amplitudes or energies; what does not fit 16 bits becomes null.

    Parameters
    ----------
    values
        The numbers, any shape.
    null
        What stands for none.
    """
    whole = np.rint(np.asarray(values, float))
    fits = np.isfinite(whole) & (whole > -32768) & (whole <= 32767)
    return np.where(fits, whole, null).astype(np.int16)


def beside(image: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels left, right, above or below a marked one.

    Parameters
    ----------
    image
        The marks.
    """
    near = np.zeros_like(image)
    near[1:] |= image[:-1]
    near[:-1] |= image[1:]
    near[:, 1:] |= image[:, :-1]
    near[:, :-1] |= image[:, 1:]
    return near


def flag_neighbours(
    events: Events,
    badpix: Mapping[str, npt.NDArray[np.bool_]],
    window: tuple[int, int, int, int],
    shape: tuple[int, int],
    blind: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None = None,
    node_limit: int | None = None,
) -> None:
    """Flag events next to the border, the window, bad pixels and blind lines (EVFLAG).

    The four neighbours of the main pixel count, not the diagonal ones. Dead pixels and blind lines at a
    distance of two take pixels from the ring: PERIPIX grows by 1 and 8.

    Parameters
    ----------
    badpix
        Maps ``onboard``, ``bright``, ``dead`` (indices RAWY - 1, RAWX - 1).
    window
        First and last RAWX, first and last RAWY of the window. Its lower and left edges count: what lies
        beyond the others is read, too.
    shape
        Columns and rows of the CCD.
    blind
        Columns and rows (index RAWX - 1, RAWY - 1) that a large offset makes blind.
    node_limit
        Last column that this node reads, if the other one reads the rest of the CCD.
    """
    nx, ny = shape
    x, y = events.rawx, events.rawy
    inside = (x >= 1) & (x <= nx) & (y >= 1) & (y <= ny)
    border = (x <= 1) | (x >= nx) | (y <= 1) | (y >= ny)
    events.flag[border] |= MosFlag.CLOSE_TO_CCD_BORDER
    x0, x1, y0, y1 = window
    if (x0, x1, y0, y1) != (1, nx, 1, ny):
        events.flag[((x <= x0) & (x0 > 1)) | ((y <= y0) & (y0 > 1))] |= MosFlag.CLOSE_TO_CCD_WINDOW
    if node_limit is not None:
        events.flag[x == node_limit] |= MosFlag.CLOSE_TO_NODE_BOUNDARY
    for name, bit in (
        ("onboard", MosFlag.CLOSE_TO_ONBOARD_BADPIX),
        ("bright", MosFlag.CLOSE_TO_BRIGHTPIX),
        ("dead", MosFlag.CLOSE_TO_DEADPIX),
    ):
        image = badpix[name]
        if image.any():
            events.flag[inside & at_pixels(beside(image), x, y)] |= bit
    if badpix["dead"].any():
        events.peripix = events.peripix + (inside & at_pixels(_in_ring(badpix["dead"]), x, y))
    for lines, position, bit in zip(
        blind or (), (x, y), (MosFlag.CLOSE_TO_BADCOL, MosFlag.CLOSE_TO_BADROW), strict=blind is not None
    ):
        padded = np.concatenate([[False] * 3, lines, [False] * 3])
        at = np.clip(position + 2, 2, len(padded) - 3)
        events.flag[padded[at - 1] | padded[at + 1]] |= bit
        events.peripix = events.peripix + 8 * (padded[at - 2] | padded[at + 2])


def _in_ring(image: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels with a marked one at a distance of two in row or column or both."""
    from scipy.ndimage import binary_dilation

    ring = np.ones((5, 5), bool)
    ring[1:4, 1:4] = False
    return binary_dilation(image, ring)
