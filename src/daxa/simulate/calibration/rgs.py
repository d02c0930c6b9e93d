"""The synthetic calibration constituents of the RGS; values in :mod:`daxa.simulate.numbers.gratings`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from daxa.simulate.calibration.files import START, Constituent, Extension, table_columns
from daxa.simulate.cameras.camera import ANGLES, J2000_S, attitude_rotation
from daxa.simulate.numbers import gratings as numbers
from daxa.simulate.numbers.cameras import AUXILIARY_LIMITS, boresight_drift
from daxa.simulate.numbers.response import RGA_SHARE


def rgs_constituents() -> Iterator[Constituent]:
    """Constituents of both spectrometers."""
    for name in numbers.NAMES:
        yield _lincoord(name)
        yield _aduconv(name)
        yield _cti(name)
        yield _hkparmint(name)
        yield from _badpix(name)
        yield _quantumef(name)


def rgs_boresight_deg(name: str) -> tuple[float, float, float]:
    """Euler angles (phi, theta, psi) of a spectrometer without the drift, which all instruments share.

    Parameters
    ----------
    name
        ``RGS1`` or ``RGS2``.
    """
    turn = attitude_rotation(*numbers.ATTITUDE).inv() * attitude_rotation(*numbers.REFERENCE[name])
    drift = boresight_drift()
    time_s = J2000_S + 86400 * numbers.REFERENCE_DAY
    angles = turn.as_euler("ZYX", degrees=True)
    for i, angle in enumerate(ANGLES):
        angles[i] -= np.interp(time_s, drift["time_s"], drift[angle]) / 3600
    return tuple(float(angle) for angle in angles)  # type: ignore[return-value]


def _lincoord(name: str) -> Constituent:
    nx, ny = numbers.PIXELS
    rows = []
    for ccd in range(1, 10):
        arc = numbers.CHIP_SHIFT_MM[name] + (ccd - 5) * numbers.CHIP_PITCH_MM
        turn = arc / numbers.CIRCLE_MM
        x, z = numbers.CIRCLE_MM * np.sin(turn), numbers.CIRCLE_MM * (1 - np.cos(turn))
        for node in (0, 1):
            # Counted from the other end, the same chip looks turned by half a turn about its column.
            rows.append((ccd, node, x, 0.0, z, (nx + 1) / 2, (ny + 1) / 2, 0.0, node * np.pi - turn, 0.0))
    names = ("CCD_ID", "NODE_ID", "X0", "Y0", "Z0", "RAWX0", "RAWY0", "PHI0", "THETA0", "PSI0")
    header: dict[str, tuple[float, str]] = {
        "MM_PX_X": (numbers.PIXEL_MM, "[mm] pixel size in X"),
        "MM_PX_Y": (numbers.PIXEL_MM, "[mm] pixel size in Y"),
        "MM_PX_LY": (numbers.PIXEL_MM, "[mm] Y-size of last pixel row"),
        "R_CHIP_T": (293.0, "[K] reference temperature of the chips"),
        "R_CAM_T": (293.0, "[K] reference temperature of the camera"),
        "EXP_CHIP": (1.0e-6, "[1/K] expansion of the chips"),
        "EXP_CAM": (2.0e-5, "[1/K] expansion of the camera"),
    }
    for axis, camera, centre in zip("XYZ", numbers.CAMERA_MM, numbers.GRATING_CENTRE_MM, strict=True):
        header[f"CC12_T{axis}"] = (0.0, "[mm] CAMCOORD1 to CAMCOORD2")
        header[f"CC2_T{axis}"] = (camera, "[mm] CAMCOORD2 origin in SACCOORD")
        header[f"G_T{axis}"] = (centre, "[mm] G-point in SACCOORD")
    for angle, value in zip(("PH", "TH", "PS"), numbers.CAMERA_ANGLES_DEG, strict=True):
        header[f"CC2_R{angle}"] = (value, "[deg] CAMCOORD2 orientation in SACCOORD")
    header["G_RY"] = (numbers.GRATING_ROTATION_DEG, "[deg] rotation of the gratings about y")
    header["G_ALPHA"] = (numbers.INCIDENCE_DEG, "[deg] angle of incidence on axis")
    comments = ("Chip spacing fitted to a real spectrum.",) if name == "RGS1" else ()
    return Constituent(
        name, "LINCOORD", 8, [Extension("LINCOORD", table_columns(names, rows), header)], comments=comments
    )


def _aduconv(name: str) -> Constituent:
    ccd, node = np.arange(1, 10)[:, None], np.arange(2)
    both = np.ones((9, 2))
    # One row a CCD, with a pair of numbers for its nodes.
    columns = {
        "CCD_ID": ccd[:, 0],
        "OFFSET_CONST": numbers.offset(name, ccd, node),
        "OFFSET_SLOPE": numbers.OFFSET_SLOPE * both,
        "GAIN": numbers.gain(name, ccd, node),
        "REJTHRESH": numbers.THRESHOLDS[0] * both,
        "ACCTHRESH": numbers.THRESHOLDS[1] * both,
    }
    header = {
        "RAND_MIN": (0.0, "lower limit for PHA randomization"),
        "RAND_MAX": (1.0, "upper limit for PHA randomization"),
        "QSPLITR2": (0.7, "charge split ratio for 2-pixel events"),
        "QSPLITR3": (0.55, "charge split ratio for 3-pixel events"),
        "QSPLITR4": (0.5, "charge split ratio for 4-pixel events"),
        "ALGOID": (1, "CAL algorithm identifier"),
        "REFTIME": ("2001-11-05T20:00:00", "reference time of the offsets"),
    }
    issue = {"RGS1": 29, "RGS2": 34}[name]
    return Constituent(name, "ADUCONV", issue, [Extension("OFFSET_GAIN", columns, header)])


def _cti(name: str) -> Constituent:
    scale = {"SCALE": (1.0, "factor of the coefficients"), "ALGOID": (1, "CAL algorithm identifier")}
    serial = [(ccd, node, numbers.CTI_X, 1e-6) for ccd in range(1, 10) for node in (0, 1)]
    columns = np.arange(1, 343)
    parallel = {
        "YCOL": columns,
        "CTI_Y": np.full(len(columns), numbers.CTI_Y),
        "CTI_Y_ERROR": np.full(len(columns), 1e-6),
    }
    extensions = [
        Extension("XCTI", table_columns(("CCD_ID", "NODE_ID", "CTI_X", "CTI_X_ERR"), serial), scale),
        *(Extension(f"CTIY{ccd}", parallel, scale) for ccd in range(1, 10)),
    ]
    return Constituent(name, "CTI", {"RGS1": 15, "RGS2": 16}[name], extensions)


def _hkparmint(name: str) -> Constituent:
    limits = numbers.HOUSEKEEPING_LIMITS[name]
    rows = [(long, expression) for _, long, expression in limits]
    names = [(short, long) for short, long, _ in limits]
    return Constituent(
        name,
        "HKPARMINT",
        {"RGS1": 15, "RGS2": 14}[name],
        [
            Extension("HKPARMINT", table_columns(("PARAMETER", "EXPRESSION"), rows)),
            Extension("TRANSLATION", table_columns(("SHORT_NAME", "LONG_NAME"), names)),
            Extension("AUXPAR", table_columns(("PARAMETER", "EXPRESSION"), AUXILIARY_LIMITS)),
        ],
    )


def _badpix(name: str) -> Iterator[Constituent]:
    names = ("CCD_ID", "NODE_ID", "RAWX", "RAWY", "TYPE", "YEXTENT", "UPLINKED")
    nx, ny = -(-numbers.PIXELS[0] // 6), -(-numbers.PIXELS[1] // 3)
    known: list[list[tuple]] = [[], []]
    for ccd, chipx, chipy, length, kind, uplinked in numbers.BAD_PIXELS[name]:
        node = int(chipx > nx)
        known[node].append((ccd, node, 2 * nx + 1 - chipx if node else chipx, chipy, kind, length, uplinked))
    dead = [
        [(numbers.DEAD_CCD[name], node, x, 1, "D", ny, False) for x in range(1, nx + 1)] for node in (0, 1)
    ]
    change = numbers.FAILURE[name]
    for issue, start, end, more in (
        (12, START, change, ([], [])),
        ({"RGS1": 36, "RGS2": 32}[name], change, None, dead),
    ):
        tables = [
            Extension(extname, table_columns(names, known[node] + more[node]))
            for node, extname in enumerate(("BADPIX", "BADPIX1"))
        ]
        yield Constituent(name, "BADPIX", issue, tables, start, end)


def _quantumef(name: str) -> Constituent:
    kept = [1 - RGA_SHARE] * len(numbers.OBSCURATION_EV)
    table = Extension("RGA_OBSCURATE", {"ENERGY": list(numbers.OBSCURATION_EV), "OBSCURATE": kept})
    issue = {"RGS1": 15, "RGS2": 16}[name]
    comment = "RGA_OBSCURATE: share of the light that the gratings keep from MOS, on axis."
    return Constituent(name, "QUANTUMEF", issue, [table], comments=(comment,))
