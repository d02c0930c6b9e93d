"""The archives' stand-in for mission tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from archive_server import ArchiveServer

from daxa.fetch.http import Client


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    """A local server to which every archive's address points."""
    archive = ArchiveServer()
    for key, path in {
        "XSA_TAP": "/xsa/tap",
        "XSA_AIO": "/aio",
        "HEASARC_TAP": "/heasarc/tap",
        "HEASARC_FTP": "/FTP",
        "S3": "/s3",
        "SESAME": "/sesame",
        "ERASS_DR1": "/FTP/erass",
    }.items():
        monkeypatch.setenv(f"DAXA_URL_{key}", archive.url + path)
    yield archive
    archive.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that clients would have made, in seconds; none is really made."""
    made: list[float] = []
    original = Client.__init__

    def patient(self: Client, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("sleep", made.append)
        original(self, *args, **kwargs)

    monkeypatch.setattr(Client, "__init__", patient)
    return made
