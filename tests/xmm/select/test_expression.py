"""Selection expressions against a plain Python evaluator, row by row."""

from __future__ import annotations

import math
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from small_lists import make_list

from daxa.xmm.event.gti import GTI
from daxa.xmm.select.blocks import Files, SelectionError, split_block
from daxa.xmm.select.expression import compile, expand
from daxa.xmm.select.regions import ColumnSky, ImageMask, Region, Shape

ROWS = 40
RNG = np.random.default_rng(3)
COLUMNS: dict[str, Any] = {
    "PI": RNG.integers(0, 40, ROWS).astype("i2"),
    "FLAG": RNG.integers(0, 256, ROWS).astype("i4"),
    "CCDNR": RNG.integers(1, 8, ROWS).astype("u1"),
    "TIME": np.round(RNG.uniform(0, 10, ROWS), 2),
    "RATE": np.round(RNG.uniform(-2, 2, ROWS), 1).astype("f4"),
}
PLAIN = {k: v.tolist() for k, v in COLUMNS.items()}

# A tree is (text, function of a row). Text is built with C or Fortran spellings, and as few parentheses
# as its level of precedence allows.
C_FORM = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "==", "!=": "!="}
F_FORM = {"<": ".lt.", "<=": ".LE.", ">": ".Gt.", ">=": ".ge.", "==": ".eq.", "!=": ".ne."}
FUNCTION = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
    "!=": operator.ne,
}  # fmt: skip


#: Functions of one number -> plain Python; of integers or of anything.
FUNCTIONS: dict[str, Any] = {
    "abs": abs, "floor": math.floor, "ceil": math.ceil, "int": math.trunc, "sin": math.sin, "ATAN": math.atan,
    "nint": lambda v: math.trunc(v + math.copysign(0.5, v)),
}  # fmt: skip
_COMPOUND = ["minus", "bits", "tilde", "quotient", "remainder", "power", "function", "extreme"]


@st.composite
def arithmetic(draw: Any, depth: int = 2) -> tuple[str, Any]:
    kind = draw(st.sampled_from(["column", "int", "real"] + ([*_COMPOUND, "sum", "product"] * (depth > 0))))
    if kind == "column":
        name = draw(st.sampled_from(["PI", "FLAG", "CCDNR", "TIME", "RATE"]))
        return name, lambda row: row[name]
    if kind == "int":
        value = draw(st.integers(0, 50))
        text = draw(st.sampled_from([str(value), hex(value), f"b{value:b}"]))
        return text, lambda row: value
    if kind == "real":
        real = draw(st.integers(0, 400)) / 8
        return repr(real), lambda row: real
    if kind == "bits":
        name = draw(st.sampled_from(["PI", "FLAG", "CCDNR"]))
        mask = draw(st.integers(0, 255))
        sign = draw(st.sampled_from("&|^"))
        function = {"&": operator.and_, "|": operator.or_, "^": operator.xor}[sign]
        return f"({name} {sign} {mask:#x})", lambda row: function(row[name], mask)
    if kind == "tilde":
        name = draw(st.sampled_from(["PI", "FLAG"]))
        return f"(~{name})", lambda row: ~row[name]
    a, f = draw(arithmetic(depth - 1))
    if kind == "quotient":
        divisor = draw(st.integers(1, 9))
        return f"({a} / {divisor})", lambda row: f(row) / divisor
    if kind == "remainder":
        # The sign is that of the left side, as in C.
        name, divisor = draw(st.sampled_from(["PI", "FLAG"])), draw(st.integers(1, 9))
        text = draw(st.sampled_from([f"((20 - {name}) % {divisor})", f"mod(20 - {name}, {divisor})"]))
        return text, lambda row: int(math.fmod(20 - row[name], divisor))
    if kind == "power":
        name, exponent = draw(st.sampled_from(["PI", "RATE"])), draw(st.integers(0, 3))
        text = draw(st.sampled_from([f"({name}**{exponent})", f"pow({name},{exponent})"]))
        return text, lambda row: row[name] ** exponent
    if kind == "function":
        name = draw(st.sampled_from(sorted(FUNCTIONS)))
        return f"{name}({a})", lambda row: FUNCTIONS[name](f(row))
    b, g = draw(arithmetic(depth - 1))
    if kind == "extreme":
        name = draw(st.sampled_from(["min", "MAX"]))
        choose = min if name == "min" else max
        return f"{name}({a},{b})", lambda row: choose(f(row), g(row))
    if kind == "minus":
        return f"(-({a}))", lambda row: -f(row)
    sign = draw(st.sampled_from("+-" if kind == "sum" else "*"))
    function = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign]
    return f"({a} {sign} {b})", lambda row: function(f(row), g(row))


