"""Numbers of the simulated cameras: where the chips sit, how they read out, how they measure charge.

The geometry is fitted to coordinates that the real software printed for one field (see
``tests/simulate/test_instrument_geometry.py``, which repeats the fit); CCDs without rows there are
inferred as noted. Positions and radii are in detector units of 0.05 arcsec.

Parameters
----------
ccd
    Number of the CCD.
"""

from __future__ import annotations

import numpy as np

# --- geometry --------------------------------------------------------------------------------------

#: Detector units per pixel along RAWX and RAWY.
MOS_PIXEL = (22.01539, 22.01539)
PN_PIXEL = (82.56071, 82.62986)
#: Pixel size [mm] and plate scale [arcsec/mm]. The scale is one number per camera; the pn pixel is not
#: square on the sky, which its own size must carry.
MOS_PIXEL_MM = 0.04
PN_PIXEL_MM = 0.15
#: Shift from the camera's geometric centre to the origin of DETX, DETY [mm] (Calibration Handbook).
PN_CENTRE_SHIFT_MM = (-4.0, -2.0)

#: CCD -> (rotation in quarter turns, cx, cy): DET = rotation(RAW) x pixel + (cx, cy).
#: MOS chips stand in front of the focal plane that these numbers are for, see MOS_HEIGHT_MM.
#: CCDs 2 and 7 of MOS1, and 4 of MOS2: published corner positions on the fitted scale. CCDs 2 and 3 of MOS2:
#: from real event lists, which give the other twelve to 0.1 unit.
LAYOUTS = {
    "M1": {
        1: (0, -6615.589, -6615.589),
        2: (1, 13121.967, -20169.020),
        3: (1, 19878.330, -6920.870),
        4: (1, 13185.437, 6406.877),
        5: (3, -13025.691, 19716.007),
        6: (3, -19792.093, 6516.900),
        7: (3, -13139.920, -6842.595),
    },
    "M2": {
        1: (0, -6615.589, -6615.589),
        2: (1, 13251.405, -20023.125),
        3: (1, 19983.575, -6850.055),
        4: (1, 13224.227, 6518.950),
        5: (3, -13196.957, 19782.768),
        6: (3, -19852.163, 6549.486),
        7: (3, -13315.449, -6810.244),
    },
    # Spacing inside a quadrant 5390.664, measured on CCDs 4 to 6 and 7 to 9.
    "PN": {
        1: (2, -2219.231, 15491.487),
        2: (2, -2219.231 - 5390.664, 15491.487),
        3: (2, -2219.231 - 2 * 5390.664, 15491.487),
        4: (2, 3182.440, 15491.487),
        5: (2, 8573.104, 15491.487),
        6: (2, 13963.768, 15491.487),
        7: (0, -2184.006, -17693.106),
        8: (0, 3206.658, -17693.106),
        9: (0, 8597.322, -17693.106),
        10: (0, -7585.678, -17693.106),
        11: (0, -7585.678 - 5390.664, -17693.106),
        12: (0, -7585.678 - 2 * 5390.664, -17693.106),
    },
}
#: CCD and pixel of the optical axis.
OPTICAL_AXIS_PIXEL = {"M1": (1, 305.0, 291.0), "M2": (1, 325.0, 243.0), "PN": (4, 23.0, 182.8477)}
#: Azimuth: (theta cos phi, theta sin phi) = this matrix times (DETX, DETY) from the optical axis.
AZIMUTH = {
    "M1": ((0, 1), (-1, 0)),
    "M2": ((-1, 0), (0, -1)),
    "PN": ((1, 0), (0, 1)),
}

