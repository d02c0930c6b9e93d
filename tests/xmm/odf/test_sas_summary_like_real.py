"""Our SUM.SAS beside three that SAS made of real observations: records, labels and configuration parameters.

Values that the raw files of a real observation tell are checked against these files.
"""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from real_fragment import add_attitude_and_summary, link_odf

from daxa.xmm.formats.summary import observation_summary
from daxa.xmm.odf.configuration import Circumstances, Housekeeping, configuration, om_filter
from daxa.xmm.odf.odf import Odf
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.task import run_task

REAL = (
    "esas_0203930101/0868_0203930101_SCX00000SUM.SAS.gz",
    "sas_products_0201901401/odf/0809_0201901401_SCX00000SUM.SAS.gz",
    "sas_products_0201903501/odf/0828_0201903501_SCX00000SUM.SAS.gz",
)
#: Parameters whose values no raw file can tell yet: no public text names the housekeeping behind them.
UNTOLD = {
    "MOS": {
        "MEAN_TEMPERATURE",
        *(f"GAIN_CCD_{ccd}" for ccd in range(1, 8)),
        # Headers have one threshold of each unit in use, and no CCD uses unit 1.
        *(f"EDU_{unit}_LOW_THR_2" for unit in range(8)),
        "EDU_1_LOW_THR_1",
    },
    "RGS": set(),
    "PN": {f"CAMEX_GAIN_CCD{ccd}" for ccd in range(1, 13)},
    "OM": {"FLOOD_LED_BIAS"},
}
#: The files of the fragment hold no housekeeping of the filter wheel.
NO_WHEEL = {"FILTER_WHEEL", "FILTER_WHEEL_POSITION", "FILTER"}


def _lines(path: Path) -> list[str]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [line.rstrip() for line in text.decode("latin-1").split("\n")]


def _kind(instrument: str) -> str:
    return {"M1": "MOS", "M2": "MOS", "R1": "RGS", "R2": "RGS"}.get(instrument, instrument)


def _exposures(lines: list[str]) -> dict[tuple[str, str], dict[str, str]]:
    """Configuration of each exposure: name -> value, in order."""
    found, instrument, exp_id, current = {}, "", "", None
    for at, line in enumerate(lines):
        if line == "INSTRUMENT":
            instrument, current = lines[at + 1], None
        elif also := re.search(r"\[also (\w+)\]", line):
            exp_id = also[1]
        elif line.startswith("CONFIGURATION ") and instrument:
            current = found[instrument, exp_id] = {}
            count = int(lines[at + 1].split(" / ")[0])
        elif line in ("//", "// Proposal Record") or "PROPOSAL record" in line:
            if current:
                assert len(current) == count, (instrument, exp_id)
            current = None
        elif current is not None and "=" in line and not line.startswith("//"):
            name, value = line.split("=", 1)
            current[name.strip()] = re.split(r"\s//?(?:\s|$)", value)[0].strip()
    return found


def _generic(names) -> list[str]:
    """Names without those that each CCD (or window) in use has."""
    return [n for n in names if not re.match(r"(CALIBRATION|DATA)_MODE_\d+$", n)]


def _labels(lines: list[str]) -> list[str]:
    """Titles and labels of the records, each repetition once, but not names or values."""
    labels = []
    for line in lines[: next(n for n, text in enumerate(lines) if text == "PROPOSAL") + 1]:
        if not line or line.startswith("//"):
            continue
        record = re.fullmatch(r"[A-Z]+( EPIC MOS| EPIC PN| RGS| OM)?", line)
        if record and line not in ("Y", "N"):
            labels.append(line)
        elif " / " in line and "=" not in line:
            labels.append(re.sub(r"\[also .*", "[also]", line.split(" / ", 1)[1]))
    return [label for label, before in zip(labels, ["", *labels[:-1]], strict=True) if label != before]


def _first(labels: list[str], until: str) -> list[str]:
    """Labels up to the first with this text."""
    return labels[: next(n for n, label in enumerate(labels) if label.startswith(until)) + 1]


@pytest.fixture(scope="module")
def real(shared_data) -> list[list[str]]:
    return [_lines(shared_data / name) for name in REAL]


