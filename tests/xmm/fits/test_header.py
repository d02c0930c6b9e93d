"""Headers against astropy: what one writes the other reads alike."""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import example, given
from hypothesis import strategies as st

from daxa.xmm.fits.header import Header, find_card, other_cards

_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200).map(str.rstrip)
_value = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False).map(np.float32),
    _text,
    st.sampled_from(
        ["it's", "''", "a / b", "&", "x" * 68, "'" * 68, "'" * 90, "q" * 67 + "'" + "& and more" * 9]
    ),
)


def _same(a, b):
    return (
        math.isclose(a, b, rel_tol=1e-6)
        if isinstance(a, (float, np.float32))
        else a == b and type(a) is type(b)
    )


@given(st.lists(_value, min_size=1, max_size=5), _text.filter(lambda t: len(t) < 12))
@example([False], " 0")
@example([1, 2.5, "a"], " x ")
@example(["'/"], "")
def test_astropy_reads_what_is_written(values, comment):
    cards = [(f"KEY{i}", v, comment) for i, v in enumerate(values)]
    text = Header(cards).tostring()
    assert len(text) % 2880 == 0
    found = fits.Header.fromstring(text)
    again = Header.fromstring(text)
    for key, value, _ in cards:
        assert _same(value, again[key])
        if isinstance(value, str) and re.search("' */", value):
            continue  # astropy takes a quote before a slash for the end of the text
        assert _same(value, found[key])
        if not isinstance(value, str) or len(value.replace("'", "''")) < 50:
            assert found.comments[key] == again.comments[key] == comment.strip()


# astropy itself splits long strings between the two quotes that stand for one.
@given(st.lists(_value.filter(lambda v: not isinstance(v, str) or "'" not in v), min_size=1, max_size=5))
def test_what_astropy_writes_is_read(values):
    theirs = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, value in enumerate(values):
            theirs[f"KEY{i}"] = (value, "what it is")
        text = theirs.tostring()
    ours = Header.fromstring(text)
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert _same(value, ours[key])
    # Cards that nobody changed are written as they were read.
    assert ours.copy().tostring() == text


def test_numbers_keep_all_their_digits():
    value = -1.2345678901234567e-105
    assert Header.fromstring(Header([("A", value)]).tostring())["A"] == value
    assert fits.Header.fromstring(Header([("A", value)]).tostring())["A"] == value


@pytest.mark.parametrize(
    ("line", "value", "comment"),
    [
        ("A       =                   1.5D3 / d", 1500.0, "d"),
        ("A       = 'it''s / so'/c", "it's / so", "c"),
        ("A       =", None, ""),
        ("A       = / only a comment", None, "only a comment"),
        ("A       =                    F", False, ""),
        ("A       = 007", 7, ""),
        ("HIERARCH long key = 3 / three", 3, "three"),
    ],
)
def test_cards_of_other_writers(line, value, comment):
    header = Header.fromstring(line.ljust(80) + "END".ljust(80))
    (card,) = header.cards
    assert card.value == value
    assert type(card.value) is type(value)
    assert card.comment == comment


def test_a_card_that_is_no_value_is_named_when_it_is_read():
    header = Header.fromstring("BAD     = 12abc".ljust(80) + "GOOD    = 1".ljust(80) + "END")
    assert header["GOOD"] == 1
    with pytest.raises(ValueError, match="keyword BAD: '12abc'"):
        header["BAD"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a\nb", "a b"),
        ("PI>1\t&&\u00a0x", "PI>1 && x"),
        ("josé", "jos\\xe9"),
        ("/data/\udce9.fits", "/data/\\udce9.fits"),
        ("bell\a", "bell\\x07"),
        ("東京 " + "x" * 80, "\\u6771\\u4eac " + "x" * 80),
    ],
)
def test_characters_that_no_header_can_hold_are_escaped(value, written):
    text = Header([("A", value, value[:4]), ("HISTORY", value)]).tostring()
    assert text.isascii()
    assert Header.fromstring(text)["A"] == fits.Header.fromstring(text)["A"] == written
    assert "".join(fits.Header.fromstring(text)["HISTORY"]) == written


@pytest.mark.parametrize(
    "value", ["0:12", "x" * 56, "'" * 40, "1:2,4:5," * 30, "y" * 200 + "'", 5, 2.5, True]
)
def test_keywords_of_more_than_eight_characters(value):
    text = Header([("100DSVAL12", value, "data subspace"), ("AFTER", 1)]).tostring()
    assert text.startswith("HIERARCH 100DSVAL12 = ")
    for found in (Header.fromstring(text), fits.Header.fromstring(text)):
        assert (found["100DSVAL12"], found["AFTER"]) == (value, 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1j, [1]])
def test_values_that_no_header_can_hold_are_refused(value):
    with pytest.raises(ValueError, match="keyword A"):
        Header([("A", value)]).tostring()


def test_cards_are_set_moved_and_deleted():
    header = Header([("A", 1, "one"), ("B", 2), ("COMMENT", "first"), ("COMMENT", "second")])
    header["a"] = 5
    header["C"] = ("x", "new")
    header.set("D", 4, after="A")
    assert [(c.keyword, c.value, c.comment) for c in header.cards[:3]] == [
        ("A", 5, "one"), ("D", 4, ""), ("B", 2, ""),
    ]  # fmt: skip
    other = header.copy()
    header.discard("COMMENT", "MISSING")
    del header["B"]
    assert list(header) == ["A", "D", "C"]
    assert list(other) == ["A", "D", "B", "COMMENT", "COMMENT", "C"]
    with pytest.raises(KeyError):
        del header["B"]
    assert "B" not in header
    assert header.get("B", 9) == 9


def test_room_that_was_reserved_is_used():
    text = "".join(line.ljust(80) for line in ("A       = 1", "", "", "END")).ljust(2880)
    header = Header.fromstring(text)
    header["B"] = 2
    assert [k for k in header if k] == ["A", "B"]
    assert len(header) == 3


def test_a_copy_without_structure():
    header = Header(
        [("XTENSION", "BINTABLE"), ("NAXIS1", 4), ("TFORM1", "J"), ("TELESCOP", "XMM"), ("TSTART", 1.0)]
    )
    assert list(header.copy(strip=True)) == ["TELESCOP", "TSTART"]


def test_a_card_is_found_without_reading_the_others():
    header = Header([("COMMENT", "NAXIS   = 7 NAXIS1"), ("NAXIS1", 3), ("EXTNAME", "E" * 80), ("NAXIS1", 4)])
    raw = header.tostring().encode()
    for key in ("NAXIS1", "EXTNAME", "COMMENT"):
        assert find_card(raw, key).value == header[key]
    assert find_card(raw, "NAXIS") is None
    # The text of a comment begins where no card does, but might stand at the start of a line of its own.
    shifted = Header([("COMMENT", " " * 72 + "NAXIS   = 7")]).tostring().encode()
    assert find_card(shifted, "NAXIS") is None


@pytest.mark.parametrize("reader", [Header.fromstring, fits.Header.fromstring])
def test_cards_that_do_not_describe_data(reader):
    table = fits.BinTableHDU.from_columns(
        [fits.Column("TIME", "D", unit="s", null=None), fits.Column("PI", "I", null=-1, bzero=32768)],
        name="EVENTS",
    )
    table.header["TLMIN2"] = 0
    table.header["TCRVL1"] = 1.5
    table.header["TELESCOP"] = ("XMM", "the mission")
    table.header["TNULLS"] = 3
    assert other_cards(reader(table.header.tostring())) == {
        "TELESCOP": ("XMM", "the mission"),
        "TNULLS": (3, ""),
    }
