"""Numbers of the simulated spectrometers: gratings, chips, bad pixels, gain, charge loss.

Geometry: nominal values that the Calibration Handbook prints for LINCOORD. The spacing of the chips and
their common shift (RGS1) are fitted to the unexposed channels of a real spectrum (ObsID 0112880201); that
of RGS2 follows from the wavelengths that its dead chip leaves without data. Everything is for pixels before
binning.

Parameters
----------
name
    ``RGS1`` or ``RGS2``.
ccd, node
    CCDs and nodes; shapes go together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daxa.simulate.numbers.response import GRATING_ANGLE_DEG, GRATINGS_MM

NAMES = ("RGS1", "RGS2")

# --- gratings --------------------------------------------------------------------------------------

#: Nominal angle of incidence (comment of a public header file) and spacing of the lines (spectra).
INCIDENCE_DEG = GRATING_ANGLE_DEG
LINE_SPACING_A = 15489.455
#: Version of the on-board software, which tells what codes of pixel shapes mean.
SOFTWARE_VERSION = 19.0
#: Rotation of the arrays about the y axis: none is published.
GRATING_ROTATION_DEG = 0.0
GRATING_CENTRE_MM = (GRATINGS_MM, 0.0, 0.0)
#: Energies of the share of light that the gratings and their frame keep from the MOS cameras on axis: what
#: the handbook's 0.45 leaves, at all of them (the real dependence on energy is not public).
OBSCURATION_EV = (0.0, 20000.0)

# --- camera and chips ------------------------------------------------------------------------------

CAMERA_MM = (7471.78, 0.0, -562.63)
CAMERA_ANGLES_DEG = (-90.0, 82.667, 90.0)
PIXEL_MM = 0.027
PIXELS = (1024, 384)
#: Radius of the circle that the chips lie on: distance of the gratings over 2 cos(incidence + blaze).
CIRCLE_MM = 3352.6
#: Distance of chip centres along the circle, and of CCD 5 from the origin of the camera.
CHIP_PITCH_MM = 28.210
CHIP_SHIFT_MM = {"RGS1": 0.058, "RGS2": 5.1}
#: CCDs that failed in September and August 2000, and an approximate date.
DEAD_CCD = {"RGS1": 7, "RGS2": 4}
FAILURE = {"RGS1": "2000-09-11T00:00:00", "RGS2": "2000-08-28T00:00:00"}

#: Median attitude of ObsID 0802710101 (November 2017) and the attitudes of the spectrometers that rgsangles
#: used for it: right ascension, declination, position angle [deg]. Days since 2000-01-01 of its middle.
ATTITUDE = (150.485625, 55.7087222222222, 117.190536499)
REFERENCE = {
    "RGS1": (150.49536471135701, 55.682632690934199, 117.23984037619101),
    "RGS2": (150.49735719295799, 55.678648397952003, 117.08093312219302),
}
REFERENCE_DAY = 6514.584

# --- bad pixels (binned): CCD, CHIPX, CHIPY, length, type, uplinked ----------------------------------

#: The two segments of CCD 1 of RGS1 that rgsbadpix named for ObsID 0802710101; the rest is made up.
BAD_PIXELS = {
    "RGS1": [
        (1, 33, 113, 16, "H", False), (1, 305, 113, 16, "H", False), (2, 60, 1, 128, "H", True),
        (3, 200, 40, 2, "H", True), (5, 120, 77, 1, "D", False), (9, 310, 1, 128, "H", True),
    ],
    "RGS2": [
        (1, 18, 1, 128, "H", True), (3, 250, 90, 3, "H", False), (6, 99, 12, 1, "D", False),
        (8, 171, 60, 1, "H", True),
    ],
}  # fmt: skip

#: Housekeeping: short name, long name, limits. The short names are those that rgsproc leaves out of its good
#: times in a real log; what they measure is not printed there (names and limits made up).
HOUSEKEEPING_LIMITS = {
    "RGS1": (("G5063", "R1_INPUT_FIFO_FULL", "(@ == 'NOT FULL')"),),
    "RGS2": (("L5063", "R2_INPUT_FIFO_FULL", "(@ == 'NOT FULL')"),),
}

# --- energies ----------------------------------------------------------------------------------------

#: Channels per eV of node C and the share by which node D has more, offset [chan] and how much more node D
#: has. RGS1: from the first order of the Crab in raw lists of revolution 234 (CCDs 2 and 3, the gain to 2 per
#: cent) and the offset images of that time; RGS2 made up.
GAIN, GAIN_STEP = {"RGS1": 1.03, "RGS2": 1.05}, 0.06
OFFSET, OFFSET_STEP = {"RGS1": 96.0, "RGS2": 99.0}, 17.0
#: Change of the offset [chan/s] (made up), thresholds of rejection and acceptance above the offset [chan].
OFFSET_SLOPE = 2.0e-9
THRESHOLDS = (75.0, 90.0)
#: Upper threshold of raw energies [chan].
UPPER_THRESHOLD = 3100


def gain(name: str, ccd: npt.ArrayLike, node: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Channels per eV of the nodes of CCDs."""
    return GAIN[name] * (1 + 0.002 * (np.asarray(ccd) - 5.0)) * (1 + GAIN_STEP * np.asarray(node))


def offset(name: str, ccd: npt.ArrayLike, node: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Channels of an empty pixel of the nodes of CCDs, at the reference time."""
    return OFFSET[name] + np.asarray(ccd) + OFFSET_STEP * np.asarray(node)


#: Fraction of the charge lost per transfer, along the serial register and along columns.
CTI_X = 1.5e-5
CTI_Y = 2.0e-5
