"""Asking every archive one small question."""

from __future__ import annotations

import json
import re
import threading

import pytest
from archive_server import ArchiveServer
from typer.testing import CliRunner

from daxa.cli.main import app
from daxa.mission import reach
from daxa.mission.endpoints import ADDRESSES

FITS = b"SIMPLE  =                    T".ljust(2880)


@pytest.fixture
def archives(server: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> ArchiveServer:
    """Archives that have what is asked for."""
    for key, path in {
        "ERASS_DR1": "/FTP/erass",
        "ERASS_TILES": "/FTP/erass/tiles.fits",
        "EROSITA_EDR": "/FTP/edr",
    }.items():
        monkeypatch.setenv(f"DAXA_URL_{key}", server.url + path)
    monkeypatch.setenv("DAXA_CCF_MIRRORS", f"{server.url}/FTP/ccf/")
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    for service in ("xsa_tap", "heasarc_tap"):
        for table in reach.tables(service):
            names = [t if isinstance(t, str) else t[-1] for t in table.columns.values()]
            server.tables[table.table] = {name: ["1"] for name in names}
    server.names["M31"] = (10.684, 41.269)
    server.aio["0505720401", "PPS"] = b"\x1f\x8b" + bytes(5000)
    server.files |= {
        "xmm/data/rev0/0123700101/ODF/a.FIT": b"x",
        "erass/087/164/EXP_010/a.fits": b"x",
        "erass/tiles.fits": FITS,
        "edr/eFEDS.tar.gz": b"\x1f\x8b" + bytes(5000),
        "ccf/EMN1_ADUCONV_0001.CCF": FITS,
        "ccf/EPN_ADUCONV_0001.CCF": FITS,
    }
    return server


def asked() -> tuple[int, dict[str, tuple[str, str]]]:
    done = CliRunner().invoke(app, ["doctor", "--network", "--json"])
    return done.exit_code, {c["about"]: (c["state"], c["text"]) for c in json.loads(done.stdout)}


def test_every_address_has_a_question() -> None:
    assert set(reach.QUESTIONS) == set(ADDRESSES)


def test_all_is_well(archives: ArchiveServer) -> None:
    code, found = asked()
    assert {name: text for name, (state, text) in found.items() if state != "ok"} == {}
    assert code == 0
    assert set(found) == {*ADDRESSES, "ccf_1"}
    said = {name: re.sub(r"^\S+ | \([\d.]+ s\)$", "", text) for name, (_, text) in found.items()}
    number = len(reach.tables("heasarc_tap"))
    assert number > 8
    assert (
        said
        == {
            "sesame": "M31 is at 10.684000 +41.269000",
            "xsa_tap": "lists 1 of 1 tables as they are needed",
            "xsa_aio": "sends files",
            "heasarc_tap": f"lists {number} of {number} tables as they are needed",
            "heasarc_ftp": "lists xmm/data/rev0/0123700101/",
            "s3": "lists xmm/data/rev0/0123700101",
            "erass_dr1": "lists 087/164/",
            "erass_tiles": "sends files",
            "erosita_edr": "sends files",
            "ccf_1": "lists 1 calibration files",
        }
        or said["ccf_1"] == "lists 2 calibration files"
    )
    # one question each
    assert len(archives.queries) == 2
    assert sum(archives.requests.values()) == len(found)
    lines = CliRunner().invoke(app, ["doctor", "--network"]).stdout.splitlines()
    assert [line.split()[1] for line in lines] == list(found)


def test_what_has_changed_is_told(archives: ArchiveServer) -> None:
    columns = archives.tables["xsa.v_all_observations"]
    columns["orbit"] = columns.pop("revolution")
    del archives.tables["numaster"]
    archives.tables["chanmaster"].pop("detector")
    archives.names.clear()
    archives.aio["0505720401", "PPS"] = b"<html><title>Sign \x1b[31m in</title></html>"
    archives.files["erass/tiles.fits"] = b"\x1b[31m no"
    code, found = asked()
    assert code == 1
    assert {name for name, (state, _) in found.items() if state == "fault"} == {
        "sesame", "xsa_aio", "heasarc_tap", "erass_tiles",
    }  # fmt: skip
    assert (
        "lists 1 of 1 tables as they are needed; xsa.v_all_observations lacks revolution"
        in found["xsa_tap"][1]
    )
    assert "numaster is not listed" in found["heasarc_tap"][1]
    assert "chanmaster lacks detector" in found["heasarc_tap"][1]
    assert "does not know M31" in found["sesame"][1]
    assert "sends a web page instead of a file" in found["xsa_aio"][1]
    assert all(text.isprintable() for _, text in found.values())


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ADDRESSES:
        monkeypatch.setenv(f"DAXA_URL_{name.upper()}", "http://127.0.0.1:9/x")
    monkeypatch.setenv("DAXA_CCF_MIRRORS", "http://127.0.0.1:9/x")
    code, found = asked()
    assert code == 1
    assert len(found) == len(ADDRESSES) + 1
    assert all(state == "fault" and "http://127.0.0.1:9/x" in text for state, text in found.values())


def test_who_is_silent_is_not_waited_for(archives: ArchiveServer) -> None:
    ever = threading.Event()

    def silent(client: object, url: str) -> str:
        ever.wait()
        return ""

    *_, last = reach.ask_all({"silent": ("http://a", silent)}, patience_s=0.1)
    ever.set()
    assert last.name == "silent"
    assert not last.ok
    assert last.text == "no answer within 0.1 s"


def test_what_nobody_thought_of_is_told(archives: ArchiveServer) -> None:
    def wrong(client: object, url: str) -> str:
        raise ZeroDivisionError("\x1b[31m")

    *_, last = reach.ask_all({"wrong": ("http://b", wrong)})
    assert last.text == r"unexpected ZeroDivisionError: \x1b[31m"


def test_what_stands_between_is_told(archives: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAXA_RECORD", "answers")
    monkeypatch.setenv("https_proxy", "http://me:s3cret@proxy.example:3128")
    found = dict(reach.between())
    assert found["proxy"] == "proxy.example:3128"
    assert found["DAXA_RECORD"].endswith("in answers")