#: Orientation of each camera in the reference field: RA and Dec [deg] of the optical axis, and there the
#: position angle of +DETY (fitted to X, Y of every second row).
REFERENCE_ORIENTATION = {
    "M1": (266.947983417, -28.444213661, 271.9252625),
    "M2": (266.955365347, -28.460344410, 1.6293441),
    "PN": (266.929157203, -28.449286400, 182.1497780),
}
#: Attitude of the spacecraft in that field. RA and Dec are the field's tangent point; the position angle is
#: not printed there and follows from the net rolls of the cameras in another observation.
REFERENCE_ATTITUDE = (266.96550, -28.46583333333, 271.93)
#: Days since 2000-01-01 of the reference field (assumed: end of February 2004, when the yearly wave that
#: other observations show passes through the values found there).
REFERENCE_DAY = 1517.0

#: Drift of the boresight. In six observations the pipeline's pixel of the target (SRCPOSX, SRCPOSY) differs
#: from what the pointing and the angles of 2004 give; the differences follow a yearly wave of 1.8 arcsec.
#: Wave: offset of the angle [arcsec] = a cos(w) + b sin(w), w = 2 pi day / 365.25; what the wave leaves is
#: interpolated between the observations (January 2001, 2004, June 2013, April 2014, November 2017,
#: July 2019, November 2020).
DRIFT_DAYS = (395.0, 1517.0, 4905.0, 5220.0, 6514.0, 7131.0, 7614.0)
DRIFT_WAVE = {"phi": (0.282, 0.024), "theta": (1.605, -0.670), "psi": (0.0, 0.0)}
DRIFT_REST = {
    "phi": (-0.978, -0.181, -0.821, -1.009, -0.945, -1.074, -0.946),
    "theta": (0.003, -0.366, -0.479, -0.473, -0.590, 0.112, -0.162),
    "psi": (0.0,) * 7,
}

#: Field of view: components (ORed) of shapes (ANDed): (shape, x, y, radius or half-widths, angle).
#: MOS: boxes of Snowden and Kuntz (ESAS cookbook); circles fitted, together with MOS_SHADE_PIXELS, to the
#: areas that emframes printed for the twelve CCDs of one observation (the cookbook's are 97, -172, 17152 and
#: -61, -228, 17085); CCDs 3 and 6 of MOS1 have 1.8 % more and 1.0 % less than in another real list.
#: pn: the pixel masks of pipeline light curves.
FOV = {
    "M1": [
        [("BOX", -2683.5, -15917.0, (2780.5, 1340.0), 0.0)],
        [("BOX", 2743.5, -16051.0, (2579.5, 1340.0), 0.0)],
        [("CIRCLE", 224.0, -172.0, (17178.0, 0.0), 0.0)],
    ],
    "M2": [
        [("CIRCLE", -66.0, -228.0, (17080.0, 0.0), 0.0)],
        [("BOX", 14.375, -16567.6, (5552.62, 795.625), 0.0)],
    ],
    "PN": [[("CIRCLE", -2200.0, -1100.0, (17924.0, 0.0), 0.0)]],
}
#: How far MOS CCDs in front shade CCD 1 and the other CCDs [pixel].
MOS_SHADE_PIXELS = (4.0, 8.0)
#: Heights of the MOS CCDs towards the mirror [mm], of the central and the outer ones, from the scale of each
#: chip in real event lists (to 0.1 mm), and by how much 3, 5, 7 stand above 2, 4, 6 (assumed).
MOS_HEIGHT_MM = {"M1": (0.1, 2.1), "M2": (0.7, 2.7)}
MOS_HEIGHT_STEP_MM = 0.01
#: Corners that no sky photon reaches (Kuntz and Snowden 2008, A&A 478, 575, table 3).
CORNER = {
    "M1": [
        [
            ("!CIRCLE", 100.0, -200.0, (17700.0, 0.0), 0.0),
            ("!CIRCLE", 834.0, 135.0, (17100.0, 0.0), 0.0),
            ("!CIRCLE", 770.0, -803.0, (17100.0, 0.0), 0.0),
            ("!BOX", -20.0, -17000.0, (6500.0, 500.0), 0.0),
            ("!BOX", 5880.0, -20500.0, (7500.0, 1500.0), 10.0),
            ("!BOX", -5920.0, -20500.0, (7500.0, 1500.0), 350.0),
            ("!BOX", -20.0, -20000.0, (5500.0, 500.0), 0.0),
        ]
    ],
    "M2": [
        [
            ("!CIRCLE", 435.0, 1006.0, (17100.0, 0.0), 0.0),
            ("!CIRCLE", -34.0, 68.0, (17700.0, 0.0), 0.0),
            ("!BOX", -20.0, -17000.0, (6500.0, 500.0), 0.0),
            ("!BOX", 5880.0, -20500.0, (7500.0, 1500.0), 10.0),
            ("!BOX", -5920.0, -20500.0, (7500.0, 1500.0), 350.0),
            ("!BOX", -20.0, -20000.0, (5500.0, 500.0), 0.0),
        ]
    ],
    "PN": [[("!CIRCLE", -2200.0, -1110.0, (18200.0, 0.0), 0.0)]],
}

