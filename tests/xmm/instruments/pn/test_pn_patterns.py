"""Pattern recognition against a slow reference, and the documented codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.xmm.instruments.pn.patterns import code_at_edge, find_patterns, pattern_id

SIDES = [(0, 1), (1, 0), (0, -1), (-1, 0)]


def slow_patterns(pixels: dict[tuple[int, int], int]) -> dict[frozenset[tuple[int, int]], tuple]:
    """Patterns of one frame: set of pixels -> (main pixel, code), by flood fill and plain rules."""
    left, found = set(pixels), {}
    while left:
        stack, group = [left.pop()], set()
        while stack:
            x, y = stack.pop()
            group.add((x, y))
            for dx, dy in SIDES:
                if (x + dx, y + dy) in left:
                    left.remove((x + dx, y + dy))
                    stack.append((x + dx, y + dy))
        main = min(group, key=lambda p: (-pixels[p], p))
        others = {(x - main[0], y - main[1]) for x, y in group if (x, y) != main}
        found[frozenset(group)] = main, slow_code(others, main, pixels)
    return found


def slow_code(others: set, main: tuple[int, int], pixels: dict) -> int:
    if not others:
        return 0
    if len(others) == 1:
        return 1 + SIDES.index(next(iter(others)))
    if len(others) == 2:
        for i, pair in enumerate([(0, 1), (1, 2), (2, 3), (3, 0)]):
            if others == {SIDES[pair[0]], SIDES[pair[1]]}:
                return 5 + i
        return 78
    if len(others) == 3:
        for i, pair in enumerate([(0, 1), (1, 2), (2, 3), (3, 0)]):
            a, b = SIDES[pair[0]], SIDES[pair[1]]
            diagonal = (a[0] + b[0], a[1] + b[1])
            if others == {a, b, diagonal}:
                at = {d: pixels[main[0] + d[0], main[1] + d[1]] for d in others}
                return 9 + i if at[diagonal] == min(at.values()) else 79
        return 79
    return 64 + 32 + min(len(others) + 1, 36) - 5


FRAMES = st.dictionaries(
    st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 3, 4, 5, 62, 63, 64]), st.integers(1, 5)),
    st.integers(20, 60),
    max_size=60,
)


@given(FRAMES, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_equals_the_slow_reference(content, random):
    pixels = list(content)
    random.shuffle(pixels)
    frame, x, y = (np.array([p[i] for p in pixels], int) for i in range(3))
    pha = np.array([content[p] for p in pixels], int)
    got = find_patterns(frame, x, y, pha)
    assert len(got.label) == len(pixels)
    for f in set(frame):
        here = {(p[1], p[2]): content[p] for p in pixels if p[0] == f}
        expected = slow_patterns(here)
        index = np.flatnonzero(frame == f)
        labels = set(got.label[index])
        assert len(labels) == len(expected)
        for label in labels:
            members = index[got.label[index] == label]
            group = frozenset((x[i], y[i]) for i in members)
            main, code = expected[group]
            assert (x[got.main[label]], y[got.main[label]]) == main
            assert got.code[label] == code
            assert got.size[label] == len(group)
        # Patterns of more than one pixel are numbered from 1 in each frame.
        numbers = sorted(got.number[label] for label in labels if got.size[label] > 1)
        assert numbers == list(range(1, len(numbers) + 1))
        for i in index:
            below = [y[i] - y[j] for j in index if x[j] == x[i] and y[j] < y[i]]
            assert got.sequence[i] == (min(below) if below else 0)


@pytest.mark.parametrize(
    ("partner", "code"),
    [((10, 51), 1), ((11, 50), 2), ((10, 49), 3), ((9, 50), 4)],
    ids=["above", "right", "below", "left"],
)
def test_doubles(partner, code):
    got = find_patterns([1, 1], [10, partner[0]], [50, partner[1]], [100, 30])
    assert list(got.code) == [code]
    assert got.main[0] == 0


def test_diagonal_pixels_and_other_frames_do_not_join():
    got = find_patterns([1, 1, 2], [10, 11, 10], [50, 51, 51], [100, 30, 30])
    assert list(got.code) == [0, 0, 0]


def test_last_column_does_not_touch_the_first_of_the_next_frame():
    # In the sorting key, column 64 of a frame is followed by column 1 of the next.
    got = find_patterns([1, 2], [64, 1], [50, 50], [100, 100])
    assert list(got.size) == [1, 1]


def test_bar_of_three_and_minimum_beside_the_maximum_are_invalid():
    assert list(find_patterns([1] * 3, [5, 6, 7], [9, 9, 9], [30, 90, 40]).code) == [78]
    square = [5, 6, 5, 6], [9, 9, 10, 10]
    assert list(find_patterns([1] * 4, *square, [90, 40, 35, 20]).code) == [9]
    assert list(find_patterns([1] * 4, *square, [90, 20, 35, 40]).code) == [79]


def test_large_patterns_saturate_at_36_pixels():
    x = np.arange(1, 41)
    assert find_patterns(np.ones(40), x, np.full(40, 7), x).code[0] == 64 + 63
    assert find_patterns(np.ones(5), x[:5], np.full(5, 7), x[:5]).code[0] == 96


def test_codes_at_edges():
    before = np.array([0, 1, 4, 5, 8, 9, 12, 78, 79, 96], np.uint8)
    assert list(code_at_edge(before)) == [0, 1, 4, 206, 206, 207, 207, 206, 207, 224]


def test_pattern_id_holds_number_and_position_of_the_main_pixel():
    got = find_patterns([1] * 5, [1, 1, 10, 30, 31], [5, 6, 5, 9, 9], [50, 20, 50, 20, 50])
    assert list(pattern_id(got)) == [1 + 1024 + 4096, 0, 2 + 1024 + 4096]
    assert list(pattern_id(got, np.array([True, False, False]))) == [1, 0, 2 + 1024 + 4096]


def test_no_pixels():
    got = find_patterns([], [], [], [])
    assert len(got) == 0


def test_pixel_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        find_patterns([1, 1], [5, 5], [9, 9], [30, 40])


def test_frames_of_real_length_are_all_told_apart():
    rng = np.random.default_rng(1)
    frame = np.sort(rng.integers(0, 300_000, 50_000))
    x, y = rng.integers(1, 65, 50_000), rng.integers(13, 201, 50_000)
    _, keep = np.unique(np.stack([frame, x, y]), axis=1, return_index=True)
    got = find_patterns(frame[keep], x[keep], y[keep], rng.integers(20, 400, len(keep)))
    assert np.bincount(got.label).tolist() == got.size.tolist()
    assert np.array_equal(got.label[got.main], np.arange(len(got)))
