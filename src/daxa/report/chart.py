"""The map of the sky on the first page, as lines and polygons in the units of its drawings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daxa.report import skymap

Values = dict[str, Any]
#: Side of a map of a field, and free space around what is in it.
_SIDE, _FREE = 300.0, 26.0
#: Maps of fields that are shown at most.
_MAPS = 3
#: Lengths of bars [arcmin].
_BARS = (1, 2, 5, 10, 15, 30, 60)


def sky(observations: list[Values]) -> Values | None:
    """The whole sky, and the fields with the most observations.

    Parameters
    ----------
    observations
        With ``header`` (``ra``, ``dec``), ``outline`` (polygons on the sky), ``page``, ``obs_id``.

    Returns
    -------
    values
        What the template of the first page draws; None where no observation has a position.
    """
    placed = [o for o in observations if _is_position(o["header"])]
    if not placed:
        return None
    positions = [(o["header"]["ra"], o["header"]["dec"]) for o in placed]
    groups = skymap.fields(positions)
    dots = {tuple(p) for p in np.round(skymap.whole_sky(positions) * 100, 1).tolist()}
    shown = [_field([placed[k] for k in group]) for group in groups[:_MAPS]]
    fields = f"{len(groups)} field" + ("" if len(groups) == 1 else "s")
    told = f"The sky in equatorial coordinates, right ascension growing to the left, with {fields}"
    left = len(groups) - len(shown)
    return {
        "grid": [_text(line * 100) for line in _graticule()],
        "dots": sorted(dots),
        "fields": shown,
        "told": told + "; beside it what was exposed in " + ("it" if len(groups) == 1 else "the largest"),
        "more": f"{left} more on the sky only." if left else "",
    }


def _is_position(header: Values) -> bool:
    return all(isinstance(header.get(k), int | float) and math.isfinite(header[k]) for k in ("ra", "dec"))


def _graticule() -> list[np.ndarray]:
    """Meridians and parallels, in the projection of the whole sky."""
    lines = []
    dec = np.linspace(-90, 90, 61)
    for ra in (60, 120, 180, 240, 300):
        lines.append(skymap.whole_sky([(ra, d) for d in dec]))
    around = np.linspace(0.01, 359.99, 121)
    for d in (-60, -30, 0, 30, 60):
        lines.append(skymap.whole_sky([(a, d) for a in around]))
    # y grows downwards in drawings.
    return [line * [1, -1] for line in lines]


def _text(points: np.ndarray) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _field(observations: list[Values]) -> Values:
    """Outlines of the observations of a field."""
    first = (observations[0]["header"]["ra"], observations[0]["header"]["dec"])
    shapes = [
        o["outline"] or [skymap.circle(o["header"]["ra"], o["header"]["dec"], 0.23)] for o in observations
    ]
    corners = np.concatenate([skymap.tangent(p, first) for polygons in shapes for p in polygons])
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle, size = (low + high) / 2, max(float((high - low).max()), 0.02)
    scale = (_SIDE - 2 * _FREE) / size

    def drawn(points: Any) -> np.ndarray:
        return (skymap.tangent(points, first) - middle) * [scale, -scale] + _SIDE / 2

    outlines = [
        {
            "page": f"observations/{o['page']}",
            "label": " ".join(filter(None, (o["obs_id"], o["header"].get("target")))),
            "points": [_text(drawn(points)) for points in polygons],
        }
        for o, polygons in zip(observations, shapes, strict=True)
    ]
    length = max((b for b in _BARS if b / 60 * scale < 0.3 * _SIDE), default=_BARS[0])
    ra, dec = skymap.sexagesimal(*first)
    names = sorted({o["header"].get("target") or o["obs_id"] for o in observations})
    number = len(observations)
    return {
        "grid": _lines(first, size, drawn),
        "outlines": outlines,
        "bar": (round(length / 60 * scale, 1), f"{length}′"),
        "ra": ra,
        "dec": dec,
        "told": f"Outlines of {number} observation{'' if number == 1 else 's'} of {', '.join(names[:3])}",
    }


def _lines(centre: skymap.Point, size: float, drawn: Any) -> list[str]:
    """A cross through the middle, parallel to the equator and the meridian."""
    ra, dec = centre
    half = np.linspace(-size, size, 9)
    wide = half / max(math.cos(math.radians(dec)), 1e-3)
    return [
        _text(drawn([(ra + w, dec) for w in wide])),
        _text(drawn([(ra, max(-90.0, min(90.0, dec + h))) for h in half])),
    ]
