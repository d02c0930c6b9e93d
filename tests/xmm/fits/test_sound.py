"""Sound files read from their bytes: the same as by astropy, or left to it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.fits.sound import is_sound, sound_blocks, sound_table

TEXTS = np.array(["2001-03-20T15:08:46", "x", ""])


def made(*more: fits.Column, **cards: object) -> bytes:
    """A file with one table."""
    columns = [
        fits.Column("TIME", "19A", array=TEXTS),
        fits.Column("UNSIGNED", "I", bzero=32768, array=np.array([0, 40000, 65535], np.uint16)),
        fits.Column("NUMBER", "D", array=[0.5, -1e300, 3]),
        fits.Column("CELLS", "2J", array=np.arange(6).reshape(3, 2)),
        *more,
    ]
    table = fits.BinTableHDU.from_columns(columns, name="HK")
    table.header.update({"NOTE": "it's", "REAL": -1.5e-7, "WHOLE": 12, "YES": True, **cards})
    table.header["LONG"] = "word " * 30
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return stream.getvalue()


@pytest.mark.parametrize("wanted", [1, "HK", "hk "])
def test_columns_and_keywords_are_those_of_astropy(wanted):
    data = made()
    primary, header, rows = sound_table(data, wanted)
    with fits.open(io.BytesIO(data)) as hdus:
        assert {k: header[k] for k in header} == dict(hdus[1].header)
        assert {k: primary[k] for k in primary} == dict(hdus[0].header)
        assert rows.dtype.names == tuple(hdus[1].columns.names)
        for name in ("UNSIGNED", "NUMBER", "CELLS"):
            theirs = np.asarray(hdus[1].data[name])
            assert rows[name].dtype.newbyteorder("=") == theirs.dtype.newbyteorder("=")
            np.testing.assert_array_equal(rows[name], theirs)
    assert [text.decode() for text in rows["TIME"]] == list(TEXTS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"NAXIS2  =                    3", b"NAXIS2  =                   -3"),
        (b"NAXIS2  =                    3", b"NAXIS2  =               100000"),
        (b"TFIELDS =                    4", b"TFIELDS =           2000000000"),
        (b"TFIELDS =                    4", b"TFIELDS =                    5"),
        (b"PCOUNT  =                    0", b"PCOUNT  =                    8"),
        (b"WHOLE   =                   12", b"WHOLE   =                 1_22"),
        (b"WHOLE   =                   12", b"WHOLE   =                  NaN"),
        (b"WHOLE   =                   12", b"WHOLE   =                     "),
        (b"WHOLE   =                   12", b"WHO*E   =                   12"),
        (b"WHOLE   =                   12", b"WHOLE   =                 \xe9 12"),
        (b"BITPIX  =                    8", b"BOTPIX  =                    8"),
        (b"SIMPLE  =                    T", b"SIMPLE  =                    F"),
        (b"TFORM3  = 'D       '", b"TFORM3  = 'E       '"),
        (b"TTYPE3  = 'NUMBER  '", b"TTYPE3  = 'TIME    '"),
        (b"TZERO2  =                32768", b"TZERO2  =                32767"),
        (b"'BINTABLE'", b"'BINTABLF'"),
        (b"'it''s   '", b"'it''s    "),
    ],
)
def test_what_is_not_sound_is_left_to_astropy(old, new):
    data = made()
    assert old in data
    assert sound_table(data.replace(old, new), 1) is None


def test_other_columns_are_left_to_astropy():
    scaled = fits.Column("SCALED", "D", bscale=0.5, array=[0.5, 1.0, 2.0])
    shaped = fits.Column("SHAPED", "4J", dim="(2,2)", array=np.zeros((3, 2, 2)))
    strange = fits.Column("STRANGE", "L", array=[True, False, True])
    for column in (scaled, shaped, strange):
        assert sound_table(made(column), 1) is None
    assert sound_table(made(), 2) is None
    assert sound_table(made(), "OTHER") is None


def test_text_of_a_keyword_and_a_number():
    """A value of its own to astropy."""
    assert sound_table(made(NOTE="AXIS.1: 2.0"), 1) is None


def test_blocks_of_a_file(tmp_path: Path):
    path, data = tmp_path / "a.fits", made()
    path.write_bytes(data)
    first, table = sound_blocks(path)
    assert (first.name, table.name, table.rows, table.end) == ("PRIMARY", "HK", 3, len(data))
    for damaged in (data[:-2880], data + b"\0" * 2880, data[:4000], b"", b"x" * 2880):
        path.write_bytes(damaged)
        assert sound_blocks(path) is None
    assert is_sound(data[:2880])
    assert not is_sound(data[:2880].replace(b"END ", b"ENDX"))
