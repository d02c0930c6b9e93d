"""Summary files: the real SUM.ASC, and writing and reading SUM.SAS."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa.xmm.formats.summary import (
    ExposureSummary,
    SasSummary,
    observation_summary,
    read_ascii_summary,
    read_sas_summary,
    why_unusable,
)
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.summary_writer import write_sas_summary

START, END = "2000-05-25T03:53:11.000", "2000-05-25T20:51:02.000"


def _summary(**instruments):
    return SasSummary(
        "0123700101",
        70,
        START,
        END,
        ["0070_0123700101_M1S00110IME.FIT"],
        instruments,
        "/odf/",
        "PROPOSAL\nx\n",
    )


def test_real_ascii_summary(shared_data):
    path = shared_data / "epic_pn_0124710801" / "0184_0124710801_SCX00000SUM.ASC"
    summary = read_ascii_summary(path)
    assert (summary.obs_id, summary.revolution) == ("0124710801", 184)
    assert (summary.start, summary.end) == ("2000-12-10T20:04:10", "2000-12-11T04:39:05")
    assert summary.target == "Coma8"
    assert summary.ra_deg == pytest.approx(195.356667)
    assert summary.dec_deg == pytest.approx(27.7313889)
    assert (summary.nominal_ra_deg, summary.nominal_dec_deg) == (summary.ra_deg, summary.dec_deg)
    assert summary.n_files == 143 == len(summary.files)
    assert "0184_0124710801_PNU00201DLI.FIT" in summary.files
    assert summary.observer == "Dr F Jansen"
    assert summary.configuration == {"ODF_VERSION": "003"}
    assert summary.tail.startswith("PROPOSAL\n")
    assert summary.tail.rstrip().endswith("DATA QUALITY - not available")


def test_boresight_of_the_ascii_summary(shared_data, tmp_path):
    text = (shared_data / "epic_pn_0124710801" / "0184_0124710801_SCX00000SUM.ASC").read_text("latin-1")
    path = tmp_path / "x.ASC"
    path.write_text(text.replace("13.0237778 / Boresight", "13.0300000 / Boresight"), "latin-1")
    summary = read_ascii_summary(path)
    assert summary.nominal_ra_deg == pytest.approx(13.03 * 15)
    assert summary.ra_deg == pytest.approx(195.356667)
    path.write_text(text.replace("/ Boresight", "/ Something"), "latin-1")
    summary = read_ascii_summary(path)
    assert (summary.nominal_ra_deg, summary.nominal_dec_deg) == (summary.ra_deg, summary.dec_deg)


def test_gzipped_ascii_summary_reads_alike(shared_data, tmp_path):
    path = shared_data / "epic_pn_0124710801" / "0184_0124710801_SCX00000SUM.ASC"
    packed = tmp_path / "x.ASC.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_ascii_summary(packed) == read_ascii_summary(path)


@pytest.mark.parametrize("text", ["", "hello\n", "OBSERVATION\n12 / x\n1 / r\n", "\0" * 2880])
def test_damaged_ascii_summary_names_the_file(tmp_path, text):
    path = tmp_path / "0070_0123700101_SCX00000SUM.ASC"
    path.write_text(text)
    with pytest.raises(ValueError, match="SCX00000SUM"):
        read_ascii_summary(path)


def test_sas_summary_has_the_anchors_that_parsers_match(tmp_path):
    path = tmp_path / "x.SAS"
    exposure = ExposureSummary(
        "S003", START, END, mode="PrimeFullWindow", filter="Thin1", ccd_modes={1: "Imaging"}
    )
    write_sas_summary(_summary(M1=[exposure]), path)
    lines = path.read_text().splitlines()
    directives = [line for line in lines if not line.startswith("//")]
    assert directives[0] == "PATH /odf/"
    for at, line in enumerate(lines):
        if line == "// Instrument Record":
            assert lines[at + 2] == "INSTRUMENT"
            assert lines[at + 3] in {"M1", "M2", "R1", "R2", "PN", "OM"}
            assert lines[at + 4][0] in "YN"
            assert lines[at + 5].split()[0] == ("1" if lines[at + 3] == "M1" else "0")
            assert "Number of exposures for this instrument" in lines[at + 5]
    at = lines.index("EXPOSURE")
    assert lines[at + 1].split("[also ")[1].split("]")[0] == "S003"
    assert any(line.endswith("/ Exposure Type") and line.split()[0] == "SCIENCE" for line in lines)
    mode = next(line for line in lines if "/ Instrument configuration" in line)
    assert mode.split("= ")[-1].split(" ")[0] == "PrimeFullWindow"
    assert next(x for x in lines if "FILTER = " in x).split(" = ")[-1].split(" ")[0] == "Thin1"
    assert "DATA_MODE_1 = Imaging / Data mode for CCD 1" in lines
    assert lines[-2:] == ["PROPOSAL", "x"]
    assert any(line.endswith("Revolution Identifier") for line in lines)


_exposures = st.lists(
    st.builds(
        ExposureSummary,
        st.from_regex(r"[SU][0-9]{3}", fullmatch=True),
        st.just(START),
        st.just(END),
        type=st.sampled_from(["SCIENCE", "ENGINEERING"]),
        mode=st.sampled_from([None, "PrimeFullWindow", "FastTiming", "UNDEFINED"]),
        filter=st.sampled_from([None, "Thin1", "CalClosed"]),
        ccd_modes=st.dictionaries(st.integers(1, 12), st.sampled_from(["Imaging", "Timing"])),
        calibration_modes=st.dictionaries(st.integers(1, 12), st.sampled_from(["PrimeFullWindow", "Offset"])),
    ),
    max_size=3,
)


@given(m1=_exposures, pn=_exposures)
def test_sas_summary_round_trip(tmp_path_factory, m1, pn):
    path = tmp_path_factory.mktemp("sum") / "x.SAS"
    summary = _summary(M1=m1, PN=pn)
    write_sas_summary(summary, path)
    back = read_sas_summary(path)
    assert back.instruments["M1"] == m1
    assert back.instruments["PN"] == pn
    assert (back.obs_id, back.revolution, back.start, back.end) == ("0123700101", 70, START, END)
    assert (back.path, back.files, back.tail) == ("/odf/", summary.files, summary.tail)


@pytest.mark.parametrize("name", ["plain", "Größe", "sky α"])
def test_folders_have_any_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    summary = SasSummary("0800010101", 3100, "2016-11-13T03:25:20", "2016-11-13T05:15:20", path=str(folder))
    write_sas_summary(summary, tmp_path / "SUM.SAS")
    assert f"PATH {folder}\n".encode() in (tmp_path / "SUM.SAS").read_bytes()
    assert read_sas_summary(tmp_path / "SUM.SAS").path == str(folder)
    (folder / "3100_0800010101_M1S00110IME.FIT").touch()
    assert Odf.open(tmp_path / "SUM.SAS").folder == folder


def test_observation_summary_shape(tmp_path):
    path = tmp_path / "x.SAS"
    exposure = ExposureSummary(
        "U002", START, END, mode="PrimeFullWindow", filter="Closed", ccd_modes={4: "Imaging"}
    )
    write_sas_summary(_summary(PN=[exposure]), path)
    result = observation_summary(path)
    assert result["M1"] == {"active": False, "num_exp": 0, "exposures": {}}
    pn = result["PN"]
    assert pn["active"] is True
    assert pn["num_exp"] == 1
    assert pn["exposures"]["U002"] == {
        "scheduled": False,
        "type": "SCIENCE",
        "mode": "PrimeFullWindow",
        "filter": "Closed",
        "ccd_modes": {4: "Imaging"},
    }
    assert why_unusable("PN", pn["exposures"]["U002"]) == "filter is Closed"
    assert why_unusable("PN", {**pn["exposures"]["U002"], "filter": "Medium"}) is None
    assert "Noise" in why_unusable("PN", {**pn["exposures"]["U002"], "filter": "Medium", "mode": "Noise"})
    assert why_unusable("R1", {**pn["exposures"]["U002"], "filter": None, "mode": "Spectroscopy"}) is None


def test_exposure_count_must_agree(tmp_path):
    path = tmp_path / "x.SAS"
    write_sas_summary(_summary(M1=[ExposureSummary("S001", START, END)]), path)
    path.write_text(path.read_text().replace("1 / Number of exp", "2 / Number of exp"))
    with pytest.raises(ValueError, match="M1 announces 2"):
        read_sas_summary(path)


def test_a_packed_summary_with_a_broken_end(tmp_path):
    path = tmp_path / "x.ASC.gz"
    packed = bytearray(gzip.compress(b"OBSERVATION\n" * 1000))
    packed[12:16] = bytes(byte ^ 0xFF for byte in packed[12:16])
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=r"x\.ASC\.gz: cannot be unpacked"):
        read_ascii_summary(path)
