"""The step badpix on values made by hand."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from mos_values import bad_pixels, ccd_of, event_list

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, FOUND, HOT, ONBOARD
from daxa.xmm.instruments.mos.options import Badpix
from daxa.xmm.instruments.mos.steps.badpix import badpix, ebadpixupdate


@pytest.fixture
def ccd():
    known = bad_pixels((10, 10, HOT), origin=ONBOARD)
    known = known.merged(bad_pixels((20, 20, DEAD), (500, 20, DEAD), origin=CALIBRATION))
    found = bad_pixels((30, 30, HOT), (20, 20, HOT), origin=FOUND)
    return ccd_of(event_list(0), known=known, found=found, limits=(1, 300, 1, 600))


def rows(pixels):
    table = pixels.table()
    return sorted(zip(*(table[k].tolist() for k in ("RAWX", "RAWY", "TYPE", "BADFLAG")), strict=True))


def test_known_ones_win_over_those_found_and_the_window_over_all(ccd):
    assert rows(badpix(ccd, Badpix())) == [(10, 10, HOT, 1), (20, 20, DEAD, 2), (30, 30, HOT, 3)]
    # The lists of the CCD stay.
    assert rows(ccd.known) == [(10, 10, HOT, 1), (20, 20, DEAD, 2), (500, 20, DEAD, 2)]
    assert rows(ccd.found) == [(20, 20, HOT, 3), (30, 30, HOT, 3)]


def test_every_option_does_something(ccd):
    without = {
        "getuplnkbadpix": [(20, 20, DEAD, 2), (30, 30, HOT, 3)],
        "getotherbadpix": [(10, 10, HOT, 1), (20, 20, HOT, 3), (30, 30, HOT, 3)],
        "getnewbadpix": [(10, 10, HOT, 1), (20, 20, DEAD, 2)],
        "windowfilter": [(10, 10, HOT, 1), (20, 20, DEAD, 2), (30, 30, HOT, 3), (500, 20, DEAD, 2)],
    }
    assert {f.name for f in fields(Badpix)} == set(without)
    for name, expected in without.items():
        assert rows(badpix(ccd, Badpix(**{name: False}))) == expected, name


def test_events_on_pixels_that_were_found_are_flagged(ccd):
    list_ = event_list(5, rawx=[30, 31, 10, 0, 600], rawy=[30, 30, 10, 30, 700], flag=1)
    assert ebadpixupdate(ccd, list_).tolist() == [1 | int(MosFlag.ON_BADPIX), 1, 1, 1, 1]
    assert np.array_equal(list_.flag, np.ones(5))
