"""The task odfingest on small hand-made ODFs."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.errors import TaskError
from daxa.xmm.formats.odf import MOS_FILTER_CODES, PN_FILTER_CODES, PN_FILTER_TOLERANCE_DEG
from daxa.xmm.formats.summary import observation_summary, read_sas_summary, why_unusable
from daxa.xmm.odf.filters import housekeeping_value, translate
from daxa.xmm.odf.modes import ReadoutWindow, mos_mode, pn_mode, rgs_mode
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.task import run_task

STEM = "0070_0123700101_"
START, END = "2000-05-25T08:00:00", "2000-05-25T09:00:00"
SUM_ASC = "\n".join(
    line.ljust(80)
    for line in (
        "OBSERVATION",
        "0123700101 / Observation/Slew Identifier",
        "0070 / Revolution number",
        "2000-05-25T07:00:00 / Scheduled Start Time",
        "2000-05-25T10:00:00 / Scheduled Stop Time",
        "FILES",
        "1 / Number of files into this ODF/SDF",
        STEM + "SCX00000SUM.ASC / Intermediate Summary File",
        "PROPOSAL",
        "A N Observer",
    )
)


def _science(folder, name, start=START, end=END, **keywords):
    hdu = fits.BinTableHDU(np.zeros(1, dtype=[("FRAME", "i4")]))
    hdu.header.update(keywords)
    primary = fits.PrimaryHDU()
    primary.header["DATE-OBS"], primary.header["DATE-END"] = start, end
    fits.HDUList([primary, hdu]).writeto(folder / (STEM + name))


def _housekeeping(folder, name, **columns):
    length = len(next(iter(columns.values())))
    time = utc_to_tt(START) - 600 + 300.0 * np.arange(length)
    table = [fits.Column("TIME", "D", array=time)]
    table += [fits.Column(k, "J", array=np.asarray(v)) for k, v in columns.items()]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(table)]).writeto(folder / (STEM + name))


@pytest.fixture
def odf(tmp_path):
    folder = tmp_path / "odf"
    folder.mkdir()
    (folder / (STEM + "SCX00000SUM.ASC")).write_text(SUM_ASC)
    window = {"WINDOWX0": 0, "WINDOWY0": 0, "WINDOWDX": 20, "WINDOWDY": 20}
    for ccd in (1, 2, 5):
        _science(folder, f"M1S001{ccd}0IME.FIT", **window)
    _science(folder, "PNS00304IME.FIT", CCDMODE=1)
    _science(folder, "PNS00304ODI.FIT", start="2000-05-25T01:00:00", end="2000-05-25T23:00:00")
    _housekeeping(folder, "M1X00000PEH.FIT", E1317=[267] * 20)
    _housekeeping(folder, "PNX00000PMH.FIT", F1122=[234] * 20)
    return folder


def _run(odf, **arguments):
    out, err = io.StringIO(), io.StringIO()
    run_task("odfingest", arguments, cwd=odf.parent, env={"SAS_ODF": str(odf)}, out=out, err=err)
    return odf.parent / (STEM + "SCX00000SUM.SAS"), out.getvalue(), err.getvalue()


def test_summary_of_a_small_odf(odf):
    path, _out, err = _run(odf)
    assert "NoCifGiven" in err
    summary = read_sas_summary(path)
    assert summary.path == f"{odf}/"
    assert (summary.start, summary.end) == (f"{START}.000", f"{END}.000")
    assert summary.tail.startswith("PROPOSAL\nA N Observer")
    result = observation_summary(path)
    assert [k for k, v in result.items() if v["active"]] == ["M1", "PN"]
    assert result["M1"]["exposures"]["S001"] == {
        "scheduled": True,
        "type": "SCIENCE",
        "mode": "PrimeFullWindow",
        "filter": "Thin1",
        "ccd_modes": {1: "Imaging", 2: "Imaging", 5: "Imaging"},
    }
    assert result["PN"]["exposures"]["S003"]["mode"] == "PrimeFullWindow"
    assert result["PN"]["exposures"]["S003"]["filter"] == "Medium"
    # The offset map's own times do not stretch the exposure.
    assert summary.exposure("PN", "S003").end == f"{END}.000"


def test_exposures_without_data_are_of_no_use(odf):
    for name in ("M1U00200AUX.FIT", "PNU00704DLI.FIT"):
        _science(odf, name)
    path, _out, _err = _run(odf)
    found = observation_summary(path)
    empty, lines = found["M1"]["exposures"]["U002"], found["PN"]["exposures"]["U007"]
    assert (empty["mode"], empty["filter"], empty["ccd_modes"]) == ("UNDEFINED", None, {})
    assert why_unusable("M1", empty) == "filter is unknown"
    assert (lines["mode"], lines["ccd_modes"]) == ("Diagnostic", {4: "DiscardedLinesData"})
    assert why_unusable("PN", lines) is not None


def test_own_name_without_path(odf):
    _run(odf, usecanonicalname=False, summaryfile="my.SAS", writepath=False, usehousekeeping=False)
    text = (odf.parent / "my.SAS").read_text()
    assert "PATH" not in text
    assert "FILTER" not in text


def test_missing_summary_is_an_error(odf):
    (odf / (STEM + "SCX00000SUM.ASC")).unlink()
    with pytest.raises(TaskError) as error:
        _run(odf)
    assert error.value.code == "OdfSummaryFileNotFound"
    assert not list(odf.parent.glob("*.SAS"))


def test_two_data_modes_of_one_ccd(odf):
    _science(odf, "M1S00111TIE.FIT")
    path, _out, err = _run(odf)
    assert "InconsistentDataMode" in err
    exposure = observation_summary(path)["M1"]["exposures"]["S001"]
    assert exposure["mode"] == "UNDEFINED"
    assert exposure["ccd_modes"] == {}


def test_damaged_file_is_left_out(odf):
    (odf / (STEM + "M1S00150IME.FIT")).write_bytes(b"\0" * 2880)
    path, _out, err = _run(odf)
    assert "M1S00150IME" in err
    assert list(observation_summary(path)["M1"]["exposures"]["S001"]["ccd_modes"]) == [1, 2]


def test_rows_behind_the_end_of_a_table_are_told(odf):
    path = next(odf.glob("*M1S00150IME.FIT"))
    path.write_bytes(path.read_bytes() + b"\1\2" * 1440)
    _path, _out, err = _run(odf)
    assert "warning (InconsistentData)" in err
    assert path.name in err


@pytest.mark.parametrize("keyword", ["DATE-OBS", "WINDOWDX"])
def test_keywords_that_are_no_dates_or_numbers(odf, keyword):
    path = next(odf.glob("*M1S00150IME.FIT"))
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus:
            if keyword in hdu.header:
                hdu.header[keyword] = "X"
    _path, _out, err = _run(odf)
    assert keyword != "DATE-OBS" or f"{path.name}: DATE-OBS or DATE-END" in err


def test_housekeeping_of_another_camera(odf):
    shutil.copy(next(odf.glob("*PNX00000PMH.FIT")), next(odf.glob("*M1X00000PEH.FIT")))
    path, _out, err = _run(odf)
    assert "no column E1317" in err
    assert observation_summary(path)["M1"]["exposures"]["S001"]["filter"] is None


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ([267] * 8 + [801] * 12, "NewHousekeepingValue"),
        ([999] * 20, "TranslationNotAvailable"),
        ([267] * 5, "HousekeepingParameterMissing"),
    ],
)
def test_filter_problems(odf, values, warning):
    (odf / (STEM + "M1X00000PEH.FIT")).unlink()
    _housekeeping(odf, "M1X00000PEH.FIT", E1317=values)
    path, _out, err = _run(odf)
    assert f"warning ({warning})" in err
    assert observation_summary(path)["M1"]["exposures"]["S001"]["filter"] is None
    text = path.read_text()
    assert "WARNING: FILTER_WHEEL not found" in text
    assert "FILTER_WHEEL = Unknown // " in text
    assert "FILTER = Unknown // Filter" in text


@pytest.mark.parametrize(("wheel", "told"), [(234, False), (114, True), (30, False)])
def test_a_wheel_that_contradicts_the_name_of_the_filter(odf, wheel, told):
    name = odf / (STEM + "PNX00000PMH.FIT")
    name.unlink()
    time = utc_to_tt(START) - 600 + 300.0 * np.arange(20)
    columns = [fits.Column("TIME", "D", array=time), fits.Column("F1122", "E", array=np.full(20, wheel))]
    columns += [
        fits.Column(k, "16A", array=[v] * 20) for k, v in {"F1119": "STOPPED", "FD130": "MEDIUM"}.items()
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(name)
    path, _out, err = _run(odf)
    assert observation_summary(path)["PN"]["exposures"]["S003"]["filter"] == "Medium"
    text = "names the filter Medium, which is taken; its wheel at 114.0 deg (F1122) stands for Thin1"
    assert (text in err) == told
    assert err.count("(InconsistentData)") == int(told)


def test_no_housekeeping_at_all(odf):
    (odf / (STEM + "PNX00000PMH.FIT")).unlink()
    path, _out, err = _run(odf)
    assert "HousekeepingParameterMissing" in err
    assert observation_summary(path)["PN"]["exposures"]["S003"]["filter"] is None


def test_missing_housekeeping_of_diagnostic_exposures_is_told_once(odf):
    for path in odf.glob("*_M1*"):
        path.unlink()
    for number in (4, 5):
        _science(odf, f"M1U00{number}10DII.FIT")
    _path, out, err = _run(odf)
    told = "warning (HousekeepingParameterMissing), M1: the ODF has no PEH file; what it tells of exposures"
    assert err.count(told) == 1
    assert "M1 U004  Diagnostic, " in out


def test_housekeeping_out_of_order_and_parameters_that_change(odf):
    name = "PNX00000PMH.FIT"
    (odf / (STEM + name)).unlink()
    _housekeeping(odf, name, F1122=[234] * 20, F1294=[0] * 8 + [3] * 12, F1052=[32400] * 20)
    with fits.open(odf / (STEM + name), mode="update") as hdus:
        hdus[1].data["TIME"][[2, 3]] = hdus[1].data["TIME"][[3, 2]]
    path, out, err = _run(odf)
    assert err.count("warning (NotATimeSortedTable)") == 1
    assert "rows are not in the order of time; they are sorted" in err
    assert "PN/S003: F1294 of " in out
    assert f"{STEM}{name}[1] change during it and stay unknown" in out
    assert "FRAME_TIME_PARAMETER = Unknown" in path.read_text()


def test_codes():
    assert translate(534, MOS_FILTER_CODES) == "Thin2"
    assert translate(533.4, MOS_FILTER_CODES) == "Thin2"
    assert translate(540, MOS_FILTER_CODES) is None
    # Readings of real summaries.
    for angle, name in ((112.6, "Thin1"), (115.01, "Thin1"), (233.2, "Medium"), (234.626, "Medium")):
        assert translate(angle, PN_FILTER_CODES, PN_FILTER_TOLERANCE_DEG) == name
    assert translate(140.0, PN_FILTER_CODES, PN_FILTER_TOLERANCE_DEG) is None


def test_housekeeping_value():
    time = np.arange(0.0, 100.0, 10.0)
    assert housekeeping_value(time, np.full(10, 3), 5.0, 95.0) == (3.0, None)
    assert housekeeping_value(time, np.full(10, 3), 5.0, 200.0)[1] == "HousekeepingParameterMissing"
    assert housekeeping_value(time, np.arange(10), 5.0, 50.0)[1] == "NewHousekeepingValue"
    assert housekeeping_value(time, np.arange(10), 21.0, 29.0)[1] == "HousekeepingParameterMissing"


def test_modes():
    whole, small = ReadoutWindow(0, 0, 20, 20), ReadoutWindow(5, 5, 6, 6)
    table = {
        "MODE_ID": np.array([0, 1, 3, 7]),
        "WINDOWX0": np.array([[0, 0], [5, 0], [5, 0], [0, 0]]),
        "WINDOWY0": np.array([[0, 0], [5, 0], [5, 0], [0, 0]]),
        "WINDOWDX": np.array([[20, 20], [6, 20], [6, 20], [20, 20]]),
        "WINDOWDY": np.array([[20, 20], [6, 20], [6, 20], [20, 20]]),
        "FRAME_T": np.array([[100.0, 100], [30, 100], [20, 100], [1, 100]]),
    }
    imaging = {1: "IME", 2: "IME"}
    assert mos_mode(imaging, {1: whole, 2: whole}, 100.0, table) == "PrimeFullWindow"
    assert mos_mode(imaging, {1: small, 2: whole}, 30.0, table) == "PrimePartialW2"
    assert mos_mode(imaging, {1: small, 2: whole}, 20.0, table) == "PrimePartialW4"
    assert mos_mode(imaging, {1: ReadoutWindow(1, 1, 2, 2), 2: whole}, 20.0, table) is None
    assert mos_mode(imaging, {1: small, 2: whole}) is None
    assert mos_mode({1: "TIE", 2: "IME"}, {1: small, 2: whole}) == "FastUncompressed"
    assert pn_mode({4: "IME"}, 0) == "PrimeFullWindowExtended"
    # Real headers have CCDMODE 1 for both kinds of full frame.
    for frame_ms, wait, mode in (
        (73, 0, "PrimeFullWindow"),
        (199, 3, "PrimeFullWindowExtended"),
        (283, 5, "PrimeFullWindowExtended"),
        (None, 3, "PrimeFullWindowExtended"),
        (None, 0, "PrimeFullWindow"),
    ):
        assert pn_mode({4: "IME"}, 1, frame_ms, wait) == mode
    assert pn_mode({4: "IME"}, 0, 73) == "PrimeFullWindow"
    assert pn_mode({4: "IME"}, 2, 199, 3) == "PrimeLargeWindow"
    assert pn_mode({4: "BUE"}, None) == "FastBurst"
    assert pn_mode({4: "IME"}, None) is None
    assert pn_mode({4: "IME"}, 17) is pn_mode({4: "IME"}, "one") is None
    assert rgs_mode({1: "SPE"}) == "Spectroscopy"
    assert rgs_mode({1: "SPE", 2: "SPE"}, {4}) == "HighEventRateWithSES"
    assert rgs_mode({1: "SPE", 2: "SPE"}, {3, 4}) == "Spectroscopy"
    assert rgs_mode({1: "HTE"}) == "HighTimeResolutionSingleCcd"
