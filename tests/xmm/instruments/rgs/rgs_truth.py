"""The truth of the simulated set of gratings, and the events of its lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.io import fits
from rgs_reduction import EXPOSURES, Grated

HC = 12398.42

__all__ = ["EXPOSURES", "HC", "exposures_of", "line_events"]


def exposures_of(simulated, obs_id: str) -> dict[str, dict[str, Any]]:
    """Truth of the exposures of an observation, by instrument."""
    return {e["instrument"]: e for e in simulated.truth(obs_id)["gratings"]}


def line_events(run: Grated, instrument: str, wavelength: float, order: int):
    """Events of a line in an order, selected by energy and by place; and whether chips miss part of it."""
    half = 0.1 / order
    with fits.open(run.file(instrument, "EVENLI")) as hdus:
        events, header = hdus["EVENTS"].data, hdus["EVENTS"].header
        with fits.open(run.file(instrument, "SRCLI_")) as sources:
            rows = sources["SRCLIST"].data
            across = rows["DELTA_XDSP"][rows["INDEX"] == header["SOURCEID"]][0]
        middle = 1.118 * np.deg2rad(across / 60)
        chosen = np.abs(events["M_LAMBDA"] / order - wavelength) < half
        # The two orders lie on top of each other; the energy that the chips measure tells them apart.
        chosen &= np.abs(events["PI"] - HC / wavelength) < 130
        chosen &= np.abs(events["XDSP_CORR"] - middle) < 4e-4
        events = events[chosen]
    with fits.open(run.file(instrument, "EXPMAP")) as hdus:
        head = hdus[0].header
        first, last = (
            int((wavelength * order + sign * half * order - head["CRVAL1"]) / head["CDELT1"])
            for sign in (-1, 1)
        )
        if last > hdus[0].data.shape[1]:
            return events, True
        row = int((middle - head["CRVAL2"]) / head["CDELT2"])
        part = hdus[0].data[row - 15 : row + 15, first:last]
    return events, bool((part < 0.97 * part.max(initial=1.0)).mean() > 0.02)
