"""Two event lists of the same exposure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.compare.matching import match_ccd
from daxa.compare.statistics import by_range, by_value, describe, uncertainty
from daxa.compare.verdict import Comparison, Line

#: What is tolerated. Medians may be off by four standard errors more, so that the random numbers of two
#: reductions (time within the frame, position within the pixel, energy within a channel) do not count.
TOLERANCES = {
    "matched": 0.01,  # fraction of events without a partner
    "time_s": 0.01,
    "position_arcsec": 0.1,
    "detector_arcsec": 0.1,
    "energy_ev": 2.0,
    "wavelength": 0.001,  # [Angstrom], an eighth of a pixel of the RGS
    "energy_spread_ev": 5.0,
    "differing": 0.01,  # fraction of matched events with another PHA or PATTERN
    "flag": 0.001,  # fraction of matched events with another value of a bit
    "time_fraction": 0.001,  # of good and live time
}
_ENERGIES = (0, 500, 1000, 2000, 4500, 7500, 12000, 32768)
_PLOTTED = 20_000


@dataclass
class EventData:
    """What is compared of an event list.

    Attributes
    ----------
    columns
        Event columns by name; undefined positions are NaN.
    centre
        Right ascension and declination of the tangent point of X, Y [deg]; None without.
    good_s, live_s
        Good and live time [s] by CCD.
    frame_s
        Length of a frame [s].
    pixel_arcsec
        Size of a raw pixel.
    """

    columns: dict[str, npt.NDArray[Any]]
    centre: tuple[float, float] | None = None
    good_s: dict[int, float] = field(default_factory=dict)
    live_s: dict[int, float] = field(default_factory=dict)
    frame_s: float = 2.6
    pixel_arcsec: float = 1.1


def compare_events(a: EventData, b: EventData, name_a: str = "A", name_b: str = "B") -> Comparison:
    """Match the events of two lists and judge the difference of every column, B minus A.

    Parameters
    ----------
    a, b
        The lists.
    name_a, name_b
        What they are called, e.g. their files.

    Returns
    -------
    Comparison
        Tolerances are those of :data:`TOLERANCES`.
    """
    result = Comparison("event list", name_a, name_b)
    ccd_a, ccd_b = a.columns["CCDNR"].astype(int), b.columns["CCDNR"].astype(int)
    common = _ccds(result, set(ccd_a.tolist()), set(ccd_b.tolist()))
    frame = max(a.frame_s, b.frame_s)
    pixel_a, pixel_b = _pixels(a.columns), _pixels(b.columns)
    pairs = []
    for ccd in common:
        rows_a, rows_b = np.flatnonzero(ccd_a == ccd), np.flatnonzero(ccd_b == ccd)
        i, j, _ = match_ccd(
            pixel_a[rows_a], a.columns["TIME"][rows_a], pixel_b[rows_b], b.columns["TIME"][rows_b], frame
        )
        pairs.append((rows_a[i], rows_b[j]))
    empty = np.zeros(0, np.intp)
    i = np.concatenate([p[0] for p in pairs]) if pairs else empty
    j = np.concatenate([p[1] for p in pairs]) if pairs else empty
    for this, other, ccds in (("A", "B", ccd_a), ("B", "A", ccd_b)):
        total = int(np.isin(ccds, common).sum())
        lost = 1 - len(i) / total if total else 0.0
        result.judge(
            Line(f"events of {this} not in {other}", lost, "of all", TOLERANCES["matched"],
                 f"{len(i):,} of {total:,} matched in CCDs of both"),
            f"{100 * lost:.1f} % of the events of {this} are not in {other}",
        )  # fmt: skip
    if len(i):
        left = {k: v[i] for k, v in a.columns.items()}
        right = {k: v[j] for k, v in b.columns.items()}
        _matched(result, left, right, a, b)
    _times(result, "good time", a.good_s, b.good_s)
    _times(result, "live time", a.live_s, b.live_s)
    return result


def _pixels(columns: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.intp]:
    # Timing lists of MOS have no rows.
    row = columns["RAWY"].astype(np.intp) if "RAWY" in columns else 0
    return columns["RAWX"].astype(np.intp) * 1024 + row


def _ccds(result: Comparison, a: set[int], b: set[int]) -> list[int]:
    for this, lacking in (("B", a - b), ("A", b - a)):
        words = "; ".join(f"CCD {ccd} missing in {this}" for ccd in sorted(lacking))
        result.judge(Line(f"CCDs missing in {this}", len(lacking), "", 0, words), words)
    return sorted(a & b)


def _matched(
    result: Comparison, left: dict[str, Any], right: dict[str, Any], a: EventData, b: EventData
) -> None:
    difference: dict[str, npt.NDArray[Any]] = {"time [s]": right["TIME"] - left["TIME"]}
    _judge_median(
        result, "TIME", difference["time [s]"], "s", TOLERANCES["time_s"], "times differ by {:+.1f} s"
    )
    if "PI" in left and "PI" in right:
        energy = difference["PI [eV]"] = right["PI"].astype(float) - left["PI"]
        what = _judge_median(
            result, "PI", energy, "eV", TOLERANCES["energy_ev"], "energies differ by {:+.0f} eV"
        )
        result.judge(
            Line("PI, spread", what["spread"], "eV", TOLERANCES["energy_spread_ev"]),
            f"energies scatter by {what['spread']:.1f} eV",
        )
    if a.centre is not None and b.centre is not None and "X" in left and "X" in right:
        east, north = sky_offsets(left, right, a.centre, b.centre)
        difference |= {"RA [arcsec]": east, "Dec [arcsec]": north}
        _positions(result, "sky position", east, north, a.pixel_arcsec)
    if "M_LAMBDA" in left and "M_LAMBDA" in right:
        wave = difference["wavelength [Angstrom]"] = right["M_LAMBDA"].astype(float) - left["M_LAMBDA"]
        _judge_median(
            result, "M_LAMBDA", wave, "Angstrom", TOLERANCES["wavelength"],
            "wavelengths differ by {:+.3f} Angstrom",
        )  # fmt: skip
    if "XDSP_CORR" in left and "XDSP_CORR" in right:
        across = difference["across the dispersion [arcsec]"] = np.rad2deg(3600) * (
            right["XDSP_CORR"].astype(float) - left["XDSP_CORR"]
        )
        _judge_median(
            result, "XDSP_CORR", across, "arcsec", TOLERANCES["position_arcsec"],
            "angles across the dispersion differ by {:+.1f} arcsec",
        )  # fmt: skip
    if "DETX" in left and "DETX" in right:
        shift = [0.05 * (right[k].astype(float) - left[k]) for k in ("DETX", "DETY")]
        _positions(result, "detector position", shift[0], shift[1], a.pixel_arcsec)
    for name in ("PHA", "PATTERN"):
        if name in left and name in right:
            what = describe(right[name].astype(float) - left[name])
            other = float(np.mean(left[name] != right[name]))
            result.judge(
                Line(f"{name} differs", other, "of matched", TOLERANCES["differing"],
                     f"median {what['median']:+g}, spread {what['spread']:g}, worst {what['worst']:+g}"),
                f"{100 * other:.1f} % of the events have another {name}",
            )  # fmt: skip
    if "FLAG" in left and "FLAG" in right:
        _flags(result, left["FLAG"], right["FLAG"])
    result.groups["by CCD"] = by_value(left["CCDNR"], difference)
    if "PI" in left:
        result.groups["by energy"] = by_range(left["PI"], _ENERGIES, difference, "eV")
    if "PATTERN" in left:
        result.groups["by pattern"] = by_value(left["PATTERN"], difference)
    every = max(1, len(left["TIME"]) // _PLOTTED)
    result.plots = {k: v[::every] for k, v in difference.items()}
    result.plots["at"] = {
        k: np.asarray(left[k][::every], float) for k in ("TIME", "PI", "CCDNR") if k in left
    }


def _judge_median(
    result: Comparison, name: str, values: npt.NDArray[Any], unit: str, tolerance: float, words: str
) -> dict[str, float]:
    what = describe(values)
    note = f"spread {what['spread']:.4g}, worst {what['worst']:+.4g} {unit}"
    allowed = tolerance + 4 * uncertainty(what)
    result.judge(Line(name, what["median"], unit, allowed, note), words.format(what["median"]))
    return what


def _positions(
    result: Comparison, name: str, first: npt.NDArray[Any], second: npt.NDArray[Any], pixel: float
) -> None:
    one, two = describe(first), describe(second)
    if not one["n"]:
        return
    axes = ("RA", "Dec") if name == "sky position" else ("DETX", "DETY")
    shift, spread = float(np.hypot(one["median"], two["median"])), max(one["spread"], two["spread"])
    worst = float(np.nanmax(np.hypot(first, second)))
    key = "position_arcsec" if name == "sky position" else "detector_arcsec"
    allowed = TOLERANCES[key] + 4 * float(np.hypot(uncertainty(one), uncertainty(two)))
    parts = f"{axes[0]} {one['median']:+.1f}, {axes[1]} {two['median']:+.1f}"
    subject = "positions are" if name == "sky position" else "detector positions are"
    result.judge(
        Line(f"{name}, shift", shift, "arcsec", allowed, f"{parts}, worst {worst:.2f} arcsec"),
        f"{subject} shifted by {shift:.1f} arcsec ({parts})",
    )
    result.judge(
        Line(f"{name}, spread", spread, "arcsec", pixel), f"{subject} scattered by {spread:.1f} arcsec"
    )


def sky_offsets(
    left: dict[str, Any], right: dict[str, Any], centre_a: tuple[float, float], centre_b: tuple[float, float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Offsets east and north [arcsec] of events of B from those of A, in A's tangent plane.

    Parameters
    ----------
    left, right
        Columns X and Y (units of 0.05 arcsec) of the events of A and their partners of B, shape (n,).
    centre_a, centre_b
        Right ascension and declination of the tangent points [deg].

    Returns
    -------
    east, north : arrays of shape (n,)
        NaN where a position is not known.
    """
    xa, ya = _plane(left)
    xb, yb = _plane(right)
    if centre_a != centre_b:
        xb, yb = _reproject(xb, yb, centre_b, centre_a)
    return xb - xa, yb - ya


