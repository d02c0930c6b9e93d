"""The synthetic constituents of the pn for energies, times, dark levels, low-energy noise and fast modes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from daxa.simulate.calibration.files import Constituent, Extension, table_columns
from daxa.simulate.cameras.camera import Camera, pn_ltc_growth
from daxa.simulate.numbers import cameras as numbers
from daxa.xmm.fits.schema import columns
from daxa.xmm.formats.instruments import PN_MODE_IDS

_CCDS = range(1, 13)


#: Documented columns of CTI_EXTENDED of the pn (the odd spelling is the handbook's); most are not used.
_PN_CTI = columns("""
MODE_ID 1I
CCD_ID 1I
NODE_ID 1I
CTI_FRAME_TRANSFER 1D
D_CTI_FRAME_TRANDFER 1D
CTI_X 1D
D_SERIAL_CTI 1D
CTI_Y 1D
D_CTI_PARALLEL 1D
""")


def pn_constituents(camera: Camera) -> Iterator[Constituent]:
    """ADUCONV, two issues of CTI, TIMECORR, TIMEJUMPTOL, REJECT, and the offset maps of fast modes.

    Parameters
    ----------
    camera
        The camera.
    """
    yield _aduconv(camera)
    yield from _cti(camera)
    yield _timecorr(camera)
    yield _timejumptol()
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


def _aduconv(camera: Camera) -> Constituent:
    gain, _ = numbers.pn_column_numbers()
    offset = np.zeros((12, 64))
    for ccd, x, adu in numbers.PN_OFFSET_COLUMNS:
        offset[ccd - 1, x - 1] = adu
    ccds = list(camera.ccds)
    header = {
        "ALGOID": 0,
        "REFTIME": "2000-01-01T00:00:00",
        "BPT_CODE": (0, "code of the table uploaded on board"),
        "KEV0": (0.0, "[keV]"),
        "KEV_P_PI": (0.001, "[keV] per PI channel"),
    }
    return Constituent(
        "EPN",
        "ADUCONV",
        123,
        [
            Extension("OFFSET_GAIN", {"CCD_ID": ccds, "GAIN": gain, "OFFSET": offset}, header),
            Extension("GAIN-HIGH", {"CCD_ID": ccds, "GAIN": gain}, {"ADU_EV": (numbers.PN_ADU_EV, "[eV]")}),
        ],
    )


def _cti(camera: Camera) -> Iterator[Constituent]:
    _, loss = numbers.pn_column_numbers()
    ccds = list(camera.ccds)
    modes = np.array(sorted(PN_MODE_IDS.values()))
    mode, chip, node = (a.ravel() for a in np.meshgrid(modes, ccds, np.arange(64), indexing="ij"))
    transfer = dict.fromkeys((c.name for c in _PN_CTI), np.zeros(len(mode))) | {
        "MODE_ID": mode,
        "CCD_ID": chip,
        "NODE_ID": node,
        "CTI_Y": loss[chip - 1, node],
    }
    law = {
        "E_REF": (numbers.PN_CTI_ENERGY_EV, "[eV]"),
        "SLOPE": (numbers.PN_CTI_SLOPE, "power of the energy"),
    }
    used = [(m, c) for m in (0, 1, 2) for c in ccds] + [(m, 4) for m in (3, 4, 5)]
    years = np.arange(26.0)
    shifts = [
        (m, c, pattern, kev, numbers.PN_PATTERN_SHIFT_EV[pixels])
        for m, c in used
        for pattern, pixels in ((p, 2 if p < 5 else 3 if p < 9 else 4) for p in range(1, 13))
        for kev in (0.3, 10.0)
    ]
    # The superseded issue knows no ageing.
    for issue, growth in ((48, 0.0), (56, 1.0)):
        ageing = [
            (m, c, kev, start + growth * pn_ltc_growth(years))
            for m, c in used
            for kev, start in zip(numbers.PN_LTC_ENERGY_KEV, numbers.PN_LTC_START, strict=True)
        ]
        yield Constituent(
            "EPN",
            "CTI",
            issue,
            [
                Extension("CTI_EXTENDED", transfer, law, schema=_PN_CTI),
                Extension("LONG_TERM_CTI", table_columns(("MODE_ID", "CCD_ID", "ENERGY", "T_COEFF"), ageing)),
                Extension("LTC_TIMES", {"TIME": years[None, :]}),
                Extension(
                    "RATE_DEPENDENT_CTI", table_columns(("MODE_ID", "A0", "A1", "A2"), numbers.PN_RATE_CTI)
                ),
                Extension(
                    "COMB_EVT_OFFSET",
                    table_columns(("MODE_ID", "CCD_ID", "PATTERN", "ENERGY", "SHIFT"), shifts),
                ),
            ],
            "2000-03-23T05:00:00",
        )


def _timecorr(camera: Camera) -> Constituent:
    known = [camera.mode(submode) for submode in camera.modes]
    residual = numbers.PN_FIFO_RESIDUAL
    frames = [
        (
            m.mode_id,
            ms,
            numbers.PN_FIFO_FRAMES.get(m.submode, 0) * ms,
            1 - m.loss_s / m.frame_time_s,
            residual,
        )
        for m in known
        for ms in [m.frame_time_s * 1e3]
    ]
    # The stamp comes after the centre of the integration: the constant that is added to it is negative.
    constants = [
        (m.mode_id, position, m.frame_time_s * 1e3, -m.delay_s(position + 1))
        for m in known
        for position in range(3)
    ]
    return Constituent(
        "EPN",
        "TIMECORR",
        11,
        [
            Extension(
                "FRAMETIME",
                table_columns(("MODE_ID", "FRAME_TIME", "FIFO_DEAD_TIME", "LIVE", "FIFO_RESIDUAL"), frames),
            ),
            Extension("TIMECORR", table_columns(("MODE_ID", "CCD_ID", "FRAME_TIME", "TIME_CORR"), constants)),
        ],
    )


def _timejumptol() -> Constituent:
    tolerance = [
        (mode_id, revolution, fast if submode.startswith("Fast") else imaging)
        for submode, mode_id in PN_MODE_IDS.items()
        for revolution, imaging, fast in numbers.PN_JUMP_TOLERANCE
    ]
    return Constituent(
        "EPN",
        "TIMEJUMPTOL",
        1,
        [
            Extension(
                "TIMEJUMPTOL",
                table_columns(("MODE_ID", "REVOLUTION", "TOLERANCE"), tolerance),
                letters={"TOLERANCE": "I"},
            )
        ],
        "2000-01-01T00:00:00",
    )
