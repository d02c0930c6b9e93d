"""The page of comparisons: one HTML file with its plots inside."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from daxa.compare.verdict import Comparison

#: What numbers smaller than this tell is how numbers are rounded; no unit here is as small.
_ROUNDING = 1e-9
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f27; margin: 0 auto; max-width: 1100px;
  padding: 1.5rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0 }
th, td { text-align: left; padding: .2rem .7rem; border-bottom: 1px solid #dde1e8 } th { background: #f6f7fa }
.ok { color: #1a7f4b } .no { color: #b3261e; font-weight: 600 } img { max-width: 100% }
h2 { margin-top: 2.2rem; border-bottom: 1px solid #dde1e8 } code { overflow-wrap: anywhere }
"""


def write_page(
    path: str | os.PathLike[str], comparisons: Sequence[Comparison], title: str, left_out: Sequence[str] = ()
) -> Path:
    """Write comparisons as one HTML page that needs no other file.

    What could not be compared (``left_out``) is listed below a summary.

    Parameters
    ----------
    path
        The file to write.
    comparisons
        What is shown, in order.
    title
        Heading of the page.
    left_out
        Reasons, one a file.
    """
    path = Path(path)
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
        "<p>Differences are B minus A.</p>",
        _table(_summary(comparisons)) if len(comparisons) > 1 else "",
        *(f"<p>not compared: {escape(reason)}</p>" for reason in left_out),
        *(_section(c) for c in comparisons),
        "</body></html>",
    ]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text("\n".join(parts), encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _summary(comparisons: Sequence[Comparison]) -> list[dict[str, str]]:
    return [
        {
            "kind": c.kind,
            "B": Path(c.b).name,
            "verdict": "ok" if c.same else "DIFFERS",
            "what differs": "; ".join(c.findings),
        }
        for c in comparisons
    ]


def number(value: Any) -> str:
    """A value of a table as people read it.

    Parameters
    ----------
    value
        A number, text or None; numbers that are not finite are shown as nothing.

    Examples
    --------
    >>> number(3.14159), number(None), number("a < b")
    ('3.142', '', 'a &lt; b')
    """
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    if isinstance(value, float) and abs(value) < _ROUNDING:
        return "0"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def line_rows(comparison: Comparison) -> list[dict[str, str]]:
    """The lines of a comparison as rows of a table.

    Parameters
    ----------
    comparison
        What was compared.
    """
    verdicts = {True: "ok", False: "DIFFERS", None: ""}
    return [
        {
            "quantity": line.name,
            "difference": f"{number(line.difference)} {line.unit}".strip(),
            "tolerance": number(line.tolerance),
            "verdict": verdicts[line.ok],
            "note": line.note,
        }
        for line in comparison.lines
    ]


def _section(c: Comparison) -> str:
    verdict = '<p class="ok">within all tolerances</p>'
    if not c.same:
        items = "".join(f"<li>{escape(words)}</li>" for words in c.findings)
        verdict = f'<ul class="no">{items}</ul>'
    tables = [_table(line_rows(c))]
    tables += [f"<h3>{escape(name)}</h3>{_table(rows)}" for name, rows in c.groups.items() if rows]
    files = f"<p>A <code>{escape(c.a)}</code><br>B <code>{escape(c.b)}</code></p>"
    heading = escape(f"{c.kind}, {Path(c.b).name}")
    return f"<h2>{heading}</h2>{files}{verdict}{_plots(c)}{''.join(tables)}"


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(str(k))}</th>" for k in rows[0])
    colour = {"ok": ' class="ok"', "DIFFERS": ' class="no"'}
    body = "".join(
        "<tr>" + "".join(f"<td{colour.get(str(v), '')}>{number(v)}</td>" for v in row.values()) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _plots(c: Comparison) -> str:
    if not c.plots:
        return ""
    figure = _images(c.plots) if "image A" in c.plots else _series(c.plots)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="differences of the {escape(c.kind)}" src="data:image/png;base64,{data}"></p>'


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _images(plots: dict[str, Any]) -> Any:
    from matplotlib.colors import Normalize, PowerNorm

    a, b = plots["image A"], plots["image B"]
    figure = _figure(13, 4.2)
    positive = a[a > 0]
    top = float(np.percentile(positive, 99)) if positive.size else 1.0
    reach = float(np.abs(b - a).max())
    # Roots, so that faint and bright ones are seen.
    sky = PowerNorm(0.5, 0, top)
    shown = (
        ("A", a, "inferno", sky),
        ("B", b, "inferno", sky),
        (
            "B - A" if reach else "B - A: no pixel differs",
            b - a,
            "RdBu_r",
            Normalize(-reach or -1, reach or 1),
        ),
    )
    for axes, (title, data, colours, norm) in zip(figure.subplots(1, 3), shown, strict=True):
        drawn = axes.imshow(data, origin="lower", cmap=colours, norm=norm, interpolation="nearest")
        axes.set_title(title)
        figure.colorbar(drawn, ax=axes, shrink=0.8)
    return figure


def _series(plots: dict[str, Any]) -> Any:
    names = [n for n in plots if n != "at"]
    time = plots["at"]["TIME"]
    figure = _figure(12, 2.4 * len(names))
    grid = figure.subplots(len(names), 2, squeeze=False, width_ratios=(1, 2))
    for (left, right), name in zip(grid, names, strict=True):
        values = np.asarray(plots[name], float)
        known = np.isfinite(values)
        low, high = np.percentile(values[known], (0.5, 99.5)) if known.any() else (0.0, 0.0)
        margin = 0.1 * (high - low) + 1e-3
        left.hist(values[known], bins=60, range=(low - margin, high + margin), color="#33608c")
        left.set_xlabel(f"difference of {name}")
        left.set_ylabel("number")
        right.plot((time - time.min()) / 1000, values, ".", ms=1.5, alpha=0.4, color="#33608c")
        right.axhline(0, color="black", lw=0.6)
        right.set_ylim(low - margin, high + margin)
        right.set_xlabel("time [ks]")
        right.set_ylabel(name)
        for axis in (left.xaxis, right.yaxis):
            axis.get_major_formatter().set_useOffset(False)
    return figure
