"""The step emenergy on values made by hand."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from mos_values import PIXEL, SHAPE, FlatCamera, bad_pixels, ccd_of, context, event_list

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.badpixels import DEAD, HOT
from daxa.xmm.instruments.mos.badpixels import BadPixels
from daxa.xmm.instruments.mos.energy import Ellipse, EnergyScale, Parts, TransferLoss
from daxa.xmm.instruments.mos.events import Events
from daxa.xmm.instruments.mos.exposure import Calibrated
from daxa.xmm.instruments.mos.offsets import LineOffsets
from daxa.xmm.instruments.mos.options import Emenergy
from daxa.xmm.instruments.mos.steps.emenergy import emenergy

FIXED = Emenergy(randomizeenergy=False)
GAIN = np.tile([10.0, 3.0, 0.0], (4, 1))
PARTS = Parts(np.tile([1.0, 1.0, 0.0, 0.0], (32, 1)), Ellipse((0.0, 0.0), (60.0, 120.0), 0.0))
SCALE = EnergyScale(None, GAIN, PARTS)


def made_of(list_: Events, wrong: LineOffsets | None = None) -> Calibrated:
    """The events after emevents, each in the middle of its pixel."""
    detx, dety = FlatCamera.raw_to_det(2, list_.rawx, list_.rawy)
    return Calibrated(list_, np.full(len(list_), 1000.0), detx, dety, wrong or LineOffsets.none(SHAPE))


def run(
    list_: Events,
    params: Emenergy = FIXED,
    pixels: BadPixels | None = None,
    scale: EnergyScale = SCALE,
    **changes,
):
    made = made_of(list_)
    step, said = context()
    image = emenergy(ccd_of(list_, **changes), made, pixels, scale, params, step)
    return made, image, said


def flagged(made: Calibrated, bit: MosFlag) -> list[int]:
    return np.flatnonzero(made.events.flag & int(bit)).tolist()


def test_amplitudes_and_energies():
    made, _, said = run(event_list(3, rawx=[100, 300, 500], e1=[500, 4000, 20], e2=[100, 200, 0], pattern=1))
    assert made.pha.tolist() == [600.0, 4200.0, 20.0]
    assert made.pi.tolist() == [1810.0, 12610.0, 70.0]
    # 25 to 4095 adu, 85 to 12,295 eV.
    assert said.count("events with PHA out of range          25  -        4095") == 2
    assert said.count("events with PI out of range          85  -       12295") == 2


def test_what_the_scale_leaves_out_is_left_out():
    list_ = event_list(1, rawx=100, rawy=200, e1=1000)
    loss = TransferLoss((0.01, 0.0, 0.5), (0.02, 0.0, 0.5), 0.0)
    assert run(list_, scale=EnergyScale(loss, GAIN, PARTS))[0].pi == pytest.approx(10 + 3 * (1000 + 1 + 4))
    assert run(list_, scale=EnergyScale(loss, None, PARTS))[0].pi == pytest.approx(1005)
    made, _, said = run(list_, scale=EnergyScale(None, None, PARTS))
    assert made.pi.tolist() == made.pha.tolist() == [1000.0]
    assert not [line for line in said.lines if "PI out of range" in line]


def test_amplitudes_are_random_over_one_adu():
    made, _, _ = run(event_list(4000), Emenergy())
    off = made.pha - 500
    assert np.abs(off).max() <= 0.5
    assert off.std() == pytest.approx(12**-0.5, rel=0.03)
    again, _, _ = run(event_list(4000), Emenergy())
    assert np.array_equal(again.pha, made.pha)


def test_local_background_is_taken_off():
    """The left half of the CCD has 2 adu per pixel, also in the event's own."""
    rng = np.random.default_rng(1)
    n = 60_000
    x = rng.integers(1, 601, n)
    level = np.where(x <= 300, 2, 0)
    list_ = event_list(n, rawx=x, rawy=rng.integers(1, 601, n), e1=500 + level, e3=8 * level, e4=16 * level)
    made, image, _ = run(list_)
    far = np.abs(x - 300) > 10
    # Cells with few events are filled from others.
    assert np.mean(np.abs(made.pha[far] - 500.0) < 1e-6) > 0.999
    assert image.shape == (120, 120)
    assert image[60, 10] == pytest.approx(2.0)
    assert image[60, 110] == pytest.approx(0.0)
    plain, image, _ = run(list_, replace(FIXED, getccdbkg=False))
    assert np.array_equal(plain.pha, 500.0 + level)
    assert image.tolist() == [[0.0]]