@st.composite
def interval(draw: Any) -> tuple[str, Any]:
    low, high = sorted(draw(st.tuples(st.integers(-5, 40), st.integers(-5, 40))))
    kind = draw(st.sampled_from(["value", "[value]", "from", "to", "both", "bare", "all"]))
    left, right = draw(st.sampled_from("[(")), draw(st.sampled_from("])"))
    if kind == "value":
        return str(low), lambda x: x == low
    if kind == "[value]":
        return f"[{low}]", lambda x: x == low
    if kind == "all":
        return draw(st.sampled_from([":", "[:]", "(:)"])), lambda x: True
    above = (lambda x: x > low) if left == "(" else (lambda x: x >= low)
    below = (lambda x: x < high) if right == ")" else (lambda x: x <= high)
    if kind == "bare":
        return f"{low}:{high}", lambda x: low <= x <= high
    if kind == "from":
        return f"{left}{low}:{right}", above
    if kind == "to":
        return f"{left}:{high}{right}", below
    return f"{left}{low}:{high}{right}", lambda x: above(x) and below(x)


@st.composite
def condition(draw: Any, depth: int = 3) -> tuple[str, Any]:
    simple = ["compare", "compare", "in", "bittest", "near", "shape", "row", "gti", "mask", "region", "macro"]
    kind = draw(st.sampled_from(simple + ["and", "or", "not", "if"] * (depth > 0)))
    if kind == "compare":
        (a, f), (b, g) = draw(arithmetic()), draw(arithmetic())
        sign = draw(st.sampled_from(sorted(FUNCTION)))
        text = draw(st.sampled_from([C_FORM, F_FORM]))[sign]
        blank = draw(st.sampled_from(["", " "]))
        return f"{a}{blank}{text}{blank}{b}", lambda row: FUNCTION[sign](f(row), g(row))
    if kind == "in":
        a, f = draw(arithmetic(1))
        parts = draw(st.lists(interval(), min_size=1, max_size=3))
        word = draw(st.sampled_from(["in", "IN"]))
        return (
            f"{a} {word} {','.join(p[0] for p in parts)}",
            lambda row: any(p[1](f(row)) for p in parts),
        )
    if kind == "bittest":
        mask = draw(st.integers(0, 255))
        # No parentheses: bit operators bind tighter than comparisons.
        return f"FLAG & {mask} != 0", lambda row: row["FLAG"] & mask != 0
    if kind == "near":
        return "near(PI, 20, 0.5)", lambda row: abs(row["PI"] - 20) <= 0.5 * abs(row["PI"])
    if kind == "row":
        return "#ROW % 3 == 1", lambda row: row["#ROW"] % 3 == 1
    if kind == "shape":
        name, arguments = draw(st.sampled_from(sorted(SHAPES))), draw(st.tuples(*[st.integers(1, 15)] * 2))
        a, b = arguments
        numbers = {"circle": (a,), "annulus": (a, a + b), "sector": (-10 * a, 10 * b)}.get(name, (a, b, 30))
        body = ",".join(map(str, (20, 5, *numbers)))
        text = draw(st.sampled_from([f"{name}({body},PI,TIME)", f"(PI,TIME) in {name.upper()}({body})"]))
        return text, lambda row: _slow(name, (20, 5, *numbers), row["PI"], row["TIME"])
    if kind == "gti":
        text = draw(st.sampled_from(["gti(files.fits:GTI1,TIME)", "TIME in GTI(files.fits[GTI1])"]))
        return text, lambda row: any(a <= row["TIME"] < b for a, b in GOOD)
    if kind == "mask":
        text = draw(st.sampled_from(["mask(files.fits,1,1,PI,CCDNR)", "(PI,CCDNR) in mask(files.fits,1,1)"]))
        return text, lambda row: row["PI"] >= 1 and bool(MASK[row["CCDNR"] - 1, row["PI"] - 1])
    if kind == "region":
        text = draw(
            st.sampled_from(["region(files.fits:REG,PI,TIME)", "(PI,TIME) in region(files.fits:REG)"])
        )
        return text, lambda row: (
            _slow("circle", (10, 5, 6), row["PI"], row["TIME"])
            and not _slow("box", (10, 5, 2, 2, 0), row["PI"], row["TIME"])
        )
    if kind == "macro":
        return draw(st.sampled_from(["#WANTED", "(#WANTED)"])), lambda row: row["PI"] < 12 or row[
            "FLAG"
        ] > 200
    if kind == "not":
        a, f = draw(condition(depth - 1))
        return f"{draw(st.sampled_from(['!', '.not. ']))}({a})", lambda row: not f(row)
    parts = draw(st.lists(condition(depth - 1), min_size=3, max_size=3))
    if kind == "if":
        (a, f), (b, g), (c, h) = parts
        return f"ifthenelse(({a}),({b}),({c}))", lambda row: g(row) if f(row) else h(row)
    word = draw(st.sampled_from(["&&", " .and. ", " .AND. "] if kind == "and" else ["||", " .or. "]))
    every = all if kind == "and" else any
    # Alternatives inside a conjunction need parentheses, nothing else does.
    text = word.join(f"({p[0]})" if kind == "and" else p[0] for p in parts)
    return text, lambda row: every(p[1](row) for p in parts)


