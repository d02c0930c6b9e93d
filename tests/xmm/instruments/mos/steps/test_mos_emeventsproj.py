"""The step emeventsproj on values made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from mos_values import SHAPE, event_list, library

from daxa.xmm.formats.flags import MosFlag
from daxa.xmm.instruments.mos.options import Emeventsproj
from daxa.xmm.instruments.mos.steps.emeventsproj import emeventsproj


def project(list_, params=None, use=None):
    use = np.ones(len(list_), bool) if use is None else np.asarray(use)
    return emeventsproj(SHAPE, list_, use, library(), params or Emeventsproj())


def test_every_pixel_of_an_event_counts():
    image, clumping = project(event_list(2, rawx=[100, 200], rawy=50, pattern=[0, 9], e2=90))
    assert image.shape == (600, 600)
    assert np.argwhere(image).tolist() == [[49, 99], [49, 199], [49, 200], [50, 199], [50, 200]]
    assert image.sum() == 5
    # Four pixels of one event are no four events: (1 + 16) / 5.
    assert clumping == pytest.approx(3.4)


def test_charge_is_shared_by_the_other_pixels():
    image, _ = project(event_list(1, rawx=200, rawy=50, pattern=9, e2=90), Emeventsproj(projectenergy=True))
    assert image[49, 199] == 500
    assert image[49:51, 199:201].sum() == 590
    assert image[50, 200] == 30


def test_flagged_events_stay_out_but_truncated_ones_and_those_beyond_the_view():
    flag = [int(MosFlag.COSMIC_RAY), int(MosFlag.OUT_OF_FOV), int(MosFlag.REJECTED_BY_GATTI), 0]
    list_ = event_list(4, rawx=[10, 20, 30, 40], flag=flag)
    assert np.argwhere(project(list_)[0])[:, 1].tolist() == [19, 29, 39]
    every = project(list_, Emeventsproj(rejectbadevents=False))[0]
    assert np.argwhere(every)[:, 1].tolist() == [9, 19, 29, 39]
    assert project(list_, use=[True, True, False, False])[0].sum() == 1


def test_pixels_beyond_the_edge_are_left_out():
    image, _ = project(event_list(2, rawx=[600, 0], rawy=[600, 300], pattern=[9, 2], e2=60))
    assert np.argwhere(image).tolist() == [[299, 0], [599, 599]]


def test_no_events_make_an_empty_image():
    image, clumping = project(event_list(0))
    assert image.sum() == 0
    assert clumping == 1.0