@pytest.fixture(scope="module")
def templates(real) -> dict[str, dict[str, list[str]]]:
    """Kind of instrument -> mode -> parameters in order."""
    found: dict[str, dict[str, list[str]]] = {}
    for lines in real:
        for (instrument, _), values in _exposures(lines).items():
            names = _generic(values)
            known = found.setdefault(_kind(instrument), {})
            before = known.get(values["MODE"], names)
            # Offset maps taken after an observation have nothing else.
            known[values["MODE"]] = names if len(names) >= len(before) else before
    return found


@pytest.fixture(scope="module")
def fragment(shared_data, tmp_path_factory) -> tuple[Odf, list[str], Path]:
    """The raw files of a real observation, and our summary of them."""
    source = shared_data / "odf_0135730701"
    if not source.is_dir():
        pytest.skip(f"no real raw files: {source} is absent")
    base = tmp_path_factory.mktemp("summary")
    add_attitude_and_summary(base / "odf", link_odf(source, base / "odf"))
    return Odf.open(base / "odf"), *_ingest(base / "odf", base)


def _ingest(odf: Path, base: Path, env: dict[str, str] | None = None) -> tuple[list[str], Path]:
    run_task("odfingest", {}, cwd=base, env={**(env or {}), "SAS_ODF": str(odf)}, out=io.StringIO(),
             err=io.StringIO())  # fmt: skip
    path = next(base.glob("*SUM.SAS"))
    return _lines(path), path


def _row(odf: Odf, instrument: str, file_type: str, **where):
    columns = odf.one(instrument, file_type).read(1).columns
    mask = np.ones(len(columns["TIME"]), bool)
    for name, value in where.items():
        mask &= columns[name].astype(type(value)) == value
    (row,) = np.flatnonzero(mask)
    return {name: values[row] for name, values in columns.items()}


def test_records_and_labels_are_those_of_real_summaries(real, fragment):
    ours = _labels(fragment[1])
    for lines in real:
        theirs = _labels(lines)
        for title in ("CONFIGURATION EPIC MOS", "Number of configuration parameters available"):
            assert _first(ours, title) == _first(theirs, title)
        assert set(ours) <= set(theirs)
    assert ours[-1] == "PROPOSAL"
    # They list themselves, not the summary they are made from.
    for lines in (*real, fragment[1]):
        (name,) = (line for line in lines if "SUM.S" in line and line.endswith("ODF Constituent"))
        assert not any("SUM.ASC / ODF" in line for line in lines)
        assert name.endswith("SCX00000SUM.SAS / ODF Constituent")


def test_parameters_of_the_real_fragment(templates, fragment):
    found = _exposures(fragment[1])
    for (instrument, exp_id), values in found.items():
        modes = templates[_kind(instrument)]
        # Diagnostic and timing exposures of MOS are not among the real summaries.
        names = modes.get(values["MODE"], next(iter(modes.values())))
        assert _generic(values) == names, (instrument, exp_id)
    assert found["M1", "U009"]["MODE"] == "PrimeFullWindow"
    assert found["R1", "S003"]["MODE"] == "HighEventRateWithSES"
    assert found["M1", "U008"]["MODE"] == "UNDEFINED"
    for ccd in (2, 3, 4, 5, 6, 7):
        assert found["M1", "U009"][f"CALIBRATION_MODE_{ccd}"] == "PrimeFullWindow"
        assert found["M1", "U009"][f"DATA_MODE_{ccd}"] == "Imaging"
    assert [n for n in found["R1", "S003"] if n.startswith("DATA_MODE")] == [
        f"DATA_MODE_{c}" for c in (1, 2, 3)
    ]
    assert found["R1", "S003"]["DATA_MODE_1"] == "Spectroscopy"


def test_what_the_real_fragment_does_not_tell(fragment):
    found = _exposures(fragment[1])
    unknown = {key: {n for n, v in values.items() if v == "Unknown"} for key, values in found.items()}
    assert unknown["R1", "S003"] == set()
    # CCD 3 was off in U004, CCD 1 in another mode in U009: no header has the thresholds of their units.
    for exp_id, unit in (("U004", 6), ("U009", 0)):
        assert unknown["M1", exp_id] == UNTOLD["MOS"] | NO_WHEEL | {f"EDU_{unit}_LOW_THR_1"}