#: What the files that random expressions name hold.
GOOD = ((1.0, 2.5), (4.0, 4.25), (7.0, 9.0))
MASK = np.random.default_rng(4).integers(0, 2, (8, 45))
HEADER = {"WANTED": "#FIRST || FLAG .gt. #LIMIT", "FIRST": "PI < 12", "LIMIT": 200}
SHAPES = ["circle", "annulus", "sector", "ellipse", "box", "rhombus"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named")
    region = Region((tuple([Shape("circle", (10, 5, 6)), Shape("box", (10, 5, 2, 2, 0), True)]),))
    gti = GTI(*np.transpose(GOOD)).to_hdu("GTI1")
    fits.HDUList([fits.PrimaryHDU(MASK.astype("i2")), gti, region.to_hdu("REG")]).writeto(
        folder / "files.fits"
    )
    return Files(folder)


@settings(max_examples=250)
@given(condition())
def test_random_expressions_select_the_rows_of_a_plain_evaluator(files, case):
    text, function = case
    rows = [{k: PLAIN[k][i] for k in PLAIN} | {"#ROW": i + 1} for i in range(ROWS)]
    expected = [bool(function(row)) for row in rows]
    assert compile(text, HEADER, files).mask(COLUMNS).tolist() == expected


@settings(max_examples=40)
@given(condition(depth=2))
def test_byte_order_and_chunking_do_not_matter(files, case):
    text, _ = case
    selection = compile(text, HEADER, files)
    whole = selection.mask(COLUMNS)
    swapped = {k: v.astype(v.dtype.newbyteorder(">")) for k, v in COLUMNS.items()}
    assert np.array_equal(selection.mask(swapped), whole)
    pieces = [
        selection.mask({k: v[i : i + 13] for k, v in COLUMNS.items()}, row0=i) for i in range(0, ROWS, 13)
    ]
    assert np.array_equal(np.concatenate(pieces), whole)


def test_survivors_of_a_conjunction_are_evaluated_alone():
    rng = np.random.default_rng(1)
    columns = {"PI": rng.integers(0, 1000, 20000), "X": rng.integers(0, 100, 20000)}
    got = compile("PI < 50 && (X,PI) in circle(50,25,20) && #ROW > 100").mask(columns)
    inside = (columns["X"] - 50) ** 2 + (columns["PI"] - 25) ** 2 <= 400
    assert np.array_equal(got, (columns["PI"] < 50) & inside & (np.arange(20000) >= 100))
    assert got.any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.eq.2", False),
        ("1.5.lt.2.", True),
        ("1.e1 .ge. 10", True),
        ("2**3**2 == 512", True),
        ("-2**2 == -4", True),
        ("1/2 == 0.5", True),
        ("7 % 3 == 1", True),
        ("FLAG & b110 != 0", True),
        ("true && !false", True),
        ("0xff == 255", True),
        (".5e1 == 5", True),
        ("abs(-3) == 3 && sqrt(4) == 2 && min(3,2,5) == 2 && MAX(1,7) == 7", True),
        ("3 in 1,2,(2:4),9", True),
        ("3 in (3:4)", False),
        ("3 in [3:4)", True),
        ("", True),
        ("'abc' == 'abc'", True),
    ],
)
def test_literals_and_operators(text, expected):
    assert compile(text).mask({"FLAG": np.array([2])}).tolist() == [expected]


