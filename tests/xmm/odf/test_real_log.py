"""odfingest on files with the names and dates of a real observation, against the log of the real task."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from daxa.xmm.formats.summary import SasSummary, observation_summary, read_sas_summary
from daxa.xmm.odf.times import utc_to_tt
from daxa.xmm.task import run_task

STEM = "3278_0802710101_"


@pytest.fixture(scope="module")
def log(shared_data: Path) -> list[str]:
    with gzip.open(shared_data / "logs" / "0802710101_pysas_basic_setup_sas22.1_V4.log.gz", "rt") as handle:
        return [line.strip() for line in handle if line.startswith("odfingest:-")]


@pytest.fixture(scope="module")
def datasets(log: list[str]) -> dict[str, tuple[str, str]]:
    """Name of each science file -> start and end that odfingest took."""
    pattern = re.compile(r"Dataset Time Range: (\S+) : (\S+) - (\S+)$")
    return {m[1]: (m[2], m[3]) for line in log if (m := pattern.search(line))}


def _file(path: Path, start: str, end: str, **keywords: object) -> None:
    primary = fits.PrimaryHDU()
    primary.header["DATE-OBS"], primary.header["DATE-END"] = start, end
    table = fits.BinTableHDU(np.zeros(1, dtype=[("FRAME", "i4")]))
    table.header.update(keywords)
    path.write_bytes(primary.header.tostring().encode() + table.header.tostring().encode() + b"\0" * 2880)


@pytest.fixture(scope="module")
def ingested(datasets, shared_data, tmp_path_factory) -> tuple[SasSummary, list[str], Path]:
    """What our odfingest makes of such files, and what it prints."""
    folder = tmp_path_factory.mktemp("real_names")
    for name, (start, end) in datasets.items():
        keywords: dict[str, object] = {"CCDMODE": 1} if "IME" in name and STEM + "PN" in name else {}
        if "IME" in name and "_M" in name:
            keywords = {"WINDOWX0": 0, "WINDOWY0": 0, "WINDOWDX": 610, "WINDOWDY": 602}
        # Their DATE-END is wrong in reality.
        wrong = name[-7:-4] in ("DII", "DLI")
        late = "OMS010" in name
        _file(
            folder / name,
            start,
            "2017-11-01T20:00:00" if wrong else "2017-11-01T17:08:28" if late else end,
            **keywords,
        )
    last = utc_to_tt("2017-11-01T17:02:37")
    time = np.arange(last - 24_000, last + 1, 8.0)
    text = {"F1119": "STOPPED", "F1118": "FILTC-MEDIUM", "FD130": "MEDIUM"}
    columns = [fits.Column("TIME", "D", array=time), fits.Column("F1122", "E", array=time * 0 + 233.234)]
    columns += [fits.Column(k, "16A", array=[v] * len(time)) for k, v in text.items()]
    # While the wheel turns it names nothing of use.
    columns[2].array[:600], columns[3].array[:600] = "MOVING", "FILTC-THIN1"
    for name, used in (("PNX00000PMH.FIT", columns), ("OMX00000PEH.FIT", columns[:1])):
        hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(used)]
        fits.HDUList(hdus).writeto(folder / (STEM + name))
    text = (shared_data / "epic_pn_0124710801" / "0184_0124710801_SCX00000SUM.ASC").read_text("latin-1")
    text = text.replace("0184_0124710801", STEM[:-1]).replace("0124710801", "0802710101")
    (folder / (STEM + "SCX00000SUM.ASC")).write_text(text.replace("0184 / Rev", "3278 / Rev"), "latin-1")
    out = io.StringIO()
    env = {"SAS_ODF": str(folder)}
    cwd = tmp_path_factory.mktemp("work")
    run_task("odfingest", {}, cwd=cwd, env=env, out=out, err=io.StringIO())
    path = cwd / (STEM + "SCX00000SUM.SAS")
    return read_sas_summary(path), out.getvalue().splitlines(), path


def _seconds(text: str) -> float:
    return float(utc_to_tt(text))


def test_times_of_every_file(datasets, ingested) -> None:
    pattern = re.compile(r"Dataset Time Range: (\S+) : (\S+) - (\S+)$")
    ours = {m[1]: (m[2], m[3]) for line in ingested[1] if (m := pattern.search(line))}
    assert set(ours) == set(datasets)
    assert len(ours) == 126
    for name, times in datasets.items():
        assert [_seconds(t) for t in ours[name]] == [_seconds(t) for t in times], name


def test_exposures_and_their_times(log, ingested) -> None:
    summary = ingested[0]
    pattern = re.compile(r"odfingest:- (\w\w)/(\w{4}) start = (\S+) end = (\S+)$")
    real = {(m[1], m[2]): (m[3], m[4]) for line in log if (m := pattern.search(line))}
    ours = {(i, e.exp_id): (e.start, e.end) for i, found in summary.instruments.items() for e in found}
    assert set(ours) == set(real)
    assert len(ours) == 54
    for key, times in real.items():
        # The times of OM come from housekeeping whose columns no public text gives.
        if key[0] != "OM":
            assert [_seconds(t) for t in ours[key]] == [_seconds(t) for t in times], key
    span = next(line for line in log if "Observation Time Range" in line).split(": ")[-1].split(" - ")
    assert [_seconds(summary.start), _seconds(summary.end)] == [_seconds(t) for t in span]


def test_instruments_modes_and_filter(ingested) -> None:
    found = observation_summary(ingested[2])
    assert list(found) == ["M1", "M2", "R1", "R2", "PN", "OM"]
    assert all(what["active"] for what in found.values())
    assert {code: what["num_exp"] for code, what in found.items()} == {
        "M1": 1, "M2": 1, "R1": 16, "R2": 16, "PN": 14, "OM": 6,
    }  # fmt: skip
    pn = found["PN"]["exposures"]["S003"]
    assert (pn["filter"], pn["mode"], pn["type"]) == ("Medium", "PrimeFullWindow", "SCIENCE")
    assert pn["ccd_modes"] == dict.fromkeys(range(1, 13), "Imaging")
    assert list(found["M1"]["exposures"]["S001"]["ccd_modes"]) == [1, 2, 4, 5, 7]
    assert found["R1"]["exposures"]["S004"]["mode"] == "Spectroscopy"
    assert list(found["R1"]["exposures"]["S004"]["ccd_modes"]) == [1, 2, 3, 4, 5, 6, 8, 9]
    assert found["OM"]["exposures"]["S006"]["mode"] == "ImageFast"
    types = {e["type"] for code in ("R1", "PN") for k, e in found[code]["exposures"].items() if k not in
             ("S004", "S003")}  # fmt: skip
    assert types == {"SCIENCE"}
    assert found["PN"]["exposures"]["U101"]["mode"] == "Offset"
    assert found["PN"]["exposures"]["U002"]["mode"] == "Diagnostic"
    assert not found["PN"]["exposures"]["U002"]["scheduled"]
