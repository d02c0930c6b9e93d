"""Regions of ds9 in event lists and images, beside the regions package and beside angles on the sky."""

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from daxa.ds9 import excludes, read_regions
from daxa.xmm.fits.file import FitsFile
from daxa.xmm.notes import listening
from daxa.xmm.select.ds9 import Plane
from daxa.xmm.select.expression import SelectionError
from daxa.xmm.task import run_task

#: Shapes about a place in the middle of a field, which stands for {0}, {1} [deg].
SHAPES = (
    'circle({0},{1},120")',
    "box({0},{1},6',2',33)",
    'ellipse({0},{1},300",100",33)',
    "annulus({0},{1},2',5')",
    'ellipse({0},{1},100",40",200",80",120)',
    'box({0},{1},100",40",200",80",120)',
    "annulus({0},{1},1',2',3'); box({0},{1},600\",30\",10)",
    'circle({0},{1},5\'); -box({0},{1},100",40",200",80",120); -circle({0},{1},30")',
    "-circle({0},{1},5'); -ellipse({0},{1},6',7',12)",
)


def header_of(ra: float, dec: float) -> dict[str, object]:
    """Of a table of events with a tangent plane at a place; 0.05 arcsec in X and Y."""
    header: dict[str, object] = {"TFIELDS": 2, "RADECSYS": "FK5", "EQUINOX": 2000.0}
    for n, (name, kind, value, step) in enumerate(
        [("X", "RA---TAN", ra, -0.05 / 3600), ("Y", "DEC--TAN", dec, 0.05 / 3600)], start=1
    ):
        header |= {
            f"TTYPE{n}": name, f"TCTYP{n}": kind, f"TCRPX{n}": 25921, f"TCRVL{n}": value, f"TCDLT{n}": step,
            f"TDMIN{n}": 5921, f"TDMAX{n}": 45921,
        }  # fmt: skip
    return header