def test_comparisons_beyond_the_type_of_a_column():
    columns = {
        "PI": np.array([-5, 0, 7], "i2"),
        "FLAG": np.array([-1, 0, 5], "i4"),
        "C": np.array([1, 2, 3], "u1"),
    }
    for text, expected in {
        "PI < 100000": [1, 1, 1],
        "PI > -1.5": [0, 1, 1],
        "PI == 0.5": [0, 0, 0],
        "PI != 0.5": [1, 1, 1],
        "C > -1": [1, 1, 1],
        "C in 2.5:3.5": [0, 0, 1],
        "(FLAG & 0xFFFFFEFF) == 0": [0, 1, 0],
        "PI <= 6.999": [1, 1, 0],
        "PI*30000 > 200000": [0, 0, 1],
    }.items():
        assert compile(text).mask(columns).tolist() == [bool(e) for e in expected], text


def test_masks_of_real_lists():
    flags = np.array([0, 0x10000, 0x20000, 0x8, 0x400], "i4")
    header = {
        "XMMEA_EM": "(FLAG & 0x766ba000) == 0",
        "XMMEA_EP": "(FLAG & 0xcfa0000) == 0",
        "XMMEA_16": "(FLAG & 0x10000) != 0",
    }
    mask = compile("#XMMEA_EM", header).mask({"FLAG": flags})
    assert mask.tolist() == [True, False, False, True, True]
    assert compile("!#XMMEA_EP || #XMMEA_16", header).mask({"FLAG": flags}).tolist() == [0, 1, 1, 0, 0]


def test_macros():
    header = {"A": "#B && PI > 3", "B": "PI < 10 || PI == 30", "N": 5, "T": True, "LOOP": "#LOOP"}
    columns = {"PI": np.arange(40)}
    assert np.flatnonzero(compile("#A", header).mask(columns)).tolist() == [4, 5, 6, 7, 8, 9, 30]
    assert np.flatnonzero(compile("PI in [#N:7] && #T", header).mask(columns)).tolist() == [5, 6, 7]
    assert expand("#B", header, parentheses=False)[0] == "PI < 10 || PI == 30"
    assert compile("PI > #PI").mask({"PI": np.array([3, 4])}).tolist() == [False, True]
    with pytest.raises(SelectionError, match="refers to itself"):
        compile("#LOOP", header)


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        ("PI > 3 && (FLAG", 15, "ends too early"),
        ("PI = 3", 3, "=="),
        ("PI > 3 )", 7, r"'\)'"),
        ("PI > 3 && foo(PI)", 10, "unknown function foo"),
        ("PI > 3 && #NOPE", 10, "NOPE"),
        ("circle(1,2,PI,FLAG)", 0, "circle takes 3"),
        ("PI in [FLAG:3]", 7, "constant"),
        ("(PI,FLAG)", 0, "pair"),
        ("(PI,FLAG) in 3:4", 13, "region"),
        ("PI ? 2", 3, "character"),
        ("near(1,2)", 0, "takes 3"),
        ("gti(nothere.fits,TIME)", 0, "nothere.fits"),
        ("PI > 3 && gti(nothere.fits,TIME)", 10, "nothere.fits"),
    ],
)
def test_mistakes_are_pointed_at(text, position, what, tmp_path):
    with pytest.raises(SelectionError, match=what) as caught:
        compile(text, None, Files(tmp_path))
    assert caught.value.position == position
    *_, line, caret = caught.value.message.splitlines()
    assert line.strip() == text
    assert caret.index("^") - line.index(text) == position


