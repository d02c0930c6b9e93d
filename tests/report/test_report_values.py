"""What the report reads from events, light curves and images: arrays in, numbers out."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from daxa.archive.curves import read_qdp
from daxa.report import chart, drawing, flares, plots, rasters, skymap, source_curves, spectra
from daxa.report.products import Reader
from daxa.simulate.cameras.camera import CAMERAS
from daxa.xmm.ccf.calibration import Calibration


def test_a_line_is_measured_where_it_is():
    rng = np.random.default_rng(1)
    pi = np.concatenate([rng.normal(1496.6, 35, 3000), rng.uniform(300, 12000, 60000)]).astype(int)
    line = spectra.measure_line(pi, "Al Kα")
    assert line.energy == pytest.approx(1496.6, abs=3)
    assert line.shift == pytest.approx(10, abs=3)
    assert 0.3 < line.error < 3
    assert line.width == pytest.approx(35, rel=0.15)
    assert line.counts == pytest.approx(3000, rel=0.15)


def test_no_line_stands_out_of_a_continuum():
    pi = np.random.default_rng(2).uniform(300, 12000, 60000).astype(int)
    assert [line.energy for line in spectra.measure_lines(pi, "M1")] == [None] * 6
    assert spectra.measure_line(pi[:10], "Cu Kα").shift is None
    assert [line.name for line in spectra.measure_lines(pi, "PN")][-2:] == ["Cu Kα", "Zn Kα"]
    assert spectra.measure_lines(pi, "R1") == []


def test_a_spectrum_counts_what_is_in_its_range():
    counts = spectra.spectrum(np.array([199, 200, 219, 220, 12001]))
    assert counts[:3].tolist() == [2, 1, 0]
    assert counts.sum() == 3


def test_shares_of_patterns_add_up_and_thin_bins_are_left_out():
    rng = np.random.default_rng(3)
    pi = np.concatenate([rng.uniform(500, 2000, 4000), [11000.0]])
    pattern = np.concatenate([np.repeat([0, 0, 0, 3], 1000), [0]])
    found = spectra.pattern_fractions(pi, pattern)
    assert set(found.fractions) == {"single", "double"}
    assert sum(found.fractions.values()) == pytest.approx(np.ones(len(found.energy)))
    assert found.energy.max() < 2500
    assert np.average(found.fractions["single"], weights=found.events) == pytest.approx(0.75, abs=0.001)


def test_expected_shares_are_those_of_the_efficiencies(synthetic_ccf):
    calibration = Calibration.for_observation([synthetic_ccf], "2017-11-01")
    for inst in ("M1", "PN"):
        found = spectra.expected_shares(calibration, inst)
        split = CAMERAS[inst].pattern_fractions(found["energy"]).T
        known = split[:2] / split[:2].sum(axis=0) if inst == "PN" else split
        for name, truth in zip(("single", "double", "triple", "quadruple"), known, strict=False):
            assert found[name] == pytest.approx(truth, abs=0.01)
        assert ("triple" in found) == (inst == "M1")
        assert np.sum([v for k, v in found.items() if k != "energy"], axis=0) == pytest.approx(1, abs=2e-4)


def test_the_figure_of_patterns_has_what_is_expected():
    exposure = {
        "inst": "M1", "exp": "S001",
        "patterns": {"energy": [1000.0], "events": [100], "fractions": {"single": [0.8], "double": [0.2]}},
        "expected": {"energy": [300.0, 12000.0], "single": [0.7, 0.7], "double": [0.3, 0.3]},
    }  # fmt: skip
    figure = plots.patterns(exposure)
    assert [d["name"] for d in figure["figure"]["data"]][2:] == ["single, expected", "double, expected"]
    assert "singles lie +10.0 %" in figure["told"]
    exposure["patterns"]["fractions"]["single"] = [0.69999]
    assert "singles lie 0.0 % from" in plots.patterns(exposure)["told"]
    assert len(plots.patterns(exposure | {"expected": None})["figure"]["data"]) == 2


QDP = """ viewport 0.05 0.05 0.98 0.89
la 14 p 3.9 350 "Fit Norm: 1"
 0.500 7.000 2.646 6.500 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 -1.0
 0.600 0.000 0.000 0.500 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 -1.0
 30.00 -1.0 0.0 -1.0 0.833 0.118 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 -1.0
 90.00 -1.0 0.0 -1.0 9.000 0.118 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 -1.0
 30.00 -1.0 0.0 -1.0 -1.0 0.0 0.833 0.118 -1.0 0.0 -1.0 0.0 -1.0 -1.0
 30.00 -1.0 0.0 -1.0 -1.0 0.0 -1.0 0.0 0.083 0.04 -1.0 0.0 -1.0 -1.0
 0.400 -1.0 0.0 -1.0 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 0.0 0.0 -1.0
 0.400 -1.0 0.0 -1.0 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 0.0 99.0 -1.0
 0.900 -1.0 0.0 -1.0 -1.0 0.0 -1.0 0.0 -1.0 0.0 -1.0 0.0 99.0 -1.0