def _plane(columns: dict[str, Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """East and north of the tangent point [arcsec]; units of 0.05 arcsec, reference pixel 25921."""
    x, y = columns["X"].astype(float), columns["Y"].astype(float)
    known = (x > 0) & (y > 0)
    return np.where(known, -0.05 * (x - 25921), np.nan), np.where(known, 0.05 * (y - 25921), np.nan)


def _reproject(x: Any, y: Any, old: tuple[float, float], new: tuple[float, float]) -> tuple[Any, Any]:
    """Tangent-plane coordinates [arcsec] about one point from those about another."""
    arcsec = np.deg2rad(1 / 3600)
    x, y = x * arcsec, y * arcsec
    (ra, dec), (ra_new, dec_new) = np.deg2rad(old), np.deg2rad(new)
    depth = np.cos(dec) - y * np.sin(dec)
    turn = ra - ra_new + np.arctan2(x, depth)
    up = (np.sin(dec) + y * np.cos(dec)) / np.hypot(x, depth)
    below = np.sin(dec_new) * up + np.cos(dec_new) * np.cos(turn)
    north = (np.cos(dec_new) * up - np.sin(dec_new) * np.cos(turn)) / below
    return np.sin(turn) / below / arcsec, north / arcsec


def _flags(result: Comparison, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> None:
    a, b = a.astype(np.int64), b.astype(np.int64)
    for bit in range(32):
        in_a, in_b = (a >> bit) & 1 == 1, (b >> bit) & 1 == 1
        if not (in_a.any() or in_b.any()):
            continue
        only_a, only_b = int((in_a & ~in_b).sum()), int((in_b & ~in_a).sum())
        result.judge(
            Line(f"FLAG bit {bit}", (only_a + only_b) / len(a), "of matched", TOLERANCES["flag"],
                 f"set in both {int((in_a & in_b).sum()):,}, only A {only_a:,}, only B {only_b:,}"),
            f"flag bit {bit}: {only_a:,} events have it only in A, {only_b:,} only in B",
        )  # fmt: skip


def _times(result: Comparison, name: str, a: dict[int, float], b: dict[int, float]) -> None:
    ratio = {ccd: b[ccd] / a[ccd] - 1 for ccd in sorted(a.keys() & b.keys()) if a[ccd] > 0}
    if not ratio:
        return
    for ccd, change in ratio.items():
        result.lines.append(
            Line(f"{name}, CCD {ccd}", change, "of A", TOLERANCES["time_fraction"],
                 f"A {a[ccd]:.1f} s, B {b[ccd]:.1f} s")
        )  # fmt: skip
    wrong = {ccd: change for ccd, change in ratio.items() if abs(change) > TOLERANCES["time_fraction"]}
    if len(wrong) == len(ratio) and np.ptp(list(wrong.values())) < TOLERANCES["time_fraction"]:
        result.findings.append(percent(name, float(np.median(list(wrong.values())))))
    else:
        result.findings += [percent(f"{name} of CCD {ccd}", change) for ccd, change in wrong.items()]


def percent(name: str, change: float) -> str:
    """A relative difference in words.

    Parameters
    ----------
    name
        What differs.
    change
        B over A, less 1.

    Examples
    --------
    >>> percent("good time", -0.021)
    'good time 2.1 % lower in B'
    """
    return f"{name} {100 * abs(change):.1f} % {'higher' if change > 0 else 'lower'} in B"
