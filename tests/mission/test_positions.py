"""Positions as users write them."""

from __future__ import annotations

import pytest

from daxa.mission.positions import angle_deg, is_position, position_deg, read_positions

RA, DEC = 149.59, -11.06


@pytest.mark.parametrize(
    "text",
    ["149.59 -11.06", "149.59,-11.06", "09:58:21.6 -11:03:36", "09h58m21.6s -11d03m36s", "09 58 21 -11 3 36"],
)
def test_positions_are_no_names(text):
    assert is_position(text)


@pytest.mark.parametrize(
    "text",
    [
        "A907",
        "M 31",
        "3C 273",
        "47 Tuc",
        "NGC 1 2x",
        "HD 189733",
        "Sh 2-106",
        "2M1207",
        "J0958-1103",
        "",
        "273",
    ],
)
def test_names_are_no_positions(text):
    assert not is_position(text)


@pytest.mark.parametrize(
    ("text", "right_ascension", "expected"),
    [
        ("149.59", True, 149.59),
        ("1.4959e2", True, 149.59),
        ("09:58:21.6", True, RA),
        ("9 58 21.6", True, RA),
        ("09h58m21.6s", True, RA),
        ("149d35m24s", True, RA),
        ("-11:03:36", False, DEC),
        ("-11 03 36", False, DEC),
        ("-11d03m36s", False, DEC),
        ("\u221211.06", False, DEC),
        ("-00:30:00", False, -0.5),
        ("+11.06", False, 11.06),
    ],
)
def test_angles(text, right_ascension, expected):
    assert angle_deg(text, right_ascension) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "right_ascension"),
    [
        ("north", True),
        ("-95", False),
        ("400", True),
        ("25:00:00", True),
        ("1:2:3:4", True),
        ("09:58:21.6s", True),
        ("21.6s", True),
        ("35m", True),
        ("5'", False),
        ("1h03m", False),
        ("149,59", True),
        ("inf", True),
    ],
)
def test_what_is_no_angle(text, right_ascension):
    with pytest.raises(ValueError, match=r".+"):
        angle_deg(text, right_ascension)


@pytest.mark.parametrize(
    "text",
    [
        "ra,dec\n149.59,-11.06\n10,20\n",
        "RA,DEC\n149.59, -11.06\n10, 20\n",
        "# mine\n\nname, RA , Dec\nA907, 09:58:21.6, -11:03:36\n# another\nx,00:40:00,20\n",
        "ra;dec\n09h58m21.6s;-11d03m36s\n10;20\n",
        "ra\tdec\n9 58 21.6\t-11 3 36\n10\t20\n",
        'ra dec name\n149.59 -11.06 "A 907"\n10   20  b\n',
        "\ufeffra,dec\n149.59,-11.06\r\n10,20\r\n",
        '"RA (deg)","Dec. (deg)"\n149.59,-11.06\n10,20\n',
        "Name|x,_RAJ2000,_DEJ2000,e_RAJ2000\na,149.59,-11.06,3\nb,10,20,3\n",
        "Right Ascension;RAJ2000x;Declination\n149.59;1;-11.06\n10;1;20\n",
        "RA_ICRS\tra\tDE_ICRS\tDec\n0\t149.59\t0\t-11.06\n0\t10\t0\t20\n",
    ],
)
def test_tables(tmp_path, text):
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    found = read_positions(tmp_path / "p.csv")
    assert found.ra.deg == pytest.approx([RA, 10])
    assert found.dec.deg == pytest.approx([DEC, 20])


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8", "utf-8-sig", "utf-16"])
def test_a_table_of_another_encoding(tmp_path, encoding):
    (tmp_path / "p.csv").write_bytes("name,ra,dec\nétoile,149.59,-11.06\n".encode(encoding))
    assert read_positions(tmp_path / "p.csv").ra.deg == pytest.approx([RA])


@pytest.mark.parametrize("empty", [",", " , ", "nan,nan", "--,", '"",""', "masked,n/a"])
def test_rows_without_a_position_are_left_out(tmp_path, empty):
    (tmp_path / "p.csv").write_text(f"ra,dec\n{empty}\n149.59,-11.06\n{empty}\n10,20\n")
    with pytest.warns(UserWarning, match=r"2 rows without a position are left out \(line 2, 4\)"):
        found = read_positions(tmp_path / "p.csv")
    assert found.ra.deg == pytest.approx([RA, 10])


@pytest.mark.parametrize(
    "text",
    ["149.59 -11.06", "149.59, -11.06", "9:58:21.6 -11:03:36", "9 58 21.6 -11 03 36", "9 58 21.6, -11 3 36"],
)
def test_positions_in_a_text(text):
    assert position_deg(text) == pytest.approx((RA, DEC))


@pytest.mark.parametrize("text", ["149.59", "1 2 3", "1,2,3", "9,59 -11,06", "9,5 -11", "", "A 907"])
def test_texts_without_a_position(text):
    with pytest.raises(ValueError, match=r".+"):
        position_deg(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ra,dec\n149.59,-11.06\n,20\n", "line 3: no ra; leave out"),
        ("ra,dec\n149.59,--\n", "line 2: no dec"),
        ("ra,dec\n149.59\n", "line 2: no dec"),
        ("ra,dec\nnan,nan\n", "holds no position"),
        ("RAJ2000,RA_ICRS,DEJ2000\n1,1,1\n", "several columns for ra: RAJ2000, RA_ICRS; call the one"),
        ("RAB1950,DEB1950\n1,1\n", "has no column ra, dec; it has RAB1950, DEB1950"),
        ("ra_hours,dec\n9.97,-11\n", "has no column ra; it has ra_hours, dec"),
        ("SIMPLE  =                    T", "is no text"),
        ("\x00\x01", "is no text"),
        ("ra,dec\n149.59,-95\n", "line 2: dec is '-95': '-95' is no declination"),
        ("ra,dec\n\n# x\nnorth,1\n", "line 4: ra is 'north'"),
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("ra,dec\n", "holds no position"),
        ("x,y\n1,2\n", "has no column ra, dec; it has x, y"),
    ],
)
def test_tables_that_are_not_understood(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_positions(tmp_path / "p.csv")


def test_no_table(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_positions(tmp_path / "p.csv")
