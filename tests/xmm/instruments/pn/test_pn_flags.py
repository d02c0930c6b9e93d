"""FLAG bits of events on and beside columns with an offset, and bad pixels."""

from __future__ import annotations

import numpy as np

from daxa.xmm.formats.flags import PnFlag
from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, HOT, ONBOARD
from daxa.xmm.instruments.pn.badpixels import BadPixel, BadPixelMap
from daxa.xmm.instruments.pn.events import bad_pixel_flags, offset_flags


def test_columns_with_an_offset_and_their_neighbours():
    flag = offset_flags([1, 10, 11], np.array([1, 2, 3, 9, 10, 12, 64]))
    on, beside = int(PnFlag.ON_OFFSET_COLUMN), int(PnFlag.NEXT_TO_OFFSET_COLUMN)
    assert flag.tolist() == [on, beside, 0, beside, on | beside, beside, 0]
    assert not offset_flags([], np.arange(1, 65)).any()


def test_bad_pixels_and_their_neighbours_by_kind():
    pixels = [BadPixel(10, 20, HOT, 1, CALIBRATION), BadPixel(30, 20, DEAD, 2, CALIBRATION)]
    badpix = BadPixelMap.of([*pixels, BadPixel(50, 20, HOT, 1, ONBOARD)])
    # On the hot one, beside it, diagonal to it; beyond the dead two; beside the one switched off on board.
    x, y = np.array([[10, 20], [9, 20], [9, 21], [30, 22], [51, 20]]).T
    flag = bad_pixel_flags(badpix, (y - 1, x - 1))
    assert flag[0] & int(PnFlag.ON_BADPIX)
    assert flag[1:].tolist() == [
        int(PnFlag.CLOSE_TO_BRIGHTPIX), 0, int(PnFlag.CLOSE_TO_DEADPIX), int(PnFlag.CLOSE_TO_ONBOARD_BADPIX),
    ]  # fmt: skip