def test_surroundings_outside_the_ellipse():
    list_ = event_list(4, rawx=[100, 200, 300, 400], e3=[0, 59, 61, 0], e4=[0, 0, 0, -121])
    made, _, said = run(list_, replace(FIXED, getccdbkg=False))
    assert flagged(made, MosFlag.BAD_E3E4) == [2, 3]
    assert said.count("events outside the ellipse in E3/E1, E4/E1") == 2


def test_wrong_offsets_do_not_spoil_the_surroundings():
    """A column that is read 64 adu too low takes twice that from E3 of its own events."""
    list_ = event_list(1, rawx=400, e3=-128, e4=-128)
    wrong = LineOffsets.none(SHAPE)
    wrong.column[399] = 64
    step, _ = context()
    made = made_of(list_, wrong)
    emenergy(ccd_of(list_), made, None, SCALE, replace(FIXED, getccdbkg=False), step)
    assert not flagged(made, MosFlag.BAD_E3E4)
    assert list_.e3.tolist() == [-128]
    # Neighbours of a line that sees nothing are beside a bad one.
    beside = event_list(2, rawx=[399, 402])
    made = made_of(beside, wrong)
    emenergy(ccd_of(beside), made, None, SCALE, FIXED, step)
    assert flagged(made, MosFlag.CLOSE_TO_BADCOL) == [0]


def test_events_beside_borders_and_bad_pixels():
    list_ = event_list(5, rawx=[1, 99, 199, 301, 300], rawy=[300, 200, 200, 300, 300])
    pixels = bad_pixels((100, 200, HOT), (200, 200, DEAD))
    made, _, _ = run(list_, pixels=pixels, node_limit=301)
    assert flagged(made, MosFlag.CLOSE_TO_CCD_BORDER) == [0]
    assert flagged(made, MosFlag.CLOSE_TO_BRIGHTPIX) == [1]
    assert flagged(made, MosFlag.CLOSE_TO_DEADPIX) == [2]
    assert flagged(made, MosFlag.CLOSE_TO_NODE_BOUNDARY) == [3]


def test_events_outside_the_field_of_view():
    made, _, said = run(event_list(2, rawx=[300, 590], rawy=[300, 590]))
    assert np.hypot(290 * PIXEL, 290 * PIXEL) < FlatCamera.radius
    assert flagged(made, MosFlag.OUT_OF_FOV) == []
    assert said.count("events outside field of view") == 0
    made = made_of(event_list(2, rawx=300))
    made.detx[1] = 12_001.0
    step, said = context()
    emenergy(ccd_of(made.events), made, None, SCALE, FIXED, step)
    assert flagged(made, MosFlag.OUT_OF_FOV) == [1]
    assert said.count("events outside field of view") == 1


def test_single_pixels_have_no_surroundings():
    list_ = event_list(2, rawx=[100, 300], e1=500, e2=100, e3=4000, e4=-4000, pattern=1)
    made, image, said = run(list_, scale=EnergyScale(None, GAIN), file_type="RIE")
    assert made.pha.tolist() == [600.0, 600.0]
    assert not flagged(made, MosFlag.BAD_E3E4)
    assert image.tolist() == [[0.0]]
    assert not [line for line in said.lines if "ellipse" in line]


#: Every option of the step and a value other than the default.
OTHERWISE = {
    "flagevents": False, "minenergy": 700.0, "maxperipix": 3, "fillminnumber": 40, "fillccdbkg": False,
    "getccdbkg": False, "rejectbade3e4": False, "randomizeenergy": False,
}  # fmt: skip
#: These are in the scale that the step gets.
IN_THE_SCALE = {"correctcti", "correctgain"}


def test_every_option_does_something():
    assert {f.name for f in fields(Emenergy)} == set(OTHERWISE) | IN_THE_SCALE
    rng = np.random.default_rng(2)
    n = 30_000
    x, y = rng.integers(1, 601, n), rng.integers(1, 601, n)
    list_ = event_list(
        n, rawx=x, rawy=y, e1=rng.integers(50, 1500, n), e3=np.rint(rng.normal(0, 30, n)),
        e4=np.rint(rng.normal(16 * np.sin(x / 90), 40, n)), peripix=rng.integers(0, 5, n),
    )  # fmt: skip

    def result(**changes) -> list[list[float]]:
        made, _, _ = run(list_.take(np.arange(n)), Emenergy(**changes))
        return [made.events.flag.tolist(), made.pha.tolist()]

    usual = result()
    for name, value in OTHERWISE.items():
        assert result(**{name: value}) != usual, name