def test_mistakes_inside_macros_are_pointed_at_where_the_macro_stands():
    with pytest.raises(SelectionError) as caught:
        compile("PI > 1 && #BAD", {"BAD": "PI >"})
    assert caught.value.position == 10


def test_missing_columns_are_named():
    header = {"TFIELDS": 1, "TTYPE1": "PI"}
    with pytest.raises(SelectionError, match="no column pj"):
        compile("pj > 3", header)
    with pytest.raises(SelectionError, match="no column FLAG"):
        compile("FLAG == 0").mask({"PI": np.zeros(2)})
    with pytest.raises(SelectionError, match="integers"):
        compile("TIME & 1").mask({"TIME": np.zeros(2)})


def test_good_times_regions_and_masks(tmp_path: Path):
    gti = GTI([1.0, 5.0], [2.0, 6.0])
    region = Region(
        ((Shape("circle", (10.0, 10.0, 5.0)), Shape("box", (10.0, 10.0, 2.0, 2.0, 0.0), True)),), ("X", "Y")
    )
    fits.HDUList([fits.PrimaryHDU(), gti.to_hdu("GTI0"), region.to_hdu("REGION")]).writeto(
        tmp_path / "my-f.1.fits"
    )
    image = np.zeros((20, 20), "u1")
    image[3, 7] = 1
    fits.PrimaryHDU(image).writeto(tmp_path / "mask.fits")
    columns = {
        "TIME": np.array([1.0, 2.0, 5.5, 9.0]),
        "X": np.array([8, 10, 14, 30]),
        "Y": np.array([4, 10, 10, 30]),
    }
    files = Files(tmp_path)
    for text in (
        "gti(my-f.1.fits,TIME)",
        "TIME in GTI(my-f.1.fits[GTI0])",
        "gti(my-f.1.fits:GTI0, TIME)",
        "gti(my-f.1.fits+1,TIME)",
    ):
        assert compile(text, files=files).mask(columns).tolist() == [True, False, True, False], text
    for text in ("region(my-f.1.fits,X,Y)", "region(my-f.1.fits)", "(X,Y) in region(my-f.1.fits:REGION)"):
        assert compile(text, files=files).mask(columns).tolist() == [False, False, True, False], text
    for text in ("mask(mask.fits,1,1,X,Y)", "(X,Y) in mask(mask.fits,1,1)"):
        assert compile(text, files=files).mask(columns).tolist() == [True, False, False, False], text
    nested = compile("X in 8,14 && (gti(my-f.1.fits,TIME) || Y in 3:5)", files=files).mask(columns)
    assert nested.tolist() == [True, False, True, False]
    current = Files(tmp_path, "my-f.1.fits")
    assert compile("gti(:GTI0,TIME)", files=current).mask(columns).tolist() == [True, False, True, False]


def test_blocks():
    assert split_block("/a/b/mos1S001-gti.fits") == ("/a/b/mos1S001-gti.fits", None)
    assert split_block("evt.fits[EVENTS]") == ("evt.fits", "EVENTS")
    assert split_block(":STDGTI01") == ("", "STDGTI01")
    assert split_block("'a.fits:2'") == ("a.fits", 2)


