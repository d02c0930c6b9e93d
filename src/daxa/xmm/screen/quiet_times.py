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
Cards = dict[str, tuple[float | int, str]]


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
        return float((good & self.exposed).sum() / self.exposed.sum())


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
        share = curves.share(self.good)
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
            "ELOW": (int(band[0]), "[eV] Min energy channel"),
            "EHIGH": (int(band[1]), "[eV] Max energy channel"),
        }
        if self.fit is not None:
            cards["NORM"] = (self.fit.quiet.norm, "Fit Normalization")
            cards["WIDTH"] = (self.fit.quiet.sigma, "[c/s] Fit Width")
            cards["CENTER"] = (self.fit.quiet.centre, "[c/s] Fit Center")
        if self.check is not None and np.isfinite(self.check.ratio):
            cards["INOUT"] = (self.check.ratio, "8-12 keV, field beyond 10 arcmin over corners")
            cards["INOUTERR"] = (self.check.error, "error of INOUT")
        accepted = self.good & curves.exposed
        if accepted.any():
            rate = float(curves.corner[accepted].mean())
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
    good = good & curves.exposed
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
    for k, one in enumerate(fit.passes, start=1):
        lines.append(
            f"***** amoeba {k}: low = {one.low + 1:4d} peak = {one.peak + 1:4d} high = {one.high + 1:4d}"
        )
        for name, at in (("start parms", one.start), ("rl", one.found)):
            lines.append(f" {k} {name} = {at.norm:9.3f}{at.centre:9.3f}{at.sigma:9.3f}")
    quiet = fit.quiet
    lines.append(
        f"WRITE_QDP_GTI: Norm = {quiet.norm:9.3f} Width = {quiet.sigma:9.3f} Center = {quiet.centre:9.3f}"
    )
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
