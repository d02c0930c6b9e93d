"""The synthetic constituents of the pn for dark levels, low-energy noise and fast modes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from daxa.simulate.calibration.files import Constituent, Extension, table_columns
from daxa.simulate.numbers import cameras as numbers
from daxa.xmm.formats.instruments import PN_MODE_IDS

_CCDS = range(1, 13)


def low_energy_constituents() -> Iterator[Constituent]:
    """EPN_REJECT, and the offset maps of fast modes without a source."""
    yield _reject()
    for name in ("TICLOSEDODI", "BUCLOSEDODI"):
        image = Extension(
            "MASTER_CLOSED_OFFSET",
            numbers.pn_dark_levels(4).T.astype(np.float32),
            {"XRL_COEF": (numbers.PN_LOADING_COEFFICIENT, "adu to add per adu of excess")},
        )
        yield Constituent("EPN", name, 1, [image], "1999-12-01T00:00:00")


def _reject() -> Constituent:
    """Every mode has the same master maps; noise is known for full frame."""
    masters = {ccd: f"MASTER_MAP_FF_{ccd:02d}" for ccd in _CCDS}
    noises = {ccd: f"NOISE_MAP_FF_{ccd:02d}_00" for ccd in _CCDS}
    used = [(mode, ccd) for mode in PN_MODE_IDS for ccd in _CCDS if not mode.startswith("Fast")]
    medians = {ccd: f"MEDIAN_MAP_FF_{ccd:02d}" for ccd in _CCDS}
    # Noise falls exponentially: amplitudes that are too high by an error make a pixel brighter by its power.
    error = np.arange(1, numbers.PN_LARGEST_DARK_SHIFT_ADU + 1)
    low, high = (
        numbers.PN_MEDIAN_BRIGHTNESS * np.expm1((error + half) / numbers.PN_NOISE_SCALE_ADU)
        for half in (-0.5, 0.5)
    )
    correction = [
        (mode, ccd, *row) for mode, ccd in used for row in zip(low, high, -error.astype(float), strict=True)
    ]
    spectrum = numbers.PN_NOISE_RATE * np.exp(
        -np.arange(numbers.PN_NOISE_CHANNELS) / numbers.PN_NOISE_SCALE_ADU
    )
    noise = np.tile(spectrum * numbers.PN_NOISE_EXPOSURE_S, (200, 1)).astype(np.float32)
    return Constituent(
        "EPN",
        "REJECT",
        6,
        [
            Extension(
                "NOISE_MAP_INDEX",
                table_columns(
                    ("MODE", "CCD", "RAWX", "POINTER", "EXPOSURE"),
                    [("FF", ccd, "1:64", name, numbers.PN_NOISE_EXPOSURE_S) for ccd, name in noises.items()],
                ),
            ),
            Extension(
                "MEDIAN_MAP_INDEX",
                table_columns(
                    ("MODE", "CCD", "POINTER"),
                    [
                        *(("FF", ccd, name) for ccd, name in medians.items()),
                        *(("EF", ccd, "MEDIAN_MAP_DUMMY") for ccd in _CCDS),
                    ],
                ),
            ),
            Extension(
                "MASTER_OFFSET_TABLE_INDEX",
                table_columns(("MODE", "CCD", "POINTER"), [(mode, ccd, masters[ccd]) for mode, ccd in used]),
            ),
            Extension(
                "CORRECTION_VALUES", table_columns(("MODE", "CCD", "H_LOW", "H_HIGH", "COR_VAL"), correction)
            ),
            *(Extension(name, noise) for name in noises.values()),
            *(Extension(masters[ccd], numbers.pn_dark_pattern(ccd).T.astype(np.float32)) for ccd in _CCDS),
            *(
                Extension(name, np.full((200, 64), numbers.PN_MEDIAN_BRIGHTNESS, np.float32))
                for name in medians.values()
            ),
            Extension("MEDIAN_MAP_DUMMY", np.zeros((200, 64), np.float32)),
        ],
        "2000-01-01T00:00:00",
    )
