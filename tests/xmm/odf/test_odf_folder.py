"""Opening ODF folders."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.fits.schema import make_table
from daxa.xmm.formats.odf import MOS_IMAGING
from daxa.xmm.odf.inspect import inspect
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.times import housekeeping_times

STEM = "0070_0123700101_"


def _touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def _events(rows=10):
    data = {c.name: np.arange(rows) % 250 for c in MOS_IMAGING}
    primary = fits.PrimaryHDU()
    primary.header["OBS_ID"] = "0123700101"
    return fits.HDUList([primary, make_table(MOS_IMAGING, data, "M1IME1", {"CCDID": 1})])


def test_mixture_of_cases_and_packing(tmp_path):
    _touch(
        tmp_path,
        STEM + "M1S00110IME.FIT",
        (STEM + "m1s00120ime.fit"),
        STEM + "PNS00301IME.FIT.gz",
        STEM + "SCX00000SUM.ASC",
        STEM + "SCX00000SUM.SAS",
        "MANIFEST.123",
    )
    odf = Odf.open(tmp_path)
    assert (odf.obs_id, odf.revolution) == ("0123700101", 70)
    assert [str(f.name)[16:] for f in odf.files] == [
        "M1S00110IME.FIT",
        "M1S00120IME.FIT",
        "PNS00301IME.FIT",
        "SCX00000SUM.ASC",
    ]
    assert odf.sas_summary == tmp_path / (STEM + "SCX00000SUM.SAS")
    assert odf.one("M1", "IME", ccd=2).path.name == STEM + "m1s00120ime.fit"
    assert odf.ascii_summary is not None


def test_plain_file_wins_over_its_packed_twin(tmp_path):
    _touch(tmp_path, STEM + "M1S00110IME.FIT", STEM + "M1S00110IME.FIT.gz")
    assert [f.path.suffix for f in Odf.open(tmp_path).files] == [".FIT"]


@pytest.mark.parametrize("name", ["ODF", "odf"])
def test_sub_folder(tmp_path, name):
    _touch(tmp_path / name, STEM + "M1S00110IME.FIT")
    assert len(Odf.open(tmp_path).files) == 1


def test_exposures_leave_out_offsets_and_diagnostics(tmp_path):
    _touch(
        tmp_path,
        *(STEM + n for n in ("PNS00301IME.FIT", "PNS00300AUX.FIT", "PNU00204DLI.FIT", "PNU00701ODI.FIT")),
        *(STEM + n for n in ("PNU00204TIE.FIT", "M1S00100AUX.FIT", "M1X00000PEH.FIT")),
    )
    odf = Odf.open(tmp_path)
    assert odf.exposures("PN") == ["S003", "U002"]
    assert odf.exposures("M1") == []
    assert [f.name.file_type for f in odf.science_files("PN", "U002")] == ["TIE"]


def test_errors(tmp_path):
    with pytest.raises(TaskError) as error:
        Odf.open(tmp_path)
    assert error.value.code == "NoOdfFound"
    with pytest.raises(TaskError, match="no such folder"):
        Odf.open(tmp_path / "nowhere")
    _touch(tmp_path, STEM + "M1S00110IME.FIT", "0071_0123700201_M1S00110IME.FIT")
    with pytest.raises(TaskError) as error:
        Odf.open(tmp_path)
    assert error.value.code == "MultipleObservations"
    # The files that do not belong together, not the observations alone.
    assert error.value.message.count(".FIT") == 2
    with pytest.raises(TaskError, match="SAS_ODF"):
        Odf.from_environment({}, tmp_path)


def test_one_names_what_is_missing(tmp_path):
    _touch(tmp_path, STEM + "M1S00110IME.FIT", STEM + "M1S00120IME.FIT")
    odf = Odf.open(tmp_path)
    with pytest.raises(TaskError, match="no M1 AUX S001 file") as error:
        odf.one("M1", "AUX", exp_id="S001")
    assert error.value.code == "MissingData"
    with pytest.raises(TaskError, match="more than one"):
        odf.one("M1", "IME")


def test_summary_points_to_the_folder_and_falls_back_to_its_own(tmp_path):
    data, work = tmp_path / "data", tmp_path / "work"
    _touch(data, STEM + "M1S00110IME.FIT")
    work.mkdir()
    summary = work / (STEM + "SCX00000SUM.SAS")
    summary.write_text(f"// x\nPATH {data}/\n")
    odf = Odf.open(summary)
    assert odf.folder == data
    assert odf.sas_summary == summary
    beside = data / (STEM + "SCX00000SUM.SAS")
    beside.write_text("// x\nPATH /another/machine/\n")
    assert Odf.from_environment({"SAS_ODF": str(beside)}, tmp_path).folder == data


@pytest.mark.parametrize("path", ["/data/elsewhere/", "gone"])
def test_a_summary_of_files_that_are_gone_says_where_it_has_looked(tmp_path, path):
    summary = tmp_path / (STEM + "SCX00000SUM.SAS")
    summary.write_text(f"PATH {path}\n")
    with pytest.raises(
        TaskError, match=f"line PATH, {path.rstrip('/')}, nor in its own, .*run odfingest again"
    ):
        Odf.open(summary)


def test_a_summary_without_a_path(tmp_path):
    summary = tmp_path / (STEM + "SCX00000SUM.SAS")
    summary.write_text("// x\n")
    with pytest.raises(TaskError, match=f"^{tmp_path}: no ODF file"):
        Odf.open(summary)


@pytest.mark.parametrize("packed", [False, True])
def test_reading_tables(tmp_path, packed):
    path = tmp_path / (STEM + "M1S00110IME.FIT")
    _events().writeto(path)
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    file = Odf.open(tmp_path).one("M1", "IME")
    table = file.read(1, MOS_IMAGING)
    assert len(table) == 10
    assert table["RAWX"].dtype.isnative
    assert table["RAWX"].tolist() == list(range(10))
    assert table.keyword("CCDID") == 1
    assert table.keyword("OBS_ID") == "0123700101"
    assert table.keyword("NOPE", 5) == 5
    with pytest.raises(TaskError, match="no keyword NOPE"):
        table.keyword("NOPE")
    with pytest.raises(TaskError, match="no column TIME"):
        table["TIME"]
    primary, header = file.headers()
    assert primary["OBS_ID"] == "0123700101"
    assert header["EXTNAME"] == "M1IME1"


def test_damaged_files_are_refused_by_name(tmp_path):
    path = tmp_path / (STEM + "M1S00110IME.FIT")
    _events(5000).writeto(path)
    whole = path.read_bytes()
    file = Odf.open(tmp_path).one("M1", "IME")
    damages = [
        b"",
        b"\0" * 5760,
        whole[:100],
        whole[:2880],
        whole[: len(whole) // 2],
        whole[:-2880],
        b"\x1f\x8b junk",
    ]
    for damage in damages:
        path.write_bytes(damage)
        with pytest.raises(TaskError, match="M1S00110IME") as error:
            file.read(1, MOS_IMAGING)
        assert error.value.code in ("damagedFile", "missingColumn")
    path.write_bytes(b"\0" * 5760)
    with pytest.raises(TaskError, match="M1S00110IME"):
        file.headers()


def test_damaged_card_is_refused_by_name(tmp_path):
    path = tmp_path / (STEM + "M1S00110IME.FIT")
    _events().writeto(path)
    path.write_bytes(path.read_bytes().replace(b"OBS_ID  = '0123700101'", b"OBS_ID  = '01''37x0'01'"))
    file = Odf.open(tmp_path).one("M1", "IME")
    with pytest.raises(TaskError, match="M1S00110IME"):
        file.headers()
    with pytest.raises(TaskError, match="M1S00110IME"):
        file.read()


def test_damaged_card_that_nothing_needs_costs_no_data(tmp_path, said):
    """Only who asks for it is refused, by name."""
    path = tmp_path / (STEM + "M1S00110IME.FIT")
    hdus = _events()
    for hdu in hdus:
        hdu.header["CREATOR"] = "PMS ODF2"
    hdus.writeto(path)
    path.write_bytes(path.read_bytes().replace(b"CREATOR = 'PMS ODF2'", b"CREATOR = PMS ODF2  "))
    file = Odf.open(tmp_path).one("M1", "IME")
    table = file.read()
    assert len(table) == len(_events()[1].data)
    assert table.keyword("OBS_ID") == "0123700101"
    for header in (table.header, table.primary, *file.headers()):
        assert "CREATOR" in header
        with pytest.raises(TaskError, match="M1S00110IME.FIT: keyword CREATOR cannot be read"):
            _ = header["CREATOR"]
    with pytest.raises(TaskError, match="keyword CREATOR cannot be read") as caught:
        table.keyword("CREATOR", "")
    assert caught.value.code == "damagedFile"
    assert said.err.getvalue().count("(damagedCard)") == 1


def test_impossible_name_of_a_column_is_refused(tmp_path):
    path = tmp_path / "0070_0123700101_M1S00110IME.FIT"
    _events().writeto(path)
    data = path.read_bytes()
    at = data.index(b"TTYPE1  = ")
    path.write_bytes(data[:at] + b"TTYPE1  = 7".ljust(80) + data[at + 80 :])
    with pytest.raises(TaskError, match=path.name) as caught:
        Odf.open(tmp_path).files[0].read(1)
    assert caught.value.code == "damagedFile"


def test_column_without_format_is_refused_in_words(tmp_path):
    path = tmp_path / "0070_0123700101_M1S00110IME.FIT"
    _events().writeto(path)
    path.write_bytes(path.read_bytes().replace(b"TFORM2  ", b"NOFORM2 "))
    with pytest.raises(TaskError, match=r"M1S00110IME.FIT, extension 1: a column without format \(TFORM\)"):
        Odf.open(tmp_path).files[0].read(1)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("rows", [10, 1000])
def test_rows_that_the_header_does_not_count(tmp_path, rows, packed):
    path = tmp_path / "0070_0123700101_M1S00110IME.FIT"
    _events(rows).writeto(path)
    data = path.read_bytes()
    assert Odf.open(tmp_path).files[0].excess() is None
    at = data.index(b"NAXIS2  = ")
    data = data[:at] + b"NAXIS2  =                    3".ljust(80) + data[at + 80 :]
    path.write_bytes(gzip.compress(data) if packed else data)
    assert "behind the end of the data" in Odf.open(tmp_path).files[0].excess()


@pytest.mark.parametrize(
    ("keyword", "value", "default"), [("CCDID", "X", 1), ("CCDID", True, 1), ("DATE-OBS", "2016-13-45", "")]
)
def test_keywords_of_another_kind_are_refused(tmp_path, keyword, value, default):
    path = tmp_path / "0070_0123700101_M1S00110IME.FIT"
    hdus = _events()
    hdus[1].header[keyword] = value
    hdus.writeto(path)
    with pytest.raises(TaskError, match=f"{path.name}.*{keyword}") as caught:
        Odf.open(tmp_path).files[0].read(1).keyword(keyword, default)
    assert caught.value.code == "badKeyword"


def test_table_of_wide_words_is_refused(tmp_path):
    path = tmp_path / "0070_0123700101_M1S00110IME.FIT"
    _events().writeto(path)
    data = path.read_bytes()
    at = data.rindex(b"BITPIX  = ")
    path.write_bytes(data[:at] + b"BITPIX  =                   64".ljust(80) + data[at + 80 :])
    with pytest.raises(TaskError, match="BITPIX"):
        Odf.open(tmp_path).files[0].read(1)


@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize(
    ("code", "own", "keyword", "value"),
    [
        ("M1S00110IME", "EMOS1", "INSTRUME", "EMOS2"),
        ("M2S00200AUX", "EMOS2", "INSTRUME", "EPN"),
        ("PNS00301IME", "EPN", "INSTRUME", "EMOS1"),
        ("PNS00301IME", "EPN", "OBS_ID", "0999900101"),
        ("M1S00110IME", "EMOS1", "OBS_ID", "0999900101"),
        ("R1S00401SPE", "RGS1", "INSTRUME", "RGS2"),
        ("R2S00500AUX", "RGS2", "OBS_ID", "0999900101"),
        ("PNX00000PMH", "EPN", "INSTRUME", "EMOS1"),
    ],
)
def test_headers_of_another_observation_or_camera_are_refused(tmp_path, code, own, keyword, value, where):
    name = f"{STEM}{code}.FIT"
    hdus = _events()
    for hdu in hdus:
        hdu.header["INSTRUME"], hdu.header["OBS_ID"] = own, "0123700101"
    hdus.writeto(tmp_path / name)
    (file,) = Odf.open(tmp_path).files
    assert len(file.read()) == 10
    hdus[where].header[keyword] = value
    hdus.writeto(tmp_path / name, overwrite=True)
    for read in (file.read, file.headers):
        with pytest.raises(TaskError, match=f"^{name}: its header says {keyword} {value}, not ") as caught:
            read()
        assert caught.value.code == "wrongFile"


def test_files_of_the_spacecraft_may_serve_more_than_one_observation(tmp_path):
    hdus = _events()
    hdus[0].header["OBS_ID"] = "0999900101"
    hdus.writeto(tmp_path / f"{STEM}SCX00000TCX.FIT")
    (file,) = Odf.open(tmp_path).files
    assert len(file.read()) == 10


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("hdu", [1, 2, "NONE"])
def test_what_python_says_of_its_own_objects_is_not_passed_on(tmp_path, keep, hdu):
    path = tmp_path / f"{STEM}M1S00110IME.FIT"
    _events(2000).writeto(path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    (file,) = Odf.open(tmp_path).files
    with pytest.raises(TaskError) as caught:
        file.read(hdu)
    message = caught.value.message
    assert path.name in message
    assert not any(
        raw in message for raw in ("list index", "out of range", "zero-size", "dtype", "'recformat'")
    )


@pytest.mark.parametrize("number", [1000, 2147483647, -1])
@pytest.mark.parametrize("code", ["M1S00110IME", "SCX00000TCX"])
def test_impossible_numbers_of_columns_are_refused(tmp_path, code, number):
    path = tmp_path / f"{STEM}{code}.FIT"
    _events().writeto(path)
    card = f"TFIELDS = {len(MOS_IMAGING):>20}".encode()
    data = path.read_bytes()
    assert data.count(card) == 1
    path.write_bytes(data.replace(card, f"TFIELDS = {number:>20}".encode()))
    (file,) = Odf.open(tmp_path).files
    with pytest.raises(TaskError, match=f"{code}.*: TFIELDS is {number}: a table has 999 columns at most"):
        file.read()
    finding = inspect(file)[0]
    assert "TFIELDS" in str(finding)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / f"{STEM}PNX00000PMH.FIT"
    column = fits.Column("TIME", "19A", array=["2001-03-20T14:38:23", "2001-03-20T14:38:33"])
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column], name="PNPMH1")]).writeto(path)
    path.write_bytes(path.read_bytes().replace(b"14:38:33", b"14:3\xa2:33"))
    (file,) = Odf.open(tmp_path).files
    times = file.read()["TIME"].astype(str).tolist()
    assert times == ["2001-03-20T14:38:23", "2001-03-20T14:3?:33"]
    with pytest.raises(TaskError, match=r"PMH.FIT.*TIME: '2001-03-20T14:3\?:33' is not a date"):
        housekeeping_times(file.read()["TIME"], file.path.name)


@pytest.mark.parametrize("keyword", [b"CC*(ID  ", b"[*CDID  "])
def test_keywords_that_look_like_patterns(tmp_path, keyword):
    path = tmp_path / f"{STEM}M1S00110IME.FIT"
    _events().writeto(path)
    data = path.read_bytes()
    assert data.count(b"CCDID   =") == 1
    path.write_bytes(data.replace(b"CCDID   =", keyword + b"="))
    (file,) = Odf.open(tmp_path).files
    with pytest.raises(TaskError, match="M1S00110IME.FIT.*its header does not describe the data"):
        file.read()
    with pytest.raises(TaskError, match=r"M1S00110IME.FIT.*' is not a keyword"):
        file.headers()
