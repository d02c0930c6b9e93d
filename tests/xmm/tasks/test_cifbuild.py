"""The calibration index and the task that builds it."""

from __future__ import annotations

import functools
import io
import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa.xmm.ccf.index import (
    CalibrationIndex,
    Entry,
    list_files,
    md5sum,
    normal_date,
    parse_name,
    read_entry,
    read_index,
    select,
    write_index,
)
from daxa.xmm.ccf.scan import EntryCache
from daxa.xmm.errors import TaskError
from daxa.xmm.task import run_task


def cifbuild(cwd: Path, mirror: Path | str | None, **arguments: object) -> tuple[CalibrationIndex, str]:
    """Run the task; the index it wrote and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    env = {} if mirror is None else {"SAS_CCFPATH": str(mirror)}
    if "SAS_ODF" in arguments:
        env["SAS_ODF"] = str(arguments.pop("SAS_ODF"))
    run_task("cifbuild", arguments, cwd=cwd, env=env, out=out, err=err)
    return read_index(cwd / str(arguments.get("calindexset", "ccf.cif"))), out.getvalue() + err.getvalue()


def constituent(folder: Path, name: str, valdate: str = "2000-01-01T00:00:00", **keywords: object) -> Path:
    """Write a constituent with one small table."""
    scope, typeid, issue = parse_name(name) or ("X", "Y", 0)
    header = {
        "SCOPE": scope, "TYPEID": typeid, "ISSUE": issue, "VALDATE": valdate,
        "SUBDATE": "2001-01-01T00:00:00", "CATEGORY": "XMMCCF", **keywords,
    }  # fmt: skip
    primary = fits.PrimaryHDU(header=fits.Header())
    for key, value in header.items():
        if value is not None:
            primary.header[key] = value
    path = folder / name
    # Hundreds of these are written: much faster than through an HDU list.
    path.write_bytes(primary.header.tostring().encode("ascii") + _table())
    return path


@functools.lru_cache(maxsize=1)
def _table() -> bytes:
    table = fits.BinTableHDU.from_columns([fits.Column("A", "J", array=[1])], name="TABLE")
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(file)
    return file.getvalue()[2880:]


DATE = {"withobservationdate": True, "observationdate": "2017-11-01T10:42:37"}


def test_structure_is_that_of_a_real_index(shared_data: Path, synthetic_ccf: Path, tmp_path: Path) -> None:
    cifbuild(tmp_path, synthetic_ccf, withobservationdate=True, observationdate="2000-12-10T20:04:10")
    real_path = shared_data / "epic_pn_0124710801" / "ccf.cif"
    with fits.open(real_path) as real, fits.open(tmp_path / "ccf.cif") as ours:
        assert [h.name for h in ours] == [h.name for h in real]
        assert ours[0].header["BITPIX"] == real[0].header["BITPIX"]
        assert ours[0].data is None
        a, b = ours["CALINDEX"], real["CALINDEX"]
        assert a.header["NAXIS1"] == b.header["NAXIS1"] == 764
        for attribute in ("names", "formats", "units"):
            expected = [str(v).lstrip("1") or None for v in getattr(b.columns, attribute)]
            assert [str(v).lstrip("1") or None for v in getattr(a.columns, attribute)] == expected, attribute
        assert a.header["OBSVDATE"] == b.header["OBSVDATE"] == "2000-12-10T20:04:10"
        assert a.header["CATEGORY"] == b.header["CATEGORY"]
        assert len(a.header["ANALDATE"]) == len(b.header["ANALDATE"])


def test_same_files_and_dates_as_the_real_index(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "epic_pn_0124710801"
    real = read_index(folder / "ccf.cif")
    assert len(real.entries) == 121
    assert real.header["ANALDATE"] == "2019-10-02T15:58:21"
    # A mirror of empty-bodied constituents with the real names and dates, and decoys around them.
    mirror = tmp_path / "ccf"
    mirror.mkdir()
    for e in real.entries:
        constituent(
            mirror, e.name, e.valdate, EVALDATE=e.valdate_end or None, SUBDATE=e.subdate, DATE=e.date,
            EXTSEQU=e.extsequ, EXTSEQID=e.extseqid, CREATOR=e.creator, TELESCOP=e.telescop,
        )  # fmt: skip
        decoy = f"{e.scope}_{e.typeid}_{e.issue + 1:04d}.CCF"
        if e.issue % 3 == 0:  # not yet submitted
            constituent(mirror, decoy, e.valdate, SUBDATE="2019-10-02T15:58:22")
        elif e.issue % 3 == 1:  # valid later
            constituent(mirror, decoy, "2000-12-10T20:04:11", SUBDATE="2005-01-01T00:00:00")
        else:  # no longer valid
            constituent(mirror, decoy, "1999-01-01", EVALDATE="2000-12-10T20:04:09", SUBDATE="2005-01-01")
        if e.issue > 1:
            constituent(mirror, f"{e.scope}_{e.typeid}_0000.CCF", "1998-01-01", SUBDATE="1999-01-01")
    ours, _ = cifbuild(
        tmp_path, mirror, withobservationdate=True, observationdate="2000-12-10T20:04:10",
        analysisdate="2019-10-02T15:58:21",
    )  # fmt: skip
    for mine, theirs in zip(ours.entries, real.entries, strict=True):
        for attribute in (
            "telescop", "scope", "typeid", "issue", "valdate", "valdate_end", "fname", "date", "subdate",
            "extsequ", "extseqid", "creator",
        ):  # fmt: skip
            assert getattr(mine, attribute) == getattr(theirs, attribute), (mine.name, attribute)


def test_size_and_checksum(synthetic_ccf: Path, tmp_path: Path) -> None:
    index, _ = cifbuild(tmp_path, synthetic_ccf, **DATE)
    assert len(index.entries) > 30
    for entry in index.entries:
        path = synthetic_ccf / entry.fname
        assert entry.fsize == path.stat().st_size
        assert entry.md5 == md5sum(path)
    # A second run takes both from the cache, and a changed file is seen.
    copy = tmp_path / "copy"
    shutil.copytree(synthetic_ccf, copy)
    first, _ = cifbuild(tmp_path, copy, **DATE)
    second, _ = cifbuild(tmp_path, copy, **DATE)
    assert first.entries == second.entries
    with fits.open(copy / index.entries[0].fname, mode="update") as hdus:
        hdus[0].header["CHANGED"] = True
        for _ in range(40):
            hdus[0].header["COMMENT"] = "longer"
    third, _ = cifbuild(tmp_path, copy, **DATE)
    assert third.entries[0].md5 == md5sum(copy / index.entries[0].fname) != second.entries[0].md5


@pytest.mark.parametrize(
    ("path", "code"), [(None, "noCcfPath"), ("", "noCcfPath"), ("empty", "noConstituents")]
)
def test_no_constituents_is_an_error(tmp_path: Path, path: str | None, code: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README.txt").write_text("nothing here")
    with pytest.raises(TaskError, match="SAS_CCFPATH") as failure:
        cifbuild(tmp_path, path, **DATE)
    assert failure.value.code == code
    assert not (tmp_path / "ccf.cif").exists()


def test_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"there is no folder \S*nowhere\); .*simulated data need") as failure:
        cifbuild(tmp_path, "nowhere", **DATE)
    assert failure.value.code == "noConstituents"


def test_nothing_valid_is_an_error(tmp_path: Path) -> None:
    constituent(tmp_path, "EPN_LINCOORD_0001.CCF", "2018-01-01T00:00:00")
    with pytest.raises(TaskError, match="none of 1 constituents is valid on 2017-11-01"):
        cifbuild(tmp_path, tmp_path, **DATE)


def test_damaged_files_are_left_out_with_a_warning(tmp_path: Path) -> None:
    constituent(tmp_path, "EPN_LINCOORD_0001.CCF")
    whole = constituent(tmp_path, "EPN_CTI_0001.CCF").read_bytes()
    (tmp_path / "EPN_CTI_0002.CCF").write_bytes(whole[:-2880])
    (tmp_path / "EPN_CTI_0003.CCF").write_bytes(b"<html>404</html>")
    (tmp_path / "EPN_CTI_0004.CCF").write_bytes(b"")
    index, text = cifbuild(tmp_path, tmp_path, **DATE)
    assert [e.fname for e in index.entries] == ["EPN_CTI_0001.CCF", "EPN_LINCOORD_0001.CCF"]
    for name in ("EPN_CTI_0002", "EPN_CTI_0003", "EPN_CTI_0004"):
        assert name in text


def test_observation_date_from_the_odf(spacecraft_odf: Path, synthetic_ccf: Path, tmp_path: Path) -> None:
    index, text = cifbuild(tmp_path, synthetic_ccf, SAS_ODF=spacecraft_odf)
    assert index.header["OBSVDATE"] == "2017-11-01T10:42:37"
    assert "Observation date: 2017-11-01T10:42:37.000" in text
    out = io.StringIO()
    env = {"SAS_CCFPATH": str(synthetic_ccf), "SAS_ODF": str(spacecraft_odf)}
    run_task("cifbuild", {"usecanonicalname": True}, cwd=tmp_path, env=env, out=out)
    assert (tmp_path / "3278_0802710101.cif").is_file()
    with pytest.raises(TaskError, match="SAS_ODF"):
        cifbuild(tmp_path, synthetic_ccf)


def test_missing_types_of_the_cameras_are_named(spacecraft_odf: Path, tmp_path: Path) -> None:
    odf = tmp_path / "odf"
    shutil.copytree(spacecraft_odf, odf)
    (odf / "3278_0802710101_PNS00301IME.FIT").write_bytes(b"")
    constituent(tmp_path, "EPN_LINCOORD_0009.CCF", CREATOR="daxa.simulate")
    _, text = cifbuild(tmp_path, tmp_path, SAS_ODF=odf)
    assert "warning (missingConstituents)" in text
    assert "EPN_CTI" in text
    assert "XRT3_XAREAEF" in text
    assert "EMOS1" not in text
    assert "EPN_LINCOORD," not in text


def test_category(tmp_path: Path) -> None:
    constituent(tmp_path, "EPN_LINCOORD_0009.CCF")
    constituent(tmp_path, "EPN_LINCOORD_0010.CCF", CATEGORY="SCISIMCCF")
    assert cifbuild(tmp_path, tmp_path, **DATE)[0].entries[0].issue == 9
    assert cifbuild(tmp_path, tmp_path, category="SCISIMCCF", **DATE)[0].entries[0].issue == 10
    assert cifbuild(tmp_path, tmp_path, ignorecategory=True, **DATE)[0].entries[0].issue == 10


def test_append_by_priority(tmp_path: Path) -> None:
    constituent(tmp_path, "EPN_LINCOORD_0009.CCF")
    constituent(tmp_path, "EPN_LINCOORD_0010.CCF", CATEGORY="SCISIMCCF")
    constituent(tmp_path, "EPN_CTI_0003.CCF", CATEGORY="SCISIMCCF")
    cifbuild(tmp_path, tmp_path, **DATE)
    index, _ = cifbuild(tmp_path, tmp_path, category="SCISIMCCF", append=True, **DATE)
    assert [(e.typeid, e.issue) for e in index.entries] == [("CTI", 3), ("LINCOORD", 9)]


def test_master_index(tmp_path: Path) -> None:
    for issue in (1, 2, 3):
        constituent(tmp_path, f"EPN_CTI_{issue:04d}.CCF", f"{2000 + 10 * issue}-01-01T00:00:00")
    master, _ = cifbuild(tmp_path, tmp_path, calindexset="ccf.mif", masterindex=True)
    assert [e.issue for e in master.entries] == [1, 2, 3]
    index, _ = cifbuild(tmp_path, None, masterindexset="ccf.mif", withmasterindexset=True, **DATE)
    assert [(e.issue, e.md5) for e in index.entries] == [(1, master.entries[0].md5)]


def test_search_path(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b" / "deep"
    first.mkdir()
    second.mkdir(parents=True)
    constituent(first, "EPN_CTI_0001.CCF", DATE="first")
    constituent(second, "EPN_CTI_0001.CCF", DATE="second")
    constituent(second, "EPN_LINCOORD_0001.CCF")
    (second / "EPN_LINCOORD_0001.CCF").rename(second / "epn_lincoord_0001.ccf")
    index, text = cifbuild(tmp_path, f"{first}:{second}:{tmp_path}/absent", **DATE)
    assert [(e.fname, e.date) for e in index.entries] == [
        ("EPN_CTI_0001.CCF", "first"),
        ("epn_lincoord_0001.ccf", ""),
    ]
    assert "absent is not a folder" in text
    assert len(cifbuild(tmp_path, f"{tmp_path}/b", recurse=True, **DATE)[0].entries) == 2
    index, _ = cifbuild(tmp_path, None, ccfpath="a", withccfpath=True, fullpath=True, **DATE)
    assert index.entries[0].fname == str(first / "EPN_CTI_0001.CCF")
    with pytest.raises(TaskError, match=r"\*.xyz"):
        cifbuild(tmp_path, first, fileglob="*.xyz", **DATE)


def test_bad_dates(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="observationdate: expected"):
        cifbuild(tmp_path, tmp_path, withobservationdate=True, observationdate="tomorrow")
    constituent(tmp_path, "EPN_CTI_0001.CCF")
    _, text = cifbuild(tmp_path, tmp_path, analysisdate="2010-01-01", **DATE)
    assert "warning (analysisBeforeObservation)" in text


def test_unreadable_index(tmp_path: Path) -> None:
    (tmp_path / "x.cif").write_text("not FITS")
    with pytest.raises(TaskError, match="x.cif: not a FITS file"):
        read_index(tmp_path / "x.cif")
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "y.cif")
    with pytest.raises(TaskError, match="no extension CALINDEX"):
        read_index(tmp_path / "y.cif")
    with pytest.raises(TaskError, match="no such calibration index"):
        read_index(tmp_path / "z.cif")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"TFORM4  = 'I ", b"TFORM4  = 'Q "),
        (b"TTYPE3  = 'TYPEID", b"TTYPE3  = =TYPEID"),
        (b"XTENSION= 'BINTABLE'", b"XTENSION= 'IMAGE   '"),
        (b"TFIELDS =                   14", b"TFIELDS =                   no"),
    ],
)
def test_damaged_index(tmp_path: Path, old: bytes, new: bytes) -> None:
    constituent(tmp_path, "EPN_CTI_0001.CCF")
    cifbuild(tmp_path, tmp_path, **DATE)
    path = tmp_path / "ccf.cif"
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(TaskError, match=r"ccf\.cif\[CALINDEX\]: "):
        read_index(path)


@pytest.mark.parametrize("row", [[1], {}, {"stamp": None}, {"entry": None}, "x"])
def test_a_damaged_row_of_the_cache_is_read_anew(tmp_path: Path, row: object) -> None:
    path = constituent(tmp_path, "EPN_CTI_0001.CCF")
    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    known = {"stamp": stamp, "entry": {"scope": "EPN", "typeid": "CTI", "issue": "1"}}
    for content in (row, {"stamp": stamp}, known):
        cache = tmp_path / "cache.json"
        cache.write_text(json.dumps({str(path): content}))
        entry = EntryCache(cache).entry(path)
        assert entry is not None
        assert entry.issue == 1


def test_foreign_fits_files_are_no_constituents(tmp_path: Path) -> None:
    fits.PrimaryHDU().writeto(tmp_path / "image.ccf")
    assert read_entry(tmp_path / "image.ccf") is None
    assert list_files([tmp_path]) == [tmp_path / "image.ccf"]


dates = st.dates(date(2000, 1, 1), date(2030, 1, 1))


@given(st.lists(st.tuples(st.integers(1, 9), dates, st.none() | dates, dates), max_size=12), dates, dates)
def test_selection(rows, observed, analysed) -> None:
    def iso(day: date) -> str:
        return f"{day.isoformat()}T00:00:00"

    entries = [
        Entry("EPN", "CTI", issue, iso(start), iso(end) if end else "", subdate=iso(sub))
        for issue, start, end, sub in rows
    ]
    chosen = select(entries, iso(observed), iso(analysed))
    valid = [
        issue
        for issue, start, end, sub in rows
        if start <= observed and (end is None or end >= observed) and sub <= analysed
    ]
    assert [e.issue for e in chosen] == ([max(valid)] if valid else [])


@settings(max_examples=20)
@given(
    st.lists(
        st.builds(
            Entry,
            st.sampled_from(["EPN", "EMOS1", "XRT3"]),
            st.text("ABCDEFGHIJ", min_size=1, max_size=17),
            st.integers(0, 9999),
            st.just("2000-01-01T00:00:00"),
            st.sampled_from(["", "2010-01-01T00:00:00"]),
            st.just("X.CCF"),
            st.just(""),
            st.integers(0, 2**31 - 1),
        ),
        max_size=5,
    )
)
def test_index_file_there_and_back(tmp_path_factory, entries) -> None:
    path = tmp_path_factory.mktemp("index") / "ccf.cif"
    write_index(path, CalibrationIndex(entries, {"CATEGORY": "XMMCCF", "OBSVDATE": "2000-01-01T00:00:00"}))
    again = read_index(path)
    assert again.entries == entries
    assert again.header == {"CATEGORY": "XMMCCF", "OBSVDATE": "2000-01-01T00:00:00"}


def test_dates() -> None:
    assert normal_date("2017-11-01") == "2017-11-01T00:00:00"
    assert normal_date("2017-11-01T10:42:37.000") == "2017-11-01T10:42:37"
    assert normal_date("2017-11-01T10:42:37Z") == "2017-11-01T10:42:37"
    assert len(normal_date("now")) == 19
    with pytest.raises(ValueError):
        normal_date("01/11/2017")
