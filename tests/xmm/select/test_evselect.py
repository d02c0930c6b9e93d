"""evselect on small event lists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from small_lists import DEC, RA, event_columns, make_list

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits import rows as rawtable
from daxa.xmm.select import dss
from daxa.xmm.select.expression import compile
from daxa.xmm.select.products import Counter, Grid, image_grid
from daxa.xmm.task import run_task


def evselect(folder: Path, **parameters: Any) -> None:
    run_task("evselect", parameters, cwd=folder)


def rows(path: Path) -> np.ndarray:
    with fits.open(path) as hdus:
        return np.array(hdus["EVENTS"].data)


@pytest.fixture
def gti_file(tmp_path: Path) -> Path:
    gti = GTI([1100.0, 1500.0], [1300.0, 1700.0])
    fits.HDUList([fits.PrimaryHDU(), gti.to_hdu()]).writeto(tmp_path / "gti.fits")
    return tmp_path / "gti.fits"


@pytest.mark.parametrize("chunk", [64, 4096, 1 << 22])
def test_a_filtered_list_holds_the_selected_rows_bit_by_bit(mos_list: Path, monkeypatch, chunk: int):
    monkeypatch.setattr(rawtable.RawTable.chunks, "__defaults__", (chunk,))
    evselect(
        mos_list.parent,
        table="mos.fits",
        filteredset="out.fits",
        expression="#XMMEA_EM && PATTERN <= 12 && PI in [300:8000]",
    )
    before, after = rows(mos_list), rows(mos_list.parent / "out.fits")
    keep = ((before["FLAG"] & 0x766BA000) == 0) & (before["PATTERN"] <= 12)
    keep &= (before["PI"] >= 300) & (before["PI"] <= 8000)
    assert 0 < keep.sum() < len(before)
    assert after.tobytes() == before[keep].tobytes()
    with fits.open(mos_list) as old, fits.open(mos_list.parent / "out.fits") as new:
        assert [h.name for h in new] == [h.name for h in old]
        for a, b in zip(old[2:], new[2:], strict=True):
            assert str(a.header) == str(b.header)
            assert np.array_equal(a.data, b.data)
        header = new["EVENTS"].header
        assert header["SLCTEXPR"] == "(FLAG & 0x766ba000) == 0 && PATTERN <= 12 && PI in [300:8000]"
        values = [(k, header[k]) for k in header if re.match(r"DS(TYP|VAL|FORM)\d$", k)]
        assert values == [
            ("DSTYP1", "CCDNR"), ("DSTYP2", "TIME"), ("DSTYP3", "FLAG"), ("DSTYP4", "PATTERN"),
            ("DSTYP5", "PI"), ("DSVAL1", "1"), ("DSVAL2", "TABLE"), ("DSFORM3", "X"),
            ("DSVAL3", "b000x00xx00x0x000x0xxxxxxxxxxxxx"), ("DSVAL4", ":12"), ("DSVAL5", "300:8000"),
        ]  # fmt: skip
        assert header["LIVETI03"] == old["EVENTS"].header["LIVETI03"]
        assert new[0].header["CREATOR"].startswith("daxa")
        new.verify("exception")


def test_a_selection_in_time_is_carried_through_the_whole_list(pn_list: Path, gti_file: Path):
    folder = pn_list.parent
    evselect(folder, table="pn.fits", filteredset="out.fits", expression="gti(gti.fits,TIME) && PATTERN<=4")
    user = GTI.read(gti_file)
    with fits.open(pn_list) as old, fits.open(folder / "out.fits") as new:
        header = new["EVENTS"].header
        subspace = dss.read(new, header)
        assert [a.name for a in subspace.axes] == ["CCDNR", "PATTERN", "TIME"]
        assert subspace.ccds() == list(range(1, 13))
        for ccd in range(1, 13):
            expected = GTI.from_hdu(old[f"STDGTI{ccd:02d}"]) & user
            assert subspace.ccd_gti()[ccd] == expected
            assert GTI.from_hdu(new[f"STDGTI{ccd:02d}"]) == expected
            assert header[f"ONTIME{ccd:02d}"] == expected.total == new[f"STDGTI{ccd:02d}"].header["ONTIME"]
            frames = old[f"EXPOSU{ccd:02d}"].data
            inside = expected.contains(frames["TIME"])
            assert np.array_equal(new[f"EXPOSU{ccd:02d}"].data["TIME"], frames["TIME"][inside])
            live = np.sum(frames["TIMEDEL"][inside] * frames["FRACEXP"][inside], dtype=float)
            assert header[f"LIVETI{ccd:02d}"] == pytest.approx(live, rel=1e-6)
        # The prime CCD of pn is the fourth.
        assert header["LIVETIME"] == header["LIVETI04"]
        assert header["ONTIME"] == header["ONTIME04"]
        assert new["STDGTI02"].header["CCDID"] == 2
        assert user.contains(new["EVENTS"].data["TIME"]).all()
    # A further selection in time starts from there, and leaves no table without use.
    evselect(folder, table="out.fits", filteredset="twice.fits", expression="TIME in [1200:1600]")
    with fits.open(folder / "twice.fits") as new:
        assert new["EVENTS"].header["ONTIME05"] == 200.0
        names = dss.read(new, new["EVENTS"].header).table_names()
        assert sorted(h.name for h in new if h.name.startswith("GTI")) == sorted(names)
        assert GTI.from_hdu(new["STDGTI05"]) == GTI([1200, 1500], [1300, 1600])


def test_the_written_data_subspace_selects_the_same_rows_again(pn_list: Path, gti_file: Path):
    folder = pn_list.parent
    evselect(
        folder,
        table="pn.fits",
        filteredset="out.fits",
        expression="(FLAG == 0 || FLAG & 0x10000 != 0) && gti(gti.fits,TIME) && PI > 500 && "
        "(X,Y) in circle(25000,25000,9000) && !((X,Y) in box(25000,25000,1000,1000,0))",
    )
    evselect(
        folder,
        table="pn.fits",
        filteredset="again.fits",
        filtertype="dataSubspace",
        dssblock="out.fits:EVENTS",
    )
    a, b = rows(folder / "out.fits"), rows(folder / "again.fits")
    ontime = {c: GTI([1000 + 0.1 * c], [2000]) for c in range(1, 13)}
    inside = np.array([ontime[int(c)].contains(t) for c, t in zip(a["CCDNR"], a["TIME"], strict=True)])
    assert len(a) > 20
    assert a[inside].tobytes() == b.tobytes()


def test_ccds_that_are_not_selected_leave_the_data_subspace(mos_list: Path):
    evselect(mos_list.parent, table="mos.fits", filteredset="out.fits", expression="CCDNR in 1,2,7")
    with fits.open(mos_list.parent / "out.fits") as new:
        subspace = dss.read(new, new["EVENTS"].header)
        assert subspace.ccds() == [1, 2, 7]
        assert set(new["EVENTS"].data["CCDNR"]) == {1, 2, 7}


def test_what_the_data_subspace_cannot_say_still_filters(mos_list: Path, capsys):
    evselect(
        mos_list.parent, table="mos.fits", filteredset="out.fits", expression="RAWX+RAWY > 500 && PI<900"
    )
    assert "incompleteDSS" in capsys.readouterr().err
    new = rows(mos_list.parent / "out.fits")
    assert (new["RAWX"].astype(int) + new["RAWY"] > 500).all()
    header = fits.getheader(mos_list.parent / "out.fits", 1)
    assert [header[k] for k in ("DSTYP3", "DSVAL3")] == ["PI", ":900)"]


def test_lists_are_changed_in_place_only_on_request(mos_list: Path):
    before = mos_list.read_bytes()
    evselect(mos_list.parent, table="mos.fits", expression="PI > 500")
    assert mos_list.read_bytes() == before
    evselect(mos_list.parent, table="mos.fits", expression="PI > 500", keepfilteroutput="yes")
    assert (rows(mos_list)["PI"] > 500).all()


def test_flag_mode_keeps_all_rows(mos_list: Path):
    folder = mos_list.parent
    before = rows(mos_list)
    evselect(folder, table="mos.fits", filteredset="out.fits", destruct="no", expression="PI < 5000")
    flagged = rows(folder / "out.fits")
    assert len(flagged) == len(before)
    assert np.array_equal(flagged["EVFLAG"] == 0x80, before["PI"] < 5000)
    assert np.array_equal(flagged["TIME"], before["TIME"])
    evselect(folder, table="out.fits", filteredset="two.fits", expression="SELECTED && PI > 1000")
    assert np.array_equal(
        rows(folder / "two.fits")["TIME"], before["TIME"][(before["PI"] < 5000) & (before["PI"] > 1000)]
    )
    evselect(
        folder, table="out.fits", keepfilteroutput="yes", destruct="no", flagbit=2, expression="PI < 100"
    )
    again = rows(folder / "out.fits")["EVFLAG"]
    assert np.array_equal(again & 4 != 0, before["PI"] < 100)
    assert np.array_equal(again & 0x80 != 0, before["PI"] < 5000)
    with pytest.raises(TaskError, match="8 bits"):
        evselect(folder, table="out.fits", keepfilteroutput="yes", destruct="no", flagbit=9)


@settings(max_examples=30)
@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.tuples(st.integers(-20000, 20000), st.integers(0, 9000)),
    st.integers(0, 2**31),
)
def test_images_conserve_counts(xbin, ybin, xrange, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-20000, 20001, 300).astype("i2")
    y = rng.uniform(0, 1000, 300)
    low, width = xrange
    grids = (
        image_grid("X", low, low + width, True, size=None, step=float(xbin)),
        image_grid("Y", 0.0, 800.0, False, size=None, step=float(ybin)),
    )
    counter = Counter(grids)
    counter.add({"X": x[:100], "Y": y[:100]})
    counter.add({"X": x[100:], "Y": y[100:]})
    image = counter.values()
    expected = np.zeros_like(image)
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        i, j = (a - low) // xbin, int(b // ybin)
        if 0 <= i < image.shape[1] and 0 <= j < image.shape[0]:
            expected[j, i] += 1
    assert np.array_equal(image, expected)
    last = (width // xbin + 1) * xbin
    upper = image.shape[0] * ybin
    assert image.sum() == np.sum((x >= low) & (x < low + last) & (y < upper))


@pytest.mark.parametrize(
    ("low", "high", "step", "size", "count"),
    [
        (3401, 48400, 50, None, 900),
        (-19499, 19500, 50, None, 780),
        (1, 51840, 80, None, 648),
        (3649, 48106, 87, None, 512),
        (1, 640, None, 640, 640),
        (1, 51840, None, 600, 596),
    ],
)
def test_image_sizes_in_use(low, high, step, size, count):
    assert image_grid("X", low, high, True, size=size, step=step).count == count


def test_a_sky_image_shows_events_where_they_are(mos_list: Path):
    folder = mos_list.parent
    evselect(
        folder, table="mos.fits", imageset="im.fits", xcolumn="X", ycolumn="Y", imagebinning="binSize",
        ximagebinsize=87, yimagebinsize=87, squarepixels="yes", ximagemin=3649, ximagemax=48106,
        yimagemin=3649, yimagemax=48106, expression="(PI in [500:2000])",
    )  # fmt: skip
    with fits.open(folder / "im.fits") as hdus:
        image, header = hdus[0].data, hdus[0].header
        assert image.shape == (512, 512)
        events = rows(mos_list)
        events = events[(events["PI"] >= 500) & (events["PI"] <= 2000)]
        inside = np.all([(events[c] >= 3649) & (events[c] <= 48192) for c in "XY"], axis=0)
        assert image.sum() == inside.sum() > 100
        wcs = WCS(header)
        assert header["EXPOSURE"] == max(header[f"ONTIME{c:02d}"] for c in range(1, 8))
        # Through the sky: the pixel of an event's position is the one it was counted in.
        table = WCS(naxis=2)
        table.wcs.ctype, table.wcs.crpix = ["RA---TAN", "DEC--TAN"], [25921, 25921]
        table.wcs.crval, table.wcs.cdelt = [RA, DEC], [-0.05 / 3600, 0.05 / 3600]
        sky = table.wcs_pix2world(np.stack([events["X"], events["Y"]], axis=1), 1)
        pixel = np.rint(wcs.wcs_world2pix(sky, 0)).astype(int)[inside]
        again = np.zeros_like(image)
        np.add.at(again, (pixel[:, 1], pixel[:, 0]), 1)
        assert np.array_equal(again, image)
        # Physical coordinates too.
        physical = WCS(header, key="L").wcs_world2pix(np.stack([events["X"], events["Y"]], axis=1), 0)
        assert np.array_equal(np.rint(physical).astype(int)[inside], pixel)
        ltm = events["X"][inside] * header["LTM1_1"] + header["LTV1"]
        assert np.array_equal(np.rint(ltm).astype(int) - 1, pixel[:, 0])


def test_detector_and_weighted_images(mos_list: Path):
    folder = mos_list.parent
    evselect(
        folder, table="mos.fits", imageset="im.fits", xcolumn="DETX", ycolumn="DETY", ximagesize=100,
        yimagesize=50, withzcolumn="yes", zcolumn="PI", squarepixels="no",
    )  # fmt: skip
    image, header = fits.getdata(folder / "im.fits"), fits.getheader(folder / "im.fits")
    events = rows(mos_list)
    assert image.sum() == pytest.approx(events["PI"].sum(dtype=float), rel=1e-6)
    assert (header["CTYPE1"], header["BITPIX"], image.shape) == ("DETX", -32, (50, 100))
    evselect(
        folder, table="mos.fits", imageset="c.fits", xcolumn="X", ycolumn="Y", imagebinning="binSize",
        ximagebinsize=100, yimagebinsize=100, ximagemin=1, ximagemax=10000, yimagemin=1, yimagemax=10000,
        raimagecenter=RA, decimagecenter=DEC, imagedatatype="Int16",
    )  # fmt: skip
    image, header = fits.getdata(folder / "c.fits"), fits.getheader(folder / "c.fits")
    assert image.shape == (100, 100)
    assert header["BITPIX"] == 16
    assert abs(header["CRPIX1"] - 50.5) < 0.02
    near = [np.abs(events[c] - 25921) < 4900 for c in "XY"]
    assert image.sum() >= np.sum(near[0] & near[1])


def test_light_curves(mos_list: Path):
    folder = mos_list.parent
    evselect(
        folder, table="mos.fits", rateset="r.fits", timebinsize=10, timemin=1000, timemax=1500,
        maketimecolumn="yes", makeratecolumn="yes", expression="PI in [200:10000]", energycolumn="PI",
    )  # fmt: skip
    events = rows(mos_list)
    times = events["TIME"][(events["PI"] >= 200) & (events["PI"] <= 10000)]
    counts, _ = np.histogram(times, np.arange(1000, 1501, 10))
    with fits.open(folder / "r.fits") as hdus:
        table, header = hdus["RATE"].data, hdus["RATE"].header
        assert hdus["RATE"].columns.names == ["RATE", "ERROR", "TIME"]
        assert np.allclose(table["RATE"] * 10, counts)
        assert np.allclose(table["ERROR"], np.sqrt(counts) / 10)
        assert table["TIME"].tolist() == (1005 + 10.0 * np.arange(50)).tolist()
        assert (header["CHANMIN"], header["CHANMAX"], header["CHANTYPE"]) == (200, 10000, "PI")
        live = fits.getheader(mos_list, 1)["LIVETI01"]
        assert header["EXPOSURE"] == pytest.approx(live, rel=1e-3)
        assert [h.name for h in hdus[2:]] == [f"STDGTI{c:02d}" for c in range(1, 8)]
    evselect(folder, table="mos.fits", rateset="c.fits", timebinsize=50)
    with fits.open(folder / "c.fits") as hdus:
        assert hdus["RATE"].columns.names == ["COUNTS"]
        assert hdus["RATE"].data["COUNTS"].sum() == len(events)
        assert hdus["RATE"].header["TSTART"] == fits.getheader(mos_list, "EVENTS")["TSTART"]


def test_spectra_and_histograms(pn_list: Path, capsys):
    folder = pn_list.parent
    evselect(
        folder, table="pn.fits", spectrumset="s.fits", energycolumn="PI", spectralbinsize=5, specchannelmin=0,
        specchannelmax=20479, histogramset="h.fits", histogramcolumn="RAWY", histogrambinsize=10,
    )  # fmt: skip
    events = rows(pn_list)
    with fits.open(folder / "s.fits") as hdus:
        table, header = hdus["SPECTRUM"].data, hdus["SPECTRUM"].header
        assert len(table) == 4096 == header["DETCHANS"]
        assert np.array_equal(table["COUNTS"], np.bincount(events["PI"] // 5, minlength=4096))
        assert (header["SPECDELT"], header["SPECVAL"], header["CHANTYPE"]) == (5, 2.0, "PI")
        live = [fits.getheader(pn_list, 1)[f"LIVETI{c:02d}"] for c in range(1, 13)]
        weights = np.bincount(events["CCDNR"], minlength=13)[1:]
        assert header["EXPOSURE"] == pytest.approx(np.average(live, weights=weights))
    with fits.open(folder / "h.fits") as hdus:
        assert np.array_equal(hdus[1].data["COUNTS"], np.bincount((events["RAWY"] - 1) // 10))
        assert hdus[1].data["RAWY"][0] == 5.5
        assert "EXPOSURE" not in hdus[1].header
    evselect(
        folder,
        table="pn.fits",
        spectrumset="s.fits",
        energycolumn="PHA",
        specchannelmin=0,
        specchannelmax=9999,
    )
    assert "rangeClipped" in capsys.readouterr().err
    assert fits.getheader(folder / "s.fits", 1)["DETCHANS"] == 820


def test_compressed_lists_are_read(mos_list: Path):
    import gzip

    folder = mos_list.parent
    (folder / "mos.FTZ").write_bytes(gzip.compress(mos_list.read_bytes(), 1))
    evselect(folder, table="mos.FTZ:EVENTS", filteredset="out.fits", expression="PI>5000")
    assert (rows(folder / "out.fits")["PI"] > 5000).all()


def test_mistakes_are_explained(mos_list: Path):
    folder = mos_list.parent
    for parameters, message in (
        ({"table": "no.fits", "filteredset": "o"}, "no.fits"),
        ({"table": "mos.fits:EVENT", "filteredset": "o"}, "no table EVENT"),
        ({"table": "mos.fits", "filteredset": "o", "expression": "PI >"}, r"\^"),
        ({"table": "mos.fits", "filteredset": "o", "expression": "pj > 2"}, "no column pj"),
        ({"table": "mos.fits", "imageset": "o", "xcolumn": "DETZ"}, "DETZ"),
        (
            {"table": "mos.fits", "imageset": "o", "xcolumn": "X", "ycolumn": "Y", "imagebinning": "binSize",
             "ximagebinsize": 1.5}, "integers",
        ),
        ({"table": "mos.fits", "imageset": "o", "imagebining": "binSize"}, "unknown parameter"),
    ):  # fmt: skip
        with pytest.raises(TaskError, match=message):
            evselect(folder, **parameters)
    assert not list(folder.glob("*.part"))
    assert not (folder / "o").exists()


def test_an_empty_selection_gives_empty_products(mos_list: Path):
    folder = mos_list.parent
    evselect(
        folder, table="mos.fits", filteredset="out.fits", rateset="r.fits", imageset="i.fits", xcolumn="X",
        ycolumn="Y", spectrumset="s.fits", energycolumn="PI", expression="PI < 0",
    )  # fmt: skip
    with fits.open(folder / "out.fits") as hdus:
        assert len(hdus["EVENTS"].data) == 0
        hdus.verify("exception")
    assert fits.getdata(folder / "i.fits").sum() == 0


@pytest.mark.slow
def test_stingray_reads_filtered_lists_and_their_good_times(tmp_path: Path, gti_file: Path):
    from stingray import EventList

    make_list(tmp_path / "pn.fits", "EPN", columns=event_columns("EPN", 4000, 5, 1000.0, 2000.0))
    evselect(tmp_path, table="pn.fits", filteredset="out.fits", expression="gti(gti.fits,TIME) && #XMMEA_EP")
    events = EventList.read(str(tmp_path / "out.fits"), fmt="hea")
    table = rows(tmp_path / "out.fits")
    assert len(events.time) == len(table)
    assert np.allclose(np.sort(events.time), np.sort(table["TIME"]), rtol=0, atol=1e-6)
    expected = GTI.read(gti_file)
    assert np.allclose(events.gti, np.stack([expected.start, expected.stop], axis=1))


def test_masks_do_not_depend_on_the_product_asked_for(mos_list: Path):
    """The bits kept from a first pass over the data are those of the second."""
    folder = mos_list.parent
    evselect(
        folder, table="mos.fits", filteredset="a.fits", rateset="r.fits", expression="PATTERN==0 && #ROW%2==0"
    )
    evselect(folder, table="mos.fits", filteredset="b.fits", expression="PATTERN==0 && #ROW%2==0")
    assert rows(folder / "a.fits").tobytes() == rows(folder / "b.fits").tobytes()
    events = rows(mos_list)
    mask = compile("PATTERN==0 && #ROW%2==0").mask({n: events[n] for n in events.dtype.names})
    assert rows(folder / "a.fits").tobytes() == events[mask].tobytes()


def test_grids_do_not_overflow_small_types():
    grid = Grid("DETX", -20000, 3, 13334)
    index, inside = grid.index(np.array([-20000, 20000, 32767, -32768], "i2"))
    assert index.tolist() == [0, 13333]
    assert inside.tolist() == [True, True, False, False]
    index, _ = Grid("N", -10, 4, 100).index(np.array([0, 30], "u4"))
    assert index.tolist() == [2, 10]


@pytest.mark.slow
def test_memory_is_bounded_by_the_chunk(tmp_path: Path):
    """Twenty times as many events need no more memory, for any product; a merge of them neither."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to read the peak memory of a process alone")
    code = (
        "import re, sys; from daxa.xmm.__main__ import main; status = main(sys.argv[1:]);"
        "print('PEAK', re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1], status)"
    )
    calls = [
        "filteredset=out.fits expression=PI>500&&circle(25000,25000,20000,X,Y)",
        "imageset=i.fits xcolumn=X ycolumn=Y",
        "spectrumset=s.fits energycolumn=PI rateset=r.fits timebinsize=10 histogramset=h.fits",
        "keepfilteroutput=yes destruct=no expression=PI>500",
    ]
    peaks: dict[int, list[float]] = {}
    for count in (50_000, 1_000_000):
        name = f"e{count}.fits"
        make_list(tmp_path / name, columns=event_columns("EMOS1", count, 1, 1000.0, 2000.0))
        jobs = [["evselect", f"table={name}", *call.split()] for call in calls]
        jobs.append(["merge", f"set1={name}", "set2=out.fits", "outset=merged.fits", "set2deltara=0.01"])
        for job in jobs:
            run = subprocess.run(
                [sys.executable, "-c", code, *job], cwd=tmp_path, capture_output=True, text=True, check=True
            )
            found = re.search(r"PEAK (\d+) 0", run.stdout)
            assert found, run.stdout + run.stderr
            peaks.setdefault(count, []).append(int(found[1]) / 1024)
    assert (tmp_path / "merged.fits").stat().st_size > 40e6
    assert np.array(peaks[1_000_000]) == pytest.approx(np.array(peaks[50_000]), abs=8)