# --- read-out --------------------------------------------------------------------------------------

#: Part of a frame of a whole CCD that is not integrated [s] (frame tables of real lists).
MOS_FRAME_GAP_S = 0.006
#: SUBMODE -> (MODE_ID, frame time of the central and the outer CCDs [s], integration fraction (1: all but
#: MOS_FRAME_GAP_S in imaging modes), window of the central CCD (x0, y0, dx, dy as in real headers: columns
#: with the underscan before and the overscan behind them), smeared fraction). Users Handbook table 3.
MOS_MODES = {
    "PrimeFullWindow": (0, (2.6, 2.6), (1.0, 1.0), (0, 0, 610, 602), 0.0035),
    "PrimePartialW2": (1, (0.3, 2.7), (0.975, 1.0), (250, 251, 110, 100), 0.005),
    "PrimePartialW3": (2, (0.9, 2.7), (0.995, 1.0), (150, 150, 310, 300), 0.005),
    # As W2 and W3, with refreshed frame store.
    "PrimePartialW4": (3, (0.2, 2.7), (0.975, 1.0), (250, 251, 110, 100), 0.005),
    "PrimePartialW5": (4, (0.7, 2.7), (0.995, 1.0), (150, 150, 310, 300), 0.005),
    "PrimePartialW6": (5, (0.2, 2.7), (0.77, 1.0), (0, 0, 610, 602), 0.0),
    "PrimePartialRFS": (6, (0.2, 2.7), (0.77, 1.0), (0, 0, 610, 602), 0.0),
    # A frame is 600 lines, and the window's second axis counts them.
    "FastUncompressed": (7, (1.05, 2.7), (1.0, 1.0), (250, 0, 110, 600), 0.0),
    "FastCompressed": (8, (1.05, 2.7), (1.0, 1.0), (250, 0, 110, 600), 0.0),
}
#: Timing: seconds per line, and rows of the CCD that are collected in one (assumed: the 600 rows of the
#: image pass in six lines, so that the width of a source's image is much less than one line).
MOS_LINE_S = 0.00175
MOS_LINE_ROWS = 100
#: Under- and overscan of the MOS read-out of 610 columns x 602 rows.
MOS_SCAN = {"UNDER_X": 5, "OVER_X": 5, "UNDER_Y": 0, "OVER_Y": 2}
#: Telemetered places of events count this many pixels more than those of images, in both directions.
MOS_EVENT_OFFSET = 2
MOS_TRANSFER_S = 0.0091
#: CCDs are read one after the other: starts of their frames after those of CCD 1 [s] (stamps of real files).
MOS_STARTS_S = {1: 0.0, 2: 0.0092, 3: 0.0276, 4: 0.0184, 5: 0.0092, 6: 0.0276, 7: 0.0184}
#: Time stamps of frames are this much later than the end of the integration [s] (assumed).
MOS_STAMP_DELAY_S = 0.0005
#: Rows of the calibration's miscellaneous data: cosmic-ray dead time, the accepted ellipse of the charge
#: around events (six sigma of 8 and 16 pixels' noise, and what leaks below threshold), event thresholds.
MOS_MISCELLANEOUS = (
    ("COSMICSI", 1.88, ""),
    ("COSMICOU", 1.0, ""),
    ("E3CEN", 10.0, "adu"),
    ("E4CEN", 0.0, "adu"),
    ("E3RAD", 160.0, "adu"),
    ("E4RAD", 150.0, "adu"),
    ("E3ANG", 0.0, "deg"),
    ("EMDHLOW", 0.0, "adu"),
    ("EMDHHIGH", 4095.0, "adu"),
)
#: Hardness of the corner events below which a CCD is noisy, above which it is good.
MOS_HARDNESS_LIMITS = (1.5, 2.5)
#: Sequencer clock of fast modes [s], lines of a timing frame and clocks per line, clocks per line of burst.
_TIMING_CLOCK_S, _BURST_CLOCK_S = 39.99998e-9, 39.999246e-9
PN_TIMING_LINES, PN_BURST_LINES = 200, 180
PN_TIMING_LINE_S, PN_BURST_LINE_S = 739 * _TIMING_CLOCK_S, 18 * _BURST_CLOCK_S
#: Rows of the CCD that are collected in one line.
PN_TIMING_LINE_ROWS, PN_BURST_LINE_ROWS = 10, 1
#: Seconds per row of the fast shift that empties a window, in which photons are smeared along the column.
PN_FAST_SHIFT_S = 0.72e-6
#: SUBMODE -> (MODE_ID, frame time [s], read-out time [s], window, smeared fraction, delays of the three CCDs
#: of a quadrant [s]). Delays of imaging modes run from the centre of the integration to the time stamp; of
#: fast modes from the arrival of a photon that needs no shifting and is read in line 0. Frame times of full
#: frame and extended full frame, and the read-out (frame minus TIMEDEL), are those of real headers; the rest
#: follows Kuster et al. (1999). The first line of a timing frame is not used: it lasts a tenth of the others.
PN_MODES = {
    "PrimeFullWindow": (
        0, 0.07336496, 0.00466276, (0, 1, 64, 199), 0.063, (0.05123388, 0.04512348, 0.03901328)
    ),
    "PrimeFullWindowExtended": (
        1, 0.19919408, 0.00466308, (0, 1, 64, 199), 0.023, (0.11414844, 0.10803804, 0.10192784)
    ),
    "PrimeLargeWindow": (
        2, 0.04766384, 0.00243, (0, 100, 64, 100), 0.0016, (0.03302994, 0.02906118, 0.02509262)
    ),
    "PrimeSmallWindow": (3, 0.00567179, 0.00164482, (0, 136, 63, 64), 0.011, (0.00368096,) * 3),
    "FastTiming": (
        4, 0.00596464, 0.0, (0, 1, 64, PN_TIMING_LINES - 1), 0.0,
        (PN_TIMING_LINES * PN_TIMING_LINE_S,) * 3,
    ),
    "FastBurst": (
        5, 108614 * _BURST_CLOCK_S, 108614 * _BURST_CLOCK_S - PN_BURST_LINES * PN_BURST_LINE_S,
        (0, 0, 64, PN_BURST_LINES), 0.0, (105014 * _BURST_CLOCK_S,) * 3,
    ),
}  # fmt: skip
#: CCDs that are read, where it is not all.
PN_MODE_CCDS = {"PrimeSmallWindow": (4,), "FastTiming": (4,), "FastBurst": (4,)}
#: Tolerance of frame-time jumps in 20.48 us, by revolution: of imaging and of fast modes (real runs).
PN_JUMP_TOLERANCE = (
    (1, 22, 20), (240, 25, 20), (347, 26, 20), (535, 28, 23), (868, 32, 36), (1516, 40, 40), (2522, 50, 42),
    (3278, 51, 42),
)  # fmt: skip
#: Frames that a reset of the event buffer costs (full frame 366.82 ms, extended 398.39, large window 95.33).
PN_FIFO_RESIDUAL = 0.9
PN_FIFO_FRAMES = {"PrimeFullWindow": 5, "PrimeFullWindowExtended": 2, "PrimeLargeWindow": 2}
#: Live time that every frame loses besides the read-out [s].
PN_LOSS_S = {"FastTiming": 52.669e-6, "FastBurst": 0.0}
PN_IMAGING_LOSS_S = 69.24e-6

