"""tabgtigen, gtibuild, gtimerge, gtialign."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.select.goodtimes import align, intervals_of_rows, parse_gti_text
from daxa.xmm.task import run_task


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.sets(st.integers(0, 39)))
def test_rows_stand_for_their_bins(good, missing):
    kept = [i for i in range(len(good)) if i not in missing]
    time = 1000.0 + 10 * np.array(kept, float)
    gti = intervals_of_rows(time, [good[i] for i in kept], 10.0)
    covered = {i for i in kept if good[i]}
    for i in range(-1, len(good) + 1):
        points = 1000 + 10 * i + np.array([-4.9, 0.0, 4.9])
        assert gti.contains(points).all() == gti.contains(points).any() == (i in covered)
    runs = sum(1 for i in covered if i - 1 not in covered)
    assert len(gti) == runs


def test_rows_without_a_length_reach_half_way_to_their_neighbours():
    gti = intervals_of_rows([0.0, 8.0, 16.0, 40.0], [False, True, True, True])
    assert gti == GTI([4.0], [52.0])
    assert intervals_of_rows([0.0, 8.0], [True, True], 8.0, before=0.0, after=1.0) == GTI([0.0], [16.0])
    assert intervals_of_rows([8.0, 0.0, 4.0], [True, False, True], [4.0, 4.0, 4.0]) == GTI([2.0], [10.0])


def rate_file(path: Path, time: np.ndarray, rate: np.ndarray, **header: float) -> None:
    columns = [fits.Column("TIME", "D", array=time), fits.Column("RATE", "E", array=rate)]
    hdu = fits.BinTableHDU.from_columns(columns, name="RATE")
    hdu.header.update(header)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def test_tabgtigen_on_two_tables(tmp_path: Path):
    time = np.arange(5, 100, 10.0)
    rate_file(tmp_path / "a.fits", time, np.where(time < 60, 0.1, np.nan), TIMEDEL=10.0)
    rate_file(tmp_path / "b.fits", time, np.where((time > 20) & (time != 45), 0.1, 9.0), TIMEDEL=10.0)
    call = {"table": "a.fits b.fits:RATE", "expression": "RATE<=0.4", "gtiset": "o.fits"}
    run_task("tabgtigen", call, cwd=tmp_path)
    assert GTI.read(tmp_path / "o.fits") == GTI([20, 50], [40, 60])
    run_task("tabgtigen", {**call, "mingtisize": 15}, cwd=tmp_path)
    assert GTI.read(tmp_path / "o.fits") == GTI([20], [40])
    assert fits.getheader(tmp_path / "o.fits", 1)["SUMSHORT"] == 10.0


def test_tabgtigen_says_when_nothing_is_good(tmp_path: Path, capsys):
    rate_file(tmp_path / "a.fits", np.arange(3.0), np.ones(3), TIMEDEL=1.0)
    run_task("tabgtigen", {"table": "a.fits", "expression": "RATE<0", "gtiset": "o.fits"}, cwd=tmp_path)
    assert "noGoodTime" in capsys.readouterr().err
    assert len(GTI.read(tmp_path / "o.fits")) == 0
    with pytest.raises(TaskError, match="no table with column"):
        run_task("tabgtigen", {"table": "o.fits", "expression": "true"}, cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("10 20\n30 40 +  # second\n\n# nothing\n15 35 -", [10, 35], [15, 40]),
        ("10 20 -", [0, 20], [10, np.inf]),
        ("5 0 +\n10 20 -", [5, 20], [10, np.inf]),
        ("0 100 +g 10 15", [0, 25, 50, 75], [10, 35, 60, 85]),
        ("0 60 +b 10 15", [10, 35, 60], [25, 50, 75]),
        ("0 100 +\n10 60 -b 10 15", [0, 20, 45], [10, 35, 100]),
        ("0 100 +\n10 60 -g 10 15", [0, 35, 60], [20, 45, 100]),
    ],
)
def test_gtibuild_lines(text, start, stop):
    gti = parse_gti_text(text)
    got = [(round(a, 6), round(b, 6)) for a, b in zip(gti.start, gti.stop, strict=True)]
    assert got == [(float(a), float(b)) for a, b in zip(start, stop, strict=True)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("10", "expected"), ("10 x", "number"), ("20 10", "before"), ("-1 5", "negative"),
        ("1 2 *", "operator"), ("1 2 +g", "expected"), ("1 0 +g 1 1", "finite"),
        ("1 5 +g 0 1", "positive"), ("1 2 + 3", "expected"), ("nan 5 +", "number"), ("1 NaN", "number"),
        ("1 9 +g nan 2", "number"),
    ],
)  # fmt: skip
def test_gtibuild_names_the_bad_line(line, reason):
    with pytest.raises(TaskError, match=f"f.txt, line 2: .*{reason}"):
        parse_gti_text(f"1 2\n{line}", "f.txt")


def test_gtibuild_with_a_date(tmp_path: Path):
    (tmp_path / "gti.txt").write_text("timeref 1998-01-01T00:00:00\n10 20 +\n")
    run_task("gtibuild", {"file": "gti.txt", "table": "o.fits:STDGTI"}, cwd=tmp_path)
    # TT - UTC was 63.184 s on that day.
    assert np.allclose(GTI.read(tmp_path / "o.fits").start, [73.184])


def test_gtimerge(tmp_path: Path):
    for name, gti in (("a", GTI([0, 10], [5, 20])), ("b", GTI([4], [12]))):
        fits.HDUList([fits.PrimaryHDU(), gti.to_hdu()]).writeto(tmp_path / f"{name}.fits")
    call = {"tables": "a.fits b.fits:STDGTI", "gtitable": "o.fits:STDGTI"}
    run_task("gtimerge", call, cwd=tmp_path)
    assert GTI.read(tmp_path / "o.fits") == GTI([4, 10], [5, 12])
    run_task("gtimerge", {**call, "mergemode": "or"}, cwd=tmp_path)
    assert GTI.read(tmp_path / "o.fits") == GTI([0], [20])


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 150), st.integers(1, 60)), max_size=4),
)
def test_aligned_times_take_whole_frames_only(frames, spans):
    edges = np.cumsum([0] + [v for frame in frames for v in frame])
    start, stop = edges[0:-1:2].astype(float), edges[1::2].astype(float)
    gti = GTI([s for s, _ in spans], [s + n for s, n in spans])
    aligned = align(gti, start, stop)
    for a, b in zip(start, stop, strict=True):
        whole = any(s <= a and b <= e for s, e in zip(gti.start, gti.stop, strict=True))
        inside = aligned.contains([a, (a + b) / 2, np.nextafter(b, a)])
        assert inside.all() == inside.any() == whole


def test_gtialign_writes_each_ccd(mos_list: Path):
    folder = mos_list.parent
    fits.HDUList([fits.PrimaryHDU(), GTI([1100.0], [1300.0]).to_hdu()]).writeto(folder / "gti.fits")
    run_task(
        "gtialign", {"gtitable": "gti.fits:STDGTI", "eventset": "mos.fits", "outset": "o.fits"}, cwd=folder
    )
    with fits.open(folder / "o.fits") as hdus:
        assert [h.name for h in hdus[1:]] == [f"STDGTI{c:02d}" for c in range(1, 8)]
        gti = GTI.from_hdu(hdus["STDGTI03"])
    # Frames of 2.6 s from 1000 s on.
    assert np.allclose([gti.start[0], gti.stop[0]], [1000 + 39 * 2.6, 1000 + 115 * 2.6])


def test_tabgtigen_reads_dates_of_raw_housekeeping(tmp_path: Path):
    text = [f"2016-11-14T00:00:{s:02d}".ljust(19) for s in range(0, 50, 10)]
    rate = fits.Column("RATE", "E", array=[1.0, 1.0, 9.0, 1.0, 1.0])
    columns = [fits.Column("TIME", "19A", array=text), rate]
    fits.BinTableHDU.from_columns(columns, name="RATE").writeto(tmp_path / "a.fits")
    run_task("tabgtigen", {"table": "a.fits", "expression": "RATE<2", "gtiset": "o.fits"}, cwd=tmp_path)
    gti = GTI.read(tmp_path / "o.fits")
    first = utc_to_tt("2016-11-14T00:00:00")
    assert np.allclose([gti.start - first, gti.stop - first], [[-5, 25], [15, 45]])


@pytest.mark.parametrize(
    "raw",
    [
        "100 200 + # d\u00e9but\n".encode("latin-1"),
        "100 200 + # d\u00e9but\n".encode("utf-8-sig"),
        "100 200 + # \u00e9\n".encode("utf-16"),
        b"1.0D2 2d+02 +\r\n",
        b"1.0E2 2e2",
    ],
)
def test_gtibuild_reads_texts_of_any_encoding(tmp_path: Path, raw: bytes):
    (tmp_path / "g.txt").write_bytes(raw)
    run_task("gtibuild", {"file": "g.txt", "table": "o.fits"}, cwd=tmp_path)
    gti = GTI.read(tmp_path / "o.fits")
    assert (gti.start.tolist(), gti.stop.tolist()) == ([100.0], [200.0])


def test_gtibuild_of_something_else(tmp_path: Path):
    (tmp_path / "g.gz").write_bytes(bytes(range(256)))
    with pytest.raises(TaskError, match="g.gz, line 1: "):
        run_task("gtibuild", {"file": "g.gz"}, cwd=tmp_path)
    with pytest.raises(TaskError, match=r": Is a directory"):
        run_task("gtibuild", {"file": "."}, cwd=tmp_path)


class TestSpecifiersOfTables:
    """``file:table`` names the table of the file that is written, as SAS's default gti.ds:ALLGTI does."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        rate_file(tmp_path / "r.fits", np.arange(5.0), np.array([1, 1, 9, 1, 1]), TIMEDEL=1.0)
        (tmp_path / "t.txt").write_text("0 3 +\n")
        return tmp_path

    @pytest.mark.parametrize("given", ["gti.ds:ALLGTI", "gti.ds[ALLGTI]"])
    def test_of_tabgtigen(self, folder: Path, given: str):
        run_task("tabgtigen", {"table": "r.fits", "expression": "RATE<5", "gtiset": given}, cwd=folder)
        assert sorted(p.name for p in folder.glob("gti*")) == ["gti.ds"]
        assert len(GTI.read(folder / "gti.ds", "ALLGTI")) == 2

    def test_of_gtibuild_and_gtimerge(self, folder: Path):
        run_task("gtibuild", {"file": "t.txt", "table": "a.ds:MINE"}, cwd=folder)
        run_task("gtimerge", {"tables": "a.ds:MINE a.ds", "gtitable": "b.ds:BOTH"}, cwd=folder)
        assert GTI.read(folder / "b.ds", "BOTH") == GTI.read(folder / "a.ds", "MINE")

    def test_of_gtialign_names_the_file(self, mos_list: Path, capsys):
        folder = mos_list.parent
        (folder / "t.txt").write_text("1100 1300 +\n")
        run_task("gtibuild", {"file": "t.txt", "table": "a.ds"}, cwd=folder)
        arguments = {"gtitable": "a.ds", "eventset": "mos.fits", "outset": "x.ds:ALLGTI"}
        run_task("gtialign", arguments, cwd=folder)
        assert len(GTI.read(folder / "x.ds", "STDGTI03")) == 1
        assert "(ignoredTable), x.ds:ALLGTI: x.ds is written" in capsys.readouterr().err

    @pytest.mark.parametrize("given", ["nowhere/gti.ds", "nowhere/gti.ds:ALLGTI"])
    def test_folders_have_to_be_there(self, folder: Path, given: str):
        for task, arguments in (
            ("tabgtigen", {"table": "r.fits", "gtiset": given}),
            ("gtibuild", {"file": "t.txt", "table": given}),
            ("gtimerge", {"tables": "r.fits", "gtitable": given}),
        ):
            if task == "gtimerge":
                run_task("gtibuild", {"file": "t.txt", "table": "r.fits"}, cwd=folder)
            with pytest.raises(TaskError, match=r"there is no folder .*nowhere"):
                run_task(task, arguments, cwd=folder)


