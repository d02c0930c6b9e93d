"""The effective area for the light of one region in another, through the point-spread function.

Source: manual of arfgen (cross-region areas): the mean over the region that the light is of, weighted with a
map of the source, of the vignetting times the share of a point's light that falls on the other region, times
filter and efficiency there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.response.area import vignetting
from daxa.xmm.spectra.area import Parts, Telescope, mean_vignetting, shares_of_ccds

if TYPE_CHECKING:
    from daxa.xmm.response.psf import PointSpread
    from daxa.xmm.spectra.brightness import Weight
    from daxa.xmm.spectra.region import Cells

FloatArray = npt.NDArray[np.float64]
#: Unit of detector coordinates [arcsec].
_UNIT = 0.05
#: Pairs of squares taken together.
_MOST_PAIRS = 2_000_000


def crossing_area(
    telescope: Telescope,
    energy_ev: FloatArray,
    cells: Cells,
    origin: Cells,
    weight: Weight | None,
    psf: PointSpread,
    parts: Parts,
    *,
    every: int = 100,
) -> FloatArray:
    """Area that one region has for the light of another [cm^2].

    Parameters
    ----------
    telescope
        Optics and detector.
    energy_ev
        Energies, growing [eV].
    cells
        Squares of the region that the light is seen in.
    origin
        Squares of the region that it is of; each is a point source in its middle.
    weight
        Brightness of the source at DETX, DETY; None: even.
    psf
        Point-spread function of the telescope.
    parts
        The factors wanted.
    every
        Shares are computed at every so many energies.

    Returns
    -------
    FloatArray
        Shape of ``energy_ev``; zero where nothing of the source lies in its region.
    """
    weights = np.ones(len(origin.detx)) if weight is None else weight(origin.detx, origin.dety)
    bright = weights > 0
    if not bright.any() or not len(cells.detx):
        return np.zeros(len(energy_ev))
    theta, phi = telescope.angles(origin.detx[bright], origin.dety[bright])
    at = np.unique(np.append(np.arange(0, len(energy_ev), every), len(energy_ev) - 1))
    shares = np.zeros(len(at))
    landed = np.zeros(len(cells.detx))
    for k, energy in enumerate(energy_ev[at]):
        light = weights[bright] / weights.sum()
        if parts.mirror:
            one = np.full(len(light), energy)
            light = light * vignetting(
                telescope.cal, telescope.instrument, one, theta, phi if telescope.by_azimuth else None
            )
            light /= max(float(light.sum()), 1e-30)
        falls = _spread(psf, float(energy), theta, light, cells, origin, bright)
        shares[k] = falls[cells.seen].sum() if parts.lost else falls.sum()
        landed = falls if k == len(at) // 2 else landed
    area = telescope.on_axis(energy_ev, parts) * np.interp(energy_ev, energy_ev[at], shares)
    if parts.mirror:
        everywhere = replace(origin, seen=np.ones(len(origin.detx), bool))
        area = area * mean_vignetting(telescope, energy_ev, everywhere, weights)
    if parts.efficiency:
        area = area * telescope.efficiency(energy_ev, shares_of_ccds(cells, landed))
    return area


def _spread(
    psf: PointSpread,
    energy_ev: float,
    theta_arcmin: FloatArray,
    light: FloatArray,
    cells: Cells,
    origin: Cells,
    bright: npt.NDArray[np.bool_],
) -> FloatArray:
    """Light on each square, of points with a total of 1; the profile is that of their mean angle."""
    king = psf.king(energy_ev, float(np.average(theta_arcmin, weights=light)))
    x, y = origin.detx[bright], origin.dety[bright]
    falls = np.zeros(len(cells.detx))
    size = max(1, _MOST_PAIRS // len(x))
    for start in range(0, len(falls), size):
        some = slice(start, start + size)
        distance2 = (cells.detx[some, None] - x) ** 2 + (cells.dety[some, None] - y) ** 2
        falls[some] = king.brightness(distance2 * _UNIT**2) @ light
    return falls * (cells.step * _UNIT) ** 2
