"""Light curves of sources: what is shown of them. Times are milliseconds UTC, rates counts per second."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.report.flares import utc_ms
from daxa.report.products import CAMERAS, Values

if TYPE_CHECKING:
    from daxa.report.products import Reader

#: Most light curves of an observation that are shown: those with the most counts.
MOST = 45
#: Most points of a curve; neighbours are averaged where it has more bins.
_POINTS = 400
#: Curves at the barycentre show the same once more and are left out.
_NAME = re.compile(
    r"obsid\w+-inst(?P<inst>\w+)-subexp\w+-(?P<source>J[\d.]+[+-][\d.]+)"
    r"-en(?P<low>[\d.]+)_(?P<high>[\d.]+)keV-bin(?P<width>[\d.]+)s-lightcurve\.fits"
)


def source_curves(reader: Reader, instruments: list[str]) -> list[Values]:
    """What is shown of the light curves of an observation's sources, of each source its cameras together.

    Parameters
    ----------
    reader
        Reads the observation's products, and goes on without what cannot be read.
    instruments
        Those that were chosen.
    """
    found = []
    for path in reader.files("lightcurves/*-lightcurve.fits"):
        name = _NAME.fullmatch(path.name)
        if name is None or name["inst"] not in instruments:
            continue
        with reader.trying(path):
            found.append({**name.groupdict(), **_curve(path)})
    kept = sorted(found, key=lambda c: -c["counts"])[:MOST]
    cameras = list(CAMERAS)
    return sorted(
        kept, key=lambda c: (c["source"], cameras.index(c["inst"]), c["low"], c["high"], c["width"])
    )


def _curve(path: Path) -> Values:
    """Bins with exposure, and what was taken away as background."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        header, data = hdus["RATE"].header, hdus["RATE"].data
        time, rate, error, share = (np.asarray(data[n], float) for n in ("TIME", "RATE", "ERROR", "FRACEXP"))
        below = np.asarray(data["BACKV"], float) if "BACKV" in data.names else np.zeros(len(time))
        width, start = float(header["TIMEDEL"]), float(header.get("MJDREF", 50814.0))
        on_axis, net = header.get("VIGNAPP") is True, header.get("BACKAPP") is True
    good = np.isfinite(rate) & np.isfinite(error) & (share > 0)
    if not good.any():
        raise ValueError("no bin with exposure")
    time, rate, error, share, below = (v[good] for v in (time, rate, error, share, below))
    starts = np.arange(0, len(time), -(-len(time) // _POINTS))

    def summed(values: Any) -> Any:
        return np.add.reduceat(values, starts)

    total = summed(share)
    mean = float(np.average(rate, weights=share))
    return {
        "time": utc_ms(summed(share * time) / total, start).tolist(),
        "rate": _digits(summed(share * rate) / total),
        "error": _digits(np.sqrt(summed((share * error) ** 2)) / total),
        "background": _digits(summed(share * below) / total),
        "mean": mean,
        "mean_error": float(np.sqrt(np.sum((share * error) ** 2)) / share.sum()),
        "counts": float(mean * width * share.sum()),
        "joined": int(starts[1]) if len(starts) > 1 else 1,
        "on_axis": on_axis,
        "net": net,
    }


def _digits(values: Any) -> list[float]:
    """Numbers of four digits, as a page holds them."""
    return [float(f"{v:.4g}") for v in np.asarray(values, float)]


def name_of(one: Values) -> str:
    """Name of the figure of a curve.

    Parameters
    ----------
    one
        What :func:`source_curves` tells of it.
    """
    return "-".join(["lightcurve", *(one[k] for k in ("source", "inst", "low", "high", "width"))])


def figure(one: Values) -> dict[str, Any]:
    """The figure of a light curve as Plotly reads it.

    Parameters
    ----------
    one
        What :func:`source_curves` tells of it.
    """
    inst, colour = one["inst"], f"@{one['inst']}"
    data = [
        {
            "type": "scatter", "mode": "markers", "name": "source", "x": one["time"], "y": one["rate"],
            "marker": {"color": colour, "size": 4},
            "error_y": {"type": "data", "array": one["error"], "color": colour, "thickness": 1, "width": 0},
        },
        {
            "type": "scatter", "mode": "lines", "name": "background", "x": one["time"],
            "y": one["background"], "line": {"color": "@soft", "width": 1.3, "shape": "hvh"},
        },
    ]  # fmt: skip
    joined = f", {one['joined']} of them in a point" if one["joined"] > 1 else ""
    told = (
        f"{CAMERAS[inst]} of {one['source']}, {one['low']}–{one['high']} keV, "
        f"bins of {float(one['width']):g} s{joined}: "
        f"{one['mean']:.3g} ± {one['mean_error']:.1g} ct/s"
        + (" as on the axis" if one["on_axis"] else " as the region sees it")
        + (", without the background; line: that background, on the same scale" if one["net"] else "")
    )
    layout = {
        "xaxis": {"title": {"text": "time, UTC"}, "type": "date"},
        "yaxis": {"title": {"text": "ct/s"}},
        "legend": {"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.32, "yanchor": "top"},
        "height": 300,
    }  # fmt: skip
    label = f"{one['source']}, light curve"
    return {"name": name_of(one), "label": label, "told": told, "figure": {"data": data, "layout": layout}}
