"""Ingredients of the effective area: mirror, gratings, vignetting, filter, quantum efficiency.

Source: CAL handbook (vignetting: linear in off-axis angle and energy, end values held; gratings: share of
the light lost on axis times angle of incidence over that on axis), manual of arfgen (product of the
factors). Arrays broadcast; everything is interpolated linearly in energy.

Parameters
----------
cal
    The calibration.
instrument
    ``EMOS1``, ``EMOS2`` or ``EPN``.
energy_ev
    Photon energies [eV], any shape.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.ccf import layout_of
from daxa.xmm.formats.instruments import GRATINGS, TELESCOPES
from daxa.xmm.response.gratings import Gratings

if TYPE_CHECKING:
    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.ccf.constituent import Constituent

FloatArray = npt.NDArray[np.float64]


def _telescope(instrument: str) -> str:
    try:
        return TELESCOPES[instrument]
    except KeyError:
        raise ValueError(f"instrument {instrument!r} is not one of {', '.join(TELESCOPES)}") from None


def _interpolate(energy_ev: npt.ArrayLike, grid: FloatArray, values: FloatArray) -> FloatArray:
    order = np.argsort(grid, kind="stable")
    return np.interp(np.asarray(energy_ev, float), grid[order], values[order])


def mirror_area(
    cal: Calibration, instrument: str, energy_ev: npt.ArrayLike, *, corrected: bool = True
) -> FloatArray:
    """On-axis area of the instrument's telescope [cm^2], gratings included.

    Parameters
    ----------
    corrected
        With the in-flight correction CORRAREA, which areas made by SAS 18 to 20 do not have by default.
    """
    constituent = cal.constituent(_telescope(instrument), "XAREAEF")
    area = constituent.table("ONAXISXAREAEF")
    result = _interpolate(energy_ev, area["ENERGY"], area["AREA"])
    factor = constituent.table("CORRAREA") if corrected else None
    if factor is not None and factor.n_rows:
        result = result * _interpolate(energy_ev, factor["ENERGY"], factor["FACTOR"])
    return result * grating_transmission(cal, instrument, energy_ev)


def grating_transmission(
    cal: Calibration,
    instrument: str,
    energy_ev: npt.ArrayLike,
    theta_arcmin: npt.ArrayLike = 0.0,
    phi_rad: npt.ArrayLike = 0.0,
) -> FloatArray:
    """Share of the light that the gratings of the RGS leave to a MOS camera; 1 for the pn.

    The share that they keep grows with the angle at which the light meets them, so it depends on the
    offset along the dispersion, which is ``-theta cos phi``; averaged over azimuth it is that on axis.

    Parameters
    ----------
    energy_ev
        Photon energies [eV].
    theta_arcmin, phi_rad
        Angle from the optical axis [arcmin] and azimuth [rad] as in
        :meth:`daxa.xmm.sky.geometry.CameraGeometry.det_to_tel`.
    """
    _telescope(instrument)
    energy, theta, phi = (np.asarray(v, float) for v in (energy_ev, theta_arcmin, phi_rad))
    if instrument not in GRATINGS:
        return np.ones(np.broadcast_shapes(energy.shape, theta.shape, phi.shape))
    table = cal.constituent(GRATINGS[instrument], "QUANTUMEF").table("RGA_OBSCURATE")
    kept = _interpolate(energy, table["ENERGY"], table["OBSCURATE"])
    gratings = Gratings.from_calibration(cal, GRATINGS[instrument])
    alpha = gratings.incidence_angle(np.deg2rad(-theta * np.cos(phi) / 60))
    return np.clip(1 - kept * alpha / gratings.alpha0_rad, 0.0, 1.0)


def vignetting(
    cal: Calibration,
    instrument: str,
    energy_ev: npt.ArrayLike,
    theta_arcmin: npt.ArrayLike,
    phi_rad: npt.ArrayLike | None = None,
) -> FloatArray:
    """Area relative to the optical axis.

    Parameters
    ----------
    energy_ev
        Photon energies [eV].
    theta_arcmin
        Angle from the optical axis [arcmin].
    phi_rad
        Azimuth [rad]: what the gratings leave to MOS depends on it. Without it, the average over azimuth.

    Returns
    -------
    array
        Factors, 1 on axis; beyond the table its last value.
    """
    mirror = _mirror_vignetting(cal, instrument, energy_ev, theta_arcmin)
    if phi_rad is None or instrument not in GRATINGS:
        # The azimuth counts for the shape of the result all the same.
        return mirror if phi_rad is None else mirror + np.zeros(np.shape(phi_rad))
    on_axis = grating_transmission(cal, instrument, energy_ev)
    return mirror * grating_transmission(cal, instrument, energy_ev, theta_arcmin, phi_rad) / on_axis


def _mirror_vignetting(
    cal: Calibration, instrument: str, energy_ev: npt.ArrayLike, theta_arcmin: npt.ArrayLike
) -> FloatArray:
    constituent = cal.constituent(_telescope(instrument), "XAREAEF")
    table = constituent.table("VIGNETTING")
    order = np.argsort(table["ENERGY"], kind="stable")
    grid, factors = table["ENERGY"][order], table["VIGNETTING_FACTOR"][order]
    step_arcmin = 60.0 * constituent.number("D_THETA", "VIGNETTING")
    if step_arcmin <= 0:
        raise UnknownLayout(f"{table.where}, keyword D_THETA: {step_arcmin / 60:g} is not a step in degrees")
    if not np.ndim(energy_ev) and len(grid) > 1:
        clipped_ev = np.clip(float(np.asarray(energy_ev)), grid[0], grid[-1])
        row = min(int(np.searchsorted(grid, clipped_ev, side="right")), len(grid) - 1)
        share = (clipped_ev - grid[row - 1]) / (grid[row] - grid[row - 1])
        profile = factors[row - 1] * (1 - share) + factors[row] * share
        return np.interp(np.asarray(theta_arcmin, float) / step_arcmin, np.arange(len(profile)), profile)
    energy, theta = np.broadcast_arrays(np.asarray(energy_ev, float), np.asarray(theta_arcmin, float))
    position = np.clip(theta / step_arcmin, 0, factors.shape[1] - 1)
    column = np.minimum(position.astype(np.intp), max(factors.shape[1] - 2, 0))
    right_share = position - column
    clipped_ev = np.clip(energy, grid[0], grid[-1])
    row = np.clip(np.searchsorted(grid, clipped_ev, side="right") - 1, 0, max(len(grid) - 2, 0))
    above = np.minimum(row + 1, len(grid) - 1)
    right = np.minimum(column + 1, factors.shape[1] - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        upper_share = np.where(above > row, (clipped_ev - grid[row]) / (grid[above] - grid[row]), 0.0)
    low = factors[row, column] * (1 - right_share) + factors[row, right] * right_share
    high = factors[above, column] * (1 - right_share) + factors[above, right] * right_share
    return low * (1 - upper_share) + high * upper_share


def _same_length(values: FloatArray, grid: FloatArray, where: str) -> FloatArray:
    if len(values) != len(grid):
        raise UnknownLayout(f"{where}: {len(values)} values for {len(grid)} energies")
    return values


def _first_region(values: npt.NDArray[np.generic]) -> FloatArray:
    """The curve of the first region: a row with a vector, or one value a row."""
    curves: FloatArray = np.asarray(values, float)
    return curves[0].ravel() if curves.ndim > 1 and len(curves) else curves


def filter_transmission(
    cal: Calibration, instrument: str, filter_name: str, energy_ev: npt.ArrayLike
) -> FloatArray:
    """Transmission of a filter (``Thin1``, ``Medium``, ``Open``, ... as in the FILTER keyword).

    Parameters
    ----------
    filter_name
        The filter.

    Raises
    ------
    UnknownLayout
        The calibration has no such filter.
    """
    constituent = cal.constituent(instrument, "FILTERTRANSX")
    table = constituent.table(f"FILTER-{filter_name.strip().upper()}")
    grid = np.ravel(constituent.table("EBINS")["ENERGY"])
    values = _same_length(_first_region(table["TRANSMISSION"]), grid, f"{table.where}, column TRANSMISSION")
    return _interpolate(energy_ev, grid, values)


def quantum_efficiency(
    cal: Calibration, instrument: str, ccd: npt.ArrayLike, energy_ev: npt.ArrayLike
) -> FloatArray:
    """Quantum efficiency of CCDs (first region of the table of each CCD): all patterns that are used.

    Those are 0 to 12 of MOS, singles and doubles of the pn. A file has columns for each (QE_0, QE_1, ...), or
    one for the sum (QE). QE_TOTAL, of all CCDs and patterns, stands in for a table that cannot be read, with
    a warning.

    Parameters
    ----------
    ccd
        Numbers of the CCDs.
    energy_ev
        Photon energies [eV]; shapes go together.

    Raises
    ------
    UnknownLayout
        Neither the table of a CCD nor that of all CCDs can be read.
    """
    constituent = cal.constituent(instrument, "QUANTUMEF")
    ccd, energy = np.broadcast_arrays(np.asarray(ccd), np.asarray(energy_ev, float))
    result = np.zeros(energy.shape)
    for number in np.unique(ccd):
        here = ccd == number
        values, grid, missing = total_efficiency(constituent, int(number))
        if missing:
            constituent.lacks(f"QE_CCD{number}", "*", missing)
        result[here] = _interpolate(energy[here], grid, values)
    return result


def relative_efficiency(cal: Calibration, instrument: str, ccd: int, energy_ev: npt.ArrayLike) -> FloatArray:
    """Quantum efficiency of a CCD over that of the CCD on the optical axis (1 of MOS, 4 of the pn).

    Parameters
    ----------
    cal
        Calibration.
    instrument
        EMOS1, EMOS2 or EPN.
    ccd
        Number of the CCD.
    energy_ev
        Photon energies [eV].

    Returns
    -------
    array
        Factors; 1 where the CCD on the axis sees nothing.
    """
    here, on_axis = (
        quantum_efficiency(cal, instrument, number, energy_ev)
        for number in (ccd, 4 if instrument == "EPN" else 1)
    )
    return np.divide(here, on_axis, out=np.ones_like(here), where=on_axis > 0)


@functools.lru_cache(maxsize=32)
def total_efficiency(constituent: Constituent, ccd: int) -> tuple[FloatArray, FloatArray, str]:
    """Efficiency of the patterns that are used, energies [eV], and why it is not that of this CCD, if so.

    Parameters
    ----------
    constituent
        QUANTUMEF of the camera.
    ccd
        Number of the CCD.

    Raises
    ------
    UnknownLayout
        Neither the table of the CCD nor that of all CCDs can be read.
    """
    extname = f"QE_CCD{ccd}"
    if extname not in layout_of(constituent.scope, constituent.typeid):
        raise UnknownLayout(f"{constituent.path.name}: no {extname}: there is no CCD {ccd}")
    try:
        return *_efficiency(constituent, extname, "QE", "EBINS"), ""
    except UnknownLayout as error:
        try:
            return *_efficiency(constituent, "QE_TOTAL", "QE_TOTAL", "EBINS_FRACTION"), error.message
        except UnknownLayout as other:
            raise UnknownLayout(f"{error.message}; {other.message}") from None


def _efficiency(
    constituent: Constituent, extname: str, column: str, energies: str
) -> tuple[FloatArray, FloatArray]:
    table, grid = constituent.table(extname), np.ravel(constituent.table(energies)["ENERGY"])
    return _same_length(_first_region(table[column]), grid, f"{table.where}, column {column}"), grid


def effective_area(
    cal: Calibration,
    instrument: str,
    energy_ev: npt.ArrayLike,
    theta_arcmin: npt.ArrayLike = 0.0,
    *,
    filter_name: str,
    ccd: npt.ArrayLike,
    phi_rad: npt.ArrayLike | None = None,
) -> FloatArray:
    """Area of telescope, filter and detector [cm^2] for a point source, the whole PSF included.

    Parameters
    ----------
    theta_arcmin
        Angle from the optical axis [arcmin].
    filter_name
        As in the FILTER keyword.
    ccd
        Number of the CCD that the light falls on.
    phi_rad
        Azimuth [rad]; None: the average over it.

    Raises
    ------
    MissingConstituent, UnknownLayout
        The calibration lacks something, e.g. the filter.
    """
    return (
        mirror_area(cal, instrument, energy_ev)
        * vignetting(cal, instrument, energy_ev, theta_arcmin, phi_rad)
        * filter_transmission(cal, instrument, filter_name, energy_ev)
        * quantum_efficiency(cal, instrument, ccd, energy_ev)
    )