def by_the_package(regions: list, wcs: WCS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What the regions package says of points in a plane."""
    sky = SkyCoord(*wcs.wcs_pix2world(x, y, 1), unit="deg", frame="fk5")
    wanted = [r.contains(sky, wcs) for r in regions if not excludes(r)] or [np.ones(len(x), bool)]
    inside = np.logical_or.reduce(wanted)
    for region in regions:
        if excludes(region):
            # It gives what lies within, whether or not a region is to be left out.
            inside &= ~region.contains(sky, wcs)
    return inside


@pytest.mark.parametrize("shape", SHAPES)
def test_events_of_a_real_list_are_those_of_the_package(shared_data: Path, shape: str):
    path = shared_data / "sas_products_0201903501" / "eclean" / "mos1_exp1_clean_evts.fits.gz"
    events = FitsFile(path)["EVENTS"]
    x, y = (np.asarray(events.data[name], float) for name in ("X", "Y"))
    plane = Plane.of_columns(("X", "Y"), events.header)
    regions = read_regions("fk5; " + shape.format(149.6, -11.08))
    ours = plane.region(regions, "test").contains(x, y)
    assert 500 < ours.sum() < 0.9 * len(x)
    np.testing.assert_array_equal(ours, by_the_package(regions, plane.wcs, x, y))


@pytest.mark.parametrize("dec", [-11.0, 89.7, -89.9])
@pytest.mark.parametrize("frame", ["fk5", "galactic", "icrs"])
@pytest.mark.parametrize("kind", ["box", "ellipse"])
def test_angles_count_from_the_west_of_the_place(dec: float, frame: str, kind: str):
    """Separation and position angle on the sphere say the same, near the pole and in Galactic coordinates."""
    plane = Plane.of_columns(("X", "Y"), header_of(149.6, dec))
    # Off the middle, where north is not up: by up to a right angle near the pole.
    assert plane.wcs is not None
    place = SkyCoord(*plane.wcs.wcs_pix2world(31921, 22921, 1), unit="deg", frame="fk5").transform_to(frame)
    lon, lat = place.spherical.lon.deg, place.spherical.lat.deg
    sizes = '300",100"' if kind == "ellipse" else '600",200"'
    region = plane.region(read_regions(f"{frame}; {kind}({lon},{lat},{sizes},33)"), "test")
    x, y = np.random.default_rng(3).uniform(-9000, 9000, (2, 20_000)) + np.array([[31921], [22921]])
    points = SkyCoord(*plane.wcs.wcs_pix2world(x, y, 1), unit="deg", frame="fk5").transform_to(frame)
    distance = place.separation(points).arcsec
    turned = np.radians(place.position_angle(points).deg + 90 - 33)
    along, across = distance * np.cos(turned) / 300, distance * np.sin(turned) / 100
    reach = np.hypot(along, across) if kind == "ellipse" else np.maximum(np.abs(along), np.abs(across))
    clear = np.abs(reach - 1) > 0.002
    assert 100 < (reach < 1).sum() < 5000
    np.testing.assert_array_equal(region.contains(x, y)[clear], (reach < 1)[clear])


def test_a_region_outside_the_field_warns_with_numbers():
    plane = Plane.of_columns(("X", "Y"), header_of(149.6, -11.0))
    said: list[tuple[str, str]] = []
    with listening(lambda code, text: said.append((code, text))):
        region = plane.region(read_regions('fk5; circle(149.6,-12,30"); circle(149.6,-13,30")'), "far.reg")
    ((code, text),) = said
    assert code == "regionOutside"
    assert text.startswith("far.reg: all 2 regions lie outside the field (X 5921 to 45921, Y 5921 to 45921);")
    assert "arcmin) from it" in text
    assert float(text.split("(")[2].split()[0]) == pytest.approx(60 - 1000 / 60 - 0.5, abs=0.1)
    assert not region.contains([25921.0], [25921.0]).any()
    said.clear()
    with listening(lambda code, text: said.append((code, text))):
        plane.region(read_regions("fk5; circle(329.6,12,1)"), "behind.reg")
        plane.region(read_regions('fk5; circle(149.6,-12,30"); circle(149.6,-11,30")'), "some.reg")
    assert [code for code, _ in said] == ["regionOutside"]
    assert "more than 60 deg from the field" in said[0][1]


def test_pixels_and_physical_coordinates():
    header = fits.Header({"LTM1_1": 0.01, "LTM2_2": 0.01, "LTV1": -99.0})
    plane = Plane.of_image(header, None, (30, 40))
    y, x = np.indices((30, 40)) + 1.0
    pixels = plane.region(read_regions("image; circle(10,12,3)"), "a").contains(x, y)
    assert pixels.sum() == np.sum((x - 10) ** 2 + (y - 12) ** 2 <= 9)
    physical = plane.region(read_regions("physical; circle(10900,1200,300); box(10900,1200,2,2,0)"), "a")
    np.testing.assert_array_equal(physical.contains(x, y), pixels)
    corners = plane.region(read_regions("physical; polygon(10650,1050,11150,1050,11150,1350)"), "a")
    assert corners.contains(x, y)[11, 9 + 1]
    with pytest.raises(ValueError, match="a: a region on the sky .Circle.; the image has no coordinates"):
        plane.region(read_regions("fk5; circle(10,12,3)"), "a")
    del header["LTM1_1"]
    with pytest.raises(ValueError, match="physical coordinates; the image has none"):
        Plane.of_image(header, None, (30, 40)).region(read_regions("physical; circle(1,2,3)"), "a")


def selected(folder: Path, expression: str) -> tuple[int, str]:
    err = io.StringIO()
    given = {"table": "mos.fits:EVENTS", "filteredset": "out.fits", "expression": expression}
    run_task("evselect", given, cwd=folder, out=io.StringIO(), err=err)
    return len(fits.getdata(folder / "out.fits", "EVENTS")), err.getvalue()


def test_files_and_text_in_expressions(mos_list: Path):
    folder = mos_list.parent
    (folder / "s.reg").write_text('fk5\ncircle(149.5917,-11.0642,600")\n-circle(149.5917,-11.0642,200")\n')
    (folder / "p.reg").write_text("circle(25921,25921,12000)\n-circle(25921,25921,4000)\n")
    events = fits.getdata(mos_list, "EVENTS")
    r = np.hypot(events["X"] - 25921.0, events["Y"] - 25921.0)
    inside = int(np.sum((r <= 12000) & (r > 4000)))
    assert 100 < inside < 1000
    for form in (
        "region(s.reg,X,Y)", "region(s.reg)", "region(s.reg,RA,DEC)", "(X,Y) IN region(s.reg)",
        "region(p.reg,X,Y)",
    ):  # fmt: skip
        assert selected(folder, form)[0] == inside, form
    # What was selected by is written down, and selects the same again.
    tables = [h for h in fits.open(folder / "out.fits") if h.name.startswith("REG")]
    assert [[s.strip() for s in t.data["SHAPE"]] for t in tables] == [["CIRCLE", "!CIRCLE"]]
    assert selected(folder, f"region(out.fits:{tables[0].name},X,Y)")[0] == inside
    text = "region('fk5;circle(149.5917,-11.0642,200\")',X,Y)"
    assert selected(folder, text)[0] == int(np.sum(r <= 4000))
    assert selected(folder, f"!{text} && region(s.reg)")[0] == inside
    # In columns of another plane, numbers are those of the columns.
    centred = np.hypot(events["DETX"] - 25921.0, events["DETY"] - 25921.0)
    assert selected(folder, "region(p.reg,DETX,DETY)")[0] == np.sum((centred <= 12000) & (centred > 4000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image;circle(100,100,5)", "pixels of an image .Circle. mean nothing in an event list"),
        ("fk5;point(149.6,-11)", "r.reg: line 1: 'point.149.6,-11.': a point has no area"),
        ("galactic;panda(1,2,3,4)", "panda is not understood"),
        ("nothing here", "line 1: 'nothing here' is no region of ds9"),
    ],
)
def test_what_cannot_be_followed_is_refused_where_it_stands(mos_list: Path, text: str, message: str):
    (mos_list.parent / "r.reg").write_text(text)
    with pytest.raises(SelectionError, match=message) as refused:
        selected(mos_list.parent, "PI > 300 && region(r.reg,X,Y)")
    assert "at character 13" in str(refused.value)


def test_the_sky_in_columns_of_the_detector_is_refused(mos_list: Path):
    (mos_list.parent / "r.reg").write_text("fk5;circle(149.6,-11,0.1)")
    with pytest.raises(SelectionError, match="DETX, DETY has no coordinates on the sky"):
        selected(mos_list.parent, "region(r.reg,DETX,DETY)")