#: Fractions of singles, doubles, triples, quadruples over energy [keV]. MOS: means of both cameras in the
#: field of real lists; pn: suggested values.
MOS_PATTERN_ENERGY_KEV = (0.4, 1.0, 1.6, 2.5, 4.0, 6.0, 8.5)
MOS_PATTERNS = (
    (0.880, 0.120, 0.0, 0.0),
    (0.838, 0.156, 0.0035, 0.002),
    (0.790, 0.187, 0.011, 0.012),
    (0.780, 0.207, 0.0055, 0.0075),
    (0.713, 0.263, 0.009, 0.0155),
    (0.657, 0.308, 0.0135, 0.0225),
    (0.618, 0.348, 0.014, 0.020),
)
#: Charge leaks over the edge towards the next column if the distance to the column's centre, times the first
#: number, exceeds that to the row's centre; and to the row below if the photon fell farther below the row's
#: centre than the second number [pixel]. In real lists patterns 1 to 4 are as 6 to 1 to 4.5 to 1.
SPLIT_BIAS = {"M1": (0.32, 0.14), "M2": (0.32, 0.14), "PN": (1.0, 0.0)}
PN_PATTERN_ENERGY_KEV = (0.3, 1.0, 2.0, 4.0, 6.0, 9.0)
PN_PATTERNS = (
    (0.965, 0.03, 0.003, 0.002),
    (0.79, 0.195, 0.009, 0.006),
    (0.725, 0.25, 0.015, 0.010),
    (0.68, 0.29, 0.018, 0.012),
    (0.64, 0.325, 0.020, 0.015),
    (0.60, 0.35, 0.030, 0.020),
)

