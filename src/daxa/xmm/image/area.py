"""Effective areas of cameras in an energy band, to weigh their exposures by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from daxa.xmm.ccf.calibration import Calibration
from daxa.xmm.errors import TaskError

#: Slope of the photon spectrum that areas are averaged over: about that of most sources in a field.
PHOTON_INDEX = 1.7


def band_area(
    cal: Calibration, instrument: str, filter_name: str, low_ev: float, high_ev: float, time_s: float = 0.0
) -> float:
    """Mean effective area on axis over a power-law spectrum.

    Parameters
    ----------
    cal
        The calibration.
    instrument
        ``EMOS1``, ``EMOS2`` or ``EPN``.
    filter_name
        As in the FILTER keyword.
    low_ev, high_ev
        The band [eV].
    time_s
        Mission time, which chooses the geometry.

    Returns
    -------
    area
        Telescope, filter and detector at the optical axis [cm^2].
    """
    from scipy.integrate import trapezoid

    from daxa.xmm.response.area import effective_area
    from daxa.xmm.sky.geometry import CameraGeometry

    geometry = CameraGeometry.from_calibration(cal, instrument, time_s)
    ccd = int(np.ravel(geometry.det_to_raw(*geometry.optical_axis)[0])[0])
    if not ccd:
        ccd = geometry.ccds[0]  # the axis falls into a gap
    energy = np.geomspace(low_ev, high_ev, 65)
    area = effective_area(cal, instrument, energy, filter_name=filter_name, ccd=ccd)
    spectrum = energy**-PHOTON_INDEX
    return float(trapezoid(area * spectrum, energy) / trapezoid(spectrum, energy))


def area_weights(cal: Calibration, headers: Sequence[Any]) -> tuple[list[float], str]:
    """Effective areas behind exposure maps, in units of that of the reference camera.

    Parameters
    ----------
    cal
        The calibration.
    headers
        Of exposure maps: INSTRUME, FILTER, PIMIN and PIMAX are read.

    Returns
    -------
    weights
        One per map.
    reference
        The pn if it is among the cameras, else that of the first map.

    Raises
    ------
    TaskError
        ``badImage``: a keyword is missing.
    """
    areas: dict[tuple[str, str, float, float], float] = {}
    keys = []
    for number, header in enumerate(headers, start=1):
        missing = [k for k in ("INSTRUME", "FILTER", "PIMIN", "PIMAX") if k not in header]
        if missing:
            raise TaskError(
                "badImage",
                f"exposure map {number}: no keyword {', '.join(missing)}, which weighting=area needs",
            )
        key = (
            str(header["INSTRUME"]).strip(),
            str(header["FILTER"]).strip(),
            float(header["PIMIN"]),
            float(header["PIMAX"]),
        )
        keys.append(key)
        if key not in areas:
            areas[key] = band_area(cal, *key)
    reference = next((k for k in keys if k[0] == "EPN"), keys[0])
    return [areas[k] / areas[reference] for k in keys], reference[0]