def test_what_times_are_made_of_is_not_overwritten(tmp_path: Path):
    rate_file(tmp_path / "r.fits", np.arange(5.0), np.ones(5), TIMEDEL=1.0)
    (tmp_path / "t.txt").write_text("0 3 +\n")
    with pytest.raises(TaskError, match="gtiset names r.fits:ALL, the table"):
        run_task("tabgtigen", {"table": "r.fits:RATE", "gtiset": "r.fits:ALL"}, cwd=tmp_path)
    with pytest.raises(TaskError, match="table names t.txt, the text"):
        run_task("gtibuild", {"file": "t.txt", "table": "t.txt"}, cwd=tmp_path)


@pytest.mark.parametrize("names", [("TIME", "RATE"), ("time", "rate")])
def test_rows_without_a_time_are_left_out(tmp_path: Path, capsys, names):
    time = [0.0, 1.0, np.nan, 3.0, 4.0]
    columns = [fits.Column(n, "D", array=a) for n, a in zip(names, (time, np.ones(5)), strict=True)]
    table = fits.BinTableHDU.from_columns(columns, name="RATE")
    table.header["TIMEDEL"] = 1.0
    table.writeto(tmp_path / "r.fits")
    run_task("tabgtigen", {"table": "r.fits", "expression": "RATE<5", "gtiset": "o.fits"}, cwd=tmp_path)
    gti = GTI.read(tmp_path / "o.fits")
    assert (gti.start.tolist(), gti.stop.tolist()) == ([-0.5, 2.5], [1.5, 4.5])
    assert "(nullTimes), r.fits: 1 rows have no TIME" in capsys.readouterr().err


def test_tables_that_do_not_fit_are_named(tmp_path: Path):
    rate_file(tmp_path / "r.fits", np.arange(5.0), np.ones(5), TIMEDEL=1.0)
    for arguments, message in (
        ({"table": "r.fits:RATE", "timecolumn": "WHEN"}, r"r.fits\[RATE\] has no column WHEN"),
        ({"table": "r.fits:PRIMARY"}, "PRIMARY is not a table"),
        ({"table": "r.fits:EVENTS"}, "has no table EVENTS"),
    ):
        with pytest.raises(TaskError, match=message):
            run_task("tabgtigen", arguments, cwd=tmp_path)
