"""Files of a simulated ODF: names, tables, clock, attitude, archive."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from datetime import datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from daxa.simulate.odf.clock import Clock, tt_of_utc, utc_of_tt, utc_text
from daxa.simulate.odf.files import OdfWriter, pack_odf
from daxa.simulate.odf.housekeeping import Pointing, on_attitude_grid, sexagesimal
from daxa.xmm.formats import odf as layout
from daxa.xmm.formats.instruments import INSTRUMENTS
from daxa.xmm.formats.odf_names import OdfName
from daxa.xmm.formats.summary import read_ascii_summary

START = tt_of_utc("2016-11-13T03:00:00")


def pointing() -> Pointing:
    ra, dec = on_attitude_grid(149.61, -11.08)
    return Pointing(
        "0800010101", 3100, "A907", ra, dec, 120.5, 149.5917, -11.0642, START, START + 1500.0, START - 7000.0
    )


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> OdfWriter:
    writer = OdfWriter(tmp_path_factory.mktemp("odf"), pointing(), Clock(START - 7000.0))
    n = 5
    mos = {c.name: np.arange(n) for c in layout.MOS_IMAGING}
    offsets = {"AXIS": [0], "INDEX": [3], "OFFSET": [100], "VARIANCE": [23.0]}
    writer.mos_events(
        "M1", "S001", 2, mos, START, START + 100.5, window=(5, 1, 600, 600), frame_time_s=2.6,
        threshold_adu=25.0, offsets=offsets,
    )  # fmt: skip
    aux = {c.name: np.full(n, 2) for c in layout.MOS_AUXILIARY} | {"FTCOARSE": np.full(n, 65535)}
    writer.mos_auxiliary("M1", "S001", aux, START, START + 100.5)
    writer.mos_housekeeping("M1", [(START + 10, START + 1400, "Thin1")], [(1, 300, 5, 1)])
    pn = {c.name: np.arange(n) for c in layout.PN_EVENTS}
    writer.pn_events(
        "U002", 8, pn, START, START + 10, window=(0, 0, 64, 200), frame_time_s=0.07336496, ccd_mode=1,
        discarded=np.arange(64),
    )  # fmt: skip
    frames = {c.name: np.full(n, 1) for c in layout.PN_AUXILIARY_FRAMES} | {"FTFINE": np.full(n, 48000)}
    cycles = {c.name: np.full(n, 1) for c in layout.PN_AUXILIARY_CYCLES} | {"NEPDH": np.full(n, 60000)}
    writer.pn_auxiliary("U002", frames, cycles, START, START + 10)
    writer.pn_housekeeping(
        [(START, START + 10, "Medium")], reset_obt_s=5, wrap_s=32400, submode="PrimeFullWindow", max_frames=20
    )
    writer.attitude()
    writer.time_correlation(np.random.default_rng(1))
    writer.summary()
    return writer


def table(writer: OdfWriter, file_type: str, hdu: int = 1):
    path = next(writer.folder.glob(f"*{file_type}.FIT"))
    with fits.open(path) as hdus:
        return hdus[hdu].data.copy(), hdus[hdu].header.copy()


def test_names_are_those_of_an_odf_and_every_file_opens(writer: OdfWriter) -> None:
    names = {path.name for path in writer.folder.iterdir()}
    assert names == set(writer.names)
    for name in names:
        parsed = OdfName.parse(name)
        assert parsed is not None
        assert str(parsed) == name
        if name.endswith(".FIT"):
            with fits.open(writer.folder / name) as hdus:
                hdus.verify("exception")
                assert hdus[0].header["FILENAME"] == name
                assert hdus[0].header["TELESCOP"] == "XMM"
                assert hdus[0].header["INSTRUME"] == INSTRUMENTS[parsed.instrument]
                assert hdus[1].name == layout.extension(parsed.instrument, parsed.file_type)
    assert "3100_0800010101_M1S00120IME.FIT" in names
    assert "3100_0800010101_PNU00208DLI.FIT" in names


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_fitsverify_finds_no_error(writer: OdfWriter) -> None:
    files = sorted(map(str, writer.folder.glob("*.FIT")))
    lines = subprocess.run(["fitsverify", "-q", *files], capture_output=True, text=True).stdout.splitlines()
    assert len(lines) == len(files)
    assert all("verification OK" in line for line in lines), lines


def test_science_headers(writer: OdfWriter) -> None:
    _, mos = table(writer, "IME")
    expected = {
        "CCDID": 2, "CCDNODE": 0, "WINDOWX0": 5, "WINDOWDX": 600, "FRMTIME": 26, "EDUTHR": 25, "EDUMODE": 3,
    }  # fmt: skip
    assert {key: mos[key] for key in expected} == expected
    assert mos["EXP_ID"] == "0800010101001"
    assert (mos["DATE-OBS"], mos["DATE-END"]) == ("2016-11-13T03:00:00", "2016-11-13T03:01:41")
    with fits.open(writer.folder / "3100_0800010101_PNU00208IME.FIT") as hdus:
        pn = hdus[1].header
        assert (pn["QUADRANT"], pn["CCDID"], pn["CCDMODE"], pn["FRMTIME"]) == (2, 1, 1, 73)
    with fits.open(writer.folder / "3100_0800010101_PNU00208DLI.FIT") as hdus:
        assert hdus[1].data.shape == layout.PN_DISCARDED_LINES_SHAPE


def test_unsigned_counters_keep_their_bits(writer: OdfWriter) -> None:
    with fits.open(writer.folder / "3100_0800010101_M1S00100AUX.FIT") as hdus:
        assert set(layout.unsigned(hdus[1].data["FTCOARSE"])) == {65535}
    with fits.open(writer.folder / "3100_0800010101_PNU00200AUX.FIT") as hdus:
        assert set(layout.unsigned(hdus[1].data["FTFINE"])) == {48000}
        assert set(layout.unsigned(hdus[2].data["NEPDH"])) == {60000}


def test_the_filter_wheel_turns_outside_exposures_only(writer: OdfWriter) -> None:
    data, _ = table(writer, "PEH")
    time = np.array([tt_of_utc(value) for value in data["TIME"]])
    inside = (time >= START + 10) & (time <= START + 1400)
    assert {layout.MOS_FILTER_CODES[int(v)] for v in data["E1317"][inside]} == {"Thin1"}
    assert layout.MOS_FILTER_CODES[int(data["E1317"][-1])] == "Closed"


def test_attitude_holds_the_pointing_exactly(writer: OdfWriter) -> None:
    data, _ = table(writer, "ATS")
    p = pointing()
    longest = [row for row in data if row["TYPEID"] == "P" and row["VIEWDECL"] == sexagesimal(p.dec_deg)]
    assert len(longest) == 1
    hours, minutes, seconds = (float(v) for v in longest[0]["VIEWRA"].split(":"))
    assert (hours + minutes / 60 + seconds / 3600) * 15 == pytest.approx(p.ra_deg, abs=1e-10)
    assert longest[0]["ASTPOS"] == p.pa_deg
    assert tt_of_utc(longest[0]["VALTIME"]) <= p.start_s
    assert tt_of_utc(longest[0]["VALTIME"]) + longest[0]["VALDUR"] >= p.stop_s
    times = [tt_of_utc(value) for value in data["VALTIME"]]
    assert times == sorted(times)
    assert (data["TYPEID"] == "S").sum() > 100


def test_clock_points_follow_the_clock(writer: OdfWriter) -> None:
    for file_type in ("TCS", "TCX"):
        data, _ = table(writer, file_type)
        obt = data["OBTCOARS"] + data["OBTFINE"] * layout.OBTFINE_UNIT_S
        day = datetime(1958, 1, 1) + timedelta(days=int(data["UTCDAY"][0]))
        first = tt_of_utc(day.isoformat()) + data["UTCMILLI"] * 1e-3 + data["UTCMICRO"] * 1e-6
        first += (data["UTCDAY"] - data["UTCDAY"][0]) * 86400.0
        assert np.abs(writer.clock.tt(obt) - first).max() < 1e-5
    assert np.abs(data["OBTNOFIT"] - obt).max() == 0


def test_summary_lists_every_file(writer: OdfWriter) -> None:
    path = next(writer.folder.glob("*SUM.ASC"))
    assert {len(line) for line in path.read_text().splitlines()} == {80}
    summary = read_ascii_summary(path)
    assert (summary.obs_id, summary.revolution, summary.target) == ("0800010101", 3100, "A907")
    assert summary.n_files == len(writer.names) == len(summary.files)
    assert set(summary.files) == set(writer.names)
    assert summary.ra_deg == pytest.approx(149.5917, abs=1e-5)
    assert summary.dec_deg == pytest.approx(-11.0642, abs=1e-6)


def test_archive_is_packed_as_the_science_archive_does(writer: OdfWriter, tmp_path) -> None:
    first = pack_odf(writer.folder, tmp_path / "a.tar.gz", 3100, "0800010101")
    assert first.read_bytes()[:2] == b"\x1f\x8b"
    assert (
        pack_odf(writer.folder, tmp_path / "b.tar.gz", 3100, "0800010101").read_bytes() == first.read_bytes()
    )
    with tarfile.open(first) as outer:
        assert outer.getnames() == ["3100_0800010101.TAR", "MANIFEST.276294"]
        with tarfile.open(fileobj=outer.extractfile("3100_0800010101.TAR")) as inner:
            assert set(inner.getnames()) == set(writer.names)
            name = "3100_0800010101_SCX00000SUM.ASC"
            assert inner.extractfile(name).read() == (writer.folder / name).read_bytes()
        assert outer.extractfile("MANIFEST.276294").read().decode().split() == sorted(writer.names)


@given(st.floats(0, 40_000_000), st.floats(-2e-5, 2e-5), st.floats(-1e-13, 1e-13))
def test_clock_inverts(elapsed: float, rate: float, ageing: float) -> None:
    clock = Clock(START, rate=rate, ageing=ageing)
    assert float(clock.tt(clock.obt(START + elapsed))) == pytest.approx(START + elapsed, abs=1e-6)


@given(st.datetimes(datetime(1999, 1, 2), datetime(2025, 1, 1)))
def test_utc_agrees_with_astropy(date: datetime) -> None:
    date = date.replace(microsecond=0)
    expected = (Time(date, scale="utc").tt - Time("1998-01-01T00:00:00", scale="tt")).sec
    assert tt_of_utc(date.isoformat()) == pytest.approx(expected, abs=1e-5)
    assert abs((utc_of_tt(tt_of_utc(date.isoformat())) - date).total_seconds()) < 1e-5


def test_dates_are_rounded_outwards() -> None:
    assert utc_text(START + 0.4) == "2016-11-13T03:00:00"
    assert utc_text(START + 0.4, up=True) == "2016-11-13T03:00:01"


@given(st.floats(0, 359.99), st.floats(-89, 89))
def test_sexagesimal_is_exact_on_the_grid(ra: float, dec: float) -> None:
    ra, dec = on_attitude_grid(ra, dec)
    h, m, s = (float(v) for v in sexagesimal(ra, hours=True).split(":"))
    assert (h + m / 60 + s / 3600) * 15 == pytest.approx(ra, abs=1e-9)
    text = sexagesimal(dec)
    d, m, s = (float(v) for v in text[1:].split(":"))
    assert (d + m / 60 + s / 3600) * (-1 if text[0] == "-" else 1) == pytest.approx(dec, abs=1e-9)
