"""``daxa odf inspect``: real, simulated and damaged raw files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from astropy.io import fits
from typer.testing import CliRunner

from daxa.cli.main import app

run = CliRunner()
OBS = "0234_0135730701"


def said(*words: object, status: int = 0) -> str:
    done = run.invoke(app, ["odf", "inspect", *map(str, words)])
    assert done.exit_code == status, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.output


def below(text: str, name: str) -> str:
    """The line of the first extension of a file."""
    lines = text.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith(name)) + 1]


def events(folder: Path, name: str, columns: dict[str, list], form: str = "J", **header: object) -> Path:
    table = fits.BinTableHDU.from_columns([fits.Column(k, form, array=v) for k, v in columns.items()])
    table.header.update(header)
    path = folder / name
    table.writeto(path)
    return path


def test_real_files(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "odf_0135730701"
    if not folder.is_dir():
        pytest.skip(f"no real raw files: {folder} is absent")
    text = said(folder, "--report", tmp_path / "report.txt")
    files = list(folder.glob("*.FIT*"))
    assert f"{len(files)} files; extensions: " in text
    assert "damaged" not in text
    assert "lacking" not in text
    assert "header says" not in text
    # Every table is known, and nothing in it is new.
    tables = text.partition("time correlation  0234")[0]
    assert not any(f" {word} " in tables for word in ("others", "not read", "known", "no keyword", "not 1"))
    assert f"{OBS}_M1U00410IME.FIT.gz  imaging events, EMOS1, exposure U004, CCD 1, node 0" in text
    assert below(text, f"{OBS}_M1U00410IME").endswith("exact     5262 rows; frames 4 to 5")
    assert "clock 22729032.725 to 22737768.094 s" in below(text, f"{OBS}_R1S00300AUX")
    assert "TIME as text, 2001-03-20T14:38:30 to" in below(text, f"{OBS}_R1X00000PFH")
    assert "SCRTX1         exact     8601 rows; clock 22604730.196" in text
    assert "18 times 171 x 128 pixels, to CCD9_offset_d" in below(text, f"{OBS}_R1X00000OFX")
    assert "59 files; extensions: 50 exact, 44 image\n" in text
    assert "clock 3.312 to 2640.595 s after its reset" in below(text, f"{OBS}_M1U00900AUX")
    # From the start of the first counting cycle to the end of the last one.
    assert "clock 22727251.187 to 22727313.689 s" in below(text, f"{OBS}_M1U00400CCX")

    # What odfingest makes of it.
    assert "time correlation  0234_0135730701_SCX00000TCX.FIT.gz, 3.9e-05 s rms" in text
    assert "M1 U009  PrimeFullWindow, 49 of 70 parameters known, clock reset at 22735251 s (assumed)" in text
    assert "R1 S003  HighEventRateWithSES, 110 of 110 parameters known" in text
    assert "M1 U008  UNDEFINED, no event file, 41 of 70 parameters known" in text
    assert "2.0 s before DATE-OBS is taken" in text
    assert "so that times may be up to 1.6 s late (noClockReset)" in text
    for camera in ("M1", "M2"):
        told = f"{camera}: the ODF has no PEH file; what it tells of exposures stays unknown (Housekeeping"
        assert text.count(told) == 1

    written = (tmp_path / "report.txt").read_text()
    assert "R1 S003  HighEventRateWithSES" in written
    assert all(path.name in written for path in files)
    assert "  WINDOWDX 610\n" in written
    assert f"{'ENERGYE1':18s} {'1I':>8s} CHANNEL" in written
    assert "/home" not in written
    assert "XPROC" not in written
    assert len(written) < 400_000


def test_simulated_files(spacecraft_odf: Path) -> None:
    text = said(spacecraft_odf)
    assert "exact" in text
    assert "damaged" not in text
    assert "lacking" not in text
    assert "header says" not in text


def test_columns_and_headers_that_are_not_as_expected(tmp_path: Path) -> None:
    good = {"FRAME": [3, 9], "RAWX": [1, 2], "RAWY": [1, 2], "ENERGY": [5, 6]}
    events(tmp_path, f"{OBS}_PNS00301IME.FIT", good, INSTRUME="EMOS1", OBS_ID="0000000001")
    events(tmp_path, f"{OBS}_PNS00302IME.FIT", {k: good[k] for k in ("FRAME", "RAWX")} | {"NEW": [1, 1]})
    events(tmp_path, f"{OBS}_PNX00000PMH.FIT", {"TIME": [1, 2]})
    text = said(tmp_path)
    first = below(text, f"{OBS}_PNS00301")
    assert "frames 3 to 9; header says INSTRUME EMOS1; header says OBS_ID 0000000001" in first
    second = below(text, f"{OBS}_PNS00302")
    assert "lacking" in second
    assert "no column RAWY, ENERGY; other columns NEW" in second
    assert "unit of FRAME none, not COUNTER, RAWX is J, not 1I, unit of RAWX none, not PIXEL" in second
    assert "TIME as number, 1 to 2" in below(text, f"{OBS}_PNX00000PMH")


def test_values_and_keywords_that_are_not_as_known(tmp_path: Path) -> None:
    values = {"TIME": ["2001-03-20T14:38:30"], "HBRID": [9], "HBRACTIV": [1], "HBRPROC": [1]}
    forms = {"TIME": "19A", "HBRID": "B", "HBRACTIV": "B", "HBRPROC": "I"}
    table = fits.BinTableHDU.from_columns([fits.Column(k, forms[k], array=v) for k, v in values.items()])
    table.writeto(tmp_path / f"{OBS}_M1X00000HCH.FIT")
    line = below(said(tmp_path), f"{OBS}_M1X00000HCH")
    assert "no keyword EXTNAME, EXTVER, TELESCOP, INSTRUME, DATATYPE and 4 more" in line
    assert "HBRID 9 to 9, known 1 to 8" in line
    assert "HBRPROC is I, not 1U" in line


def test_damaged_files_are_told_and_the_others_go_on(tmp_path: Path) -> None:
    good = {"FRAME": list(range(900)), "RAWX": [1] * 900, "RAWY": [1] * 900, "ENERGY": [5] * 900}
    whole = events(tmp_path, f"{OBS}_PNS00301IME.FIT", good)
    content = whole.read_bytes()
    (tmp_path / f"{OBS}_PNS00302IME.FIT").write_bytes(content[:9000])
    (tmp_path / f"{OBS}_PNS00303IME.FIT").write_bytes(b"")
    (tmp_path / f"{OBS}_PNS00304IME.FIT").write_bytes(b"no table" * 1000)
    (tmp_path / f"{OBS}_PNS00305IME.FIT.gz").write_bytes(b"\x1f\x8b" + content[:200])
    (tmp_path / f"{OBS}_PNS00306IME.FIT").write_bytes(content[:2880])
    (tmp_path / f"{OBS}_PNS00307IME.FIT").write_bytes(content.replace(b"'J       '", b"'Q       '"))
    fits.ImageHDU(name="PNIME1").writeto(tmp_path / f"{OBS}_PNS00308IME.FIT")
    broken = content.replace(b"TFIELDS =                    4", b"INSTRUME= 'not closed         ")
    (tmp_path / f"{OBS}_PNS00309IME.FIT").write_bytes(broken)
    texts = {"FTCOARSE": ["ab"], "FTFINE": ["cd"]}
    events(tmp_path, f"{OBS}_PNS00300AUX.FIT", texts, form="2A")
    (tmp_path / f"{OBS}_SCX00000SUM.ASC").write_text("Observer\n")
    text = said(tmp_path, "--report", tmp_path / "report.txt")
    for ccd in range(2, 10):
        assert "damaged" in below(text, f"{OBS}_PNS0030{ccd}IME"), ccd
    assert "exact     900 rows; frames 0 to 899; " in below(text, f"{OBS}_PNS00301IME")
    assert "FTCOARSE, FTFINE are not whole numbers" in text
    assert "the extension is not there" in text
    assert "Observer" not in (tmp_path / "report.txt").read_text()


def test_one_file(tmp_path: Path) -> None:
    path = events(tmp_path, f"{OBS}_PNS00301IME.FIT", {"FRAME": [1]})
    assert "1 file; extensions: 1 lacking" in said(path)
    shutil.copy(path, tmp_path / "events.fits")
    assert "no ODF file or folder" in said(tmp_path / "events.fits", status=2)


def test_summaries(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "epic_pn_0124710801"
    if not folder.is_dir():
        pytest.skip(f"no real summaries: {folder} is absent")
    text = said(folder)
    assert "182 lines; 2000-12-10T20:04:10 to 2000-12-11T04:39:05, 143 files named" in text
    (made,) = (shared_data / "sas_products_0201901401" / "odf").glob("*SUM.SAS.gz")
    assert "29 exposures, 160 files named" in said(made)
    broken = tmp_path / f"{OBS}_SCX00000SUM.ASC"
    broken.write_text("nothing")
    assert "text           damaged   no OBSERVATION or SLEW record" in said(broken)


def test_problems_of_the_clock_are_told(spacecraft_odf: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(spacecraft_odf, tmp_path / "odf")
    (path,) = folder.glob("*TCX.FIT")
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["UTCMILLI"] += 5000
        hdus[1].data["ERTIME"] = "-"
    text = said(folder)
    assert "ERTIME is not a date in" in text
    assert "differ by" in text
    assert "(badTimeCorrelation)" in text


def test_nothing_to_inspect(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        text = said(path, status=2)
        assert text.startswith("daxa: ")
        assert len(text.splitlines()) == 1
    path = events(tmp_path, f"{OBS}_PNS00301IME.FIT", {"FRAME": [1]})
    assert "--report" in said(path, "--report", tmp_path / "no" / "report.txt", status=2)


def test_clocks_that_begin_anew(tmp_path: Path) -> None:
    for name in ("PNS00300AUX", "M1S00100AUX"):
        columns = {"FTCOARSE": [32390, 32399, 2], "FTFINE": [0, 0, 0]}
        if name.startswith("M1"):
            columns["FTCOARSE"] = [32700, 32767, 2]
        events(tmp_path, f"{OBS}_{name}.FIT", columns)
    text = said(tmp_path)
    assert "clock 32390.000 to 2.000 s, beginning anew in between" in below(text, f"{OBS}_PNS00300AUX")
    assert "clock 32700.000 to 32770.000 s after its reset" in below(text, f"{OBS}_M1S00100AUX")
