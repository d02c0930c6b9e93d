"""What expressions become in the data subspace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.xmm.event.gti import GTI
from daxa.xmm.select.conditions import (
    BitCondition,
    alternatives,
    complement_intervals,
    format_bits,
    format_intervals,
    intersect_intervals,
    parse_bits,
    parse_intervals,
)
from daxa.xmm.select.dss import Axis, DataSubspace, Filter
from daxa.xmm.select.expression import Selection, compile
from daxa.xmm.select.nodes import Interval

RNG = np.random.default_rng(11)
COLUMNS = {
    "PI": RNG.integers(0, 20, 600).astype("i2"),
    "FLAG": RNG.integers(0, 16, 600).astype("i4"),
    "CCDNR": RNG.integers(1, 4, 600).astype("u1"),
    "X": RNG.integers(0, 20, 600),
    "Y": RNG.integers(0, 20, 600),
    "TIME": RNG.integers(0, 100, 600) + 0.5,
}


def start() -> DataSubspace:
    """Three CCDs with good times of their own."""
    gti = {f"STDGTI{c:02d}": GTI([10.0 * c, 60.0], [50.0, 100.0]) for c in (1, 2, 3)}
    components = [[Filter(str(c)), Filter("TABLE", "", f":STDGTI{c:02d}")] for c in (1, 2, 3)]
    return DataSubspace([Axis("CCDNR"), Axis("TIME", "s")], components, dict(gti))


def selected(subspace: DataSubspace) -> np.ndarray:
    return Selection("", "", subspace.tree()).mask(COLUMNS)


EDGES = st.one_of(st.none(), st.integers(-3, 23))


@st.composite
def intervals(draw: Any) -> tuple[Interval, ...]:
    out = []
    for _ in range(draw(st.integers(1, 3))):
        low, high = draw(EDGES), draw(EDGES)
        if low is not None and high is not None:
            low, high = min(low, high), max(low, high)
        single = low is not None and low == high
        out.append(
            Interval(
                low,
                high,
                draw(st.booleans()) and low is not None and not single,
                draw(st.booleans()) and high is not None and not single,
            )
        )
    return tuple(out)


VALUES = np.arange(-10, 60) / 2


def inside(some: tuple[Interval, ...]) -> list[bool]:
    return [any(bool(i.test(v)) for i in some) for v in VALUES.tolist()]


@given(intervals(), intervals())
def test_interval_algebra(a, b):
    both = [x and y for x, y in zip(inside(a), inside(b), strict=True)]
    assert inside(intersect_intervals(a, b)) == both
    assert inside(complement_intervals(a)) == [not x for x in inside(a)]
    assert inside(parse_intervals(format_intervals(a))) == inside(a)


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_bit_patterns_round_trip(clear, bits):
    condition = BitCondition("FLAG", clear & ~bits, bits)
    assert parse_bits("FLAG", format_bits(condition)) == condition


@st.composite
def expressible(draw: Any, depth: int = 3) -> str:
    kinds = ["range", "compare", "bits", "bit", "ccd", "circle"]
    kind = draw(st.sampled_from(kinds + ["and", "and", "or", "not"] * (depth > 0)))
    column = draw(st.sampled_from(["PI", "X"]))
    number = draw(st.integers(0, 20))
    if kind == "range":
        return f"{column} in [{number}:{number + draw(st.integers(0, 9))}],{draw(st.integers(0, 20))}"
    if kind == "compare":
        return f"{column} {draw(st.sampled_from(['<', '<=', '>', '>=', '==', '!=']))} {number}"
    if kind == "bits":
        mask = draw(st.integers(1, 15))
        return f"(FLAG & {mask}) == {mask & number}"
    if kind == "bit":
        return f"(FLAG & {1 << draw(st.integers(0, 3))}) != 0"
    if kind == "ccd":
        return f"CCDNR in {draw(st.integers(1, 3))},{draw(st.integers(1, 3))}"
    if kind == "circle":
        return f"(X,Y) in circle({number},10,{draw(st.integers(1, 12))})"
    parts = [f"({draw(expressible(depth - 1))})" for _ in range(2)]
    if kind == "not":
        return f"!{parts[0]}"
    return (" && " if kind == "and" else " || ").join(parts)


@settings(max_examples=60)
@given(expressible())
def test_the_data_subspace_selects_what_the_expression_does(text):
    selection = compile(text)
    conditions, complete = alternatives(selection.tree)
    old = start()
    new = old.restrict(conditions)
    expected = selection.mask(COLUMNS) & selected(old)
    got = selected(new)
    if not complete:
        # It may only hold too much.
        assert not np.any(expected & ~got)
    elif expected.any():
        assert np.array_equal(got, expected)
        assert np.array_equal(selected(new.clean()), expected)
    header = fits.Header()
    new.write(header)
    again = DataSubspace.from_header(header, new.tables.get)
    assert (again.axes, again.components) == (new.axes, new.components)


def test_times_are_joined_per_ccd():
    conditions, complete = alternatives(compile("TIME >= 20 && TIME < 70 && PI > 3 && PI <= 9").tree)
    assert complete
    new = start().restrict(conditions, {"PI": "eV"})
    assert [a.name for a in new.axes] == ["CCDNR", "PI", "TIME"]
    assert new.ccd_gti()[3] == GTI([30, 60], [50, 70])
    assert new.components[0][1].value == "(3:9]"
    assert new.limits("PI") == (3, 9)
    assert new.limits("X") is None
    assert len(set(new.table_names())) == 3


def restricted(subspace: DataSubspace, text: str) -> DataSubspace:
    return subspace.restrict(alternatives(compile(text).tree)[0])


def test_what_an_axis_has_is_joined_and_comes_last_but_bits_stay_apart():
    """The order of axes in real images of lists that had been filtered with the same expression."""
    once = restricted(start(), "(FLAG & 12) == 0 && X <= 12 && Y == 0 && TIME in [20:70]")
    assert [a.name for a in once.axes] == ["CCDNR", "FLAG", "X", "Y", "TIME"]
    assert once.table_names() == ["GTI00005", "GTI00105", "GTI00205"]
    twice = restricted(once, "(FLAG & 12) == 0 && X <= 12 && Y == 0 && PI in [5:9]")
    assert [a.name for a in twice.axes] == ["CCDNR", "FLAG", "TIME", "FLAG", "PI", "X", "Y"]
    assert [f.value for f in twice.components[0]] == ["1", "b00xx", "TABLE", "b00xx", "5:9", ":12", "0"]
    assert [f.reference for f in twice.components[1]][2] == ":GTI00105"
    # A CCD that is asked for by its number is an axis that is there already.
    assert [a.name for a in restricted(start(), "CCDNR == 2 && PI > 3").axes] == ["TIME", "PI", "CCDNR"]


def test_joined_conditions_of_one_expression_come_last_too():
    names = [a.name for a in restricted(DataSubspace(), "(X > 2 && X < 9) && (FLAG & 1) == 0 && Y > 3").axes]
    assert names == ["FLAG", "Y", "X"]


def test_regions_are_joined_per_pair_of_columns():
    once = restricted(start(), "(X,Y) in circle(10,10,6)")
    assert once.axes[-1].name == "POS(X,Y)"
    # One table, as all components have the same region; named by its place, from one.
    assert once.table_names() == ["STDGTI01", "REG00103", "STDGTI02", "STDGTI03"]
    twice = restricted(once, "PI > 1 && (X,Y) in circle(10,10,6) && !((X,Y) in box(9,9,2,2,0))")
    assert [a.name for a in twice.axes] == ["CCDNR", "TIME", "PI", "POS(X,Y)"]
    region = twice.tables[twice.components[2][3].table]
    assert [(s.name, s.exclude) for s in region.components[0]] == [("circle", False), ("box", True)]
    expected = compile("PI > 1 && (X,Y) in circle(10,10,6) && !((X,Y) in box(9,9,2,2,0))").mask(COLUMNS)
    assert np.array_equal(selected(twice), expected & selected(start()))
    header = fits.Header()
    twice.write(header)
    assert (header["MTYPE1"], header["MFORM1"]) == ("POS", "X,Y")
    detector = restricted(start(), "(DETX,DETY) in circle(0,0,5)").axes[-1]
    assert (detector.name, detector.columns) == ("DET(DETX,DETY)", ("DETX", "DETY"))
    # SAS repeats the pair where it has joined regions.
    assert Axis("DET(DETX,DETY)(DETX,DETY)(DETX,DETY)").columns == ("DETX", "DETY")


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("PI*2 > 5", False),
        ("PI > X", False),
        ("PI > 3 || PI*2 > 5", False),
        ("#ROW > 3", False),
        ("(FLAG & 6) != 0", False),
        # "!" binds weaker than comparisons: bit 2 is set.
        ("!(FLAG & 4) == 0", True),
        ("(FLAG & 4) == 0", True),
        ("true", True),
        ("PI in 1,2,3 && !(X < 3)", True),
    ],
)
def test_what_can_be_said(text, complete):
    assert alternatives(compile(text).tree)[1] is complete


def test_unknown_tables_are_named():
    subspace = start()
    subspace.tables.clear()
    with pytest.raises(KeyError, match="STDGTI01"):
        subspace.tree()