@pytest.mark.parametrize("name", ["out.fits", "image.fits", "rate.fits", "spectrum.fits"])
def test_files_pass_the_standard_s_checker(pn_list: Path, gti_file: Path, name: str):
    checker = shutil.which("fitsverify")
    if checker is None:
        pytest.skip("fitsverify is not installed")
    evselect(
        pn_list.parent, table="pn.fits", filteredset="out.fits", imageset="image.fits", xcolumn="X",
        ycolumn="Y", rateset="rate.fits", spectrumset="spectrum.fits", energycolumn="PI",
        expression="#XMMEA_EP && gti(gti.fits,TIME) && (X,Y) in circle(25000,25000,9000) && PI in [200:9999]",
    )  # fmt: skip
    result = subprocess.run(
        [checker, "-q", pn_list.parent / name], capture_output=True, text=True, check=False
    )
    assert "verification OK" in result.stdout


@pytest.mark.parametrize(
    "products",
    [
        ["imageset=i.fits", "xcolumn=X", "ycolumn=Y"],
        [
            "filteredset=f.fits",
            "spectrumset=s.fits",
            "energycolumn=PI",
            "rateset=r.fits",
            "histogramset=h.fits",
        ],
    ],
)
def test_selections_start_without_heavy_packages(mos_list: Path, products: list[str]):
    """What a selection does not need is not imported: Python's start is most of a short run."""
    code = (
        "import sys; from daxa.xmm.__main__ import main; status = main(sys.argv[1:]);"
        "heavy = {'astropy', 'scipy', 'pandas', 'matplotlib', 'daxa.mission'};"
        "print('HEAVY', sorted(heavy & set(sys.modules)), status)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "evselect", "table=mos.fits", "expression=PI>100&&TIME>0", *products],
        cwd=mos_list.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "HEAVY [] 0" in run.stdout
