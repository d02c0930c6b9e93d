"""FITS files as blocks of bytes, against astropy."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.errors import TaskError
from daxa.xmm.event.gti import GTI
from daxa.xmm.fits.file import (
    FitsFile,
    block_bytes,
    column_dtype,
    hdu_bytes,
    image_bytes,
    primary_header,
    rewrite,
    set_keywords,
)
from daxa.xmm.fits.header import Header
from daxa.xmm.fits.schema import Column, make_table, table_bytes
from daxa.xmm.formats.eventlist import BADPIX_COLUMNS, EVENT_COLUMNS


@pytest.fixture
def path(tmp_path):
    """A file with an image, tables of every type and an empty one."""
    columns = [
        fits.Column("N", "J", array=[1, 2, 3]),
        fits.Column("Name with blank", "12A", array=["a", "bc", "d"]),
        fits.Column("V", "3D", array=np.arange(9.0).reshape(3, 3)),
        fits.Column("OK", "L", array=[True, False, True]),
        fits.Column("BITS", "11X", array=np.eye(3, 11, dtype=bool)),
        fits.Column("E", "E", array=[0.5, 1.5, 2.5]),
    ]
    scaled = fits.Column("I", "I", bzero=32768, array=np.array([1, 40000, 65535], "u2"))
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(np.arange(2000, dtype="i2").reshape(40, 50), name="Picture"),
        fits.BinTableHDU.from_columns(columns, name="LIST"),
        fits.BinTableHDU.from_columns([scaled], name="SCALED"),
        fits.BinTableHDU.from_columns([fits.Column("A", "D")], name="EMPTY"),
    ]
    # A header of several blocks, with a string that looks like the end of one.
    for i in range(100):
        hdus[2].header[f"KEY{i}"] = (i, "number")
    hdus[2].header["TRAP"] = "it's / a END"
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    return tmp_path / "a.fits"


def test_blocks_are_where_astropy_finds_them(path):
    ours = FitsFile(path)
    with fits.open(path) as hdus:
        assert [h.name for h in ours] == [h.name for h in hdus]
        for a, b in zip(ours, hdus, strict=True):
            info = b.fileinfo()
            assert (a.start, a.data_start, a.end) == (
                info["hdrLoc"], info["datLoc"], info["datLoc"] + info["datSpan"]
            )  # fmt: skip
            assert a.header.to_astropy() == b.header
            assert [(c.keyword, c.value) for c in a.header.cards] == [
                (c.keyword, c.value) for c in b.header.cards
            ]
            assert a.is_table == isinstance(b, fits.BinTableHDU)
        assert ours["list"].text("TRAP") == "it's / a END"
        rows = ours["LIST"].data
        assert ours["LIST"].columns == tuple(hdus["LIST"].columns.names)
        assert rows["N"].tolist() == [1, 2, 3]
        assert rows["V"].tolist() == hdus["LIST"].data["V"].tolist()
        assert ours["SCALED"].data["I"].tolist() == [1, 40000, 65535]
        assert len(ours["EMPTY"].data) == 0
    assert b"".join(h.read() for h in ours) == path.read_bytes()


def test_gzipped_files_read_alike(path):
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert FitsFile(packed)["LIST"].data.tobytes() == FitsFile(path)["LIST"].data.tobytes()


def test_blocks_are_found_by_name_and_number(path):
    file = FitsFile(path)
    assert file["picture"] is file[1] is file[-4]
    assert "LIST" in file
    assert "NONE" not in file
    assert 5 not in file
    assert "PRIMARY" in file
    with pytest.raises(KeyError, match=r"a\.fits: no extension NONE"):
        file["NONE"]


@pytest.mark.parametrize(("length", "error"), [(0, OSError), (100, OSError), (4000, OSError)])
def test_what_is_no_fits_file_is_refused(path, length, error):
    path.write_bytes(path.read_bytes()[:length])
    if length == 4000:
        path.write_bytes(b"SIMPLE  =                    T".ljust(4000))
    with pytest.raises(error):
        FitsFile(path)


def test_missing_rows_are_named(path):
    path.write_bytes(path.read_bytes()[: FitsFile(path)["LIST"].data_start + 10])
    with pytest.raises(TaskError, match=r"a\.fits\[LIST\] is shorter"):
        FitsFile(path)["LIST"].data  # noqa: B018


def test_a_column_of_no_known_type_is_named(path):
    path.write_bytes(path.read_bytes().replace(b"TFORM3  = '3D  ", b"TFORM3  = '3Z  "))
    with pytest.raises(TaskError, match=r"a\.fits\[LIST\], column 3: '3Z'"):
        FitsFile(path)["LIST"].columns  # noqa: B018


@pytest.mark.parametrize(
    ("key", "value"),
    [("NAXIS", -1), ("NAXIS", 10**9), ("NAXIS2", -2880), ("PCOUNT", -5760), ("TFIELDS", 10**9)],
)
def test_numbers_that_count_nothing_are_refused(path, key, value):
    """Such a size would lead back into the file, or into a loop without an end."""
    start = FitsFile(path)["LIST"].start
    data = path.read_bytes()
    place = data.index(key.encode().ljust(8) + b"=", start)
    path.write_bytes(data[: place + 10] + f"{value:20d}".encode() + data[place + 30 :])
    with pytest.raises(TaskError, match=rf"a\.fits\[\d\]: {key} is {value}, expected 0 "):
        FitsFile(path)["LIST"].columns  # noqa: B018


def test_two_columns_of_one_name_are_refused(path):
    path.write_bytes(path.read_bytes().replace(b"TTYPE3  = 'V       '", b"TTYPE3  = 'N       '"))
    with pytest.raises(TaskError, match=r"a\.fits\[LIST\]: two columns have the name N"):
        FitsFile(path)["LIST"].columns  # noqa: B018


@given(st.sampled_from("LBIJKEDCMA"), st.integers(1, 40))
def test_cells_have_the_size_that_astropy_gives_them(letter, repeat):
    found = fits.ColDefs([fits.Column("A", f"{repeat}{letter}")]).dtype[0]
    assert column_dtype(f"{repeat}{letter}").itemsize == found.itemsize


def test_blocks_are_replaced_left_out_and_added(path, tmp_path):
    file = FitsFile(path)
    target = tmp_path / "b.fits"
    new = GTI([1.0], [2.0]).to_bytes("STDGTI01")
    rewrite(file, target, {1: None, 3: new, 4: lambda out: out.write(new)}, [file[1].read()])
    with fits.open(target) as hdus:
        assert [h.name for h in hdus] == ["PRIMARY", "LIST", "STDGTI01", "STDGTI01", "PICTURE"]
        assert hdus["PICTURE"].data[39, 49] == 1999


def test_keywords_are_set_in_place_where_they_fit(path):
    size = path.stat().st_size
    set_keywords(path, "EMPTY", {"ELOW": (2500, "[eV] lower energy"), "EXTVER": 2})
    assert path.stat().st_size == size
    set_keywords(path, "EMPTY", {f"NEW{i}": i for i in range(40)})
    assert path.stat().st_size == size + 2880
    set_keywords(path, 1, {f"NEW{i}": "x" for i in range(40)})
    with fits.open(path) as hdus:
        assert hdus["EMPTY"].header["ELOW"] == 2500
        assert hdus["EMPTY"].header["NEW39"] == 39
        assert hdus[1].data[39, 49] == 1999
        assert hdus[1].header["NEW39"] == "x"
        assert hdus["LIST"].data["N"].tolist() == [1, 2, 3]
        hdus.verify("exception")
    assert not list(path.parent.glob("*.part"))


@pytest.mark.parametrize(
    "schema", [*EVENT_COLUMNS.values(), BADPIX_COLUMNS, (Column("S", "5A"), Column("V", "3E", "mm"))]
)
@pytest.mark.parametrize("rows", [0, 5])
def test_tables_written_as_bytes_are_those_that_astropy_writes(schema, rows):
    data = {
        c.name: np.arange(rows * c.repeat).reshape((rows, c.repeat)[: 1 + (c.repeat > 1)]) for c in schema
    }
    if "S" in data:
        data["S"] = ["name"] * rows
    header = {"CCDNR": (3, "CCD"), "LABEL": "x"}
    quick = table_bytes(schema, data, "EVENTS", header)
    plain = hdu_bytes(make_table(schema, data, "EVENTS", header))
    first, second = (fits.BinTableHDU.fromstring(b) for b in (quick, plain))
    assert len(quick) == len(plain)
    # astropy says the size of a vector twice.
    second.header.remove("TDIM2", ignore_missing=True)
    assert {c.keyword: (c.value, c.comment) for c in first.header.cards} == {
        c.keyword: (c.value, c.comment) for c in second.header.cards
    }
    assert first.data.tobytes() == second.data.tobytes()
    first.verify("exception")


def test_more_cards_only_fill_gaps():
    more = Header([("ONTIME", 99.0), ("CCDID", 4, "CCD")]).cards
    header = fits.Header.fromstring(GTI([1.0], [2.5]).to_bytes("STDGTI04", more=more))
    assert header["ONTIME"] == 1.5
    assert header["CCDID"] == 4
    assert header["EXTNAME"] == "STDGTI04"


def test_a_block_is_padded():
    assert len(block_bytes(primary_header(), b"x")) == 5760


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("extension", ["", "ERROR"])
def test_images_written_as_bytes_are_read_by_astropy(tmp_path, dtype, extension):
    data = np.arange(12).reshape(3, 4).astype(dtype)
    cards = Header([("TELESCOP", "XMM", "who"), ("NAXIS1", 99), ("TFORM1", "J")]).cards
    first = block_bytes(primary_header()) if extension else b""
    (tmp_path / "i.fits").write_bytes(first + image_bytes(data, cards, extension))
    with fits.open(tmp_path / "i.fits") as hdus:
        hdus.verify("exception")
        assert hdus[-1].data.dtype == np.dtype(dtype).newbyteorder(">")
        assert hdus[-1].data.tolist() == data.tolist()
        assert hdus[-1].header["TELESCOP"] == "XMM"
        assert hdus[-1].name == (extension or "PRIMARY")
        assert "TFORM1" not in hdus[-1].header
