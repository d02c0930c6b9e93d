"""The task rgsevents: events of one RGS CCD from its pixels.

Sources: manual of rgsevents (reconstruction, properties); Calibration Access and Data Handbook (thresholds).
An event is a set of pixels joined by edges. What BAD_SHAPE means is not public: here an event that holds an
item whose shape is not known.

Parameters
----------
window
    Window of the CCD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.rgs import Arrays, IntArray, RgsFlag
from daxa.xmm.instruments.rgs import shapes
from daxa.xmm.instruments.rgs.badpixels import Window, neighbours

if TYPE_CHECKING:
    from daxa.xmm.instruments.rgs.geometry import RgsGeometry

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Flags of events that rgsfilter may reject, and that say something of single pixels.
_OF_PIXELS = ("ON_BADPIX", "NEXT_TO_BADPIX", "ON_WINDOW_BORDER", "ON_NODE_INTERFACE")


@dataclass
class Members:
    """Pixels of telemetered items: index of the item, CHIPX and CHIPY."""

    item: IntArray
    chipx: IntArray
    chipy: IntArray


def expand(pixels: Mapping[str, npt.NDArray[Any]], window: Window) -> tuple[Members, BoolArray, BoolArray]:
    """Pixels of the items of one CCD.

    Parameters
    ----------
    pixels
        Telemetered items: FRAME, CCDNODE, RAWX, RAWY, SHAPE.

    Returns
    -------
    members, outside, overlapping
        The pixels in the window; items with pixels outside it; items that hit a pixel already taken in the
        same frame (they are left out).
    """
    item, dx, dy = shapes.members(pixels["SHAPE"])
    node = pixels["CCDNODE"][item].astype(np.int64)
    rawx = pixels["RAWX"][item].astype(np.int64) + dx
    rawy = pixels["RAWY"][item].astype(np.int64) + dy
    low, high = (np.array([window.columns[0][k], window.columns[1][k]])[node] for k in (0, 1))
    inside = (rawx >= low) & (rawx <= high) & (rawy >= window.rows[0]) & (rawy <= window.rows[1])
    n_items = len(pixels["SHAPE"])
    outside = np.bincount(item[~inside], minlength=n_items) > 0
    chipx = window.chipx(node, rawx)
    place = np.stack([pixels["FRAME"][item].astype(np.int64), chipx, rawy])
    _, first = np.unique(place[:, inside], axis=1, return_index=True)
    again = np.ones(int(inside.sum()), bool)
    again[first] = False
    overlapping = np.bincount(item[inside][again], minlength=n_items) > 0
    keep = inside & ~overlapping[item]
    return Members(item[keep], chipx[keep], rawy[keep]), outside, overlapping


def join(frame: IntArray, members: Members, n_items: int, columns: int) -> IntArray:
    """Number of the event of every item: items whose pixels share an edge in a frame belong together.

    Parameters
    ----------
    frame
        Frame of every item.
    members
        Pixels of the items.
    n_items, columns
        Number of items, and columns of the chip.

    Returns
    -------
    ndarray
        From 0, in the order of the first items; -1 for items without pixels.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    result = np.full(n_items, -1, np.int64)
    if not len(members.item):
        return result
    _, dense = np.unique(frame[members.item], return_inverse=True)
    width, height = columns + 2, int(members.chipy.max()) + 2
    key = (dense.astype(np.int64) * height + members.chipy) * width + members.chipx
    order = np.argsort(key)
    key, item = key[order], members.item[order]
    left, right = [], []
    for step in (1, width):
        place = np.clip(np.searchsorted(key, key + step), 0, len(key) - 1)
        found = key[place] == key + step
        left.append(item[found])
        right.append(item[place[found]])
    rows, cols = np.concatenate(left), np.concatenate(right)
    graph = coo_array((np.ones(len(rows), bool), (rows, cols)), shape=(n_items, n_items))
    _, label = connected_components(graph, directed=False)
    used = np.unique(members.item)
    _, first, inverse = np.unique(label[used], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    result[used] = rank[inverse]
    return result


def above(
    pi_ev: npt.ArrayLike, grade: npt.ArrayLike, threshold_ev: npt.ArrayLike, split: tuple[float, ...]
) -> BoolArray:
    """Whether the highest pixel of items reaches a threshold.

    Parameters
    ----------
    pi_ev, grade
        Energy and number of pixels of each item.
    threshold_ev
        Threshold of a single pixel, per item.
    split
        Part of the energy in the highest pixel, of items of 2, 3 and 4 pixels.
    """
    ratio = np.array([1.0, 1.0, *split])[np.clip(np.asarray(grade, np.int64), 0, 4)]
    return np.asarray(pi_ev, float) * ratio >= np.asarray(threshold_ev, float)


@dataclass
class Events:
    """Events of one CCD.

    Attributes
    ----------
    columns
        FRAME, TIME, FLAG, CHIPX, CHIPY, PHA, SHAPE, GRADE, PI, BETA, XDSP.
    of_item
        Row of the event of every item, from 1; 0 for none.
    rejected
        Columns of the table of rejected pixels.
    """

    columns: Arrays
    of_item: IntArray
    rejected: Arrays


def make_events(
    pixels: Mapping[str, npt.NDArray[Any]],
    exposure: Mapping[str, npt.NDArray[Any]],
    window: Window,
    bad: BoolArray,
    thresholds: tuple[tuple[float, float], tuple[float, float]],
    split: tuple[float, ...],
    geometry: RgsGeometry,
    ccd: int,
    rng: np.random.Generator,
    *,
    reconstruct: bool = True,
    ocb: int = 3,
    warn: Any = lambda code, text: None,
) -> Events:
    """Put pixels together to events.

    Parameters
    ----------
    pixels
        Telemetered items: FRAME, RAWX, RAWY, CCDNODE, SHAPE, GRADE, ENERGY, PI.
    exposure
        Frames: FRAME, TIME, FLAG.
    window, bad
        The window of telemetry and the bad pixels of the chip.
    thresholds
        Per node, rejection and acceptance threshold of a single pixel [eV].
    split
        As for :func:`above`.
    geometry
        Geometry of the spectrometer.
    ccd
        Number of the CCD.
    rng
        For the place inside a pixel.
    reconstruct
        Whether items that touch become one event.
    ocb
        Pixels of the chip in one of an item, along each axis.
    warn
        Given code and text of each warning.
    """
    n_items = len(pixels["FRAME"])
    node = pixels["CCDNODE"].astype(np.int64)
    limit = np.array(thresholds)
    listed = np.isin(pixels["FRAME"], exposure["FRAME"])
    if not listed.all():
        warn("MissingFrames", f"(CCD {ccd}) {int((~listed).sum())} pixels of frames that do not exist")
    use = listed & above(pixels["PI"], pixels["GRADE"], limit[node, 0], split)
    chosen = np.flatnonzero(use)
    part = {name: np.asarray(values)[chosen] for name, values in pixels.items()}
    members, outside, overlapping = expand(part, window)
    if outside.any():
        warn(
            "InvalidCoordinates",
            f"(CCD {ccd}) {int(outside.sum())} items reach out of the window (RAWX {window.columns[0][0]} to "
            f"{window.columns[0][1]}); their pixels there are left out",
        )
    if overlapping.any():
        warn(
            "EventOverlap",
            f"(CCD {ccd}) {int(overlapping.sum())} items at pixels already taken in their frame",
        )
    if reconstruct:
        event = join(part["FRAME"].astype(np.int64), members, len(chosen), 2 * window.size[0])
    else:
        event = np.full(len(chosen), -1, np.int64)
        used = np.unique(members.item)
        event[used] = np.arange(len(used))
    columns = _properties(part, event, members, window, bad, limit, split, geometry, ccd, rng, ocb)
    frame = np.searchsorted(exposure["FRAME"], columns["FRAME"])
    columns["TIME"] = exposure["TIME"][frame]
    columns["FLAG"] = columns["FLAG"] | exposure["FLAG"][frame]
    of_item = np.zeros(n_items, np.int64)
    of_item[chosen] = event + 1
    return Events(columns, of_item, _rejected(columns, event, members, bad))


def _properties(
    part: Mapping[str, npt.NDArray[Any]],
    event: IntArray,
    members: Members,
    window: Window,
    bad: BoolArray,
    limit: FloatArray,
    split: tuple[float, ...],
    geometry: RgsGeometry,
    ccd: int,
    rng: np.random.Generator,
    ocb: int,
) -> Arrays:
    rows = np.flatnonzero(event >= 0)
    event_of = event[rows]
    n_events = int(event_of.max()) + 1 if len(event_of) else 0
    values = {k: np.asarray(part[k])[rows] for k in part}
    pi, node = values["PI"].astype(float), values["CCDNODE"].astype(np.int64)
    # The item with the most energy is the last of its event.
    order = np.lexsort((pi, event_of))
    top = order[np.searchsorted(event_of[order], np.arange(n_events), side="right") - 1]
    dx, dy = shapes.centre(values["SHAPE"])
    x = np.where(node == 0, values["RAWX"] + dx, 2 * window.size[0] + 1 - values["RAWX"] - dx)
    y = values["RAWY"] + dy
    weight = np.maximum(pi, 1e-3)
    total = np.bincount(event_of, weight, minlength=n_events)
    x = np.bincount(event_of, weight * x, minlength=n_events) / total
    y = np.bincount(event_of, weight * y, minlength=n_events) / total
    jitter = rng.uniform(-0.5, 0.5, (2, n_events))
    beta, xdsp = _angles(geometry, ccd, x + jitter[0], y + jitter[1], window, ocb)
    flag = np.zeros(n_events, np.int64)

    def mark(name: str, of_which: IntArray) -> None:
        flag[np.unique(of_which)] |= int(RgsFlag[name])

    pixel_event = event[members.item]
    row, column = members.chipy - 1, members.chipx - 1
    beside = neighbours(bad, False).any(axis=0) & ~bad
    masks = {
        "ON_BADPIX": bad,
        "NEXT_TO_BADPIX": beside,
        "ON_WINDOW_BORDER": window.border(),
        "ON_NODE_INTERFACE": window.interface(),
    }
    for name, mask in masks.items():
        mark(name, pixel_event[mask[row, column]])
    mark("ON_NODE0", event_of[node == 0])
    mark("ON_NODE1", event_of[node == 1])
    mark("ONBOARD_SER", event_of[values["GRADE"] > 1])
    mark("BAD_SHAPE", event_of[values["SHAPE"] == shapes.NULL])
    accepted = np.zeros(n_events, bool)
    accepted[event_of[above(pi, values["GRADE"], limit[node, 1], split)]] = True
    flag[~accepted] |= int(RgsFlag.BELOW_ACCEPTANCE)
    energy = np.bincount(event_of, values["ENERGY"].astype(float), minlength=n_events)
    return {
        "FRAME": values["FRAME"][top],
        "FLAG": flag,
        "BETA": beta,
        "XDSP": xdsp,
        "CHIPX": window.chipx(node[top], values["RAWX"][top]),
        "CHIPY": values["RAWY"][top].astype(np.int64),
        "PHA": np.clip(energy, -32768, 32767).astype(np.int64),
        "SHAPE": values["SHAPE"][top],
        "GRADE": np.clip(np.bincount(event_of, values["GRADE"], minlength=n_events), 0, 255).astype(np.int64),
        "PI": np.clip(np.rint(np.bincount(event_of, pi, minlength=n_events)), 0, 32767).astype(np.int64),
    }


def _angles(
    geometry: RgsGeometry, ccd: int, chipx: FloatArray, chipy: FloatArray, window: Window, ocb: int
) -> tuple[FloatArray, FloatArray]:
    """Angles beta and xdsp [rad] of places on a chip, in pixels of CHIPX and CHIPY."""
    node = (chipx >= window.size[0] + 0.5).astype(np.int64)
    rawx = np.where(node == 0, chipx, 2 * window.size[0] + 1 - chipx)
    return geometry.raw_to_angles(ccd, node, rawx, chipy, ocb)


def _rejected(columns: Arrays, event: IntArray, members: Members, bad: BoolArray) -> Arrays:
    """Pixels that are not bad, of events that a filter may reject for what they are."""
    reject = int(RgsFlag.BAD_SHAPE | RgsFlag.BELOW_ACCEPTANCE | RgsFlag.ON_BADPIX)
    number = event[members.item]
    flag = columns["FLAG"][number] if len(number) else np.zeros(0, np.int64)
    keep = ((flag & reject) != 0) & ~bad[members.chipy - 1, members.chipx - 1]
    rows = {
        "FRAME": columns["FRAME"][number[keep]],
        "FLAG": flag[keep],
        "CHIPX": members.chipx[keep],
        "CHIPY": members.chipy[keep],
    }
    order = np.argsort(rows["FRAME"], kind="stable")
    return {name: values[order] for name, values in rows.items()}