def test_celestial_circle_through_the_column_coordinates(tmp_path: Path):
    columns = make_list(tmp_path / "e.fits")
    with fits.open(tmp_path / "e.fits") as hdus:
        header = hdus["EVENTS"].header
        sky = ColumnSky.from_header(header)
        ra, dec = sky.from_xy(30000, 20000)
        text = f"(RA,DEC) in CIRCLE({float(ra)!r},{float(dec)!r},0.1)"
        mask = compile(text, header).mask(columns)
    radius = 0.1 / abs(sky.step[1])
    inside = (columns["X"] - 30000.0) ** 2 + (columns["Y"] - 20000.0) ** 2 <= radius**2
    assert np.array_equal(mask, inside)
    assert mask.any()


def test_the_tangent_plane_agrees_with_wcslib():
    from astropy.wcs import WCS

    sky = ColumnSky(("X", "Y"), (25921, 25921), (149.6, -11.06), (-0.05 / 3600, 0.05 / 3600))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = (
        ["RA---TAN", "DEC--TAN"],
        sky.pixel,
        sky.value,
        sky.step,
    )
    x, y = np.random.default_rng(0).uniform(1, 51840, (2, 100))
    ra, dec = wcs.wcs_pix2world(x, y, 1)
    assert np.allclose(np.array(sky.from_xy(x, y)), (ra, dec), rtol=0, atol=1e-11)
    assert np.allclose(np.array(sky.to_xy(ra, dec)), (x, y), rtol=0, atol=1e-5)


def _slow(name: str, a: tuple[float, ...], x: float, y: float) -> bool:
    """Shapes by textbook definitions, one point at a time."""

    def turn(px: float, py: float, angle: float) -> tuple[float, float]:
        z = complex(px - a[0], py - a[1]) * complex(
            math.cos(math.radians(-angle)), math.sin(math.radians(-angle))
        )
        return z.real, z.imag

    r = math.hypot(x - a[0], y - a[1])
    if name == "circle":
        return r <= a[2]
    if name == "annulus":
        return a[2] <= r <= a[3]
    if name == "ellipse":
        u, v = turn(x, y, a[4])
        return (u / a[2]) ** 2 + (v / a[3]) ** 2 <= 1
    if name == "box":
        u, v = turn(x, y, a[4])
        return abs(u) <= a[2] and abs(v) <= a[3]
    if name == "rhombus":
        u, v = turn(x, y, a[4])
        return abs(u) / a[2] + abs(v) / a[3] <= 1
    angle = math.degrees(math.atan2(y - a[1], x - a[0])) % 360
    return any(a[2] <= angle + 360 * k <= a[3] for k in (-1, 0, 1))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("circle", (3.0, 4.0, 5.5)),
        ("annulus", (3.0, 4.0, 2.5, 5.5)),
        ("ellipse", (3.0, 4.0, 7.3, 2.7, 30.0)),
        ("box", (3.0, 4.0, 7.3, 2.7, 30.0)),
        ("rhombus", (3.0, 4.0, 7.3, 2.7, -20.0)),
        ("sector", (3.1, 4.1, 20.0, 130.0)),
        ("sector", (3.1, 4.1, -40.0, 35.0)),
    ],
)
def test_shapes(name, args):
    x, y = np.meshgrid(np.arange(-8, 15) + 0.013, np.arange(-8, 15) - 0.017)
    got = Shape(name, args).contains(x, y)
    expected = [
        [_slow(name, args, p, q) for p, q in zip(r, s, strict=True)]
        for r, s in zip(x.tolist(), y.tolist(), strict=True)
    ]
    assert got.tolist() == expected


_side = st.floats(0.5, 8)
_place = st.floats(-3, 3)


