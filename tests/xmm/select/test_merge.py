"""Merging event lists and attitude files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from small_lists import make_list

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.select import dss
from daxa.xmm.select.merge import (
    common_plane,
    mean_direction,
    merge_span,
    move,
    overlap,
    place,
    rows_of_columns,
    separation,
    stack,
    statistics,
    tables_of_times,
)
from daxa.xmm.select.regions import ColumnSky
from daxa.xmm.task import run_task


def merge(folder: Path, **parameters: Any) -> fits.HDUList:
    run_task("merge", {"set1": "a.fits", "set2": "b.fits", "outset": "out.fits", **parameters}, cwd=folder)
    return fits.open(folder / "out.fits")


def test_two_exposures_become_one_list(tmp_path: Path):
    # The later exposure is given first.
    late = make_list(tmp_path / "a.fits", start=5000.0, exp_id="U002", seed=2, count=300)
    early = make_list(tmp_path / "b.fits", start=1000.0, seed=1, count=200)
    with merge(tmp_path) as new, fits.open(tmp_path / "a.fits") as a, fits.open(tmp_path / "b.fits") as b:
        table, header = new["EVENTS"].data, new["EVENTS"].header
        for name in early:
            both = np.concatenate([early[name], late[name]])
            assert np.array_equal(table[name], both.astype(table[name].dtype)), name
        assert [h.name for h in new] == [h.name for h in a]
        for ccd in range(1, 8):
            gti = GTI.from_hdu(a[f"STDGTI{ccd:02d}"]) | GTI.from_hdu(b[f"STDGTI{ccd:02d}"])
            assert GTI.from_hdu(new[f"STDGTI{ccd:02d}"]) == gti
            frames = [h[f"EXPOSU{ccd:02d}"].data["TIME"] for h in (b, a)]
            assert np.array_equal(new[f"EXPOSU{ccd:02d}"].data["TIME"], np.concatenate(frames))
            # Both hold the same bad pixels.
            assert len(new[f"BADPIX{ccd:02d}"].data) == 2
            for key in (f"ONTIME{ccd:02d}", f"LIVETI{ccd:02d}"):
                assert header[key] == pytest.approx(sum(h["EVENTS"].header[key] for h in (a, b)))
        subspace = dss.read(new, header)
        assert subspace.ccd_gti()[3] == GTI.from_hdu(new["STDGTI03"])
        # Those of the frames, good or not.
        assert (header["TSTART"], header["TSTOP"]) == pytest.approx((1000.0, 6001.0))
        assert header["EXPIDSTR"] == "S001"
        assert header["ONTIME"] == header["ONTIME01"]
        new.verify("exception")
    run_task(
        "evselect", {"table": "out.fits", "imageset": "i.fits", "xcolumn": "X", "ycolumn": "Y"}, cwd=tmp_path
    )
    assert fits.getdata(tmp_path / "i.fits").sum() == 500


def test_sky_positions_are_kept_on_a_common_plane(tmp_path: Path):
    one = make_list(tmp_path / "a.fits", ra=359.99, dec=60.0, count=500)
    two = make_list(tmp_path / "b.fits", ra=0.03, dec=60.02, start=5000.0, count=500, seed=9)
    with merge(tmp_path) as new:
        table, header = new["EVENTS"].data, new["EVENTS"].header
        after = ColumnSky.from_header(header)
        assert after.value[0] == pytest.approx(0.01, abs=1e-4)
        planes = []
        for name in "ab":
            planes.append(ColumnSky.from_header(fits.getheader(tmp_path / f"{name}.fits", 1)))
        ra, dec = after.from_xy(table["X"], table["Y"])
        valid = table["X"] != -99999999
        assert valid.sum() > 900
        before = [np.stack(p.from_xy(c["X"], c["Y"])) for p, c in zip(planes, (one, two), strict=True)]
        before = np.concatenate(before, axis=1)
        distance = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(*before, unit="deg")).arcsec[valid]
        assert distance.max() < 0.05 * 0.71 + 1e-4
        # What falls off the plane was near its edge.
        assert np.all((table["X"][valid] >= 1) & (table["X"][valid] <= 51840))
        assert header["REFXCRVL"] == new[0].header["REFXCRVL"] == header["TCRVL6"] == after.value[0]


def test_a_reference_point_may_be_given(tmp_path: Path):
    make_list(tmp_path / "a.fits", count=50)
    make_list(tmp_path / "b.fits", start=5000.0, count=50)
    with merge(tmp_path, withradec="yes", ra=149.6, dec=-11.0, imagesize=0.5) as new:
        header = new["EVENTS"].header
        assert (header["TCRVL6"], header["TCRVL7"], header["TLMAX6"], header["TCRPX6"]) == (
            149.6,
            -11.0,
            72000,
            36001,
        )


def test_filtered_lists_keep_their_data_subspace(tmp_path: Path, capsys):
    for name, start in (("a", 1000.0), ("b", 5000.0)):
        make_list(tmp_path / f"{name}0.fits", start=start, seed=int(start))
        gti = GTI([start + 100], [start + 300])
        fits.HDUList([fits.PrimaryHDU(), gti.to_hdu()]).writeto(tmp_path / f"{name}g.fits")
        call = {"table": f"{name}0.fits", "filteredset": f"{name}.fits"}
        run_task("evselect", {**call, "expression": f"#XMMEA_EM && gti({name}g.fits,TIME)"}, cwd=tmp_path)
    with merge(tmp_path) as new:
        subspace = dss.read(new, new["EVENTS"].header)
        assert [a.name for a in subspace.axes] == ["CCDNR", "FLAG", "TIME"]
        assert subspace.ccd_gti()[2] == GTI([1100, 5100], [1300, 5300]) == GTI.from_hdu(new["STDGTI02"])
        assert new["EVENTS"].header["ONTIME02"] == 400.0
    run_task(
        "evselect", {"table": "b0.fits", "filteredset": "b.fits", "expression": "PI > 300"}, cwd=tmp_path
    )
    with merge(tmp_path) as new:
        assert "incompleteDSS" in capsys.readouterr().err
        subspace = dss.read(new, new["EVENTS"].header)
        assert [a.name for a in subspace.axes] == ["CCDNR", "TIME"]
        assert not [h.name for h in new if h.name.startswith("GTI")]


def test_rules(tmp_path: Path, capsys):
    make_list(tmp_path / "a.fits", count=20)
    make_list(tmp_path / "b.fits", count=20, start=5000.0, obs_id="0800010201")
    with pytest.raises(TaskError, match="OBS_ID is 0800010101"):
        merge(tmp_path)
    merge(tmp_path, mergedifferentobs="yes").close()
    make_list(tmp_path / "b.fits2", count=20, start=5000.0, FILTER="Thin1")
    (tmp_path / "b.fits2").replace(tmp_path / "b.fits")
    merge(tmp_path).close()
    assert "FILTER is Medium" in capsys.readouterr().err
    fits.setval(tmp_path / "b.fits", "DATAMODE", value="TIMING", ext=1)
    with pytest.raises(TaskError, match="DATAMODE"):
        merge(tmp_path)
    make_list(tmp_path / "c.fits", "EPN", count=20, start=5000.0)
    with merge(tmp_path, set2="c.fits") as new:
        err = capsys.readouterr().err
        assert "INSTRUME" in err
        assert "TIME_RAW" in err
        assert len(new["EVENTS"].data) == 40
        assert "TIME_RAW" not in new["EVENTS"].columns.names
        assert new["EVENTS"].header["ONTIME01"] == fits.getheader(tmp_path / "a.fits", 1)["ONTIME01"]
    make_list(tmp_path / "d.fits", count=20, start=1500.0)
    merge(tmp_path, set2="d.fits").close()
    assert "overlap" in capsys.readouterr().err
    with pytest.raises(TaskError, match="nothing.fits"):
        merge(tmp_path, set2="nothing.fits")
    with pytest.raises(TaskError, match="at most 12"):
        merge(tmp_path, columns=" ".join("ABCDEFGHIJKLM"))


def test_columns_may_be_chosen(tmp_path: Path):
    one = make_list(tmp_path / "a.fits", count=20)
    make_list(tmp_path / "b.fits", count=20, start=5000.0)
    with merge(tmp_path, columns="TIME X Y PI CCDNR") as new:
        assert new["EVENTS"].columns.names == ["TIME", "X", "Y", "PI", "CCDNR"]
        assert np.array_equal(new["EVENTS"].data["PI"][:20], one["PI"])
        assert new["EVENTS"].header["TCTYP2"] == "RA---TAN"
        assert "TCTYP6" not in new["EVENTS"].header
        assert new["EVENTS"].columns["PI"].unit == "CHAN"


def attitude_file(path: Path, start: float, ra: float) -> None:
    time = np.arange(start, start + 10)
    columns = [
        fits.Column("TIME", "D", array=time),
        fits.Column("AHFRA", "D", array=np.full(10, ra)),
        fits.Column("AHFDEC", "D", array=np.full(10, -11.0)),
    ]
    primary = fits.PrimaryHDU()
    primary.header["AAHFRA"] = primary.header["MAHFRA"] = ra
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns, name="ATTHK")]).writeto(path)


def test_attitude_files(tmp_path: Path):
    attitude_file(tmp_path / "a.fits", 105.0, 0.2)
    attitude_file(tmp_path / "b.fits", 100.0, 359.8)
    with merge(tmp_path) as new:
        assert new["ATTHK"].data["TIME"].tolist() == list(range(100, 115))
        assert new["ATTHK"].data["AHFRA"][0] == 359.8
        assert new[0].header["MAHFRA"] == 359.8
        assert new[0].header["AAHFRA"] == pytest.approx((359.8 * 10 + 360.2 * 5) / 15 % 360)
    make_list(tmp_path / "c.fits", count=5)
    with pytest.raises(TaskError, match="EVENTS"):
        merge(tmp_path, set2="c.fits")


def test_directions():
    assert mean_direction([359.0, 1.0], [0.0, 0.0]) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert separation(10.0, 20.0, 10.0, 20.5) == pytest.approx(0.5)
    assert statistics(np.array([359.0, 1.0, np.nan]), "AHFRA")[0] == pytest.approx(0.0, abs=1e-9)
    sky = ColumnSky(("X", "Y"), (25921, 25921), (149.6, -11.0), (-0.05 / 3600, 0.05 / 3600))
    # A clockwise turn takes a source in the North to the West, where X is larger.
    x, y = move(sky, [25921.0], [35921.0], sky, (0.0, 0.0, 90.0))
    assert (x[0], y[0]) == pytest.approx((35921.0, 25921.0), abs=1e-3)
    x, y = move(sky, [25921.0], [25921.0], sky, (0.0, 0.01, 0.0))
    assert (x[0], y[0]) == pytest.approx((25921.0, 25921.0 + 720), abs=1e-3)


PLANE = ColumnSky(("X", "Y"), (500, 500), (150.0, 2.0), (-1 / 3600, 1 / 3600))


class TestValues:
    """The parts of a merger on arrays and headers, without files."""

    def test_rows_of_fewer_columns_in_another_order(self):
        old, new = np.dtype([("A", ">i2"), ("B", ">f4"), ("C", "u1")]), np.dtype([("C", "u1"), ("A", ">i2")])
        rows = np.zeros(3, old)
        rows["A"], rows["B"], rows["C"] = [1, -2, 3], 0.5, [7, 8, 9]
        data = rows.view(np.uint8).reshape(3, -1)
        found = rows_of_columns(data, old, new, ["C", "A"]).reshape(-1).view(new)
        assert found["A"].tolist() == [1, -2, 3]
        assert found["C"].tolist() == [7, 8, 9]
        same = rows_of_columns(data, old, old, ["A", "B", "C"])
        assert np.array_equal(same, data)
        assert same is not data

    def test_common_plane(self):
        other = ColumnSky(("X", "Y"), (500, 500), (150.2, 2.0), PLANE.step)
        assert common_plane([PLANE, PLANE], 1000).value == (150.0, 2.0)
        assert common_plane([PLANE, other], 1000).value == pytest.approx((150.1, 2.0), abs=1e-5)
        given = common_plane([PLANE, other], 1001, (149.0, 1.0))
        assert (given.value, given.pixel) == ((149.0, 1.0), (501, 501))

    def test_places_that_are_undefined_or_off_the_plane(self):
        x, y = np.array([500.0, -99.0, 500.0, 990.0]), np.array([510.0, 500.0, -99.0, 500.0])
        north = place(x, y, (-99, -99), PLANE, PLANE, (0.0, 20 / 3600, 0.0), 980)
        assert north[:, 0] == pytest.approx([500, 530])
        assert np.isnan(north[:, 1:]).all()

    def test_columns_that_the_second_table_lacks_are_zero(self):
        one = np.array([(1, 2.0)], dtype=[("A", "i2"), ("B", "f4")])
        two = np.array([(5, 6)], dtype=[("A", "i4"), ("Z", "i2")])
        rows, missing = stack(one, two)
        assert rows.tolist() == [(1, 2.0), (5, 0.0)]
        assert (rows.dtype, missing) == (one.dtype, ["B"])

    def test_span(self):
        header = {"TSTART": 10.0, "TSTOP": 20.0, "TELAPSE": 10.0, "DATE-END": "early"}
        second = {"TSTART": 5.0, "TSTOP": 40.0}
        merge_span(header, dict(header), second, {"DATE-END": "late", "EXPSTOP": "late"})
        assert header == {"TSTART": 5.0, "TSTOP": 40.0, "TELAPSE": 35.0, "DATE-END": "late"}

    def test_good_times(self):
        def of(ccd, start, stop):
            filters = [dss.Filter(str(ccd)), dss.Filter("TABLE", "", ":GTI00001")]
            axes = [dss.Axis("CCDNR"), dss.Axis("TIME", "s")]
            return dss.DataSubspace(axes, [filters], {"GTI00001": GTI([start], [stop])})

        assert overlap(of(1, 0.0, 10.0), of(2, 9.0, 20.0))
        assert not overlap(of(1, 0.0, 10.0), of(1, 10.0, 20.0))
        tables = tables_of_times(of(3, 0.0, 10.0))
        assert sorted(tables) == ["GTI00001", "STDGTI03"]
        assert tables["STDGTI03"] == GTI([0.0], [10.0])


def test_places_and_positions_that_cannot_be(tmp_path: Path):
    make_list(tmp_path / "a.fits", count=50)
    make_list(tmp_path / "b.fits", count=50, start=5000.0)
    for given, message in (
        ({"outset": "nowhere/o.fits"}, "there is no folder"),
        ({"outset": "."}, "is a folder"),
        ({"ra": 10, "dec": 95}, "at most 90"),
        ({"ra": "nan", "dec": 5}, "expected a number"),
    ):
        with pytest.raises(TaskError, match=message):
            merge(tmp_path, **given)
    merge(tmp_path, outset="out.fits:EVENTS").close()


class TestFarApart:
    """Lists whose fields do not lie on one plane of X and Y."""

    def lists(self, folder: Path, ra: float, dec: float = -11.0642) -> None:
        make_list(folder / "a.fits", count=50)
        make_list(folder / "b.fits", count=60, start=5000.0, ra=ra, dec=dec)

    @pytest.mark.parametrize(("ra", "dec"), [(0.001, -11.0642), (149.5917, 40.0), (152.5, -11.0642)])
    def test_a_list_without_any_coordinates_is_not_made(self, tmp_path: Path, ra: float, dec: float):
        self.lists(tmp_path, ra, dec)
        with pytest.raises(
            TaskError, match=r"no event of either list lies on the plane of 0.72 deg about RA"
        ):
            merge(tmp_path)
        assert not (tmp_path / "out.fits").exists()

    def test_on_the_plane_of_one_the_other_s_are_counted(self, tmp_path: Path, capsys):
        self.lists(tmp_path, 152.5)
        with merge(tmp_path, ra=149.5917, dec=-11.0642) as new:
            assert (new["EVENTS"].data["X"] != -99999999).sum() == 50
        err = capsys.readouterr().err
        assert f"(nullCoordinates), 60 of 60 events of {tmp_path / 'b.fits'} lie outside the plane" in err
        assert "a.fits lie outside" not in err

    def test_near_ones_are_merged_in_silence(self, tmp_path: Path, capsys):
        make_list(tmp_path / "a.fits", count=50)
        make_list(tmp_path / "b.fits", count=60, start=5000.0)
        with merge(tmp_path) as new:
            assert len(new["EVENTS"].data) == 110
        assert "nullCoordinates" not in capsys.readouterr().err
