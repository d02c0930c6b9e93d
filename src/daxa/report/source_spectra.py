"""Spectra of sources: what is shown of them, beside a power law that is folded with their responses.

Energies are in keV, rates in counts per second and keV, areas in square centimetres.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daxa.report.products import CAMERAS, Values

if TYPE_CHECKING:
    from daxa.report.products import Reader

FloatArray = npt.NDArray[np.float64]
#: Photon index of the power law.
INDEX = 1.7
#: Most spectra of an observation that are shown: those with the most counts.
MOST = 45
#: Points of an area that are kept.
_AREA_POINTS = 120
_NAME = re.compile(r"obsid\w+-inst(?P<inst>\w+)-subexp(?P<exp>\w+)-(?P<source>J[\d.]+[+-]\d+)-spectrum\.fits")


def source_spectra(reader: Reader, instruments: list[str]) -> list[Values]:
    """What is shown of the spectra of an observation's sources, of each source its cameras together.

    Parameters
    ----------
    reader
        Reads the observation's products, and goes on without what cannot be read.
    instruments
        Those that were chosen.
    """
    matrices: dict[Path, tuple[FloatArray, FloatArray, FloatArray]] = {}
    found = []
    for path in reader.files("spectra/*-spectrum.fits"):
        name = _NAME.fullmatch(path.name)
        if name is None or name["inst"] not in instruments:
            continue
        with reader.trying(path):
            values = _spectrum(path, matrices)
            found.append({**name.groupdict(), "file": f"spectra/{path.name}", **values})
    kept = sorted(found, key=lambda s: -s["counts"])[:MOST]
    cameras = list(CAMERAS)
    return sorted(kept, key=lambda s: (s["source"], cameras.index(s["inst"]), s["exp"]))


def _spectrum(path: Path, matrices: dict[Path, tuple[FloatArray, FloatArray, FloatArray]]) -> Values:
    """Groups of a spectrum with its background, area and folded power law."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        header, data = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data
        counts = np.asarray(data["COUNTS"], float)
        grouping, quality = (np.asarray(data[n]) for n in ("GROUPING", "QUALITY"))
    with fits.open(path.with_name(header["BACKFILE"])) as hdus:
        below = hdus["SPECTRUM"].header
        back = np.asarray(hdus["SPECTRUM"].data["COUNTS"], float)
    matrix = path.with_name(header["RESPFILE"])
    if matrix not in matrices:
        matrices[matrix] = _matrix(matrix)
    limits, bins, rows = matrices[matrix]
    with fits.open(path.with_name(header["ANCRFILE"])) as hdus:
        area = np.asarray(hdus["SPECRESP"].data["SPECRESP"], float)
    ratio = header["BACKSCAL"] * header["EXPOSURE"] / (below["BACKSCAL"] * below["EXPOSURE"])
    good = np.flatnonzero(quality == 0)
    starts = np.flatnonzero(grouping[good] == 1)
    if not len(good) or not len(starts):
        raise ValueError("no group of good channels")
    edges = np.append(limits[good[starts]], limits[good[-1] + 1])
    model = rows.T @ (area * _photons(bins))
    source, other, folded = (np.add.reduceat(v[good], starts) for v in (counts, back, model))
    net, wide = source - ratio * other, np.diff(edges) * header["EXPOSURE"]
    scale = max(net.sum(), 0.0) / max(folded.sum(), 1e-30)
    middle = 0.5 * (bins[1:] + bins[:-1])
    inside = np.flatnonzero((middle > edges[0]) & (middle < edges[-1]))
    thin = inside[:: max(1, len(inside) // _AREA_POINTS)]
    return {
        "counts": float(counts[good].sum()),
        "net": float(net.sum()),
        "exposure_s": float(header["EXPOSURE"]),
        "edges": _digits(edges),
        "rate": _digits(net / wide),
        "error": _digits(np.sqrt(source + ratio**2 * other) / wide),
        "background": _digits(ratio * other / wide),
        "folded": _digits(scale * folded / wide),
        "energy": _digits(middle[thin]),
        "area": _digits(area[thin]),
        "files": [path.name, *(header[k] for k in ("BACKFILE", "ANCRFILE", "RESPFILE"))],
    }


def _photons(bins: FloatArray) -> FloatArray:
    """Photons of the power law in each energy bin."""
    low, high = np.maximum(bins[:-1], 1e-3), np.maximum(bins[1:], 1e-3)
    return (low ** (1 - INDEX) - high ** (1 - INDEX)) / (INDEX - 1)


def _matrix(path: Path) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Limits of the channels, of the energy bins, and the shares, shape (bins, channels)."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        bounds, table = hdus["EBOUNDS"].data, hdus["MATRIX"]
        limits = np.append(bounds["E_MIN"], bounds["E_MAX"][-1]).astype(float)
        data = table.data
        bins = np.append(data["ENERG_LO"], data["ENERG_HI"][-1]).astype(float)
        first = int(table.header.get(f"TLMIN{table.columns.names.index('F_CHAN') + 1}", 1))
        rows = np.zeros((len(data), len(bounds)), "f4")
        columns = (data[n] for n in ("N_GRP", "F_CHAN", "N_CHAN", "MATRIX"))
        for row, (groups, starts, sizes, shares) in zip(rows, zip(*columns, strict=True), strict=True):
            place = 0
            for start, size in zip(
                np.atleast_1d(starts)[:groups], np.atleast_1d(sizes)[:groups], strict=True
            ):
                row[start - first : start - first + size] = shares[place : place + size]
                place += size
    return limits, bins, rows


def _digits(values: Any) -> list[float]:
    """Numbers of five digits, as a page holds them."""
    return [float(f"{v:.5g}") for v in np.asarray(values, float)]


def name_of(one: Values) -> str:
    """Name of the figure of a spectrum.

    Parameters
    ----------
    one
        What :func:`source_spectra` tells of it.
    """
    return f"source-{one['source']}-{one['inst']}-{one['exp']}"


def figure(one: Values) -> dict[str, Any]:
    """The figure of a spectrum as Plotly reads it.

    Parameters
    ----------
    one
        What :func:`source_spectra` tells of it.
    """
    inst, edges = one["inst"], one["edges"]
    low, high = np.asarray(edges[:-1]), np.asarray(edges[1:])
    middle = np.sqrt(low * high)
    bars = {"color": f"@{inst}", "thickness": 1, "width": 0}
    data = [
        {
            "type": "scatter", "mode": "markers", "name": "source", "x": _digits(middle),
            "y": [r if r > 0 else None for r in one["rate"]], "marker": {"color": f"@{inst}", "size": 4},
            "error_y": {"type": "data", "array": one["error"], **bars},
            "error_x": {"type": "data", "symmetric": False, "array": _digits(high - middle),
                        "arrayminus": _digits(middle - low), **bars},
        },
        _steps(edges, one["background"], "background", "@soft"),
        _steps(edges, one["folded"], "power law", "@accent"),
        {
            "type": "scatter", "mode": "lines", "name": "area", "x": one["energy"], "y": one["area"],
            "yaxis": "y2", "line": {"color": "@ink", "width": 1, "dash": "dot"},
        },
    ]  # fmt: skip
    told = (
        f"{CAMERAS[inst]} {'' if one['exp'] == 'ALL' else one['exp'] + ' '}of {one['source']}: "
        f"{one['counts']:,.0f} counts in {one['exposure_s'] / 1000:.1f} ks, "
        f"{one['net']:,.0f} without the background; "
        f"points: source without background; steps: background, and a power law of photon index {INDEX:g} "
        "folded with area and matrix, of as many counts, for the eye and not fitted; dashed: effective area"
    )
    positive = [r for r in one["rate"] if r > 0]
    bottom = float(np.log10(min(positive) / 3)) if positive else -4.0
    top = float(np.log10(max(one["rate"]) * 3)) if positive else 0.0
    layout = {
        "xaxis": {"title": {"text": "energy, keV"}, "type": "log", "tickvals": [0.2, 0.5, 1, 2, 5, 10]},
        "yaxis": {"title": {"text": "ct/s/keV"}, "type": "log", "range": [bottom, top]},
        "yaxis2": {
            "title": {"text": "area, cm²"}, "overlaying": "y", "side": "right", "rangemode": "tozero",
            "tickmode": "auto", "nticks": 5,
            "showgrid": False,
        },
        "legend": {"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.2, "yanchor": "top"},
        "height": 360,
    }  # fmt: skip
    label = f"{one['source']}, folded spectrum"
    return {"name": name_of(one), "label": label, "told": told, "figure": {"data": data, "layout": layout}}


def _steps(edges: list[float], values: list[float], name: str, colour: str) -> dict[str, Any]:
    """A curve that has one value between two edges."""
    y = [v if v > 0 else None for v in values]
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": edges, "y": [*y, y[-1]],
        "line": {"color": colour, "width": 1.3, "shape": "hv"},
    }  # fmt: skip