"""


def test_the_file_for_qdp_is_taken_apart():
    seen = read_qdp(QDP)
    assert seen.field.tolist() == [[30.0, 0.833], [90.0, 9.0]]
    assert seen.corner.tolist() == [[30.0, 0.083]]
    assert seen.histogram.tolist() == [[0.5, 7.0], [0.6, 0.0]]
    assert seen.fit[:, 1].tolist() == [6.5, 0.5]
    assert seen.limits == (0.4, 0.9)
    assert read_qdp("\n".join(QDP.splitlines()[:6])).limits is None
    with pytest.raises(ValueError, match="no rows of a light curve"):
        read_qdp("histogram of another kind")


@pytest.mark.parametrize(
    ("name", "bins", "limits"), [("mos1S001", 845, (0.89, 1.892)), ("pnS003", 780, (3.144, 4.709))]
)
def test_a_file_of_espfilt_itself_is_taken_apart(shared_data, name, bins, limits):
    text = gzip.decompress((shared_data / f"esas_0203930101/{name}-hist.qdp.gz").read_bytes())
    seen = read_qdp(text.decode("latin-1"))
    assert len(seen.field) == len(seen.corner) == bins
    assert seen.limits == limits
    assert len(seen.histogram) == len(seen.fit) == 657
    likely = seen.histogram[np.argmax(seen.histogram[:, 1]), 0]
    assert limits[0] < likely < limits[1]


def test_times_are_utc():
    # 2017-01-01T00:00:00 UTC is 69.184 s before the TT of the same name.
    seconds = (57754.0 - flares.MJDREF) * 86400 + 69.184
    assert flares.utc_ms([seconds, seconds + 1.5]).tolist() == [1483228800000, 1483228801500]
    assert flares.utc_ms([]).tolist() == []


def wcs(turned: float = 0.0) -> WCS:
    found = WCS(naxis=2)
    found.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    found.wcs.crpix, found.wcs.crval, found.wcs.cdelt = [50, 50], [149.6, -11.1], [-0.004, 0.004]
    cos, sin = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    found.wcs.pc = [[cos, -sin], [sin, cos]]
    return found


def test_what_is_drawn_around_an_image():
    shown = np.zeros((100, 100), bool)
    shown[20:80, 30:90] = True
    frame = rasters.frame_of(shown, wcs())
    assert (frame.rows, frame.columns) == ((14, 86), (24, 96))
    found = rasters.around(frame)
    assert found.north == pytest.approx((0, -1), abs=0.01)
    assert found.east == pytest.approx((-1, 0), abs=0.01)
    assert found.bar == (20.8, "5′")
    heights = [y for y, _ in found.dec]  # in the order of growing declination
    assert heights == sorted(heights, reverse=True)
    assert all(text.startswith("−1") and 0 < y < frame.height for y, text in found.dec)
    assert 2 <= len(found.ra) <= 5
    assert {len(line) for line in found.lines} == {33}
    # Right ascension grows to the left.
    assert [x for x, _ in sorted(found.ra, key=lambda r: r[1])] == sorted(
        (x for x, _ in found.ra), reverse=True
    )
    x, y = rasters.place(frame, 149.6, -11.1)[0]
    assert (x, y) == pytest.approx((49 - 24 + 0.5, 86 - 49 - 0.5))
    with pytest.raises(ValueError, match=r"\(5, 5\) pixels"):
        frame.cut(np.zeros((5, 5)))


def test_north_is_where_it_is_in_an_image_that_is_turned():
    frame = rasters.frame_of(np.ones((100, 100), bool), wcs(90))
    north, east = rasters.around(frame).north, rasters.around(frame).east
    assert abs(north[0]) == pytest.approx(1, abs=0.02)
    assert abs(east[1]) == pytest.approx(1, abs=0.02)


def test_a_picture_is_north_up_and_transparent_where_there_is_nothing(tmp_path: Path):
    data = np.zeros((40, 60))
    data[35, 5], data[2, 50] = 5.0, 1.0
    rasters.write_picture(data, tmp_path / "a.png", 5.0, "inferno")
    picture = Image.open(tmp_path / "a.png")
    assert picture.size == (60, 40)
    seen = np.asarray(picture.convert("RGBA"))
    assert seen[4, 5, 3] == seen[37, 50, 3] == 255
    assert seen[..., 3].sum() == 2 * 255
    assert seen[4, 5, :3].sum() > seen[37, 50, :3].sum()
    rasters.write_picture(np.ones((1300, 10)), tmp_path / "b.png", 1.0, "viridis", linear=True)
    assert Image.open(tmp_path / "b.png").size == (3, 433)
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


def test_rates_are_given_where_there_is_exposure():
    counts, exposure = np.full((30, 30), 2.0), np.full((30, 30), 1000.0)
    exposure[:, :10] = 0
    rate = rasters.rate_image(counts, exposure)
    assert (rate[:, :10] == 0).all()
    assert rate[15, 20] == pytest.approx(0.002, rel=0.05)
    assert rasters.rate_image(counts, None)[15, 15] == pytest.approx(2)
    with pytest.raises(ValueError, match="pixels"):
        rasters.rate_image(counts, np.ones((3, 3)))


def test_a_scale_is_shared_and_ends_at_a_round_number():
    pictures = [
        {
            "kind": "rate",
            "inst": "M1",
            "unit": "ct/s per pixel",
            "low": 0.5,
            "high": 2.0,
            "pixel": None,
            "top": top,
        }
        for top in (0.0031, 0.0030, 0.0029, 0.9)
    ]
    # The brightest does not spoil the others; two cameras meet in the middle.
    assert drawing.scales_of(pictures) == {"rate ct/s per pixel 0.5-2": 0.004}
    other = {**pictures[0], "inst": "PN", "top": 0.0128}
    stripes = {**other, "kind": "oot", "top": 5.0}
    assert drawing.scales_of([*pictures, other, stripes]) == {"rate ct/s per pixel 0.5-2": 0.008}
    empty = [{**pictures[0], "top": 0.0}]
    assert list(drawing.scales_of(empty).values()) == [1.0]
    assert [rasters.round_up(v) for v in (0.0, float("nan"), 1.0, 5500.0)] == [1.0, 1.0, 1.0, 6000.0]


def test_outlines_are_on_the_sky():
    exposed = np.zeros((100, 100), bool)
    exposed[20:80, 20:80] = True
    (polygon,) = skymap.outline(exposed, wcs())
    ra, dec = np.array(polygon).T
    assert ra.max() - ra.min() == pytest.approx(60 * 0.004 / np.cos(np.radians(11.1)), rel=0.15)
    assert dec.mean() == pytest.approx(-11.1, abs=0.02)
    assert skymap.outline(np.zeros((100, 100), bool), wcs()) == []
    assert skymap.outline(np.ones((3, 3), bool), wcs()) == []


def test_neighbours_make_a_field():
    positions = [(149.6, -11.1), (10.0, 80.0), (150.2, -11.1), (359.9, 0.0), (0.3, 0.1), (0.9, 0.0)]
    assert skymap.fields(positions) == [[3, 4, 5], [0, 2], [1]]


def test_projections():
    assert skymap.whole_sky([(180, 0)])[0] == pytest.approx((0, 0))
    assert skymap.whole_sky([(90, 0)])[0][0] > 0  # right ascension grows to the left
    assert skymap.whole_sky([(0, 90)])[0] == pytest.approx((0, 1))
    west, north = skymap.tangent([(149.5, -11.0)], (149.6, -11.1))[0]
    assert (west, north) == pytest.approx((0.1 * np.cos(np.radians(11)), 0.1), rel=0.01)
    assert skymap.sexagesimal(359.99999, -0.0003) == ("00 00 00.0", "−00 00 01")
    assert skymap.sexagesimal(float("nan"), 0.0) == ("–", "")


def test_the_map_of_the_sky():
    one = {
        "header": {"ra": 149.6, "dec": -11.1, "target": "A907"},
        "outline": [],
        "page": "a.html",
        "obs_id": "1",
    }
    lost = {"header": {"ra": float("nan"), "dec": 0.0}, "outline": [], "page": "b.html", "obs_id": "2"}
    found = chart.sky([one, lost])
    (field,) = found["fields"]
    assert field["outlines"][0]["page"] == "observations/a.html"
    assert found["dots"] == [(49.3, 15.4)] or len(found["dots"]) == 1
    assert "1 field" in found["told"]
    assert chart.sky([lost]) is None
    assert (
        "more on the sky only"
        in chart.sky([one | {"header": {"ra": k * 10.0, "dec": 0}} for k in range(9)])["more"]
    )


def test_images_of_an_observation(tmp_path: Path):
    folder = tmp_path / "images"
    folder.mkdir()
    header = wcs().to_header()
    counts, exposure = np.zeros((100, 100), np.int16), np.zeros((100, 100), np.float32)
    exposure[10:90, 10:90] = 5000
    counts[60:63, 40:43] = 9
    for inst in ("M1", "M2"):
        stem = folder / f"obsid0800010101-inst{inst}-subexpALL-en0.5_2.0keV"
        fits.PrimaryHDU(counts, header).writeto(f"{stem}-image.fits")
        fits.PrimaryHDU(exposure, header).writeto(f"{stem}-expmap.fits")
    wide = folder / "obsid0800010101-instM1-subexpALL-en0.5_2.0keV-px8.0arcsec-image.fits"
    fits.PrimaryHDU(counts[:50, :50], header).writeto(wide)
    # A damaged map and a damaged image cost themselves only.
    (folder / "obsid0800010101-instM2-subexpALL-en0.5_2.0keV-expmap.fits").write_bytes(b"no FITS")
    (folder / "obsid0800010101-instPN-subexpALL-en0.5_2.0keV-image.fits").write_bytes(
        b"SIMPLE  =" + b" " * 99
    )
    reader = Reader(tmp_path)
    source = {"ra": 149.6, "dec": -11.1}
    found = drawing.observation_pictures(reader, "0800010101", [source], tmp_path)
    assert [(p["inst"], p["kind"], p["unit"]) for p in found["pictures"]] == [
        ("M1", "rate", "ct/s per pixel"), ("M1", "exposure", "s"), ("M2", "rate", "counts per pixel"),
        ("M1", "rate", "counts per pixel"),
    ]  # fmt: skip
    assert [p.partition(":")[0] for p in reader.problems] == [
        "images/obsid0800010101-instM2-subexpALL-en0.5_2.0keV-expmap.fits",
        "images/obsid0800010101-instPN-subexpALL-en0.5_2.0keV-image.fits",
    ]
    rate, time, _, other = found["pictures"]
    assert other["band"] == "0.5–2 keV, pixels of 8″"
    assert other["frame"] != rate["frame"]
    assert rate["alt"].startswith("MOS1 image, 0.5–2 keV: 81 counts; brightest 3′ north-east of the middle")
    assert "5.0 ks where it is longest" in time["alt"]
    assert len(found["frames"][rate["frame"]]["marks"]) == 1
    assert len(found["outline"]) == 1
    drawing.draw(found["pictures"], drawing.scales_of(found["pictures"]), tmp_path, "one")
    assert {p["file"] for p in found["pictures"]} == {p.name for p in tmp_path.glob("*.png")}
    assert not list(tmp_path.glob("*.npy"))


def test_a_pointing_beside_right_ascension_0_has_its_middle_there(tmp_path):
    import numpy as np
    from astropy.io import fits

    from daxa.archive import layout
    from daxa.report.products import Reader, observation_values

    ra = np.array([359.9999, 0.0001, 359.9998, 0.0002])
    columns = {"TIME": 4.0e8 + np.arange(4.0), "AHFRA": ra, "AHFDEC": np.full(4, 10.0)}
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "D", array=values) for name, values in columns.items()], name="ATTHK"
    )
    path = tmp_path / layout.attitude("0123456789")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    found = observation_values(Reader(tmp_path).folder, "0123456789", ["M1"])["attitude"]
    assert min(found["ra"], 360 - found["ra"]) < 1e-3
    assert max(map(abs, found["east"])) < 1.0


def test_the_figure_of_a_light_curve_says_what_was_corrected():
    one = {
        "source": "J1", "inst": "M1", "low": "0.5", "high": "2.0", "width": "100", "time": [0], "rate": [1.0],
        "error": [0.1], "background": [0.0], "mean": 1.0, "mean_error": 0.1, "joined": 1,
    }  # fmt: skip
    told = source_curves.figure(one | {"on_axis": True, "net": True})["told"]
    assert "as on the axis, without the background" in told
    told = source_curves.figure(one | {"on_axis": False, "net": False})["told"]
    assert "as the region sees it" in told
    assert "background" not in told