@settings(max_examples=60)
@given(
    st.sampled_from(["circle", "annulus", "ellipse", "box", "polygon"]),
    st.tuples(_place, _place, _side, _side, st.floats(-400, 400)),
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=3, max_size=7),
)
def test_shapes_agree_with_the_regions_package(name, numbers, corners):
    """Circle, annulus, ellipse, box and polygon at any angle, by another package's rules."""
    from astropy import units
    from regions import (
        CircleAnnulusPixelRegion,
        CirclePixelRegion,
        EllipsePixelRegion,
        PixCoord,
        PolygonPixelRegion,
        RectanglePixelRegion,
    )

    x0, y0, a, b, angle = numbers
    centre, turn = PixCoord(x0, y0), angle * units.deg
    arguments, theirs = {
        "circle": ((x0, y0, a), CirclePixelRegion(centre, a)),
        "annulus": ((x0, y0, a, a + b), CircleAnnulusPixelRegion(centre, a, a + b)),
        # That package has full widths.
        "ellipse": ((x0, y0, a, b, angle), EllipsePixelRegion(centre, 2 * a, 2 * b, turn)),
        "box": ((x0, y0, a, b, angle), RectanglePixelRegion(centre, 2 * a, 2 * b, turn)),
        "polygon": (
            tuple(v for corner in corners for v in corner),
            PolygonPixelRegion(PixCoord(*np.transpose(corners))),
        ),
    }[name]
    x, y = np.random.default_rng(8).uniform(-11, 11, (2, 400))
    assert Shape(name, arguments).contains(x, y).tolist() == theirs.contains(PixCoord(x, y)).tolist()


def test_polygons_and_borders():
    square = Shape("polygon", (0, 0, 4, 0, 4, 4, 0, 4))
    x = np.array([2, 0, 4, 5, 4, -1, 2])
    y = np.array([2, 2, 4, 2, 2, 4, 0])
    assert square.contains(x, y).tolist() == [True, True, True, False, True, False, True]
    concave = Shape("polygon", (0, 0, 6, 0, 6, 6, 3, 2, 0, 6))
    assert concave.contains([3, 1, 3], [1, 3, 4]).tolist() == [True, True, False]
    assert Shape("line", (0, 0, 10, 0)).contains([5, 5, 11], [0.4, 0.6, 0]).tolist() == [True, False, False]
    assert Shape("point", (1, 2)).contains([1, 1], [2, 3]).tolist() == [True, False]
    assert Shape("rectangle", (0, 0, 4, 2)).contains([4, 4.1], [2, 1]).tolist() == [True, False]
    ring = Shape("elliptannulus", (0, 0, 2, 1, 4, 3, 0, 0))
    assert ring.contains([0, 3, 5], [0, 0, 0]).tolist() == [False, True, False]


def test_region_tables_round_trip():
    shapes = (
        Shape("circle", (1.0, 2.0, 3.0)),
        Shape("box", (1.0, 2.0, 3.0, 4.0, 30.0), True),
        Shape("ellipse", (1.0, 2.0, 3.0, 4.0, 10.0)),
        Shape("polygon", (1.0, 1.0, 5.0, 1.0, 3.0, 6.0)),
        Shape("annulus", (1.0, 2.0, 3.0, 4.0)),
        Shape("sector", (1.0, 2.0, 30.0, 60.0)),
        Shape("rectangle", (1.0, 2.0, 3.0, 4.0, 0.0)),
        Shape("rhombus", (1.0, 2.0, 3.0, 4.0, 0.0)),
        Shape("line", (1.0, 2.0, 3.0, 4.0)),
        Shape("point", (1.0, 2.0)),
    )
    region = Region((shapes[:2], *((s,) for s in shapes[2:])), ("X", "Y"))
    assert Region.from_hdu(region.to_hdu("REG00101")) == region


@pytest.mark.parametrize("columns", [("DETX", "DETY"), ("RAWX", "RAWY"), ("X", "Y")])
def test_coordinates_of_a_region_are_in_the_columns_that_the_table_names(columns):
    region = Region(((Shape("box", (1, 2, 3, 4, 0), True), Shape("circle", (0, 0, 9))),), columns)
    hdu = region.to_hdu("REG00106")
    # As in real tables: full widths, a rotation also where it is zero.
    assert hdu.columns.names == ["SHAPE", *columns, "R", "ROTANG", "COMPONENT"]
    assert [str(s).strip() for s in hdu.data["SHAPE"]] == ["!ROTBOX", "CIRCLE"]
    assert hdu.data["R"].tolist() == [[6, 8], [9, 0]]
    assert Region.from_hdu(hdu) == region


