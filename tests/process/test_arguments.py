"""What users hand to the steps: numbers that are none, limits without end, selections of several parts."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from astropy.units import Quantity

from daxa import config
from daxa.process.arguments import check_band, check_bands, check_cores, check_quantity, check_timeout
from daxa.process.xmm.assemble import MOS_FILTER, PN_FILTER, clean_expression
from daxa.process.xmm.clean import EspfiltOptions
from daxa.process.xmm.setup import CifBuildOptions

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_numbers_are_finite(value):
    energy = Quantity(value, "keV")
    with pytest.raises(ValueError, match="x: expected a finite number"):
        check_quantity("x", energy, "eV")
    with pytest.raises(ValueError, match="timeout: expected a finite number"):
        check_timeout(Quantity(value, "s"))
    with pytest.raises(ValueError, match="hi_en: expected a finite number"):
        check_band(Quantity(1, "keV"), energy)
    with pytest.raises(ValueError, match="lo_en, hi_en: expected 0 <= lo_en < hi_en in every band"):
        check_bands(Quantity([0.5, 1], "keV"), Quantity([2, value], "keV"))
    for name, given in {
        "filter_hi_en": energy,
        "ratio": value,
        "allowed_sigma": value,
        "range_scale": {"mos": value, "pn": 15},
        "gauss_fit_lims": (0.1, value),
        "with_binning": Quantity(value, "s"),
    }.items():
        with pytest.raises(ValueError, match=f"{name}.*: expected a finite number"):
            EspfiltOptions(**{name: given})


def test_a_time_limit_beyond_what_the_system_can_wait():
    limit_s = check_timeout(Quantity(1e6, "yr"))
    assert limit_s == threading.TIMEOUT_MAX
    event = threading.Event()
    event.set()
    assert event.wait(limit_s)


def test_numbers_of_any_library():
    assert check_cores(np.int64(3)) == 3
    assert EspfiltOptions(ratio=np.float32(1.5)).task_parameters("pn")["ratio"] == 1.5
    for wrong in (True, 2.0, np.float64(2)):
        with pytest.raises(TypeError, match="num_cores"):
            check_cores(wrong)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (datetime(2020, 1, 1, 3), "2020-01-01T03:00:00"),
        (datetime(2020, 1, 1, 3, tzinfo=timezone(timedelta(hours=5))), "2019-12-31T22:00:00"),
        (date(2020, 1, 1), "2020-01-01"),
    ],
)
def test_dates_are_those_of_utc(given, expected):
    assert CifBuildOptions(given).date_text == expected


def test_no_folder_of_calibration_files_is_the_one_of_today(monkeypatch):
    monkeypatch.setenv("SAS_CCFPATH", "/a::/b:")
    assert config.calibration_path().split(":")[:2] == ["/a", "/b"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (PN_FILTER, "#XMMEA_EP && (PATTERN <= 4) && (FLAG .eq. 0)"),
        (MOS_FILTER, "#XMMEA_EM && (PATTERN <= 12) && (FLAG .eq. 0)"),
        (("PATTERN == 0 || FLAG == 0",), "(PATTERN == 0 || FLAG == 0)"),
        (("(PATTERN == 0) || (FLAG == 0)",), "((PATTERN == 0) || (FLAG == 0))"),
        (("((X,Y) in CIRCLE(1,2,3))", "true"), "((X,Y) in CIRCLE(1,2,3)) && true"),
    ],
)
def test_every_filter_counts_as_a_whole(filters, expected):
    assert clean_expression(filters, Path("g.fits"), None, None) == f"{expected} && GTI(g.fits,TIME)"
