"""What the events of a camera tell of its energies: spectra, fluorescence lines, patterns.

Energies are in eV; arrays of events have one element per event.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.formats.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration

IntArray = npt.NDArray[np.integer]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Range and width of the bins of a spectrum.
SPECTRUM_EV = (200, 12000, 20)
#: K-alpha and L-alpha energies, K-alpha 1 and 2 weighted 2:1. Source: X-ray Data Booklet, table 1-2.
LABORATORY = {
    "Al Kα": 1486.6,
    "Si Kα": 1739.8,
    "Cr Kα": 5411.6,
    "Mn Kα": 5895.1,
    "Fe Kα": 6399.5,
    "Ni Kα": 7472.4,
    "Cu Kα": 8041.1,
    "Zn Kα": 8631.2,
    "Au Lα": 9713.3,
}
#: Lines that the surroundings of each detector send out.
LINES = {
    "M": ("Al Kα", "Si Kα", "Cr Kα", "Mn Kα", "Fe Kα", "Au Lα"),
    "P": ("Al Kα", "Cr Kα", "Ni Kα", "Cu Kα", "Zn Kα"),
}
#: Patterns by the number of pixels.
PATTERNS = {"single": (0, 0), "double": (1, 4), "triple": (5, 8), "quadruple": (9, 12)}
#: A line counts as measured where its counts are this many times their error.
_SIGNIFICANT = 5.0


def spectrum(pi: IntArray) -> IntArray:
    """Counts in the bins of `SPECTRUM_EV`.

    Parameters
    ----------
    pi
        Energies [eV].
    """
    low, high, width = SPECTRUM_EV
    return np.histogram(pi, bins=np.arange(low, high + width, width))[0]


@dataclass(frozen=True)
class Line:
    """A fluorescence line as it was measured.

    Attributes
    ----------
    name, laboratory
        Which line, and where it should be [eV].
    energy, error
        Where it is [eV]; None where it does not stand out.
    width
        Its sigma [eV].
    counts
        Counts in it.
    """

    name: str
    laboratory: float
    energy: float | None = None
    error: float | None = None
    width: float | None = None
    counts: float | None = None

    @property
    def shift(self) -> float | None:
        """Measured minus laboratory energy [eV]."""
        return None if self.energy is None else self.energy - self.laboratory


def measure_lines(pi: IntArray, inst: str) -> list[Line]:
    """Energies of the fluorescence lines of a camera.

    Parameters
    ----------
    pi
        Energies of the events of the whole detector, corners included [eV].
    inst
        Camera: M1, M2 or PN.
    """
    return [measure_line(pi, name) for name in LINES.get(inst[:1], ())]


def measure_line(pi: IntArray, name: str, width: int = 15) -> Line:
    """Fit a Gaussian on a sloping continuum to one line.

    Parameters
    ----------
    pi
        Energies [eV].
    name
        The line, one of `LABORATORY`.
    width
        Width of the bins [eV].

    Notes
    -----
    Counts are fitted by least squares, weighted with the errors of the counts of the bins. Half the window is
    130 eV at 1.5 keV, so that aluminium and silicon are apart, and 280 eV at 8 keV.
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    at = LABORATORY[name]
    nothing = Line(name, at)
    half = 100 + 0.0223 * at
    counts, edges = np.histogram(pi, bins=np.arange(at - half, at + half + width, width))
    if counts.sum() < 50:
        return nothing
    middle = (edges[:-1] + edges[1:]) / 2 - at
    level = float(np.median(counts))
    start = [max(float(counts.max()) - level, 1.0), 0.0, 30 + 0.005 * at, level, 0.0]
    error = np.sqrt(np.maximum(counts, 1))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            # Without bounds, which would cost ten times as much; what is out of bounds is refused below.
            best, covariance = curve_fit(_line, middle, counts, start, error, absolute_sigma=True, maxfev=400)
    except (RuntimeError, ValueError):
        return nothing
    best[2] = abs(best[2])
    error = np.sqrt(np.abs(np.diag(covariance)))
    at_edge = abs(best[1]) > 0.45 * half or not 12 < best[2] < 0.45 * half
    if not np.isfinite(error[:3]).all() or best[0] < _SIGNIFICANT * error[0] or at_edge:
        return nothing
    area = best[0] * best[2] * np.sqrt(2 * np.pi) / width
    return Line(name, at, at + float(best[1]), float(error[1]), float(best[2]), float(area))


def _line(
    x: FloatArray, height: float, centre: float, sigma: float, level: float, slope: float
) -> FloatArray:
    return np.asarray(height * np.exp(-0.5 * ((x - centre) / sigma) ** 2) + level + slope * x)


@dataclass(frozen=True)
class PatternFractions:
    """Shares of the patterns against energy.

    Attributes
    ----------
    energy : (n,) array
        Middle of each bin [eV].
    events : (n,) array
        Events in it.
    fractions
        Name of a pattern -> (n,) array; only patterns that the list holds.
    """

    energy: FloatArray
    events: IntArray
    fractions: dict[str, FloatArray]


def pattern_fractions(pi: IntArray, pattern: IntArray, bins: int = 28, least: int = 25) -> PatternFractions:
    """Shares of single, double, triple and quadruple events.

    Parameters
    ----------
    pi
        Energies [eV].
    pattern
        PATTERN, 0 to 12.
    bins
        Bins between 0.3 and 12 keV, equally wide in the logarithm.
    least
        Bins with fewer events are left out.
    """
    edges = np.geomspace(300, 12000, bins + 1)
    kinds = {name: (pattern >= low) & (pattern <= high) for name, (low, high) in PATTERNS.items()}
    counts = {name: np.histogram(pi[chosen], edges)[0] for name, chosen in kinds.items() if chosen.any()}
    total = sum(counts.values(), np.zeros(bins, int))
    kept = total >= least
    middle = np.sqrt(edges[:-1] * edges[1:])
    return PatternFractions(
        middle[kept], total[kept], {name: n[kept] / total[kept] for name, n in counts.items()}
    )


def expected_shares(calibration: Calibration, inst: str, points: int = 60) -> dict[str, list[float]]:
    """Shares of the patterns of X-rays by the efficiencies of the CCD on the axis.

    Parameters
    ----------
    calibration
        That of the observation.
    inst
        Camera: M1, M2 or PN.
    points
        Energies between 0.3 and 12 keV, equally wide in the logarithm.

    Returns
    -------
    shares
        ``energy`` [eV], and the name of each pattern that the calibration knows -> share among these.

    Raises
    ------
    TaskError
        The file of the efficiencies is not there, or has none by pattern.
    """
    from daxa.xmm.response.patterns import pattern_efficiencies

    energy = np.geomspace(300, 12000, points)
    curves = pattern_efficiencies(calibration, INSTRUMENTS[inst], 4 if inst == "PN" else 1, energy)
    total = np.sum(list(curves.values()), axis=0)
    shares = {n: np.divide(c, total, out=np.zeros_like(c), where=total > 0) for n, c in curves.items()}
    return {"energy": energy.round(1).tolist()} | {n: s.round(4).tolist() for n, s in shares.items()}