@pytest.mark.parametrize("width", ["E", "1D", "4E", "2J", "I"])
@pytest.mark.parametrize("shape", ["!ROTBOX", "BOX", "ellipse", "Circle"])
def test_region_tables_have_numbers_of_any_width(width, shape):
    """Elements of vectors beyond those that a shape needs are padding."""
    size = int(width[:-1] or 1)
    form = "4E" if size == 4 else f"2{width[-1]}"
    cells = {"SHAPE": ("16A", [shape]), "X": (width, [[3] + [0] * (size - 1)]), "COMPONENT": ("J", [1])}
    cells |= {"Y": (width, [[4] + [0] * (size - 1)]), "R": (form, [[6, 8] + [0] * (int(form[0]) - 2)])}
    cells |= {"ROTANG": (width, [[30] + [0] * (size - 1)])}
    columns = [fits.Column(n, f, array=np.array(v)) for n, (f, v) in cells.items()]
    (made,) = Region.from_hdu(fits.BinTableHDU.from_columns(columns)).components[0]
    sizes = {"circle": (6,), "ellipse": (6, 8, 30)}.get(made.name, (3, 4, 30))
    assert (made.args, made.exclude) == ((3, 4, *sizes), shape.startswith("!"))


def test_a_region_table_without_coordinates_says_what_it_needs():
    columns = [fits.Column("SHAPE", "8A", array=["CIRCLE"]), fits.Column("DETX", "E", array=[0])]
    hdu = fits.BinTableHDU.from_columns(columns, name="REG")
    hdu.header["MFORM1"] = "DETX,DETY"
    with pytest.raises(
        ValueError, match=r"f.fits\[REG\]: .* needs column\(s\) X, Y, or .* that MFORM1 names"
    ):
        Region.from_hdu(hdu, "f.fits")


def test_image_masks_follow_physical_coordinates():
    data = np.zeros((10, 10))
    data[2, 4] = 1
    mask = ImageMask.from_hdu(data, {"LTM1_1": 0.0125, "LTM2_2": 0.0125, "LTV1": 0.49375, "LTV2": 0.49375})
    # Pixel 5 holds 321 to 400, pixel 3 holds 161 to 240.
    assert mask.contains([320, 321, 400, 401], [200] * 4).tolist() == [False, True, True, False]


def test_images_select_through_the_sky(tmp_path: Path):
    """An image on another tangent plane, turned and without physical coordinates."""
    columns = make_list(tmp_path / "e.fits")
    image = np.zeros((60, 60), "u1")
    image[20:30, 35:50] = 1
    hdu = fits.PrimaryHDU(image)
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 30, "CRPIX2": 30, "CRVAL1": 149.7}
    cards |= {"CRVAL2": -11.0, "CD1_1": -0.01, "CD1_2": 0.002, "CD2_1": 0.002, "CD2_2": 0.01}
    hdu.header.update(cards)
    hdu.writeto(tmp_path / "mask.fits")
    header = fits.getheader(tmp_path / "e.fits", 1)
    from astropy.wcs import WCS

    ra, dec = ColumnSky.from_header(header).from_xy(columns["X"], columns["Y"])
    i, j = np.rint(WCS(hdu.header).wcs_world2pix(ra, dec, 0)).astype(int)
    expected = (j >= 20) & (j < 30) & (i >= 35) & (i < 50)
    assert expected.sum() > 10
    for text in ("(X,Y) in image(mask.fits)", "image(mask.fits,RA,DEC)", "mask(mask.fits,1,1,X,Y)"):
        assert np.array_equal(compile(text, header, Files(tmp_path)).mask(columns), expected), text
