"""The file of the histogram: its Gaussian and the light curves, to be plotted with QDP.

Source: such files that espfilt 4.3 (SAS 20) left; every row of data is as there. Not written are four numbers
(h_imme, h_totl, l_imme, l_totl) that compare histogram and fit in a way that is not public.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.xmm.screen.flares import FlareFit, bin_means

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_HEAD = """ viewport 0.05 0.05 0.98 0.89
 font roman
 cs 1.0
 skip sing
 gap errors
 col 1 on 1
 col 3 on 2
 col 1 on 3
 col 3 on 4
 col 1 on 5
 col 3 on 6
 col 2 on 7
 col 4 on 8
 line step 2
 read serr 2
 read serr 4
 read serr 5
 read serr 6
 read serr 7"""
#: Columns that a row leaves empty: the histogram with error and its fit; both curves, whole and accepted,
#: with errors; the limits of the rate and of the fit.
_EMPTY = (" -1.0  0.0", " -1.0", *[" -1.0  0.0"] * 4, " -1.0", " -1.0")
_HISTOGRAM, _FIT, _LIMITS, _WINDOW = 0, 1, 6, 7


def _row(x: float, values: dict[int, tuple[float, ...]]) -> str:
    cells = ["".join(f"{v:10.3f}" for v in values[k]) if k in values else e for k, e in enumerate(_EMPTY)]
    return f"{x:15.3f}" + "".join(cells)


def _curve(rate: FloatArray, good: BoolArray, bin_s: int, column: int) -> tuple[list[str], float]:
    """Rows of a light curve in bins, whole and what is accepted of it; the upper end of its axis."""
    edges = np.minimum(np.arange(0, len(rate) + bin_s, bin_s), len(rate))
    edges = edges[: -(-len(rate) // bin_s) + 1]
    length = np.diff(edges)
    mean = bin_means(rate, bin_s)
    error = np.sqrt(np.maximum(mean, 0) * length) / length
    middle = (edges[:-1] + edges[1:]) / 2
    accepted = bin_means(good.astype(float), bin_s) > 0
    rows = []
    for k, wanted in ((column, np.ones(len(mean), bool)), (column + 1, accepted)):
        points = zip(middle[wanted], mean[wanted], error[wanted], strict=True)
        rows += [_row(t, {k: (value, spread)}) for t, value, spread in points]
    return rows, float((mean + error)[int(np.argmax(mean))])


def _histogram(fit: FlareFit, top: float) -> tuple[list[str], list[str]]:
    """Rows of the histogram, and of the lines that show limits and window."""
    histogram = fit.histogram
    model = fit.quiet(histogram.rate)
    points = zip(histogram.rate[:-1], histogram.counts[:-1], model[:-1], strict=True)
    rows = [_row(x, {_HISTOGRAM: (n, n**0.5), _FIT: (m,)}) for x, n, m in points]
    lines = []
    window = (histogram.rate[fit.passes[-1].low], histogram.rate[fit.passes[-1].high])
    for column, (low, high) in ((_LIMITS, (fit.low, fit.high)), (_WINDOW, window)):
        lines += [_row(x, {column: (y,)}) for x, y in ((low, 0), (low, top), (high, top), (high, 0))]
    return rows, lines


def qdp_text(
    fit: FlareFit | None, field: FloatArray, corner: FloatArray, good: BoolArray, bin_s: int, obs_id: str
) -> str:
    """The file.

    Parameters
    ----------
    fit
        None where no quiet level was found: then only the light curves are there.
    field, corner : (n,) arrays
        Light curves in steps of a second [ct/s]; the last step, which is covered in part, is left out.
    good : (n,) bool array
        Accepted steps.
    bin_s
        Seconds per bin of the curves.
    obs_id
        Observation, for a label.
    """
    field, corner, good = field[:-1], corner[:-1], good[:-1]
    curve, top = _curve(field, good, bin_s, 2)
    corners, corner_top = _curve(corner, good, bin_s, 4)
    rows: list[str] = []
    lines: list[str] = []
    head = [_HEAD]
    if fit is not None:
        peak, quiet = float(fit.histogram.counts.max()), fit.quiet
        height, right = 1.1 * (peak + 1.1 * peak**0.5), max(5.0, 2 * quiet.centre)
        rows, lines = _histogram(fit, 1.05 * height)
        labels = [f"Fit Norm:{quiet.norm:8.1f}", f"Fit Width:{quiet.sigma:8.3f} c/s"]
        labels.append(f"Fit Center:{quiet.centre:8.3f} c/s")
        head += [
            " win 1",
            " yplot 1 2",
            " loc 0.03 0.72 0.97 1.0",
            " lab x Count Rate (counts/s)",
            " la y N",
            f" r x1 0 {right:.6f}",
            f" r y1 0 {height:.6f}",
            f' la 1 p {right / 2:.6f} {0.9 * height:.6f} "Count Rate Histogram"',
            f' la 11 p {0.02 * right:.6f} {0.9 * height:.6f} cs 0.6 just left "Fit Lims: Blue"',
            f' la 12 p {0.02 * right:.6f} {0.8 * height:.6f} cs 0.6 just left "Select Lims: Red"',
            f' la 13 p {0.8 * right:.6f} {1.05 * height:.6f} cs 0.8 just left "ObsID: {obs_id}"',
            *(
                f'la {k} p {0.78 * right:10.4f} {(2.3 - 0.1 * k) * height:9.2f} cs 0.8 just left "{label}"'
                for k, label in enumerate(labels, start=14)
            ),
        ]
    head += [
        " win 2",
        " yplot 3 4",
        " loc 0.03 0.39 0.97 0.67",
        " la x Time (s)",
        " la y Count Rate (counts/s)",
        f" r x2 0 {len(field):.6f}",
        f" r y2 0.1 {top:.6f}",
        f' la 2 p {len(field) / 2:.6f} {top / 2:.6f} "FOV Light Curve"',
        " log y",
        " win 3",
        " yplot 5 6",
        " loc 0.03 0.06 0.97 0.34",
        " la x Time (s)",
        " la y Count Rate (counts/s)",
        f" r x3 0 {len(field):.6f}",
        f" r y3 0.0 {corner_top:.6f}",
        f' la 3 p {len(field) / 2:.6f} {0.9 * corner_top:.6f} "Corner Light Curve"',
    ]
    return "\n".join([*head, *rows, *curve, *corners, *lines]) + "\n"
