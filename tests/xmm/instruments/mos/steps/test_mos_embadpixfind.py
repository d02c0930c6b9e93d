"""The step embadpixfind on values made by hand; the search itself is tested with its algorithm."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from mos_values import bad_pixels, ccd_of, context, event_list

from daxa.xmm.instruments.badpixels import CALIBRATION, DEAD, FOUND, HOT, ONBOARD
from daxa.xmm.instruments.mos.badpixels import BadPixels
from daxa.xmm.instruments.mos.exposure import Ccd
from daxa.xmm.instruments.mos.options import Embadpixfind
from daxa.xmm.instruments.mos.steps.embadpixfind import embadpixfind

SHAPE = (220, 200)


@pytest.fixture
def image():
    """Twenty counts per pixel; a bright pixel, a dark spot, two bright columns, a dark row."""
    counts = np.random.default_rng(3).poisson(20.0, SHAPE[::-1]).astype(float)
    counts[100, 60] = 90
    counts[30:33, 40:43] = 0
    counts[:, 150:152] += 40
    counts[160] = np.rint(0.2 * counts[160])
    return counts


def small_ccd(**changes) -> Ccd:
    empty = {"known": BadPixels(SHAPE), "found": BadPixels(SHAPE), "limits": (1, 220, 1, 200)}
    return ccd_of(event_list(0), shape=SHAPE, **empty | changes)


def run(image, params=None, ccd: Ccd | None = None, **changes):
    ccd = ccd or small_ccd(**changes)
    step, said = context()
    embadpixfind(ccd, image, params or Embadpixfind(), step.messages)
    return ccd.found, said


def test_what_is_found_is_hot_or_dead(image):
    found, said = run(image)
    kinds = [found.kind[at] for at in ((100, 60), (7, 150), (7, 151), (31, 41), (160, 7))]
    assert kinds == [HOT, HOT, HOT, DEAD, DEAD]
    assert set(found.origin[found.bad]) == {FOUND}
    # One pixel, nine, two columns and a row that cross each other.
    assert found.bad.sum() == 1 + 9 + 2 * 200 + 220 - 2
    assert any(line.endswith("bright pixels found in image") for line in said.lines)


def test_a_second_search_adds_to_the_first(image):
    ccd = small_ccd()
    run(image, ccd=ccd)
    before = ccd.found.bad.copy()
    image[50, 60] = 90
    run(image, ccd=ccd)
    assert ccd.found.bad[before].all()
    assert np.argwhere(ccd.found.bad & ~before).tolist() == [[50, 60]]


def test_only_the_window_is_searched(image):
    found, _ = run(image, limits=(1, 100, 1, 200))
    assert found.bad[100, 60]
    assert not found.bad[:, 100:].any()


def test_pixels_of_the_calibration_are_left_out(image):
    known = bad_pixels((61, 101, HOT), (42, 32, DEAD), origin=CALIBRATION, shape=SHAPE)
    assert not run(image, known=known)[0].bad[100, 60]
    assert run(image, Embadpixfind(ignoreccfbright=True), known=known)[0].bad[100, 60]
    assert run(image, Embadpixfind(usecal=False), known=known)[0].bad[100, 60]


def test_masked_pixels_that_shine_are_named(image):
    _, said = run(image, known=bad_pixels((61, 101, HOT), (10, 10, HOT), origin=ONBOARD, shape=SHAPE))
    assert said.warnings == [
        (
            "getCalBadpix10",
            "CCD 2: bright pixel at 61 101 is declared uplinked in the CCF but is present in the data "
            "(1 such pixels)",
        )
    ]


#: Every option of the step and a value other than the default.
OTHERWISE = {
    "probathreshold": 1e-2, "halfwidth2d": 1, "halfwidth1d": 1, "minratio": 30.0, "maxratio": 0.05,
    "niter": 0, "findbright": False, "finddead": False, "findbadsegments": False, "usecal": False,
    "ignoreccfbright": True,
}  # fmt: skip
#: What is added to the list that is written.
AT_THE_DOOR = {"includedeadpixels"}


def test_every_option_does_something(image):
    assert {f.name for f in fields(Embadpixfind)} == set(OTHERWISE) | AT_THE_DOOR
    known = bad_pixels((61, 101, HOT), origin=CALIBRATION, shape=SHAPE)

    def result(**changes) -> BadPixels:
        return run(image, Embadpixfind(**changes), known=known)[0].kind

    usual = result()
    for name, value in OTHERWISE.items():
        assert not np.array_equal(result(**{name: value}), usual), name