def test_values_of_the_real_fragment_are_those_of_its_files(fragment):
    odf, lines, _ = fragment
    found = _exposures(lines)
    # Commands given 17 s before the exposures of MOS1.
    for exp_id, time in (("U004", "2001-03-20T15:08:46"), ("U006", "2001-03-20T15:39:24"),
                         ("U009", "2001-03-20T17:22:18")):  # fmt: skip
        values = found["M1", exp_id]
        for unit in range(8):
            row = _row(odf, "M1", "HCH", TIME=time, HBRID=unit + 1)
            assert values[f"HBR_{unit}_ACTIVATION_STATUS"] == str(row["HBRACTIV"])
            assert values[f"HBR_{unit}_PROCESSING_MODE"] == str(row["HBRPROC"])
    values = found["M1", "U009"]
    for unit in range(8):
        row = _row(odf, "M1", "HTH", TIME="2001-03-20T17:09:59", HBRID=unit + 1)
        names = ("HBR_PATTERN_REFERENCE", "HBR_LOW_THR", "HBR_HIG_THR")
        assert [values[f"{n}_{unit}"] for n in names] == [
            str(row[n]) for n in ("PATTERN", "LTHRESH", "UTHRESH")
        ]
    for exp_id in ("U004", "U005", "U009"):
        for file in odf.science_files("M1", exp_id):
            _, header = file.headers()
            name = f"EDU_{header['EDUID']}_LOW_THR_1"
            assert found["M1", exp_id][name] == str(header["EDUTHR"])
    assert found["M1", "U005"]["EDU_0_LOW_THR_1"] == "100"
    assert values["EDU_2_LOW_THR_1"] == "25"
    # A whole second of on-board time, two before DATE-OBS: 22735253.02 at 17:22:35.
    assert (values["CLOCK_RESET_TIME_COARSE"], values["CLOCK_RESET_TIME_FINE"]) == ("22735251", "0")
    assert values["CLOCK_WRAP_AROUND"] == "32767"


def test_read_out_of_rgs_in_the_real_fragment(fragment):
    odf, lines, _ = fragment
    values = _exposures(lines)["R1", "S003"]
    assert values["PACKING_SCHEME"] == "PACKED"
    for ccd in range(1, 10):
        time = "2001-03-20T15:34:23" if ccd < 5 else "2001-03-20T15:36:06"
        row = _row(odf, "R1", "D1H", TIME=time, CCDID=ccd)
        for name, column in (("ACCEPT_THR", "ATHRESH"), ("UPPER_THR", "UTHRESH")):
            for node in "CD":
                assert values[f"CCD_{ccd}_{name}_{node}"] == str(row[column + node])
    assert [values[f"CCD_INDEX_{slot}"] for slot in range(1, 13)] == [*"123456", *"000000"]
    assert [values[f"CCD_{slot}_CSG_PATTERN"] for slot in range(1, 9)] == [*"676677", "0", "0"]
    assert values["NUMBER_OF_SLOTS"] == "6"
    for slot, thresholds in ((1, ("175", "200")), (7, ("0", "0"))):
        assert tuple(values[f"CCD_{slot}_REJECT_THR_{node}"] for node in "CD") == thresholds
        assert (values[f"CCD_{slot}_OCB"], values[f"CCD_{slot}_NODES"]) == ("3", "3")


def test_pn_housekeeping_of_the_real_fragment(fragment):
    """There is no exposure of the pn among the files, but part of its housekeeping."""
    odf = fragment[0]
    hk = Housekeeping(odf)
    span = (utc_to_tt("2001-03-20T17:00:00"), utc_to_tt("2001-03-20T17:20:00"))
    values = {k: v for k, (v, _) in configuration(hk, "PN", Circumstances(span), events=True).items()}
    assert [values[f"HBR_{unit}_ACTIVATION_STATUS"] for unit in range(4)] == ["1", "0", "0", "0"]
    columns = odf.one("PN", "PAH").read(1).columns
    times = columns["TIME"].astype(str)
    rows = (times >= "2001-03-20T17:00:00") & (times <= "2001-03-20T17:20:00")
    for name, column in (
        ("CMCORR_Q0", "F1525"),
        ("LOWER_THRESHOLD_Q1_CCD2", "F1617"),
        ("A1_CMLINE_CCD", "F1629"),
    ):
        (value,) = np.unique(columns[column][rows])
        assert values[name] == str(value)
    assert values["A1_CMLINE_PIXSET"] in ("GOOD", "BAD")
    assert values["CLOCK_RESET_TIME_COARSE"] == "Unknown"
    assert om_filter(hk, span) == ("Blocked", 1200.0)
    # Without rows in it, a short exposure has nothing of the kind, as in real summaries.
    short = Circumstances((span[1] + 1e5, span[1] + 1e5 + 1))
    assert configuration(hk, "PN", short, events=False) == {}