# --- bad pixels ------------------------------------------------------------------------------------

#: (ccd, rawx, rawy, length along RAWY, kind, masked on board).
BAD_PIXELS = {
    "M1": [
        (1, 137, 412, 1, "hot", True), (1, 88, 300, 1, "dead", False), (1, 511, 77, 1, "hot", False),
        (2, 412, 305, 1, "hot", True), (2, 67, 120, 60, "dead", False),
        (3, 301, 299, 1, "hot", False), (3, 21, 511, 1, "hot", True),
        (4, 250, 440, 1, "hot", True), (4, 333, 12, 1, "dead", False),
        (5, 91, 201, 1, "hot", False), (5, 402, 1, 600, "hot", True),
        (6, 544, 350, 1, "hot", True), (7, 120, 410, 1, "hot", True), (7, 505, 505, 1, "dead", False),
    ],
    "M2": [
        (1, 201, 150, 1, "hot", True), (1, 460, 488, 1, "dead", False), (1, 12, 340, 1, "hot", False),
        (2, 300, 90, 1, "hot", True), (2, 515, 222, 1, "hot", False),
        (3, 71, 401, 1, "hot", True), (3, 402, 350, 45, "dead", False),
        (4, 111, 333, 1, "hot", True), (5, 222, 410, 1, "hot", True), (5, 590, 61, 1, "hot", False),
        (6, 333, 111, 1, "dead", False), (6, 75, 1, 600, "hot", True), (7, 410, 222, 1, "hot", True),
    ],
    # The pixels that the twelve pixel masks of a real pn exposure exclude (0124710801, December 2000).
    "PN": [
        (1, 9, 28, 1, "hot", True), (1, 7, 39, 1, "hot", True), (1, 2, 71, 1, "dead", False),
        (1, 42, 76, 1, "hot", True), (1, 18, 130, 1, "hot", False),
        (2, 14, 36, 1, "hot", True), (2, 34, 88, 1, "hot", True), (2, 39, 154, 2, "dead", False),
        (2, 11, 200, 1, "hot", True),
        (5, 44, 20, 2, "hot", True), (5, 20, 155, 1, "hot", False),
        (7, 10, 62, 1, "hot", True), (7, 33, 48, 1, "hot", True), (7, 34, 48, 2, "hot", True),
        (8, 54, 94, 1, "dead", False), (9, 40, 101, 1, "hot", True), (9, 49, 115, 1, "hot", True),
        (9, 64, 179, 1, "hot", True), (10, 57, 191, 1, "hot", True),
        (11, 10, 111, 1, "hot", True), (11, 27, 184, 2, "hot", True), (11, 64, 1, 200, "hot", True),
        (12, 19, 90, 1, "hot", True),
    ],
}  # fmt: skip
#: Rows next to the read-out that the pn blanks on board.
PN_BLANK_ROWS = 12


