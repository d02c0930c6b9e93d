"""Two images, exposure maps, sets of good times or attitudes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from daxa.compare.events import percent
from daxa.compare.statistics import describe, uncertainty
from daxa.compare.verdict import Comparison, Line, NotComparableError

#: What is tolerated of images, good times and attitudes.
TOLERANCES = {
    "total": 0.01,
    "reference_arcsec": 0.1,
    "content_pixels": 0.5,
    "ring": 0.01,
    "exposure": 0.005,
    "good_time": 0.001,
    "edges_s": 0.01,
    "attitude_arcsec": 0.1,
    "angle_arcsec": 5.0,
}
_RINGS_ARCMIN = (0, 3, 6, 9, 12, 15, 20)


@dataclass
class ImageData:
    """An image, its sky position and what its pixels are.

    Attributes
    ----------
    pixels
        Shape (rows, columns).
    off_axis_arcmin
        Distance of each pixel from the pointing, same shape.
    centre
        Sky position of the middle [deg].
    step_arcsec
        Size of a pixel.
    counts
        Whether it holds counts (an image) or not (an exposure map).
    """

    pixels: npt.NDArray[np.float64]
    off_axis_arcmin: npt.NDArray[np.float64]
    centre: tuple[float, float]
    step_arcsec: float
    counts: bool


def compare_images(a: ImageData, b: ImageData, name_a: str = "A", name_b: str = "B") -> Comparison:
    """Compare two images or exposure maps pixel by pixel, and their ratio by off-axis angle.

    Parameters
    ----------
    a, b
        Two images of counts or two exposure maps.
    name_a, name_b
        What they are called, e.g. their files.

    Raises
    ------
    NotComparableError
        They have another number or size of pixels, or only one of them holds counts.
    """
    if a.pixels.shape != b.pixels.shape or not np.isclose(a.step_arcsec, b.step_arcsec, rtol=1e-4):
        raise NotComparableError(
            f"images of {a.pixels.shape} pixels of {a.step_arcsec:.3f} arcsec and of "
            f"{b.pixels.shape} pixels of {b.step_arcsec:.3f} arcsec are not comparable"
        )
    if a.counts != b.counts:
        raise NotComparableError("an image of counts and an exposure map are not comparable")
    result = Comparison("image" if a.counts else "exposure map", name_a, name_b)
    east = (b.centre[0] - a.centre[0] + 180) % 360 - 180
    shift = 3600 * np.array([east * np.cos(np.deg2rad(a.centre[1])), b.centre[1] - a.centre[1]])
    parts = f"RA {shift[0]:+.1f}, Dec {shift[1]:+.1f}"
    distance = float(np.hypot(*shift))
    result.judge(
        Line("sky position of the pixels", distance, "arcsec", TOLERANCES["reference_arcsec"], parts),
        f"positions are shifted by {distance:.1f} arcsec ({parts})",
    )
    pa, pb = np.nan_to_num(a.pixels), np.nan_to_num(b.pixels)
    (_counts if a.counts else _exposures)(result, pa, pb)
    _content(result, pa, pb, a.step_arcsec)
    result.groups["by off-axis angle"] = _rings(result, a, pa, pb)
    result.plots = {"image A": pa, "image B": pb}
    return result


def _content(result: Comparison, a: Any, b: Any, step_arcsec: float) -> None:
    """Judge where in the pixels the sky is, by the shift at which both images are most alike."""
    x, y = content_shift(a, b)
    shift = float(np.hypot(x, y))
    parts = f"{x:+.1f} columns, {y:+.1f} rows"
    result.judge(
        Line("shift of the content", shift, "pixel", TOLERANCES["content_pixels"], parts),
        f"the content is shifted by {shift * step_arcsec:.1f} arcsec ({parts})",
    )


def content_shift(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> tuple[float, float]:
    """Columns and rows by which the content of B is shifted against A: the peak of their correlation.

    To a fraction of a pixel, by a parabola through the peak and its neighbours; 0 where one is empty.

    Parameters
    ----------
    a, b
        Pixels, shape (rows, columns), the same for both.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.zeros((8, 8))
    >>> a[2, 3] = 1.0
    >>> content_shift(a, np.roll(a, 2, axis=1))
    (2.0, 0.0)
    """
    one, two = (v - v.mean() for v in (np.asarray(a, float), np.asarray(b, float)))
    if not one.any() or not two.any():
        return 0.0, 0.0
    product = np.conj(np.fft.rfft2(one)) * np.fft.rfft2(two)
    likeness = np.fft.irfft2(product, s=one.shape)
    peak = np.unravel_index(int(np.argmax(likeness)), likeness.shape)
    shift = []
    for axis, (place, size) in enumerate(zip(peak, likeness.shape, strict=True)):
        line = np.take(likeness, peak[1 - axis], axis=1 - axis)
        low, middle, high = (float(line[(place + d) % size]) for d in (-1, 0, 1))
        bend = low - 2 * middle + high
        part = 0.5 * (low - high) / bend if bend < 0 else 0.0
        shift.append((place + part + size / 2) % size - size / 2)
    return float(shift[1]), float(shift[0])


def _counts(result: Comparison, a: Any, b: Any) -> None:
    total_a, total_b = float(a.sum()), float(b.sum())
    change = total_b / total_a - 1 if total_a else float(total_b > 0)
    note = f"A {total_a:,.0f}, B {total_b:,.0f}"
    result.judge(Line("counts", change, "of A", TOLERANCES["total"], note), percent("counts", change))
    moved = float(np.abs(a - b).sum() / 2)
    worst = f"{int((a != b).sum()):,} pixels differ, worst {np.abs(b - a).max():g}"
    result.judge(Line("counts in another pixel", moved / max(total_a, 1.0), "of A", None, worst))


def _exposures(result: Comparison, a: Any, b: Any) -> None:
    both = (a > 0.01 * a.max()) & (b > 0.01 * b.max())
    what = describe(b[both] / a[both] - 1)
    note = f"spread {what['spread']:.2g}, worst {what['worst']:+.2g}, in {int(both.sum()):,} pixels"
    words = percent("exposure", what["median"])
    result.judge(Line("exposure", what["median"], "of A", TOLERANCES["exposure"], note), words)
    alone = int(((a > 0) != (b > 0)).sum()) / max(int((a > 0).sum()), 1)
    words = f"{100 * alone:.1f} % of the pixels are exposed in one map only"
    result.judge(Line("pixels exposed in one only", alone, "of A", TOLERANCES["total"]), words)


def _rings(result: Comparison, image: ImageData, a: Any, b: Any) -> list[dict[str, Any]]:
    rows = []
    for low, high in pairwise(_RINGS_ARCMIN):
        ring = (image.off_axis_arcmin >= low) & (image.off_axis_arcmin < high)
        sum_a, sum_b = float(a[ring].sum()), float(b[ring].sum())
        if sum_a <= 0:
            continue
        change = sum_b / sum_a - 1
        allowed = TOLERANCES["ring"] + (2 / np.sqrt(sum_a) if image.counts else 0.0)
        label = f"{low} to {high} arcmin"
        rows.append({"group": label, "A": sum_a, "B": sum_b, "B/A": sum_b / sum_a})
        result.judge(Line(f"ratio at {label}", change, "", allowed), percent(f"sum at {label}", change))
    return rows


def compare_good_times(
    a: dict[str, npt.NDArray[Any]], b: dict[str, npt.NDArray[Any]], name_a: str = "A", name_b: str = "B"
) -> Comparison:
    """Compare good-time intervals, each an array of shape (n, 2) [s], by the name of their table.

    Parameters
    ----------
    a, b
        Name of the table -> starts and stops [s].
    name_a, name_b
        What they are called, e.g. their files.
    """
    result = Comparison("good times", name_a, name_b)
    if len(a) == len(b) == 1:
        a, b = {"GTI": next(iter(a.values()))}, {"GTI": next(iter(b.values()))}
    for this, names in (("B", a.keys() - b.keys()), ("A", b.keys() - a.keys())):
        words = f"missing in {this}: {', '.join(sorted(names))}"
        result.judge(Line(f"tables missing in {this}", len(names), "", 0), words)
    for name in sorted(a.keys() & b.keys()):
        one, two = (np.diff(gti, axis=1).sum() for gti in (a[name], b[name]))
        note = f"A {one:.1f} s in {len(a[name])}, B {two:.1f} s in {len(b[name])} intervals"
        change = float(two / one - 1) if one else float(two > 0)
        words = percent(f"good time of {name}", change)
        result.judge(Line(f"{name}, good time", change, "of A", TOLERANCES["good_time"], note), words)
        if len(a[name]) == len(b[name]) and len(a[name]):
            what = describe((b[name] - a[name]).ravel())
            words = f"times of {name} differ by {what['median']:+.1f} s"
            result.judge(Line(f"{name}, edges", what["median"], "s", TOLERANCES["edges_s"],
                              f"worst {what['worst']:+.3g} s"), words)  # fmt: skip
    return result


def compare_attitudes(
    a: dict[str, npt.NDArray[Any]], b: dict[str, npt.NDArray[Any]], name_a: str = "A", name_b: str = "B"
) -> Comparison:
    """Compare two attitude series (TIME [s], AHFRA, AHFDEC, AHFPA [deg]) at the times of A.

    Parameters
    ----------
    a, b
        Columns by name, shape (n,) and (m,).
    name_a, name_b
        What they are called, e.g. their files.

    Raises
    ------
    NotComparableError
        They have no time in common.
    """
    good = np.isfinite(b["AHFRA"]) & np.isfinite(b["TIME"])
    time = b["TIME"][good]
    if not len(time) or not len(a["TIME"]):
        raise NotComparableError("an attitude file without values is not comparable")
    inside = (a["TIME"] >= time.min()) & (a["TIME"] <= time.max()) & np.isfinite(a["AHFRA"])
    if not inside.any():
        raise NotComparableError("the attitude files have no time in common")
    result = Comparison("attitude", name_a, name_b)
    at = a["TIME"][inside]

    def turn(name: str, period: float = 360.0) -> npt.NDArray[Any]:
        other = np.interp(at, time, np.rad2deg(np.unwrap(np.deg2rad(b[name][good]))))
        return 3600 * ((other - a[name][inside] + period / 2) % period - period / 2)

    east = turn("AHFRA") * np.cos(np.deg2rad(a["AHFDEC"][inside]))
    north, angle = turn("AHFDEC"), turn("AHFPA")
    one, two, three = describe(east), describe(north), describe(angle)
    shift = float(np.hypot(one["median"], two["median"]))
    parts = f"RA {one['median']:+.1f}, Dec {two['median']:+.1f}"
    worst = float(np.max(np.hypot(east, north)))
    spread = f"spread {max(one['spread'], two['spread']):.2g}, worst {worst:.2g} arcsec"
    allowed = TOLERANCES["attitude_arcsec"] + 4 * float(np.hypot(uncertainty(one), uncertainty(two)))
    result.judge(Line("pointing", shift, "arcsec", allowed, f"{parts}; {spread}"),
                 f"the pointing is shifted by {shift:.1f} arcsec ({parts})")  # fmt: skip
    result.judge(
        Line("position angle", three["median"], "arcsec", TOLERANCES["angle_arcsec"],
             f"spread {three['spread']:.2g}, worst {three['worst']:+.2g} arcsec"),
        f"position angles differ by {three['median']:+.1f} arcsec",
    )  # fmt: skip
    ends = max(abs(b["TIME"][0] - a["TIME"][0]), abs(b["TIME"][-1] - a["TIME"][-1]))
    result.judge(Line("start and end", float(ends), "s"))
    every = max(1, len(at) // 5000)
    series = {"RA [arcsec]": east, "Dec [arcsec]": north, "PA [arcsec]": angle}
    result.plots = {k: v[::every] for k, v in series.items()}
    result.plots["at"] = {"TIME": at[::every]}
    return result
