"""Figures of a page as Plotly reads them: data and layout, without looks.

Colours are names that the page resolves (``@M1``, ``@accent``, ...), so that a figure follows light and dark.
Each figure comes with a sentence that says what is seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daxa.report import source_curves, source_spectra, spectra
from daxa.report.products import CAMERAS, Values

Figure = dict[str, Any]
#: A legend under the axis, where it covers nothing.
_BELOW = {"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.2, "yanchor": "top"}


def _figure(name: str, label: str, told: str, data: list[Any], **layout: Any) -> Figure:
    return {"name": name, "label": label, "told": told, "figure": {"data": data, "layout": layout}}


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, **more}


def _curve(x: Any, y: Any, name: str, colour: str, **more: Any) -> dict[str, Any]:
    line = {"color": colour, "width": 1.3} | more.pop("line", {})
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "name": name, "line": line, **more}


def light_curve(exposure: Values) -> Figure | None:
    """Rates in the field and in the corners against time, with the accepted intervals.

    Parameters
    ----------
    exposure
        Of a camera, as the products tell it.
    """
    flares = exposure.get("flares") or {}
    if not flares.get("field"):
        return None
    inst = exposure["inst"]
    field, corner = flares["field"], flares["corner"]
    band = _band(flares)
    shapes = [
        {
            "type": "rect", "xref": "x", "yref": "paper", "x0": a, "x1": b, "y0": 0, "y1": 1,
            "fillcolor": "@accepted", "line": {"width": 0}, "layer": "below",
        }
        for a, b in flares.get("intervals", [])
    ]  # fmt: skip
    if flares.get("limits"):
        shapes += [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "yref": "y",
             "line": {"color": "@accent", "width": 1, "dash": "dot"}}
            for y in flares["limits"]
        ]  # fmt: skip
    data = [
        _curve(field["time"], field["rate"], "field", f"@{inst}", line={"shape": "hvh"}),
        _curve(corner["time"], corner["rate"], "corners", "@soft", yaxis="y2", line={"shape": "hvh"}),
    ]
    number = len(flares.get("intervals", []))
    kept = flares.get("accepted_s") or 0.0
    rates = np.asarray(field["rate"], float)
    told = (
        f"{CAMERAS[inst]} {exposure['exp']}, {band}: {np.median(rates):.2f} ct/s in the field at the median, "
        f"{rates.max():.1f} at most; "
        + (
            f"{number} interval{'' if number == 1 else 's'} accepted, {kept / 1000:.1f} ks (shaded)"
            if number
            else "no interval is accepted"
        )
    )
    return _figure(
        f"curve-{inst}-{exposure['exp']}", f"Light curve, {band}", told,
        data, shapes=shapes, xaxis=_axis("time, UTC", type="date", anchor="y2"),
        yaxis=_axis("field, ct/s", type="log", domain=[0.34, 1], **_ticks(rates)),
        yaxis2=_axis("corners", domain=[0, 0.24], rangemode="tozero", nticks=4),
        showlegend=False, height=340,
    )  # fmt: skip


def _band(flares: Values) -> str:
    if flares.get("low_ev") is None or flares.get("high_ev") is None:
        return "band of the flares"
    return f"{flares['low_ev'] / 1000:g}–{flares['high_ev'] / 1000:g} keV"


def _ticks(rates: Any) -> dict[str, Any]:
    """Numbers at 1, 2 and 5 where a logarithmic axis spans more than a factor of five."""
    positive = rates[rates > 0]
    wide = positive.size and positive.max() > 5 * positive.min()
    return {"tickvals": [d * 10.0**k for k in range(-3, 5) for d in (1, 2, 5)]} if wide else {"nticks": 5}


def rate_histogram(exposure: Values) -> Figure | None:
    """How often each rate occurs, with the Gaussian of the quiet level and the limits.

    Parameters
    ----------
    exposure
        Of a camera.
    """
    flares = exposure.get("flares") or {}
    if not flares.get("histogram"):
        return None
    inst = exposure["inst"]
    rate, often = np.asarray(flares["histogram"], float).T
    data: list[Any] = [
        {"type": "bar", "x": rate.tolist(), "y": often.tolist(), "marker": {"color": f"@{inst}"},
         "opacity": 0.55, "name": "rates"},
    ]  # fmt: skip
    if flares.get("fit"):
        x, y = np.asarray(flares["fit"], float).T
        data.append(_curve(x.tolist(), y.tolist(), "fit", "@ink"))
    limits = flares.get("limits")
    shapes = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": "@accent", "width": 1.2, "dash": "dot"}}
        for x in limits or []
    ]  # fmt: skip
    told = f"{CAMERAS[inst]} {exposure['exp']}: most often {rate[np.argmax(often)]:.2f} ct/s"
    if flares.get("centre") is not None:
        told += (
            f"; the fit has its centre at {flares['centre']:.2f} and a width of {flares['width']:.2f} ct/s"
        )
    if limits:
        told += f"; accepted from {limits[0]:.2f} to {limits[1]:.2f} ct/s"
    right = max(2.0 * (limits[1] if limits else float(np.median(rate))), 0.5)
    return _figure(
        f"histogram-{inst}-{exposure['exp']}", "Histogram of the rates",
        told, data, shapes=shapes, bargap=0,
        xaxis=_axis("smoothed rate in the field, ct/s", range=[0, right]),
        yaxis=_axis("seconds"), showlegend=False, height=340,
    )  # fmt: skip


def spectrum(exposure: Values) -> Figure | None:
    """Counts against energy in the field and in the corners, with the fluorescence lines.

    Parameters
    ----------
    exposure
        Of a camera.
    """
    found = exposure.get("spectra")
    if not found:
        return None
    inst = exposure["inst"]
    width = found["width_ev"]
    number = len(found["field"])
    energy = [round((found["low_ev"] + (k + 0.5) * width) / 1000, 4) for k in range(number)]
    data = [
        _curve(energy, [c or None for c in found["field"]], "field", f"@{inst}", line={"shape": "hvh"}),
        _curve(energy, [c or None for c in found["corner"]], "corners", "@soft", line={"shape": "hvh"}),
    ]
    shapes, notes = [], []
    for number, line in enumerate(exposure.get("lines") or []):
        x = line["laboratory"] / 1000
        seen = line["energy"] is not None
        shapes.append(
            {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "layer": "below",
             "line": {"color": "@accent" if seen else "@line", "width": 1, "dash": "dot"}}
        )  # fmt: skip
        # Neighbours are too near for labels on one level.
        notes.append(
            {"x": float(np.log10(x)), "y": 1 + 0.055 * (number % 3), "yref": "paper", "yanchor": "bottom",
             "showarrow": False, "text": line["name"].partition(" ")[0],
             "font": {"size": 10, "color": "@ink" if seen else "@soft"}}
        )  # fmt: skip
    standing = [line for line in exposure.get("lines") or [] if line["energy"] is not None]
    told = f"{CAMERAS[inst]} {exposure['exp']}: {sum(found['field']):,} counts in the field, " + (
        f"{sum(found['corner']):,} in the corners; "
    )
    told += (
        "lines stand out: " + ", ".join(f"{o['name']} at {o['energy']:.0f} eV" for o in standing)
        if standing
        else "no fluorescence line stands out"
    )
    ticks = [0.2, 0.5, 1, 2, 5, 10]
    return _figure(
        f"spectrum-{inst}-{exposure['exp']}", f"{CAMERAS[inst]} {exposure['exp']}", told, data,
        shapes=shapes, annotations=notes,
        xaxis=_axis("energy, keV", type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks],
                    range=[float(np.log10(0.2)), float(np.log10(12))]),
        yaxis=_axis(f"counts per {width} eV", type="log", dtick=1), height=350, margin={"t": 52},
        legend=_BELOW,
    )  # fmt: skip


def patterns(exposure: Values) -> Figure | None:
    """Shares of single, double, ... events against energy, with those that the calibration expects.

    Parameters
    ----------
    exposure
        Of a camera.
    """
    found = exposure.get("patterns")
    if not found or not found["energy"]:
        return None
    inst = exposure["inst"]
    energy = [round(e / 1000, 4) for e in found["energy"]]
    total = np.asarray(found["events"], float)
    data = []
    dashes = dict(zip(spectra.PATTERNS, ("solid", "dash", "dot", "dashdot"), strict=True))
    parts = []
    for name, values in found["fractions"].items():
        share = np.asarray(values, float)
        error = np.sqrt(np.maximum(share * (1 - share), 0) / total)
        data.append(
            _curve(
                energy, values, name, f"@{inst}", mode="lines+markers", marker={"size": 4},
                line={"dash": dashes[name]},
                error_y={"type": "data", "array": np.round(error, 4).tolist(), "width": 0, "thickness": 0.8},
            )
        )  # fmt: skip
        parts.append(f"{name} {100 * np.average(share, weights=total):.0f} %")
    expected = exposure.get("expected") or {}
    for name in (n for n in found["fractions"] if n in expected):
        x = [round(e / 1000, 4) for e in expected["energy"]]
        line = {"dash": dashes[name], "width": 1}
        data.append(_curve(x, expected[name], f"{name}, expected", "@ink", line=line, showlegend=False))
    told = f"{CAMERAS[inst]} {exposure['exp']}, shares of all energies: {', '.join(parts)}"
    if expected:
        at = np.interp(found["energy"], expected["energy"], expected["single"])
        seen, weights = np.asarray(found["fractions"].get("single", at), float), total / total.sum()
        away = round(100 * float(np.sum((seen - at) * weights)), 1)
        told += f"; singles lie {f'{away:+.1f}' if away else '0.0'} % from what is expected (thin)"
    ticks = [0.3, 0.5, 1, 2, 5, 10]
    return _figure(
        f"patterns-{inst}-{exposure['exp']}", f"{CAMERAS[inst]} {exposure['exp']}",
        told, data,
        xaxis=_axis("energy, keV", type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks]),
        yaxis=_axis("share", range=[-0.02, 1.02]), height=310, legend=_BELOW,
    )  # fmt: skip


def attitude(found: Values | None) -> Figure | None:
    """How far from its middle the pointing was.

    Parameters
    ----------
    found
        The attitude of an observation.
    """
    if not found or not found["time"]:
        return None
    data = [
        _curve(found["time"], found["east"], "east", "@M1"),
        _curve(found["time"], found["north"], "north", "@M2"),
    ]
    most = max(max(map(abs, found["east"])), max(map(abs, found["north"])), 0.5)
    return _figure(
        "attitude", "Attitude",
        f"the pointing stays within {found['spread']:.1f}″ of its median", data,
        xaxis=_axis("time, UTC", type="date"),
        yaxis=_axis("from the median, arcsec", range=[-1.15 * most, 1.15 * most]), height=260,
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
    )  # fmt: skip


def chips(exposure: Values) -> Figure | None:
    """Rate of events per CCD, before and after flares were taken out.

    Parameters
    ----------
    exposure
        Of a camera.
    """
    rows = [c for c in exposure["ccds"] if c["ontime_before_s"]]
    if not rows:
        return None
    inst = exposure["inst"]
    numbers = [str(c["ccd"]) for c in rows]
    before = [round(c["before"] / c["ontime_before_s"], 4) for c in rows]
    after = [round(c["after"] / c["ontime_s"], 4) if c["ontime_s"] else None for c in rows]
    data: list[Any] = [
        {"type": "bar", "x": numbers, "y": before, "name": "all events", "marker": {"color": "@line"}},
        {"type": "bar", "x": numbers, "y": after, "name": "cleaned", "marker": {"color": f"@{inst}"}},
    ]
    most = rows[int(np.argmax(before))]["ccd"]
    return _figure(
        f"chips-{inst}-{exposure['exp']}", f"{CAMERAS[inst]} {exposure['exp']}",
        f"{CAMERAS[inst]} {exposure['exp']}: {len(rows)} CCDs, the most events on CCD {most}", data,
        barmode="group", xaxis=_axis("CCD", type="category"), yaxis=_axis("events/s"), height=260,
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
    )  # fmt: skip


def grating(exposure: Values) -> Figure | None:
    """Counts of the first two orders of a spectrometer against wavelength.

    Parameters
    ----------
    exposure
        Of a spectrometer.
    """
    orders = [k for k in (1, 2) if sum(exposure.get(f"order{k}") or [])]
    if not orders:
        return None
    inst = exposure["inst"]
    data = []
    for k in orders:
        counts = exposure[f"order{k}"]
        wave = [round(5.025 + 0.05 * n, 3) for n in range(len(counts))]
        data.append(_curve(wave, counts, f"order {k}", ("@M1", "@M2")[k - 1], line={"shape": "hvh"}))
    told = ", ".join(f"{sum(exposure[f'order{k}']):,} counts in order {k}" for k in orders)
    return _figure(
        f"grating-{inst}-{exposure['exp']}", f"{CAMERAS[inst]} {exposure['exp']}",
        f"{CAMERAS[inst]} {exposure['exp']}: {told}, background included", data,
        xaxis=_axis("wavelength, Å"), yaxis=_axis("counts per 0.05 Å"), height=300,
        legend={"x": 1, "xanchor": "right", "y": 1},
    )  # fmt: skip


def all_figures(observation: Values) -> dict[str, Figure]:
    """Every figure of an observation's page, by name.

    Parameters
    ----------
    observation
        All that is told of it.
    """
    made: list[Figure | None] = [attitude(observation["attitude"])]
    for exposure in observation["exposures"]:
        made += [f(exposure) for f in (light_curve, rate_histogram, spectrum, patterns, chips)]
    made += [grating(g) for g in observation["gratings"]]
    made += [source_spectra.figure(one) for one in observation["source_spectra"]]
    made += [source_curves.figure(one) for one in observation["source_curves"]]
    return {figure["name"]: figure for figure in made if figure}
