"""Protons left in the accepted time: the field of view against the corners, which they hardly reach.

Source: De Luca & Molendi 2004 (A&A 419, 837): the surface brightness at high energies inside the field of
view, away from its centre, over that outside of it is 1 for particles alone. They call an exposure clean
below 1.15, slightly contaminated below 1.3, very below 1.5, extremely above.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daxa.xmm.image.exposure import good_pixel_map, read_window

if TYPE_CHECKING:
    from daxa.xmm.fits.file import FitsFile
    from daxa.xmm.select.expression import Selection
    from daxa.xmm.sky.geometry import CameraGeometry

#: Energies at which mirrors collect little [eV].
BAND = (8000, 12000)
#: Inner radius of the part of the field that is looked at, 10 arcmin, in 0.05 arcsec.
ANNULUS_RADIUS = 12000
#: What De Luca & Molendi call an exposure with a ratio below these.
_LEVELS = ((1.15, "clean"), (1.3, "slightly contaminated"), (1.5, "very contaminated"))
#: Index of the protons' power law in counts; ESAS models them so (examples in its cookbook: 0.1 to 1.0).
PROTON_INDEX = 0.9
#: An exposure that keeps this share of its time had a quiet level.
MOST_TIME = 0.7
#: Share of protons in accepted counts that the feet of flares do not reach (0.3 at most in simulations).
MOST_PROTONS = 1 / 3


@dataclass(frozen=True)
class Contamination:
    """Surface brightness inside over outside of the field of view.

    Attributes
    ----------
    field, corner
        Counts in the outer field in the accepted time, and in the corners.
    ratio, error
        Ratio of surface brightness and its statistical error; NaN without counts or area.
    protons
        Estimated share of protons in all accepted counts of the light curve.
    """

    field: int
    corner: int
    ratio: float
    error: float
    protons: float

    @property
    def level(self) -> str:
        """What De Luca & Molendi call it."""
        return next((name for limit, name in _LEVELS if self.ratio < limit), "extremely contaminated")

    def exceeds(self, limit: float) -> bool:
        """Whether the ratio exceeds a limit by more than three times its error.

        Parameters
        ----------
        limit
            The limit.
        """
        return self.ratio - 3.0 * self.error > limit

    def refuses(self, share: float) -> bool:
        """Whether the accepted share of an exposure was not a quiet time, but a steady stretch of a flare.

        An exposure that keeps most of its time is not refused: then its level is that of a bright source, or
        of a contamination that nothing else in it shows. Nor is one with a bright source, in whose counts
        protons are few.

        Parameters
        ----------
        share
            Accepted part of the exposure, from 0 to 1.
        """
        return self.exceeds(_LEVELS[0][0]) and share < MOST_TIME and self.protons > MOST_PROTONS


def power_law_counts(low_ev: float, high_ev: float, index: float = PROTON_INDEX) -> float:
    """Counts of a power law in a band, but for a factor; any index but 1.

    Parameters
    ----------
    low_ev, high_ev
        The band [eV].
    index
        Index of the power law of photons per energy.
    """
    return (high_ev ** (1 - index) - low_ev ** (1 - index)) / (1 - index)


def contamination(
    field: int, corner: int, exposure_ratio: float, total: float, band: tuple[float, float], share: float
) -> Contamination:
    """Compare the outer field with the corners.

    Parameters
    ----------
    field, corner
        Counts of 8 to 12 keV in the outer field in the accepted time, and in the corners.
    exposure_ratio
        Area times time of the corners over that of the field.
    total
        Accepted counts of the light curve.
    band
        Its energies [eV].
    share
        Area of the outer field over that of the whole.

    Examples
    --------
    >>> found = contamination(685, 1780, 2.6, 3000, (2500, 8500), 0.5)
    >>> round(found.ratio, 3), round(found.error, 3), found.level
    (1.001, 0.045, 'clean')
    """
    if not field or not corner or not 0 < exposure_ratio < math.inf:
        return Contamination(field, corner, math.nan, math.nan, math.nan)
    ratio = field / corner * exposure_ratio
    protons = (field - corner / exposure_ratio) * power_law_counts(*band) / power_law_counts(*BAND) / share
    error = ratio * math.sqrt(1 / field + 1 / corner)
    return Contamination(field, corner, ratio, error, protons / max(total, 1.0))


def seen_areas(
    geometry: CameraGeometry, file: FitsFile, header: Mapping[str, Any], corner: Selection
) -> tuple[float, float, float]:
    """Area times live time of the field of view, its outer part and the corners, in pixel seconds.

    Parameters
    ----------
    geometry
        Of the camera.
    file, header
        Event list, for windows and bad pixels of each CCD, and its EVENTS header, for live times.
    corner
        Condition in DETX, DETY that holds in the corners.
    """
    field = outer = dark = 0.0
    for ccd in sorted(int(h.name[6:]) for h in file if h.name.startswith("EXPOSU") and h.name[6:].isdigit()):
        live = float(header.get(f"LIVETI{ccd:02d}") or 0.0)
        name = f"BADPIX{ccd:02d}"
        bad = file[name].data if name in file else None
        nx, ny = geometry.shape(ccd)
        good = good_pixel_map(
            (nx, ny),
            {c: bad[c] if bad is not None else [] for c in ("RAWX", "RAWY", "YEXTENT")},
            window=read_window(file[f"EXPOSU{ccd:02d}"].header),
        )
        # A hundred points along a side are enough for areas.
        step = max(1, nx // 100)
        rawx, rawy = np.meshgrid(np.arange(1, nx + 1, step), np.arange(1, ny + 1, step))
        detx, dety = (v.ravel() for v in geometry.raw_to_det(ccd, rawx, rawy))
        weight = good[::step, ::step].ravel() * live * step**2
        inside = geometry.in_fov(detx, dety)
        field += float(weight[inside].sum())
        outer += float(weight[inside & (np.hypot(detx, dety) > ANNULUS_RADIUS)].sum())
        dark += float(weight[corner.mask({"DETX": detx, "DETY": dety})].sum())
    return field, outer, dark
