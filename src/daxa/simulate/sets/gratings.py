"""The set of gratings: a star with lines on and off the axis of both spectrometers, before and after losses.

The first observation is of 2016: one dead CCD each, RGS2 read by one node, a telemetry gap, an aborted frame,
a full input buffer. The second is of April 2000: nine CCDs, two nodes, off axis, and a swinging pointing
that the raw attitude file knows.
"""

from __future__ import annotations

import numpy as np

from daxa.simulate.cameras.rgs import GratingExposure, GratingSource
from daxa.simulate.observation import Description
from daxa.simulate.odf.clock import tt_of_utc
from daxa.simulate.odf.housekeeping import Pointing, on_attitude_grid
from daxa.simulate.sky import FIELD_DEC_DEG, FIELD_RA_DEG, SkyModel

TARGET, TARGET_RA_DEG, TARGET_DEC_DEG = "Star", FIELD_RA_DEG, FIELD_DEC_DEG
#: Wavelength [Angstrom], counts/s in the first and in the second order.
LINES = (
    (12.132, 0.4, 0.3),
    (15.014, 0.4, 0.3),
    (18.969, 0.5, 0.0),
    (21.602, 0.4, 0.0),
    (24.781, 0.4, 0.0),
    (33.734, 0.4, 0.0),
)
WOBBLE_ARCSEC = 4.0


def describe_gratings(duration_s: float) -> list[tuple[Description, SkyModel]]:
    """The observations of the set, each ``duration_s`` long, and the (empty) sky of the other cameras.

    Parameters
    ----------
    duration_s
        Length of the exposures [s].
    """
    star = GratingSource(TARGET_RA_DEG, TARGET_DEC_DEG, LINES, continuum=0.3)
    result = []
    for obs_id, revolution, date, offset_arcmin, angle, wobble in (
        ("0800030101", 3100, "2016-11-13T01:12:00", (0.0, -0.2), 150.375, 0.0),
        ("0800030201", 64, "2000-04-13T20:00:00", (-0.3, 1.2), 0.25, WOBBLE_ARCSEC),
    ):
        first = tt_of_utc(date)
        start = first + 8000.0
        stop = start + duration_s
        east, north = np.array(offset_arcmin) / 60
        ra, dec = on_attitude_grid(
            TARGET_RA_DEG + east / np.cos(np.deg2rad(TARGET_DEC_DEG)), TARGET_DEC_DEG + north
        )
        pointing = Pointing(
            obs_id, revolution, TARGET, ra, dec, angle, TARGET_RA_DEG, TARGET_DEC_DEG, start, stop, first
        )
        late = revolution > 1000
        gap = start + 0.4 * duration_s
        gratings = [
            GratingExposure(
                "R1", "S004", start + 60, stop - 30, (star,),
                gaps_s=((gap, gap + 100),) if late else (),
                aborted=((3, 200),) if late else (),
                full_s=((gap + 400, gap + 496),) if late else (),
            ),
            GratingExposure("R2", "S005", start + 68, stop - 22, (star,), nodes=1 if late else 2),
        ]  # fmt: skip
        result.append((Description(pointing, [], gratings=gratings, wobble_arcsec=wobble), SkyModel([])))
    return result
