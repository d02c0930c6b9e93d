"""Answers that are recorded, without secrets, and given again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import archive_server as faults
import odf_files
import pytest
from archive_server import ArchiveServer

from daxa.exceptions import DAXADownloadError
from daxa.fetch import session
from daxa.fetch.http import Client, RemoteFile
from daxa.fetch.limits import LIMITS
from daxa.fetch.record import without_secrets
from daxa.mission import XMMPointed
from daxa.mission.resolve import resolve

OBS = "0800000101"
pytestmark = pytest.mark.usefixtures("pauses")


@pytest.fixture
def archive(server: ArchiveServer) -> ArchiveServer:
    """A server with one observation."""
    server.tables["xsa.v_all_observations"] = {
        "observation_id": [OBS],
        "ra": [149.59],
        "dec": [-11.06],
        "start_utc": ["2004-03-01 01:00:00.0"],
        "duration": [36000],
        "with_science": [True],
        "proprietary_end_date": ["2005-06-01 00:00:00.0"],
        "revolution": [70],
    }
    files = odf_files.odf(OBS)
    server.aio[OBS, "ODF"] = odf_files.aio_bytes(files, OBS)
    server.files |= {f"xmm/data/rev0/{OBS}/ODF/{name}": content for name, content in files.items()}
    server.names["A 907"] = (149.5917, -11.0642)
    return server


def work(source: str) -> list[str]:
    """A first minute with an archive; names of the files that came."""
    mission = XMMPointed(source=source)
    mission.filter_on_positions(resolve("A 907"), search_distance=0.1)
    mission.download(disable_progress=True, credentials=("me", "s3cret") if source == "xsa" else None)
    return sorted(p.name for p in mission.get_obs_path(OBS).iterdir())


@pytest.mark.parametrize("source", ["xsa", "heasarc", "s3"])
def test_a_session_is_recorded_and_given_again(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    if source != "xsa":
        table = archive.tables["xsa.v_all_observations"]
        archive.tables["xmmmaster"] = {
            **{
                "obsid": [OBS],
                "ra": table["ra"],
                "dec": table["dec"],
                "time": [53065.04],
                "duration": [36000.0],
            },
            **{"public_date": [53522], "xmm_revolution": [70], "status": ["archived"]},
        }
    folder = tmp_path / "answers"
    monkeypatch.setenv("DAXA_RECORD", str(folder))
    came = work(source)
    asked = sum(archive.requests.values())
    notes = [json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))]
    assert len(notes) == len(list(folder.glob("*.body"))) == asked
    assert all(note["status"] == 200 and note["kept"] == note["bytes"] for note in notes)
    assert any("TAP_SCHEMA" in note["request"]["body"] for note in notes)
    text = "".join(p.read_text(errors="replace") for p in folder.glob("*.json"))
    assert "s3cret" not in text
    assert str(tmp_path) not in text
    # the same from the folder, in another place, without the network
    monkeypatch.delenv("DAXA_RECORD")
    monkeypatch.setenv("DAXA_REPLAY", str(folder))
    monkeypatch.setenv("DAXA_OUTPUT", str(tmp_path / "other"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert work(source) == came
    assert sum(archive.requests.values()) == asked
    with pytest.raises(DAXADownloadError, match="no answer to GET .* is recorded in"):
        resolve("M 31")


def test_the_same_question_has_the_answers_in_their_order(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.files["x/a"] = bytes(range(200)) * 100
    archive.faults["x/a"] = [faults.status(500), faults.cut(0.4)]
    file = RemoteFile(f"{archive.url}/FTP/x/a", "a")
    monkeypatch.setenv("DAXA_RECORD", str(tmp_path / "answers"))
    Client().fetch(file, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == archive.files["x/a"]
    monkeypatch.delenv("DAXA_RECORD")
    monkeypatch.setenv("DAXA_REPLAY", str(tmp_path / "answers"))
    asked = sum(archive.requests.values())
    Client().fetch(file, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == archive.files["x/a"]
    assert sum(archive.requests.values()) == asked == 3


def test_long_answers_are_cut(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.files |= {f"x/{n}": bytes(5000) for n in range(3)}
    monkeypatch.setenv("DAXA_RECORD", str(tmp_path / "answers"))
    limits = replace(LIMITS, record_bytes=4000, recorded_bytes=9000)
    for n in range(3):
        Client(limits=limits).fetch(RemoteFile(f"{archive.url}/FTP/x/{n}", str(n)), tmp_path / str(n))
        assert (tmp_path / str(n)).read_bytes() == bytes(5000)
    bodies = [p.stat().st_size for p in sorted((tmp_path / "answers").glob("*.body"))]
    assert bodies[:1] == [4000]
    assert sum(bodies) < 9000
    notes = [json.loads(p.read_text()) for p in sorted((tmp_path / "answers").glob("*.json"))]
    assert [note["kept"] for note in notes] == bodies
    assert [note["bytes"] for note in notes] == [5000] * 3
    # what was cut is no whole file
    monkeypatch.delenv("DAXA_RECORD")
    monkeypatch.setenv("DAXA_REPLAY", str(tmp_path / "answers"))
    with pytest.raises(DAXADownloadError, match="got 4000 of 5000 bytes"):
        Client(tries=1).fetch(RemoteFile(f"{archive.url}/FTP/x/0", "0"), tmp_path / "again")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:word@host/a", "https://host/a"),
        (
            "https://host/a?AIOUSER=me&AIOPWD=w&obsno=1",
            "https://host/a?AIOUSER=%2A%2A%2A&AIOPWD=%2A%2A%2A&obsno=1",
        ),
        (
            "https://host/a?X-Amz-Signature=w&token=t",
            "https://host/a?X-Amz-Signature=%2A%2A%2A&token=%2A%2A%2A",
        ),
        ("https://host/a?M%2031", "https://host/a?M%2031"),
        ("https://host/a#word", "https://host/a"),
    ],
)
def test_addresses_without_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_cookies_and_other_headers_are_not_kept(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.files["x/a"] = b"content"
    monkeypatch.setenv("DAXA_RECORD", str(tmp_path / "answers"))
    asking = session.new_session(headers={"Authorization": "Basic s3cret", "Cookie": "id=s3cret"})
    assert asking.get(f"{archive.url}/FTP/x/a", auth=("me", "s3cret")).content == b"content"
    assert "s3cret" in str(archive.headers_seen)
    (note,) = (tmp_path / "answers").glob("*.json")
    assert "s3cret" not in note.read_text()
    assert "Basic" not in note.read_text()
