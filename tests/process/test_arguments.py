"""What users hand to the steps: numbers that are none, limits without end, selections of several parts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from astropy.units import Quantity

from daxa.process.arguments import check_band, check_bands, check_quantity, check_timeout
from daxa.process.xmm.assemble import MOS_FILTER, PN_FILTER, clean_expression
from daxa.process.xmm.clean import EspfiltOptions

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
