"""Reading regions of ds9."""

from pathlib import Path

import pytest
from astropy.coordinates import SkyCoord
from astropy.units import Quantity
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord, PointSkyRegion, Regions

from daxa.ds9 import excludes, is_physical, is_text, read_regions, region_text

SAVED = """# Region file format: DS9 version 4.1
global color=green dashlist=8 3 width=1 font="helvetica 10 normal roman" select=1 include=1 source=1
fk5
circle(10:02:01.0,+2:00:00,30") # color=red text={a; b, circle(1,2,3)}
-circle(150.1d,2.0d,0.5') # background
ellipse(150,2,10",20",30",40",45)
# text(150,2) text={here}
annulus(150,2,10",20",30") # tag={first}
# composite(150,2,0) || composite=1
circle(150,2,3") ||
box(150.1,2.1,20",10",30)
galactic; circle(200 30 10")
physical
circle(25921,25921,20)
"""


def test_a_saved_file_is_read_whole(tmp_path: Path):
    path = tmp_path / "my (first) regions.reg"
    path.write_text(SAVED)
    found = read_regions(path)
    kinds = [type(r).__name__.removesuffix("Region") for r in found]
    assert kinds == [
        "CircleSky", "CircleSky", "EllipseAnnulusSky", "CircleAnnulusSky", "CircleAnnulusSky", "CircleSky",
        "RectangleSky", "CircleSky", "CirclePixel",
    ]  # fmt: skip
    assert [excludes(r) for r in found] == [False, True] + 7 * [False]
    assert [is_physical(r) for r in found] == 8 * [False] + [True]
    assert found[0].center.ra.deg == pytest.approx(150.5041667)
    assert found[1].radius == Quantity(30, "arcsec")
    # Annuli of more radii are several, each between two of them.
    assert [found[k].outer_radius.to_value("arcsec") for k in (3, 4)] == [20, 30]
    assert found[7].center.frame.name == "galactic"
    # Pixels of ds9 are counted from 1, those of regions from 0.
    assert found[8].center.x == 25920
    # What is written is read as the same; also where all have the same coordinates.
    for part in (found, found[:7], found[1:2], found[8:]):
        again = read_regions(region_text(part))
        assert region_text(again) == region_text(part)
        assert [excludes(r) for r in again] == [excludes(r) for r in part]
        assert [is_physical(r) for r in again] == [is_physical(r) for r in part]


def test_text_objects_and_files_are_told_apart(tmp_path: Path):
    circle = CircleSkyRegion(SkyCoord(150, 2, unit="deg"), Quantity(10, "arcsec"))
    assert read_regions(circle) == [circle]
    assert read_regions(Regions([circle, circle])) == [circle, circle]
    assert read_regions([CirclePixelRegion(PixCoord(1, 2), 3)])[0].radius == 3
    assert is_text("icrs;circle(1,2,3)")
    assert not is_text("sources (2).reg")
    with pytest.raises(FileNotFoundError, match=r"no such file of regions: .*gone\.reg"):
        read_regions(tmp_path / "gone.reg")
    with pytest.raises(TypeError, match="path of a region file, its text, or objects"):
        read_regions([1, 2])
    (tmp_path / "latin").write_bytes(b'fk5; circle(1,2,3") # text={\xe9toile}\r\n')
    assert len(read_regions(tmp_path / "latin")) == 1
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00SIMPLE")
    with pytest.raises(ValueError, match="not a text file of ds9 regions"):
        read_regions(tmp_path / "binary")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fk5\npoint(1,2)", r"line 2: 'point\(1,2\)': a point has no area"),
        ("fk5;line(1,2,3,4)", "a line has no area"),
        ("# vector(1,2,3,4)", "a vector has no area"),
        ("fk5;panda(1,2,0,90,1,3,4,1)", "panda is not understood"),
        ("linear;circle(1,2,3)", "coordinates 'linear' are not understood; known are fk5, icrs"),
        ("wcsa;circle(1,2,3)", "coordinates 'wcsa' are not understood"),
        ("fk5;circle(1,2)", "a circle has x, y, radius, not 2 numbers"),
        ("fk5;circle(1,2,3,4)", "a circle has x, y, radius, not 4 numbers"),
        ("fk5;box(1,2,3,4)", "a box has x, y, pairs of widths, angle, not 4 numbers"),
        ("fk5;polygon(1,2,3,4)", "a polygon has x, y of three or more corners, not 4 numbers"),
        ("fk5;circle(1,2,wide)", r"circle\(1,2,wide\)"),
        ("fk5;circle(150,95,3)", "Latitude"),
        ("fk5;circle(1,2,-3)", "positive"),
        ("fk5;annulus(1,2,5,3)", "greater than"),
        ('image;circle(1,2,3")', "angular"),
        ("fk5;rotbox(1,2,3,4,5)", r"'rotbox\(1,2,3,4,5\)' is no region of ds9"),
        ("fk5;hello(1)", "is no region of ds9; known are circle, ellipse, box, annulus, polygon"),
        ("fk5\n# text(1,2) text={only}", "no region of ds9"),
    ],
)
def test_what_is_no_region_is_refused_by_its_line(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        read_regions(text)


def test_an_object_without_area_is_refused():
    with pytest.raises(ValueError, match="a point has no area"):
        read_regions([PointSkyRegion(SkyCoord(1, 2, unit="deg"))])
