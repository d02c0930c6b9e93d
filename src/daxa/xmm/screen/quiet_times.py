"""Quiet times of an event list: light curves judged, what is accepted held against the corners, and written.

Source: espfilt task manual, ESAS cookbook, and the log of a real espfilt 4.3 run for the sequence of calls,
the selections and the histogram. The quiet level is found in the light curve of the field of view. What it
accepts is compared with the corners, and refused if it is not a quiet time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from daxa.xmm.event.gti import GTI
from daxa.xmm.screen import flares
from daxa.xmm.screen.contamination import Contamination, contamination

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Cards = dict[str, tuple[float, str]]


@dataclass(frozen=True)
class Curves:
    """Light curves of an exposure in steps of a second.

    Attributes
    ----------
    time_s
        Middle of each step, mission time.
    field, corner
        Rates of the field of view and of the corners [ct/s].
    exposed
        Steps inside the good times of the list.
    """

    time_s: FloatArray
    field: FloatArray
    corner: FloatArray
    exposed: BoolArray

    def intervals(self, steps: BoolArray) -> GTI:
        """Intervals of the steps that are marked.

        Parameters
        ----------
        steps
            The marks, one per second.
        """
        return flares.intervals(self.time_s, steps, 1.0)

    def share(self, good: BoolArray) -> float:
        """Share of the exposed time that is good.

        Parameters
        ----------
        good
            The marks, one per second.
        """
        return self.intervals(good).total / self.intervals(self.exposed).total


@dataclass(frozen=True)
class Screening:
    """Which steps of the light curves are accepted, and why.

    Attributes
    ----------
    good
        Per step of the light curves: accepted.
    fit
        Fit of the quiet level, by the histogram method.
    check
        Comparison of the accepted time with the corners, by the same.
    """

    good: BoolArray
    fit: flares.FlareFit | None = None
    check: Contamination | None = None

    def objection(self, curves: Curves) -> str:
        """Why the accepted time is not a quiet time; empty if it is one.

        Parameters
        ----------
        curves
            The light curves.
        """
        if self.check is None:
            return ""
        share = self.good.sum() / curves.exposed.sum()
        if not self.check.refuses(share):
            return ""
        return (
            f"beyond 10 arcmin the field is {self.check.ratio:.2f} +- {self.check.error:.2f} times as bright "
            f"as the corners in the {share:.0%} of the time that would be accepted; some "
            f"{self.check.protons:.0%} of its counts are protons"
        )

    def without_times(self) -> Screening:
        """The same with nothing accepted."""
        none = np.zeros(len(self.good), bool)
        return replace(self, good=none, fit=self.fit and replace(self.fit, good=none))

    def cards(self, band: tuple[float, float], curves: Curves) -> Cards:
        """Keywords of the products: energies [eV], fit, and rates of the corners.

        Parameters
        ----------
        band
            Lower and upper energy of the light curve [eV].
        curves
            The light curves.
        """
        cards: Cards = {
            "ELOW": (band[0], "[eV] lower energy of the light curve"),
            "EHIGH": (band[1], "[eV] upper energy of the light curve"),
        }
        if self.fit is not None:
            cards["NORM"] = (self.fit.norm, "height of the Gaussian")
            cards["WIDTH"] = (self.fit.sigma, "[ct/s] sigma of the Gaussian")
            cards["CENTER"] = (self.fit.centre, "[ct/s] centre of the Gaussian")
        if self.check is not None and np.isfinite(self.check.ratio):
            cards["INOUT"] = (self.check.ratio, "8-12 keV, field beyond 10 arcmin over corners")
            cards["INOUTERR"] = (self.check.error, "error of INOUT")
        if self.good.any():
            rate = float(curves.corner[self.good].mean())
            cards["CORRATE"] = (rate, "[ct/s] corners in the accepted time")
        return cards


def against_corners(
    curves: Curves,
    good: BoolArray,
    outer_s: FloatArray,
    corner_s: FloatArray,
    areas: tuple[float, float, float],
    band: tuple[float, float],
) -> Contamination:
    """Compare the accepted time of the outer field with the corners.

    The particles' rate hardly changes in an exposure: corners are poor in counts, and all of theirs are used.

    Parameters
    ----------
    curves, good
        Light curves, and their accepted steps.
    outer_s, corner_s
        Times of the hard events of the outer field and of the corners, mission time.
    areas
        Area times live time of the field of view, its outer part and the corners.
    band
        Energies of the light curve [eV].
    """
    accepted, observed = curves.intervals(good), curves.intervals(curves.exposed)
    if min(areas) > 0 and accepted.total > 0:
        exposure_ratio, share = areas[2] * observed.total / (areas[1] * accepted.total), areas[1] / areas[0]
    else:
        exposure_ratio = share = np.nan
    return contamination(
        int(accepted.contains(outer_s).sum()),
        int(observed.contains(corner_s).sum()),
        exposure_ratio,
        float(curves.field[good].sum()),
        band,
        share,
    )


def report(fit: flares.FlareFit) -> list[str]:
    """Lines of the log on a fit, as espfilt prints them.

    Parameters
    ----------
    fit
        The fit.
    """
    lines = []
    for k, (low, peak, high, begin, found) in enumerate(fit.passes, start=1):
        lines.append(f"***** amoeba {k}: low = {low + 1:4d} peak = {peak + 1:4d} high = {high + 1:4d}")
        lines.append(f" {k} start parms = {begin[0]:9.3f}{begin[1]:9.3f}{begin[2]:9.3f}")
        lines.append(f" {k} rl = {found[0]:9.3f}{found[1]:9.3f}{found[2]:9.3f}")
    lines.append(f"WRITE_QDP_GTI: Norm = {fit.norm:9.3f} Width = {fit.sigma:9.3f} Center = {fit.centre:9.3f}")
    return lines


def gti_text(gti: GTI) -> str:
    r"""Good times as gtibuild reads them.

    Parameters
    ----------
    gti
        The good times.

    Examples
    --------
    >>> gti_text(GTI([10.0], [25.5]))
    '10.000000 25.500000 +\n'
    >>> gti_text(GTI())
    '0.0 0.0000001 +\n'
    """
    # gtibuild takes an empty file for "all good"; an interval of no length keeps "nothing" nothing.
    rows = [f"{a:.6f} {b:.6f} +" for a, b in zip(gti.start, gti.stop, strict=True)] or ["0.0 0.0000001 +"]
    return "\n".join(rows) + "\n"


def qdp_text(found: Screening, curves: Curves, bin_s: int) -> str:
    """The histogram with its fit, and the two light curves in bins, as a QDP file.

    Parameters
    ----------
    found
        What was found.
    curves
        The light curves.
    bin_s
        Length of the bins [s].
    """
    lines = ["READ SERR 2"]
    fit = found.fit
    if fit is not None:
        lines.insert(0, f"! CENTER {fit.centre:.6f} WIDTH {fit.sigma:.6f} NORM {fit.norm:.6f}")
        lines.insert(1, f"! LOW {fit.low:.6f} HIGH {fit.high:.6f}")
        seen = fit.histogram.counts > 0
        model = flares.gaussian(fit.histogram.rate, fit.norm, fit.centre, fit.sigma)
        for x, y, m in zip(fit.histogram.rate[seen], fit.histogram.counts[seen], model[seen], strict=True):
            lines.append(f"{x:.5f} {y:.1f} {max(y, 1) ** 0.5:.3f} {m:.3f}")
        lines.append("NO NO NO NO")
    start = curves.time_s[0] if len(curves.time_s) else 0.0
    block = ((curves.time_s - start) // bin_s).astype(int)
    number = np.maximum(np.bincount(block), 1) if len(block) else np.array([])
    for series in (curves.field, curves.corner):
        mean = np.bincount(block, series) / number if len(block) else number
        accepted = np.bincount(block, found.good) / number if len(block) else number
        for k, (value, share) in enumerate(zip(mean, accepted, strict=True)):
            lines.append(
                f"{(k + 0.5) * bin_s:.1f} {value:.5f} {(max(value, 0) / bin_s) ** 0.5:.5f} {share:.3f}"
            )
        lines.append("NO NO NO NO")
    return "\n".join(lines) + "\n"
