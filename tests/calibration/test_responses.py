"""Fetching published matrices from a server, and choosing among them."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_spectra import write_matrix
from typer.testing import CliRunner

from daxa.calibration import responses
from daxa.cli.main import app
from daxa.exceptions import DAXADownloadError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path):
    """Address of a stand-in server; it serves the folder ``served``."""
    folder = tmp_path / "served"
    for name in (
        "epn_e2_ff20_sdY7_v19.0",
        "epn_e2_ff20_sdY7_v21.0",
        "epn_e2_ff20_sdY8_v21.0",
        "epn_e3_ff20_sdY7_v21.0",
    ):
        write_matrix(folder / "PN" / f"{name}.rmf", 4096)
    for name in ("m1_e14_im_pall_o", "m1_e13_im_pall_o"):
        write_matrix(folder / "MOS" / "5eV" / f"{name}.rmf", 2400, "EMOS1")
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/"
    http.shutdown()
    http.server_close()


def fetch(server: str, folder: Path, instruments: list[str], **given) -> list[Path]:
    return responses.fetch(
        instruments, ["2012-05-14"], mirror=server, folder=folder, timeout_s=5, pause_s=0.0, **given
    )


def test_latest_versions_of_the_epoch_come(server: str, tmp_path: Path):
    paths = fetch(server, tmp_path / "store", ["EPN", "EMOS1"])
    assert sorted(str(p.relative_to(tmp_path / "store")) for p in paths) == [
        "MOS/5eV/m1_e14_im_pall_o.rmf",
        "PN/epn_e2_ff20_sdY7_v21.0.rmf",
        "PN/epn_e2_ff20_sdY8_v21.0.rmf",
    ]
    # What is there stays.
    kept = {p: p.stat().st_mtime_ns for p in paths}
    assert {p: p.stat().st_mtime_ns for p in fetch(server, tmp_path / "store", ["EPN", "EMOS1"])} == kept


def test_what_is_no_matrix_does_not_stay(server: str, tmp_path: Path):
    served = tmp_path / "served" / "PN"
    whole = (served / "epn_e2_ff20_sdY7_v21.0.rmf").read_bytes()
    (served / "epn_e2_ff20_sdY7_v21.0.rmf").write_bytes(whole[:8000])
    write_matrix(served / "epn_e2_ff20_sdY8_v22.0.rmf", 2400)
    with pytest.raises(DAXADownloadError, match="0 matrices are in .* 2 problems") as refused:
        fetch(server, tmp_path / "store", ["EPN"])
    assert "2400 channels, not 4096" in str(refused.value)
    assert not list((tmp_path / "store" / "PN").glob("*.rmf"))


def test_nothing_there_is_said(server: str, tmp_path: Path):
    with pytest.raises(DAXADownloadError, match="no published matrix for epn_e2_sw_sd"):
        fetch(server, tmp_path / "store", ["EPN"], modes=["sw"])
    with pytest.raises(DAXADownloadError, match="no published matrix for m1_e14"):
        fetch(server + "nowhere/", tmp_path / "store", ["EMOS1"])
    with pytest.raises(ValueError, match="RGS1"):
        fetch(server, tmp_path / "store", ["RGS1"])
    with pytest.raises(DAXADownloadError, match="these cameras and dates"):
        responses.fetch(["EMOS1"], ["2020-01-01"], mirror=server, folder=tmp_path)


def test_on_the_command_line(server: str, tmp_path: Path):
    given = [
        "calibration",
        "fetch",
        "--responses",
        "--inst",
        "PN",
        "--mirror",
        server,
        "--folder",
        str(tmp_path),
    ]
    done = CliRunner().invoke(app, [*given, "--date", "2012-05-14"])
    assert f"2 matrices for EPN in {tmp_path / 'responses'}: 2 fetched" in done.output
    assert len(list((tmp_path / "responses" / "PN").glob("*.rmf"))) == 2
    refused = CliRunner().invoke(app, given)
    assert refused.exit_code == 2
    assert "--date" in refused.output
