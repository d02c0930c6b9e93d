"""Tests and splitting of MOS events on hand-made lists."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos import events
from daxa.xmm.instruments.mos.calibration import energy_limits, event_threshold
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.patterns import N_PATTERNS, PatternLibrary
from daxa.xmm.instruments.mos.raw import RawHeader
from daxa.xmm.odf.table import OdfTable


@pytest.fixture
def library():
    """Singles, the four doubles, one L, one square, the four diagonals."""
    shapes = {
        0: [],
        1: [(0, 1)],
        2: [(1, 0)],
        3: [(0, -1)],
        4: [(-1, 0)],
        5: [(0, 1), (1, 0)],
        9: [(0, 1), (1, 0), (1, 1)],
        26: [(1, 1)],
        27: [(1, -1)],
        28: [(-1, -1)],
        29: [(-1, 1)],
    }
    roles = np.full((N_PATTERNS, 5, 5), 2, np.int16)
    roles[:, 2, 2] = 1
    for pattern, pixels in shapes.items():
        for x, y in pixels:
            roles[pattern, y + 2, x + 2] = 1
    return PatternLibrary(roles, (25.0, 25.0))


def _list(n, **columns):
    names = ("frame", "rawx", "rawy", "e1", "e2", "e3", "e4", "pattern", "peripix", "flag")
    default = {"rawx": 300, "rawy": 300, "e1": 500}
    return Events(*(np.array(np.broadcast_to(columns.get(k, default.get(k, 0)), n), np.int64) for k in names))


def test_raw_coordinates():
    # Full window: columns 7 to 606 and rows 2 to 601 of telemetry; a small one.
    assert events.raw_to_ccd([6, 7, 606, 607], 0, 5).tolist() == [0, 1, 600, 601]
    assert events.raw_to_ccd([2, 601], 0, 0).tolist() == [1, 600]
    assert events.raw_to_ccd([7, 106], 250, 5).tolist() == [251, 350]


def test_bright_columns_of_raw_files_are_bad_columns_of_sas(shared_data):
    """Isolated bright columns in real raw lists, and the table of bad pixels in a list of SAS."""
    from astropy.io import fits

    products = shared_data / "sas_products_0201903501" / "eclean" / "mos1_exp1_clean_evts.fits.gz"
    for ccd, bright in ((2, 459), (4, 66), (4, 231)):
        path = shared_data / "odf_0135730701" / f"0234_0135730701_M1U009{ccd}0IME.FIT.gz"
        counts = np.bincount(fits.getdata(path)["RAWX"], minlength=610)
        assert counts[bright] > 1.5 * counts[[bright - 1, bright + 1]].max()
        bad = fits.getdata(products, f"BADPIX{ccd:02d}")["RAWX"]
        assert events.raw_to_ccd(bright, 0, 5) in bad


def test_window_cosmic_and_thresholds():
    e = _list(
        5,
        rawx=[0, 1, 600, 601, 300],
        pattern=[0, 30, 31, 0, 12],
        e1=[10, 30, 3000, 30, 30],
        e2=[0, 0, 2000, 0, 0],
    )
    assert events.flag_window(e, (1, 600), (1, 600)) == 2
    assert events.flag_cosmic(e) == 2
    assert events.flag_thresholds(e, 25, 4095) == (1, 1)
    assert e.flag.tolist() == [
        MosFlag.OUT_OF_CCD_WINDOW | MosFlag.OUTSIDE_THRESHOLDS,
        MosFlag.COSMIC_RAY,
        MosFlag.COSMIC_RAY | MosFlag.OUTSIDE_THRESHOLDS,
        MosFlag.OUT_OF_CCD_WINDOW,
        0,
    ]


def _header(sent):
    window = {"WINDOWX0": 0, "WINDOWY0": 0, "WINDOWDX": 600, "WINDOWDY": 600}
    return RawHeader.of(OdfTable("raw", fits.Header(sent | window), fits.Header(), {}))


@pytest.mark.parametrize(
    ("sent", "limits"),
    [
        ({"EMDHLOW": 30, "EMDHUPP": 4000}, (30, 4000)),
        ({"EMDHLOW": 0, "EMDHUPP": 4095}, (0, 4095)),
        ({"EMDHUPP": 4000}, (7, 4000)),
        ({}, (7, 3000)),
    ],
)
def test_limits_of_the_raw_header_come_before_those_of_the_calibration(sent, limits):
    calibration = SimpleNamespace(misc={"EMDHLOW": 7.0, "EMDHHIGH": 3000.0}.__getitem__)
    assert energy_limits(calibration, _header(sent)) == limits


@pytest.mark.parametrize(("sent", "threshold"), [({"EDUTHR": 100}, 100), ({}, 21)])
def test_threshold_of_the_raw_header_comes_before_that_of_the_calibration(sent, threshold):
    calibration = SimpleNamespace(library=SimpleNamespace(thresholds_adu=(21.0, 22.0)))
    assert event_threshold(calibration, _header(sent), 1) == threshold


def test_truncation_follows_scale_and_offsets():
    e = _list(4, frame=[0, 1, 0, 0], e1=[4095, 4090, 3990, 3989], rawx=[1, 1, 2, 2])
    column = np.zeros(600)
    column[1] = 100
    row = np.zeros(600)
    row[299] = 5
    assert events.flag_truncated(e, np.array([0, 5]), column, row * 0) == 2
    e.flag[:] = 0
    assert events.flag_truncated(e, np.array([0, 5]), column, row) == 3
    e.flag[:] = 0
    assert events.flag_truncated(e, np.array([0, 0])) == 1


def test_diagonals_become_two_singles(library):
    e = _list(3, frame=[0, 1, 2], pattern=[26, 0, 29], e1=[500, 500, 400], e2=[300, 0, 100])
    result, n = events.split_diagonals(e, library)
    assert n == 2
    assert result.frame.tolist() == [0, 0, 1, 2, 2]
    assert result.rawx.tolist() == [300, 301, 300, 300, 299]
    assert result.rawy.tolist() == [300, 301, 300, 300, 301]
    assert result.e1.tolist() == [500, 300, 500, 400, 100]
    assert not result.e2.any()
    assert result.pattern.tolist() == [0] * 5
    assert (result.flag == MosFlag.DIAGONAL).tolist() == [True, True, False, True, True]


def test_silicon_escapes_stay_together(library):
    e = _list(2, pattern=[26, 26], e1=[500, 900], e2=[300, 520])
    result, n = events.split_diagonals(e, library, (490, 530))
    assert n == 0
    assert len(result) == 2


def test_bright_pixel_is_cut_out_of_a_double(library):
    bright = np.zeros((600, 600), bool)
    bright[299, 300] = True  # RAWX 301, RAWY 300
    e = _list(
        3, frame=[0, 1, 2], rawx=[300, 301, 100], pattern=[2, 4, 2], e1=[500, 400, 300], e2=[120, 60, 50]
    )
    result, n = events.cut_bad(e, library, bright)
    assert n == 2
    good = result.take(result.flag == 0)
    assert good.frame.tolist() == [0, 1, 2]
    assert good.rawx.tolist() == [300, 300, 100]
    assert good.e1.tolist() == [500, 60, 300]
    assert good.e2.tolist() == [0, 0, 50]
    assert good.pattern.tolist() == [0, 0, 2]
    bad = result.take(result.flag != 0)
    assert (bad.rawx == 301).all()
    assert (bad.flag == MosFlag.ON_BADPIX).all()
    assert bad.e1.tolist() == [120, 400]


def test_what_is_left_of_a_square_is_an_l(library):
    bright = np.zeros((600, 600), bool)
    bright[300, 300] = True  # the corner (301, 301)
    e = _list(1, pattern=9, e1=500, e2=90)
    result, n = events.cut_bad(e, library, bright)
    assert n == 1
    rest = result.take(result.flag == 0)
    assert rest.pattern.tolist() == [5]
    assert (rest.e1[0], rest.e2[0]) == (500, 60)


def test_single_on_a_bright_pixel_is_only_flagged(library):
    bright = np.zeros((600, 600), bool)
    bright[299, 299] = True
    result, n = events.cut_bad(_list(1), library, bright)
    assert n == 1
    assert result.flag.tolist() == [MosFlag.ON_BADPIX]


def test_noisy_rows():
    rng = np.random.default_rng(1)
    quiet = 2000
    frame = np.concatenate([rng.integers(0, 1000, quiet), np.full(12, 500), [500, 500]])
    rawx = np.concatenate([rng.integers(1, 601, quiet), np.arange(12) * 40 + 50, [55, 30]])
    rawy = np.concatenate([rng.integers(1, 601, quiet), np.full(12, 77), [78, 76]])
    e = _list(len(frame), frame=frame, rawx=rawx, rawy=rawy)
    noisy = events.flag_noisy_rows(e, 1000, max_above=4, width=10)
    rows, beside, expected = noisy.in_rows, noisy.beside, noisy.expected
    assert rows == 12
    assert beside == 1
    assert expected < 0.05
    assert np.flatnonzero(e.flag).tolist() == list(range(quiet, quiet + 13))
    assert events.flag_noisy_rows(_list(0), 1000, max_above=4, width=10) == events.NoisyRows()


def test_local_median():
    x, y = np.array([1, 2, 3, 400]), np.array([1, 2, 3, 400])
    values, use = np.array([5, 1, 9, 7]), np.ones(4, bool)
    assert events.local_median(x, y, values, use).tolist() == [5, 5, 5, 7]
    # Events left out get the median of their neighbours, or of all where there are none.
    assert events.local_median(x, y, values, use & (values < 9)).tolist() == [3, 3, 3, 7]
    assert events.local_median(x, y, values, values < 7).tolist() == [3, 3, 3, 3]


def test_undershoot_is_found_where_most_events_lie_in_noisy_rows():
    """As on the real MOS2 CCD 5: 107 000 of 178 000 events have low E3, most of them in noisy rows."""
    rng = np.random.default_rng(3)
    n, n_rows, n_low = 20_000, 12_000, 1400
    e3 = np.rint(rng.normal(8, 13, n)).astype(int)
    e3[:n_rows] -= 100
    e3[n_rows : n_rows + n_low] -= 150
    flag = np.where(np.arange(n) < n_rows, int(MosFlag.ON_BADROW), 0)
    e = _list(n, rawx=rng.integers(1, 601, n), rawy=rng.integers(1, 601, n), e3=e3, flag=flag)
    found, threshold = events.flag_undershoot(e)
    low = e.flag & int(MosFlag.UNDERSHOOT) != 0
    assert -95 < threshold < -65
    assert low[n_rows : n_rows + n_low].all()
    assert low[:n_rows].mean() > 0.8
    assert not low[n_rows + n_low :].any()
    assert found == low.sum()


def test_undershoot_is_found_and_noise_is_not():
    rng = np.random.default_rng(2)
    e3 = np.rint(rng.normal(8, 13, 5000)).astype(int)
    e3[:20] -= 200
    e = _list(5000, rawx=rng.integers(1, 601, 5000), rawy=rng.integers(1, 601, 5000), e3=e3)
    n, threshold = events.flag_undershoot(e)
    assert n == 20
    assert np.flatnonzero(e.flag == MosFlag.UNDERSHOOT).tolist() == list(range(20))
    assert -110 < threshold < -60


def test_flickering_pixels_and_steady_sources():
    rng = np.random.default_rng(3)
    n = 20_000
    frame = rng.integers(0, 5000, n)
    x, y = rng.integers(1, 601, n), rng.integers(1, 601, n)
    source = slice(0, 3000)
    x[source], y[source] = 250 + rng.integers(-2, 3, 3000), 250
    frame[-6:], x[-6:], y[-6:] = 1000, 400, 123
    e = _list(n, frame=frame, rawx=x, rawy=y)
    number, _ = events.flag_flickering(e, 5000)
    assert number == 6
    assert np.flatnonzero(e.flag).tolist() == list(range(n - 6, n))


def test_offsets_of_a_mode_that_is_not_listed_are_said_to_be_those_of_another(calibration_env, said):
    from types import SimpleNamespace

    from daxa.xmm.ccf.calibration import Calibration
    from daxa.xmm.instruments.mos.calibration import _calibrated_offsets

    cal = Calibration.from_environment(calibration_env)
    layout = SimpleNamespace(shape=(600, 600), under=(5, 0))

    def offsets(mode_id):
        camera = SimpleNamespace(
            cal=cal,
            scope="EMOS1",
            submode="FastCompressed",
            table=lambda typeid, name: cal.constituent("EMOS1", typeid).table(name),
            of_mode=lambda table: np.asarray(table["MODE_ID"]) == mode_id,
        )
        return _calibrated_offsets(camera, (2, 0), layout)

    plain = offsets(0)
    assert said.fallbacks == {}
    assert np.array_equal(offsets(99).column, plain.column)
    (note,) = said.fallbacks
    assert note.endswith("[OFFSET_CCD2]: noOffsetsOfMode")
    assert "nothing for FastCompressed" in said.err.getvalue()
