"""``daxa calibration``: what a user sees of the calibration files."""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner

from daxa.cli.calibration import fetch_calibration
from daxa.cli.main import app, main

run = CliRunner()
PN = ["calibration", "fetch", "--inst", "PN", "--date", "2017-11-01"]


def said(words: list[str]) -> str:
    done = run.invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(synthetic_ccf: Path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(synthetic_ccf)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_list(synthetic_ccf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAXA_CCFPATH", str(synthetic_ccf))
    text = said(["calibration", "list"])
    files = sorted(path.name for path in synthetic_ccf.glob("*.CCF"))
    assert all(name in text for name in files)
    assert f"{len(files)} files" in text
    assert "EMOS1, EMOS2, EPN: every type is there" in text
    result = json.loads(said(["calibration", "list", "--json"]))
    assert [row["name"] for row in result["files"]] == files
    assert result["lacking"] == []


def test_a_configured_folder_that_is_not_there_is_told_before_fetching(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DAXA_BACKEND", "embedded")
    monkeypatch.setenv("DAXA_CCFPATH", f"{tmp_path}{os.pathsep}{tmp_path / 'nowhere'}")
    monkeypatch.setattr("daxa.calibration.store.available", list)
    monkeypatch.setattr("daxa.calibration.store.fetch", lambda cameras, dates: [])
    info = pd.DataFrame({"start": pd.to_datetime(["2020-01-01"])})
    fetch_calibration(SimpleNamespace(chosen_instruments=["PN"], filtered_obs_info=info))
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(told) == 1
    assert f"no folder {tmp_path / 'nowhere'} of calibration files (DAXA_CCFPATH); simulated" in told[0]


def test_list_names_what_is_lacking(tmp_path: Path, synthetic_ccf: Path) -> None:
    assert "no calibration files in" in said(["calibration", "list"])
    for path in synthetic_ccf.glob("EPN_*"):
        if "CTI" not in path.name:
            (tmp_path / path.name).symlink_to(path)
    text = said(["calibration", "list", "--folder", str(tmp_path), "--inst", "PN"])
    assert "EPN: lacking EPN_CTI, XMM_BORESIGHT, XMM_MISCDATA, XRT3_XAREAEF, XRT3_XPSF" in text


def test_spectrometers_are_known(synthetic_ccf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAXA_CCFPATH", str(synthetic_ccf))
    assert "RGS1, RGS2: every type is there" in said(["calibration", "list", "--inst", "R1", "--inst", "R2"])
    text = said(["calibration", "show", "RGS1_CTI"])
    assert "layout known  yes" in text
    assert "[CTIY9] 342 rows, read by the engine" in text


def test_show(synthetic_ccf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said(["calibration", "show", str(synthetic_ccf / "EPN_LINCOORD_0009.CCF")])
    assert "valid from    1998-01-01T00:00:00" in text
    assert "valid until   open end" in text
    assert "layout known  yes" in text
    assert "[LINCOORD] 12 rows, read by the engine" in text
    assert "  PHI0 " in text
    assert "{" not in text
    # By name, or the latest of a type, from the search path.
    monkeypatch.setenv("DAXA_CCFPATH", str(synthetic_ccf))
    assert said(["calibration", "show", "EPN_LINCOORD_0009.CCF"]) == text
    assert "XMM_BORESIGHT_0035.CCF" in said(["calibration", "show", "xmm_boresight"])
    assert json.loads(said(["calibration", "show", "EPN_LINCOORD", "--json"]))["issue"] == 9


def test_fetch(mirror: str, tmp_path: Path, synthetic_ccf: Path) -> None:
    store = Path(os.environ["XDG_CACHE_HOME"]) / "daxa" / "ccf"
    text = said([*PN, "--mirror", mirror])
    names = sorted(path.name for path in store.glob("*.CCF"))
    assert f"{len(names)} calibration files for EPN in {store}: {len(names)} fetched (" in text
    assert "EPN_LINCOORD_0009.CCF  " in text
    assert not [name for name in names if name.startswith(("EMOS", "RGS"))]
    for name in names:
        assert (store / name).read_bytes() == (synthetic_ccf / name).read_bytes()
    assert f": 0 fetched (0.0 MB), {len(names)} were there" in said([*PN, "--mirror", mirror])
    assert f": {len(names)} at hand" in said([*PN, "--offline"])
    # The fetched files are found without being told where they are.
    assert f"{len(names)} files" in said(["calibration", "list", "--inst", "PN"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["calibration", "fetch", "--inst", "OM"], "expected M1, M2, PN, R1 or R2, got 'OM'"),
        (["calibration", "fetch", "--date", "yesterday", "--offline"], "--date"),
        (["calibration", "list", "--inst", "R3"], "expected M1, M2, PN, R1 or R2"),
    ],
)
def test_mistakes(words: list[str], message: str) -> None:
    done = run.invoke(app, words)
    assert done.exit_code == 2
    assert message.replace(" ", "") in "".join(c for c in done.output if c not in " │\n╭╰─╮╯")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fetch", "--inst", "PN", "--offline"], "daxa: offline, and .*EPN_LINCOORD"),
        (
            ["fetch", "--mirror", "http://127.0.0.1:9/"],
            "no calibration mirror can be read: http://127.0.0.1:9/",
        ),
        (["show", "EPN_NOTHING_0001.CCF"], "EPN_NOTHING_0001.CCF: no such file"),
        (["show", "junk.CCF"], "junk.CCF"),
    ],
)
def test_failures_give_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("junk.CCF").write_bytes(b"junk")
    monkeypatch.setattr(sys, "argv", ["daxa", "calibration", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == (2 if "no such file" in message else 1)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)


def test_inspect_every_file(synthetic_ccf: Path, tmp_path: Path) -> None:
    text = said(["calibration", "inspect", str(synthetic_ccf), "--report", str(tmp_path / "report.txt")])
    files = sorted(path.name for path in synthetic_ccf.glob("*.CCF"))
    assert all(name in text for name in files)
    assert "refused" not in text
    assert "fallback" not in text
    report = (tmp_path / "report.txt").read_text()
    assert all(name in report for name in files)
    assert max(map(len, report.splitlines())) < 400
    assert "  X0                        D mm" in report


def test_inspect_a_real_constituent(shared_data: Path) -> None:
    text = said(["calibration", "inspect", str(shared_data / "ccf" / "XRT3_XAREAEF_0012.CCF")])
    assert text.splitlines()[-1] == "3 exact"


def test_inspect_other_and_damaged_files(synthetic_ccf: Path, tmp_path: Path) -> None:
    whole = (synthetic_ccf / "EPN_LINCOORD_0009.CCF").read_bytes()
    (tmp_path / "EPN_LINCOORD_0009.CCF").write_bytes(whole[:-2880])
    (tmp_path / "notes.txt").write_text("no constituent")
    (tmp_path / "XMM_MISCDATA_0022.CCF").write_bytes((synthetic_ccf / "XMM_MISCDATA_0022.CCF").read_bytes())
    text = said(["calibration", "inspect", str(tmp_path)])
    assert "notes.txt: not a complete FITS file" in text
    assert re.search(r"EPN_LINCOORD_0009.CCF: (cut short|not a complete)", text)
    assert re.search(r"MISCDATA +exact", text)
    (tmp_path / "empty").mkdir()
    for wrong in ("EPN_LINCOORD_0009.CCF", "nothing.CCF", "empty"):
        done = run.invoke(app, ["calibration", "inspect", str(tmp_path / wrong)])
        assert done.exit_code != 0


def test_documented_readings_are_those_of_the_engine() -> None:
    """And so are the limits of numbers."""
    made = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_readings.py"))
    for name, mark, make in made["TABLES"]:
        page = (made["DOCS"] / name).read_text(encoding="utf-8")
        assert page == made["page"](name, mark, make), f"{name}: run `python docs/make_readings.py`"


def test_documented_codes_are_those_of_the_engine() -> None:
    from daxa.xmm.ccf.readings import READINGS
    from daxa.xmm.formats.ccf import LAYOUT

    root = Path(__file__).parents[2]
    page = (root / "docs" / "calibration.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+[A-Z]\w+)`", page))
    source = "\n".join(path.read_text(encoding="utf-8") for path in (root / "src/daxa/xmm").rglob("*.py"))
    assert {code for code in named if f'"{code}"' not in source} == set()
    readings = [reading for tables in READINGS.values() for reading in tables.values()]
    fallbacks = [
        fallback
        for r in readings
        for fallback in (*r.absent.values(), *r.keywords.values(), *r.items.values(), *r.lacking.values())
    ]
    fallbacks += [r.substitute for r in readings if r.substitute is not None]
    assert {fallback.code for fallback in fallbacks if fallback.code} <= named
    for (scope, typeid), tables in LAYOUT.items():
        assert sum(line.startswith(f"| {scope}_{typeid} |") for line in page.splitlines()) >= 1, tables
