"""Boxes: what is found in a made-up field, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from detect_fields import make

from daxa.xmm.detect.boxes import find_boxes


def test_sources_are_found_where_they_are(made):
    boxes = find_boxes(made.field, 12.0, with_background=True)
    for x, y, _ in made.sources:
        assert min(np.hypot(b.x - x, b.y - y) for b in boxes) < 2.0
    assert len(boxes) == len(made.sources)
    assert boxes[0].likelihood == max(b.likelihood for b in boxes)


def test_without_a_map_the_faintest_is_missed(made):
    """Some 30 counts, with a background that is known from the frame only."""
    boxes = find_boxes(made.field, 12.0)
    for x, y, _ in made.sources[:-1]:
        assert min(np.hypot(b.x - x, b.y - y) for b in boxes) < 2.0
    assert len(boxes) == len(made.sources) - 1


def test_nothing_is_found_in_background_alone():
    empty = make([], seed=5, with_background=True)
    for with_background in (False, True):
        assert len(find_boxes(empty.field, 12.0, with_background=with_background)) == 0


def test_counts_and_background_of_a_box(made):
    box = find_boxes(made.field, 12.0, with_background=True)[0]
    row, column = round(box.y), round(box.x)
    half = int(box.side) // 2
    rows, columns = slice(row - half, row + half + 1), slice(column - half, column + half + 1)
    image = made.field.images[2]
    _, counts, background, exposure = box.of_image[2]
    assert counts == pytest.approx(image.counts[rows, columns].sum(), abs=15)
    assert background == pytest.approx(image.background[rows, columns].sum(), rel=0.05)
    assert exposure == pytest.approx(image.exposure[rows, columns].mean(), rel=0.05)


def test_an_extended_source_is_found_with_larger_pixels():
    field = make([], extended=(70.0, 80.0, 0.03, 9.0), with_background=True).field
    once = find_boxes(field, 12.0, runs=1, with_background=True)
    more = find_boxes(field, 12.0, runs=3, with_background=True)
    assert max(b.likelihood for b in more) > 1.3 * max((b.likelihood for b in once), default=0.0)
    assert more[0].side == 20


def test_background_maps_are_needed_to_compare_with_them():
    with pytest.raises(ValueError, match="EMOS1 band 1: no background map"):
        find_boxes(make([]).field, 8.0, with_background=True)