def mos_edge_pixels(code: str, ccd: int) -> list[tuple[int, int, int, str, bool]]:
    """Columns at the edges that the calibration lists, too: RAWX, RAWY, length, kind, on board.

    In real lists the last column is dead on every CCD; on CCD 4 of MOS1 the first three columns are hot.

    Parameters
    ----------
    code
        ``M1`` or ``M2``.
    """
    hot = [(x, 1, 600, "hot", False) for x in (1, 2, 3)] if (code, ccd) == ("M1", 4) else []
    return [*hot, (600, 1, 600, "dead", False)]


#: Border columns and rows that real lists have as bright: 599 and row 1 on every CCD, 598 on most, row 2 and
#: column 1 on some; and how bright, by the raw events of an exposure of 2001 (of others than 599 and row 1:
#: assumed, as is row 3, which the number of bright rows in a log suggests).
MOS_BRIGHT_COLUMNS = {599: 1.0, 598: 0.3, 1: 0.4}
MOS_BRIGHT_ROWS = {1: 1.0, 2: 0.5, 3: 0.5}


# --- energy ----------------------------------------------------------------------------------------

#: pn: 1 adu is 5 eV after the relative gain of the column.
PN_ADU_EV = 5.0
PN_GAIN_SCATTER = 0.01
PN_OFFSET_COLUMNS = [
    (1, 21, 20.0), (2, 47, 20.0), (3, 8, 14.0), (4, 56, 20.0), (6, 33, 20.0), (7, 12, 25.0), (8, 60, 20.0),
    (9, 29, 20.0), (11, 5, 30.0), (12, 41, 20.0),
]  # fmt: skip
#: Fraction of the charge lost per row: PN_CTI (E / PN_CTI_ENERGY_EV)^PN_CTI_SLOPE.
PN_CTI = 4.3e-4
PN_CTI_ENERGY_EV = 5898.8
PN_CTI_SLOPE = -0.25
PN_CTI_SCATTER = 0.03
#: Long-term growth: T(E, t) on yearly points; energies [keV] and T at 2000.0.
PN_LTC_ENERGY_KEV = (1.486, 5.8988)
PN_LTC_START = (6.0e-4, 4.3e-4)
PN_LTC_GROWTH = 1.6e-4
PN_LTC_SCALE_YR = 12.0
#: Energy that recombined patterns lack [eV], by number of pixels.
PN_PATTERN_SHIFT_EV = {1: 0.0, 2: 4.0, 3: 6.0, 4: 8.0}

#: Limits of housekeeping: telemetry name, long name, selection expression. (Names of the pn are real ones.)
HOUSEKEEPING_LIMITS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "M1": (("E1317", "FILTER_WHEEL_POSITION", "(@ >= 0)"),),
    "M2": (("K1317", "FILTER_WHEEL_POSITION", "(@ >= 0)"),),
    "PN": (
        ("F1128", "H_CE_TTMPFPF", "(@ in [-95, -85])"),
        *((f"F1{q + 5}76", f"E_C{q}_TEMPQB1", "(@ in [0, 40])") for q in range(4)),
    ),
}

