"""The synthetic constituents of a MOS camera for energies and times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from daxa.simulate.calibration.files import Constituent, Extension, table_columns
from daxa.simulate.cameras import mos_energies
from daxa.simulate.cameras.camera import Camera
from daxa.simulate.numbers import cameras as numbers
from daxa.xmm.formats.instruments import MOS_MODE_IDS


def mos_constituents(camera: Camera, number: int) -> Iterator[Constituent]:
    """ADUCONV, CTI of several years, TIMECORR and SCREENTHRESH of one camera.

    Parameters
    ----------
    camera, number
        The camera, and 1 or 2.
    """
    yield _aduconv(camera, number)
    yield from _cti(camera, number)
    yield _timecorr(camera)
    yield _screenthresh(camera)


def _aduconv(camera: Camera, number: int) -> Constituent:
    scales = mos_energies.SCALES[camera.code]
    data: dict[str, Any] = {"CCD_ID": list(camera.ccds)}
    for p, suffix in enumerate(("", "1", "2", "3")):
        data[f"OFFSET{suffix}"] = [(scales[ccd].sets[p][0],) * 2 for ccd in camera.ccds]
        data[f"GAIN{suffix}"] = [(scales[ccd].sets[p][1],) * 2 for ccd in camera.ccds]
        data[f"POLY_TERM{suffix}"] = [(0.0, 0.0)] * len(camera.ccds)
    weights = {"PATTERN": range(32), "C1": [1.0] * 32, "C2": [1.0] * 32, "C3": [0.0] * 32, "C4": [0.0] * 32}
    weights = {name: list(values) for name, values in weights.items()}
    scale = {"KEV0": (0.0, "[keV]"), "KEV_P_PI": (0.001, "[keV] per PI channel")}
    return Constituent(
        camera.name,
        "ADUCONV",
        88 + number,
        [Extension("OFFSET_GAIN", data, scale), Extension("ENERGY_COMBINE", weights)],
    )


def _cti(camera: Camera, number: int) -> Iterator[Constituent]:
    # The last law is not valid before 2030 but has the highest issue.
    future = ("2030-01-01T00:00:00", None, 120, 120, None)
    for start, end, issue1, issue2, warm in (*mos_energies.CTI_PERIODS, future):
        rows = []
        for mode in MOS_MODE_IDS.values():
            for ccd in camera.ccds:
                serial = parallel = (2.0e-2, 0.0, 0.6)
                if warm is not None:
                    serial = mos_energies.serial_law(camera.code, ccd)
                    parallel = mos_energies.parallel_law(camera.code, ccd, warm)
                rows += [(mode, ccd, node, *serial, *parallel) for node in (0, 1)]
        names = ("MODE_ID", "CCD_ID", "NODE_ID", *(f"CTI_{axis}{i}" for axis in "XY" for i in range(3)))
        law = {"REF_DATE": mos_energies.CTI_REF_DATE, "ALGOID": 2}
        steps = [(ccd, 0, x, y, length, adu) for ccd, x, y, length, adu in camera.mos_columns]
        columns = ("CCD_ID", "NODE_ID", "RAWX", "RAWY_START", "YLENGTH", "OFFSET")
        yield Constituent(
            camera.name,
            "CTI",
            (issue1, issue2)[number - 1],
            [
                Extension("CTI_EXTENDED", table_columns(names, rows), law),
                Extension("CTI_COLUMN", table_columns(columns, steps)),
            ],
            start,
            end,
        )


def _timecorr(camera: Camera) -> Constituent:
    times = [
        (m.mode_id, (m.frame_time_s, m.outer_frame_time_s), (m.delay_s(1), m.delay_s(2)))
        for m in map(camera.mode, camera.modes)
    ]
    return Constituent(
        camera.name,
        "TIMECORR",
        3,
        [Extension("FRAMETIME", table_columns(("MODE_ID", "FRAME_TIME", "DELAY"), times))],
    )


def _screenthresh(camera: Camera) -> Constituent:
    limits = table_columns(
        ("CCD_ID", "BAD", "GOOD"), [(ccd, *numbers.MOS_HARDNESS_LIMITS) for ccd in camera.ccds]
    )
    return Constituent(camera.name, "SCREENTHRESH", 1, [Extension("SCREEN_THRESH", limits)])
