"""Times of the pn's frames from calibration files of several spellings, beside real headers and logs."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from made_files import MadeConstituent

from daxa.xmm.ccf.documented import CONSTANT_LOSS_S, documented_tolerance
from daxa.xmm.ccf.pn_times import PnTimes, pn_times
from daxa.xmm.errors import UnknownLayout
from daxa.xmm.formats.instruments import PN_MODE_IDS

FRAME_MS = {
    "PrimeFullWindow": 73.36496,
    "PrimeFullWindowExtended": 199.19408,
    "PrimeLargeWindow": 47.66384,
    "FastTiming": 5.96464,
}
#: AX_FC0 of the headers of real good-time tables.
AX_FC0 = {
    "PrimeFullWindow": 0.999056220054626,
    "PrimeFullWindowExtended": 0.99965238571167,
    "FastTiming": 0.991169989109039,
}
#: JUMP_TOL of real headers and logs: SUBMODE, revolution, units.
JUMPS = [
    ("PrimeFullWindowExtended", 184, 22),
    ("PrimeFullWindowExtended", 240, 25),
    ("PrimeFullWindowExtended", 347, 26),
    ("FastTiming", 347, 20),
    ("FastTiming", 535, 23),
    ("FastTiming", 730, 33),
    ("FastTiming", 815, 36),
    ("PrimeFullWindowExtended", 868, 32),
    ("FastTiming", 1516, 40),
    ("PrimeLargeWindow", 2522, 50),
    ("PrimeFullWindow", 3278, 51),
    ("FastTiming", 3553, 42),
    ("PrimeFullWindow", 3575, 51),
]
MODES = np.arange(6)
FRAMES_S = np.array([73.36496, 199.19408, 47.66384, 5.67184, 5.96464, 4.34448]) / 1e3
SHARES = {
    "LIVE": [0.999056220054626, 0.99965238571167, 0.998547, 0.98779, 0.991169989109039, 1.0],
    "FIFO_RESIDUAL": np.full(6, 0.9),
}
CORRECTION_S = np.array([[-0.051, -0.045, -0.039]] * 6) * FRAMES_S[:, None] / FRAMES_S[0]


class Files:
    """Calibration files made of columns."""

    def __init__(self, **tables):
        self.tables = tables

    def constituent(self, scope, typeid):
        assert scope == "EPN"
        return MadeConstituent("EPN", typeid, self.tables[typeid])


def long_form(values):
    return np.repeat(MODES, 3), np.tile(np.arange(3), 6), np.ravel(values)


def files(frametime=None, timecorr=None, jumps=None):
    mode, ccd, constant = long_form(CORRECTION_S)
    share = [0.936444, 0.976592, 0.949, 0.71, 1.0, 0.03]
    return Files(
        TIMECORR={
            "FRAMETIME": frametime
            or {"MODE_ID": MODES, "FRAME_TIME": FRAMES_S * 1e3, "FIFO": [366.82, 398.39, 95.33, 0, 0, 0.0]}
            | SHARES,
            "TIMECORR": timecorr or {"MODE_ID": mode, "CCD": ccd, "T_CAL": constant},
        },
        MODEPARAM={
            "MODEPARAM": {
                "MODE_ID": MODES, "INTEGRATION_T": FRAMES_S * share * 1e3, "CYCLE_T": FRAMES_S * 1e3,
                "FRAME_T": FRAMES_S * 1e3, "SHIFT_T": np.full(6, 0.2), "TIME_RES": FRAMES_S * 1e3,
                **{f"WINDOW{k}": np.ones(6, int) for k in ("X0", "Y0", "DX", "DY")},
            }
        },
        TIMEJUMPTOL={
            "TIMEJUMPTOL": jumps
            or {"MODE_ID": [0, 0, 1, 1, 4, 4], "REV": [1, 2000] * 3, "TOL": [22, 51, 22, 51, 20, 42]}
        },
    )  # fmt: skip


def of(found: PnTimes):
    return found.frame_s, found.readout_s, *found.correction_s, found.fifo_s, found.jump_units


def test_times_of_real_headers_and_logs():
    for submode, frame_ms in FRAME_MS.items():
        found = pn_times(files(), submode, 3000)
        assert found.frame_s * 1e3 == pytest.approx(frame_ms, abs=1e-9)
        if submode in AX_FC0:
            assert 1 - found.loss_s / found.frame_s == pytest.approx(AX_FC0[submode], abs=3e-7)
    full = pn_times(files(), "PrimeFullWindow", 3000)
    assert full.loss_s == pytest.approx(69.24e-6, abs=1e-8)
    assert full.fifo_s == pytest.approx(366.82e-3)
    assert full.fifo_residual == 0.9
    # TIMEDEL of real images.
    assert full.frame_s - full.readout_s == pytest.approx(68.7022e-3, abs=1e-7)
    assert full.jump_units == 51


@pytest.mark.parametrize(("submode", "revolution", "units"), JUMPS)
def test_documented_tolerances_of_jumps(submode, revolution, units):
    assert documented_tolerance(submode, revolution) == units


def test_tolerances_before_and_between_known_revolutions():
    assert documented_tolerance("PrimeFullWindow", 50) == 22
    assert documented_tolerance("PrimeFullWindow", 2000) == 32
    assert documented_tolerance("FastBurst", 5000) == 42


MODE_OF_CCD, CCD, CONSTANT = long_form(CORRECTION_S)
SPELLINGS = {
    "seconds": {"frametime": {"MODE_ID": MODES, "FRAME_TIME": FRAMES_S, "X": np.rint(2e5 * FRAMES_S) / 1e5}},
    "single precision": {"frametime": {"MODE_ID": MODES.astype("f8"), "FRAME_TIME": FRAMES_S.astype("f4")}},
    "no names": {"frametime": {"COL1": MODES, "COL2": FRAMES_S * 1e3}},
    "vector of CCDs": {"timecorr": {"MODE_ID": MODES, "FRAME_TIME": FRAMES_S * 1e3, "T": CORRECTION_S}},
    "twelve CCDs": {"timecorr": {"MODE_ID": MODES, "T": np.tile(CORRECTION_S, 4)}},
    "constants in ms": {"timecorr": {"MODE_ID": MODE_OF_CCD, "CCD_ID": CCD, "DELAY": CONSTANT * 1e3}},
    "frame time repeated": {
        "timecorr": {
            "MODE_ID": MODE_OF_CCD, "CCD_ID": CCD + 1, "FRAME_TIME": np.repeat(FRAMES_S, 3), "X": CONSTANT,
        }
    },
    "jumps without mode": {"jumps": {"ORBIT": [1, 2000], "TOLERANCE": [22.0, 51.0]}},
    "jumps by vector": {"jumps": {"N": [1, 2000], "V": [[22, 22, 22, 22, 20, 20], [51, 51, 51, 51, 42, 42]]}},
    "jumps in two columns": {"jumps": {"REV": [1, 2000], "TI_TOL": [20, 42], "FF_TOL": [22, 51]}},
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_give_the_same(spelling):
    expected = pn_times(files(), "PrimeFullWindowExtended", 3000)
    found = pn_times(files(**SPELLINGS[spelling]), "PrimeFullWindowExtended", 3000)
    assert of(found) == pytest.approx(of(expected), rel=1e-5)


def test_fallbacks_are_said(said):
    lacking = files(
        frametime={"MODE_ID": MODES, "FRAME_TIME": FRAMES_S},
        timecorr={"MODE_ID": MODES, "FRAME_TIME": FRAMES_S},
        jumps={"A": ["x", "y"]},
    )
    kept = {n: v[:1] for n, v in lacking.tables["MODEPARAM"]["MODEPARAM"].items()}
    lacking.tables["MODEPARAM"] = {"MODEPARAM": kept}
    found = pn_times(lacking, "PrimeFullWindowExtended", 347)
    assert found.correction_s == (0.0,) * 12
    assert found.jump_units == 26
    assert found.fifo_s == pytest.approx(398.39e-3)
    assert found.frame_s - found.readout_s == pytest.approx(194.531e-3, abs=1e-6)
    assert (found.fifo_residual, found.loss_s) == (0.9, 69.242e-6)
    codes = {"noTimeConstant", "noFifoDeadTime", "noIntegrationTime", "noJumpTolerance"}
    codes |= {"noFifoResidual", "noConstantLoss"}
    assert all(said.err.getvalue().count(f"({code}), EPN_") == 1 for code in codes)
    assert {text.split(": ")[1] for text in said.fallbacks} == codes


def test_a_constant_beyond_a_frame_and_a_half_is_not_one(said):
    wild = files(timecorr={"MODE_ID": MODES, "T_CAL": np.full(6, 400.0)})
    found = pn_times(wild, "PrimeFullWindow", 3000)
    assert found.correction_s == (0.0,) * 12
    assert list(said.fallbacks) == ["EPN_TIMECORR_0001.CCF[TIMECORR]: noTimeConstant"]


def test_without_frame_time_the_file_is_refused():
    with pytest.raises(
        UnknownLayout, match=r"EPN_TIMECORR_0001.CCF\[FRAMETIME\]: no column FRAME_TIME.*3 to 500 ms"
    ):
        pn_times(files(frametime={"MODE_ID": MODES, "NAME": ["a"] * 6}), "PrimeFullWindow", 3000)
    with pytest.raises(UnknownLayout, match="no row for mode 5"):
        pn_times(files(frametime={"MODE_ID": MODES[:5], "FRAME_TIME": FRAMES_S[:5]}), "FastBurst", 3000)


# --- the synthetic set beside real headers -------------------------------------------------------------


@pytest.fixture(scope="module")
def synthetic(calibration_env):
    from daxa.xmm.ccf.calibration import Calibration

    return Calibration.from_environment(calibration_env)


@pytest.mark.parametrize("submode", PN_MODE_IDS)
def test_the_synthetic_set_needs_no_fallback(synthetic, submode, said):
    found = pn_times(synthetic, submode, 3000)
    assert said.fallbacks == {}
    assert np.abs(found.correction_s).max() < 1.5 * found.frame_s
    if submode in FRAME_MS:
        assert found.frame_s * 1e3 == pytest.approx(FRAME_MS[submode], abs=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "epic_pn_0124710801/PN_rate.fits",
        "esas_0203930101/pnS003-rate-oot.fits.gz",
        "pn_timing_x2127/0087350401_pn_eff_calclosed.lc.gz",
    ],
)
def test_starts_of_the_ccds_within_the_frame(synthetic, shared_data, name):
    """In a quadrant as the time constants say; quadrants a quarter of the frame apart, in cyclic order."""
    with fits.open(shared_data / name) as hdus:
        tables = [hdus[f"STDGTI{ccd:02d}"] for ccd in range(1, 13)]
        start = np.array([t.data["START"][0] for t in tables]).reshape(4, 3)
        header = tables[0].header
    times = pn_times(synthetic, header["SUBMODE"].strip(), int(header["REVOLUT"]))
    assert header["FRMTIME"] == pytest.approx(times.frame_s * 1e3)
    assert header["AX_FC0"] == pytest.approx(1 - times.loss_s / times.frame_s, abs=1e-6)
    assert header["JUMP_TOL"] == documented_tolerance(header["SUBMODE"].strip(), int(header["REVOLUT"]))
    constants = np.array(times.correction_s).reshape(4, 3)
    assert start - start[:, :1] == pytest.approx(constants - constants[:, :1], abs=2e-6)
    assert np.diff(constants) == pytest.approx(6.1105e-3, abs=1e-6)
    behind = (start[:, 0] - start[0, 0]) / times.frame_s
    assert behind % 1 == pytest.approx([0, 0.25, 0.5, 0.75], abs=1e-3)


@pytest.mark.parametrize(
    "name",
    [
        "pn_timing_x2127/0087350101_pn_timing.lc.gz",
        "pn_timing_0506110101/0506110101_PN_source_lightcurve_raw.lc.gz",
    ],
)
def test_headers_of_real_timing_exposures(synthetic, shared_data, name):
    header = fits.getheader(shared_data / name, "STDGTI04")
    times = pn_times(synthetic, "FastTiming", int(header["REVOLUT"]))
    assert header["FRMTIME"] == pytest.approx(times.frame_s * 1e3)
    assert header["AX_FC0"] == pytest.approx(1 - times.loss_s / times.frame_s, abs=1e-6)
    assert header["JUMP_TOL"] == documented_tolerance("FastTiming", int(header["REVOLUT"]))
    assert tuple(header[f"WINDOW{k}"] for k in ("X0", "Y0", "DX", "DY")) == (1, 2, 64, 199)


LATE_S = CORRECTION_S[0] + 1e-3 * np.arange(4)[:, None]
OF_FOUR = [
    {"MODE_ID": np.zeros(12, int), "CCD_ID": np.arange(1, 13), "T_CAL": LATE_S.ravel()},
    # As raw files count: quadrant, and CCD in it.
    {"MODE_ID": np.zeros(12, int), "QUADRANT": np.repeat([3, 0, 1, 2], 3), "CCD_ID": np.tile([2, 0, 1], 4)}
    | {"T_CAL": LATE_S[[3, 0, 1, 2]][:, [2, 0, 1]].ravel()},
    {"MODE_ID": np.zeros(12, int), "A": np.tile([0, 1, 2], 4), "B": np.repeat([1, 2, 3, 4], 3)}
    | {"T_CAL": LATE_S.ravel()},
    {"MODE_ID": np.zeros(4, int), "QUADRANT": np.arange(4), "T": LATE_S},
    {"MODE_ID": [0, 1], "T": np.tile(LATE_S.ravel(), (2, 1))},
]


@pytest.mark.parametrize("timecorr", OF_FOUR)
def test_quadrants_have_times_of_their_own(timecorr, said):
    found = pn_times(files(timecorr=timecorr), "PrimeFullWindow", 3000)
    assert found.correction_s == pytest.approx(LATE_S.ravel())
    assert said.fallbacks == {}


@pytest.mark.parametrize(
    ("timecorr", "number"),
    [
        ({"MODE_ID": [0, 0], "CCD_ID": [1, 2], "T_CAL": CORRECTION_S[0, :2]}, "2"),
        ({"MODE_ID": [0, 1], "T_CAL": CORRECTION_S[:2, :2]}, "2"),
        ({"MODE_ID": np.zeros(12, int), "CCD_ID": np.tile([0, 1, 2], 4), "T_CAL": LATE_S.ravel()}, "12"),
        ({"MODE_ID": [1, 2], "T_CAL": CORRECTION_S[:2, 0]}, "no"),
    ],
)
def test_constants_of_unknown_ccds_are_not_taken(timecorr, number, said):
    found = pn_times(files(timecorr=timecorr), "PrimeFullWindow", 3000)
    assert found.correction_s == (0.0,) * 12
    assert list(said.fallbacks) == ["EPN_TIMECORR_0001.CCF[TIMECORR]: noTimeConstant"]
    assert f"{number} constants for PrimeFullWindow, not 1, 3 or 12" in said.err.getvalue()


@pytest.mark.parametrize("frame_unit", [1, 1e3])
@pytest.mark.parametrize("dead_unit", [1, 1e3])
def test_dead_times_have_units_of_their_own(frame_unit, dead_unit, said):
    dead = np.array([0.36682, 0.39839, 0.09533, 0, 0, 0]) * dead_unit
    frametime = {"MODE_ID": MODES, "FRAME_TIME": FRAMES_S * frame_unit, "FIFO_DEAD_TIME": dead} | SHARES
    found = pn_times(files(frametime=frametime), "PrimeFullWindowExtended", 3000)
    assert (found.frame_s, found.fifo_s) == pytest.approx((199.19408e-3, 398.39e-3))
    without = {"MODE_ID": MODES, "FRAME_TIME": FRAMES_S} | SHARES
    timecorr = {"MODE_ID": MODES, "FIFO_DEAD_TIME": dead, "T_CAL": CORRECTION_S[:, 0]}
    found = pn_times(files(frametime=without, timecorr=timecorr), "PrimeFullWindow", 3000)
    assert found.fifo_s == pytest.approx(366.82e-3)
    assert said.fallbacks == {}


def test_shares_that_real_headers_and_logs_do_not_have_are_unknown(said):
    shares = {"LIVE_TIME": FRAMES_S, "RESIDUAL": np.full(6, 90.0)}
    plain = {"MODE_ID": MODES, "FRAME_TIME": FRAMES_S, "FIFO_DEAD": np.zeros(6)}
    frametime = plain | shares
    for submode, loss in CONSTANT_LOSS_S.items():
        found = pn_times(files(frametime=frametime), submode, 3000)
        assert (found.loss_s, found.fifo_residual) == (loss, 0.9)
    where = "EPN_TIMECORR_0001.CCF[FRAMETIME]"
    assert {f"{where}: noConstantLoss", f"{where}: noFifoResidual"} < set(said.fallbacks)
    shares = {"AX_FC0": np.full(6, 0.99), "FIFO_RESID": np.full(6, 0.8)}
    found = pn_times(files(frametime=plain | shares), "PrimeFullWindow", 3000)
    assert (found.live, found.fifo_residual) == pytest.approx((0.99, 0.8))


@pytest.mark.parametrize("submode", PN_MODE_IDS)
def test_shares_of_the_integration_without_mode_parameters(submode):
    others = files()
    others.tables["MODEPARAM"]["MODEPARAM"]["MODE_ID"] = MODES + 6
    found, plain = pn_times(others, submode, 3000), pn_times(files(), submode, 3000)
    assert found.integration_s == pytest.approx(plain.integration_s, rel=1e-3)


def test_impossible_dead_times_are_unknown(said):
    frametime = {"MODE_ID": MODES, "FRAME_TIME": FRAMES_S, "FIFO_DEAD_TIME": np.full(6, 4e5)} | SHARES
    assert pn_times(files(frametime=frametime), "PrimeFullWindow", 3000).fifo_s == pytest.approx(366.82e-3)
    assert list(said.fallbacks) == ["EPN_TIMECORR_0001.CCF[FRAMETIME]: noFifoDeadTime"]