@pytest.mark.parametrize(("fixture", "obs_id"), [("simulated", "0800010101"), ("simulated_gratings", None)])
def test_parameters_of_a_simulated_observation(request, templates, tmp_path, fixture, obs_id):
    simulated = request.getfixturevalue(fixture)
    odf = simulated.odf(obs_id or simulated.obs_ids[0])
    lines, path = _ingest(odf, tmp_path)
    found = _exposures(lines)
    assert found
    for (instrument, exp_id), values in found.items():
        kind = _kind(instrument)
        names = next(n for mode, n in templates[kind].items() if mode not in ("Diagnostic", "UNDEFINED"))
        assert _generic(values) == names, (instrument, exp_id)
        if values["MODE"] == "Diagnostic":
            # They count for a second, in which there need not be any housekeeping.
            continue
        unknown = {n for n, v in values.items() if v == "Unknown"}
        assert unknown == UNTOLD[kind], (instrument, exp_id)
        if kind == "MOS":
            assert int(values["CLOCK_RESET_TIME_COARSE"]) > 5e8
    assert {i for i, what in observation_summary(path).items() if what["active"]} == {i for i, _ in found}


def test_exposures_that_show_no_sky(templates, real, tmp_path):
    """Diagnostic images, offset maps, discarded lines and exposures of OM, as real summaries have them."""
    stem, folder = "0070_0123700101_", tmp_path / "odf"
    folder.mkdir()
    record = (
        "OBSERVATION",
        "0123700101 / id",
        "0070 / rev",
        "2000-05-25T07:00:00 / a",
        "2000-05-25T10:00:00 / b",
    )
    (folder / f"{stem}SCX00000SUM.ASC").write_text("\n".join((*record, "PROPOSAL", "x", "")))
    for name in (
        "R1S90001DII",
        "PNU00201DLI",
        "PNU10104ODI",
        "OMS40000PAX",
        "OMS40100IMI",
        "OMS40101IMI",
        "R2S00500AUX",
    ):
        primary = fits.PrimaryHDU()
        primary.header["DATE-OBS"], primary.header["DATE-END"] = "2000-05-25T08:00:00", "2000-05-25T08:40:01"
        table = fits.BinTableHDU(np.zeros(1, dtype=[("FRAME", "i4")]))
        fits.HDUList([primary, table]).writeto(folder / f"{stem}{name}.FIT")
    lines, path = _ingest(folder, tmp_path)
    found = _exposures(lines)
    for (instrument, _), values in found.items():
        names = templates[_kind(instrument)][values["MODE"]]
        if values["MODE"] == "Offset":
            names = ["MODE"]
        assert _generic(values) == names
    assert {k: v["MODE"] for k, v in found.items()} == {
        ("R1", "S900"): "Diagnostic3x3", ("R2", "S005"): "UNDEFINED", ("PN", "U002"): "Diagnostic",
        ("PN", "U101"): "Offset", ("OM", "S400"): "UNDEFINED", ("OM", "S401"): "Image",
    }  # fmt: skip
    modes = {k: {n: w for n, w in v.items() if n.startswith(("DATA", "CALIB"))} for k, v in found.items()}
    assert modes["R1", "S900"] == {"CALIBRATION_MODE_1": "Diagnostic3x3", "DATA_MODE_1": "Diagnostic"}
    assert modes["PN", "U002"] == {"CALIBRATION_MODE_1": "Diagnostic", "DATA_MODE_1": "DiscardedLinesData"}
    assert modes["PN", "U101"] == {"CALIBRATION_MODE_4": "Offset", "DATA_MODE_4": "OffsetData"}
    assert modes["OM", "S401"] == {
        "CALIBRATION_MODE_0": "Image", "CALIBRATION_MODE_1": "Image",
        "DATA_MODE_0": "Imaging", "DATA_MODE_1": "Imaging",
    }  # fmt: skip
    # Real ones of 2400 s last 120 units.
    assert found["OM", "S401"]["EXPOSURE_DURATION"] == "120"
    assert all(e["type"] == "SCIENCE" for e in observation_summary(path)["PN"]["exposures"].values())
    assert {line.split(" / ")[0] for lines in real for line in lines if line.endswith("Exposure Type")} == {
        "SCIENCE"
    }