#: Limits of counters in the auxiliary files, wide enough for all frames.
AUXILIARY_LIMITS = (("NABOVE", "(@ in [0, 400000])"),)

NOISE_ADU = {"M1": 4.8, "M2": 4.8, "PN": 3.6}
EVENT_THRESHOLD_ADU = {"M1": 25.0, "M2": 25.0, "PN": 20.0}
FANO = 0.118
EV_PER_ELECTRON = 3.65


#: pn: mean and scatter [adu] of the dark levels of columns, rows and pixels, which offset maps hold; largest
#: shift that EPN_REJECT corrects; adu to add per adu of X-ray loading.
PN_DARK_LEVEL_ADU = 60.0
PN_DARK_SCATTER_ADU = {"column": 8.0, "row": 1.5, "pixel": 0.8}
PN_LARGEST_DARK_SHIFT_ADU = 7
PN_LOADING_COEFFICIENT = 0.9
#: pn: noise at low amplitudes in the noise maps: events per row and second at 20 adu, decay, channels,
#: exposure.
PN_NOISE_RATE = 0.004
PN_NOISE_SCALE_ADU = 4.0
PN_NOISE_CHANNELS = 40
PN_NOISE_EXPOSURE_S = 40_000.0
#: Counts of that noise in a pixel at the lowest amplitude.
PN_MEDIAN_BRIGHTNESS = PN_NOISE_RATE * PN_NOISE_EXPOSURE_S / 64


#: pn: energies shrink to a0 rate^a1 + a2 of what they were, rate in electrons per second and column: MODE_ID,
#: a0, a1, a2.
PN_RATE_CTI = ((4, 0.0, 1.0, 1.0), (5, -1.5e-3, 0.4, 1.0))


def pn_dark_pattern(ccd: int) -> np.ndarray:
    """What the dark levels of pixels (64, 200) always differ from those of column and row [adu]."""
    rng = np.random.default_rng([20000325, ccd])
    return PN_DARK_SCATTER_ADU["pixel"] * rng.standard_normal((64, 200))


def pn_dark_levels(ccd: int) -> np.ndarray:
    """Dark levels of the pixels (64, 200) of a CCD [adu]."""
    rng = np.random.default_rng([20000326, ccd])
    column = PN_DARK_LEVEL_ADU + PN_DARK_SCATTER_ADU["column"] * rng.standard_normal((64, 1))
    return column + PN_DARK_SCATTER_ADU["row"] * rng.standard_normal((1, 200)) + pn_dark_pattern(ccd)


def drift_wave(name: str, days) -> np.ndarray:
    """Yearly wave of one boresight angle [arcsec], ``days`` after 2000-01-01.

    Parameters
    ----------
    name
        Name of the angle.
    days
        The days.
    """
    w = 2 * np.pi * np.asarray(days) / 365.25
    a, b = DRIFT_WAVE[name]
    return a * np.cos(w) + b * np.sin(w)


def boresight_drift() -> dict[str, np.ndarray]:
    """Offsets [arcsec] of the boresight angles every ten days from 2000 to 2030; ``time_s`` since 1998."""
    days = np.arange(0.0, 30 * 365.25 + 10, 10.0)
    table = {"time_s": (days + 730) * 86400}
    for name in ("phi", "theta", "psi"):
        table[name] = drift_wave(name, days) + np.interp(days, DRIFT_DAYS, DRIFT_REST[name])
    return table


def pn_column_numbers() -> tuple[np.ndarray, np.ndarray]:
    """Relative gain and charge loss of the 12 x 64 read-out columns of the pn."""
    rng = np.random.default_rng(20000324)
    gain = 1.0 + PN_GAIN_SCATTER * rng.standard_normal((12, 64))
    loss = PN_CTI * (1.0 + PN_CTI_SCATTER * np.clip(rng.standard_normal((12, 64)), -3, 3))
    return gain, loss
